"""L-BFGS: a quasi-Newton method for small problems and whole batches, run by scipy.optimize."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.optim.chosen import choose
from micrograd.optim.optimizer import zero_spans
from micrograd.parameters import Parameters


class LBFGS:
    """Limited-memory BFGS with a line search, through scipy.optimize.

    One step() is a whole minimisation of up to max_iter iterations, each of which evaluates the
    closure once or more; it works on a float64 copy of the parameters. There is no learning rate:
    the line search finds the length of each step. The loss has to be the same function each time:
    the whole training set, and no dropout.

    Args:
        params: model.parameters(), some of them, or a list of Values.
        max_iter: iterations of one step().
        tol: it ends where no gradient is larger, or where the loss falls relatively by less than
            tol * 1e-4 from one iteration to the next.
        history_size: pairs of steps and gradient changes that stand for the Hessian.

    Attributes:
        steps: iterations made so far.
        message: why the last step() ended, in scipy's words.

    Raises:
        TypeError, ValueError: a setting is no number or out of its range.
        ImportError: scipy is not installed.

    Source: Liu and Nocedal, "On the limited memory BFGS method for large scale optimization"
    (1989); the implementation is that of Byrd, Lu, Nocedal and Zhu (1995).

    >>> from micrograd import Value
    >>> x, y = Value(-1.0), Value(2.0)
    >>> optimizer = LBFGS([x, y])
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure) < 1e-9
    True
    >>> round(x.data, 3), round(y.data, 3)
    (1.0, 1.0)
    """

    def __init__(
        self,
        params: Parameters | Iterable[Any],
        max_iter: int = 100,
        tol: float = 1e-5,
        history_size: int = 10,
    ) -> None:
        chosen = choose("LBFGS", params)
        if len(chosen.groups) > 1 or chosen.groups[0][1]:
            raise ValueError("LBFGS: it minimises over all parameters alike; give no groups")
        self.params, self.owner, self._spans = chosen.given, chosen.owner, chosen.spans
        self.items = chosen.items
        self.max_iter = checks.count("LBFGS", "max_iter", max_iter)
        self.tol = checks.number("LBFGS", "tol", tol)
        self.history_size = checks.count("LBFGS", "history_size", history_size)
        self._minimize = _scipy_minimize()
        self.steps = 0
        self.message = ""

    def step(self, closure: Callable[[], Any]) -> float:
        """Minimises; returns the loss it ends at, whose parameters are the best that were seen.

        Args:
            closure: computes the loss at the present parameters, and leaves its gradients in them:
                zero_grad, loss, backward. Returns the loss, a number or a Value.

        Raises:
            FloatingPointError: loss or gradient at the start are not finite; the parameters are as
                before. Further on, the line search goes back from such points.
            RuntimeError: another thread is training the model.
        """
        start = self._read()
        best, worst = (math.inf, start), 0.0

        def function(x: Array) -> tuple[float, Array]:
            nonlocal best, worst
            self._write(x)
            loss, gradient = float(closure()), self._gradient()
            if not (math.isfinite(loss) and np.isfinite(gradient).all()):
                return 10 * worst + 1, np.zeros_like(
                    x
                )  # a wall that the line search goes back from
            if loss < best[0]:
                best = loss, x.copy()
            worst = max(worst, abs(loss))
            return loss, gradient

        function(start)
        if best[0] == math.inf:
            self._write(start)
            raise FloatingPointError("LBFGS.step: loss or gradient are not finite at the start")
        options = {
            "maxiter": self.max_iter,
            "maxfun": 25 * self.max_iter,
            "maxcor": self.history_size,
            "gtol": self.tol,
            "ftol": self.tol * 1e-4,
        }
        try:
            found = self._minimize(function, start, jac=True, method="L-BFGS-B", options=options)
            self.steps, self.message = self.steps + int(found.nit), str(found.message)
        finally:
            self._write(best[1])
        return best[0]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Sets the gradients of its parameters to zero; `set_to_none` changes nothing here."""
        if self.owner is None:
            for p in self.items:
                p.grad = 0.0
        elif self._spans is None:
            self.owner.zero_grad("LBFGS.zero_grad")
        else:
            zero_spans("LBFGS.zero_grad", self.owner, self._spans)

    def state_dict(self) -> dict[str, Any]:
        """The number of iterations: a step() begins without memory of the one before."""
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what state_dict returned.

        Raises:
            ValueError: the state is not one of this optimizer.
        """
        if set(state) != {"steps"}:
            raise ValueError(f"LBFGS.load_state_dict: {checks.describe(dict(state))} is no state")
        self.steps = checks.count("LBFGS.load_state_dict", "steps", state["steps"], 0)

    def __repr__(self) -> str:
        return (
            f"LBFGS(max_iter={self.max_iter}, tol={self.tol:g}, history_size={self.history_size})"
        )

    def _read(self) -> Array:
        if self.owner is None:
            return np.array([p.data for p in self.items])
        flat = self.owner.flat
        parts = [flat[first:last] for first, last in self._places(self.owner)]
        return np.concatenate(parts).astype(np.float64)

    def _write(self, x: Array) -> None:
        if self.owner is None:
            for p, value in zip(self.items, x.tolist(), strict=True):
                p.data = value
            return
        start = 0
        with self.owner.access.writing("LBFGS.step"):
            for first, last in self._places(self.owner):
                self.owner.flat[first:last] = x[start : start + last - first]
                start += last - first

    def _gradient(self) -> Array:
        if self.owner is None:
            return np.array([p.grad for p in self.items])
        gradients = self.owner.flat_grad
        parts = [gradients[first:last] for first, last in self._places(self.owner)]
        return np.concatenate(parts).astype(np.float64)

    def _places(self, owner: Parameters) -> list[tuple[int, int]]:
        return self._spans or [(0, owner.size)]


def _scipy_minimize() -> Any:
    return checks.require("LBFGS", "scipy", "scipy.optimize", "scipy").minimize
