"""What surrounds an optimizer's step: penalties, clipping, max-norm, and a check for infinities."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks, core
from micrograd.core import ffi, lib
from micrograd.optim.chosen import Chosen, choose
from micrograd.parameters import Parameters

if TYPE_CHECKING:
    from micrograd.optim.optimizer import Optimizer


ADVICE = "a smaller learning rate or clip_norm may help"
REMEMBERED: int = lib.MG_REMEMBERED  # last steps of a call whose losses and norms `result` keeps


def _limit(where: str, name: str, value: Any) -> float:
    """A bound of more than 0, infinity for None."""
    return math.inf if value is None else checks.number(where, name, value, above=0, most=math.inf)


class NotFiniteError(FloatingPointError):
    """A step whose loss, gradient or result is not finite; parameters and state are as before.

    what: "the loss is inf", "the gradient of 0.weight is not finite"; step: which it would have
    been, from 0; norm: of all gradients, or None where the loss came to nothing already.
    """

    def __init__(self, where: str, what: str, step: int, norm: float | None = None) -> None:
        self.what, self.step, self.norm = what, step, norm
        of = "" if norm is None else f", the norm of all gradients is {norm:.4g}"
        super().__init__(f"{where}: {what} at step {step}{of}; {ADVICE}")


class Constraints:
    """What happens around a step of an optimizer, in this order, in one call of the C core:

    1. the penalty l2/2 * ||W||^2 + l1 * ||W||_1 adds l2 * W + l1 * sign(W) to the gradients,
       sign(0) = 0;
    2. clip_norm: gradients whose Euclidean norm, over all parameters, is larger are scaled down
       to it; clip_value: then each is held within +-clip_value;
    3. the step, if every number it would write is finite;
    4. max_norm: each unit's incoming weights, a row of W, are scaled down to this norm (Srivastava
       et al., "Dropout" (2014), section 5.1).

    params: model.parameters(), or those of them that are trained. W are their weight matrices, not
    the biases; of a model that has none, a Program, all parameters,
    and max_norm is refused. None or 0 leaves a part out.

    Attributes:
        loss, penalty, gradient_norm: of the last step: the mean loss without the penalty and the
            penalty, both before the step; the norm before clipping, penalties included.
        c, result, sums: the C core's structs.

    Raises:
        TypeError, ValueError: a setting is no number or out of its range.
    """

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        max_norm: float | None = None,
        where: str = "Constraints",
    ) -> None:
        self.c = c = ffi.new("mg_constraints *")
        self.result = ffi.new("mg_result *")
        self.sums = ffi.new("mg_sums *")
        c.l1, c.l2 = checks.number(where, "l1", l1), checks.number(where, "l2", l2)
        c.clip_norm = _limit(where, "clip_norm", clip_norm)
        c.clip_value = _limit(where, "clip_value", clip_value)
        c.max_norm = _limit(where, "max_norm", max_norm)
        chosen = choose(where, params)
        if chosen.owner is None:
            raise TypeError(f"{where}: params are Values; parameters of a model are wanted")
        if c.max_norm < math.inf and not any(p.data.ndim == 2 for p in chosen.items):
            raise ValueError(f"{where}: max_norm is of rows of weight matrices, there are none")
        matrices = weight_matrices(chosen)
        self._weights = ffi.new("mg_weight[]", matrices)  # the struct does not keep it alive
        c.weights, c.n_weights = self._weights, len(matrices)

    @property
    def l1(self) -> float:
        """The penalty's factor of ||W||_1."""
        return self.c.l1  # type: ignore[no-any-return]

    @l1.setter
    def l1(self, value: float) -> None:
        self.c.l1 = checks.number("Constraints", "l1", value)

    @property
    def l2(self) -> float:
        """Twice the penalty's factor of ||W||^2."""
        return self.c.l2  # type: ignore[no-any-return]

    @l2.setter
    def l2(self, value: float) -> None:
        self.c.l2 = checks.number("Constraints", "l2", value)

    @property
    def gathering(self) -> bool:
        """Whether there are gradients of rows that no step has been made from yet."""
        return self.sums.weight > 0  # type: ignore[no-any-return]

    def gather(self, loss: float, weight: float) -> float:
        """Notes that the gradients have grown by `weight` times those of the mean of some rows,
        whose loss this was; returns the mean loss of all that the next step is made from."""
        sums = self.sums
        if not self.gathering:
            sums.weight, sums.loss, sums.unit = 0, 0, 1
        sums.weight += weight
        sums.loss += weight * loss * sums.unit
        return sums.loss / (sums.weight * sums.unit)  # type: ignore[no-any-return]

    @property
    def gathered(self) -> tuple[float, float]:
        """The weight of all rows that the next step is made from, and their weighted loss."""
        return self.sums.weight, self.sums.loss / (self.sums.unit or 1)

    @property
    def unit(self) -> float:
        """What the sums in the gradients are multiplied by: a power of two, 1 but for weights
        whose sum is far from 1."""
        return self.sums.unit or 1.0

    def regather(self, weight: float, loss: float) -> None:
        """Says anew whose gradients have been gathered, in unit 1: rows of this weight and weighted
        loss."""
        self.sums.weight, self.sums.loss, self.sums.unit = weight, loss, 1.0 if weight else 0.0

    @property
    def loss(self) -> float:
        """Mean loss before the last step, without the penalty."""
        return self.result.loss  # type: ignore[no-any-return]

    @property
    def penalty(self) -> float:
        """The penalty before the last step."""
        return self.result.penalty  # type: ignore[no-any-return]

    @property
    def gradient_norm(self) -> float:
        """Euclidean norm of the last step's gradients, before clipping, penalties included."""
        return self.result.gradient_norm  # type: ignore[no-any-return]

    def step(
        self, optimizer: Optimizer, where: str = "Constraints.step", loss: float = 0.0
    ) -> None:
        """One step of the optimizer from the gradients that are there, which came from this loss:
        from the mean over the rows of Network.accumulate_step if there are any.

        Raises:
            NotFiniteError: a number would not be finite; parameters and state are as before.
        """
        owner = optimizer.owner
        if owner is None:
            raise TypeError(f"{where}: the optimizer is one of Values; a model's is wanted")
        self.result.loss = loss
        if not math.isfinite(loss):
            self.sums.weight = self.sums.loss = 0
            self.raise_status(where, lib.MG_LOSS_NOT_FINITE, owner, optimizer.steps)
        with owner.access.writing(where):
            owner.settle()
            status = lib.mg_update_step(
                optimizer.arguments(), self.c, self.sums, core.threads, self.result
            )
        if status:
            self.raise_status(where, status, owner, optimizer.steps)

    def raise_status(self, where: str, status: int, params: Parameters, steps: int) -> None:
        """Raises what has to be said about a step that the C core refused as not finite."""
        if status == lib.MG_LOSS_NOT_FINITE:
            raise NotFiniteError(where, f"the loss is {self.loss}", steps)
        if status == lib.MG_STEP_NOT_FINITE:
            bad = next((p.name for p in params if not np.isfinite(p.grad).all()), None)
            what = f"the gradient of {bad}" if bad else "lr times the gradient"
            raise NotFiniteError(where, f"{what} is not finite", steps, self.gradient_norm)
        raise RuntimeError(f"{where}: the C core refused its arguments (status {status})")


