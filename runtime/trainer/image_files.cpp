// image_files.cpp - headers, pixels and sizes of pictures; see image_files.h.
#include "runtime/trainer/image_files.h"

#include "runtime/trainer/byte_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sinter::trainer {

namespace {

/// More than any camera; keeps every product below in 64 bits.
constexpr uint64_t largestSide = 1 << 16, mostPixels = 1 << 26;
constexpr uint64_t mostExpansion = 1032; // of deflate

constexpr uint8_t pngSignature[8] = {0x89, 'P',  'N',  'G',
                                     '\r', '\n', 0x1a, '\n'};

uint32_t bigEndian(const uint8_t *bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 |
         uint32_t{bytes[2]} << 8 | bytes[3];
}

Error checkSize(const std::string &file, uint64_t width, uint64_t height) {
  if (width > 0 && height > 0 && width <= largestSide &&
      height <= largestSide && width * height <= mostPixels)
    return {};
  return wrongInput("%s: expected 1 to %llu pixels a side and at most %llu in "
                    "all, got %llu x %llu",
                    file.c_str(), static_cast<unsigned long long>(largestSide),
                    static_cast<unsigned long long>(mostPixels),
                    static_cast<unsigned long long>(width),
                    static_cast<unsigned long long>(height));
}

// ---- PNG --------------------------------------------------------------------

/// One PNG on its way from chunks to pixels.
class PngReader {
public:
  PngReader(ByteReader &reader, Picture &picture)
      : reader(reader), file(reader.name()), picture(picture) {}

  /// Behind the signature.
  Error read() {
    for (bool ended = false; !ended;)
      if (Error error = readChunk(ended))
        return error;
    if (Error error = unpack())
      return error;
    return isPalette() ? lookUp() : Error{};
  }

private:
  bool isPalette() const { return colourType == 3; }

  Error readChunk(bool &ended) {
    uint8_t head[8], tail[4];
    if (Error error = reader.read(head, sizeof head, "a PNG chunk"))
      return error;
    const uint32_t length = bigEndian(head);
    const std::string type(reinterpret_cast<const char *>(head + 4), 4);
    if (length > reader.mostBytesLeft())
      return wrongInput(
          "%s: truncated: expected a PNG chunk of %u bytes, got "
          "room for at most %llu",
          file.c_str(), length,
          static_cast<unsigned long long>(reader.mostBytesLeft()));
    chunk.resize(length);
    if (Error error = reader.read(chunk.data(), length, "a PNG chunk"))
      return error;
    if (Error error = reader.read(tail, sizeof tail, "a PNG chunk's checksum"))
      return error;
    uLong crc = crc32_z(0, head + 4, 4);
    if (length > 0) // zlib takes no bytes at all for a request to start anew
      crc = crc32_z(crc, chunk.data(), length);
    if (crc != bigEndian(tail))
      return wrongInput("%s: corrupt: expected checksum %08x of a PNG chunk, "
                        "got %08x",
                        file.c_str(), bigEndian(tail),
                        static_cast<unsigned>(crc));
    if (depth == 0 && type != "IHDR")
      return wrongInput("%s: expected the PNG header first, got another chunk",
                        file.c_str());
    ended = type == "IEND";
    if (type == "IHDR")
      return readHeader();
    if (type == "PLTE" || type == "tRNS")
      return readTable(type == "PLTE" ? palette : alphas);
    if (type == "IDAT") {
      packed.insert(packed.end(), chunk.begin(), chunk.end());
      return {};
    }
    // A lower-case first letter marks what may be skipped.
    if (ended || (head[4] & 0x20) != 0)
      return {};
    return wrongInput("%s: expected PNG chunks that are known, got a critical "
                      "one that is not: %02x%02x%02x%02x",
                      file.c_str(), head[4], head[5], head[6], head[7]);
  }

