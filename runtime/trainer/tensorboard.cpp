// tensorboard.cpp - the callback `tensorboard`: TensorBoard's event files.
//
// A file is a sequence of records: u64 length, its checksum, the bytes, their
// checksum (CRC-32C, masked). The bytes are protocol buffers, of which a few
// fields are enough to be written by hand:
//
//   Event    1: wall_time (double)  2: step (int64)  3: file_version (text)
//            5: Summary { 1: Value { 1: tag  9: Metadata { 1: { 1: "scalars" }
//            }
//                                    8: Tensor { 1: DT_FLOAT  5: [value] } } }
//
// As in Keras, figures are called epoch_NAME, steps are epochs from 0, and
// training and validation have folders of their own, so that their curves share
// one diagram.
#include "runtime/trainer/callbacks.h"
#include "runtime/trainer/log_file.h"

#include <array>
#include <chrono>
#include <cstring>
#include <unistd.h>

namespace sinter::trainer {

namespace {

// ---- Records ----------------------------------------------------------------

constexpr std::array<uint32_t, 256> crcTable = [] {
  std::array<uint32_t, 256> table = {};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}();

uint32_t maskedCrc(const std::string &bytes) {
  uint32_t crc = ~0u;
  for (char c : bytes)
    crc = crc >> 8 ^ crcTable[(crc ^ static_cast<uint8_t>(c)) & 255];
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

template <typename T> std::string little(T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  return {bytes, sizeof value};
}

std::string record(const std::string &bytes) {
  const std::string length = little(static_cast<uint64_t>(bytes.size()));
  return length + little(maskedCrc(length)) + bytes + little(maskedCrc(bytes));
}

// ---- Protocol buffers -------------------------------------------------------

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7)
    bytes += static_cast<char>(value | 128);
  return bytes + static_cast<char>(value);
}

enum WireType { wireVarint = 0, wireDouble = 1, wireBytes = 2 };

std::string tag(int field, WireType type) {
  return varint(static_cast<uint64_t>(field) << 3 | type);
}

std::string bytesField(int field, const std::string &bytes) {
  return tag(field, wireBytes) + varint(bytes.size()) + bytes;
}

std::string scalar(const std::string &name, float value) {
  const uint64_t typeFloat = 1;
  const std::string plugin = bytesField(1, bytesField(1, "scalars"));
  const std::string tensor = tag(1, wireVarint) + varint(typeFloat) +
                             bytesField(2, "") + bytesField(5, little(value));
  return bytesField(1, bytesField(1, name) + bytesField(9, plugin) +
                           bytesField(8, tensor));
}

std::string wallTime() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return tag(1, wireDouble) +
         little(std::chrono::duration<double>(now).count());
}

std::string scalarEvent(int64_t step, const std::string &summary) {
  return record(wallTime() + tag(2, wireVarint) +
                varint(static_cast<uint64_t>(step)) + bytesField(5, summary));
}

// ---- The callback -----------------------------------------------------------

constexpr const char *validationPrefix = "val_";

/// The event file of one folder.
struct EventFile {
  const char *folder;
  LogFile file;

  Error open(const std::string &root, bool isResumed) {
    if (isResumed)
      if (Error error = file.reopen())
        return error;
    if (file.isOpen())
      return {};
    const std::string path = root + "/" + folder;
    if (Error error = makeFolders(path))
      return error;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const std::string name =
        path + format("/events.out.tfevents.%lld.%s.%ld.v2",
                      static_cast<long long>(time(nullptr)), host,
                      static_cast<long>(getpid()));
    if (Error error = file.open(name, /*append=*/false))
      return error;
    return file.append(record(wallTime() + bytesField(3, "brain.Event:2")));
  }
};

class TensorBoard : public Callback {
public:
  explicit TensorBoard(const CallbackRecipe &recipe)
      : root(recipe.text("log_dir")) {}

  Error begin(CallbackContext &context) override {
    hasValidation =
        context.history.find("val_loss") < context.history.figures();
    if (Error error = training.open(root, isResumed))
      return error;
    return hasValidation ? validation.open(root, isResumed) : Error{};
  }

  Error epochEnd(CallbackContext &context, int64_t epoch) override {
    std::string summaries[2];
    for (size_t i = 0; i < context.history.figures(); ++i) {
      const std::string name = context.history.name(i);
      const bool isValidation = name.compare(0, 4, validationPrefix) == 0;
      summaries[isValidation] +=
          scalar("epoch_" + name.substr(isValidation ? 4 : 0),
                 static_cast<float>(context.history.last(i)));
    }
    if (Error error = training.file.append(scalarEvent(epoch, summaries[0])))
      return error;
    return hasValidation
               ? validation.file.append(scalarEvent(epoch, summaries[1]))
               : Error{};
  }

  void save(Notes &notes, const std::string &key) const override {
    training.file.save(notes, key + "train.");
    validation.file.save(notes, key + "validation.");
  }
  bool load(const Notes &notes, const std::string &key) override {
    return isResumed = training.file.load(notes, key + "train.") &&
                       validation.file.load(notes, key + "validation.");
  }

private:
  const std::string root;
  EventFile training{"train", {}}, validation{"validation", {}};
  bool hasValidation = false, isResumed = false;
};

} // namespace

std::unique_ptr<Callback> makeTensorBoard(const CallbackRecipe &recipe) {
  return std::make_unique<TensorBoard>(recipe);
}

} // namespace sinter::trainer
