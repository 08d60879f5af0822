// Hdf5Writer.h - a small HDF5 file, made in memory.
#ifndef SINTER_FRONTEND_KERAS_HDF5WRITER_H
#define SINTER_FRONTEND_KERAS_HDF5WRITER_H

#include <cstdint>
#include <string>
#include <vector>

namespace sinter::frontend {

/// Equal calls give equal bytes. Paths start with '/'; groups on the way to a
/// path are made. After a failure all calls do nothing, and bytes() is empty.
class Hdf5Writer {
public:
  Hdf5Writer();
  ~Hdf5Writer();
  Hdf5Writer(const Hdf5Writer &) = delete;
  Hdf5Writer &operator=(const Hdf5Writer &) = delete;

  void group(const std::string &path);
  /// Row-major f32.
  void dataset(const std::string &path, const std::vector<int64_t> &shape,
               const std::vector<float> &values);
  /// A scalar of UTF-8 text, of variable length, as h5py makes of a str.
  void text(const std::string &path, const std::string &name,
            const std::string &value);
  /// A list of them; an empty one is of numbers, as NumPy has it. A list that
  /// does not fit into an attribute goes into name0, name1, ..., as Keras does.
  void texts(const std::string &path, const std::string &name,
             const std::vector<std::string> &values);

  std::string bytes();

private:
  void attribute(const std::string &path, const std::string &name,
                 const std::vector<std::string> &values, bool isScalar);
  int64_t check(int64_t identifier);

  int64_t file = -1;
  bool failed = false;
};

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_HDF5WRITER_H
