// readers_test.cpp - idx, npy, npz, csv and gzip: good files give their
// numbers, each kind of bad file its own message.
#include "runtime/trainer/array_files.h"
#include "runtime/trainer/cifar.h"
#include "runtime/trainer/csv.h"
#include "support.h"

#include <catch2/catch.hpp>
#include <cmath>

using namespace sinter::trainer;
using namespace sinter::trainer::tests;

namespace {

/// The error of reading `bytes`, with the directory cut off the message.
struct Refusal {
  int status;
  std::string message;
};

Refusal refusal(const TemporaryDirectory &directory, const Error &error) {
  std::string message = error.message;
  const std::string prefix = directory.name() + "/";
  for (size_t at; (at = message.find(prefix)) != message.npos;)
    message.erase(at, prefix.size());
  return {static_cast<int>(error.status), message};
}

Refusal readBad(const std::string &name, const std::string &bytes) {
  TemporaryDirectory directory;
  Array array;
  return refusal(directory, readArray(directory.write(name, bytes), array));
}

Refusal readBadNpz(const std::string &bytes) {
  TemporaryDirectory directory;
  Array array;
  return refusal(directory,
                 readNpz(directory.write("a.npz", bytes), "x", array));
}

Refusal readBadCsv(const std::string &bytes, CsvFormat format = {}) {
  TemporaryDirectory directory;
  Array inputs, labels;
  return refusal(directory, readCsv(directory.write("a.csv", bytes), format,
                                    inputs, labels));
}

std::vector<float> numbers(const Array &array) {
  std::vector<float> values;
  for (int64_t i = 0; i < shapeElements(array.shape); ++i)
    values.push_back(array.at(i));
  return values;
}

Array readGood(const std::string &name, const std::string &bytes) {
  TemporaryDirectory directory;
  Array array;
  Error error = readArray(directory.write(name, bytes), array);
  REQUIRE(error.message == "");
  return array;
}

struct Table {
  Array inputs, labels;
};

Table readTable(const std::string &bytes, CsvFormat format = {}) {
  TemporaryDirectory directory;
  Table table;
  Error error = readCsv(directory.write("a.csv", bytes), format, table.inputs,
                        table.labels);
  REQUIRE(error.message == "");
  return table;
}

CsvFormat labelled(std::vector<std::string> labels) {
  CsvFormat format;
  format.labels = std::move(labels);
  return format;
}

void check(const Refusal &refusal, const std::string &message) {
  CHECK(refusal.status == 1);
  CHECK(refusal.message == message);
}

using Floats = std::vector<float>;

} // namespace

// ---- idx and gzip -----------------------------------------------------------

TEST_CASE("idx bytes stay bytes, plain and gzipped") {
  const std::string file = idx({2, 3}, "abcdef");
  for (const std::string &bytes :
       {file, gzip(file), gzip(file.substr(0, 5)) + gzip(file.substr(5))}) {
    Array array = readGood("a.idx", bytes);
    CHECK(array.type == ElementType::U8);
    CHECK(array.shape == Shape{2, 3});
    CHECK(numbers(array) == Floats{'a', 'b', 'c', 'd', 'e', 'f'});
  }
}

TEST_CASE("bad idx files are refused") {
  check(readBad("a.idx", ""),
        "a.idx: truncated: expected 4 bytes of an idx or npy header, got 0");
  check(readBad("a.idx", "PK\3\4"),
        "a.idx: expected an idx or npy file, got the first bytes 50 4b 03 04");
  check(readBad("a.idx", std::string("\0\0\x0d\1", 4)),
        "a.idx: expected an idx file of bytes (type 0x08), got type 0x0d");
  check(readBad("a.idx", std::string("\0\0\x08\0", 4)),
        "a.idx: expected 1 to 8 dimensions, got 0");
  check(readBad("a.idx", std::string("\0\0\x08\1\0\0", 6)),
        "a.idx: truncated: expected 4 bytes of the idx header, got 2");
  check(readBad("a.idx", idx({2, 3}, "abcde")),
        "a.idx: truncated: expected an array of shape (2, 3) with 1 bytes a "
        "number, got room for at most 5 bytes");
  check(readBad("a.idx", idx({2, 3}, "abcdefg")),
        "a.idx: expected the file to end after byte 18, got more");
  check(readBad("a.idx", idx({0, 3}, "")),
        "a.idx: expected data, got an array of shape (0, 3)");
}

