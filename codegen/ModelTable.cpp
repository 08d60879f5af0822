//===- ModelTable.cpp - the table that describes a compiled model --------===//
//
// Problem: the object must hold a C struct, byte for byte as the C compiler of
// the runtime lays it out.
//
// Idea: each struct is written as a list of (offset, value) with the offsets
// taken from the C struct itself, and compared with the layout that LLVM gives.
// A field that moves or changes its size is found at once; a field that is
// added at the end is found by the size.
//
// Known weakness: the offsets are those of the compiler's own platform. All
// 64-bit targets that TargetInfo admits agree; for 32-bit ARM LLVM's layout,
// which is the C compilers' there, is taken as it is.
//
//===----------------------------------------------------------------------===//

#include "codegen/ModelTable.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DataLayout.h"

#include <cstddef>

using namespace llvm;

static_assert(sizeof(void *) == 8, "tables are checked for 64-bit targets");

namespace {

struct Field {
  size_t offset;
  Constant *value;
};

class TableWriter {
public:
  explicit TableWriter(Module &module)
      : module(module), context(module.getContext()) {}

  GlobalVariable *writeModel(const sinter::ModelRecord &record,
                             const sinter::TableOptions &options);

private:
  // Plain values.
  Constant *i32(int64_t value) {
    return ConstantInt::get(Type::getInt32Ty(context), value);
  }
  Constant *i64(int64_t value) {
    return ConstantInt::get(Type::getInt64Ty(context), value);
  }
  Constant *f32(float value) {
    return ConstantFP::get(Type::getFloatTy(context), value);
  }
  Constant *null() {
    return ConstantPointerNull::get(PointerType::getUnqual(context));
  }

  // Pointers to private constants.
  Constant *addConstant(Constant *value, Align align) {
    auto *global = new GlobalVariable(module, value->getType(),
                                      /*isConstant=*/true,
                                      GlobalValue::PrivateLinkage, value);
    global->setUnnamedAddr(GlobalValue::UnnamedAddr::Global);
    global->setAlignment(align);
    return global;
  }
  Constant *string(StringRef text) {
    Constant *&known = strings[text];
    if (!known)
      known =
          addConstant(ConstantDataArray::getString(context, text), Align(1));
    return known;
  }
  Constant *shape(ArrayRef<int64_t> dims) {
    return addConstant(ConstantDataArray::get(context, dims), Align(8));
  }
  Constant *bytes(ArrayRef<char> data) {
    if (data.empty())
      return null();
    return addConstant(
        ConstantDataArray::getString(
            context, StringRef(data.data(), data.size()), /*AddNull=*/false),
        Align(64));
  }
  template <typename Record>
  Constant *array(ArrayRef<Record> records,
                  Constant *(TableWriter::*write)(const Record &)) {
    if (records.empty())
      return null();
    SmallVector<Constant *> elements;
    for (const Record &record : records)
      elements.push_back((this->*write)(record));
    auto *type = ArrayType::get(elements.front()->getType(), elements.size());
    return addConstant(ConstantArray::get(type, elements), Align(8));
  }
  Constant *function(StringRef symbol) {
    if (symbol.empty())
      return null();
    Function *function = module.getFunction(symbol);
    assert(function && "the record names a function that was not generated");
    return function;
  }

  /// A struct of `size` bytes with the given fields.
  Constant *layOut(size_t size, ArrayRef<Field> fields);

  // The structs of sinter_runtime.h.
  Constant *tensorInfo(const sinter::TensorRecord &record);
  Constant *kernelInfo(const sinter::KernelRecord &record);
  Constant *bufferInfo(const sinter::BufferRecord &record);
  Constant *functionInfo(const sinter::FunctionRecord &record,
                         bool isPrepare = false);
  Constant *stateInfo(const sinter::StateRecord &record);

  Module &module;
  LLVMContext &context;
  StringMap<Constant *> strings;
  bool statesOnly = false;
};

} // namespace

Constant *TableWriter::layOut(size_t size, ArrayRef<Field> fields) {
  SmallVector<Constant *> values;
  for (const Field &field : fields)
    values.push_back(field.value);
  Constant *value = ConstantStruct::getAnon(context, values);

  if (module.getDataLayout().getPointerSize() != sizeof(void *))
    return value;
  const StructLayout *layout = module.getDataLayout().getStructLayout(
      cast<StructType>(value->getType()));
  bool fits = layout->getSizeInBytes() == size;
  for (auto [index, field] : llvm::enumerate(fields))
    fits &= layout->getElementOffset(index) == field.offset;
  if (!fits)
    llvm::report_fatal_error("a table differs from its C struct");
  return value;
}

Constant *TableWriter::tensorInfo(const sinter::TensorRecord &record) {
  return layOut(sizeof(sinter_tensor_info),
                {{offsetof(sinter_tensor_info, name), string(record.name)},
                 {offsetof(sinter_tensor_info, dtype), i32(record.dtype)},
                 {offsetof(sinter_tensor_info, rank), i32(record.shape.size())},
                 {offsetof(sinter_tensor_info, shape), shape(record.shape)}});
}

Constant *TableWriter::kernelInfo(const sinter::KernelRecord &record) {
  return layOut(
      sizeof(sinter_kernel_info),
      {{offsetof(sinter_kernel_info, name), string(record.name)},
       {offsetof(sinter_kernel_info, kind), string(record.kind)},
       {offsetof(sinter_kernel_info, run), function(record.symbol)},
       {offsetof(sinter_kernel_info, tasks), i64(record.tasks)},
       {offsetof(sinter_kernel_info, flops_fixed), i64(record.flopsFixed)},
       {offsetof(sinter_kernel_info, flops_per_sample),
        i64(record.flopsPerSample)},
       {offsetof(sinter_kernel_info, bytes_fixed), i64(record.bytesFixed)},
       {offsetof(sinter_kernel_info, bytes_per_sample),
        i64(record.bytesPerSample)}});
}

