"""IDX files: an array of the size that the header says, or ValueError."""

import gzip
import tempfile
from pathlib import Path

import numpy as np

from fuzz.numbers import Numbers
from micrograd.data import read_idx

TYPES = (0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E)


def content(data):
    """Mostly a header that is nearly right, or gzip of one; else any bytes."""
    numbers = Numbers(data)
    kind = numbers.below(4)
    if kind == 0:
        return numbers.rest()
    dimensions = numbers.below(4)
    head = bytes([0, 0, numbers.choice(TYPES), dimensions])
    for _ in range(dimensions):
        head += (numbers.byte() if numbers.below(8) else 2**32 - 1 - numbers.byte()).to_bytes(
            4, "big"
        )
    whole = head + numbers.rest()
    if kind == 1:
        packed = bytearray(gzip.compress(whole, mtime=0))
        packed[len(data) % len(packed)] ^= data[0] & 1
        return bytes(packed) + (b"more" if len(data) % 5 == 0 else b"")
    return whole


def check(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.idx")
        path.write_bytes(content(data))
        try:
            array = read_idx(path)
        except ValueError as error:
            assert str(path) in str(error), error
            return
        assert 1 <= array.ndim <= 32 and array.dtype in map(
            np.dtype, ("u1", "i1", "i2", "i4", "f4", "f8")
        )
        assert array.dtype.isnative and array.nbytes <= 1 << 26
