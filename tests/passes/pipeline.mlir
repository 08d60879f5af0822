// RUN: sinter-opt %s --split-input-file --sinter-to-train | FileCheck %s --check-prefix=TRAIN
// RUN: sinter-opt %s --split-input-file --sinter-to-fused | FileCheck %s --check-prefix=FUSED
// RUN: sinter-opt %s --split-input-file --sinter-to-planned | FileCheck %s

// Whole models through all passes. In each: the arena is as small as it can be,
// a weight is not read after it was written, and no update waits in a copy.

// An MLP, stage by stage. Train: ops of the dialect, no kernels. Fused: kernels,
// no offsets. Planned: the update of each weight stands behind its gradient.
// TRAIN-LABEL: sinter.model @mlp
// TRAIN: func.func @predict(
// TRAIN: func.func @eval_step(
// TRAIN: func.func @train_step(
// TRAIN-NOT: sinter.kernel
// TRAIN-NOT: sinter.update
// TRAIN: sinter.softmax_cross_entropy
// TRAIN: sinter.write @"hidden/kernel",
// FUSED-LABEL: sinter.model @mlp
// FUSED-NOT: sinter.softmax
// FUSED-NOT: offsets
// FUSED: sinter.kernel weight_gradient "hidden: matmul+update" {
// CHECK-LABEL: sinter.model @mlp
// CHECK: func.func @predict({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: func.func @eval_step(
// CHECK: func.func @train_step({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: sinter.kernel matmul "hidden: matmul+add+maximum+random_uniform+greater+..."
// CHECK: sinter.kernel matmul "output: matmul+add"
// CHECK: sinter.kernel weight_gradient "output: matmul+update" attributes
// CHECK: sinter.write @"output/kernel",
// CHECK-NOT: sinter.read @"output/kernel"
// CHECK: sinter.kernel weight_gradient "hidden: matmul+update" attributes
// CHECK: sinter.write @"hidden/kernel",
// CHECK-NOT: sinter.read @"hidden/kernel"
// CHECK-NOT: "copy
// CHECK: return
sinter.model @mlp batch_bound 8 attributes {loss = {name = "sparse_categorical_crossentropy"}, optimizer = {name = "adam", learning_rate = 0.1, beta_1 = 0.9, beta_2 = 0.999, epsilon = 1.0e-7},
    metrics = [{name = "sparse_categorical_accuracy"}]} {
  sinter.state parameter @"hidden/kernel" : tensor<6x5xf32> = uniform(-0.5, 0.5)
  sinter.state parameter @"hidden/bias" : tensor<5xf32> = constant(0.0, 0.0)
  sinter.state parameter @"output/kernel" : tensor<5x4xf32> = uniform(-0.5, 0.5)
  sinter.state parameter @"output/bias" : tensor<4xf32> = constant(0.0, 0.0)
  func.func @forward(%x: tensor<?x2x3xf32>) -> tensor<?x4xf32> {
    %0 = sinter.reshape %x : tensor<?x2x3xf32> -> tensor<?x6xf32>
    %w = sinter.read @"hidden/kernel" : tensor<6x5xf32> loc("hidden")
    %b = sinter.read @"hidden/bias" : tensor<5xf32> loc("hidden")
    %1 = sinter.matmul %0, %w : (tensor<?x6xf32>, tensor<6x5xf32>) -> tensor<?x5xf32> loc("hidden")
    %2 = sinter.add %1, %b : (tensor<?x5xf32>, tensor<5xf32>) -> tensor<?x5xf32> loc("hidden")
    %3 = sinter.relu %2 : tensor<?x5xf32> loc("hidden")
    %d = sinter.dropout %3 stream 0 {rate = 0.5 : f32} : tensor<?x5xf32> loc("dropout")
    %w2 = sinter.read @"output/kernel" : tensor<5x4xf32> loc("output")
    %b2 = sinter.read @"output/bias" : tensor<4xf32> loc("output")
    %4 = sinter.matmul %d, %w2 : (tensor<?x5xf32>, tensor<5x4xf32>) -> tensor<?x4xf32> loc("output")
    %5 = sinter.add %4, %b2 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32> loc("output")
    %6 = sinter.softmax %5 : tensor<?x4xf32> loc("output")
    return %6 : tensor<?x4xf32>
  }
}

// -----

