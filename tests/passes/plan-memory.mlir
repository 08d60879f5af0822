// RUN: sinter-opt %s --split-input-file --sinter-plan-memory | FileCheck %s

// Offsets, arena bytes, and the lower bound that they meet here. Kernels are
// written out: what fusion makes is tested with fusion.

// An element is read, then written: each kernel writes over its operand. Samples
// are padded to 16: 4 * 16 * 4 bytes. The output is the caller's.
// CHECK-LABEL: func.func @chain(
// CHECK-SAME: sinter.arena_bytes = 256 : i64, sinter.arena_lower_bound = 256 : i64
// CHECK: "make" -> {{.*}} {offsets = array<i64: 0>}
// CHECK: "b" -> {{.*}} {offsets = array<i64: 0>}
// CHECK: "c" -> {{.*}} {offsets = array<i64: 0>}
// CHECK: "out" -> {{.*}} {offsets = array<i64: -1>}
!v = tensor<?x4xf32, #sinter.batch_minor>
sinter.model @m batch_bound 16 {
  func.func @chain(%in: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %x = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x4xf32> -> !v
      sinter.yield %0 : !v
    }
    %b = sinter.kernel sweep "b" -> !v {
      %0 = sinter.exp %x : !v
      sinter.yield %0 : !v
    }
    %c = sinter.kernel sweep "c" -> !v {
      %0 = sinter.tanh %b : !v
      %1 = sinter.mul %0, %b : (!v, !v) -> !v
      sinter.yield %1 : !v
    }
    %out = sinter.kernel relayout "out" -> tensor<?x4xf32> {
      %0 = sinter.relayout %c : !v -> tensor<?x4xf32>
      sinter.yield %0 : tensor<?x4xf32>
    }
    return %out : tensor<?x4xf32>
  }
}

// -----

// A softmax reads everything of a sample before it writes: in place as well.
// CHECK-LABEL: func.func @reduction(
// CHECK-SAME: sinter.arena_bytes = 256 : i64, sinter.arena_lower_bound = 256 : i64
// CHECK: "softmax" -> {{.*}} {offsets = array<i64: 0>}
!v = tensor<?x4xf32, #sinter.batch_minor>
!c = tensor<?x1xf32, #sinter.batch_minor>
sinter.model @m batch_bound 16 {
  func.func @reduction(%in: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %x = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x4xf32> -> !v
      sinter.yield %0 : !v
    }
    %b = sinter.kernel sweep "softmax" -> !v {
      %0 = sinter.exp %x : !v
      %1 = sinter.reduce_sum %0 axes [1] keep_dims : (!v) -> !c
      %2 = sinter.div %0, %1 : (!v, !c) -> !v
      sinter.yield %2 : !v
    }
    %out = sinter.kernel relayout "out" -> tensor<?x4xf32> {
      %0 = sinter.relayout %b : !v -> tensor<?x4xf32>
      sinter.yield %0 : tensor<?x4xf32>
    }
    return %out : tensor<?x4xf32>
  }
}

// -----

// Not in place: a matmul reads all of its operand for each element.
// CHECK-LABEL: func.func @contraction(
// CHECK-SAME: sinter.arena_bytes = 512 : i64, sinter.arena_lower_bound = 512 : i64
// CHECK: "make" -> {{.*}} {offsets = array<i64: [[#X:]]>}
// CHECK: "matmul" -> {{.*}} {offsets = array<i64: [[#sub(256,X)]]>}
!v = tensor<?x4xf32, #sinter.batch_minor>
sinter.model @m batch_bound 16 {
  sinter.state parameter @w : tensor<4x4xf32> = constant(0.0, 0.0)
  func.func @contraction(%in: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %x = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x4xf32> -> !v
      sinter.yield %0 : !v
    }
    %b = sinter.kernel matmul "matmul" -> !v {
      %w = sinter.read @w : tensor<4x4xf32>
      %0 = sinter.matmul %x, %w : (!v, tensor<4x4xf32>) -> !v
      %1 = sinter.mul %0, %0 : (!v, !v) -> !v
      sinter.yield %1 : !v
    }
    %out = sinter.kernel relayout "out" -> tensor<?x4xf32> {
      %0 = sinter.relayout %b : !v -> tensor<?x4xf32>
      sinter.yield %0 : tensor<?x4xf32>
    }
    return %out : tensor<?x4xf32>
  }
}

