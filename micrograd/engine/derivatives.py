"""grad: derivatives as return values, with no `.grad` changed."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from micrograd.engine import modes
from micrograd.engine.backward import check_requires_grad, gradients, topological
from micrograd.engine.node import listed, number_of, operand
from micrograd.engine.value import Operand, Value, constant, derivative


def grad(
    outputs: Value | Sequence[Value],
    inputs: Value | Sequence[Value],
    grad_outputs: Operand | Sequence[Operand] | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
    retain_graph: bool | None = None,
) -> tuple[Any, ...]:
    """d(sum of grad_output * output)/d(input) for each input, as a tuple of Values. No `.grad` is
    changed.

    grad_outputs: a Value or number for each output, 1 for all if not given. An input the outputs do
    not depend on has gradient 0, or None with allow_unused. With create_graph the results can be
    differentiated again, to any order; without it they are constants. retain_graph is accepted, as
    in PyTorch, and not needed.

    Raises RuntimeError if an output or input does not require a gradient, TypeError if one is not a
    Value or a grad_output is not a number, ValueError if there are more or fewer grad_outputs than
    outputs.

    >>> x = Value(2.0)
    >>> (dy,) = mg.grad(x**3, x, create_graph=True)
    >>> (d2y,) = mg.grad(dy, x)
    >>> dy.data, d2y.data, x.grad
    (12.0, 12.0, 0.0)
    """
    outs = [outputs] if isinstance(outputs, Value) else listed(outputs, "grad: outputs")
    ins = [inputs] if isinstance(inputs, Value) else listed(inputs, "grad: inputs")
    for what, values in (("outputs", outs), ("inputs", ins)):
        for value in values:
            if not isinstance(value, Value):
                raise TypeError(f"grad: {value!r} among the {what} is not a Value")
            check_requires_grad(value, f"grad: {what}")
    seeds = _seeds(grad_outputs, len(outs))
    order = topological(outs)
    if modes.active and (recorder := modes.recorder.get()) is not None:
        grads = recorder.gradients(order, outs, seeds)
        finish = derivative if create_graph else recorder.detach
    else:
        watchers = modes.watchers.get() if modes.active else ()
        if not create_graph:
            seeds = [*map(number_of, seeds)]
        grads = gradients(order, outs, seeds, create_graph, watchers)
        finish = derivative if create_graph else constant
    unused = None if allow_unused else 0.0
    found = [grads.get(x, unused) for x in ins]
    return tuple(g if g is None else finish(g) for g in found)


def _seeds(grad_outputs: Any, n: int) -> list[Operand]:
    if grad_outputs is None:
        return [1.0] * n
    given = (
        [grad_outputs]
        if isinstance(grad_outputs, (Value, Real))
        else listed(grad_outputs, "grad: grad_outputs")
    )
    if any(isinstance(g, bool) for g in given):
        raise TypeError("grad: grad_outputs holds a bool; create_graph is wanted by its name")
    if len(given) != n:
        raise ValueError(f"grad: {len(given)} grad_outputs for {n} outputs; want one for each")
    return [1.0 if g is None else operand(g, "grad: grad_outputs") for g in given]
