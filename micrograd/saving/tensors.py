"""The tensors of a safetensors file, read through one descriptor and checked before they are.

The library maps the file into memory: where another process cuts it short meanwhile, the next look
at it ends this process. A read comes back short instead, and what is read of a file that was
replaced is all of the old one.
"""

from __future__ import annotations

import math
import os
import stat
from json import JSONDecodeError
from types import TracebackType
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.saving.header import read_header

_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}  # those that a model file has


class Tensors:
    """A file that is open, with its header: the format of the safetensors package.

    entries: name -> (dtype's name, shape, first byte, last byte + 1), bytes from the header's end.
    metadata: the texts that stand beside them.

    Raises:
        ValueError: the file is damaged, or none of this format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = open(path, "rb", opener=_at_once)  # noqa: SIM115
        try:
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                raise ValueError("it is no regular file")
            self._start, header = self._header()
            self.metadata = _texts(header.pop("__metadata__", {}))
            self.entries = {name: _entry(name, value) for name, value in header.items()}
            self._check_bytes()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Tensors:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _header(self) -> tuple[int, dict[str, Any]]:
        try:
            start, header = read_header(self._file)
        except (UnicodeDecodeError, JSONDecodeError) as error:
            raise _damaged(f"its header is no JSON: {error}") from None
        if not isinstance(header, dict):
            raise _damaged("its header is no mapping")
        return start, header

    def _check_bytes(self) -> None:
        """All bytes behind the header belong to one tensor each."""
        expected = 0
        for name, (_, _, first, end) in sorted(self.entries.items(), key=lambda item: item[1][2:]):
            if first != expected or end < first:
                raise _damaged(f"the bytes of {name!r} do not follow those of the tensor before")
            expected = end
        size = os.fstat(self._file.fileno()).st_size - self._start
        if size != expected:
            raise _damaged(f"its tensors take {expected} bytes, {size} are there")

    def read(self, name: str) -> Array:
        """A tensor of float32 or float64, as an array of its own."""
        dtype, shape, first, end = self.entries[name]
        if end - first != math.prod(shape) * _DTYPES[dtype].itemsize:
            raise _damaged(f"{name!r} has {end - first} bytes, its shape {shape} wants others")
        array: Array = np.empty(shape, _DTYPES[dtype])
        left = array.reshape(-1).view(np.uint8).data
        self._file.seek(self._start + first)
        while left:
            count = self._file.readinto(left)
            if not count:
                raise _damaged("it became shorter while it was read")
            left = left[count:]
        return array


def _at_once(path: str, flags: int) -> int:
    """Opens a file; a pipe that has come in its place would wait for somebody who writes."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _damaged(what: str) -> ValueError:
    return ValueError(f"it is damaged or no safetensors file: {what}")


def _texts(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _damaged("its metadata are no texts")
    return metadata


def _entry(name: str, value: Any) -> tuple[str, tuple[int, ...], int, int]:
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise _damaged(f"{name!r} is described by something else than dtype, shape and bytes")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or not _whole(shape) or not _whole(offsets) or len(offsets) != 2:
        raise _damaged(f"{name!r} has a dtype, a shape or bytes that cannot be")
    return dtype, tuple(shape), offsets[0], offsets[1]


def _whole(numbers: Any) -> bool:
    """A list of integers, 0 or more."""
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
