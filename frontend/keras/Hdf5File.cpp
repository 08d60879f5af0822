// Hdf5File.cpp - starts the child that reads, and receives its records.
//
// The child sees the file as /proc/self/fd/N. Its limits grow with the file:
// what can be in a file of n bytes is read in 3 s of work plus a second for
// each 20 MB, and takes at most 32 MiB plus 16 n (weights hardly compress; a
// file that claims more is damaged, or a bomb). The parent never trusts a
// length either: it stops at the same sum, and it watches the child's memory,
// because an address space limit is of no use under a sanitizer.
//
// Known weakness: /proc must be there, so this is for Linux.
#include "frontend/keras/Hdf5File.h"

#include "frontend/keras/Hdf5Walk.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace sinter::frontend;
using Clock = std::chrono::steady_clock;

bool Hdf5Content::hasGroup(llvm::StringRef path) const {
  return std::find(groups.begin(), groups.end(), path) != groups.end();
}

const std::string *Hdf5Content::text(const std::string &path,
                                     const std::string &attribute) const {
  auto it = attributes.find(path + "@" + attribute);
  return it != attributes.end() && it->second.size() == 1 ? &it->second.front()
                                                          : nullptr;
}

const std::vector<std::string> *
Hdf5Content::list(const std::string &path, const std::string &attribute) {
  const std::string key = path + "@" + attribute;
  if (attributes.count(key) == 0 && attributes.count(key + "0") != 0) {
    std::vector<std::string> joined;
    for (size_t i = 0;; ++i) {
      auto part = attributes.find(key + std::to_string(i));
      if (part == attributes.end())
        break;
      joined.insert(joined.end(), part->second.begin(), part->second.end());
    }
    attributes[key] = std::move(joined);
  }
  auto it = attributes.find(key);
  return it == attributes.end() ? nullptr : &it->second;
}

/// Bytes of a process: field 0 is its address space, 1 what is in memory.
static uint64_t pagesOf(pid_t process, int field) {
  char text[128];
  const std::string path = "/proc/" + std::to_string(process) + "/statm";
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? 0 : read(file, text, sizeof text - 1);
  if (file >= 0)
    close(file);
  text[size > 0 ? size : 0] = 0;
  char *next = text;
  uint64_t pages = 0;
  for (int i = 0; i <= field; ++i)
    pages = std::strtoull(next, &next, 10);
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

namespace {

/// Takes records off the pipe. Each function is false after an error, which is
/// in error().
class Receiver {
public:
  /// Gives up at `deadline`, or when `child` has more than `memory` bytes.
  Receiver(int pipe, const Hdf5Limits &limits, Clock::time_point deadline,
           pid_t child, uint64_t memory)
      : pipe(pipe), limits(limits), deadline(deadline), child(child),
        memory(memory) {}

  bool receive(Hdf5Content &content);
  bool timedOut() const { return late; }
  /// It holds more than a file of its size can.
  bool tooMuch() const { return excess; }
  /// What the child said was wrong; empty if it said nothing.
  const std::string &complaint() const { return said; }

private:
  bool fill();
  bool get(void *data, size_t size);
  bool get(uint64_t &number) { return get(&number, sizeof number); }
  bool get(std::string &text);
  bool take(uint64_t count, uint64_t size);
  bool getAttribute(Hdf5Content &content);
  bool getDataset(Hdf5Content &content);

  int pipe;
  Hdf5Limits limits;
  Clock::time_point deadline, lastLook;
  pid_t child;
  uint64_t memory;
  std::vector<char> buffer;
  size_t used = 0;
  uint64_t records = 0, bytes = 0;
  bool late = false, excess = false;
  std::string said;
};

} // namespace

bool Receiver::fill() {
  const auto glance = std::chrono::milliseconds(10);
  pollfd ready{pipe, POLLIN, 0};
  for (int count = 0; count <= 0;) {
    count = poll(&ready, 1, static_cast<int>(glance.count()));
    if (count < 0 && errno != EINTR)
      return false;
    const Clock::time_point now = Clock::now();
    if (now - lastLook >= glance) {
      lastLook = now;
      late = now >= deadline;
      excess = pagesOf(child, 1) > memory;
      if (late || excess)
        return false;
    }
  }
  buffer.resize(1 << 16);
  ssize_t got = 0;
  do
    got = read(pipe, buffer.data(), buffer.size());
  while (got < 0 && errno == EINTR);
  used = 0;
  buffer.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return got > 0;
}

bool Receiver::get(void *data, size_t size) {
  auto *out = static_cast<char *>(data);
  while (size > 0) {
    if (used == buffer.size() && !fill())
      return false;
    size_t part = std::min(size, buffer.size() - used);
    std::memcpy(out, buffer.data() + used, part);
    used += part;
    out += part;
    size -= part;
  }
  return true;
}

bool Receiver::take(uint64_t count, uint64_t size) {
  excess = count > (limits.bytes - bytes) / size;
  if (!excess)
    bytes += count * size;
  return !excess;
}

bool Receiver::get(std::string &text) {
  uint64_t size;
  if (!get(size) || !take(size, 1))
    return false;
  text.resize(size);
  return get(text.data(), size);
}

bool Receiver::getAttribute(Hdf5Content &content) {
  std::string path, name;
  uint64_t count;
  if (!get(path) || !get(name) || !get(count) ||
      !take(count, sizeof(std::string)))
    return false;
  std::vector<std::string> texts(count);
  for (std::string &text : texts)
    if (!get(text))
      return false;
  content.attributes[path + "@" + name] = std::move(texts);
  return true;
}

bool Receiver::getDataset(Hdf5Content &content) {
  std::string path;
  Hdf5Dataset dataset;
  uint64_t rank, count;
  if (!get(path) || !get(dataset.type) || !get(rank) || rank > limits.rank)
    return false;
  for (uint64_t i = 0; i < rank; ++i) {
    uint64_t size;
    if (!get(size))
      return false;
    dataset.shape.push_back(static_cast<int64_t>(size));
  }
  if (!get(count) || !take(count, sizeof(float)))
    return false;
  dataset.values.resize(count);
  if (!get(dataset.values.data(), count * sizeof(float)))
    return false;
  content.datasets[path] = std::move(dataset);
  return true;
}

bool Receiver::receive(Hdf5Content &content) {
  Hdf5Record tag;
  std::string path;
  while (get(&tag, sizeof tag)) {
    excess = ++records > 16 * limits.objects;
    if (excess)
      return false;
    switch (tag) {
    case Hdf5Record::Group:
      if (!get(path))
        return false;
      content.groups.push_back(path);
      break;
    case Hdf5Record::Attribute:
      if (!getAttribute(content))
        return false;
      break;
    case Hdf5Record::Dataset:
      if (!getDataset(content))
        return false;
      break;
    case Hdf5Record::Error:
      get(said);
      return false;
    case Hdf5Record::End:
      return true;
    default:
      return false;
    }
  }
  return false;
}

// ---- The child
// ----------------------------------------------------------------

static void limitMemory(uint64_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  (void)bytes; // the sanitizer reserves terabytes of address space
#else
  const rlim_t most = pagesOf(getpid(), 0) + bytes;
  const rlimit limit = {most, most};
  setrlimit(RLIMIT_AS, &limit);
#endif
}

/// Does not return.
static void runChild(int file, const std::vector<std::string> &skipped,
                     const Hdf5Limits &limits, uint64_t memory,
                     unsigned seconds, int pipe) {
  // What a dying library or sanitizer says is not for the user.
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0)
    dup2(null, STDERR_FILENO);
  for (int fatal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL})
    signal(fatal, SIG_DFL); // LLVM's handlers print stack traces
  const rlimit noCore = {0, 0}, time = {seconds, seconds};
  setrlimit(RLIMIT_CORE, &noCore);
  setrlimit(RLIMIT_CPU, &time);
  limitMemory(memory);
  bool ok = false;
  try {
    ok = sendHdf5(("/proc/self/fd/" + std::to_string(file)).c_str(), skipped,
                  limits, pipe);
  } catch (const std::bad_alloc &) {
  }
  _exit(ok ? 0 : 1); // no destructors of the parent's objects
}

