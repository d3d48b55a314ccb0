"""C kernels on numpy arrays."""

import numpy as np

from micrograd import core
from micrograd.core import ffi, lib

ISAS = core.supported_isas()
DTYPES = ("float32", "float64")


def lanes(isa, dtype):
    """Elements of one vector register: see MG_VECTOR_BYTES in csrc/isa_*.c."""
    by_name = {"generic": 16, "avx2": 32, "avx512": 64, "neon": 16}
    by_code = {core.ISA_CODES[name]: size for name, size in by_name.items()}
    return by_code[isa] // np.dtype(dtype).itemsize


def tile_rows(isa):
    """Rows of the micro-kernel's tile: see MG_ROWS in csrc/isa_*.c."""
    by_name = {"generic": 4, "avx2": 6, "avx512": 14, "neon": 12}
    return {core.ISA_CODES[name]: rows for name, rows in by_name.items()}[isa]


def address(array):
    """The address of an array's first element, whatever its strides."""
    return ffi.cast("void *", array.ctypes.data)


def strides(array):
    """Strides in elements."""
    assert all(s % array.itemsize == 0 for s in array.strides)
    return [s // array.itemsize for s in array.strides]


def code(array):
    return core.DTYPES[array.dtype.name]


def matmul(isa, a, b, c, alpha=1.0, accumulate=False, threads=1):
    """c = alpha * a @ b in the C core, += with accumulate; the strides are those of the arrays."""
    (m, k), (_, n) = a.shape, b.shape
    assert b.shape[0] == k and c.shape == (m, n) and a.dtype == b.dtype == c.dtype
    assert n <= 1 or strides(c)[1] == 1
    status = lib.mg_matmul(
        isa, code(a), m, n, k, alpha, address(a), *strides(a), address(b), *strides(b),
        accumulate, address(c), strides(c)[0], threads,
    )  # fmt: skip
    assert status == lib.MG_OK
    return c


def apply(isa, function, x, slope=0.0):
    """f(x) by the C core, function by its name in micrograd.h: "MG_EXP"."""
    x = np.ascontiguousarray(x)
    y = np.full_like(x, 123)
    status = lib.mg_map(isa, code(x), getattr(lib, function), slope, x.size, address(x), address(y))
    assert status == lib.MG_OK
    return y