TEST_CASE("a claim of a huge array is refused before memory is taken") {
  check(readBad("a.idx", idx({~0u, ~0u, ~0u}, "abc")),
        "a.idx: truncated: expected an array of shape (4294967295, 4294967295, "
        "4294967295) with 1 bytes a number, got room for at most 3 bytes");
  Refusal packed = readBad("a.idx.gz", gzip(idx({~0u, ~0u}, "abc")));
  CHECK(packed.status == 1);
  CHECK(packed.message.find("a.idx.gz: truncated: expected an array of shape "
                            "(4294967295, 4294967295)") == 0);
}

TEST_CASE("bad gzip files are refused") {
  const std::string good = gzip(idx({2, 3}, "abcdef"));
  check(readBad("a.gz", good.substr(0, good.size() - 3)),
        "a.gz: truncated: the compressed data ends after 18 uncompressed "
        "bytes");
  std::string wrongSum = good;
  wrongSum[good.size() - 8] ^= 1;
  check(readBad("a.gz", wrongSum),
        "a.gz: corrupt compressed data near uncompressed byte 12: incorrect "
        "data check");
  check(readBad("a.gz", good + "extra"),
        "a.gz: expected the end of the compressed data, got more bytes behind "
        "it");
  check(readBad("a.gz", "\x1f\x8b\x08"),
        "a.gz: truncated: the compressed data ends after 0 uncompressed "
        "bytes");
}

TEST_CASE("what is no file is refused") {
  TemporaryDirectory directory;
  Array array;
  check(refusal(directory, readArray(directory.path("none"), array)),
        "none: cannot open: No such file or directory");
  check(refusal(directory, readArray(directory.path("."), array)),
        ".: expected a regular file");
}

// ---- npy and npz ------------------------------------------------------------

TEST_CASE("npy numbers of every type are read") {
  auto read = [](const char *type, const std::string &bytes) {
    return numbers(readGood("a.npy", npy(type, "(2,)", bytes)));
  };
  const Floats expected = {100, -3};
  CHECK(read("|i1", raw<int8_t>({100, -3})) == expected);
  CHECK(read("<i2", raw<int16_t>({100, -3})) == expected);
  CHECK(read("<i4", raw<int32_t>({100, -3})) == expected);
  CHECK(read("<i8", raw<int64_t>({100, -3})) == expected);
  CHECK(read("<f4", raw<float>({100, -3})) == expected);
  CHECK(read("<f8", raw<double>({100, -3})) == expected);
  Array bytes = readGood("a.npy", npy("|u1", "(1, 2)", "ab"));
  CHECK(bytes.type == ElementType::U8);
  CHECK(bytes.shape == Shape{1, 2});
}

TEST_CASE("the npy header that is written can be read") {
  Array array = readGood("a.npy", npyHeader({1, 2}) + raw<float>({0.5f, 1.5f}));
  CHECK(array.shape == Shape{1, 2});
  CHECK(numbers(array) == Floats{0.5f, 1.5f});
  CHECK(npyHeader({1, 2}).size() % 64 == 0);
}

TEST_CASE("bad npy files are refused") {
  const std::string two = raw<float>({1, 2});
  check(readBad("a.npy", npy(">f4", "(2,)", two)),
        "a.npy: expected the type b1, u1, i1, i2, i4, i8, f4 or f8, little-endian, "
        "got '>f4'");
  check(readBad("a.npy", npy("<f4", "(1, 2)", two, "True")),
        "a.npy: expected C order, got Fortran order; save "
        "numpy.ascontiguousarray(x)");
  check(readBad("a.npy", npy("<f4", "()", two)),
        "a.npy: expected records, got a single number");
  check(readBad("a.npy", npy("<f4", "(3,)", two)),
        "a.npy: truncated: expected an array of shape (3) with 4 bytes a "
        "number, got room for at most 8 bytes");
  check(readBad("a.npy", npy("<f4", "(1, 2)", raw<float>({1, NAN}))),
        "a.npy: record 0, number 1 (both counted from 0): expected a finite "
        "f32, got nan");
  check(readBad("a.npy", npy("<f8", "(2,)", raw<double>({1, 1e300}))),
        "a.npy: record 1, number 0 (both counted from 0): expected a finite "
        "f32, got inf");
  check(readBad("a.npy", "\x93NUMPY\7"),
        "a.npy: truncated: expected 4 bytes of the npy header, got 3");
  check(readBad("a.npy", "\x93NUMPY\7\1"),
        "a.npy: expected npy version 1, 2 or 3, got 7");
  check(readBad("a.npy", std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12)),
        "a.npy: expected an npy header of at most 65536 bytes, got "
        "4294967295");
  check(readBad("a.npy", std::string("\x93NUMPY\1\0\2\0{}", 12)),
        "a.npy: expected a plain type under 'descr' in the npy header");
  CHECK(readBad("a.npy", npy("<f4", "(-1,)", two)).status == 1);
  CHECK(readBad("a.npy", npy("<f4", "(9999999999999999999,)", two)).status ==
        1);
  CHECK(readBad("a.npy", npy("<f4", "2", two)).status == 1);
}

