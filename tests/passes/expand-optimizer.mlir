// RUN: sinter-opt %s --split-input-file --verify-diagnostics --sinter-expand-optimizer --canonicalize --cse | FileCheck %s

// Every optimizer, way of clipping and schedule as Keras 3 writes it: the slots
// with their start, then @train_step. Constants come first, because the
// canonicalizer puts them there. t = iteration + 1.

// w -= rate g
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, [[N0_5]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[MUL]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = 0.5, momentum = 0.0, nesterov = false}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// m = 0.9 m - rate g; w += m
// CHECK: sinter.state slot @"w/momentum" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_9:%.+]] = sinter.constant dense<0.899999976> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, [[N0_5]]
// CHECK-NEXT: [[MOMENTUM:%.+]] = sinter.read @"w/momentum"
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[MOMENTUM]], [[N0_9]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[MUL2]], [[MUL]]
// CHECK-NEXT: sinter.write @"w/momentum", [[SUB]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[W]], [[SUB]]
// CHECK-NEXT: sinter.write @w, [[ADD]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD2]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = 0.5, momentum = 0.9, nesterov = false}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// w += 0.9 m - rate g, with the new m
// CHECK: sinter.state slot @"w/momentum" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_9:%.+]] = sinter.constant dense<0.899999976> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, [[N0_5]]
// CHECK-NEXT: [[MOMENTUM:%.+]] = sinter.read @"w/momentum"
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[MOMENTUM]], [[N0_9]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[MUL2]], [[MUL]]
// CHECK-NEXT: sinter.write @"w/momentum", [[SUB]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[SUB]], [[N0_9]]
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[MUL3]], [[MUL]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[W]], [[SUB2]]
// CHECK-NEXT: sinter.write @w, [[ADD]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD2]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = 0.5, momentum = 0.9, nesterov = true}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// v = rho v + (1 - rho) g^2; w -= rate g / sqrt(v + epsilon)
// CHECK: sinter.state slot @"w/velocity" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_125:%.+]] = sinter.constant dense<1.250000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_75:%.+]] = sinter.constant dense<7.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[VELOCITY:%.+]] = sinter.read @"w/velocity"
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, %arg0
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[MUL]], [[N0_25]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[VELOCITY]], [[N0_75]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[MUL3]], [[MUL2]]
// CHECK-NEXT: sinter.write @"w/velocity", [[ADD]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[ADD]], [[N0_125]]
// CHECK-NEXT: [[SQRT:%.+]] = sinter.sqrt [[ADD2]]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul %arg0, [[N0_5]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[MUL4]], [[SQRT]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[DIV]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[ADD3:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD3]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "rmsprop", learning_rate = 0.5, rho = 0.75, momentum = 0.0, epsilon = 0.125, centered = false}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// Centred: v - a^2 takes v's place. Momentum adds the steps up.
// CHECK: sinter.state slot @"w/velocity" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK: sinter.state slot @"w/average_gradient" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK: sinter.state slot @"w/momentum" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_875:%.+]] = sinter.constant dense<8.750000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_125:%.+]] = sinter.constant dense<1.250000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_75:%.+]] = sinter.constant dense<7.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[VELOCITY:%.+]] = sinter.read @"w/velocity"
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, %arg0
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[MUL]], [[N0_25]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[VELOCITY]], [[N0_75]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[MUL3]], [[MUL2]]
// CHECK-NEXT: sinter.write @"w/velocity", [[ADD]]
// CHECK-NEXT: [[AVERAGE_GRADIENT:%.+]] = sinter.read @"w/average_gradient"
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul %arg0, [[N0_25]]
// CHECK-NEXT: [[MUL5:%.+]] = sinter.mul [[AVERAGE_GRADIENT]], [[N0_75]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[MUL5]], [[MUL4]]
// CHECK-NEXT: sinter.write @"w/average_gradient", [[ADD2]]
// CHECK-NEXT: [[MUL6:%.+]] = sinter.mul [[ADD2]], [[ADD2]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[ADD]], [[MUL6]]
// CHECK-NEXT: [[ADD3:%.+]] = sinter.add [[SUB]], [[N0_125]]
// CHECK-NEXT: [[SQRT:%.+]] = sinter.sqrt [[ADD3]]
// CHECK-NEXT: [[MUL7:%.+]] = sinter.mul %arg0, [[N0_5]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[MUL7]], [[SQRT]]
// CHECK-NEXT: [[MOMENTUM:%.+]] = sinter.read @"w/momentum"
// CHECK-NEXT: [[MUL8:%.+]] = sinter.mul [[MOMENTUM]], [[N0_875]]
// CHECK-NEXT: [[ADD4:%.+]] = sinter.add [[MUL8]], [[DIV]]
// CHECK-NEXT: sinter.write @"w/momentum", [[ADD4]]
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[W]], [[ADD4]]
// CHECK-NEXT: sinter.write @w, [[SUB2]]
// CHECK-NEXT: [[ADD5:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD5]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "rmsprop", learning_rate = 0.5, rho = 0.75, momentum = 0.875, epsilon = 0.125, centered = true}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// a += g^2 from 0.25; w -= rate g / sqrt(a + epsilon)
// CHECK: sinter.state slot @"w/accumulator" : tensor<3xf32> = constant(2.500000e-01, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_125:%.+]] = sinter.constant dense<1.250000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[ACCUMULATOR:%.+]] = sinter.read @"w/accumulator"
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, %arg0
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[ACCUMULATOR]], [[MUL]]
// CHECK-NEXT: sinter.write @"w/accumulator", [[ADD]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[ADD]], [[N0_125]]
// CHECK-NEXT: [[SQRT:%.+]] = sinter.sqrt [[ADD2]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul %arg0, [[N0_5]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[MUL2]], [[SQRT]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[DIV]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[ADD3:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD3]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "adagrad", learning_rate = 0.5, initial_accumulator_value = 0.25, epsilon = 0.125}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// The step uses the old accumulated update, the slot the new one.
// CHECK: sinter.state slot @"w/accumulated_gradient" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK: sinter.state slot @"w/accumulated_update" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_125:%.+]] = sinter.constant dense<1.250000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_75:%.+]] = sinter.constant dense<7.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[ACCUMULATED_GRADIENT:%.+]] = sinter.read @"w/accumulated_gradient"
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, %arg0
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[MUL]], [[N0_25]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[ACCUMULATED_GRADIENT]], [[N0_75]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[MUL3]], [[MUL2]]
// CHECK-NEXT: sinter.write @"w/accumulated_gradient", [[ADD]]
// CHECK-NEXT: [[ACCUMULATED_UPDATE:%.+]] = sinter.read @"w/accumulated_update"
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[ACCUMULATED_UPDATE]], [[N0_125]]
// CHECK-NEXT: [[SQRT:%.+]] = sinter.sqrt [[ADD2]]
// CHECK-NEXT: [[ADD3:%.+]] = sinter.add [[ADD]], [[N0_125]]
// CHECK-NEXT: [[SQRT2:%.+]] = sinter.sqrt [[ADD3]]
// CHECK-NEXT: [[NEG:%.+]] = sinter.neg %arg0
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[SQRT]], [[NEG]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[MUL4]], [[SQRT2]]
// CHECK-NEXT: [[MUL5:%.+]] = sinter.mul [[DIV]], [[DIV]]
// CHECK-NEXT: [[MUL6:%.+]] = sinter.mul [[MUL5]], [[N0_25]]
// CHECK-NEXT: [[MUL7:%.+]] = sinter.mul [[ACCUMULATED_UPDATE]], [[N0_75]]
// CHECK-NEXT: [[ADD4:%.+]] = sinter.add [[MUL7]], [[MUL6]]
// CHECK-NEXT: sinter.write @"w/accumulated_update", [[ADD4]]
// CHECK-NEXT: [[ADD5:%.+]] = sinter.add [[W]], [[DIV]]
// CHECK-NEXT: sinter.write @w, [[ADD5]]
// CHECK-NEXT: [[ADD6:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD6]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "adadelta", learning_rate = 1.0, rho = 0.75, epsilon = 0.125}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// -0.693147182 = ln beta1, -0.287682086 = ln beta2; epsilon stands outside of the root.
// CHECK: sinter.state slot @"w/momentum" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK: sinter.state slot @"w/velocity" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_125:%.+]] = sinter.constant dense<1.250000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[NM0_287682:%.+]] = sinter.constant dense<-0.287682086> : tensor<f32>
// CHECK-NEXT: [[NM0_693147:%.+]] = sinter.constant dense<-0.693147182> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[CAST:%.+]] = sinter.cast [[ITERATION]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[CAST]], [[N1]]
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[ADD]], [[NM0_693147]]
// CHECK-NEXT: [[EXPM1:%.+]] = sinter.expm1 [[MUL]]
// CHECK-NEXT: [[NEG:%.+]] = sinter.neg [[EXPM1]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[ADD]], [[NM0_287682]]
// CHECK-NEXT: [[EXPM12:%.+]] = sinter.expm1 [[MUL2]]
// CHECK-NEXT: [[NEG2:%.+]] = sinter.neg [[EXPM12]]
// CHECK-NEXT: [[SQRT:%.+]] = sinter.sqrt [[NEG2]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[SQRT]], [[N0_5]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[MUL3]], [[NEG]]
// CHECK-NEXT: [[MOMENTUM:%.+]] = sinter.read @"w/momentum"
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub %arg0, [[MOMENTUM]]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[SUB]], [[N0_5]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[MOMENTUM]], [[MUL4]]
// CHECK-NEXT: sinter.write @"w/momentum", [[ADD2]]
// CHECK-NEXT: [[VELOCITY:%.+]] = sinter.read @"w/velocity"
// CHECK-NEXT: [[MUL5:%.+]] = sinter.mul %arg0, %arg0
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[MUL5]], [[VELOCITY]]
// CHECK-NEXT: [[MUL6:%.+]] = sinter.mul [[SUB2]], [[N0_25]]
// CHECK-NEXT: [[ADD3:%.+]] = sinter.add [[VELOCITY]], [[MUL6]]
// CHECK-NEXT: sinter.write @"w/velocity", [[ADD3]]
// CHECK-NEXT: [[SQRT2:%.+]] = sinter.sqrt [[ADD3]]
// CHECK-NEXT: [[ADD4:%.+]] = sinter.add [[SQRT2]], [[N0_125]]
// CHECK-NEXT: [[MUL7:%.+]] = sinter.mul [[ADD2]], [[DIV]]
// CHECK-NEXT: [[DIV2:%.+]] = sinter.div [[MUL7]], [[ADD4]]
// CHECK-NEXT: [[SUB3:%.+]] = sinter.sub [[W]], [[DIV2]]
// CHECK-NEXT: sinter.write @w, [[SUB3]]
// CHECK-NEXT: [[ADD5:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD5]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "adam", learning_rate = 0.5, beta_1 = 0.5, beta_2 = 0.75, epsilon = 0.125}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// Weight decay: w - 0.0625 rate w before the step, from the old w.
// CHECK: sinter.state slot @"w/momentum" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK: sinter.state slot @"w/velocity" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_125:%.+]] = sinter.constant dense<1.250000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[NM0_287682:%.+]] = sinter.constant dense<-0.287682086> : tensor<f32>
// CHECK-NEXT: [[NM0_693147:%.+]] = sinter.constant dense<-0.693147182> : tensor<f32>
// CHECK-NEXT: [[N0_0625:%.+]] = sinter.constant dense<6.250000e-02> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[CAST:%.+]] = sinter.cast [[ITERATION]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[CAST]], [[N1]]
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[W]], [[N0_0625]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[MUL]], [[N0_5]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[MUL2]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[ADD]], [[NM0_693147]]
// CHECK-NEXT: [[EXPM1:%.+]] = sinter.expm1 [[MUL3]]
// CHECK-NEXT: [[NEG:%.+]] = sinter.neg [[EXPM1]]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[ADD]], [[NM0_287682]]
// CHECK-NEXT: [[EXPM12:%.+]] = sinter.expm1 [[MUL4]]
// CHECK-NEXT: [[NEG2:%.+]] = sinter.neg [[EXPM12]]
// CHECK-NEXT: [[SQRT:%.+]] = sinter.sqrt [[NEG2]]
// CHECK-NEXT: [[MUL5:%.+]] = sinter.mul [[SQRT]], [[N0_5]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[MUL5]], [[NEG]]
// CHECK-NEXT: [[MOMENTUM:%.+]] = sinter.read @"w/momentum"
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub %arg0, [[MOMENTUM]]
// CHECK-NEXT: [[MUL6:%.+]] = sinter.mul [[SUB2]], [[N0_5]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[MOMENTUM]], [[MUL6]]
// CHECK-NEXT: sinter.write @"w/momentum", [[ADD2]]
// CHECK-NEXT: [[VELOCITY:%.+]] = sinter.read @"w/velocity"
// CHECK-NEXT: [[MUL7:%.+]] = sinter.mul %arg0, %arg0
// CHECK-NEXT: [[SUB3:%.+]] = sinter.sub [[MUL7]], [[VELOCITY]]
// CHECK-NEXT: [[MUL8:%.+]] = sinter.mul [[SUB3]], [[N0_25]]
// CHECK-NEXT: [[ADD3:%.+]] = sinter.add [[VELOCITY]], [[MUL8]]
// CHECK-NEXT: sinter.write @"w/velocity", [[ADD3]]
// CHECK-NEXT: [[SQRT2:%.+]] = sinter.sqrt [[ADD3]]
// CHECK-NEXT: [[ADD4:%.+]] = sinter.add [[SQRT2]], [[N0_125]]
// CHECK-NEXT: [[MUL9:%.+]] = sinter.mul [[ADD2]], [[DIV]]
// CHECK-NEXT: [[DIV2:%.+]] = sinter.div [[MUL9]], [[ADD4]]
// CHECK-NEXT: [[SUB4:%.+]] = sinter.sub [[SUB]], [[DIV2]]
// CHECK-NEXT: sinter.write @w, [[SUB4]]
// CHECK-NEXT: [[ADD5:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD5]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "adamw", learning_rate = 0.5, beta_1 = 0.5, beta_2 = 0.75, epsilon = 0.125, weight_decay = 0.0625}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// u(t) = beta1 (1 - 0.96^t / 2); the product of all u so far is a state that starts at 1.
// CHECK: sinter.state slot @"optimizer/u_product" : tensor<f32> = constant(1.000000e+00, 0.000000e+00)
// CHECK: sinter.state slot @"w/momentum" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK: sinter.state slot @"w/velocity" : tensor<3xf32> = constant(0.000000e+00, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_125:%.+]] = sinter.constant dense<1.250000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[NM0_287682:%.+]] = sinter.constant dense<-0.287682086> : tensor<f32>
// CHECK-NEXT: [[NM0_040822:%.+]] = sinter.constant dense<-0.0408219956> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[CAST:%.+]] = sinter.cast [[ITERATION]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[CAST]], [[N1]]
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[ADD]], [[NM0_040822]]
// CHECK-NEXT: [[EXP:%.+]] = sinter.exp [[MUL]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[EXP]], [[N0_5]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[N1]], [[MUL2]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[SUB]], [[N0_5]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[ADD]], [[N1]]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[ADD2]], [[NM0_040822]]
// CHECK-NEXT: [[EXP2:%.+]] = sinter.exp [[MUL4]]
// CHECK-NEXT: [[MUL5:%.+]] = sinter.mul [[EXP2]], [[N0_5]]
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[N1]], [[MUL5]]
// CHECK-NEXT: [[MUL6:%.+]] = sinter.mul [[SUB2]], [[N0_5]]
// CHECK-NEXT: [[U_PRODUCT:%.+]] = sinter.read @"optimizer/u_product"
// CHECK-NEXT: [[MUL7:%.+]] = sinter.mul [[U_PRODUCT]], [[MUL3]]
// CHECK-NEXT: sinter.write @"optimizer/u_product", [[MUL7]]
// CHECK-NEXT: [[MUL8:%.+]] = sinter.mul [[MUL7]], [[MUL6]]
// CHECK-NEXT: [[SUB3:%.+]] = sinter.sub [[N1]], [[MUL8]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[MUL6]], [[SUB3]]
// CHECK-NEXT: [[SUB4:%.+]] = sinter.sub [[N1]], [[MUL7]]
// CHECK-NEXT: [[SUB5:%.+]] = sinter.sub [[N1]], [[MUL3]]
// CHECK-NEXT: [[DIV2:%.+]] = sinter.div [[SUB5]], [[SUB4]]
// CHECK-NEXT: [[MUL9:%.+]] = sinter.mul [[ADD]], [[NM0_287682]]
// CHECK-NEXT: [[EXPM1:%.+]] = sinter.expm1 [[MUL9]]
// CHECK-NEXT: [[NEG:%.+]] = sinter.neg [[EXPM1]]
// CHECK-NEXT: [[DIV3:%.+]] = sinter.div [[N1]], [[NEG]]
// CHECK-NEXT: [[MOMENTUM:%.+]] = sinter.read @"w/momentum"
// CHECK-NEXT: [[SUB6:%.+]] = sinter.sub %arg0, [[MOMENTUM]]
// CHECK-NEXT: [[MUL10:%.+]] = sinter.mul [[SUB6]], [[N0_5]]
// CHECK-NEXT: [[ADD3:%.+]] = sinter.add [[MOMENTUM]], [[MUL10]]
// CHECK-NEXT: sinter.write @"w/momentum", [[ADD3]]
// CHECK-NEXT: [[VELOCITY:%.+]] = sinter.read @"w/velocity"
// CHECK-NEXT: [[MUL11:%.+]] = sinter.mul %arg0, %arg0
// CHECK-NEXT: [[SUB7:%.+]] = sinter.sub [[MUL11]], [[VELOCITY]]
// CHECK-NEXT: [[MUL12:%.+]] = sinter.mul [[SUB7]], [[N0_25]]
// CHECK-NEXT: [[ADD4:%.+]] = sinter.add [[VELOCITY]], [[MUL12]]
// CHECK-NEXT: sinter.write @"w/velocity", [[ADD4]]
// CHECK-NEXT: [[MUL13:%.+]] = sinter.mul %arg0, [[DIV2]]
// CHECK-NEXT: [[MUL14:%.+]] = sinter.mul [[ADD3]], [[DIV]]
// CHECK-NEXT: [[ADD5:%.+]] = sinter.add [[MUL14]], [[MUL13]]
// CHECK-NEXT: [[MUL15:%.+]] = sinter.mul [[ADD4]], [[DIV3]]
// CHECK-NEXT: [[SQRT:%.+]] = sinter.sqrt [[MUL15]]
// CHECK-NEXT: [[ADD6:%.+]] = sinter.add [[SQRT]], [[N0_125]]
// CHECK-NEXT: [[MUL16:%.+]] = sinter.mul [[ADD5]], [[N0_5]]
// CHECK-NEXT: [[DIV4:%.+]] = sinter.div [[MUL16]], [[ADD6]]
// CHECK-NEXT: [[SUB8:%.+]] = sinter.sub [[W]], [[DIV4]]
// CHECK-NEXT: sinter.write @w, [[SUB8]]
// CHECK-NEXT: [[ADD7:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD7]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "nadam", learning_rate = 0.5, beta_1 = 0.5, beta_2 = 0.75, epsilon = 0.125}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// Each element between -0.25 and 0.25.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[NM0_25:%.+]] = sinter.constant dense<-2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MINIMUM:%.+]] = sinter.minimum %arg0, [[N0_25]]
// CHECK-NEXT: [[MAXIMUM:%.+]] = sinter.maximum [[MINIMUM]], [[NM0_25]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[MAXIMUM]], [[N0_5]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[MUL]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = 0.5, clipvalue = 0.25}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// Each gradient has a norm of its own, a scalar too.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N2:%.+]] = sinter.constant dense<2.000000e+00> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[V:%.+]] = sinter.read @v
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, %arg0
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[MUL]] axes [0]
// CHECK-NEXT: [[SQRT:%.+]] = sinter.sqrt [[SUM]]
// CHECK-NEXT: [[MAXIMUM:%.+]] = sinter.maximum [[SQRT]], [[N2]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[N2]], [[MAXIMUM]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul %arg0, [[DIV]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul %arg1, %arg1
// CHECK-NEXT: [[SQRT2:%.+]] = sinter.sqrt [[MUL3]]
// CHECK-NEXT: [[MAXIMUM2:%.+]] = sinter.maximum [[SQRT2]], [[N2]]
// CHECK-NEXT: [[DIV2:%.+]] = sinter.div [[N2]], [[MAXIMUM2]]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul %arg1, [[DIV2]]
// CHECK-NEXT: [[MUL5:%.+]] = sinter.mul [[MUL2]], [[N0_5]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[MUL5]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[MUL6:%.+]] = sinter.mul [[MUL4]], [[N0_5]]
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[V]], [[MUL6]]
// CHECK-NEXT: sinter.write @v, [[SUB2]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = 0.5, clipnorm = 2.0}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state parameter @v : tensor<f32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>, %h: tensor<f32>) {
    sinter.update @w, %g : tensor<3xf32>
    sinter.update @v, %h : tensor<f32>
    return
  }
}

