// report.h - `train --report`: a finished run as one page.
//
// The page is HTML without scripts and without anything to load: figures,
// curves, confusion matrix, sample images, the model and its memory plan.
#ifndef SINTER_TRAINER_REPORT_H
#define SINTER_TRAINER_REPORT_H

#include "runtime/trainer/history.h"
#include "runtime/trainer/pass.h"

#include <optional>

namespace sinter::trainer {

struct ReportRun {
  const Recipe &recipe;
  const History &history;
  Instance &instance;
  PassData training;
  /// Absent: predictions are shown for data.test, or for the training data.
  std::optional<PassData> validation;
  uint64_t seed;
  std::string dataDirectory;
  /// The figure whose best epoch is marked, and what is best.
  std::string monitored = "val_loss";
  bool isLessBetter = true;
  /// Empty: classes are called by their numbers.
  std::vector<std::string> classNames = {};
};

/// Ok for a report's path: .html.
Error checkReportPath(const std::string &path);

std::string renderReport(const ReportRun &run);
Error writeReport(const std::string &path, const ReportRun &run);

} // namespace sinter::trainer

#endif
