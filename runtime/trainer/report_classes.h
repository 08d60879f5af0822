// report_classes.h - what a classifier gets right and wrong, as HTML.
#ifndef SINTER_TRAINER_REPORT_CLASSES_H
#define SINTER_TRAINER_REPORT_CLASSES_H

#include "runtime/trainer/confusion.h"
#include "runtime/trainer/markup.h"

namespace sinter::trainer {

/// The confusion matrix (up to 30 classes) and the most frequent mistakes; two
/// cards. `names` has one for each class.
std::string renderConfusion(const Confusion &confusion,
                            const std::vector<std::string> &names);

/// Are samples of this shape images: (H, W), (H, W, 1) or (H, W, 3)?
bool isImage(const Shape &shape);

/// One sample's image, made smaller where it is large.
Picture makePicture(const Array &inputs, const Shape &shape, uint32_t sample);

/// Up to `count` predictions at even distances.
std::vector<Prediction> spread(const std::vector<Prediction> &all,
                               size_t count);
/// The `count` wrong ones that the model was surest of.
std::vector<Prediction> surestMistakes(const std::vector<Prediction> &all,
                                       size_t count);

/// Images with what the model says of them.
std::string renderSamples(const std::vector<Prediction> &predictions,
                          const Array &inputs, const Shape &shape,
                          const std::vector<std::string> &names);

} // namespace sinter::trainer

#endif
