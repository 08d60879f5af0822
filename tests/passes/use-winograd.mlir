// RUN: sinter-opt %s -sinter-use-winograd | FileCheck %s

// A convolution and both of its gradients.
// CHECK-LABEL: func.func @train_step
// CHECK:         %[[U:.*]] = sinter.winograd_filter %arg1 tile 4 blocked : {{.*}} -> tensor<6x6x16x32xf32, #sinter.filter_blocks>
// CHECK:         %[[Y:.*]] = sinter.winograd_conv2d %arg0, %[[U]] padding [1, 1, 0, 2] : {{.*}} -> tensor<?x8x8x32xf32>
// CHECK:         %[[V:.*]] = sinter.winograd_filter %arg1 tile 4 flipped blocked : {{.*}} -> tensor<6x6x32x16xf32, #sinter.filter_blocks>
// CHECK:         %[[DX:.*]] = sinter.winograd_conv2d %[[Y]], %[[V]] padding [1, 1, 2, 0] : {{.*}} -> tensor<?x8x8x16xf32>
// CHECK:         %[[DU:.*]] = sinter.winograd_filter_gradient %arg0, %[[Y]] tile 4 padding [1, 1, 0, 2]
// CHECK:         %[[DW:.*]] = sinter.winograd_filter_adjoint %[[DU]]
// CHECK:         return %[[DX]], %[[DW]]
sinter.model @all batch_bound 8 {
  func.func @train_step(%x: tensor<?x8x8x16xf32>, %w: tensor<3x3x16x32xf32>) -> (tensor<?x8x8x16xf32>, tensor<3x3x16x32xf32>) {
    %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 0, 2] groups 1 : (tensor<?x8x8x16xf32>, tensor<3x3x16x32xf32>) -> tensor<?x8x8x32xf32>
    %dx = sinter.conv2d_transpose %y, %w size [8, 8] strides [1, 1] dilations [1, 1] padding [1, 1, 0, 2] groups 1 : (tensor<?x8x8x32xf32>, tensor<3x3x16x32xf32>) -> tensor<?x8x8x16xf32>
    %dw = sinter.conv2d_filter_gradient %x, %y size [3, 3] strides [1, 1] dilations [1, 1] padding [1, 1, 0, 2] groups 1 : (tensor<?x8x8x16xf32>, tensor<?x8x8x32xf32>) -> tensor<3x3x16x32xf32>
    return %dx, %dw : tensor<?x8x8x16xf32>, tensor<3x3x16x32xf32>
  }
}

// Tiles of 2 x 2 where the image is no larger, and where the filter's transform
// would cost one sample more than the products.
// CHECK-LABEL: sinter.model @small
// CHECK:           sinter.winograd_filter %arg1 tile 2
// CHECK:         func.func @predict_one
// CHECK:         sinter.winograd_filter %arg1 tile 2
sinter.model @small batch_bound 32 {
  func.func @train_step(%x: tensor<?x4x4x64xf32>, %w: tensor<3x3x64x64xf32>) -> tensor<?x2x2x64xf32> {
    %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x4x4x64xf32>, tensor<3x3x64x64xf32>) -> tensor<?x2x2x64xf32>
    return %y : tensor<?x2x2x64xf32>
  }
  func.func @predict_one(%x: tensor<?x7x7x512xf32>, %w: tensor<3x3x512x512xf32>) -> tensor<?x7x7x512xf32> attributes {sinter.one_sample} {
    %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x7x7x512xf32>, tensor<3x3x512x512xf32>) -> tensor<?x7x7x512xf32>
    return %y : tensor<?x7x7x512xf32>
  }
}

// Tiles of 4 x 4 that the image does not fill: short ones have fewer products.
// CHECK-LABEL: sinter.model @short
// CHECK:         sinter.winograd_filter %arg1 tile 4
sinter.model @short batch_bound 32 {
  func.func @train_step(%x: tensor<?x6x6x32xf32>, %w: tensor<3x3x32x32xf32>) -> tensor<?x6x6x32xf32> {
    %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x6x32xf32>, tensor<3x3x32x32xf32>) -> tensor<?x6x6x32xf32>
    return %y : tensor<?x6x6x32xf32>
  }
}

// Left alone: strides, dilations, groups, other windows; few channels; images
// so small that most taps are outside.
// CHECK-LABEL: func.func @predict(
// CHECK-NOT:     winograd
// CHECK:         return
sinter.model @none batch_bound 8 {
  func.func @predict(%x: tensor<?x8x8x32xf32>, %w: tensor<3x3x32x32xf32>, %g: tensor<3x3x16x32xf32>, %five: tensor<5x5x32x32xf32>, %one: tensor<?x8x8x1xf32>, %few: tensor<3x3x1x32xf32>, %small: tensor<?x1x1x32xf32>) -> tensor<?x4x4x32xf32> {
    %a = sinter.conv2d %x, %w strides [2, 2] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x8x8x32xf32>, tensor<3x3x32x32xf32>) -> tensor<?x4x4x32xf32>
    %b = sinter.conv2d %x, %w strides [1, 1] dilations [2, 2] padding [0, 0, 0, 0] groups 1 : (tensor<?x8x8x32xf32>, tensor<3x3x32x32xf32>) -> tensor<?x4x4x32xf32>
    %c = sinter.conv2d %x, %g strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 2 : (tensor<?x8x8x32xf32>, tensor<3x3x16x32xf32>) -> tensor<?x6x6x32xf32>
    %d = sinter.conv2d %x, %five strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x8x8x32xf32>, tensor<5x5x32x32xf32>) -> tensor<?x4x4x32xf32>
    %e = sinter.conv2d %one, %few strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x8x8x1xf32>, tensor<3x3x1x32xf32>) -> tensor<?x8x8x32xf32>
    %f = sinter.conv2d %small, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x1x1x32xf32>, tensor<3x3x32x32xf32>) -> tensor<?x1x1x32xf32>
    return %a : tensor<?x4x4x32xf32>
  }
}
