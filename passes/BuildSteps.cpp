//===- BuildSteps.cpp - prediction, evaluation, training as functions ----===//
//
// Problem: the spec declares one network, but a trainer needs three programs.
// Idea: clone `@forward` three times; in each clone resolve the ops that differ
// between training and inference, then append loss and metrics. From here on
// nothing knows about modes: dropout is arithmetic like everything else.
//
// train_step(input, ..., target) -> (loss, metric, ...), as means over the
// batch. With several outputs, each has a target and a loss of its own, and
// `loss` is their weighted sum:
//
//   train_step(input, ..., target of a, target of b)
//     -> (loss, a_loss, b_loss, metric, ...)
//
//===----------------------------------------------------------------------===//

#include "passes/Config.h"
#include "passes/Losses.h"
#include "passes/Names.h"
#include "passes/Passes.h"

namespace sinter {
#define GEN_PASS_DEF_BUILDSTEPS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter;

namespace {
class StepBuilder {
public:
  StepBuilder(ModelOp model, func::FuncOp forward)
      : model(model), forward(forward), builder(model.getContext()),
        loc(forward.getLoc()) {}

  LogicalResult build() {
    clone(names::predict);
    resolveModes(/*training=*/false);
    if (!model.getLoss())
      return success();
    clone(names::evalStep);
    resolveModes(/*training=*/false);
    if (failed(appendLoss(/*training=*/false)))
      return failure();
    addCounters();
    clone(names::trainStep);
    resolveModes(/*training=*/true);
    return appendLoss(/*training=*/true);
  }

private:
  /// Makes `step` a copy of @forward called `name`.
  void clone(StringRef name) {
    builder.setInsertionPointToEnd(&model.getBody().front());
    step = cast<func::FuncOp>(builder.clone(*forward));
    step.setName(name);
  }

  /// Iteration and seed: where random ops and schedules find their position.
  void addCounters() {
    Type i32 = builder.getI32Type();
    auto addState = [&](StringRef name, Role role, ArrayRef<int64_t> shape) {
      StateOp::create(builder, loc, role, name,
                      RankedTensorType::get(shape, i32), Init::Constant,
                      APFloat(0.0f), APFloat(0.0f), nullptr, nullptr);
    };
    builder.setInsertionPoint(forward);
    addState(names::iteration, Role::Iteration, {});
    addState(names::seed, Role::Seed, {2});
  }

  void resolveModes(bool training) {
    Value seed, iteration;
    SmallVector<ModeDependent> ops;
    step.walk([&](ModeDependent op) { ops.push_back(op); });
    for (ModeDependent op : ops) {
      builder.setInsertionPoint(op);
      Value replacement;
      if (training) {
        if (!seed) {
          builder.setInsertionPointToStart(&step.front());
          Type i32 = builder.getI32Type();
          seed = ReadOp::create(builder, loc, RankedTensorType::get({2}, i32),
                                names::seed);
          iteration = ReadOp::create(
              builder, loc, RankedTensorType::get({}, i32), names::iteration);
          builder.setInsertionPoint(op);
        }
        replacement = op.buildTraining(builder, seed, iteration);
      } else {
        replacement = op.buildInference(builder);
      }
      op->getResult(0).replaceAllUsesWith(replacement);
      op->erase();
    }
  }

  /// An output, what it is compared with, and its share in the loss.
  struct Judged {
    StringRef output; // of several; "" for the only one
    DictionaryAttr loss;
    double weight;
    Value prediction, target;
  };

  /// The outputs with their targets, which become arguments.
  SmallVector<Judged> addTargets(func::ReturnOp terminator) {
    SmallVector<Judged> judged;
    DictionaryAttr loss = model.getLossAttr();
    auto outputs = step->getAttrOfType<ArrayAttr>(names::resultNames);
    auto losses = loss.getAs<ArrayAttr>("losses");
    if (!losses) {
      judged.push_back({"", loss, 1, terminator.getOperand(0), {}});
    } else {
      for (auto config : losses.getAsRange<DictionaryAttr>()) {
        StringRef name = Config(config).text("output");
        for (auto [output, value] :
             llvm::zip(outputs, terminator.getOperands()))
          if (cast<StringAttr>(output).getValue() == name)
            judged.push_back(
                {name, config, Config(config).number("weight", 1), value, {}});
      }
    }
    SmallVector<Attribute> inputNames;
    if (auto known = step->getAttrOfType<ArrayAttr>(names::inputNames))
      inputNames.append(known.begin(), known.end());
    else
      inputNames.push_back(builder.getStringAttr("input"));
    for (Judged &one : judged) {
      one.target = step.front().addArgument(
          targetType(one.loss, tensorTypeOf(one.prediction)), loc);
      inputNames.push_back(builder.getStringAttr(
          one.output.empty() ? "target" : (one.output + "_target").str()));
    }
    if (inputNames.size() > 2)
      step->setAttr(names::inputNames, builder.getArrayAttr(inputNames));
    return judged;
  }

