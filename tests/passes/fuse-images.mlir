// RUN: sinter-opt %s --split-input-file --sinter-fuse-kernels | FileCheck %s

// Kernels over images: what a convolution takes along, what is made again
// instead of stored, and what is not.

// A convolution takes what follows it element by element, and sums over its
// rows; the rows are summed behind, both statistics in one loop.
// CHECK-LABEL: func.func @conv(
// CHECK: [[C:%.+]]:3 = sinter.kernel conv "conv2d+add+maximum+random_uniform+greater+..." -> tensor<?x5x6x4xf32>, tensor<?x5x4xf32>, tensor<?x5x4xf32> {
// CHECK: sinter.reduce_sum %{{.+}} axes [2]
// CHECK: sinter.reduce_sum %{{.+}} axes [2]
// CHECK: sinter.kernel batch_reduce "reduce_sum+reduce_sum" -> tensor<4xf32>, tensor<4xf32> {
// CHECK: sinter.reduce_sum [[C]]#1 axes [0, 1]
// CHECK: sinter.reduce_sum [[C]]#2 axes [0, 1]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x3x2x4xf32> = constant(0.0, 0.0)
  sinter.state parameter @b : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state seed @seed : tensor<2xi32> = constant(0.0, 0.0)
  sinter.state iteration @i : tensor<i32> = constant(0.0, 0.0)
  func.func @conv(%x: tensor<?x5x6x2xf32>) -> (tensor<?x5x6x4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %w = sinter.read @w : tensor<3x3x2x4xf32>
    %b = sinter.read @b : tensor<4xf32>
    %seed = sinter.read @seed : tensor<2xi32>
    %i = sinter.read @i : tensor<i32>
    %zero = sinter.constant dense<0.0> : tensor<f32>
    %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x5x6x2xf32>, tensor<3x3x2x4xf32>) -> tensor<?x5x6x4xf32>
    %a = sinter.add %c, %b : (tensor<?x5x6x4xf32>, tensor<4xf32>) -> tensor<?x5x6x4xf32>
    %r = sinter.maximum %a, %zero : (tensor<?x5x6x4xf32>, tensor<f32>) -> tensor<?x5x6x4xf32>
    %u = sinter.random_uniform %seed, %i stream 0 : (tensor<2xi32>, tensor<i32>) -> tensor<?x5x6x4xf32>
    %k = sinter.greater %u, %zero : (tensor<?x5x6x4xf32>, tensor<f32>) -> tensor<?x5x6x4xf32>
    %d = sinter.mul %r, %k : (tensor<?x5x6x4xf32>, tensor<?x5x6x4xf32>) -> tensor<?x5x6x4xf32>
    %s = sinter.reduce_sum %d axes [0, 1, 2] : (tensor<?x5x6x4xf32>) -> tensor<4xf32>
    %q = sinter.mul %d, %d : (tensor<?x5x6x4xf32>, tensor<?x5x6x4xf32>) -> tensor<?x5x6x4xf32>
    %t = sinter.reduce_sum %q axes [0, 1, 2] : (tensor<?x5x6x4xf32>) -> tensor<4xf32>
    return %d, %s, %t : tensor<?x5x6x4xf32>, tensor<4xf32>, tensor<4xf32>
  }
}

// -----

