// callbacks_test.cpp - what a checkpoint and callbacks stand on: notes, class
// maps, growing files, paths with figures in them.
#include "fake_model.h"
#include "runtime/trainer/callbacks.h"
#include "runtime/trainer/log_file.h"
#include "support.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace sinter::trainer;
using namespace sinter::trainer::tests;

namespace {

/// A history of loss and accuracy (training and validation), one epoch.
struct OneEpoch {
  sinter_model model = fake_model("");
  Means means{model.train_step};
  History history{means, &means, nullptr, 1};

  OneEpoch() {
    means.add(0, 0.123456, 1);
    means.add(1, 0.5, 1);
    means.addSamples(1);
    history.add(means, &means, 2.5);
  }

  std::string path(const std::string &pattern) const {
    std::string path;
    Error error = formatPath(pattern, 7, history, path);
    return error ? "error: " + error.message : path;
  }
};

Array labels(const std::vector<float> &values) {
  Array array;
  array.shape = {static_cast<int64_t>(values.size())};
  const std::string bytes = raw(values);
  array.bytes.assign(bytes.begin(), bytes.end());
  return array;
}

} // namespace

TEST_CASE("paths take figures as Python's format does") {
  OneEpoch epoch;
  CHECK(epoch.path("plain") == "plain");
  CHECK(epoch.path("{epoch}") == "7");
  CHECK(epoch.path("w-{epoch:03d}.st") == "w-007.st");
  CHECK(epoch.path("{epoch:02d}-{val_loss:.2f}-{accuracy:.1e}") ==
        "07-0.12-5.0e-01");
  CHECK(epoch.path("{loss}") == "0.123456");
  for (const char *wrong :
       {"{", "{epoch", "{epoch:s}", "{epoch:%n}", "{val_los:.2f}", "{loss:d}",
        "{}", "{loss:123456789f}", "{epoch_seconds}"})
    CHECK(epoch.path(wrong) ==
          std::string("error: model_checkpoint: expected {NAME:FORMAT} in "
                      "'path', with epoch or one of loss, accuracy, val_loss, "
                      "val_accuracy, got '") +
              wrong + "'");
}

TEST_CASE("notes keep every bit of a number") {
  Notes notes;
  const std::vector<double> values = {0.1, -1e-310, 1e300, 0, -INFINITY};
  notes.put("values", values);
  notes.put("none", std::vector<double>());
  notes.put("count", int64_t{-5});
  notes.put("text", std::string("\"quoted\\"));

  TemporaryDirectory directory;
  const std::string path = directory.path("n.safetensors");
  const std::vector<sinter_metadata> metadata = notes.metadata();
  char message[200];
  REQUIRE(sinter_write_tensors(path.c_str(), nullptr, 0, metadata.data(),
                               static_cast<int64_t>(metadata.size()), message,
                               sizeof message) == SINTER_OK);
  Notes read;
  REQUIRE_FALSE(read.read(path));
  std::vector<double> got, nothing;
  CHECK(read.get("values", got));
  CHECK(got == values);
  CHECK(read.get("none", nothing));
  CHECK(nothing.empty());
  int64_t count = 0;
  CHECK(read.get("count", count));
  CHECK(count == -5);
  std::string text;
  CHECK(read.get("text", text));
  CHECK(text == "\"quoted\\");

  double one = 3;
  CHECK_FALSE(read.get("values", one)); // several
  CHECK_FALSE(read.get("text", one));
  CHECK_FALSE(read.get("text", count));
  CHECK_FALSE(read.get("missing", text));
  CHECK(one == 3);
}

