// byte_reader.cpp - plain, gzip and zip-member streams; see byte_reader.h.
#include "runtime/trainer/byte_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sinter::trainer {

static constexpr size_t bufferBytes = 1 << 16;
static constexpr uint64_t mostExpansion = 1032; // of deflate
// zlib's words for "a gzip file" and "deflate without any header".
static constexpr int gzipWindow = 15 + 16, rawWindow = -15;

ByteReader::~ByteReader() {
  if (inflating)
    inflateEnd(&inflater);
  if (descriptor >= 0)
    close(descriptor);
}

Error ByteReader::openFile(const std::string &path) {
  streamName = path;
  // Opening a pipe would wait for a writer; O_NONBLOCK lets us refuse it.
  descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return wrongInput("%s: cannot open: %s", path.c_str(), strerror(errno));
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
    return wrongInput("%s: expected a regular file", path.c_str());
  fileBytesLeft = static_cast<uint64_t>(status.st_size);
  buffer.resize(bufferBytes);
  return {};
}

Error ByteReader::open(const std::string &path) {
  if (Error error = openFile(path))
    return error;
  if (Error error = fill())
    return error;
  if (bufferEnd < 2 || buffer[0] != 0x1f || buffer[1] != 0x8b)
    return {};
  coding = Coding::Gzip;
  return startInflating(gzipWindow);
}

Error ByteReader::open(const std::string &archive, const ZipMember &member) {
  if (Error error = openFile(archive))
    return error;
  streamName = archive + ": " + member.name;
  isMember = true;
  expectedBytes = member.bytes;
  expectedCrc = member.crc;
  if (member.offset > fileBytesLeft ||
      member.storedBytes > fileBytesLeft - member.offset)
    return wrongInput("%s: truncated: expected %llu bytes at byte %llu, got a "
                      "file of %llu bytes",
                      streamName.c_str(),
                      static_cast<unsigned long long>(member.storedBytes),
                      static_cast<unsigned long long>(member.offset),
                      static_cast<unsigned long long>(fileBytesLeft));
  fileBytesLeft = member.storedBytes;
  if (lseek(descriptor, static_cast<off_t>(member.offset), SEEK_SET) < 0)
    return runFailed("%s: cannot seek: %s", archive.c_str(), strerror(errno));
  if (!member.deflated)
    return {};
  coding = Coding::Deflate;
  return startInflating(rawWindow);
}

Error ByteReader::startInflating(int windowBits) {
  if (inflateInit2(&inflater, windowBits) != Z_OK)
    return runFailed("%s: out of memory", streamName.c_str());
  inflating = true;
  return {};
}

/// Refills the empty buffer from the file; it stays empty at the file's end.
Error ByteReader::fill() {
  bufferNext = bufferEnd = 0;
  while (fileBytesLeft > 0) {
    size_t wanted = std::min<uint64_t>(buffer.size(), fileBytesLeft);
    ssize_t got = ::read(descriptor, buffer.data(), wanted);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return runFailed("%s: cannot read: %s", streamName.c_str(),
                       strerror(errno));
    if (got == 0)
      return runFailed("%s: the file became shorter while it was read",
                       streamName.c_str());
    bufferEnd = static_cast<size_t>(got);
    fileBytesLeft -= bufferEnd;
    return {};
  }
  return {};
}

uint64_t ByteReader::mostBytesLeft() const {
  uint64_t stored = fileBytesLeft + (bufferEnd - bufferNext);
  if (coding == Coding::Plain)
    return stored;
  // What zlib has taken in but not yet given out is less than its window.
  return stored * mostExpansion + bufferBytes;
}

Error ByteReader::readSome(void *data, size_t capacity, size_t &got) {
  got = 0;
  if (ended || capacity == 0)
    return {};
  if (coding == Coding::Plain) {
    if (bufferNext == bufferEnd)
      if (Error error = fill())
        return error;
    got = std::min(capacity, bufferEnd - bufferNext);
    std::memcpy(data, buffer.data() + bufferNext, got);
    bufferNext += got;
    ended = got == 0;
  } else if (Error error = inflateSome(data, capacity, got)) {
    return error;
  }
  position += got;
  if (isMember) {
    crc = crc32_z(crc, static_cast<const Bytef *>(data), got);
    if (ended && (position != expectedBytes || crc != expectedCrc))
      return wrongInput(
          "%s: corrupt: expected %llu bytes with CRC %08x, got "
          "%llu with %08x",
          streamName.c_str(), static_cast<unsigned long long>(expectedBytes),
          expectedCrc, static_cast<unsigned long long>(position), crc);
  }
  return {};
}

Error ByteReader::inflateSome(void *data, size_t capacity, size_t &got) {
  uInt wanted = static_cast<uInt>(std::min<size_t>(capacity, 1u << 30));
  inflater.next_out = static_cast<Bytef *>(data);
  inflater.avail_out = wanted;
  while (inflater.avail_out == wanted && !ended) {
    if (bufferNext == bufferEnd)
      if (Error error = fill())
        return error;
    inflater.next_in = buffer.data() + bufferNext;
    inflater.avail_in = static_cast<uInt>(bufferEnd - bufferNext);
    int result = inflate(&inflater, Z_NO_FLUSH);
    bufferNext = bufferEnd - inflater.avail_in;
    if (result == Z_STREAM_END) {
      if (Error error = finishDeflated())
        return error;
    } else if (result == Z_BUF_ERROR && bufferNext == bufferEnd &&
               fileBytesLeft == 0) {
      return wrongInput("%s: truncated: the compressed data ends after %llu "
                        "uncompressed bytes",
                        streamName.c_str(),
                        static_cast<unsigned long long>(position + wanted -
                                                        inflater.avail_out));
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return wrongInput("%s: corrupt compressed data near uncompressed byte "
                        "%llu: %s",
                        streamName.c_str(),
                        static_cast<unsigned long long>(position),
                        inflater.msg ? inflater.msg : "invalid data");
    }
  }
  got = wanted - inflater.avail_out;
  return {};
}

/// Behind the end of a deflate stream: the end of the data, or in a gzip file
/// one more gzip stream, which continues it.
Error ByteReader::finishDeflated() {
  if (bufferNext == bufferEnd)
    if (Error error = fill())
      return error;
  if (bufferNext == bufferEnd) {
    ended = true;
    return {};
  }
  if (coding == Coding::Gzip && buffer[bufferNext] == 0x1f) {
    inflateReset(&inflater);
    return {};
  }
  return wrongInput("%s: expected the end of the compressed data, got more "
                    "bytes behind it",
                    streamName.c_str());
}

Error ByteReader::read(void *data, size_t bytes, const char *what) {
  auto *next = static_cast<char *>(data);
  for (size_t done = 0; done < bytes;) {
    size_t got;
    if (Error error = readSome(next + done, bytes - done, got))
      return error;
    if (got == 0)
      return wrongInput("%s: truncated: expected %zu bytes of %s, got %zu",
                        streamName.c_str(), bytes, what, done);
    done += got;
  }
  return {};
}

Error ByteReader::expectEnd() {
  uint64_t end = position;
  char extra;
  size_t got;
  if (Error error = readSome(&extra, 1, got))
    return error;
  if (got != 0)
    return wrongInput("%s: expected the file to end after byte %llu, got more",
                      streamName.c_str(), static_cast<unsigned long long>(end));
  return {};
}

} // namespace sinter::trainer
