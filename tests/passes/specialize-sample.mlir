// RUN: sinter-opt %s --split-input-file --sinter-specialize-sample | FileCheck %s
// RUN: sinter-opt %s --split-input-file --sinter-specialize-sample --sinter-fold-normalization --sinter-assign-layout | FileCheck %s --check-prefix=LAYOUT

// A copy with the attribute. Its values stay row-major, and a factor stays
// behind a product: the filter has more numbers than the result.
// CHECK-LABEL: sinter.model @dense
// CHECK: func.func @predict(%{{.*}}) -> tensor<?x4xf32> {
// CHECK: func.func @predict_one({{.*}}attributes {sinter.one_sample}
// CHECK: sinter.matmul
// LAYOUT-LABEL: sinter.model @dense
// LAYOUT: func.func @predict(
// LAYOUT: sinter.relayout
// LAYOUT: func.func @predict_one(
// LAYOUT-NOT: sinter.relayout
// LAYOUT-NOT: batch_minor
// LAYOUT: %[[M:.*]] = sinter.matmul %arg0
// LAYOUT: sinter.mul %[[M]]
sinter.model @dense batch_bound 8 {
  sinter.state parameter @kernel : tensor<6x4xf32> = uniform(-0.5, 0.5)
  sinter.state parameter @scale : tensor<4xf32> = uniform(-0.5, 0.5)
  func.func @predict(%x: tensor<?x6xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @kernel : tensor<6x4xf32>
    %s = sinter.read @scale : tensor<4xf32>
    %m = sinter.matmul %x, %w : (tensor<?x6xf32>, tensor<6x4xf32>) -> tensor<?x4xf32>
    %y = sinter.mul %m, %s : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Where the result has more numbers than the filter, the filter is scaled.
// LAYOUT-LABEL: sinter.model @image
// LAYOUT: func.func @predict_one(
// LAYOUT: %[[W:.*]] = sinter.mul
// LAYOUT: sinter.conv2d %arg0, %[[W]]
// CHECK-LABEL: sinter.model @image
// CHECK: func.func @predict_one(
sinter.model @image batch_bound 8 {
  sinter.state parameter @kernel : tensor<3x3x1x4xf32> = uniform(-0.5, 0.5)
  sinter.state parameter @scale : tensor<4xf32> = uniform(-0.5, 0.5)
  func.func @predict(%x: tensor<?x5x5x1xf32>) -> tensor<?x5x5x4xf32> {
    %w = sinter.read @kernel : tensor<3x3x1x4xf32>
    %s = sinter.read @scale : tensor<4xf32>
    %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x5x5x1xf32>, tensor<3x3x1x4xf32>) -> tensor<?x5x5x4xf32>
    %y = sinter.mul %c, %s : (tensor<?x5x5x4xf32>, tensor<4xf32>) -> tensor<?x5x5x4xf32>
    return %y : tensor<?x5x5x4xf32>
  }
}

// -----

// Refused: weights read by rows.
// CHECK-LABEL: sinter.model @transposed
// CHECK-NOT: @predict_one
sinter.model @transposed batch_bound 8 {
  sinter.state parameter @kernel : tensor<4x6xf32> = uniform(-0.5, 0.5)
  func.func @predict(%x: tensor<?x6xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @kernel : tensor<4x6xf32>
    %m = sinter.matmul %x, %w transposed : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
    return %m : tensor<?x4xf32>
  }
}

// -----

// Refused: what mixes samples.
// CHECK-LABEL: sinter.model @mixes
// CHECK-NOT: @predict_one
sinter.model @mixes batch_bound 8 {
  func.func @predict(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %s = sinter.reduce_sum %x axes [0] : (tensor<?x4xf32>) -> tensor<4xf32>
    %y = sinter.sub %x, %s : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}
