"""IDX files, the format of MNIST: a magic number, the sizes, then the values in big-endian order.

    byte 0-1  zero
    byte 2    type code: 08 uint8, 09 int8, 0b int16, 0c int32, 0d float32, 0e float64
    byte 3    d, the number of dimensions
    byte 4    d sizes, each an unsigned 32-bit integer
    then      the values, the last index changing fastest

Source: Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits.
"""

from __future__ import annotations

import math
import os
import struct
import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micrograd.data.bounded import BoundedReader

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
_MAX_DIMENSIONS = 32  # numpy 1 holds no more


class Header(NamedTuple):
    """What the values are: their big-endian dtype, and the shape of the array."""

    dtype: np.dtype[Any]  # big-endian
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the header itself."""
        return 4 + 4 * len(self.shape)

    def __str__(self) -> str:
        sizes = " x ".join(map(str, self.shape))
        return f"{sizes} values of {self.dtype.itemsize} byte(s)"


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read one IDX file, gzipped or not: its content decides, not its name.

    Args:
        path: the file. Any of the six IDX types and 1 to 32 dimensions.

    Returns:
        A new array of the shape in the header, in native byte order: uint8, int8, int16, int32,
        float32 or float64.

    Raises:
        ValueError: wrong magic number, truncated, longer than the header says, or corrupt gzip
            data. Names the file, the byte, what came and what was wanted. Nothing is allocated
            for a size that the header claims and the file does not hold.
        OSError: the file cannot be opened.

    >>> images = mg.data.read_idx("path/to/t10k-images-idx3-ubyte")  # doctest: +SKIP
    """
    name = f"read_idx: {os.fsdecode(path)}"
    with open(path, "rb") as file:
        reader = BoundedReader(file, name)
        return read_values(reader, name, read_header(reader, name))


def read_header(reader: BoundedReader, name: str) -> Header:
    """The header, with which the data begin; `name` is what messages begin with."""
    magic = reader.read(4)
    if len(magic) < 4:
        raise ValueError(f"{name}: {reader.at(len(magic))}: the data ends, wanted 4 magic bytes")
    if magic[:2] != b"\0\0":
        raise ValueError(
            f"{name}: {reader.at(0)}: the magic number is {magic.hex(' ')}, wanted 00 00, a type "
            "and a number of dimensions; this is no IDX file"
        )
    if magic[2] not in _TYPES:
        known = ", ".join(f"{code:02x}" for code in _TYPES)
        raise ValueError(f"{name}: {reader.at(2)}: type code {magic[2]:02x}, wanted one of {known}")
    if not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise ValueError(
            f"{name}: {reader.at(3)}: {magic[3]} dimensions, wanted 1 to {_MAX_DIMENSIONS}"
        )
    sizes = reader.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise ValueError(
            f"{name}: {reader.at(4 + len(sizes))}: the data ends, wanted {magic[3]} sizes of "
            "4 bytes each"
        )
    shape = struct.unpack(f">{magic[3]}I", sizes)
    return Header(np.dtype(">" + _TYPES[magic[2]]), shape)


def read_values(reader: BoundedReader, name: str, header: Header) -> NDArray[Any]:
    """The values after the header, in native byte order, and nothing after them."""
    # numpy refuses a shape whose sizes other than 0 overflow, even if it holds no value at all.
    if math.prod(filter(None, header.shape)) * header.dtype.itemsize > sys.maxsize:
        raise ValueError(
            f"{name}: {reader.at(4)}: the header claims {header}, more than this machine addresses"
        )
    wanted = math.prod(header.shape) * header.dtype.itemsize
    data = reader.read(wanted)
    if len(data) < wanted:
        raise ValueError(
            f"{name}: {reader.at(header.size + len(data))}: the data ends after {len(data)} bytes "
            f"of values, wanted {wanted}: the header claims {header}; the file is truncated"
        )
    if reader.read(1):
        raise ValueError(
            f"{name}: {reader.at(header.size + wanted)}: more data follows, wanted the end after "
            f"{wanted} bytes of values: the header claims {header}"
        )
    values = np.frombuffer(data, dtype=header.dtype).reshape(header.shape)
    return values.astype(header.dtype.newbyteorder("="), copy=False)
