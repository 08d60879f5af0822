// weights_test.cpp - safetensors: there and back, and hostile files.
#include "fake_model.h"
#include "support.h"

#include "runtime/safetensors.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstring>

using namespace sinter::trainer::tests;

namespace {

struct Loaded {
  int status;
  std::string message;
};

struct Model {
  sinter_model table = fake_model("");
  TemporaryDirectory directory;

  std::string state(uint64_t seed) const {
    std::string bytes(static_cast<size_t>(table.state_bytes), '\0');
    sinter_init_state(&table, bytes.data(), seed);
    return bytes;
  }

  std::string path() const { return directory.path("w.safetensors"); }

  int save(const std::string &state) const {
    char message[2048] = "";
    return sinter_save_weights(&table, state.data(), path().c_str(), message,
                               sizeof message);
  }

  Loaded load(std::string &state) const {
    char message[2048] = "";
    int status = sinter_load_weights(&table, state.data(), path().c_str(),
                                     message, sizeof message);
    std::string text = message;
    if (text.find(directory.name()) == 0)
      text.erase(0, directory.name().size() + 1);
    return {status, text};
  }

  /// The message for a file of this header and so many bytes of data; the
  /// state must stay as it was.
  std::string refusal(const std::string &header, size_t dataBytes = 60) const {
    std::string length(8, '\0');
    for (size_t i = 0; i < 8; ++i)
      length[i] = static_cast<char>(header.size() >> 8 * i);
    return refusalOf(length + header + std::string(dataBytes, 'x'));
  }

