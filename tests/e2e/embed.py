#!/usr/bin/env python3
"""embed - models in other people's programs.

Problem: a library is right when somebody else's compiler, linker and build
system say so.
Idea: everything is done as they do it: samples/embed_c as four languages with
all warnings, samples/embed_cmake with an installed package, nm and size on what
comes out. The programs judge their own results.
Known weakness: Linux, ELF and the C compiler of this machine only; other
platforms are cross.py's.
"""

import array
import ctypes
import os
import re
import shutil
import subprocess
import unittest

import e2e
from e2e import BIN, ROOT, run, sample, scratch, tool, write

FORECAST = sample("embed_c/model.yaml")
FASHION = sample("fashion_mlp/model.yaml")
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]

JOINED = """
model: joined
input: {shape: [10], name: a}
layers:
  - dense: {units: 8, inputs: [a], name: g}
  - dense: {units: 33, inputs: [a], name: h}
  - concatenate: {inputs: [g, h]}
  - dense: {units: 3, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: sgd
train: {batch_size: 8}
"""
CONVOLUTIONS = """
model: signs
input: {shape: [12, 12, 2]}
layers:
  - conv2d: {filters: 6, kernel_size: 3, padding: same, activation: relu}
  - batch_normalization
  - max_pooling2d: 2
  - dropout: 0.2
  - flatten
  - dense: {units: 5, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: adam
train: {batch_size: 8}
"""


def compile_library(spec, name, *flags, emit="lib"):
    """The path of a library in a folder of its own."""
    folder = scratch(name)
    os.makedirs(folder, exist_ok=True)
    suffix = {"lib": ".a", "shared": ".so", "obj": ".o"}[emit]
    path = os.path.join(folder, f"lib{name}{suffix}")
    run(tool("sinter"), "compile", spec, "--emit", emit, "-o", path, *flags)
    return path


def build(source, *rest, compiler="gcc", name="program"):
    """Compiles and links a program; returns its path."""
    path = scratch(name)
    run(compiler, *WARNINGS, source, *rest, "-o", path)
    return path


def include(*libraries):
    return ["-I" + os.path.dirname(library) for library in libraries]


def symbols(path, *flags):
    return [line.split()[-1] for line in run("nm", *flags, path).splitlines()
            if line and not line.endswith(":")]


def sections(path):
    """(code and constants, data) of a program or of all of an archive."""
    rows = [line.split() for line in run("size", path).splitlines()[1:]]
    return (sum(int(row[0]) for row in rows),
            sum(int(row[1]) + int(row[2]) for row in rows))


class CSample(unittest.TestCase):
    def test_every_language_standard(self):
        library = compile_library(FORECAST, "forecast")
        outputs = set()
        for compiler, language, standard in [
                ("gcc", "c", "c99"), ("gcc", "c", "c11"),
                ("g++", "c++", "c++17"), ("g++", "c++", "c++20")]:
            with self.subTest(standard=standard):
                program = build(
                    "-x", language, f"-std={standard}",
                    sample("embed_c/main.c"), "-x", "none", library,
                    *include(library), "-lm", "-pthread", compiler=compiler,
                    name=standard)
                outputs.add(run(program, scratch("forecast.safetensors")))
        self.assertEqual(len(outputs), 1, outputs)

    def test_saved_weights_can_be_the_first_ones(self):
        library = compile_library(FORECAST, "first")
        source = write("first.c", r"""
#include "forecast.h"
#include <stdio.h>
#include <string.h>
static unsigned char states[2][FORECAST_STATE_BYTES + 63];
int main(int count, char **arguments) {
  char message[200] = "";
  void *a = (void *)(((uintptr_t)states[0] + 63) / 64 * 64);
  void *b = (void *)(((uintptr_t)states[1] + 63) / 64 * 64);
  forecast_init(a, 3);
  if (count > 2 && forecast_load(a, arguments[2], message, sizeof message)) {
    fputs(message, stderr);
    return 1;
  }
  forecast_init(b, 3);
  if (count > 2)
    return memcmp(a, b, FORECAST_STATE_BYTES) != 0;
  ((float *)((char *)a + FORECAST_NEXT_BIAS_OFFSET))[0] = 0.625f;
  return forecast_save(a, arguments[1], message, sizeof message);
}
""")
        weights = scratch("first.safetensors")
        flags = [*include(library), "-std=c99"]
        run(build(source, library, "-lm", "-pthread", *flags), weights)
        for extra in [[], ["--functions", "predict"]]:
            embedded = compile_library(FORECAST, "second", "--weights",
                                       weights, *extra)
            run(build(source, embedded, "-lm", "-pthread",
                      *include(embedded), "-std=c99"), weights, weights)
        with open(weights, "r+b") as file:
            file.truncate(os.path.getsize(weights) - 4)
        with self.assertRaisesRegex(AssertionError, "truncated"):
            compile_library(FORECAST, "third", "--weights", weights)


