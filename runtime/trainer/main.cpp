// main.cpp - the program of every compiled trainer.
//
// The model object that is linked with it defines `sinter_main_model`.
#include "runtime/trainer/commands.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

extern "C" const sinter_model *const sinter_main_model;

/// Without exceptions there is nobody to hear of a failed allocation.
static void reportOutOfMemory() {
  std::fputs("error: out of memory\n", stderr);
  std::_Exit(SINTER_RUN_FAILED);
}

/// In place of libstdc++'s, which brings along 40 KB to print C++ names. Only
/// the standard library throws here, for sizes that no container can have.
namespace __gnu_cxx {
void __verbose_terminate_handler() {
  std::fputs("error: an internal limit was exceeded\n", stderr);
  std::_Exit(SINTER_RUN_FAILED);
}
} // namespace __gnu_cxx

int main(int argc, char **argv) {
  std::set_new_handler(reportOutOfMemory);
  return sinter::trainer::runTrainer(*sinter_main_model, argc, argv);
}
