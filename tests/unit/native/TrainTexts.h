//===- TrainTexts.h - small networks to train ----------------------------===//

#ifndef SINTER_TESTS_UNIT_NATIVE_TRAINTEXTS_H
#define SINTER_TESTS_UNIT_NATIVE_TRAINTEXTS_H

#include <string>
#include <vector>

namespace sinter::test {

struct TrainText {
  std::string name;
  std::string model; // at the graph stage
  int64_t batchBound;
  // Targets: labels below `classes`, numbers on [from, to).
  int64_t classes;
  double from, to;
};

/// Every loss, metric, optimizer, schedule, way of clipping and layer, in
/// networks that are chains, branch, or use a weight twice.
std::vector<TrainText> trainTexts();

/// One that is large enough for its kernels to be several tasks.
TrainText wideTrainText();

} // namespace sinter::test

#endif // SINTER_TESTS_UNIT_NATIVE_TRAINTEXTS_H
