/* output_file.h - write a file so that its name never shows half of it.
 *
 * The bytes go into a temporary file beside the target, which is synced and
 * then renamed over it. A target that exists and is no regular file (a pipe,
 * /dev/stdout) is written directly. The first failure is kept in `error` and
 * returned by the commit, so writes need no check of their own.
 *
 * Known weakness: a symbolic link at the target is replaced, not followed.
 */
#ifndef SINTER_OUTPUT_FILE_H
#define SINTER_OUTPUT_FILE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sinter_output_file {
  const char *path; /* the caller's, must outlive the file */
  char *temporary;  /* NULL when the target is written directly */
  int descriptor;
  int error; /* errno of the first failure */
} sinter_output_file;

/* These two return 0 or an errno value. After a failed open there is nothing to
 * commit or discard; after a commit, failed or not, neither. */
int sinter_output_open(sinter_output_file *file, const char *path);
int sinter_output_commit(sinter_output_file *file);

void sinter_output_write(sinter_output_file *file, const void *data,
                         size_t bytes);

/* Gives up: the target stays as it was. */
void sinter_output_discard(sinter_output_file *file);

#ifdef __cplusplus
}
#endif
#endif
