//===- KernelEmitter.h - one kernel's loops, and values at a point -------===//
//
// Every kernel is a loop nest that, at each point, computes some elementwise
// values and stores those that are wanted. The nests differ (LowerMatmul.cpp,
// LowerBatchMatmul.cpp, LowerWeightGradient.cpp, LowerConv.cpp,
// LowerFilterGradient.cpp, LowerSweep.cpp, LowerScatter.cpp, LowerRelayout.cpp,
// LowerSample*.cpp); this class is what they share: where tensors are, and the
// value of any tensor at a point.
//
// A point is an index for each feature dimension, plus lanes:
//
//   Samples  a vector holds one element of `lanes` consecutive samples; where
//            these are all of a small batch, that of several channels
//   Columns  a vector holds `lanes` elements along the last dimension
//   None     scalars
//
// In a function of one sample (names::oneSample) a batched tensor is that
// sample's features, and lanes are Columns or None.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_CODEGEN_KERNELEMITTER_H
#define SINTER_CODEGEN_KERNELEMITTER_H

#include "codegen/KernelFrame.h"
#include "codegen/Lowering.h"
#include "codegen/ModelRecord.h"
#include "ir/SinterDialect.h"
#include "ir/Window.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/StringMap.h"

#include <array>

namespace sinter {

/// What is fixed for the whole model.
struct ModelLayout {
  int64_t batchBound;
  TargetShape target; // with no more lanes than a batch fills
  llvm::StringMap<int64_t> stateOffsets;
  llvm::StringMap<mlir::RankedTensorType> stateTypes;
  int64_t widest; // floats in a vector register

  int64_t padded() const { return paddedBatch(batchBound); }
};

/// The types of a frame's arguments behind (call, task): an address for each
/// tensor and each state, an i64 for each stream.
void appendFrameTypes(const KernelFrame &frame, mlir::MLIRContext *context,
                      llvm::SmallVectorImpl<mlir::Type> &types);
/// The values for them in one kernel's own `frame`.
llvm::SmallVector<mlir::Value> emitFrame(const KernelFrame &frame,
                                         const ModelLayout &layout,
                                         mlir::OpBuilder &builder,
                                         mlir::Location loc, mlir::Value call);

enum class Lanes { Samples, Columns, None };

/// Some consecutive elements of a tensor in a vector register: `lanes` of it,
/// of which the first `existing` are elements.
struct VectorPiece {
  int64_t start, lanes, existing;
};

using Indices = llvm::SmallVector<mlir::Value>;

class KernelEmitter {
public:
  /// Begins the body of `function`: `(ptr call, i64 task)`, or, with a `frame`,
  /// with arguments as appendFrameTypes says.
  KernelEmitter(KernelOp kernel, const ModelLayout &layout,
                mlir::func::FuncOp function,
                const KernelFrame *frame = nullptr);

  /// Ends the body.
  void finish();

  mlir::ImplicitLocOpBuilder b;
  KernelOp kernel;
  const ModelLayout &layout;
  mlir::Value task;  // index
  mlir::Value batch; // index: samples in this call
  const bool oneSample;

  int64_t lanes() const { return layout.target.lanes; }

  // ---- Choices
  /// Numbers like a tile's sides.
  using Numbers = llvm::SmallVector<int64_t, 3>;
  /// One of `ranked`, what is possible for `knob` of the kernel whose work is
  /// `op`: the one that a tuning file names (ir/Tuning.h), else the first. All
  /// are remembered. `ranked` depends on what tuningKey says of `op` and on
  /// nothing else.
  Numbers choose(mlir::Operation *op, llvm::StringRef knob,
                 llvm::ArrayRef<Numbers> ranked);
  std::vector<ChoiceRecord> takeChoices() { return std::move(choices); }

  // ---- Memory
  /// A tensor of the function as a memref: (features..., padded batch) if
  /// batch-minor, (batch bound, features...) if row-major and batched, else its
  /// own shape; without the batch in a function of one sample. `flat` joins all
  /// features into one dimension.
  mlir::Value memory(mlir::Value tensor, bool flat = false);
  /// All of it as one row of floats.
  mlir::Value row(mlir::Value tensor);
  mlir::Value stateMemory(llvm::StringRef state, bool flat = false);
  /// Flat, whether the kernel reads it as a state or has it from outside.
  mlir::Value weights(mlir::Value tensor);

