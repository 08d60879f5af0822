// EmitGraph.cpp - from the builder's records to the `graph` stage.
//
//   sinter.model @NAME batch_bound B attributes {loss, optimizer, metrics} {
//     sinter.state parameter @"hidden/kernel" : ...      one each, in order
//     func.func @forward(%input: tensor<?x...xf32>, ...) -> tensor<?x...xf32>
//   }
//
// Every op's location is the layer's name over its line in the spec. Configs
// become dictionaries: {name = "adam", learning_rate = {name = "constant",
// value = 1.0e-3}, beta_1 = 0.9, ...}. Arguments that are null, or that have
// one possible value only, are left out.
#include "frontend/Catalog.h"
#include "frontend/Initializer.h"
#include "frontend/Layers.h"
#include "frontend/Masks.h"

#include "ir/SinterDialect.h"
#include "passes/Names.h"

#include "mlir/IR/Verifier.h"

using namespace sinter;
using namespace sinter::frontend;
using llvm::StringRef;

namespace sinter::frontend {

class GraphEmitter {
public:
  GraphEmitter(const ModelBuilder &model, mlir::MLIRContext &context)
      : model(model), builder(&context) {
    if (model.weights())
      for (const ImportedWeight &weight : *model.weights())
        weights[weight.name] = &weight;
  }

  mlir::OwningOpRef<mlir::ModuleOp> emit();

private:
  mlir::Location locOf(StringRef name, SourceLoc loc) {
    return mlir::NameLoc::get(
        builder.getStringAttr(name),
        mlir::FileLineColLoc::get(
            builder.getStringAttr(model.diagnostics().fileName()), loc.line,
            loc.column));
  }
  mlir::Location locOf(const LayerRecord &layer) {
    return locOf(layer.name, layer.config.loc);
  }

  void emitState(const Parameter &parameter, mlir::Location loc);
  void emitForward(mlir::Location loc);
  mlir::Attribute toAttribute(const frontend::Value &value);
  mlir::DictionaryAttr lossDictionary();
  mlir::DictionaryAttr sumOfLosses();
  mlir::DictionaryAttr ofOutput(mlir::DictionaryAttr config, StringRef output);
  mlir::DictionaryAttr optimizerDictionary();
  mlir::DictionaryAttr toDictionary(const Config &config, Kind kind,
                                    StringRef title = "");

  const ModelBuilder &model;
  mlir::OpBuilder builder;
  llvm::StringMap<const ImportedWeight *> weights; // by name
};

} // namespace sinter::frontend

mlir::OwningOpRef<mlir::ModuleOp> GraphEmitter::emit() {
  mlir::Location loc = locOf(model.name(), model.modelLoc);
  // Line 0: what is said about the module (a file that cannot be written, say)
  // is not about a line of the spec.
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(locOf(model.name(), SourceLoc()));
  builder.setInsertionPointToEnd(module->getBody());
  auto modelOp = ModelOp::create(builder, loc, model.name(), model.batchBound);
  if (model.loss)
    modelOp.setLossAttr(lossDictionary());
  else if (!model.losses.empty())
    modelOp.setLossAttr(sumOfLosses());
  if (model.optimizer)
    modelOp.setOptimizerAttr(optimizerDictionary());
  llvm::SmallVector<mlir::Attribute> metrics;
  for (const MetricRecord &metric : model.metrics)
    metrics.push_back(
        ofOutput(toDictionary(metric.config, Kind::Metric, metric.title),
                 metric.output));
  if (!metrics.empty())
    modelOp.setMetricsAttr(builder.getArrayAttr(metrics));

  builder.setInsertionPointToEnd(&modelOp.getBody().front());
  for (const LayerRecord &layer : model.layers())
    for (const Parameter &parameter : layer.parameters)
      emitState(parameter, locOf(layer));
  emitForward(loc);
  return module;
}

