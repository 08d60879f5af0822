// RUN: sinter-opt %s --split-input-file --verify-diagnostics

// One test for each sentence that a verifier can say. MLIR adds "failed to infer
// returned types" to what inference says.

//===----------------------------------------------------------------------===//
// Models and states
//===----------------------------------------------------------------------===//

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'sinter.constant' op expected states and functions only in a model}}
  %c = sinter.constant dense<0.0> : tensor<f32>
}

// -----

// expected-error@+1 {{attribute 'batch_bound' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
sinter.model @m batch_bound 0 {
}

// -----

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'func.func' op expected a dynamic size in dimension 0 only, got 'tensor<2x?xf32>'}}
  func.func @f(%x: tensor<2x?xf32>) {
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  func.func @f(%x: tensor<?x3xf32>) {
    // expected-error@+1 {{'builtin.unrealized_conversion_cast' op expected a dynamic size in dimension 0 only, got 'tensor<3x?xf32>'}}
    %y = builtin.unrealized_conversion_cast %x : tensor<?x3xf32> to tensor<3x?xf32>
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'func.func' op expected sizes of at least 1, got 'tensor<?x0xf32>'}}
  func.func @f(%x: tensor<?x0xf32>) {
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'func.func' op expected a batched tensor in batch-minor layout, got 'tensor<3xf32, #sinter.batch_minor>'}}
  func.func @f(%x: tensor<3xf32, #sinter.batch_minor>) {
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  func.func @f(%x: tensor<3xf32>) {
    // expected-note@+1 {{the first one}}
    sinter.write @w, %x : tensor<3xf32>
    // expected-error@+1 {{'sinter.write' op expected at most one write of a state in a function, got another one of @w}}
    sinter.write @w, %x : tensor<3xf32>
    return
  }
}

// -----

// An op that is wrong by itself is reported before the model looks at it.
sinter.model @m batch_bound 4 {
  func.func @f(%x: tensor<3xf32>) {
    // expected-error@+1 {{'sinter.write' op requires attribute 'state'}}
    "sinter.write"(%x) : (tensor<3xf32>) -> ()
    return
  }
}

// -----

// expected-error@+1 {{'sinter.state' op expects parent op 'sinter.model'}}
sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)

// -----

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'sinter.state' op expected a static tensor of f32 or i32, got 'tensor<?xf32>'}}
  sinter.state parameter @w : tensor<?xf32> = constant(0.0, 0.0)
}

// -----

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'sinter.state' op expected a static tensor of f32 or i32, got 'tensor<3xf64>'}}
  sinter.state parameter @w : tensor<3xf64> = constant(0.0, 0.0)
}

// -----

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'sinter.state' op expected a value of the state's type 'tensor<3xf32>', got 'tensor<2xf32>'}}
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0) {value = dense<0.0> : tensor<2xf32>}
}

// -----

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'sinter.state' op expected uniform(a, b) with a <= b, got 1.000000e+00 and -1.000000e+00}}
  sinter.state parameter @w : tensor<3xf32> = uniform(1.0, -1.0)
}

// -----

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'sinter.state' op expected the iteration to be tensor<i32>, got 'tensor<1xi32>'}}
  sinter.state iteration @step : tensor<1xi32> = constant(0.0, 0.0)
}

// -----

sinter.model @m batch_bound 4 {
  // expected-error@+1 {{'sinter.state' op expected the seed to be tensor<2xi32>, got 'tensor<i32>'}}
  sinter.state seed @seed : tensor<i32> = constant(0.0, 0.0)
}

// -----

//===----------------------------------------------------------------------===//
// Reads, writes, kernels
//===----------------------------------------------------------------------===//