  // ---- The current point
  void setLanes(Lanes mode) { lanesMode = mode; }
  /// Samples: the first sample of the vector.
  void setSample(mlir::Value index) { sample = index; }
  mlir::Value currentSample() const { return sample; }
  /// Samples: body() for each vector of the batch.
  void overSamples(llvm::function_ref<void()> body);
  /// Samples: from here on, points are those of `count` channels, of which
  /// `first` stands for all in a point. Their vectors are side by side: there
  /// is one for the batch.
  void setChannels(mlir::Value first, int64_t count);
  /// Columns: null, or which lanes exist.
  void setMask(mlir::Value vector) { mask = vector; }
  /// Columns: lanes of a vector, at most those of the target, and a mask where
  /// fewer than these exist.
  void setWidth(int64_t lanes, int64_t existing);
  /// The target's lanes, all of them existing.
  void resetWidth() { setWidth(lanes(), lanes()); }
  /// Columns: body(column) in steps of whole vectors over the last dimension,
  /// with a masked last one; None: one by one. Joints, where parts of a
  /// concatenation or padding meet along that dimension, lie between vectors.
  void columns(int64_t size, llvm::ArrayRef<int64_t> joints,
               llvm::function_ref<void(mlir::Value)> body);
  /// The same with values carried on.
  llvm::SmallVector<mlir::Value>
  columns(int64_t size, llvm::ArrayRef<int64_t> joints, mlir::ValueRange start,
          llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                            mlir::ValueRange)>
              body);
  mlir::Value currentMask() const { return mask; }
  /// A vector of `piece`'s width from a memref: its elements, then 0.
  mlir::Value loadPiece(mlir::Value memref, mlir::ValueRange at,
                        const VectorPiece &piece);
  mlir::Value zeroPiece(const VectorPiece &piece);
  /// Is `index`, a number or a vector of them, the number of one of a table's
  /// rows? And it as an integer, 0 where it is none.
  struct Row {
    mlir::Value exists, number;
  };
  Row rowAt(mlir::Value index, int64_t rows);

  /// Unbatched tensors of the domain's shape are addressed as one dimension.
  void setFlat(bool isFlat) { flat = isFlat; }

  /// The value of `tensor`, computed in the kernel or captured by it, at
  /// `features` (an index for each of its feature dimensions).
  mlir::Value emit(mlir::Value tensor, mlir::ValueRange features);
  /// Says that `tensor`, a reduction's or contraction's result, has `value` at
  /// every point asked for from here on.
  void seed(mlir::Value tensor, mlir::Value value) { seeds[tensor] = value; }
  /// Says so of one point.
  void seedAt(mlir::Value tensor, mlir::ValueRange features,
              mlir::Value value) {
    memo.push_back({tensor, Indices(features), value});
  }

  /// Stores each yielded value and each write that `wanted` accepts, at
  /// `features`.
  void storeAll(mlir::ValueRange features,
                llvm::function_ref<bool(mlir::RankedTensorType)> wanted);

  /// Do stores of such a tensor pass by the caches?
  bool isStreamed(mlir::RankedTensorType type) const;
  /// Stores whole, aligned lines that way.
  void storeStreamed(mlir::Value value, mlir::Value memref,
                     mlir::ValueRange at);

  /// Stores `value` as the kernel's result number `i`.
  void storeResult(unsigned i, mlir::Value value, mlir::ValueRange features) {
    mlir::Value result = kernel.getResult(i);
    store(value, memory(result), tensorTypeOf(result), features);
  }

  /// The sums over image rows that the kernel makes (isRowSum) grow in memory,
  /// lane by lane: cleared for one channel of a row, then each point adds.
  bool hasRowSums();
  void clearRowSums(mlir::Value row, mlir::Value channel);
  void addRowSums(mlir::ValueRange features);

  /// Values emitted inside `body` are forgotten after it: its block ends.
  template <typename Body> void scope(Body body) {
    auto savedBlocks = randomBlocks;
    auto savedIndices = blockIndices;
    point(body);
    randomBlocks = std::move(savedBlocks);
    blockIndices = std::move(savedIndices);
  }
  /// The same for another point in the same block: random numbers made for it
  /// can serve its neighbours.
  template <typename Body> void point(Body body) {
    auto saved = memo;
    auto savedMaxima = maxima;
    body();
    memo = std::move(saved);
    maxima = std::move(savedMaxima);
  }

