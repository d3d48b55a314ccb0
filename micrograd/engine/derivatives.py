"""grad: derivatives as return values, with no `.grad` changed."""

from __future__ import annotations

from collections.abc import Sequence

from micrograd.engine import modes
from micrograd.engine.backward import check_requires_grad, gradients, topological
from micrograd.engine.value import Value, constant


def grad(
    outputs: Value | Sequence[Value],
    inputs: Value | Sequence[Value],
    create_graph: bool = False,
) -> tuple[Value, ...]:
    """d(sum of outputs)/d(input) for each input, as a tuple of Values. No `.grad` is changed.

    An input the outputs do not depend on has gradient 0. With create_graph the results can be
    differentiated again, to any order; without it they are constants.

    Raises RuntimeError if an output or input does not require a gradient, TypeError if one is not a
    Value.
    """
    outs = [outputs] if isinstance(outputs, Value) else list(outputs)
    ins = [inputs] if isinstance(inputs, Value) else list(inputs)
    for what, values in (("outputs", outs), ("inputs", ins)):
        for value in values:
            if not isinstance(value, Value):
                raise TypeError(f"grad: {value!r} among the {what} is not a Value")
            check_requires_grad(value, f"grad: {what}")
    order, seeds = topological(outs), [1.0] * len(outs)
    if modes.active and (recorder := modes.recorder.get()) is not None:
        grads = recorder.gradients(order, outs, seeds)
        found = [constant(grads.get(x, 0.0)) for x in ins]
        return tuple(found if create_graph else map(recorder.detach, found))
    watchers = modes.watchers.get() if modes.active else ()
    grads = gradients(order, outs, seeds, create_graph, watchers)
    return tuple(constant(grads.get(x, 0.0)) for x in ins)
