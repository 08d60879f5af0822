// array_files.h - read arrays from idx, npy and npz files, plain or gzipped.
//
//   idx   the format of MNIST: big-endian shape, then bytes. u8 only.
//   npy   NumPy's array: f4, f8, b1, u1, i1, i2, i4, i8; little-endian, C order.
//   npz   a zip archive of npy files, stored or deflated.
//
// The whole file is checked: header, size, checksum, and that every number is
// finite. Integers beyond 2^24 lose low bits in f32.
// Known weakness: zip members of 4 GiB and more (zip64) are refused.
#ifndef SINTER_TRAINER_ARRAY_FILES_H
#define SINTER_TRAINER_ARRAY_FILES_H

#include "runtime/trainer/array.h"
#include "runtime/trainer/byte_reader.h"

namespace sinter::trainer {

/// An idx or npy file, told by its first bytes.
Error readArray(const std::string &path, Array &array);

/// The array `name` of an npz file.
Error readNpz(const std::string &path, const std::string &name, Array &array);

/// The array `name`, or, whatever its name, the only one.
Error readNpzOrOnly(const std::string &path, const std::string &name,
                    Array &array);

/// The header of an npy file in C order; `type` as npy spells it.
std::string npyHeader(const Shape &shape, const char *type = "<f4");

} // namespace sinter::trainer

#endif