  /// `base` * `stride` + `offset`, for a point of a block of points that are
  /// computed together: the emitter knows how they lie to each other, so that
  /// pooling windows which several of them ask for are evaluated once. Promises
  /// that all windows over the block, and all of their pixels, exist.
  mlir::Value inBlock(mlir::Value base, int64_t stride, int64_t offset);

  /// The number, as i32, of the first maximal tap of the window of `gradient`
  /// at the point `window`.
  mlir::Value maximalTap(MaxPool2dGradientOp gradient, mlir::ValueRange window);
  /// Says that it is `tap`; for the current point.
  void seedMaximalTap(MaxPool2dGradientOp gradient, mlir::ValueRange window,
                      mlir::Value tap) {
    maxima.push_back({gradient.getResult(), Indices(window), tap});
  }

  // ---- Parts of loop nests
  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value x, int64_t y);
  mlir::Value mul(mlir::Value x, int64_t y);
  mlir::Value sum(mlir::Value x, mlir::Value y);
  mlir::Value vectorConstant(float value);
  /// for i in low..high: body(i)
  void loop(mlir::Value low, mlir::Value high, int64_t step,
            llvm::function_ref<void(mlir::Value)> body);
  /// The same with values carried from turn to turn.
  llvm::SmallVector<mlir::Value>
  loop(mlir::Value low, mlir::Value high, int64_t step, mlir::ValueRange start,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                         mlir::ValueRange)>
           body);
  /// Nested loops over `shape`; body gets an index each.
  void loops(llvm::ArrayRef<int64_t> shape,
             llvm::function_ref<void(mlir::ValueRange)> body);
  /// This task's part of `units` units of work, split evenly in `tasks`.
  std::pair<mlir::Value, mlir::Value> taskRange(int64_t units, int64_t tasks);

  mlir::Type elementVector(mlir::Type element);

private:
  mlir::Value emitOp(mlir::Operation *op, mlir::ValueRange features);
  bool isApart(mlir::Value tensor, mlir::ValueRange features) const;
  mlir::Value emitApart(mlir::Value tensor, mlir::ValueRange features);
  /// The point of number `i` of the channels that are together.
  Indices ofChannel(mlir::ValueRange features, int64_t i);
  mlir::Value emitOperand(mlir::Operation *op, unsigned operand,
                          mlir::ValueRange features);
  mlir::Value load(mlir::Value memref, mlir::RankedTensorType type,
                   mlir::ValueRange features);
  void store(mlir::Value value, mlir::Value memref, mlir::RankedTensorType type,
             mlir::ValueRange features, bool readsAgain = false);
  mlir::Value spread(mlir::Value scalar);
  mlir::Value compareGreater(mlir::Value lhs, mlir::Value rhs);
  mlir::Value emitUniformNumbers(RandomUniformOp op, mlir::ValueRange features);
  mlir::Value emitNormalNumbers(RandomNormalOp op, mlir::ValueRange features);
  std::array<mlir::Value, 4> emitWords(mlir::Value seed, mlir::Value step,
                                       int64_t stream, mlir::Value element);
  mlir::Value rowMajor(mlir::ValueRange indices, llvm::ArrayRef<int64_t> shape);
  mlir::Value emitIota(IotaOp op, mlir::ValueRange features);
  mlir::Value emitEmbedding(EmbeddingOp op, mlir::ValueRange features);
  mlir::Value emitConcatenate(ConcatenateOp op, mlir::ValueRange features);
  // LowerGathering.cpp
  mlir::Value emitGathering(mlir::Operation *op, mlir::ValueRange features);
  /// A pixel along one axis, and whether it is in the image (null: always).
  struct Tap {
    mlir::Value pixel, exists;
  };
  /// A window over a pixel along one axis, which of its taps the pixel is, and
  /// whether there is such a window (null: always).
  struct Covering {
    mlir::Value window, tap, exists;
  };
  Tap tapAt(const WindowAxis &axis, mlir::Value window, int64_t tap);
  mlir::Value overlap(const WindowAxis &axis, mlir::Value window);
  llvm::SmallVector<Covering> windowsOver(const WindowAxis &axis,
                                          mlir::Value pixel);
  mlir::Value emitMaxPool(mlir::Value x, const Window &window,
                          mlir::ValueRange features, mlir::Value *position,
                          mlir::Value y = {}, mlir::Value *found = nullptr);
  mlir::Value emitAvgPool(AvgPool2dOp op, mlir::ValueRange features);
  mlir::Value emitPoolGradient(mlir::Operation *op, mlir::Value dy,
                               mlir::Value x, mlir::ValueRange features);
  mlir::Value frameArgument(unsigned position);
  mlir::Value addressOf(mlir::Value tensor);
  mlir::Value addressOf(mlir::StringAttr state);
  mlir::Value streamNumber(int64_t stream);
  bool isFlattened(mlir::RankedTensorType type) const;
  bool hasColumns(mlir::RankedTensorType type) const;
  /// Do lanes run along feature `axis` of the point?
  bool isAcrossLanes(int64_t axis, mlir::ValueRange features) const {
    return oneSample && lanesMode == Lanes::Columns &&
           axis + 1 == static_cast<int64_t>(features.size());
  }

  mlir::Value call;
  const KernelFrame *frame;
  std::vector<ChoiceRecord> choices;
  Lanes lanesMode = Lanes::None;
  mlir::Value sample, mask;
  int64_t width;
  mlir::Value channel; // the first of those that are together
  int64_t channels = 1;
  /// Columns: where the run of columns between two joints begins that the
  /// current vector is in.
  int64_t runStart = 0;
  bool flat = false;
  bool hasStreamed = false; // a store passed by the caches
  struct Emitted {
    mlir::Value tensor;
    Indices features;
    mlir::Value value;
  };
  llvm::SmallVector<Emitted> memo;
  /// Windows' maximal taps, by the pooling gradient that asked for them.
  llvm::SmallVector<Emitted> maxima;
  struct BlockIndex {
    mlir::Value base;
    int64_t stride, offset;
    mlir::Value index;
  };
  llvm::SmallVector<BlockIndex> blockIndices;
  const BlockIndex *findInBlock(mlir::Value index) const;
  /// Four consecutive features of a row take their uniform numbers from one
  /// block of Philox: number `block` behind `base`.
  struct RandomBlock {
    mlir::Operation *op;
    Indices row;
    mlir::Value base;
    int64_t block;
    mlir::Value sample;
    std::array<mlir::Value, 4> words;
  };
  llvm::SmallVector<RandomBlock> randomBlocks;
  llvm::DenseMap<mlir::Value, mlir::Value> seeds;
  // Memrefs made so far: [0] of the tensors' shapes, [1] flat.
  llvm::DenseMap<mlir::Value, mlir::Value> memories[2];
  llvm::StringMap<mlir::Value> stateMemories[2];
  llvm::DenseMap<int64_t, mlir::Value> indices;
};

