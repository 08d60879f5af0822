// OnnxEmitter.cpp - values in two layouts, and unique names.
#include "frontend/onnx/OnnxEmitter.h"

#include "frontend/onnx/OnnxRules.h"

#include "frontend/Layers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/xxhash.h"

using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::StringRef;

// ---- Layouts ----------------------------------------------------------------

bool sinter::frontend::layoutsAgree(const Shape &sample) {
  Shape space(sample.begin(), sample.end() - 1);
  return sample.back() == 1 || *countElements(space) == 1;
}

/// (height, width, channels) as (channels, height, width).
static Shape channelsFirst(Shape shape) {
  std::rotate(shape.begin(), shape.end() - 1, shape.end());
  return shape;
}

/// With a batch of whatever size before it, as Reshape wants it.
static Shape withBatch(Shape shape) {
  shape.insert(shape.begin(), 0);
  return shape;
}

/// The permutation of a batch from layout Last to First, or back.
static Shape orderTo(Layout layout, size_t sampleRank) {
  Shape order;
  for (int64_t i = 0; i <= static_cast<int64_t>(sampleRank); ++i)
    order.push_back(i);
  if (layout == Layout::First)
    std::rotate(order.begin() + 1, order.end() - 1, order.end());
  else
    std::rotate(order.begin() + 1, order.begin() + 2, order.end());
  return order;
}

std::vector<float> sinter::frontend::permuted(ArrayRef<float> values,
                                              const Shape &shape,
                                              ArrayRef<int64_t> order) {
  const size_t rank = shape.size();
  Shape stride(rank, 1), size(rank), step(rank), at(rank, 0);
  for (size_t i = rank - 1; i > 0; --i)
    stride[i - 1] = stride[i] * shape[i];
  for (size_t i = 0; i < rank; ++i) {
    size[i] = shape[order[i]];
    step[i] = stride[order[i]];
  }
  std::vector<float> result(values.size());
  int64_t from = 0;
  for (float &element : result) {
    element = values[from];
    for (size_t i = rank; i-- > 0;) { // count up, the last digit first
      from += step[i];
      if (++at[i] < size[i])
        break;
      from -= step[i] * size[i];
      at[i] = 0;
    }
  }
  return result;
}

std::vector<float> sinter::frontend::inOrderOf(const OnnxOperand &operand,
                                               ArrayRef<float> values) {
  if (operand.image.empty())
    return values.vec();
  Shape shape = operand.image, order;
  const int64_t rank = static_cast<int64_t>(shape.size());
  shape.push_back(static_cast<int64_t>(values.size()) / *countElements(shape));
  order.push_back(rank - 1);
  for (int64_t i = 0; i < rank - 1; ++i)
    order.push_back(i);
  order.push_back(rank);
  return permuted(values, shape, order);
}

// ---- Values -----------------------------------------------------------------

OnnxEmitter::OnnxEmitter(OnnxGraph &graph, const ModelBuilder &model,
                         const std::vector<const ImportedWeight *> &weights)
    : graph(graph), model(model), weights(weights) {
  size_t count = 0;
  for (const LayerRecord &layer : model.layers()) {
    firstWeight.push_back(layer.sharedWith ? firstWeight[*layer.sharedWith]
                                           : count);
    count += layer.parameters.size();
  }
}

bool OnnxEmitter::isOutput(size_t layer) const {
  return llvm::any_of(model.outputs(),
                      [&](Tensor output) { return output.layer() == layer; });
}

OnnxEmitter::Value &OnnxEmitter::valueOf(size_t input) {
  return results[valueOfLayer[current->inputs[input].layer()]];
}

const OnnxEmitter::Value &OnnxEmitter::valueOf(size_t input) const {
  return const_cast<OnnxEmitter *>(this)->valueOf(input);
}

/// A node between layers.
std::string OnnxEmitter::convert(const std::string &name, StringRef op,
                                 const std::string &operand,
                                 const Shape &list) {
  std::vector<std::string> operands = {operand};
  OnnxEmitter::Attributes attributes;
  if (op == "Transpose") {
    attributes.push_back({"perm", list});
  } else {
    operands.push_back(name + "/shape");
    graph.addConstant(operands.back(), list);
  }
  graph.addNode(name, op, operands, {name}, attributes);
  return lastResult = name;
}

