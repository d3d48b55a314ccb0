"""What all C headers of networks have: a guard, names of classes, what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from micrograd import __version__
from micrograd.convert.c import source
from micrograd.convert.c.loss import Loss
from micrograd.convert.int8.build import Int8Network
from micrograd.convert.models import class_names
from micrograd.core import Array
from micrograd.network.network import Network


@dataclass(frozen=True)
class CHeader:
    """What was written.

    function: the name of the predict function. parameter_bytes: of its constants. scratch_bytes: of
    static memory beside them. rounding: what float costs on the rows it was measured on, as a share
    of the spread of the outputs. loss: what quantisation costs, None without. int8: of
    quantize="int8": the same integers in numpy, whose predict_int8 gives what the C function gives.
    example: a row as the predict function takes it. classes: whether they have names.

    >>> header = mg.convert.to_c(net, "digits.h", prefix="digits_")
    >>> header.function, header.parameter_bytes
    ('digits_predict', 9640)
    """

    function: str
    parameter_bytes: int
    scratch_bytes: int
    rounding: float = 0.0
    loss: Loss | None = None
    int8: Int8Network | None = field(default=None, repr=False, compare=False)
    example: Array | None = field(default=None, repr=False, compare=False)
    classes: bool = False

    def __str__(self) -> str:
        text = (
            f"{self.function}: {self.parameter_bytes} bytes of parameters, {self.scratch_bytes} "
            "bytes of static memory"
        )
        return text if self.loss is None else f"{text}\n{self.loss}"


@dataclass(frozen=True)
class SelfTest:
    """What the self-test compares with: rows, outputs, and how far off is right."""

    inputs: Array
    outputs: Array
    tolerance: float


def classes_function(name: str, net: Network) -> str:
    """The function that names a class; nothing where they have no names."""
    names = class_names(net)
    if not names:
        return ""
    listed = ", ".join(map(source.string, names))
    return (
        f"/* The name of class i, from 0 to {len(names) - 1}, in UTF-8. */\n"
        f"static inline const char *{name}_class(size_t i)\n{{\n"
        f"    static const char *const names[] = {{{listed}}};\n    return names[i];\n}}\n"
    )


def guarded(name: str, net: Network, about: str, includes: str, parts: Sequence[str]) -> str:
    """The whole text: a guard of its own for each content, so that two models of one name do not
    hide one another."""
    body = "\n".join(filter(None, parts))
    content = sha256(body.encode()).hexdigest()[:12].upper()
    guard = name.upper()
    included = "\n".join(f"#include {header}" for header in includes.split())
    return (
        f"/* {source.comment(repr(net))}\n   written by micrograd {__version__}; C99. {about}\n*/\n"
        f"#ifndef {guard}_{content}_H\n#define {guard}_{content}_H\n"
        f"#ifdef {guard}_INPUTS\n"
        f'#error "two models are called {name}: export one of them with another prefix"\n'
        f"#endif\n{included}\n\n{body}\n#endif /* {guard}_{content}_H */\n"
    )
