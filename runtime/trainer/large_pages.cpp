// large_pages.cpp - see large_pages.h.
#include "runtime/trainer/large_pages.h"

#include <sys/mman.h>

namespace sinter::trainer {

void *allocateInLargePages(size_t bytes) {
  constexpr size_t largePage = size_t(1) << 21, line = 64;
  const size_t alignment = bytes >= largePage ? largePage : line;
  if (bytes > SIZE_MAX - alignment)
    return nullptr;
  const size_t rounded = (bytes + alignment) / alignment * alignment;
  void *memory = std::aligned_alloc(alignment, rounded);
#ifdef MADV_HUGEPAGE
  if (memory && bytes >= largePage)
    (void)madvise(memory, rounded, MADV_HUGEPAGE);
#endif
  return memory;
}

} // namespace sinter::trainer
