// RUN: sinter-opt %s --split-input-file --verify-diagnostics --sinter-fuse-kernels | FileCheck %s

// Which ops share a kernel, told by the kernels' names, and why others do not.
// Layouts do not matter to fusion: tensors are row-major here to keep types
// short.

// A matmul takes what follows it element by element, and what that needs.
// CHECK-LABEL: func.func @epilogue(
// CHECK-NOT: sinter.kernel
// CHECK: sinter.kernel matmul "matmul+add+maximum+random_uniform+greater+..." -> tensor<?x4xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x4xf32> = constant(0.0, 0.0)
  sinter.state parameter @b : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state seed @seed : tensor<2xi32> = constant(0.0, 0.0)
  sinter.state iteration @i : tensor<i32> = constant(0.0, 0.0)
  func.func @epilogue(%x: tensor<?x3xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<3x4xf32>
    %b = sinter.read @b : tensor<4xf32>
    %seed = sinter.read @seed : tensor<2xi32>
    %i = sinter.read @i : tensor<i32>
    %zero = sinter.constant dense<0.0> : tensor<f32>
    %m = sinter.matmul %x, %w : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
    %a = sinter.add %m, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    %r = sinter.maximum %a, %zero : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
    %u = sinter.random_uniform %seed, %i stream 0 : (tensor<2xi32>, tensor<i32>) -> tensor<?x4xf32>
    %k = sinter.greater %u, %zero : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
    %y = sinter.mul %r, %k : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Softmax: reductions over features stand in the sweep; the exponentials, which
// only the sweep reads, are not stored. A matmul has no place for reductions.
// CHECK-LABEL: func.func @softmax(
// CHECK: sinter.kernel matmul "matmul" -> tensor<?x4xf32> {
// CHECK: sinter.kernel sweep "reduce_max+sub+exp+reduce_sum+div" -> tensor<?x4xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x4xf32> = constant(0.0, 0.0)
  func.func @softmax(%x: tensor<?x3xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<3x4xf32>
    %m = sinter.matmul %x, %w : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
    %max = sinter.reduce_max %m axes [1] keep_dims : (tensor<?x4xf32>) -> tensor<?x1xf32>
    %s = sinter.sub %m, %max : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
    %e = sinter.exp %s : tensor<?x4xf32>
    %sum = sinter.reduce_sum %e axes [1] keep_dims : (tensor<?x4xf32>) -> tensor<?x1xf32>
    %y = sinter.div %e, %sum : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// A weight gradient takes the whole update: the gradient is never stored. The
// bias gradient's sum likewise, with the chain that makes what it sums.
// CHECK-LABEL: func.func @update(
// CHECK: sinter.kernel weight_gradient "matmul+update" {
// CHECK: sinter.matmul
// CHECK: sinter.mul
// CHECK: sinter.sub
// CHECK: sinter.write @w,
// CHECK: sinter.kernel batch_reduce "mul+update" {
// CHECK: sinter.reduce_sum
// CHECK: sinter.sub
// CHECK: sinter.write @b,
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x4xf32> = constant(0.0, 0.0)
  sinter.state parameter @b : tensor<4xf32> = constant(0.0, 0.0)
  func.func @update(%x: tensor<?x3xf32>, %dy: tensor<?x4xf32>) {
    %rate = sinter.constant dense<0.5> : tensor<f32>
    %w = sinter.read @w : tensor<3x4xf32>
    %g = sinter.matmul %x transposed, %dy : (tensor<?x3xf32>, tensor<?x4xf32>) -> tensor<3x4xf32>
    %d = sinter.mul %g, %rate : (tensor<3x4xf32>, tensor<f32>) -> tensor<3x4xf32>
    %new = sinter.sub %w, %d : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    sinter.write @w, %new : tensor<3x4xf32>
    %b = sinter.read @b : tensor<4xf32>
    %h = sinter.mul %dy, %rate : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
    %sum = sinter.reduce_sum %h axes [0] : (tensor<?x4xf32>) -> tensor<4xf32>
    %newb = sinter.sub %b, %sum : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    sinter.write @b, %newb : tensor<4xf32>
    return
  }
}

// -----

// Sums over the batch of one shape share a loop, whoever makes what they sum.
// CHECK-LABEL: func.func @sums(
// CHECK: sinter.kernel batch_reduce "exp+reduce_sum+reduce_sum" -> tensor<4xf32>, tensor<4xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @sums(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    %e = sinter.exp %x : tensor<?x4xf32>
    %a = sinter.reduce_sum %e axes [0] : (tensor<?x4xf32>) -> tensor<4xf32>
    %b = sinter.reduce_sum %y axes [0] : (tensor<?x4xf32>) -> tensor<4xf32>
    return %a, %b : tensor<4xf32>, tensor<4xf32>
  }
}

