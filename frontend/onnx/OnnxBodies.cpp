// OnnxBodies.cpp - walks the nodes in order, with all values that constants
// give known, and writes each body in place of its node.
//
// An inner value gets the name of the node's first result before its own, and
// the number of the iteration. What cannot be resolved stays as it is, and its
// node is then refused by name.
// Known weakness: a long loop becomes a long graph; more than kMostNodes are
// not written out.
#include "frontend/onnx/OnnxBodies.h"

#include "frontend/onnx/OnnxConstants.h"

#include "llvm/ADT/STLExtras.h"

#include <set>

using namespace sinter::frontend::onnx;
using llvm::ArrayRef;

static constexpr size_t kMostNodes = 20000;
/// Elements: of a value that is followed, of all copies of attributes and
/// names.
static constexpr size_t kMostKnown = 256, kMostCopied = size_t(1) << 24;
/// Nodes, names and iterations that are written, those of bodies that are given
/// up again included: bodies in bodies could be tried without end.
static constexpr size_t kMostSteps = 20 * kMostNodes;

/// A body that the node holds, or null.
static const Graph *bodyOf(const Node &node, const char *name) {
  auto found = node.attributes.find(name);
  return found == node.attributes.end() ? nullptr : found->second.body.get();
}

bool sinter::frontend::onnx::hasBodies(const Graph &graph) {
  return llvm::any_of(graph.nodes, [](const Node &node) {
    return llvm::any_of(node.attributes, [](const auto &attribute) {
      return attribute.second.body != nullptr;
    });
  });
}

namespace {
using Names = std::map<std::string, std::string>; // of a body, outside of it

class Inliner {
public:
  explicit Inliner(const Graph &from)
      : graph(from), budget(foldingBudget(from)) {
    graph.nodes.clear();
  }

  Graph run(const Graph &from) {
    for (const auto &[name, constant] : from.initializers)
      learn(name, constant);
    for (const Port &input : from.inputs) {
      defined.insert(input.name);
      if (input.dims)
        sizes[input.name] = *input.dims;
    }
    for (const Node &node : from.nodes)
      add(node);
    return std::move(graph);
  }

private:
  void learn(const std::string &name, const Constant &constant) {
    defined.insert(name);
    sizes[name] = constant.dims;
    if (constant.size() <= kMostKnown)
      known[name] = constant;
  }
  const Constant *knownOf(const std::string &name) const {
    auto found = known.find(name);
    return found == known.end() ? nullptr : &found->second;
  }
  /// The only element of a value that is known.
  std::optional<double> numberOf(const std::string &name) const {
    const Constant *constant = knownOf(name);
    if (!constant || constant->size() != 1)
      return std::nullopt;
    return constant->number(0);
  }
  bool isExhausted() const {
    return graph.nodes.size() >= kMostNodes || steps > kMostSteps;
  }
  void fold(const Node &node);
  void add(const Node &node);
  /// A node of our own.
  void addPlain(const char *op, std::vector<std::string> inputs,
                const std::string &output,
                std::map<std::string, Attribute> attributes = {});
  std::string addConstant(const std::string &name, Constant constant);
  /// The body's nodes, its inputs being what `names` says; false: it reads what
  /// nobody defines.
  bool write(const Graph &body, const std::string &base,
             const std::string &prefix, Names names,
             std::vector<std::string> &outputs);
  bool writeIf(const Node &node);
  bool writeLoop(const Node &node);
  bool writeScan(const Node &node);
  /// `parts` as rows of one tensor.
  void stack(ArrayRef<std::string> parts, const std::string &output);

  Graph graph;
  std::map<std::string, Constant> known;
  std::map<std::string, Dims> sizes;
  std::set<std::string> defined;
  std::set<std::string> shared; // constants of bodies, one for all iterations
  size_t copied = 0, steps = 0;
  int64_t budget;
  bool clashes = false; // a name of ours is one of the graph's
};
} // namespace

void Inliner::fold(const Node &node) {
  std::vector<const Constant *> inputs;
  for (const std::string &input : node.inputs) {
    inputs.push_back(input.empty() ? nullptr : knownOf(input));
    if (!input.empty() && !inputs.back())
      return;
  }
  std::vector<Constant> others;
  std::string wrong;
  if (std::optional<Constant> value =
          foldNode(node, graph.opset, inputs, others, budget, wrong))
    learn(node.outputs[0], *value);
}

void Inliner::add(const Node &node) {
  const size_t nodes = graph.nodes.size();
  if (node.domain.empty() && !node.outputs.empty() && !isExhausted()) {
    bool written = false;
    if (node.op == "If")
      written = writeIf(node);
    else if (node.op == "Loop")
      written = writeLoop(node);
    else if (node.op == "Scan")
      written = writeScan(node);
    if (written && !clashes)
      return;
  }
  graph.nodes.resize(nodes); // half a body is none
  for (const std::string &output : node.outputs)
    defined.insert(output);
  if (!node.outputs.empty())
    fold(node);
  graph.nodes.push_back(node);
}

