//===- LowerElementwise.cpp - the value of a tensor at a point -----------===//
//
// Idea: a kernel's elementwise ops are never loops of their own. Asked for a
// value at a point, the emitter asks for the operands at the points that
// broadcasting, slices and pads make of it, down to memory, states, constants,
// random numbers, or results that the surrounding nest has seeded.
//
// One case per primitive in emitOp: the place to add a new one.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelEmitter.h"
#include "codegen/SideBySide.h"
#include "codegen/VectorRandom.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;
using namespace sinter;

Type KernelEmitter::elementVector(Type element) {
  return lanesMode == Lanes::None ? element : VectorType::get({width}, element);
}

Value KernelEmitter::spread(Value scalar) {
  if (lanesMode == Lanes::None)
    return scalar;
  return vector::BroadcastOp::create(b, elementVector(scalar.getType()),
                                     scalar);
}

Value KernelEmitter::emit(Value tensor, ValueRange features) {
  if (Value seeded = seeds.lookup(tensor))
    return seeded;
  for (const Emitted &e : memo)
    if (e.tensor == tensor && ValueRange(e.features) == features)
      return e.value;
  Operation *op = tensor.getDefiningOp();
  bool inside = op && op->getParentOp() == kernel;
  RankedTensorType type = tensorTypeOf(tensor);
  Value value;
  if (isApart(tensor, features))
    value = emitApart(tensor, features);
  else if (!inside)
    value = load(memory(tensor, isFlattened(type)), type, features);
  else if (auto read = dyn_cast<ReadOp>(op))
    value =
        load(stateMemory(read.getState(), isFlattened(type)), type, features);
  else
    value = emitOp(op, features);
  memo.push_back({tensor, Indices(features), value});
  return value;
}

/// Of channels that are together, has each to be asked for its value alone? In
/// memory they lie next to each other, unless the channel is not the last index
/// there; and ops work on vectors of any width, unless they look at the
/// channel.
bool KernelEmitter::isApart(Value tensor, ValueRange features) const {
  if (channels == 1)
    return false;
  Operation *op = tensor.getDefiningOp();
  if (!op || op->getParentOp() != kernel || isa<ReadOp>(op)) {
    ArrayRef<int64_t> shape = featureShape(tensorTypeOf(tensor));
    while (!features.empty() && features.back() != channel &&
           shape.back() == 1) {
      features = features.drop_back();
      shape = shape.drop_back();
    }
    return !features.empty() &&
           llvm::is_contained(features.drop_back(), channel);
  }
  auto isAlong = [&](int64_t axis) { return features[axis - 1] == channel; };
  if (auto slice = dyn_cast<SliceOp>(op))
    return isAlong(slice.getAxis());
  if (auto pad = dyn_cast<PadOp>(op))
    return isAlong(pad.getAxis());
  if (auto concatenate = dyn_cast<ConcatenateOp>(op))
    return isAlong(concatenate.getAxis());
  if (op->hasTrait<Gathering>() && !isa<TransposeOp>(op))
    return isAlong(1) || isAlong(2); // rows or columns, of a transposed image
  return !op->hasTrait<Elementwise>() && !op->hasTrait<Gathering>() &&
         !isa<ReshapeOp, ConstantOp, BatchSizeOp>(op);
}

Value KernelEmitter::emitApart(Value tensor, ValueRange features) {
  auto savedMemo = std::exchange(memo, {});
  auto savedMaxima = std::exchange(maxima, {});
  int64_t count = std::exchange(channels, 1);
  resetWidth();
  SmallVector<Value> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(emit(tensor, ofChannel(features, i)));
  channels = count;
  setWidth(count * lanes(), count * lanes());
  memo = std::move(savedMemo);
  maxima = std::move(savedMaxima);
  return sideBySide(*this, values);
}

