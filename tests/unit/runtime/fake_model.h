/* fake_model.h - a model as the compiler would emit it, written by hand.
 *
 * Softmax regression with momentum SGD: input f32 (batch, 2, 2), target i32
 * (batch), three classes, batches of 1 to 8 samples. It lets the trainer be
 * tested from end to end without a compiler. */
#ifndef SINTER_TESTS_FAKE_MODEL_H
#define SINTER_TESTS_FAKE_MODEL_H

#include "runtime/sinter_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { fake_inputs = 4, fake_classes = 3, fake_batch_bound = 8 };

/* The table with another recipe. */
sinter_model fake_model(const char *recipe);

#ifdef __cplusplus
}
#endif
#endif