// -----

// One norm and one factor for all gradients.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N2:%.+]] = sinter.constant dense<2.000000e+00> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[V:%.+]] = sinter.read @v
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul %arg0, %arg0
// CHECK-NEXT: [[SUM:%.+]] = sinter.reduce_sum [[MUL]] axes [0]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul %arg1, %arg1
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[SUM]], [[MUL2]]
// CHECK-NEXT: [[SQRT:%.+]] = sinter.sqrt [[ADD]]
// CHECK-NEXT: [[MAXIMUM:%.+]] = sinter.maximum [[SQRT]], [[N2]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[N2]], [[MAXIMUM]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul %arg0, [[DIV]]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul %arg1, [[DIV]]
// CHECK-NEXT: [[MUL5:%.+]] = sinter.mul [[MUL3]], [[N0_5]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[MUL5]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[MUL6:%.+]] = sinter.mul [[MUL4]], [[N0_5]]
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[V]], [[MUL6]]
// CHECK-NEXT: sinter.write @v, [[SUB2]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD2]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = 0.5, global_clipnorm = 2.0}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state parameter @v : tensor<f32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>, %h: tensor<f32>) {
    sinter.update @w, %g : tensor<3xf32>
    sinter.update @v, %h : tensor<f32>
    return
  }
}