/// The operand's value at the point that broadcasting makes of `features`.
Value KernelEmitter::emitOperand(Operation *op, unsigned operand,
                                 ValueRange features) {
  Value tensor = op->getOperand(operand);
  RankedTensorType type = tensorTypeOf(tensor);
  if (isFlattened(type))
    return emit(tensor, features);
  ArrayRef<int64_t> shape = featureShape(type);
  Indices at;
  for (size_t i = 0; i < shape.size(); ++i) {
    // Shapes align at the last dimension.
    int64_t from = static_cast<int64_t>(features.size()) -
                   static_cast<int64_t>(shape.size()) + i;
    at.push_back(shape[i] == 1 || from < 0 ? index(0) : features[from]);
  }
  return emit(tensor, at);
}

/// Is `value` a constant that is not NaN?
static bool isNumber(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  if (!constant)
    return false;
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  return elements && elements.isSplat() && elements.getElementType().isF32() &&
         !elements.getSplatValue<APFloat>().isNaN();
}

Value KernelEmitter::compareGreater(Value lhs, Value rhs) {
  if (isa<FloatType>(getElementTypeOrSelf(lhs.getType())))
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, lhs, rhs);
  return arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, lhs, rhs);
}

Value KernelEmitter::vectorConstant(float value) {
  Type type = elementVector(b.getF32Type());
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(b, DenseElementsAttr::get(vector, value));
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

/// The place along an axis; with flat addressing, what is left of the position
/// without the axes inside and outside.
Value KernelEmitter::emitIota(IotaOp op, ValueRange features) {
  RankedTensorType type = tensorTypeOf(op.getResult());
  ArrayRef<int64_t> shape = type.getShape();
  const auto axis = static_cast<size_t>(op.getAxis());
  if (shape[axis] == 1)
    return vectorConstant(0);
  const bool isFlat = isFlattened(type);
  Value place = spread(arith::IndexCastOp::create(
      b, b.getI32Type(), isFlat ? features[0] : features[axis]));
  Type integers = elementVector(b.getI32Type());
  if (isFlat || axis + 1 == shape.size())
    if (auto vector = dyn_cast<VectorType>(integers);
        vector && hasColumns(type))
      place = arith::AddIOp::create(
          b, place,
          arith::ConstantOp::create(
              b, b.getI32VectorAttr(llvm::to_vector(
                     llvm::seq<int32_t>(0, static_cast<int32_t>(width))))));
  if (isFlat) {
    auto number = [&](int64_t value) {
      return spread(arith::ConstantOp::create(
          b, b.getI32IntegerAttr(static_cast<int32_t>(value))));
    };
    int64_t inner = 1;
    for (int64_t size : shape.drop_front(axis + 1))
      inner *= size;
    place = arith::DivUIOp::create(b, place, number(inner));
    place = arith::RemUIOp::create(b, place, number(shape[axis]));
  }
  return arith::SIToFPOp::create(b, elementVector(b.getF32Type()), place);
}

Value KernelEmitter::emitOp(Operation *op, ValueRange features) {
  auto operand = [&](unsigned i) { return emitOperand(op, i, features); };
  auto bit = [&](Value condition) -> Value {
    return arith::SelectOp::create(b, condition, vectorConstant(1),
                                   vectorConstant(0));
  };
  // max or min; with a number on one side, the machine's instruction passes a
  // NaN on the other through.
  auto extreme = [&](bool max) -> Value {
    Value x = operand(0), y = operand(1);
    bool swap = isNumber(op->getOperand(1));
    if (!swap && !isNumber(op->getOperand(0)))
      return max ? arith::MaximumFOp::create(b, x, y).getResult()
                 : arith::MinimumFOp::create(b, x, y).getResult();
    if (swap)
      std::swap(x, y);
    auto predicate =
        max ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT;
    Value wins = arith::CmpFOp::create(b, predicate, x, y);
    return arith::SelectOp::create(b, wins, x, y);
  };

  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<AddOp>([&](AddOp add) -> Value {
        if (tensorTypeOf(add.getResult()).getElementType().isF32())
          return arith::AddFOp::create(b, operand(0), operand(1));
        return arith::AddIOp::create(b, operand(0), operand(1));
      })
      .Case<SubOp>([&](Operation *) -> Value {
        return arith::SubFOp::create(b, operand(0), operand(1));
      })
      .Case<MulOp>([&](Operation *) -> Value {
        return arith::MulFOp::create(b, operand(0), operand(1));
      })
      .Case<DivOp>([&](Operation *) -> Value {
        return arith::DivFOp::create(b, operand(0), operand(1));
      })
      .Case<MaximumOp>([&](Operation *) { return extreme(true); })
      .Case<MinimumOp>([&](Operation *) { return extreme(false); })
      .Case<GreaterOp>([&](Operation *) {
        return bit(compareGreater(operand(0), operand(1)));
      })
      .Case<EqualOp>([&](Operation *) -> Value {
        Value x = operand(0), y = operand(1);
        if (isa<FloatType>(getElementTypeOrSelf(x.getType())))
          return bit(arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x, y));
        return bit(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, y));
      })
      .Case<SelectOp>([&](SelectOp select) -> Value {
        // A comparison made for this select needs no 0 and 1 in between.
        Value condition;
        auto greater = select.getCondition().getDefiningOp<GreaterOp>();
        if (greater && greater->getParentOp() == kernel &&
            greater.getType() == select.getType())
          condition = compareGreater(emitOperand(greater, 0, features),
                                     emitOperand(greater, 1, features));
        else
          condition = compareGreater(operand(0), vectorConstant(0));
        return arith::SelectOp::create(b, condition, operand(1), operand(2));
      })
      .Case<NegOp>([&](Operation *) -> Value {
        return arith::NegFOp::create(b, operand(0));
      })
      .Case<AbsOp>([&](Operation *) -> Value {
        return math::AbsFOp::create(b, operand(0));
      })
      .Case<SignOp>([&](Operation *) -> Value {
        Value x = operand(0), zero = vectorConstant(0);
        Value up = bit(compareGreater(x, zero));
        return arith::SubFOp::create(b, up, bit(compareGreater(zero, x)));
      })
      .Case<FloorOp>([&](Operation *) -> Value {
        return math::FloorOp::create(b, operand(0));
      })
      .Case<ExpOp>([&](Operation *) -> Value {
        return math::ExpOp::create(b, operand(0));
      })
      .Case<Expm1Op>([&](Operation *) -> Value {
        return math::ExpM1Op::create(b, operand(0));
      })
      .Case<LogOp>([&](Operation *) -> Value {
        return math::LogOp::create(b, operand(0));
      })
      .Case<Log1pOp>([&](Operation *) -> Value {
        return math::Log1pOp::create(b, operand(0));
      })
      .Case<SqrtOp>([&](Operation *) -> Value {
        return math::SqrtOp::create(b, operand(0));
      })
      .Case<CosOp>([&](Operation *) -> Value {
        return math::CosOp::create(b, operand(0));
      })
      .Case<SinOp>([&](Operation *) -> Value {
        return math::SinOp::create(b, operand(0));
      })
      .Case<TanhOp>([&](Operation *) -> Value {
        return math::TanhOp::create(b, operand(0));
      })
      .Case<ErfOp>([&](Operation *) -> Value {
        return math::ErfOp::create(b, operand(0));
      })
      .Case<CastOp>([&](Operation *) -> Value {
        return arith::SIToFPOp::create(b, elementVector(b.getF32Type()),
                                       operand(0));
      })
      .Case<BroadcastOp>([&](Operation *) { return operand(0); })
      .Case<ReshapeOp>([&](ReshapeOp reshape) -> Value {
        // Only trailing 1s differ.
        if (isFlattened(tensorTypeOf(reshape.getX())))
          return emit(reshape.getX(), features);
        Indices at(features);
        at.resize(featureShape(tensorTypeOf(reshape.getX())).size(), index(0));
        return emit(reshape.getX(), at);
      })
      .Case<OneHotOp>([&](OneHotOp oneHot) -> Value {
        Value label = emit(oneHot.getLabels(), {});
        Value row = arith::IndexCastOp::create(b, b.getI32Type(), features[0]);
        return bit(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, label,
                                         spread(row)));
      })
      .Case<EmbeddingOp>([&](EmbeddingOp embedding) {
        return emitEmbedding(embedding, features);
      })
      .Case<SliceOp>([&](SliceOp slice) {
        Indices at(features);
        Value &moved = at[slice.getAxis() - 1];
        moved = add(moved, slice.getStart());
        return emit(slice.getX(), at);
      })
      .Case<PadOp>([&](PadOp pad) -> Value {
        int64_t axis = pad.getAxis() - 1;
        auto low = static_cast<int64_t>(pad.getLow());
        int64_t size = featureShape(tensorTypeOf(pad.getX()))[axis];
        Value from = add(features[axis], -low);
        if (isAcrossLanes(axis, features)) {
          if (runStart < low || runStart >= low + size)
            return vectorConstant(0);
          Indices at(features);
          at[axis] = from;
          return emit(pad.getX(), at);
        }
        // As an unsigned number, an index below 0 is large.
        Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, from,
                                             index(size));
        Value result;
        scope([&] {
          auto branch =
              scf::IfOp::create(b, elementVector(b.getF32Type()), inside, true);
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToStart(branch.thenBlock());
          Indices at(features);
          at[axis] = from;
          scf::YieldOp::create(b, emit(pad.getX(), at));
          b.setInsertionPointToStart(branch.elseBlock());
          scf::YieldOp::create(b, vectorConstant(0));
          result = branch.getResult(0);
        });
        return result;
      })
      .Case<ConcatenateOp>([&](ConcatenateOp concatenate) {
        return emitConcatenate(concatenate, features);
      })
      .Case<TransposeOp, UpsampleOp, MaxPool2dOp, MaxPool2dGatherOp,
            AvgPool2dOp, MaxPool2dGradientOp, AvgPool2dGradientOp>(
          [&](Operation *op) { return emitGathering(op, features); })
      .Case<ConstantOp>([&](ConstantOp constant) -> Value {
        auto elements = cast<DenseElementsAttr>(constant.getValue());
        auto value = cast<TypedAttr>(elements.getSplatValue<Attribute>());
        return spread(arith::ConstantOp::create(b, value));
      })
      .Case<IotaOp>([&](IotaOp iota) { return emitIota(iota, features); })
      .Case<BatchSizeOp>([&](Operation *) -> Value {
        Value count = arith::IndexCastOp::create(b, b.getI32Type(), batch);
        return spread(arith::SIToFPOp::create(b, b.getF32Type(), count));
      })
      .Case<RandomUniformOp>([&](RandomUniformOp random) {
        return emitUniformNumbers(random, features);
      })
      .Case<RandomNormalOp>([&](RandomNormalOp random) {
        return emitNormalNumbers(random, features);
      })
      .Default([&](Operation *) -> Value {
        llvm_unreachable("checkLowerable admits no other op");
      });
}

