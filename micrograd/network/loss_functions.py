"""Losses with settings, as functions of Values: the C core runs them as programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from micrograd import checks
from micrograd.engine.functions import maximum


@dataclass(frozen=True)
class Quantile:
    """The quantile or pinball loss (Koenker and Bassett 1978): output k learns levels[k].

        net = mg.Network(mg.Linear(3, 3), loss=mg.Quantile([0.05, 0.5, 0.95]))

    sum over k of max(q_k (y - z_k), (q_k - 1) (y - z_k)) / number of levels. Targets are (rows,) or
    (rows, 1): one quantity, whose quantiles the outputs are.

    Args:
        levels: each more than 0 and less than 1; as many as the network has outputs.

    Raises:
        TypeError, ValueError: a level is no number or out of its range; there is none.

    >>> net = mg.Network(mg.Linear(3, 3), loss=mg.Quantile([0.05, 0.5, 0.95]))
    >>> net.predict(np.ones((1, 3))).shape
    (1, 3)
    """

    levels: tuple[float, ...]

    def __init__(self, levels: Sequence[float] | float) -> None:
        given = [levels] if checks.is_number(levels) else list(levels)  # type: ignore[arg-type]
        if not given:
            raise ValueError("Quantile: levels is empty, one level or more is wanted")
        found = [checks.number("Quantile", "a level", q, above=0, below=1) for q in given]
        object.__setattr__(self, "levels", tuple(found))

    @property
    def __name__(self) -> str:
        return f"quantile({', '.join(f'{q:g}' for q in self.levels)})"

    def __call__(self, z: Any, y: Any) -> Any:
        """Of one row: z, the outputs, a Value or a list of them; y, the target."""
        outputs = list(z) if isinstance(z, (list, tuple)) else [z]
        target = y[0] if isinstance(y, (list, tuple)) else y
        if len(outputs) != len(self.levels):
            raise TypeError(
                f"Quantile: {len(self.levels)} levels for {len(outputs)} outputs, as many wanted"
            )
        total: Any = 0.0
        for level, output in zip(self.levels, outputs, strict=True):
            off = target - output
            total = total + maximum(level * off, (level - 1) * off)
        return total / len(outputs)


@dataclass(frozen=True)
class Poisson:
    """The Poisson deviance's part that depends on the output: exp(z) - y z, for y of 0 or more.

        net = mg.Network(mg.Linear(3, 1), loss=mg.Poisson())

    The mean that is predicted is exp(z). With several outputs the mean over them.

    >>> net = mg.Network(mg.Linear(1, 1), loss=mg.Poisson(), seed=0)
    >>> x, counts = np.zeros((4, 1)), np.array([[1.0], [2.0], [2.0], [3.0]])
    >>> history = net.fit(x, counts, epochs=200, seed=0)
    >>> round(float(np.exp(net.predict(x)[0, 0])), 2)  # their mean
    2.0
    """

    @property
    def __name__(self) -> str:
        return "poisson"

    def __call__(self, z: Any, y: Any) -> Any:
        """Of one row: z, the outputs, and y, the targets, Values or lists of them."""
        outputs = list(z) if isinstance(z, (list, tuple)) else [z]
        targets = list(y) if isinstance(y, (list, tuple)) else [y]
        total: Any = 0.0
        for output, target in zip(outputs, targets, strict=True):
            total = total + (output.exp() - target * output)
        return total / len(outputs)
