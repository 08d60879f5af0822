// RUN: sinter-opt %s -sinter-sum-windows -split-input-file | FileCheck %s

// Both sums of a normalisation in front of max pooling. What the second needs of
// the image is made beside the pooling; the gradient itself stays for others.
// CHECK-LABEL: func.func @step
// CHECK:         sinter.max_pool2d %arg0
// CHECK-NEXT:    %[[M:.*]] = sinter.max_pool2d_gather %arg0, %arg1 window [2, 2] strides [2, 2] padding [0, 0, 0, 0]
// CHECK-NOT:     sinter.mul
// CHECK:         sinter.reduce_sum %arg2 axes [0, 1, 2] : (tensor<?x2x2x3xf32>) -> tensor<3xf32>
// CHECK-NEXT:    %[[MUL:.*]] = sinter.mul %arg2, %[[M]]
// CHECK-NEXT:    sinter.reduce_sum %[[MUL]] axes [0, 1, 2] : (tensor<?x2x2x3xf32>) -> tensor<3xf32>
sinter.model @sums batch_bound 4 {
  func.func @step(%x: tensor<?x4x4x3xf32>, %y: tensor<?x4x4x3xf32>, %dy: tensor<?x2x2x3xf32>) -> (tensor<?x2x2x3xf32>, tensor<?x4x4x3xf32>, tensor<3xf32>, tensor<3xf32>) {
    %p = sinter.max_pool2d %x window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x4x4x3xf32>) -> tensor<?x2x2x3xf32>
    %g = sinter.max_pool2d_gradient %x, %dy window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x4x4x3xf32>, tensor<?x2x2x3xf32>) -> tensor<?x4x4x3xf32>
    %a = sinter.reduce_sum %g axes [0, 1, 2] : (tensor<?x4x4x3xf32>) -> tensor<3xf32>
    %m = sinter.mul %y, %g : (tensor<?x4x4x3xf32>, tensor<?x4x4x3xf32>) -> tensor<?x4x4x3xf32>
    %b = sinter.reduce_sum %m axes [0, 1, 2] : (tensor<?x4x4x3xf32>) -> tensor<3xf32>
    return %p, %g, %a, %b : tensor<?x2x2x3xf32>, tensor<?x4x4x3xf32>, tensor<3xf32>, tensor<3xf32>
  }
}

// -----

// Left alone: a sum over samples only; a product with a second reader; one with
// what is made after the pooling, or where nothing is pooled.
// CHECK-LABEL: func.func @others
// CHECK-NOT:     sinter.max_pool2d_gather
// CHECK:         %[[G:.*]] = sinter.max_pool2d_gradient
// CHECK-NEXT:    sinter.reduce_sum %[[G]] axes [0]
// CHECK-NEXT:    %[[M:.*]] = sinter.mul %arg1, %[[G]]
// CHECK-NEXT:    sinter.reduce_sum %[[M]]
// CHECK-NEXT:    %[[LATE:.*]] = sinter.neg %arg1
// CHECK-NEXT:    %[[N:.*]] = sinter.mul %[[LATE]], %[[G]]
// CHECK-NEXT:    sinter.reduce_sum %[[N]]
// CHECK-NEXT:    %[[H:.*]] = sinter.max_pool2d_gradient %arg1
// CHECK-NEXT:    %[[O:.*]] = sinter.mul %[[H]], %arg0
// CHECK-NEXT:    sinter.reduce_sum %[[O]]
sinter.model @others batch_bound 4 {
  func.func @others(%x: tensor<?x4x4x3xf32>, %y: tensor<?x4x4x3xf32>, %dy: tensor<?x2x2x3xf32>) -> (tensor<?x2x2x3xf32>, tensor<4x4x3xf32>, tensor<?x4x4x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
    %p = sinter.max_pool2d %x window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x4x4x3xf32>) -> tensor<?x2x2x3xf32>
    %g = sinter.max_pool2d_gradient %x, %dy window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x4x4x3xf32>, tensor<?x2x2x3xf32>) -> tensor<?x4x4x3xf32>
    %a = sinter.reduce_sum %g axes [0] : (tensor<?x4x4x3xf32>) -> tensor<4x4x3xf32>
    %m = sinter.mul %y, %g : (tensor<?x4x4x3xf32>, tensor<?x4x4x3xf32>) -> tensor<?x4x4x3xf32>
    %b = sinter.reduce_sum %m axes [0, 1, 2] : (tensor<?x4x4x3xf32>) -> tensor<3xf32>
    %late = sinter.neg %y : tensor<?x4x4x3xf32>
    %n = sinter.mul %late, %g : (tensor<?x4x4x3xf32>, tensor<?x4x4x3xf32>) -> tensor<?x4x4x3xf32>
    %c = sinter.reduce_sum %n axes [0, 1, 2] : (tensor<?x4x4x3xf32>) -> tensor<3xf32>
    %h = sinter.max_pool2d_gradient %y, %dy window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x4x4x3xf32>, tensor<?x2x2x3xf32>) -> tensor<?x4x4x3xf32>
    %o = sinter.mul %h, %x : (tensor<?x4x4x3xf32>, tensor<?x4x4x3xf32>) -> tensor<?x4x4x3xf32>
    %d = sinter.reduce_sum %o axes [0, 1, 2] : (tensor<?x4x4x3xf32>) -> tensor<3xf32>
    return %p, %a, %m, %b, %c, %d : tensor<?x2x2x3xf32>, tensor<4x4x3xf32>, tensor<?x4x4x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
  }
}

// -----

// Windows that overlap: their gradient is stored anyway.
// CHECK-LABEL: func.func @overlap
// CHECK:         %[[G:.*]] = sinter.max_pool2d_gradient
// CHECK-NEXT:    sinter.reduce_sum %[[G]]
sinter.model @overlap batch_bound 4 {
  func.func @overlap(%x: tensor<?x5x5x3xf32>, %dy: tensor<?x2x2x3xf32>) -> tensor<3xf32> {
    %g = sinter.max_pool2d_gradient %x, %dy window [3, 3] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x5x5x3xf32>, tensor<?x2x2x3xf32>) -> tensor<?x5x5x3xf32>
    %a = sinter.reduce_sum %g axes [0, 1, 2] : (tensor<?x5x5x3xf32>) -> tensor<3xf32>
    return %a : tensor<3xf32>
  }
}
