// RUN: sinter-opt %s --split-input-file --sinter-assign-layout | FileCheck %s

// Arguments and results are the caller's, row-major; between them samples are
// innermost. One relayout serves all readers of an argument. Weights stay.
// CHECK-LABEL: func.func @borders(
// CHECK-SAME: %arg0: tensor<?x4xf32>, %arg1: tensor<?xi32>) -> tensor<?x4xf32>
// CHECK-DAG: [[X:%.+]] = sinter.relayout %arg0 : tensor<?x4xf32> -> tensor<?x4xf32, #sinter.batch_minor>
// CHECK-DAG: [[T:%.+]] = sinter.relayout %arg1 : tensor<?xi32> -> tensor<?xi32, #sinter.batch_minor>
// CHECK: [[W:%.+]] = sinter.read @w : tensor<4x4xf32>
// CHECK: [[M:%.+]] = sinter.matmul [[X]], [[W]] : (tensor<?x4xf32, #sinter.batch_minor>, tensor<4x4xf32>) -> tensor<?x4xf32, #sinter.batch_minor>
// CHECK: [[A:%.+]] = sinter.add [[M]], [[X]]
// CHECK: [[O:%.+]] = sinter.one_hot [[T]] classes 4 : (tensor<?xi32, #sinter.batch_minor>) -> tensor<?x4xf32, #sinter.batch_minor>
// CHECK: [[Y:%.+]] = sinter.mul [[A]], [[O]]
// CHECK: [[R:%.+]] = sinter.relayout [[Y]] : tensor<?x4xf32, #sinter.batch_minor> -> tensor<?x4xf32>
// CHECK: return [[R]] : tensor<?x4xf32>
sinter.model @m batch_bound 8 {
  sinter.state parameter @w : tensor<4x4xf32> = constant(0.0, 0.0)
  func.func @borders(%x: tensor<?x4xf32>, %t: tensor<?xi32>) -> tensor<?x4xf32> {
    %w = sinter.read @w : tensor<4x4xf32>
    %m = sinter.matmul %x, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    %a = sinter.add %m, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    %o = sinter.one_hot %t classes 4 : (tensor<?xi32>) -> tensor<?x4xf32>
    %y = sinter.mul %a, %o : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

// The right operand of a weight gradient is row-major again; one copy serves two.
// Sums over the batch leave it behind, and unbatched values with it.
// CHECK-LABEL: func.func @weight_gradients(
// CHECK: [[E:%.+]] = sinter.exp %{{.+}} : tensor<?x4xf32, #sinter.batch_minor>
// CHECK-NEXT: [[ROWS:%.+]] = sinter.relayout [[E]] : tensor<?x4xf32, #sinter.batch_minor> -> tensor<?x4xf32>
// CHECK-NEXT: sinter.matmul %{{.+}} transposed, [[ROWS]] : (tensor<?x3xf32, #sinter.batch_minor>, tensor<?x4xf32>) -> tensor<3x4xf32>
// CHECK-NEXT: sinter.matmul %{{.+}} transposed, [[ROWS]] : (tensor<?x4xf32, #sinter.batch_minor>, tensor<?x4xf32>) -> tensor<4x4xf32>
// CHECK-NEXT: [[B:%.+]] = sinter.reduce_sum [[E]] axes [0] : (tensor<?x4xf32, #sinter.batch_minor>) -> tensor<4xf32>
// CHECK-NEXT: sinter.exp [[B]] : tensor<4xf32>
// CHECK-NOT: sinter.relayout
sinter.model @m batch_bound 8 {
  func.func @weight_gradients(%x: tensor<?x3xf32>, %dy: tensor<?x4xf32>)
      -> (tensor<3x4xf32>, tensor<4x4xf32>, tensor<4xf32>) {
    %e = sinter.exp %dy : tensor<?x4xf32>
    %a = sinter.matmul %x transposed, %e : (tensor<?x3xf32>, tensor<?x4xf32>) -> tensor<3x4xf32>
    %b = sinter.matmul %dy transposed, %e : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<4x4xf32>
    %s = sinter.reduce_sum %e axes [0] : (tensor<?x4xf32>) -> tensor<4xf32>
    %c = sinter.exp %s : tensor<4xf32>
    return %a, %b, %c : tensor<3x4xf32>, tensor<4x4xf32>, tensor<4xf32>
  }
}

// -----

// Left alone: an argument that nobody reads, and one without a batch.
// CHECK-LABEL: func.func @left_alone(
// CHECK-NEXT: [[E:%.+]] = sinter.exp %arg1 : tensor<4xf32>
// CHECK-NEXT: return [[E]]
sinter.model @m batch_bound 8 {
  func.func @left_alone(%x: tensor<?x4xf32>, %v: tensor<4xf32>) -> tensor<4xf32> {
    %e = sinter.exp %v : tensor<4xf32>
    return %e : tensor<4xf32>
  }
}

// -----

// The rows that an embedding's gradient adds, and their indices, are row-major:
// an argument is it already.
// CHECK-LABEL: func.func @tables(
// CHECK-DAG: [[X:%.+]] = sinter.relayout %arg0 : tensor<?x3xf32> -> tensor<?x3xf32, #sinter.batch_minor>
// CHECK: sinter.embedding [[X]], %{{.+}} : (tensor<?x3xf32, #sinter.batch_minor>, tensor<4x2xf32>) -> tensor<?x3x2xf32, #sinter.batch_minor>
// CHECK: [[E:%.+]] = sinter.exp
// CHECK: [[D:%.+]] = sinter.relayout [[E]] : tensor<?x3x2xf32, #sinter.batch_minor> -> tensor<?x3x2xf32>
// CHECK: sinter.embedding_gradient %arg0, [[D]] rows 4 : (tensor<?x3xf32>, tensor<?x3x2xf32>) -> tensor<4x2xf32>
sinter.model @m batch_bound 8 {
  sinter.state parameter @t : tensor<4x2xf32> = constant(0.0, 0.0)
  func.func @tables(%x: tensor<?x3xf32>) -> tensor<4x2xf32> {
    %t = sinter.read @t : tensor<4x2xf32>
    %r = sinter.embedding %x, %t : (tensor<?x3xf32>, tensor<4x2xf32>) -> tensor<?x3x2xf32>
    %e = sinter.exp %r : tensor<?x3x2xf32>
    %g = sinter.embedding_gradient %x, %e rows 4 : (tensor<?x3xf32>, tensor<?x3x2xf32>) -> tensor<4x2xf32>
    return %g : tensor<4x2xf32>
  }
}
