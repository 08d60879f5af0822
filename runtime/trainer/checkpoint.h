// checkpoint.h - one file that holds a whole training run.
//
// DIR/checkpoint.safetensors: all states of the model (weights, optimizer,
// iteration, seed) and what callbacks keep as tensors; everything else as notes
// in the metadata. It is replaced in one step (temporary file, sync, rename,
// sync of the folder), so a kill at any moment leaves the old one or the new
// one. A run holds a lock on the folder, which the kernel drops when it dies.
#ifndef SINTER_TRAINER_CHECKPOINT_H
#define SINTER_TRAINER_CHECKPOINT_H

#include "runtime/trainer/notes.h"

namespace sinter::trainer {

class Checkpoint {
public:
  Checkpoint() = default;
  ~Checkpoint();
  Checkpoint(const Checkpoint &) = delete;
  Checkpoint &operator=(const Checkpoint &) = delete;

  /// Makes the folder, locks it and removes what killed runs left half
  /// written.
  Error open(const std::string &folder);
  bool isOpen() const { return lock >= 0; }
  /// Whether there is a checkpoint to go on from.
  bool exists() const;
  const std::string &path() const { return file; }

  /// The file carries a checksum of notes and tensors: a disk that lost a bit
  /// is told from a training that went wrong.
  Error write(Notes notes, const std::vector<sinter_tensor> &tensors) const;
  Error readTensors(const char *model, const Notes &notes,
                    const std::vector<sinter_tensor> &tensors) const;

private:
  void removeLeftovers(const std::string &folder) const;

  std::string file;
  int lock = -1;
};

} // namespace sinter::trainer

#endif
