/* denormals.c - tell the CPU to treat denormal floats as zero.
 *
 * One bit (two on x86) of the thread's floating-point control register. It is
 * a property of the thread, not of the program, hence a call for each thread.
 * 32-bit ARM's vectors flush always, the bit makes its scalars do the same.
 * RISC-V has no such bit: there denormals count, and cost little. Elsewhere the
 * call does nothing.
 */
#include "runtime/sinter_runtime.h"

void sinter_flush_denormals(void) {
#if defined(__x86_64__) || (defined(__i386__) && defined(__SSE__))
  const unsigned flush_results = 1u << 15, treat_inputs_as_zero = 1u << 6;
  unsigned control = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(control | flush_results | treat_inputs_as_zero);
#elif defined(__aarch64__)
  const uint64_t flush = UINT64_C(1) << 24;
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  __asm__ volatile("msr fpcr, %0" ::"r"(control | flush));
#elif defined(__arm__) && defined(__ARM_FP)
  const uint32_t flush = UINT32_C(1) << 24;
  uint32_t control;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(control));
  __asm__ volatile("vmsr fpscr, %0" ::"r"(control | flush));
#endif
}