  Error readHeader() {
    if (depth != 0 || chunk.size() != 13)
      return wrongInput(
          "%s: expected one PNG header of 13 bytes, got %s", file.c_str(),
          depth != 0 ? "two" : std::to_string(chunk.size()).c_str());
    const uint32_t width = bigEndian(&chunk[0]), height = bigEndian(&chunk[4]);
    if (Error error = checkSize(file, width, height))
      return error;
    colourType = chunk[9];
    const int channelsOf[] = {1, 0, 3, 1, 2, 0, 4};
    const int channels = colourType < 7 ? channelsOf[colourType] : 0;
    const bool isPacked = chunk[8] == 1 || chunk[8] == 2 || chunk[8] == 4;
    if (channels == 0 ||
        !(chunk[8] == 8 || (isPacked && (colourType == 0 || isPalette()))))
      return wrongInput("%s: expected a PNG of at most 8 bits a sample, got "
                        "%d bits of colour type %d; convert it: convert FILE "
                        "-depth 8 FILE",
                        file.c_str(), chunk[8], colourType);
    if (chunk[10] != 0 || chunk[11] != 0 || chunk[12] != 0)
      return wrongInput("%s: expected a PNG that is not interlaced, got "
                        "methods %d, %d, %d; convert it: convert FILE "
                        "-interlace none FILE",
                        file.c_str(), chunk[10], chunk[11], chunk[12]);
    depth = chunk[8];
    picture.width = width;
    picture.height = height;
    picture.channels = static_cast<uint32_t>(channels);
    return {};
  }

  Error readTable(std::vector<uint8_t> &table) {
    if (chunk.size() > 256 * 3)
      return wrongInput("%s: expected a PNG palette of at most 256 colours, "
                        "got %zu bytes",
                        file.c_str(), chunk.size());
    table = chunk;
    return {};
  }

  /// Inflates, undoes the filters, and spreads samples to bytes.
  Error unpack() {
    const size_t rowBits = size_t{picture.width} * picture.channels * depth;
    const size_t rowBytes = (rowBits + 7) / 8;
    const size_t bytes = (1 + rowBytes) * picture.height;
    if (bytes > packed.size() * mostExpansion + 64)
      return wrongInput("%s: truncated: expected %zu bytes of pixels, got %zu "
                        "compressed ones",
                        file.c_str(), bytes, packed.size());
    std::vector<uint8_t> rows(bytes);
    uLongf got = bytes;
    const int result =
        uncompress(rows.data(), &got, packed.data(), packed.size());
    if (result != Z_OK || got != bytes)
      return wrongInput(
          "%s: corrupt: expected %zu bytes of pixels, got %s", file.c_str(),
          bytes, result == Z_OK ? std::to_string(got).c_str() : zError(result));
    const size_t stride =
        std::max<size_t>(1, size_t{picture.channels} * depth / 8);
    const std::vector<uint8_t> zeros(rowBytes);
    const uint8_t *above = zeros.data();
    for (size_t y = 0; y < picture.height; ++y) {
      uint8_t *row = &rows[y * (1 + rowBytes)];
      if (row[0] > 4)
        return wrongInput("%s: corrupt: row %zu: expected a PNG filter from 0 "
                          "to 4, got %d",
                          file.c_str(), y, row[0]);
      unfilter(row[0], stride, rowBytes, above, row + 1);
      above = row + 1;
    }
    const size_t rowSamples = size_t{picture.width} * picture.channels;
    picture.pixels.resize(rowSamples * picture.height);
    for (size_t y = 0; y < picture.height; ++y)
      spread(&rows[y * (1 + rowBytes) + 1], rowSamples,
             &picture.pixels[y * rowSamples]);
    return {};
  }

  static uint8_t paeth(int left, int above, int corner) {
    const int toLeft = std::abs(above - corner),
              toAbove = std::abs(left - corner),
              toCorner = std::abs(left + above - 2 * corner);
    return static_cast<uint8_t>(toLeft <= toAbove && toLeft <= toCorner ? left
                                : toAbove <= toCorner                   ? above
                                                      : corner);
  }