void GraphEmitter::emitState(const Parameter &parameter, mlir::Location loc) {
  InitialValue initial = initialValueOf(parameter.initializer, parameter.shape);
  mlir::DictionaryAttr regularizer;
  if (parameter.regularizer) {
    auto factor = [&](StringRef name) {
      const Argument *argument = parameter.regularizer->find(name);
      double value = argument ? parameter.regularizer->number(name) : 0;
      return builder.getNamedAttr(name, builder.getF64FloatAttr(value));
    };
    regularizer = builder.getDictionaryAttr({factor("l1"), factor("l2")});
  }
  mlir::ElementsAttr value;
  auto given = weights.find(parameter.name);
  auto type =
      mlir::RankedTensorType::get(parameter.shape, builder.getF32Type());
  if (given != weights.end())
    value = mlir::DenseElementsAttr::get(type,
                                         llvm::ArrayRef(given->second->values));
  else if (!parameter.values.empty())
    value =
        mlir::DenseElementsAttr::get(type, llvm::ArrayRef(parameter.values));
  StateOp::create(builder, loc,
                  parameter.trainable ? Role::Parameter : Role::Frozen,
                  parameter.name, type, initial.init, llvm::APFloat(initial.a),
                  llvm::APFloat(initial.b), value, regularizer);
}

void GraphEmitter::emitForward(mlir::Location loc) {
  int64_t nextStream = 0;
  auto emitterOf = [&](const LayerRecord &layer) {
    return LayerEmitter{builder, locOf(layer), layer, nextStream};
  };
  auto function = mlir::func::FuncOp::create(builder, loc, "forward",
                                             builder.getFunctionType({}, {}));
  mlir::Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);

  std::vector<mlir::Value> results;
  std::vector<llvm::SmallVector<mlir::Value>> states; // of each layer
  std::vector<mlir::Value> masks;                     // null: none
  llvm::SmallVector<llvm::StringRef> inputNames;
  for (const LayerRecord &layer : model.layers()) {
    states.emplace_back();
    masks.emplace_back();
    if (layer.config.name == "input") {
      inputNames.push_back(layer.name);
      results.push_back(body->addArgument(emitterOf(layer).typeOf(layer.shape),
                                          locOf(layer)));
      continue;
    }
    llvm::SmallVector<mlir::Value> inputs;
    for (Tensor tensor : layer.inputs)
      inputs.push_back(results[tensor.layer()]);
    if (layer.config.name == "state")
      llvm::append_range(inputs, states[layer.inputs[0].layer()]);
    const LayerRecord called = model.withParameters(layer);
    LayerEmitter emitter = emitterOf(called);
    if (llvm::any_of(layer.inputs, [&](Tensor x) { return masks[x.layer()]; }))
      for (Tensor tensor : layer.inputs)
        emitter.masks.push_back(masks[tensor.layer()]);
    results.push_back(findLayerRule(layer.config.name)->emit(emitter, inputs));
    if (layer.masked)
      masks.back() = emitMask(emitter, inputs);
    states.back() = std::move(emitter.states);
  }
  llvm::SmallVector<mlir::Value> outputs;
  llvm::SmallVector<llvm::StringRef> outputNames;
  for (Tensor output : model.outputs()) {
    outputs.push_back(results[output.layer()]);
    outputNames.push_back(model.layers()[output.layer()].name);
  }
  mlir::func::ReturnOp::create(builder, locOf(model.output()), outputs);
  function.setType(builder.getFunctionType(body->getArgumentTypes(),
                                           mlir::ValueRange(outputs)));
  // One of each needs no name: it is `input`, and it is `prediction`.
  if (inputNames.size() > 1)
    function->setAttr(names::inputNames, builder.getStrArrayAttr(inputNames));
  if (outputNames.size() > 1)
    function->setAttr(names::resultNames, builder.getStrArrayAttr(outputNames));
}

