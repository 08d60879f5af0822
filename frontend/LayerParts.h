// LayerParts.h - what the rules of Layers.cpp, ImageLayers.cpp,
// VolumeLayers.cpp and OnnxWriter.cpp share.
#ifndef SINTER_FRONTEND_LAYERPARTS_H
#define SINTER_FRONTEND_LAYERPARTS_H

#include "frontend/Layers.h"

#include "ir/Window.h"

#include <array>

namespace sinter::frontend {

/// A parameter `layer/name`, as arguments NAME_initializer and, if the layer
/// has it, NAME_regularizer say; `argument` stands for another NAME.
void addParameter(LayerRecord &layer, llvm::StringRef name, Shape shape,
                  llvm::StringRef argument = "");

mlir::Value emitActivation(LayerEmitter &e, const Config &activation,
                           mlir::Value x);

/// activation(x + bias), as arguments `use_bias` and `activation` say. The bias
/// is parameter number `bias`.
mlir::Value emitBiasAndActivation(LayerEmitter &e, mlir::Value x, size_t bias);

/// The elements of `x` in the shape of the layer's result.
mlir::Value reshapeToResult(LayerEmitter &e, mlir::Value x);

/// The axis that `concatenate` joins, counted in a sample; out of range values
/// stay so.
int64_t joinAxis(const LayerRecord &layer, size_t sampleRank);

/// A sample of space axes and channels as (height, width, channels); a sequence
/// has height 1.
Shape imageShape(const Shape &sample);

/// What is wrong with a layer's input that is to have `rank` axes of space and
/// channels, or "".
std::string expectImages(int rank, const Shape &sample);

/// Before and after the pixels of one axis: numbers, or by one of Keras's
/// rules.
struct AxisPadding {
  llvm::StringRef rule; // "valid", "same", "causal"; "": the numbers
  int64_t low = 0, high = 0;
};
/// One axis of windows.
WindowAxis windowAxis(int64_t pixels, int64_t taps, int64_t stride,
                      int64_t dilation, AxisPadding padding);
/// One axis of the convolution that a transposed one is the transpose of: its
/// windows are the pixels that come in, its pixels those that go out.
WindowAxis transposedAxis(int64_t windows, int64_t taps, int64_t stride,
                          int64_t dilation, AxisPadding padding,
                          std::optional<int64_t> outputPadding);
/// At least one window fits along each axis; what is wrong, or "".
std::string checkWindow(llvm::ArrayRef<WindowAxis> window);
/// A pooling window can be unrolled, and none lies beside the image.
std::string checkPoolWindow(llvm::ArrayRef<WindowAxis> window);
/// Attributes of the dialect's window ops.
struct WindowLists {
  explicit WindowLists(const Window &window);
  llvm::SmallVector<int64_t, 4> taps, strides, dilations, padding;
};
/// conv2d of the dialect.
mlir::Value convolve(LayerEmitter &e, mlir::Value image, mlir::Value filter,
                     const Window &window, int64_t groups);

/// The windows of layers on images of shape `image`, or on sequences, which
/// have `rank` 1. A transposed convolution's are those of the convolution that
/// it is the transpose of: its windows come in, its pixels go out.
Window convolutionWindow(const Config &config, int rank, const Shape &image);
Window transposedWindow(const Config &config, const Shape &image);
Window poolWindow(const Config &config, int rank, const Shape &image);
/// Of volumes (depth, height, width, channels).
using VolumeWindow = std::array<WindowAxis, 3>;
VolumeWindow volumeConvolutionWindow(const Config &config, const Shape &volume);
VolumeWindow volumeTransposedWindow(const Config &config, const Shape &volume);
VolumeWindow volumePoolWindow(const Config &config, const Shape &volume);

/// Rows that a kernel can count.
inline constexpr int64_t kMostRows = 2147483647;
/// Steps that a layer may be written out for.
inline constexpr int64_t kMostSteps = 4096;

/// lstm, gru, simple_rnn.
bool isRecurrent(const Config &layer);
/// How many tensors such a layer carries from step to step: h, or h and c.
int64_t statesOf(const Config &cell);
/// Whether a layer works on a sample's last dimension, whatever is before it.
bool worksOnLastAxis(const Config &layer);
/// The layer of a completed `bidirectional` that walks the other way.
Config backwardLayer(const Config &bidirectional);

/// The result has the operand's shape.
std::string inferSame(LayerRecord &layer, llvm::ArrayRef<Shape> inputs);
/// Operands of one rank, sizes of 1 stretched.
std::string inferBroadcast(LayerRecord &layer, llvm::ArrayRef<Shape> inputs);

/// Products of two layers' results, and the layers that attend.
llvm::ArrayRef<LayerRule> attentionLayerRules();
/// Functions of keras.ops.
llvm::ArrayRef<LayerRule> operationLayerRules();
/// lstm, gru, ..., and what wraps them.
llvm::ArrayRef<LayerRule> recurrentLayerRules();
/// Convolutions, pooling, and what else works on images and sequences.
llvm::ArrayRef<LayerRule> imageLayerRules();
/// The same on volumes.
llvm::ArrayRef<LayerRule> volumeLayerRules();

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_LAYERPARTS_H