KernelEmitter::Row KernelEmitter::rowAt(Value index, int64_t rows) {
  Type type = index.getType();
  auto constant = [&](TypedAttr value) -> Value {
    if (auto vector = dyn_cast<VectorType>(type))
      value = DenseElementsAttr::get(vector, value);
    return arith::ConstantOp::create(b, value);
  };
  Value zero = constant(b.getF32FloatAttr(0));
  auto is = [&](arith::CmpFPredicate predicate, Value than) -> Value {
    return arith::CmpFOp::create(b, predicate, index, than);
  };
  // False for NaN, too.
  Value inside = arith::AndIOp::create(
      b, is(arith::CmpFPredicate::OGE, zero),
      is(arith::CmpFPredicate::OLT, constant(b.getF32FloatAttr(rows))));
  Value exists = arith::AndIOp::create(
      b, inside,
      is(arith::CmpFPredicate::OEQ, math::FloorOp::create(b, index)));
  Value known = arith::SelectOp::create(b, exists, index, zero);
  // 64 bits: an element's number may need them.
  Type integer = b.getI64Type();
  if (auto vector = dyn_cast<VectorType>(type))
    integer = vector.clone(integer);
  return {exists, arith::FPToSIOp::create(b, integer, known)};
}

/// Each lane reads its own row. The table is in memory, or one number.
Value KernelEmitter::emitEmbedding(EmbeddingOp op, ValueRange features) {
  Value table = op.getTable();
  RankedTensorType type = tensorTypeOf(table);
  Row row = rowAt(emit(op.getX(), features.drop_back()), type.getDimSize(0));
  Value none = vectorConstant(std::numeric_limits<float>::quiet_NaN());
  Operation *producer = table.getDefiningOp();
  if (isa_and_nonnull<ConstantOp>(producer)) {
    Value value = emit(table, {index(0), index(0)});
    return arith::SelectOp::create(b, row.exists, value, none);
  }
  auto read = dyn_cast_or_null<ReadOp>(producer);
  bool inside = read && read->getParentOp() == kernel;
  Value rows = inside ? stateMemory(read.getState(), /*flat=*/true)
                      : memory(table, /*flat=*/true);
  int64_t columns = type.getDimSize(1);
  if (lanesMode == Lanes::None) {
    Value at = arith::IndexCastOp::create(b, b.getIndexType(), row.number);
    at = arith::AddIOp::create(b, mul(at, columns), features.back());
    Value value = memref::LoadOp::create(b, rows, ValueRange{at});
    return arith::SelectOp::create(b, row.exists, value, none);
  }
  auto integers = cast<VectorType>(row.number.getType());
  Value width = arith::ConstantOp::create(
      b, DenseElementsAttr::get(integers, b.getI64IntegerAttr(columns)));
  Value starts = arith::MulIOp::create(b, row.number, width);
  return vector::GatherOp::create(b, cast<VectorType>(none.getType()), rows,
                                  ValueRange{features.back()}, starts,
                                  row.exists, none);
}

