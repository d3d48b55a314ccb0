"""diagnose: does the gradient reach every layer of a network? Section 7 and 8 of the documents.

print(mg.diagnose(net, X, y))                         a table and a verdict
net.fit(X, y, callbacks=mg.diagnose.Monitor(X, y))    one after each epoch
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from micrograd import checks
from micrograd.core import Array, lib
from micrograd.diagnose import bounds
from micrograd.network import layers

if TYPE_CHECKING:
    from micrograd.network.network import Network
    from micrograd.training.callbacks import TrainingState

Verdict = Literal["healthy", "vanishing", "exploding", "dead units"]

FADED = 1e-3  # |delta| of a layer over that of the last: below this it vanishes ...
GROWN = 1e2  # ... and above this it explodes: steps are lost sooner to large gradients
MANY = 0.5  # a share of dead or saturated units that is the layer's trouble
LARGE_STEP = 0.1  # |update| / |weight| of a step: rather 1e-3
SMALL_STEP = 1e-6

_ACTIVATIONS = {
    kind.function: kind.__name__
    for kind in (layers.ReLU, layers.LeakyReLU, layers.Sigmoid, layers.Tanh, layers.GELU)
}


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
    saturated: share of outputs where Sigmoid or Tanh are nearly flat.
    dead: share of ReLU units that are 0 for every row.
    update: |change of W in a step| / |W|.
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

    def plot(self, path: str | os.PathLike[str], title: str = "") -> None:
        """Draws ratio, bound, gradient, spectral norm and shares over the layers.

        Args:
            path: the file to write: .png, .svg or .pdf.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError, OSError: the file cannot be written.
        """
        from micrograd.plot.flow import gradient_flow

        gradient_flow(self, path, title)


def _is_used(rows: list[tuple[str, ...]], column: int, title: str) -> bool:
    return any(row[column] not in ("-", "", title) for row in rows)


def diagnose(
    net: Network, X: Any, y: Any, lr: float | None = None, optimizer: Any = None
) -> Diagnosis:
    """Runs a network forward and back on a batch and says how the gradient gets to its layers.

    Nothing is changed: not the gradients, the optimizer, nor the cached pass.

    Args:
        net: the network, of any dtype and any nesting of blocks.
        X, y: as for net.loss.
        lr: for the update-to-weight ratio of plain gradient descent; or
        optimizer: one for net.parameters(), whose next step is tried out and taken back.

    Returns:
        A Diagnosis.

    Raises:
        TypeError, ValueError: input that does not fit.
    """
    from micrograd.network.network import Network

    if not isinstance(net, Network):
        raise TypeError(f"diagnose: net is {checks.describe(net)}, a Network is wanted")
    if lr is not None and optimizer is not None:
        raise ValueError("diagnose: lr and optimizer are both given, one of them is wanted")
    if lr is not None and not checks.is_number(lr):
        raise TypeError(f"diagnose: lr is {checks.describe(lr)}, a number is wanted")
    batch = _Batch(net, X, y)
    updates = batch.updates(lr, optimizer)
    flows = batch.flows(updates)
    return Diagnosis(batch.seen["loss"], tuple(flows))


class _Batch:
    """One forward and backward pass over a batch, and the network that it is of."""

    def __init__(self, net: Network, X: Any, y: Any) -> None:
        self.net = net
        self.seen = net.explain(X, y)
        self.graph = net.plans.graph("explaining")
        self.weights = {p.name: p.data for p in net.parameters()}
        self.gradients = {
            f"{step.path}.{kind}": self.seen[f"d{letter}{number}"]
            for number, step in enumerate(self.graph.steps, start=1)
            for letter, kind in (("W", "weight"), ("b", "bias"))
            if f"d{letter}{number}" in self.seen
        }

    def updates(self, lr: float | None, optimizer: Any) -> dict[str, float]:
        """|change| / |W| of a step, by the layer's path."""
        if optimizer is not None:
            after = self._tried_out(optimizer)
        elif lr is not None:
            after = {k: w - lr * self.gradients[k] for k, w in self.weights.items()}
        else:
            return {}
        return {
            name.removesuffix(".weight"): _ratio(_norm(after[name] - w), _norm(w))
            for name, w in self.weights.items()
            if name.endswith(".weight")
        }

    def _tried_out(self, optimizer: Any) -> dict[str, Array]:
        """The parameters after the optimizer's next step, which is taken back."""
        parameters = self.net.parameters()
        if getattr(optimizer, "params", None) is not parameters:
            raise ValueError("diagnose: the optimizer is for the parameters of another model")
        state = optimizer.state_dict()
        flat, flat_grad = parameters.flat.copy(), parameters.flat_grad.copy()
        try:
            for p in parameters:
                p.grad[...] = self.gradients[p.name]
            optimizer.step()
            return {p.name: p.data.copy() for p in parameters}
        finally:
            parameters.flat[...], parameters.flat_grad[...] = flat, flat_grad
            optimizer.load_state_dict(state)

    def flows(self, updates: dict[str, float]) -> list[LayerFlow]:
        """A LayerFlow for every step that has a gradient, in order."""
        norms = {
            name.removesuffix(".weight"): bounds.spectral_norm(weight)
            for name, weight in self.weights.items()
            if name.endswith(".weight")
        }
        steepest = bounds.bounds(self.net.layers, norms)
        rows = math.sqrt(len(self.seen["a0"]))
        made_by = {node.output: node for node in self.graph.nodes}
        deltas = {
            number: _norm(self.seen[f"delta{number}"]) / rows
            for number in range(1, len(self.graph.steps) + 1)
            if f"delta{number}" in self.seen
        }
        last = deltas[max(deltas)]
        out = []
        for number, delta in deltas.items():
            step = self.graph.steps[number - 1]
            path, a, node = step.path or "", self.seen[f"a{number}"], made_by[step.a]
            activation = "" if step.a == step.z else _ACTIVATIONS.get(node.function, "Map")
            if node.kind == lib.MG_SOFTMAX:
                activation = "Softmax"
            dW_db = [self.gradients.get(f"{path}.{kind}") for kind in ("weight", "bias")]
            out.append(
                LayerFlow(
                    name=path or activation,
                    layer=f"{self._size(path)} {activation}".strip(),
                    delta=delta,
                    ratio=_ratio(delta, last),
                    bound=steepest.get(path, math.nan),
                    gradient=math.hypot(*(_norm(d) for d in dW_db if d is not None))
                    if path
                    else math.nan,
                    norm=norms.get(path, math.nan),
                    saturated=bounds.saturated_share(activation, a),
                    dead=bounds.dead_share(activation, a),
                    update=updates.get(path, math.nan),
                )
            )
        return out

    def _size(self, path: str) -> str:
        if not path:
            return ""
        outputs, inputs = self.weights[f"{path}.weight"].shape
        return f"{inputs}->{outputs}"


