// markup.cpp - text, numbers and images for a page; see markup.h.
//
// PNG here is its smallest form: one header, one zlib stream of unfiltered
// rows, one end. Pictures are thumbnails; filters would save little.
#include "runtime/trainer/markup.h"

#include "runtime/trainer/error.h"

#include <cmath>
#include <zlib.h>

namespace sinter::trainer {

// ---- Text -------------------------------------------------------------------

/// Bytes of the UTF-8 sequence at `i`; 0 where there is none.
static size_t sequenceLength(const std::string &text, size_t i) {
  auto byte = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
  const uint8_t first = byte(i);
  if (first < 0x80)
    return first >= ' ' && first != 0x7f;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || i + length > text.size())
    return 0;
  for (size_t k = 1; k < length; ++k)
    if ((byte(i + k) & 0xc0) != 0x80)
      return 0;
  // Overlong forms, surrogates, beyond U+10FFFF.
  const uint8_t second = byte(i + 1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
    return 0;
  return length;
}

std::string escaped(const std::string &text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequenceLength(text, i);
    if (length == 0)
      result += "\xef\xbf\xbd";
    else if (text[i] == '&')
      result += "&amp;";
    else if (text[i] == '<')
      result += "&lt;";
    else if (text[i] == '>')
      result += "&gt;";
    else if (text[i] == '"')
      result += "&quot;";
    else if (text[i] == '\'')
      result += "&#39;";
    else
      result.append(text, i, length);
    i += length ? length : 1;
  }
  return result;
}

// ---- Numbers ----------------------------------------------------------------

static const char *const dash = "\xe2\x80\x93";

std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  const size_t first = number < 0;
  for (size_t i = text.size(); i > first + 3;) {
    i -= 3;
    text.insert(i, ",");
  }
  return text;
}

std::string readableBytes(double bytes) {
  static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit)
    bytes /= 1024;
  return format(unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes,
                units[unit]);
}

std::string readableSeconds(double seconds) {
  if (!std::isfinite(seconds))
    return dash;
  if (seconds < 0.001)
    return format("%.2g \xc2\xb5s", 1e6 * seconds);
  if (seconds < 1)
    return format(seconds < 0.01 ? "%.2g ms" : "%.0f ms", 1000 * seconds);
  if (seconds < 59.5)
    return format(seconds < 9.95 ? "%.2f s" : "%.0f s", seconds);
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 3600)
    return format("%lld min %02lld s", whole / 60, whole % 60);
  return format("%lld h %02lld min", whole / 3600, whole / 60 % 60);
}

std::string figure(double value) {
  return std::isfinite(value) ? format("%.4g", value) : dash;
}

std::string percent(double share) {
  return std::isfinite(share) ? format("%.1f %%", 100 * share) : dash;
}

std::vector<double> niceTicks(double low, double high, int count) {
  if (!(high > low))
    return {low};
  const double rough = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (double factor : {5.0, 2.5, 2.0, 1.0})
    if (factor * power >= rough)
      step = factor * power;
  const double first = std::floor(low / step);
  const int steps = static_cast<int>(std::ceil(high / step) - first);
  std::vector<double> ticks;
  for (int i = 0; i <= steps; ++i)
    ticks.push_back((first + i) * step);
  return ticks;
}

std::vector<int64_t> wholeTicks(int64_t last, int64_t most) {
  int64_t step = 1;
  for (int64_t power = 1; last / step > most; power *= 10)
    for (int64_t factor : {2, 5, 10})
      if (last / step > most)
        step = factor * power;
  std::vector<int64_t> ticks;
  for (int64_t tick = step; tick <= last; tick += step)
    ticks.push_back(tick);
  return ticks;
}

// ---- Images -----------------------------------------------------------------

static void append32(std::string &bytes, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes += static_cast<char>(value >> shift);
}

static const Bytef *bytesOf(const std::string &text) {
  return reinterpret_cast<const Bytef *>(text.data());
}

static void appendChunk(std::string &png, const char *type,
                        const std::string &data) {
  append32(png, static_cast<uint32_t>(data.size()));
  const std::string content = type + data;
  png += content;
  append32(png, static_cast<uint32_t>(crc32(
                    0, bytesOf(content), static_cast<uInt>(content.size()))));
}

std::string encodePng(const Picture &picture) {
  std::string header;
  append32(header, picture.width);
  append32(header, picture.height);
  header += '\x08'; // bits
  header += picture.channels == 3 ? '\x02' : '\x00';
  header.append(3, '\0'); // deflate, no filters, not interlaced

  std::string rows;
  const size_t rowBytes = size_t{picture.width} * picture.channels;
  for (size_t y = 0; y < picture.height; ++y) {
    rows += '\0';
    rows.append(reinterpret_cast<const char *>(picture.pixels.data()) +
                    y * rowBytes,
                rowBytes);
  }
  uLongf size = compressBound(static_cast<uLong>(rows.size()));
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef *>(packed.data()), &size, bytesOf(rows),
            static_cast<uLong>(rows.size()), Z_BEST_COMPRESSION);
  packed.resize(size);

  std::string png = "\x89PNG\r\n\x1a\n";
  appendChunk(png, "IHDR", header);
  appendChunk(png, "IDAT", packed);
  appendChunk(png, "IEND", "");
  return png;
}

static std::string base64(const std::string &bytes) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 |
              (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k)
      text += i + k > bytes.size() ? '=' : digits[group >> (18 - 6 * k) & 63];
  }
  return text;
}

std::string pngUri(const Picture &picture) {
  return "data:image/png;base64," + base64(encodePng(picture));
}

} // namespace sinter::trainer
