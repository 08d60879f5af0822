// RUN: sinter-opt %s --split-input-file --sinter-specialize-sample | FileCheck %s
// RUN: sinter-opt %s --split-input-file --sinter-specialize-sample --sinter-fold-normalization --sinter-assign-layout | FileCheck %s --check-prefix=LAYOUT

// A copy with the attribute. Its values stay row-major, and a factor goes into
// the filter, which is scaled once for all calls.
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
// LAYOUT: %[[W:.*]] = sinter.mul
// LAYOUT: sinter.matmul %arg0, %[[W]]
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

// Lanes run along the columns of products: the right matrices get in order, in
// one go with what transposed them before.
// CHECK-LABEL: sinter.model @products
// CHECK: func.func @predict(
// CHECK: sinter.batch_matmul %{{.*}}, %{{.*}} transposed
// CHECK: func.func @predict_one(
// CHECK: %[[T:.*]] = sinter.transpose %{{.*}} permutation [0, 2, 3, 1] : (tensor<?x4x2x3xf32>) -> tensor<?x2x3x4xf32>
// CHECK: sinter.batch_matmul %{{.*}}, %[[T]] : (tensor<?x2x5x3xf32>, tensor<?x2x3x4xf32>) -> tensor<?x2x5x4xf32>
sinter.model @products batch_bound 8 {
  func.func @predict(%a: tensor<?x2x5x3xf32>, %b: tensor<?x4x2x3xf32>) -> tensor<?x2x5x4xf32> {
    %t = sinter.transpose %b permutation [0, 2, 1, 3] : (tensor<?x4x2x3xf32>) -> tensor<?x2x4x3xf32>
    %y = sinter.batch_matmul %a, %t transposed : (tensor<?x2x5x3xf32>, tensor<?x2x4x3xf32>) -> tensor<?x2x5x4xf32>
    return %y : tensor<?x2x5x4xf32>
  }
}

// -----

// The same of images.
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

// Filters fill lanes, 7 samples do not: @predict goes through them one by one.
// CHECK-LABEL: sinter.model @one_by_one
// CHECK: func.func @predict({{.*}}attributes {sinter.batch_bound = 1 : i64, sinter.one_sample}
// CHECK: func.func @predict_one({{.*}}attributes {sinter.one_sample}
sinter.model @one_by_one batch_bound 7 {
  sinter.state parameter @kernel : tensor<3x3x16x32xf32> = uniform(-0.5, 0.5)
  func.func @predict(%x: tensor<?x5x5x16xf32>) -> tensor<?x5x5x32xf32> {
    %w = sinter.read @kernel : tensor<3x3x16x32xf32>
    %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x5x5x16xf32>, tensor<3x3x16x32xf32>) -> tensor<?x5x5x32xf32>
    return %c : tensor<?x5x5x32xf32>
  }
}

// -----

// 8 samples fill half of them: several pixels or channels go side by side.
// CHECK-LABEL: sinter.model @together
// CHECK: func.func @predict(%{{.*}}) -> tensor<?x5x5x32xf32> {
sinter.model @together batch_bound 8 {
  sinter.state parameter @kernel : tensor<3x3x16x32xf32> = uniform(-0.5, 0.5)
  func.func @predict(%x: tensor<?x5x5x16xf32>) -> tensor<?x5x5x32xf32> {
    %w = sinter.read @kernel : tensor<3x3x16x32xf32>
    %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x5x5x16xf32>, tensor<3x3x16x32xf32>) -> tensor<?x5x5x32xf32>
    return %c : tensor<?x5x5x32xf32>
  }
}

// -----

// Most products are a dense layer's, which would read its weights for each
// sample.
// CHECK-LABEL: sinter.model @dense_after
// CHECK: func.func @predict(%{{.*}}) -> tensor<?x288xf32> {
sinter.model @dense_after batch_bound 8 {
  sinter.state parameter @kernel : tensor<1x1x16x32xf32> = uniform(-0.5, 0.5)
  sinter.state parameter @dense : tensor<288x288xf32> = uniform(-0.5, 0.5)
  func.func @predict(%x: tensor<?x3x3x16xf32>) -> tensor<?x288xf32> {
    %w = sinter.read @kernel : tensor<1x1x16x32xf32>
    %d = sinter.read @dense : tensor<288x288xf32>
    %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x3x3x16xf32>, tensor<1x1x16x32xf32>) -> tensor<?x3x3x32xf32>
    %f = sinter.reshape %c : tensor<?x3x3x32xf32> -> tensor<?x288xf32>
    %y = sinter.matmul %f, %d : (tensor<?x288xf32>, tensor<288x288xf32>) -> tensor<?x288xf32>
    return %y : tensor<?x288xf32>
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