/// The input that holds the index along the axis, found by comparing it with
/// where each input begins. The index is a scalar, or all lanes lie between two
/// joints: none diverge.
Value KernelEmitter::emitConcatenate(ConcatenateOp op, ValueRange features) {
  int64_t axis = op.getAxis() - 1;
  if (isAcrossLanes(axis, features)) {
    int64_t start = 0;
    for (Value input : op.getInputs()) {
      int64_t end = start + featureShape(tensorTypeOf(input))[axis];
      if (runStart < end) {
        Indices at(features);
        at[axis] = add(at[axis], -start);
        return emit(input, at);
      }
      start = end;
    }
    llvm_unreachable("runs end where inputs do");
  }
  auto emitFrom = [&](auto self, unsigned input, int64_t start) -> Value {
    Value tensor = op.getInputs()[input];
    Indices at(features);
    at[axis] = add(features[axis], -start);
    if (input + 1 == op.getInputs().size())
      return emit(tensor, at);
    int64_t end = start + featureShape(tensorTypeOf(tensor))[axis];
    Value here = arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                                       features[axis], index(end));
    Value result;
    auto branch =
        scf::IfOp::create(b, elementVector(b.getF32Type()), here, true);
    OpBuilder::InsertionGuard guard(b);
    scope([&] {
      b.setInsertionPointToStart(branch.thenBlock());
      scf::YieldOp::create(b, emit(tensor, at));
    });
    scope([&] {
      b.setInsertionPointToStart(branch.elseBlock());
      scf::YieldOp::create(b, self(self, input + 1, end));
    });
    return branch.getResult(0);
  };
  return emitFrom(emitFrom, 0, 0);
}