class CppHeader(unittest.TestCase):
    def test_with_and_without_xtensor(self):
        libraries = [
            compile_library(FORECAST, "forecast"),
            compile_library(sample("embed_cmake/xor.yaml"), "exclusive_or")]
        shown = []
        for standard, flags in [("c++17", []), ("c++20", []),
                                ("c++17", ["-DSINTER_XTENSOR"])]:
            if flags and not os.path.exists(
                    "/usr/include/xtensor/xtensor.hpp"):
                continue
            program = build(
                sample("embed_cmake/main.cpp"), f"-std={standard}", *flags,
                *libraries, *include(*libraries), "-lm", "-pthread",
                compiler="g++", name="cpp")
            shown.append(run(program))
        self.assertEqual(shown[0], shown[1])
        self.assertTrue(all("from xtensor: " in text
                            for text in shown[2:]), shown)

    def test_predict_only(self):
        with open(FORECAST) as file:
            text = file.read()
        # A spec that says nothing of training, and the same by a flag.
        bare = write("bare.yaml", text[:text.index("loss:")])
        full = write("full.yaml", text[:text.index("train:")])
        headers = []
        for spec, flags in [(bare, []), (full, ["--functions", "predict"])]:
            library = compile_library(spec, "only", *flags)
            with open(os.path.join(os.path.dirname(library),
                                   "forecast.h")) as file:
                headers.append(file.read())
            source = write("only.cpp", """
#include "forecast.hpp"
int main() {
  forecast::Model model(3);
  float past[16] = {}, next = -1;
  model.predict(past, 1, &next);
  return next != 0;
}
""")
            run(build(source, library, *include(library), "-std=c++17", "-lm",
                      "-pthread", compiler="g++"))
        self.assertEqual(headers[0], headers[1])
        self.assertNotIn("train_step", headers[0])
        # A program may do without; it predicts, and says what it cannot do.
        run(tool("sinter"), "compile", bare, "-o", scratch("bare-program"))
        run(scratch("bare-program"), "train", status=1)
        run(tool("sinter"), "compile", full, "-o", scratch("only-predicts"),
            "--functions", "predict")
        run(scratch("only-predicts"), "train", status=1)
        run(tool("sinter"), "compile", full, "-o", scratch("no"),
            "--runtime", "none", status=2)


