"""explain: one forward and backward pass, every quantity under the documents' name for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd.core import Array
from micrograd.network.c_plan import address, apply
from micrograd.network.graph import Step
from micrograd.network.initial import starts
from micrograd.network.sparse import SparseRows
from micrograd.network.tables import Explanation

if TYPE_CHECKING:
    from micrograd.network.view import NetworkView


def explain(net: NetworkView, X: Any, y: Any) -> dict[str, Any]:
    """Runs a network on a batch and names what it computes as the documents do.

    For each step l = 1, 2, ...: W1, b1, z1 (pre-activation), a1 (activation), da1 = dL_i/da1,
    delta1 = dL_i/dz1, dW1, db1; a0 is X. Rows are samples where the documents have columns. delta
    is that of one sample, so dW1 = delta1.T @ a0 / m, db1 = sum of delta1's rows / m (section 4).
    For cross_entropy the last a is softmax(z) and the last delta is a - y; for bce the last a is
    sigmoid(z). For mse delta is 2 (a - y) / outputs: the documents' a - y is that of half the
    squared error. An activation after no Linear is a step without W and b. A layer for columns is a
    step of its own: its weight is W1, its bias b1, its other parameters go by their names, such as
    frequency_1 and dfrequency_1. `loss` is the mean.

    The same kernels run in the same order as in loss() and backward(): dW1 has the bits of the
    gradient they leave. The network, its gradients and its cached pass stay as they are.

    Args:
        net: the network.
        X, y: as for Network.loss.

    Returns:
        A dict of arrays: (m, features), W and dW (out, in), b and db (out,); loss is a float. It
        prints as a table.

    Raises:
        TypeError, ValueError: input that does not fit.
    """
    return explain_with_gradients(net, X, y)[0]


def explain_with_gradients(
    net: NetworkView, X: Any, y: Any
) -> tuple[Explanation, dict[str, Array]]:
    """What explain returns, and the gradient of every parameter of the network by its name."""
    parameters = net.parameters()
    dtype = parameters.dtype
    batch = net.batch("Network.explain", X, y)
    flat = np.zeros(parameters.size, dtype)
    graph, plan = net.planner.explaining(batch.columns, net.step, address(flat))
    plan.scale_dropout(net.dropout_factor)
    with parameters.access.reading():
        status = plan.loss(batch) or plan.backward(accumulate=False)
        held = {p.name: p.data.copy() for p in parameters}
    if status:
        raise net.incoming.error("Network.explain", status, plan.result, batch)
    gradients = _by_name(held, flat)

    def read(buffer: int) -> Array:
        return plan.values(buffer, batch.rows, dtype)

    values, deltas = plan.passes.values, plan.passes.gradients
    a0 = batch.x.dense() if isinstance(batch.x, SparseRows) else batch.x.copy()
    out = Explanation({"loss": float(plan.result.loss), "a0": a0})
    for number, step in enumerate(graph.steps, start=1):
        out |= _parameters_of(step, number, held, gradients)
        out[f"z{number}"] = read(values[step.z]) if step.z else a0
        out[f"a{number}"] = read(values[step.a])
        if step.a != step.z and step.a in deltas:
            out[f"da{number}"] = read(deltas[step.a])
        if step.z in deltas:
            out[f"delta{number}"] = read(deltas[step.z])
    last = graph.steps[-1]
    if net.loss_kind.output and last.a == last.z == graph.output:
        number = len(graph.steps)
        out[f"a{number}"] = apply(net.loss_kind.output, out[f"z{number}"])
    return out, gradients


def input_gradient(net: NetworkView, X: Any, y: Any) -> Array:
    """How the loss of each row changes with its features: dL_i / dx_i, without dropout.

    What a row is sensitive to (Simonyan et al. 2014, arXiv 1312.6034). With a loss that is linear
    in the outputs, such as `lambda z, w: z * w`, it is the derivative of the outputs themselves.

    Args:
        net: the network, which stays as it is.
        X, y: as for Network.loss.

    Returns:
        (rows, in_features), in the network's dtype.

    Raises:
        TypeError, ValueError: input that does not fit.
    """
    parameters, where = net.parameters(), "Network.input_gradient"
    batch = net.batch(where, X, y)
    flat = np.zeros(parameters.size, parameters.dtype)
    _, plan = net.planner.explaining(batch.columns, net.step, address(flat), inputs=True)
    plan.scale_dropout(0.0)
    with parameters.access.reading():
        status = plan.loss(batch) or plan.backward(accumulate=False)
    if status:
        raise net.incoming.error(where, status, plan.result, batch)
    return plan.values(plan.passes.gradients[0], batch.rows, parameters.dtype)


def _by_name(held: dict[str, Array], flat: Array) -> dict[str, Array]:
    """The gradients as they lie one behind the other, each under its parameter's name."""
    out, start = {}, 0
    for name, value in held.items():
        out[name] = flat[start : start + value.size].reshape(value.shape)
        start += value.size
    return out


def _parameters_of(
    step: Step, number: int, held: dict[str, Array], gradients: dict[str, Array]
) -> dict[str, Array]:
    """W, b, dW and db of a step, and what else it has."""
    out = {}
    for name, value in held.items():
        path, _, kind = name.rpartition(".")
        if path == step.path:
            short = {"weight": f"W{number}", "bias": f"b{number}"}.get(kind, f"{kind}_{number}")
            out[short] = value
            out[f"d{short}"] = gradients[name]
    return out


def place_not_finite(net: NetworkView, X: Any, y: Any) -> str:
    """Where the first value of a pass that is not finite lies: "z2 (layer 1, ReLU())", or ""."""
    passed = explain(net, X, y)
    for number, step in enumerate(net.planner.graph("explaining").steps, start=1):
        for letter in "za":
            value = passed.get(f"{letter}{number}")
            if value is not None and not np.isfinite(value).all():
                layer = next((s.layer for s in starts(net.layers) if s.path == step.path), None)
                of = "" if layer is None else f" (layer {step.path}, {layer})"
                return f"{letter}{number}{of}"
    return ""