  std::string refusalOf(const std::string &file) const {
    directory.write("w.safetensors", file);
    std::string bytes = state(1);
    Loaded loaded = load(bytes);
    CHECK(loaded.status == SINTER_WRONG_INPUT);
    CHECK(bytes == state(1));
    return loaded.message;
  }
};

std::string entry(const char *name, const char *shape, const char *offsets,
                  const char *dtype = "F32") {
  return std::string("\"") + name + "\":{\"dtype\":\"" + dtype +
         "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

const std::string kernel = entry("output/kernel", "[4, 3]", "[0,48]");
const std::string bias = entry("output/bias", "[3]", "[48,60]");

} // namespace

TEST_CASE("weights survive a file, the rest of the state is left alone") {
  Model model;
  const std::string saved = model.state(1);
  REQUIRE(model.save(saved) == SINTER_OK);
  std::string loaded = model.state(2);
  const sinter_state_info *seed =
      sinter_find_state(&model.table, "optimizer/seed");
  const std::string seedBefore =
      loaded.substr(static_cast<size_t>(seed->offset), 8);
  Loaded result = model.load(loaded);
  CHECK(result.message == "");
  REQUIRE(result.status == SINTER_OK);
  CHECK(loaded.substr(0, 48) == saved.substr(0, 48));
  CHECK(loaded.substr(64, 12) == saved.substr(64, 12));
  CHECK(loaded.substr(static_cast<size_t>(seed->offset), 8) == seedBefore);
}

TEST_CASE("the file is what the format says") {
  Model model;
  REQUIRE(model.save(model.state(1)) == SINTER_OK);
  const std::string file = readFile(model.path());
  uint64_t length;
  std::memcpy(&length, file.data(), sizeof length);
  CHECK(length % 8 == 0);
  CHECK(file.size() == 8 + length + 60);
  const std::string header = file.substr(8, length);
  CHECK(header.substr(0, header.find_last_not_of(' ') + 1) ==
        "{" + kernel + "," + bias + "}");
}

TEST_CASE("headers in other orders and with metadata are read") {
  Model model;
  const std::string header =
      " { \"__metadata__\" : {\"format\": \"a \\\"quoted\\\" \\n word\"} , " +
      entry("output\\/bias", " [ 3 ] ", "[0,12]") + " , " +
      entry("output/kernel", "[4,3]", "[12,60]") + "} ";
  std::string length(8, '\0');
  length[0] = static_cast<char>(header.size());
  REQUIRE(header.size() < 256);
  model.directory.write("w.safetensors",
                        length + header + std::string(60, '\1'));
  std::string state = model.state(1);
  CHECK(model.load(state).message == "");
  CHECK(state.substr(0, 48) == std::string(48, '\1'));
}

TEST_CASE("weights of another model are refused") {
  Model model;
  CHECK(model.refusal("{" + kernel + "," + bias + "," +
                      entry("hidden/bias", "[3]", "[60,72]") + "}") ==
        "w.safetensors: tensor 'hidden/bias': model 'fake' has no weight of "
        "this name");
  CHECK(model.refusal("{" + entry("optimizer/seed", "[2]", "[0,8]", "I32") +
                      "}") ==
        "w.safetensors: 3 tensors are not those of model 'fake':\n"
        "  tensor 'optimizer/seed': model 'fake' has no weight of this name\n"
        "  expected tensor 'output/kernel' of shape [4, 3], got no such "
        "tensor\n"
        "  expected tensor 'output/bias' of shape [3], got no such tensor");
  CHECK(model.refusal("{" + entry("output/kernel", "[3,4]", "[0,48]") + "," +
                      bias + "}") ==
        "w.safetensors: tensor 'output/kernel': expected shape [4, 3], got "
        "[3, 4]");
  CHECK(model.refusal("{" + entry("output/kernel", "[4,3]", "[0,48]", "F16") +
                      "," + bias + "}") ==
        "w.safetensors: tensor 'output/kernel': expected dtype F32, got F16");
  CHECK(
      model.refusal("{" + kernel + "}", 48) ==
      "w.safetensors: expected tensor 'output/bias' of shape [3], got no such "
      "tensor");
  std::string many = "{";
  for (int i = 0; i < 12; ++i)
    many += entry(("wrong" + std::to_string(i)).c_str(), "[1]", "[0,4]") + ",";
  many += kernel + "," + bias + "}";
  const std::string all = model.refusal(many);
  CHECK(all.starts_with("w.safetensors: 12 tensors are not those of model "
                        "'fake':\n  tensor 'wrong0': "));
  CHECK(all.find("wrong9") != std::string::npos);
  CHECK(all.find("wrong10") == std::string::npos);
  CHECK(all.ends_with("\n  and 2 more"));
}

TEST_CASE("weights out of place are refused") {
  Model model;
  CHECK(model.refusal("{" + kernel + "," + kernel + "," + bias + "}") ==
        "w.safetensors: tensor 'output/kernel': expected once, got twice");
  CHECK(model.refusal("{" + kernel + "," +
                      entry("output/bias", "[3]", "[40,52]") + "}") ==
        "w.safetensors: tensor 'output/bias': expected data from byte 48, "
        "where the tensor before it ends, got 40");
  CHECK(model.refusal("{" + kernel + "," +
                          entry("output/bias", "[3]", "[52,64]") + "}",
                      64) ==
        "w.safetensors: tensor 'output/bias': expected data from byte 48, "
        "where the tensor before it ends, got 52");
  CHECK(model.refusal("{" + kernel + "," +
                      entry("output/bias", "[3]", "[48,56]") + "}") ==
        "w.safetensors: tensor 'output/bias': expected 12 bytes, got "
        "data_offsets 48 to 56");
  CHECK(model.refusal("{" + kernel + "," +
                      entry("output/bias", "[3]", "[60,48]") + "}") ==
        "w.safetensors: tensor 'output/bias': expected 12 bytes, got "
        "data_offsets 60 to 48");
  CHECK(model.refusal("{" + kernel + "," + bias + "}", 59) ==
        "w.safetensors: truncated: tensor 'output/bias' ends at byte 60 of the "
        "data, got 59 bytes of data");
  CHECK(model.refusal("{" + kernel + "," + bias + "}", 61) ==
        "w.safetensors: expected 60 bytes of data, got 61");
}

TEST_CASE("broken headers are refused") {
  Model model;
  CHECK(model.refusalOf("") ==
        "w.safetensors: truncated: expected a safetensors file, got 0 bytes");
  CHECK(model.refusalOf(std::string(16, '\xff')) ==
        "w.safetensors: expected a safetensors file, got a header of "
        "18446744073709551615 bytes in a file of 16");
  CHECK(model.refusal("[]") ==
        "w.safetensors: header byte 0: expected '{', got '['");
  CHECK(model.refusal("{\"a") ==
        "w.safetensors: header byte 3: expected '\"', got the header's end");
  CHECK(model.refusal("{\"output/bias\":{\"dtype\":\"F32\",\"shape\":[-3]}}") ==
        "w.safetensors: header byte 39: expected an unsigned whole number, got "
        "'-'");
  CHECK(model.refusal("{\"output/bias\":{\"dtype\":\"F32\",\"shape\":[3]}}") ==
        "w.safetensors: header byte 42: expected dtype, shape and two "
        "data_offsets before this point, got '}'");
  CHECK(model.refusal("{" + kernel + "," + bias + "} x") ==
        "w.safetensors: header byte " +
            std::to_string(kernel.size() + bias.size() + 4) +
            ": expected the header's end, got 'x'");
  CHECK(model
            .refusal("{" +
                     entry("output/bias", "[99999999999999999999]", "[0,1]") +
                     "}")
            .find("expected a number below 2^63") != std::string::npos);
  CHECK(model.refusal("{\"a\\u0041\":{}}").find("after a backslash") !=
        std::string::npos);
}

TEST_CASE("every truncation of a good file is refused") {
  Model model;
  REQUIRE(model.save(model.state(1)) == SINTER_OK);
  const std::string file = readFile(model.path());
  for (size_t bytes = 0; bytes < file.size(); ++bytes)
    model.refusalOf(file.substr(0, bytes));
}

TEST_CASE("a failed save leaves the old file") {
  Model model;
  char message[2048];
  CHECK(sinter_save_weights(&model.table, model.state(1).data(), "/dev/full",
                            message, sizeof message) == SINTER_RUN_FAILED);
  CHECK(std::string(message) ==
        "/dev/full: cannot write: No space left on device");
  CHECK(sinter_save_weights(&model.table, model.state(1).data(),
                            model.directory.path("none/w").c_str(), message,
                            sizeof message) == SINTER_RUN_FAILED);
  CHECK_FALSE(fileExists(model.directory.path("none")));
}

TEST_CASE("weights that are no numbers are refused") {
  Model model;
  for (float wrong : {NAN, INFINITY, -INFINITY}) {
    std::string bytes = model.state(1);
    const sinter_state_info *bias =
        sinter_find_state(&model.table, "output/bias");
    std::memcpy(bytes.data() + bias->offset + 2 * sizeof(float), &wrong,
                sizeof wrong);
    REQUIRE(model.save(bytes) == SINTER_OK);
    std::string state = model.state(2);
    Loaded loaded = model.load(state);
    CHECK(loaded.status == SINTER_WRONG_INPUT);
    CHECK(loaded.message.find("w.safetensors: tensor 'output/bias': expected "
                              "finite values, got ") == 0);
    CHECK(loaded.message.find(" at element 2") != std::string::npos);
    CHECK(state == model.state(2));
  }
}

namespace {

/// w, one float, and what is derived from it: twice w.
struct alignas(64) DerivedState {
  float w;
  alignas(64) int32_t isPrepared;
  alignas(64) float twice;
};

void prepareTwice(const sinter_call *call) {
  auto *state = static_cast<DerivedState *>(call->state);
  // Its arena has the bytes asked for.
  auto *arena = static_cast<float *>(call->arena);
  arena[31] = 2 * state->w;
  state->twice = arena[31];
  state->isPrepared = 1;
}

struct DerivedModel {
  sinter_state_info states[2] = {
      {"w", SINTER_F32, SINTER_PARAMETER, 0, nullptr, 0, sizeof(float),
       SINTER_INIT_CONSTANT, 3, 0, nullptr},
      {"derived/0", SINTER_F32, SINTER_DERIVED, 0, nullptr,
       offsetof(DerivedState, twice), sizeof(float), SINTER_INIT_CONSTANT, 0, 0,
       nullptr}};
  sinter_model table = {};

