// OnnxPatterns.cpp - backwards from a product through its factors.
//
// A tree of Mul (and Div by a number) is a list of factors and one number. The
// factor that has the function in it names x; the tree is then taken apart
// again, x not being looked into, so that x may be a product itself.
// Known weakness: numbers that come out of other nodes than Constant are not
// seen.
#include "frontend/onnx/OnnxPatterns.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <optional>

using namespace sinter::frontend::onnx;

namespace {

struct Product {
  double number = 1;
  std::vector<std::string> factors;
};

class Matcher {
public:
  explicit Matcher(const Graph &graph) : graph(graph) {
    for (const Node &node : graph.nodes)
      for (const std::string &output : node.outputs)
        makers.try_emplace(output, &node);
  }

  /// What `root` is the last node of.
  std::optional<Node> match(const Node &root) const;

private:
  const Node *maker(const std::string &value, const char *op,
                    size_t operands) const;
  std::optional<double> number(const std::string &value) const;
  void take(const std::string &value, const std::string &stop, int depth,
            Product &product) const;
  Product factors(const Node &root, const std::string &stop) const;
  /// The other operand of a sum with the number 1.
  std::optional<std::string> besideOne(const std::string &sum) const;
  bool isGelu(const std::string &factor, std::string &x, bool &tanh) const;
  bool isSquareplus(const std::string &sum, std::string &x, double &b) const;

  const Graph &graph;
  std::map<std::string, const Node *> makers;
};

bool isNear(double a, double b) { return std::fabs(a - b) < 1e-5 * (1 + b); }

/// Deeper products than exporters write are left alone.
constexpr int kDepth = 8;

} // namespace

const Node *Matcher::maker(const std::string &value, const char *op,
                           size_t operands) const {
  auto it = makers.find(value);
  const Node *node = it == makers.end() ? nullptr : it->second;
  return node && node->op == op && node->domain.empty() &&
                 node->inputs.size() == operands
             ? node
             : nullptr;
}

std::optional<double> Matcher::number(const std::string &value) const {
  const Constant *constant = nullptr;
  if (auto it = graph.initializers.find(value); it != graph.initializers.end())
    constant = &it->second;
  else if (const Node *node = maker(value, "Constant", 0))
    if (auto it = node->attributes.find("value"); it != node->attributes.end())
      constant = &it->second.tensor;
  if (!constant || !constant->isFloat() || constant->size() != 1 ||
      constant->dims.size() > 1)
    return std::nullopt;
  return constant->number(0);
}

void Matcher::take(const std::string &value, const std::string &stop, int depth,
                   Product &product) const {
  if (std::optional<double> known = number(value)) {
    product.number *= *known;
    return;
  }
  if (value != stop && depth > 0) {
    if (const Node *node = maker(value, "Mul", 2)) {
      for (const std::string &input : node->inputs)
        take(input, stop, depth - 1, product);
      return;
    }
    if (const Node *node = maker(value, "Div", 2))
      if (std::optional<double> divisor = number(node->inputs[1])) {
        product.number /= *divisor;
        return take(node->inputs[0], stop, depth - 1, product);
      }
    if (const Node *node = maker(value, "Pow", 2))
      if (number(node->inputs[1]) == 3.0) {
        product.factors.insert(product.factors.end(), 3, node->inputs[0]);
        return;
      }
  }
  product.factors.push_back(value);
}

Product Matcher::factors(const Node &root, const std::string &stop) const {
  Product product;
  take(root.outputs[0], stop, kDepth, product);
  return product;
}

std::optional<std::string> Matcher::besideOne(const std::string &sum) const {
  if (const Node *add = maker(sum, "Add", 2))
    for (int i = 0; i < 2; ++i)
      if (number(add->inputs[i]) == 1.0)
        return add->inputs[1 - i];
  return std::nullopt;
}

