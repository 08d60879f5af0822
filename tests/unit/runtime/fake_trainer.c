/* fake_trainer.c - the fake model as a program, for looking at by hand and for
 * measuring how large a trainer is. */
#include "fake_model.h"

static sinter_model model;

__attribute__((constructor)) static void fill_table(void) {
  model = fake_model("target.kind=sparse\n"
                     "target.classes=3\n"
                     "data.train.csv=train.csv\n"
                     "data.train.label=-1\n"
                     "data.validation_split=0.25\n"
                     "train.epochs=3\n"
                     "train.batch_size=8\n"
                     "train.seed=1\n");
}

const sinter_model *const sinter_main_model = &model;
