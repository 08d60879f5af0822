//===- LowerToLLVM.cpp - from loops to the LLVM dialect ------------------===//
//
// Problem: kernels arrive as loop nests over memrefs and vectors; LLVM wants
// branches, pointers and one-dimensional vectors.
//
// Idea: three steps. LowerVectors rewrites what has no counterpart in LLVM into
// simpler ops of the same dialects: multi-dimensional vectors, masks,
// transposes, exp and its relatives (VectorMath). Addresses, while loops are
// loops, finds what loads and stores share. ConvertToLLVM then converts
// everything at once, in one full conversion, so an op without a lowering is an
// error at that op. Around them stand MLIR's own passes for n-D transfers,
// subviews, affine arithmetic and loops.
//
// Nothing here may change a result: no fast-math flag is set, a
// multiply-add is contracted only where a kernel says fma. The exception is
// vector.reduction, whose lanes are added as a tree.
//
// Known weakness: index is as wide as a pointer everywhere, also where i32
// would do.
//
//===----------------------------------------------------------------------===//

#include "codegen/LowerToLLVM.h"

#include "codegen/Addresses.h"
#include "codegen/VectorMath.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

//===----------------------------------------------------------------------===//
// LowerVectors
//===----------------------------------------------------------------------===//

namespace {

class LowerVectors : public PassWrapper<LowerVectors, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerVectors)

  explicit LowerVectors(vector::VectorTransposeLowering transposes)
      : transposes(transposes) {}

  StringRef getName() const override { return "LowerVectors"; }
  StringRef getArgument() const override { return "sinter-lower-vectors"; }
  StringRef getDescription() const override {
    return "Rewrites vector and math ops into those that LLVM has";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, LLVM::LLVMDialect, math::MathDialect,
                    memref::MemRefDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  }

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    sinter::populateVectorMath(patterns);
    populateVectorToSCFConversionPatterns(
        patterns, VectorTransferToSCFOptions().enableFullUnroll());
    memref::populateExpandStridedMetadataPatterns(patterns);
    populateAffineToStdConversionPatterns(patterns);
    vector::populateVectorMultiReductionLoweringPatterns(
        patterns, vector::VectorMultiReductionLowering::InnerParallel);
    vector::populateVectorContractLoweringPatterns(
        patterns, vector::VectorContractLowering::OuterProduct);
    vector::populateVectorTransposeLoweringPatterns(patterns, transposes);
    vector::populateVectorTransferLoweringPatterns(patterns,
                                                   /*maxTransferRank=*/1);
    vector::populateVectorBroadcastLoweringPatterns(patterns);
    vector::populateVectorBitCastLoweringPatterns(patterns);
    vector::populateVectorShapeCastLoweringPatterns(patterns);
    vector::populateVectorInterleaveLoweringPatterns(patterns);
    vector::populateVectorInsertExtractStridedSliceTransforms(patterns);
    vector::populateVectorStepLoweringPatterns(patterns);
    vector::populateVectorGatherLoweringPatterns(patterns);
    vector::populateVectorRankReducingFMAPattern(patterns);
    vector::populateVectorMaskOpLoweringPatterns(patterns);
    // A lane's number fits in 32 bits: masks compare half as many bytes.
    vector::populateVectorMaskMaterializationPatterns(
        patterns, /*force32BitVectorIndices=*/true);
    // What a pattern makes is looked at again in the same sweep; a second sweep
    // would only find that nothing is left to do. An op that is left all the
    // same is an error of the conversion.
    GreedyRewriteConfig config;
    config.setMaxIterations(1);
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    (void)applyPatternsGreedily(getOperation(), std::move(patterns), config);
  }

private:
  vector::VectorTransposeLowering transposes;
};

} // namespace

//===----------------------------------------------------------------------===//
// ConvertToLLVM
//===----------------------------------------------------------------------===//

namespace {

/// The casts of Pointers.h: a pointer becomes the descriptor of a memref of
/// known shape and strides; a function's address already is a pointer.
class ConvertPointerCast
    : public ConvertOpToLLVMPattern<UnrealizedConversionCastOp> {
public:
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult
  matchAndRewrite(UnrealizedConversionCastOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (op.getNumOperands() != 1 || op.getNumResults() != 1)
      return rewriter.notifyMatchFailure(op, "no cast of one value");
    Value pointer = adaptor.getOperands().front();
    if (!isa<LLVM::LLVMPointerType>(pointer.getType()))
      return rewriter.notifyMatchFailure(op, "no pointer");
    if (auto type = dyn_cast<MemRefType>(op.getResult(0).getType()))
      return convertToMemRef(op, type, pointer, rewriter);
    if (op.getResult(0).getType() != pointer.getType())
      return rewriter.notifyMatchFailure(op, "neither memref nor pointer");
    rewriter.replaceOp(op, pointer);
    return success();
  }

private:
  LogicalResult convertToMemRef(UnrealizedConversionCastOp op, MemRefType type,
                                Value pointer,
                                ConversionPatternRewriter &rewriter) const {
    if (!type.hasStaticShape())
      return op.emitError("expected a memref of static shape, got ") << type;
    rewriter.replaceOp(
        op, {MemRefDescriptor::fromStaticShape(
                rewriter, op.getLoc(), *getTypeConverter(), type, pointer)});
    return success();
  }
};

class ConvertToLLVM
    : public PassWrapper<ConvertToLLVM, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertToLLVM)

  explicit ConvertToLLVM(unsigned indexBits) : indexBits(indexBits) {}

  StringRef getName() const override { return "ConvertToLLVM"; }
  StringRef getArgument() const override { return "sinter-convert-to-llvm"; }
  StringRef getDescription() const override {
    return "Converts loops to the LLVM dialect, all dialects at once";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect>();
  }

  void runOnOperation() override {
    LLVMConversionTarget target(getContext());
    target.addLegalOp<ModuleOp>();
    target.addIllegalOp<UnrealizedConversionCastOp>();

    LowerToLLVMOptions options(&getContext());
    options.overrideIndexBitwidth(indexBits);
    LLVMTypeConverter converter(&getContext(), options);

    RewritePatternSet patterns(&getContext());
    patterns.add<ConvertPointerCast>(converter);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateFuncToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
    // Lanes of a vector.reduction are added as a tree: the order is part of the
    // generated code, so it is the same in every run.
    populateVectorToLLVMConversionPatterns(converter, patterns,
                                           /*reassociateFPReductions=*/true,
                                           /*force32BitVectorIndices=*/true);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns,
                                         /*approximateLog1p=*/false);
    index::populateIndexToLLVMConversionPatterns(converter, patterns);
    ub::populateUBToLLVMConversionPatterns(converter, patterns);

    if (failed(
            applyFullConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }

private:
  unsigned indexBits;
};

} // namespace

void sinter::addLowerToLLVMPasses(OpPassManager &passes,
                                  const TargetShape &target) {
  // AVX-512 transposes 16x16 in registers with 64 shuffles.
  passes.addPass(std::make_unique<LowerVectors>(
      target.lanes == 16 ? vector::VectorTransposeLowering::Shuffle16x16
                         : vector::VectorTransposeLowering::Shuffle1D));
  passes.addPass(createShareAddressesPass());
  // Apart: LLVM 22 crashes when loops and their bounds convert together.
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(std::make_unique<ConvertToLLVM>(target.indexBits));
  // Line tables, so that profilers and debuggers name the spec's lines.
  passes.addPass(LLVM::createDIScopeForLLVMFuncOpPass());
}
