"""measure - what all tables share: sides that take turns, compiled models, skips.

Problem: on a shared machine a later second has another speed.
Idea: every side is a process that is warm and waits; in each round each runs for
a slice of time, one after the other. A ratio is the median over the rounds of
medians within a round, so that a slow round is slow for both of its terms.
Known weakness: a neighbour's burst shorter than a round still hits one side.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(BENCH)
PEERS = os.path.join(BENCH, "peers")
BIN = os.path.abspath(os.environ.get("SINTER_BIN_DIR")
                      or os.path.join(ROOT, "build", "release", "bin"))
OUT = os.path.join(ROOT, "build", "bench")
# Debian's, which has Debian's PyTorch.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") \
    else sys.executable
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
# The OpenMP build of OpenBLAS shares PyTorch's threads; the pthread build spins
# against them.
OPENBLAS = os.path.join(LIBRARIES, "openblas-openmp")
TCMALLOC = os.path.join(LIBRARIES, "libtcmalloc_minimal.so.4")
SINTER = "Sinter"


class Failed(Exception):
    """A side that cannot be measured; the text says why."""


def output(*command, env=None):
    result = subprocess.run(command, text=True, capture_output=True,
                            env=dict(os.environ, **(env or {})))
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        errors = [line for line in lines if "error:" in line]
        raise Failed(f"{os.path.basename(command[0])}: "
                     f"{(errors or lines)[-1]}")
    return result.stdout


def pinned(threads):
    """On as many cores as threads, as far as taskset is there."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    if len(cores) < threads or not shutil.which("taskset"):
        return []
    return ["taskset", "-c", ",".join(map(str, cores))]


def peak(threads):
    return json.loads(output(*pinned(threads), os.path.join(BIN, "bench_peak"),
                             "--json", "--threads", str(threads)))


@dataclasses.dataclass
class Timing:
    """A side's times of one piece of work, in milliseconds a call."""
    row: str
    threads: int
    side: str
    flops: float
    slices: list

    def quartiles(self):
        times = [t for part in self.slices for t in part]
        if len(times) == 1:
            return times * 3
        return statistics.quantiles(times, n=4, method="inclusive")

    def median(self):
        return self.quartiles()[1]

    def best(self):
        """Of the round with the lowest median."""
        return min(map(statistics.median, self.slices))

    def gflops(self):
        return self.flops / self.median() / 1e6

    def ratio(self, sinter):
        """Its time by Sinter's: above 1, Sinter is faster."""
        return statistics.median(
            statistics.median(mine) / statistics.median(theirs)
            for mine, theirs in zip(self.slices, sinter.slices))