// -----

// The exponential has two readers, in two kernels: it is stored once and made
// once.
// CHECK-LABEL: func.func @second_reader(
// CHECK: [[E:%.+]] = sinter.kernel sweep "exp" -> tensor<?x4xf32> {
// CHECK: sinter.kernel matmul "matmul+add" -> tensor<?x4xf32> {
// CHECK: sinter.matmul [[E]]
// CHECK: sinter.add %{{.+}}, [[E]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<4x4xf32> = constant(0.0, 0.0)
  func.func @second_reader(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4x4xf32>
    %e = sinter.exp %x : tensor<?x4xf32>
    %m = sinter.matmul %e, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %y = sinter.add %m, %e : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// In the first matmul's kernel the addition would wait for the second matmul,
// which waits for the first: it joins the second.
// CHECK-LABEL: func.func @circle(
// CHECK: [[A:%.+]] = sinter.kernel matmul "matmul" -> tensor<?x4xf32> {
// CHECK: sinter.kernel matmul "matmul+add" -> tensor<?x4xf32> {
// CHECK: sinter.matmul [[A]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<4x4xf32> = constant(0.0, 0.0)
  func.func @circle(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4x4xf32>
    %a = sinter.matmul %x, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %b = sinter.matmul %a, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %y = sinter.add %a, %b : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Two branches that meet again: both sides join one sweep, because nothing
// stands between them that would have to wait for one and come before the other.
// CHECK-LABEL: func.func @diamond(
// CHECK: sinter.kernel sweep "exp+tanh+abs+mul" -> tensor<?x4xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @diamond(%x: tensor<?x4xf32>, %z: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %e = sinter.exp %x : tensor<?x4xf32>
    %a = sinter.tanh %e : tensor<?x4xf32>
    %b = sinter.abs %z : tensor<?x4xf32>
    %y = sinter.mul %a, %b : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// Another shape: 2 of 4 features are another domain. A single one is the outer
// part of the domain and does stand in the sweep.
// CHECK-LABEL: func.func @shapes(
// CHECK: sinter.kernel sweep "exp+slice+mul" -> tensor<?x4xf32>, tensor<?x4xf32> {
// CHECK: sinter.kernel sweep "slice" -> tensor<?x2xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @shapes(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x2xf32>) {
    %e = sinter.exp %x : tensor<?x4xf32>
    %one = sinter.slice %e axis 1 from 2 size 1 : (tensor<?x4xf32>) -> tensor<?x1xf32>
    %y = sinter.mul %e, %one : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
    %z = sinter.slice %e axis 1 from 0 size 2 : (tensor<?x4xf32>) -> tensor<?x2xf32>
    return %y, %z : tensor<?x4xf32>, tensor<?x2xf32>
  }
}

// -----

