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
_SPELLINGS = ("-idx{}-ubyte", ".idx{}-ubyte", "-idx{}-ubyte.gz", ".idx{}-ubyte.gz")


class _Header(NamedTuple):
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
    """
    name = f"read_idx: {os.fspath(path)}"
    with open(path, "rb") as file:
        reader = BoundedReader(file, name)
        return _read_values(reader, name, _read_header(reader, name))


def mnist(
    folder: str | os.PathLike[str],
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Read the four MNIST files from a folder; Fashion-MNIST, KMNIST and the like come the same.

        X_train, y_train, X_test, y_test = mg.data.mnist("path/to/folder")

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same with
    ``t10k``, each also with a dot for the hyphen before ``idx``, or with ``.gz`` added. Where
    both are there, the plain file is taken.

    Returns:
        X_train: float32 (n, rows * columns), (60000, 784) for MNIST. Pixels are divided by 255:
            the range is 0 to 1. Images are in row-major order.
        y_train: int64 (n,), the label bytes as they are: 0 to 9 for MNIST, other sets may hold
            any of 0 to 255.
        X_test, y_test: the same for the test part, (10000, 784) and (10000,) for MNIST.

    Raises:
        FileNotFoundError: the folder lacks one of the files; names the spellings looked for.
        ValueError: as `read_idx`, and also for labels where images belong or images where labels
            belong, unequal numbers of images and labels, and test images of another size.
    """
    place = os.fspath(folder)
    X_train, y_train, train_size = _read_part(place, "train")
    X_test, y_test, test_size = _read_part(place, "t10k")
    if test_size != train_size:
        raise ValueError(
            f"mnist: {_find(place, 't10k-images', 3)}: byte 8: the images are "
            f"{test_size[0]} x {test_size[1]}, wanted {train_size[0]} x {train_size[1]} as in "
            f"{_find(place, 'train-images', 3)}"
        )
    return X_train, y_train, X_test, y_test


def _read_part(
    folder: str, part: str
) -> tuple[NDArray[np.float32], NDArray[np.int64], tuple[int, int]]:
    """Return X (n, rows * columns), y (n,) and (rows, columns) of the train or t10k files."""
    image_path = _find(folder, f"{part}-images", 3)
    label_path = _find(folder, f"{part}-labels", 1)
    labels = _read_bytes(label_path, 1, "labels")
    images = _read_bytes(image_path, 3, "images")
    count, rows, columns = images.shape
    if len(labels) != count:
        raise ValueError(
            f"mnist: {label_path}: byte 4: {len(labels)} labels, wanted {count}, one for each "
            f"image in {image_path}"
        )
    pixels = images.reshape(count, rows * columns)
    X: NDArray[np.float32] = np.divide(pixels, 255, dtype=np.float32)
    return X, labels.astype(np.int64), (rows, columns)


def _find(folder: str, stem: str, dimensions: int) -> str:
    """Return the file of that stem in any of its spellings."""
    names = [stem + spelling.format(dimensions) for spelling in _SPELLINGS]
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"mnist: {folder} is not a folder")
    raise FileNotFoundError(f"mnist: {folder} holds none of {', '.join(names)}")


def _read_bytes(path: str, dimensions: int, what: str) -> NDArray[np.uint8]:
    """Read an IDX file that must hold uint8 values in that many dimensions."""
    name = f"mnist: {path}"
    with open(path, "rb") as file:
        reader = BoundedReader(file, name)
        header = _read_header(reader, name)
        if header.dtype != np.uint8:
            raise ValueError(
                f"{name}: {reader.at(2)}: values of type {header.dtype.name}, wanted uint8 {what}"
            )
        if len(header.shape) != dimensions:
            raise ValueError(
                f"{name}: {reader.at(3)}: {len(header.shape)} dimension(s), wanted {dimensions} "
                f"for {what}; is the file under the wrong name?"
            )
        return _read_values(reader, name, header)


def _read_header(reader: BoundedReader, name: str) -> _Header:
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
    return _Header(np.dtype(">" + _TYPES[magic[2]]), shape)


def _read_values(reader: BoundedReader, name: str, header: _Header) -> NDArray[Any]:
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
