// training.cpp - see training.h.
#include "runtime/trainer/training.h"

#include "runtime/trainer/commands.h"
#include "runtime/trainer/interrupt.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <zlib.h>

namespace sinter::trainer {

// ---- What is trained --------------------------------------------------------

Error settleRun(const sinter_model &model, const Options &options, Run &run) {
  if (Error error = checkCompiled(model, model.train_step, "training"))
    return error;
  if (Error error = readRecipe(model, run.recipe))
    return error;
  run.epochs = options.epochs.value_or(run.recipe.epochs);
  run.seed = static_cast<uint64_t>(options.seed.value_or(run.recipe.seed));
  run.shuffle = run.recipe.shuffle && !options.noShuffle;
  return chooseBatchSize(model, run.recipe, options, run.batchSize);
}

Error loadTrainingData(const sinter_model &model, const Options &options,
                       const Run &run, TrainingData &data) {
  const ModelShape shape = modelShape(model, model.train_step);
  if (Error error =
          loadDataset(run.recipe, run.recipe.train, "train", options.data,
                      shape, data.training, &data.classes))
    return error;
  data.order = inOrder(data.training.samples());
  if (options.command == Command::CrossValidate)
    return {};
  const bool validates = model.eval_step.run && !options.noValidation;
  if (run.recipe.validation.isGiven()) {
    if (!validates)
      return {};
    if (Error error = loadDataset(run.recipe, run.recipe.validation,
                                  "validation", options.data, shape,
                                  data.separateValidation, &data.classes))
      return error;
    data.validationOrder = inOrder(data.separateValidation.samples());
    return {};
  }
  if (run.recipe.validationSplit <= 0)
    return {};
  data.isSplit = true;
  if (Error error = split(run.recipe, data.order, data.validationOrder))
    return error;
  if (!validates)
    data.validationOrder.clear();
  return {};
}

Error startFrom(const Options &options, const TrainingData &data,
                Instance &instance) {
  if (!options.init.empty()) {
    if (Error error = instance.load(options.init))
      return error;
    if (instance.classes.isGiven() && data.classes.isGiven() &&
        instance.classes != data.classes)
      return wrongInput("%s: expected weights for the labels %s, got them for "
                        "%s",
                        options.init.c_str(), data.classes.text().c_str(),
                        instance.classes.text().c_str());
  }
  instance.classes = data.classes;
  return {};
}

// ---- The run ----------------------------------------------------------------

static constexpr int64_t stepsBetweenSnapshots = 256;

static const float *learningRate(const Run &run, Instance &instance) {
  return run.recipe.hasCallback("reduce_lr_on_plateau")
             ? instance.find(learningRateState)
             : nullptr;
}

Training::Training(const Run &run, const TrainingData &data, Instance &instance,
                   const Options &options, bool inFold)
    : plan(run), data(data), instance(instance), options(options),
      isQuiet(options.quiet || options.json), inFold(inFold), order(data.order),
      batch(run.recipe,
            modelShape(instance.model(), instance.model().train_step),
            run.batchSize),
      training(instance.model().train_step),
      validation(instance.model().eval_step),
      history(training, data.hasValidation() ? &validation : nullptr,
              learningRate(run, instance), run.epochs),
      progress(isQuiet || inFold ? Progress::Style::Quiet
                                 : Progress::styleOfOutput(),
               run.epochs,
               PassData{data.training, data.order, run.batchSize}.steps()),
      context{instance, history, !isQuiet && !inFold},
      snapshot(instance.stateBytes()) {
  callbacks.create(run.recipe, /*writesFiles=*/!inFold);
}

Error Training::run() {
  if (Error error = callbacks.check(context))
    return error;
  if (!options.checkpointDirectory.empty() && !inFold)
    if (Error error = openCheckpoint())
      return error;
  if (Error error = callbacks.begin(context))
    return error;
  epochBegan = lastWritten = Clock::now();
  // The first one replaces that of an earlier run, and finds out whether the
  // folder can be written to.
  if (checkpoint.isOpen() && at.epoch == 0 && at.step == 0)
    if (Error error = writeCheckpoint())
      return error;
  {
    InterruptGuard guard;
    progress.resumeAt(at.epoch, at.step);
    while (at.epoch < plan.epochs && !context.stop)
      if (Error error = runEpoch())
        return error;
  }
  return callbacks.trainEnd(context);
}

void Training::orderEpoch() {
  if (!plan.shuffle)
    return;
  order = data.order;
  permute(order, plan.seed, SINTER_STREAM_SHUFFLE,
          static_cast<uint32_t>(at.epoch));
}

double Training::secondsSoFar() const {
  return at.epochSeconds +
         std::chrono::duration<double>(Clock::now() - epochBegan).count();
}

Error Training::runEpoch() {
  const sinter_model &model = instance.model();
  epochBegan = Clock::now();
  orderEpoch();
  progress.beginEpoch();
  if (at.step == 0)
    training.clear();
  if (Error error = runSteps())
    return error;
  const bool validates = data.hasValidation();
  if (validates) {
    const PassData pass = {data.validation(), data.validationOrder,
                           plan.batchSize};
    validation.clear();
    for (int64_t step = 0; step < pass.steps(); ++step) {
      float loss =
          runStep(instance, model.eval_step, pass, step, batch, validation);
      if (!std::isfinite(loss))
        return diverged("validation ", step, pass.steps(), loss);
      if (interruption())
        return interrupted();
    }
  }
  const double seconds = secondsSoFar();
  const Means *validated = validates ? &validation : nullptr;
  progress.endEpoch(training, validated, seconds);
  history.add(training, validated, seconds);
  if (Error error = callbacks.epochEnd(context, at.epoch))
    return error;
  at = {at.epoch + 1, 0, 0};
  epochBegan = Clock::now();
  if (checkpoint.isOpen())
    if (Error error = writeCheckpoint())
      return error;
  if (interruption() && at.epoch < plan.epochs && !context.stop)
    return interrupted();
  return {};
}

Error Training::runSteps() {
  const sinter_function_info &function = instance.model().train_step;
  const PassData pass = {data.training, order, plan.batchSize};
  for (const int64_t first = at.step; at.step < pass.steps();) {
    if ((at.step - first) % stepsBetweenSnapshots == 0) {
      instance.copyState(snapshot.data());
      snapshotStep = at.step;
    }
    float loss = runStep(instance, function, pass, at.step, batch, training);
    if (!std::isfinite(loss))
      return diverged("", at.step, pass.steps(), loss);
    ++at.step;
    progress.step(at.step, training);
    if (interruption())
      return interrupted();
    if (isCheckpointDue())
      if (Error error = writeCheckpoint())
        return error;
  }
  return {};
}

// ---- Ending before the end --------------------------------------------------

Error Training::interrupted() {
  progress.abandon();
  const std::string signal = signalName(interruption());
  const int64_t steps = PassData{data.training, order, plan.batchSize}.steps();
  const std::string place =
      format("interrupted by %s in epoch %lld after step %lld of %lld",
             signal.c_str(), static_cast<long long>(at.epoch + 1),
             static_cast<long long>(at.step), static_cast<long long>(steps));
  if (!checkpoint.isOpen())
    return runFailed("%s; nothing was saved%s", place.c_str(),
                     inFold ? "" : " (--checkpoint-dir would have)");
  if (Error error = writeCheckpoint()) {
    error.message = place + "; " + error.message;
    return error;
  }
  return runFailed("%s; saved %s, from which --resume goes on", place.c_str(),
                   checkpoint.path().c_str());
}

/// The weights that hold something else than numbers, for a message.
static std::string namesOfBadWeights(const Instance &instance) {
  constexpr int mostNamed = 3;
  std::string names;
  int count = 0;
  for (const sinter_tensor &tensor : instance.weights()) {
    const auto *values = static_cast<const float *>(tensor.data);
    const size_t elements = static_cast<size_t>(tensor.bytes) / sizeof(float);
    bool isGood = true;
    for (size_t i = 0; i < elements && isGood; ++i)
      isGood = std::isfinite(values[i]);
    if (!isGood && ++count <= mostNamed)
      names += (count > 1 ? ", " : "") + std::string(tensor.name);
  }
  if (count > mostNamed)
    names += format(" and %d more", count - mostNamed);
  return names;
}

/// A loss is that of the weights before the update, which has spoilt them since
/// then: computes again from the last snapshot, up to the step before.
void Training::goBackBefore(int64_t step) {
  Means unused(instance.model().train_step);
  instance.setState(snapshot.data());
  for (int64_t again = snapshotStep; again < step; ++again)
    runStep(instance, instance.model().train_step,
            {data.training, order, plan.batchSize}, again, batch, unused);
}

Error Training::diverged(const char *phase, int64_t step, int64_t steps,
                         float loss) {
  const bool isTraining = *phase == 0;
  progress.abandon();
  if (isTraining)
    goBackBefore(step);
  const std::string names = namesOfBadWeights(instance);
  const std::string cause =
      names.empty() ? "all weights were finite before it, so the network's "
                      "output or the loss overflowed"
                    : "the last update before it had made weights infinite or "
                      "NaN, in the order of the layers: " +
                          names;
  return runFailed("training diverged at epoch %lld, %sstep %lld of %lld: "
                   "expected a finite loss, got %g; %s",
                   static_cast<long long>(at.epoch + 1), phase,
                   static_cast<long long>(step + 1),
                   static_cast<long long>(steps), static_cast<double>(loss),
                   cause.c_str());
}

// ---- Checkpoints ------------------------------------------------------------

static constexpr const char *formatKey = "sinter.checkpoint";
static constexpr const char *formatVersion = "1";

static uint32_t checksum(uint32_t crc, const void *data, size_t bytes) {
  // zlib would start anew for a null pointer.
  return bytes == 0 ? crc
                    : static_cast<uint32_t>(crc32_z(
                          crc, static_cast<const Bytef *>(data), bytes));
}

static uint32_t checksum(uint32_t crc, const Dataset &dataset) {
  crc = checksum(crc, dataset.inputs.bytes.data(), dataset.inputs.bytes.size());
  for (const Array &other : dataset.others)
    crc = checksum(crc, other.bytes.data(), other.bytes.size());
  for (const auto &[values, classes] : dataset.targets) {
    crc = checksum(crc, values.bytes.data(), values.bytes.size());
    crc = checksum(crc, classes.data(), classes.size() * sizeof(int32_t));
  }
  return crc;
}

/// Of the recipe without what flags may change, which is compared by itself.
static uint32_t checksumOfRecipe(const char *text) {
  uint32_t crc = 0;
  while (*text) {
    const size_t length = std::strcspn(text, "\n");
    static const char *const flags[] = {
        "train.epochs=", "train.batch_size=", "train.seed=", "train.shuffle="};
    bool isFlag = false;
    for (const char *flag : flags)
      isFlag = isFlag || std::strncmp(text, flag, std::strlen(flag)) == 0;
    if (!isFlag)
      crc = checksum(crc, text, length);
    text += length;
    text += *text == '\n';
  }
  return crc;
}

namespace {

/// What has to be the same before and after; `what` is for messages.
struct Identity {
  const char *key, *what;
};

const Identity identities[] = {
    {"model", "the model's name"},
    {"spec", "the checksum of the spec"},
    {"seed", "the seed"},
    {"batch_size", "the batch size"},
    {"shuffle", "shuffling"},
    {"init", "the file of --init"},
    {"training_samples", "the number of training samples"},
    {"validation_samples", "the number of validation samples"},
    {"data", "the checksum of the data"},
};

} // namespace

Notes Training::identity() const {
  Notes notes;
  notes.put("model", std::string(instance.model().name));
  notes.put("spec", format("%08x", checksumOfRecipe(instance.model().recipe)));
  notes.put("seed", std::to_string(plan.seed));
  notes.put("batch_size", plan.batchSize);
  notes.put("shuffle", std::string(plan.shuffle ? "on" : "off"));
  notes.put("init", options.init.empty() ? "none" : options.init);
  notes.put("training_samples", static_cast<int64_t>(data.order.size()));
  notes.put("validation_samples",
            static_cast<int64_t>(data.validationOrder.size()));
  notes.put("data", format("%08x", dataChecksum));
  return notes;
}

Error Training::checkIdentity(const Notes &notes) const {
  std::string version;
  if (!notes.get(formatKey, version) || version != formatVersion)
    return wrongInput("%s: expected a checkpoint of version %s, got %s",
                      checkpoint.path().c_str(), formatVersion,
                      version.empty() ? "another file" : version.c_str());
  const Notes ours = identity();
  for (const auto &[key, what] : identities) {
    std::string then, now;
    ours.get(key, now);
    if (!notes.get(key, then) || then != now)
      return wrongInput("%s: expected a checkpoint of the same run: %s was %s, "
                        "now it is %s",
                        checkpoint.path().c_str(), what,
                        then.empty() ? "unknown" : then.c_str(), now.c_str());
  }
  return {};
}

Error Training::openCheckpoint() {
  dataChecksum = checksum(checksum(0, data.training), data.separateValidation);
  if (Error error = checkpoint.open(options.checkpointDirectory))
    return error;
  if (!options.resume) {
    if (checkpoint.exists() && !isQuiet)
      std::printf("starting anew (no --resume): %s will be replaced\n",
                  checkpoint.path().c_str());
    return {};
  }
  if (checkpoint.exists())
    return resume();
  if (!isQuiet)
    std::printf("no checkpoint in %s: starting from the beginning\n",
                options.checkpointDirectory.c_str());
  return {};
}

Error Training::resume() {
  Notes notes;
  if (Error error = notes.read(checkpoint.path()))
    return error;
  if (Error error = checkIdentity(notes))
    return error;
  int64_t stop = 0;
  const int64_t steps = PassData{data.training, order, plan.batchSize}.steps();
  const bool isComplete =
      notes.get("epoch", at.epoch) && notes.get("step", at.step) &&
      notes.get("epoch_seconds", at.epochSeconds) && notes.get("stop", stop) &&
      at.epoch >= 0 && at.step >= 0 && at.step <= steps &&
      training.load(notes, "training") && history.load(notes, at.epoch) &&
      callbacks.load(notes);
  if (!isComplete)
    return wrongInput("%s: expected the metadata of a checkpoint, got "
                      "something incomplete",
                      checkpoint.path().c_str());
  if (at.epoch > plan.epochs || (at.epoch == plan.epochs && at.step > 0))
    return wrongUsage("--epochs: expected at least %lld, which the checkpoint "
                      "has reached, got %lld",
                      static_cast<long long>(at.epoch + (at.step > 0)),
                      static_cast<long long>(plan.epochs));
  context.stop = stop != 0;
  if (Error error = checkpoint.readTensors(instance.model().name, notes,
                                           checkpointTensors()))
    return error;
  instance.markChanged();
  if (isQuiet)
    return {};
  if (at.epoch == plan.epochs || context.stop)
    std::printf("resumed %s: all epochs are done\n", checkpoint.path().c_str());
  else
    std::printf("resumed %s: epoch %lld, %lld of %lld steps done\n",
                checkpoint.path().c_str(), static_cast<long long>(at.epoch + 1),
                static_cast<long long>(at.step), static_cast<long long>(steps));
  return {};
}

std::vector<sinter_tensor> Training::checkpointTensors() const {
  std::vector<sinter_tensor> tensors = instance.states();
  callbacks.addTensors(instance, tensors);
  return tensors;
}

bool Training::isCheckpointDue() const {
  if (!checkpoint.isOpen())
    return false;
  if (options.checkpointSteps > 0)
    return at.step % options.checkpointSteps == 0;
  return std::chrono::duration<double>(Clock::now() - lastWritten).count() >=
         options.checkpointSeconds;
}

Error Training::writeCheckpoint() {
  Notes notes = identity();
  notes.put(formatKey, std::string(formatVersion));
  notes.put("compiler", std::string(instance.model().compiler));
  notes.put("epoch", at.epoch);
  notes.put("step", at.step);
  notes.put("epoch_seconds", secondsSoFar());
  notes.put("stop", int64_t{context.stop});
  training.save(notes, "training");
  history.save(notes);
  callbacks.save(notes);
  data.classes.save(notes);
  lastWritten = Clock::now();
  return checkpoint.write(notes, checkpointTensors());
}

} // namespace sinter::trainer
