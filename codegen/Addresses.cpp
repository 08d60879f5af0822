//===- Addresses.cpp - addresses that share what they have in common -----===//
//
// Problem: an unrolled body reads and writes at dozens of indices that differ
// by constants. As arithmetic on indices each of them is a chain of its own
// through all loops around it. LLVM's loop strength reduction would find out
// what they share, in a third of all compile time.
//
// Idea: here the loops are still loops and the arithmetic is exact, so an
// address is a sum: a pointer, values times constants, a constant. Its terms
// are added in the order in which their values become known, each as soon as it
// is, and equal partial sums are one value: what a loop does not change stands
// before it, what differs by a constant only is one pointer. The constant comes
// last, where the processor adds it for nothing.
//
// Known weakness: no pointer is advanced from one turn to the next; a stride
// that is no scale of an addressing mode costs a multiplication a turn. Bodies
// that fill all registers spill earlier than after strength reduction; tiles
// leave room for it (LowerConv.cpp).
//
//===----------------------------------------------------------------------===//

#include "codegen/Addresses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Iterators.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace {

/// value * factor + ... + constant, modulo the size of a pointer.
struct Sum {
  SmallVector<std::pair<Value, int64_t>, 4> terms;
  int64_t constant = 0;

  void add(const Sum &other, int64_t factor) {
    constant += other.constant * factor;
    for (auto [value, times] : other.terms) {
      auto *same =
          llvm::find_if(terms, [&](auto &term) { return term.first == value; });
      if (same == terms.end())
        terms.push_back({value, times * factor});
      else
        same->second += times * factor;
    }
    llvm::erase_if(terms, [](auto &term) { return term.second == 0; });
  }
};

/// An op that goes to memory[indices].
struct Access {
  Operation *op;
  Value memory;
  ValueRange indices;
};

class FunctionAddresses {
public:
  explicit FunctionAddresses(func::FuncOp function)
      : function(function), builder(function.getContext()) {}

  void rewrite() {
    hoistIntegers();
    SmallVector<Access> accesses;
    bool isStructured = true;
    function->walk<WalkOrder::PreOrder>([&](Operation *op) {
      ranks[op] = static_cast<unsigned>(ranks.size());
      for (Region &region : op->getRegions())
        isStructured &= region.empty() || region.hasOneBlock();
      if (std::optional<Access> access = matchAccess(op))
        accesses.push_back(*access);
    });
    if (!isStructured)
      return;
    for (const Access &access : accesses)
      replace(access);
    eraseDead();
  }

private:
  static std::optional<Access> matchAccess(Operation *op) {
    return llvm::TypeSwitch<Operation *, std::optional<Access>>(op)
        .Case<vector::LoadOp, vector::StoreOp, vector::MaskedLoadOp,
              vector::MaskedStoreOp>([](auto access) {
          return checkAccess(access, access.getBase(), access.getIndices(),
                             access.getVectorType());
        })
        .Case<memref::LoadOp, memref::StoreOp>([](auto access) {
          return checkAccess(access, access.getMemRef(), access.getIndices(),
                             VectorType());
        })
        .Case<memref::PrefetchOp>([](auto access) {
          return checkAccess(access, access.getMemref(), access.getIndices(),
                             VectorType());
        })
        .Default(std::nullopt);
  }

  /// Those that go to a pointer's memory, in types that LLVM has.
  static std::optional<Access> checkAccess(Operation *op, Value memory,
                                           ValueRange indices,
                                           VectorType vector) {
    auto type = cast<MemRefType>(memory.getType());
    Type element = type.getElementType();
    auto cast = memory.getDefiningOp<UnrealizedConversionCastOp>();
    if (!cast || !type.hasStaticShape() || !element.isIntOrFloat() ||
        element.getIntOrFloatBitWidth() % 8 != 0 ||
        (vector &&
         (vector.getRank() != 1 || vector.getElementType() != element)))
      return std::nullopt;
    return Access{op, memory, indices};
  }

  /// Integers to before the outermost loop that does not change them: a term
  /// becomes known as early as it can.
  void hoistIntegers() {
    function->walk<WalkOrder::PreOrder>([](Operation *op) {
      if (op->getNumResults() != 1 ||
          !op->getResult(0).getType().isIntOrIndex() ||
          op->getNumRegions() != 0 || !isPure(op))
        return;
      scf::ForOp outermost;
      for (auto loop = op->getParentOfType<scf::ForOp>();
           loop && llvm::all_of(op->getOperands(),
                                [&](Value operand) {
                                  return loop.isDefinedOutsideOfLoop(operand);
                                });
           loop = loop->getParentOfType<scf::ForOp>())
        outermost = loop;
      if (outermost)
        op->moveBefore(outermost);
    });
  }

