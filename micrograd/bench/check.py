"""Whether two contenders computed the same step: checked before anything is timed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from micrograd.bench.contenders import Contender
from micrograd.bench.workloads import Problem, Weights


@dataclass(frozen=True)
class Outcome:
    """What the first step gave: the loss before it and the weights after it."""

    loss: float
    weights: Weights


def first_step(contender: Contender) -> Outcome:
    """Runs one step."""
    loss = float(contender.step())
    return Outcome(loss, contender.weights())


def rounding(problem: Problem) -> float:
    """The relative error that a pre-activation may have.

    A sum of k products in any order is off by about sqrt(k) eps (Higham and Mary 2019: the errors
    are as good as independent); errors of several layers add up. The 4 leaves room for exp and log,
    and for the tails of the distribution.
    """
    widest = max(problem.workload.sizes)
    layers = len(problem.weights)
    return float(4 * layers * np.sqrt(widest) * np.finfo(problem.dtype).eps)


def difference(problem: Problem, found: Outcome, wanted: Outcome) -> str | None:
    """How `found` is not the step that `wanted` is, or None if they agree.

    With r the relative error of a pre-activation, losses agree to r (1 + |loss|). The updates of
    each array, W_new - W_old, are compared in the Frobenius norm. Besides r, two things make them
    differ: a share of about r of the ReLUs have a pre-activation so close to 0 that rounding
    decides whether they are open, and with them go a share sqrt(r) of the norm of a sum of
    independent terms (2 sqrt(r) allowed); and the new weight is rounded to the dtype, eps |W|.
    In float32 that makes 1 % of the update or less. One column of 1024 that is left out makes 3 %.
    """
    r = rounding(problem)
    eps = float(np.finfo(problem.dtype).eps)
    if not abs(found.loss - wanted.loss) <= r * (1 + abs(wanted.loss)):
        return f"its loss is {found.loss:.9g}, {wanted.loss:.9g} is wanted"
    for number, (old_pair, new_pair, wanted_pair) in enumerate(
        zip(problem.weights, found.weights, wanted.weights, strict=True), start=1
    ):
        for letter, old, new, ours in zip("Wb", old_pair, new_pair, wanted_pair, strict=True):
            if new.shape != old.shape:
                return f"its {letter}{number} has shape {new.shape}, {old.shape} is wanted"
            start = old.astype(np.float64)
            update = float(np.linalg.norm(ours - start))
            off = float(np.linalg.norm(new - ours.astype(np.float64)))
            if not off <= (r + 2 * math.sqrt(r)) * update + eps * float(np.linalg.norm(start)):
                return f"its update of {letter}{number} is off by {off / update:.2g} of its norm"
    return None