Constant *TableWriter::bufferInfo(const sinter::BufferRecord &record) {
  return layOut(
      sizeof(sinter_buffer_info),
      {{offsetof(sinter_buffer_info, name), string(record.name)},
       {offsetof(sinter_buffer_info, offset), i64(record.offset)},
       {offsetof(sinter_buffer_info, bytes), i64(record.bytes)},
       {offsetof(sinter_buffer_info, first_kernel), i64(record.firstKernel)},
       {offsetof(sinter_buffer_info, last_kernel), i64(record.lastKernel)}});
}

Constant *TableWriter::functionInfo(const sinter::FunctionRecord &function,
                                    bool isPrepare) {
  // Where steps are not described, loading still has to prepare.
  sinter::FunctionRecord brief;
  if (isPrepare) {
    brief.symbol = function.symbol;
    brief.arenaBytes = function.arenaBytes;
  }
  const sinter::FunctionRecord &record = statesOnly ? brief : function;
  return layOut(
      sizeof(sinter_function_info),
      {{offsetof(sinter_function_info, run), this->function(record.symbol)},
       {offsetof(sinter_function_info, arena_bytes), i64(record.arenaBytes)},
       {offsetof(sinter_function_info, arena_lower_bound),
        i64(record.arenaLowerBound)},
       {offsetof(sinter_function_info, num_inputs), i64(record.inputs.size())},
       {offsetof(sinter_function_info, num_outputs),
        i64(record.outputs.size())},
       {offsetof(sinter_function_info, num_kernels),
        i64(record.kernels.size())},
       {offsetof(sinter_function_info, inputs),
        array(ArrayRef(record.inputs), &TableWriter::tensorInfo)},
       {offsetof(sinter_function_info, outputs),
        array(ArrayRef(record.outputs), &TableWriter::tensorInfo)},
       {offsetof(sinter_function_info, kernels),
        array(ArrayRef(record.kernels), &TableWriter::kernelInfo)},
       {offsetof(sinter_function_info, num_buffers),
        i64(record.buffers.size())},
       {offsetof(sinter_function_info, buffers),
        array(ArrayRef(record.buffers), &TableWriter::bufferInfo)},
       {offsetof(sinter_function_info, kernel_batch_bound),
        i64(record.kernelBatchBound)}});
}

Constant *TableWriter::stateInfo(const sinter::StateRecord &record) {
  return layOut(sizeof(sinter_state_info),
                {{offsetof(sinter_state_info, name), string(record.name)},
                 {offsetof(sinter_state_info, dtype), i32(record.dtype)},
                 {offsetof(sinter_state_info, role), i32(record.role)},
                 {offsetof(sinter_state_info, rank), i32(record.shape.size())},
                 {offsetof(sinter_state_info, shape), shape(record.shape)},
                 {offsetof(sinter_state_info, offset), i64(record.offset)},
                 {offsetof(sinter_state_info, bytes), i64(record.bytes)},
                 {offsetof(sinter_state_info, init), i32(record.init)},
                 {offsetof(sinter_state_info, init_a), f32(record.a)},
                 {offsetof(sinter_state_info, init_b), f32(record.b)},
                 {offsetof(sinter_state_info, data), bytes(record.data)}});
}

/// Several fields of the table are structs themselves.
GlobalVariable *TableWriter::writeModel(const sinter::ModelRecord &record,
                                        const sinter::TableOptions &options) {
  statesOnly = options.statesOnly;
  Constant *table = layOut(
      sizeof(sinter_model),
      {{offsetof(sinter_model, abi_version), i32(SINTER_ABI_VERSION)},
       {offsetof(sinter_model, name), string(record.name)},
       {offsetof(sinter_model, compiler),
        string("sinter " SINTER_VERSION ", LLVM " LLVM_VERSION_STRING)},
       {offsetof(sinter_model, target_cpu), string(options.targetCpu)},
       {offsetof(sinter_model, batch_bound), i64(record.batchBound)},
       {offsetof(sinter_model, state_bytes), i64(record.stateBytes)},
       {offsetof(sinter_model, num_states), i64(record.states.size())},
       {offsetof(sinter_model, states),
        array(ArrayRef(record.states), &TableWriter::stateInfo)},
       {offsetof(sinter_model, predict), functionInfo(record.predict)},
       {offsetof(sinter_model, eval_step), functionInfo(record.evalStep)},
       {offsetof(sinter_model, train_step), functionInfo(record.trainStep)},
       {offsetof(sinter_model, recipe), string(options.recipe)},
       {offsetof(sinter_model, predict_one), functionInfo(record.predictOne)},
       {offsetof(sinter_model, prepare), functionInfo(record.prepare, true)},
       {offsetof(sinter_model, derived_offset), i64(record.derivedOffset)}});
  auto *model = new GlobalVariable(
      module, table->getType(), /*isConstant=*/true,
      statesOnly ? GlobalValue::InternalLinkage : GlobalValue::ExternalLinkage,
      table, "sinter_model_" + record.name);
  model->setAlignment(Align(8));
  if (options.isMainModel)
    new GlobalVariable(module, PointerType::getUnqual(context),
                       /*isConstant=*/true, GlobalValue::ExternalLinkage, model,
                       "sinter_main_model");
  return model;
}

GlobalVariable *sinter::addModelTable(Module &module, const ModelRecord &record,
                                      const TableOptions &options) {
  return TableWriter(module).writeModel(record, options);
}
