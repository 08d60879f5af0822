//===- OpTexts.cpp - small functions that use every op -------------------===//
//
// The samples of the gradient tests have one form of each op at tiny shapes.
// Here are sizes around the vector width and the register tile, ops without a
// gradient, integers, random numbers, state, several results, and combinations
// that share a kernel.
//
// Texts are templates: @1, @2, ... stand for numbers.
//
//===----------------------------------------------------------------------===//

#include "tests/unit/native/OpTexts.h"

#include "tests/unit/ir/Program.h"

#include <catch2/catch.hpp>

#include <set>

using namespace mlir;
using namespace sinter;
using namespace sinter::test;

/// `pattern` with @1, @2, ... replaced.
static std::string fillIn(std::string pattern,
                          const std::vector<int64_t> &numbers) {
  for (size_t i = 0; i < numbers.size(); ++i) {
    std::string key = "@" + std::to_string(i + 1);
    for (size_t at; (at = pattern.find(key)) != std::string::npos;)
      pattern.replace(at, key.size(), std::to_string(numbers[i]));
  }
  return pattern;
}

static std::vector<OpText> samples() {
  std::vector<OpText> texts;
  auto program = Program::load("gradients/samples.mlir");
  for (func::FuncOp function : program->functions()) {
    std::string name = function.getName().str();
    // Inserted by layout assignment, and so part of every other test.
    if (name == "relayout")
      continue;
    function.setName("predict");
    std::string text;
    llvm::raw_string_ostream stream(text);
    function->print(stream, OpPrintingFlags().useLocalScope());
    function.setName(name);
    texts.push_back({name, "", text});
  }
  return texts;
}

namespace {
struct Form {
  const char *name;
  std::vector<std::vector<int64_t>> sizes;
  const char *function;
  const char *states = "";
};
} // namespace

static const std::vector<std::vector<int64_t>> widths = {{1}, {5}, {16}, {33}};
// Contracted and produced features.
static const std::vector<std::vector<int64_t>> matrices = {
    {1, 1}, {3, 17}, {17, 1}, {16, 32}, {33, 15}};
// Channels and filters.
static const std::vector<std::vector<int64_t>> channels = {
    {1, 1}, {1, 8}, {3, 5}, {5, 17}, {25, 16}, {16, 33}};
static const std::vector<std::vector<int64_t>> once = {{}};

// Heads, rows, contracted, columns.
static const std::vector<std::vector<int64_t>> matrixPairs = {
    {1, 1, 1, 1}, {2, 7, 5, 3}, {1, 1, 9, 17}, {3, 17, 16, 33}, {2, 13, 33, 1}};

