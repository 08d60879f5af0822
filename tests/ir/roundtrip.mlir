// RUN: sinter-opt %s | sinter-opt | FileCheck %s
// RUN: sinter-opt %s --mlir-print-op-generic | sinter-opt | FileCheck %s

// Every op, printed and read again: first as it is written, then by way of the
// generic form. RegistryTest.cpp checks that none is missing.

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

// CHECK-LABEL: sinter.model @model batch_bound 32
// CHECK-SAME:  loss = {name = "mean_squared_error"}
sinter.model @model batch_bound 32
    attributes {loss = {name = "mean_squared_error"}} {
  // CHECK: sinter.state parameter @w : tensor<2x3xf32> = uniform(-1.{{.*}}, 1.{{.*}}) {regularizer = {l1 = {{.*}} : f32, l2 = {{.*}} : f32}}
  sinter.state parameter @w : tensor<2x3xf32> = uniform(-1.0, 1.0)
      {regularizer = {l1 = 0.0 : f32, l2 = 0.5 : f32}}
  // CHECK: sinter.state frozen @mean : tensor<3xf32> = normal(
  sinter.state frozen @mean : tensor<3xf32> = normal(0.0, 1.0)
  // CHECK: sinter.state slot @"w/momentum" : tensor<2x3xf32> = truncated_normal(
  sinter.state slot @"w/momentum" : tensor<2x3xf32> = truncated_normal(0.0, 1.0)
  // CHECK: sinter.state iteration @step : tensor<i32> = constant(
  sinter.state iteration @step : tensor<i32> = constant(0.0, 0.0)
  // CHECK: sinter.state seed @seed : tensor<2xi32> = constant({{.*}}) {value = dense<[1, 2]> : tensor<2xi32>}
  sinter.state seed @seed : tensor<2xi32> = constant(0.0, 0.0)
      {value = dense<[1, 2]> : tensor<2xi32>}

  // CHECK-LABEL: func.func @structure
  func.func @structure(%x: tensor<?x2xf32>, %z: tensor<?x3xf32>) -> tensor<?x2xf32> {
    // CHECK: sinter.read @w : tensor<2x3xf32>
    %w = sinter.read @w : tensor<2x3xf32>
    // CHECK: sinter.write @"w/momentum", %{{.*}} : tensor<2x3xf32>
    sinter.write @"w/momentum", %w : tensor<2x3xf32>
    // CHECK: sinter.update @w, %{{.*}} : tensor<2x3xf32>
    sinter.update @w, %w : tensor<2x3xf32>
    // CHECK: %[[KERNEL:.*]]:2 = sinter.kernel sweep "layer" -> tensor<?x2xf32>, tensor<2x3xf32> attributes {offsets = array<i64: 0, -1>}
    %kernel:2 = sinter.kernel sweep "layer" -> tensor<?x2xf32>, tensor<2x3xf32>
        attributes {offsets = array<i64: 0, -1>} {
      %y = sinter.neg %x : tensor<?x2xf32>
      // CHECK: sinter.yield %{{.*}}, %{{.*}} : tensor<?x2xf32>, tensor<2x3xf32>
      sinter.yield %y, %w : tensor<?x2xf32>, tensor<2x3xf32>
    }
    %c = sinter.constant dense<1.0> : tensor<f32>
    // CHECK: sinter.batch_normalization %{{.*}}, %{{.*}}, %{{.*}} moving @mean, @mean momentum {{.*}} epsilon {{.*}} : (tensor<?x3xf32>, tensor<f32>, tensor<f32>) -> tensor<?x3xf32>
    %normal = sinter.batch_normalization %z, %c, %c moving @mean, @mean
        momentum 0.99 epsilon 0.001
        : (tensor<?x3xf32>, tensor<f32>, tensor<f32>) -> tensor<?x3xf32>
    // CHECK: sinter.kernel batch_reduce "nothing"
    sinter.kernel batch_reduce "nothing" {
      // CHECK: sinter.yield{{$}}
      sinter.yield
    }
    // CHECK: return %[[KERNEL]]#0
    return %kernel#0 : tensor<?x2xf32>
  }
}

//===----------------------------------------------------------------------===//
// Leaves, and layers that differ between training and inference
//===----------------------------------------------------------------------===//

