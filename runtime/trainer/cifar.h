// cifar.h - read the binary records of CIFAR-10, plain or gzipped.
//
// A record is a label (one byte, 0 to 9) and a picture of 32 x 32: 1024 bytes
// of red, then green, then blue. Pictures become (32, 32, 3), the last
// dimension the colour, as the network takes them.
#ifndef SINTER_TRAINER_CIFAR_H
#define SINTER_TRAINER_CIFAR_H

#include "runtime/trainer/array.h"
#include "runtime/trainer/error.h"

namespace sinter::trainer {

/// All records of all files, in their order.
Error readCifar10(const std::vector<std::string> &paths, Array &inputs,
                  Array &labels);

} // namespace sinter::trainer

#endif