// clang-format off
static const Form forms[] = {
    // ---- Products of matrices that each sample has
    {"products", matrixPairs, R"(func.func @predict(%a: tensor<?x@1x@2x@3xf32>, %b: tensor<?x@1x@3x@4xf32>) -> tensor<?x@1x@2x@4xf32> {
      %y = sinter.batch_matmul %a, %b : (tensor<?x@1x@2x@3xf32>, tensor<?x@1x@3x@4xf32>) -> tensor<?x@1x@2x@4xf32>
      return %y : tensor<?x@1x@2x@4xf32> })"},
    {"transposed_products", matrixPairs, R"(func.func @predict(%a: tensor<?x@1x@3x@2xf32>, %b: tensor<?x1x@4x@3xf32>) -> tensor<?x@1x@2x@4xf32> {
      %y = sinter.batch_matmul %a transposed, %b transposed : (tensor<?x@1x@3x@2xf32>, tensor<?x1x@4x@3xf32>) -> tensor<?x@1x@2x@4xf32>
      return %y : tensor<?x@1x@2x@4xf32> })"},
    {"causal_mask", matrices, R"(func.func @predict(%x: tensor<?x@1x@2xf32>) -> (tensor<?x@1x@2xf32>, tensor<@1x@2xf32>) {
      %r = sinter.iota axis 0 : tensor<@1x1xf32>
      %c = sinter.iota axis 1 : tensor<1x@2xf32>
      %m = sinter.greater %c, %r : (tensor<1x@2xf32>, tensor<@1x1xf32>) -> tensor<@1x@2xf32>
      %l = sinter.constant dense<-1.0e9> : tensor<f32>
      %o = sinter.select %m, %l, %x : (tensor<@1x@2xf32>, tensor<f32>, tensor<?x@1x@2xf32>) -> tensor<?x@1x@2xf32>
      %d = sinter.sub %c, %r : (tensor<1x@2xf32>, tensor<@1x1xf32>) -> tensor<@1x@2xf32>
      return %o, %d : tensor<?x@1x@2xf32>, tensor<@1x@2xf32> })"},
    // Heads apart, as they come from one product with weights; the mask and the
    // scale are an epilogue, and softmax a sweep.
    {"attention", matrixPairs, R"(func.func @predict(%q: tensor<?x@2x@1x@3xf32>, %k: tensor<?x@4x@1x@3xf32>, %v: tensor<?x@4x@1x@2xf32>, %m: tensor<@2x@4xf32>) -> tensor<?x@2x@1x@2xf32> {
      %s = sinter.constant dense<0.25> : tensor<f32>
      %l = sinter.constant dense<-1.0e9> : tensor<f32>
      %qt = sinter.transpose %q permutation [0, 2, 1, 3] : (tensor<?x@2x@1x@3xf32>) -> tensor<?x@1x@2x@3xf32>
      %kt = sinter.transpose %k permutation [0, 2, 3, 1] : (tensor<?x@4x@1x@3xf32>) -> tensor<?x@1x@3x@4xf32>
      %vt = sinter.transpose %v permutation [0, 2, 1, 3] : (tensor<?x@4x@1x@2xf32>) -> tensor<?x@1x@4x@2xf32>
      %p = sinter.batch_matmul %qt, %kt : (tensor<?x@1x@2x@3xf32>, tensor<?x@1x@3x@4xf32>) -> tensor<?x@1x@2x@4xf32>
      %c = sinter.mul %p, %s : (tensor<?x@1x@2x@4xf32>, tensor<f32>) -> tensor<?x@1x@2x@4xf32>
      %o = sinter.select %m, %c, %l : (tensor<@2x@4xf32>, tensor<?x@1x@2x@4xf32>, tensor<f32>) -> tensor<?x@1x@2x@4xf32>
      %a = sinter.softmax %o : tensor<?x@1x@2x@4xf32>
      %w = sinter.batch_matmul %a, %vt : (tensor<?x@1x@2x@4xf32>, tensor<?x@1x@4x@2xf32>) -> tensor<?x@1x@2x@2xf32>
      %y = sinter.transpose %w permutation [0, 2, 1, 3] : (tensor<?x@1x@2x@2xf32>) -> tensor<?x@2x@1x@2xf32>
      return %y : tensor<?x@2x@1x@2xf32> })"},
    // ---- Contractions
    {"dense", matrices, R"(func.func @predict(%x: tensor<?x@1xf32>, %w: tensor<@1x@2xf32>, %b: tensor<@2xf32>) -> tensor<?x@2xf32> {
      %m = sinter.matmul %x, %w : (tensor<?x@1xf32>, tensor<@1x@2xf32>) -> tensor<?x@2xf32>
      %z = sinter.add %m, %b : (tensor<?x@2xf32>, tensor<@2xf32>) -> tensor<?x@2xf32>
      %y = sinter.relu %z : tensor<?x@2xf32>
      return %y : tensor<?x@2xf32> })"},
    {"input_gradient", matrices, R"(func.func @predict(%x: tensor<?x@1xf32>, %w: tensor<@2x@1xf32>) -> (tensor<?x@2xf32>, tensor<?x@2xf32>) {
      %m = sinter.matmul %x, %w transposed : (tensor<?x@1xf32>, tensor<@2x@1xf32>) -> tensor<?x@2xf32>
      %y = sinter.tanh %m : tensor<?x@2xf32>
      return %m, %y : tensor<?x@2xf32>, tensor<?x@2xf32> })"},
    {"weight_gradient", {{1, 1}, {3, 17}, {17, 1}, {16, 32}, {33, 15}, {12, 210}, {12, 100}, {36, 20}, {10, 40}}, R"(func.func @predict(%x: tensor<?x@1xf32>, %d: tensor<?x@2xf32>, %w: tensor<@1x@2xf32>) -> (tensor<@1x@2xf32>, tensor<@1x@2xf32>) {
      %g = sinter.matmul %x transposed, %d : (tensor<?x@1xf32>, tensor<?x@2xf32>) -> tensor<@1x@2xf32>
      %y = sinter.sub %w, %g : (tensor<@1x@2xf32>, tensor<@1x@2xf32>) -> tensor<@1x@2xf32>
      return %g, %y : tensor<@1x@2xf32>, tensor<@1x@2xf32> })"},
    {"matmul_of_state", {{17, 5}}, R"(func.func @predict(%x: tensor<?x@1xf32>) -> tensor<?x@2xf32> {
      %w = sinter.read @w : tensor<@1x@2xf32>
      %e = sinter.exp %x : tensor<?x@1xf32>
      %y = sinter.matmul %e, %w : (tensor<?x@1xf32>, tensor<@1x@2xf32>) -> tensor<?x@2xf32>
      return %y : tensor<?x@2xf32> })",
     "sinter.state parameter @w : tensor<@1x@2xf32> = uniform(-1.0, 1.0)"},
    {"masked_input_gradient", {{17, 6}}, R"(func.func @predict(%x: tensor<?x@1xf32>, %w: tensor<@2x@1xf32>, %a: tensor<?x@2xf32>) -> (tensor<?x@2xf32>, tensor<?x@2xf32>) {
      %m = sinter.matmul %x, %w transposed : (tensor<?x@1xf32>, tensor<@2x@1xf32>) -> tensor<?x@2xf32>
      %y = sinter.mul %m, %a : (tensor<?x@2xf32>, tensor<?x@2xf32>) -> tensor<?x@2xf32>
      return %m, %y : tensor<?x@2xf32>, tensor<?x@2xf32> })"},
    {"dropout_of_matmul", {{17, 6}}, R"(func.func @predict(%x: tensor<?x@1xf32>, %w: tensor<@1x@2xf32>, %s: tensor<2xi32>, %i: tensor<i32>) -> tensor<?x@2xf32> attributes {classes = 1000} {
      %m = sinter.matmul %x, %w : (tensor<?x@1xf32>, tensor<@1x@2xf32>) -> tensor<?x@2xf32>
      %u = sinter.random_uniform %s, %i stream 0 : (tensor<2xi32>, tensor<i32>) -> tensor<?x@2xf32>
      %y = sinter.mul %u, %m : (tensor<?x@2xf32>, tensor<?x@2xf32>) -> tensor<?x@2xf32>
      return %y : tensor<?x@2xf32> })"},
    {"two_layers", {{20, 18}}, R"(func.func @predict(%x: tensor<?x2x10xf32>) -> tensor<?x3x6xf32> {
      %w = sinter.read @w : tensor<@1x@2xf32>
      %f = sinter.reshape %x : tensor<?x2x10xf32> -> tensor<?x@1xf32>
      %h = sinter.matmul %f, %w : (tensor<?x@1xf32>, tensor<@1x@2xf32>) -> tensor<?x@2xf32>
      %s = sinter.sigmoid %h : tensor<?x@2xf32>
      %g = sinter.matmul %s, %w transposed : (tensor<?x@2xf32>, tensor<@1x@2xf32>) -> tensor<?x@1xf32>
      %a = sinter.matmul %g, %w : (tensor<?x@1xf32>, tensor<@1x@2xf32>) -> tensor<?x@2xf32>
      %p = sinter.mul %a, %s : (tensor<?x@2xf32>, tensor<?x@2xf32>) -> tensor<?x@2xf32>
      %y = sinter.reshape %p : tensor<?x@2xf32> -> tensor<?x3x6xf32>
      return %y : tensor<?x3x6xf32> })",
     "sinter.state parameter @w : tensor<@1x@2xf32> = uniform(-1.0, 1.0)"},

    // ---- Tables: rows 0, 1, ..., and indices that have none; one for several
    // tasks
    {"embedding", {{1, 1}, {4, 5}, {3, 16}, {5, 33}}, R"(func.func @predict(%x: tensor<?x3xf32>, %n: tensor<?x2x2xi32>) -> (tensor<?x3x@2xf32>, tensor<?x2x2x@2xf32>, tensor<?x@2xf32>) attributes {classes = 6} {
      %t = sinter.read @t : tensor<@1x@2xf32>
      %i = sinter.floor %x : tensor<?x3xf32>
      %y = sinter.embedding %i, %t : (tensor<?x3xf32>, tensor<@1x@2xf32>) -> tensor<?x3x@2xf32>
      %f = sinter.cast %n : tensor<?x2x2xi32> -> tensor<?x2x2xf32>
      %e = sinter.tanh %t : tensor<@1x@2xf32>
      %z = sinter.embedding %f, %e : (tensor<?x2x2xf32>, tensor<@1x@2xf32>) -> tensor<?x2x2x@2xf32>
      %c = sinter.constant dense<2.5> : tensor<@1x@2xf32>
      %k = sinter.embedding %f, %c : (tensor<?x2x2xf32>, tensor<@1x@2xf32>) -> tensor<?x2x2x@2xf32>
      %p = sinter.mul %z, %k : (tensor<?x2x2x@2xf32>, tensor<?x2x2x@2xf32>) -> tensor<?x2x2x@2xf32>
      %s = sinter.reduce_sum %y axes [1] : (tensor<?x3x@2xf32>) -> tensor<?x@2xf32>
      return %y, %p, %s : tensor<?x3x@2xf32>, tensor<?x2x2x@2xf32>, tensor<?x@2xf32> })",
     "sinter.state parameter @t : tensor<@1x@2xf32> = uniform(-1.0, 1.0)"},
    {"embedding_of_reduction", {{6, 7}}, R"(func.func @predict(%x: tensor<?x2x@2xf32>, %t: tensor<@1x@2xf32>) -> (tensor<?x2x@2xf32>, tensor<@2xf32>) {
      %m = sinter.reduce_max %x axes [2] : (tensor<?x2x@2xf32>) -> tensor<?x2xf32>
      %i = sinter.floor %m : tensor<?x2xf32>
      %y = sinter.embedding %i, %t : (tensor<?x2xf32>, tensor<@1x@2xf32>) -> tensor<?x2x@2xf32>
      %p = sinter.mul %x, %y : (tensor<?x2x@2xf32>, tensor<?x2x@2xf32>) -> tensor<?x2x@2xf32>
      %s = sinter.reduce_sum %p axes [0, 1] : (tensor<?x2x@2xf32>) -> tensor<@2xf32>
      return %p, %s : tensor<?x2x@2xf32>, tensor<@2xf32> })"},
    {"embedding_gradient", {{1, 1}, {4, 5}, {3, 16}, {6, 33}, {9, 70}, {3000, 100}}, R"(func.func @predict(%n: tensor<?x3xi32>, %x: tensor<?xf32>, %d: tensor<?x3x@2xf32>, %g: tensor<?x@2xf32>) -> (tensor<@1x@2xf32>, tensor<@1x@2xf32>) attributes {classes = 7} {
      %f = sinter.cast %n : tensor<?x3xi32> -> tensor<?x3xf32>
      %e = sinter.tanh %d : tensor<?x3x@2xf32>
      %y = sinter.embedding_gradient %f, %e rows @1 : (tensor<?x3xf32>, tensor<?x3x@2xf32>) -> tensor<@1x@2xf32>
      %z = sinter.embedding_gradient %x, %g rows @1 : (tensor<?xf32>, tensor<?x@2xf32>) -> tensor<@1x@2xf32>
      %u = sinter.sub %y, %z : (tensor<@1x@2xf32>, tensor<@1x@2xf32>) -> tensor<@1x@2xf32>
      sinter.write @t, %u : tensor<@1x@2xf32>
      return %y, %z : tensor<@1x@2xf32>, tensor<@1x@2xf32> })",
     "sinter.state parameter @t : tensor<@1x@2xf32> = uniform(-1.0, 1.0)"},

    // ---- Reductions
    {"softmax", widths, R"(func.func @predict(%x: tensor<?x@1xf32>) -> tensor<?x@1xf32> {
      %y = sinter.softmax %x : tensor<?x@1xf32>
      return %y : tensor<?x@1xf32> })"},
    {"cross_entropy", widths, R"(func.func @predict(%x: tensor<?x@1xf32>, %t: tensor<?xi32>) -> (tensor<?xf32>, tensor<f32>) attributes {classes = @1} {
      %o = sinter.one_hot %t classes @1 : (tensor<?xi32>) -> tensor<?x@1xf32>
      %l = sinter.softmax_cross_entropy %x, %o : (tensor<?x@1xf32>, tensor<?x@1xf32>) -> tensor<?xf32>
      %s = sinter.reduce_sum %l axes [0] : (tensor<?xf32>) -> tensor<f32>
      %n = sinter.batch_size : tensor<f32>
      %m = sinter.div %s, %n : (tensor<f32>, tensor<f32>) -> tensor<f32>
      return %l, %m : tensor<?xf32>, tensor<f32> })"},
    {"argmax", widths, R"(func.func @predict(%x: tensor<?x@1xf32>) -> tensor<?xi32> {
      %y = sinter.argmax %x : (tensor<?x@1xf32>) -> tensor<?xi32>
      return %y : tensor<?xi32> })"},
    {"argmax_rows", {{3, 7}}, R"(func.func @predict(%x: tensor<?x@1x@2xf32>) -> tensor<?x@1xi32> {
      %y = sinter.argmax %x : (tensor<?x@1x@2xf32>) -> tensor<?x@1xi32>
      return %y : tensor<?x@1xi32> })"},
    {"argmax_unbatched", {{19}}, R"(func.func @predict(%x: tensor<@1xf32>, %m: tensor<3x@1xf32>) -> (tensor<i32>, tensor<3xi32>) {
      %y = sinter.argmax %x : (tensor<@1xf32>) -> tensor<i32>
      %z = sinter.argmax %m : (tensor<3x@1xf32>) -> tensor<3xi32>
      return %y, %z : tensor<i32>, tensor<3xi32> })"},
    {"batch_sum", widths, R"(func.func @predict(%x: tensor<?x@1xf32>, %b: tensor<@1xf32>) -> (tensor<@1xf32>, tensor<@1xf32>) {
      %e = sinter.mul %x, %x : (tensor<?x@1xf32>, tensor<?x@1xf32>) -> tensor<?x@1xf32>
      %s = sinter.reduce_sum %x axes [0] : (tensor<?x@1xf32>) -> tensor<@1xf32>
      %q = sinter.reduce_sum %e axes [0] : (tensor<?x@1xf32>) -> tensor<@1xf32>
      %y = sinter.sub %b, %q : (tensor<@1xf32>, tensor<@1xf32>) -> tensor<@1xf32>
      return %s, %y : tensor<@1xf32>, tensor<@1xf32> })"},
    {"batch_then_last_sum", {{3, 17}}, R"(func.func @predict(%x: tensor<?x@1x@2xf32>) -> (tensor<@1x@2xf32>, tensor<@1xf32>) {
      %s = sinter.reduce_sum %x axes [0] : (tensor<?x@1x@2xf32>) -> tensor<@1x@2xf32>
      %y = sinter.reduce_sum %s axes [1] : (tensor<@1x@2xf32>) -> tensor<@1xf32>
      return %s, %y : tensor<@1x@2xf32>, tensor<@1xf32> })"},
    {"middle_then_batch_sum", {{3, 17}}, R"(func.func @predict(%x: tensor<?x@1x@2xf32>) -> tensor<@2xf32> {
      %m = sinter.reduce_sum %x axes [1] : (tensor<?x@1x@2xf32>) -> tensor<?x@2xf32>
      %y = sinter.reduce_sum %m axes [0] : (tensor<?x@2xf32>) -> tensor<@2xf32>
      return %y : tensor<@2xf32> })"},
    {"everything_sum", {{3, 17}}, R"(func.func @predict(%x: tensor<?x@1x@2xf32>) -> (tensor<f32>, tensor<?xf32>) {
      %e = sinter.abs %x : tensor<?x@1x@2xf32>
      %s = sinter.reduce_sum %e axes [1, 2] : (tensor<?x@1x@2xf32>) -> tensor<?xf32>
      %y = sinter.reduce_sum %s axes [0] : (tensor<?xf32>) -> tensor<f32>
      return %y, %s : tensor<f32>, tensor<?xf32> })"},
    {"centre", widths, R"(func.func @predict(%x: tensor<?x@1xf32>) -> (tensor<?x@1xf32>, tensor<?x1xf32>) {
      %e = sinter.abs %x : tensor<?x@1xf32>
      %s = sinter.reduce_max %e axes [1] keep_dims : (tensor<?x@1xf32>) -> tensor<?x1xf32>
      %c = sinter.constant dense<1.5> : tensor<f32>
      %d = sinter.add %s, %c : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
      %y = sinter.div %x, %d : (tensor<?x@1xf32>, tensor<?x1xf32>) -> tensor<?x@1xf32>
      return %y, %d : tensor<?x@1xf32>, tensor<?x1xf32> })"},
    {"norm_unbatched", {{1, 1}, {1, 16}, {7, 5}, {5, 33}}, R"(func.func @predict(%x: tensor<@1x@2xf32>) -> tensor<@1x@2xf32> {
      %q = sinter.mul %x, %x : (tensor<@1x@2xf32>, tensor<@1x@2xf32>) -> tensor<@1x@2xf32>
      %s = sinter.reduce_sum %q axes [0, 1] : (tensor<@1x@2xf32>) -> tensor<f32>
      %c = sinter.constant dense<1.0> : tensor<f32>
      %d = sinter.add %s, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
      %n = sinter.sqrt %d : tensor<f32>
      %y = sinter.div %x, %n : (tensor<@1x@2xf32>, tensor<f32>) -> tensor<@1x@2xf32>
      return %y : tensor<@1x@2xf32> })"},
    {"parts_unbatched", {{5, 33}}, R"(func.func @predict(%x: tensor<@1x@2xf32>) -> (tensor<@1xf32>, tensor<@2xf32>, tensor<@1x1xf32>, tensor<f32>) {
      %a = sinter.reduce_sum %x axes [1] : (tensor<@1x@2xf32>) -> tensor<@1xf32>
      %b = sinter.reduce_sum %x axes [0] : (tensor<@1x@2xf32>) -> tensor<@2xf32>
      %c = sinter.reduce_max %x axes [1] keep_dims : (tensor<@1x@2xf32>) -> tensor<@1x1xf32>
      %d = sinter.reduce_max %x axes [0, 1] : (tensor<@1x@2xf32>) -> tensor<f32>
      return %a, %b, %c, %d : tensor<@1xf32>, tensor<@2xf32>, tensor<@1x1xf32>, tensor<f32> })"},
    {"softmax_unbatched_rows", {{4, 19}}, R"(func.func @predict(%x: tensor<@1x@2xf32>) -> tensor<@1x@2xf32> {
      %y = sinter.softmax %x : tensor<@1x@2xf32>
      return %y : tensor<@1x@2xf32> })"},

    // ---- Unbatched elementwise: lanes over columns
    {"columns", {{1, 3}, {7, 16}, {5, 33}}, R"(func.func @predict(%x: tensor<@1x@2xf32>, %b: tensor<@2xf32>, %c: tensor<@1x1xf32>) -> (tensor<@1x@2xf32>, tensor<@1x@2xf32>) {
      %a = sinter.add %x, %b : (tensor<@1x@2xf32>, tensor<@2xf32>) -> tensor<@1x@2xf32>
      %m = sinter.mul %a, %c : (tensor<@1x@2xf32>, tensor<@1x1xf32>) -> tensor<@1x@2xf32>
      %y = sinter.neg %m : tensor<@1x@2xf32>
      return %m, %y : tensor<@1x@2xf32>, tensor<@1x@2xf32> })"},
    {"flat", {{1, 3}, {7, 16}, {5, 33}, {100, 100}}, R"(func.func @predict(%x: tensor<@1x@2xf32>, %z: tensor<@1x@2xf32>, %k: tensor<f32>) -> tensor<@1x@2xf32> {
      %m = sinter.mul %x, %k : (tensor<@1x@2xf32>, tensor<f32>) -> tensor<@1x@2xf32>
      %e = sinter.sin %z : tensor<@1x@2xf32>
      %y = sinter.add %m, %e : (tensor<@1x@2xf32>, tensor<@1x@2xf32>) -> tensor<@1x@2xf32>
      return %y : tensor<@1x@2xf32> })"},
    {"single_beside_flat", {{5, 33}, {1, 16}}, R"(func.func @predict(%x: tensor<@1x@2xf32>, %k: tensor<1x1xf32>) -> (tensor<1x1xf32>, tensor<@1x@2xf32>) {
      %n = sinter.neg %k : tensor<1x1xf32>
      %y = sinter.mul %x, %n : (tensor<@1x@2xf32>, tensor<1x1xf32>) -> tensor<@1x@2xf32>
      return %n, %y : tensor<1x1xf32>, tensor<@1x@2xf32> })"},

    // ---- Shapes
    {"join", {{1, 5, 7}, {16, 3, 35}, {17, 16, 50}}, R"(func.func @predict(%a: tensor<?x@1xf32>, %b: tensor<?x@2xf32>) -> tensor<?x@3xf32> {
      %t = sinter.tanh %a : tensor<?x@1xf32>
      %n = sinter.neg %b : tensor<?x@2xf32>
      %y = sinter.concatenate %t, %n, %t axis 1 : (tensor<?x@1xf32>, tensor<?x@2xf32>, tensor<?x@1xf32>) -> tensor<?x@3xf32>
      return %y : tensor<?x@3xf32> })"},
    {"cut_and_fill", {{9}}, R"(func.func @predict(%a: tensor<?x@1xf32>) -> (tensor<?x12xf32>, tensor<?x4xf32>) {
      %e = sinter.abs %a : tensor<?x@1xf32>
      %s = sinter.slice %e axis 1 from 3 size 4 : (tensor<?x@1xf32>) -> tensor<?x4xf32>
      %p = sinter.pad %s axis 1 low 5 high 3 : (tensor<?x4xf32>) -> tensor<?x12xf32>
      %c = sinter.concatenate %a, %s axis 1 : (tensor<?x@1xf32>, tensor<?x4xf32>) -> tensor<?x13xf32>
      %d = sinter.slice %c axis 1 from 1 size 12 : (tensor<?x13xf32>) -> tensor<?x12xf32>
      %y = sinter.add %p, %d : (tensor<?x12xf32>, tensor<?x12xf32>) -> tensor<?x12xf32>
      return %y, %s : tensor<?x12xf32>, tensor<?x4xf32> })"},
    {"views", once, R"(func.func @predict(%a: tensor<?x2x9xf32>, %k: tensor<3x6xf32>) -> (tensor<?x18xf32>, tensor<?x6x3xf32>, tensor<18xf32>) {
      %e = sinter.exp %a : tensor<?x2x9xf32>
      %v = sinter.reshape %e : tensor<?x2x9xf32> -> tensor<?x18xf32>
      %n = sinter.neg %v : tensor<?x18xf32>
      %w = sinter.reshape %n : tensor<?x18xf32> -> tensor<?x6x3xf32>
      %l = sinter.reshape %k : tensor<3x6xf32> -> tensor<18xf32>
      %y = sinter.add %v, %l : (tensor<?x18xf32>, tensor<18xf32>) -> tensor<?x18xf32>
      return %y, %w, %l : tensor<?x18xf32>, tensor<?x6x3xf32>, tensor<18xf32> })"},
    {"shared_results", {{5}}, R"(func.func @predict(%a: tensor<?x@1xf32>, %b: tensor<@1xf32>) -> (tensor<?x@1xf32>, tensor<?x@1xf32>, tensor<?x@1xf32>, tensor<@1xf32>, tensor<f32>) {
      %c = sinter.constant dense<2.5> : tensor<f32>
      %y = sinter.add %a, %b : (tensor<?x@1xf32>, tensor<@1xf32>) -> tensor<?x@1xf32>
      return %y, %y, %a, %b, %c : tensor<?x@1xf32>, tensor<?x@1xf32>, tensor<?x@1xf32>, tensor<@1xf32>, tensor<f32> })"},
    {"one_per_sample", once, R"(func.func @predict(%a: tensor<?xf32>, %b: tensor<?x1xf32>, %x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x1xf32>, tensor<f32>) {
      %r = sinter.reshape %a : tensor<?xf32> -> tensor<?x1xf32>
      %s = sinter.add %r, %b : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
      %y = sinter.mul %x, %s : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
      %t = sinter.reduce_sum %a axes [0] : (tensor<?xf32>) -> tensor<f32>
      return %y, %s, %t : tensor<?x4xf32>, tensor<?x1xf32>, tensor<f32> })"},
    {"choose", {{17}}, R"(func.func @predict(%a: tensor<?x@1xf32>, %b: tensor<@1xf32>, %c: tensor<?x1xf32>) -> tensor<?x@1xf32> {
      %g = sinter.greater %a, %c : (tensor<?x@1xf32>, tensor<?x1xf32>) -> tensor<?x@1xf32>
      %h = sinter.greater %c, %b : (tensor<?x1xf32>, tensor<@1xf32>) -> tensor<?x@1xf32>
      %s = sinter.select %g, %b, %a : (tensor<?x@1xf32>, tensor<@1xf32>, tensor<?x@1xf32>) -> tensor<?x@1xf32>
      %y = sinter.select %h, %s, %c : (tensor<?x@1xf32>, tensor<?x@1xf32>, tensor<?x1xf32>) -> tensor<?x@1xf32>
      return %y : tensor<?x@1xf32> })"},

    // ---- Windows over images
    {"convolution", channels, R"(func.func @predict(%x: tensor<?x6x7x@1xf32>, %w: tensor<3x3x@1x@2xf32>, %b: tensor<@2xf32>) -> tensor<?x6x7x@2xf32> {
      %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x7x@1xf32>, tensor<3x3x@1x@2xf32>) -> tensor<?x6x7x@2xf32>
      %z = sinter.add %c, %b : (tensor<?x6x7x@2xf32>, tensor<@2xf32>) -> tensor<?x6x7x@2xf32>
      %y = sinter.relu %z : tensor<?x6x7x@2xf32>
      return %y : tensor<?x6x7x@2xf32> })"},
    {"convolution_uneven", {{3, 5}, {17, 16}}, R"(func.func @predict(%x: tensor<?x9x8x@1xf32>, %w: tensor<2x5x@1x@2xf32>) -> (tensor<?x5x3x@2xf32>, tensor<?x5x3x@2xf32>) {
      %c = sinter.conv2d %x, %w strides [2, 3] dilations [2, 1] padding [0, 2, 2, 1] groups 1 : (tensor<?x9x8x@1xf32>, tensor<2x5x@1x@2xf32>) -> tensor<?x5x3x@2xf32>
      %y = sinter.silu %c : tensor<?x5x3x@2xf32>
      return %c, %y : tensor<?x5x3x@2xf32>, tensor<?x5x3x@2xf32> })"},
    {"convolution_borders", {{3, 5}, {9, 14}}, R"(func.func @predict(%x: tensor<?x4x21x@1xf32>, %w: tensor<2x3x@1x@2xf32>, %d: tensor<?x3x11x@2xf32>) -> (tensor<?x3x21x@2xf32>, tensor<?x3x11x@2xf32>, tensor<?x4x21x@1xf32>, tensor<?x4x22x@1xf32>, tensor<?x4x13x@1xf32>) {
      %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 2] padding [0, 0, 2, 2] groups 1 : (tensor<?x4x21x@1xf32>, tensor<2x3x@1x@2xf32>) -> tensor<?x3x21x@2xf32>
      %z = sinter.conv2d %x, %w strides [1, 2] dilations [1, 1] padding [0, 0, 1, 1] groups 1 : (tensor<?x4x21x@1xf32>, tensor<2x3x@1x@2xf32>) -> tensor<?x3x11x@2xf32>
      %t = sinter.conv2d_transpose %d, %w size [4, 21] strides [1, 2] dilations [1, 1] padding [0, 0, 1, 1] groups 1 : (tensor<?x3x11x@2xf32>, tensor<2x3x@1x@2xf32>) -> tensor<?x4x21x@1xf32>
      %u = sinter.conv2d_transpose %d, %w size [4, 22] strides [1, 2] dilations [1, 1] padding [0, 0, 0, 1] groups 1 : (tensor<?x3x11x@2xf32>, tensor<2x3x@1x@2xf32>) -> tensor<?x4x22x@1xf32>
      %v = sinter.conv2d_transpose %d, %w size [4, 13] strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x3x11x@2xf32>, tensor<2x3x@1x@2xf32>) -> tensor<?x4x13x@1xf32>
      return %y, %z, %t, %u, %v : tensor<?x3x21x@2xf32>, tensor<?x3x11x@2xf32>, tensor<?x4x21x@1xf32>, tensor<?x4x22x@1xf32>, tensor<?x4x13x@1xf32> })"},
    {"convolution_of_state", {{5, 7}}, R"(func.func @predict(%x: tensor<?x4x4x@1xf32>) -> tensor<?x4x4x@2xf32> {
      %k = sinter.read @k : tensor<@1x@2xf32>
      %w = sinter.reshape %k : tensor<@1x@2xf32> -> tensor<1x1x@1x@2xf32>
      %e = sinter.sigmoid %x : tensor<?x4x4x@1xf32>
      %y = sinter.conv2d %e, %w strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x4x4x@1xf32>, tensor<1x1x@1x@2xf32>) -> tensor<?x4x4x@2xf32>
      return %y : tensor<?x4x4x@2xf32> })",
     "sinter.state parameter @k : tensor<@1x@2xf32> = uniform(-1.0, 1.0)"},
    {"convolution_in_groups", {{3}, {17}, {32}}, R"(func.func @predict(%x: tensor<?x5x4x@1xf32>, %w: tensor<3x3x@1xf32>, %d: tensor<?x5x4x@1xf32>) -> (tensor<?x5x4x@1xf32>, tensor<?x5x4x@1xf32>, tensor<3x3x1x@1xf32>) {
      %f = sinter.reshape %w : tensor<3x3x@1xf32> -> tensor<3x3x1x@1xf32>
      %y = sinter.conv2d %x, %f strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups @1 : (tensor<?x5x4x@1xf32>, tensor<3x3x1x@1xf32>) -> tensor<?x5x4x@1xf32>
      %t = sinter.conv2d_transpose %d, %f size [5, 4] strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups @1 : (tensor<?x5x4x@1xf32>, tensor<3x3x1x@1xf32>) -> tensor<?x5x4x@1xf32>
      %g = sinter.conv2d_filter_gradient %x, %d size [3, 3] strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups @1 : (tensor<?x5x4x@1xf32>, tensor<?x5x4x@1xf32>) -> tensor<3x3x1x@1xf32>
      return %y, %t, %g : tensor<?x5x4x@1xf32>, tensor<?x5x4x@1xf32>, tensor<3x3x1x@1xf32> })"},
    {"convolution_gradients", channels, R"(func.func @predict(%x: tensor<?x7x5x@1xf32>, %w: tensor<3x3x@1x@2xf32>, %d: tensor<?x4x3x@2xf32>, %m: tensor<?x7x5x@1xf32>) -> (tensor<?x7x5x@1xf32>, tensor<3x3x@1x@2xf32>, tensor<@2xf32>) {
      %t = sinter.conv2d_transpose %d, %w size [7, 5] strides [2, 2] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x4x3x@2xf32>, tensor<3x3x@1x@2xf32>) -> tensor<?x7x5x@1xf32>
      %z = sinter.constant dense<0.0> : tensor<f32>
      %p = sinter.greater %m, %z : (tensor<?x7x5x@1xf32>, tensor<f32>) -> tensor<?x7x5x@1xf32>
      %y = sinter.mul %t, %p : (tensor<?x7x5x@1xf32>, tensor<?x7x5x@1xf32>) -> tensor<?x7x5x@1xf32>
      %g = sinter.conv2d_filter_gradient %x, %d size [3, 3] strides [2, 2] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x7x5x@1xf32>, tensor<?x4x3x@2xf32>) -> tensor<3x3x@1x@2xf32>
      %u = sinter.sub %w, %g : (tensor<3x3x@1x@2xf32>, tensor<3x3x@1x@2xf32>) -> tensor<3x3x@1x@2xf32>
      %b = sinter.reduce_sum %d axes [0, 1, 2] : (tensor<?x4x3x@2xf32>) -> tensor<@2xf32>
      return %y, %u, %b : tensor<?x7x5x@1xf32>, tensor<3x3x@1x@2xf32>, tensor<@2xf32> })"},
    {"swept_filter_gradient", {{1, 1}, {1, 19}, {2, 5}, {3, 33}}, R"(func.func @predict(%x: tensor<?x7x5x@1xf32>, %y: tensor<?x7x5x@2xf32>, %m: tensor<@2xf32>, %d: tensor<?x4x3x@2xf32>) -> (tensor<3x3x@1x@2xf32>, tensor<@2xf32>, tensor<?x7x@2xf32>) {
      %z = sinter.constant dense<0.0> : tensor<f32>
      %a = sinter.mul %y, %m : (tensor<?x7x5x@2xf32>, tensor<@2xf32>) -> tensor<?x7x5x@2xf32>
      %p = sinter.max_pool2d_gradient %a, %d window [2, 2] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x7x5x@2xf32>, tensor<?x4x3x@2xf32>) -> tensor<?x7x5x@2xf32>
      %s = sinter.sub %p, %m : (tensor<?x7x5x@2xf32>, tensor<@2xf32>) -> tensor<?x7x5x@2xf32>
      %e = sinter.select %y, %s, %z : (tensor<?x7x5x@2xf32>, tensor<?x7x5x@2xf32>, tensor<f32>) -> tensor<?x7x5x@2xf32>
      %g = sinter.conv2d_filter_gradient %x, %e size [3, 3] strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x7x5x@1xf32>, tensor<?x7x5x@2xf32>) -> tensor<3x3x@1x@2xf32>
      %b = sinter.reduce_sum %e axes [0, 1, 2] : (tensor<?x7x5x@2xf32>) -> tensor<@2xf32>
      %r = sinter.reduce_sum %a axes [2] : (tensor<?x7x5x@2xf32>) -> tensor<?x7x@2xf32>
      return %g, %b, %r : tensor<3x3x@1x@2xf32>, tensor<@2xf32>, tensor<?x7x@2xf32> })"},
    {"swept_uneven_gradient", {{1, 5}, {2, 16}}, R"(func.func @predict(%x: tensor<?x9x8x@1xf32>, %d: tensor<?x5x3x@2xf32>, %m: tensor<?x5x3x@2xf32>) -> tensor<2x5x@1x@2xf32> {
      %e = sinter.mul %d, %m : (tensor<?x5x3x@2xf32>, tensor<?x5x3x@2xf32>) -> tensor<?x5x3x@2xf32>
      %g = sinter.conv2d_filter_gradient %x, %e size [2, 5] strides [2, 3] dilations [2, 1] padding [0, 2, 2, 1] groups 1 : (tensor<?x9x8x@1xf32>, tensor<?x5x3x@2xf32>) -> tensor<2x5x@1x@2xf32>
      return %g : tensor<2x5x@1x@2xf32> })"},
    {"swept_average_gradient", {{1, 6}}, R"(func.func @predict(%x: tensor<?x6x5x@1xf32>, %d: tensor<?x3x2x@2xf32>) -> tensor<1x3x@1x@2xf32> {
      %e = sinter.avg_pool2d_gradient %d size [6, 5] window [3, 2] strides [2, 2] padding [1, 0, 0, 0] : (tensor<?x3x2x@2xf32>) -> tensor<?x6x5x@2xf32>
      %g = sinter.conv2d_filter_gradient %x, %e size [1, 3] strides [1, 1] dilations [1, 1] padding [0, 0, 1, 1] groups 1 : (tensor<?x6x5x@1xf32>, tensor<?x6x5x@2xf32>) -> tensor<1x3x@1x@2xf32>
      return %g : tensor<1x3x@1x@2xf32> })"},
    {"winograd", {{1, 1, 2, 4}, {3, 5, 2, 4}, {17, 14, 2, 4}, {33, 70, 2, 4}, {40, 16, 2, 4}, {5, 144, 2, 4}, {1, 1, 4, 6}, {3, 5, 4, 6}, {17, 14, 4, 6}, {33, 70, 4, 6}, {40, 16, 4, 6}, {5, 144, 4, 6}}, R"(func.func @predict(%x: tensor<?x7x6x@1xf32>, %w: tensor<3x3x@1x@2xf32>, %b: tensor<@2xf32>, %d: tensor<?x7x5x@2xf32>) -> (tensor<?x7x5x@2xf32>, tensor<?x7x@2xf32>, tensor<?x7x6x@1xf32>, tensor<@4x@4x@1x@2xf32>) {
      %u = sinter.winograd_filter %w tile @3 : (tensor<3x3x@1x@2xf32>) -> tensor<@4x@4x@1x@2xf32>
      %c = sinter.winograd_conv2d %x, %u padding [1, 1, 0, 1] : (tensor<?x7x6x@1xf32>, tensor<@4x@4x@1x@2xf32>) -> tensor<?x7x5x@2xf32>
      %z = sinter.add %c, %b : (tensor<?x7x5x@2xf32>, tensor<@2xf32>) -> tensor<?x7x5x@2xf32>
      %y = sinter.relu %z : tensor<?x7x5x@2xf32>
      %s = sinter.reduce_sum %y axes [2] : (tensor<?x7x5x@2xf32>) -> tensor<?x7x@2xf32>
      %v = sinter.winograd_filter %w tile @3 flipped : (tensor<3x3x@1x@2xf32>) -> tensor<@4x@4x@2x@1xf32>
      %t = sinter.winograd_conv2d %d, %v padding [1, 1, 2, 1] : (tensor<?x7x5x@2xf32>, tensor<@4x@4x@2x@1xf32>) -> tensor<?x7x6x@1xf32>
      %g = sinter.winograd_filter_gradient %x, %d tile @3 padding [1, 1, 0, 1] : (tensor<?x7x6x@1xf32>, tensor<?x7x5x@2xf32>) -> tensor<@4x@4x@1x@2xf32>
      return %y, %s, %t, %g : tensor<?x7x5x@2xf32>, tensor<?x7x@2xf32>, tensor<?x7x6x@1xf32>, tensor<@4x@4x@1x@2xf32> })"},
    {"winograd_filters", {{1, 1, 2, 4}, {3, 5, 2, 4}, {4, 8, 2, 4}, {5, 33, 2, 4}, {4, 8, 4, 6}, {5, 33, 4, 6}}, R"(func.func @predict(%x: tensor<?x4x4x@1xf32>, %u: tensor<@4x@4x@1x@2xf32>) -> tensor<3x3x@1x@2xf32> {
      %w = sinter.winograd_filter_adjoint %u : (tensor<@4x@4x@1x@2xf32>) -> tensor<3x3x@1x@2xf32>
      return %w : tensor<3x3x@1x@2xf32> })"},
    {"winograd_tiles", {{2, 3, 2, 4}, {16, 64, 2, 4}, {2, 3, 4, 6}, {16, 16, 4, 6}, {33, 32, 4, 6}}, R"(func.func @predict(%x: tensor<?x10x13x@1xf32>, %w: tensor<3x3x@1x@2xf32>, %d: tensor<?x10x13x@2xf32>) -> (tensor<?x10x13x@2xf32>, tensor<?x10x13x@1xf32>, tensor<@4x@4x@1x@2xf32>) {
      %u = sinter.winograd_filter %w tile @3 : (tensor<3x3x@1x@2xf32>) -> tensor<@4x@4x@1x@2xf32>
      %y = sinter.winograd_conv2d %x, %u padding [1, 1, 1, 1] : (tensor<?x10x13x@1xf32>, tensor<@4x@4x@1x@2xf32>) -> tensor<?x10x13x@2xf32>
      %v = sinter.winograd_filter %w tile @3 flipped : (tensor<3x3x@1x@2xf32>) -> tensor<@4x@4x@2x@1xf32>
      %t = sinter.winograd_conv2d %d, %v padding [1, 1, 1, 1] : (tensor<?x10x13x@2xf32>, tensor<@4x@4x@2x@1xf32>) -> tensor<?x10x13x@1xf32>
      %g = sinter.winograd_filter_gradient %x, %d tile @3 padding [1, 1, 1, 1] : (tensor<?x10x13x@1xf32>, tensor<?x10x13x@2xf32>) -> tensor<@4x@4x@1x@2xf32>
      return %y, %t, %g : tensor<?x10x13x@2xf32>, tensor<?x10x13x@1xf32>, tensor<@4x@4x@1x@2xf32> })"},
    {"winograd_blocks", {{16, 48, 2, 4}, {32, 16, 4, 6}}, R"(func.func @predict(%x: tensor<?x6x5x@1xf32>, %w: tensor<3x3x@1x@2xf32>, %v: tensor<3x3x@2x@1xf32>) -> (tensor<?x6x5x@2xf32>, tensor<?x6x5x@2xf32>) {
      %u = sinter.winograd_filter %w tile @3 blocked : (tensor<3x3x@1x@2xf32>) -> tensor<@4x@4x@1x@2xf32, #sinter.filter_blocks>
      %f = sinter.winograd_filter %v tile @3 flipped blocked : (tensor<3x3x@2x@1xf32>) -> tensor<@4x@4x@1x@2xf32, #sinter.filter_blocks>
      %y = sinter.winograd_conv2d %x, %u padding [1, 1, 1, 1] : (tensor<?x6x5x@1xf32>, tensor<@4x@4x@1x@2xf32, #sinter.filter_blocks>) -> tensor<?x6x5x@2xf32>
      %z = sinter.winograd_conv2d %x, %f padding [1, 1, 1, 1] : (tensor<?x6x5x@1xf32>, tensor<@4x@4x@1x@2xf32, #sinter.filter_blocks>) -> tensor<?x6x5x@2xf32>
      return %y, %z : tensor<?x6x5x@2xf32>, tensor<?x6x5x@2xf32> })"},
    {"pools", widths, R"(func.func @predict(%x: tensor<?x7x5x@1xf32>) -> (tensor<?x4x3x@1xf32>, tensor<?x4x3x@1xf32>, tensor<?x3x4x@1xf32>) {
      %e = sinter.neg %x : tensor<?x7x5x@1xf32>
      %m = sinter.max_pool2d %e window [2, 2] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x7x5x@1xf32>) -> tensor<?x4x3x@1xf32>
      %a = sinter.avg_pool2d %e window [2, 2] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x7x5x@1xf32>) -> tensor<?x4x3x@1xf32>
      %o = sinter.max_pool2d %x window [3, 2] strides [2, 1] padding [0, 0, 0, 0] : (tensor<?x7x5x@1xf32>) -> tensor<?x3x4x@1xf32>
      return %m, %a, %o : tensor<?x4x3x@1xf32>, tensor<?x4x3x@1xf32>, tensor<?x3x4x@1xf32> })"},
    {"max_gathers", widths, R"(func.func @predict(%x: tensor<?x7x5x@1xf32>, %v: tensor<?x7x5x@1xf32>) -> (tensor<?x4x3x@1xf32>, tensor<?x4x3x@1xf32>, tensor<?x3x4x@1xf32>) {
      %e = sinter.neg %x : tensor<?x7x5x@1xf32>
      %m = sinter.max_pool2d %e window [2, 2] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x7x5x@1xf32>) -> tensor<?x4x3x@1xf32>
      %g = sinter.max_pool2d_gather %e, %v window [2, 2] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x7x5x@1xf32>, tensor<?x7x5x@1xf32>) -> tensor<?x4x3x@1xf32>
      %o = sinter.max_pool2d_gather %v, %x window [3, 2] strides [2, 1] padding [0, 0, 0, 0] : (tensor<?x7x5x@1xf32>, tensor<?x7x5x@1xf32>) -> tensor<?x3x4x@1xf32>
      return %m, %g, %o : tensor<?x4x3x@1xf32>, tensor<?x4x3x@1xf32>, tensor<?x3x4x@1xf32> })"},
    {"pool_gradients", widths, R"(func.func @predict(%x: tensor<?x7x5x@1xf32>, %d: tensor<?x4x3x@1xf32>, %o: tensor<?x5x4x@1xf32>) -> (tensor<?x7x5x@1xf32>, tensor<?x7x5x@1xf32>, tensor<?x7x5x@1xf32>) {
      %m = sinter.max_pool2d_gradient %x, %d window [2, 2] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x7x5x@1xf32>, tensor<?x4x3x@1xf32>) -> tensor<?x7x5x@1xf32>
      %y = sinter.relu %m : tensor<?x7x5x@1xf32>
      %a = sinter.avg_pool2d_gradient %d size [7, 5] window [2, 2] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x4x3x@1xf32>) -> tensor<?x7x5x@1xf32>
      %s = sinter.max_pool2d_gradient %x, %o window [3, 2] strides [1, 1] padding [0, 0, 0, 0] : (tensor<?x7x5x@1xf32>, tensor<?x5x4x@1xf32>) -> tensor<?x7x5x@1xf32>
      return %y, %a, %s : tensor<?x7x5x@1xf32>, tensor<?x7x5x@1xf32>, tensor<?x7x5x@1xf32> })"},
    {"overlapping_pool_gradients", widths, R"(func.func @predict(%x: tensor<?x37x9x@1xf32>, %d: tensor<?x18x5x@1xf32>) -> (tensor<?x37x9x@1xf32>, tensor<?x37x@1xf32>) {
      %n = sinter.neg %x : tensor<?x37x9x@1xf32>
      %a = sinter.max_pool2d_gradient %x, %d window [3, 3] strides [2, 2] padding [0, 0, 1, 1] : (tensor<?x37x9x@1xf32>, tensor<?x18x5x@1xf32>) -> tensor<?x37x9x@1xf32>
      %b = sinter.max_pool2d_gradient %n, %d window [3, 3] strides [2, 2] padding [0, 0, 1, 1] : (tensor<?x37x9x@1xf32>, tensor<?x18x5x@1xf32>) -> tensor<?x37x9x@1xf32>
      %s = sinter.sub %a, %b : (tensor<?x37x9x@1xf32>, tensor<?x37x9x@1xf32>) -> tensor<?x37x9x@1xf32>
      %m = sinter.mul %s, %n : (tensor<?x37x9x@1xf32>, tensor<?x37x9x@1xf32>) -> tensor<?x37x9x@1xf32>
      %r = sinter.reduce_sum %m axes [2] : (tensor<?x37x9x@1xf32>) -> tensor<?x37x@1xf32>
      return %s, %r : tensor<?x37x9x@1xf32>, tensor<?x37x@1xf32> })"},
    {"convolution_norm_pool", {{1, 5}, {3, 17}}, R"(func.func @predict(%x: tensor<?x6x5x@1xf32>, %w: tensor<3x3x@1x@2xf32>, %b: tensor<@2xf32>, %g: tensor<@2xf32>, %s: tensor<@2xf32>) -> (tensor<?x3x3x@2xf32>, tensor<?x6x5x@2xf32>) {
      %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x5x@1xf32>, tensor<3x3x@1x@2xf32>) -> tensor<?x6x5x@2xf32>
      %z = sinter.add %c, %b : (tensor<?x6x5x@2xf32>, tensor<@2xf32>) -> tensor<?x6x5x@2xf32>
      %r = sinter.relu %z : tensor<?x6x5x@2xf32>
      %n = sinter.batch_norm %r, %g, %b, %s epsilon 0.1 : (tensor<?x6x5x@2xf32>, tensor<@2xf32>, tensor<@2xf32>, tensor<@2xf32>) -> tensor<?x6x5x@2xf32>
      %y = sinter.max_pool2d %n window [2, 2] strides [2, 2] padding [0, 0, 0, 1] : (tensor<?x6x5x@2xf32>) -> tensor<?x3x3x@2xf32>
      return %y, %r : tensor<?x3x3x@2xf32>, tensor<?x6x5x@2xf32> })"},
    {"norms", {{5}, {16}, {33}}, R"(func.func @predict(%x: tensor<?x3x2x@1xf32>, %g: tensor<@1xf32>, %b: tensor<@1xf32>, %a: tensor<2x@1xf32>) -> (tensor<?x3x2x@1xf32>, tensor<?x3x2x@1xf32>, tensor<?x3x2x@1xf32>) {
      %n = sinter.batch_norm %x, %g, %b, %b epsilon 0.1 : (tensor<?x3x2x@1xf32>, tensor<@1xf32>, tensor<@1xf32>, tensor<@1xf32>) -> tensor<?x3x2x@1xf32>
      %r = sinter.relu %n : tensor<?x3x2x@1xf32>
      %l = sinter.layer_norm %x, %g, %b axes 1 epsilon 0.1 : (tensor<?x3x2x@1xf32>, tensor<@1xf32>, tensor<@1xf32>) -> tensor<?x3x2x@1xf32>
      %m = sinter.layer_norm %x, %a, %a axes 2 epsilon 0.1 : (tensor<?x3x2x@1xf32>, tensor<2x@1xf32>, tensor<2x@1xf32>) -> tensor<?x3x2x@1xf32>
      return %r, %l, %m : tensor<?x3x2x@1xf32>, tensor<?x3x2x@1xf32>, tensor<?x3x2x@1xf32> })"},
    {"moved_pixels", {{1}, {5}, {17}}, R"(func.func @predict(%x: tensor<?x3x4x@1xf32>) -> (tensor<?x6x12x@1xf32>, tensor<?x@1x3x4xf32>, tensor<?x4x3x@1xf32>) {
      %e = sinter.abs %x : tensor<?x3x4x@1xf32>
      %u = sinter.upsample %e factors [2, 3] : (tensor<?x3x4x@1xf32>) -> tensor<?x6x12x@1xf32>
      %t = sinter.transpose %e permutation [0, 3, 1, 2] : (tensor<?x3x4x@1xf32>) -> tensor<?x@1x3x4xf32>
      %s = sinter.transpose %x permutation [0, 2, 1, 3] : (tensor<?x3x4x@1xf32>) -> tensor<?x4x3x@1xf32>
      %y = sinter.neg %s : tensor<?x4x3x@1xf32>
      return %u, %t, %y : tensor<?x6x12x@1xf32>, tensor<?x@1x3x4xf32>, tensor<?x4x3x@1xf32> })"},
    {"channel_sums", widths, R"(func.func @predict(%x: tensor<?x3x4x@1xf32>, %s: tensor<@1xf32>) -> (tensor<@1xf32>, tensor<@1xf32>, tensor<4x@1xf32>, tensor<f32>) attributes {from = -1.0, to = 2.0} {
      %d = sinter.sub %x, %s : (tensor<?x3x4x@1xf32>, tensor<@1xf32>) -> tensor<?x3x4x@1xf32>
      %q = sinter.mul %d, %d : (tensor<?x3x4x@1xf32>, tensor<?x3x4x@1xf32>) -> tensor<?x3x4x@1xf32>
      %a = sinter.reduce_sum %d axes [0, 1, 2] : (tensor<?x3x4x@1xf32>) -> tensor<@1xf32>
      %b = sinter.reduce_sum %q axes [0, 1, 2] : (tensor<?x3x4x@1xf32>) -> tensor<@1xf32>
      %c = sinter.reduce_sum %q axes [0, 1] : (tensor<?x3x4x@1xf32>) -> tensor<4x@1xf32>
      %t = sinter.reduce_sum %x axes [0, 1, 2, 3] : (tensor<?x3x4x@1xf32>) -> tensor<f32>
      return %a, %b, %c, %t : tensor<@1xf32>, tensor<@1xf32>, tensor<4x@1xf32>, tensor<f32> })"},
    {"pixels_of_space", {{3}, {16}}, R"(func.func @predict(%x: tensor<?x3x4x@1xf32>) -> (tensor<?x@1xf32>, tensor<?x1x1x@1xf32>) {
      %s = sinter.reduce_sum %x axes [1, 2] : (tensor<?x3x4x@1xf32>) -> tensor<?x@1xf32>
      %n = sinter.constant dense<12.0> : tensor<f32>
      %a = sinter.div %s, %n : (tensor<?x@1xf32>, tensor<f32>) -> tensor<?x@1xf32>
      %m = sinter.reduce_max %x axes [1, 2] keep_dims : (tensor<?x3x4x@1xf32>) -> tensor<?x1x1x@1xf32>
      return %a, %m : tensor<?x@1xf32>, tensor<?x1x1x@1xf32> })"},

    // ---- Integers
    {"integers", {{5}}, R"(func.func @predict(%a: tensor<?x@1xi32>, %b: tensor<@1xi32>, %n: tensor<i32>) -> (tensor<?x@1xi32>, tensor<?x@1xf32>, tensor<?x@1xf32>, tensor<f32>) attributes {classes = 4} {
      %s = sinter.add %a, %b : (tensor<?x@1xi32>, tensor<@1xi32>) -> tensor<?x@1xi32>
      %g = sinter.greater %s, %b : (tensor<?x@1xi32>, tensor<@1xi32>) -> tensor<?x@1xf32>
      %e = sinter.equal %a, %b : (tensor<?x@1xi32>, tensor<@1xi32>) -> tensor<?x@1xf32>
      %f = sinter.cast %s : tensor<?x@1xi32> -> tensor<?x@1xf32>
      %y = sinter.sub %f, %g : (tensor<?x@1xf32>, tensor<?x@1xf32>) -> tensor<?x@1xf32>
      %c = sinter.cast %n : tensor<i32> -> tensor<f32>
      return %s, %e, %y, %c : tensor<?x@1xi32>, tensor<?x@1xf32>, tensor<?x@1xf32>, tensor<f32> })"},
    {"labels", {{1}, {3}, {20}}, R"(func.func @predict(%a: tensor<?xi32>) -> tensor<?x@1xf32> attributes {classes = @1} {
      %y = sinter.one_hot %a classes @1 : (tensor<?xi32>) -> tensor<?x@1xf32>
      return %y : tensor<?x@1xf32> })"},
    {"batch_size", {{3}}, R"(func.func @predict(%a: tensor<?x@1xf32>) -> (tensor<?x@1xf32>, tensor<f32>) {
      %n = sinter.batch_size : tensor<f32>
      %y = sinter.div %a, %n : (tensor<?x@1xf32>, tensor<f32>) -> tensor<?x@1xf32>
      return %y, %n : tensor<?x@1xf32>, tensor<f32> })"},

    // ---- Random numbers
    {"uniform", {{1}, {5}, {34}}, R"(func.func @predict(%a: tensor<?x@1xf32>) -> tensor<?x@1xf32> {
      %s = sinter.read @seed : tensor<2xi32>
      %i = sinter.read @iteration : tensor<i32>
      %y = sinter.random_uniform %s, %i stream 7 : (tensor<2xi32>, tensor<i32>) -> tensor<?x@1xf32>
      return %y : tensor<?x@1xf32> })",
     "sinter.state seed @seed : tensor<2xi32> = constant(0.0, 0.0)\n"
     "sinter.state iteration @iteration : tensor<i32> = constant(0.0, 0.0)"},
    {"uniform_rows", once, R"(func.func @predict(%a: tensor<?x3x5xf32>, %s: tensor<2xi32>, %i: tensor<i32>) -> (tensor<?x3x5xf32>, tensor<?xf32>) attributes {classes = 1000} {
      %u = sinter.random_uniform %s, %i stream 0 : (tensor<2xi32>, tensor<i32>) -> tensor<?x3x5xf32>
      %y = sinter.mul %u, %a : (tensor<?x3x5xf32>, tensor<?x3x5xf32>) -> tensor<?x3x5xf32>
      %v = sinter.random_uniform %s, %i stream 1000000000 : (tensor<2xi32>, tensor<i32>) -> tensor<?xf32>
      return %y, %v : tensor<?x3x5xf32>, tensor<?xf32> })"},
    {"normal", {{1}, {5}, {34}}, R"(func.func @predict(%a: tensor<?x@1xf32>, %s: tensor<2xi32>, %i: tensor<i32>) -> tensor<?x@1xf32> attributes {classes = 1000} {
      %y = sinter.random_normal %s, %i stream 3 : (tensor<2xi32>, tensor<i32>) -> tensor<?x@1xf32>
      return %y : tensor<?x@1xf32> })"},

    // ---- State
    {"running", {{1, 5}, {3, 33}}, R"(func.func @predict(%x: tensor<?x@2xf32>) -> tensor<f32> {
      %m = sinter.read @m : tensor<@2xf32>
      %w = sinter.read @w : tensor<@1x@2xf32>
      %s = sinter.reduce_sum %x axes [0] : (tensor<?x@2xf32>) -> tensor<@2xf32>
      %n = sinter.add %m, %s : (tensor<@2xf32>, tensor<@2xf32>) -> tensor<@2xf32>
      sinter.write @m, %n : tensor<@2xf32>
      %v = sinter.add %w, %m : (tensor<@1x@2xf32>, tensor<@2xf32>) -> tensor<@1x@2xf32>
      sinter.write @w, %v : tensor<@1x@2xf32>
      %q = sinter.mul %w, %w : (tensor<@1x@2xf32>, tensor<@1x@2xf32>) -> tensor<@1x@2xf32>
      %t = sinter.reduce_sum %q axes [0, 1] : (tensor<@1x@2xf32>) -> tensor<f32>
      return %t : tensor<f32> })",
     "sinter.state parameter @w : tensor<@1x@2xf32> = uniform(-1.0, 1.0)\n"
     "sinter.state slot @m : tensor<@2xf32> = constant(0.5, 0.0)"},
    {"count", once, R"(func.func @predict(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %i = sinter.read @iteration : tensor<i32>
      %one = sinter.constant dense<1> : tensor<i32>
      %n = sinter.add %i, %one : (tensor<i32>, tensor<i32>) -> tensor<i32>
      sinter.write @iteration, %n : tensor<i32>
      %f = sinter.cast %i : tensor<i32> -> tensor<f32>
      %y = sinter.mul %x, %f : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
      return %y : tensor<?x2xf32> })",
     "sinter.state iteration @iteration : tensor<i32> = constant(0.0, 0.0)"},
};
// clang-format on

