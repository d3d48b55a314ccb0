"""The header of a model file, looked at before safetensors reads it: its size and its names."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from typing import Any

MOST_TENSORS = 100_000
HEADER_LIMIT = 64 << 20  # bytes: the description twice over, which stands in it as quoted JSON
_COUNTED = b'"data_offsets"'


def check_header(path: str | os.PathLike[str]) -> None:
    """Refuses a header that says something twice or is larger than any that `save` writes.

    Of two entries of one name readers take the first or the last, as they please. A header that is
    no JSON, or too short, is left to safetensors, which says what is wrong with it.

    Raises:
        ValueError: the header is too large, has too many tensors or has a name twice.
    """
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > os.fstat(file.fileno()).st_size:
            return
        if size > HEADER_LIMIT:
            raise ValueError(f"its header has {size} bytes, {HEADER_LIMIT} is the most")
        header = file.read(size)
    tensors = header.count(_COUNTED)
    if tensors > MOST_TENSORS:
        raise ValueError(f"it has {tensors} tensors, {MOST_TENSORS} is the most")
    try:
        parsed(header.decode())
    except (UnicodeDecodeError, json.JSONDecodeError):
        return


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
