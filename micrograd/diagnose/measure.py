"""One pass over a batch, and what it says about each layer of a network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.diagnose import bounds
from micrograd.diagnose.report import Diagnosis, LayerFlow
from micrograd.network.explain import explain_with_gradients
from micrograd.network.graph import Step
from micrograd.network.initial import starts
from micrograd.network.layers import Linear
from micrograd.network.network import Network


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

    >>> deep = mg.Network(*[mg.Linear(64, 64), mg.Sigmoid()] * 12, mg.Linear(64, 10), seed=0)
    >>> mg.diagnose(deep, X, y).verdict
    'vanishing'
    """
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
        self.seen, self.gradients = explain_with_gradients(net, X, y)
        self.graph = net.planner.graph("explaining")
        self.layers = {start.path: start.layer for start in starts(net.layers)}
        self.weights = {p.name: p.data for p in net.parameters()}

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
            path: bounds.jacobian_norm(layer, self.weights[f"{path}.weight"])
            for path, layer in self.layers.items()
            if f"{path}.weight" in self.weights
        }
        allowed = bounds.bounds(self.net.layers, norms)
        rows = math.sqrt(len(self.seen["a0"]))
        deltas = {
            number: _norm(self.seen[f"delta{number}"]) / rows
            for number in range(1, len(self.graph.steps) + 1)
            if f"delta{number}" in self.seen
        }
        last = deltas[max(deltas)]
        return [
            self._flow(
                self.graph.steps[number - 1],
                self.seen[f"a{number}"],
                delta,
                _ratio(delta, last),
                (allowed, norms, updates),
            )
            for number, delta in deltas.items()
        ]

    def _flow(
        self,
        step: Step,
        a: Array,
        delta: float,
        ratio: float,
        by_path: tuple[dict[str, float], ...],
    ) -> LayerFlow:
        path, layer = step.path or "", step.activation
        bound, norm, update = (of.get(path, math.nan) for of in by_path)
        kind = "" if layer is None else type(layer).__name__
        own = [_norm(d) for name, d in self.gradients.items() if name.rpartition(".")[0] == path]
        gradient = math.hypot(*own) if path and own else math.nan
        return LayerFlow(
            name=path or kind,
            layer=f"{self._size(path)} {kind}".strip(),
            delta=delta,
            ratio=ratio,
            bound=bound,
            gradient=gradient,
            norm=norm,
            saturated=math.nan if layer is None else layer.saturated(a),
            dead=math.nan if layer is None else layer.dead(a),
            update=update,
        )

    def _size(self, path: str) -> str:
        if not path:
            return ""
        layer = self.layers.get(path)
        if not isinstance(layer, Linear):
            return str(layer or "")
        return f"{layer.in_features}->{layer.out_features}"


def _norm(x: Array) -> float:
    """The Euclidean norm of all elements, in float64 and scaled: nothing overflows."""
    scale = float(np.abs(x).max(initial=0.0))
    if scale == 0 or not math.isfinite(scale):
        return scale
    return scale * float(np.linalg.norm(x.astype(np.float64) / scale))


def _ratio(x: float, to: float) -> float:
    return x / to if to else math.nan