class Names(unittest.TestCase):
    """Names that a spec tells apart, and C does not."""

    def test_weights_and_results_stay_apart(self):
        library = compile_library(write("n6.yaml", """
model: n6
inputs: {in: {shape: [3]}}
layers:
  - dense: {units: 2, name: ab, inputs: in}
  - dense: {units: 2, name: Ab, inputs: ab}
  - dense: {units: 2, name: ab_kernel, inputs: Ab}
  - dense: {units: 2, name: x.y, inputs: ab_kernel}
  - dense: {units: 2, name: x_y, inputs: x.y}
outputs: [x.y, x_y]
loss: {x.y: mean_squared_error, x_y: mean_squared_error}
optimizer: sgd
train: {batch_size: 4}
"""), "n6")
        with open(os.path.join(os.path.dirname(library), "n6.h")) as file:
            rows = re.findall(r"#define (N6_\w+)_OFFSET (\d+) /\* (\S+):",
                              file.read())
        self.assertEqual(len(rows), 10, rows)
        for column in zip(*rows):
            self.assertEqual(len(set(column)), 10, rows)
        macros = {weight: macro for macro, _, weight in rows}
        self.assertEqual(macros["ab/kernel"], "N6_AB_KERNEL")
        self.assertEqual(macros["Ab/kernel"], "N6_AB_KERNEL_2")
        # Each number arrives in the weight that the comment names.
        source = write("n6.cpp", """
#include "n6.hpp"
int main(int, char **arguments) {
  n6::Model model(1);
  unsigned char *state = static_cast<unsigned char *>(model.data());
  float number = 0;
%s
  const float in[3] = {1, 2, 3}, targets[2] = {};
  n6::Model::Results results = model.evaluate_step(in, targets, targets, 1);
  model.save(arguments[1]);
  return !(results.loss >= results.x_y_loss &&
           results.loss >= results.x_y_loss_2);
}
""" % "\n".join(f"  std::memcpy(state + {macro}_OFFSET, &++number, 4);"
                for macro, _, _ in rows))
        weights = scratch("n6.safetensors")
        run(build(source, library, *include(library), "-std=c++17", "-lm",
                  "-pthread", compiler="g++"), weights)
        saved = e2e.read_safetensors(weights)
        self.assertEqual([saved[weight][1][0] for _, _, weight in rows],
                         list(range(1, 11)))


class Scales(unittest.TestCase):
    """A library leaves an input's scale to its caller, and says so."""

    def test_headers(self):
        library = compile_library(write("scales.yaml", """
model: scales
inputs:
  pixels: {shape: [3], scale: 1/255}
  halves: {shape: [3], scale: 0.5}
  plain: {shape: [3]}
layers:
  - add: {inputs: [pixels, halves, plain], name: sum}
  - dense: {units: 1, kernel_initializer: ones, use_bias: false, name: out}
loss: mean_squared_error
optimizer: sgd
train: {batch_size: 4}
"""), "scales")
        for suffix, line, steps in [(".h", " *   {}: float[batch][3]{}\n", 3),
                                    (".hpp", "  /// {}{}.\n", 3)]:
            with open(os.path.join(os.path.dirname(library),
                                   "scales" + suffix)) as file:
                header = file.read()
            for name, number in [("pixels", "1/255"), ("halves", "0.5")]:
                self.assertEqual(header.count(line.format(
                    name, f", already multiplied by {number}, the spec's "
                    "scale")), steps, header)
            self.assertEqual(header.count("multiplied by"), 2 * steps)
        source = write("scales.cpp", """
#include "scales.hpp"
int main() {
  scales::Model model;
  const float pixels[3] = {1, 2, 3}, halves[3] = {10, 20, 30},
              plain[3] = {100, 200, 300};
  float out = 0;
  model.predict(pixels, halves, plain, 1, &out);
  return out != 666;
}
""")
        run(build(source, library, *include(library), "-std=c++17", "-lm",
                  "-pthread", compiler="g++"))


class Derived(unittest.TestCase):
    """Folded weights never outlive the weights that they were made of."""

    def test_predictions_follow_the_state(self):
        path = compile_library(
            write("signs-derived.yaml",
                  CONVOLUTIONS.replace("filters: 6", "filters: 16")),
            "signs-derived", emit="shared")
        library = ctypes.CDLL(path)
        size = lambda what: getattr(library, f"signs_{what}_bytes")
        for what in "state", "arena":
            size(what).restype = ctypes.c_int64

        def memory(count):
            block = ctypes.create_string_buffer(count + 64)
            at = ctypes.addressof(block)
            ctypes.memset(at, 0xab, count + 64)  # as memory that was in use
            return block, ctypes.c_void_p(at + -at % 64)

        keep, arena = memory(size("arena")())
        images = (ctypes.c_float * (8 * 288))(*(i % 7 / 7 for i in
                                                range(8 * 288)))
        labels = (ctypes.c_int32 * 8)(0, 1, 2, 3, 4, 0, 1, 2)
        loss = (ctypes.c_float * 1)()

        def predict(state, batch):
            result = (ctypes.c_float * (5 * batch))()
            library.signs_predict(state, arena, ctypes.c_int64(batch), images,
                                  result, None)
            return list(result)

        def save(state, name):
            message = ctypes.create_string_buffer(500)
            file = scratch(name).encode()
            self.assertEqual(library.signs_save(state, file, message,
                                                ctypes.c_size_t(500)), 0)
            return file

        def load(state, file):
            message = ctypes.create_string_buffer(500)
            self.assertEqual(library.signs_load(state, file, message,
                                                ctypes.c_size_t(500)), 0)

        keep_state, state = memory(size("state")())
        keep_fresh, fresh = memory(size("state")())
        library.signs_init(state, ctypes.c_uint64(1))
        files, answers = [], []
        for batch in 8, 1:
            for step in range(3):
                predict(state, batch)
                library.signs_train_step(state, arena, ctypes.c_int64(8),
                                         images, labels, loss, None)
                files.append((batch, save(state, f"derived-{batch}-{step}")))
                answers.append(predict(state, batch))
        self.assertNotEqual(answers[0], answers[1])
        # A state that has only ever had these weights says the same, and so
        # does one that predicted with others just before.
        for (batch, file), answer in zip(files, answers):
            library.signs_init(fresh, ctypes.c_uint64(2))
            load(fresh, file)
            self.assertEqual(predict(fresh, batch), answer)
            load(state, file)
            self.assertEqual(predict(state, batch), answer)