/// The rows low .. high - 1 of `x` that `matmul` sums over: all, or those that
/// are left of a slice padded with zeros.
struct ContractedRows {
  mlir::Value x;
  int64_t low = 0, high = 0;
};
ContractedRows contractedRows(MatmulOp matmul);

/// Loops over `size` at a time, and what is left at the end.
void inParts(KernelEmitter &e, int64_t total, int64_t size,
             llvm::function_ref<void(mlir::Value first, int64_t count)> body);
/// Number `part` of `parts` parts of `total`, each of `size` but the last:
/// body(how many it has), once for each of the two.
void forPart(KernelEmitter &e, mlir::Value part, int64_t parts, int64_t size,
             int64_t total, llvm::function_ref<void(int64_t count)> body);

/// The pooling of the image that `kernel`, of one sample, makes and does not
/// store, or null.
mlir::Operation *poolingOf(KernelOp kernel);

/// Has `kernel` memory of its own, its last result?
bool hasScratch(KernelOp kernel);

// ---- The loop nests. Each fills the emitter's function and returns the number
// of tasks, which depends on shapes alone.
mlir::FailureOr<int64_t> lowerMatmul(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerBatchMatmul(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerWeightGradient(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerSweep(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerBatchReduce(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerConv(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerFilterGradient(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerWinogradConv(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerWinogradFilter(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerWinogradGradient(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerWinogradAllTaps(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerScatter(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerRelayout(KernelEmitter &e);
// In functions of one sample:
mlir::FailureOr<int64_t> lowerSampleMatmul(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerSampleBatchMatmul(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerSampleConv(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerSampleSweep(KernelEmitter &e);
mlir::FailureOr<int64_t> lowerSampleWinograd(KernelEmitter &e);

} // namespace sinter

#endif // SINTER_CODEGEN_KERNELEMITTER_H
