"""Times the rungs of ladder.c and the package's kernel: python docs/understand/ladder.py [SIZE].

SIZE x SIZE matrices of float32, one thread. All rungs take turns, round after round; the best
round of each counts. Each result is first compared with numpy's in float64.
Wants a C compiler: $CC, else cc.
"""

import ctypes
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from micrograd import core
from micrograd.core import ffi, lib

RUNGS = ("naive", "loop_order", "blocking", "packing", "register_tile")
KERNEL = "micrograd"
ROUNDS = 5
FLAGS = {  # compiler flags, bytes of a vector, rows of the tile
    "avx512": (["-mavx512f", "-mfma"], 64, 12),
    "avx2": (["-mavx2", "-mfma"], 32, 6),
    "neon": ([], 16, 6),
    "generic": ([], 16, 6),
}


def compiled(folder):
    """The functions of ladder.c, for the instruction set in use."""
    flags, vector, rows = FLAGS[core.isa()]
    source, target = Path(__file__).with_suffix(".c"), Path(folder) / "ladder.so"
    command = [os.environ.get("CC", "cc"), "-O3", "-shared", "-fPIC", *flags]
    defines = [f"-DVECTOR_BYTES={vector}", f"-DROWS={rows}"]
    subprocess.run([*command, *defines, str(source), "-o", str(target)], check=True)
    library = ctypes.CDLL(str(target))
    return {name: getattr(library, name) for name in RUNGS}, math.lcm(rows, vector // 2)


def calls(functions, A, B, C):
    """name -> a call that fills C."""
    n = len(A)
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (A, B, C)]
    a, b, c = (ffi.from_buffer(x) for x in (A, B, C))

    def kernel():
        dtype = core.DTYPES["float32"]
        status = lib.mg_matmul(
            core.ISA_CODE, dtype, n, n, n, 1.0, a, n, 1, b, n, 1, 0, c, n, 1
        )  # fmt: skip
        assert status == lib.MG_OK

    return {
        **{name: lambda f=f: f(n, n, n, *pointers) for name, f in functions.items()},
        KERNEL: kernel,
    }


def measure(size=960, rounds=ROUNDS):
    """name -> GFLOP/s of one thread, processor time.

    Raises:
        ValueError: the size is not a multiple of what the tile wants.
        AssertionError: a rung computes something else than numpy.
    """
    rng = np.random.default_rng(0)
    A, B = (rng.normal(size=(size, size)).astype(np.float32) for _ in range(2))
    C, best = np.empty_like(A), {}
    wanted = A.astype(float) @ B.astype(float)
    bound = size * np.finfo(np.float32).eps * (np.abs(A) @ np.abs(B))
    with tempfile.TemporaryDirectory() as folder:
        functions, multiple = compiled(folder)
        if size % multiple:
            raise ValueError(f"ladder: size {size}, a multiple of {multiple} is wanted")
        runs = calls(functions, A, B, C)
        for name, run in runs.items():
            C.fill(np.nan)
            run()
            assert (np.abs(C - wanted) <= bound).all(), name
        for _ in range(rounds):
            for name, run in runs.items():
                start = time.process_time()
                run()
                best[name] = min(best.get(name, np.inf), time.process_time() - start)
    return {name: 2e-9 * size**3 / t for name, t in best.items()}


def main():
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 960
    rates = measure(size)
    print(f"{size} x {size}, float32, {core.isa()}, {platform.machine()}, one thread")
    print(f"{'rung':15}{'GFLOP/s':>9}{'x naive':>9}{'x before':>10}")
    before = rates["naive"]
    for name, rate in rates.items():
        print(f"{name:15}{rate:9.2f}{rate / rates['naive']:9.1f}{rate / before:10.2f}")
        before = rate


if __name__ == "__main__":
    main()
