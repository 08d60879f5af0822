// trainer_test.cpp - whole commands on the fake model, in a child process:
// output, files and exit status.
#include "fake_model.h"
#include "runtime/trainer/benchmark.h"
#include "runtime/trainer/progress.h"
#include "support.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <unistd.h>

using namespace sinter::trainer;
using namespace sinter::trainer::tests;

namespace {

const char *const recipe = "target.kind=sparse\n"
                           "target.classes=3\n"
                           "data.train.csv=train.csv\n"
                           "data.train.label=kind\n"
                           "data.validation_split=0.25\n"
                           "train.epochs=3\n"
                           "train.batch_size=8\n"
                           "train.seed=1\n";

/// Four inputs; the class is the first input that is 1.
std::string table(int records) {
  std::string text = "a,b,c,d,kind\n";
  for (int i = 0; i < records; ++i)
    text += format("%d,%d,%d,0.%d,%d\n", i % 3 == 0, i % 3 == 1, i % 3 == 2,
                   i % 10, i % 3);
  return text;
}

/// A fake model and its data.
struct Program {
  TemporaryDirectory directory;
  sinter_model model = fake_model(recipe);

  Program() { directory.write("train.csv", table(100)); }

  Outcome run(const std::vector<std::string> &arguments) const {
    return runProgram(model, arguments);
  }

  Outcome train(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"train", "--data", directory.name()});
    return run(more);
  }

  std::string path(const char *name) const { return directory.path(name); }
};

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("training prints a line an epoch and learns") {
  Program program;
  Outcome outcome = program.train({"--threads", "1", "--epochs", "20"});
  CHECK(outcome.err == "");
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.out,
                 "fake: 15 parameters, 75 samples to train on, 25 to validate, "
                 "batch 8, 1 thread\nepoch 1/20  loss "));
  CHECK(contains(outcome.out, "epoch 20/20  loss "));
  CHECK(contains(outcome.out, "val_accuracy 1.000"));
}

TEST_CASE("the same seed gives the same bits for any number of threads") {
  Program program;
  auto weights = [&](const char *threads, const char *seed) {
    const std::string path = program.path("w.safetensors");
    CHECK(program
              .train({"--threads", threads, "--seed", seed, "--save", path,
                      "--quiet"})
              .status == 0);
    return readFile(path);
  };
  const std::string one = weights("1", "5");
  CHECK(one.size() > 60);
  CHECK(weights("1", "5") == one);
  CHECK(weights("2", "5") == one);
  CHECK(weights("3", "5") == one);
  CHECK(weights("1", "6") != one);
}

TEST_CASE("evaluate and predict use the saved weights") {
  Program program;
  const std::string weights = program.path("w.safetensors");
  REQUIRE(program
              .train({"--epochs", "20", "--save", weights, "--history",
                      program.path("h.csv"), "--quiet"})
              .status == 0);
  Outcome outcome = program.run({"evaluate", "--weights", weights, "--data",
                                 program.directory.name(), "--json"});
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.out,
                 "\"data\": \"the validation split of data.train (no "
                 "data.test)\",\n  \"samples\": 25,\n  \"loss\": "));
  CHECK(contains(outcome.out, "\"accuracy\": 1\n"));

  const std::string input =
      program.directory.write("x.csv", "1,0,0,0.5\n0,1,0,0.5\n0,0,1,0.5\n");
  const std::string output = program.path("y.csv");
  Outcome predicted = program.run(
      {"predict", "--weights", weights, "--input", input, "--output", output});
  CHECK(predicted.err == "");
  CHECK(predicted.status == 0);
  float p[3][3];
  const std::string text = readFile(output);
  REQUIRE(std::sscanf(text.c_str(), "%f,%f,%f\n%f,%f,%f\n%f,%f,%f\n", &p[0][0],
                      &p[0][1], &p[0][2], &p[1][0], &p[1][1], &p[1][2],
                      &p[2][0], &p[2][1], &p[2][2]) == 9);
  for (int i = 0; i < 3; ++i)
    CHECK(p[i][i] > 0.5f);

  CHECK(program
            .run({"predict", "--weights", weights, "--input", input, "--output",
                  program.path("y.npy")})
            .status == 0);
  CHECK(readFile(program.path("y.npy")).size() == 128 + 9 * sizeof(float));
}