  static void unfilter(int filter, size_t stride, size_t bytes,
                       const uint8_t *above, uint8_t *row) {
    for (size_t i = 0; i < bytes; ++i) {
      const int left = i < stride ? 0 : row[i - stride];
      const int corner = i < stride ? 0 : above[i - stride];
      const int predicted[] = {0, left, above[i], (left + above[i]) / 2,
                               paeth(left, above[i], corner)};
      row[i] = static_cast<uint8_t>(row[i] + predicted[filter]);
    }
  }

  /// Samples of `depth` bits to bytes: 0 .. 255, or positions in the palette.
  void spread(const uint8_t *row, size_t samples, uint8_t *spreaded) const {
    if (depth == 8) {
      std::copy_n(row, samples, spreaded);
      return;
    }
    const int levels = (1 << depth) - 1;
    for (size_t i = 0; i < samples; ++i) {
      const size_t bit = i * depth;
      const int value = row[bit / 8] >> (8 - depth - bit % 8) & levels;
      spreaded[i] =
          static_cast<uint8_t>(isPalette() ? value : value * 255 / levels);
    }
  }

  /// Positions in the palette to colours.
  Error lookUp() {
    const size_t colours = palette.size() / 3;
    const size_t channels = alphas.empty() ? 3 : 4;
    std::vector<uint8_t> pixels;
    pixels.reserve(picture.pixels.size() * channels);
    for (uint8_t position : picture.pixels) {
      if (position >= colours)
        return wrongInput("%s: corrupt: expected positions in a palette of "
                          "%zu colours, got %d",
                          file.c_str(), colours, position);
      pixels.insert(pixels.end(), &palette[position * size_t{3}],
                    &palette[position * size_t{3}] + 3);
      if (!alphas.empty())
        pixels.push_back(position < alphas.size() ? alphas[position] : 255);
    }
    picture.channels = static_cast<uint32_t>(channels);
    picture.pixels = std::move(pixels);
    return {};
  }

  ByteReader &reader;
  const std::string &file;
  Picture &picture;
  unsigned depth = 0; // bits a sample; 0 before the header
  int colourType = 0;
  std::vector<uint8_t> chunk, palette, alphas, packed;
};

// ---- PPM and PGM ------------------------------------------------------------

/// The next whole number of a header, behind blanks and comments, and the blank
/// behind it.
Error readNumber(ByteReader &reader, uint64_t &number) {
  number = 0;
  bool isComment = false;
  for (int digits = 0;;) {
    char c;
    if (Error error = reader.read(&c, 1, "a PPM header"))
      return error;
    if (c >= '0' && c <= '9' && !isComment && digits < 9) {
      number = number * 10 + static_cast<uint64_t>(c - '0');
      ++digits;
      continue;
    }
    const bool isBlank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (isBlank && digits > 0)
      return {};
    if (!isComment && !isBlank && (c != '#' || digits > 0))
      return wrongInput("%s: expected numbers in the PPM header, got byte %02x",
                        reader.name().c_str(), static_cast<unsigned char>(c));
    isComment = (isComment && c != '\n') || c == '#';
  }
}

/// Behind "P5" or "P6".
Error readPnm(ByteReader &reader, uint32_t channels, Picture &picture) {
  uint64_t width, height, levels;
  for (uint64_t *number : {&width, &height, &levels})
    if (Error error = readNumber(reader, *number))
      return error;
  if (Error error = checkSize(reader.name(), width, height))
    return error;
  if (levels < 1 || levels > 255)
    return wrongInput("%s: expected 1 to 255 levels, got %llu; convert it: "
                      "convert FILE -depth 8 FILE",
                      reader.name().c_str(),
                      static_cast<unsigned long long>(levels));
  const uint64_t bytes = width * height * channels;
  if (bytes > reader.mostBytesLeft())
    return wrongInput("%s: truncated: expected %llu bytes of pixels, got room "
                      "for at most %llu",
                      reader.name().c_str(),
                      static_cast<unsigned long long>(bytes),
                      static_cast<unsigned long long>(reader.mostBytesLeft()));
  picture.width = static_cast<uint32_t>(width);
  picture.height = static_cast<uint32_t>(height);
  picture.channels = channels;
  picture.pixels.resize(bytes);
  if (Error error = reader.read(picture.pixels.data(), bytes, "pixels"))
    return error;
  for (uint8_t &value : picture.pixels) {
    if (value > levels)
      return wrongInput("%s: corrupt: expected levels from 0 to %llu, got %d",
                        reader.name().c_str(),
                        static_cast<unsigned long long>(levels), value);
    value = static_cast<uint8_t>((value * 255u + levels / 2) / levels);
  }
  return {};
}

} // namespace