// A slice of what a product left in memory is a view, if its bytes lie together
// there. A kernel reads it like any tensor, an epilogue too.
// CHECK-LABEL: func.func @parts(
// CHECK: [[P:%.+]] = sinter.kernel matmul "matmul" -> tensor<?x8xf32
// CHECK-DAG: [[A:%.+]] = sinter.slice [[P]] axis 1 from 0 size 4
// CHECK-DAG: [[B:%.+]] = sinter.slice [[P]] axis 1 from 4 size 4
// CHECK: sinter.kernel sweep "tanh" -> tensor<?x4xf32
// CHECK-NEXT: sinter.tanh [[A]]
// CHECK: sinter.kernel matmul "matmul+add" -> tensor<?x4xf32
// CHECK: sinter.add %{{.*}}, [[B]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<3x8xf32> = constant(0.0, 0.0)
  sinter.state parameter @u : tensor<4x4xf32> = constant(0.0, 0.0)
  func.func @parts(%x: tensor<?x3xf32, #sinter.batch_minor>) -> tensor<?x4xf32, #sinter.batch_minor> {
    %w = sinter.read @w : tensor<3x8xf32>
    %u = sinter.read @u : tensor<4x4xf32>
    %p = sinter.matmul %x, %w : (tensor<?x3xf32, #sinter.batch_minor>, tensor<3x8xf32>) -> tensor<?x8xf32, #sinter.batch_minor>
    %a = sinter.slice %p axis 1 from 0 size 4 : (tensor<?x8xf32, #sinter.batch_minor>) -> tensor<?x4xf32, #sinter.batch_minor>
    %b = sinter.slice %p axis 1 from 4 size 4 : (tensor<?x8xf32, #sinter.batch_minor>) -> tensor<?x4xf32, #sinter.batch_minor>
    %h = sinter.tanh %a : tensor<?x4xf32, #sinter.batch_minor>
    %m = sinter.matmul %h, %u : (tensor<?x4xf32, #sinter.batch_minor>, tensor<4x4xf32>) -> tensor<?x4xf32, #sinter.batch_minor>
    %y = sinter.add %m, %b : (tensor<?x4xf32, #sinter.batch_minor>, tensor<?x4xf32, #sinter.batch_minor>) -> tensor<?x4xf32, #sinter.batch_minor>
    return %y : tensor<?x4xf32, #sinter.batch_minor>
  }
}

// -----

// A view changes the indices: it ends a kernel, and is none itself. One that
// adds a trailing 1 changes nothing and stays inside.
// CHECK-LABEL: func.func @views(
// CHECK: [[E:%.+]] = sinter.kernel sweep "exp+reshape+abs" -> tensor<?x2x3x1xf32> {
// CHECK: [[V:%.+]] = sinter.reshape [[E]]
// CHECK: sinter.kernel sweep "tanh" -> tensor<?x6xf32> {
// CHECK: sinter.tanh [[V]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @views(%x: tensor<?x2x3xf32>) -> tensor<?x6xf32> {
    %e = sinter.exp %x : tensor<?x2x3xf32>
    %u = sinter.reshape %e : tensor<?x2x3xf32> -> tensor<?x2x3x1xf32>
    %a = sinter.abs %u : tensor<?x2x3x1xf32>
    %v = sinter.reshape %a : tensor<?x2x3x1xf32> -> tensor<?x6xf32>
    %y = sinter.tanh %v : tensor<?x6xf32>
    return %y : tensor<?x6xf32>
  }
}

// -----

// A sum that is no suffix of the sample has a kernel to itself: closed to what
// makes its operand and to what reads it.
// CHECK-LABEL: func.func @closed(
// CHECK: sinter.kernel sweep "exp" -> tensor<?x2x3xf32> {
// CHECK: sinter.kernel sweep "reduce_sum" -> tensor<?x3xf32> {
// CHECK: sinter.kernel sweep "tanh" -> tensor<?x3xf32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @closed(%x: tensor<?x2x3xf32>) -> tensor<?x3xf32> {
    %e = sinter.exp %x : tensor<?x2x3xf32>
    %s = sinter.reduce_sum %e axes [1] : (tensor<?x2x3xf32>) -> tensor<?x3xf32>
    %y = sinter.tanh %s : tensor<?x3xf32>
    return %y : tensor<?x3xf32>
  }
}

// -----

