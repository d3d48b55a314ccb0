"""What a model file looks like: how its tensors are called, and the digest that it is checked by.

The tensors are the parameters under their own names, "0.weight", "0.bias", ..., the optimizer's
state, "optimizer.velocity", and the parameters of the best epoch, "training.best".  Of several
networks of the same layers, whose answers are averaged, the further ones have all their parameters
in one array each, "member.1", "member.2", ...  All else is one JSON text in the file's metadata,
under "micrograd"; "digest" is that of the text and the tensors.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from micrograd.core import Array

VERSION = 1
TEXT_LIMIT = 16 << 20  # bytes of JSON: a network of 100 000 layers, or 100 000 epochs of history
OPTIMIZER = "optimizer."  # starts the names of its state's arrays
FLAT = ("best", "last")  # of Position: all parameters in one array, as "training.best"
TRAINING = "training."
MEMBER = "member."
PARAMETER = "parameter."  # starts the names of parameters whose own would be mistaken
_TAKEN = (OPTIMIZER, TRAINING, MEMBER, PARAMETER, "__")


def tensor_names(names: Sequence[str]) -> list[str]:
    """What the tensors of parameters of these names are called: their own names where these say
    which is meant, else "parameter.3", by their place."""
    counts = Counter(names)
    return [
        f"{PARAMETER}{i}" if counts[name] > 1 or not name or name.startswith(_TAKEN) else name
        for i, name in enumerate(names)
    ]


class Digest:
    """A digest of a description and of tensors, in the order of their names."""

    def __init__(self, text: str) -> None:
        self._hash = hashlib.blake2b(text.encode(), digest_size=16)

    def add(self, name: str, array: Array) -> None:
        """The next tensor."""
        self._hash.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        self._hash.update(np.ascontiguousarray(array).data)

    def text(self) -> str:
        """The digest of all that has been added."""
        return self._hash.hexdigest()


def digest(text: str, tensors: Iterable[tuple[str, Array]]) -> str:
    """The digest of a description and of tensors by name."""
    found = Digest(text)
    for name, array in sorted(tensors, key=lambda pair: pair[0]):
        found.add(name, array)
    return found.text()
