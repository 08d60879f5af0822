// synthetic.h - samples that are made up, for networks without data at hand.
//
// A data set of random numbers shows that a network compiles, trains and how
// fast, before its real data is there. Every number is a pure function of seed
// and position (Philox, counter {number / 16 or number / 4, sample, 2 i for
// input i or 2 i + 1 for the targets of output i, SINTER_STREAM_SYNTHETIC}), so
// that a shorter set is the beginning of a longer one.
// Known weakness: labels have nothing to do with inputs, so all that can be
// learned is the samples by heart.
#ifndef SINTER_TRAINER_SYNTHETIC_H
#define SINTER_TRAINER_SYNTHETIC_H

#include "runtime/trainer/dataset.h"

namespace sinter::trainer {

/// Inputs: whole numbers, evenly drawn from 0 .. source.synthetic.values - 1.
/// Labels: class numbers, evenly drawn from the model's classes; or, for a
/// model that has none, targets of its shape from [0, 1). Refuses more than
/// this machine's memory holds.
/// All inputs go to `dataset`, the labels of each output to `labels`.
Error makeSynthetic(const Recipe &recipe, const SyntheticSource &source,
                    const ModelShape &model, Dataset &dataset,
                    std::vector<Array> &labels);

} // namespace sinter::trainer

#endif
