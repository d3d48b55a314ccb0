"""What a network and its optimizer were at one moment, for a pickle that takes several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from micrograd.parameters import Parameters


class Moment:
    """Parameters, gradients and an optimizer's state as they are when it is made.

    pickle takes one object after the other, and another thread may make a step in between. It takes
    this one last: it becomes None where nothing has changed since, and else what there was. So the
    parameters and the optimizer stay the objects that others in the same pickle refer to.

    >>> pickle.loads(pickle.dumps(Moment(net.parameters(), net.optimizer))) is None
    True
    """

    def __init__(self, parameters: Parameters, optimizer: Any) -> None:
        self._parameters, self._optimizer = parameters, optimizer
        with parameters.access.reading():
            self._numbers = parameters.__getstate__()
            self._state = optimizer.state_dict()

    def __reduce__(self) -> Any:
        with self._parameters.access.reading():
            now, steps = self._parameters.__getstate__(), self._optimizer.steps
        same = all(np.array_equal(now[name], self._numbers[name]) for name in ("flat", "flat_grad"))
        if same and steps == self._state["steps"]:
            return _nothing, ()
        return _kept, (self._numbers, self._state)


def _nothing() -> None:
    """Of a Moment that went by without a change."""


def _kept(numbers: dict[str, Any], state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of another one."""
    return numbers, state


def bring_back(
    moment: tuple[dict[str, Any], dict[str, Any]] | None,
    parameters: Parameters,
    optimizer: Any,
) -> None:
    """Makes them what they were at that moment."""
    if moment is not None:
        numbers, state = moment
        parameters.flat = numbers["flat"]
        parameters.zero_grad()
        if numbers["flat_grad"] is not None:
            parameters.flat_grad = numbers["flat_grad"]
        optimizer.load_state_dict(state)