// One weight in two layers, with a regulariser: one update, behind all readers.
// CHECK-LABEL: sinter.model @shared
// CHECK: func.func @predict({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: func.func @eval_step(
// CHECK: func.func @train_step({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: sinter.kernel weight_gradient "matmul" -> tensor<4x4xf32>
// CHECK: sinter.kernel weight_gradient "matmul+update" attributes
// CHECK: sinter.write @w,
// CHECK-NOT: sinter.read @w
// CHECK: return
sinter.model @shared batch_bound 8 attributes {loss = {name = "mean_squared_error"}, optimizer = {name = "sgd", learning_rate = 0.1}} {
  sinter.state parameter @w : tensor<4x4xf32> = uniform(-1.0, 1.0) {regularizer = {l1 = 0.1 : f32, l2 = 0.2 : f32}}
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4x4xf32>
    %m = sinter.matmul %x, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %h = sinter.tanh %m : tensor<?x4xf32>
    %w2 = sinter.read @w : tensor<4x4xf32>
    %y = sinter.matmul %h, %w2 : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// What a matmul reads is stored before it, also where the sum behind reads it too.
// CHECK-LABEL: sinter.model @residual
// CHECK: func.func @predict({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: func.func @eval_step(
// CHECK: func.func @train_step({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: [[H:%.+]] = sinter.kernel sweep "mul+tanh+mul+sub"
// CHECK: sinter.kernel matmul "matmul+add+
// CHECK: sinter.matmul [[H]],
// CHECK: sinter.kernel weight_gradient "matmul+update" attributes
// CHECK: sinter.write @w,
// CHECK-NOT: sinter.read @w
// CHECK: return
sinter.model @residual batch_bound 8 attributes {loss = {name = "mean_squared_error"}, optimizer = {name = "sgd", learning_rate = 0.1}} {
  sinter.state parameter @w : tensor<4x4xf32> = uniform(-1.0, 1.0)
  sinter.state parameter @c : tensor<4xf32> = uniform(-1.0, 1.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %c = sinter.read @c : tensor<4xf32>
    %z = sinter.mul %x, %c : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    %h = sinter.tanh %z : tensor<?x4xf32>
    %w = sinter.read @w : tensor<4x4xf32>
    %m = sinter.matmul %h, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %y = sinter.add %m, %h : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// A state read through a view is read: its update waits for the backward matmul.
// CHECK-LABEL: sinter.model @view
// CHECK: func.func @predict({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: func.func @eval_step(
// CHECK: func.func @train_step({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: [[S:%.+]] = sinter.read @w
// CHECK: [[W:%.+]] = sinter.reshape [[S]]
// CHECK: sinter.matmul %{{.+}}, [[W]] :
// CHECK: sinter.matmul %{{.+}}, [[W]] transposed
// CHECK: sinter.write @w,
// CHECK-NOT: [[W]]{{[^0-9]}}
// CHECK: return
sinter.model @view batch_bound 8 attributes {loss = {name = "mean_squared_error"}, optimizer = {name = "sgd", learning_rate = 0.1}} {
  sinter.state parameter @v : tensor<4x6xf32> = uniform(-1.0, 1.0)
  sinter.state parameter @w : tensor<2x3x4xf32> = uniform(-1.0, 1.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %v = sinter.read @v : tensor<4x6xf32>
    %m = sinter.matmul %x, %v : (tensor<?x4xf32>, tensor<4x6xf32>) -> tensor<?x6xf32>
    %h = sinter.tanh %m : tensor<?x6xf32>
    %w = sinter.read @w : tensor<2x3x4xf32>
    %r = sinter.reshape %w : tensor<2x3x4xf32> -> tensor<6x4xf32>
    %y = sinter.matmul %h, %r : (tensor<?x6xf32>, tensor<6x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// One output: the mean over a single number is no reduction, and the sum over the
// batch no sum over features.
// CHECK-LABEL: sinter.model @one_output
// CHECK: func.func @predict({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: func.func @eval_step(
// CHECK: func.func @train_step({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: sinter.kernel batch_reduce
// CHECK-NOT: axes [1]
// CHECK: return
sinter.model @one_output batch_bound 8 attributes {loss = {name = "mean_squared_error"}, optimizer = {name = "sgd", learning_rate = 0.1}} {
  sinter.state parameter @w : tensor<4x1xf32> = uniform(-1.0, 1.0)
  sinter.state parameter @b : tensor<1xf32> = uniform(-1.0, 1.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x1xf32> {
    %w = sinter.read @w : tensor<4x1xf32>
    %b = sinter.read @b : tensor<1xf32>
    %m = sinter.matmul %x, %w : (tensor<?x4xf32>, tensor<4x1xf32>) -> tensor<?x1xf32>
    %y = sinter.add %m, %b : (tensor<?x1xf32>, tensor<1xf32>) -> tensor<?x1xf32>
    return %y : tensor<?x1xf32>
  }
}

// -----

// Branches that are multiplied, cut and joined; a scalar parameter; global clipping
// brings both gradients together before either update.
// CHECK-LABEL: sinter.model @branches
// CHECK: func.func @predict({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: func.func @eval_step(
// CHECK: func.func @train_step({{.*}}sinter.arena_bytes = [[A:[0-9]+]] : i64, sinter.arena_lower_bound = [[A]] : i64
// CHECK: sinter.sqrt
// CHECK: sinter.write @w,
// CHECK-NOT: sinter.read @w
// CHECK: sinter.write @s,
// CHECK-NOT: sinter.read @{{[ws]}}
// CHECK: return
sinter.model @branches batch_bound 8 attributes {loss = {name = "mean_squared_error"}, optimizer = {name = "sgd", learning_rate = 0.1, momentum = 0.9, global_clipnorm = 1.0}} {
  sinter.state parameter @w : tensor<4x4xf32> = uniform(-1.0, 1.0)
  sinter.state parameter @s : tensor<f32> = uniform(-1.0, 1.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4x4xf32>
    %s = sinter.read @s : tensor<f32>
    %m = sinter.matmul %x, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %a = sinter.slice %m axis 1 from 0 size 2 : (tensor<?x4xf32>) -> tensor<?x2xf32>
    %b = sinter.slice %m axis 1 from 2 size 2 : (tensor<?x4xf32>) -> tensor<?x2xf32>
    %p = sinter.mul %a, %b : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
    %q = sinter.mul %p, %s : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
    %j = sinter.concatenate %q, %a axis 1 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x4xf32>
    %l = sinter.pad %p axis 1 low 1 high 1 : (tensor<?x2xf32>) -> tensor<?x4xf32>
    %y = sinter.add %j, %l : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}
