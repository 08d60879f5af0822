// ModelBuilder.h - the one way to make a model.
//
// The YAML reader goes through this class, and so do programs:
//
//   ModelBuilder b("fashion_mlp");
//   Tensor x = b.input({28, 28}, {.scale = 1.0 / 255});
//   x = b.flatten(x);
//   x = b.dense(x, {.units = 100, .activation = "relu", .name = "hidden"});
//   x = b.dropout(x, 0.3);
//   x = b.dense(x, {.units = 10, .activation = "softmax"});
//   b.setLoss("sparse_categorical_crossentropy");
//   b.setOptimizer({"sgd", {{"learning_rate", 0.1}, {"momentum", 0.9}}});
//   b.addMetric("accuracy");
//   mlir::OwningOpRef<mlir::ModuleOp> module = b.build(context);
//   if (!module)
//     b.diagnostics().print(llvm::errs());
//
// Idea: a call checks its arguments against Catalog.h, infers the result's
// shape and keeps a record of the layer; build() turns the records into the
// `graph` stage. A call that fails reports and returns a null Tensor, and a
// layer that gets a null Tensor is silent, so one fault gives one error.
// Names, defaults and meaning are Keras 3's; so are automatic layer names
// (dense, dense_1, ...). The model's output is the last layer's result, unless
// setOutputs() says otherwise.
//
// Known weakness: class weights and a learning rate that callbacks change are
// for models of one output.
#ifndef SINTER_FRONTEND_MODELBUILDER_H
#define SINTER_FRONTEND_MODELBUILDER_H

#include "frontend/LayerNamer.h"
#include "frontend/Recipe.h"
#include "frontend/Spec.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace sinter::frontend {

using Shape = std::vector<int64_t>; // of one sample: without the batch

/// A layer's result: its place in ModelBuilder::layers(), or null.
class Tensor {
public:
  Tensor() = default;
  explicit Tensor(size_t layer) : index(layer) {}
  explicit operator bool() const { return index.has_value(); }
  size_t layer() const { return *index; }

private:
  std::optional<size_t> index;
};

/// A layer's tensor that training changes, or that is frozen.
struct Parameter {
  std::string name; // "hidden/kernel"
  Shape shape;
  Config initializer;
  std::optional<Config> regularizer = std::nullopt;
  bool trainable = true;
  /// First values in place of the initializer's; or none.
  std::vector<float> values = {};
};

/// One layer as built, for the emitter and the summary.
struct LayerRecord {
  Config config; // complete
  std::string name;
  std::vector<Tensor> inputs;
  Shape shape = {}; // of the result
  std::vector<Parameter> parameters = {};
  /// What it gives besides, to layers `state`: for each its shape.
  std::vector<Shape> states = {};
  /// Whether some of the result's steps may stand for nothing (see Masks.h).
  bool masked = false;
  /// The layer whose parameters it works with; then it has none of its own.
  std::optional<size_t> sharedWith = std::nullopt;
};

struct MetricRecord {
  Config config;     // complete; `accuracy` is replaced by what it stands for
  std::string title; // its name in histories and tables
  std::string output = {}; // which of several
};

/// A completed metric's name in histories and tables.
std::string metricTitle(const Config &metric);

// Arguments of the layer functions below. What is not set has the catalog's
// default, that is, Keras's.
struct InputOptions {
  std::optional<double> scale = {};
  std::string name = {};
};

struct DenseOptions {
  int64_t units = 0;
  Config activation = {};
  std::optional<bool> useBias = {};
  Config kernelInitializer = {}, biasInitializer = {};
  Config kernelRegularizer = {}, biasRegularizer = {};
  std::optional<bool> trainable = {};
  std::string name = {};
};

class ModelBuilder {
public:
  explicit ModelBuilder(std::string name);
  /// Reports to `diagnostics`, which outlives the builder.
  ModelBuilder(std::string name, Diagnostics &diagnostics);

  Tensor input(Shape shape, InputOptions options = {});
  Tensor flatten(Tensor x, std::string name = {});
  Tensor reshape(Tensor x, Shape shape, std::string name = {});
  Tensor dense(Tensor x, DenseOptions options);
  Tensor activation(Tensor x, Config activation, std::string name = {});
  Tensor dropout(Tensor x, double rate, std::string name = {});
  Tensor gaussianNoise(Tensor x, double stddev, std::string name = {});
  Tensor add(llvm::ArrayRef<Tensor> inputs, std::string name = {});
  Tensor multiply(llvm::ArrayRef<Tensor> inputs, std::string name = {});
  Tensor concatenate(llvm::ArrayRef<Tensor> inputs, int64_t axis = -1,
                     std::string name = {});
  /// Any layer of the catalog; all functions above end here.
  Tensor layer(Config config, llvm::ArrayRef<Tensor> inputs);
  /// The layer that made `x`, called again with the same parameters, which
  /// have to fit. `name` may be empty.
  Tensor reuse(Tensor x, llvm::ArrayRef<Tensor> inputs, std::string name = {},
               SourceLoc loc = {});

