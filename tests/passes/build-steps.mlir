// RUN: sinter-opt %s --split-input-file --verify-diagnostics --sinter-build-steps --canonicalize --cse | FileCheck %s

// Every loss and metric, as Keras 3 writes it, in @eval_step; then what the three
// functions have in common; then what is refused. Constants come first, because
// the canonicalizer puts them there.

// Probabilities: their sum is made 1, then clipped.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<0.99999988> : tensor<f32>
// CHECK-NEXT: [[N1EM07:%.+]] = sinter.constant dense<1.000000e-07> : tensor<f32>
// CHECK-NEXT: [[ONE_HOT:%.+]] = sinter.one_hot %arg1 classes 4
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum %arg0 axes [1] keep_dims
// CHECK-NEXT: [[DIV:%.+]] = sinter.div %arg0, [[SUM]]
// CHECK-NEXT: [[MAXIMUM:%.+]] = sinter.maximum [[DIV]], [[N1EM07]]
// CHECK-NEXT: [[MINIMUM:%.+]] = sinter.minimum [[MAXIMUM]], [[N1]]
// CHECK-NEXT: [[LOG:%.+]] = sinter.log [[MINIMUM]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[ONE_HOT]], [[LOG]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[MUL]] axes [1] keep_dims
// CHECK-NEXT: [[NEG:%.+]] = sinter.neg [[SUM2]]
// CHECK-NEXT: [[RESHAPE:%.+]] = sinter.reshape [[NEG]]
// CHECK-NEXT: [[SUM3:%.+]] = sinter.reduce_sum [[RESHAPE]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV2:%.+]] = sinter.div [[SUM3]], [[BATCH]]
// CHECK-NEXT: return [[DIV2]]
sinter.model @m batch_bound 8 attributes {loss = {name = "sparse_categorical_crossentropy", from_logits = false}} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// Logits by declaration.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[ONE_HOT:%.+]] = sinter.one_hot %arg1 classes 4
// CHECK-NEXT: [[LOSS:%.+]] = sinter.softmax_cross_entropy %arg0, [[ONE_HOT]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[LOSS]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM]], [[BATCH]]
// CHECK-NEXT: return [[DIV]]
sinter.model @m batch_bound 8 attributes {loss = {name = "sparse_categorical_crossentropy", from_logits = true}} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// Logits because softmax's operand is at hand; smoothing moves 0.1 of a target to all classes.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N0_025:%.+]] = sinter.constant dense<2.500000e-02> : tensor<f32>
// CHECK-NEXT: [[N0_9:%.+]] = sinter.constant dense<0.899999976> : tensor<f32>
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg1, [[N0_9]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[MUL]], [[N0_025]]
// CHECK-NEXT: [[LOSS:%.+]] = sinter.softmax_cross_entropy %arg0, [[ADD]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[LOSS]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM]], [[BATCH]]
// CHECK-NEXT: return [[DIV]]
sinter.model @m batch_bound 8 attributes {loss = {name = "categorical_crossentropy", from_logits = false, label_smoothing = 0.1}} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %y = sinter.softmax %x : tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Clipped probabilities; targets smoothed towards one half.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[N12:%.+]] = sinter.constant dense<0.99999988> : tensor<f32>
// CHECK-NEXT: [[N1EM07:%.+]] = sinter.constant dense<1.000000e-07> : tensor<f32>
// CHECK-NEXT: [[N0_1:%.+]] = sinter.constant dense<1.000000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_8:%.+]] = sinter.constant dense<8.000000e-01> : tensor<f32>
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg1, [[N0_8]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[MUL]], [[N0_1]]
// CHECK-NEXT: [[MAXIMUM:%.+]] = sinter.maximum %arg0, [[N1EM07]]
// CHECK-NEXT: [[MINIMUM:%.+]] = sinter.minimum [[MAXIMUM]], [[N12]]
// CHECK-NEXT: [[LOG:%.+]] = sinter.log [[MINIMUM]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[ADD]], [[LOG]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[N1]], [[MINIMUM]]
// CHECK-NEXT: [[LOG2:%.+]] = sinter.log [[SUB]]
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[N1]], [[ADD]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[SUB2]], [[LOG2]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[MUL2]], [[MUL3]]
// CHECK-NEXT: [[NEG:%.+]] = sinter.neg [[ADD2]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[NEG]] axes [1]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[SUM]], [[N0_25]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[MUL4]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM2]], [[BATCH]]
// CHECK-NEXT: return [[DIV]]
sinter.model @m batch_bound 8 attributes {loss = {name = "binary_crossentropy", from_logits = false, label_smoothing = 0.2}} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// The sigmoid's operand, not its result.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[LOSS:%.+]] = sinter.sigmoid_cross_entropy %arg0, %arg1
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[LOSS]] axes [1]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[SUM]], [[N0_25]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[MUL]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM2]], [[BATCH]]
// CHECK-NEXT: return [[DIV]]
sinter.model @m batch_bound 8 attributes {loss = {name = "binary_crossentropy", from_logits = false}} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %y = sinter.sigmoid %x : tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// A sample of several dimensions: the mean is over all 2 * 4.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N0_125:%.+]] = sinter.constant dense<1.250000e-01> : tensor<f32>
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub %arg0, %arg1
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[SUB]], [[SUB]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[MUL]] axes [1, 2]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[SUM]], [[N0_125]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[MUL2]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM2]], [[BATCH]]
// CHECK-NEXT: return [[DIV]]
sinter.model @m batch_bound 8 attributes {loss = {name = "mean_squared_error"}} {
  func.func @forward(%x: tensor<?x2x4xf32>) -> tensor<?x2x4xf32> {
    return %x : tensor<?x2x4xf32>
  }
}

