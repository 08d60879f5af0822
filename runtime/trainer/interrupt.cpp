// interrupt.cpp - see interrupt.h.
#include "runtime/trainer/interrupt.h"

#include <atomic>
#include <csignal>
#include <initializer_list>

namespace sinter::trainer {

static std::atomic<int> caught = 0; // set on any thread
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" {
static void note(int signal) { caught = signal; }
}

InterruptGuard::InterruptGuard() {
  caught = 0;
  struct sigaction action = {};
  action.sa_handler = note;
  // One signal is heard; the next one kills. Reads and writes go on.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  for (int signal : {SIGINT, SIGTERM})
    sigaction(signal, &action, nullptr);
}

InterruptGuard::~InterruptGuard() {
  for (int signal : {SIGINT, SIGTERM})
    std::signal(signal, SIG_DFL);
}

int interruption() { return caught; }

const char *signalName(int signal) {
  return signal == SIGINT ? "SIGINT" : "SIGTERM";
}

} // namespace sinter::trainer
