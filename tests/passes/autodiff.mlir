// RUN: sinter-opt %s --split-input-file --verify-diagnostics --sinter-autodiff --canonicalize --cse | FileCheck %s

// The walk back; each op's own rule is tested against finite differences.

// A weight that two matmuls share, and a regulariser: the gradients add up to
// one update. No gradient is built for the input.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MATMUL:%.+]] = sinter.matmul %arg0, [[W]]
// CHECK-NEXT: [[MATMUL2:%.+]] = sinter.matmul [[MATMUL]], [[W]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[MATMUL2]] axes [1]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[SUM]] axes [0]
// CHECK-NEXT: [[SUM3:%.+]] = sinter.reduce_sum [[W]] axes [0, 1]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[SUM2]], [[SUM3]]
// CHECK-NEXT: [[RESHAPE:%.+]] = sinter.reshape [[N1]]
// CHECK-NEXT: [[BROADCAST:%.+]] = sinter.broadcast [[RESHAPE]]
// CHECK-NEXT: [[BROADCAST2:%.+]] = sinter.broadcast [[N1]]
// CHECK-NEXT: [[RESHAPE2:%.+]] = sinter.reshape [[BROADCAST2]]
// CHECK-NEXT: [[BROADCAST3:%.+]] = sinter.broadcast [[RESHAPE2]]
// CHECK-NEXT: [[MATMUL3:%.+]] = sinter.matmul [[BROADCAST3]], [[W]] transposed
// CHECK-NEXT: [[MATMUL4:%.+]] = sinter.matmul [[MATMUL]] transposed, [[BROADCAST3]]
// CHECK-NEXT: [[MATMUL5:%.+]] = sinter.matmul %arg0 transposed, [[MATMUL3]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[MATMUL5]], [[MATMUL4]]
// CHECK-NEXT: [[ADD3:%.+]] = sinter.add [[ADD2]], [[BROADCAST]]
// CHECK-NEXT: sinter.update @w, [[ADD3]]
// CHECK-NEXT: return [[ADD]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd"}} {
  sinter.state parameter @w : tensor<4x4xf32> = constant(0.0, 0.0)
  func.func @train_step(%x: tensor<?x4xf32>) -> tensor<f32> {
    %w = sinter.read @w : tensor<4x4xf32>
    %a = sinter.matmul %x, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %w2 = sinter.read @w : tensor<4x4xf32>
    %b = sinter.matmul %a, %w2 : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %c = sinter.reduce_sum %b axes [1] : (tensor<?x4xf32>) -> tensor<?xf32>
    %d = sinter.reduce_sum %c axes [0] : (tensor<?xf32>) -> tensor<f32>
    %w3 = sinter.read @w : tensor<4x4xf32>
    %r = sinter.reduce_sum %w3 axes [0, 1] : (tensor<4x4xf32>) -> tensor<f32>
    %loss = sinter.add %d, %r : (tensor<f32>, tensor<f32>) -> tensor<f32>
    return %loss : tensor<f32>
  }
}

// -----

// A residual: the gradient of a value with two readers is the sum of both.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[V:%.+]] = sinter.read @v
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, [[V]]
// CHECK-NEXT: [[EXP:%.+]] = sinter.exp [[MUL]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[MUL]], [[EXP]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[ADD]] axes [1]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[SUM]] axes [0]
// CHECK-NEXT: [[BROADCAST:%.+]] = sinter.broadcast [[N1]]
// CHECK-NEXT: [[RESHAPE:%.+]] = sinter.reshape [[BROADCAST]]
// CHECK-NEXT: [[BROADCAST2:%.+]] = sinter.broadcast [[RESHAPE]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[BROADCAST2]], [[EXP]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[BROADCAST2]], [[MUL2]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[ADD2]], %arg0
// CHECK-NEXT: [[SUM3:%.+]] = sinter.reduce_sum [[MUL3]] axes [0]
// CHECK-NEXT: sinter.update @v, [[SUM3]]
// CHECK-NEXT: return [[SUM2]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd"}} {
  sinter.state parameter @v : tensor<4xf32> = constant(0.0, 0.0)
  func.func @train_step(%x: tensor<?x4xf32>) -> tensor<f32> {
    %v = sinter.read @v : tensor<4xf32>
    %a = sinter.mul %x, %v : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    %e = sinter.exp %a : tensor<?x4xf32>
    %y = sinter.add %a, %e : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    %c = sinter.reduce_sum %y axes [1] : (tensor<?x4xf32>) -> tensor<?xf32>
    %loss = sinter.reduce_sum %c axes [0] : (tensor<?xf32>) -> tensor<f32>
    return %loss : tensor<f32>
  }
}

// -----