// A normalised image that only pooling reads is never stored.
// CHECK-LABEL: func.func @normalised(
// CHECK: [[C:%.+]]:2 = sinter.kernel conv "conv2d+reduce_sum" -> tensor<?x6x6x4xf32>, tensor<?x6x4xf32> {
// CHECK: [[S:%.+]] = sinter.kernel batch_reduce "reduce_sum" -> tensor<4xf32> {
// CHECK: sinter.kernel sweep "max_pool2d" -> tensor<?x3x3x4xf32> {
// CHECK: [[D:%.+]] = sinter.sub [[C]]#0, [[S]]
// CHECK: sinter.max_pool2d [[D]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x3x2x4xf32> = constant(0.0, 0.0)
  func.func @normalised(%x: tensor<?x6x6x2xf32>) -> tensor<?x3x3x4xf32> {
    %w = sinter.read @w : tensor<3x3x2x4xf32>
    %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x6x2xf32>, tensor<3x3x2x4xf32>) -> tensor<?x6x6x4xf32>
    %s = sinter.reduce_sum %c axes [0, 1, 2] : (tensor<?x6x6x4xf32>) -> tensor<4xf32>
    %d = sinter.sub %c, %s : (tensor<?x6x6x4xf32>, tensor<4xf32>) -> tensor<?x6x6x4xf32>
    %y = sinter.max_pool2d %d window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x6x6x4xf32>) -> tensor<?x3x3x4xf32>
    return %y : tensor<?x3x3x4xf32>
  }
}

// -----

// What a backward pass needs of the image at the maxima is found on the way.
// CHECK-LABEL: func.func @gathered(
// CHECK: sinter.kernel sweep "max_pool2d+max_pool2d_gather" -> tensor<?x3x3x4xf32>, tensor<?x3x3x4xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @gathered(%x: tensor<?x6x6x4xf32>) -> (tensor<?x3x3x4xf32>, tensor<?x3x3x4xf32>) {
    %n = sinter.neg %x : tensor<?x6x6x4xf32>
    %y = sinter.max_pool2d %n window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x6x6x4xf32>) -> tensor<?x3x3x4xf32>
    %z = sinter.max_pool2d_gather %n, %x window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x6x6x4xf32>, tensor<?x6x6x4xf32>) -> tensor<?x3x3x4xf32>
    return %y, %z : tensor<?x3x3x4xf32>, tensor<?x3x3x4xf32>
  }
}

// -----

// Backward, too: pooling, the sums of its gradient, and what needs these sums
// each make the image and the gradient again.
// CHECK-LABEL: func.func @backward(
// CHECK: sinter.kernel sweep "sub+max_pool2d_gradient+mul+reduce_sum" -> tensor<?x6x4xf32> {
// CHECK: sinter.kernel sweep "max_pool2d" -> tensor<?x3x3x4xf32> {
// CHECK: sinter.sub %arg0,
// CHECK: [[S:%.+]] = sinter.kernel batch_reduce "reduce_sum" -> tensor<4xf32> {
// CHECK: sinter.kernel sweep "sub" -> tensor<?x6x6x4xf32> {
// CHECK: sinter.sub %arg0,
// CHECK: [[G:%.+]] = sinter.max_pool2d_gradient
// CHECK: sinter.sub [[G]], [[S]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @backward(%x: tensor<?x6x6x4xf32>, %dp: tensor<?x3x3x4xf32>, %m: tensor<4xf32>) -> (tensor<?x3x3x4xf32>, tensor<?x6x6x4xf32>) {
    %d = sinter.sub %x, %m : (tensor<?x6x6x4xf32>, tensor<4xf32>) -> tensor<?x6x6x4xf32>
    %y = sinter.max_pool2d %d window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x6x6x4xf32>) -> tensor<?x3x3x4xf32>
    %g = sinter.max_pool2d_gradient %d, %dp window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x6x6x4xf32>, tensor<?x3x3x4xf32>) -> tensor<?x6x6x4xf32>
    %p = sinter.mul %g, %d : (tensor<?x6x6x4xf32>, tensor<?x6x6x4xf32>) -> tensor<?x6x6x4xf32>
    %s = sinter.reduce_sum %p axes [0, 1, 2] : (tensor<?x6x6x4xf32>) -> tensor<4xf32>
    %dx = sinter.sub %g, %s : (tensor<?x6x6x4xf32>, tensor<4xf32>) -> tensor<?x6x6x4xf32>
    return %y, %dx : tensor<?x3x3x4xf32>, tensor<?x6x6x4xf32>
  }
}

// -----