TEST_CASE("npz members are read, stored and deflated") {
  const std::string x = npy("<f4", "(2,)", raw<float>({1, 2}));
  for (bool deflated : {false, true}) {
    TemporaryDirectory directory;
    Array array;
    Error error = readNpz(
        directory.write("a.npz",
                        zip({{"y.npy", "?", false}, {"x.npy", x, deflated}})),
        "x", array);
    REQUIRE(error.message == "");
    CHECK(numbers(array) == Floats{1, 2});
  }
}

TEST_CASE("bad npz files are refused") {
  const std::string x = npy("<f4", "(2,)", raw<float>({1, 2}));
  const std::string good = zip({{"x.npy", x, true}});
  check(readBadNpz("hello"),
        "a.npz: expected an npz file, got no zip directory at its end");
  check(readBadNpz(good.substr(0, good.size() - 1)),
        "a.npz: expected an npz file, got no zip directory at its end");
  check(readBadNpz(zip({{"y.npy", x}, {"z.npy", x}})),
        "a.npz: expected a member 'x.npy', got y.npy, z.npy");
  std::string stored = zip({{"x.npy", x}});
  size_t data = stored.find(raw<float>({1, 2}));
  stored[data] ^= 1;
  Refusal wrongSum = readBadNpz(stored);
  CHECK(wrongSum.status == 1);
  CHECK(wrongSum.message.find("a.npz: x.npy: corrupt: expected " +
                              std::to_string(x.size()) + " bytes with CRC ") ==
        0);
  std::string wrongMethod = good;
  wrongMethod[good.find("PK\1\2") + 10] = 12;
  check(readBadNpz(wrongMethod),
        "a.npz: x.npy: expected a stored or deflated member, got method 12");
  std::string farAway = good;
  farAway[good.find("PK\1\2") + 44] = 1;
  check(readBadNpz(farAway),
        "a.npz: corrupt zip archive: expected 30 bytes at byte 65536, got a "
        "file of " +
            std::to_string(good.size()) + " bytes");
  std::string huge = good;
  huge.replace(good.find("PK\1\2") + 24, 4, "\xff\xff\xff\xff");
  check(readBadNpz(huge),
        "a.npz: x.npy: expected a member below 4 GiB, got zip64");
}

// ---- csv --------------------------------------------------------------------

TEST_CASE("a csv's label is found by name and by position") {
  const std::string named = "a,kind,b\n1,2,3\n4,5,6\n";
  for (const char *label : {"kind", "1", "-2"}) {
    Table table = readTable(named, labelled({label}));
    CHECK(table.inputs.shape == Shape{2, 2});
    CHECK(numbers(table.inputs) == Floats{1, 3, 4, 6});
    CHECK(numbers(table.labels) == Floats{2, 5});
  }
  Table two = readTable("1,2,3\n4,5,6\n", labelled({"-1", "0"}));
  CHECK(numbers(two.inputs) == Floats{2, 5});
  CHECK(numbers(two.labels) == Floats{3, 1, 6, 4});
}

TEST_CASE("csv text comes in many forms") {
  const Floats expected = {1, 2.5f, -3, 4};
  CHECK(numbers(readTable("1,2.5\n-3,4\n").inputs) == expected);
  CHECK(numbers(readTable("1,2.5\r\n-3,4").inputs) == expected);
  CHECK(
      numbers(readTable("x,\"y, \"\"z\"\"\n\"\n1,\"2.5\"\n\n-3,4\n").inputs) ==
      expected);
  CHECK(numbers(readTable("\xef\xbb\xbf"
                          "1,2.5\n-3,4\n")
                    .inputs) == expected);
  CHECK(numbers(readTable(gzip("1, 2.5 \n-3,4e0\n")).inputs) == expected);
  CsvFormat spaces;
  spaces.separator = ' ';
  CHECK(numbers(readTable(" 1  2.5\r\n-3 4 \r\n", spaces).inputs) == expected);
  CsvFormat skipping;
  skipping.skipRows = 2;
  skipping.separator = ';';
  CHECK(numbers(readTable("about\nthis\n1;2.5\n-3;4\n", skipping).inputs) ==
        expected);
}

TEST_CASE("records and empty lines may cross the end of a buffer") {
  for (const char *record : {"1,2\n\n", "1,\"2\"\r\n", "\n11,22\n\n\n"}) {
    std::string text;
    for (int i = 0; i < 50000; ++i)
      text += record;
    CHECK(readTable(text).inputs.shape == Shape{50000, 2});
  }
}