  /// For a model of one output.
  void setLoss(Config loss);
  /// For a model of several: one for each. Training minimises the sum of
  /// weight x loss; each loss is reported as OUTPUT_loss, too.
  void setLosses(std::vector<OutputLoss> losses);
  void setOptimizer(Config optimizer);
  void addMetric(Config metric);
  /// Of one of several outputs; its title is OUTPUT_METRIC.
  void addMetric(Config metric, const Reference &output);
  /// Factors on the training loss of the samples of a class.
  void setClassWeights(std::vector<std::pair<int64_t, double>> weights,
                       SourceLoc loc = {});
  /// Initial values of all parameters, instead of what their initializers say.
  void setWeights(std::shared_ptr<const std::vector<ImportedWeight>> weights,
                  SourceLoc loc = {});
  /// Null when there are none.
  const std::vector<ImportedWeight> *weights() const { return values.get(); }
  /// Makes the learning rate a state, "optimizer/learning_rate", for a program
  /// that changes it while it trains.
  void setVariableLearningRate() { variableLearningRate = true; }
  /// The model's results, in this order.
  void setOutputs(llvm::ArrayRef<Tensor> tensors) { outputTensors = tensors; }
  /// Layers that nothing depends on are left out, not errors: a file of another
  /// system may have such.
  void allowUnused() { mayBeUnused = true; }
  /// The largest batch the compiled functions take.
  void setBatchBound(int64_t samples) { batchBound = samples; }
  /// Where the model's name stands, for locations in the IR.
  void setLocation(SourceLoc loc) { modelLoc = loc; }

  /// Checks what only the whole model shows: every result is used, loss and
  /// metrics suit the output. Call it once, after the last layer.
  bool check();
  /// check(), then the `graph` stage. Null after errors.
  mlir::OwningOpRef<mlir::ModuleOp> build(mlir::MLIRContext &context);

  llvm::StringRef name() const { return modelName; }
  llvm::ArrayRef<LayerRecord> layers() const { return records; }
  /// The layer as if its parameters were its own.
  LayerRecord withParameters(const LayerRecord &layer) const;
  /// The first output.
  const LayerRecord &output() const { return records[outputs()[0].layer()]; }
  std::vector<Tensor> outputs() const {
    return outputTensors.empty() ? std::vector{Tensor(records.size() - 1)}
                                 : outputTensors;
  }
  /// What the losses compare the outputs with, in the outputs' order; empty
  /// without a loss.
  std::vector<Target> targets() const;
  Diagnostics &diagnostics() const { return *reports; }

private:
  friend class GraphEmitter;

  Tensor tryLayer(Config config, llvm::ArrayRef<Tensor> inputs);
  std::string infer(LayerRecord &record) const;
  /// The output of that name, or null.
  const LayerRecord *findOutput(llvm::StringRef name) const;
  void addMetric(Config metric, const Reference *output);
  void checkUses();
  void checkOutputs();
  void checkShared();
  void checkMasks();
  void checkLoss(const Config &loss, const LayerRecord &output);
  void checkMetric(MetricRecord &metric, const Config &loss,
                   const LayerRecord &output);
  void checkMetrics();
  void checkClassWeights();

  std::string modelName;
  std::unique_ptr<Diagnostics> ownReports;
  Diagnostics *reports;
  SourceLoc modelLoc;
  int64_t batchBound = 32;
  LayerNamer namer;
  std::vector<LayerRecord> records;
  std::vector<Tensor> outputTensors; // empty: the last layer's
  bool broken = false; // a layer failed: uses and output say nothing
  bool checked = false;
  bool mayBeUnused = false;
  std::optional<Config> loss, optimizer;
  std::vector<OutputLoss> losses; // of several outputs
  std::vector<MetricRecord> metrics;
  std::vector<std::pair<int64_t, double>> classWeights;
  SourceLoc classWeightsLoc;
  bool variableLearningRate = false;
  std::shared_ptr<const std::vector<ImportedWeight>> values;
  SourceLoc valuesLoc;
};

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_MODELBUILDER_H
