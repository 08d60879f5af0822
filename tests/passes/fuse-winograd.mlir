// RUN: sinter-opt %s --split-input-file --sinter-fuse-kernels | FileCheck %s
// RUN: sinter-opt %s --split-input-file "--sinter-fuse-kernels=fuse=false" | FileCheck %s --check-prefix=APART

// A filter's gradient in Winograd's form and the way back are one kernel where
// what is between would leave the cache.
// CHECK-LABEL: func.func @far(
// CHECK: sinter.kernel winograd_gradient "winograd_filter_gradient+winograd_filter_adjoint" -> tensor<3x3x256x256xf32>, tensor<4x{{[0-9]+}}xf32> {
// CHECK: [[DU:%.+]] = sinter.winograd_filter_gradient
// CHECK: sinter.winograd_filter_adjoint [[DU]]
// CHECK: sinter.scratch
// CHECK-NOT: sinter.kernel
// CHECK: return
// APART-LABEL: func.func @far(
// APART: sinter.kernel winograd_gradient "winograd_filter_gradient"
// APART: sinter.kernel winograd_filter "winograd_filter_adjoint"
sinter.model @m batch_bound 8 {
  func.func @far(%x: tensor<?x7x7x256xf32>, %d: tensor<?x7x7x256xf32>) -> tensor<3x3x256x256xf32> {
    %u = sinter.winograd_filter_gradient %x, %d tile 4 padding [1, 1, 1, 1] : (tensor<?x7x7x256xf32>, tensor<?x7x7x256xf32>) -> tensor<6x6x256x256xf32>
    %w = sinter.winograd_filter_adjoint %u : (tensor<6x6x256x256xf32>) -> tensor<3x3x256x256xf32>
    return %w : tensor<3x3x256x256xf32>
  }
}

// -----

// Such a kernel takes an update along.
// CHECK-LABEL: func.func @updated(
// CHECK: sinter.kernel winograd_gradient "winograd_filter_gradient+update" -> tensor<4x{{[0-9]+}}xf32> {
// CHECK: sinter.winograd_filter_adjoint
// CHECK: sinter.sub
// CHECK: sinter.write @w
// CHECK-NOT: sinter.kernel
// CHECK: return
// APART-LABEL: func.func @updated(
// APART: sinter.kernel winograd_gradient "winograd_filter_gradient"
// APART: sinter.kernel winograd_filter "winograd_filter_adjoint"
// APART: sinter.kernel sweep
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x3x256x256xf32> = constant(0.0, 0.0)
  func.func @updated(%x: tensor<?x7x7x256xf32>, %d: tensor<?x7x7x256xf32>) {
    %u = sinter.winograd_filter_gradient %x, %d tile 4 padding [1, 1, 1, 1] : (tensor<?x7x7x256xf32>, tensor<?x7x7x256xf32>) -> tensor<6x6x256x256xf32>
    %g = sinter.winograd_filter_adjoint %u : (tensor<6x6x256x256xf32>) -> tensor<3x3x256x256xf32>
    %w = sinter.read @w : tensor<3x3x256x256xf32>
    %n = sinter.sub %w, %g : (tensor<3x3x256x256xf32>, tensor<3x3x256x256xf32>) -> tensor<3x3x256x256xf32>
    sinter.write @w, %n : tensor<3x3x256x256xf32>
    return
  }
}

// -----

// They stay apart where that is in the cache,
// CHECK-LABEL: func.func @near(
// CHECK: sinter.kernel winograd_gradient "winograd_filter_gradient"
// CHECK: sinter.kernel winograd_filter "winograd_filter_adjoint"
sinter.model @m batch_bound 8 {
  func.func @near(%x: tensor<?x7x7x128xf32>, %d: tensor<?x7x7x128xf32>) -> tensor<3x3x128x128xf32> {
    %u = sinter.winograd_filter_gradient %x, %d tile 4 padding [1, 1, 1, 1] : (tensor<?x7x7x128xf32>, tensor<?x7x7x128xf32>) -> tensor<6x6x128x128xf32>
    %w = sinter.winograd_filter_adjoint %u : (tensor<6x6x128x128xf32>) -> tensor<3x3x128x128xf32>
    return %w : tensor<3x3x128x128xf32>
  }
}

// -----

// where the tiles of all images are too many for all taps at once,
// CHECK-LABEL: func.func @many_tiles(
// CHECK: sinter.kernel winograd_gradient "winograd_filter_gradient"
// CHECK: sinter.kernel winograd_filter "winograd_filter_adjoint"
sinter.model @m batch_bound 8 {
  func.func @many_tiles(%x: tensor<?x14x14x256xf32>, %d: tensor<?x14x14x256xf32>) -> tensor<3x3x256x256xf32> {
    %u = sinter.winograd_filter_gradient %x, %d tile 4 padding [1, 1, 1, 1] : (tensor<?x14x14x256xf32>, tensor<?x14x14x256xf32>) -> tensor<6x6x256x256xf32>
    %w = sinter.winograd_filter_adjoint %u : (tensor<6x6x256x256xf32>) -> tensor<3x3x256x256xf32>
    return %w : tensor<3x3x256x256xf32>
  }
}

// -----

// where filters do not fill vectors,
// CHECK-LABEL: func.func @odd_filters(
// CHECK: sinter.kernel winograd_gradient "winograd_filter_gradient"
// CHECK: sinter.kernel winograd_filter "winograd_filter_adjoint"
sinter.model @m batch_bound 8 {
  func.func @odd_filters(%x: tensor<?x7x7x256xf32>, %d: tensor<?x7x7x250xf32>) -> tensor<3x3x256x250xf32> {
    %u = sinter.winograd_filter_gradient %x, %d tile 4 padding [1, 1, 1, 1] : (tensor<?x7x7x256xf32>, tensor<?x7x7x250xf32>) -> tensor<6x6x256x250xf32>
    %w = sinter.winograd_filter_adjoint %u : (tensor<6x6x256x250xf32>) -> tensor<3x3x256x250xf32>
    return %w : tensor<3x3x256x250xf32>
  }
}

// -----

// and where somebody else reads it.
// CHECK-LABEL: func.func @wanted(
// CHECK: sinter.kernel winograd_gradient "winograd_filter_gradient"
// CHECK: sinter.kernel winograd_filter "winograd_filter_adjoint"
sinter.model @m batch_bound 8 {
  func.func @wanted(%x: tensor<?x7x7x256xf32>, %d: tensor<?x7x7x256xf32>) -> (tensor<3x3x256x256xf32>, tensor<6x6x256x256xf32>) {
    %u = sinter.winograd_filter_gradient %x, %d tile 4 padding [1, 1, 1, 1] : (tensor<?x7x7x256xf32>, tensor<?x7x7x256xf32>) -> tensor<6x6x256x256xf32>
    %w = sinter.winograd_filter_adjoint %u : (tensor<6x6x256x256xf32>) -> tensor<3x3x256x256xf32>
    return %w, %u : tensor<3x3x256x256xf32>, tensor<6x6x256x256xf32>
  }
}