class CMakeSample(unittest.TestCase):
    def test_installed_package(self):
        if not shutil.which("cmake"):
            self.skipTest("no cmake")
        prefix, folder = scratch("prefix"), scratch("cmake-build")
        run("cmake", "--install", os.path.dirname(BIN), "--prefix", prefix)
        run(os.path.join(prefix, "bin", "sinter"), "--version")
        # A copy: the test changes a spec.
        source = scratch("project")
        for name in ["embed_c", "embed_cmake"]:
            shutil.copytree(sample(name), os.path.join(source, name))
        run("cmake", "-S", os.path.join(source, "embed_cmake"), "-B", folder,
            "-DCMAKE_PREFIX_PATH=" + prefix, "-DCMAKE_BUILD_TYPE=Release",
            "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
        run("cmake", "--build", folder)
        program = os.path.join(folder, "embed")
        before = run(program)
        self.assertIn("no/such/file: cannot open", before)

        spec = os.path.join(source, "embed_cmake", "xor.yaml")
        with open(spec) as file:
            text = file.read()
        with open(spec, "w") as file:
            file.write(text.replace("units: 8", "units: 12"))
        run("cmake", "--build", folder)
        self.assertNotEqual(run(program), before)
        header = os.path.join(folder, "xor_model", "exclusive_or.h")
        with open(header) as file:
            self.assertIn("float[2][12]", file.read())

        if shutil.which("pkg-config"):
            flags = run("pkg-config", "--cflags", "--libs", "sinter", env={
                "PKG_CONFIG_PATH": os.path.join(prefix, "lib", "pkgconfig")})
            model = compile_library(FORECAST, "object", emit="obj")
            main = write("object.c", r"""
#include <sinter_runtime.h>
extern const sinter_model sinter_model_forecast;
int main(void) { return sinter_model_forecast.abi_version != SINTER_ABI_VERSION
    || !sinter_find_state(&sinter_model_forecast, "next/bias"); }
""")
            run(build(main, model, *flags.split()))


class TwoModels(unittest.TestCase):
    SOURCE = r"""
#include "fashion_mlp.h"
#include "forecast.h"
#include <stdio.h>
#include <stdlib.h>
static void *block(size_t bytes) {
  char *memory = (char *)malloc(bytes + 63);
  return (void *)(((uintptr_t)memory + 63) / 64 * 64);
}
int main(void) {
  struct sinter_pool *pool = sinter_pool_create(2);
  void *a = block(FASHION_MLP_STATE_BYTES), *b = block(FORECAST_STATE_BYTES);
  void *c = block(FASHION_MLP_ARENA_BYTES), *d = block(FORECAST_ARENA_BYTES);
  static float images[2 * 784], values[16];
  float classes[2 * 10], next, sum = 0;
  char message[100];
  int i;
  for (i = 0; i < 2 * 784; ++i)
    images[i] = (float)(i % 13) / 13;
  fashion_mlp_init(a, 1);
  forecast_init(b, 1);
  fashion_mlp_predict(a, c, 2, images, classes, pool);
  forecast_predict(b, d, 1, values, &next, pool);
  for (i = 0; i < 10; ++i)
    sum += classes[10 + i];
  sinter_pool_destroy(pool);
  return !(sum > 0.999f && sum < 1.001f) ||
         fashion_mlp_load(a, "/none", message, sizeof message) != 1 ||
         forecast_load(b, "/none", message, sizeof message) != 1;
}
"""

    def test_one_program(self):
        source = write("two.c", self.SOURCE)
        for emit in ["lib", "shared"]:
            a = compile_library(FASHION, "fashion_mlp", emit=emit)
            b = compile_library(FORECAST, "forecast", emit=emit)
            for libraries in [[a, b], [b, a]]:
                with self.subTest(emit=emit, first=libraries[0]):
                    paths = ["-Wl,-rpath," + os.path.dirname(library)
                             for library in libraries]
                    run(build(source, *libraries, *include(a, b), *paths,
                              "-std=c99", "-lm", "-pthread"))

    def test_visible_names(self):
        library = compile_library(FASHION, "names", emit="shared")
        for name in symbols(library, "-D", "--defined-only"):
            self.assertRegex(
                name, "^(fashion_mlp_|sinter_pool_(create|destroy)$"
                "|sinter_flush_denormals$)")
        library = compile_library(FASHION, "names")
        for name in symbols(library, "--defined-only", "--extern-only"):
            self.assertRegex(name, "^(fashion_mlp_|sinter_)")


class Freestanding(unittest.TestCase):
    def test_nothing_is_undefined(self):
        specs = {"forecast": FORECAST, "fashion_mlp": FASHION,
                 "signs": write("signs.yaml", CONVOLUTIONS),
                 "joined": write("joined.yaml", JOINED)}
        for name, spec in specs.items():
            for emit in ["obj", "lib"]:
                with self.subTest(model=name, emit=emit):
                    path = compile_library(spec, name, "--runtime", "none",
                                           emit=emit)
                    defined = set(symbols(path, "--defined-only"))
                    undefined = set(symbols(path, "--undefined-only"))
                    self.assertLessEqual(undefined, defined)
                    self.assertFalse(
                        [line for line in run("nm", path).splitlines()
                         if re.search(" [dDbB] ", line)], "global variables")

    def test_without_libc(self):
        library = compile_library(FORECAST, "bare", "--runtime", "none")
        source = write("bare.c", r"""
#include "forecast.h"
static unsigned char state[FORECAST_STATE_BYTES] __attribute__((aligned(64)));
static unsigned char arena[FORECAST_ARENA_BYTES] __attribute__((aligned(64)));
static float input[8 * 16], target[8];
static void leave(int status) {
  __asm__ volatile("syscall" : : "a"(60L), "D"((long)status));
  for (;;) {}
}
__attribute__((force_align_arg_pointer)) void _start(void);
void _start(void) {
  float first = 0, last = 0;
  forecast_init(state, 1);
  for (int i = 0; i < 8 * 16; ++i)
    input[i] = (float)(i % 7) * 0.25f;
  for (int i = 0; i < 8; ++i)
    target[i] = (float)i * 0.1f;
  for (int step = 0; step < 200; ++step) {
    forecast_train_step(state, arena, 8, input, target, &last, 0);
    if (step == 0)
      first = last;
  }
  leave(last < first * 0.1f ? 0 : 1);
}
""")
        if os.uname().machine != "x86_64":
            self.skipTest("the system call is x86-64's")
        run(build(source, library, *include(library), "-std=c99",
                  "-ffreestanding", "-nostdlib", "-static",
                  "-fno-stack-protector", "-fno-pie", "-no-pie"))

    def test_first_state_is_the_runtimes(self):
        # Every initialiser; normal values differ by roundings.
        spec = write("inits.yaml", """
model: inits
input: {shape: [40]}
layers:
  - dense: {units: 50, kernel_initializer: glorot_uniform, name: a}
  - dense: {units: 50, kernel_initializer: he_normal, name: b}
  - dense: {units: 50, name: c, kernel_initializer:
      {random_normal: {stddev: 1.0}}, bias_initializer: ones}
loss: mean_squared_error
optimizer: adam
train: {batch_size: 2}
""")
        source = write("inits.c", r"""
#include "inits.h"
#include <stdio.h>
static unsigned char memory[INITS_STATE_BYTES + 63];
int main(void) {
  void *state = (void *)(((uintptr_t)memory + 63) / 64 * 64);
  inits_init(state, 0x123456789abcdef0u);
  return fwrite(state, INITS_STATE_BYTES, 1, stdout) != 1;
}
""")
        values = []
        for flags in [[], ["--runtime", "none"]]:
            library = compile_library(spec, "inits", *flags)
            program = build(source, library, *include(library), "-lm",
                            "-pthread")
            values.append(subprocess.run([program], check=True,
                                         stdout=subprocess.PIPE).stdout)
        self.assertEqual(len(values[0]), len(values[1]))
        self.assertEqual(values[0][:40 * 50 * 4], values[1][:40 * 50 * 4])
        pair = [array.array("f", value) for value in values]
        furthest = max(abs(a - b) for a, b in zip(*pair))
        self.assertLessEqual(furthest, 2e-6)
        words = [array.array("i", value) for value in values]
        self.assertGreater(sum(a == b for a, b in zip(*words)),
                           0.5 * len(words[0]))


class Sizes(unittest.TestCase):
    def program(self, library, functions, name):
        """The smallest program that calls `functions`."""
        lines = {
            "predict": "fashion_mlp_predict(s, a, 1, x, y, 0);",
            "train": "fashion_mlp_train_step(s, a, 1, x, t, y, y, 0);",
            "init": "fashion_mlp_init(s, 1);"}
        source = write(f"{name}.c", """
#include "fashion_mlp.h"
extern unsigned char s[], a[];
extern float x[], y[];
extern int32_t t[];
unsigned char s[FASHION_MLP_STATE_BYTES] __attribute__((aligned(64)));
unsigned char a[FASHION_MLP_ARENA_BYTES] __attribute__((aligned(64)));
float x[784], y[10];
int32_t t[1];
int main(void) { %s return 0; }
""" % "".join(lines[name] for name in functions))
        return build(source, library, *include(library), "-Os", "-std=gnu99",
                     "-Wl,--gc-sections", "-lm", "-pthread", name=name)

    def test_sizes(self):
        empty = build(write("empty.c", "int main(void) { return 0; }"), "-Os",
                      name="empty")
        blocks = 4 * (784 + 10 + 1)

        def added(path, library):
            with open(os.path.join(os.path.dirname(library),
                                   "fashion_mlp.h")) as file:
                header = file.read()
            memory = sum(int(re.search(f"{name}_BYTES (\\d+)", header)[1])
                         for name in ["STATE", "ARENA"])
            code, data = (a - b for a, b in
                          zip(sections(path), sections(empty)))
            return code, data - memory - blocks

        predict = compile_library(FASHION, "small", "--functions", "predict")
        every = compile_library(FASHION, "large")
        report = {}
        for library, functions, most in [
                (predict, ["predict"], 64), (every, ["predict"], 64),
                (every, ["init", "predict", "train"], 128)]:
            what = "+".join(functions)
            program = self.program(library, functions, what.replace("+", "_"))
            code, data = added(program, library)
            report[what, library is predict] = (code, data)
            self.assertLessEqual(code, most * 1024, what)
            self.assertLessEqual(data, 4 * 1024, what)
            used = set(symbols(program, "-D", "--undefined-only"))
            self.assertFalse(
                [name for name in used
                 if re.match("f?open|malloc|calloc|f?write|f?printf|.*stream",
                             name)], f"{what} needs no files and no memory")
        sizes = {os.path.basename(path): os.path.getsize(path)
                 for path in [predict, every]}
        print(report, sizes)
        for name, size in sizes.items():
            self.assertLessEqual(size, 100 * 1000, name)
        self.assertFalse([name for name in symbols(predict, "--defined-only")
                          if "train" in name or "evaluate" in name])

        trainer = scratch("trainer")
        run(tool("sinter"), "compile", FASHION, "-o", trainer)
        run("strip", trainer)
        self.assertLessEqual(os.path.getsize(trainer), 500 * 1000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