TEST_CASE("the bar is drawn in place, at most ten times a second") {
  Program program;
  const Outcome outcome = runInChild([&] {
    const sinter_function_info &function = program.model.train_step;
    Means means(function);
    means.add(0, 0.5, 1);
    means.add(1, 0.25, 1);
    means.addSamples(1);
    Progress progress(Progress::Style::Bar, 2, 100);
    progress.beginEpoch();
    progress.step(25, means);
    usleep(150000);
    progress.step(50, means);
    progress.step(51, means);
    progress.endEpoch(means, &means, 1.5);
    return 0;
  });
  const std::string bar = "epoch 1/2  [============>           ] 50/100  loss "
                          "0.5000  accuracy 0.2500  ETA 0:00";
  const std::string line = "epoch 1/2  loss 0.5000  accuracy 0.2500  val_loss "
                           "0.5000  val_accuracy 0.2500  1.50 s\n";
  CHECK(outcome.out == "\r" + bar.substr(0, 79) + "\033[K\r\033[K" + line);
}

TEST_CASE("a history has an entry for each epoch") {
  Program program;
  Outcome outcome = program.train(
      {"--json", "--threads", "2", "--history", program.path("h.json")});
  CHECK(outcome.status == 0);
  CHECK(outcome.out == readFile(program.path("h.json")));
  CHECK(outcome.out.find("{\n  \"history\": {\n    \"loss\": [") == 0);
  for (const char *name : {"\"accuracy\": [", "\"val_loss\": [",
                           "\"val_accuracy\": [", "\"epoch_seconds\": ["})
    CHECK(contains(outcome.out, name));
  CHECK(contains(outcome.out, "\"model\": \"fake\",\n  \"parameters\": 15,\n  "
                              "\"threads\": 2\n}\n"));

  CHECK(program
            .train({"--quiet", "--no-validation", "--history",
                    program.path("h.csv")})
            .status == 0);
  const std::string csv = readFile(program.path("h.csv"));
  CHECK(csv.find("epoch,loss,accuracy,epoch_seconds\n1,") == 0);
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 4);
}

TEST_CASE("training can start from weights") {
  Program program;
  const std::string weights = program.path("w.safetensors");
  REQUIRE(program.train({"--save", weights, "--quiet"}).status == 0);
  auto firstLoss = [](const Outcome &outcome) {
    double loss = NAN;
    std::sscanf(outcome.out.c_str(), "{ \"history\": { \"loss\": [%lf", &loss);
    return loss;
  };
  double fresh = firstLoss(program.train({"--json"}));
  double resumed = firstLoss(program.train({"--json", "--init", weights}));
  CHECK(resumed < fresh);
}

TEST_CASE("a loss that is not finite stops the run and names the step") {
  Program program;
  program.directory.write("train.csv", "1,2,3,4,0\n5,6,7,8,1\n"
                                       "1e38,-1e38,1e38,-1e38,2\n3,2,1,0,1\n");
  program.model = fake_model("target.kind=sparse\ntarget.classes=3\n"
                             "data.train.csv=train.csv\n"
                             "data.train.label=-1\ntrain.epochs=3\n"
                             "train.batch_size=2\ntrain.shuffle=false\n");
  Outcome outcome = program.train({"--save", program.path("w.safetensors")});
  CHECK(outcome.status == 3);
  CHECK(contains(outcome.err, "error: training diverged at epoch "));
  CHECK(contains(outcome.err, " of 2: expected a finite loss, got "));
  CHECK_FALSE(fileExists(program.path("w.safetensors")));
}

TEST_CASE("wrong data ends a command with status 1") {
  Program program;
  program.directory.write("train.csv", "a,b,c,d,kind\n1,2,3,4,0\n1,2,3,4,3\n");
  Outcome outcome = program.train();
  CHECK(outcome.status == 1);
  CHECK(outcome.err == "error: " + program.path("train.csv") +
                           ": record 1 (counted from 0): expected a class "
                           "number from 0 to 2, got 3\n");
  Outcome missing = program.run({"train", "--data", program.path("nowhere")});
  CHECK(missing.status == 1);
  CHECK(contains(missing.err, "cannot open: No such file or directory"));
}

TEST_CASE("a full disk ends a command with status 3") {
  Program program;
  Outcome outcome = program.train({"--save", "/dev/full", "--quiet"});
  CHECK(outcome.status == 3);
  CHECK(outcome.err ==
        "error: /dev/full: cannot write: No space left on device\n");
  CHECK(program.train({"--quiet", "--save", program.path("no/where")}).status ==
        3);
}