// -----

// A sample that is one number needs no mean.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub %arg0, %arg1
// CHECK-NEXT: [[ABS:%.+]] = sinter.abs [[SUB]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[ABS]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM]], [[BATCH]]
// CHECK-NEXT: return [[DIV]]
sinter.model @m batch_bound 8 attributes {loss = {name = "mean_absolute_error"}} {
  func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
    return %x : tensor<?xf32>
  }
}

// -----

// delta^2 / 2 = 2.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[NM2:%.+]] = sinter.constant dense<-2.000000e+00> : tensor<f32>
// CHECK-NEXT: [[N2:%.+]] = sinter.constant dense<2.000000e+00> : tensor<f32>
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub %arg0, %arg1
// CHECK-NEXT: [[ABS:%.+]] = sinter.abs [[SUB]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[ABS]], [[N2]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[MUL]], [[NM2]]
// CHECK-NEXT: [[GREATER:%.+]] = sinter.greater [[ABS]], [[N2]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[SUB]], [[SUB]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[MUL2]], [[N0_5]]
// CHECK-NEXT: [[SELECT:%.+]] = sinter.select [[GREATER]], [[ADD]], [[MUL3]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[SELECT]] axes [1]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[SUM]], [[N0_25]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[MUL4]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM2]], [[BATCH]]
// CHECK-NEXT: return [[DIV]]
sinter.model @m batch_bound 8 attributes {loss = {name = "huber", delta = 2.0}} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// Targets of 0 stand for -1.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[N0:%.+]] = sinter.constant dense<0.000000e+00> : tensor<f32>
// CHECK-NEXT: [[EQUAL:%.+]] = sinter.equal %arg1, [[N0]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub %arg1, [[EQUAL]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[SUB]], %arg0
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[N1]], [[MUL]]
// CHECK-NEXT: [[MAXIMUM:%.+]] = sinter.maximum [[SUB2]], [[N0]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[MAXIMUM]] axes [1]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[SUM]], [[N0_25]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[MUL2]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM2]], [[BATCH]]
// CHECK-NEXT: return [[DIV]]
sinter.model @m batch_bound 8 attributes {loss = {name = "hinge"}} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// Two metrics on labels; the second has a title.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N2:%.+]] = sinter.constant dense<2.000000e+00> : tensor<f32>
// CHECK-NEXT: [[ONE_HOT:%.+]] = sinter.one_hot %arg1 classes 4
// CHECK-NEXT: [[LOSS:%.+]] = sinter.softmax_cross_entropy %arg0, [[ONE_HOT]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[LOSS]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM]], [[BATCH]]
// CHECK-NEXT: [[ARGMAX:%.+]] = sinter.argmax %arg0
// CHECK-NEXT: [[EQUAL:%.+]] = sinter.equal [[ARGMAX]], %arg1
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[EQUAL]] axes [0]
// CHECK-NEXT: [[DIV2:%.+]] = sinter.div [[SUM2]], [[BATCH]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[ONE_HOT]], %arg0
// CHECK-NEXT: [[SUM3:%.+]] = sinter.reduce_sum [[MUL]] axes [1] keep_dims
// CHECK-NEXT: [[GREATER:%.+]] = sinter.greater %arg0, [[SUM3]]
// CHECK-NEXT: [[SUM4:%.+]] = sinter.reduce_sum [[GREATER]] axes [1] keep_dims
// CHECK-NEXT: [[GREATER2:%.+]] = sinter.greater [[N2]], [[SUM4]]
// CHECK-NEXT: [[SUM5:%.+]] = sinter.reduce_sum [[GREATER2]] axes [1]
// CHECK-NEXT: [[SUM6:%.+]] = sinter.reduce_sum [[SUM5]] axes [0]
// CHECK-NEXT: [[DIV3:%.+]] = sinter.div [[SUM6]], [[BATCH]]
// CHECK-NEXT: return [[DIV]], [[DIV2]], [[DIV3]]
sinter.model @m batch_bound 8 attributes {loss = {name = "sparse_categorical_crossentropy", from_logits = true},
    metrics = [{name = "sparse_categorical_accuracy"}, {name = "sparse_top_k_categorical_accuracy", k = 2, title = "top 2"}]} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// Two metrics on rows of targets.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N3:%.+]] = sinter.constant dense<3.000000e+00> : tensor<f32>
