// notes.h - names and values as text: the small part of a checkpoint.
//
// What is not a tensor (position, history, counters of callbacks) becomes pairs
// of text, which go under "__metadata__" of a safetensors file. Numbers keep
// every bit: they are written in hexadecimal.
#ifndef SINTER_TRAINER_NOTES_H
#define SINTER_TRAINER_NOTES_H

#include "runtime/safetensors.h"
#include "runtime/trainer/error.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sinter::trainer {

class Notes {
public:
  void put(const std::string &key, const std::string &text);
  void put(const std::string &key, int64_t number);
  void put(const std::string &key, double number);
  void put(const std::string &key, const std::vector<double> &numbers);

  /// False, and `value` unchanged, when the key is missing or holds something
  /// else.
  bool get(const std::string &key, std::string &value) const;
  bool get(const std::string &key, int64_t &value) const;
  bool get(const std::string &key, double &value) const;
  bool get(const std::string &key, std::vector<double> &values) const;

  /// Of all pairs but `except`, in whatever order they stand.
  uint32_t checksum(const std::string &except) const;

  /// As the writer of safetensors files wants them; good until the next change.
  std::vector<sinter_metadata> metadata() const;
  /// The pairs of a safetensors file, added to these.
  Error read(const std::string &path);

private:
  const std::string *find(const std::string &key) const;

  std::vector<std::pair<std::string, std::string>> pairs;
};

} // namespace sinter::trainer

#endif
