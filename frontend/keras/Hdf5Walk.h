// Hdf5Walk.h - the part of reading HDF5 that runs in the child process.
#ifndef SINTER_FRONTEND_KERAS_HDF5WALK_H
#define SINTER_FRONTEND_KERAS_HDF5WALK_H

#include <cstdint>
#include <string>
#include <vector>

namespace sinter::frontend {

/// One record on the pipe: the tag, then lengths and bytes as they are in
/// memory (both ends are the same program).
enum class Hdf5Record : uint8_t {
  Group = 'g',     // path
  Attribute = 'a', // path, name, number of texts, texts
  Dataset = 'd',   // path, type, rank, sizes, number of values, values
  Error = 'e',     // text; the last record
  End = '.',       // the last record
};

/// Bounds that sender and receiver share.
struct Hdf5Limits {
  uint64_t bytes = 0; // of all values and texts together
  uint64_t objects = 100000;
  unsigned depth = 16;
  unsigned rank = 8;
};

/// Sends the records of the HDF5 file `path` to `pipe`. False when libhdf5
/// failed or a limit was met; the reason has been sent.
bool sendHdf5(const char *path, const std::vector<std::string> &skipped,
              const Hdf5Limits &limits, int pipe);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_HDF5WALK_H
