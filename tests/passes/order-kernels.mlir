// RUN: sinter-opt %s --split-input-file --verify-diagnostics --sinter-order-kernels | FileCheck %s

// Both gradients first: 512 bytes. Each with its update behind it: 256.
// CHECK-LABEL: func.func @young(
// CHECK: sinter.kernel sweep "a"
// CHECK: sinter.kernel sweep "use a"
// CHECK: sinter.kernel sweep "b"
// CHECK: sinter.kernel sweep "use b"
sinter.model @m batch_bound 8 {
  sinter.state slot @s : tensor<64xf32> = constant(0.0, 0.0)
  sinter.state slot @t : tensor<64xf32> = constant(0.0, 0.0)
  func.func @young(%x: tensor<64xf32>) {
    %a = sinter.kernel sweep "a" -> tensor<64xf32> {
      %0 = sinter.exp %x : tensor<64xf32>
      sinter.yield %0 : tensor<64xf32>
    }
    %b = sinter.kernel sweep "b" -> tensor<64xf32> {
      %0 = sinter.tanh %x : tensor<64xf32>
      sinter.yield %0 : tensor<64xf32>
    }
    sinter.kernel sweep "use a" {
      sinter.write @s, %a : tensor<64xf32>
      sinter.yield
    }
    sinter.kernel sweep "use b" {
      sinter.write @t, %b : tensor<64xf32>
      sinter.yield
    }
    return
  }
}

// -----

// "use a" would free memory at once, but "reader" must see the old state, here
// through a view: it waits. What frees memory and may run does.
// CHECK-LABEL: func.func @reader_first(
// CHECK: sinter.kernel sweep "a"
// CHECK: sinter.kernel sweep "b"
// CHECK: sinter.kernel sweep "use b"
// CHECK: sinter.kernel sweep "reader"
// CHECK: sinter.kernel sweep "use a"
sinter.model @m batch_bound 8 {
  sinter.state slot @s : tensor<64xf32> = constant(0.0, 0.0)
  sinter.state slot @t : tensor<64xf32> = constant(0.0, 0.0)
  func.func @reader_first(%x: tensor<64xf32>) -> tensor<8x8xf32> {
    %s = sinter.read @s : tensor<64xf32>
    %v = sinter.reshape %s : tensor<64xf32> -> tensor<8x8xf32>
    %a = sinter.kernel sweep "a" -> tensor<64xf32> {
      %0 = sinter.exp %x : tensor<64xf32>
      sinter.yield %0 : tensor<64xf32>
    }
    %b = sinter.kernel sweep "b" -> tensor<64xf32> {
      %0 = sinter.tanh %x : tensor<64xf32>
      sinter.yield %0 : tensor<64xf32>
    }
    %r = sinter.kernel sweep "reader" -> tensor<8x8xf32> {
      %0 = sinter.exp %v : tensor<8x8xf32>
      sinter.yield %0 : tensor<8x8xf32>
    }
    %o = sinter.kernel sweep "use r" -> tensor<8x8xf32> {
      %0 = sinter.exp %r : tensor<8x8xf32>
      sinter.yield %0 : tensor<8x8xf32>
    }
    sinter.kernel sweep "use a" {
      sinter.write @s, %a : tensor<64xf32>
      sinter.yield
    }
    sinter.kernel sweep "use b" {
      sinter.write @t, %b : tensor<64xf32>
      sinter.yield
    }
    return %o : tensor<8x8xf32>
  }
}

// -----

// A view moves with what it shows, and keeps it alive for its readers.
// CHECK-LABEL: func.func @views(
// CHECK: sinter.kernel sweep "b"
// CHECK: sinter.kernel sweep "use b"
// CHECK: [[A:%.+]] = sinter.kernel sweep "a"
// CHECK: [[V:%.+]] = sinter.reshape [[A]]
// CHECK: sinter.kernel sweep "use a"
// CHECK: sinter.exp [[V]]
sinter.model @m batch_bound 8 {
  func.func @views(%x: tensor<64xf32>) -> (tensor<8x8xf32>, tensor<64xf32>) {
    %b = sinter.kernel sweep "b" -> tensor<64xf32> {
      %0 = sinter.tanh %x : tensor<64xf32>
      sinter.yield %0 : tensor<64xf32>
    }
    %a = sinter.kernel sweep "a" -> tensor<64xf32> {
      %0 = sinter.exp %x : tensor<64xf32>
      sinter.yield %0 : tensor<64xf32>
    }
    %v = sinter.reshape %a : tensor<64xf32> -> tensor<8x8xf32>
    %c = sinter.kernel sweep "use a" -> tensor<8x8xf32> {
      %0 = sinter.exp %v : tensor<8x8xf32>
      sinter.yield %0 : tensor<8x8xf32>
    }
    %d = sinter.kernel sweep "use b" -> tensor<64xf32> {
      %0 = sinter.exp %b : tensor<64xf32>
      sinter.yield %0 : tensor<64xf32>
    }
    return %c, %d : tensor<8x8xf32>, tensor<64xf32>
  }
}

// -----

// Nothing to gain: the order stays. Outputs take no arena memory.
// CHECK-LABEL: func.func @stays(
// CHECK: sinter.kernel sweep "first"
// CHECK: sinter.kernel sweep "second"
// CHECK: sinter.kernel sweep "third"
sinter.model @m batch_bound 8 {
  sinter.state slot @s : tensor<f32> = constant(0.0, 0.0)
  func.func @stays(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>) {
    %a = sinter.kernel sweep "first" -> tensor<64xf32> {
      %0 = sinter.exp %x : tensor<64xf32>
      sinter.yield %0 : tensor<64xf32>
    }
    %b = sinter.kernel sweep "second" -> tensor<64xf32> {
      %0 = sinter.tanh %a : tensor<64xf32>
      sinter.yield %0 : tensor<64xf32>
    }
    sinter.kernel sweep "third" {
      %0 = sinter.constant dense<1.0> : tensor<f32>
      sinter.write @s, %0 : tensor<f32>
      sinter.yield
    }
    return %a, %b : tensor<64xf32>, tensor<64xf32>
  }
}

// -----

// Each would have to see the other's state as it was.
sinter.model @m batch_bound 8 {
  sinter.state slot @s : tensor<64xf32> = constant(0.0, 0.0)
  sinter.state slot @t : tensor<64xf32> = constant(0.0, 0.0)
  // expected-error@+1 {{expected kernels in some order, got some that wait for each other}}
  func.func @swap() {
    sinter.kernel sweep "s" {
      %0 = sinter.read @t : tensor<64xf32>
      sinter.write @s, %0 : tensor<64xf32>
      sinter.yield
    }
    sinter.kernel sweep "t" {
      %0 = sinter.read @s : tensor<64xf32>
      sinter.write @t, %0 : tensor<64xf32>
      sinter.yield
    }
    return
  }
}
