// RUN: sinter-opt %s --pass-pipeline="builtin.module(sinter.model(sinter-fuse-kernels{fuse=false}))" | FileCheck %s

// Without fusion each op is a kernel; a write still joins what makes its value.
// CHECK-LABEL: func.func @update(
// CHECK: sinter.kernel weight_gradient "matmul" -> tensor<3x4xf32> {
// CHECK: sinter.kernel sweep "sub+update" {
// CHECK: sinter.kernel sweep "mul" -> tensor<?x4xf32> {
// CHECK: sinter.kernel batch_reduce "reduce_sum" -> tensor<4xf32> {
// CHECK: sinter.kernel batch_reduce "reduce_sum" -> tensor<4xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x4xf32> = constant(0.0, 0.0)
  func.func @update(%x: tensor<?x3xf32>, %dy: tensor<?x4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    %w = sinter.read @w : tensor<3x4xf32>
    %g = sinter.matmul %x transposed, %dy : (tensor<?x3xf32>, tensor<?x4xf32>) -> tensor<3x4xf32>
    %new = sinter.sub %w, %g : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    sinter.write @w, %new : tensor<3x4xf32>
    %q = sinter.mul %dy, %dy : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    %s = sinter.reduce_sum %dy axes [0] : (tensor<?x4xf32>) -> tensor<4xf32>
    %t = sinter.reduce_sum %q axes [0] : (tensor<?x4xf32>) -> tensor<4xf32>
    return %s, %t : tensor<4xf32>, tensor<4xf32>
  }
}