// CHECK-NEXT: [[LOSS:%.+]] = sinter.softmax_cross_entropy %arg0, %arg1
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[LOSS]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM]], [[BATCH]]
// CHECK-NEXT: [[ARGMAX:%.+]] = sinter.argmax %arg1
// CHECK-NEXT: [[ARGMAX2:%.+]] = sinter.argmax %arg0
// CHECK-NEXT: [[EQUAL:%.+]] = sinter.equal [[ARGMAX2]], [[ARGMAX]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[EQUAL]] axes [0]
// CHECK-NEXT: [[DIV2:%.+]] = sinter.div [[SUM2]], [[BATCH]]
// CHECK-NEXT: [[ONE_HOT:%.+]] = sinter.one_hot [[ARGMAX]] classes 4
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[ONE_HOT]], %arg0
// CHECK-NEXT: [[SUM3:%.+]] = sinter.reduce_sum [[MUL]] axes [1] keep_dims
// CHECK-NEXT: [[GREATER:%.+]] = sinter.greater %arg0, [[SUM3]]
// CHECK-NEXT: [[SUM4:%.+]] = sinter.reduce_sum [[GREATER]] axes [1] keep_dims
// CHECK-NEXT: [[GREATER2:%.+]] = sinter.greater [[N3]], [[SUM4]]
// CHECK-NEXT: [[SUM5:%.+]] = sinter.reduce_sum [[GREATER2]] axes [1]
// CHECK-NEXT: [[SUM6:%.+]] = sinter.reduce_sum [[SUM5]] axes [0]
// CHECK-NEXT: [[DIV3:%.+]] = sinter.div [[SUM6]], [[BATCH]]
// CHECK-NEXT: return [[DIV]], [[DIV2]], [[DIV3]]
sinter.model @m batch_bound 8 attributes {loss = {name = "categorical_crossentropy", from_logits = true},
    metrics = [{name = "categorical_accuracy"}, {name = "top_k_categorical_accuracy", k = 3}]} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// A metric with a threshold; a loss may serve as a metric.