// A sum over one element is a change of shape, so it does not keep the sum over
// the batch from fusing. argmax of one element stays, alone.
// CHECK-LABEL: func.func @sum_of_one(
// CHECK: sinter.kernel batch_reduce "mul+reshape+reduce_sum" -> tensor<f32> {
// CHECK-NOT: axes [1]
// CHECK: sinter.kernel sweep "argmax" -> tensor<?xi32> {
// CHECK: sinter.kernel batch_reduce "cast+reduce_sum" -> tensor<f32> {
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @sum_of_one(%x: tensor<?x1xf32>) -> (tensor<f32>, tensor<f32>) {
    %e = sinter.mul %x, %x : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
    %s = sinter.reduce_sum %e axes [1] : (tensor<?x1xf32>) -> tensor<?xf32>
    %y = sinter.reduce_sum %s axes [0] : (tensor<?xf32>) -> tensor<f32>
    %a = sinter.argmax %x : (tensor<?x1xf32>) -> tensor<?xi32>
    %c = sinter.cast %a : tensor<?xi32> -> tensor<?xf32>
    %z = sinter.reduce_sum %c axes [0] : (tensor<?xf32>) -> tensor<f32>
    return %y, %z : tensor<f32>, tensor<f32>
  }
}

// -----

// Another kernel needs the old weight, and this gradient: the update cannot be
// written by the kernel that makes the gradient, so it is copied behind.
// CHECK-LABEL: func.func @late_reader(
// CHECK: [[NEW:%.+]] = sinter.kernel weight_gradient "matmul+sub" -> tensor<4x4xf32> {
// CHECK: sinter.kernel matmul "matmul" -> tensor<?x4xf32> {
// CHECK: sinter.kernel matmul "matmul" -> tensor<?x4xf32> {
// CHECK: sinter.read @w
// CHECK: sinter.kernel sweep "copy+update" {
// CHECK: sinter.write @w, [[NEW]]
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<4x4xf32> = constant(0.0, 0.0)
  func.func @late_reader(%x: tensor<?x4xf32>, %dy: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4x4xf32>
    %g = sinter.matmul %x transposed, %dy : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<4x4xf32>
    %new = sinter.sub %w, %g : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    sinter.write @w, %new : tensor<4x4xf32>
    %a = sinter.matmul %x, %new : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %y = sinter.matmul %a, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// A reader that can run before does: the update stays in the kernel and the
// kernel behind the reader, which reads the weight through a view here.
// CHECK-LABEL: func.func @early_reader(
// CHECK: sinter.kernel sweep "exp" -> tensor<?x4xf32> {
// CHECK: sinter.kernel matmul "matmul" -> tensor<?x4xf32> {
// CHECK: sinter.kernel batch_reduce "reduce_sum+update" {
// CHECK: sinter.write @w,
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<16xf32> = constant(0.0, 0.0)
  func.func @early_reader(%x: tensor<?x4xf32>, %dy: tensor<?x16xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<16xf32>
    %g = sinter.reduce_sum %dy axes [0] : (tensor<?x16xf32>) -> tensor<16xf32>
    %new = sinter.sub %w, %g : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
    sinter.write @w, %new : tensor<16xf32>
    %e = sinter.exp %x : tensor<?x4xf32>
    %v = sinter.reshape %w : tensor<16xf32> -> tensor<4x4xf32>
    %y = sinter.matmul %e, %v : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// A scalar state that the kernel reads outside of its loops would be read again
// after the write: written behind instead.
// CHECK-LABEL: func.func @outer_write(
// CHECK: sinter.kernel sweep "mul+update" -> tensor<f32> {
// CHECK: sinter.write @w,
// CHECK: sinter.kernel sweep "copy+update" {
// CHECK: sinter.write @scale,
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state slot @scale : tensor<f32> = constant(1.0, 0.0)
  sinter.state parameter @w : tensor<64xf32> = constant(0.0, 0.0)
  func.func @outer_write() {
    %half = sinter.constant dense<0.5> : tensor<f32>
    %s = sinter.read @scale : tensor<f32>
    %w = sinter.read @w : tensor<64xf32>
    %t = sinter.mul %s, %half : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %new = sinter.mul %w, %t : (tensor<64xf32>, tensor<f32>) -> tensor<64xf32>
    sinter.write @scale, %t : tensor<f32>
    sinter.write @w, %new : tensor<64xf32>
    return
  }
}

// -----

// Every result has memory of its own: an argument, a constant, a state and a
// second name of a result are copied.
// CHECK-LABEL: func.func @results(
// CHECK: [[R:%.+]]:2 = sinter.kernel sweep "exp+broadcast" -> tensor<?x4xf32>, tensor<?x4xf32> {
// CHECK: [[X:%.+]] = sinter.kernel sweep "broadcast" -> tensor<?x4xf32> {
// CHECK: [[C:%.+]] = sinter.kernel sweep "broadcast" -> tensor<4xf32> {
// CHECK: sinter.constant dense<1.000000e+00>
// CHECK: [[S:%.+]] = sinter.kernel sweep "broadcast" -> tensor<4xf32> {
// CHECK: sinter.read @s
// CHECK-NOT: sinter.kernel
// CHECK: return [[R]]#0, [[R]]#1, [[X]], [[C]], [[S]]
sinter.model @m batch_bound 8 {
  sinter.state frozen @s : tensor<4xf32> = constant(0.0, 0.0)
  func.func @results(%x: tensor<?x4xf32>)
      -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %e = sinter.exp %x : tensor<?x4xf32>
    %c = sinter.constant dense<1.0> : tensor<4xf32>
    %s = sinter.read @s : tensor<4xf32>
    return %e, %e, %x, %c, %s : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>
  }
}