std::string OnnxEmitter::oneSample(Value &value, const OnnxOperand &like) {
  const LayerRecord layer =
      model.withParameters(model.layers()[*value.parameter]);
  const ImportedWeight &weight = *weights[firstWeight[*value.parameter]];
  const bool isImage = like.image.size() > 0;
  const bool wantsFirst = like.layout == Layout::First && !isImage;
  std::string &known = wantsFirst ? value.oneFirst : value.oneLast;
  if (!known.empty() && !isImage)
    return known;
  Shape shape = value.shape;
  std::vector<float> values = weight.values;
  if (wantsFirst) {
    Shape order;
    for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i)
      order.push_back(i);
    std::rotate(order.begin(), order.end() - 1, order.end());
    values = permuted(values, shape, order);
    shape = channelsFirst(shape);
  } else if (isImage && values.size() > 1) {
    values = inOrderOf(like, values);
  }
  shape.insert(shape.begin(), 1);
  // Under the parameter's name, the first time.
  std::string name = layer.parameters[0].name;
  if (value.copies++ > 0)
    name += "_" + std::to_string(value.copies - 1);
  graph.addConstant(name, shape, values);
  return isImage ? name : known = name;
}

void OnnxEmitter::repeat(Value &value) {
  if (!value.parameter || !value.last.empty())
    return;
  const std::string sizes = value.base + "/sizes", batch = value.base + "/N",
                    shape = value.base + "/shape";
  graph.addNode(batch, "Shape", {model.layers().front().name}, {batch},
                {{"start", int64_t(0)}, {"end", int64_t(1)}});
  graph.addConstant(sizes, value.shape);
  graph.addNode(shape, "Concat", {batch, sizes}, {shape},
                {{"axis", int64_t(0)}});
  const std::string one = oneSample(value, {});
  lastResult = value.base + "/repeated";
  graph.addNode(lastResult, "Expand", {one, shape}, {lastResult}, {},
                "parameter");
  value.last = lastResult;
}

const std::string &OnnxEmitter::inLayout(Value &value, Layout layout) {
  repeat(value);
  const bool wantsFirst = layout == Layout::First;
  std::string &wanted = wantsFirst ? value.first : value.last;
  if (!wanted.empty())
    return wanted;
  const std::string &have = wantsFirst ? value.last : value.first;
  std::string name =
      value.base + (wantsFirst ? "/channels_first" : "/channels_last");
  if (!wantsFirst && llvm::any_of(model.outputs(), [&](Tensor output) {
        return model.layers()[output.layer()].name == value.base;
      }))
    name = value.base;
  if (!value.image.empty()) {
    std::string image = convert(name + "/image", "Reshape", have,
                                withBatch(channelsFirst(value.image)));
    image = convert(name + "/transposed", "Transpose", image,
                    orderTo(Layout::Last, value.image.size()));
    return wanted = convert(name, "Reshape", image, withBatch(value.shape));
  }
  const Shape shape = wantsFirst ? channelsFirst(value.shape) : value.shape;
  if (layoutsAgree(value.shape))
    return wanted = convert(name, "Reshape", have, withBatch(shape));
  return wanted = convert(name, "Transpose", have,
                          orderTo(layout, value.shape.size()));
}

OnnxOperand OnnxEmitter::operand(size_t input) {
  Value &value = valueOf(input);
  repeat(value);
  if (value.first.empty())
    return {value.last};
  return {value.first, Layout::First, value.image};
}

std::string OnnxEmitter::operand(size_t input, Layout layout) {
  return inLayout(valueOf(input), layout);
}

std::string OnnxEmitter::elements(size_t input) {
  Value &value = valueOf(input);
  repeat(value);
  if (value.last.empty() && value.image.empty() && layoutsAgree(value.shape))
    return value.first;
  return inLayout(value, Layout::Last);
}