// CHECK-LABEL: func.func @eval_step(
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub %arg0, %arg1
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[SUB]], [[SUB]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[MUL]] axes [1]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[SUM]], [[N0_25]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[MUL2]] axes [0]
// CHECK-NEXT: [[BATCH:%.+]] = sinter.batch_size
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[SUM2]], [[BATCH]]
// CHECK-NEXT: [[GREATER:%.+]] = sinter.greater %arg0, [[N0_25]]
// CHECK-NEXT: [[EQUAL:%.+]] = sinter.equal %arg1, [[GREATER]]
// CHECK-NEXT: [[SUM3:%.+]] = sinter.reduce_sum [[EQUAL]] axes [1]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[SUM3]], [[N0_25]]
// CHECK-NEXT: [[SUM4:%.+]] = sinter.reduce_sum [[MUL3]] axes [0]
// CHECK-NEXT: [[DIV2:%.+]] = sinter.div [[SUM4]], [[BATCH]]
// CHECK-NEXT: [[ABS:%.+]] = sinter.abs [[SUB]]
// CHECK-NEXT: [[SUM5:%.+]] = sinter.reduce_sum [[ABS]] axes [1]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[SUM5]], [[N0_25]]
// CHECK-NEXT: [[SUM6:%.+]] = sinter.reduce_sum [[MUL4]] axes [0]
// CHECK-NEXT: [[DIV3:%.+]] = sinter.div [[SUM6]], [[BATCH]]
// CHECK-NEXT: return [[DIV]], [[DIV2]], [[DIV3]]
sinter.model @m batch_bound 8 attributes {loss = {name = "mean_squared_error"},
    metrics = [{name = "binary_accuracy", threshold = 0.25}, {name = "mean_absolute_error"}]} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// Dropout and noise do nothing but in training; each regulariser adds its terms