// -----

// The layer gives a kernel its name.
// CHECK-LABEL: func.func @named(
// CHECK: sinter.kernel matmul "hidden: matmul" -> tensor<?x4xf32> {
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<4x4xf32> = constant(0.0, 0.0)
  func.func @named(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4x4xf32>
    %y = sinter.matmul %x, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("hidden")
    return %y : tensor<?x4xf32>
  }
}

// -----

// Two states that trade places would need a third place.
sinter.model @m batch_bound 8 {
  sinter.state slot @a : tensor<4xf32> = constant(0.0, 0.0)
  sinter.state slot @b : tensor<4xf32> = constant(0.0, 0.0)
  func.func @swap() {
    %a = sinter.read @a : tensor<4xf32>
    %b = sinter.read @b : tensor<4xf32>
    // expected-error@+1 {{expected states that can be written in some order, got updates that wait for each other}}
    sinter.write @a, %b : tensor<4xf32>
    sinter.write @b, %a : tensor<4xf32>
    return
  }
}

// -----

// A table lies in memory; its gradient is a kernel alone, and the update, which
// reads it row by row, another. What follows the rows joins them.
// CHECK-LABEL: func.func @tables(
// CHECK: [[E:%.+]] = sinter.kernel sweep "exp" -> tensor<5x3xf32> {
// CHECK: sinter.kernel sweep "floor+embedding+tanh" -> tensor<?x4x3xf32> {
// CHECK: sinter.embedding %{{.+}}, [[E]] :
// CHECK: [[G:%.+]] = sinter.kernel scatter "embedding_gradient" -> tensor<5x3xf32> {
// CHECK-NEXT: sinter.embedding_gradient %arg0, %arg1 rows 5
// CHECK-NEXT: sinter.yield
// CHECK: sinter.kernel sweep "sub+update" {
// CHECK: sinter.sub %{{.+}}, [[G]] :
// CHECK-NOT: sinter.kernel
// CHECK: return
sinter.model @m batch_bound 8 {
  sinter.state parameter @t : tensor<5x3xf32> = constant(0.0, 0.0)
  func.func @tables(%x: tensor<?x4xf32>, %d: tensor<?x4x3xf32>) -> tensor<?x4x3xf32> {
    %t = sinter.read @t : tensor<5x3xf32>
    %i = sinter.floor %x : tensor<?x4xf32>
    %e = sinter.exp %t : tensor<5x3xf32>
    %r = sinter.embedding %i, %e : (tensor<?x4xf32>, tensor<5x3xf32>) -> tensor<?x4x3xf32>
    %y = sinter.tanh %r : tensor<?x4x3xf32>
    %g = sinter.embedding_gradient %x, %d rows 5 : (tensor<?x4xf32>, tensor<?x4x3xf32>) -> tensor<5x3xf32>
    %n = sinter.sub %t, %g : (tensor<5x3xf32>, tensor<5x3xf32>) -> tensor<5x3xf32>
    sinter.write @t, %n : tensor<5x3xf32>
    return %y : tensor<?x4x3xf32>
  }
}

