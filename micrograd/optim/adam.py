"""Adam and its relatives: the mean of the gradients, divided by the root of that of their squares.

The rules are PyTorch's, number for number: csrc/micrograd.h has them all in one place, and
_step_values says the same for lists of Values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any, ClassVar

from micrograd import checks
from micrograd.core import lib
from micrograd.optim.methods import divided, taken
from micrograd.optim.optimizer import LearningRate, Optimizer, Pairs
from micrograd.optim.settings import Betas, Flag, Setting
from micrograd.parameters import Parameters


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
        params: model.parameters(), some of them, a list of Values, or groups (see Optimizer).
        lr: learning rate, a number or a function of the step (0, 1, 2, ...).
        betas: (beta1, beta2), each 0 or more and less than 1, or a function of the step.
        eps, weight_decay: 0 or more.
        amsgrad: never let a step grow because s has shrunk.
        maximize: go up instead: -grad for grad.

    Raises:
        TypeError, ValueError: as of SGD.

    >>> w = Value(1.0)
    >>> optimizer = mg.optim.Adam([w], lr=0.1)
    >>> (w**2).backward(); optimizer.step(); round(w.data, 4)
    0.9
    """

    kind = lib.MG_ADAM
    arrays = ("exp_avg", "exp_avg_sq")
    betas = Betas()
    eps = Setting()
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 1e-3,
        betas: tuple[LearningRate, LearningRate] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize
        )
        self.amsgrad = checks.flag(type(self).__name__, "amsgrad", amsgrad)
        if self.amsgrad:
            self.add_state(2, "max_exp_avg_sq")

    def _step_values(self, c: Any, pairs: Pairs) -> None:
        beta1, beta2, eps, t, lr = c.beta1, c.beta2, c.eps, c.steps + 1, c.lr
        rate, root = lr / (1 - beta1**t), math.sqrt(1 - beta2**t)
        means, squares = self.state["exp_avg"], self.state["exp_avg_sq"]
        most = self.state.get("max_exp_avg_sq")
        for i, p in pairs:
            g = (-p.grad if c.maximize else p.grad) if self.decoupled else taken(c, p)
            shrink = 1 - lr * c.weight_decay if self.decoupled else 1.0
            means[i] += (1 - beta1) * (g - means[i])
            squares[i] = square = beta2 * squares[i] + (1 - beta2) * g * g
            if most is not None:
                most[i] = square = max(most[i], square)
            p.data = p.data * shrink - rate * divided(means[i], math.sqrt(square) / root + eps)


class AdamW(Adam):
    """Adam whose weight decay does not pass through the gradient's means:

        p -= lr * weight_decay * p, then Adam's step with g = grad

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2.
    Arguments and errors as for Adam.

    >>> w = Value(1.0)
    >>> optimizer = mg.optim.AdamW([w], lr=0.1)
    >>> (w**2).backward(); optimizer.step(); round(w.data, 4)
    0.899
    """

    kind = lib.MG_ADAMW
    decoupled = True

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 1e-3,
        betas: tuple[LearningRate, LearningRate] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 1e-2,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize)


class Adamax(Optimizer):
    """Adam with the largest gradient, decayed, in place of the root of their mean square:

        g = grad + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        u = max(beta2 * u, |g| + eps)
        p -= lr / (1 - beta1**t) * m / u

    Source: Kingma and Ba (2015), algorithm 2. Arguments and errors as for Adam.

    >>> w = Value(1.0)
    >>> optimizer = mg.optim.Adamax([w], lr=0.1)
    >>> (w**2).backward(); optimizer.step(); round(w.data, 4)
    0.9
    """

    kind = lib.MG_ADAMAX
    arrays = ("exp_avg", "exp_inf")
    betas = Betas()
    eps = Setting()

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 2e-3,
        betas: tuple[LearningRate, LearningRate] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize
        )

    def _step_values(self, c: Any, pairs: Pairs) -> None:
        beta1, beta2, eps, rate = c.beta1, c.beta2, c.eps, c.lr / (1 - c.beta1 ** (c.steps + 1))
        means, reaches = self.state["exp_avg"], self.state["exp_inf"]
        for i, p in pairs:
            g = taken(c, p)
            means[i] += (1 - beta1) * (g - means[i])
            reaches[i] = reach = max(beta2 * reaches[i], abs(g) + eps)
            p.data -= rate * divided(means[i], reach)


