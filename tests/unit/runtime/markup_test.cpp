// markup_test.cpp - escaping, numbers for people, PNG.
#include "runtime/trainer/markup.h"
#include "support.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <zlib.h>

using namespace sinter::trainer;

TEST_CASE("text cannot leave its place in a page") {
  CHECK(escaped("<b a='1'>\"&") == "&lt;b a=&#39;1&#39;&gt;&quot;&amp;");
  CHECK(escaped("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80");
  const std::string unknown = "\xef\xbf\xbd";
  for (const char *bad : {"\x01", "\x7f", "\x80", "\xc0", "\xff"})
    CHECK(escaped(bad) == unknown);
  CHECK(escaped("\xe2\x82") == unknown + unknown);               // cut off
  CHECK(escaped("\xc0\xbc") == unknown + unknown);               // overlong <
  CHECK(escaped("\xed\xa0\x80") == unknown + unknown + unknown); // surrogate
}

TEST_CASE("numbers are written for people") {
  CHECK(grouped(7) == "7");
  CHECK(grouped(1234567) == "1,234,567");
  CHECK(grouped(-123456) == "-123,456");
  CHECK(readableBytes(64) == "64 B");
  CHECK(readableBytes(128576) == "126 KB");
  CHECK(readableBytes(2560) == "2.5 KB");
  CHECK(readableSeconds(0.0000019) == "1.9 \xc2\xb5s");
  CHECK(readableSeconds(0.00123) == "1.2 ms");
  CHECK(readableSeconds(0.2341) == "234 ms");
  CHECK(readableSeconds(1.234) == "1.23 s");
  CHECK(readableSeconds(252) == "4 min 12 s");
  CHECK(readableSeconds(7380) == "2 h 03 min");
  CHECK(figure(0.123456) == "0.1235");
  CHECK(figure(NAN) == "\xe2\x80\x93");
  CHECK(percent(0.8671) == "86.7 %");
  CHECK(percent(NAN) == "\xe2\x80\x93");
}

TEST_CASE("ticks are round and cover the range") {
  const std::vector<double> ticks = niceTicks(0.31, 0.53, 4);
  REQUIRE(ticks.size() == 4);
  CHECK(ticks.front() == Approx(0.3));
  CHECK(ticks.back() == Approx(0.6));
  CHECK(niceTicks(0, 100, 4) == std::vector<double>{0, 25, 50, 75, 100});
  CHECK(niceTicks(3, 3, 4) == std::vector<double>{3});
  using Whole = std::vector<int64_t>;
  CHECK(wholeTicks(3, 10) == Whole{1, 2, 3});
  CHECK(wholeTicks(16, 10) == Whole{2, 4, 6, 8, 10, 12, 14, 16});
  CHECK(wholeTicks(250, 10) == Whole{50, 100, 150, 200, 250});
  CHECK(wholeTicks(0, 10).empty());
}

TEST_CASE("a PNG holds the pixels") {
  const Picture picture = {2, 2, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7}};
  const std::string png = encodePng(picture);
  CHECK(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
  CHECK(png.substr(12, 4) == "IHDR");
  const size_t data = png.find("IDAT") + 4;
  unsigned char rows[14];
  uLongf size = sizeof rows;
  REQUIRE(uncompress(rows, &size,
                     reinterpret_cast<const Bytef *>(png.data()) + data,
                     static_cast<uLong>(png.size() - data)) == Z_OK);
  const unsigned char expected[14] = {0, 255, 0, 0,   0, 255, 0,
                                      0, 0,   0, 255, 9, 8,   7};
  CHECK(size == sizeof rows);
  CHECK(std::memcmp(rows, expected, sizeof rows) == 0);
  const std::string uri = pngUri(picture);
  CHECK(uri.find("data:image/png;base64,iVBORw0KGgo") == 0);
  CHECK((uri.size() - 22) % 4 == 0);
}
