//===- Program.h - MLIR text that a unit test runs -----------------------===//
//
// A Program is a parsed module, the diagnostics that it caused, and a few
// questions that several tests ask: its functions, the ops used, a run with the
// reference interpreter, inputs to run with.
//
//===----------------------------------------------------------------------===//

#ifndef SINTER_TESTS_UNIT_IR_PROGRAM_H
#define SINTER_TESTS_UNIT_IR_PROGRAM_H

#include "ir/SinterDialect.h"
#include "ir/reference/Interpreter.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"

#include <random>
#include <set>

namespace sinter::test {

class Program {
public:
  /// Parses `text`; `ok()` says whether that worked.
  explicit Program(llvm::StringRef text);
  /// Parses a file below tests/; a missing one ends the test.
  static std::unique_ptr<Program> load(llvm::StringRef path);

  bool ok() const { return module.get(); }
  mlir::ModuleOp getModule() { return *module; }
  /// Functions in the module or in a model in it, in order.
  std::vector<mlir::func::FuncOp> functions();
  mlir::func::FuncOp function(llvm::StringRef name);
  /// Full names of all ops used.
  std::set<std::string> opNames();
  /// One "message\n" per diagnostic so far.
  const std::string &diagnostics() const { return messages; }

private:
  mlir::MLIRContext context;
  std::string messages;
  std::unique_ptr<mlir::ScopedDiagnosticHandler> handler;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// The dialect's ops, whether used in a test or not.
std::vector<mlir::RegisteredOperationName> registeredOps();

/// Runs a function whose states, if any, have f32 values in the text; a failure
/// ends the test.
std::vector<reference::Tensor>
run(mlir::func::FuncOp function, const std::vector<reference::Tensor> &inputs,
    reference::Precision precision = reference::Precision::Float32,
    std::optional<size_t> batch = {});

/// Equal in shape and in every element. (Catch would take xtensor's == apart.)
inline bool same(const reference::Array &a, const reference::Array &b) {
  return a == b;
}

/// Values for each argument of a function: uniform on its attributes
/// [`from`, `to`), -2 and 2 unless given; labels below its attribute `classes`.
std::vector<reference::Tensor> randomInputs(mlir::func::FuncOp function,
                                            size_t batch,
                                            std::mt19937_64 &random);

/// A tensor of the type, the batch filled in, with elements from `next()`.
template <typename Next>
reference::Tensor fill(mlir::RankedTensorType type, size_t batch, Next next) {
  reference::Tensor tensor;
  tensor.element = type.getElementType().isF32() ? reference::Element::F32
                                                 : reference::Element::I32;
  std::vector<size_t> shape;
  for (int64_t size : type.getShape())
    shape.push_back(mlir::ShapedType::isDynamic(size) ? batch : size);
  tensor.values = reference::Array::from_shape(shape);
  for (double &value : tensor.values)
    value = next();
  return tensor;
}

} // namespace sinter::test

#endif // SINTER_TESTS_UNIT_IR_PROGRAM_H
