"""The header of a model file, looked at before any tensor is: its size and its names."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from typing import IO, Any

MOST_TENSORS = 100_000
HEADER_LIMIT = 64 << 20  # bytes: the description twice over, which stands in it as quoted JSON
MOST_TEXTS = 5 * MOST_TENSORS + 1000  # of a tensor: its name, three keys and a dtype
_COUNTED = b'"data_offsets"'


def read_header(file: IO[bytes]) -> tuple[int, Any]:
    """Where the header of this open file ends, and what stands in it, as JSON.

    Of two entries of one name readers take the first or the last, as they please: it is refused,
    and so is a header that is larger than any that `save` writes.

    Raises:
        ValueError: the header is cut short or too large, has too many tensors or has a name twice;
            or it is no JSON or no UTF-8, which are ValueErrors of their own kind.
    """
    there = os.fstat(file.fileno()).st_size
    size = int.from_bytes(file.read(8), "little")
    if size > there - 8:
        raise ValueError(
            f"it is damaged or no safetensors file: a header of {size} bytes in a file of {there}"
        )
    if size > HEADER_LIMIT:
        raise ValueError(f"its header has {size} bytes, {HEADER_LIMIT} is the most")
    header = file.read(size)
    # Counted before it is parsed, in a hundredth of the time. Keys may be written in escapes, which
    # the first count does not know; no text is written without its quotes.
    texts = (header.count(b'"') - header.count(b'\\"')) // 2
    for count, what, most in (
        (header.count(_COUNTED), "tensors", MOST_TENSORS),
        (texts, "names and texts", MOST_TEXTS),
    ):
        if count > most:
            raise ValueError(f"it has {count} {what}, {most} is the most")
    return 8 + size, parsed(header.decode())


def parsed(text: str) -> Any:
    """A JSON text as Python has it.

    Raises:
        ValueError: it is none, or a mapping in it has one name twice.
    """
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = sorted(name for name, _ in pairs)
        twice = next(name for name, after in pairwise(names) if name == after)
        raise ValueError(f"its description has {twice!r} twice")
    return mapping