// Windows that overlap are searched once while what was found of a row is
// remembered; ...
// CHECK-LABEL: func.func @overlapping(
// CHECK: sinter.kernel sweep "max_pool2d" -> tensor<?x8x8x64xf32> {
// CHECK: sinter.sub %arg0,
// CHECK: sinter.kernel sweep "max_pool2d_gradient" -> tensor<?x16x16x64xf32> {
// CHECK: sinter.sub %arg0,
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @overlapping(%x: tensor<?x16x16x64xf32>, %dp: tensor<?x8x8x64xf32>, %m: tensor<64xf32>) -> (tensor<?x8x8x64xf32>, tensor<?x16x16x64xf32>) {
    %d = sinter.sub %x, %m : (tensor<?x16x16x64xf32>, tensor<64xf32>) -> tensor<?x16x16x64xf32>
    %y = sinter.max_pool2d %d window [3, 3] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x16x16x64xf32>) -> tensor<?x8x8x64xf32>
    %g = sinter.max_pool2d_gradient %d, %dp window [3, 3] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x16x16x64xf32>, tensor<?x8x8x64xf32>) -> tensor<?x16x16x64xf32>
    return %y, %g : tensor<?x8x8x64xf32>, tensor<?x16x16x64xf32>
  }
}

// -----

// ... of many samples that is too much: then the image is stored.
// CHECK-LABEL: func.func @many_samples(
// CHECK: [[D:%.+]] = sinter.kernel sweep "sub" -> tensor<?x16x16x64xf32> {
// CHECK: sinter.kernel sweep "max_pool2d" -> tensor<?x8x8x64xf32> {
// CHECK: sinter.kernel sweep "max_pool2d_gradient" -> tensor<?x16x16x64xf32> {
// CHECK: sinter.max_pool2d_gradient [[D]],
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 128 {
  func.func @many_samples(%x: tensor<?x16x16x64xf32>, %dp: tensor<?x8x8x64xf32>, %m: tensor<64xf32>) -> (tensor<?x8x8x64xf32>, tensor<?x16x16x64xf32>) {
    %d = sinter.sub %x, %m : (tensor<?x16x16x64xf32>, tensor<64xf32>) -> tensor<?x16x16x64xf32>
    %y = sinter.max_pool2d %d window [3, 3] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x16x16x64xf32>) -> tensor<?x8x8x64xf32>
    %g = sinter.max_pool2d_gradient %d, %dp window [3, 3] strides [2, 2] padding [0, 1, 0, 1] : (tensor<?x16x16x64xf32>, tensor<?x8x8x64xf32>) -> tensor<?x16x16x64xf32>
    return %y, %g : tensor<?x8x8x64xf32>, tensor<?x16x16x64xf32>
  }
}

// -----

// A convolution reads memory, each pixel many times: what it reads is stored.
// CHECK-LABEL: func.func @stack(
// CHECK: [[C:%.+]]:2 = sinter.kernel conv "conv2d+reduce_sum" -> tensor<?x6x6x4xf32>, tensor<?x6x4xf32> {
// CHECK: sinter.kernel batch_reduce "reduce_sum" -> tensor<4xf32> {
// CHECK: [[R:%.+]] = sinter.kernel sweep "sub+maximum" -> tensor<?x6x6x4xf32> {
// CHECK: sinter.kernel conv "conv2d" -> tensor<?x6x6x4xf32> {
// CHECK: sinter.conv2d [[R]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x3x4x4xf32> = constant(0.0, 0.0)
  func.func @stack(%x: tensor<?x6x6x4xf32>) -> tensor<?x6x6x4xf32> {
    %w = sinter.read @w : tensor<3x3x4x4xf32>
    %zero = sinter.constant dense<0.0> : tensor<f32>
    %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x6x4xf32>, tensor<3x3x4x4xf32>) -> tensor<?x6x6x4xf32>
    %s = sinter.reduce_sum %c axes [0, 1, 2] : (tensor<?x6x6x4xf32>) -> tensor<4xf32>
    %d = sinter.sub %c, %s : (tensor<?x6x6x4xf32>, tensor<4xf32>) -> tensor<?x6x6x4xf32>
    %r = sinter.maximum %d, %zero : (tensor<?x6x6x4xf32>, tensor<f32>) -> tensor<?x6x6x4xf32>
    %y = sinter.conv2d %r, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x6x4xf32>, tensor<3x3x4x4xf32>) -> tensor<?x6x6x4xf32>
    return %y : tensor<?x6x6x4xf32>
  }
}

