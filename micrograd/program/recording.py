"""Recording: what a function of Values does, as a list of ops instead of a number.

A function that is not the same each time it is called cannot be recorded: it is called twice, and
the two lists are compared. That finds random numbers, counters, and leaves made anew by each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from micrograd.engine.node import operand
from micrograd.engine.value import Operand, Value
from micrograd.program.ops import Node, Shape
from micrograd.program.recorder import Recorder, RecordingError
from micrograd.program.reverse import gradients

AXES = 30  # of a result, beside the batch's: numpy 1 has 32 of them


@dataclass
class Recording:
    """What a function does for arguments of these shapes.

    nodes, outputs: the list, and the places in it of the results. shapes: of each result, () for a
    Value, (n,) for a list of n; single: the function returns one result and no tuple.
    """

    nodes: list[Node]
    outputs: list[int]
    shapes: list[Shape]
    single: bool
    leaves: list[Value]
    captured: list[tuple[Value, float]]


def _argument(recorder: Recorder, number: int, shape: Shape, columns: Iterator[int]) -> Any:
    if not shape:
        return recorder.input(number, next(columns))
    return [_argument(recorder, number, shape[1:], columns) for _ in range(shape[0])]


def _result(x: Any, flat: list[Operand]) -> Shape:
    """Appends the Values of a nested list to `flat`, and returns its shape."""
    if isinstance(x, (list, tuple)):
        shapes = [_result(each, flat) for each in x]
        if not shapes or any(shape != shapes[0] for shape in shapes):
            raise RecordingError(
                "the function returns a list that is empty or ragged; "
                "a Value, a list of as many Values in each row, or a tuple of these is wanted"
            )
        return (len(shapes), *shapes[0])
    try:
        flat.append(operand(x, "compile"))
    except TypeError:
        raise RecordingError(
            f"the function returns {type(x).__name__} {x!r:.60}; "
            "a Value, a list of Values or a tuple of these is wanted"
        ) from None
    return ()


def _record_once(f: Callable[..., Any], shapes: Sequence[Shape]) -> Recording:
    recorder = Recorder(gradients)
    with recorder.in_force():
        arguments = [
            _argument(recorder, i, shape, iter(range(10**12))) for i, shape in enumerate(shapes)
        ]
        returned = f(*arguments)
        single = not isinstance(returned, tuple)
        if returned == ():
            raise RecordingError(
                "the function returns an empty tuple; a Value, a list of Values or a tuple of "
                "these is wanted"
            )
        flat: list[Operand] = []
        results = [returned] if single else list(returned)
        result_shapes = [_result(x, flat) for x in results]
        deepest = max(map(len, result_shapes))
        if deepest > AXES:
            raise RecordingError(
                f"the function returns lists nested {deepest} deep; an array has room for {AXES}"
            )
        outputs = [recorder.place(x) for x in flat]
    return Recording(
        recorder.nodes, outputs, result_shapes, single, list(recorder.leaves), recorder.captured
    )


def _same(a: Node, b: Node) -> bool:
    return a == b or (a[:2] == b[:2] and a.value != a.value and b.value != b.value)


def record(f: Callable[..., Any], shapes: Sequence[Shape]) -> Recording:
    """What f does for a sample whose arguments have these shapes: () for a Value, (n,) for a list.

    Raises:
        RecordingError: f does what a recording cannot hold, or not the same thing twice.
    """
    first, second = _record_once(f, shapes), _record_once(f, shapes)
    leaves = zip(first.leaves, second.leaves, strict=False)
    if len(first.leaves) != len(second.leaves) or any(x is not y for x, y in leaves):
        raise RecordingError(
            "the function makes new Values that take a gradient each time it is called; "
            "make parameters once, outside, and constants with Value(x, requires_grad=False)"
        )
    if (
        first.outputs != second.outputs
        or len(first.nodes) != len(second.nodes)
        or not all(map(_same, first.nodes, second.nodes))
    ):
        raise RecordingError(
            "the function does something else each time it is called (does it draw random "
            "numbers, count its calls, or read data that change?); pass what changes as an argument"
        )
    return first