def _norm(x: Array) -> float:
    """The Euclidean norm of all elements, in float64 and scaled: nothing overflows."""
    scale = float(np.abs(x).max(initial=0.0))
    if scale == 0 or not math.isfinite(scale):
        return scale
    return scale * float(np.linalg.norm(x.astype(np.float64) / scale))


def _ratio(x: float, to: float) -> float:
    return x / to if to else math.nan


class Monitor:
    """A callback for fit that diagnoses a fixed batch as training goes on.

    Args:
        X, y: the batch; a few hundred rows do.
        every: diagnoses after every so many epochs, 1 or more.
        stop_on: verdicts that end training, such as ("exploding",).

    Attributes:
        epochs: after which epochs; diagnoses: what was found, with the optimizer's next update.

    Raises:
        TypeError, ValueError: every is no integer or less than 1, stop_on names no verdict.

    >>> monitor = mg.diagnose.Monitor(X[:256], y[:256])  # doctest: +SKIP
    >>> net.fit(X, y, callbacks=monitor); print(monitor.diagnoses[-1])  # doctest: +SKIP
    """

    def __init__(self, X: Any, y: Any, every: int = 1, stop_on: Sequence[Verdict] = ()) -> None:
        every = checks.count("Monitor", "every", every)
        self.stop_on = (stop_on,) if isinstance(stop_on, str) else tuple(stop_on)
        unknown = set(self.stop_on) - set(get_args(Verdict))
        if unknown:
            raise ValueError(
                f"Monitor: stop_on has {sorted(unknown)[0]!r}, "
                f"verdicts are {', '.join(get_args(Verdict))}"
            )
        self.X, self.y, self.every = X, y, every
        self.epochs: list[int] = []
        self.diagnoses: list[Diagnosis] = []

    def on_epoch(self, state: TrainingState) -> None:
        """Diagnoses the model of a run of fit; may end the run."""
        if state.epoch % self.every:
            return
        found = diagnose(state.model, self.X, self.y, optimizer=state.optimizer)
        self.epochs.append(state.epoch)
        self.diagnoses.append(found)
        if found.verdict in self.stop_on:
            state.stop()

    def plot(self, path: str | os.PathLike[str], title: str = "") -> None:
        """Draws the ratio and the update of each layer over the epochs, as Diagnosis.plot does
        over the layers.

        Raises:
            ImportError, ValueError, OSError: as Diagnosis.plot; ValueError before the first epoch.
        """
        from micrograd.plot.flow import monitored_flow

        if not self.diagnoses:
            raise ValueError("Monitor.plot: nothing has been diagnosed yet")
        monitored_flow(self.epochs, self.diagnoses, path, title)
