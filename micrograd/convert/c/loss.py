"""What quantisation costs on some rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.network.network import Network


@dataclass(frozen=True)
class Loss:
    """What quantisation changes on some rows.

    kind: what was made integers. difference: the largest of an output, typical the root of the mean
    square, as a share of the spread. metric: "accuracy" or "RMSE", before and after, where the
    right answers were given; "" and None where not. largest: the largest output, to compare with.
    """

    kind: str
    rows: int
    difference: float
    typical: float
    largest: float
    metric: str = ""
    before: float | None = None
    after: float | None = None

    def __str__(self) -> str:
        text = (
            f"{self.kind}: outputs differ by at most {self.difference:.2g} "
            f"(the largest is {self.largest:.3g}) on {self.rows} rows"
        )
        if self.before is None or self.after is None:
            return text
        if self.metric == "accuracy":
            lost = 100 * (self.before - self.after)
            return (
                f"{text};\naccuracy {100 * self.after:.2f} % against {100 * self.before:.2f} %, "
                f"a loss of {lost:.2f} points"
            )
        return f"{text};\nRMSE {self.after:.5g} against {self.before:.5g}"


def measure(kind: str, net: Network, output: Array, quantised: Array, y: Any) -> Loss:
    """Compares the outputs (rows, out_features) before and after, with y as net.loss takes it."""
    difference = float(np.abs(output - quantised).max())
    largest = float(np.abs(output).max())
    spread = float(output.std(axis=0).max()) or 1.0
    typical = float(np.sqrt(np.square(output - quantised).mean())) / spread
    if y is None:
        return Loss(kind, len(output), difference, typical, largest)
    metric = "RMSE" if net.loss_kind.output is None else "accuracy"
    before, after = (_metric(net, z, np.asarray(y)) for z in (output, quantised))
    return Loss(kind, len(output), difference, typical, largest, metric, before, after)


def _metric(net: Network, z: Array, y: Array) -> float:
    if net.loss_kind.output == "softmax":
        classes = y if y.ndim == 1 else y.argmax(axis=1)
        return float((z.argmax(axis=1) == classes).mean())
    y = y.reshape(z.shape)
    if net.loss_kind.output == "sigmoid":
        return float(((z > 0) == (y > 0.5)).mean())
    return float(np.sqrt(((z - y) ** 2).mean()))
