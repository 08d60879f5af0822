// checkpoint_test.cpp - runs on the fake model that are stopped after every
// single step, in a child process, and go on from their checkpoint.
#include "fake_model.h"
#include "support.h"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <unistd.h>

using namespace sinter::trainer;
using namespace sinter::trainer::tests;

namespace {

const char *const recipe = "target.kind=sparse\n"
                           "target.classes=3\n"
                           "data.train.csv=train.csv\n"
                           "data.train.label=-1\n"
                           "data.validation_split=0.25\n"
                           "train.epochs=3\n"
                           "train.batch_size=8\n"
                           "train.seed=1\n"
                           "callback.0=early_stopping\n"
                           "callback.0.monitor=val_accuracy\n"
                           "callback.0.mode=min\n" // so that it does stop
                           "callback.0.min_delta=0\n"
                           "callback.0.patience=1\n"
                           "callback.0.restore_best_weights=true\n"
                           "callback.0.start_from_epoch=0\n";

sinter_function realTrainStep;
int stepsLeft;
int signalAtEnd;

/// Ends the process, or sends itself a signal, after some steps.
void limitedTrainStep(const sinter_call *call) {
  if (stepsLeft == 0 && signalAtEnd == SIGKILL)
    _exit(9);
  realTrainStep(call);
  if (--stepsLeft == 0 && signalAtEnd != SIGKILL)
    raise(signalAtEnd);
}

struct Program {
  TemporaryDirectory directory;
  sinter_model model = fake_model(recipe);

  Program() {
    std::string text;
    for (int i = 0; i < 40; ++i)
      text += format("%d,%d,%d,0.%d,%d\n", i % 3 == 0, i % 3 == 1, i % 3 == 2,
                     i % 10, i % 3);
    directory.write("train.csv", text);
    realTrainStep = model.train_step.run;
  }

  std::string path(const std::string &name) const {
    return directory.path(name);
  }

  Outcome train(std::vector<std::string> more) const {
    more.insert(more.begin(),
                {"train", "--data", directory.name(), "--threads", "1"});
    return runProgram(model, more);
  }

  /// A run that ends after `steps` steps of the process.
  Outcome trainUntil(int steps, int signal, const std::string &folder) {
    model.train_step.run = limitedTrainStep;
    stepsLeft = steps;
    signalAtEnd = signal;
    Outcome outcome =
        train({"--checkpoint-dir", path(folder), "--resume",
               "--checkpoint-every", "1", "--save", path(folder + ".st")});
    model.train_step.run = realTrainStep;
    return outcome;
  }
};

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a run that ends after every step ends in the same bits") {
  Program program;
  REQUIRE(program.train({"--save", program.path("want.st")}).status == 0);
  const std::string want = readFile(program.path("want.st"));
  for (int signal : {SIGKILL, SIGINT, SIGTERM}) {
    const std::string folder = "run" + std::to_string(signal);
    int runs = 0;
    Outcome outcome;
    do
      outcome = program.trainUntil(1, signal, folder);
    while (outcome.status != 0 && ++runs < 100);
    CHECK(runs >= 7); // two epochs of 4 steps, then early stopping
    CHECK(runs <= 9);
    CHECK(contains(outcome.out, "early stopping after epoch 2"));
    CHECK(contains(outcome.out, "restored the weights of epoch 1"));
    CHECK(readFile(program.path(folder + ".st")) == want);
  }
}

TEST_CASE("what a killed writer left is removed, what it had stays") {
  Program program;
  CHECK(program.trainUntil(2, SIGKILL, "c").status == 9);
  const std::string name = "c/checkpoint.safetensors";
  const std::string whole = readFile(program.path(name));
  program.directory.write(name + ".tmp123", whole.substr(0, 50));
  CHECK(program.trainUntil(0, SIGKILL, "c").status == 9);
  CHECK_FALSE(fileExists(program.path(name + ".tmp123")));
  CHECK(readFile(program.path(name)) == whole);
}

TEST_CASE("a signal tells where the run stopped") {
  Program program;
  Outcome outcome = program.trainUntil(3, SIGTERM, "c");
  CHECK(outcome.status == 3);
  CHECK(outcome.err ==
        "error: interrupted by SIGTERM in epoch 1 after step 3 of 4; saved " +
            program.path("c/checkpoint.safetensors") +
            ", from which --resume goes on\n");
  CHECK_FALSE(fileExists(program.path("c.st")));
}

TEST_CASE("a checkpoint that cannot be used is refused with its name") {
  Program program;
  REQUIRE(program.trainUntil(3, SIGTERM, "c").status == 3);
  const std::string file = program.path("c/checkpoint.safetensors");
  auto refusal = [&](const std::string &bytes) {
    program.directory.write("c/checkpoint.safetensors", bytes);
    Outcome outcome =
        program.train({"--checkpoint-dir", program.path("c"), "--resume"});
    CHECK(outcome.status == 1);
    CHECK(contains(outcome.err, "error: " + file + ": "));
    return outcome.err;
  };
  auto replaced = [&](std::string bytes, const std::string &from,
                      const std::string &to) {
    size_t at = bytes.find(from);
    REQUIRE(at != bytes.npos);
    return bytes.replace(at, from.size(), to);
  };
  const std::string whole = readFile(file);
  CHECK(contains(refusal(replaced(whole, "\"fake\"", "\"fame\"")),
                 "the model's name was fame, now it is fake"));
  CHECK(contains(refusal(replaced(whole, "\"seed\":\"1\"", "\"seed\":\"2\"")),
                 "the seed was 2, now it is 1"));
  CHECK(contains(refusal(replaced(whole, "\"step\":\"3\"", "\"step\":\"5\"")),
                 "expected the metadata of a checkpoint"));
  CHECK(contains(refusal(replaced(whole, "callback.0.wait", "callback.0.wail")),
                 "expected the metadata of a checkpoint"));
  CHECK(
      contains(refusal(replaced(whole, "output/kernel/momentum",
                                "output/kernel/momentun")),
               "tensor 'output/kernel/momentun': model 'fake' has no weight"));
  CHECK(contains(refusal(whole.substr(0, whole.size() - 1)), "truncated"));
  std::string flipped = whole; // one bit of the last number
  flipped[whole.size() - 3] = static_cast<char>(flipped[whole.size() - 3] ^ 4);
  CHECK(contains(refusal(flipped), "the file is damaged"));
}
