// One small function per form of each differentiable op, read by
// GradientTest.cpp (rules against finite differences) and ExpansionTest.cpp
// (composites against their expansions). RegistryTest.cpp fails for a
// differentiable op without a function here.
//
// Attributes: inputs are drawn from [`from`, `to`), otherwise [-2, 2); labels
// are below `classes`; arguments in `stopped` get no gradient by declaration.

//===-------------------------------------------------------------------===//
// Elementwise primitives: each form of broadcasting
//===-------------------------------------------------------------------===//

func.func @add_same(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.add %a, %b : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @add_bias(%a: tensor<?x3xf32>, %b: tensor<3xf32>) -> tensor<?x3xf32> {
  %y = sinter.add %a, %b : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @add_scalar(%a: tensor<f32>, %b: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %y = sinter.add %a, %b : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @add_outer(%a: tensor<?x1x3xf32>, %b: tensor<2x1xf32>)
    -> tensor<?x2x3xf32> {
  %y = sinter.add %a, %b
      : (tensor<?x1x3xf32>, tensor<2x1xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

// A size of 1 stretches over the batch.
func.func @add_one_sample(%a: tensor<1x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.add %a, %b : (tensor<1x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @sub_same(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.sub %a, %b : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @sub_bias(%a: tensor<?x3xf32>, %b: tensor<3xf32>) -> tensor<?x3xf32> {
  %y = sinter.sub %a, %b : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @sub_scalar(%a: tensor<f32>, %b: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %y = sinter.sub %a, %b : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @sub_outer(%a: tensor<?x1x3xf32>, %b: tensor<2x1xf32>)
    -> tensor<?x2x3xf32> {
  %y = sinter.sub %a, %b
      : (tensor<?x1x3xf32>, tensor<2x1xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @sub_one_sample(%a: tensor<1x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.sub %a, %b : (tensor<1x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @mul_same(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.mul %a, %b : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @mul_bias(%a: tensor<?x3xf32>, %b: tensor<3xf32>) -> tensor<?x3xf32> {
  %y = sinter.mul %a, %b : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @mul_scalar(%a: tensor<f32>, %b: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %y = sinter.mul %a, %b : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @mul_outer(%a: tensor<?x1x3xf32>, %b: tensor<2x1xf32>)
    -> tensor<?x2x3xf32> {
  %y = sinter.mul %a, %b
      : (tensor<?x1x3xf32>, tensor<2x1xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @mul_one_sample(%a: tensor<1x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.mul %a, %b : (tensor<1x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @div_same(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> attributes {from = 0.5, to = 2.0} {
  %y = sinter.div %a, %b : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @div_bias(%a: tensor<?x3xf32>, %b: tensor<3xf32>)
    -> tensor<?x3xf32> attributes {from = 0.5, to = 2.0} {
  %y = sinter.div %a, %b : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @div_scalar(%a: tensor<f32>, %b: tensor<?x2xf32>)
    -> tensor<?x2xf32> attributes {from = 0.5, to = 2.0} {
  %y = sinter.div %a, %b : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @div_outer(%a: tensor<?x1x3xf32>, %b: tensor<2x1xf32>)
    -> tensor<?x2x3xf32> attributes {from = 0.5, to = 2.0} {
  %y = sinter.div %a, %b
      : (tensor<?x1x3xf32>, tensor<2x1xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @div_one_sample(%a: tensor<1x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> attributes {from = 0.5, to = 2.0} {
  %y = sinter.div %a, %b : (tensor<1x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @maximum_same(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.maximum %a, %b
      : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @maximum_bias(%a: tensor<?x3xf32>, %b: tensor<3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.maximum %a, %b
      : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @maximum_scalar(%a: tensor<f32>, %b: tensor<?x2xf32>)
    -> tensor<?x2xf32> {
  %y = sinter.maximum %a, %b : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @maximum_outer(%a: tensor<?x1x3xf32>, %b: tensor<2x1xf32>)
    -> tensor<?x2x3xf32> {
  %y = sinter.maximum %a, %b
      : (tensor<?x1x3xf32>, tensor<2x1xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @maximum_one_sample(%a: tensor<1x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.maximum %a, %b
      : (tensor<1x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @minimum_same(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.minimum %a, %b
      : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @minimum_bias(%a: tensor<?x3xf32>, %b: tensor<3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.minimum %a, %b
      : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @minimum_scalar(%a: tensor<f32>, %b: tensor<?x2xf32>)
    -> tensor<?x2xf32> {
  %y = sinter.minimum %a, %b : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @minimum_outer(%a: tensor<?x1x3xf32>, %b: tensor<2x1xf32>)
    -> tensor<?x2x3xf32> {
  %y = sinter.minimum %a, %b
      : (tensor<?x1x3xf32>, tensor<2x1xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @minimum_one_sample(%a: tensor<1x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.minimum %a, %b
      : (tensor<1x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// Both operands are one value: gradients add up.
func.func @square(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.mul %a, %a : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @select_same(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>, %c: tensor<?x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.select %a, %b, %c
      : (tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>)
      -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// Its own value decides; the gradient goes through what is chosen.
func.func @select_by_itself(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %t = sinter.constant dense<0.3> : tensor<f32>
  %p = sinter.greater %a, %t : (tensor<?x3xf32>, tensor<f32>) -> tensor<?x3xf32>
  %y = sinter.select %p, %a, %t
      : (tensor<?x3xf32>, tensor<?x3xf32>, tensor<f32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @select_broadcast(%a: tensor<?x1xf32>, %b: tensor<3xf32>, %c: tensor<f32>)
    -> tensor<?x3xf32> {
  %y = sinter.select %a, %b, %c : (tensor<?x1xf32>, tensor<3xf32>, tensor<f32>)
      -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @neg(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.neg %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @abs(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.abs %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @exp(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.exp %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @expm1(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.expm1 %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @log(%a: tensor<?x3xf32>)
    -> tensor<?x3xf32> attributes {from = 0.25, to = 3.0} {
  %y = sinter.log %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @log1p(%a: tensor<?x3xf32>)
    -> tensor<?x3xf32> attributes {from = -0.5, to = 3.0} {
  %y = sinter.log1p %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @sqrt(%a: tensor<?x3xf32>)
    -> tensor<?x3xf32> attributes {from = 0.25, to = 3.0} {
  %y = sinter.sqrt %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @cos(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.cos %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @sin(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.sin %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @tanh(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.tanh %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @erf(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.erf %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @exp_unbatched(%a: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %y = sinter.exp %a : tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

//===-------------------------------------------------------------------===//
// Declared zero gradients: differences must be zero as well
//===-------------------------------------------------------------------===//

func.func @sign(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.sign %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @floor(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.floor %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @greater(%a: tensor<?x3xf32>, %b: tensor<3xf32>) -> tensor<?x3xf32> {
  %y = sinter.greater %a, %b
      : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @equal(%a: tensor<?x3xf32>, %b: tensor<3xf32>) -> tensor<?x3xf32> {
  %y = sinter.equal %a, %b : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @argmax(%a: tensor<?x3xf32>) -> tensor<?xf32> {
  %i = sinter.argmax %a : (tensor<?x3xf32>) -> tensor<?xi32>
  %y = sinter.cast %i : tensor<?xi32> -> tensor<?xf32>
  return %y : tensor<?xf32>
}

//===-------------------------------------------------------------------===//
// Shape primitives
//===-------------------------------------------------------------------===//

func.func @reshape(%a: tensor<?x2x3xf32>) -> tensor<?x6xf32> {
  %y = sinter.reshape %a : tensor<?x2x3xf32> -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

func.func @reshape_unbatched(%a: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %y = sinter.reshape %a : tensor<2x3xf32> -> tensor<3x2xf32>
  return %y : tensor<3x2xf32>
}

func.func @broadcast_feature(%a: tensor<?x1x3xf32>) -> tensor<?x2x3xf32> {
  %y = sinter.broadcast %a : tensor<?x1x3xf32> -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @broadcast_batch(%a: tensor<3xf32>) -> tensor<?x3xf32> {
  %y = sinter.broadcast %a : tensor<3xf32> -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @broadcast_both(%a: tensor<2x1xf32>) -> tensor<?x2x3xf32> {
  %y = sinter.broadcast %a : tensor<2x1xf32> -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @broadcast_scalar(%a: tensor<f32>) -> tensor<2x3xf32> {
  %y = sinter.broadcast %a : tensor<f32> -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

func.func @broadcast_scalar_to_batch(%a: tensor<f32>) -> tensor<?xf32> {
  %y = sinter.broadcast %a : tensor<f32> -> tensor<?xf32>
  return %y : tensor<?xf32>
}

func.func @concatenate(%a: tensor<?x1xf32>, %b: tensor<?x3xf32>, %c: tensor<?x2xf32>)
    -> tensor<?x6xf32> {
  %y = sinter.concatenate %a, %b, %c axis 1
      : (tensor<?x1xf32>, tensor<?x3xf32>, tensor<?x2xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

func.func @concatenate_inner(%a: tensor<?x2x1xf32>, %b: tensor<?x2x3xf32>)
    -> tensor<?x2x4xf32> {
  %y = sinter.concatenate %a, %b axis 2
      : (tensor<?x2x1xf32>, tensor<?x2x3xf32>) -> tensor<?x2x4xf32>
  return %y : tensor<?x2x4xf32>
}

func.func @concatenate_with_itself(%a: tensor<?x2xf32>) -> tensor<?x4xf32> {
  %y = sinter.concatenate %a, %a axis 1
      : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

func.func @slice(%a: tensor<?x5xf32>) -> tensor<?x2xf32> {
  %y = sinter.slice %a axis 1 from 2 size 2
      : (tensor<?x5xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @slice_middle_axis(%a: tensor<?x3x2xf32>) -> tensor<?x1x2xf32> {
  %y = sinter.slice %a axis 1 from 1 size 1
      : (tensor<?x3x2xf32>) -> tensor<?x1x2xf32>
  return %y : tensor<?x1x2xf32>
}

func.func @pad(%a: tensor<?x2xf32>) -> tensor<?x5xf32> {
  %y = sinter.pad %a axis 1 low 1 high 2 : (tensor<?x2xf32>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

func.func @pad_inner(%a: tensor<?x2x2xf32>) -> tensor<?x2x3xf32> {
  %y = sinter.pad %a axis 2 low 0 high 1
      : (tensor<?x2x2xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @relayout(%a: tensor<?x3xf32>)
    -> tensor<?x3xf32, #sinter.batch_minor> {
  %y = sinter.relayout %a
      : tensor<?x3xf32> -> tensor<?x3xf32, #sinter.batch_minor>
  return %y : tensor<?x3xf32, #sinter.batch_minor>
}

//===-------------------------------------------------------------------===//
// Reductions and contractions
//===-------------------------------------------------------------------===//

func.func @reduce_sum_batch(%a: tensor<?x3xf32>) -> tensor<3xf32> {
  %y = sinter.reduce_sum %a axes [0] : (tensor<?x3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @reduce_sum_batch_alone(%a: tensor<?xf32>) -> tensor<f32> {
  %y = sinter.reduce_sum %a axes [0] : (tensor<?xf32>) -> tensor<f32>
  return %y : tensor<f32>
}

func.func @reduce_sum_batch_unbatched(%a: tensor<4x3xf32>) -> tensor<3xf32> {
  %y = sinter.reduce_sum %a axes [0] : (tensor<4x3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @reduce_sum_last(%a: tensor<?x2x3xf32>) -> tensor<?x2xf32> {
  %y = sinter.reduce_sum %a axes [2] : (tensor<?x2x3xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @reduce_sum_last_kept(%a: tensor<?x2x3xf32>) -> tensor<?x2x1xf32> {
  %y = sinter.reduce_sum %a axes [2] keep_dims
      : (tensor<?x2x3xf32>) -> tensor<?x2x1xf32>
  return %y : tensor<?x2x1xf32>
}

func.func @reduce_sum_middle(%a: tensor<?x2x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.reduce_sum %a axes [1] : (tensor<?x2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @reduce_sum_middle_kept(%a: tensor<?x2x3xf32>) -> tensor<?x1x3xf32> {
  %y = sinter.reduce_sum %a axes [1] keep_dims
      : (tensor<?x2x3xf32>) -> tensor<?x1x3xf32>
  return %y : tensor<?x1x3xf32>
}

func.func @reduce_sum_several(%a: tensor<?x2x3xf32>) -> tensor<?xf32> {
  %y = sinter.reduce_sum %a axes [1, 2] : (tensor<?x2x3xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

func.func @reduce_sum_several_kept(%a: tensor<2x3x2xf32>) -> tensor<1x3x1xf32> {
  %y = sinter.reduce_sum %a axes [0, 2] keep_dims
      : (tensor<2x3x2xf32>) -> tensor<1x3x1xf32>
  return %y : tensor<1x3x1xf32>
}

func.func @reduce_sum_all(%a: tensor<2x3xf32>) -> tensor<f32> {
  %y = sinter.reduce_sum %a axes [0, 1] : (tensor<2x3xf32>) -> tensor<f32>
  return %y : tensor<f32>
}

func.func @reduce_max_last(%a: tensor<?x2x3xf32>) -> tensor<?x2xf32> {
  %y = sinter.reduce_max %a axes [2] : (tensor<?x2x3xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @reduce_max_last_kept(%a: tensor<?x2x3xf32>) -> tensor<?x2x1xf32> {
  %y = sinter.reduce_max %a axes [2] keep_dims
      : (tensor<?x2x3xf32>) -> tensor<?x2x1xf32>
  return %y : tensor<?x2x1xf32>
}

func.func @reduce_max_middle(%a: tensor<?x2x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.reduce_max %a axes [1] : (tensor<?x2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @reduce_max_middle_kept(%a: tensor<?x2x3xf32>) -> tensor<?x1x3xf32> {
  %y = sinter.reduce_max %a axes [1] keep_dims
      : (tensor<?x2x3xf32>) -> tensor<?x1x3xf32>
  return %y : tensor<?x1x3xf32>
}

func.func @reduce_max_several(%a: tensor<?x2x3xf32>) -> tensor<?xf32> {
  %y = sinter.reduce_max %a axes [1, 2] : (tensor<?x2x3xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

func.func @reduce_max_several_kept(%a: tensor<2x3x2xf32>) -> tensor<1x3x1xf32> {
  %y = sinter.reduce_max %a axes [0, 2] keep_dims
      : (tensor<2x3x2xf32>) -> tensor<1x3x1xf32>
  return %y : tensor<1x3x1xf32>
}

func.func @reduce_max_all(%a: tensor<2x3xf32>) -> tensor<f32> {
  %y = sinter.reduce_max %a axes [0, 1] : (tensor<2x3xf32>) -> tensor<f32>
  return %y : tensor<f32>
}

func.func @matmul_dense(%a: tensor<?x4xf32>, %b: tensor<4x3xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.matmul %a, %b
      : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @matmul_dense_transposed(%a: tensor<?x4xf32>, %b: tensor<3x4xf32>)
    -> tensor<?x3xf32> {
  %y = sinter.matmul %a, %b transposed
      : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @matmul_batch_contracted(%a: tensor<?x4xf32>, %b: tensor<?x3xf32>)
    -> tensor<4x3xf32> {
  %y = sinter.matmul %a transposed, %b
      : (tensor<?x4xf32>, tensor<?x3xf32>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

func.func @matmul_static(%a: tensor<2x4xf32>, %b: tensor<4x3xf32>)
    -> tensor<2x3xf32> {
  %y = sinter.matmul %a, %b
      : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

func.func @matmul_static_a(%a: tensor<4x2xf32>, %b: tensor<4x3xf32>)
    -> tensor<2x3xf32> {
  %y = sinter.matmul %a transposed, %b
      : (tensor<4x2xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

func.func @matmul_static_b(%a: tensor<2x4xf32>, %b: tensor<3x4xf32>)
    -> tensor<2x3xf32> {
  %y = sinter.matmul %a, %b transposed
      : (tensor<2x4xf32>, tensor<3x4xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

func.func @matmul_static_both(%a: tensor<4x2xf32>, %b: tensor<3x4xf32>)
    -> tensor<2x3xf32> {
  %y = sinter.matmul %a transposed, %b transposed
      : (tensor<4x2xf32>, tensor<3x4xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

func.func @batch_matmul(%a: tensor<?x2x4xf32>, %b: tensor<?x4x3xf32>)
    -> tensor<?x2x3xf32> {
  %y = sinter.batch_matmul %a, %b
      : (tensor<?x2x4xf32>, tensor<?x4x3xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @batch_matmul_transposed_a(%a: tensor<?x2x4x2xf32>, %b: tensor<?x2x4x3xf32>)
    -> tensor<?x2x2x3xf32> {
  %y = sinter.batch_matmul %a transposed, %b
      : (tensor<?x2x4x2xf32>, tensor<?x2x4x3xf32>) -> tensor<?x2x2x3xf32>
  return %y : tensor<?x2x2x3xf32>
}

func.func @batch_matmul_transposed_b(%a: tensor<?x2x2x4xf32>, %b: tensor<?x1x3x4xf32>)
    -> tensor<?x2x2x3xf32> {
  %y = sinter.batch_matmul %a, %b transposed
      : (tensor<?x2x2x4xf32>, tensor<?x1x3x4xf32>) -> tensor<?x2x2x3xf32>
  return %y : tensor<?x2x2x3xf32>
}

func.func @batch_matmul_transposed_both(%a: tensor<?x1x3x4x2xf32>, %b: tensor<?x2x1x3x4xf32>)
    -> tensor<?x2x3x2x3xf32> {
  %y = sinter.batch_matmul %a transposed, %b transposed
      : (tensor<?x1x3x4x2xf32>, tensor<?x2x1x3x4xf32>) -> tensor<?x2x3x2x3xf32>
  return %y : tensor<?x2x3x2x3xf32>
}

//===-------------------------------------------------------------------===//
// Tables of rows: whole numbers from 0 to 3 here
//===-------------------------------------------------------------------===//

func.func @embedding(%x: tensor<?x3xf32>, %t: tensor<4x2xf32>)
    -> tensor<?x3x2xf32> {
  %two = sinter.constant dense<2.0> : tensor<f32>
  %s = sinter.add %x, %two : (tensor<?x3xf32>, tensor<f32>) -> tensor<?x3xf32>
  %i = sinter.floor %s : tensor<?x3xf32>
  %y = sinter.embedding %i, %t
      : (tensor<?x3xf32>, tensor<4x2xf32>) -> tensor<?x3x2xf32>
  return %y : tensor<?x3x2xf32>
}

func.func @embedding_of_samples(%x: tensor<?xf32>, %t: tensor<4x3xf32>)
    -> tensor<?x3xf32> {
  %two = sinter.constant dense<2.0> : tensor<f32>
  %s = sinter.add %x, %two : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %i = sinter.floor %s : tensor<?xf32>
  %e = sinter.exp %t : tensor<4x3xf32>
  %y = sinter.embedding %i, %e
      : (tensor<?xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//===-------------------------------------------------------------------===//
// Windows over images
//===-------------------------------------------------------------------===//

func.func @conv2d_plain(%x: tensor<?x3x3x2xf32>, %w: tensor<2x2x2x2xf32>)
    -> tensor<?x2x2x2xf32> {
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1]
      padding [0, 0, 0, 0] groups 1
      : (tensor<?x3x3x2xf32>, tensor<2x2x2x2xf32>) -> tensor<?x2x2x2xf32>
  return %y : tensor<?x2x2x2xf32>
}

func.func @conv2d_transpose_plain(%x: tensor<?x2x2x2xf32>, %w: tensor<2x2x2x2xf32>)
    -> tensor<?x3x3x2xf32> {
  %y = sinter.conv2d_transpose %x, %w size [3, 3] strides [1, 1] dilations [1, 1]
      padding [0, 0, 0, 0] groups 1
      : (tensor<?x2x2x2xf32>, tensor<2x2x2x2xf32>) -> tensor<?x3x3x2xf32>
  return %y : tensor<?x3x3x2xf32>
}

func.func @conv2d_filter_gradient_plain(%x: tensor<?x3x3x2xf32>, %d: tensor<?x2x2x2xf32>)
    -> tensor<2x2x2x2xf32> {
  %y = sinter.conv2d_filter_gradient %x, %d size [2, 2] strides [1, 1] dilations [1, 1]
      padding [0, 0, 0, 0] groups 1
      : (tensor<?x3x3x2xf32>, tensor<?x2x2x2xf32>) -> tensor<2x2x2x2xf32>
  return %y : tensor<2x2x2x2xf32>
}

func.func @conv2d_same(%x: tensor<?x3x4x1xf32>, %w: tensor<3x3x1x2xf32>)
    -> tensor<?x3x4x2xf32> {
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1]
      padding [1, 1, 1, 1] groups 1
      : (tensor<?x3x4x1xf32>, tensor<3x3x1x2xf32>) -> tensor<?x3x4x2xf32>
  return %y : tensor<?x3x4x2xf32>
}

func.func @conv2d_transpose_same(%x: tensor<?x3x4x2xf32>, %w: tensor<3x3x1x2xf32>)
    -> tensor<?x3x4x1xf32> {
  %y = sinter.conv2d_transpose %x, %w size [3, 4] strides [1, 1] dilations [1, 1]
      padding [1, 1, 1, 1] groups 1
      : (tensor<?x3x4x2xf32>, tensor<3x3x1x2xf32>) -> tensor<?x3x4x1xf32>
  return %y : tensor<?x3x4x1xf32>
}

func.func @conv2d_filter_gradient_same(%x: tensor<?x3x4x1xf32>, %d: tensor<?x3x4x2xf32>)
    -> tensor<3x3x1x2xf32> {
  %y = sinter.conv2d_filter_gradient %x, %d size [3, 3] strides [1, 1] dilations [1, 1]
      padding [1, 1, 1, 1] groups 1
      : (tensor<?x3x4x1xf32>, tensor<?x3x4x2xf32>) -> tensor<3x3x1x2xf32>
  return %y : tensor<3x3x1x2xf32>
}

func.func @conv2d_strided(%x: tensor<?x4x5x2xf32>, %w: tensor<3x2x2x1xf32>)
    -> tensor<?x2x2x1xf32> {
  %y = sinter.conv2d %x, %w strides [2, 3] dilations [1, 1]
      padding [0, 1, 0, 0] groups 1
      : (tensor<?x4x5x2xf32>, tensor<3x2x2x1xf32>) -> tensor<?x2x2x1xf32>
  return %y : tensor<?x2x2x1xf32>
}

func.func @conv2d_transpose_strided(%x: tensor<?x2x2x1xf32>, %w: tensor<3x2x2x1xf32>)
    -> tensor<?x4x5x2xf32> {
  %y = sinter.conv2d_transpose %x, %w size [4, 5] strides [2, 3] dilations [1, 1]
      padding [0, 1, 0, 0] groups 1
      : (tensor<?x2x2x1xf32>, tensor<3x2x2x1xf32>) -> tensor<?x4x5x2xf32>
  return %y : tensor<?x4x5x2xf32>
}

func.func @conv2d_filter_gradient_strided(%x: tensor<?x4x5x2xf32>, %d: tensor<?x2x2x1xf32>)
    -> tensor<3x2x2x1xf32> {
  %y = sinter.conv2d_filter_gradient %x, %d size [3, 2] strides [2, 3] dilations [1, 1]
      padding [0, 1, 0, 0] groups 1
      : (tensor<?x4x5x2xf32>, tensor<?x2x2x1xf32>) -> tensor<3x2x2x1xf32>
  return %y : tensor<3x2x2x1xf32>
}

func.func @conv2d_dilated(%x: tensor<?x5x5x1xf32>, %w: tensor<2x3x1x1xf32>)
    -> tensor<?x3x4x1xf32> {
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [3, 2]
      padding [1, 0, 2, 1] groups 1
      : (tensor<?x5x5x1xf32>, tensor<2x3x1x1xf32>) -> tensor<?x3x4x1xf32>
  return %y : tensor<?x3x4x1xf32>
}

func.func @conv2d_transpose_dilated(%x: tensor<?x3x4x1xf32>, %w: tensor<2x3x1x1xf32>)
    -> tensor<?x5x5x1xf32> {
  %y = sinter.conv2d_transpose %x, %w size [5, 5] strides [1, 1] dilations [3, 2]
      padding [1, 0, 2, 1] groups 1
      : (tensor<?x3x4x1xf32>, tensor<2x3x1x1xf32>) -> tensor<?x5x5x1xf32>
  return %y : tensor<?x5x5x1xf32>
}

func.func @conv2d_filter_gradient_dilated(%x: tensor<?x5x5x1xf32>, %d: tensor<?x3x4x1xf32>)
    -> tensor<2x3x1x1xf32> {
  %y = sinter.conv2d_filter_gradient %x, %d size [2, 3] strides [1, 1] dilations [3, 2]
      padding [1, 0, 2, 1] groups 1
      : (tensor<?x5x5x1xf32>, tensor<?x3x4x1xf32>) -> tensor<2x3x1x1xf32>
  return %y : tensor<2x3x1x1xf32>
}

func.func @conv2d_strided_dilated(%x: tensor<?x5x4x1xf32>, %w: tensor<2x2x1x2xf32>)
    -> tensor<?x3x2x2xf32> {
  %y = sinter.conv2d %x, %w strides [2, 3] dilations [2, 1]
      padding [2, 0, 0, 2] groups 1
      : (tensor<?x5x4x1xf32>, tensor<2x2x1x2xf32>) -> tensor<?x3x2x2xf32>
  return %y : tensor<?x3x2x2xf32>
}

func.func @conv2d_transpose_strided_dilated(%x: tensor<?x3x2x2xf32>, %w: tensor<2x2x1x2xf32>)
    -> tensor<?x5x4x1xf32> {
  %y = sinter.conv2d_transpose %x, %w size [5, 4] strides [2, 3] dilations [2, 1]
      padding [2, 0, 0, 2] groups 1
      : (tensor<?x3x2x2xf32>, tensor<2x2x1x2xf32>) -> tensor<?x5x4x1xf32>
  return %y : tensor<?x5x4x1xf32>
}

func.func @conv2d_filter_gradient_strided_dilated(%x: tensor<?x5x4x1xf32>, %d: tensor<?x3x2x2xf32>)
    -> tensor<2x2x1x2xf32> {
  %y = sinter.conv2d_filter_gradient %x, %d size [2, 2] strides [2, 3] dilations [2, 1]
      padding [2, 0, 0, 2] groups 1
      : (tensor<?x5x4x1xf32>, tensor<?x3x2x2xf32>) -> tensor<2x2x1x2xf32>
  return %y : tensor<2x2x1x2xf32>
}

func.func @conv2d_stride_beyond_taps(%x: tensor<?x5x5x1xf32>, %w: tensor<1x2x1x1xf32>)
    -> tensor<?x3x2x1xf32> {
  %y = sinter.conv2d %x, %w strides [2, 3] dilations [1, 1]
      padding [0, 0, 0, 0] groups 1
      : (tensor<?x5x5x1xf32>, tensor<1x2x1x1xf32>) -> tensor<?x3x2x1xf32>
  return %y : tensor<?x3x2x1xf32>
}

func.func @conv2d_transpose_stride_beyond_taps(%x: tensor<?x3x2x1xf32>, %w: tensor<1x2x1x1xf32>)
    -> tensor<?x5x5x1xf32> {
  %y = sinter.conv2d_transpose %x, %w size [5, 5] strides [2, 3] dilations [1, 1]
      padding [0, 0, 0, 0] groups 1
      : (tensor<?x3x2x1xf32>, tensor<1x2x1x1xf32>) -> tensor<?x5x5x1xf32>
  return %y : tensor<?x5x5x1xf32>
}

func.func @conv2d_filter_gradient_stride_beyond_taps(%x: tensor<?x5x5x1xf32>, %d: tensor<?x3x2x1xf32>)
    -> tensor<1x2x1x1xf32> {
  %y = sinter.conv2d_filter_gradient %x, %d size [1, 2] strides [2, 3] dilations [1, 1]
      padding [0, 0, 0, 0] groups 1
      : (tensor<?x5x5x1xf32>, tensor<?x3x2x1xf32>) -> tensor<1x2x1x1xf32>
  return %y : tensor<1x2x1x1xf32>
}

func.func @conv2d_groups(%x: tensor<?x3x3x4xf32>, %w: tensor<2x2x2x6xf32>)
    -> tensor<?x3x3x6xf32> {
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1]
      padding [0, 1, 1, 0] groups 2
      : (tensor<?x3x3x4xf32>, tensor<2x2x2x6xf32>) -> tensor<?x3x3x6xf32>
  return %y : tensor<?x3x3x6xf32>
}

func.func @conv2d_transpose_groups(%x: tensor<?x3x3x6xf32>, %w: tensor<2x2x2x6xf32>)
    -> tensor<?x3x3x4xf32> {
  %y = sinter.conv2d_transpose %x, %w size [3, 3] strides [1, 1] dilations [1, 1]
      padding [0, 1, 1, 0] groups 2
      : (tensor<?x3x3x6xf32>, tensor<2x2x2x6xf32>) -> tensor<?x3x3x4xf32>
  return %y : tensor<?x3x3x4xf32>
}

func.func @conv2d_filter_gradient_groups(%x: tensor<?x3x3x4xf32>, %d: tensor<?x3x3x6xf32>)
    -> tensor<2x2x2x6xf32> {
  %y = sinter.conv2d_filter_gradient %x, %d size [2, 2] strides [1, 1] dilations [1, 1]
      padding [0, 1, 1, 0] groups 2
      : (tensor<?x3x3x4xf32>, tensor<?x3x3x6xf32>) -> tensor<2x2x2x6xf32>
  return %y : tensor<2x2x2x6xf32>
}

func.func @conv2d_depthwise(%x: tensor<?x3x3x3xf32>, %w: tensor<2x2x1x6xf32>)
    -> tensor<?x2x3x6xf32> {
  %y = sinter.conv2d %x, %w strides [2, 1] dilations [1, 1]
      padding [0, 1, 0, 1] groups 3
      : (tensor<?x3x3x3xf32>, tensor<2x2x1x6xf32>) -> tensor<?x2x3x6xf32>
  return %y : tensor<?x2x3x6xf32>
}

func.func @conv2d_transpose_depthwise(%x: tensor<?x2x3x6xf32>, %w: tensor<2x2x1x6xf32>)
    -> tensor<?x3x3x3xf32> {
  %y = sinter.conv2d_transpose %x, %w size [3, 3] strides [2, 1] dilations [1, 1]
      padding [0, 1, 0, 1] groups 3
      : (tensor<?x2x3x6xf32>, tensor<2x2x1x6xf32>) -> tensor<?x3x3x3xf32>
  return %y : tensor<?x3x3x3xf32>
}

func.func @conv2d_filter_gradient_depthwise(%x: tensor<?x3x3x3xf32>, %d: tensor<?x2x3x6xf32>)
    -> tensor<2x2x1x6xf32> {
  %y = sinter.conv2d_filter_gradient %x, %d size [2, 2] strides [2, 1] dilations [1, 1]
      padding [0, 1, 0, 1] groups 3
      : (tensor<?x3x3x3xf32>, tensor<?x2x3x6xf32>) -> tensor<2x2x1x6xf32>
  return %y : tensor<2x2x1x6xf32>
}

func.func @max_pool2d_plain(%x: tensor<?x4x4x2xf32>)
    -> tensor<?x2x2x2xf32> {
  %y = sinter.max_pool2d %x window [2, 2] strides [2, 2] padding [0, 0, 0, 0]
      : (tensor<?x4x4x2xf32>) -> tensor<?x2x2x2xf32>
  return %y : tensor<?x2x2x2xf32>
}

func.func @avg_pool2d_plain(%x: tensor<?x4x4x2xf32>)
    -> tensor<?x2x2x2xf32> {
  %y = sinter.avg_pool2d %x window [2, 2] strides [2, 2] padding [0, 0, 0, 0]
      : (tensor<?x4x4x2xf32>) -> tensor<?x2x2x2xf32>
  return %y : tensor<?x2x2x2xf32>
}

func.func @avg_pool2d_gradient_plain(%d: tensor<?x2x2x2xf32>)
    -> tensor<?x4x4x2xf32> {
  %y = sinter.avg_pool2d_gradient %d size [4, 4]
      window [2, 2] strides [2, 2] padding [0, 0, 0, 0]
      : (tensor<?x2x2x2xf32>) -> tensor<?x4x4x2xf32>
  return %y : tensor<?x4x4x2xf32>
}

func.func @max_pool2d_overlapping(%x: tensor<?x3x4x2xf32>)
    -> tensor<?x2x2x2xf32> {
  %y = sinter.max_pool2d %x window [2, 3] strides [1, 1] padding [0, 0, 0, 0]
      : (tensor<?x3x4x2xf32>) -> tensor<?x2x2x2xf32>
  return %y : tensor<?x2x2x2xf32>
}

func.func @avg_pool2d_overlapping(%x: tensor<?x3x4x2xf32>)
    -> tensor<?x2x2x2xf32> {
  %y = sinter.avg_pool2d %x window [2, 3] strides [1, 1] padding [0, 0, 0, 0]
      : (tensor<?x3x4x2xf32>) -> tensor<?x2x2x2xf32>
  return %y : tensor<?x2x2x2xf32>
}

func.func @avg_pool2d_gradient_overlapping(%d: tensor<?x2x2x2xf32>)
    -> tensor<?x3x4x2xf32> {
  %y = sinter.avg_pool2d_gradient %d size [3, 4]
      window [2, 3] strides [1, 1] padding [0, 0, 0, 0]
      : (tensor<?x2x2x2xf32>) -> tensor<?x3x4x2xf32>
  return %y : tensor<?x3x4x2xf32>
}

func.func @max_pool2d_same(%x: tensor<?x3x5x2xf32>)
    -> tensor<?x2x3x2xf32> {
  %y = sinter.max_pool2d %x window [2, 3] strides [2, 2] padding [0, 1, 1, 1]
      : (tensor<?x3x5x2xf32>) -> tensor<?x2x3x2xf32>
  return %y : tensor<?x2x3x2xf32>
}

func.func @avg_pool2d_same(%x: tensor<?x3x5x2xf32>)
    -> tensor<?x2x3x2xf32> {
  %y = sinter.avg_pool2d %x window [2, 3] strides [2, 2] padding [0, 1, 1, 1]
      : (tensor<?x3x5x2xf32>) -> tensor<?x2x3x2xf32>
  return %y : tensor<?x2x3x2xf32>
}

func.func @avg_pool2d_gradient_same(%d: tensor<?x2x3x2xf32>)
    -> tensor<?x3x5x2xf32> {
  %y = sinter.avg_pool2d_gradient %d size [3, 5]
      window [2, 3] strides [2, 2] padding [0, 1, 1, 1]
      : (tensor<?x2x3x2xf32>) -> tensor<?x3x5x2xf32>
  return %y : tensor<?x3x5x2xf32>
}

func.func @max_pool2d_gaps(%x: tensor<?x5x5x2xf32>)
    -> tensor<?x3x2x2xf32> {
  %y = sinter.max_pool2d %x window [1, 2] strides [2, 3] padding [0, 0, 0, 0]
      : (tensor<?x5x5x2xf32>) -> tensor<?x3x2x2xf32>
  return %y : tensor<?x3x2x2xf32>
}

func.func @avg_pool2d_gaps(%x: tensor<?x5x5x2xf32>)
    -> tensor<?x3x2x2xf32> {
  %y = sinter.avg_pool2d %x window [1, 2] strides [2, 3] padding [0, 0, 0, 0]
      : (tensor<?x5x5x2xf32>) -> tensor<?x3x2x2xf32>
  return %y : tensor<?x3x2x2xf32>
}

func.func @avg_pool2d_gradient_gaps(%d: tensor<?x3x2x2xf32>)
    -> tensor<?x5x5x2xf32> {
  %y = sinter.avg_pool2d_gradient %d size [5, 5]
      window [1, 2] strides [2, 3] padding [0, 0, 0, 0]
      : (tensor<?x3x2x2xf32>) -> tensor<?x5x5x2xf32>
  return %y : tensor<?x5x5x2xf32>
}

func.func @transpose(%x: tensor<?x2x3xf32>)
    -> tensor<?x3x2xf32> {
  %y = sinter.transpose %x permutation [0, 2, 1]
      : (tensor<?x2x3xf32>) -> tensor<?x3x2xf32>
  return %y : tensor<?x3x2xf32>
}

func.func @transpose_cycle(%x: tensor<?x2x3x4xf32>)
    -> tensor<?x4x2x3xf32> {
  %y = sinter.transpose %x permutation [0, 3, 1, 2]
      : (tensor<?x2x3x4xf32>) -> tensor<?x4x2x3xf32>
  return %y : tensor<?x4x2x3xf32>
}

func.func @upsample(%x: tensor<?x2x1x2xf32>)
    -> tensor<?x4x3x2xf32> {
  %y = sinter.upsample %x factors [2, 3]
      : (tensor<?x2x1x2xf32>) -> tensor<?x4x3x2xf32>
  return %y : tensor<?x4x3x2xf32>
}

func.func @reduce_sum_batch_and_leading(%x: tensor<?x2x3xf32>)
    -> tensor<3xf32> {
  %y = sinter.reduce_sum %x axes [0, 1]
      : (tensor<?x2x3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @reduce_sum_everything(%x: tensor<?x2x3xf32>)
    -> tensor<f32> {
  %y = sinter.reduce_sum %x axes [0, 1, 2]
      : (tensor<?x2x3xf32>) -> tensor<f32>
  return %y : tensor<f32>
}

//===-------------------------------------------------------------------===//
// Composites
//===-------------------------------------------------------------------===//

func.func @relu(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.relu %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @selu(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.selu %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @gelu(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.gelu %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @silu(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.silu %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @sigmoid(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.sigmoid %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @softplus(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.softplus %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @hard_sigmoid(%a: tensor<?x3xf32>)
    -> tensor<?x3xf32> attributes {from = -5.0, to = 5.0} {
  %y = sinter.hard_sigmoid %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @gelu_approximate(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.gelu %a {approximate} : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @leaky_relu(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.leaky_relu %a {alpha = 0.3 : f32} : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @elu(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.elu %a {alpha = 1.0 : f32} : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @elu_alpha(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.elu %a {alpha = 0.5 : f32} : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @softmax(%a: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = sinter.softmax %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @softmax_rows(%a: tensor<?x2x3xf32>) -> tensor<?x2x3xf32> {
  %y = sinter.softmax %a : tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @softmax_unbatched(%a: tensor<4xf32>) -> tensor<4xf32> {
  %y = sinter.softmax %a : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Random targets do not sum to 1.
func.func @softmax_cross_entropy(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?xf32> attributes {stopped = array<i64: 1>} {
  %y = sinter.softmax_cross_entropy %a, %b
      : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

func.func @softmax_cross_entropy_unbatched(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>)
    -> tensor<2xf32> attributes {stopped = array<i64: 1>} {
  %y = sinter.softmax_cross_entropy %a, %b
      : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// One-hot targets take a shorter rule.
func.func @softmax_cross_entropy_labels(%a: tensor<?x3xf32>, %b: tensor<?xi32>)
    -> tensor<?xf32> attributes {classes = 3} {
  %t = sinter.one_hot %b classes 3 : (tensor<?xi32>) -> tensor<?x3xf32>
  %y = sinter.softmax_cross_entropy %a, %t
      : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

func.func @sigmoid_cross_entropy(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>)
    -> tensor<?x3xf32> attributes {stopped = array<i64: 1>} {
  %y = sinter.sigmoid_cross_entropy %a, %b
      : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @sigmoid_cross_entropy_broadcast(%a: tensor<?x1xf32>, %b: tensor<3xf32>)
    -> tensor<?x3xf32> attributes {stopped = array<i64: 1>} {
  %y = sinter.sigmoid_cross_entropy %a, %b
      : (tensor<?x1xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @batch_norm_features(%x: tensor<?x3xf32>, %g: tensor<3xf32>, %b: tensor<3xf32>, %s: tensor<3xf32>)
    -> tensor<?x3xf32> attributes {stopped = array<i64: 3>} {
  %y = sinter.batch_norm %x, %g, %b, %s epsilon 0.5
      : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @batch_norm_images(%x: tensor<?x2x2x2xf32>, %g: tensor<2xf32>, %b: tensor<2xf32>, %s: tensor<2xf32>)
    -> tensor<?x2x2x2xf32> attributes {stopped = array<i64: 3>} {
  %y = sinter.batch_norm %x, %g, %b, %s epsilon 0.5
      : (tensor<?x2x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2x2x2xf32>
  return %y : tensor<?x2x2x2xf32>
}

func.func @batch_norm_scalars(%x: tensor<?x2x2xf32>, %g: tensor<f32>, %b: tensor<f32>, %s: tensor<f32>)
    -> tensor<?x2x2xf32> attributes {stopped = array<i64: 3>} {
  %y = sinter.batch_norm %x, %g, %b, %s epsilon 0.5
      : (tensor<?x2x2xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<?x2x2xf32>
  return %y : tensor<?x2x2xf32>
}

func.func @layer_norm_features(%x: tensor<?x4xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>)
    -> tensor<?x4xf32> {
  %y = sinter.layer_norm %x, %g, %b axes 1 epsilon 0.5
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

func.func @layer_norm_last(%x: tensor<?x2x3xf32>, %g: tensor<3xf32>, %b: tensor<3xf32>)
    -> tensor<?x2x3xf32> {
  %y = sinter.layer_norm %x, %g, %b axes 1 epsilon 0.5
      : (tensor<?x2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @layer_norm_all(%x: tensor<?x2x3xf32>, %g: tensor<2x3xf32>, %b: tensor<2x3xf32>)
    -> tensor<?x2x3xf32> {
  %y = sinter.layer_norm %x, %g, %b axes 2 epsilon 0.5
      : (tensor<?x2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @layer_norm_scalars(%x: tensor<?x2x3xf32>, %g: tensor<f32>, %b: tensor<f32>)
    -> tensor<?x2x3xf32> {
  %y = sinter.layer_norm %x, %g, %b axes 1 epsilon 0.5
      : (tensor<?x2x3xf32>, tensor<f32>, tensor<f32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}
