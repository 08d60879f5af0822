/* allocations.c - count a program's memory requests, for LD_PRELOAD.
 *
 * Stands before libc's allocator and before mmap; on exit it writes the number
 * of calls to the file that $ALLOCATIONS names. Uses glibc's __libc_ names, so
 * that there is no look-up that would allocate itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_long heap, maps;

void *malloc(size_t size) {
  atomic_fetch_add(&heap, 1);
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  atomic_fetch_add(&heap, 1);
  return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
  atomic_fetch_add(&heap, 1);
  return __libc_realloc(old, size);
}
void *memalign(size_t alignment, size_t size) {
  atomic_fetch_add(&heap, 1);
  return __libc_memalign(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}
int posix_memalign(void **out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}
void *mmap(void *address, size_t size, int protection, int flags, int file,
           off_t offset) {
  atomic_fetch_add(&maps, 1);
  return (void *)syscall(SYS_mmap, address, size, protection, flags, file,
                         offset);
}

void *mmap64(void *address, size_t size, int protection, int flags, int file,
             off64_t offset) {
  return mmap(address, size, protection, flags, file, offset);
}

__attribute__((destructor)) static void report(void) {
  const char *path = getenv("ALLOCATIONS");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file)
    return;
  fprintf(file, "%ld %ld\n", atomic_load(&heap), atomic_load(&maps));
  fclose(file);
}