sinter.model @m batch_bound 4 {
  func.func @f() {
    // expected-error@+1 {{'sinter.read' op expected a state of this model, got @w}}
    %w = sinter.read @w : tensor<3xf32>
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  // expected-note@+1 {{the state}}
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  func.func @f() {
    // expected-error@+1 {{'sinter.read' op expected the state's type 'tensor<3xf32>', got 'tensor<2xf32>'}}
    %w = sinter.read @w : tensor<2xf32>
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  // expected-note@+1 {{the state}}
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  func.func @f(%x: tensor<2xf32>) {
    // expected-error@+1 {{'sinter.write' op expected the state's type 'tensor<3xf32>', got 'tensor<2xf32>'}}
    sinter.write @w, %x : tensor<2xf32>
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  // expected-note@+1 {{the state}}
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  func.func @f(%x: tensor<2xf32>) {
    // expected-error@+1 {{'sinter.update' op expected the state's type 'tensor<3xf32>', got 'tensor<2xf32>'}}
    sinter.update @w, %x : tensor<2xf32>
    return
  }
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error@+1 {{'sinter.kernel' op expected the region to end in 'sinter.yield'}}
  sinter.kernel sweep "a" {
    %y = sinter.neg %x : tensor<2xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error@+1 {{'sinter.kernel' op expected to yield its result types 'tensor<3xf32>', got 'tensor<2xf32>'}}
  %r = sinter.kernel sweep "a" -> tensor<3xf32> {
    sinter.yield %x : tensor<2xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error@+1 {{'sinter.kernel' op expected an offset for each of 1 results, got 2}}
  %r = sinter.kernel sweep "a" -> tensor<2xf32> attributes {offsets = array<i64: 0, 64>} {
    sinter.yield %x : tensor<2xf32>
  }
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{'sinter.yield' op expects parent op 'sinter.kernel'}}
  sinter.yield
}

// -----

//===----------------------------------------------------------------------===//
// Random numbers
//===----------------------------------------------------------------------===//

func.func @f(%seed: tensor<3xi32>, %step: tensor<i32>) {
  // expected-error@+1 {{'sinter.random_uniform' op expected the seed to be tensor<2xi32>, got 'tensor<3xi32>'}}
  %u = sinter.random_uniform %seed, %step stream 0 : (tensor<3xi32>, tensor<i32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%seed: tensor<2xi32>, %step: tensor<i32>) {
  // expected-error@+1 {{'sinter.random_normal' op expected a batched result, got 'tensor<2xf32>'}}
  %z = sinter.random_normal %seed, %step stream 0 : (tensor<2xi32>, tensor<i32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%seed: tensor<2xi32>, %step: tensor<i32>) {
  // expected-error@+1 {{'sinter.random_uniform' op expected a stream in 0 .. 2^30 - 1, got 1073741824}}
  %u = sinter.random_uniform %seed, %step stream 1073741824 : (tensor<2xi32>, tensor<i32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>) {
  // expected-error@+1 {{'sinter.dropout' op expected a rate in [0, 1), got 1.000000e+00}}
  %y = sinter.dropout %x stream 0 {rate = 1.0 : f32} : tensor<?x2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error@+1 {{'sinter.dropout' op expected a batched result, got 'tensor<2xf32>'}}
  %y = sinter.dropout %x stream 0 {rate = 0.5 : f32} : tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>) {
  // expected-error@+1 {{'sinter.gaussian_noise' op expected a standard deviation of at least 0, got -1.000000e+00}}
  %y = sinter.gaussian_noise %x stream 0 {stddev = -1.0 : f32} : tensor<?x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>) {
  // expected-error@+1 {{'sinter.gaussian_noise' op expected a stream in 0 .. 2^30 - 1, got -1}}
  %y = sinter.gaussian_noise %x stream -1 {stddev = 1.0 : f32} : tensor<?x2xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

func.func @f(%a: tensor<2xf32>, %b: tensor<2xi32>) {
  // expected-error@+2 {{'sinter.add' op expected operands of one element type, got 'tensor<2xf32>' and 'tensor<2xi32>'}}
  // expected-error@+1 {{'sinter.add' op failed to infer returned types}}
  %y = sinter.add %a, %b : (tensor<2xf32>, tensor<2xi32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%a: tensor<?x2xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{'sinter.mul' op expected shapes that broadcast, got (?, 2) (3)}}
  // expected-error@+1 {{'sinter.mul' op failed to infer returned types}}
  %y = sinter.mul %a, %b : (tensor<?x2xf32>, tensor<3xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%a: tensor<?xf32>, %b: tensor<4x1xf32>) {
  // expected-error@+2 {{'sinter.sub' op expected the batch to align with the batch, got (?) (4, 1)}}
  // expected-error@+1 {{'sinter.sub' op failed to infer returned types}}
  %y = sinter.sub %a, %b : (tensor<?xf32>, tensor<4x1xf32>) -> tensor<4x?xf32>
  return
}

// -----

func.func @f(%a: tensor<?xf32>, %b: tensor<?x3xf32>) {
  // expected-error@+2 {{'sinter.select' op expected shapes that broadcast, got (?) (?, 3) (?, 3)}}
  // expected-error@+1 {{'sinter.select' op failed to infer returned types}}
  %y = sinter.select %a, %b, %b : (tensor<?xf32>, tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%a: tensor<2xf32>) {
  // expected-error@+2 {{'sinter.add' op inferred type(s) 'tensor<2xf32>' are incompatible with return type(s) of operation 'tensor<3xf32>'}}
  // expected-error@+1 {{'sinter.add' op failed to infer returned types}}
  %y = sinter.add %a, %a : (tensor<2xf32>, tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xi32>) {
  // expected-error@+1 {{'sinter.exp' op operand #0 must be ranked tensor of 32-bit float values, but got 'tensor<2xi32>'}}
  %y = sinter.exp %x : tensor<2xi32>
  return
}

// -----

func.func @f(%x: tensor<2xi32>) {
  // expected-error@+1 {{'sinter.cast' op expected a result of the operand's shape, got 'tensor<2xi32>' to 'tensor<3xf32>'}}
  %y = sinter.cast %x : tensor<2xi32> -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x1xi32>) {
  // expected-error@+2 {{'sinter.one_hot' op expected labels of rank 1, got 'tensor<?x1xi32>'}}
  // expected-error@+1 {{'sinter.one_hot' op failed to infer returned types}}
  %y = sinter.one_hot %x classes 3 : (tensor<?x1xi32>) -> tensor<?x3xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

func.func @f(%x: tensor<2xi32>) {
  // expected-error@+1 {{'sinter.reshape' op expected to change the shape alone, got 'tensor<2xi32>' to 'tensor<2xf32>'}}
  %y = sinter.reshape %x : tensor<2xi32> -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>) {
  // expected-error@+1 {{'sinter.reshape' op expected the batch to stay, got 'tensor<?x2xf32>' to 'tensor<2xf32>'}}
  %y = sinter.reshape %x : tensor<?x2xf32> -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x3xf32>) {
  // expected-error@+1 {{'sinter.reshape' op expected the same number of elements, got 6 for 5}}
  %y = sinter.reshape %x : tensor<?x2x3xf32> -> tensor<?x5xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error@+1 {{'sinter.broadcast' op expected an operand that stretches to the result, got 'tensor<2xf32>' to 'tensor<?x3xf32>'}}
  %y = sinter.broadcast %x : tensor<2xf32> -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x1xf32>) {
  // expected-error@+1 {{'sinter.broadcast' op expected a batched operand to keep its layout, got 'tensor<?x1xf32>' to 'tensor<?x3xf32, #sinter.batch_minor>'}}
  %y = sinter.broadcast %x : tensor<?x1xf32> -> tensor<?x3xf32, #sinter.batch_minor>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error@+2 {{'sinter.pad' op expected a batched tensor, got 'tensor<2x3xf32>'}}
  // expected-error@+1 {{'sinter.pad' op failed to infer returned types}}
  %y = sinter.pad %x axis 1 low 1 high 1 : (tensor<2x3xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>) {
  // expected-error@+2 {{'sinter.pad' op expected a padded size below 2^63, got 0 + 3 + 9223372036854775807}}
  // expected-error@+1 {{'sinter.pad' op failed to infer returned types}}
  %y = sinter.pad %x axis 1 low 0 high 9223372036854775807 : (tensor<?x3xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>) {
  // expected-error@+2 {{'sinter.slice' op expected a feature axis in 1 .. 1, got 2}}
  // expected-error@+1 {{'sinter.slice' op failed to infer returned types}}
  %y = sinter.slice %x axis 2 from 0 size 1 : (tensor<?x3xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>) {
  // expected-error@+2 {{'sinter.slice' op expected a slice within 3 elements, got 2 from 2}}
  // expected-error@+1 {{'sinter.slice' op failed to infer returned types}}
  %y = sinter.slice %x axis 1 from 2 size 2 : (tensor<?x3xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>) {
  // expected-error@+2 {{'sinter.slice' op expected a slice within 3 elements, got 1 from 9223372036854775807}}
  // expected-error@+1 {{'sinter.slice' op failed to infer returned types}}
  %y = sinter.slice %x axis 1 from 9223372036854775807 size 1 : (tensor<?x3xf32>) -> tensor<?x1xf32>
  return
}

// -----

func.func @f() {
  // expected-error@+2 {{'sinter.concatenate' op expected at least one input, got none}}
  // expected-error@+1 {{'sinter.concatenate' op failed to infer returned types}}
  %y = "sinter.concatenate"() <{axis = 1 : i64}> : () -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%a: tensor<?x2x3xf32>, %b: tensor<?x3x3xf32>) {
  // expected-error@+2 {{'sinter.concatenate' op expected inputs that differ along axis 2 only, got 'tensor<?x2x3xf32>' and 'tensor<?x3x3xf32>'}}
  // expected-error@+1 {{'sinter.concatenate' op failed to infer returned types}}
  %y = sinter.concatenate %a, %b axis 2 : (tensor<?x2x3xf32>, tensor<?x3x3xf32>) -> tensor<?x2x6xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error@+1 {{'sinter.relayout' op expected one batched shape, got 'tensor<2xf32>' to 'tensor<2xf32, #sinter.batch_minor>'}}
  %y = sinter.relayout %x : tensor<2xf32> -> tensor<2xf32, #sinter.batch_minor>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>) {
  // expected-error@+1 {{'sinter.relayout' op expected two layouts, got 'tensor<?x2xf32>' to 'tensor<?x2xf32>'}}
  %y = sinter.relayout %x : tensor<?x2xf32> -> tensor<?x2xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Reductions, contractions, losses
//===----------------------------------------------------------------------===//

func.func @f(%x: tensor<?x2x3xf32>) {
  // expected-error@+2 {{'sinter.reduce_sum' op expected ascending axes in 0 .. 2, got [2, 1]}}
  // expected-error@+1 {{'sinter.reduce_sum' op failed to infer returned types}}
  %y = sinter.reduce_sum %x axes [2, 1] : (tensor<?x2x3xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>) {
  // expected-error@+2 {{'sinter.reduce_sum' op expected ascending axes in 0 .. 1, got []}}
  // expected-error@+1 {{'sinter.reduce_sum' op failed to infer returned types}}
  %y = sinter.reduce_sum %x axes [] : (tensor<?x2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x3xf32>) {
  // expected-error@+2 {{'sinter.reduce_sum' op expected the batch to be summed alone or with the axes next to it, and dropped, got axes [0, 2]}}
  // expected-error@+1 {{'sinter.reduce_sum' op failed to infer returned types}}
  %y = sinter.reduce_sum %x axes [0, 2] : (tensor<?x2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>) {
  // expected-error@+2 {{'sinter.reduce_sum' op expected the batch to be summed alone or with the axes next to it, and dropped, got axes [0] with keep_dims}}
  // expected-error@+1 {{'sinter.reduce_sum' op failed to infer returned types}}
  %y = sinter.reduce_sum %x axes [0] keep_dims : (tensor<?x2xf32>) -> tensor<1x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>) {
  // expected-error@+2 {{'sinter.reduce_max' op expected feature axes, got the batch}}
  // expected-error@+1 {{'sinter.reduce_max' op failed to infer returned types}}
  %y = sinter.reduce_max %x axes [0] : (tensor<?x2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<?xf32>) {
  // expected-error@+2 {{'sinter.argmax' op expected a feature axis, got 'tensor<?xf32>'}}
  // expected-error@+1 {{'sinter.argmax' op failed to infer returned types}}
  %y = sinter.argmax %x : (tensor<?xf32>) -> tensor<i32>
  return
}

// -----

func.func @f(%a: tensor<?x2xf32>, %b: tensor<3x4xf32>) {
  // expected-error@+2 {{'sinter.matmul' op expected the right operand to have as many rows as the left has columns, got 'tensor<3x4xf32>' for 'tensor<?x2xf32>'}}
  // expected-error@+1 {{'sinter.matmul' op failed to infer returned types}}
  %y = sinter.matmul %a, %b : (tensor<?x2xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @f(%a: tensor<4x2xf32>, %b: tensor<4x3xf32>) {
  // expected-error@+2 {{'sinter.matmul' op expected the right operand to have as many rows as the left has columns, got 'tensor<4x3xf32>' transposed for 'tensor<4x2xf32>' transposed}}
  // expected-error@+1 {{'sinter.matmul' op failed to infer returned types}}
  %y = sinter.matmul %a transposed, %b transposed : (tensor<4x2xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%a: tensor<2x3xf32>, %b: tensor<?x3xf32>) {
  // expected-error@+2 {{'sinter.matmul' op expected the batch as rows of the left operand or contracted away, got 'tensor<2x3xf32>' and 'tensor<?x3xf32>'}}
  // expected-error@+1 {{'sinter.matmul' op failed to infer returned types}}
  %y = sinter.matmul %a, %b transposed : (tensor<2x3xf32>, tensor<?x3xf32>) -> tensor<2x?xf32>
  return
}

// -----

func.func @f(%a: tensor<?x2x3xf32>, %b: tensor<3x4xf32>) {
  // expected-error@+1 {{'sinter.matmul' op operand #0 must be 2D tensor of 32-bit float values, but got 'tensor<?x2x3xf32>'}}
  %y = sinter.matmul %a, %b : (tensor<?x2x3xf32>, tensor<3x4xf32>) -> tensor<?x2x4xf32>
  return
}

// -----

func.func @f(%a: tensor<?x2x3xf32>, %b: tensor<?x4x5xf32>) {
  // expected-error@+2 {{'sinter.batch_matmul' op expected the right matrices to have as many rows as the left ones have columns, got 'tensor<?x4x5xf32>' for 'tensor<?x2x3xf32>'}}
  // expected-error@+1 {{'sinter.batch_matmul' op failed to infer returned types}}
  %y = sinter.batch_matmul %a, %b : (tensor<?x2x3xf32>, tensor<?x4x5xf32>) -> tensor<?x2x5xf32>
  return
}

// -----

func.func @f(%a: tensor<?x2x3xf32>, %b: tensor<3x5xf32>) {
  // expected-error@+2 {{'sinter.batch_matmul' op expected two batched tensors of one rank of at least 3 and one layout, got 'tensor<?x2x3xf32>' and 'tensor<3x5xf32>'}}
  // expected-error@+1 {{'sinter.batch_matmul' op failed to infer returned types}}
  %y = sinter.batch_matmul %a, %b : (tensor<?x2x3xf32>, tensor<3x5xf32>) -> tensor<?x2x5xf32>
  return
}

// -----

func.func @f(%a: tensor<?x2xf32>, %b: tensor<?x2xf32>) {
  // expected-error@+2 {{'sinter.batch_matmul' op expected two batched tensors of one rank of at least 3 and one layout, got 'tensor<?x2xf32>' and 'tensor<?x2xf32>'}}
  // expected-error@+1 {{'sinter.batch_matmul' op failed to infer returned types}}
  %y = sinter.batch_matmul %a, %b : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%a: tensor<?x2x2x3xf32>, %b: tensor<?x3x3x5xf32>) {
  // expected-error@+2 {{'sinter.batch_matmul' op expected axes before the matrices that broadcast, got 'tensor<?x2x2x3xf32>' and 'tensor<?x3x3x5xf32>'}}
  // expected-error@+1 {{'sinter.batch_matmul' op failed to infer returned types}}
  %y = sinter.batch_matmul %a, %b : (tensor<?x2x2x3xf32>, tensor<?x3x3x5xf32>) -> tensor<?x2x2x5xf32>
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{'sinter.iota' op expected an axis of a static tensor, got axis 2 of 'tensor<2x3xf32>'}}
  %y = sinter.iota axis 2 : tensor<2x3xf32>
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{'sinter.iota' op expected an axis of a static tensor, got axis 1 of 'tensor<?x2xf32>'}}
  %y = sinter.iota axis 1 : tensor<?x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?xf32>) {
  // expected-error@+1 {{'sinter.softmax' op expected a feature axis, got 'tensor<?xf32>'}}
  %y = sinter.softmax %x : tensor<?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>, %t: tensor<?x3xf32>) {
  // expected-error@+2 {{'sinter.softmax_cross_entropy' op expected targets of the logits' shape, got 'tensor<?x3xf32>' for 'tensor<?x2xf32>'}}
  // expected-error@+1 {{'sinter.softmax_cross_entropy' op failed to infer returned types}}
  %y = sinter.softmax_cross_entropy %x, %t : (tensor<?x2xf32>, tensor<?x3xf32>) -> tensor<?xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Windows over images
//===----------------------------------------------------------------------===//

func.func @f(%x: tensor<?x5x5x4xf32>, %w: tensor<3x3x4x8xf32>) {
  // expected-error@+2 {{'sinter.conv2d' op expected 2 strides of at least 1, got [0, 1]}}
  // expected-error@+1 {{'sinter.conv2d' op failed to infer returned types}}
  %y = sinter.conv2d %x, %w strides [0, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<3x3x4x8xf32>) -> tensor<?x3x3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %w: tensor<3x3x4x8xf32>) {
  // expected-error@+2 {{'sinter.conv2d' op expected 2 dilations of at least 1, got [1]}}
  // expected-error@+1 {{'sinter.conv2d' op failed to infer returned types}}
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [1] padding [0, 0, 0, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<3x3x4x8xf32>) -> tensor<?x3x3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %w: tensor<3x3x4x8xf32>) {
  // expected-error@+2 {{'sinter.conv2d' op expected 4 paddings of at least 0, got [0, 0, -1, 0]}}
  // expected-error@+1 {{'sinter.conv2d' op failed to infer returned types}}
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [0, 0, -1, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<3x3x4x8xf32>) -> tensor<?x3x3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %w: tensor<3x3x3x8xf32>) {
  // expected-error@+2 {{'sinter.conv2d' op expected an image of 3 channels for each of 1 groups, and filters in whole groups, got 4 channels and 8 filters}}
  // expected-error@+1 {{'sinter.conv2d' op failed to infer returned types}}
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<3x3x3x8xf32>) -> tensor<?x3x3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %w: tensor<3x3x2x7xf32>) {
  // expected-error@+2 {{'sinter.conv2d' op expected an image of 2 channels for each of 2 groups, and filters in whole groups, got 4 channels and 7 filters}}
  // expected-error@+1 {{'sinter.conv2d' op failed to infer returned types}}
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 2 : (tensor<?x5x5x4xf32>, tensor<3x3x2x7xf32>) -> tensor<?x3x3x7xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %w: tensor<3x3x4x8xf32>) {
  // expected-error@+2 {{'sinter.conv2d' op expected a window within the padded image, got a reach of 7 over 6 pixels}}
  // expected-error@+1 {{'sinter.conv2d' op failed to infer returned types}}
  %y = sinter.conv2d %x, %w strides [1, 1] dilations [3, 1] padding [1, 0, 0, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<3x3x4x8xf32>) -> tensor<?x3x3x8xf32>
  return
}

// -----

func.func @f(%w: tensor<5x5x4x8xf32>) {
  // expected-error@+2 {{'sinter.winograd_filter' op expected filters of 3 x 3 taps, got 'tensor<5x5x4x8xf32>'}}
  // expected-error@+1 {{'sinter.winograd_filter' op failed to infer returned types}}
  %u = sinter.winograd_filter %w tile 2 : (tensor<5x5x4x8xf32>) -> tensor<4x4x4x8xf32>
  return
}

// -----

func.func @f(%w: tensor<3x3x4x8xf32>) {
  // expected-error@+2 {{'sinter.winograd_filter' op expected tiles of 2 or 4, got 3}}
  // expected-error@+1 {{'sinter.winograd_filter' op failed to infer returned types}}
  %u = sinter.winograd_filter %w tile 3 : (tensor<3x3x4x8xf32>) -> tensor<5x5x4x8xf32>
  return
}

// -----

func.func @f(%w: tensor<3x3x4x24xf32>) {
  // expected-error@+2 {{'sinter.winograd_filter' op expected a multiple of 16 filters, got 'tensor<4x4x4x24xf32>'}}
  // expected-error@+1 {{'sinter.winograd_filter' op failed to infer returned types}}
  %u = sinter.winograd_filter %w tile 2 blocked : (tensor<3x3x4x24xf32>) -> tensor<4x4x4x24xf32, #sinter.filter_blocks>
  return
}

// -----

func.func @f(%u: tensor<3x3x4x8xf32>) {
  // expected-error@+2 {{'sinter.winograd_filter_adjoint' op expected filters of 4 x 4 or 6 x 6 taps, got 'tensor<3x3x4x8xf32>'}}
  // expected-error@+1 {{'sinter.winograd_filter_adjoint' op failed to infer returned types}}
  %w = sinter.winograd_filter_adjoint %u : (tensor<3x3x4x8xf32>) -> tensor<3x3x4x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %u: tensor<4x4x4x8xf32>) {
  // expected-error@+2 {{'sinter.winograd_conv2d' op expected paddings of at most 2, got [0, 0, 3, 0]}}
  // expected-error@+1 {{'sinter.winograd_conv2d' op failed to infer returned types}}
  %y = sinter.winograd_conv2d %x, %u padding [0, 0, 3, 0] : (tensor<?x5x5x4xf32>, tensor<4x4x4x8xf32>) -> tensor<?x3x6x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %u: tensor<4x4x8x4xf32>) {
  // expected-error@+2 {{'sinter.winograd_conv2d' op expected an image of 8 channels, got 4}}
  // expected-error@+1 {{'sinter.winograd_conv2d' op failed to infer returned types}}
  %y = sinter.winograd_conv2d %x, %u padding [0, 0, 0, 0] : (tensor<?x5x5x4xf32>, tensor<4x4x8x4xf32>) -> tensor<?x3x3x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %d: tensor<?x5x5x8xf32>) {
  // expected-error@+2 {{'sinter.winograd_filter_gradient' op expected results of 3 x 3 pixels, got 5 x 5}}
  // expected-error@+1 {{'sinter.winograd_filter_gradient' op failed to infer returned types}}
  %u = sinter.winograd_filter_gradient %x, %d tile 2 padding [0, 0, 0, 0] : (tensor<?x5x5x4xf32>, tensor<?x5x5x8xf32>) -> tensor<4x4x4x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %w: tensor<2x2x3x4xf32>) {
  // expected-error@+2 {{'sinter.conv2d_transpose' op expected results of 6 x 5 pixels, got 5 x 5}}
  // expected-error@+1 {{'sinter.conv2d_transpose' op failed to infer returned types}}
  %y = sinter.conv2d_transpose %x, %w size [12, 10] strides [2, 2] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<2x2x3x4xf32>) -> tensor<?x12x10x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %w: tensor<2x2x3x5xf32>) {
  // expected-error@+2 {{'sinter.conv2d_transpose' op expected an image with a channel for each of 5 filters, in 1 whole groups, got 4}}
  // expected-error@+1 {{'sinter.conv2d_transpose' op failed to infer returned types}}
  %y = sinter.conv2d_transpose %x, %w size [10, 10] strides [2, 2] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<2x2x3x5xf32>) -> tensor<?x10x10x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %w: tensor<2x2x3x4xf32>) {
  // expected-error@+2 {{'sinter.conv2d_transpose' op expected 2 sizes of at least 1, got [10]}}
  // expected-error@+1 {{'sinter.conv2d_transpose' op failed to infer returned types}}
  %y = sinter.conv2d_transpose %x, %w size [10] strides [2, 2] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<2x2x3x4xf32>) -> tensor<?x10x10x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %d: tensor<?x3x3x8xf32>) {
  // expected-error@+2 {{'sinter.conv2d_filter_gradient' op expected results of 4 x 4 pixels, got 3 x 3}}
  // expected-error@+1 {{'sinter.conv2d_filter_gradient' op failed to infer returned types}}
  %y = sinter.conv2d_filter_gradient %x, %d size [2, 2] strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<?x3x3x8xf32>) -> tensor<2x2x4x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %d: tensor<?x3x3x7xf32>) {
  // expected-error@+2 {{'sinter.conv2d_filter_gradient' op expected channels and filters in 2 whole groups, got 4 and 7}}
  // expected-error@+1 {{'sinter.conv2d_filter_gradient' op failed to infer returned types}}
  %y = sinter.conv2d_filter_gradient %x, %d size [3, 3] strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 2 : (tensor<?x5x5x4xf32>, tensor<?x3x3x7xf32>) -> tensor<3x3x2x7xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %d: tensor<2x3x3x8xf32>) {
  // expected-error@+2 {{'sinter.conv2d_filter_gradient' op expected one batch, got 'tensor<?x5x5x4xf32>' and 'tensor<2x3x3x8xf32>'}}
  // expected-error@+1 {{'sinter.conv2d_filter_gradient' op failed to infer returned types}}
  %y = sinter.conv2d_filter_gradient %x, %d size [3, 3] strides [1, 1] dilations [1, 1] padding [0, 0, 0, 0] groups 1 : (tensor<?x5x5x4xf32>, tensor<2x3x3x8xf32>) -> tensor<3x3x4x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>) {
  // expected-error@+2 {{'sinter.max_pool2d' op expected 2 window sizes of at least 1, got [2, 0]}}
  // expected-error@+1 {{'sinter.max_pool2d' op failed to infer returned types}}
  %y = sinter.max_pool2d %x window [2, 0] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x5x5x4xf32>) -> tensor<?x2x2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>) {
  // expected-error@+2 {{'sinter.max_pool2d' op expected a window within the padded image, got a reach of 6 over 5 pixels}}
  // expected-error@+1 {{'sinter.max_pool2d' op failed to infer returned types}}
  %y = sinter.max_pool2d %x window [6, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x5x5x4xf32>) -> tensor<?x2x2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>) {
  // expected-error@+2 {{'sinter.max_pool2d' op expected pooling windows that reach into the image, got padding 2 for 2 taps}}
  // expected-error@+1 {{'sinter.max_pool2d' op failed to infer returned types}}
  %y = sinter.max_pool2d %x window [2, 2] strides [2, 2] padding [0, 2, 0, 0] : (tensor<?x5x5x4xf32>) -> tensor<?x3x2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %d: tensor<?x2x2x3xf32>) {
  // expected-error@+2 {{'sinter.max_pool2d_gradient' op expected one batch and equal channels, got 'tensor<?x5x5x4xf32>' and 'tensor<?x2x2x3xf32>'}}
  // expected-error@+1 {{'sinter.max_pool2d_gradient' op failed to infer returned types}}
  %y = sinter.max_pool2d_gradient %x, %d window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x5x5x4xf32>, tensor<?x2x2x3xf32>) -> tensor<?x5x5x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %y: tensor<?x5x5x3xf32>) {
  // expected-error@+2 {{'sinter.max_pool2d_gather' op expected images of one shape, got 'tensor<?x5x5x4xf32>' and 'tensor<?x5x5x3xf32>'}}
  // expected-error@+1 {{'sinter.max_pool2d_gather' op failed to infer returned types}}
  %z = sinter.max_pool2d_gather %x, %y window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x5x5x4xf32>, tensor<?x5x5x3xf32>) -> tensor<?x2x2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>, %d: tensor<?x3x2x4xf32>) {
  // expected-error@+2 {{'sinter.max_pool2d_gradient' op expected results of 2 x 2 pixels, got 3 x 2}}
  // expected-error@+1 {{'sinter.max_pool2d_gradient' op failed to infer returned types}}
  %y = sinter.max_pool2d_gradient %x, %d window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x5x5x4xf32>, tensor<?x3x2x4xf32>) -> tensor<?x5x5x4xf32>
  return
}

// -----

func.func @f(%x: tensor<3xf32>, %t: tensor<4x2xf32>) {
  // expected-error@+2 {{'sinter.embedding' op expected a batch of indices and a table, got 'tensor<3xf32>' and 'tensor<4x2xf32>'}}
  // expected-error@+1 {{'sinter.embedding' op failed to infer returned types}}
  %y = sinter.embedding %x, %t : (tensor<3xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>, %t: tensor<16777217x1xf32>) {
  // expected-error@+2 {{'sinter.embedding' op expected at most 2^24 rows, got 16777217}}
  // expected-error@+1 {{'sinter.embedding' op failed to infer returned types}}
  %y = sinter.embedding %x, %t : (tensor<?x3xf32>, tensor<16777217x1xf32>) -> tensor<?x3x1xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>, %t: tensor<4x2xf32>) {
  // expected-error@+2 {{'sinter.embedding' op inferred type(s) 'tensor<?x3x2xf32>' are incompatible with return type(s) of operation 'tensor<?x2xf32>'}}
  // expected-error@+1 {{'sinter.embedding' op failed to infer returned types}}
  %y = sinter.embedding %x, %t : (tensor<?x3xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>, %d: tensor<?x2x4xf32>) {
  // expected-error@+2 {{'sinter.embedding_gradient' op expected a batch of indices and a row for each, got 'tensor<?x3xf32>' and 'tensor<?x2x4xf32>'}}
  // expected-error@+1 {{'sinter.embedding_gradient' op failed to infer returned types}}
  %y = sinter.embedding_gradient %x, %d rows 5 : (tensor<?x3xf32>, tensor<?x2x4xf32>) -> tensor<5x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>) {
  // expected-error@+2 {{'sinter.avg_pool2d_gradient' op expected results of 2 x 2 pixels, got 5 x 5}}
  // expected-error@+1 {{'sinter.avg_pool2d_gradient' op failed to infer returned types}}
  %y = sinter.avg_pool2d_gradient %x size [5, 5] window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x5x5x4xf32>) -> tensor<?x5x5x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>) {
  // expected-error@+2 {{'sinter.upsample' op expected 2 factors of at least 1, got [2, 0]}}
  // expected-error@+1 {{'sinter.upsample' op failed to infer returned types}}
  %y = sinter.upsample %x factors [2, 0] : (tensor<?x5x5x4xf32>) -> tensor<?x5x5x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5x5x4xf32>) {
  // expected-error@+2 {{'sinter.transpose' op expected each axis of a batched tensor once, the batch first, got [1, 0, 2, 3] for 'tensor<?x5x5x4xf32>'}}
  // expected-error@+1 {{'sinter.transpose' op failed to infer returned types}}
  %y = sinter.transpose %x permutation [1, 0, 2, 3] : (tensor<?x5x5x4xf32>) -> tensor<?x5x5x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error@+2 {{'sinter.transpose' op expected each axis of a batched tensor once, the batch first, got [1, 1] for 'tensor<2x3xf32>'}}
  // expected-error@+1 {{'sinter.transpose' op failed to infer returned types}}
  %y = sinter.transpose %x permutation [1, 1] : (tensor<2x3xf32>) -> tensor<3x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %c: tensor<3xf32>) {
  // expected-error@+2 {{'sinter.batch_norm' op expected a batched tensor with channels, got 'tensor<2x3xf32>'}}
  // expected-error@+1 {{'sinter.batch_norm' op failed to infer returned types}}
  %y = sinter.batch_norm %x, %c, %c, %c epsilon 1.0 : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>, %c: tensor<2xf32>) {
  // expected-error@+2 {{'sinter.batch_norm' op expected one element for each of 3 channels, got 'tensor<2xf32>'}}
  // expected-error@+1 {{'sinter.batch_norm' op failed to infer returned types}}
  %y = sinter.batch_norm %x, %c, %c, %c epsilon 1.0 : (tensor<?x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>, %c: tensor<3xf32>) {
  // expected-error@+2 {{'sinter.layer_norm' op expected a batched tensor with at least 2 feature axes, got 'tensor<?x3xf32>'}}
  // expected-error@+1 {{'sinter.layer_norm' op failed to infer returned types}}
  %y = sinter.layer_norm %x, %c, %c axes 2 epsilon 1.0 : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x3xf32>, %c: tensor<3xf32>) {
  // expected-error@+2 {{'sinter.layer_norm' op expected gamma and beta of the normalised axes' shape, got 'tensor<3xf32>' for 'tensor<?x2x3xf32>'}}
  // expected-error@+1 {{'sinter.layer_norm' op failed to infer returned types}}
  %y = sinter.layer_norm %x, %c, %c axes 2 epsilon 1.0 : (tensor<?x2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3xf32>) {
  // expected-error@+1 {{'sinter.spatial_dropout' op expected channels and a space before them, got 'tensor<?x3xf32>'}}
  %y = sinter.spatial_dropout %x stream 0 {rate = 0.5 : f32} : tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x3xf32>) {
  // expected-error@+1 {{'sinter.spatial_dropout' op expected a rate in [0, 1), got 1.000000e+00}}
  %y = sinter.spatial_dropout %x stream 0 {rate = 1.0 : f32} : tensor<?x2x3xf32>
  return
}

// -----

sinter.model @m batch_bound 4 {
  sinter.state frozen @mean : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state frozen @variance : tensor<3xf32> = constant(1.0, 0.0)
  func.func @f(%x: tensor<?x3xf32>, %c: tensor<3xf32>) {
    // expected-error@+1 {{'sinter.batch_normalization' op expected a momentum in [0, 1], got 1.500000e+00}}
    %y = sinter.batch_normalization %x, %c, %c moving @mean, @variance momentum 1.5 epsilon 1.0 : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  sinter.state frozen @mean : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state frozen @variance : tensor<3xf32> = constant(1.0, 0.0)
  func.func @f(%x: tensor<?x3xf32>, %c: tensor<3xf32>) {
    // expected-error@+1 {{'sinter.batch_normalization' op expected an epsilon above 0, got 0.000000e+00}}
    %y = sinter.batch_normalization %x, %c, %c moving @mean, @variance momentum 0.5 epsilon 0.0 : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  sinter.state frozen @mean : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state frozen @variance : tensor<3xf32> = constant(1.0, 0.0)
  func.func @f(%x: tensor<2x3xf32>, %c: tensor<3xf32>) {
    // expected-error@+1 {{'sinter.batch_normalization' op expected a batched tensor with channels, got 'tensor<2x3xf32>'}}
    %y = sinter.batch_normalization %x, %c, %c moving @mean, @variance momentum 0.5 epsilon 1.0 : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  sinter.state frozen @mean : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state frozen @variance : tensor<3xf32> = constant(1.0, 0.0)
  func.func @f(%x: tensor<?x3xf32>, %c: tensor<2xf32>) {
    // expected-error@+1 {{'sinter.batch_normalization' op expected one element for each of 3 channels, got 'tensor<2xf32>'}}
    %y = sinter.batch_normalization %x, %c, %c moving @mean, @variance momentum 0.5 epsilon 1.0 : (tensor<?x3xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x3xf32>
    return
  }
}

// -----

sinter.model @m batch_bound 4 {
  sinter.state frozen @mean : tensor<2xf32> = constant(0.0, 0.0)
  sinter.state frozen @variance : tensor<3xf32> = constant(1.0, 0.0)
  func.func @f(%x: tensor<?x3xf32>, %c: tensor<3xf32>) {
    // expected-error@+1 {{'sinter.batch_normalization' op expected a state of type 'tensor<3xf32>', got @mean}}
    %y = sinter.batch_normalization %x, %c, %c moving @mean, @variance momentum 0.5 epsilon 1.0 : (tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    return
  }
}
