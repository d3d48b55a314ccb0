"""A model file that is open: its header looked at with distrust before any tensor is read."""

from __future__ import annotations

import math
import os
import stat
from typing import TYPE_CHECKING, Any

from micrograd import checks
from micrograd.atomic import file_name
from micrograd.saving import parts
from micrograd.saving.header import parsed
from micrograd.saving.layout import (
    FLAT,
    MEMBER,
    OPTIMIZER,
    TEXT_LIMIT,
    TRAINING,
    VERSION,
    digest,
    tensor_names,
)
from micrograd.saving.tensors import Tensors
from micrograd.saving.write import check_finite

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.network.layers import Layer

    Path = str | os.PathLike[str]

Shapes = list[tuple[str, tuple[int, ...]]]  # of the parameters, by name

MOST_MEMBERS = 1000

_FILE_DTYPES = {"float32": "F32", "float64": "F64"}


class File:
    """A model file: its description, and its tensors, which are read one by one.

    Raises:
        ValueError: it is damaged, or no model file of this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = file_name(path)
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is no regular file")
        self._file = Tensors(self.path)
        try:
            self._describe(self._file.metadata)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _describe(self, metadata: dict[str, str]) -> None:
        text, self._digest = metadata.get("micrograd"), metadata.get("digest")
        self.text = _description(text)
        self._text = str(text)
        dtype = self.text.get("dtype")
        if not isinstance(dtype, str) or dtype not in _FILE_DTYPES:
            raise ValueError(f"dtype is {dtype!r}, one of {', '.join(_FILE_DTYPES)} is wanted")
        self.dtype = dtype
        self._tensors: dict[str, Array] = {}

    def section(self, name: str) -> dict[str, Any] | None:
        """A part of the description that has to be a mapping; None where there is none."""
        value = self.text.get(name)
        if value is not None and not isinstance(value, dict):
            raise ValueError(f"{name} is {checks.describe(value)}, a mapping is wanted")
        return value

    @property
    def members(self) -> int:
        """How many networks it holds."""
        members = self.text.get("members", 1)
        if type(members) is not int or not 1 <= members <= MOST_MEMBERS:
            raise ValueError(
                f"members is {checks.describe(members)}, 1 to {MOST_MEMBERS} networks are wanted"
            )
        return members

    def layers(self) -> list[Layer]:
        """The layers of its architecture."""
        layers = self.text.get("layers")
        if not isinstance(layers, list):
            raise ValueError(f"layers is {checks.describe(layers)}, a list is wanted")
        return [parts.decode(layer, parts.LAYERS) for layer in layers]

    def loss(self) -> Any:
        """The loss of its architecture: a name, or what is called for a row."""
        loss = self.text.get("loss")
        return parts.decode(loss, parts.LOSSES) if isinstance(loss, dict) else loss

    def read(self, shapes: Shapes) -> None:
        """Reads the tensors: every parameter with its shape, and nothing else but what goes with
        training, as it was written.

        The header is looked at first: no memory is taken for what it does not have.
        """
        names = tensor_names([name for name, _ in shapes])
        wanted = {name: shape for name, (_, shape) in zip(names, shapes, strict=True)}
        entries = self._file.entries
        found = set(entries)
        training = {TRAINING + name for name in FLAT}
        further = {f"{MEMBER}{i}" for i in range(1, self.members)}
        extras = {n for n in found if n in training | further or n.startswith(OPTIMIZER)}
        if further - found:
            raise ValueError(f"the tensor {min(further - found)!r} of {self.members} is missing")
        missing = next((name for name in wanted if name not in found), None)
        if missing is not None:
            raise ValueError(f"the tensor {missing!r} of its architecture is missing")
        unknown = found - extras - wanted.keys()
        if unknown:
            raise ValueError(f"the tensor {min(unknown)!r} belongs to no parameter")
        size = sum(math.prod(shape) for shape in wanted.values())
        for name, shape in [*wanted.items(), *((name, (size,)) for name in extras)]:
            seen = entries[name][:2]
            if seen != (_FILE_DTYPES[self.dtype], shape):
                raise ValueError(
                    f"the tensor {name!r} is {seen[0]} with shape {seen[1]}, the architecture "
                    f"wants {_FILE_DTYPES[self.dtype]} with shape {shape}"
                )
        self._tensors = {name: self._file.read(name) for name in entries}
        if self._digest is not None and self._digest != digest(self._text, self._tensors.items()):
            raise ValueError("it is damaged: its content is not what its digest says")

    def tensor(self, name: str) -> Array:
        """A tensor, after `read`; all of it has to be finite."""
        array = self._tensors[name]
        check_finite("damaged", name, array)
        return array

    def named(self, start: str) -> dict[str, Array]:
        """The tensors whose names start so, by the rest of their names."""
        own = {n.removeprefix(start): n for n in self._tensors if n.startswith(start)}
        return {rest: self.tensor(name) for rest, name in own.items()}


def _description(text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        raise ValueError("it is a safetensors file, but micrograd did not write it")
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"its description takes {len(text)} bytes, {TEXT_LIMIT} is the most")
    description = parsed(text)
    if not isinstance(description, dict):
        raise ValueError("its description is no mapping")
    if description.get("version") != VERSION:
        raise ValueError(
            f"it has version {description.get('version')!r} of the format, this is {VERSION}"
        )
    return description
