"""What the optimizers share: a pass of the C core over flat parameters, or a loop over Values.

An optimizer's settings are attributes, named as its constructor names them; they may be changed
between steps.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from micrograd import checks, core
from micrograd.core import ffi, lib
from micrograd.parameters import Parameters

LearningRate = float | Callable[[int], float]


class Number:
    """A setting that lies in the C core's struct, checked when it is set."""

    def __init__(self, below: float = math.inf) -> None:
        self.below = below

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, owner: type) -> Any:
        return self if optimizer is None else getattr(optimizer.c, self.name)

    def __set__(self, optimizer: Any, value: Any) -> None:
        where = type(optimizer).__name__
        setattr(optimizer.c, self.name, checks.number(where, self.name, value, 0, self.below))


class Momentum(Number):
    """A momentum: once it is more than 0 there is a state array for it."""

    def __init__(self, slot: int, state: str) -> None:
        super().__init__()
        self.slot, self.state = slot, state

    def __set__(self, optimizer: Any, value: Any) -> None:
        super().__set__(optimizer, value)
        if value and self.state not in optimizer.state:
            optimizer.add_state(self.slot, self.state)


class Optimizer:
    """What the optimizers share: parameters, learning rate, state arrays and their saving.

    Attributes:
        params: what the constructor was given: model.parameters(), or a list of Values.
        lr: a number, or a function of the step (0, 1, 2, ...), such as those of micrograd.schedule.
        steps: how many steps have been made.
        state: the arrays of the state by PyTorch's names, each with a number for each parameter:
            numpy arrays (size,), or lists for Values.
        c: the same for the C core.
    """

    kind: ClassVar[int] = -1
    weight_decay = Number()

    def __init__(self, params: Parameters | Iterable[Any], lr: LearningRate) -> None:
        name = type(self).__name__
        if self.kind < 0:
            raise TypeError(f"{name}: choose one of its kinds: SGD, RMSprop, Adam, AdamW")
        self.params: Any = params
        self.state: dict[str, Any] = {}
        self.c = c = ffi.new("mg_optimizer *")
        c.kind, c.isa, c.largest = self.kind, core.ISA_CODE, math.inf
        self._values: list[Any] | None = None
        if isinstance(params, Parameters):
            c.dtype, c.n = params.dtype_code, params.size
            c.parameters, c.gradients = params.data_pointer, params.grad_pointer
        else:
            self.params = self._values = list(params) if isinstance(params, Iterable) else []
            if not all(hasattr(p, "data") and hasattr(p, "grad") for p in self.params or [None]):
                raise TypeError(
                    f"{name}: params is neither model.parameters() nor a list of Values"
                )
        self.lr = lr

    def add_state(self, slot: int, name: str) -> None:
        """An array of zeros under this name, and in this place of the C core's struct."""
        if self._values is not None:
            self.state[name] = [0.0] * len(self._values)
            return
        self.state[name] = core.aligned_empty(self.params.size, self.params.dtype)
        self.state[name].fill(0)
        self.c.state[slot] = ffi.from_buffer(self.state[name], require_writable=True)

    # ---- settings ----

    @property
    def lr(self) -> LearningRate:
        """The learning rate: a number, or a function of the step."""
        return self.c.lr if self._schedule is None else self._schedule

    @lr.setter
    def lr(self, value: LearningRate) -> None:
        if callable(value):
            self._schedule: Callable[[int], float] | None = value
        else:
            self.c.lr = checks.number(type(self).__name__, "lr", value)
            self._schedule = None

    @property
    def steps(self) -> int:
        """How many steps have been made."""
        return self.c.steps  # type: ignore[no-any-return]

    @steps.setter
    def steps(self, value: int) -> None:
        self.c.steps = value

    def current_lr(self) -> float:
        """The learning rate of the next step."""
        return self.c.lr if self._schedule is None else float(self._schedule(self.c.steps))

    def arguments(self) -> Any:
        """The C core's struct, ready for the next step."""
        if self._schedule is not None:
            self.c.lr = self._schedule(self.c.steps)
        return self.c

    # ---- steps ----

    def step(self) -> None:
        """Updates the parameters from their gradients.

        Gradients that are not finite make parameters that are not, as in PyTorch; `fit` checks.
        """
        c = self.c
        if self._schedule is not None:
            c.lr = self._schedule(c.steps)
        if self._values is None:
            if self.params.stale:
                self.params.settle()
            lib.mg_optimizer_step(c, core.threads)
        else:
            self._step_values(self._values, c.lr)
            c.steps += 1

    def _step_values(self, values: Sequence[Any], lr: float) -> None:
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Sets the gradients of all parameters to zero."""
        if self._values is None:
            self.params.zero_grad()
        else:
            for p in self._values:
                p.grad = 0.0

    # ---- state ----

    def state_dict(self) -> dict[str, Any]:
        """The number of steps, the state arrays, copied, and what a schedule has to remember.

        Settings are not part of it: who loads it makes the optimizer as it was made before.
        """
        state: dict[str, Any] = {"steps": self.steps}
        state |= {name: np.array(values) for name, values in self.state.items()}
        remembered: dict[str, Any] = getattr(self._schedule, "state_dict", dict)()
        if remembered:
            state["schedule"] = remembered
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what state_dict returned.

        Raises:
            ValueError: the state is not one of this optimizer; nothing has changed then.
        """
        where = f"{type(self).__name__}.load_state_dict"
        own = self.state_dict()
        odd = sorted(own.keys() ^ state.keys())
        if odd:
            raise ValueError(f"{where}: {odd[0]!r} is missing or is not of this optimizer")
        try:
            steps = checks.count(where, "steps", state["steps"], 0, 2**63)
        except TypeError as error:  # a state that is not one is a bad value, whatever it holds
            raise ValueError(str(error)) from None
        taken = {}
        for name in self.state:
            taken[name] = checks.reals(where, name, state[name], own[name].dtype)
            if taken[name].shape != own[name].shape:
                raise ValueError(
                    f"{where}: {name} has shape {taken[name].shape}, {own[name].shape} is wanted: "
                    "a number for each parameter"
                )
        if "schedule" in own:
            self._schedule.load_state_dict(state["schedule"])  # type: ignore[union-attr]
        for name, values in taken.items():
            self.state[name][:] = values if self._values is None else values.tolist()
        self.c.steps, self.c.largest = steps, math.inf

    def __repr__(self) -> str:
        names = list(inspect.signature(type(self)).parameters)[1:]
        values = ((name, getattr(self, name)) for name in names)
        texts = (f"{n}={v:g}" if isinstance(v, float) else f"{n}={v}" for n, v in values)
        return f"{type(self).__name__}({', '.join(texts)})"