// -----

// Not if a contraction reads the image as well: it is in memory then.
// CHECK-LABEL: func.func @second_reader(
// CHECK: [[D:%.+]] = sinter.kernel sweep "sub" -> tensor<?x6x6x4xf32> {
// CHECK: sinter.kernel sweep "max_pool2d" -> tensor<?x3x3x4xf32> {
// CHECK-NEXT: sinter.max_pool2d [[D]]
// CHECK: sinter.kernel conv "conv2d" -> tensor<?x6x6x4xf32> {
// CHECK: sinter.conv2d [[D]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x3x4x4xf32> = constant(0.0, 0.0)
  func.func @second_reader(%x: tensor<?x6x6x4xf32>, %m: tensor<4xf32>) -> (tensor<?x3x3x4xf32>, tensor<?x6x6x4xf32>) {
    %w = sinter.read @w : tensor<3x3x4x4xf32>
    %d = sinter.sub %x, %m : (tensor<?x6x6x4xf32>, tensor<4xf32>) -> tensor<?x6x6x4xf32>
    %p = sinter.max_pool2d %d window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x6x6x4xf32>) -> tensor<?x3x3x4xf32>
    %y = sinter.conv2d %d, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x6x4xf32>, tensor<3x3x4x4xf32>) -> tensor<?x6x6x4xf32>
    return %p, %y : tensor<?x3x3x4xf32>, tensor<?x6x6x4xf32>
  }
}

// -----

// Made from two images, it costs less to read than to make: stored.
// CHECK-LABEL: func.func @two_large(
// CHECK: [[D:%.+]] = sinter.kernel sweep "sub" -> tensor<?x6x6x4xf32> {
// CHECK: sinter.kernel sweep "max_pool2d" -> tensor<?x3x3x4xf32> {
// CHECK-NEXT: sinter.max_pool2d [[D]]
// CHECK: sinter.kernel sweep "slice" -> tensor<?x6x3x4xf32> {
// CHECK-NEXT: sinter.slice [[D]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @two_large(%x: tensor<?x6x6x4xf32>, %z: tensor<?x6x6x4xf32>) -> (tensor<?x3x3x4xf32>, tensor<?x6x3x4xf32>) {
    %d = sinter.sub %x, %z : (tensor<?x6x6x4xf32>, tensor<?x6x6x4xf32>) -> tensor<?x6x6x4xf32>
    %y = sinter.max_pool2d %d window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x6x6x4xf32>) -> tensor<?x3x3x4xf32>
    %p = sinter.slice %d axis 2 from 0 size 3 : (tensor<?x6x6x4xf32>) -> tensor<?x6x3x4xf32>
    return %y, %p : tensor<?x3x3x4xf32>, tensor<?x6x3x4xf32>
  }
}

// -----

