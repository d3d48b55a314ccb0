"""Scalar functions inside a Network: an activation f(x) and a loss f(z, y), written with Values.

They go through the same `pipeline` as `compile`, with one difference: their gradient is wanted with
respect to an argument as well, because the chain rule goes on behind it. The C core runs them as
ops of a plan (csrc/program/program_ops.h): forward, and for a gradient once more forward and then
backward, in blocks of elements or rows that stay in the cache.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from micrograd.engine.value import Value
from micrograd.program.c_program import encode
from micrograd.program.listing import listing
from micrograd.program.ops import Shape
from micrograd.program.pipeline import Simplified, assembled, columns_of, simplified
from micrograd.program.recorder import RecordingError


@dataclass(frozen=True)
class ScalarOp:
    """A scalar function for the C core.

    code: the mg_program *, kept alive. n_parameters: it reads the first so many of the leaves that
    it was made with, and adds to so many gradients. listing: its ops, for a person. make: makes
    another mg_program * of the same ops.
    """

    code: Any
    n_parameters: int
    listing: str
    make: Callable[[], Any]

    def again(self) -> ScalarOp:
        """The same with a program of its own, for a pass beside those of this one."""
        return replace(self, code=self.make())


def _simplified(
    where: str, f: Callable[..., Any], shapes: Sequence[Shape], leaves: dict[Value, int]
) -> Simplified:
    """What f does for such arguments, if it returns one Value; errors begin with `where`.

    leaves: their numbers; new ones are added.
    """
    if not callable(f):
        raise TypeError(f"{where}: {f!r:.60} is a {type(f).__name__}, want a function of Values")
    wanted = "one Value" if len(shapes) == 1 else f"{len(shapes)} arguments"
    try:
        inspect.signature(f).bind(*shapes)
    except TypeError as error:
        raise TypeError(f"{where}: the function takes {wanted} here; {error}") from None
    except ValueError:
        pass  # a builtin that does not say
    try:
        function = simplified(
            f, shapes, lambda used: [leaves.setdefault(leaf, len(leaves)) for leaf in used]
        )
    except RecordingError as error:
        raise RecordingError(error.reason, where) from None
    if not function.recording.single or function.recording.shapes != [()]:
        raise RecordingError("the function returns more than one Value; want one", where)
    return function


def _assembled(
    where: str,
    f: Callable[..., Any],
    shapes: Sequence[Shape],
    leaves: list[Value],
    dtype: str,
) -> ScalarOp:
    numbers = {leaf: i for i, leaf in enumerate(leaves)}
    function = _simplified(where, f, shapes, numbers)
    columns = columns_of(shapes)
    assembly = assembled(function.nodes, function.outputs, len(numbers), {0: columns[0]})
    make = partial(encode, assembly, columns, dtype)
    code = make()
    names = [leaf.label or f"p{i}" for i, leaf in enumerate(numbers)]
    leaves.extend(list(numbers)[len(leaves) :])
    text = listing(assembly, shapes, names, function.recorded)
    return ScalarOp(code, len(numbers), text, make)


def map_op(
    f: Callable[[Value], Any], leaves: list[Value], dtype: str, where: str = "Map"
) -> ScalarOp:
    """f, from one Value to one, for mg_program_map and mg_program_map_backward.

    Args:
        f: an activation, such as `lambda x: x * x.sigmoid()`.
        leaves: the Values that take a gradient and that the functions of one model close over;
            those of f that are not among them are added at the end. They are the op's parameters,
            in this order, of which it uses the first `n_parameters`.
        dtype: "float32" or "float64".
        where: what errors call f.

    Raises:
        TypeError: f is no function, or does not take one argument.
        RecordingError: f does what cannot be recorded, or does not return one Value.
    """
    return _assembled(where, f, [()], leaves, dtype)


def loss_op(
    f: Callable[[Any, Any], Any],
    outputs: int,
    targets: int,
    leaves: list[Value],
    dtype: str,
    where: str = "loss",
) -> ScalarOp:
    """f(z, y), from a row of the output and one of the targets to a Value: mg_program_loss_rows.

    Args:
        f: a loss, such as `lambda z, y: (1 - y * z).relu()`. It gets z as a Value if `outputs` is
            1, else as a list of Values, and y likewise. A label is its number.
        outputs, targets: columns of z and of y; targets is 1 for labels.
        leaves, dtype, where: see `map_op`.

    Raises:
        TypeError: f is no function, or does not take two arguments.
        RecordingError: f does what cannot be recorded, or does not return one Value.
    """
    shapes: list[Shape] = [() if columns == 1 else (columns,) for columns in (outputs, targets)]
    return _assembled(where, f, shapes, leaves, dtype)
