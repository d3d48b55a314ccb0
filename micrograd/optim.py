"""Optimizers: one pass of the C core over the flat parameters, or a loop over a list of Values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from micrograd import core
from micrograd.core import ffi, lib
from micrograd.parameters import Parameters

LearningRate = float | Callable[[int], float]


def _checked(name: str, value: Any, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"SGD: {name} is {core.describe(value)}, a number is wanted")
    if not least <= value < float("inf"):
        raise ValueError(f"SGD: {name} is {value}, a finite number, {least:g} or more, is wanted")
    return float(value)


class SGD:
    """Stochastic gradient descent, as PyTorch has it:

        g = grad + weight_decay * p
        v = momentum * v + g              (v = g at the first step)
        p -= lr * (g + momentum * v  if nesterov else  v)

    Args:
        params: model.parameters(), or a list of Values.
        lr: learning rate, a number or a function of the step (0, 1, 2, ...).
        momentum, weight_decay: 0 or more.
        nesterov: look ahead; wants a momentum.

    Raises:
        TypeError, ValueError: a setting is no number or out of its range.
    """

    def __init__(
        self,
        params: Parameters | Sequence[Any],
        lr: LearningRate,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.lr = lr if callable(lr) else _checked("lr", lr, 0)
        self.momentum = _checked("momentum", momentum, 0)
        self.weight_decay = _checked("weight_decay", weight_decay, 0)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0:
            raise ValueError("SGD: nesterov wants a momentum greater than 0")
        if not isinstance(params, Parameters):
            params = list(params) if isinstance(params, Iterable) else []
            if not params or not all(hasattr(p, "data") and hasattr(p, "grad") for p in params):
                raise TypeError("SGD: params is neither model.parameters() nor a list of Values")
        self.params = params
        self.steps = 0
        self.velocity: Any = None
        if self.momentum:
            if isinstance(params, Parameters):
                self.velocity = np.zeros(params.size, params.dtype)
            else:
                self.velocity = [0.0] * len(params)
        self._c = ffi.new("mg_sgd *")
        self._settings: tuple[float, ...] = ()  # what _c holds

    def current_lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.lr(self.steps)) if callable(self.lr) else self.lr

    def arguments(self) -> Any:
        """The settings of the next step, for the C core."""
        c = self._c
        settings = (
            self.current_lr(),
            self.momentum,
            self.weight_decay,
            self.nesterov,
            self.steps == 0,
        )
        if settings != self._settings:
            c.lr, c.momentum, c.weight_decay, c.nesterov, c.first_step = settings
            c.velocity = ffi.NULL if self.velocity is None else ffi.from_buffer(self.velocity)
            self._settings = settings
        return c

    def step(self) -> None:
        """Updates the parameters from their gradients."""
        params = self.params
        if isinstance(params, Parameters):
            params.settle()
            lib.mg_sgd_step(
                core.ISA_CODE,
                params.dtype_code,
                params.size,
                params.data_pointer,
                params.grad_pointer,
                self.arguments(),
            )
        else:
            self._step_values(params)
        self.steps += 1

    def _step_values(self, values: Sequence[Any]) -> None:
        lr = self.current_lr()
        for i, p in enumerate(values):
            g = p.grad + self.weight_decay * p.data
            if self.velocity is not None:
                v = g if self.steps == 0 else self.momentum * self.velocity[i] + g
                self.velocity[i] = v
                g = g + self.momentum * v if self.nesterov else v
            p.data -= lr * g

    def zero_grad(self) -> None:
        """Sets the gradients of all parameters to zero."""
        if isinstance(self.params, Parameters):
            self.params.zero_grad()
        else:
            for p in self.params:
                p.grad = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The number of steps and the velocity (or None), copied."""
        velocity = None if self.velocity is None else np.array(self.velocity)
        return {"steps": self.steps, "velocity": velocity}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what state_dict returned.

        Raises:
            KeyError, ValueError: the state is not one of this optimizer.
        """
        velocity = state["velocity"]
        if (velocity is None) != (self.velocity is None):
            raise ValueError("SGD.load_state_dict: one of the two has momentum, the other has none")
        if velocity is not None and len(velocity) != len(self.velocity):
            raise ValueError(
                f"SGD.load_state_dict: velocity has {len(velocity)} numbers, "
                f"the parameters have {len(self.velocity)}"
            )
        if velocity is not None:
            self.velocity[:] = velocity
        self.steps = int(state["steps"])

    def __repr__(self) -> str:
        lr = self.lr if callable(self.lr) else f"{self.lr:g}"
        return (
            f"SGD(lr={lr}, momentum={self.momentum:g}, nesterov={self.nesterov}, "
            f"weight_decay={self.weight_decay:g})"
        )