// Windows that share pixels: 9 windows a pixel are too many to make it again,
// 4 are not.
// CHECK-LABEL: func.func @overlap(
// CHECK: [[E:%.+]] = sinter.kernel sweep "abs" -> tensor<?x6x6x4xf32> {
// CHECK: sinter.kernel sweep "avg_pool2d" -> tensor<?x4x4x4xf32> {
// CHECK-NEXT: sinter.avg_pool2d [[E]]
// CHECK: sinter.kernel sweep "avg_pool2d" -> tensor<?x5x5x4xf32> {
// CHECK-NEXT: sinter.neg
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @overlap(%x: tensor<?x6x6x4xf32>) -> (tensor<?x4x4x4xf32>, tensor<?x5x5x4xf32>) {
    %e = sinter.abs %x : tensor<?x6x6x4xf32>
    %y = sinter.avg_pool2d %e window [3, 3] strides [1, 1] padding [0, 0, 0, 0] : (tensor<?x6x6x4xf32>) -> tensor<?x4x4x4xf32>
    %f = sinter.neg %x : tensor<?x6x6x4xf32>
    %z = sinter.avg_pool2d %f window [2, 2] strides [1, 1] padding [0, 0, 0, 0] : (tensor<?x6x6x4xf32>) -> tensor<?x5x5x4xf32>
    return %y, %z : tensor<?x4x4x4xf32>, tensor<?x5x5x4xf32>
  }
}

// -----

// Elsewhere in the sample another row's reduction counts, which is not known:
// gathering and reductions do not share a sweep.
// CHECK-LABEL: func.func @softmax_flipped(
// CHECK: sinter.kernel sweep "reduce_max+sub+exp" -> tensor<?x6x6xf32> {
// CHECK: sinter.kernel sweep "transpose" -> tensor<?x6x6xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @softmax_flipped(%x: tensor<?x6x6xf32>) -> tensor<?x6x6xf32> {
    %max = sinter.reduce_max %x axes [2] keep_dims : (tensor<?x6x6xf32>) -> tensor<?x6x1xf32>
    %s = sinter.sub %x, %max : (tensor<?x6x6xf32>, tensor<?x6x1xf32>) -> tensor<?x6x6xf32>
    %e = sinter.exp %s : tensor<?x6x6xf32>
    %y = sinter.transpose %e permutation [0, 2, 1] : (tensor<?x6x6xf32>) -> tensor<?x6x6xf32>
    return %y : tensor<?x6x6xf32>
  }
}

// -----

// A row's sum is there when the row is done: its readers are other kernels.
// CHECK-LABEL: func.func @rows(
// CHECK: [[E:%.+]]:2 = sinter.kernel sweep "exp+reduce_sum+neg" -> tensor<?x6x4xf32>, tensor<?x6x6x4xf32> {
// CHECK: sinter.kernel sweep "tanh" -> tensor<?x6x4xf32> {
// CHECK-NEXT: sinter.tanh [[E]]#0
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @rows(%x: tensor<?x6x6x4xf32>) -> (tensor<?x6x4xf32>, tensor<?x6x6x4xf32>) {
    %e = sinter.exp %x : tensor<?x6x6x4xf32>
    %s = sinter.reduce_sum %e axes [2] : (tensor<?x6x6x4xf32>) -> tensor<?x6x4xf32>
    %t = sinter.tanh %s : tensor<?x6x4xf32>
    %n = sinter.neg %e : tensor<?x6x6x4xf32>
    return %t, %n : tensor<?x6x4xf32>, tensor<?x6x6x4xf32>
  }
}

// -----