// to the loss of evaluation and training alike, also that of a scalar and of a
// state that the network does not read.
// CHECK-DAG: sinter.state iteration @"optimizer/iteration" : tensor<i32>
// CHECK-DAG: sinter.state seed @"optimizer/seed" : tensor<2xi32>
// CHECK-NOT: @forward
// CHECK-LABEL: func.func @predict(
// CHECK-NEXT: return %arg0
// CHECK-LABEL: func.func @eval_step(
// CHECK-SAME: sinter.result_names = ["loss", "mean_absolute_error", "far off"]
// CHECK-DAG: [[L1:%.+]] = sinter.constant dense<2.500000e-01>
// CHECK-DAG: [[L2:%.+]] = sinter.constant dense<1.250000e-01>
// CHECK-DAG: [[SCALAR:%.+]] = sinter.constant dense<6.250000e-02>
// CHECK: [[DATA:%.+]] = sinter.div %{{.+}}, %{{.+}}
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[ABS:%.+]] = sinter.abs [[W]]
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[ABS]] axes [0, 1]
// CHECK-NEXT: [[TERM:%.+]] = sinter.mul [[SUM]], [[L1]]
// CHECK-NEXT: [[LOSS:%.+]] = sinter.add [[DATA]], [[TERM]]
// CHECK-NEXT: [[SQUARE:%.+]] = sinter.mul [[W]], [[W]]
// CHECK-NEXT: [[SUM2:%.+]] = sinter.reduce_sum [[SQUARE]] axes [0, 1]
// CHECK-NEXT: [[TERM2:%.+]] = sinter.mul [[SUM2]], [[L2]]
// CHECK-NEXT: [[LOSS2:%.+]] = sinter.add [[LOSS]], [[TERM2]]
// CHECK-NEXT: [[S:%.+]] = sinter.read @s
// CHECK-NEXT: [[SQUARE2:%.+]] = sinter.mul [[S]], [[S]]
// CHECK-NEXT: [[TERM3:%.+]] = sinter.mul [[SQUARE2]], [[SCALAR]]
// CHECK-NEXT: [[LOSS3:%.+]] = sinter.add [[LOSS2]], [[TERM3]]
// CHECK-NOT: sinter.random
// CHECK: return [[LOSS3]],
// CHECK-LABEL: func.func @train_step(
// CHECK-SAME: sinter.result_names = ["loss", "mean_absolute_error", "far off"]
// CHECK-DAG: [[SEED:%.+]] = sinter.read @"optimizer/seed"
// CHECK-DAG: [[STEP:%.+]] = sinter.read @"optimizer/iteration"
// CHECK: sinter.random_uniform [[SEED]], [[STEP]] stream 3
// CHECK: sinter.random_normal [[SEED]], [[STEP]] stream 4
// CHECK: sinter.read @w
// CHECK: sinter.read @s
sinter.model @m batch_bound 8 attributes {loss = {name = "mean_squared_error"},
    metrics = [{name = "mean_absolute_error"}, {name = "huber", delta = 1.0, title = "far off"}]} {
  sinter.state frozen @w : tensor<2x3xf32> = constant(0.0, 0.0) {regularizer = {l1 = 0.25 : f32, l2 = 0.125 : f32}}
  sinter.state frozen @s : tensor<f32> = constant(0.0, 0.0) {regularizer = {l1 = 0.0 : f32, l2 = 0.0625 : f32}}
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %d = sinter.dropout %x stream 3 {rate = 0.5 : f32} : tensor<?x4xf32>
    %y = sinter.gaussian_noise %d stream 4 {stddev = 0.5 : f32} : tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Batch normalisation sums about the mean of the step before, which training
// keeps in a state behind those of the layers.
// CHECK-LABEL: sinter.model @normalized
// CHECK: sinter.state frozen @"n/variance"
// CHECK-NEXT: sinter.state frozen @last
// CHECK-NEXT: sinter.state iteration
// CHECK-NEXT: sinter.state seed
// CHECK-NEXT: sinter.state slot @"n/mean/lag" : tensor<4xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK-NEXT: func.func @predict(
// CHECK-NOT: lag
// CHECK: func.func @eval_step(
// CHECK-NOT: lag
// CHECK: func.func @train_step(
// CHECK-DAG: [[MOMENTUM:%.+]] = sinter.constant dense<7.500000e-01> : tensor<f32>
// CHECK-DAG: [[MEAN:%.+]] = sinter.read @"n/mean"
// CHECK-DAG: [[LAG:%.+]] = sinter.read @"n/mean/lag"
// CHECK-DAG: [[SHIFT:%.+]] = sinter.add [[MEAN]], [[LAG]]
// CHECK: [[D:%.+]] = sinter.sub %arg0, [[SHIFT]]
// CHECK: [[BATCH:%.+]] = sinter.add [[SHIFT]], {{%.+}}
// CHECK: [[AWAY:%.+]] = sinter.sub [[BATCH]], [[MEAN]]
// CHECK: [[NEXT:%.+]] = sinter.mul [[AWAY]], [[MOMENTUM]]
// CHECK-NEXT: sinter.write @"n/mean/lag", [[NEXT]]
// CHECK-NEXT: sinter.batch_norm %arg0, {{%.+}}, {{%.+}}, [[SHIFT]]
sinter.model @normalized batch_bound 8 attributes {loss = {name = "mean_squared_error"}} {
  sinter.state frozen @"n/mean" : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state frozen @"n/variance" : tensor<4xf32> = constant(1.0, 0.0)
  sinter.state frozen @last : tensor<4xf32> = uniform(-1.0, 1.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %c = sinter.read @last : tensor<4xf32>
    %y = sinter.batch_normalization %x, %c, %c moving @"n/mean", @"n/variance" momentum 0.75 epsilon 0.5 : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Without a loss there is nothing to evaluate: no counters, one function.
// CHECK-LABEL: sinter.model @inference
// CHECK-NOT: sinter.state
// CHECK: func.func @predict(
// CHECK-NOT: func.func
sinter.model @inference batch_bound 8 {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// What only predicts may have several inputs and outputs.
// CHECK-LABEL: sinter.model @several
// CHECK: func.func @predict(%{{.*}}: tensor<?x4xf32>, %{{.*}}: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x4xf32>)
sinter.model @several batch_bound 8 {
  func.func @forward(%x: tensor<?x4xf32>, %y: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x4xf32>) {
    return %y, %x : tensor<?x2xf32>, tensor<?x4xf32>
  }
}

// -----

//===----------------------------------------------------------------------===//
// Refused
//===----------------------------------------------------------------------===//

// expected-error@+1 {{expected a function @forward, got none}}
sinter.model @m batch_bound 8 {
}

// -----

sinter.model @m batch_bound 8 attributes {loss = {name = "mean_squared_error"}} {
  // expected-error@+1 {{expected one output, or a loss for each, got 2 outputs and one loss}}
  func.func @forward(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
    return %x, %x : tensor<?x4xf32>, tensor<?x4xf32>
  }
}

// -----

sinter.model @m batch_bound 8 {
  // expected-error@+1 {{expected a batched output, got 'tensor<4xf32>'}}
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<4xf32> {
    %y = sinter.reduce_sum %x axes [0] : (tensor<?x4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
}

// -----

// expected-error@+1 {{expected a loss or metric, got 'hinges'}}
sinter.model @m batch_bound 8 attributes {loss = {name = "hinges"}} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// expected-error@+1 {{expected an output of shape (classes) for 'sparse_categorical_crossentropy', got 'tensor<?x2x4xf32>'}}
sinter.model @m batch_bound 8 attributes {loss = {name = "sparse_categorical_crossentropy"}} {
  func.func @forward(%x: tensor<?x2x4xf32>) -> tensor<?x2x4xf32> {
    return %x : tensor<?x2x4xf32>
  }
}

// -----

// The loss decides what targets are; a metric that wants others is refused.
// expected-error@+1 {{expected targets of type 'tensor<?x4xf32>' for 'categorical_accuracy', got 'tensor<?xi32>'}}
sinter.model @m batch_bound 8 attributes {loss = {name = "sparse_categorical_crossentropy"},
    metrics = [{name = "categorical_accuracy"}]} {
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

// Class weights scale the training loss of a sample by
// 1 + sum (weight - 1) [label = class], and nothing else.
// CHECK-LABEL: sinter.model @class_weights
// CHECK: func.func @eval_step(
// CHECK-NOT: sinter.cast
// CHECK: func.func @train_step(
// CHECK: [[EACH:%.+]] = sinter.softmax_cross_entropy
// CHECK: [[LABEL:%.+]] = sinter.cast %arg1
// CHECK: [[IS0:%.+]] = sinter.equal [[LABEL]]
// CHECK: [[IS2:%.+]] = sinter.equal [[LABEL]]
// CHECK: [[W:%.+]] = sinter.add
// CHECK: [[SCALED:%.+]] = sinter.mul [[EACH]], [[W]]
// CHECK: sinter.reduce_sum [[SCALED]] axes [0]
sinter.model @class_weights batch_bound 8 attributes {loss = {name = "sparse_categorical_crossentropy", class_weight = [0, 2.0, 2, 0.25]}} {
  func.func @forward(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
    %y = sinter.softmax %x : tensor<?x3xf32>
    return %y : tensor<?x3xf32>
  }
}