TEST_CASE("wrong usage ends with status 2 and a suggestion") {
  Program program;
  auto usage = [&](std::vector<std::string> arguments) {
    Outcome outcome = program.run(arguments);
    CHECK(outcome.status == 2);
    CHECK(outcome.out == "");
    return outcome.err;
  };
  CHECK(contains(usage({}), "error: expected a command\nusage: trainer "));
  CHECK(usage({"trian"}) ==
        "error: expected a command (train, evaluate, predict, cross-validate, "
        "info or benchmark), got 'trian'; did you mean 'train'?\n");
  CHECK(usage({"train", "--epoch", "3"}) ==
        "error: train: unknown flag '--epoch'; did you mean '--epochs'?\n");
  CHECK(usage({"train", "--resumes"}) ==
        "error: train: unknown flag '--resumes'; did you mean '--resume'?\n");
  CHECK(usage({"train", "--resume"}) ==
        "error: --resume: expected --checkpoint-dir DIR beside it\n");
  CHECK(usage({"train", "--checkpoint-every", "5m"}) ==
        "error: train: --checkpoint-every: expected a number of steps (500) or "
        "of seconds (30s), got '5m'\n");
  CHECK(usage({"cross-validate", "--folds", "1"}) ==
        "error: cross-validate: --folds: expected a whole number of at least "
        "2, got '1'\n");
  CHECK(usage({"train", "--epochs"}) ==
        "error: train: expected a value behind the flag: --epochs N\n");
  CHECK(usage({"train", "--epochs=0"}) ==
        "error: train: --epochs: expected a whole number from 1 to 2147483647, "
        "got '0'\n");
  CHECK(usage({"train", "--quiet=1"}) ==
        "error: train: --quiet: expected no value, got '1'\n");
  CHECK(usage({"evaluate"}) ==
        "error: evaluate: expected the flag --weights FILE\n");
  CHECK(usage({"train", "--history", "h.txt"}) ==
        "error: --history: expected a file name that ends in .json or .csv, "
        "got 'h.txt'\n");
  CHECK(usage({"train", "--batch-size", "9"}) ==
        "error: --batch-size: expected 1 to 8, for which the model was "
        "compiled, got 9; compile it again with a larger train.batch_size\n");
}

TEST_CASE("every command has help") {
  Program program;
  Outcome all = program.run({"--help"});
  CHECK(all.status == 0);
  for (const char *command :
       {"train", "evaluate", "predict", "info", "benchmark"}) {
    CHECK(contains(all.out, std::string("\n  ") + command));
    Outcome one = program.run({command, "--help"});
    CHECK(one.status == 0);
    CHECK(one.out.find(std::string("usage: trainer ") + command) == 0);
  }
}

TEST_CASE("info tells parameters, memory and work") {
  Program program;
  Outcome json = program.run({"info", "--json"});
  CHECK(json.status == 0);
  CHECK(contains(json.out, "\"parameters\": 15,"));
  CHECK(contains(json.out, "\"memory\": {\n    \"arena_bytes\": 96,\n    "
                           "\"lower_bound_bytes\": 96,\n    \"state_bytes\": "
                           "320\n  }"));
  Outcome text = program.run({"info"});
  CHECK(text.status == 0);
  CHECK(contains(text.out, "parameters  15, of which 15 are trained\n"));
  CHECK(contains(text.out, "train_step: arena 96 bytes (lower bound 96)"));
}

TEST_CASE("benchmark times the step and its kernels") {
  Program program;
  Outcome outcome = program.run({"benchmark", "--json", "--threads", "1"});
  CHECK(outcome.status == 0);
  for (const char *key :
       {"\"peak_gflops\": ", "\"step_ms\": ", "\"percent_of_peak\": ",
        "\"name\": \"output: gradient+update\"", "\"layer\": \"output\"",
        "\"function\": \"train_step\"", "\"roof_percent\": ", "\"gbps\": ",
        // fixed + per sample * batch of the second kernel
        "\"flops\": 288,", "\"bytes\": 416,"})
    CHECK(contains(outcome.out, key));
}