  DerivedModel() {
    table.name = "derived";
    table.state_bytes = sizeof(DerivedState);
    table.num_states = 2;
    table.states = states;
    table.prepare.run = prepareTwice;
    table.prepare.arena_bytes = 128;
    table.derived_offset = offsetof(DerivedState, isPrepared);
  }
};

} // namespace

TEST_CASE("a new state is stale until it is prepared") {
  DerivedModel model;
  DerivedState state = {7, 1, 5};
  sinter_init_state(&model.table, &state, 1);
  CHECK(state.w == 3);
  CHECK(state.isPrepared == 0);
  CHECK(state.twice == 5); // not its initialiser: whoever prepares writes it

  alignas(64) float arena[32];
  sinter_prepare(&model.table, &state, arena, nullptr);
  CHECK(state.isPrepared == 1);
  CHECK(state.twice == 6);
  sinter_mark_stale(&model.table, &state);
  CHECK(state.isPrepared == 0);
}

TEST_CASE("loaded weights are prepared, and derived states not saved") {
  DerivedModel model;
  TemporaryDirectory directory;
  const std::string path = directory.path("derived.safetensors");
  char message[2048] = "";
  DerivedState state = {21, 0, 0};
  REQUIRE(sinter_save_weights(&model.table, &state, path.c_str(), message,
                              sizeof message) == SINTER_OK);
  DerivedState loaded = {1, 0, 0};
  CHECK(sinter_load_weights(&model.table, &loaded, path.c_str(), message,
                            sizeof message) == SINTER_OK);
  CHECK(loaded.w == 21);
  CHECK(loaded.isPrepared == 1);
  CHECK(loaded.twice == 42);
  sinter_tensor tensors[2];
  CHECK(sinter_list_states(&model.table, &loaded, tensors) == 1);

  // A file that is refused leaves the state as it was, prepared or not.
  directory.write("derived.safetensors", "nonsense");
  CHECK(sinter_load_weights(&model.table, &loaded, path.c_str(), message,
                            sizeof message) == SINTER_WRONG_INPUT);
  CHECK(loaded.isPrepared == 1);
  loaded.isPrepared = 0;
  CHECK(sinter_load_weights(&model.table, &loaded, path.c_str(), message,
                            sizeof message) == SINTER_WRONG_INPUT);
  CHECK(loaded.isPrepared == 0);
}

TEST_CASE("a model without derived states has nothing to prepare") {
  Model model;
  std::string state = model.state(1), before = state;
  sinter_mark_stale(&model.table, state.data());
  sinter_prepare(&model.table, state.data(), nullptr, nullptr);
  CHECK(state == before);
}

TEST_CASE("weights in memory are the bytes of the file") {
  Model model;
  const std::string saved = model.state(1);
  REQUIRE(model.save(saved) == SINTER_OK);
  const std::string file = readFile(model.path());

  // Too small a block is left alone.
  std::string bytes(file.size(), 'x');
  CHECK(sinter_save_weights_memory(&model.table, saved.data(), bytes.data(),
                                   bytes.size() - 1) == file.size());
  CHECK(bytes == std::string(file.size(), 'x'));
  CHECK(sinter_save_weights_memory(&model.table, saved.data(), bytes.data(),
                                   bytes.size()) == file.size());
  CHECK(bytes == file);

  std::string loaded = model.state(2), expected = model.state(2);
  REQUIRE(model.load(expected).status == SINTER_OK);
  char message[2048] = "";
  CHECK(sinter_load_weights_memory(&model.table, loaded.data(), bytes.data(),
                                   bytes.size(), message,
                                   sizeof message) == SINTER_OK);
  CHECK(loaded == expected);

  // Every shorter file is refused, and the state stays as it is.
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::string exact = bytes.substr(0, size); // its end is an allocation's end
    CHECK(sinter_load_weights_memory(&model.table, loaded.data(), exact.data(),
                                     exact.size(), message,
                                     sizeof message) == SINTER_WRONG_INPUT);
    CHECK(std::string(message).find("weights in memory: ") == 0);
  }
  CHECK(loaded == expected);
}