  //===--------------------------------------------------------------------===//
  // Sums
  //===--------------------------------------------------------------------===//

  const Sum &sumOf(Value value) {
    if (auto known = sums.find(value); known != sums.end())
      return *known->second;
    auto sum = std::make_unique<Sum>();
    APInt constant;
    Operation *op = value.getDefiningOp();
    if (matchPattern(value, m_ConstantInt(&constant))) {
      sum->constant = constant.getSExtValue();
    } else if (isa_and_present<arith::AddIOp, arith::SubIOp>(op)) {
      sum->add(sumOf(op->getOperand(0)), 1);
      sum->add(sumOf(op->getOperand(1)), isa<arith::AddIOp>(op) ? 1 : -1);
    } else if (std::optional<Sum> product = productOf(op)) {
      *sum = *product;
    } else {
      sum->terms.push_back({value, 1});
    }
    return *(sums[value] = std::move(sum));
  }

  std::optional<Sum> productOf(Operation *op) {
    if (!isa_and_present<arith::MulIOp>(op))
      return std::nullopt;
    const Sum *left = &sumOf(op->getOperand(0));
    const Sum *right = &sumOf(op->getOperand(1));
    if (!right->terms.empty())
      std::swap(left, right);
    if (!right->terms.empty())
      return std::nullopt;
    Sum product;
    product.add(*left, right->constant);
    return product;
  }

  //===--------------------------------------------------------------------===//
  // Pointers
  //===--------------------------------------------------------------------===//

  /// The order in which values that all dominate one op become known.
  unsigned rankOf(Value value) {
    Operation *op = value.getDefiningOp();
    return ranks.lookup(op ? op : value.getParentBlock()->getParentOp());
  }

  /// To right after both values, of which one dominates the other.
  void setInsertionPointAfter(Value a, Value b) {
    unsigned rankA = rankOf(a), rankB = rankOf(b);
    Operation *opA = a.getDefiningOp(), *opB = b.getDefiningOp();
    bool isLater = rankA != rankB ? rankA > rankB
                                  : opA && (!opB || opB->isBeforeInBlock(opA));
    builder.setInsertionPointAfterValue(isLater ? a : b);
  }

  /// A new op becomes known where it stands.
  template <typename OpT> OpT ranked(OpT op, unsigned rank) {
    ranks[op] = rank;
    return op;
  }

  Value constant(int64_t value, Type type) {
    Value &known = constants[{value, type}];
    if (!known) {
      builder.setInsertionPointToStart(&function.front());
      known =
          ranked(arith::ConstantOp::create(builder, function.getLoc(),
                                           builder.getIntegerAttr(type, value)),
                 0);
    }
    return known;
  }

  /// value * factor, as an integer that LLVM has.
  Value multiply(Value value, int64_t factor, Location loc) {
    Value &known = products[{value, factor}];
    if (known)
      return known;
    unsigned rank = rankOf(value);
    Value product = value;
    builder.setInsertionPointAfterValue(value);
    if (factor != 1) {
      Value times = constant(factor, value.getType());
      setInsertionPointAfter(value, times);
      product = ranked(arith::MulIOp::create(builder, loc, value, times), rank);
    }
    if (product.getType().isIndex())
      product = ranked(arith::IndexCastOp::create(
                           builder, loc, builder.getI64Type(), product),
                       rank);
    return known = product;
  }

  /// pointer + value * bytes
  Value advance(Value pointer, Value value, int64_t bytes, Location loc) {
    // A processor adds these multiples for nothing.
    bool isScale = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
    Value offset = multiply(value, isScale ? 1 : bytes, loc);
    int64_t unit = isScale ? bytes : 1;
    Value &known = pointers[{pointer, {offset, unit}}];
    if (!known) {
      setInsertionPointAfter(pointer, offset);
      known = ranked(LLVM::GEPOp::create(builder, loc, pointer.getType(),
                                         builder.getIntegerType(
                                             static_cast<unsigned>(8 * unit)),
                                         pointer, ValueRange{offset}),
                     std::max(rankOf(pointer), rankOf(offset)));
    }
    return known;
  }