static OpText textOf(const Form &form, const std::vector<int64_t> &sizes) {
  std::string name = std::string(form.name) + "_of";
  for (int64_t size : sizes)
    name += "_" + std::to_string(size);
  return {name, fillIn(form.states, sizes), fillIn(form.function, sizes)};
}

std::vector<OpText> sinter::test::opTexts() {
  std::vector<OpText> texts = samples();
  for (const Form &form : forms)
    for (const std::vector<int64_t> &sizes : form.sizes)
      texts.push_back(textOf(form, sizes));
  return texts;
}

std::vector<OpText> sinter::test::largeTexts() {
  // No size is a multiple of a block, a tile or a vector.
  const std::set<std::string> products = {
      "dense", "masked_input_gradient", "weight_gradient", "dropout_of_matmul"};
  std::vector<OpText> texts;
  for (const Form &form : forms)
    if (products.count(form.name))
      texts.push_back(textOf(form, {801, 803}));
  return texts;
}

std::vector<OpText> sinter::test::streamedTexts(int64_t batchBound) {
  int64_t filters = (11 << 20) / (6 * 7 * 4 * batchBound) + 1;
  std::vector<OpText> texts;
  for (const Form &form : forms)
    if (form.name == std::string("convolution"))
      texts.push_back(textOf(form, {1, filters}));
  return texts;
}