// A filter gradient stands alone where others read dy, or where images have
// many channels. The image's gradient is a convolution like any other.
// CHECK-LABEL: func.func @filter(
// CHECK: [[R:%.+]] = sinter.kernel sweep "neg" -> tensor<?x6x6x4xf32> {
// CHECK: [[G:%.+]] = sinter.kernel filter_gradient "conv2d_filter_gradient" -> tensor<3x3x4x4xf32> {
// CHECK-NEXT: sinter.conv2d_filter_gradient %arg0, [[R]]
// CHECK: sinter.kernel sweep "add" -> tensor<3x3x4x4xf32> {
// CHECK: sinter.kernel conv "conv2d_transpose+mul" -> tensor<?x6x6x4xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x3x4x4xf32> = constant(0.0, 0.0)
  func.func @filter(%x: tensor<?x6x6x4xf32>, %dy: tensor<?x6x6x4xf32>) -> (tensor<3x3x4x4xf32>, tensor<?x6x6x4xf32>) {
    %w = sinter.read @w : tensor<3x3x4x4xf32>
    %r = sinter.neg %dy : tensor<?x6x6x4xf32>
    %g = sinter.conv2d_filter_gradient %x, %r size [3, 3] strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x6x4xf32>, tensor<?x6x6x4xf32>) -> tensor<3x3x4x4xf32>
    %n = sinter.add %w, %g : (tensor<3x3x4x4xf32>, tensor<3x3x4x4xf32>) -> tensor<3x3x4x4xf32>
    %dx = sinter.conv2d_transpose %r, %w size [6, 6] strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x6x4xf32>, tensor<3x3x4x4xf32>) -> tensor<?x6x6x4xf32>
    %dz = sinter.mul %dx, %x : (tensor<?x6x6x4xf32>, tensor<?x6x6x4xf32>) -> tensor<?x6x6x4xf32>
    return %n, %dz : tensor<3x3x4x4xf32>, tensor<?x6x6x4xf32>
  }
}

// -----

// Of few channels, it joins the sweep that makes dy, sums over rows with it: dy
// is not stored.
// CHECK-LABEL: func.func @swept(
// CHECK: [[S:%.+]]:3 = sinter.kernel filter_gradient "conv2d_filter_gradient+reduce_sum" -> tensor<3x3x2x4xf32>, tensor<?x6x4xf32>, tensor<1x1152xf32> {
// CHECK-NEXT: [[R:%.+]] = sinter.neg %arg1
// CHECK-NEXT: sinter.conv2d_filter_gradient %arg0, [[R]]
// CHECK-NEXT: sinter.reduce_sum [[R]] axes [2]
// CHECK-NEXT: sinter.scratch
// CHECK: sinter.kernel batch_reduce "reduce_sum" -> tensor<4xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @swept(%x: tensor<?x6x6x2xf32>, %dy: tensor<?x6x6x4xf32>) -> (tensor<3x3x2x4xf32>, tensor<4xf32>) {
    %r = sinter.neg %dy : tensor<?x6x6x4xf32>
    %g = sinter.conv2d_filter_gradient %x, %r size [3, 3] strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x6x2xf32>, tensor<?x6x6x4xf32>) -> tensor<3x3x2x4xf32>
    %s = sinter.reduce_sum %r axes [0, 1, 2] : (tensor<?x6x6x4xf32>) -> tensor<4xf32>
    return %g, %s : tensor<3x3x2x4xf32>, tensor<4xf32>
  }
}

// -----

// Not where dy is a result, nor under more taps than a register's turn can
// meet.
// CHECK-LABEL: func.func @not_swept(
// CHECK: sinter.kernel sweep "neg" -> tensor<?x6x6x4xf32> {
// CHECK: sinter.kernel filter_gradient "conv2d_filter_gradient" -> tensor<3x3x2x4xf32> {
// CHECK: sinter.kernel sweep "exp" -> tensor<?x6x6x4xf32> {
// CHECK: sinter.kernel filter_gradient "conv2d_filter_gradient" -> tensor<5x5x2x4xf32>
sinter.model @m batch_bound 8 {
  func.func @not_swept(%x: tensor<?x6x6x2xf32>, %dy: tensor<?x6x6x4xf32>) -> (tensor<3x3x2x4xf32>, tensor<?x6x6x4xf32>, tensor<5x5x2x4xf32>) {
    %r = sinter.neg %dy : tensor<?x6x6x4xf32>
    %g = sinter.conv2d_filter_gradient %x, %r size [3, 3] strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x6x6x2xf32>, tensor<?x6x6x4xf32>) -> tensor<3x3x2x4xf32>
    %e = sinter.exp %dy : tensor<?x6x6x4xf32>
    %h = sinter.conv2d_filter_gradient %x, %e size [5, 5] strides [1, 1] dilations [1, 1] padding [2, 2, 2, 2] groups 1 : (tensor<?x6x6x2xf32>, tensor<?x6x6x4xf32>) -> tensor<5x5x2x4xf32>
    return %g, %r, %h : tensor<3x3x2x4xf32>, tensor<?x6x6x4xf32>, tensor<5x5x2x4xf32>
  }
}

