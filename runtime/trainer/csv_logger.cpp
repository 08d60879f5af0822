// csv_logger.cpp - the callback `csv_logger`: a line an epoch, as Keras's
// CSVLogger writes it: epochs from 0, then the figures by name in alphabetical
// order. Appended files get no second header.
#include "runtime/trainer/callbacks.h"
#include "runtime/trainer/log_file.h"

#include <algorithm>

namespace sinter::trainer {

namespace {

class CsvLogger : public Callback {
public:
  explicit CsvLogger(const CallbackRecipe &recipe)
      : path(recipe.text("filename")),
        separator(recipe.text("separator") == "\\t" ? "\t"
                                                    : recipe.text("separator")),
        appends(recipe.flag("append")) {}

  Error begin(CallbackContext &context) override {
    for (size_t i = 0; i < context.history.figures(); ++i)
      order.push_back(i);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return std::string(context.history.name(a)) < context.history.name(b);
    });
    if (isResumed)
      if (Error error = file.reopen())
        return error;
    if (!file.isOpen()) {
      if (Error error = makeFolders(folderOf(path)))
        return error;
      if (Error error = file.open(path, appends))
        return error;
    }
    if (!file.isEmpty())
      return {};
    std::string line = "epoch";
    for (size_t figure : order)
      line += separator + context.history.name(figure);
    return file.append(line + "\n");
  }

  Error epochEnd(CallbackContext &context, int64_t epoch) override {
    std::string line = std::to_string(epoch);
    for (size_t figure : order)
      line += separator + format("%.9g", context.history.last(figure));
    return file.append(line + "\n");
  }

  void save(Notes &notes, const std::string &key) const override {
    file.save(notes, key);
  }
  bool load(const Notes &notes, const std::string &key) override {
    return isResumed = file.load(notes, key);
  }

private:
  const std::string path, separator;
  const bool appends;
  std::vector<size_t> order;
  LogFile file;
  bool isResumed = false;
};

} // namespace

std::unique_ptr<Callback> makeCsvLogger(const CallbackRecipe &recipe) {
  return std::make_unique<CsvLogger>(recipe);
}

} // namespace sinter::trainer