// -----

// Products of computed matrices take scale and mask, and read their operands
// where these lie before a transposition. The mask is made once, of the places
// of its elements. What reads a transposition besides needs it in memory. One of
// the products' result is where they store it.
// CHECK-LABEL: func.func @attention(
// CHECK: sinter.kernel sweep "greater" -> tensor<5x5xf32> {
// CHECK: sinter.kernel sweep "transpose"
// CHECK: sinter.kernel batch_matmul "batch_matmul+mul+select" -> tensor<?x2x5x5xf32, #sinter.batch_minor> {
// CHECK: sinter.transpose %arg0
// CHECK: sinter.transpose %arg1
// CHECK: sinter.kernel batch_matmul "batch_matmul+transpose" -> tensor<?x5x2x3xf32, #sinter.batch_minor> {
// CHECK-NEXT: sinter.batch_matmul
// CHECK-NEXT: sinter.transpose
// CHECK: return
sinter.model @m batch_bound 8 {
  func.func @attention(%q: tensor<?x5x2x3xf32, #sinter.batch_minor>, %k: tensor<?x5x2x3xf32, #sinter.batch_minor>, %v: tensor<?x5x2x3xf32, #sinter.batch_minor>) -> (tensor<?x5x2x3xf32, #sinter.batch_minor>, tensor<?x2x5x3xf32, #sinter.batch_minor>) {
    %s = sinter.constant dense<0.5> : tensor<f32>
    %l = sinter.constant dense<-1.0e9> : tensor<f32>
    %i = sinter.iota axis 0 : tensor<5x1xf32>
    %j = sinter.iota axis 1 : tensor<1x5xf32>
    %m = sinter.greater %j, %i : (tensor<1x5xf32>, tensor<5x1xf32>) -> tensor<5x5xf32>
    %qt = sinter.transpose %q permutation [0, 2, 1, 3] : (tensor<?x5x2x3xf32, #sinter.batch_minor>) -> tensor<?x2x5x3xf32, #sinter.batch_minor>
    %kt = sinter.transpose %k permutation [0, 2, 1, 3] : (tensor<?x5x2x3xf32, #sinter.batch_minor>) -> tensor<?x2x5x3xf32, #sinter.batch_minor>
    %vt = sinter.transpose %v permutation [0, 2, 1, 3] : (tensor<?x5x2x3xf32, #sinter.batch_minor>) -> tensor<?x2x5x3xf32, #sinter.batch_minor>
    %p = sinter.batch_matmul %qt, %kt transposed : (tensor<?x2x5x3xf32, #sinter.batch_minor>, tensor<?x2x5x3xf32, #sinter.batch_minor>) -> tensor<?x2x5x5xf32, #sinter.batch_minor>
    %c = sinter.mul %p, %s : (tensor<?x2x5x5xf32, #sinter.batch_minor>, tensor<f32>) -> tensor<?x2x5x5xf32, #sinter.batch_minor>
    %o = sinter.select %m, %l, %c : (tensor<5x5xf32>, tensor<f32>, tensor<?x2x5x5xf32, #sinter.batch_minor>) -> tensor<?x2x5x5xf32, #sinter.batch_minor>
    %y = sinter.batch_matmul %o, %vt : (tensor<?x2x5x5xf32, #sinter.batch_minor>, tensor<?x2x5x3xf32, #sinter.batch_minor>) -> tensor<?x2x5x3xf32, #sinter.batch_minor>
    %yt = sinter.transpose %y permutation [0, 2, 1, 3] : (tensor<?x2x5x3xf32, #sinter.batch_minor>) -> tensor<?x5x2x3xf32, #sinter.batch_minor>
    return %yt, %vt : tensor<?x5x2x3xf32, #sinter.batch_minor>, tensor<?x2x5x3xf32, #sinter.batch_minor>
  }
}
