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

  /// All memory is taken here. `validation` may be null.
  History(const Means &training, const Means *validation, int64_t epochs);

  void add(const Means &training, const Means *validation, double seconds);

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
};

/// Ok for a history's path: .json or .csv.
Error checkHistoryPath(const std::string &path);

} // namespace sinter::trainer

#endif
