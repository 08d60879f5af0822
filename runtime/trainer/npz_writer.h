// npz_writer.h - several arrays in one NumPy archive.
//
// An archive is a zip whose members are npy files; each is stored as it is,
// which NumPy's own savez does, too. Sizes and checksums stand before the data,
// so arrays are whole in memory when they are written.
// Known weakness: no zip64, so no archive of 4 GiB and more.
#ifndef SINTER_TRAINER_NPZ_WRITER_H
#define SINTER_TRAINER_NPZ_WRITER_H

#include "runtime/trainer/array.h"
#include "runtime/trainer/output.h"

namespace sinter::trainer {

struct NamedArray {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

/// Refuses what an archive cannot hold: call it before the work.
Error checkNpzSize(const std::string &path,
                   const std::vector<NamedArray> &arrays);

/// The archive's bytes to `output`; loads as {name: array}.
void writeNpz(Output &output, const std::vector<NamedArray> &arrays);

} // namespace sinter::trainer

#endif
