// RUN: sinter-opt %s --split-input-file --sinter-expand-composites --canonicalize --cse | FileCheck %s

// One of each kind; that every expansion computes what the op says is tested
// with the reference interpreter.

// CHECK-LABEL: func.func @relu(
// CHECK-NEXT: [[N0:%.+]] = sinter.constant dense<0.000000e+00> : tensor<f32>
// CHECK-NEXT: [[MAXIMUM:%.+]] = sinter.maximum %arg0, [[N0]]
// CHECK-NEXT: return [[MAXIMUM]]
sinter.model @m batch_bound 8 {
  func.func @relu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %y = sinter.relu %x : tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Stable: the maximum comes off first.
// CHECK-LABEL: func.func @softmax(
// CHECK-NEXT: [[MAX:%.+]] = sinter.reduce_max %arg0 axes [2] keep_dims
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub %arg0, [[MAX]]
// CHECK-NEXT: [[EXP:%.+]] = sinter.exp [[SUB]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[EXP]] axes [2] keep_dims
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[EXP]], [[SUM]]
// CHECK-NEXT: return [[DIV]]
sinter.model @m batch_bound 8 {
  func.func @softmax(%x: tensor<?x2x4xf32>) -> tensor<?x2x4xf32> {
    %y = sinter.softmax %x : tensor<?x2x4xf32>
    return %y : tensor<?x2x4xf32>
  }
}

// -----

// Large x must not overflow on the way to being unused.
// CHECK-LABEL: func.func @elu(
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[N0:%.+]] = sinter.constant dense<0.000000e+00> : tensor<f32>
// CHECK-NEXT: [[MINIMUM:%.+]] = sinter.minimum %arg0, [[N0]]
// CHECK-NEXT: [[EXPM1:%.+]] = sinter.expm1 [[MINIMUM]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[EXPM1]], [[N0_5]]
// CHECK-NEXT: [[SELECT:%.+]] = sinter.select %arg0, %arg0, [[MUL]]
// CHECK-NEXT: return [[SELECT]]
sinter.model @m batch_bound 8 {
  func.func @elu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %y = sinter.elu %x {alpha = 0.5 : f32} : tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// The logarithm of the sum, not of each quotient.
// CHECK-LABEL: func.func @cross_entropy(
// CHECK-NEXT: [[MAX:%.+]] = sinter.reduce_max %arg0 axes [1] keep_dims
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub %arg0, [[MAX]]
// CHECK-NEXT: [[EXP:%.+]] = sinter.exp [[SUB]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[EXP]] axes [1] keep_dims
// CHECK-NEXT: [[LOG:%.+]] = sinter.log [[SUM]]
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[SUB]], [[LOG]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg1, [[SUB2]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[MUL]] axes [1]
// CHECK-NEXT: [[NEG:%.+]] = sinter.neg [[SUM2]]
// CHECK-NEXT: return [[NEG]]
sinter.model @m batch_bound 8 {
  func.func @cross_entropy(%x: tensor<?x4xf32>, %t: tensor<?x4xf32>) -> tensor<?xf32> {
    %y = sinter.softmax_cross_entropy %x, %t : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?xf32>
    return %y : tensor<?xf32>
  }
}

// -----

// None is left, in any function.
// CHECK-LABEL: sinter.model @all
// CHECK-NOT: sinter.{{leaky_relu|selu|gelu|silu|sigmoid|hard_sigmoid|softplus|sigmoid_cross_entropy}}
sinter.model @all batch_bound 8 {
  func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %a = sinter.leaky_relu %x {alpha = 0.5 : f32} : tensor<?x4xf32>
    %b = sinter.selu %a : tensor<?x4xf32>
    %c = sinter.gelu %b : tensor<?x4xf32>
    %d = sinter.gelu %c {approximate} : tensor<?x4xf32>
    %e = sinter.silu %d : tensor<?x4xf32>
    return %e : tensor<?x4xf32>
  }
  func.func @g(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %a = sinter.sigmoid %x : tensor<?x4xf32>
    %b = sinter.hard_sigmoid %a : tensor<?x4xf32>
    %c = sinter.softplus %b : tensor<?x4xf32>
    %y = sinter.sigmoid_cross_entropy %c, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}
