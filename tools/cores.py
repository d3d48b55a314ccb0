"""Two builds of the C core side by side: how long a step and a product take with each.

    CC=clang python setup.py build_ext --inplace && cp micrograd/_core.*so clang.so
    CC=gcc python setup.py build_ext --inplace && cp micrograd/_core.*so gcc.so
    python tools/cores.py gcc.so clang.so --isa avx2,generic

Each core is loaded by a process of its own; they work in turn, so that what else goes on in the
machine hits both. For each row: the first core's best time, its share of the FMA peak (the best
measured beside it), and how many times as long the others take (the median of the ratios);
for products numpy's time too. Before anything is timed, the results are compared.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

# m, n, k, and whether A is transposed, which is how dW = delta^T A reads it.
PRODUCTS = {
    "1024x1024x1024": (1024, 1024, 1024, False),
    "512x1024x1024": (512, 1024, 1024, False),
    "64x64x64": (64, 64, 64, False),
    "dW of 784-128": (128, 784, 64, True),
    "dW of 784-512": (512, 784, 128, True),
    "dW of 1024-1024": (1024, 1024, 512, True),
}
SLICE_SECONDS = 0.01
BLOCKS = 5


class Bench:
    """In a worker: one core, and the rows that it has been asked for."""

    def __init__(self, path: str) -> None:
        spec = importlib.util.spec_from_file_location("micrograd._core", path)
        assert spec is not None and spec.loader is not None
        sys.modules["micrograd._core"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.path.insert(0, str(Path(__file__).parents[1]))
        self.calls = {}

    def row(self, dtype: str, name: str):
        """(run, flops, result): a step of a workload or a product."""
        if name in PRODUCTS:
            return self.product(dtype, *PRODUCTS[name])
        from micrograd.bench.check import first_step
        from micrograd.bench.contenders import Micrograd
        from micrograd.bench.workloads import make, parse

        workload = parse(name)
        contender = Micrograd(make(workload, dtype), 1)
        first = first_step(contender)
        return contender.step, workload.flops, float(first.loss)

    def product(self, dtype: str, m: int, n: int, k: int, transposed: bool):
        import numpy as np

        from micrograd import core

        rng = np.random.default_rng(0)
        A, B = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        if transposed:
            A = np.ascontiguousarray(A.T).T
        C = np.empty((m, n), dtype)
        size = A.itemsize
        a, b, c = (core.ffi.from_buffer(x.T if x is A and transposed else x) for x in (A, B, C))
        strides = [s // size for s in (*A.strides, *B.strides)]
        isa, kind = core.ISA_CODE, core.DTYPES[dtype]

        def run() -> None:
            core.lib.mg_matmul(
                isa, kind, m, n, k, 1.0, a, *strides[:2], b, *strides[2:], 0, c, n, 1
            )

        run()
        wanted = A.astype("float64") @ B.astype("float64")
        assert np.abs(C - wanted).max() < k * np.finfo(dtype).eps * 40
        out = np.empty_like(C)
        self.calls[dtype, "numpy"] = lambda: np.matmul(A, B, out=out)
        return run, 2 * m * n * k, float(C[0, 0])

    def time(self, dtype: str, name: str, numpy: bool = False) -> dict[str, float]:
        """Seconds of one call, the least of some blocks; what it computed."""
        if name == "peak":
            from micrograd import core

            return {"gflops": core.lib.mg_measure_fma(core.ISA_CODE, core.DTYPES[dtype], 1)}
        key = (dtype, name)
        if key not in self.calls:
            run, flops, result = self.row(dtype, name)
            self.calls[key] = (run, flops, result, self.calls.pop((dtype, "numpy"), None))
        run, flops, result, peer = self.calls[key]
        return {"seconds": least(peer if numpy else run), "flops": flops, "result": result}


def least(run) -> float:
    """Seconds of a call: the least of some blocks of calls."""
    run()
    start = perf_counter()
    run()
    count = max(1, round(SLICE_SECONDS / BLOCKS / max(perf_counter() - start, 1e-7)))
    best = float("inf")
    for _ in range(BLOCKS):
        start = perf_counter()
        for _ in range(count):
            run()
        best = min(best, (perf_counter() - start) / count)
    return best


def serve(path: str) -> None:
    """A worker: one request a line, one answer a line."""
    bench = Bench(path)
    for line in sys.stdin:
        print(json.dumps(bench.time(*json.loads(line))), flush=True)


class Core:
    """The parent's end of a worker."""

    def __init__(self, path: str, isa: str) -> None:
        environment = {**os.environ, "MICROGRAD_ISA": isa, "MICROGRAD_NUM_THREADS": "1"}
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        if isa == "avx2":  # numpy's BLAS too has half the registers then
            environment["OPENBLAS_CORETYPE"] = "Haswell"
        command = [sys.executable, __file__, "--serve", path]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, *request: object) -> dict[str, float]:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(cores: list[Core], isa: str, dtype: str, rows: list[str], rounds: int) -> None:
    """Prints a line for each row."""
    seconds = {row: [[] for _ in cores] for row in rows}
    peers = {row: [] for row in rows if row in PRODUCTS}
    peaks, flops = [], {}
    for turn in range(rounds + 1):
        peaks.append(cores[0].ask(dtype, "peak")["gflops"])
        for row in rows:
            found = [{}] * len(cores)
            for i in range(len(cores)):
                which = (i + turn) % len(cores)
                found[which] = cores[which].ask(dtype, row)
            if turn == 0:  # makes and compares, warms up, and does not count
                results = [x["result"] for x in found]
                close = 1e-3 if dtype == "float32" else 1e-10
                assert max(results) - min(results) <= close * max(map(abs, results)), results
                continue
            flops[row] = found[0]["flops"]
            for times, x in zip(seconds[row], found, strict=True):
                times.append(x["seconds"])
            if row in peers:
                peers[row].append(cores[0].ask(dtype, row, True)["seconds"])
    for row in rows:
        first = seconds[row][0]
        share = flops[row] / min(first) / 1e9 / max(peaks)
        line = f"{isa:8}{dtype:9}{row:18}{min(first) * 1e6:10.1f} µs {share:5.0%}"
        for others in seconds[row][1:]:
            line += f"  {median(b / a for a, b in zip(first, others, strict=True)):6.3f}"
        if row in peers:
            ratio = median(b / a for a, b in zip(first, peers[row], strict=True))
            line += f"  numpy {ratio:6.3f}"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("cores", nargs="+", help="files of built cores, the first to compare with")
    parser.add_argument("--isa", default="avx2,generic")
    parser.add_argument("--dtype", default="float32,float64")
    parser.add_argument(
        "--rows", help="workloads (784-128-10) or products; all of them if left out"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.cores[0])
        return
    steps = ["4-8-3", "2-16-16-2", "64-32-10", "784-128-10", "784-512-256-10"]
    everything = [*steps, "1024-1024-1024-10", *PRODUCTS]
    named = {"steps": everything[:6], "products": list(PRODUCTS), None: everything}
    rows = named.get(options.rows) or options.rows.split(",")
    for isa in options.isa.split(","):
        cores = [Core(os.path.abspath(path), isa) for path in options.cores]
        for dtype in options.dtype.split(","):
            compare(cores, isa, dtype, rows, options.rounds)
        for core in cores:
            core.end()


if __name__ == "__main__":
    main()
