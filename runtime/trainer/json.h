// json.h - write JSON, indented, one member a line, arrays on one line.
#ifndef SINTER_TRAINER_JSON_H
#define SINTER_TRAINER_JSON_H

#include <cstdint>
#include <string>

namespace sinter::trainer {

class JsonWriter {
public:
  /// Inside an object every value needs its key first.
  JsonWriter &key(const char *name);

  void beginObject();
  void endObject();
  void beginArray();
  void endArray();

  void value(const char *text);
  void value(const std::string &text) { value(text.c_str()); }
  void value(int64_t number);
  void value(int number) { value(int64_t{number}); }
  /// JSON knows no NaN and no infinity: null.
  void value(double number);

  /// The finished document, with a line end.
  std::string finish() const { return text + "\n"; }

private:
  void separate();
  void breakLine();
  void appendQuoted(const char *characters);

  std::string text;
  int depth = 0;
  int openArrays = 0;
  bool isFirst = true, hasKey = false;
};

} // namespace sinter::trainer

#endif
