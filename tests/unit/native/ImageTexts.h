//===- ImageTexts.h - random networks of images --------------------------===//

#ifndef SINTER_TESTS_UNIT_NATIVE_IMAGETEXTS_H
#define SINTER_TESTS_UNIT_NATIVE_IMAGETEXTS_H

#include "tests/unit/native/TrainTexts.h"

namespace sinter::test {

/// The network of this number: always the same one. All layers of images come
/// up, in any order, with sizes that are no multiples of anything; values are
/// kept near 1.
TrainText imageText(uint64_t number);

/// One whose kernels are several tasks.
TrainText largeImageText(uint64_t number);

} // namespace sinter::test

#endif // SINTER_TESTS_UNIT_NATIVE_IMAGETEXTS_H
