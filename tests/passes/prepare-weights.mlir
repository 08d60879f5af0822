// RUN: sinter-opt %s -sinter-prepare-weights -split-input-file | FileCheck %s

// What two functions compute with weights alone moves into @prepare, once, and
// what they need of it into states. Evaluation needs one value more.
// CHECK-LABEL: sinter.model @moves
// CHECK:       func.func @predict(
// CHECK-NEXT:    %[[W:.*]] = sinter.read @"derived/0" : tensor<4x4x16x16xf32, #sinter.filter_blocks>
// CHECK-NEXT:    %[[Y:.*]] = sinter.winograd_conv2d %arg0, %[[W]]
// CHECK-NEXT:    return %[[Y]]
// CHECK:       func.func @eval_step(
// CHECK-DAG:     %[[V:.*]] = sinter.read @"derived/0"
// CHECK-DAG:     %[[S:.*]] = sinter.read @"derived/1" : tensor<16xf32>
// CHECK:         %[[Z:.*]] = sinter.winograd_conv2d %arg0, %[[V]]
// CHECK-NEXT:    sinter.add %[[Z]], %[[S]]
// CHECK:       sinter.state derived @"derived/0"
// CHECK:       sinter.state derived @"derived/1"
// CHECK:       func.func @prepare() {
// CHECK:         %[[F:.*]] = sinter.mul
// CHECK-NOT:     sinter.mul
// CHECK:         %[[U:.*]] = sinter.winograd_filter %[[F]] tile 2 blocked
// CHECK-NEXT:    sinter.write @"derived/0", %[[U]]
// CHECK-NEXT:    %[[T:.*]] = sinter.neg
// CHECK-NEXT:    sinter.write @"derived/1", %[[T]]
// CHECK:         return
sinter.model @moves batch_bound 4 {
  sinter.state parameter @kernel : tensor<3x3x16x16xf32> = constant(0.0, 0.0)
  sinter.state parameter @scale : tensor<16xf32> = constant(0.0, 0.0)
  func.func @predict(%x: tensor<?x8x8x16xf32>) -> tensor<?x8x8x16xf32> {
    %w = sinter.read @kernel : tensor<3x3x16x16xf32>
    %s = sinter.read @scale : tensor<16xf32>
    %ws = sinter.mul %w, %s : (tensor<3x3x16x16xf32>, tensor<16xf32>) -> tensor<3x3x16x16xf32>
    %u = sinter.winograd_filter %ws tile 2 blocked : (tensor<3x3x16x16xf32>) -> tensor<4x4x16x16xf32, #sinter.filter_blocks>
    %y = sinter.winograd_conv2d %x, %u padding [1, 1, 1, 1] : (tensor<?x8x8x16xf32>, tensor<4x4x16x16xf32, #sinter.filter_blocks>) -> tensor<?x8x8x16xf32>
    return %y : tensor<?x8x8x16xf32>
  }
  func.func @eval_step(%x: tensor<?x8x8x16xf32>) -> tensor<?x8x8x16xf32> {
    %s = sinter.read @scale : tensor<16xf32>
    %n = sinter.neg %s : tensor<16xf32>
    %w = sinter.read @kernel : tensor<3x3x16x16xf32>
    %ws = sinter.mul %w, %s : (tensor<3x3x16x16xf32>, tensor<16xf32>) -> tensor<3x3x16x16xf32>
    %u = sinter.winograd_filter %ws tile 2 blocked : (tensor<3x3x16x16xf32>) -> tensor<4x4x16x16xf32, #sinter.filter_blocks>
    %y = sinter.winograd_conv2d %x, %u padding [1, 1, 1, 1] : (tensor<?x8x8x16xf32>, tensor<4x4x16x16xf32, #sinter.filter_blocks>) -> tensor<?x8x8x16xf32>
    %z = sinter.add %y, %n : (tensor<?x8x8x16xf32>, tensor<16xf32>) -> tensor<?x8x8x16xf32>
    return %z : tensor<?x8x8x16xf32>
  }
}

// -----

// A value behind another that is derived is made from states, not from that.
// CHECK-LABEL: sinter.model @chain
// CHECK:       func.func @prepare() {
// CHECK-NOT:     derived
// CHECK:         %[[A:.*]] = sinter.read @a
// CHECK:         %[[E:.*]] = sinter.exp %[[A]]
// CHECK:         sinter.write @"derived/0", %[[E]]
// CHECK:         %[[N:.*]] = sinter.neg %[[E]]
// CHECK:         sinter.write @"derived/1", %[[N]]
sinter.model @chain batch_bound 4 {
  sinter.state parameter @a : tensor<3xf32> = constant(0.0, 0.0)
  func.func @predict(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
    %a = sinter.read @a : tensor<3xf32>
    %e = sinter.exp %a : tensor<3xf32>
    %n = sinter.neg %e : tensor<3xf32>
    %y = sinter.mul %x, %e : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    %z = sinter.add %y, %n : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    return %z : tensor<?x3xf32>
  }
}

// -----

// Left alone: weights as they are, and views and broadcasts of them.
// CHECK-LABEL: sinter.model @nothing
// CHECK-NOT:   derived
// CHECK-NOT:   @prepare
sinter.model @nothing batch_bound 4 {
  sinter.state parameter @w : tensor<3x2xf32> = constant(0.0, 0.0)
  sinter.state parameter @b : tensor<1x2xf32> = constant(0.0, 0.0)
  func.func @predict(%x: tensor<?x3xf32>) -> tensor<?x2xf32> {
    %w = sinter.read @w : tensor<3x2xf32>
    %b = sinter.read @b : tensor<1x2xf32>
    %r = sinter.reshape %b : tensor<1x2xf32> -> tensor<2xf32>
    %y = sinter.matmul %x, %w : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
    %z = sinter.add %y, %r : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    return %z : tensor<?x2xf32>
  }
}

// -----

// Left to the convolution's kernel: filters that are large once transformed.
// CHECK-LABEL: sinter.model @left
// CHECK:       func.func @predict(
// CHECK-NEXT:    sinter.read @"derived/0" : tensor<3x3x192x160xf32>
// CHECK-NEXT:    sinter.winograd_filter
// CHECK-NEXT:    sinter.winograd_conv2d
// CHECK:       func.func @prepare() {
// CHECK-NOT:     winograd
sinter.model @left batch_bound 8 {
  sinter.state parameter @kernel : tensor<3x3x192x160xf32> = constant(0.0, 0.0)
  func.func @predict(%x: tensor<?x8x8x192xf32>) -> tensor<?x8x8x160xf32> {
    %w = sinter.read @kernel : tensor<3x3x192x160xf32>
    %n = sinter.neg %w : tensor<3x3x192x160xf32>
    %u = sinter.winograd_filter %n tile 4 blocked : (tensor<3x3x192x160xf32>) -> tensor<6x6x192x160xf32, #sinter.filter_blocks>
    %y = sinter.winograd_conv2d %x, %u padding [1, 1, 1, 1] : (tensor<?x8x8x192xf32>, tensor<6x6x192x160xf32, #sinter.filter_blocks>) -> tensor<?x8x8x160xf32>
    return %y : tensor<?x8x8x160xf32>
  }
}

// -----

// Functions that write states are training steps: their weights change in every
// call.
// CHECK-LABEL: sinter.model @training
// CHECK-NOT:   derived
// CHECK:         sinter.neg
// CHECK-NOT:   @prepare
sinter.model @training batch_bound 4 {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  func.func @train_step(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
    %w = sinter.read @w : tensor<3xf32>
    %n = sinter.neg %w : tensor<3xf32>
    %y = sinter.mul %x, %n : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    sinter.write @w, %n : tensor<3xf32>
    return %y : tensor<?x3xf32>
  }
}