TEST_CASE("metadata of other programs is stepped over or kept as it is") {
  TemporaryDirectory directory;
  auto notesOf = [&](const std::string &header) {
    std::string length(8, '\0');
    length[0] = static_cast<char>(header.size());
    Notes notes;
    Error error = notes.read(directory.write("m.safetensors", length + header));
    std::string text;
    if (error)
      return error.message.substr(error.message.rfind(": ") + 2);
    return notes.get("k", text) ? "got " + text : "nothing";
  };
  CHECK(notesOf("{}") == "nothing");
  CHECK(notesOf(R"({"__metadata__":{}})") == "nothing");
  CHECK(notesOf(R"({"__metadata__":{"a":"b","k":"v\"\u00e9\\"}})") ==
        "got v\"u00e9\\");
  CHECK(notesOf(R"({"__metadata__":{"k":"v"},"t":{"dtype":"F64","shape":[2],)"
                R"("data_offsets":[0,16]}})") == "got v");
  CHECK(notesOf(R"({"__metadata__":{"k":3}})") == "expected '\"', got '3'");
  CHECK(notesOf(R"({"__metadata__":{"k":"v)") ==
        "expected '\"', got the header's end");
  CHECK(notesOf(R"({"__metadata__":{"k":"v\)") ==
        "expected '\"', got the header's end");
}

TEST_CASE("a class map is the sorted labels") {
  ClassMap map;
  CHECK(map.label(3) == 3); // nothing mapped
  REQUIRE_FALSE(map.learn("f", labels({7, -2, 7, 24}), 3));
  CHECK(map.text() == "-2, 7, 24");
  CHECK(map.find(-2) == 0);
  CHECK(map.find(24) == 2);
  CHECK(map.find(8) == -1);
  CHECK(map.find(7.5f) == -1);
  CHECK(map.find(std::numeric_limits<float>::max()) == -1);
  CHECK(map.label(1) == 7);

  Notes notes;
  map.save(notes);
  ClassMap copy;
  REQUIRE_FALSE(copy.load("f", notes));
  CHECK(copy == map);
  for (const char *wrong : {"1 1", "2 1", "1.5", "x", "1 2 99999999999"}) {
    Notes bad;
    bad.put("classes", std::string(wrong));
    CHECK(copy.load("f", bad).message ==
          std::string("f: expected increasing whole numbers as 'classes' in "
                      "the metadata, got '") +
              wrong + "'");
    CHECK_FALSE(copy.isGiven());
  }
}

TEST_CASE("labels that are no classes are refused") {
  ClassMap map;
  CHECK(map.learn("f", labels({1, 2, 3}), 2).message ==
        "f: expected 2 different labels, one for each class of the model, got "
        "more: 1, 2, 3, ...");
  CHECK(map.learn("f", labels({1}), 2).message ==
        "f: expected 2 different labels, one for each class of the model, got "
        "1: 1");
  CHECK(map.learn("f", labels({1, 0.5f}), 2).message ==
        "f: record 1 (counted from 0): expected a whole number as label, got "
        "0.5");
}

TEST_CASE("a log is cut back to where a checkpoint saw its end") {
  TemporaryDirectory directory;
  const std::string path = directory.path("log");
  Notes notes;
  {
    LogFile log;
    REQUIRE_FALSE(log.open(path, /*append=*/false));
    REQUIRE_FALSE(log.append("one\n"));
    log.save(notes, "log.");
    REQUIRE_FALSE(log.append("two\n"));
  }
  CHECK(readFile(path) == "one\ntwo\n");
  {
    LogFile log;
    REQUIRE(log.load(notes, "log."));
    REQUIRE_FALSE(log.reopen());
    REQUIRE_FALSE(log.append("again\n"));
  }
  CHECK(readFile(path) == "one\nagain\n");
  SECTION("a file that became shorter is not filled up") {
    directory.write("log", "o");
    LogFile log;
    REQUIRE(log.load(notes, "log."));
    REQUIRE_FALSE(log.reopen());
    CHECK_FALSE(log.isOpen());
    CHECK(log.isEmpty());
  }
  SECTION("a file is kept or started anew") {
    LogFile appended, fresh;
    REQUIRE_FALSE(appended.open(path, /*append=*/true));
    REQUIRE_FALSE(appended.append("more\n"));
    CHECK(readFile(path) == "one\nagain\nmore\n");
    REQUIRE_FALSE(fresh.open(path, /*append=*/false));
    CHECK(readFile(path).empty());
  }
}