std::vector<OpText> sinter::test::streamedFilterTexts() {
  // Transformed filters of 10.6 MB.
  return {
      {"streamed_filters", "",
       fillIn(
           R"(func.func @predict(%x: tensor<?x1x1x@1xf32>, %w: tensor<3x3x@1x@2xf32>, %v: tensor<3x3x@2x@1xf32>) -> (tensor<?x1x1x@2xf32>, tensor<?x1x1x@2xf32>) {
      %u = sinter.winograd_filter %w tile 4 blocked : (tensor<3x3x@1x@2xf32>) -> tensor<6x6x@1x@2xf32, #sinter.filter_blocks>
      %f = sinter.winograd_filter %v tile 4 flipped blocked : (tensor<3x3x@2x@1xf32>) -> tensor<6x6x@1x@2xf32, #sinter.filter_blocks>
      %y = sinter.winograd_conv2d %x, %u padding [1, 1, 1, 1] : (tensor<?x1x1x@1xf32>, tensor<6x6x@1x@2xf32, #sinter.filter_blocks>) -> tensor<?x1x1x@2xf32>
      %z = sinter.winograd_conv2d %x, %f padding [1, 1, 1, 1] : (tensor<?x1x1x@1xf32>, tensor<6x6x@1x@2xf32, #sinter.filter_blocks>) -> tensor<?x1x1x@2xf32>
      return %y, %z : tensor<?x1x1x@2xf32>, tensor<?x1x1x@2xf32> })",
           {264, 288})}};
}

