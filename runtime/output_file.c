/* output_file.c - temporary file, sync, rename; see output_file.h. */
#include "runtime/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(sinter_output_file *file, bool succeeded) {
  if (!succeeded && file->error == 0)
    file->error = errno;
}

static bool is_written_directly(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static char *temporary_name(const char *path) {
  size_t size = strlen(path) + 32;
  char *name = malloc(size);
  if (name)
    snprintf(name, size, "%s.tmp%ld", path, (long)getpid());
  return name;
}

int sinter_output_open(sinter_output_file *file, const char *path) {
  *file = (sinter_output_file){.path = path, .descriptor = -1};
  bool direct = is_written_directly(path);
  if (!direct) {
    file->temporary = temporary_name(path);
    if (!file->temporary)
      return ENOMEM;
  }
  file->descriptor = direct
                         ? open(path, O_WRONLY | O_CLOEXEC)
                         : open(file->temporary,
                                O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file->descriptor >= 0)
    return 0;
  note(file, false);
  free(file->temporary);
  return file->error;
}

void sinter_output_write(sinter_output_file *file, const void *data,
                         size_t bytes) {
  const char *next = data;
  while (bytes > 0 && file->error == 0) {
    ssize_t written = write(file->descriptor, next, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    note(file, written > 0);
    if (written <= 0)
      return;
    next += written;
    bytes -= (size_t)written;
  }
}

/* The rename itself is durable once the directory is synced. */
static void sync_directory(const char *path) {
  const char *slash = strrchr(path, '/');
  char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
  int descriptor = open(directory ? directory : ".", O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) {
    fsync(descriptor);
    close(descriptor);
  }
  free(directory);
}

int sinter_output_commit(sinter_output_file *file) {
  if (file->temporary && file->error == 0)
    note(file, fsync(file->descriptor) == 0);
  note(file, close(file->descriptor) == 0);
  if (!file->temporary)
    return file->error;
  if (file->error == 0)
    note(file, rename(file->temporary, file->path) == 0);
  if (file->error == 0)
    sync_directory(file->path);
  else
    unlink(file->temporary);
  free(file->temporary);
  return file->error;
}

void sinter_output_discard(sinter_output_file *file) {
  close(file->descriptor);
  if (file->temporary)
    unlink(file->temporary);
  free(file->temporary);
}