// -----

// Not in place: the slice makes element 2 of the exponential again at each
// element, after the operand's element 2 would have been written over.
// CHECK-LABEL: func.func @other_element(
// CHECK-SAME: sinter.arena_bytes = 512 : i64, sinter.arena_lower_bound = 512 : i64
// CHECK: "make" -> {{.*}} {offsets = array<i64: [[#X:]]>}
// CHECK: "b" -> {{.*}} {offsets = array<i64: [[#sub(256,X)]]>}
!v = tensor<?x4xf32, #sinter.batch_minor>
!c = tensor<?x1xf32, #sinter.batch_minor>
sinter.model @m batch_bound 16 {
  func.func @other_element(%in: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %x = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x4xf32> -> !v
      sinter.yield %0 : !v
    }
    %b = sinter.kernel sweep "b" -> !v {
      %0 = sinter.exp %x : !v
      %1 = sinter.slice %0 axis 1 from 2 size 1 : (!v) -> !c
      %2 = sinter.mul %0, %1 : (!v, !c) -> !v
      sinter.yield %2 : !v
    }
    %out = sinter.kernel relayout "out" -> tensor<?x4xf32> {
      %0 = sinter.relayout %b : !v -> tensor<?x4xf32>
      sinter.yield %0 : tensor<?x4xf32>
    }
    return %out : tensor<?x4xf32>
  }
}

// -----

// Not in place: windows reach for pixels that would have been written over,
// whether the kernel reads them or makes them again.
// CHECK-LABEL: func.func @windows(
// CHECK-SAME: sinter.arena_bytes = 1152 : i64, sinter.arena_lower_bound = 1152 : i64
// CHECK: "make" -> {{.*}} {offsets = array<i64: [[#X:]]>}
// CHECK: "read" -> {{.*}} {offsets = array<i64: [[#sub(576,X)]]>}
// CHECK: "again" -> {{.*}} {offsets = array<i64: [[#X]]>}
!v = tensor<?x3x3x1xf32, #sinter.batch_minor>
sinter.model @m batch_bound 16 {
  func.func @windows(%in: tensor<?x3x3x1xf32>) -> tensor<?x3x3x1xf32> {
    %x = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x3x3x1xf32> -> !v
      sinter.yield %0 : !v
    }
    %b = sinter.kernel sweep "read" -> !v {
      %0 = sinter.avg_pool2d %x window [3, 3] strides [1, 1] padding [1, 1, 1, 1] : (!v) -> !v
      sinter.yield %0 : !v
    }
    %c = sinter.kernel sweep "again" -> !v {
      %0 = sinter.neg %b : !v
      %1 = sinter.avg_pool2d %0 window [2, 2] strides [1, 1] padding [1, 0, 1, 0] : (!v) -> !v
      sinter.yield %1 : !v
    }
    %out = sinter.kernel relayout "out" -> tensor<?x3x3x1xf32> {
      %0 = sinter.relayout %c : !v -> tensor<?x3x3x1xf32>
      sinter.yield %0 : tensor<?x3x3x1xf32>
    }
    return %out : tensor<?x3x3x1xf32>
  }
}

// -----