  /// Adds the targets as arguments and makes loss and metrics the results.
  LogicalResult appendLoss(bool training) {
    auto terminator = cast<func::ReturnOp>(step.front().getTerminator());
    SmallVector<Judged> judged = addTargets(terminator);
    builder.setInsertionPoint(terminator);

    Value loss;
    SmallVector<Value> results;
    SmallVector<Attribute> resultNames = {builder.getStringAttr("loss")};
    for (const Judged &one : judged) {
      Value own = batchMean(one.loss, model.getLoc(), one.prediction,
                            one.target, /*weighted=*/training);
      if (!own)
        return failure();
      Value share = own;
      if (one.weight != 1)
        share = MulOp::create(builder, model.getLoc(), own,
                              scalar(builder, model.getLoc(), one.weight));
      loss =
          loss ? AddOp::create(builder, model.getLoc(), loss, share).getResult()
               : share;
      if (one.output.empty())
        continue;
      results.push_back(own);
      resultNames.push_back(
          builder.getStringAttr(one.output + StringRef("_loss")));
    }
    results.insert(results.begin(), addRegularizers(loss));
    if (ArrayAttr metrics = model.getMetricsAttr())
      for (auto config : metrics.getAsRange<DictionaryAttr>()) {
        const Judged &one = *llvm::find_if(judged, [&](const Judged &other) {
          return other.output == Config(config).text("output");
        });
        Value metric =
            batchMean(config, model.getLoc(), one.prediction, one.target);
        if (!metric)
          return failure();
        results.push_back(metric);
        StringRef title = Config(config).text("title");
        resultNames.push_back(builder.getStringAttr(
            title.empty() ? Config(config).name() : title));
      }
    terminator.getOperandsMutable().assign(results);
    step.setType(builder.getFunctionType(step.front().getArgumentTypes(),
                                         ValueRange(results).getTypes()));
    step->setAttr(names::resultNames, builder.getArrayAttr(resultNames));
    return success();
  }

  /// The mean over the batch's true size: the last, smaller batch of an epoch
  /// needs no program of its own.
  Value batchMean(DictionaryAttr config, Location at, Value prediction,
                  Value target, bool weighted = false) {
    Value each = buildPerSample(builder, at, config, prediction, target);
    if (!each)
      return {};
    if (Value weights = weighted
                            ? buildSampleWeights(builder, at, config, target)
                            : Value())
      each = MulOp::create(builder, at, each, weights);
    Value sum = ReduceSumOp::create(builder, at, each, ArrayRef<int64_t>{0},
                                    /*keep_dims=*/false);
    return DivOp::create(builder, at, sum, BatchSizeOp::create(builder, at));
  }

  /// loss + l1 sum |w| + l2 sum w^2 for every state with a regulariser.
  Value addRegularizers(Value loss) {
    for (StateOp state : model.getBody().getOps<StateOp>()) {
      if (!state.getRegularizer())
        continue;
      Config config(*state.getRegularizer());
      Location at = state.getLoc();
      Value w = ReadOp::create(builder, at, state.getTensorType(),
                               state.getSymName());
      auto addTerm = [&](double factor, auto makeTerm) {
        if (factor == 0)
          return;
        SmallVector<int64_t> axes = llvm::to_vector(
            llvm::seq<int64_t>(0, state.getTensorType().getRank()));
        Value sum = makeTerm();
        if (!axes.empty())
          sum = ReduceSumOp::create(builder, at, sum, axes, false);
        Value term =
            MulOp::create(builder, at, sum, scalar(builder, at, factor));
        loss = AddOp::create(builder, at, loss, term);
      };
      addTerm(config.number("l1", 0),
              [&]() -> Value { return AbsOp::create(builder, at, w); });
      addTerm(config.number("l2", 0),
              [&]() -> Value { return MulOp::create(builder, at, w, w); });
    }
    return loss;
  }

  ModelOp model;
  func::FuncOp forward, step;
  OpBuilder builder;
  Location loc;
};

/// One loss for one output; a list of losses for several, which have names.
LogicalResult checkOutputs(ModelOp model, func::FuncOp forward) {
  auto outputs = forward->getAttrOfType<ArrayAttr>(names::resultNames);
  auto isOutput = [&](StringRef name) {
    return outputs && llvm::any_of(outputs.getAsRange<StringAttr>(),
                                   [&](StringAttr output) {
                                     return output.getValue() == name;
                                   });
  };
  auto losses = model.getLossAttr().getAs<ArrayAttr>("losses");
  if (!losses && forward.getNumResults() != 1)
    return forward.emitError("expected one output, or a loss for each, got ")
           << forward.getNumResults() << " outputs and one loss";
  SmallVector<Attribute> configs;
  if (losses)
    configs.append(losses.begin(), losses.end());
  if (losses && model.getMetricsAttr())
    configs.append(model.getMetricsAttr().begin(),
                   model.getMetricsAttr().end());
  for (Attribute config : configs)
    if (auto dictionary = dyn_cast<DictionaryAttr>(config);
        !dictionary || !isOutput(Config(dictionary).text("output")))
      return model.emitError("expected losses and metrics of outputs that "
                             "@forward names, got ")
             << config;
  if (losses && losses.size() != forward.getNumResults())
    return model.emitError("expected a loss for each of ")
           << forward.getNumResults() << " outputs, got " << losses.size();
  return success();
}

struct BuildSteps : sinter::impl::BuildStepsBase<BuildSteps> {
  void runOnOperation() override {
    ModelOp model = getOperation();
    auto forward = model.lookupSymbol<func::FuncOp>(names::forward);
    if (!forward) {
      model.emitError("expected a function @forward, got none");
      return signalPassFailure();
    }
    if (model.getLoss() && failed(checkOutputs(model, forward)))
      return signalPassFailure();
    for (Value output : forward.front().getTerminator()->getOperands())
      if (!isBatched(output)) {
        forward.emitError("expected a batched output, got ")
            << output.getType();
        return signalPassFailure();
      }
    if (failed(StepBuilder(model, forward).build()))
      return signalPassFailure();
    forward.erase();
  }
};
} // namespace
