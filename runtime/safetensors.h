/* safetensors.h - named tensors to and from a safetensors file.
 *
 * The public functions of sinter_runtime.h save and load a model's weights;
 * they and the trainer's checkpoints stand on these. The caller says which
 * tensors a file has to hold, no more and no fewer, and where their bytes go.
 */
#ifndef SINTER_SAFETENSORS_H
#define SINTER_SAFETENSORS_H

#include "runtime/sinter_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sinter_tensor {
  const char *name;
  sinter_dtype dtype;
  int32_t rank;
  const int64_t *shape;
  int64_t bytes;
  void *data;
  int must_be_finite; /* reading refuses NaN and infinity in it */
} sinter_tensor;

/* One pair of texts under "__metadata__". */
typedef struct sinter_metadata {
  const char *key, *value;
} sinter_metadata;

/* Messages are as sinter_load_weights gives them. `owner` is the model's name.
 * The whole file is checked before a byte of the tensors is overwritten. */
sinter_status sinter_read_tensors(const char *path, const char *owner,
                                  const sinter_tensor *tensors, int64_t count,
                                  char *message, size_t message_size);

/* The same from a file's bytes. */
sinter_status sinter_read_tensors_memory(const void *data, size_t bytes,
                                         const char *owner,
                                         const sinter_tensor *tensors,
                                         int64_t count, char *message,
                                         size_t message_size);

/* Calls `visit` for each pair, in the file's order. */
typedef void (*sinter_metadata_visitor)(void *context, const char *key,
                                        const char *value);
sinter_status sinter_read_metadata(const char *path,
                                   sinter_metadata_visitor visit, void *context,
                                   char *message, size_t message_size);

/* Replaces the file in one step. */
sinter_status sinter_write_tensors(const char *path,
                                   const sinter_tensor *tensors, int64_t count,
                                   const sinter_metadata *metadata,
                                   int64_t num_metadata, char *message,
                                   size_t message_size);

/* The weights of a model, in the order of its table; at most `num_states`.
 * Returns how many. */
int64_t sinter_list_weights(const sinter_model *model, void *state,
                            sinter_tensor *tensors);
/* All of its states but derived ones, likewise. */
int64_t sinter_list_states(const sinter_model *model, void *state,
                           sinter_tensor *tensors);

#ifdef __cplusplus
}
#endif
#endif
