#!/usr/bin/env python3
"""cross - libraries for other platforms compute what they compute here.

Problem: code for another processor has other vectors, other fused operations
and, on 32-bit ARM, other pointers.
Idea: one C program trains and predicts; it is built for this machine and with
Debian's cross compilers, and runs under qemu's user emulation. Sums may have
another order, so figures agree to a tolerance; with and without the runtime.
Known weakness: emulation tells nothing about speed.
"""

import os
import shutil
import sys
import unittest

from e2e import SKIPPED, Failed, run, sample, scratch, tool, write
from embed import CONVOLUTIONS

# triple, qemu, what to link freestanding code with
PLATFORMS = [("aarch64-linux-gnu", "aarch64", []),
             ("riscv64-linux-gnu", "riscv64", []),
             ("arm-linux-gnueabihf", "arm", ["-lgcc"])]

PROGRAM = r"""
#include "NAME.h"
#include <stdio.h>
#include <stdlib.h>
static void *block(size_t bytes) {
  char *memory = malloc(bytes + 63);
  return (void *)(((uintptr_t)memory + 63) / 64 * 64);
}
int main(void) {
  enum { batch = 8, features = FEATURES, outputs = OUTPUTS };
  void *state = block(MACRO_STATE_BYTES), *arena = block(MACRO_ARENA_BYTES);
  static float x[batch * features], y[batch * outputs];
  TARGET t[batch];
  float loss;
  int i, step;
  unsigned random = 1;
  NAME_init(state, 7);
  for (i = 0; i < batch * features; ++i) {
    random = random * 1664525u + 1013904223u;
    x[i] = (float)(random >> 8) / 16777216.0f - 0.5f;
  }
  for (i = 0; i < batch; ++i)
    t[i] = (TARGET)(i % 5);
  for (step = 0; step < 10; ++step) {
    NAME_train_step(state, arena, batch - step % 2, x, t, &loss, NULL);
    printf("%.9g\n", loss);
  }
  NAME_evaluate_step(state, arena, batch, x, t, &loss, NULL);
  printf("%.9g\n", loss);
  NAME_predict(state, arena, batch, x, y, NULL);
  for (i = 0; i < batch * outputs; ++i)
    printf("%.9g\n", y[i]);
  NAME_predict(state, arena, 1, x, y, NULL);
  for (i = 0; i < outputs; ++i)
    printf("%.9g\n", y[i]);
  FILES
  return 0;
}
"""

# Weights through memory and a file, threads.
FILES = r"""
  {
    char message[200] = "";
    size_t size = NAME_save_memory(state, NULL, 0);
    void *bytes = malloc(size), *other = block(MACRO_STATE_BYTES);
    struct sinter_pool *pool = sinter_pool_create(2);
    float again[outputs];
    NAME_init(other, 8);
    if (NAME_save_memory(state, bytes, size) != size ||
        NAME_load_memory(other, bytes, size, message, sizeof message) ||
        NAME_save(state, "weights.tmp", message, sizeof message) ||
        NAME_load(other, "weights.tmp", message, sizeof message)) {
      puts(message);
      return 1;
    }
    sinter_flush_denormals();
    NAME_predict(other, arena, 1, x, again, pool);
    for (i = 0; i < outputs; ++i)
      if (again[i] != y[i])
        return 2;
    sinter_pool_destroy(pool);
  }
"""

MODELS = {
    "forecast": ("float", 16, 1, sample("embed_c/model.yaml")),
    "signs": ("int32_t", 288, 5, None),
}