bool Matcher::isGelu(const std::string &factor, std::string &x,
                     bool &tanh) const {
  std::optional<std::string> phi = besideOne(factor);
  if (!phi)
    return false;
  if (const Node *erf = maker(*phi, "Erf", 1)) {
    // The last factor: x / sqrt 2, or x times its inverse.
    const std::string &scaled = erf->inputs[0];
    const Node *node = maker(scaled, "Div", 2);
    if (node && isNear(number(node->inputs[1]).value_or(0), std::sqrt(2.0)))
      return x = node->inputs[0], tanh = false, true;
    if ((node = maker(scaled, "Mul", 2)))
      for (int i = 0; i < 2; ++i)
        if (isNear(number(node->inputs[i]).value_or(0), std::sqrt(0.5)))
          return x = node->inputs[1 - i], tanh = false, true;
    return false;
  }
  const Node *outer = maker(*phi, "Tanh", 1);
  const Node *scaled = outer ? maker(outer->inputs[0], "Mul", 2) : nullptr;
  for (int i = 0; scaled && i < 2; ++i) {
    if (!isNear(number(scaled->inputs[i]).value_or(0), std::sqrt(2 / M_PI)))
      continue;
    const Node *sum = maker(scaled->inputs[1 - i], "Add", 2);
    for (int j = 0; sum && j < 2; ++j) {
      Product cube;
      take(sum->inputs[1 - j], sum->inputs[j], kDepth, cube);
      if (isNear(cube.number, 0.044715) &&
          cube.factors == std::vector<std::string>(3, sum->inputs[j]))
        return x = sum->inputs[j], tanh = true, true;
    }
  }
  return false;
}

bool Matcher::isSquareplus(const std::string &sum, std::string &x,
                           double &b) const {
  const Node *add = maker(sum, "Add", 2);
  for (int i = 0; add && i < 2; ++i) {
    const Node *root = maker(add->inputs[i], "Sqrt", 1);
    const Node *inner = root ? maker(root->inputs[0], "Add", 2) : nullptr;
    for (int j = 0; inner && j < 2; ++j) {
      std::optional<double> constant = number(inner->inputs[j]);
      const Node *square = maker(inner->inputs[1 - j], "Mul", 2);
      x = add->inputs[1 - i];
      if (constant && *constant >= 0 && square && square->inputs[0] == x &&
          square->inputs[1] == x)
        return b = *constant, true;
    }
  }
  return false;
}

std::optional<Node> Matcher::match(const Node &root) const {
  if (root.op != "Mul" || !root.domain.empty() || root.inputs.size() != 2 ||
      root.outputs.size() != 1)
    return std::nullopt;
  Node fused;
  fused.name = root.name;
  fused.outputs = root.outputs;
  auto becomes = [&](const char *op, const std::string &x) {
    fused.op = op;
    fused.inputs = {x};
    return fused;
  };
  // Whether root is `number` times factors `a` and `b`, which is not "".
  auto isProduct = [&](double number, const std::string &x,
                       const std::string &function) {
    Product product = factors(root, x);
    std::vector<std::string> wanted = {x, function};
    llvm::sort(wanted);
    llvm::sort(product.factors);
    return isNear(product.number, number) && product.factors == wanted;
  };
  const Product whole = factors(root, "");
  for (const std::string &factor : whole.factors) {
    std::string x;
    bool tanh = false;
    double b = 0;
    if (isGelu(factor, x, tanh) && isProduct(0.5, x, factor)) {
      Attribute form;
      form.kind = Attribute::Kind::Text;
      form.text = tanh ? "tanh" : "none";
      fused.attributes["approximate"] = form;
      return becomes("Gelu", x);
    }
    if (whole.factors.size() == 1 && isNear(whole.number, 0.5) &&
        isSquareplus(factor, x, b)) {
      Attribute number;
      number.kind = Attribute::Kind::Float;
      number.number = b;
      fused.attributes["b"] = number;
      return becomes("sinter.Squareplus", x);
    }
    if (const Node *gate = maker(factor, "Sigmoid", 1);
        gate && isProduct(1, gate->inputs[0], factor))
      return becomes("sinter.Silu", gate->inputs[0]);
    if (const Node *gate = maker(factor, "Tanh", 1))
      if (const Node *inner = maker(gate->inputs[0], "Softplus", 1);
          inner && isProduct(1, inner->inputs[0], factor))
        return becomes("Mish", inner->inputs[0]);
  }
  return std::nullopt;
}

void sinter::frontend::onnx::fusePatterns(Graph &graph) {
  std::vector<std::pair<size_t, Node>> found;
  const Matcher matcher(graph);
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    if (std::optional<Node> fused = matcher.match(graph.nodes[i]))
      found.emplace_back(i, std::move(*fused));
  for (auto &[index, node] : found)
    graph.nodes[index] = std::move(node);
}
