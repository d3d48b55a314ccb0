"""The methods: SGD and its adaptive relatives, a rule each.

The rules are PyTorch's, number for number: csrc/micrograd.h has them all in one place, and
_step_values says the same for lists of Values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from micrograd import checks
from micrograd.core import lib
from micrograd.optim.optimizer import LearningRate, Momentum, Number, Optimizer
from micrograd.parameters import Parameters


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
    momentum = Momentum(0, "velocity")

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
    alpha = Number(below=1)
    eps = Number()
    momentum = Momentum(1, "momentum_buffer")

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
    eps = Number()
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
