// interrupt.h - SIGINT and SIGTERM as a question that training asks.
//
// The first signal only raises a flag, so that a step is finished and a
// checkpoint can be written; the second one ends the program as usual.
#ifndef SINTER_TRAINER_INTERRUPT_H
#define SINTER_TRAINER_INTERRUPT_H

namespace sinter::trainer {

/// While it lives, the two signals raise the flag.
class InterruptGuard {
public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard &) = delete;
  InterruptGuard &operator=(const InterruptGuard &) = delete;
};

/// The signal that came, or 0.
int interruption();
/// "SIGINT"
const char *signalName(int signal);

} // namespace sinter::trainer

#endif
