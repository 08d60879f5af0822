//===- OpTexts.h - small functions that use every op ---------------------===//

#ifndef SINTER_TESTS_UNIT_NATIVE_OPTEXTS_H
#define SINTER_TESTS_UNIT_NATIVE_OPTEXTS_H

#include <string>
#include <vector>

namespace sinter::test {

/// A function of any number of inputs and results, and the states it uses.
struct OpText {
  std::string name;
  std::string states;
  std::string function; // called @predict
};

/// The functions of tests/gradients/samples.mlir, and OpTexts.cpp's own.
std::vector<OpText> opTexts();
/// Products so large that they are cut in blocks, if a batch has 430 samples.
std::vector<OpText> largeTexts();
/// Whose results are so large that their stores pass by the caches.
std::vector<OpText> streamedTexts(int64_t batchBound);
std::vector<OpText> streamedFilterTexts();
std::vector<OpText> streamedDepthwiseTexts();
/// Convolutions whose kernels copy the filter, tile by tile.
std::vector<OpText> packedFilterTexts();
/// Winograd's filters that kernels of convolutions transform themselves.
std::vector<OpText> madeFilterTexts();
/// Gradients of filters whose transformed ones would leave the caches.
std::vector<OpText> allTapsTexts();

/// `text` as a model.
std::string modelText(const OpText &text, int64_t batchBound);

} // namespace sinter::test

#endif // SINTER_TESTS_UNIT_NATIVE_OPTEXTS_H