// Not in place: the operand has a reader behind.
// CHECK-LABEL: func.func @still_read(
// CHECK-SAME: sinter.arena_bytes = 512 : i64, sinter.arena_lower_bound = 512 : i64
// CHECK: "make" -> {{.*}} {offsets = array<i64: [[#X:]]>}
// CHECK: "b" -> {{.*}} {offsets = array<i64: [[#sub(256,X)]]>}
// CHECK: "c" -> {{.*}} {offsets = array<i64: {{0|256}}>}
!v = tensor<?x4xf32, #sinter.batch_minor>
sinter.model @m batch_bound 16 {
  func.func @still_read(%in: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %x = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x4xf32> -> !v
      sinter.yield %0 : !v
    }
    %b = sinter.kernel sweep "b" -> !v {
      %0 = sinter.exp %x : !v
      sinter.yield %0 : !v
    }
    %c = sinter.kernel sweep "c" -> !v {
      %0 = sinter.mul %b, %x : (!v, !v) -> !v
      sinter.yield %0 : !v
    }
    %out = sinter.kernel relayout "out" -> tensor<?x4xf32> {
      %0 = sinter.relayout %c : !v -> tensor<?x4xf32>
      sinter.yield %0 : tensor<?x4xf32>
    }
    return %out : tensor<?x4xf32>
  }
}

// -----

// Not in place: what lies outside of the inner loop may be stored before the
// inner loop reads. %c and %t take 64 bytes each.
// CHECK-LABEL: func.func @outer(
// CHECK-SAME: sinter.arena_bytes = 384 : i64, sinter.arena_lower_bound = 384 : i64
// CHECK: "column" -> {{.*}} {offsets = array<i64: [[#C:]]>}
// CHECK: "b" -> {{.*}} {offsets = array<i64: 0, [[#sub(576,C)]]>}
!v = tensor<?x4xf32, #sinter.batch_minor>
!c = tensor<?x1xf32, #sinter.batch_minor>
sinter.model @m batch_bound 16 {
  func.func @outer(%in: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %x = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x4xf32> -> !v
      sinter.yield %0 : !v
    }
    %c = sinter.kernel sweep "column" -> !c {
      %0 = sinter.reduce_sum %x axes [1] keep_dims : (!v) -> !c
      sinter.yield %0 : !c
    }
    %b:2 = sinter.kernel sweep "b" -> !v, !c {
      %0 = sinter.exp %c : !c
      %1 = sinter.mul %x, %0 : (!v, !c) -> !v
      %2 = sinter.tanh %c : !c
      sinter.yield %1, %2 : !v, !c
    }
    %d = sinter.kernel sweep "d" -> !v {
      %0 = sinter.mul %b#0, %b#1 : (!v, !c) -> !v
      sinter.yield %0 : !v
    }
    %out = sinter.kernel relayout "out" -> tensor<?x4xf32> {
      %0 = sinter.relayout %d : !v -> tensor<?x4xf32>
      sinter.yield %0 : tensor<?x4xf32>
    }
    return %out : tensor<?x4xf32>
  }
}

// -----

// Small batches are padded to 4 or 8 samples: 8 of 4 floats.
// CHECK-LABEL: func.func @small(
// CHECK-SAME: sinter.arena_bytes = 128 : i64
!v = tensor<?x4xf32, #sinter.batch_minor>
sinter.model @m batch_bound 5 {
  func.func @small(%in: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %x = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x4xf32> -> !v
      sinter.yield %0 : !v
    }
    %out = sinter.kernel relayout "out" -> tensor<?x4xf32> {
      %0 = sinter.relayout %x : !v -> tensor<?x4xf32>
      sinter.yield %0 : tensor<?x4xf32>
    }
    return %out : tensor<?x4xf32>
  }
}

// -----