// -----

// What is made again reads the old state again, here behind the kernel that has
// the new one: that is copied last.
// CHECK-LABEL: func.func @again(
// CHECK: [[S:%.+]]:2 = sinter.kernel batch_reduce "add+exp+reduce_sum+sub" -> tensor<4xf32>, tensor<4xf32> {
// CHECK: sinter.kernel sweep "mul" -> tensor<?x4xf32> {
// CHECK: [[B:%.+]] = sinter.read @b
// CHECK: sinter.add %arg0, [[B]]
// CHECK: sinter.kernel sweep "copy+update" {
// CHECK-NEXT: sinter.write @b, [[S]]#1
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @b : tensor<4xf32> = constant(0.0, 0.0)
  func.func @again(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %b = sinter.read @b : tensor<4xf32>
    %y = sinter.add %x, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    %e = sinter.exp %y : tensor<?x4xf32>
    %s = sinter.reduce_sum %e axes [0] : (tensor<?x4xf32>) -> tensor<4xf32>
    %new = sinter.sub %b, %s : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    sinter.write @b, %new : tensor<4xf32>
    %z = sinter.mul %y, %s : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    return %z : tensor<?x4xf32>
  }
}

// -----

// Filters that would leave the caches are transformed by the convolution that
// reads them; it is named after itself.
// CHECK-LABEL: func.func @made(
// CHECK-NEXT:  sinter.kernel winograd_conv "winograd_conv2d" ->
// CHECK:         [[U:%.+]] = sinter.winograd_filter
// CHECK:         sinter.winograd_conv2d %arg0, [[U]]
// CHECK-NOT:   sinter.kernel
// CHECK:       return
// Small ones, and those that two convolutions read, are not.
// CHECK-LABEL: func.func @stored(
// CHECK:       sinter.kernel winograd_filter "winograd_filter"
// CHECK:       sinter.kernel winograd_conv "winograd_conv2d"
// CHECK-NOT:     sinter.winograd_filter
// CHECK:       sinter.kernel winograd_conv "winograd_conv2d"
// CHECK-NOT:     sinter.winograd_filter
// CHECK:       sinter.kernel winograd_filter "winograd_filter"
// CHECK:       sinter.kernel winograd_conv "winograd_conv2d"
// CHECK-NOT:     sinter.winograd_filter
sinter.model @m batch_bound 8 {
  func.func @made(%x: tensor<?x8x8x192xf32, #sinter.batch_minor>, %w: tensor<3x3x192x160xf32>) -> tensor<?x8x8x160xf32, #sinter.batch_minor> {
    %u = sinter.winograd_filter %w tile 4 blocked : (tensor<3x3x192x160xf32>) -> tensor<6x6x192x160xf32, #sinter.filter_blocks>
    %y = sinter.winograd_conv2d %x, %u padding [1, 1, 1, 1] : (tensor<?x8x8x192xf32, #sinter.batch_minor>, tensor<6x6x192x160xf32, #sinter.filter_blocks>) -> tensor<?x8x8x160xf32, #sinter.batch_minor>
    return %y : tensor<?x8x8x160xf32, #sinter.batch_minor>
  }
  func.func @stored(%x: tensor<?x8x8x192xf32, #sinter.batch_minor>, %w: tensor<3x3x192x160xf32>, %v: tensor<3x3x192x32xf32>) -> (tensor<?x8x8x160xf32, #sinter.batch_minor>, tensor<?x8x8x160xf32, #sinter.batch_minor>, tensor<?x8x8x32xf32, #sinter.batch_minor>) {
    %u = sinter.winograd_filter %w tile 4 blocked : (tensor<3x3x192x160xf32>) -> tensor<6x6x192x160xf32, #sinter.filter_blocks>
    %y = sinter.winograd_conv2d %x, %u padding [1, 1, 1, 1] : (tensor<?x8x8x192xf32, #sinter.batch_minor>, tensor<6x6x192x160xf32, #sinter.filter_blocks>) -> tensor<?x8x8x160xf32, #sinter.batch_minor>
    %z = sinter.winograd_conv2d %x, %u padding [1, 1, 1, 1] : (tensor<?x8x8x192xf32, #sinter.batch_minor>, tensor<6x6x192x160xf32, #sinter.filter_blocks>) -> tensor<?x8x8x160xf32, #sinter.batch_minor>
    %s = sinter.winograd_filter %v tile 4 blocked : (tensor<3x3x192x32xf32>) -> tensor<6x6x192x32xf32, #sinter.filter_blocks>
    %t = sinter.winograd_conv2d %x, %s padding [1, 1, 1, 1] : (tensor<?x8x8x192xf32, #sinter.batch_minor>, tensor<6x6x192x32xf32, #sinter.filter_blocks>) -> tensor<?x8x8x32xf32, #sinter.batch_minor>
    return %y, %z, %t : tensor<?x8x8x160xf32, #sinter.batch_minor>, tensor<?x8x8x160xf32, #sinter.batch_minor>, tensor<?x8x8x32xf32, #sinter.batch_minor>
  }
}

// -----

// The convolution of one sample takes pooling along whose windows do not
// overlap, and what follows that; not where others read the image, too.
// CHECK-LABEL: func.func @predict_one(
// CHECK: [[P:%.+]] = sinter.kernel conv "conv2d+maximum+max_pool2d+add" -> tensor<?x4x3x4xf32> {
// CHECK: [[C:%.+]] = sinter.kernel conv "conv2d" -> tensor<?x4x3x4xf32> {
// CHECK: sinter.kernel sweep "max_pool2d+add" -> tensor<?x2x1x4xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x3x2x4xf32> = constant(0.0, 0.0)
  sinter.state parameter @v : tensor<3x3x4x4xf32> = constant(0.0, 0.0)
  sinter.state parameter @b : tensor<4xf32> = constant(0.0, 0.0)
  func.func @predict_one(%x: tensor<?x8x7x2xf32>) -> (tensor<?x4x3x4xf32>, tensor<?x2x1x4xf32>) attributes {sinter.one_sample} {
    %w = sinter.read @w : tensor<3x3x2x4xf32>
    %v = sinter.read @v : tensor<3x3x4x4xf32>
    %b = sinter.read @b : tensor<4xf32>
    %zero = sinter.constant dense<0.0> : tensor<f32>
    %c = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x8x7x2xf32>, tensor<3x3x2x4xf32>) -> tensor<?x8x7x4xf32>
    %r = sinter.maximum %c, %zero : (tensor<?x8x7x4xf32>, tensor<f32>) -> tensor<?x8x7x4xf32>
    %p = sinter.max_pool2d %r window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x8x7x4xf32>) -> tensor<?x4x3x4xf32>
    %a = sinter.add %p, %b : (tensor<?x4x3x4xf32>, tensor<4xf32>) -> tensor<?x4x3x4xf32>
    %d = sinter.conv2d %a, %v strides [1, 1] dilations [1, 1] padding [1, 1, 1, 1] groups 1 : (tensor<?x4x3x4xf32>, tensor<3x3x4x4xf32>) -> tensor<?x4x3x4xf32>
    %q = sinter.max_pool2d %d window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x4x3x4xf32>) -> tensor<?x2x1x4xf32>
    %e = sinter.add %q, %b : (tensor<?x2x1x4xf32>, tensor<4xf32>) -> tensor<?x2x1x4xf32>
    return %d, %e : tensor<?x4x3x4xf32>, tensor<?x2x1x4xf32>
  }
}
