"""Optimizers: one pass of the C core over the flat parameters, or a loop over a list of Values.

The rules are PyTorch's, number for number: csrc/micrograd.h has them all in one place. An
optimizer's settings are attributes, named as its constructor names them; they may be changed
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
from micrograd.optim.lbfgs import LBFGS
from micrograd.parameters import Parameters

__all__ = ["LBFGS", "SGD", "Adam", "AdamW", "LearningRate", "Optimizer", "RMSprop"]

LearningRate = float | Callable[[int], float]


class _Number:
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


class _Momentum(_Number):
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
    weight_decay = _Number()

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


class SGD(Optimizer):
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

    kind = lib.MG_SGD
    momentum = _Momentum(0, "velocity")

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr)
        self.momentum = momentum
        self.weight_decay = weight_decay
        if nesterov and not self.momentum:
            raise ValueError("SGD: nesterov wants a momentum greater than 0")
        self.c.nesterov = self.nesterov = bool(nesterov)

    def _step_values(self, values: Sequence[Any], lr: float) -> None:
        momentum, decay, first = self.momentum, self.weight_decay, self.steps == 0
        velocity = self.state.get("velocity")
        for i, p in enumerate(values):
            g = p.grad + decay * p.data
            if velocity is not None:
                velocity[i] = v = g if first else momentum * velocity[i] + g
                g = g + momentum * v if self.nesterov else v
            p.data -= lr * g


def _divided(x: float, y: float) -> float:
    """x / y with IEEE's 0 / 0: eps may be 0."""
    return x / y if y else x * math.inf


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square, as PyTorch has it:

        g = grad + weight_decay * p
        s = alpha * s + (1 - alpha) * g**2
        m = alpha * m + (1 - alpha) * g                (0 unless centered)
        v = momentum * v + g / (sqrt(s - m**2) + eps)
        p -= lr * v

    Source: Tieleman and Hinton, lecture 6.5 of "Neural Networks for Machine Learning" (2012);
    centered: Graves, "Generating sequences with recurrent neural networks" (2013), eq. 38-45, but
    with eps outside the root.  Where rounding makes s - m**2 negative it counts as 0.

    Args:
        params: model.parameters(), or a list of Values.
        lr: learning rate, a number or a function of the step (0, 1, 2, ...).
        alpha: 0 or more, less than 1.
        eps, weight_decay, momentum: 0 or more.
        centered: divide by the standard deviation instead.

    Raises:
        TypeError, ValueError: a setting is no number or out of its range.
    """

    kind = lib.MG_RMSPROP
    alpha = _Number(below=1)
    eps = _Number()
    momentum = _Momentum(1, "momentum_buffer")

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(params, lr)
        self.alpha, self.eps, self.momentum, self.weight_decay = alpha, eps, momentum, weight_decay
        self.centered = bool(centered)
        self.add_state(0, "square_avg")
        if self.centered:
            self.add_state(2, "grad_avg")

    def _step_values(self, values: Sequence[Any], lr: float) -> None:
        alpha, eps, momentum, decay = self.alpha, self.eps, self.momentum, self.weight_decay
        squares, means = self.state["square_avg"], self.state.get("grad_avg")
        buffer = self.state.get("momentum_buffer")
        for i, p in enumerate(values):
            g = p.grad + decay * p.data
            squares[i] = square = alpha * squares[i] + (1 - alpha) * g * g
            if means is not None:
                means[i] += (1 - alpha) * (g - means[i])
                square = max(square - means[i] * means[i], 0.0)
            step = _divided(g, math.sqrt(square) + eps)
            if buffer is not None:
                buffer[i] = step = momentum * buffer[i] + step
            p.data -= lr * step


class Adam(Optimizer):
    """Adaptive moment estimation, as PyTorch has it; t counts the steps from 1:

        g = grad + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * g**2
        p -= lr * m / (1 - beta1**t) / (sqrt(s / (1 - beta2**t)) + eps)

    With amsgrad the largest s so far takes the place of s in the last line.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1;
    amsgrad: Reddi, Kale and Kumar, "On the convergence of Adam and beyond" (2018).

    Args:
        params: model.parameters(), or a list of Values.
        lr: learning rate, a number or a function of the step (0, 1, 2, ...).
        betas: (beta1, beta2), each 0 or more and less than 1.
        eps, weight_decay: 0 or more.
        amsgrad: never let a step grow because s has shrunk.

    Raises:
        TypeError, ValueError: a setting is no number or out of its range.
    """

    kind = lib.MG_ADAM
    eps = _Number()
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.amsgrad = bool(amsgrad)
        self.add_state(0, "exp_avg")
        self.add_state(1, "exp_avg_sq")
        if self.amsgrad:
            self.add_state(2, "max_exp_avg_sq")

    @property
    def betas(self) -> tuple[float, float]:
        """What is kept of the means of g and of g**2 from step to step."""
        return self.c.beta1, self.c.beta2

    @betas.setter
    def betas(self, value: tuple[float, float]) -> None:
        where = type(self).__name__
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
            raise TypeError(
                f"{where}: betas is {checks.describe(value)}, a pair of numbers is wanted"
            )
        names = ("betas[0]", "betas[1]")
        pair = [checks.number(where, n, v, 0, 1) for n, v in zip(names, value, strict=True)]
        self.c.beta1, self.c.beta2 = pair

    def _step_values(self, values: Sequence[Any], lr: float) -> None:
        (beta1, beta2), eps, t = self.betas, self.eps, self.steps + 1
        decay = 0.0 if self.decoupled else self.weight_decay
        shrink = 1 - lr * self.weight_decay if self.decoupled else 1.0
        rate, root = lr / (1 - beta1**t), math.sqrt(1 - beta2**t)
        means, squares = self.state["exp_avg"], self.state["exp_avg_sq"]
        most = self.state.get("max_exp_avg_sq")
        for i, p in enumerate(values):
            g = p.grad + decay * p.data
            means[i] += (1 - beta1) * (g - means[i])
            squares[i] = square = beta2 * squares[i] + (1 - beta2) * g * g
            if most is not None:
                most[i] = square = max(most[i], square)
            p.data = p.data * shrink - rate * _divided(means[i], math.sqrt(square) / root + eps)


class AdamW(Adam):
    """Adam whose weight decay does not pass through the gradient's means:

        p -= lr * weight_decay * p, then Adam's step with g = grad

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2.
    Arguments and errors as for Adam.
    """

    kind = lib.MG_ADAMW
    decoupled = True

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)