class Side:
    """A process that times itself in slices (bench/slices.h)."""

    def __init__(self, name, command, threads, work="", env=None, blas=False,
                 tcmalloc=False):
        self.name, self.work, self.process = name, work, None
        self.command = [*pinned(threads), *map(str, command)]
        self.env = dict(os.environ, OMP_NUM_THREADS=str(threads), **(env or {}))
        if blas and os.path.isdir(OPENBLAS):
            self.env["LD_LIBRARY_PATH"] = OPENBLAS
        if tcmalloc and os.path.exists(TCMALLOC):
            self.env["LD_PRELOAD"] = TCMALLOC

    def start(self, clock="wall"):
        self.process = subprocess.Popen(
            self.command, env=dict(self.env, BENCH_CLOCK=clock), text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            errors = self.process.communicate()[1].strip().splitlines()
            raise Failed((errors or ["ended without a word"])[-1])
        return line

    def wait(self):
        while self.line().strip() != "ready":
            pass

    def slice(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return {self.work: json.loads(self.line())}

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Kernels:
    """Kernels of a compiled program, by its own `benchmark`. `find` maps a piece
    of work to a function from the list of kernels to those that do it."""

    name = SINTER

    def __init__(self, program, threads, find):
        self.command = [*pinned(threads), program, "benchmark", "--threads",
                        str(threads), "--json"]
        self.program, self.find = program, find

    def start(self, clock="wall"):
        pass

    wait = stop = start

    def slice(self, _):
        kernels = json.loads(output(*self.command))["kernels"]
        times = {}
        for work, those_of in self.find.items():
            found = those_of(kernels)
            if not found:
                raise Failed(f"{self.program}: no kernel does {work}")
            times[work] = [sum(kernel["ms"] for kernel in found)]
        return times


class Run:
    """One call of bench/run: its settings, and what it collects."""

    def __init__(self, quick, thread_counts, rounds=None, cpu_time=False):
        self.quick, self.thread_counts = quick, thread_counts
        self.cpu_time = cpu_time
        self.rounds, self.seconds = (3, 0.12) if quick else (5, 0.4)
        self.kernel_rounds = 1 if quick else 3
        if rounds:
            self.rounds, self.kernel_rounds = rounds, (rounds + 1) // 2
        self.kernel_threads = thread_counts[:1] if quick else thread_counts
        self.skipped, self.timings = [], []
        self.arenas, self.pictures, self.peaks = [], [], []
        self.peer_folder = os.path.join(OUT, "peers")
        self.prepared = set()
        os.makedirs(OUT, exist_ok=True)
        self.compiled = self.compile_folder()

    def skip(self, what, why):
        if (what, why) not in self.skipped:
            self.skipped.append((what, why))
            print(f"skipped {what}: {why}", file=sys.stderr, flush=True)

    # ---- Sides -----------------------------------------------------------

    def take_turns(self, sides, rounds, clock):
        """{(work, side): slices}; a side that fails is left out."""
        slices, live = {}, []
        try:
            started = []
            for side in sides:
                try:
                    side.start(clock)
                    started.append(side)
                except OSError as problem:
                    self.skip(side.name, str(problem))
            for side in started:
                try:
                    side.wait()
                    live.append(side)
                except Failed as problem:
                    self.skip(side.name, str(problem))
            for _ in range(rounds):
                for side in list(live):
                    time.sleep(0.02)  # the one before still spins
                    try:
                        for work, times in side.slice(self.seconds).items():
                            slices.setdefault((work, side.name),
                                              []).append(times)
                    except (Failed, BrokenPipeError) as problem:
                        self.skip(side.name, str(problem))
                        live.remove(side)
                        slices = {key: value for key, value in slices.items()
                                  if key[1] != side.name}
        finally:
            for side in sides:
                side.stop()
        return slices

    def compare(self, row, threads, sides, flops, rounds=None):
        """`flops`: a number, or one for each piece of work."""
        # CPU time can be told when all sides time themselves in slices.
        clock = "cpu" if self.cpu_time and threads == 1 and all(
            isinstance(side, Side) for side in sides) else "wall"
        slices = self.take_turns(sides, rounds or self.rounds, clock)
        for (work, side), parts in slices.items():
            self.timings.append(Timing(
                f"{row} {work}".strip(), threads, side,
                flops[work] if isinstance(flops, dict) else flops, parts))

    # ---- Peers -----------------------------------------------------------

    def peer(self, name, why):
        """Path of a program of peers/, built when need be; None without its
        library."""
        try:
            if "cmake" not in self.prepared:
                self.prepared.add("cmake")
                output("cmake", "-S", PEERS, "-B", self.peer_folder, "-G",
                       "Ninja")
            if name not in self.prepared:
                self.prepared.add(name)
                targets = output("ninja", "-C", self.peer_folder, "-t",
                                 "targets", "all")
                if re.search(rf"^{name}:", targets, re.MULTILINE):
                    output("ninja", "-C", self.peer_folder, name)
                    return os.path.join(self.peer_folder, name)
                self.prepared.add(f"no {name}")
                self.skip(name, f"{why} is not installed "
                          "(scripts/setup --bench)")
        except (Failed, OSError) as problem:
            self.prepared.add(f"no {name}")
            self.skip(name, f"cannot be built: {problem}")
        return None if f"no {name}" in self.prepared \
            else os.path.join(self.peer_folder, name)

    def has_torch(self):
        if "torch" not in self.prepared:
            self.prepared.add("torch")
            try:
                self.torch = output(PYTHON, "-c",
                                    "import torch; print(torch.__version__)")
            except (Failed, OSError):
                self.torch = None
                self.skip("PyTorch", "python3-torch is not installed "
                          "(scripts/setup --bench)")
        return self.torch is not None

    # ---- Sinter ----------------------------------------------------------

    def compile_folder(self):
        """Of this build of Sinter; those of others are removed."""
        folder = os.path.join(OUT, "compiled")
        stamp = hashlib.sha256()
        for name in ("bin/sinter", "lib/libsinter_trainer.a",
                     "lib/libsinter_runtime.a"):
            path = os.path.join(os.path.dirname(BIN), name)
            stamp.update(str(os.path.getmtime(path)).encode()
                         if os.path.exists(path) else b"-")
        mine = stamp.hexdigest()[:12]
        if os.path.isdir(folder):
            for other in os.listdir(folder):
                if other != mine:
                    shutil.rmtree(os.path.join(folder, other))
        return os.path.join(folder, mine)

    def compile(self, text, emit="exe"):
        """Path of what the spec `text` becomes; compiled once for each build."""
        stamp = hashlib.sha256(text.encode()).hexdigest()[:12]
        folder = os.path.join(self.compiled, stamp)
        os.makedirs(folder, exist_ok=True)
        result = os.path.join(folder, "model.so" if emit == "shared"
                              else "model")
        if not os.path.exists(result):
            spec = os.path.join(folder, "model.yaml")
            with open(spec, "w") as file:
                file.write(text)
            output(os.path.join(BIN, "sinter"), "compile", spec, "--emit", emit,
                   "-o", result)
        return result


def sample(name, batch=None, file="model.yaml"):
    """Text of a sample's spec, with another batch size; files that it names
    stay where they are."""
    folder = os.path.join(ROOT, "samples", name)
    with open(os.path.join(folder, file)) as spec:
        text = spec.read()
    text = re.sub(r"^model:\s*(\S+\.\w+)$",
                  lambda m: f"model: {os.path.join(folder, m[1])}", text,
                  flags=re.M)
    if batch:
        text, count = re.subn(r"batch_size:\s*\d+", f"batch_size: {batch}",
                              text)
        if count != 1:
            raise Failed(f"samples/{name}/{file}: expected one batch_size")
    return text
