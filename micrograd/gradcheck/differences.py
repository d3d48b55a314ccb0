"""Difference quotients, and the comparison of derivatives with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite


class GradcheckError(RuntimeError):
    """A derivative and its finite difference do not agree.

    >>> class Wrong(mg.Function):
    ...     forward = staticmethod(lambda ctx, x: x * x)
    ...     backward = staticmethod(lambda ctx, grad: grad)
    >>> try:
    ...     mg.gradcheck(Wrong.apply, 3.0)
    ... except mg.GradcheckError as error:
    ...     print(error)
    gradcheck: input 0: reverse mode gives 1.0, finite differences 6.0 (atol 1e-05, rtol 0.001)
    """


@dataclass
class Tolerances:
    """How near a derivative has to be to its difference quotient; `where` begins messages."""

    where: str
    eps: float
    atol: float
    rtol: float

    def compare(
        self,
        entries: Sequence[tuple[str, str, float, float]],
        to: str = "finite differences",
    ) -> None:
        """Raises GradcheckError about the worst of (name, how, derivative, difference quotient)."""
        wrong = []
        for name, how, derivative, difference in entries:
            allowed = self.atol + self.rtol * abs(difference)
            off = abs(derivative - difference)
            if not isfinite(derivative) or not isfinite(difference) or off > allowed:
                ratio = off / allowed if isfinite(off) and allowed > 0 else float("inf")
                wrong.append((ratio, name, how, derivative, difference))
        if wrong:
            _, name, how, derivative, difference = max(wrong, key=lambda entry: entry[0])
            others = f"; {len(wrong)} of {len(entries)} entries disagree" if len(wrong) > 1 else ""
            raise GradcheckError(
                f"{self.where}: {name}: {how} gives {derivative!r}, {to} "
                f"{difference!r} (atol {self.atol:g}, rtol {self.rtol:g}){others}"
            )

    def differences(
        self, f: Callable[[float], Sequence[float]], x: float, name: str
    ) -> list[float]:
        """The difference quotient of each result of f at x."""
        high, low = x + self.eps, x - self.eps
        if not high > low:
            raise ValueError(f"{self.where}: {name} is {x}, where a step of eps={self.eps} is lost")
        return [(up - down) / (high - low) for up, down in zip(f(high), f(low), strict=True)]
