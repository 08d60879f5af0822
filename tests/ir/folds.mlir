// RUN: sinter-opt %s --canonicalize | FileCheck %s

// FoldTest.cpp runs the same functions before and after, and compares results.

// CHECK-LABEL: @add_zero
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: return %[[X]], %[[X]]
func.func @add_zero(%x: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %zero = sinter.constant dense<0.0> : tensor<2xf32>
  %scalar = sinter.constant dense<0.0> : tensor<f32>
  %right = sinter.add %x, %zero : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %left = sinter.add %scalar, %x : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %right, %left : tensor<?x2xf32>, tensor<?x2xf32>
}

// Without the zero, the operand would have to be broadcast.
// CHECK-LABEL: @add_zero_that_stretches
// CHECK: sinter.add
func.func @add_zero_that_stretches(%x: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %zero = sinter.constant dense<0.0> : tensor<2xf32>
  %y = sinter.add %x, %zero : (tensor<?x1xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @add_integers
// CHECK: sinter.add
func.func @add_integers() -> tensor<i32> {
  %a = sinter.constant dense<2> : tensor<i32>
  %y = sinter.add %a, %a : (tensor<i32>, tensor<i32>) -> tensor<i32>
  return %y : tensor<i32>
}

// CHECK-LABEL: @sub_zero
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: return %[[X]]
func.func @sub_zero(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %zero = sinter.constant dense<0.0> : tensor<f32>
  %y = sinter.sub %x, %zero : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @zero_sub
// CHECK: sinter.sub
func.func @zero_sub(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %zero = sinter.constant dense<0.0> : tensor<f32>
  %y = sinter.sub %zero, %x : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @mul_one
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: return %[[X]], %[[X]]
func.func @mul_one(%x: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %one = sinter.constant dense<1.0> : tensor<f32>
  %right = sinter.mul %x, %one : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %left = sinter.mul %one, %x : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %right, %left : tensor<?x2xf32>, tensor<?x2xf32>
}

// NaN * 0 is NaN.
// CHECK-LABEL: @mul_zero
// CHECK: sinter.mul
func.func @mul_zero(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %zero = sinter.constant dense<0.0> : tensor<f32>
  %y = sinter.mul %x, %zero : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @div_one
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: return %[[X]]
func.func @div_one(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %one = sinter.constant dense<1.0> : tensor<f32>
  %y = sinter.div %x, %one : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @one_div
// CHECK: sinter.div
func.func @one_div(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %one = sinter.constant dense<1.0> : tensor<f32>
  %y = sinter.div %one, %x : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// (3 + 0.1 - 1) * 7 / 11, each step rounded to f32.
// CHECK-LABEL: @scalars
// CHECK-NEXT: %[[C:.*]] = sinter.constant dense<1.33636355> : tensor<f32>
// CHECK-NEXT: return %[[C]]
func.func @scalars() -> tensor<f32> {
  %a = sinter.constant dense<3.0> : tensor<f32>
  %b = sinter.constant dense<0.1> : tensor<f32>
  %c = sinter.constant dense<1.0> : tensor<f32>
  %d = sinter.constant dense<7.0> : tensor<f32>
  %e = sinter.constant dense<11.0> : tensor<f32>
  %sum = sinter.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %difference = sinter.sub %sum, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %product = sinter.mul %difference, %d : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %quotient = sinter.div %product, %e : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %quotient : tensor<f32>
}

// CHECK-LABEL: @reshape_to_itself
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: return %[[X]]
func.func @reshape_to_itself(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %y = sinter.reshape %x : tensor<?x2xf32> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @reshape_of_reshape
// CHECK-SAME: (%[[X:.*]]: tensor<?x2x3xf32>)
// CHECK-NEXT: %[[Y:.*]] = sinter.reshape %[[X]] : tensor<?x2x3xf32> -> tensor<?x3x2xf32>
// CHECK-NEXT: return %[[Y]]
func.func @reshape_of_reshape(%x: tensor<?x2x3xf32>) -> tensor<?x3x2xf32> {
  %flat = sinter.reshape %x : tensor<?x2x3xf32> -> tensor<?x6xf32>
  %y = sinter.reshape %flat : tensor<?x6xf32> -> tensor<?x3x2xf32>
  return %y : tensor<?x3x2xf32>
}

// CHECK-LABEL: @reshape_there_and_back
// CHECK-SAME: (%[[X:.*]]: tensor<?x2x3xf32>)
// CHECK-NEXT: return %[[X]]
func.func @reshape_there_and_back(%x: tensor<?x2x3xf32>) -> tensor<?x2x3xf32> {
  %flat = sinter.reshape %x : tensor<?x2x3xf32> -> tensor<?x6xf32>
  %y = sinter.reshape %flat : tensor<?x6xf32> -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

// CHECK-LABEL: @transpose_of_transpose
// CHECK-SAME: (%[[X:.*]]: tensor<?x2x3x4xf32>)
// CHECK-NEXT: %[[Y:.*]] = sinter.transpose %[[X]] permutation [0, 3, 2, 1] : (tensor<?x2x3x4xf32>) -> tensor<?x4x3x2xf32>
// CHECK-NEXT: return %[[Y]]
func.func @transpose_of_transpose(%x: tensor<?x2x3x4xf32>) -> tensor<?x4x3x2xf32> {
  %t = sinter.transpose %x permutation [0, 2, 1, 3] : (tensor<?x2x3x4xf32>) -> tensor<?x3x2x4xf32>
  %u = sinter.transpose %t permutation [0, 1, 3, 2] : (tensor<?x3x2x4xf32>) -> tensor<?x3x4x2xf32>
  %y = sinter.transpose %u permutation [0, 2, 1, 3] : (tensor<?x3x4x2xf32>) -> tensor<?x4x3x2xf32>
  return %y : tensor<?x4x3x2xf32>
}

// CHECK-LABEL: @transpose_there_and_back
// CHECK-SAME: (%[[X:.*]]: tensor<?x2x3xf32>)
// CHECK-NEXT: return %[[X]]
func.func @transpose_there_and_back(%x: tensor<?x2x3xf32>) -> tensor<?x2x3xf32> {
  %t = sinter.transpose %x permutation [0, 2, 1] : (tensor<?x2x3xf32>) -> tensor<?x3x2xf32>
  %y = sinter.transpose %t permutation [0, 2, 1] : (tensor<?x3x2xf32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

// CHECK-LABEL: @broadcast_to_itself
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: return %[[X]]
func.func @broadcast_to_itself(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %y = sinter.broadcast %x : tensor<?x2xf32> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @sum_over_size_one
// CHECK-SAME: (%[[X:.*]]: tensor<?x2x1xf32>)
// CHECK-NEXT: return %[[X]]
func.func @sum_over_size_one(%x: tensor<?x2x1xf32>) -> tensor<?x2x1xf32> {
  %y = sinter.reduce_sum %x axes [2] keep_dims : (tensor<?x2x1xf32>) -> tensor<?x2x1xf32>
  return %y : tensor<?x2x1xf32>
}

// The shape changes, so the sum stays.
// CHECK-LABEL: @sum_that_drops_an_axis
// CHECK: sinter.reduce_sum
func.func @sum_that_drops_an_axis(%x: tensor<?x2x1xf32>) -> tensor<?x2xf32> {
  %y = sinter.reduce_sum %x axes [2] : (tensor<?x2x1xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// A tie's gradient goes to the left operand, so a constant there stays there.
// CHECK-LABEL: @maximum_keeps_its_order
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>)
// CHECK: %[[ZERO:.*]] = sinter.constant
// CHECK: sinter.maximum %[[ZERO]], %[[X]]
func.func @maximum_keeps_its_order(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %zero = sinter.constant dense<0.0> : tensor<f32>
  %y = sinter.maximum %zero, %x : (tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