  Value addressOf(const Access &access) {
    auto type = cast<MemRefType>(access.memory.getType());
    Sum sum;
    auto [strides, offset] = type.getStridesAndOffset();
    for (auto [index, stride] : llvm::zip_equal(access.indices, strides))
      sum.add(sumOf(index), stride);
    Sum bytes;
    bytes.add(sum, type.getElementTypeBitWidth() / 8);

    Value pointer =
        access.memory.getDefiningOp<UnrealizedConversionCastOp>().getOperand(0);
    Location loc = access.op->getLoc();
    llvm::stable_sort(bytes.terms, [&](auto &a, auto &b) {
      return rankOf(a.first) < rankOf(b.first);
    });
    for (auto [value, factor] : bytes.terms)
      pointer = advance(pointer, value, factor, loc);
    builder.setInsertionPoint(access.op);
    if (bytes.constant == 0)
      return pointer;
    if (llvm::isInt<32>(bytes.constant))
      return LLVM::GEPOp::create(
          builder, loc, pointer.getType(), builder.getI8Type(), pointer,
          ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes.constant)});
    Value far = constant(bytes.constant, builder.getI64Type());
    builder.setInsertionPoint(access.op);
    return LLVM::GEPOp::create(builder, loc, pointer.getType(),
                               builder.getI8Type(), pointer, ValueRange{far});
  }

  //===--------------------------------------------------------------------===//
  // Accesses
  //===--------------------------------------------------------------------===//

  void replace(const Access &access) {
    Value address = addressOf(access);
    Location loc = access.op->getLoc();
    unsigned align =
        cast<MemRefType>(access.memory.getType()).getElementTypeBitWidth() / 8;
    // What passes by the caches has to know that it is aligned.
    auto alignOf = [&](auto op) {
      return static_cast<unsigned>(op.getAlignment().value_or(align));
    };
    auto load = [&](auto op, Type type) {
      op.replaceAllUsesWith(
          LLVM::LoadOp::create(builder, loc, type, address, alignOf(op),
                               /*isVolatile=*/false, op.getNontemporal())
              .getResult());
    };
    auto store = [&](auto op, Value value) {
      LLVM::StoreOp::create(builder, loc, value, address, alignOf(op),
                            /*isVolatile=*/false, op.getNontemporal());
    };
    llvm::TypeSwitch<Operation *>(access.op)
        .Case([&](vector::LoadOp op) { load(op, op.getVectorType()); })
        .Case([&](memref::LoadOp op) { load(op, op.getType()); })
        .Case([&](vector::StoreOp op) { store(op, op.getValueToStore()); })
        .Case([&](memref::StoreOp op) { store(op, op.getValueToStore()); })
        .Case([&](vector::MaskedLoadOp op) {
          op.replaceAllUsesWith(LLVM::MaskedLoadOp::create(
                                    builder, loc, op.getVectorType(), address,
                                    op.getMask(), op.getPassThru(), align)
                                    .getResult());
        })
        .Case([&](vector::MaskedStoreOp op) {
          LLVM::MaskedStoreOp::create(builder, loc, op.getValueToStore(),
                                      address, op.getMask(), align);
        })
        .Case([&](memref::PrefetchOp op) {
          LLVM::Prefetch::create(builder, loc, address, op.getIsWrite(),
                                 op.getLocalityHint(), op.getIsDataCache());
        });
    access.op->erase();
  }

  /// Arithmetic that nothing needs any more.
  void eraseDead() {
    function->walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
      if (isOpTriviallyDead(op))
        op->erase();
    });
  }

  func::FuncOp function;
  OpBuilder builder;
  DenseMap<Operation *, unsigned> ranks;
  DenseMap<Value, std::unique_ptr<Sum>> sums;
  DenseMap<std::pair<int64_t, Type>, Value> constants;
  DenseMap<std::pair<Value, int64_t>, Value> products;
  DenseMap<std::pair<Value, std::pair<Value, int64_t>>, Value> pointers;
};

class ShareAddresses
    : public PassWrapper<ShareAddresses, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ShareAddresses)

  StringRef getName() const override { return "ShareAddresses"; }
  StringRef getArgument() const override { return "sinter-share-addresses"; }
  StringRef getDescription() const override {
    return "Loads and stores from pointers that share what they can";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect>();
  }

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration())
        FunctionAddresses(function).rewrite();
  }
};

} // namespace

std::unique_ptr<Pass> sinter::createShareAddressesPass() {
  return std::make_unique<ShareAddresses>();
}
