"""Every float32 there is, through exp, log, sigmoid and tanh of the C core, against float64.

    python tests/sweep_vecmath.py [generic|avx2|avx512|neon] [exp log sigmoid tanh]

2^32 numbers take some minutes a function, so this is no part of the test run, which samples them.
It prints the largest error in units in the last place and fails if one is above 2.
"""

import sys

import numpy as np

from micrograd import core
from micrograd.core import ffi, lib

BOUND = 2.0
CHUNK = 1 << 24
FUNCTIONS = {
    "exp": (lib.MG_EXP, np.exp),
    "log": (lib.MG_LOG, np.log),
    "sigmoid": (lib.MG_SIGMOID, lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))),
    "tanh": (lib.MG_TANH, np.tanh),
}


def ulps(found, exact):
    """Distance from a float64 reference in units in the last place of float32."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
        _, exponent = np.frexp(exact)
        unit = np.ldexp(1.0, np.maximum(exponent, -125) - 24)
        error = np.abs(found.astype(np.float64) - exact) / unit
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def sweep(isa, name):
    """The largest error over all bit patterns, and the number that has it."""
    code, reference = FUNCTIONS[name]
    worst, at = 0.0, np.float32(0)
    out = np.empty(CHUNK, np.float32)
    for start in range(0, 1 << 32, CHUNK):
        x = np.arange(start, start + CHUNK, dtype=np.uint32).view(np.float32)
        lib.mg_map(
            core.ISA_CODES[isa], lib.MG_FLOAT32, code, 0.0, CHUNK,
            ffi.from_buffer(x), ffi.from_buffer(out),
        )  # fmt: skip
        with np.errstate(all="ignore"):
            error = ulps(out, reference(x.astype(np.float64)))
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
            failed |= worst > BOUND
            print(f"{isa:8} {name:8} {worst:.3f} ulp at {at!r}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