Error readPicture(const std::string &path, Picture &picture) {
  ByteReader reader;
  uint8_t first[8] = {};
  if (Error error = reader.open(path))
    return error;
  if (Error error = reader.read(first, 2, "a picture"))
    return error;
  picture = {};
  if (first[0] == 'P' && (first[1] == '5' || first[1] == '6'))
    return readPnm(reader, first[1] == '5' ? 1 : 3, picture);
  if (first[0] == 0xff && first[1] == 0xd8)
    return wrongInput("%s: expected a PNG, PPM or PGM picture, got JPEG; "
                      "convert it: mogrify -format png FILE (ImageMagick)",
                      path.c_str());
  if (first[0] == pngSignature[0] && first[1] == pngSignature[1]) {
    if (Error error = reader.read(first + 2, 6, "the PNG signature"))
      return error;
    if (std::memcmp(first, pngSignature, sizeof first) == 0)
      return PngReader(reader, picture).read();
  }
  return wrongInput("%s: expected a PNG, PPM or PGM picture, got the first "
                    "bytes %02x %02x",
                    path.c_str(), first[0], first[1]);
}

// ---- Size and channels ------------------------------------------------------

namespace {

/// Where a pixel of the new side lies on the old one: between two pixels.
struct Between {
  size_t low, high;
  float share; // of `high`
};

std::vector<Between> positions(size_t from, size_t to) {
  std::vector<Between> list(to);
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  for (size_t i = 0; i < to; ++i) {
    const float at = (static_cast<float>(i) + 0.5f) * scale - 0.5f;
    const float low = std::floor(at);
    list[i] = {
        static_cast<size_t>(std::max(low, 0.0f)),
        std::min(static_cast<size_t>(std::ceil(std::max(at, 0.0f))), from - 1),
        at - low};
  }
  return list;
}

/// Channel `channel` of `channels` that are wanted.
float channelOf(const uint8_t *pixel, uint32_t has, size_t channel,
                int64_t channels) {
  const bool isColour = has >= 3;
  if (channel == 3)
    return has % 2 == 0 ? pixel[has - 1] : 255;
  if (isColour && channels == 1)
    return 0.299f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2];
  return pixel[isColour ? channel : 0];
}

} // namespace

void fitPicture(const Picture &picture, int64_t height, int64_t width,
                int64_t channels, uint8_t *pixels) {
  const auto rows = positions(picture.height, static_cast<size_t>(height));
  const auto columns = positions(picture.width, static_cast<size_t>(width));
  auto at = [&](size_t y, size_t x, size_t channel) {
    return channelOf(
        &picture.pixels[(y * picture.width + x) * picture.channels],
        picture.channels, channel, channels);
  };
  for (const Between &y : rows)
    for (const Between &x : columns)
      for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
        const float above =
            at(y.low, x.low, c) +
            (at(y.low, x.high, c) - at(y.low, x.low, c)) * x.share;
        const float below =
            at(y.high, x.low, c) +
            (at(y.high, x.high, c) - at(y.high, x.low, c)) * x.share;
        *pixels++ =
            static_cast<uint8_t>(above + (below - above) * y.share + 0.5f);
      }
}

} // namespace sinter::trainer