std::vector<OnnxOperand> OnnxEmitter::operands(bool broadcast) {
  auto inputs = llvm::seq<size_t>(0, numInputs());
  auto isWhole = [&](size_t i) { return !valueOf(i).parameter; };
  std::vector<size_t> leaders; // they settle the layout
  for (size_t i : inputs)
    if (!broadcast || isWhole(i))
      leaders.push_back(i);
  if (leaders.empty())
    leaders.assign(inputs.begin(), inputs.end());
  // Nobody else brings the batch.
  const bool repeats = !broadcast || llvm::none_of(inputs, isWhole);
  const Value &one = valueOf(leaders[0]);
  // Flattened images have to be of one shape; others are made to follow.
  auto isFirst = [&](size_t i) { return !valueOf(i).first.empty(); };
  auto isAlike = [&](size_t i) { return valueOf(i).image == one.image; };
  const bool first = one.shape.size() > 1 ? llvm::any_of(leaders, isFirst)
                                          : llvm::all_of(leaders, isFirst) &&
                                                llvm::all_of(leaders, isAlike);
  const Layout layout = first ? Layout::First : Layout::Last;
  std::vector<OnnxOperand> result;
  for (size_t i : inputs) {
    OnnxOperand operand = {"", layout, first ? one.image : Shape()};
    operand.name = repeats || isWhole(i) ? this->operand(i, layout)
                                         : oneSample(valueOf(i), operand);
    result.push_back(std::move(operand));
  }
  return result;
}

bool OnnxEmitter::areReaders(
    llvm::function_ref<bool(const LayerRecord &)> such) const {
  const size_t own = index;
  bool found = false;
  for (const LayerRecord &layer : model.layers())
    for (Tensor input : layer.inputs)
      if (input.layer() == own) {
        if (!such(layer))
          return false;
        found = true;
      }
  return found;
}

bool OnnxEmitter::isInteger(size_t input) const {
  const size_t layer = current->inputs[input].layer();
  return layer < integerInputs.size() && integerInputs[layer];
}

// ---- Inputs and outputs -----------------------------------------------------

void OnnxEmitter::emitInput(size_t number, double scale) {
  const LayerRecord &input = model.layers()[number];
  bool isRead = false, isInteger = scale == 1 && !isOutput(number);
  for (const LayerRecord &layer : model.layers())
    for (Tensor tensor : layer.inputs)
      if (tensor.layer() == number) {
        isRead = true;
        isInteger &= layer.config.name == "embedding";
      }
  integerInputs.push_back(isInteger && isRead);
  graph.addInput(input.name,
                 integerInputs.back() ? OnnxGraph::Int64 : OnnxGraph::Float,
                 input.shape);
  beginLayer(number);
  std::string name = input.name;
  if (scale != 1)
    name = node("Mul", {name, constant("scale", scale)});
  valueOfLayer.push_back(results.size());
  results.push_back({input.name, input.shape, {}, name, ""});
}

void OnnxEmitter::emitOutputs() {
  const std::vector<Tensor> outputs = model.outputs();
  for (Tensor tensor : outputs) {
    const LayerRecord &output = model.layers()[tensor.layer()];
    Value &value = results[valueOfLayer[tensor.layer()]];
    std::string name = inLayout(value, Layout::Last);
    if (name != output.name) {
      // Of several outputs, another may be the same value.
      if (name == lastResult && outputs.size() == 1)
        graph.renameLastResult(output.name); // nobody has read it yet
      else
        graph.addNode(output.name, "Identity", {name}, {output.name}, {});
    }
    graph.addOutput(output.name, output.shape);
  }
}

// ---- Layers -----------------------------------------------------------------

void OnnxEmitter::beginLayer(size_t layer) {
  index = layer;
  current = &model.layers()[layer];
  if (current->sharedWith) {
    called = model.withParameters(*current);
    current = &called;
  }
  taken.clear();
}

ArrayRef<float> OnnxEmitter::values(size_t parameter) const {
  return weights[firstWeight[index] + parameter]->values;
}

std::string OnnxEmitter::weight(size_t parameter) {
  return weight(parameter, this->parameter(parameter).shape, values(parameter));
}

