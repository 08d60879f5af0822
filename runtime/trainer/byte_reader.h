// byte_reader.h - the bytes of a file, decompressed while they are read.
//
// The readers of the data formats see one stream of bytes, whether it comes
// from a plain file, from a gzip file (told by its first two bytes, not by its
// name) or from one member of a zip archive. Truncation, wrong checksums and
// broken compression are found here, once for all formats.
//
// A header may claim any size. `mostBytesLeft` bounds what the rest of the
// stream can hold (deflate expands at most 1032 times), so a reader can refuse
// a claim before it allocates.
#ifndef SINTER_TRAINER_BYTE_READER_H
#define SINTER_TRAINER_BYTE_READER_H

#include "runtime/trainer/error.h"

#include <zlib.h>

#include <cstdint>
#include <vector>

namespace sinter::trainer {

/// Where a zip archive keeps a member.
struct ZipMember {
  std::string name;
  bool deflated = false;
  uint64_t offset = 0; // of its first byte in the archive
  uint64_t storedBytes = 0, bytes = 0;
  uint32_t crc = 0;
};

class ByteReader {
public:
  ByteReader() = default;
  ~ByteReader();
  ByteReader(const ByteReader &) = delete;
  ByteReader &operator=(const ByteReader &) = delete;

  Error open(const std::string &path);
  Error open(const std::string &archive, const ZipMember &member);

  /// Reads up to `capacity` bytes; none at the end of the stream only.
  Error readSome(void *data, size_t capacity, size_t &got);
  /// Reads all `bytes`, or says that `what` is truncated.
  Error read(void *data, size_t bytes, const char *what);
  /// Refuses bytes behind the last expected one.
  Error expectEnd();

  /// No more bytes than this can follow.
  uint64_t mostBytesLeft() const;
  /// For messages: the path, and the member of an archive.
  const std::string &name() const { return streamName; }

private:
  enum class Coding { Plain, Gzip, Deflate };

  Error openFile(const std::string &path);
  Error startInflating(int windowBits);
  Error fill();
  Error inflateSome(void *data, size_t capacity, size_t &got);
  Error finishDeflated();

  std::string streamName;
  int descriptor = -1;
  Coding coding = Coding::Plain;
  uint64_t fileBytesLeft = 0; // not yet in `buffer`
  std::vector<uint8_t> buffer;
  size_t bufferNext = 0, bufferEnd = 0;
  uint64_t position = 0; // in the decompressed stream
  z_stream inflater = {};
  bool inflating = false, ended = false;
  // What a zip archive's directory says of the member; gzip has its own.
  bool isMember = false;
  uint64_t expectedBytes = 0;
  uint32_t expectedCrc = 0, crc = 0;
};

} // namespace sinter::trainer

#endif