// -----

// 0.1 * 0.5^(s / 4)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_1:%.+]] = sinter.constant dense<1.000000e-01> : tensor<f32>
// CHECK-NEXT: [[NM0_693147:%.+]] = sinter.constant dense<-0.693147182> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[CAST:%.+]] = sinter.cast [[ITERATION]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[CAST]], [[N0_25]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[MUL]], [[NM0_693147]]
// CHECK-NEXT: [[EXP:%.+]] = sinter.exp [[MUL2]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[EXP]], [[N0_1]]
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[MUL3]], %arg0
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[MUL4]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = {name = "exponential_decay", initial_learning_rate = 0.1, decay_steps = 4, decay_rate = 0.5, staircase = false}}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// Staircase: whole steps only, divided, not multiplied by 1 / 3, which would round.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_1:%.+]] = sinter.constant dense<1.000000e-01> : tensor<f32>
// CHECK-NEXT: [[NM0_693147:%.+]] = sinter.constant dense<-0.693147182> : tensor<f32>
// CHECK-NEXT: [[N3:%.+]] = sinter.constant dense<3.000000e+00> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[CAST:%.+]] = sinter.cast [[ITERATION]]
// CHECK-NEXT: [[DIV:%.+]] = sinter.div [[CAST]], [[N3]]
// CHECK-NEXT: [[FLOOR:%.+]] = sinter.floor [[DIV]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[FLOOR]], [[NM0_693147]]
// CHECK-NEXT: [[EXP:%.+]] = sinter.exp [[MUL]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[EXP]], [[N0_1]]
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[MUL2]], %arg0
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[MUL3]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = {name = "exponential_decay", initial_learning_rate = 0.1, decay_steps = 3, decay_rate = 0.5, staircase = true}}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// 0.5 ((1 - 0.25) / 2 (1 + cos(pi min(s, 4) / 4)) + 0.25)
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_375:%.+]] = sinter.constant dense<3.750000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_785398:%.+]] = sinter.constant dense<0.785398185> : tensor<f32>
// CHECK-NEXT: [[N4:%.+]] = sinter.constant dense<4.000000e+00> : tensor<f32>
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[CAST:%.+]] = sinter.cast [[ITERATION]]
// CHECK-NEXT: [[MINIMUM:%.+]] = sinter.minimum [[CAST]], [[N4]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[MINIMUM]], [[N0_785398]]
// CHECK-NEXT: [[COS:%.+]] = sinter.cos [[MUL]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[COS]], [[N1]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[ADD]], [[N0_375]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[MUL2]], [[N0_25]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[ADD2]], [[N0_5]]
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[MUL3]], %arg0
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[MUL4]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[ADD3:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD3]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = {name = "cosine_decay", initial_learning_rate = 0.5, decay_steps = 4, alpha = 0.25}}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// Up from 0 to 0.5 in 10 steps, then down.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_05:%.+]] = sinter.constant dense<5.000000e-02> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[N0_785398:%.+]] = sinter.constant dense<0.785398185> : tensor<f32>
// CHECK-NEXT: [[N4:%.+]] = sinter.constant dense<4.000000e+00> : tensor<f32>
// CHECK-NEXT: [[N10:%.+]] = sinter.constant dense<1.000000e+01> : tensor<f32>
// CHECK-NEXT: [[N1:%.+]] = sinter.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[CAST:%.+]] = sinter.cast [[ITERATION]]
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[CAST]], [[N10]]
// CHECK-NEXT: [[MINIMUM:%.+]] = sinter.minimum [[SUB]], [[N4]]
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[MINIMUM]], [[N0_785398]]
// CHECK-NEXT: [[COS:%.+]] = sinter.cos [[MUL]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[COS]], [[N1]]
// CHECK-NEXT: [[MUL2:%.+]] = sinter.mul [[ADD]], [[N0_5]]
// CHECK-NEXT: [[MUL3:%.+]] = sinter.mul [[MUL2]], [[N0_5]]
// CHECK-NEXT: [[MUL4:%.+]] = sinter.mul [[CAST]], [[N0_05]]
// CHECK-NEXT: [[GREATER:%.+]] = sinter.greater [[N10]], [[CAST]]
// CHECK-NEXT: [[SELECT:%.+]] = sinter.select [[GREATER]], [[MUL4]], [[MUL3]]
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL5:%.+]] = sinter.mul [[SELECT]], %arg0
// CHECK-NEXT: [[SUB2:%.+]] = sinter.sub [[W]], [[MUL5]]
// CHECK-NEXT: sinter.write @w, [[SUB2]]
// CHECK-NEXT: [[ADD2:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD2]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = {name = "cosine_decay", initial_learning_rate = 0.0, decay_steps = 4, alpha = 0.0, warmup_target = 0.5, warmup_steps = 10}}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// 0.5 up to and including iteration 2, 0.25 to 4, then 0.125.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: [[I1:%.+]] = sinter.constant dense<1> : tensor<i32>
// CHECK-NEXT: [[N0_125:%.+]] = sinter.constant dense<1.250000e-01> : tensor<f32>
// CHECK-NEXT: [[N4:%.+]] = sinter.constant dense<4.000000e+00> : tensor<f32>
// CHECK-NEXT: [[N0_25:%.+]] = sinter.constant dense<2.500000e-01> : tensor<f32>
// CHECK-NEXT: [[N2:%.+]] = sinter.constant dense<2.000000e+00> : tensor<f32>
// CHECK-NEXT: [[N0_5:%.+]] = sinter.constant dense<5.000000e-01> : tensor<f32>
// CHECK-NEXT: [[ITERATION:%.+]] = sinter.read @"optimizer/iteration"
// CHECK-NEXT: [[CAST:%.+]] = sinter.cast [[ITERATION]]
// CHECK-NEXT: [[GREATER:%.+]] = sinter.greater [[CAST]], [[N2]]
// CHECK-NEXT: [[SELECT:%.+]] = sinter.select [[GREATER]], [[N0_25]], [[N0_5]]
// CHECK-NEXT: [[GREATER2:%.+]] = sinter.greater [[CAST]], [[N4]]
// CHECK-NEXT: [[SELECT2:%.+]] = sinter.select [[GREATER2]], [[N0_125]], [[SELECT]]
// CHECK-NEXT: [[W:%.+]] = sinter.read @w
// CHECK-NEXT: [[MUL:%.+]] = sinter.mul [[SELECT2]], %arg0
// CHECK-NEXT: [[SUB:%.+]] = sinter.sub [[W]], [[MUL]]
// CHECK-NEXT: sinter.write @w, [[SUB]]
// CHECK-NEXT: [[ADD:%.+]] = sinter.add [[ITERATION]], [[I1]]
// CHECK-NEXT: sinter.write @"optimizer/iteration", [[ADD]]
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = {name = "piecewise_constant_decay", boundaries = [2, 4], values = [0.5, 0.25, 0.125]}}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// Nothing to do without an optimizer.
// CHECK-LABEL: func.func @train_step(
// CHECK-NEXT: return
sinter.model @m batch_bound 8 {
  func.func @train_step(%g: tensor<3xf32>) {
    return
  }
}