std::vector<OpText> sinter::test::streamedDepthwiseTexts() {
  // Images of 10.9 MB for 64 samples, pixels three pages apart.
  return {
      {"streamed_depthwise", "",
       fillIn(
           R"(func.func @predict(%x: tensor<?x27x33x@1xf32>, %w: tensor<3x3x1x@1xf32>, %d: tensor<?x27x33x@1xf32>, %b: tensor<@1xf32>) -> (tensor<?x27x33x@1xf32>, tensor<?x27x@1xf32>, tensor<?x27x33x@1xf32>, tensor<?x27x33x@1xf32>, tensor<3x3x1x@1xf32>) {
      %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 0, 2] groups @1 : (tensor<?x27x33x@1xf32>, tensor<3x3x1x@1xf32>) -> tensor<?x27x33x@1xf32>
      %z = sinter.add %c, %b : (tensor<?x27x33x@1xf32>, tensor<@1xf32>) -> tensor<?x27x33x@1xf32>
      %y = sinter.relu %z : tensor<?x27x33x@1xf32>
      %s = sinter.reduce_sum %y axes [2] : (tensor<?x27x33x@1xf32>) -> tensor<?x27x@1xf32>
      %l = sinter.conv2d %d, %w strides [1, 1] dilations [2, 1] padding [2, 2, 1, 1] groups @1 : (tensor<?x27x33x@1xf32>, tensor<3x3x1x@1xf32>) -> tensor<?x27x33x@1xf32>
      %t = sinter.conv2d_transpose %d, %w size [27, 33] strides [1, 1] dilations [1, 1] padding [1, 1, 0, 2] groups @1 : (tensor<?x27x33x@1xf32>, tensor<3x3x1x@1xf32>) -> tensor<?x27x33x@1xf32>
      %g = sinter.conv2d_filter_gradient %x, %d size [3, 3] strides [1, 1] dilations [1, 1] padding [1, 1, 0, 2] groups @1 : (tensor<?x27x33x@1xf32>, tensor<?x27x33x@1xf32>) -> tensor<3x3x1x@1xf32>
      return %y, %s, %l, %t, %g : tensor<?x27x33x@1xf32>, tensor<?x27x@1xf32>, tensor<?x27x33x@1xf32>, tensor<?x27x33x@1xf32>, tensor<3x3x1x@1xf32> })",
           {48})}};
}