// CHECK-LABEL: @leaves
func.func @leaves(%seed: tensor<2xi32>, %step: tensor<i32>, %x: tensor<?x2xf32>) {
  // CHECK: sinter.constant dense<{{.*}}> : tensor<2xf32>
  %constant = sinter.constant dense<[1.0, 2.0]> : tensor<2xf32>
  // CHECK: sinter.constant dense_resource<weights> : tensor<1xf32>
  %resource = sinter.constant dense_resource<weights> : tensor<1xf32>
  // CHECK: sinter.batch_size : tensor<f32>
  %n = sinter.batch_size : tensor<f32>
  // CHECK: sinter.random_uniform %{{.*}}, %{{.*}} stream 3 : (tensor<2xi32>, tensor<i32>) -> tensor<?x2xf32>
  %u = sinter.random_uniform %seed, %step stream 3
      : (tensor<2xi32>, tensor<i32>) -> tensor<?x2xf32>
  // CHECK: sinter.random_normal %{{.*}}, %{{.*}} stream 4 : (tensor<2xi32>, tensor<i32>) -> tensor<?x2xf32>
  %z = sinter.random_normal %seed, %step stream 4
      : (tensor<2xi32>, tensor<i32>) -> tensor<?x2xf32>
  // CHECK: sinter.dropout %{{.*}} stream 0 {rate = {{.*}} : f32} : tensor<?x2xf32>
  %dropout = sinter.dropout %x stream 0 {rate = 0.5 : f32} : tensor<?x2xf32>
  // CHECK: sinter.gaussian_noise %{{.*}} stream 1 {stddev = {{.*}} : f32} : tensor<?x2xf32>
  %noise = sinter.gaussian_noise %x stream 1 {stddev = 0.5 : f32} : tensor<?x2xf32>
  %space = sinter.reshape %x : tensor<?x2xf32> -> tensor<?x1x2xf32>
  // CHECK: sinter.spatial_dropout %{{.*}} stream 2 {rate = {{.*}} : f32} : tensor<?x1x2xf32>
  %spatial = sinter.spatial_dropout %space stream 2 {rate = 0.5 : f32}
      : tensor<?x1x2xf32>
  return
}

//===----------------------------------------------------------------------===//
// Elementwise primitives
//===----------------------------------------------------------------------===//