/// The row-major index of an element; 0 if there is only one.
Value KernelEmitter::rowMajor(ValueRange indices, ArrayRef<int64_t> shape) {
  Value element;
  for (auto [at, size] : llvm::zip_equal(indices, shape))
    element = element
                  ? arith::AddIOp::create(b, mul(element, size), at).getResult()
                  : at;
  return element ? element : index(0);
}

/// Philox with counter (element, sample, step, stream), see SinterOps.td.
PhiloxWords KernelEmitter::emitWords(Value seed, Value step, int64_t stream,
                                     Value element) {
  auto word = [&](Value number) {
    return spread(arith::IndexCastOp::create(b, b.getI32Type(), number));
  };
  Value samples =
      arith::AddIOp::create(b, word(sample), laneNumbers(b, lanes()));
  return emitPhilox(
      b, {word(element), samples, emit(step, {}), word(streamNumber(stream))},
      {emit(seed, ValueRange{index(0)}), emit(seed, ValueRange{index(1)})});
}

Value KernelEmitter::emitNormalNumbers(RandomNormalOp op, ValueRange features) {
  Value element =
      rowMajor(features, featureShape(tensorTypeOf(op.getResult())));
  PhiloxWords words =
      emitWords(op.getSeed(), op.getStep(), op.getStream(), element);
  return emitNormal(b, words[0], words[1]);
}