def numbers(triple, name, runtime, libraries):
    """What the program prints on the platform `triple` (empty: here)."""
    target, features, outputs, spec = MODELS[name]
    spec = spec or write("signs.yaml", CONVOLUTIONS)
    folder = scratch(f"{triple or 'native'}-{name}-{runtime}")
    os.makedirs(folder)
    library = os.path.join(folder, f"lib{name}.a")
    run(tool("sinter"), "compile", spec, "--emit", "lib", "-o", library,
        "--runtime", runtime, *(["--target", triple] if triple else []))
    text = PROGRAM.replace("FILES", FILES if runtime == "posix" else "")
    for word, value in {"NAME": name, "MACRO": name.upper(), "TARGET": target,
                        "FEATURES": features, "OUTPUTS": outputs}.items():
        text = text.replace(word, str(value))
    source = os.path.join(folder, "main.c")
    with open(source, "w") as file:
        file.write(text)
    program = os.path.join(folder, "program")
    compiler = f"{triple}-gcc" if triple else "gcc"
    run(compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-I" + folder,
        source, library, "-static", "-lm", "-pthread", "-o", program)
    if runtime == "none":
        run(compiler, "-nostdlib", "-r", "-o", program + ".o",
            "-Wl,--whole-archive", library)
        left = [line.split()[-1] for line in
                run("nm", "-u", program + ".o").splitlines()]
        allowed = [] if not libraries else [
            name for name in left if name.startswith("__aeabi_")]
        if sorted(left) != sorted(allowed):
            raise Failed(f"undefined: {left}")
    qemu = [q[1] for q in PLATFORMS if q[0] == triple]
    emulator = [f"qemu-{qemu[0]}-static"] if qemu else []
    return [float(line)
            for line in run(*emulator, program, cwd=folder).split()]


class Cross(unittest.TestCase):
    def test_figures_are_the_native_ones(self):
        for name in MODELS:
            for runtime in ["posix", "none"]:
                native = numbers("", name, runtime, [])
                self.assertLess(native[9], native[0], "it learns")
                for triple, _, libraries in PLATFORMS:
                    with self.subTest(model=name, runtime=runtime,
                                      target=triple):
                        other = numbers(triple, name, runtime, libraries)
                        self.assertEqual(len(native), len(other))
                        for a, b in zip(native, other):
                            self.assertAlmostEqual(
                                a, b, delta=2e-4 * max(1, abs(a)))

    def test_processors(self):
        # Fused multiply-adds and vectors of other lengths at least compile.
        for triple, cpu in [("armv7", "cortex-a7"), ("aarch64", "cortex-a76"),
                            ("riscv64", "sifive-x280"),
                            ("x86_64-linux-gnu", "x86-64"),
                            ("aarch64-none-elf", "cortex-a53")]:
            run(tool("sinter"), "compile", sample("embed_c/model.yaml"),
                "--emit", "obj", "--target", triple, "--target-cpu", cpu,
                "--runtime", "none", "-o", scratch("processor.o"))

    def test_shared_library(self):
        library = scratch("libforecast.so")
        run(tool("sinter"), "compile", sample("embed_c/model.yaml"), "--emit",
            "shared", "--target", "aarch64-linux-gnu", "-o", library)
        self.assertIn("AArch64", run("readelf", "-h", library))

    def test_errors(self):
        for flags, status, words in [
                (["--target", "z80-unknown-cpm"], 2,
                 "expected a target triple such as x86_64-linux-gnu, "
                 "aarch64-linux-gnu, riscv64-linux-gnu or "
                 "arm-linux-gnueabihf"),
                (["--target", "aarch64-apple-darwin"], 2, "ELF"),
                (["--target", "armv6-linux-gnueabihf"], 2, "NEON"),
                (["--target", "armv7", "--target-cpu", "haswell"], 2,
                 "expected a processor of armv7"),
                (["--target", "aarch64-linux-gnu", "--emit", "exe"], 3,
                 "--emit lib, shared and obj serve other platforms"),
                (["--target", "loongarch64-linux-gnu"], 3,
                 "expected a C compiler for loongarch64-linux-gnu")]:
            with self.subTest(flags=flags):
                if "--emit" not in flags:
                    flags = [*flags, "--emit", "lib"]
                with self.assertRaises(Failed) as caught:
                    run(tool("sinter"), "compile",
                        sample("embed_c/model.yaml"), "-o", scratch("none"),
                        *flags)
                self.assertIn(f"got {status}\n", str(caught.exception))
                self.assertIn(words, str(caught.exception))


if __name__ == "__main__":
    needed = [f"{triple}-gcc" for triple, _, _ in PLATFORMS] + [
        f"qemu-{qemu}-static" for _, qemu, _ in PLATFORMS]
    missing = [name for name in needed if not shutil.which(name)]
    if missing:
        print("skipped: no", ", ".join(missing), "(scripts/setup --tests)")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
