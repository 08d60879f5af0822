// large_pages.h - memory that the processor finds fast.
//
// An image of a batch is read with long strides, samples of a data set in
// random order: in small pages each read first waits for the page's address. So
// what fills a large page lies in large ones, where the system has any.
#ifndef SINTER_TRAINER_LARGE_PAGES_H
#define SINTER_TRAINER_LARGE_PAGES_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace sinter::trainer {

/// On cache lines; null if there is none left. For std::free.
void *allocateInLargePages(size_t bytes);

template <typename T> struct LargePageAllocator {
  using value_type = T;

  T *allocate(size_t count) {
    if (count <= SIZE_MAX / sizeof(T))
      if (void *memory = allocateInLargePages(count * sizeof(T)))
        return static_cast<T *>(memory);
    std::abort(); // as operator new does where nothing is thrown
  }
  void deallocate(T *memory, size_t) { std::free(memory); }
  friend bool operator==(LargePageAllocator, LargePageAllocator) {
    return true;
  }
};

using LargeBytes = std::vector<uint8_t, LargePageAllocator<uint8_t>>;

} // namespace sinter::trainer

#endif
