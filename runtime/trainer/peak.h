// peak.h - how many floating-point operations a second this CPU can do.
#ifndef SINTER_TRAINER_PEAK_H
#define SINTER_TRAINER_PEAK_H

#include "runtime/sinter_runtime.h"

namespace sinter::trainer {

/// f32 multiply-adds (two operations each) on all threads of `pool`, with the
/// widest vectors of the machine, all operands in registers.
double measurePeakFlops(sinter_pool *pool);

} // namespace sinter::trainer

#endif