static bool isMultipleOfFour(Value value) {
  auto isFactor = [](Value number) {
    std::optional<int64_t> constant = getConstantIntValue(number);
    return constant && *constant % 4 == 0;
  };
  if (isFactor(value))
    return true;
  if (auto product = value.getDefiningOp<arith::MulIOp>())
    return isFactor(product.getRhs());
  if (auto sum = value.getDefiningOp<arith::AddIOp>())
    return isMultipleOfFour(sum.getLhs()) && isMultipleOfFour(sum.getRhs());
  scf::ForOp loop = scf::getForInductionVarOwner(value);
  if (!loop || !isMultipleOfFour(loop.getLowerBound()))
    return false;
  // Or it runs once.
  return isFactor(loop.getStep()) || loop.getStaticTripCount() == 1;
}

/// `value` as base + constant, where the base is a multiple of 4.
static std::optional<std::pair<Value, int64_t>> splitByFour(Value value) {
  int64_t constant = 0;
  while (auto sum = value.getDefiningOp<arith::AddIOp>()) {
    std::optional<int64_t> summand = getConstantIntValue(sum.getRhs());
    if (!summand)
      break;
    constant += *summand;
    value = sum.getLhs();
  }
  if (!isMultipleOfFour(value))
    return std::nullopt;
  return std::pair(value, constant);
}

Value KernelEmitter::emitUniformNumbers(RandomUniformOp op,
                                        ValueRange features) {
  ArrayRef<int64_t> shape = featureShape(tensorTypeOf(op.getResult()));
  Value last = features.empty() ? index(0) : features.back();
  Indices row(features.empty() ? features : features.drop_back());
  // A row's blocks follow those of the row before.
  auto makeWords = [&](Value block) {
    if (!row.empty()) {
      Value before =
          mul(rowMajor(row, shape.drop_back()), (shape.back() + 3) / 4);
      block = arith::AddIOp::create(b, before, block);
    }
    return emitWords(op.getSeed(), op.getStep(), op.getStream(), block);
  };
  // Neighbours in a register tile share a block.
  if (auto split = splitByFour(last)) {
    auto [base, offset] = *split;
    auto known = llvm::find_if(randomBlocks, [&](const RandomBlock &r) {
      return r.op == op && r.row == row && r.base == base &&
             r.block == offset / 4 && r.sample == sample;
    });
    if (known == randomBlocks.end()) {
      Value block = arith::DivUIOp::create(b, base, index(4));
      randomBlocks.push_back({op, row, base, offset / 4, sample,
                              makeWords(add(block, offset / 4))});
      known = std::prev(randomBlocks.end());
    }
    return emitUniform(b, known->words[offset % 4]);
  }
  PhiloxWords words = makeWords(arith::DivUIOp::create(b, last, index(4)));
  Value which = arith::RemUIOp::create(b, last, index(4));
  Value chosen = words[0];
  for (int i = 1; i < 4; ++i) {
    Value isIt =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, which, index(i));
    chosen = arith::SelectOp::create(b, isIt, words[i], chosen);
  }
  return emitUniform(b, chosen);
}