TEST_CASE("bad csv files are refused") {
  check(readBadCsv(""), "a.csv: expected records, got an empty file");
  check(readBadCsv("a,b\n"),
        "a.csv: expected records below the header, got none");
  check(readBadCsv("1,2\n3,4,5\n"), "a.csv:2: expected 2 columns, got 3");
  // A mistake in the first record does not make it a header.
  check(readBadCsv("1.O,2\n3,4\n"),
        "a.csv:1: column 0: expected a finite number, got '1.O'");
  check(readBadCsv(",2\n3,4\n"),
        "a.csv:1: column 0: expected a finite number, got ''");
  check(readBadCsv(std::string("1\0x,2\n", 7)),
        "a.csv:1: expected text, got a zero byte");
  check(readBadCsv("a,b\n1,2\n\n3,many\n"),
        "a.csv:4: column 1 ('b'): expected a finite number, got 'many'");
  check(readBadCsv("1,2\n3,\n"),
        "a.csv:2: column 1: expected a finite number, got ''");
  check(readBadCsv("1,2\n3,nan\n"),
        "a.csv:2: column 1: expected a finite number, got 'nan'");
  check(readBadCsv("1,2\n3,1e39\n"),
        "a.csv:2: column 1: expected a finite number, got '1e39'");
  check(readBadCsv("1,2\n3,0x10\n"),
        "a.csv:2: column 1: expected a finite number, got '0x10'");
  check(readBadCsv("1,2\n3,\"4\n"), "a.csv:2: expected a closing quote");
  check(readBadCsv("a,b\n1,2\n", labelled({"c"})),
        "a.csv:1: expected a label column 'c', got 2 columns of other names");
  check(readBadCsv("1,2\n", labelled({"2"})),
        "a.csv:1: expected a label column '2', got 2 columns and no header");
  check(readBadCsv("1\n2\n", labelled({"0"})),
        "a.csv:1: expected input columns beside the label");
  CsvFormat skipping;
  skipping.skipRows = 9;
  check(readBadCsv("1,2\n", skipping),
        "a.csv: expected more than the 9 lines to skip");
}

// ---- CIFAR-10 ---------------------------------------------------------------

static std::string cifarRecord(char label) {
  std::string record(1, label);
  for (int colour = 0; colour < 3; ++colour)
    for (int i = 0; i < 1024; ++i)
      record += static_cast<char>(i % 80 + 80 * colour);
  return record;
}

TEST_CASE("CIFAR-10 records become pictures with their colours together") {
  TemporaryDirectory directory;
  const std::string one = directory.write("one", cifarRecord(3));
  const std::string two = directory.write(
      "two", gzip(cifarRecord(9) + cifarRecord(0) + cifarRecord(1)));
  Array inputs, labels;
  REQUIRE_FALSE(readCifar10({one, two}, inputs, labels));
  CHECK(inputs.shape == Shape{4, 32, 32, 3});
  CHECK(labels.shape == Shape{4});
  CHECK(labels.bytes == LargeBytes{3, 9, 0, 1});
  REQUIRE(inputs.bytes.size() == 4 * 3072);
  for (size_t picture = 0; picture < 4; ++picture)
    for (size_t i = 0; i < 1024; ++i)
      for (size_t colour = 0; colour < 3; ++colour)
        if (inputs.bytes[picture * 3072 + i * 3 + colour] !=
            i % 80 + 80 * colour)
          FAIL("pixel " << i << ", colour " << colour);
}

TEST_CASE("files that are no CIFAR-10 are refused") {
  TemporaryDirectory directory;
  auto refusal = [&](const std::string &bytes) {
    Array inputs, labels;
    Error error = readCifar10({directory.write("f", bytes)}, inputs, labels);
    CHECK(error.status == Status::WrongInput);
    return error.message.substr(error.message.find(": ") + 2);
  };
  CHECK(refusal("") == "expected CIFAR-10 records, got an empty file");
  CHECK(refusal(cifarRecord(1) + "x") ==
        "record 1 (counted from 0): truncated: expected 3073 bytes, got 1");
  CHECK(refusal(cifarRecord(10)) ==
        "record 0 (counted from 0): expected a label from 0 to 9, got 10; is "
        "this a CIFAR-10 file?");
  const std::string packed = gzip(cifarRecord(1));
  CHECK(refusal(packed.substr(0, packed.size() - 9)).find("truncated") !=
        std::string::npos);
  Array inputs, labels;
  CHECK(readCifar10({directory.path("missing")}, inputs, labels));
}
