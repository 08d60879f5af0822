// RUN: sinter-opt %s --sinter-to-fused | FileCheck %s
// RUN: sinter-opt %s --sinter-to-fused | FileCheck %s --check-prefix=WRITES

// Frozen layers cost nothing backward: no gradient of a frozen filter, and none
// of the image below the first trainable layer, which is a beta here: it wants
// sums of the gradient alone. The statistics move all the same;
// a frozen gamma stays.
// CHECK-LABEL: func.func @train_step(
// CHECK: sinter.kernel conv "conv2d_transpose+reduce_sum" -> tensor<?x6x4xf32,
// CHECK: sinter.kernel filter_gradient {{.*}} -> tensor<3x3x4x5xf32> {
// CHECK-NOT: sinter.kernel {{conv|filter_gradient}}
// CHECK: return

// WRITES-LABEL: func.func @train_step(
// WRITES-NOT: sinter.write @{{first|second|gamma}}
// WRITES-DAG: sinter.write @mean
// WRITES-DAG: sinter.write @variance
// WRITES-DAG: sinter.write @third
// WRITES-DAG: sinter.write @beta
// WRITES-NOT: sinter.write @{{first|second|gamma}}
// WRITES: return
sinter.model @m batch_bound 8 attributes {
    loss = {name = "mean_squared_error"},
    optimizer = {name = "sgd", learning_rate = 0.1}, metrics = []} {
  sinter.state frozen @first : tensor<3x3x2x4xf32> = uniform(-1.0, 1.0)
  sinter.state frozen @second : tensor<3x3x4x4xf32> = uniform(-1.0, 1.0)
  sinter.state frozen @gamma : tensor<4xf32> = constant(1.0, 0.0)
  sinter.state parameter @beta : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state frozen @mean : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state frozen @variance : tensor<4xf32> = constant(1.0, 0.0)
  sinter.state parameter @third : tensor<3x3x4x5xf32> = uniform(-1.0, 1.0)
  func.func @forward(%x: tensor<?x6x7x2xf32>) -> tensor<?x6x7x5xf32> {
    %0 = sinter.read @first : tensor<3x3x2x4xf32>
    %1 = sinter.conv2d %x, %0 strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x7x2xf32>, tensor<3x3x2x4xf32>) -> tensor<?x6x7x4xf32>
    %2 = sinter.relu %1 : tensor<?x6x7x4xf32>
    %3 = sinter.read @second : tensor<3x3x4x4xf32>
    %4 = sinter.conv2d %2, %3 strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x7x4xf32>, tensor<3x3x4x4xf32>) -> tensor<?x6x7x4xf32>
    %5 = sinter.read @gamma : tensor<4xf32>
    %6 = sinter.read @beta : tensor<4xf32>
    %7 = sinter.batch_normalization %4, %5, %6 moving @mean, @variance momentum 0.9 epsilon 0.001 : (tensor<?x6x7x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x6x7x4xf32>
    %8 = sinter.read @third : tensor<3x3x4x5xf32>
    %9 = sinter.conv2d %7, %8 strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x7x4xf32>, tensor<3x3x4x5xf32>) -> tensor<?x6x7x5xf32>
    return %9 : tensor<?x6x7x5xf32>
  }
}