// Declared zero gradients end the walk: the parameter behind the comparison gets
// none, nor do a frozen state and what only a metric (the second result) reads.
// CHECK-LABEL: func.func @train_step(
// CHECK: sinter.update @w,
// CHECK-NOT: sinter.update
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd"}} {
  sinter.state parameter @w : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state parameter @behind : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state parameter @metric : tensor<f32> = constant(0.0, 0.0)
  sinter.state frozen @f : tensor<4xf32> = constant(0.0, 0.0)
  func.func @train_step(%x: tensor<?x4xf32>) -> (tensor<f32>, tensor<f32>) {
    %w = sinter.read @w : tensor<4xf32>
    %b = sinter.read @behind : tensor<4xf32>
    %f = sinter.read @f : tensor<4xf32>
    %s = sinter.read @metric : tensor<f32>
    %p = sinter.greater %x, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    %y = sinter.select %p, %w, %f : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    %c = sinter.reduce_sum %y axes [1] : (tensor<?x4xf32>) -> tensor<?xf32>
    %loss = sinter.reduce_sum %c axes [0] : (tensor<?xf32>) -> tensor<f32>
    %metric = sinter.exp %s : tensor<f32>
    return %loss, %metric : tensor<f32>, tensor<f32>
  }
}

// -----

// Without an optimizer there is nothing to update.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[E:%.+]] = sinter.exp [[W]]
// CHECK-NEXT: return [[E]]
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<f32> = constant(0.0, 0.0)
  func.func @train_step() -> tensor<f32> {
    %w = sinter.read @w : tensor<f32>
    %e = sinter.exp %w : tensor<f32>
    return %e : tensor<f32>
  }
}

// -----

// An op that should have been resolved before.
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd"}} {
  sinter.state parameter @w : tensor<f32> = constant(0.0, 0.0)
  func.func @train_step(%x: tensor<?xf32>) -> tensor<f32> {
    %w = sinter.read @w : tensor<f32>
    %m = sinter.mul %x, %w : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
    // expected-error@+1 {{expected an op with a gradient rule between a parameter and the loss, got 'sinter.dropout'}}
    %d = sinter.dropout %m stream 0 {rate = 0.5 : f32} : tensor<?xf32>
    %loss = sinter.reduce_sum %d axes [0] : (tensor<?xf32>) -> tensor<f32>
    return %loss : tensor<f32>
  }
}

// -----

// Parts of a value, each read by a slice, and a matrix that three steps read:
// the gradients are joined, and one product over all steps is the matrix's. Its
// right operand is a part of what is joined anyway.
// CHECK-LABEL: func.func @train_step(
// CHECK-NOT: sinter.pad
// CHECK: [[J:%.+]] = sinter.concatenate {{.*}} axis 1 : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
// CHECK: [[H:%.+]] = sinter.concatenate {{.*}} axis 1 : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x6xf32>
// CHECK: [[X:%.+]] = sinter.reshape [[H]] : tensor<?x6xf32> -> tensor<?x1x3x2xf32>
// CHECK: [[D:%.+]] = sinter.slice [[J]] axis 1 from 2 size 6
// CHECK: [[DY:%.+]] = sinter.reshape [[D]] : tensor<?x6xf32> -> tensor<?x1x3x2xf32>
// CHECK: [[F:%.+]] = sinter.conv2d_filter_gradient [[X]], [[DY]] size [1, 1]
// CHECK: [[G:%.+]] = sinter.reshape [[F]] : tensor<1x1x2x2xf32> -> tensor<2x2xf32>
// CHECK: sinter.update @u, [[G]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd"}} {
  sinter.state parameter @w : tensor<3x8xf32> = constant(0.0, 0.0)
  sinter.state parameter @u : tensor<2x2xf32> = constant(0.0, 0.0)
  func.func @train_step(%x: tensor<?x3xf32>) -> tensor<f32> {
    %w = sinter.read @w : tensor<3x8xf32>
    %u = sinter.read @u : tensor<2x2xf32>
    %p = sinter.matmul %x, %w : (tensor<?x3xf32>, tensor<3x8xf32>) -> tensor<?x8xf32>
    %p0 = sinter.slice %p axis 1 from 0 size 2 : (tensor<?x8xf32>) -> tensor<?x2xf32>
    %h0 = sinter.tanh %p0 : tensor<?x2xf32>
    %p1 = sinter.slice %p axis 1 from 2 size 2 : (tensor<?x8xf32>) -> tensor<?x2xf32>
    %m1 = sinter.matmul %h0, %u : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    %s1 = sinter.add %m1, %p1 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
    %h1 = sinter.tanh %s1 : tensor<?x2xf32>
    %p2 = sinter.slice %p axis 1 from 4 size 2 : (tensor<?x8xf32>) -> tensor<?x2xf32>
    %m2 = sinter.matmul %h1, %u : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    %s2 = sinter.add %m2, %p2 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
    %h2 = sinter.tanh %s2 : tensor<?x2xf32>
    %p3 = sinter.slice %p axis 1 from 6 size 2 : (tensor<?x8xf32>) -> tensor<?x2xf32>
    %m3 = sinter.matmul %h2, %u : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    %s3 = sinter.add %m3, %p3 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
    %h3 = sinter.tanh %s3 : tensor<?x2xf32>
    %loss = sinter.reduce_sum %h3 axes [0, 1] : (tensor<?x2xf32>) -> tensor<f32>
    return %loss : tensor<f32>
  }
}
