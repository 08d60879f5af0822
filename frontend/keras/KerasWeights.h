// KerasWeights.h - finds the weights of layers in Keras's HDF5 files.
#ifndef SINTER_FRONTEND_KERAS_KERASWEIGHTS_H
#define SINTER_FRONTEND_KERAS_KERASWEIGHTS_H

#include "frontend/ImportedModel.h"
#include "frontend/keras/Hdf5File.h"
#include "frontend/keras/KerasGraph.h"

namespace sinter::frontend {

/// Moves the values of the parameters of `records` (the layers of a model that
/// is built, without its input; `layers` are the same ones in the file) out of
/// `content`. Adds an offender for each layer that has none or others.
std::vector<ImportedWeight>
takeKerasWeights(Hdf5Content &content, llvm::ArrayRef<KerasLayer> layers,
                 llvm::ArrayRef<LayerRecord> records,
                 std::vector<Offender> &offenders);

/// Where Keras has a parameter inside of its layer's group: "kernel" in an HDF5
/// file's, "vars/0" in an archive's; recurrent layers keep theirs in a cell,
/// layers that wrap others in these.
struct KerasPlace {
  std::string byName, byNumber;
};
KerasPlace kerasPlaceOf(const LayerRecord &layer, size_t parameter);

/// Whether a file has weights at all, in a layout that is known.
bool hasKerasWeights(Hdf5Content &content);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_KERAS_KERASWEIGHTS_H