TEST_CASE("benchmark of another function, and a table") {
  Program program;
  Outcome outcome =
      program.run({"benchmark", "--threads", "1", "--function", "eval_step",
                   "--batch-size", "1", "--repeat", "2"});
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.out, "eval_step, batch 1, 1 thread: "));
  CHECK(contains(outcome.out, "(median of 2)\n"));
  CHECK(contains(outcome.out, "  output: matmul+bias+softmax+loss\n"));
  CHECK(contains(outcome.out, "\nstep "));
  CHECK_FALSE(contains(outcome.out, "gradient+update"));
  outcome = program.run({"benchmark", "--function", "training"});
  CHECK(outcome.status == 2);
  CHECK(outcome.err == "error: benchmark: --function: expected predict, "
                       "eval_step or train_step, got 'training'\n");
  program.model.eval_step.run = nullptr;
  outcome = program.run({"benchmark", "--function", "eval_step"});
  CHECK(outcome.status == 1);
  CHECK(outcome.err == "error: model 'fake' was compiled without eval_step\n");
}

TEST_CASE("what the processor counted stands in the table") {
  Measurement measured;
  measured.one = measured.all = {1, 1e9, {{"DRAM", INFINITY, 1e9}}};
  measured.threads = 1;
  measured.stepSeconds = 1;
  sinter_kernel_info kernel = {};
  kernel.name = "a: mul";
  measured.kernels = {{&kernel, 1, 1, 1, 1, {1000, 2500, 7}}};
  auto printed = [&] {
    return runInChild([&] {
             printBenchmark(measured);
             return std::fflush(stdout);
           })
        .out;
  };
  CHECK_FALSE(contains(printed(), "cycles"));
  measured.counted = {true, true, false};
  CHECK(contains(printed(), "from      cycles    IPC  layer: kernel\n"));
  CHECK(contains(printed(), "DRAM        1000   2.50  a: mul\n"));
  measured.counted = {true, true, true};
  CHECK(contains(printed(), "DRAM        1000   2.50          7  a: mul\n"));
}

TEST_CASE("the nearest memory that holds so many bytes") {
  Machine machine;
  machine.levels = {{"L1", 100, 1}, {"L2", 1000, 1}, {"DRAM", INFINITY, 1}};
  CHECK(machine.levelOf(100).name == std::string("L1"));
  CHECK(machine.levelOf(101).name == std::string("L2"));
  CHECK(machine.levelOf(1e12).name == std::string("DRAM"));
}

TEST_CASE("a kernel's roof is arithmetic or bytes, of its own threads") {
  Measurement measured;
  measured.all = {2, 2000, {{"L1", 10, 400}, {"DRAM", INFINITY, 100}}};
  measured.one = {1, 1000, {{"L1", 5, 200}, {"DRAM", INFINITY, 80}}};
  sinter_kernel_info kernel = {};
  kernel.name = "a, b: mul";
  // 500 operations take at least 0.25 s, 50 bytes from DRAM 0.5 s.
  KernelTime time{&kernel, 2, 1, 500, 50};
  CHECK(measured.percentOfRoof(time) == Approx(50));
  CHECK(measured.percentOfPeak(time) == Approx(25));
  CHECK(time.layer() == "a, b");
  time.bytes = 8; // L1 of two threads
  CHECK(measured.percentOfRoof(time) == Approx(25));
  time.threads = 1; // 0.5 s of arithmetic, 0.1 s of DRAM
  CHECK(measured.percentOfRoof(time) == Approx(50));
  CHECK(measured.levelOf(time).name == std::string("DRAM"));
}

// ---- No allocation in the training loop -------------------------------------
// The sanitizers bring their own malloc.

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

static std::atomic<long> allocations{0};

extern "C" void *__libc_malloc(size_t bytes);
extern "C" void *malloc(size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}

static long allocationsAtFirstStep = -1;
static int stepsWithAllocations = 0;
static sinter_function realTrainStep;

static void countingTrainStep(const sinter_call *call) {
  if (allocationsAtFirstStep < 0)
    allocationsAtFirstStep = allocations;
  stepsWithAllocations += allocations != allocationsAtFirstStep;
  realTrainStep(call);
  // Where the parent can see it: a diverged run names this step.
  if (stepsWithAllocations > 0)
    *static_cast<float *>(call->outputs[0]) = NAN;
}

TEST_CASE("nothing is allocated after the first step") {
  Program program;
  realTrainStep = program.model.train_step.run;
  program.model.train_step.run = countingTrainStep;
  Outcome outcome = program.train({"--epochs", "4"});
  CHECK(outcome.err == "");
  CHECK(outcome.status == 0);
}

#endif