std::vector<OpText> sinter::test::packedFilterTexts() {
  // Filters of 1.1 MB.
  struct {
    const char *name;
    std::vector<int64_t> sizes;
  } cases[] = {{"convolution", {120, 257}},
               {"convolution_borders", {180, 260}}};
  std::vector<OpText> texts;
  for (const auto &[name, sizes] : cases)
    for (const Form &form : forms)
      if (form.name == std::string(name))
        texts.push_back(textOf(form, sizes));
  return texts;
}

std::vector<OpText> sinter::test::madeFilterTexts() {
  // Transformed filters of 4.4 MB.
  std::vector<OpText> texts;
  for (const Form &form : forms)
    if (form.name == std::string("winograd_blocks"))
      texts.push_back(textOf(form, {192, 160, 4, 6}));
  return texts;
}

std::vector<OpText> sinter::test::allTapsTexts() {
  // Gradients of transformed filters of 4.2 to 5 MB; parts of the filters, and
  // blocks of channels of which the last has fewer.
  struct {
    const char *name;
    std::vector<int64_t> sizes; // image, channels, filters, tile, its taps
  } forms[] = {{"all_taps_of_tiles", {7, 6, 5, 183, 192, 4, 6}},
               {"all_taps_of_a_tile", {3, 4, 3, 165, 192, 4, 6}},
               {"all_taps_of_small_tiles", {3, 2, 1, 250, 272, 2, 4}}};
  std::vector<OpText> texts;
  for (const auto &form : forms)
    texts.push_back(
        {form.name, "",
         fillIn(
             R"(func.func @predict(%x: tensor<?x@1x@2x@4xf32>, %d: tensor<?x@1x@3x@5xf32>) -> tensor<3x3x@4x@5xf32> {
      %u = sinter.winograd_filter_gradient %x, %d tile @6 padding [1, 1, 0, 1] : (tensor<?x@1x@2x@4xf32>, tensor<?x@1x@3x@5xf32>) -> tensor<@7x@7x@4x@5xf32>
      %w = sinter.winograd_filter_adjoint %u : (tensor<@7x@7x@4x@5xf32>) -> tensor<3x3x@4x@5xf32>
      return %w : tensor<3x3x@4x@5xf32> })",
             form.sizes)});
  texts.push_back(
      {"all_taps_and_update",
       R"(
    sinter.state parameter @w : tensor<3x3x183x192xf32> = uniform(-0.1, 0.1)
    sinter.state slot @m : tensor<3x3x183x192xf32> = uniform(-0.1, 0.1))",
       R"(func.func @predict(%x: tensor<?x7x6x183xf32>, %d: tensor<?x7x5x192xf32>, %r: tensor<f32>) -> tensor<?x7x6x183xf32> {
      %u = sinter.winograd_filter_gradient %x, %d tile 4 padding [1, 1, 0, 1] : (tensor<?x7x6x183xf32>, tensor<?x7x5x192xf32>) -> tensor<6x6x183x192xf32>
      %g = sinter.winograd_filter_adjoint %u : (tensor<6x6x183x192xf32>) -> tensor<3x3x183x192xf32>
      %m = sinter.read @m : tensor<3x3x183x192xf32>
      %w = sinter.read @w : tensor<3x3x183x192xf32>
      %s = sinter.mul %g, %r : (tensor<3x3x183x192xf32>, tensor<f32>) -> tensor<3x3x183x192xf32>
      %n = sinter.sub %m, %s : (tensor<3x3x183x192xf32>, tensor<3x3x183x192xf32>) -> tensor<3x3x183x192xf32>
      %v = sinter.add %w, %n : (tensor<3x3x183x192xf32>, tensor<3x3x183x192xf32>) -> tensor<3x3x183x192xf32>
      sinter.write @m, %n : tensor<3x3x183x192xf32>
      sinter.write @w, %v : tensor<3x3x183x192xf32>
      %y = sinter.neg %x : tensor<?x7x6x183xf32>
      return %y : tensor<?x7x6x183xf32> })"});
  return texts;
}

std::string sinter::test::modelText(const OpText &text, int64_t batchBound) {
  return "sinter.model @" + text.name + " batch_bound " +
         std::to_string(batchBound) + " {\n" + text.states + "\n" +
         text.function + "\n}\n";
}