mlir::Attribute GraphEmitter::toAttribute(const frontend::Value &value) {
  if (const bool *flag = value.getIf<bool>())
    return builder.getBoolAttr(*flag);
  if (const int64_t *integer = value.getIf<int64_t>())
    return builder.getI64IntegerAttr(*integer);
  if (const double *number = value.getIf<double>())
    return builder.getF64FloatAttr(*number);
  if (const std::string *text = value.getIf<std::string>())
    return builder.getStringAttr(*text);
  if (const Config *config = value.config())
    return toDictionary(*config, Kind::Schedule);
  llvm::SmallVector<mlir::Attribute> list;
  for (const frontend::Value &element : *value.getIf<frontend::Value::List>())
    list.push_back(toAttribute(element));
  return builder.getArrayAttr(list);
}

mlir::DictionaryAttr GraphEmitter::toDictionary(const Config &config, Kind kind,
                                                StringRef title) {
  const EntryInfo &entry = *tableOf(kind).find(config.name);
  llvm::SmallVector<mlir::NamedAttribute> attributes = {
      builder.getNamedAttr("name", builder.getStringAttr(config.name))};
  if (!title.empty())
    attributes.push_back(
        builder.getNamedAttr("title", builder.getStringAttr(title)));
  for (const Argument &argument : config.args)
    if (!argument.value.isNull() && argument.name != "name" &&
        !entry.find(argument.name)->fixed)
      attributes.push_back(
          builder.getNamedAttr(argument.name, toAttribute(argument.value)));
  return builder.getDictionaryAttr(attributes);
}

/// With class_weight = [class, weight, class, weight, ...] if there are any.
mlir::DictionaryAttr GraphEmitter::lossDictionary() {
  mlir::NamedAttrList list(toDictionary(*model.loss, Kind::Loss));
  llvm::SmallVector<mlir::Attribute> weights;
  for (auto [number, weight] : model.classWeights) {
    weights.push_back(builder.getI64IntegerAttr(number));
    weights.push_back(builder.getF64FloatAttr(weight));
  }
  if (!weights.empty())
    list.set("class_weight", builder.getArrayAttr(weights));
  return list.getDictionary(builder.getContext());
}

/// `config` with `output`, where there are several.
mlir::DictionaryAttr GraphEmitter::ofOutput(mlir::DictionaryAttr config,
                                            StringRef output) {
  if (output.empty())
    return config;
  mlir::NamedAttrList list(config);
  list.set("output", builder.getStringAttr(output));
  return list.getDictionary(builder.getContext());
}

/// {name = "weighted_sum", losses = [{name, ..., output, weight}, ...]}, in the
/// outputs' order.
mlir::DictionaryAttr GraphEmitter::sumOfLosses() {
  llvm::SmallVector<mlir::Attribute> losses;
  for (Tensor output : model.outputs())
    for (const OutputLoss &loss : model.losses)
      if (loss.output.name == model.layers()[output.layer()].name) {
        mlir::NamedAttrList list(
            ofOutput(toDictionary(loss.loss, Kind::Loss), loss.output.name));
        list.set("weight", builder.getF64FloatAttr(loss.weight));
        losses.push_back(list.getDictionary(builder.getContext()));
      }
  return builder.getDictionaryAttr(
      {builder.getNamedAttr("name", builder.getStringAttr("weighted_sum")),
       builder.getNamedAttr("losses", builder.getArrayAttr(losses))});
}

mlir::DictionaryAttr GraphEmitter::optimizerDictionary() {
  mlir::NamedAttrList list(toDictionary(*model.optimizer, Kind::Optimizer));
  if (model.variableLearningRate)
    list.set("variable_learning_rate", builder.getBoolAttr(true));
  return list.getDictionary(builder.getContext());
}

mlir::OwningOpRef<mlir::ModuleOp>
ModelBuilder::build(mlir::MLIRContext &context) {
  if (records.empty() || !check())
    return nullptr;
  context.loadDialect<SinterDialect, mlir::func::FuncDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      GraphEmitter(*this, context).emit();
  // The builder's checks must be at least as strict as the verifiers.
  assert(mlir::succeeded(mlir::verify(*module)) && "built a wrong graph");
  return module;
}
