// RUN: sinter-opt %s --split-input-file --verify-diagnostics --sinter-check-trainable | FileCheck %s

// Fine as it is: the frozen state and the state without a reader need no path;
// argmax depends on the input alone; the rounded branch reaches no output; what
// only decides between two values needs no gradient.
// CHECK-LABEL: sinter.model @fine
// CHECK: func.func @forward
sinter.model @fine batch_bound 8 attributes {loss = {name = "hinge"}, optimizer = {name = "sgd"}} {
  sinter.state parameter @w : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state frozen @f : tensor<4xf32> = constant(0.0, 0.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4xf32>
    %sign = sinter.sign %x : tensor<?x4xf32>
    %m = sinter.mul %sign, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    %y = sinter.dropout %m stream 0 {rate = 0.5 : f32} : tensor<?x4xf32>
    %dead = sinter.floor %m : tensor<?x4xf32>
    %decides = sinter.greater %y, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    %chosen = sinter.select %decides, %y, %x : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %chosen : tensor<?x4xf32>
  }
}

// -----

// Everything at once: two ops without a gradient, a parameter that nothing
// reads, and one that reaches no output.
sinter.model @m batch_bound 8 attributes {loss = {name = "hinge"}, optimizer = {name = "sgd"}} {
  sinter.state parameter @w : tensor<4xf32> = constant(0.0, 0.0)
  // expected-error@+1 {{expected every trainable parameter to reach the output; @unread does not}}
  sinter.state parameter @unread : tensor<4xf32> = constant(0.0, 0.0)
  // expected-error@+1 {{expected every trainable parameter to reach the output; @dead does not}}
  sinter.state parameter @dead : tensor<4xf32> = constant(0.0, 0.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4xf32>
    %dead = sinter.read @dead : tensor<4xf32>
    %d = sinter.mul %x, %dead : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    %m = sinter.mul %x, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    // expected-error@+1 {{expected an op with a gradient between a trainable parameter and the output, got 'sinter.floor'}}
    %f = sinter.floor %m : tensor<?x4xf32>
    // expected-error@+1 {{expected an op with a gradient between a trainable parameter and the output, got 'sinter.sign'}}
    %y = sinter.sign %f : tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// An op that declares to have no gradient.
sinter.model @m batch_bound 8 attributes {loss = {name = "hinge"}, optimizer = {name = "sgd"}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  func.func @forward(%x: tensor<?x4x4x3xf32>, %d: tensor<?x2x2x3xf32>) -> tensor<?x4x4x3xf32> {
    %w = sinter.read @w : tensor<3xf32>
    %m = sinter.mul %x, %w : (tensor<?x4x4x3xf32>, tensor<3xf32>) -> tensor<?x4x4x3xf32>
    // expected-error@+1 {{expected an op with a gradient between a trainable parameter and the output, got 'sinter.max_pool2d_gradient'}}
    %y = sinter.max_pool2d_gradient %m, %d window [2, 2] strides [2, 2] padding [0, 0, 0, 0] : (tensor<?x4x4x3xf32>, tensor<?x2x2x3xf32>) -> tensor<?x4x4x3xf32>
    return %y : tensor<?x4x4x3xf32>
  }
}

// -----

// expected-error@+1 {{expected at least one trainable parameter, got none}}
sinter.model @m batch_bound 8 attributes {loss = {name = "hinge"}, optimizer = {name = "sgd"}} {
  sinter.state frozen @w : tensor<4xf32> = constant(0.0, 0.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4xf32>
    %y = sinter.mul %x, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// expected-warning@+1 {{a loss without an optimizer: the model can be evaluated, not trained}}
sinter.model @m batch_bound 8 attributes {loss = {name = "hinge"}} {
  sinter.state parameter @unread : tensor<4xf32> = constant(0.0, 0.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    return %x : tensor<?x4xf32>
  }
}

// -----

sinter.model @m batch_bound 8 attributes {loss = {name = "hinge"}, optimizer = {name = "sgd"}} {
  sinter.state parameter @w : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state parameter @t : tensor<3x2xf32> = constant(0.0, 0.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4x2xf32> {
    %w = sinter.read @w : tensor<4xf32>
    %t = sinter.read @t : tensor<3x2xf32>
    %i = sinter.mul %x, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    // expected-error@+1 {{expected indices that no trainable parameter makes: no gradient flows to them}}
    %y = sinter.embedding %i, %t : (tensor<?x4xf32>, tensor<3x2xf32>) -> tensor<?x4x2xf32>
    return %y : tensor<?x4x2xf32>
  }
}

// -----

// A model for inference need not train: no loss, no complaint.
sinter.model @m batch_bound 8 {
  sinter.state parameter @unread : tensor<4xf32> = constant(0.0, 0.0)
  func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %y = sinter.floor %x : tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}
