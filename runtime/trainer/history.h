// history.h - the figures of every epoch, as Keras's History keeps them.
#ifndef SINTER_TRAINER_HISTORY_H
#define SINTER_TRAINER_HISTORY_H

#include "runtime/trainer/error.h"
#include "runtime/trainer/instance.h"
#include "runtime/trainer/progress.h"

namespace sinter::trainer {

class History {
public:
  struct Column {
    std::string name;
    std::vector<double> values; // one an epoch
  };

  /// All memory is taken here. `validation` may be null; `learningRate`, too:
  /// it is a column where callbacks change it.
  History(const Means &training, const Means *validation,
          const float *learningRate, int64_t epochs);

  void add(const Means &training, const Means *validation, double seconds);

  int64_t epochs() const {
    return static_cast<int64_t>(columns[0].values.size());
  }
  /// Figures as callbacks see them: all but the seconds.
  size_t figures() const { return columns.size() - 1; }
  const char *name(size_t figure) const { return columns[figure].name.c_str(); }
  /// Of the last epoch.
  double last(size_t figure) const { return columns[figure].values.back(); }
  /// The figure's place, or `figures()`.
  size_t find(const std::string &name) const;
  /// "loss, accuracy, ...", for messages.
  std::string names() const;

  void save(Notes &notes) const;
  /// False when the notes hold other columns.
  bool load(const Notes &notes, int64_t epochs);

  /// {"history": {"loss": [...], ...}, "model": ..., ...}
  std::string json(const Instance &instance) const;
  /// A line of names, then one an epoch.
  std::string csv() const;
  /// The form follows the extension: .json or .csv.
  Error write(const std::string &path, const Instance &instance) const;

  /// As Keras names them ("loss", ..., "val_loss", ...), then "epoch_seconds".
  const std::vector<Column> &all() const { return columns; }

private:
  std::vector<Column> columns;
  const float *learningRate;
};

/// Ok for a history's path: .json or .csv.
Error checkHistoryPath(const std::string &path);

} // namespace sinter::trainer

#endif
