// Cases worked out by hand, read by ReferenceTest.cpp: what goes in, what must
// come out. Every op that computes has one; RegistryTest.cpp checks that.

//===-------------------------------------------------------------------===//
// Leaves
//===-------------------------------------------------------------------===//

func.func @constant() -> tensor<2xf32> attributes {
  inputs = [],
  result = dense<[1.0, -2.5]> : tensor<2xf32>
} {
  %y = sinter.constant dense<[1.0, -2.5]> : tensor<2xf32>
  return %y : tensor<2xf32>
}

func.func @constant_i32() -> tensor<2xi32> attributes {
  inputs = [],
  result = dense<[7, -2147483648]> : tensor<2xi32>
} {
  %y = sinter.constant dense<[7, -2147483648]> : tensor<2xi32>
  return %y : tensor<2xi32>
}

func.func @constant_splat() -> tensor<2x2xf32> attributes {
  inputs = [],
  result = dense<3.0> : tensor<2x2xf32>
} {
  %y = sinter.constant dense<3.0> : tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

func.func @batch_size() -> tensor<f32> attributes {
  inputs = [],
  batch = 5,
  result = dense<5.0> : tensor<f32>
} {
  %y = sinter.batch_size : tensor<f32>
  return %y : tensor<f32>
}

// Philox 4x32-10 of zero counter and key gives 6627e8d5 e169c58d bc57ac4c
// 9b00dbd8 (the authors' known answer); uniform numbers are their upper 24 bits.
func.func @random_uniform_zero_key(%a: tensor<2xi32>, %b: tensor<i32>) -> tensor<?x4xf32> attributes {
  inputs = [dense<0> : tensor<2xi32>,
            dense<0> : tensor<i32>],
  batch = 1,
  result = dense<[[0.3990464210510254, 0.8805201649665833, 0.7357127666473389,
                     0.6054818034172058]]> : tensor<1x4xf32>
} {
  %y = sinter.random_uniform %a, %b stream 0 : (tensor<2xi32>, tensor<i32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// From a separate implementation of Philox: each row and each sample has its own
// counter.
func.func @random_uniform(%a: tensor<2xi32>, %b: tensor<i32>) -> tensor<?x2x3xf32> attributes {
  inputs = [dense<[7, -1]> : tensor<2xi32>,
            dense<3> : tensor<i32>],
  batch = 2,
  result = dense<[[[0.6169520020484924, 0.07086730003356934, 0.7893595099449158],
                    [0.9961170554161072, 0.8538514971733093, 0.960716962814331]],
                   [[0.7920545935630798, 0.7966446876525879, 0.24314022064208984],
                    [0.09305369853973389, 0.14996951818466187, 0.31801414489746094]]]> : tensor<2x2x3xf32>
} {
  %y = sinter.random_uniform %a, %b stream 9 : (tensor<2xi32>, tensor<i32>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @random_normal(%a: tensor<2xi32>, %b: tensor<i32>) -> tensor<?x3xf32> attributes {
  inputs = [dense<[7, -1]> : tensor<2xi32>,
            dense<3> : tensor<i32>],
  batch = 2,
  result = dense<[[1.2502676893396625, 2.0231633811463183, 0.4042689034879588],
                   [0.512009580488957, 0.2598563072087638, 0.7338230597576946]]> : tensor<2x3xf32>
} {
  %y = sinter.random_normal %a, %b stream 9 : (tensor<2xi32>, tensor<i32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//===-------------------------------------------------------------------===//
// Layers that differ between training and inference: run as inference
//===-------------------------------------------------------------------===//

func.func @dropout(%a: tensor<?x2xf32>) -> tensor<?x2xf32> attributes {
  inputs = [dense<[[1.0, -2.0]]> : tensor<1x2xf32>],
  result = dense<[[1.0, -2.0]]> : tensor<1x2xf32>
} {
  %y = sinter.dropout %a stream 0 {rate = 0.5 : f32} : tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @gaussian_noise(%a: tensor<?x2xf32>) -> tensor<?x2xf32> attributes {
  inputs = [dense<[[1.0, -2.0]]> : tensor<1x2xf32>],
  result = dense<[[1.0, -2.0]]> : tensor<1x2xf32>
} {
  %y = sinter.gaussian_noise %a stream 0 {stddev = 0.5 : f32} : tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @spatial_dropout(%a: tensor<?x1x2xf32>) -> tensor<?x1x2xf32> attributes {
  inputs = [dense<[[[1.0, -2.0]]]> : tensor<1x1x2xf32>],
  result = dense<[[[1.0, -2.0]]]> : tensor<1x1x2xf32>
} {
  %y = sinter.spatial_dropout %a stream 0 {rate = 0.5 : f32} : tensor<?x1x2xf32>
  return %y : tensor<?x1x2xf32>
}

// As in inference: normalised with the moving statistics.
sinter.model @normalized batch_bound 4 {
  sinter.state frozen @mean : tensor<2xf32> = constant(0.0, 0.0)
      {value = dense<[3.0, 2.0]> : tensor<2xf32>}
  sinter.state frozen @variance : tensor<2xf32> = constant(1.0, 0.0)
      {value = dense<[1.0, 6.0]> : tensor<2xf32>}
  func.func @batch_normalization(%x: tensor<?x2xf32>, %g: tensor<2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> attributes {
    inputs = [dense<[[1.0, 2.0], [5.0, 5.0]]> : tensor<2x2xf32>,
              dense<[2.0, 9.0]> : tensor<2xf32>,
              dense<[1.0, 7.0]> : tensor<2xf32>],
    result = dense<[[-1.0, 7.0], [3.0, 16.0]]> : tensor<2x2xf32>
  } {
    %y = sinter.batch_normalization %x, %g, %b moving @mean, @variance
        momentum 0.99 epsilon 3.0
        : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32>
  }
}

//===-------------------------------------------------------------------===//
// Elementwise primitives
//===-------------------------------------------------------------------===//

func.func @add(%a: tensor<?x2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>,
            dense<[10.0, -20.0]> : tensor<2xf32>],
  result = dense<[[11.0, -18.0], [13.0, -16.0]]> : tensor<2x2xf32>
} {
  %y = sinter.add %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// Integers wrap around.
func.func @add_i32(%a: tensor<2xi32>, %b: tensor<i32>) -> tensor<2xi32> attributes {
  inputs = [dense<[1, 2147483647]> : tensor<2xi32>,
            dense<1> : tensor<i32>],
  result = dense<[2, -2147483648]> : tensor<2xi32>
} {
  %y = sinter.add %a, %b : (tensor<2xi32>, tensor<i32>) -> tensor<2xi32>
  return %y : tensor<2xi32>
}

// Both operands stretch.
func.func @add_outer(%a: tensor<?x1x2xf32>, %b: tensor<2x1xf32>) -> tensor<?x2x2xf32> attributes {
  inputs = [dense<[[[1.0, 2.0]]]> : tensor<1x1x2xf32>,
            dense<[[10.0], [20.0]]> : tensor<2x1xf32>],
  result = dense<[[[11.0, 12.0], [21.0, 22.0]]]> : tensor<1x2x2xf32>
} {
  %y = sinter.add %a, %b : (tensor<?x1x2xf32>, tensor<2x1xf32>)
      -> tensor<?x2x2xf32>
  return %y : tensor<?x2x2xf32>
}

// 2^24 + 1 is no f32.
func.func @add_rounds(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32> attributes {
  inputs = [dense<16777216.0> : tensor<f32>,
            dense<1.0> : tensor<f32>],
  result = dense<16777216.0> : tensor<f32>
} {
  %y = sinter.add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %y : tensor<f32>
}

func.func @sub(%a: tensor<?x2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>,
            dense<[10.0, -20.0]> : tensor<2xf32>],
  result = dense<[[-9.0, 22.0], [-7.0, 24.0]]> : tensor<2x2xf32>
} {
  %y = sinter.sub %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @mul(%a: tensor<?x2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>,
            dense<[10.0, -20.0]> : tensor<2xf32>],
  result = dense<[[10.0, -40.0], [30.0, -80.0]]> : tensor<2x2xf32>
} {
  %y = sinter.mul %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @div(%a: tensor<?x2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>,
            dense<[10.0, -20.0]> : tensor<2xf32>],
  result = dense<[[0.1, -0.1], [0.3, -0.2]]> : tensor<2x2xf32>
} {
  %y = sinter.div %a, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// NaN (0x7FC00000) wins.
func.func @maximum(%a: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[-1.0, 0x7FC00000, 5.0]> : tensor<3xf32>,
            dense<[3.0, 1.0, 0x7FC00000]> : tensor<3xf32>],
  result = dense<[3.0, 0x7FC00000, 0x7FC00000]> : tensor<3xf32>
} {
  %y = sinter.maximum %a, %b : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// NaN (0x7FC00000) wins.
func.func @minimum(%a: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[-1.0, 0x7FC00000, 5.0]> : tensor<3xf32>,
            dense<[3.0, 1.0, 0x7FC00000]> : tensor<3xf32>],
  result = dense<[-1.0, 0x7FC00000, 0x7FC00000]> : tensor<3xf32>
} {
  %y = sinter.minimum %a, %b : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @greater(%a: tensor<3xf32>, %b: tensor<f32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 2.0, 3.0]> : tensor<3xf32>,
            dense<2.0> : tensor<f32>],
  result = dense<[0.0, 0.0, 1.0]> : tensor<3xf32>
} {
  %y = sinter.greater %a, %b : (tensor<3xf32>, tensor<f32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @greater_i32(%a: tensor<2xi32>, %b: tensor<2xi32>) -> tensor<2xf32> attributes {
  inputs = [dense<[-5, 4]> : tensor<2xi32>,
            dense<[3, 3]> : tensor<2xi32>],
  result = dense<[0.0, 1.0]> : tensor<2xf32>
} {
  %y = sinter.greater %a, %b : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

func.func @equal(%a: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 2.0, 0x7FC00000]> : tensor<3xf32>,
            dense<[1.0, 3.0, 0x7FC00000]> : tensor<3xf32>],
  result = dense<[1.0, 0.0, 0.0]> : tensor<3xf32>
} {
  %y = sinter.equal %a, %b : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @equal_i32(%a: tensor<?xi32>, %b: tensor<?xi32>) -> tensor<?xf32> attributes {
  inputs = [dense<[3, 4]> : tensor<2xi32>,
            dense<[3, 3]> : tensor<2xi32>],
  result = dense<[1.0, 0.0]> : tensor<2xf32>
} {
  %y = sinter.equal %a, %b : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// 0 and NaN are not positive.
func.func @select(%a: tensor<4xf32>, %b: tensor<f32>, %c: tensor<4xf32>) -> tensor<4xf32> attributes {
  inputs = [dense<[1.0, 0.0, -1.0, 0x7FC00000]> : tensor<4xf32>,
            dense<7.0> : tensor<f32>,
            dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>],
  result = dense<[7.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
} {
  %y = sinter.select %a, %b, %c : (tensor<4xf32>, tensor<f32>, tensor<4xf32>)
      -> tensor<4xf32>
  return %y : tensor<4xf32>
}

func.func @neg(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 0.0, -2.0]> : tensor<3xf32>],
  result = dense<[-1.0, -0.0, 2.0]> : tensor<3xf32>
} {
  %y = sinter.neg %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @abs(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 0.0, -2.0]> : tensor<3xf32>],
  result = dense<[1.0, 0.0, 2.0]> : tensor<3xf32>
} {
  %y = sinter.abs %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @sign(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[3.0, -0.5, 0.0]> : tensor<3xf32>],
  result = dense<[1.0, -1.0, 0.0]> : tensor<3xf32>
} {
  %y = sinter.sign %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @floor(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.5, -1.5, 2.0]> : tensor<3xf32>],
  result = dense<[1.0, -2.0, 2.0]> : tensor<3xf32>
} {
  %y = sinter.floor %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @exp(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 1.0, -1.0]> : tensor<3xf32>],
  result = dense<[1.0, 2.71828183, 0.367879441]> : tensor<3xf32>
} {
  %y = sinter.exp %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

// The last is where e^x - 1 in f32 would lose half of its digits.
func.func @expm1(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 1.0, 1.0e-6]> : tensor<3xf32>],
  result = dense<[0.0, 1.71828183, 1.0000005e-06]> : tensor<3xf32>
} {
  %y = sinter.expm1 %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @log(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 2.0, 0.5]> : tensor<3xf32>],
  result = dense<[0.0, 0.693147181, -0.693147181]> : tensor<3xf32>
} {
  %y = sinter.log %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @log1p(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 1.0, 1.0e-6]> : tensor<3xf32>],
  result = dense<[0.0, 0.693147181, 9.999995e-07]> : tensor<3xf32>
} {
  %y = sinter.log1p %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @sqrt(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 2.0, 9.0]> : tensor<3xf32>],
  result = dense<[0.0, 1.41421356, 3.0]> : tensor<3xf32>
} {
  %y = sinter.sqrt %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @cos(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 1.0, 2.0]> : tensor<3xf32>],
  result = dense<[1.0, 0.540302306, -0.416146837]> : tensor<3xf32>
} {
  %y = sinter.cos %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @sin(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 1.0, 2.0]> : tensor<3xf32>],
  result = dense<[0.0, 0.841470985, 0.909297427]> : tensor<3xf32>
} {
  %y = sinter.sin %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @tanh(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 1.0, -2.0]> : tensor<3xf32>],
  result = dense<[0.0, 0.761594156, -0.96402758]> : tensor<3xf32>
} {
  %y = sinter.tanh %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @erf(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 1.0, -0.5]> : tensor<3xf32>],
  result = dense<[0.0, 0.842700793, -0.520499878]> : tensor<3xf32>
} {
  %y = sinter.erf %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

// 2^24 + 1 is no f32.
func.func @cast(%a: tensor<?xi32>) -> tensor<?xf32> attributes {
  inputs = [dense<[-3, 16777217]> : tensor<2xi32>],
  result = dense<[-3.0, 16777216.0]> : tensor<2xf32>
} {
  %y = sinter.cast %a : tensor<?xi32> -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// A label outside the classes is no class.
func.func @one_hot(%a: tensor<?xi32>) -> tensor<?x3xf32> attributes {
  inputs = [dense<[2, 0, 3]> : tensor<3xi32>],
  result = dense<[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]> : tensor<3x3xf32>
} {
  %y = sinter.one_hot %a classes 3 : (tensor<?xi32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//===-------------------------------------------------------------------===//
// Shape primitives
//===-------------------------------------------------------------------===//

func.func @reshape(%a: tensor<?x2x3xf32>) -> tensor<?x3x2xf32> attributes {
  inputs = [dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]> : tensor<1x2x3xf32>],
  result = dense<[[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]> : tensor<1x3x2xf32>
} {
  %y = sinter.reshape %a : tensor<?x2x3xf32> -> tensor<?x3x2xf32>
  return %y : tensor<?x3x2xf32>
}

func.func @broadcast(%a: tensor<2x1xf32>) -> tensor<?x2x3xf32> attributes {
  inputs = [dense<[[1.0], [2.0]]> : tensor<2x1xf32>],
  batch = 2,
  result = dense<[[[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]],
                  [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]]> : tensor<2x2x3xf32>
} {
  %y = sinter.broadcast %a : tensor<2x1xf32> -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

func.func @concatenate(%a: tensor<?x1xf32>, %b: tensor<?x2xf32>) -> tensor<?x3xf32> attributes {
  inputs = [dense<[[1.0], [2.0]]> : tensor<2x1xf32>,
            dense<[[3.0, 4.0], [5.0, 6.0]]> : tensor<2x2xf32>],
  result = dense<[[1.0, 3.0, 4.0], [2.0, 5.0, 6.0]]> : tensor<2x3xf32>
} {
  %y = sinter.concatenate %a, %b axis 1 : (tensor<?x1xf32>, tensor<?x2xf32>)
      -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @concatenate_inner(%a: tensor<?x2x1xf32>, %b: tensor<?x2x1xf32>) -> tensor<?x2x2xf32> attributes {
  inputs = [dense<[[[1.0], [2.0]]]> : tensor<1x2x1xf32>,
            dense<[[[3.0], [4.0]]]> : tensor<1x2x1xf32>],
  result = dense<[[[1.0, 3.0], [2.0, 4.0]]]> : tensor<1x2x2xf32>
} {
  %y = sinter.concatenate %a, %b axis 2
      : (tensor<?x2x1xf32>, tensor<?x2x1xf32>) -> tensor<?x2x2xf32>
  return %y : tensor<?x2x2xf32>
}

func.func @slice(%a: tensor<?x2x3xf32>) -> tensor<?x2x2xf32> attributes {
  inputs = [dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]> : tensor<1x2x3xf32>],
  result = dense<[[[2.0, 3.0], [5.0, 6.0]]]> : tensor<1x2x2xf32>
} {
  %y = sinter.slice %a axis 2 from 1 size 2 : (tensor<?x2x3xf32>) -> tensor<?x2x2xf32>
  return %y : tensor<?x2x2xf32>
}

func.func @pad(%a: tensor<?x2xf32>) -> tensor<?x5xf32> attributes {
  inputs = [dense<[[1.0, 2.0]]> : tensor<1x2xf32>],
  result = dense<[[0.0, 1.0, 2.0, 0.0, 0.0]]> : tensor<1x5xf32>
} {
  %y = sinter.pad %a axis 1 low 1 high 2 : (tensor<?x2xf32>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

func.func @transpose(%a: tensor<?x2x3xf32>) -> tensor<?x3x2xf32> attributes {
  inputs = [dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]> : tensor<1x2x3xf32>],
  result = dense<[[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]]> : tensor<1x3x2xf32>
} {
  %y = sinter.transpose %a permutation [0, 2, 1]
      : (tensor<?x2x3xf32>) -> tensor<?x3x2xf32>
  return %y : tensor<?x3x2xf32>
}

func.func @upsample(%a: tensor<?x1x2x1xf32>) -> tensor<?x2x6x1xf32> attributes {
  inputs = [dense<[[[[1.0], [2.0]]]]> : tensor<1x1x2x1xf32>],
  result = dense<[[[[1.0], [1.0], [1.0], [2.0], [2.0], [2.0]],
                   [[1.0], [1.0], [1.0], [2.0], [2.0], [2.0]]]]> : tensor<1x2x6x1xf32>
} {
  %y = sinter.upsample %a factors [2, 3]
      : (tensor<?x1x2x1xf32>) -> tensor<?x2x6x1xf32>
  return %y : tensor<?x2x6x1xf32>
}

func.func @relayout(%a: tensor<?x2xf32>) -> tensor<?x2xf32, #sinter.batch_minor> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>],
  result = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
} {
  %y = sinter.relayout %a : tensor<?x2xf32>
      -> tensor<?x2xf32, #sinter.batch_minor>
  return %y : tensor<?x2xf32, #sinter.batch_minor>
}

//===-------------------------------------------------------------------===//
// Reductions and contractions
//===-------------------------------------------------------------------===//

func.func @reduce_sum_batch(%a: tensor<?x2xf32>) -> tensor<2xf32> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>],
  result = dense<[4.0, 6.0]> : tensor<2xf32>
} {
  %y = sinter.reduce_sum %a axes [0] : (tensor<?x2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

func.func @reduce_sum_batch_and_leading(%a: tensor<?x2x2xf32>) -> tensor<2xf32> attributes {
  inputs = [dense<[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]> : tensor<2x2x2xf32>],
  result = dense<[16.0, 20.0]> : tensor<2xf32>
} {
  %y = sinter.reduce_sum %a axes [0, 1] : (tensor<?x2x2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

func.func @reduce_sum_features(%a: tensor<?x2x3xf32>) -> tensor<?xf32> attributes {
  inputs = [dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]> : tensor<1x2x3xf32>],
  result = dense<[21.0]> : tensor<1xf32>
} {
  %y = sinter.reduce_sum %a axes [1, 2] : (tensor<?x2x3xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

func.func @reduce_sum_keep(%a: tensor<?x2x3xf32>) -> tensor<?x2x1xf32> attributes {
  inputs = [dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]> : tensor<1x2x3xf32>],
  result = dense<[[[6.0], [15.0]]]> : tensor<1x2x1xf32>
} {
  %y = sinter.reduce_sum %a axes [2] keep_dims : (tensor<?x2x3xf32>)
      -> tensor<?x2x1xf32>
  return %y : tensor<?x2x1xf32>
}

// Small terms survive beside large ones: the sum is in double.
func.func @reduce_sum_accumulates(%a: tensor<4xf32>) -> tensor<f32> attributes {
  inputs = [dense<[16777216.0, 1.0, 1.0, 1.0]> : tensor<4xf32>],
  result = dense<16777220.0> : tensor<f32>
} {
  %y = sinter.reduce_sum %a axes [0] : (tensor<4xf32>) -> tensor<f32>
  return %y : tensor<f32>
}

// 0xFF800000 is -infinity, 0x7FC00000 NaN.
func.func @reduce_max(%a: tensor<?x2xf32>) -> tensor<?xf32> attributes {
  inputs = [dense<[[1.0, -2.0], [0xFF800000, 0xFF800000], [1.0, 0x7FC00000]]> : tensor<3x2xf32>],
  result = dense<[1.0, 0xFF800000, 0x7FC00000]> : tensor<3xf32>
} {
  %y = sinter.reduce_max %a axes [1] : (tensor<?x2xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

func.func @reduce_max_keep(%a: tensor<?x2x3xf32>) -> tensor<?x1x3xf32> attributes {
  inputs = [dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]> : tensor<1x2x3xf32>],
  result = dense<[[[4.0, 5.0, 6.0]]]> : tensor<1x1x3xf32>
} {
  %y = sinter.reduce_max %a axes [1] keep_dims : (tensor<?x2x3xf32>)
      -> tensor<?x1x3xf32>
  return %y : tensor<?x1x3xf32>
}

// The first of several.
func.func @argmax(%a: tensor<?x3xf32>) -> tensor<?xi32> attributes {
  inputs = [dense<[[1.0, 5.0, 5.0], [-1.0, -2.0, -3.0]]> : tensor<2x3xf32>],
  result = dense<[1, 0]> : tensor<2xi32>
} {
  %y = sinter.argmax %a : (tensor<?x3xf32>) -> tensor<?xi32>
  return %y : tensor<?xi32>
}

func.func @matmul(%a: tensor<?x2xf32>, %b: tensor<2x3xf32>) -> tensor<?x3xf32> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>,
            dense<[[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]> : tensor<2x3xf32>],
  result = dense<[[1.0, 2.0, 0.0], [3.0, 4.0, 2.0]]> : tensor<2x3xf32>
} {
  %y = sinter.matmul %a, %b : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @matmul_transposed_b(%a: tensor<?x2xf32>, %b: tensor<3x2xf32>) -> tensor<?x3xf32> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>,
            dense<[[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]]> : tensor<3x2xf32>],
  result = dense<[[1.0, 2.0, 0.0], [3.0, 4.0, 2.0]]> : tensor<2x3xf32>
} {
  %y = sinter.matmul %a, %b transposed : (tensor<?x2xf32>, tensor<3x2xf32>)
      -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// The batch contracted away: a weight gradient.
func.func @matmul_transposed_a(%a: tensor<?x2xf32>, %b: tensor<?x1xf32>) -> tensor<2x1xf32> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>,
            dense<[[1.0], [10.0]]> : tensor<2x1xf32>],
  result = dense<[[31.0], [42.0]]> : tensor<2x1xf32>
} {
  %y = sinter.matmul %a transposed, %b : (tensor<?x2xf32>, tensor<?x1xf32>)
      -> tensor<2x1xf32>
  return %y : tensor<2x1xf32>
}

func.func @matmul_transposed_both(%a: tensor<2x3xf32>, %b: tensor<1x2xf32>) -> tensor<3x1xf32> attributes {
  inputs = [dense<[[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]> : tensor<2x3xf32>,
            dense<[[3.0, 5.0]]> : tensor<1x2xf32>],
  result = dense<[[3.0], [5.0], [1.0]]> : tensor<3x1xf32>
} {
  %y = sinter.matmul %a transposed, %b transposed
      : (tensor<2x3xf32>, tensor<1x2xf32>) -> tensor<3x1xf32>
  return %y : tensor<3x1xf32>
}

func.func @iota() -> tensor<2x3xf32> attributes {
  inputs = [],
  result = dense<[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]> : tensor<2x3xf32>
} {
  %y = sinter.iota axis 1 : tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// Two samples, a matrix each.
func.func @batch_matmul(%a: tensor<?x1x2xf32>, %b: tensor<?x2x2xf32>) -> tensor<?x1x2xf32> attributes {
  inputs = [dense<[[[1.0, 2.0]], [[3.0, 4.0]]]> : tensor<2x1x2xf32>,
            dense<[[[1.0, 0.0], [0.0, 1.0]], [[0.0, 10.0], [1.0, -1.0]]]> : tensor<2x2x2xf32>],
  result = dense<[[[1.0, 2.0]], [[4.0, 26.0]]]> : tensor<2x1x2xf32>
} {
  %y = sinter.batch_matmul %a, %b : (tensor<?x1x2xf32>, tensor<?x2x2xf32>) -> tensor<?x1x2xf32>
  return %y : tensor<?x1x2xf32>
}

// Both matrices of b with the one of a.
func.func @batch_matmul_transposed(%a: tensor<?x1x2x1xf32>, %b: tensor<?x2x3x2xf32>) -> tensor<?x2x1x3xf32> attributes {
  inputs = [dense<[[[[1.0], [2.0]]]]> : tensor<1x1x2x1xf32>,
            dense<[[[[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]],
                    [[3.0, 1.0], [1.0, 1.0], [0.0, 5.0]]]]> : tensor<1x2x3x2xf32>],
  result = dense<[[[[1.0, 2.0, 0.0]], [[5.0, 3.0, 10.0]]]]> : tensor<1x2x1x3xf32>
} {
  %y = sinter.batch_matmul %a transposed, %b transposed
      : (tensor<?x1x2x1xf32>, tensor<?x2x3x2xf32>) -> tensor<?x2x1x3xf32>
  return %y : tensor<?x2x1x3xf32>
}

//===-------------------------------------------------------------------===//
// Tables of rows
//===-------------------------------------------------------------------===//

// 3 is past the table, 0.5 is no whole number.
func.func @embedding(%x: tensor<?x2xf32>, %t: tensor<3x2xf32>) -> tensor<?x2x2xf32> attributes {
  inputs = [dense<[[2.0, 0.0], [3.0, 1.0], [-0.0, 0.5], [-1.0, 0x7FC00000]]> : tensor<4x2xf32>,
            dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>],
  result = dense<[[[5.0, 6.0], [1.0, 2.0]],
                  [[0x7FC00000, 0x7FC00000], [3.0, 4.0]],
                  [[1.0, 2.0], [0x7FC00000, 0x7FC00000]],
                  [[0x7FC00000, 0x7FC00000], [0x7FC00000, 0x7FC00000]]]> : tensor<4x2x2xf32>
} {
  %y = sinter.embedding %x, %t : (tensor<?x2xf32>, tensor<3x2xf32>) -> tensor<?x2x2xf32>
  return %y : tensor<?x2x2xf32>
}

func.func @embedding_gradient(%x: tensor<?x2xf32>, %d: tensor<?x2x2xf32>) -> tensor<4x2xf32> attributes {
  inputs = [dense<[[2.0, 0.0], [4.0, 2.0], [0.5, 2.0]]> : tensor<3x2xf32>,
            dense<[[[1.0, 2.0], [3.0, 4.0]],
                   [[5.0, 6.0], [7.0, 8.0]],
                   [[9.0, 10.0], [20.0, 30.0]]]> : tensor<3x2x2xf32>],
  result = dense<[[3.0, 4.0], [0.0, 0.0], [28.0, 40.0], [0.0, 0.0]]> : tensor<4x2xf32>
} {
  %y = sinter.embedding_gradient %x, %d rows 4 : (tensor<?x2xf32>, tensor<?x2x2xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

//===-------------------------------------------------------------------===//
// Windows over images
//===-------------------------------------------------------------------===//

func.func @conv2d(%x: tensor<?x3x3x1xf32>, %w: tensor<2x2x1x1xf32>) -> tensor<?x2x2x1xf32> attributes {
  inputs = [dense<[[[[1.0], [2.0], [3.0]],
                    [[4.0], [5.0], [6.0]],
                    [[7.0], [8.0], [9.0]]]]> : tensor<1x3x3x1xf32>,
            dense<[[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]]> : tensor<2x2x1x1xf32>],
  result = dense<[[[[37.0], [47.0]],
                    [[67.0], [77.0]]]]> : tensor<1x2x2x1xf32>
} {
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1
      : (tensor<?x3x3x1xf32>, tensor<2x2x1x1xf32>) -> tensor<?x2x2x1xf32>
  return %y : tensor<?x2x2x1xf32>
}

// Rows 0 and 2 in pairs with the next, of which the last is not there; columns in
// pairs two apart, the first of them starting outside of the image.
func.func @conv2d_uneven(%x: tensor<?x3x4x1xf32>, %w: tensor<2x2x1x1xf32>) -> tensor<?x2x3x1xf32> attributes {
  inputs = [dense<[[[[1.0], [2.0], [3.0], [4.0]],
                    [[5.0], [6.0], [7.0], [8.0]],
                    [[9.0], [10.0], [11.0], [12.0]]]]> : tensor<1x3x4x1xf32>,
            dense<[[[[1.0]], [[10.0]]], [[[100.0]], [[1000.0]]]]> : tensor<2x2x1x1xf32>],
  result = dense<[[[[6020.0], [7531.0], [8642.0]],
                    [[100.0], [119.0], [130.0]]]]> : tensor<1x2x3x1xf32>
} {
  %y = sinter.conv2d %x, %w strides [2, 1] dilations [1, 2] padding [0, 1, 1, 0] groups 1
      : (tensor<?x3x4x1xf32>, tensor<2x2x1x1xf32>) -> tensor<?x2x3x1xf32>
  return %y : tensor<?x2x3x1xf32>
}

// Filters 0 and 1 see channels 0 and 1, filters 2 and 3 the others.
func.func @conv2d_groups(%x: tensor<?x1x1x4xf32>, %w: tensor<1x1x2x4xf32>) -> tensor<?x1x1x4xf32> attributes {
  inputs = [dense<[[[[1.0, 2.0, 3.0, 4.0]]]]> : tensor<1x1x1x4xf32>,
            dense<[[[[1.0, 2.0, 3.0, 4.0],
                      [5.0, 6.0, 7.0, 8.0]]]]> : tensor<1x1x2x4xf32>],
  result = dense<[[[[11.0, 14.0, 37.0, 44.0]]]]> : tensor<1x1x1x4xf32>
} {
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 2
      : (tensor<?x1x1x4xf32>, tensor<1x1x2x4xf32>) -> tensor<?x1x1x4xf32>
  return %y : tensor<?x1x1x4xf32>
}

// Windows that do not overlap: each pixel times the filter.
func.func @conv2d_transpose(%x: tensor<?x2x2x1xf32>, %w: tensor<2x2x1x1xf32>) -> tensor<?x4x4x1xf32> attributes {
  inputs = [dense<[[[[1.0], [2.0]],
                    [[3.0], [4.0]]]]> : tensor<1x2x2x1xf32>,
            dense<[[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]]> : tensor<2x2x1x1xf32>],
  result = dense<[[[[1.0], [2.0], [2.0], [4.0]],
                    [[3.0], [4.0], [6.0], [8.0]],
                    [[3.0], [6.0], [4.0], [8.0]],
                    [[9.0], [12.0], [12.0], [16.0]]]]> : tensor<1x4x4x1xf32>
} {
  %y = sinter.conv2d_transpose %x, %w size [4, 4]
      strides [2, 2] dilations [1, 1] padding [0, 0, 0, 0] groups 1
      : (tensor<?x2x2x1xf32>, tensor<2x2x1x1xf32>) -> tensor<?x4x4x1xf32>
  return %y : tensor<?x4x4x1xf32>
}

// The windows of @conv2d_uneven.
func.func @conv2d_transpose_uneven(%x: tensor<?x2x3x1xf32>, %w: tensor<2x2x1x1xf32>) -> tensor<?x3x4x1xf32> attributes {
  inputs = [dense<[[[[1.0], [2.0], [3.0]],
                    [[4.0], [5.0], [6.0]]]]> : tensor<1x2x3x1xf32>,
            dense<[[[[1.0]], [[10.0]]], [[[100.0]], [[1000.0]]]]> : tensor<2x2x1x1xf32>],
  result = dense<[[[[2.0], [13.0], [20.0], [30.0]],
                    [[200.0], [1300.0], [2000.0], [3000.0]],
                    [[5.0], [46.0], [50.0], [60.0]]]]> : tensor<1x3x4x1xf32>
} {
  %y = sinter.conv2d_transpose %x, %w size [3, 4]
      strides [2, 1] dilations [1, 2] padding [0, 1, 1, 0] groups 1
      : (tensor<?x2x3x1xf32>, tensor<2x2x1x1xf32>) -> tensor<?x3x4x1xf32>
  return %y : tensor<?x3x4x1xf32>
}

func.func @conv2d_transpose_groups(%x: tensor<?x1x1x4xf32>, %w: tensor<1x1x2x4xf32>) -> tensor<?x1x1x4xf32> attributes {
  inputs = [dense<[[[[1.0, 10.0, 100.0, 1000.0]]]]> : tensor<1x1x1x4xf32>,
            dense<[[[[1.0, 2.0, 3.0, 4.0],
                      [5.0, 6.0, 7.0, 8.0]]]]> : tensor<1x1x2x4xf32>],
  result = dense<[[[[21.0, 65.0, 4300.0, 8700.0]]]]> : tensor<1x1x1x4xf32>
} {
  %y = sinter.conv2d_transpose %x, %w size [1, 1]
      strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 2
      : (tensor<?x1x1x4xf32>, tensor<1x1x2x4xf32>) -> tensor<?x1x1x4xf32>
  return %y : tensor<?x1x1x4xf32>
}

// The windows of @conv2d_uneven.
func.func @conv2d_filter_gradient(%x: tensor<?x3x4x1xf32>, %d: tensor<?x2x3x1xf32>) -> tensor<2x2x1x1xf32> attributes {
  inputs = [dense<[[[[1.0], [2.0], [3.0], [4.0]],
                    [[5.0], [6.0], [7.0], [8.0]],
                    [[9.0], [10.0], [11.0], [12.0]]]]> : tensor<1x3x4x1xf32>,
            dense<[[[[1.0], [2.0], [3.0]],
                    [[4.0], [5.0], [6.0]]]]> : tensor<1x2x3x1xf32>],
  result = dense<[[[[113.0]], [[187.0]]], [[[28.0]], [[44.0]]]]> : tensor<2x2x1x1xf32>
} {
  %y = sinter.conv2d_filter_gradient %x, %d size [2, 2]
      strides [2, 1] dilations [1, 2] padding [0, 1, 1, 0] groups 1
      : (tensor<?x3x4x1xf32>, tensor<?x2x3x1xf32>) -> tensor<2x2x1x1xf32>
  return %y : tensor<2x2x1x1xf32>
}

func.func @conv2d_filter_gradient_groups(%x: tensor<?x1x1x4xf32>, %d: tensor<?x1x1x4xf32>) -> tensor<1x1x2x4xf32> attributes {
  inputs = [dense<[[[[1.0, 2.0, 3.0, 4.0]]], [[[5.0, 0.0, 0.0, 0.0]]]]> : tensor<2x1x1x4xf32>,
            dense<[[[[1.0, 10.0, 100.0, 1000.0]]],
                   [[[1.0, 0.0, 0.0, 0.0]]]]> : tensor<2x1x1x4xf32>],
  result = dense<[[[[6.0, 10.0, 300.0, 3000.0],
                  [2.0, 20.0, 400.0, 4000.0]]]]> : tensor<1x1x2x4xf32>
} {
  %y = sinter.conv2d_filter_gradient %x, %d size [1, 1]
      strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 2
      : (tensor<?x1x1x4xf32>, tensor<?x1x1x4xf32>) -> tensor<1x1x2x4xf32>
  return %y : tensor<1x1x2x4xf32>
}

func.func @winograd_filter(%w: tensor<3x3x1x1xf32>) -> tensor<4x4x1x1xf32> attributes {
  inputs = [dense<[[[[1.0]], [[2.0]], [[3.0]]],
            [[[4.0]], [[5.0]], [[6.0]]],
            [[[7.0]], [[8.0]], [[9.0]]]]> : tensor<3x3x1x1xf32>],
  result = dense<[[[[1.0]], [[3.0]], [[1.0]], [[3.0]]],
            [[[6.0]], [[11.25]], [[3.75]], [[9.0]]],
            [[[2.0]], [[3.75]], [[1.25]], [[3.0]]],
            [[[7.0]], [[12.0]], [[4.0]], [[9.0]]]]> : tensor<4x4x1x1xf32>
} {
  %u = sinter.winograd_filter %w tile 2 : (tensor<3x3x1x1xf32>) -> tensor<4x4x1x1xf32>
  return %u : tensor<4x4x1x1xf32>
}

func.func @winograd_filter_adjoint(%u: tensor<4x4x1x1xf32>) -> tensor<3x3x1x1xf32> attributes {
  inputs = [dense<1.0> : tensor<4x4x1x1xf32>],
  result = dense<[[[[4.0]], [[0.0]], [[4.0]]],
            [[[0.0]], [[0.0]], [[0.0]]],
            [[[4.0]], [[0.0]], [[4.0]]]]> : tensor<3x3x1x1xf32>
} {
  %w = sinter.winograd_filter_adjoint %u : (tensor<4x4x1x1xf32>) -> tensor<3x3x1x1xf32>
  return %w : tensor<3x3x1x1xf32>
}

// The filter of @winograd_filter, 1 to 9.
func.func @winograd_conv2d(%x: tensor<?x4x4x1xf32>, %u: tensor<4x4x1x1xf32>) -> tensor<?x2x2x1xf32> attributes {
  inputs = [dense<[[[[1.0], [2.0], [3.0], [4.0]],
             [[5.0], [6.0], [7.0], [8.0]],
             [[9.0], [10.0], [11.0], [12.0]],
             [[13.0], [14.0], [15.0], [16.0]]]]> : tensor<1x4x4x1xf32>,
            dense<[[[[1.0]], [[3.0]], [[1.0]], [[3.0]]],
            [[[6.0]], [[11.25]], [[3.75]], [[9.0]]],
            [[[2.0]], [[3.75]], [[1.25]], [[3.0]]],
            [[[7.0]], [[12.0]], [[4.0]], [[9.0]]]]> : tensor<4x4x1x1xf32>],
  result = dense<[[[[348.0], [393.0]],
                   [[528.0], [573.0]]]]> : tensor<1x2x2x1xf32>
} {
  %y = sinter.winograd_conv2d %x, %u padding [0, 0, 0, 0] : (tensor<?x4x4x1xf32>, tensor<4x4x1x1xf32>) -> tensor<?x2x2x1xf32>
  return %y : tensor<?x2x2x1xf32>
}

// Of the same filter from 9 to 1.
func.func @winograd_filter_flipped(%w: tensor<3x3x1x1xf32>) -> tensor<4x4x1x1xf32> attributes {
  inputs = [dense<[[[[9.0]], [[8.0]], [[7.0]]],
            [[[6.0]], [[5.0]], [[4.0]]],
            [[[3.0]], [[2.0]], [[1.0]]]]> : tensor<3x3x1x1xf32>],
  result = dense<[[[[1.0]], [[3.0]], [[1.0]], [[3.0]]],
            [[[6.0]], [[11.25]], [[3.75]], [[9.0]]],
            [[[2.0]], [[3.75]], [[1.25]], [[3.0]]],
            [[[7.0]], [[12.0]], [[4.0]], [[9.0]]]]> : tensor<4x4x1x1xf32>
} {
  %u = sinter.winograd_filter %w tile 2 flipped : (tensor<3x3x1x1xf32>) -> tensor<4x4x1x1xf32>
  return %u : tensor<4x4x1x1xf32>
}

func.func @winograd_filter_gradient(%x: tensor<?x4x4x1xf32>, %d: tensor<?x2x2x1xf32>) -> tensor<4x4x1x1xf32> attributes {
  inputs = [dense<[[[[1.0], [2.0], [3.0], [4.0]],
             [[5.0], [6.0], [7.0], [8.0]],
             [[9.0], [10.0], [11.0], [12.0]],
             [[13.0], [14.0], [15.0], [16.0]]]]> : tensor<1x4x4x1xf32>,
            dense<[[[[1.0], [0.0]],
             [[0.0], [0.0]]]]> : tensor<1x2x2x1xf32>],
  result = dense<[[[[0.0]], [[-16.0]], [[0.0]], [[0.0]]],
            [[[-4.0]], [[34.0]], [[2.0]], [[0.0]]],
            [[[0.0]], [[8.0]], [[0.0]], [[0.0]]],
            [[[0.0]], [[0.0]], [[0.0]], [[0.0]]]]> : tensor<4x4x1x1xf32>
} {
  %u = sinter.winograd_filter_gradient %x, %d tile 2 padding [0, 0, 0, 0] : (tensor<?x4x4x1xf32>, tensor<?x2x2x1xf32>) -> tensor<4x4x1x1xf32>
  return %u : tensor<4x4x1x1xf32>
}

func.func @scratch() -> tensor<2x3xf32> attributes {
  inputs = [],
  result = dense<0.0> : tensor<2x3xf32>
} {
  %s = sinter.scratch : tensor<2x3xf32>
  return %s : tensor<2x3xf32>
}

func.func @max_pool2d(%x: tensor<?x3x3x1xf32>) -> tensor<?x2x2x1xf32> attributes {
  inputs = [dense<[[[[1.0], [5.0], [2.0]],
                    [[9.0], [3.0], [4.0]],
                    [[6.0], [7.0], [8.0]]]]> : tensor<1x3x3x1xf32>],
  result = dense<[[[[9.0], [4.0]],
                    [[7.0], [8.0]]]]> : tensor<1x2x2x1xf32>
} {
  %y = sinter.max_pool2d %x window [2, 2] strides [2, 2] padding [0, 1, 0, 1]
      : (tensor<?x3x3x1xf32>) -> tensor<?x2x2x1xf32>
  return %y : tensor<?x2x2x1xf32>
}

// Pixels outside of the image do not count, NaN does.
func.func @max_pool2d_below_zero(%x: tensor<?x1x3x1xf32>) -> tensor<?x1x2x1xf32> attributes {
  inputs = [dense<[[[[-1.0], [-2.0], [0x7FC00000]]]]> : tensor<1x1x3x1xf32>],
  result = dense<[[[[-1.0], [0x7FC00000]]]]> : tensor<1x1x2x1xf32>
} {
  %y = sinter.max_pool2d %x window [2, 2] strides [1, 2] padding [0, 1, 0, 1]
      : (tensor<?x1x3x1xf32>) -> tensor<?x1x2x1xf32>
  return %y : tensor<?x1x2x1xf32>
}

func.func @avg_pool2d(%x: tensor<?x3x3x1xf32>) -> tensor<?x2x2x1xf32> attributes {
  inputs = [dense<[[[[1.0], [5.0], [2.0]],
                    [[9.0], [3.0], [4.0]],
                    [[6.0], [7.0], [8.0]]]]> : tensor<1x3x3x1xf32>],
  result = dense<[[[[4.5], [3.0]],
                    [[6.5], [8.0]]]]> : tensor<1x2x2x1xf32>
} {
  %y = sinter.avg_pool2d %x window [2, 2] strides [2, 2] padding [0, 1, 0, 1]
      : (tensor<?x3x3x1xf32>) -> tensor<?x2x2x1xf32>
  return %y : tensor<?x2x2x1xf32>
}

func.func @max_pool2d_gradient(%x: tensor<?x3x3x1xf32>, %d: tensor<?x2x2x1xf32>) -> tensor<?x3x3x1xf32> attributes {
  inputs = [dense<[[[[1.0], [5.0], [2.0]],
                    [[9.0], [3.0], [4.0]],
                    [[6.0], [7.0], [8.0]]]]> : tensor<1x3x3x1xf32>,
            dense<[[[[10.0], [20.0]],
                    [[30.0], [40.0]]]]> : tensor<1x2x2x1xf32>],
  result = dense<[[[[0.0], [0.0], [0.0]],
                    [[10.0], [0.0], [20.0]],
                    [[0.0], [30.0], [40.0]]]]> : tensor<1x3x3x1xf32>
} {
  %y = sinter.max_pool2d_gradient %x, %d
      window [2, 2] strides [2, 2] padding [0, 1, 0, 1]
      : (tensor<?x3x3x1xf32>, tensor<?x2x2x1xf32>) -> tensor<?x3x3x1xf32>
  return %y : tensor<?x3x3x1xf32>
}

// The first of equals counts.
func.func @max_pool2d_gather(%x: tensor<?x3x3x1xf32>, %v: tensor<?x3x3x1xf32>) -> tensor<?x2x2x1xf32> attributes {
  inputs = [dense<[[[[1.0], [5.0], [2.0]],
                    [[9.0], [3.0], [2.0]],
                    [[6.0], [7.0], [-8.0]]]]> : tensor<1x3x3x1xf32>,
            dense<[[[[1.0], [2.0], [3.0]],
                    [[4.0], [5.0], [6.0]],
                    [[7.0], [8.0], [9.0]]]]> : tensor<1x3x3x1xf32>],
  result = dense<[[[[4.0], [3.0]],
                   [[8.0], [9.0]]]]> : tensor<1x2x2x1xf32>
} {
  %y = sinter.max_pool2d_gather %x, %v
      window [2, 2] strides [2, 2] padding [0, 1, 0, 1]
      : (tensor<?x3x3x1xf32>, tensor<?x3x3x1xf32>) -> tensor<?x2x2x1xf32>
  return %y : tensor<?x2x2x1xf32>
}

// Windows (1, 3), (3, 3) and (3, 2): the first of equals takes all.
func.func @max_pool2d_gradient_of_ties(%x: tensor<?x1x4x1xf32>, %d: tensor<?x1x3x1xf32>) -> tensor<?x1x4x1xf32> attributes {
  inputs = [dense<[[[[1.0], [3.0], [3.0], [2.0]]]]> : tensor<1x1x4x1xf32>,
            dense<[[[[1.0], [10.0], [100.0]]]]> : tensor<1x1x3x1xf32>],
  result = dense<[[[[0.0], [11.0], [100.0], [0.0]]]]> : tensor<1x1x4x1xf32>
} {
  %y = sinter.max_pool2d_gradient %x, %d
      window [1, 2] strides [1, 1] padding [0, 0, 0, 0]
      : (tensor<?x1x4x1xf32>, tensor<?x1x3x1xf32>) -> tensor<?x1x4x1xf32>
  return %y : tensor<?x1x4x1xf32>
}

func.func @avg_pool2d_gradient(%d: tensor<?x2x2x1xf32>) -> tensor<?x3x3x1xf32> attributes {
  inputs = [dense<[[[[4.0], [2.0]],
                    [[6.0], [8.0]]]]> : tensor<1x2x2x1xf32>],
  result = dense<[[[[1.0], [1.0], [1.0]],
                    [[1.0], [1.0], [1.0]],
                    [[3.0], [3.0], [8.0]]]]> : tensor<1x3x3x1xf32>
} {
  %y = sinter.avg_pool2d_gradient %d size [3, 3]
      window [2, 2] strides [2, 2] padding [0, 1, 0, 1]
      : (tensor<?x2x2x1xf32>) -> tensor<?x3x3x1xf32>
  return %y : tensor<?x3x3x1xf32>
}

//===-------------------------------------------------------------------===//
// Composites
//===-------------------------------------------------------------------===//

// Means 2 and 2, variances 1 and 0. The shift changes nothing.
func.func @batch_norm(%x: tensor<?x2xf32>, %g: tensor<2xf32>, %b: tensor<2xf32>, %s: tensor<2xf32>) -> tensor<?x2xf32> attributes {
  inputs = [dense<[[1.0, 2.0], [3.0, 2.0]]> : tensor<2x2xf32>,
            dense<[4.0, 9.0]> : tensor<2xf32>,
            dense<[1.0, 5.0]> : tensor<2xf32>,
            dense<[100.0, -1.0]> : tensor<2xf32>],
  result = dense<[[-1.0, 5.0], [3.0, 5.0]]> : tensor<2x2xf32>
} {
  %y = sinter.batch_norm %x, %g, %b, %s epsilon 3.0
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// Means 2 and 6, variances 1 and 1.
func.func @layer_norm(%x: tensor<?x2xf32>, %g: tensor<2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> attributes {
  inputs = [dense<[[1.0, 3.0], [7.0, 5.0]]> : tensor<2x2xf32>,
            dense<[2.0, 4.0]> : tensor<2xf32>,
            dense<[10.0, 20.0]> : tensor<2xf32>],
  result = dense<[[9.0, 22.0], [11.0, 18.0]]> : tensor<2x2xf32>
} {
  %y = sinter.layer_norm %x, %g, %b axes 1 epsilon 3.0
      : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// Mean 3, variance 5: sqrt(variance + epsilon) is 4.
func.func @layer_norm_two_axes(%x: tensor<?x2x2xf32>, %g: tensor<f32>, %b: tensor<f32>) -> tensor<?x2x2xf32> attributes {
  inputs = [dense<[[[0.0, 2.0], [4.0, 6.0]]]> : tensor<1x2x2xf32>,
            dense<4.0> : tensor<f32>, dense<1.0> : tensor<f32>],
  result = dense<[[[-2.0, 0.0], [2.0, 4.0]]]> : tensor<1x2x2xf32>
} {
  %y = sinter.layer_norm %x, %g, %b axes 2 epsilon 11.0
      : (tensor<?x2x2xf32>, tensor<f32>, tensor<f32>) -> tensor<?x2x2xf32>
  return %y : tensor<?x2x2xf32>
}

func.func @relu(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 0.0, -2.0]> : tensor<3xf32>],
  result = dense<[1.0, 0.0, 0.0]> : tensor<3xf32>
} {
  %y = sinter.relu %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @leaky_relu(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 0.0, -2.0]> : tensor<3xf32>],
  result = dense<[1.0, 0.0, -0.5]> : tensor<3xf32>
} {
  %y = sinter.leaky_relu %a {alpha = 0.25 : f32} : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @elu(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 0.0, -1.0]> : tensor<3xf32>],
  result = dense<[1.0, 0.0, -1.26424112]> : tensor<3xf32>
} {
  %y = sinter.elu %a {alpha = 2.0 : f32} : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @selu(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 0.0, -1.0]> : tensor<3xf32>],
  result = dense<[1.05070099, 0.0, -1.11133074]> : tensor<3xf32>
} {
  %y = sinter.selu %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @gelu(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 0.0, -1.0]> : tensor<3xf32>],
  result = dense<[0.841344746, 0.0, -0.158655254]> : tensor<3xf32>
} {
  %y = sinter.gelu %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @gelu_approximate(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[1.0, 0.0, -1.0]> : tensor<3xf32>],
  result = dense<[0.841191991, 0.0, -0.158808009]> : tensor<3xf32>
} {
  %y = sinter.gelu %a {approximate} : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @silu(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 2.0, -2.0]> : tensor<3xf32>],
  result = dense<[0.0, 1.76159416, -0.238405844]> : tensor<3xf32>
} {
  %y = sinter.silu %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @sigmoid(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 2.0, -2.0]> : tensor<3xf32>],
  result = dense<[0.5, 0.880797078, 0.119202922]> : tensor<3xf32>
} {
  %y = sinter.sigmoid %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @hard_sigmoid(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 1.5, -4.0]> : tensor<3xf32>],
  result = dense<[0.5, 0.75, 0.0]> : tensor<3xf32>
} {
  %y = sinter.hard_sigmoid %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

func.func @softplus(%a: tensor<3xf32>) -> tensor<3xf32> attributes {
  inputs = [dense<[0.0, 2.0, -2.0]> : tensor<3xf32>],
  result = dense<[0.693147181, 2.12692801, 0.126928011]> : tensor<3xf32>
} {
  %y = sinter.softplus %a : tensor<3xf32>
  return %y : tensor<3xf32>
}

// The second row is the first, shifted by 1000.
func.func @softmax(%a: tensor<?x3xf32>) -> tensor<?x3xf32> attributes {
  inputs = [dense<[[1.0, 2.0, 3.0], [1001.0, 1002.0, 1003.0]]> : tensor<2x3xf32>],
  result = dense<[[0.0900305732, 0.244728471, 0.665240956],
                  [0.0900305732, 0.244728471, 0.665240956]]> : tensor<2x3xf32>
} {
  %y = sinter.softmax %a : tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// Targets need not sum to 1.
func.func @softmax_cross_entropy(%a: tensor<?x3xf32>, %b: tensor<?x3xf32>) -> tensor<?xf32> attributes {
  inputs = [dense<[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1000.0, 0.0, 0.0]]> : tensor<3x3xf32>,
            dense<[[0.0, 0.0, 1.0], [0.5, 0.25, 0.0], [0.0, 1.0, 0.0]]> : tensor<3x3xf32>],
  result = dense<[0.407605964, 1.55570447, 1000.0]> : tensor<3xf32>
} {
  %y = sinter.softmax_cross_entropy %a, %b
      : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

func.func @sigmoid_cross_entropy(%a: tensor<5xf32>, %b: tensor<5xf32>) -> tensor<5xf32> attributes {
  inputs = [dense<[0.0, 2.0, 2.0, -100.0, 2.0]> : tensor<5xf32>,
            dense<[1.0, 1.0, 0.0, 1.0, 0.5]> : tensor<5xf32>],
  result = dense<[0.693147181, 0.126928011, 2.12692801, 100.0, 1.12692801]> : tensor<5xf32>
} {
  %y = sinter.sigmoid_cross_entropy %a, %b : (tensor<5xf32>, tensor<5xf32>)
      -> tensor<5xf32>
  return %y : tensor<5xf32>
}
