// RUN: sinter-opt %s --sinter-split-contractions | FileCheck %s

// A layer with many inputs and few outputs sums in four parts. The kernel behind
// adds them in order and does what was behind the matmul; it has a bias of its
// own to read.
// CHECK-LABEL: func.func @train_step(
// CHECK: %[[P:.*]]:4 = sinter.kernel matmul "wide: matmul" ->
// CHECK-NEXT: %[[W:.*]] = sinter.read @w
// CHECK-NEXT: %[[S:.*]] = sinter.slice %{{.*}} axis 1 from 0 size 250
// CHECK-NEXT: %[[X:.*]] = sinter.pad %[[S]] axis 1 low 0 high 750
// CHECK-NEXT: %[[A:.*]] = sinter.matmul %[[X]], %[[W]]
// CHECK: sinter.slice %{{.*}} axis 1 from 750 size 250
// CHECK-NEXT: sinter.pad %{{.*}} axis 1 low 750 high 0
// CHECK: sinter.yield %[[A]],
// CHECK: sinter.kernel sweep "wide: sum+add"
// CHECK-NEXT: %[[T:.*]] = sinter.add %[[P]]#0, %[[P]]#1
// CHECK-NEXT: %[[U:.*]] = sinter.add %[[T]], %[[P]]#2
// CHECK-NEXT: %[[Y:.*]] = sinter.add %[[U]], %[[P]]#3
// CHECK-NEXT: %[[B:.*]] = sinter.read @b
// CHECK-NEXT: sinter.add %[[Y]], %[[B]]

// Left alone: many outputs of few inputs, which the parts would carry instead.
// CHECK: sinter.kernel matmul "tall: matmul"
// CHECK-NOT: sinter.slice

// Left alone: weights that the function does not change.
// CHECK-LABEL: func.func @predict(
// CHECK: sinter.kernel matmul "wide: matmul+add"
// CHECK-NOT: sinter.slice
!x = tensor<?x1000xf32, #sinter.batch_minor>
!f = tensor<?x100xf32, #sinter.batch_minor>
!y = tensor<?x64xf32, #sinter.batch_minor>
sinter.model @m batch_bound 32 {
  sinter.state parameter @w : tensor<1000x64xf32> = constant(0.0, 0.0)
  sinter.state parameter @b : tensor<64xf32> = constant(0.0, 0.0)
  sinter.state parameter @q : tensor<100x1000xf32> = constant(0.0, 0.0)
  func.func @train_step(%x: !x, %f: !f,
                        %dw: tensor<1000x64xf32>, %dq: tensor<100x1000xf32>) -> (!y, !x) {
    %y = sinter.kernel matmul "wide: matmul+add" -> !y {
      %0 = sinter.read @w : tensor<1000x64xf32>
      %1 = sinter.matmul %x, %0 : (!x, tensor<1000x64xf32>) -> !y
      %2 = sinter.read @b : tensor<64xf32>
      %3 = sinter.add %1, %2 : (!y, tensor<64xf32>) -> !y
      sinter.yield %3 : !y
    }
    %z = sinter.kernel matmul "tall: matmul" -> !x {
      %0 = sinter.read @q : tensor<100x1000xf32>
      %1 = sinter.matmul %f, %0 : (!f, tensor<100x1000xf32>) -> !x
      sinter.yield %1 : !x
    }
    sinter.kernel sweep "update w" {
      sinter.write @w, %dw : tensor<1000x64xf32>
      sinter.yield
    }
    sinter.kernel sweep "update q" {
      sinter.write @q, %dq : tensor<100x1000xf32>
      sinter.yield
    }
    return %y, %z : !y, !x
  }
  func.func @predict(%x: !x) -> !y {
    %y = sinter.kernel matmul "wide: matmul+add" -> !y {
      %0 = sinter.read @w : tensor<1000x64xf32>
      %1 = sinter.matmul %x, %0 : (!x, tensor<1000x64xf32>) -> !y
      %2 = sinter.read @b : tensor<64xf32>
      %3 = sinter.add %1, %2 : (!y, tensor<64xf32>) -> !y
      sinter.yield %3 : !y
    }
    return %y : !y
  }
}