static std::string describeDeath(int status) {
  const char *const what = "reading it failed (the file is damaged: ";
  if (!WIFSIGNALED(status))
    return std::string(what) + "it needs more memory than its size allows)";
  if (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)
    return std::string(what) + "libhdf5 comes to no end)";
  return std::string(what) + "libhdf5 stopped with signal " +
         std::to_string(WTERMSIG(status)) + ")";
}

std::variant<Hdf5Content, Hdf5Error>
sinter::frontend::readHdf5(int descriptor,
                           const std::vector<std::string> &skipped) {
  struct stat status;
  if (fstat(descriptor, &status) != 0)
    return Hdf5Error{std::strerror(errno)};
  if (!S_ISREG(status.st_mode))
    return Hdf5Error{"expected a regular file"};
  const auto size = static_cast<uint64_t>(status.st_size);
  Hdf5Limits limits;
  limits.bytes = std::min<uint64_t>((32u << 20) + 16 * size, 16ull << 30);
  const auto seconds = static_cast<unsigned>(3 + size / (20u << 20));

  const uint64_t memory = (128u << 20) + 2 * limits.bytes;

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return Hdf5Error{std::string("no pipe: ") + std::strerror(errno)};
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    runChild(descriptor, skipped, limits, memory, seconds, ends[1]);
  }
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return Hdf5Error{std::string("no process: ") + std::strerror(errno)};
  }
  // A busy machine gives the child less than its share of time, and a slow disk
  // keeps it waiting.
  const auto patience = static_cast<int64_t>(seconds + 3 + size / (2u << 20));
  Receiver receiver(ends[0], limits,
                    Clock::now() + std::chrono::seconds(patience), child,
                    pagesOf(getpid(), 1) + memory);
  Hdf5Content content;
  const bool ok = receiver.receive(content);
  close(ends[0]);
  if (!ok)
    kill(child, SIGKILL); // it may hang; its status tells only if it had ended
  int end = 0;
  while (waitpid(child, &end, 0) < 0 && errno == EINTR)
    ;
  if (ok)
    return content;
  if (!receiver.complaint().empty())
    return Hdf5Error{receiver.complaint()};
  if (receiver.tooMuch())
    return Hdf5Error{"it claims to hold far more than a file of this size can"};
  return Hdf5Error{
      receiver.timedOut()
          ? "reading it failed (the file is damaged: libhdf5 comes "
            "to no end)"
          : describeDeath(end)};
}