std::string OnnxEmitter::weight(size_t parameter, ArrayRef<int64_t> shape,
                                ArrayRef<float> values) {
  const std::string &name = this->parameter(parameter).name;
  const std::pair<Shape, uint64_t> content = {
      shape.vec(), llvm::xxh3_64bits(llvm::ArrayRef(
                       reinterpret_cast<const uint8_t *>(values.data()),
                       values.size() * sizeof(float)))};
  auto [known, isNew] = written.try_emplace(name, content);
  if (!isNew && known->second == content)
    return name;
  // Another call may want it in another form.
  const std::string own =
      isNew ? name : fresh(StringRef(name).rsplit('/').second.str());
  graph.addConstant(own, shape, values);
  return own;
}

/// "LAYER/wanted", with a number if the layer has it already.
std::string OnnxEmitter::fresh(const std::string &wanted) {
  const std::string stem = current->name + "/" + wanted;
  std::string name = stem;
  for (int i = 1; llvm::is_contained(taken, name); ++i)
    name = stem + "_" + std::to_string(i);
  taken.push_back(name);
  return name;
}

std::string OnnxEmitter::constant(StringRef name, double value) {
  std::string full = fresh(name.str());
  graph.addConstant(full, ArrayRef<int64_t>(), static_cast<float>(value));
  return full;
}

std::string OnnxEmitter::constant(StringRef name, ArrayRef<int64_t> shape,
                                  ArrayRef<float> values) {
  std::string full = fresh(name.str());
  graph.addConstant(full, shape, values);
  return full;
}

std::string OnnxEmitter::integers(StringRef name, ArrayRef<int64_t> values) {
  std::string full = fresh(name.str());
  graph.addConstant(full, values);
  return full;
}

std::string OnnxEmitter::node(StringRef op, ArrayRef<std::string> operands,
                              const Attributes &attributes) {
  lastResult = fresh(op.str());
  graph.addNode(lastResult, op, operands, {lastResult}, attributes,
                current->config.name);
  return lastResult;
}

std::vector<std::string> OnnxEmitter::node(StringRef op,
                                           ArrayRef<std::string> operands,
                                           const Attributes &attributes,
                                           ArrayRef<bool> wanted) {
  const std::string name = fresh(op.str());
  std::vector<std::string> names;
  for (bool isWanted : wanted)
    names.push_back(!isWanted ? "" : names.empty() ? name : fresh(op.str()));
  lastResult = names.back();
  graph.addNode(name, op, operands, names, attributes, current->config.name);
  return names;
}

void OnnxEmitter::refuse(std::string why) {
  refused.push_back("layer '" + current->name + "' (" + current->config.name +
                    "): " + why);
  passInput();
}

void OnnxEmitter::emitAs(const LayerRecord &record) {
  const LayerRecord *own = std::exchange(current, &record);
  findOnnxRule(record.config.name)->emit(*this);
  current = own;
}

void OnnxEmitter::setResult(OnnxOperand result) {
  const bool first = result.layout == Layout::First;
  if (llvm::is_contained(taken, result.name)) {
    assert(result.name == lastResult && "not the layer's last node");
    // The name of the output is for channels last.
    result.name = current->name;
    if (first && isOutput(index))
      result.name += "/channels_first";
    graph.renameLastResult(result.name);
    lastResult = result.name;
  }
  valueOfLayer.push_back(results.size());
  results.push_back({current->name, current->shape, result.image,
                     first ? "" : result.name, first ? result.name : ""});
}

void OnnxEmitter::setStates(std::vector<std::string> names) {
  states[index] = std::move(names);
}

void OnnxEmitter::setState(size_t number) {
  const std::vector<std::string> &names = states[current->inputs[0].layer()];
  if (number < names.size()) // else the layer has been refused
    setResult({names[number]});
  else
    passInput();
}

void OnnxEmitter::passInput() {
  valueOfLayer.push_back(valueOfLayer[current->inputs[0].layer()]);
}

void OnnxEmitter::setParameter() {
  Value value{current->name, current->shape, {}, "", ""};
  value.parameter = current->sharedWith.value_or(index);
  valueOfLayer.push_back(results.size());
  results.push_back(std::move(value));
}