// A view is another name for the same bytes: "b" writes over what it shows.
// CHECK-LABEL: func.func @views(
// CHECK-SAME: sinter.arena_bytes = 256 : i64, sinter.arena_lower_bound = 256 : i64
// CHECK: "make" -> {{.*}} {offsets = array<i64: 0>}
// CHECK: sinter.reshape
// CHECK: "b" -> {{.*}} {offsets = array<i64: 0>}
!v = tensor<?x4xf32, #sinter.batch_minor>
sinter.model @m batch_bound 16 {
  func.func @views(%in: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %x = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x4xf32> -> !v
      sinter.yield %0 : !v
    }
    %view = sinter.reshape %x : !v -> tensor<?x2x2xf32, #sinter.batch_minor>
    %b = sinter.kernel sweep "b" -> tensor<?x2x2xf32, #sinter.batch_minor> {
      %0 = sinter.exp %view : tensor<?x2x2xf32, #sinter.batch_minor>
      sinter.yield %0 : tensor<?x2x2xf32, #sinter.batch_minor>
    }
    %back = sinter.reshape %b : tensor<?x2x2xf32, #sinter.batch_minor> -> !v
    %out = sinter.kernel relayout "out" -> tensor<?x4xf32> {
      %0 = sinter.relayout %back : !v -> tensor<?x4xf32>
      sinter.yield %0 : tensor<?x4xf32>
    }
    return %out : tensor<?x4xf32>
  }
}

// -----