// -----

//===----------------------------------------------------------------------===//
// Refused
//===----------------------------------------------------------------------===//

// expected-error@+1 {{expected an optimizer, got 'sdg'}}
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sdg"}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// expected-error@+1 {{expected a learning-rate schedule, got 'linear_decay'}}
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = {name = "linear_decay"}}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// expected-error@+1 {{expected one value more than boundaries, got 2 for 2}}
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = {name = "piecewise_constant_decay", boundaries = [2, 4], values = [0.5, 0.25]}}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}

// -----

// A learning rate that the program around the model changes is a state.
// CHECK: sinter.state slot @"optimizer/learning_rate" : tensor<f32> = constant(5.000000e-01, 0.000000e+00)
// CHECK-LABEL: func.func @train_step(
// CHECK: [[RATE:%.+]] = sinter.read @"optimizer/learning_rate"
// CHECK: [[MUL:%.+]] = sinter.mul [[RATE]], %arg0
// CHECK: sinter.sub {{%.+}}, [[MUL]]
// CHECK-NOT: sinter.write @"optimizer/learning_rate"
sinter.model @m batch_bound 8 attributes {optimizer = {name = "sgd", learning_rate = {name = "constant", value = 0.5}, momentum = 0.0, nesterov = false, variable_learning_rate = true}} {
  sinter.state parameter @w : tensor<3xf32> = constant(0.0, 0.0)
  sinter.state iteration @"optimizer/iteration" : tensor<i32> = constant(0.0, 0.0)
  func.func @train_step(%g: tensor<3xf32>) {
    sinter.update @w, %g : tensor<3xf32>
    return
  }
}
