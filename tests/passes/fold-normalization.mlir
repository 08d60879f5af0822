// RUN: sinter-opt %s -sinter-fold-normalization -split-input-file | FileCheck %s

// A bias and a normalisation behind a convolution become a scaled filter and
// one summand.
// CHECK-LABEL: func.func @predict
// CHECK:         %[[W:.*]] = sinter.read @kernel
// CHECK:         %[[B:.*]] = sinter.read @bias
// CHECK:         %[[S:.*]] = sinter.read @scale
// CHECK:         %[[T:.*]] = sinter.read @shift
// CHECK:         %[[BS:.*]] = sinter.mul %[[B]], %[[S]]
// CHECK:         %[[SUM:.*]] = sinter.add %[[BS]], %[[T]]
// CHECK:         %[[WS:.*]] = sinter.mul %[[W]], %[[S]] : (tensor<3x3x2x4xf32>, tensor<4xf32>)
// CHECK:         %[[Y:.*]] = sinter.conv2d %arg0, %[[WS]]
// CHECK:         %[[R:.*]] = sinter.add %[[Y]], %[[SUM]]
// CHECK:         %[[M:.*]] = sinter.maximum %[[R]]
// CHECK:         return %[[M]]
sinter.model @folds batch_bound 4 {
  sinter.state parameter @kernel : tensor<3x3x2x4xf32> = constant(0.0, 0.0)
  sinter.state parameter @bias : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state parameter @scale : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state parameter @shift : tensor<4xf32> = constant(0.0, 0.0)
  func.func @predict(%x: tensor<?x5x5x2xf32>) -> tensor<?x5x5x4xf32> {
    %w = sinter.read @kernel : tensor<3x3x2x4xf32>
    %b = sinter.read @bias : tensor<4xf32>
    %s = sinter.read @scale : tensor<4xf32>
    %t = sinter.read @shift : tensor<4xf32>
    %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x5x5x2xf32>, tensor<3x3x2x4xf32>) -> tensor<?x5x5x4xf32>
    %yb = sinter.add %y, %b : (tensor<?x5x5x4xf32>, tensor<4xf32>) -> tensor<?x5x5x4xf32>
    %ys = sinter.mul %yb, %s : (tensor<?x5x5x4xf32>, tensor<4xf32>) -> tensor<?x5x5x4xf32>
    %yt = sinter.add %ys, %t : (tensor<?x5x5x4xf32>, tensor<4xf32>) -> tensor<?x5x5x4xf32>
    %zero = sinter.constant dense<0.0> : tensor<f32>
    %r = sinter.maximum %yt, %zero : (tensor<?x5x5x4xf32>, tensor<f32>) -> tensor<?x5x5x4xf32>
    return %r : tensor<?x5x5x4xf32>
  }
}

// -----

// Behind an activation the factor stays.
// CHECK-LABEL: func.func @predict
// CHECK:         sinter.conv2d %arg0, %{{.*}} strides
// CHECK-NEXT:    sinter.constant
// CHECK-NEXT:    sinter.maximum
// CHECK-NEXT:    sinter.mul
sinter.model @activation batch_bound 4 {
  sinter.state parameter @kernel : tensor<1x1x2x4xf32> = constant(0.0, 0.0)
  sinter.state parameter @scale : tensor<4xf32> = constant(0.0, 0.0)
  func.func @predict(%x: tensor<?x5x5x2xf32>) -> tensor<?x5x5x4xf32> {
    %w = sinter.read @kernel : tensor<1x1x2x4xf32>
    %s = sinter.read @scale : tensor<4xf32>
    %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x5x5x2xf32>, tensor<1x1x2x4xf32>) -> tensor<?x5x5x4xf32>
    %zero = sinter.constant dense<0.0> : tensor<f32>
    %r = sinter.maximum %y, %zero : (tensor<?x5x5x4xf32>, tensor<f32>) -> tensor<?x5x5x4xf32>
    %z = sinter.mul %r, %s : (tensor<?x5x5x4xf32>, tensor<4xf32>) -> tensor<?x5x5x4xf32>
    return %z : tensor<?x5x5x4xf32>
  }
}

// -----

// The unscaled result has a second reader.
// CHECK-LABEL: func.func @predict
// CHECK:         %[[Y:.*]] = sinter.matmul %arg0, %{{.*}}
// CHECK-NEXT:    %[[Z:.*]] = sinter.mul %[[Y]], %{{.*}}
// CHECK-NEXT:    sinter.add %[[Z]], %[[Y]]
sinter.model @reader batch_bound 4 {
  sinter.state parameter @kernel : tensor<2x4xf32> = constant(0.0, 0.0)
  sinter.state parameter @scale : tensor<4xf32> = constant(0.0, 0.0)
  func.func @predict(%x: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @kernel : tensor<2x4xf32>
    %s = sinter.read @scale : tensor<4xf32>
    %y = sinter.matmul %x, %w : (tensor<?x2xf32>, tensor<2x4xf32>) -> tensor<?x4xf32>
    %z = sinter.mul %y, %s : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    %r = sinter.add %z, %y : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %r : tensor<?x4xf32>
  }
}

// -----

// A training step's factors depend on the batch.
// CHECK-LABEL: func.func @train_step
// CHECK:         %[[Y:.*]] = sinter.matmul %arg0, %{{.*}}
// CHECK-NEXT:    sinter.mul %[[Y]]
sinter.model @training batch_bound 4 {
  sinter.state parameter @kernel : tensor<2x4xf32> = constant(0.0, 0.0)
  sinter.state parameter @scale : tensor<4xf32> = constant(0.0, 0.0)
  func.func @train_step(%x: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @kernel : tensor<2x4xf32>
    %s = sinter.read @scale : tensor<4xf32>
    %y = sinter.matmul %x, %w : (tensor<?x2xf32>, tensor<2x4xf32>) -> tensor<?x4xf32>
    %z = sinter.mul %y, %s : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    sinter.write @scale, %s : tensor<4xf32>
    return %z : tensor<?x4xf32>
  }
}
