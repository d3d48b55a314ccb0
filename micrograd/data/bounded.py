"""Reading a file, gzipped or not, without ever holding more of it than was asked for."""

from __future__ import annotations

import zlib
from typing import BinaryIO

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31  # 16 (a gzip header and checksum, not zlib's) + 15 (the largest window)
_CHUNK = 1 << 16  # bytes taken from the file at a time
_PIECE = 1 << 20  # bytes inflated at a time, so that a gzip bomb cannot fill the memory


class BoundedReader:
    """The bytes of a binary file, inflated when its first bytes say gzip, whatever its name.

    Memory grows with the bytes that really arrive, never with a size that a header claims.

    Args:
        file: opened in binary mode, at its start.
        name: what error messages call the file.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._pending = file.read(_CHUNK)
        self._taken = len(self._pending)
        self._inflater: zlib._Decompress | None = None
        if self._pending.startswith(_GZIP_MAGIC):
            self._inflater = zlib.decompressobj(_GZIP_WBITS)

    def read(self, count: int) -> bytearray:
        """Return the next ``count`` bytes, fewer only where the data ends.

        Raises:
            ValueError: the gzip data is corrupt or truncated; names the file and the byte.
        """
        data = bytearray()
        while len(data) < count:
            limit = min(count - len(data), _PIECE)
            piece = self._copy(limit) if self._inflater is None else self._inflate(limit)
            if not piece:
                break
            data += piece
        return data

    def at(self, offset: int) -> str:
        """Return the words for a place in the data, such as ``byte 16``."""
        return f"byte {offset}" + ("" if self._inflater is None else " of the decompressed data")

    def _copy(self, limit: int) -> bytes:
        self._refill()
        piece, self._pending = self._pending[:limit], self._pending[limit:]
        return piece

    def _inflate(self, limit: int) -> bytes:
        """Return 1 to ``limit`` inflated bytes, none after the last gzip member."""
        assert self._inflater is not None
        while True:
            if self._inflater.eof:
                self._skip_padding()
                if not self._pending:
                    return b""
                self._inflater = zlib.decompressobj(_GZIP_WBITS)
            elif not self._refill():
                raise ValueError(
                    f"{self._name}: byte {self._taken}: the gzip data ends before its end mark; "
                    "the file is truncated, copy or download it again"
                )
            piece = self._step(self._inflater, limit)
            if piece:
                return piece

    def _step(self, inflater: zlib._Decompress, limit: int) -> bytes:
        spare = inflater.copy()
        try:
            piece = inflater.decompress(self._pending, limit)
        except zlib.error as error:
            place = self._taken - len(self._pending) + _first_bad_byte(spare, self._pending)
            raise ValueError(
                f"{self._name}: byte {place}: the gzip data is corrupt ({error}); "
                "copy or download the file again"
            ) from None
        self._pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        return piece

    def _skip_padding(self) -> None:
        """Drop zero bytes between or after gzip members, as gzip itself does."""
        while self._refill():
            self._pending = self._pending.lstrip(b"\0")
            if self._pending:
                return

    def _refill(self) -> bool:
        """Return whether bytes are pending, after taking more from the file if there were none."""
        if not self._pending:
            self._pending = self._file.read(_CHUNK)
            self._taken += len(self._pending)
        return bool(self._pending)


def _first_bad_byte(inflater: zlib._Decompress, data: bytes) -> int:
    """Return the index of the byte of ``data`` at which inflating fails: it is known to fail."""
    index = 0
    for index in range(len(data)):
        try:
            inflater.decompress(data[index : index + 1])
        except zlib.error:
            break
    return index