class NAdam(Optimizer):
    """Adam that looks ahead, as Nesterov's momentum does; mu_t = beta1 (1 - 0.96^(t d) / 2), d the
    momentum_decay, and P_t = mu_1 * ... * mu_t:

        m, s as of Adam
        p -= lr * ((1 - mu_t) / (1 - P_t) * g + mu_{t+1} / (1 - P_{t+1}) * m)
                / (sqrt(s / (1 - beta2**t)) + eps)

    Source: Dozat, "Incorporating Nesterov momentum into Adam" (2016), with the decay of PyTorch.

    Args:
        momentum_decay: 0 or more.
        decoupled_weight_decay: the decay of AdamW.
        others: as for Adam.

    Raises:
        TypeError, ValueError: as of SGD.

    >>> w = Value(1.0)
    >>> optimizer = mg.optim.NAdam([w], lr=0.1)
    >>> (w**2).backward(); optimizer.step(); round(w.data, 4)
    0.8944
    """

    kind = lib.MG_NADAM
    arrays = ("exp_avg", "exp_avg_sq")
    betas = Betas()
    eps = Setting()
    momentum_decay = Setting()
    decoupled_weight_decay = Flag(field="decoupled")

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 2e-3,
        betas: tuple[LearningRate, LearningRate] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            momentum_decay=momentum_decay, decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """As of every optimizer, and P_t of each group, under "mu_product"."""
        with nullcontext() if self.owner is None else self.owner.access.reading():
            products = [g.c.momentum_product for g in self.param_groups]
            return super().state_dict() | {"mu_product": products}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what state_dict returned.

        Raises:
            ValueError: the state is not one of this optimizer; nothing has changed then.
            RuntimeError: another thread is training the model.
        """
        where = "NAdam.load_state_dict"
        products = state.get("mu_product")
        if not isinstance(products, (list, tuple)) or len(products) != len(self.param_groups):
            raise ValueError(
                f"{where}: mu_product is {checks.describe(products)}, a number for "
                "each group is wanted"
            )
        numbers = [checks.number(where, "mu_product", x) for x in products]
        with nullcontext() if self.owner is None else self.owner.access.training(where):
            super().load_state_dict(state)
            for group, product in zip(self.param_groups, numbers, strict=True):
                group.c.momentum_product = product

    def _step_values(self, c: Any, pairs: Pairs) -> None:
        beta1, beta2, eps, lr, t = c.beta1, c.beta2, c.eps, c.lr, c.steps + 1
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (n * c.momentum_decay)) for n in (t, t + 1))
        product = c.momentum_product * mu
        of_gradient = lr * (1 - mu) / (1 - product)
        of_mean = lr * following / (1 - product * following)
        means, squares = self.state["exp_avg"], self.state["exp_avg_sq"]
        for i, p in pairs:
            g, shrink = _decayed(c, p)
            means[i] += (1 - beta1) * (g - means[i])
            squares[i] = beta2 * squares[i] + (1 - beta2) * g * g
            up = of_gradient * g + of_mean * means[i]
            root = math.sqrt(squares[i] / (1 - beta2**t)) + eps
            p.data = p.data * shrink - divided(up, root)
        c.momentum_product = product


class RAdam(Optimizer):
    """Adam that divides by sqrt(s) only once s has seen enough gradients to be trusted:

        m, s as of Adam; r = 2 / (1 - beta2) - 1, r_t = r - 2 t beta2**t / (1 - beta2**t)
        p -= lr * m / (1 - beta1**t) * (R_t sqrt(1 - beta2**t) / (sqrt(s) + eps) if r_t > 5 else 1)
        R_t = sqrt((r_t - 4) (r_t - 2) r / ((r - 4) (r - 2) r_t))

    Source: Liu et al., "On the variance of the adaptive learning rate and beyond" (2020).

    Args:
        decoupled_weight_decay: the decay of AdamW.
        others: as for Adam.

    Raises:
        TypeError, ValueError: as of SGD.

    >>> w = Value(1.0)
    >>> optimizer = mg.optim.RAdam([w], lr=0.1)
    >>> (w**2).backward(); optimizer.step(); round(w.data, 4)
    0.8
    """

    kind = lib.MG_RADAM
    arrays = ("exp_avg", "exp_avg_sq")
    betas = Betas()
    eps = Setting()
    decoupled_weight_decay = Flag(field="decoupled")

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        lr: LearningRate = 1e-3,
        betas: tuple[LearningRate, LearningRate] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    def _step_values(self, c: Any, pairs: Pairs) -> None:
        beta1, beta2, eps, t = c.beta1, c.beta2, c.eps, c.steps + 1
        limit, left = 2 / (1 - beta2) - 1, 1 - beta2**t
        length, rate = limit - 2 * t * beta2**t / left, c.lr / (1 - beta1**t)
        trusted = length > 5
        if trusted:
            top, bottom = (length - 4) * (length - 2) * limit, (limit - 4) * (limit - 2) * length
            rate *= math.sqrt(left * top / bottom)
        means, squares = self.state["exp_avg"], self.state["exp_avg_sq"]
        for i, p in pairs:
            g, shrink = _decayed(c, p)
            means[i] += (1 - beta1) * (g - means[i])
            squares[i] = beta2 * squares[i] + (1 - beta2) * g * g
            step = divided(means[i], math.sqrt(squares[i]) + eps) if trusted else means[i]
            p.data = p.data * shrink - rate * step


def _decayed(c: Any, p: Any) -> tuple[float, float]:
    """A Value's gradient, and what the Value is multiplied by: decay goes to one of them."""
    if not c.decoupled:
        return taken(c, p), 1.0
    return float(-p.grad if c.maximize else p.grad), 1 - c.lr * c.weight_decay
