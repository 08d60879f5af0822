// markup.h - the small pieces of a page: safe text, numbers for people, images
// as data URIs.
#ifndef SINTER_TRAINER_MARKUP_H
#define SINTER_TRAINER_MARKUP_H

#include <cstdint>
#include <string>
#include <vector>

namespace sinter::trainer {

/// Text as it may stand in an element or a quoted attribute. Control characters
/// and bytes that are no UTF-8 become U+FFFD.
std::string escaped(const std::string &text);

/// "79,510"
std::string grouped(int64_t number);
/// "125.6 KB"
std::string readableBytes(double bytes);
/// "230 ms", "1.34 s", "4 min 12 s", "2 h 03 min"
std::string readableSeconds(double seconds);
/// Four digits; a dash for what is not finite.
std::string figure(double value);
/// "86.7 %", or a dash.
std::string percent(double share);

/// Round numbers from about `low` to `high`, some `count` of them.
std::vector<double> niceTicks(double low, double high, int count);

/// Multiples of 1, 2, 5, 10, ... from 1 to `last`, at most `most` of them.
std::vector<int64_t> wholeTicks(int64_t last, int64_t most);

/// Pixels row by row, top first; `channels` 1 (grey) or 3 (RGB).
struct Picture {
  uint32_t width = 0, height = 0, channels = 1;
  std::vector<uint8_t> pixels;
};
std::string encodePng(const Picture &picture);
/// "data:image/png;base64,..."
std::string pngUri(const Picture &picture);

} // namespace sinter::trainer

#endif
