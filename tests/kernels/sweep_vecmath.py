"""Every float32 there is, through the functions of the C core, against float64.

    python tests/sweep_vecmath.py [generic|avx2|avx512|neon] [exp log sigmoid tanh gelu]

2^32 numbers take some minutes a function, so this is no part of the test run, which samples them.
It prints the largest error and fails if one is above 2 units in the last place of the result, or
for gelu, which wants scipy, 4 units in the last place of the argument.
"""

import sys

import numpy as np

from micrograd import core
from micrograd.core import ffi, lib

CHUNK = 1 << 24


def sigmoid(x):
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def gelu(x):
    from scipy.special import ndtr

    return np.where(x == -np.inf, 0.0, x * ndtr(x))


# What it is, what it should be, and the largest error that is allowed.
FUNCTIONS = {
    "exp": (lib.MG_EXP, np.exp, 2.0),
    "log": (lib.MG_LOG, np.log, 2.0),
    "sigmoid": (lib.MG_SIGMOID, sigmoid, 2.0),
    "tanh": (lib.MG_TANH, np.tanh, 2.0),
    "gelu": (lib.MG_GELU, gelu, 4.0),
}


def ulps(found, exact, scale):
    """Distance from a float64 reference in units in the last place that float32 has at `scale`."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
        _, exponent = np.frexp(scale)
        unit = np.ldexp(1.0, np.maximum(exponent, -125) - 24)
        error = np.abs(found.astype(np.float64) - exact) / unit
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def sweep(isa, name):
    """The largest error over all bit patterns, and the number that has it."""
    code, reference, _ = FUNCTIONS[name]
    worst, at = 0.0, np.float32(0)
    out = np.empty(CHUNK, np.float32)
    for start in range(0, 1 << 32, CHUNK):
        x = np.arange(start, start + CHUNK, dtype=np.uint32).view(np.float32)
        lib.mg_map(
            core.ISA_CODES[isa], lib.MG_FLOAT32, code, 0.0, CHUNK,
            ffi.from_buffer(x), ffi.from_buffer(out),
        )  # fmt: skip
        with np.errstate(all="ignore"):
            exact = reference(x.astype(np.float64))
            error = ulps(out, exact, x.astype(np.float64) if name == "gelu" else exact)
        if error.max() > worst:
            worst, at = float(error.max()), x[error.argmax()]
    return worst, at


def main(arguments):
    isas = [a for a in arguments if a in core.ISA_CODES] or [core.isa()]
    names = [a for a in arguments if a in FUNCTIONS] or list(FUNCTIONS)
    failed = False
    for isa in isas:
        for name in names:
            worst, at = sweep(isa, name)
            failed |= worst > FUNCTIONS[name][2]
            print(f"{isa:8} {name:8} {worst:.3f} ulp at {at!r}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