void Inliner::addPlain(const char *op, std::vector<std::string> inputs,
                       const std::string &output,
                       std::map<std::string, Attribute> attributes) {
  Node node;
  node.op = op;
  node.inputs = std::move(inputs);
  node.outputs = {output};
  node.attributes = std::move(attributes);
  add(node);
}

std::string Inliner::addConstant(const std::string &name, Constant constant) {
  clashes |= defined.count(name) > 0;
  learn(name, constant);
  graph.initializers.try_emplace(name, std::move(constant));
  return name;
}

bool Inliner::write(const Graph &body, const std::string &base,
                    const std::string &prefix, Names names,
                    std::vector<std::string> &outputs) {
  auto outside = [&](const std::string &name) {
    auto found = names.find(name);
    return found == names.end() ? name : found->second;
  };
  steps += 1 + body.initializers.size() + names.size() + body.outputs.size();
  for (const auto &[name, constant] : body.initializers) {
    const std::string own = base + "constant/" + name;
    if (shared.insert(own).second)
      addConstant(own, constant);
    names[name] = own;
  }
  for (const Node &inner : body.nodes) {
    steps += 1 + inner.inputs.size() + inner.outputs.size();
    copied +=
        (1 + inner.inputs.size() + inner.outputs.size()) * (prefix.size() + 1) +
        inner.op.size() + inner.name.size();
    for (const auto &[name, attribute] : inner.attributes) {
      copied += name.size() + attribute.tensor.size() +
                attribute.numbers.size() + attribute.integers.size() +
                attribute.text.size();
      for (const std::string &text : attribute.texts)
        copied += text.size() + 1;
    }
    for (const std::string &output : inner.outputs)
      copied += output.size();
    if (isExhausted() || copied > kMostCopied)
      return false;
    Node node = inner;
    if (!node.name.empty())
      node.name = prefix + node.name;
    for (std::string &input : node.inputs) {
      input = input.empty() ? input : outside(input);
      if (!input.empty() && !defined.count(input))
        return false;
    }
    for (std::string &output : node.outputs) {
      if (output.empty())
        continue;
      names[output] = prefix + output;
      output = prefix + output;
      if (defined.count(output))
        return false;
    }
    add(node);
  }
  outputs.clear();
  for (const Port &output : body.outputs) {
    outputs.push_back(outside(output.name));
    if (!defined.count(outputs.back()))
      return false;
  }
  return true;
}

void Inliner::stack(ArrayRef<std::string> parts, const std::string &output) {
  Attribute first;
  first.kind = Attribute::Kind::Int;
  std::vector<std::string> rows;
  for (const std::string &part : parts) {
    const std::string row = output + "/row/" + std::to_string(rows.size());
    if (graph.opset >= 13) {
      addPlain("Unsqueeze",
               {part, addConstant(row + "/axes", Constant::ofIntegers({0}))},
               row);
    } else {
      Attribute axes;
      axes.kind = Attribute::Kind::Ints;
      axes.integers = {0};
      addPlain("Unsqueeze", {part}, row, {{"axes", axes}});
    }
    rows.push_back(row);
  }
  addPlain("Concat", rows, output, {{"axis", first}});
}

/// The branch that a known condition takes.
bool Inliner::writeIf(const Node &node) {
  if (node.inputs.size() != 1)
    return false;
  std::optional<double> condition = numberOf(node.inputs[0]);
  const Graph *body =
      condition ? bodyOf(node, *condition != 0 ? "then_branch" : "else_branch")
                : nullptr;
  std::vector<std::string> results;
  if (!body || body->outputs.size() != node.outputs.size() ||
      !write(*body, node.outputs[0] + "/", node.outputs[0] + "/branch/", {},
             results))
    return false;
  for (auto [result, output] : llvm::zip(results, node.outputs))
    if (!output.empty())
      addPlain("Identity", {result}, output);
  return true;
}

