"""What diagnose found: a table, a verdict and a remedy. Section 7 and 8 of the documents."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

Verdict = Literal["healthy", "vanishing", "exploding", "dead units"]

FADED = 1e-3  # |delta| of a layer over that of the last: below this it vanishes ...
GROWN = 1e2  # ... and above this it explodes: steps are lost sooner to large gradients
MANY = 0.5  # a share of dead or saturated units that is the layer's trouble
LARGE_STEP = 0.1  # |update| / |weight| of a step: rather 1e-3
SMALL_STEP = 1e-6


@dataclass(frozen=True)
class LayerFlow:
    """What arrives at one layer; nan where something does not apply.

    name: the path of its parameters ("0", "3.1", "3.gate"), or the kind of an activation that
        follows no Linear directly.
    layer: the same in words.
    delta: root mean square over the rows of |dL_i/dz|, z being its pre-activation.
    ratio: delta over that of the last layer; bound: what section 7 allows it (see bounds.py).
    gradient: |dL/dW, dL/db| of the mean loss.
    norm: spectral norm of W.
    saturated: share of outputs where an activation that levels off is nearly flat.
    dead: share of ReLU units that are 0 for every row.
    update: |change of W in a step| / |W|.

    >>> last = mg.diagnose(net, X, y).layers[-1]
    >>> last.name, last.ratio
    ('2', 1.0)
    """

    name: str
    layer: str
    delta: float
    ratio: float
    bound: float
    gradient: float
    norm: float
    saturated: float
    dead: float
    update: float

    @property
    def verdict(self) -> Verdict:
        """In one word; "vanishing" also of a layer whose gradient is 0."""
        if not math.isfinite(self.delta) or self.ratio > GROWN:
            return "exploding"
        if self.dead > MANY:
            return "dead units"
        return "vanishing" if self.delta == 0 or self.ratio < FADED else "healthy"


@dataclass(frozen=True)
class Diagnosis:
    """What diagnose found: `loss`, a LayerFlow per layer, a verdict and the remedy it suggests.

    print() gives the table, plot(path) the picture.

    >>> found = mg.diagnose(net, X, y)
    >>> found.verdict, len(found.layers)
    ('healthy', 2)
    """

    loss: float
    layers: tuple[LayerFlow, ...]

    def __getitem__(self, name: str) -> LayerFlow:
        """The layer of this name.

        Raises:
            KeyError: there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer {name!r}; there are {', '.join(x.name for x in self.layers)}")

    @property
    def verdict(self) -> Verdict:
        """Of the network: that of its worst layers, an explosion before all else."""
        found = {layer.verdict for layer in self.layers}
        if not math.isfinite(self.loss):
            return "exploding"
        order: tuple[Verdict, ...] = ("exploding", "dead units", "vanishing")
        return next((verdict for verdict in order if verdict in found), "healthy")

    @property
    def remedy(self) -> str:
        """What to do about it, in a sentence or two; for a healthy network a remark or nothing."""
        flows = self.layers
        if self.verdict == "exploding":
            norm = max((x.norm for x in flows if x.norm == x.norm), default=math.nan)
            return (
                "Clip the gradient (fit(clip_norm=1.0), section 9) and take a smaller learning "
                f"rate; start with smaller weights (the largest spectral norm is {norm:.3g})."
            )
        if self.verdict == "dead units":
            return (
                "Use LeakyReLU or GELU, which pass a gradient everywhere, or a smaller learning "
                'rate and init="he", so that units do not die; scale X to about unit variance.'
            )
        if self.verdict == "vanishing":
            return self._against_vanishing()
        steps = [x.update for x in flows if x.update == x.update]
        if steps and max(steps) > LARGE_STEP:
            return f"A step changes weights by up to {max(steps):.0%}: a smaller learning rate."
        if steps and max(steps) < SMALL_STEP:
            return f"A step changes weights by {max(steps):.0e} only: a larger learning rate."
        return ""

    def _against_vanishing(self) -> str:
        if all(x.delta == 0 for x in self.layers):
            return "The loss has no gradient here: the data is fitted, or the outputs are clipped."
        squash = [x for x in self.layers if x.saturated == x.saturated]
        if any(x.saturated > MANY for x in squash):
            return (
                "Most units are saturated: scale X to about unit variance, start with smaller "
                'weights (init="xavier"), or use ReLU or GELU (section 7).'
            )
        if squash:
            return (
                "Use ReLU or GELU, whose slope does not shrink (section 7), and put the layers "
                "into Residual blocks, past which the gradient flows unchanged (section 10)."
            )
        return (
            'Start with larger weights (init="he") and put the layers into Residual blocks, past '
            "which the gradient flows unchanged (section 10)."
        )

    def __str__(self) -> str:
        head = ("layer", "", "|delta|", "ratio", "bound", "|gradient|", "||W||", "satur.", "dead")
        rows: list[tuple[str, ...]] = [(*head, "update", "")]
        for x in self.layers:
            numbers = (x.delta, x.ratio, x.bound, x.gradient, x.norm)
            shares = (x.saturated, x.dead)
            rows.append(
                (
                    x.name,
                    x.layer,
                    *("-" if number != number else f"{number:.2e}" for number in numbers),
                    *("-" if share != share else f"{share:.0%}" for share in shares),
                    "-" if x.update != x.update else f"{x.update:.1e}",
                    "" if x.verdict == "healthy" else x.verdict,
                )
            )
        used = [i for i, title in enumerate(rows[0]) if i < 2 or _is_used(rows, i, title)]
        widths = [max(len(row[i]) for row in rows) for i in used]
        lines = [
            "  ".join(
                row[i].ljust(width) if i in (0, 1, 10) else row[i].rjust(width)
                for i, width in zip(used, widths, strict=True)
            ).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, f"loss {self.loss:.4g}: {self.verdict}. {self.remedy}".rstrip()])

    # In notebooks. The room of drawings knows models and so lies above: it is loaded by name.

    def _repr_svg_(self) -> str:
        rows = [(f"{x.name} {x.layer}", x.delta, x.verdict) for x in self.layers]
        title = f"|delta| of each layer: {self.verdict}"
        drawing: str = import_module("micrograd.draw.charts").bars(title, rows, self.remedy)
        return drawing

    def _repr_html_(self) -> str:
        drawing: str = import_module("micrograd.draw.notebook").framed(self._repr_svg_())
        return drawing

    def plot(self, path: str | os.PathLike[str] | None = None, title: str = "") -> Any:
        """Draws ratio, bound, gradient, spectral norm and shares over the layers.

        Args:
            path: also write it there; the ending names the format: .png, .svg or .pdf.
            title: stands above.

        Returns:
            The matplotlib Figure.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError, OSError: the file cannot be written.
        """
        from micrograd.plot.flow import gradient_flow

        measured = ("ratio", "bound", "gradient", "norm", "update", "saturated", "dead")
        quantities = {name: [getattr(x, name) for x in self.layers] for name in measured}
        text = f"{title}: {self.verdict}" if title else self.verdict
        names = [x.name for x in self.layers]
        return gradient_flow(names, quantities, (FADED, GROWN), path, text)


def _is_used(rows: list[tuple[str, ...]], column: int, title: str) -> bool:
    return any(row[column] not in ("-", "", title) for row in rows)