// Results of the function are numbered from -1 down, in its order, and take no
// arena memory even where other kernels read them.
// CHECK-LABEL: func.func @outputs(
// CHECK-SAME: sinter.arena_bytes = 0 : i64, sinter.arena_lower_bound = 0 : i64
// CHECK: "a" -> {{.*}} {offsets = array<i64: -2, -1>}
// CHECK: "b" -> {{.*}} {offsets = array<i64: -3>}
sinter.model @m batch_bound 16 {
  func.func @outputs(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) {
    %a:2 = sinter.kernel sweep "a" -> tensor<8xf32>, tensor<8xf32> {
      %0 = sinter.exp %x : tensor<8xf32>
      %1 = sinter.tanh %x : tensor<8xf32>
      sinter.yield %0, %1 : tensor<8xf32>, tensor<8xf32>
    }
    %b = sinter.kernel sweep "b" -> tensor<8xf32> {
      %0 = sinter.exp %a#0 : tensor<8xf32>
      sinter.yield %0 : tensor<8xf32>
    }
    return %a#1, %a#0, %b : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  }
}

// -----

// Two results cannot take the place of one operand; sizes are rounded up to 64.
// CHECK-LABEL: func.func @two_results(
// CHECK-SAME: sinter.arena_bytes = 128 : i64, sinter.arena_lower_bound = 128 : i64
// CHECK: "a" -> {{.*}} {offsets = array<i64: [[#A:]]>}
// CHECK: "b" -> {{.*}} {offsets = array<i64: [[#A]], [[#sub(64,A)]]>}
sinter.model @m batch_bound 16 {
  func.func @two_results(%x: tensor<5xf32>) -> tensor<5xf32> {
    %a = sinter.kernel sweep "a" -> tensor<5xf32> {
      %0 = sinter.exp %x : tensor<5xf32>
      sinter.yield %0 : tensor<5xf32>
    }
    %b:2 = sinter.kernel sweep "b" -> tensor<5xf32>, tensor<5xf32> {
      %0 = sinter.exp %a : tensor<5xf32>
      %1 = sinter.tanh %a : tensor<5xf32>
      sinter.yield %0, %1 : tensor<5xf32>, tensor<5xf32>
    }
    %c = sinter.kernel sweep "c" -> tensor<5xf32> {
      %0 = sinter.mul %b#0, %b#1 : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xf32>
      sinter.yield %0 : tensor<5xf32>
    }
    return %c : tensor<5xf32>
  }
}

// -----

// No kernels: no arena.
// CHECK-LABEL: func.func @empty(
// CHECK-SAME: sinter.arena_bytes = 0 : i64, sinter.arena_lower_bound = 0 : i64
sinter.model @m batch_bound 16 {
  func.func @empty(%x: tensor<5xf32>) {
    return
  }
}

// -----

// More than the cache holds, and each sample by itself: room for 16 samples at
// a time, 70000 * 16 * 4 bytes.
// CHECK-LABEL: func.func @predict(
// CHECK-SAME: sinter.arena_bytes = 4480000 : i64
// CHECK-SAME: sinter.batch_bound = 16 : i64
!l = tensor<?x70000xf32, #sinter.batch_minor>
sinter.model @m batch_bound 64 {
  func.func @predict(%in: tensor<?x70000xf32>) -> tensor<?x70000xf32> {
    %x = sinter.kernel relayout "make" -> !l {
      %0 = sinter.relayout %in : tensor<?x70000xf32> -> !l
      sinter.yield %0 : !l
    }
    %out = sinter.kernel relayout "out" -> tensor<?x70000xf32> {
      %0 = sinter.relayout %x : !l -> tensor<?x70000xf32>
      sinter.yield %0 : tensor<?x70000xf32>
    }
    return %out : tensor<?x70000xf32>
  }
}

// -----

// Slices of 64 samples fit in a core's own cache: room for three of them,
// 64 * (1000 + 20) * 4 bytes each, at whole lines.
// CHECK-LABEL: func.func @predict(
// CHECK-SAME: sinter.arena_bytes = 783360 : i64, sinter.arena_lower_bound = 783360 : i64
// CHECK-SAME: sinter.batch_bound = 64 : i64, sinter.slice_places = 3 : i64
!in = tensor<?x1000xf32, #sinter.batch_minor>
!out = tensor<?x20xf32, #sinter.batch_minor>
sinter.model @m batch_bound 192 {
  func.func @predict(%in: tensor<?x1000xf32>) -> tensor<?x20xf32> {
    %x = sinter.kernel relayout "make" -> !in {
      %0 = sinter.relayout %in : tensor<?x1000xf32> -> !in
      sinter.yield %0 : !in
    }
    %y = sinter.kernel sweep "first" -> !out {
      %0 = sinter.slice %x axis 1 from 0 size 20 : (!in) -> !out
      sinter.yield %0 : !out
    }
    %out = sinter.kernel relayout "out" -> tensor<?x20xf32> {
      %0 = sinter.relayout %y : !out -> tensor<?x20xf32>
      sinter.yield %0 : tensor<?x20xf32>
    }
    return %out : tensor<?x20xf32>
  }
}

// -----

// Rows of 128 floats, eight whole lines, are one line longer where products
// read them column by column: 8 * (128 + 16) * 4 bytes, behind them the
// whole transposed image.
// CHECK-LABEL: func.func @spaced(
// CHECK-SAME: sinter.arena_bytes = 8704 : i64, sinter.arena_lower_bound = 8704 : i64
// CHECK: sinter.kernel relayout "make"
// CHECK-SAME: offsets = array<i64: 4608>
!v = tensor<?x128xf32, #sinter.batch_minor>
sinter.model @m batch_bound 8 {
  func.func @spaced(%in: tensor<?x128xf32>, %x: tensor<?x3xf32>) -> tensor<3x128xf32> {
    %d = sinter.kernel relayout "make" -> !v {
      %0 = sinter.relayout %in : tensor<?x128xf32> -> !v
      sinter.yield %0 : !v
    }
    %r = sinter.kernel relayout "rows" -> tensor<?x128xf32> {
      %0 = sinter.relayout %d : !v -> tensor<?x128xf32>
      sinter.yield %0 : tensor<?x128xf32>
    }
    %g = sinter.kernel weight_gradient "gradient" -> tensor<3x128xf32> {
      %0 = sinter.matmul %x transposed, %r : (tensor<?x3xf32>, tensor<?x128xf32>) -> tensor<3x128xf32>
      sinter.yield %0 : tensor<3x128xf32>
    }
    return %g : tensor<3x128xf32>
  }
}