/// As many iterations as are known to be made.
bool Inliner::writeLoop(const Node &node) {
  const Graph *body = bodyOf(node, "body");
  if (!body || node.inputs.size() < 2)
    return false;
  const size_t carried = node.inputs.size() - 2;
  if (body->inputs.size() != carried + 2 ||
      body->outputs.size() < carried + 1 ||
      node.outputs.size() > body->outputs.size() - 1)
    return false;
  double most = kMostNodes;
  if (!node.inputs[0].empty()) {
    std::optional<double> given = numberOf(node.inputs[0]);
    if (!given)
      return false;
    most = *given;
  }
  std::optional<double> goesOn = 1.0;
  std::string condition = node.inputs[1];
  if (!condition.empty())
    goesOn = numberOf(condition);
  std::vector<std::string> state(node.inputs.begin() + 2, node.inputs.end());
  std::vector<std::vector<std::string>> rows(body->outputs.size() - 1 -
                                             carried);
  const std::string base = node.outputs[0] + "/";
  if (condition.empty()) {
    Constant truth = Constant::ofIntegers({1});
    truth.dims.clear();
    truth.type = ElementType::Bool;
    condition = addConstant(base + "condition", truth);
  }
  for (int64_t i = 0; static_cast<double>(i) < most; ++i) {
    if (!goesOn)
      return false;
    if (*goesOn == 0)
      break;
    if (isExhausted())
      return false;
    const std::string prefix = base + std::to_string(i) + "/";
    Constant number = Constant::ofIntegers({i});
    number.dims.clear();
    Names names;
    names[body->inputs[0].name] = addConstant(prefix + "iteration", number);
    names[body->inputs[1].name] = condition;
    for (size_t k = 0; k < carried; ++k)
      names[body->inputs[k + 2].name] = state[k];
    std::vector<std::string> results;
    if (!write(*body, base, prefix, std::move(names), results))
      return false;
    condition = results[0];
    goesOn = numberOf(condition);
    for (size_t k = 0; k < carried; ++k)
      state[k] = results[k + 1];
    for (size_t k = 0; k < rows.size(); ++k)
      rows[k].push_back(results[carried + 1 + k]);
  }
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    if (node.outputs[k].empty())
      continue;
    if (k < carried) {
      addPlain("Identity", {state[k]}, node.outputs[k]);
      continue;
    }
    if (rows[k - carried].empty())
      return false; // a result without elements
    stack(rows[k - carried], node.outputs[k]);
  }
  return true;
}

/// One iteration for each row of the inputs that are scanned.
bool Inliner::writeScan(const Node &node) {
  const Graph *body = bodyOf(node, "body");
  auto scanned = node.attributes.find("num_scan_inputs");
  for (const char *order : {"scan_input_axes", "scan_input_directions",
                            "scan_output_axes", "scan_output_directions"})
    if (auto given = node.attributes.find(order);
        given != node.attributes.end() &&
        llvm::any_of(given->second.integers, [](int64_t x) { return x; }))
      return false;
  if (!body || graph.opset < 9 || scanned == node.attributes.end())
    return false;
  const int64_t count = scanned->second.integer;
  if (count < 1 || count > static_cast<int64_t>(node.inputs.size()) ||
      body->inputs.size() != node.inputs.size())
    return false;
  const size_t carried = node.inputs.size() - static_cast<size_t>(count);
  if (body->outputs.size() < carried ||
      node.outputs.size() > body->outputs.size())
    return false;
  auto dims = sizes.find(node.inputs[carried]);
  if (dims == sizes.end() || dims->second.empty() || dims->second[0] < 1 ||
      dims->second[0] > static_cast<int64_t>(kMostNodes))
    return false;
  const std::string base = node.outputs[0] + "/";
  Attribute first;
  first.kind = Attribute::Kind::Int;
  std::vector<std::string> state(node.inputs.begin(),
                                 node.inputs.begin() + carried);
  std::vector<std::vector<std::string>> rows(body->outputs.size() - carried);
  for (int64_t i = 0; i < dims->second[0]; ++i) {
    const std::string prefix = base + std::to_string(i) + "/";
    Constant number = Constant::ofIntegers({i});
    number.dims.clear();
    const std::string place = addConstant(prefix + "place", number);
    Names names;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      if (k < carried) {
        names[body->inputs[k].name] = state[k];
        continue;
      }
      const std::string row = prefix + "row/" + std::to_string(k);
      addPlain("Gather", {node.inputs[k], place}, row, {{"axis", first}});
      names[body->inputs[k].name] = row;
    }
    std::vector<std::string> results;
    if (!write(*body, base, prefix, std::move(names), results))
      return false;
    std::copy_n(results.begin(), carried, state.begin());
    for (size_t k = 0; k < rows.size(); ++k)
      rows[k].push_back(results[carried + k]);
  }
  for (size_t k = 0; k < node.outputs.size(); ++k) {
    if (node.outputs[k].empty())
      continue;
    if (k < carried)
      addPlain("Identity", {state[k]}, node.outputs[k]);
    else
      stack(rows[k - carried], node.outputs[k]);
  }
  return true;
}

Graph sinter::frontend::onnx::withBodiesInlined(const Graph &graph) {
  return Inliner(graph).run(graph);
}
