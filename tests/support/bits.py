"""Comparing bits, and distances in units in the last place."""

import numpy as np


def same_bits(a, b):
    """Equal down to the sign of zero and the payload of a NaN."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def ulp(x, dtype):
    """The unit in the last place of `dtype` at the float64 x; denormals share the smallest."""
    info = np.finfo(dtype)
    exponent = np.frexp(np.abs(x))[1] - 1
    return np.ldexp(1.0, np.maximum(exponent, info.minexp) - info.nmant)


def ulp_error(actual, exact, rest=0.0):
    """|actual - (exact + rest)| in ulps of exact, a float64; rest is what it rounds off.

    An exact value past the largest number counts as 2^maxexp, and so does an infinity that came.
    """
    exact = np.asarray(exact)
    shrink = np.where(np.abs(exact) > 1, 0.5, 1.0)  # so that 2^1024 has a place in float64
    top = np.ldexp(1.0, np.finfo(actual.dtype).maxexp - 1)  # half of 2^maxexp
    came = np.clip(actual.astype(np.float64) * shrink, -top, top)
    want = np.clip(exact * shrink, -top, top)
    unit = ulp(np.where(np.abs(want) == top, top / 2, want), actual.dtype)
    return np.abs((came - want) - rest * shrink) / unit