// CHECK-LABEL: @binary
func.func @binary(%a: tensor<?x2xf32>, %b: tensor<2xf32>, %i: tensor<?xi32>) {
  // CHECK: sinter.add %{{.*}}, %{{.*}} : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %add = sinter.add %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  // CHECK: sinter.add %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi32>
  %integers = sinter.add %i, %i : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi32>
  // CHECK: sinter.sub
  %sub = sinter.sub %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  // CHECK: sinter.mul
  %mul = sinter.mul %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  // CHECK: sinter.div
  %div = sinter.div %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  // CHECK: sinter.maximum
  %maximum = sinter.maximum %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  // CHECK: sinter.minimum
  %minimum = sinter.minimum %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  // CHECK: sinter.greater %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xf32>
  %greater = sinter.greater %i, %i : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xf32>
  // CHECK: sinter.equal %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xf32>
  %equal = sinter.equal %i, %i : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xf32>
  // CHECK: sinter.select %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %select = sinter.select %a, %b, %b
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// CHECK-LABEL: @tables
func.func @tables(%x: tensor<?x2xf32>, %t: tensor<3x4xf32>) {
  // CHECK: sinter.embedding %{{.*}}, %{{.*}} : (tensor<?x2xf32>, tensor<3x4xf32>) -> tensor<?x2x4xf32>
  %rows = sinter.embedding %x, %t : (tensor<?x2xf32>, tensor<3x4xf32>) -> tensor<?x2x4xf32>
  // CHECK: sinter.embedding_gradient %{{.*}}, %{{.*}} rows 3 : (tensor<?x2xf32>, tensor<?x2x4xf32>) -> tensor<3x4xf32>
  %sums = sinter.embedding_gradient %x, %rows rows 3
      : (tensor<?x2xf32>, tensor<?x2x4xf32>) -> tensor<3x4xf32>
  return
}

// CHECK-LABEL: @unary
func.func @unary(%x: tensor<?x2xf32>, %i: tensor<?xi32>) {
  // CHECK: sinter.neg %{{.*}} : tensor<?x2xf32>
  %neg = sinter.neg %x : tensor<?x2xf32>
  // CHECK: sinter.abs
  %abs = sinter.abs %x : tensor<?x2xf32>
  // CHECK: sinter.sign
  %sign = sinter.sign %x : tensor<?x2xf32>
  // CHECK: sinter.floor
  %floor = sinter.floor %x : tensor<?x2xf32>
  // CHECK: sinter.exp
  %exp = sinter.exp %x : tensor<?x2xf32>
  // CHECK: sinter.expm1
  %expm1 = sinter.expm1 %x : tensor<?x2xf32>
  // CHECK: sinter.log
  %log = sinter.log %x : tensor<?x2xf32>
  // CHECK: sinter.log1p
  %log1p = sinter.log1p %x : tensor<?x2xf32>
  // CHECK: sinter.sqrt
  %sqrt = sinter.sqrt %x : tensor<?x2xf32>
  // CHECK: sinter.cos
  %cos = sinter.cos %x : tensor<?x2xf32>
  // CHECK: sinter.sin
  %sin = sinter.sin %x : tensor<?x2xf32>
  // CHECK: sinter.tanh
  %tanh = sinter.tanh %x : tensor<?x2xf32>
  // CHECK: sinter.erf
  %erf = sinter.erf %x : tensor<?x2xf32>
  // CHECK: sinter.cast %{{.*}} : tensor<?xi32> -> tensor<?xf32>
  %cast = sinter.cast %i : tensor<?xi32> -> tensor<?xf32>
  // CHECK: sinter.one_hot %{{.*}} classes 4 : (tensor<?xi32>) -> tensor<?x4xf32>
  %hot = sinter.one_hot %i classes 4 : (tensor<?xi32>) -> tensor<?x4xf32>
  return
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

// CHECK-LABEL: @shapes
func.func @shapes(%x: tensor<?x2x3xf32>, %b: tensor<3xf32>,
                  %image: tensor<?x4x4x2xf32>) {
  // CHECK: sinter.reshape %{{.*}} : tensor<?x2x3xf32> -> tensor<?x6xf32>
  %flat = sinter.reshape %x : tensor<?x2x3xf32> -> tensor<?x6xf32>
  // CHECK: sinter.broadcast %{{.*}} : tensor<3xf32> -> tensor<?x2x3xf32>
  %wide = sinter.broadcast %b : tensor<3xf32> -> tensor<?x2x3xf32>
  // CHECK: sinter.concatenate %{{.*}}, %{{.*}} axis 2 : (tensor<?x2x3xf32>, tensor<?x2x3xf32>) -> tensor<?x2x6xf32>
  %joined = sinter.concatenate %x, %wide axis 2
      : (tensor<?x2x3xf32>, tensor<?x2x3xf32>) -> tensor<?x2x6xf32>
  // CHECK: sinter.slice %{{.*}} axis 2 from 1 size 2 : (tensor<?x2x6xf32>) -> tensor<?x2x2xf32>
  %part = sinter.slice %joined axis 2 from 1 size 2
      : (tensor<?x2x6xf32>) -> tensor<?x2x2xf32>
  // CHECK: sinter.pad %{{.*}} axis 1 low 1 high 0 : (tensor<?x2x2xf32>) -> tensor<?x3x2xf32>
  %padded = sinter.pad %part axis 1 low 1 high 0
      : (tensor<?x2x2xf32>) -> tensor<?x3x2xf32>
  // CHECK: sinter.transpose %{{.*}} permutation [0, 2, 1] : (tensor<?x2x3xf32>) -> tensor<?x3x2xf32>
  %turned = sinter.transpose %x permutation [0, 2, 1]
      : (tensor<?x2x3xf32>) -> tensor<?x3x2xf32>
  // CHECK: sinter.upsample %{{.*}} factors [2, 3] : (tensor<?x4x4x2xf32>) -> tensor<?x8x12x2xf32>
  %up = sinter.upsample %image factors [2, 3]
      : (tensor<?x4x4x2xf32>) -> tensor<?x8x12x2xf32>
  // CHECK: sinter.relayout %{{.*}} : tensor<?x6xf32> -> tensor<?x6xf32, #sinter.batch_minor>
  %minor = sinter.relayout %flat
      : tensor<?x6xf32> -> tensor<?x6xf32, #sinter.batch_minor>
  return
}

//===----------------------------------------------------------------------===//
// Reductions and contractions
//===----------------------------------------------------------------------===//

// CHECK-LABEL: @reductions
func.func @reductions(%x: tensor<?x2x3xf32>) {
  // CHECK: sinter.reduce_sum %{{.*}} axes [1, 2] : (tensor<?x2x3xf32>) -> tensor<?xf32>
  %sum = sinter.reduce_sum %x axes [1, 2] : (tensor<?x2x3xf32>) -> tensor<?xf32>
  // CHECK: sinter.reduce_sum %{{.*}} axes [0] : (tensor<?xf32>) -> tensor<f32>
  %total = sinter.reduce_sum %sum axes [0] : (tensor<?xf32>) -> tensor<f32>
  // CHECK: sinter.reduce_max %{{.*}} axes [2] keep_dims : (tensor<?x2x3xf32>) -> tensor<?x2x1xf32>
  %max = sinter.reduce_max %x axes [2] keep_dims
      : (tensor<?x2x3xf32>) -> tensor<?x2x1xf32>
  // CHECK: sinter.argmax %{{.*}} : (tensor<?x2x3xf32>) -> tensor<?x2xi32>
  %argmax = sinter.argmax %x : (tensor<?x2x3xf32>) -> tensor<?x2xi32>
  return
}

// CHECK-LABEL: @matmuls
func.func @matmuls(%x: tensor<?x2xf32>, %w: tensor<2x3xf32>, %v: tensor<3x2xf32>) {
  // CHECK: sinter.matmul %{{.*}}, %{{.*}} : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  %y = sinter.matmul %x, %w : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  // CHECK: sinter.matmul %{{.*}}, %{{.*}} transposed : (tensor<?x2xf32>, tensor<3x2xf32>) -> tensor<?x3xf32>
  %z = sinter.matmul %x, %v transposed
      : (tensor<?x2xf32>, tensor<3x2xf32>) -> tensor<?x3xf32>
  // CHECK: sinter.matmul %{{.*}} transposed, %{{.*}} : (tensor<?x2xf32>, tensor<?x3xf32>) -> tensor<2x3xf32>
  %dw = sinter.matmul %x transposed, %y
      : (tensor<?x2xf32>, tensor<?x3xf32>) -> tensor<2x3xf32>
  return
}

// CHECK-LABEL: @iota
func.func @iota() {
  // CHECK: sinter.iota axis 1 : tensor<2x3xf32>
  %y = sinter.iota axis 1 : tensor<2x3xf32>
  return
}

// CHECK-LABEL: @batch_matmuls
func.func @batch_matmuls(%a: tensor<?x4x2x3xf32>, %b: tensor<?x1x3x5xf32>, %c: tensor<?x4x5x2xf32>) {
  // CHECK: sinter.batch_matmul %{{.*}}, %{{.*}} : (tensor<?x4x2x3xf32>, tensor<?x1x3x5xf32>) -> tensor<?x4x2x5xf32>
  %y = sinter.batch_matmul %a, %b : (tensor<?x4x2x3xf32>, tensor<?x1x3x5xf32>) -> tensor<?x4x2x5xf32>
  // CHECK: sinter.batch_matmul %{{.*}} transposed, %{{.*}} transposed : (tensor<?x4x2x3xf32>, tensor<?x4x5x2xf32>) -> tensor<?x4x3x5xf32>
  %z = sinter.batch_matmul %a transposed, %c transposed
      : (tensor<?x4x2x3xf32>, tensor<?x4x5x2xf32>) -> tensor<?x4x3x5xf32>
  return
}

//===----------------------------------------------------------------------===//
// Windows over images
//===----------------------------------------------------------------------===//

// CHECK-LABEL: @windows
func.func @windows(%x: tensor<?x4x4x2xf32>, %w: tensor<3x3x1x6xf32>) {
  // CHECK: sinter.conv2d %{{.*}}, %{{.*}} strides [1, 2] dilations [1, 1] padding [1, 1, 0, 1] groups 2 : (tensor<?x4x4x2xf32>, tensor<3x3x1x6xf32>) -> tensor<?x4x2x6xf32>
  %conv = sinter.conv2d %x, %w strides [1, 2] dilations [1, 1]
      padding [1, 1, 0, 1] groups 2
      : (tensor<?x4x4x2xf32>, tensor<3x3x1x6xf32>) -> tensor<?x4x2x6xf32>
  // CHECK: sinter.conv2d_transpose %{{.*}}, %{{.*}} size [4, 4] strides [1, 2] dilations [1, 1] padding [1, 1, 0, 1] groups 2 : (tensor<?x4x2x6xf32>, tensor<3x3x1x6xf32>) -> tensor<?x4x4x2xf32>
  %transpose = sinter.conv2d_transpose %conv, %w size [4, 4] strides [1, 2] dilations [1, 1]
      padding [1, 1, 0, 1] groups 2
      : (tensor<?x4x2x6xf32>, tensor<3x3x1x6xf32>) -> tensor<?x4x4x2xf32>
  // CHECK: sinter.conv2d_filter_gradient %{{.*}}, %{{.*}} size [3, 3] strides [1, 2] dilations [1, 1] padding [1, 1, 0, 1] groups 2 : (tensor<?x4x4x2xf32>, tensor<?x4x2x6xf32>) -> tensor<3x3x1x6xf32>
  %filter = sinter.conv2d_filter_gradient %x, %conv size [3, 3] strides [1, 2] dilations [1, 1]
      padding [1, 1, 0, 1] groups 2
      : (tensor<?x4x4x2xf32>, tensor<?x4x2x6xf32>) -> tensor<3x3x1x6xf32>
  // CHECK: sinter.max_pool2d %{{.*}} window [3, 3] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x4x4x2xf32>) -> tensor<?x2x2x2xf32>
  %max = sinter.max_pool2d %x window [3, 3] strides [2, 2]
      padding [0, 1, 0, 1]
      : (tensor<?x4x4x2xf32>) -> tensor<?x2x2x2xf32>
  // CHECK: sinter.avg_pool2d %{{.*}} window [3, 3] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x4x4x2xf32>) -> tensor<?x2x2x2xf32>
  %avg = sinter.avg_pool2d %x window [3, 3] strides [2, 2]
      padding [0, 1, 0, 1]
      : (tensor<?x4x4x2xf32>) -> tensor<?x2x2x2xf32>
  // CHECK: sinter.max_pool2d_gradient %{{.*}}, %{{.*}} window [3, 3] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x4x4x2xf32>, tensor<?x2x2x2xf32>) -> tensor<?x4x4x2xf32>
  %dmax = sinter.max_pool2d_gradient %x, %max window [3, 3] strides [2, 2]
      padding [0, 1, 0, 1]
      : (tensor<?x4x4x2xf32>, tensor<?x2x2x2xf32>) -> tensor<?x4x4x2xf32>
  // CHECK: sinter.max_pool2d_gather %{{.*}}, %{{.*}} window [3, 3] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x4x4x2xf32>, tensor<?x4x4x2xf32>) -> tensor<?x2x2x2xf32>
  %xmax = sinter.max_pool2d_gather %x, %dmax window [3, 3] strides [2, 2]
      padding [0, 1, 0, 1]
      : (tensor<?x4x4x2xf32>, tensor<?x4x4x2xf32>) -> tensor<?x2x2x2xf32>
  // CHECK: sinter.avg_pool2d_gradient %{{.*}} size [4, 4] window [3, 3] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x2x2x2xf32>) -> tensor<?x4x4x2xf32>
  %davg = sinter.avg_pool2d_gradient %avg size [4, 4] window [3, 3] strides [2, 2]
      padding [0, 1, 0, 1]
      : (tensor<?x2x2x2xf32>) -> tensor<?x4x4x2xf32>
  return
}

// CHECK-LABEL: @winograd
func.func @winograd(%x: tensor<?x4x4x2xf32>, %w: tensor<3x3x2x6xf32>) {
  // CHECK: sinter.winograd_filter %{{.*}} tile 2 : (tensor<3x3x2x6xf32>) -> tensor<4x4x2x6xf32>
  %u = sinter.winograd_filter %w tile 2 : (tensor<3x3x2x6xf32>) -> tensor<4x4x2x6xf32>
  // CHECK: sinter.winograd_conv2d %{{.*}}, %{{.*}} padding [1, 1, 0, 2] : (tensor<?x4x4x2xf32>, tensor<4x4x2x6xf32>) -> tensor<?x4x4x6xf32>
  %y = sinter.winograd_conv2d %x, %u padding [1, 1, 0, 2]
      : (tensor<?x4x4x2xf32>, tensor<4x4x2x6xf32>) -> tensor<?x4x4x6xf32>
  // CHECK: sinter.winograd_filter %{{.*}} tile 4 flipped : (tensor<3x3x2x6xf32>) -> tensor<6x6x6x2xf32>
  %v = sinter.winograd_filter %w tile 4 flipped : (tensor<3x3x2x6xf32>) -> tensor<6x6x6x2xf32>
  // CHECK: sinter.winograd_conv2d %{{.*}}, %{{.*}} padding [1, 1, 2, 0] : (tensor<?x4x4x6xf32>, tensor<6x6x6x2xf32>) -> tensor<?x4x4x2xf32>
  %dx = sinter.winograd_conv2d %y, %v padding [1, 1, 2, 0]
      : (tensor<?x4x4x6xf32>, tensor<6x6x6x2xf32>) -> tensor<?x4x4x2xf32>
  // CHECK: sinter.winograd_filter_gradient %{{.*}}, %{{.*}} tile 2 padding [1, 1, 0, 2] : (tensor<?x4x4x2xf32>, tensor<?x4x4x6xf32>) -> tensor<4x4x2x6xf32>
  %du = sinter.winograd_filter_gradient %x, %y tile 2 padding [1, 1, 0, 2]
      : (tensor<?x4x4x2xf32>, tensor<?x4x4x6xf32>) -> tensor<4x4x2x6xf32>
  // CHECK: sinter.winograd_filter_adjoint %{{.*}} : (tensor<4x4x2x6xf32>) -> tensor<3x3x2x6xf32>
  %dw = sinter.winograd_filter_adjoint %du : (tensor<4x4x2x6xf32>) -> tensor<3x3x2x6xf32>
  // CHECK: sinter.scratch : tensor<2x100xf32>
  %scratch = sinter.scratch : tensor<2x100xf32>
  return
}

//===----------------------------------------------------------------------===//
// Composites
//===----------------------------------------------------------------------===//

// CHECK-LABEL: @composites
func.func @composites(%x: tensor<?x2xf32>, %c: tensor<2xf32>) {
  // CHECK: sinter.batch_norm %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} epsilon {{[0-9.Ee+-]+}} : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %batch = sinter.batch_norm %x, %c, %c, %c epsilon 0.001
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  // CHECK: sinter.layer_norm %{{.*}}, %{{.*}}, %{{.*}} axes 1 epsilon {{[0-9.Ee+-]+}} : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %layer = sinter.layer_norm %x, %c, %c axes 1 epsilon 0.001
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  // CHECK: sinter.relu %{{.*}} : tensor<?x2xf32>
  %relu = sinter.relu %x : tensor<?x2xf32>
  // CHECK: sinter.leaky_relu %{{.*}} {alpha = {{.*}} : f32} : tensor<?x2xf32>
  %leaky = sinter.leaky_relu %x {alpha = 0.5 : f32} : tensor<?x2xf32>
  // CHECK: sinter.elu %{{.*}} {alpha = {{.*}} : f32} : tensor<?x2xf32>
  %elu = sinter.elu %x {alpha = 1.0 : f32} : tensor<?x2xf32>
  // CHECK: sinter.selu
  %selu = sinter.selu %x : tensor<?x2xf32>
  // CHECK: sinter.gelu %{{.*}} : tensor<?x2xf32>
  %gelu = sinter.gelu %x : tensor<?x2xf32>
  // CHECK: sinter.gelu %{{.*}} {approximate} : tensor<?x2xf32>
  %approximate = sinter.gelu %x {approximate} : tensor<?x2xf32>
  // CHECK: sinter.silu
  %silu = sinter.silu %x : tensor<?x2xf32>
  // CHECK: sinter.sigmoid
  %sigmoid = sinter.sigmoid %x : tensor<?x2xf32>
  // CHECK: sinter.hard_sigmoid
  %hard = sinter.hard_sigmoid %x : tensor<?x2xf32>
  // CHECK: sinter.softplus
  %softplus = sinter.softplus %x : tensor<?x2xf32>
  // CHECK: sinter.softmax
  %softmax = sinter.softmax %x : tensor<?x2xf32>
  // CHECK: sinter.softmax_cross_entropy %{{.*}}, %{{.*}} : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?xf32>
  %sce = sinter.softmax_cross_entropy %x, %softmax
      : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?xf32>
  // CHECK: sinter.sigmoid_cross_entropy %{{.*}}, %{{.*}} : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %bce = sinter.sigmoid_cross_entropy %x, %sigmoid
      : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return
}

{-#
  dialect_resources: {
    builtin: {
      weights: "0x040000000000803F"
    }
  }
#-}