def weight_matrices(chosen: Chosen) -> list[tuple[int, int, int]]:
    """Offset, rows and columns of each weight matrix that has been chosen, in order.

    Of a model that has none, what has been chosen, as matrices of one column.
    """
    owner = chosen.owner
    assert owner is not None
    wanted = {id(p) for p in chosen.items}
    found, offset, any_matrix = [], 0, False
    for p in owner:
        any_matrix |= p.data.ndim == 2
        if p.data.ndim == 2 and id(p) in wanted:
            found.append((offset, p.shape[0], p.shape[1]))
        offset += p.data.size
    if any_matrix:
        return found
    return [(first, last - first, 1) for first, last in chosen.spans or [(0, owner.size)]]


def apply_penalties(params: Parameters | Iterable[Any], l1: float = 0.0, l2: float = 0.0) -> float:
    """Adds l1 * sign(w) + l2 * w to the gradients, for loops that make their steps themselves.

    Of a model's parameters the weight matrices are penalized, as by Constraints; of a list of
    Values all, so leave the biases out of it.

    Args:
        params: model.parameters(), some of them, or a list of Values.
        l1, l2: 0 or more.

    Returns:
        The penalty l1 * ||w||_1 + l2/2 * ||w||^2, to be added to the loss that is reported.

    Raises:
        TypeError, ValueError: arguments out of their range.
    """
    where = "apply_penalties"
    l1, l2 = checks.number(where, "l1", l1), checks.number(where, "l2", l2)
    chosen = choose(where, params)
    if chosen.owner is None:
        for p in chosen.items:
            p.grad += l2 * p.data + l1 * ((p.data > 0) - (p.data < 0))
        return math.fsum(l1 * abs(p.data) + l2 / 2 * p.data**2 for p in chosen.items)
    penalty = 0.0
    flat, gradients = chosen.owner.flat, chosen.owner.flat_grad
    for offset, rows, columns in weight_matrices(chosen):
        part = slice(offset, offset + rows * columns)
        w = flat[part]
        gradients[part] += l2 * w + l1 * np.sign(w)
        wide = w.astype(np.float64)
        penalty += float(l1 * np.abs(wide).sum() + l2 / 2 * np.square(wide).sum())
    return penalty
