"""SGD and the methods that divide the gradient by what it has been; adam.py has Adam's relatives.

The rules are PyTorch's, number for number: csrc/micrograd.h has them all in one place, and
_step_values says the same for lists of Values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from micrograd import checks
from micrograd.core import lib
from micrograd.optim.optimizer import LearningRate, Optimizer, Pairs
from micrograd.optim.settings import Flag, Setting
from micrograd.parameters import Parameters


def divided(x: float, y: float) -> float:
    """x / y with IEEE's 0 / 0: eps may be 0."""
    return x / y if y else x * math.inf


def taken(c: Any, p: Any) -> float:
    """A Value's gradient as the rules have it: with the sign of `maximize` and the decay."""
    g = -p.grad if c.maximize else p.grad
    return float(g + c.weight_decay * p.data)


class SGD(Optimizer):
    """Stochastic gradient descent, as PyTorch has it:

        g = grad + weight_decay * p
        v = momentum * v + (1 - dampening) * g              (v = g at the first step)
        p -= lr * (g + momentum * v  if nesterov else  v)

    Args:
        params: model.parameters(), some of them, a list of Values, or groups (see Optimizer).
        lr: learning rate, a number or a function of the step (0, 1, 2, ...).
        momentum, weight_decay: 0 or more, or functions of the step.
        nesterov: look ahead; wants a momentum, and no dampening.
        dampening: 0 or more.
        maximize: go up instead: -grad for grad.

    Raises:
        TypeError, ValueError: a setting is no number or out of its range; params are none, come
            twice, or are of two models.

    >>> w = Value(1.0)
    >>> sgd = mg.optim.SGD([w], lr=0.1)
    >>> (w**2).backward(); sgd.step(); round(w.data, 6)
    0.8
    """

    kind = lib.MG_SGD
    momentum = Setting(state=(0, "velocity"))
    dampening = Setting()
    nesterov = Flag()

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate,
        momentum: LearningRate = 0.0,
        nesterov: bool = False,
        weight_decay: LearningRate = 0.0,
        dampening: float = 0.0,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay,
            dampening=dampening, maximize=maximize,
        )  # fmt: skip
        for group in self.param_groups:
            if group["nesterov"] and (not group["momentum"] or group["dampening"]):
                raise ValueError("SGD: nesterov wants a momentum greater than 0, and no dampening")

    def _step_values(self, c: Any, pairs: Pairs) -> None:
        lr, momentum, undamped, first = c.lr, c.momentum, 1 - c.dampening, c.steps == 0
        velocity = self.state.get("velocity")
        for i, p in pairs:
            g = taken(c, p)
            if velocity is not None:
                velocity[i] = v = g if first else momentum * velocity[i] + undamped * g
                g = g + momentum * v if c.nesterov else v
            p.data -= lr * g


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
        params: model.parameters(), some of them, a list of Values, or groups (see Optimizer).
        lr: learning rate, a number or a function of the step (0, 1, 2, ...).
        alpha: 0 or more, less than 1.
        eps, weight_decay, momentum: 0 or more.
        centered: divide by the standard deviation instead.
        maximize: go up instead: -grad for grad.

    Raises:
        TypeError, ValueError: as of SGD.

    >>> w = Value(1.0)
    >>> optimizer = mg.optim.RMSprop([w], lr=0.1)
    >>> (w**2).backward(); optimizer.step(); round(w.data, 4)
    0.0
    """

    kind = lib.MG_RMSPROP
    arrays = ("square_avg",)
    alpha = Setting(below=1)
    eps = Setting()
    momentum = Setting(state=(1, "momentum_buffer"))

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        momentum: LearningRate = 0.0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
            maximize=maximize,
        )  # fmt: skip
        self.centered = checks.flag("RMSprop", "centered", centered)
        if self.centered:
            self.add_state(2, "grad_avg")

    def _step_values(self, c: Any, pairs: Pairs) -> None:
        lr, alpha, eps, momentum = c.lr, c.alpha, c.eps, c.momentum
        squares, means = self.state["square_avg"], self.state.get("grad_avg")
        buffer = self.state.get("momentum_buffer")
        for i, p in pairs:
            g = taken(c, p)
            squares[i] = square = alpha * squares[i] + (1 - alpha) * g * g
            if means is not None:
                means[i] += (1 - alpha) * (g - means[i])
                square = max(square - means[i] * means[i], 0.0)
            step = divided(g, math.sqrt(square) + eps)
            if buffer is not None:
                buffer[i] = step = momentum * buffer[i] + step
            p.data -= lr * step


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares, as PyTorch has it:

        g = grad + weight_decay * p
        s += g**2
        p -= lr / (1 + steps * lr_decay) * g / (sqrt(s) + eps)

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization" (2011).

    Args:
        params: model.parameters(), some of them, a list of Values, or groups (see Optimizer).
        lr: learning rate, a number or a function of the step (0, 1, 2, ...).
        lr_decay, weight_decay, eps: 0 or more.
        initial_accumulator_value: what s starts with, 0 or more.
        maximize: go up instead: -grad for grad.

    Raises:
        TypeError, ValueError: as of SGD.

    >>> w = Value(1.0)
    >>> optimizer = mg.optim.Adagrad([w], lr=0.1)
    >>> (w**2).backward(); optimizer.step(); round(w.data, 4)
    0.9
    """

    kind = lib.MG_ADAGRAD
    arrays = ("sum",)
    lr_decay = Setting()
    eps = Setting()

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 0.01,
        lr_decay: float = 0.0,
        weight_decay: LearningRate = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps, maximize=maximize
        )
        start = checks.number("Adagrad", "initial_accumulator_value", initial_accumulator_value)
        self.initial_accumulator_value = start
        self.state["sum"][:] = [start] * len(self.items) if self.owner is None else start

    def _step_values(self, c: Any, pairs: Pairs) -> None:
        rate, eps, sums = c.lr / (1 + c.steps * c.lr_decay), c.eps, self.state["sum"]
        for i, p in pairs:
            g = taken(c, p)
            sums[i] += g * g
            p.data -= rate * divided(g, math.sqrt(sums[i]) + eps)
