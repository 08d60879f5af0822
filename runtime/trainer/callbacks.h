// callbacks.h - what the spec's `callbacks` do at the end of an epoch.
//
// Keras 3's callbacks with Keras's rules. A callback sees the figures of the
// epoch (the history's last row), the model and two switches; what it remembers
// goes into checkpoints, so that a resumed run decides as an undisturbed one.
// Files that callbacks append to are cut back to where the checkpoint saw them.
#ifndef SINTER_TRAINER_CALLBACKS_H
#define SINTER_TRAINER_CALLBACKS_H

#include "runtime/trainer/history.h"
#include "runtime/trainer/recipe.h"

#include <memory>

namespace sinter::trainer {

/// What a callback may look at and change.
struct CallbackContext {
  Instance &instance;
  const History &history;
  bool prints = true;
  bool stop = false; // after this epoch
};

class Callback {
public:
  virtual ~Callback() = default;

  /// Before the first step: finds out what would go wrong later.
  virtual Error check(CallbackContext &) { return {}; }
  /// Opens files; behind `load` in a resumed run.
  virtual Error begin(CallbackContext &) { return {}; }
  /// `epoch` counts from 0, as Keras does.
  virtual Error epochEnd(CallbackContext &, int64_t epoch) = 0;
  virtual Error trainEnd(CallbackContext &) { return {}; }

  // What a checkpoint needs to know; keys start with `key`.
  virtual void save(Notes &, const std::string & /*key*/) const {}
  virtual bool load(const Notes &, const std::string & /*key*/) { return true; }
  /// Tensors that a checkpoint keeps, named under `key`. Call it again after
  /// `load`, when it is known which there are.
  virtual void addTensors(const std::string & /*key*/, const Instance &,
                          std::vector<sinter_tensor> &) {}
};

class Callbacks {
public:
  /// Without `writesFiles` those that only write files are left out.
  void create(const Recipe &recipe, bool writesFiles = true);

  Error check(CallbackContext &context);
  Error begin(CallbackContext &context);
  Error epochEnd(CallbackContext &context, int64_t epoch);
  Error trainEnd(CallbackContext &context);

  void save(Notes &notes) const;
  bool load(const Notes &notes);
  void addTensors(const Instance &instance,
                  std::vector<sinter_tensor> &tensors) const;

private:
  std::vector<std::unique_ptr<Callback>> all;
};

/// A path with {epoch:02d} and {val_loss:.2f} in it, as Python's str.format
/// would fill it in; `epoch` counts from 1.
Error formatPath(const std::string &pattern, int64_t epoch,
                 const History &history, std::string &path);

/// In tensorboard.cpp and csv_logger.cpp.
std::unique_ptr<Callback> makeTensorBoard(const CallbackRecipe &recipe);
std::unique_ptr<Callback> makeCsvLogger(const CallbackRecipe &recipe);

} // namespace sinter::trainer

#endif
