"""explain: one forward and backward pass, every quantity under the documents' name for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks, core
from micrograd.core import Array, ffi, lib
from micrograd.network import reverse
from micrograd.network.initial import starts
from micrograd.network.lowering import Step
from micrograd.network.storage import buffer_copy

if TYPE_CHECKING:
    from micrograd.network.network import Network


def explain(net: Network, X: Any, y: Any) -> dict[str, Any]:
    """Runs a network on a batch and names what it computes as the documents do.

    For each step l = 1, 2, ...: W1, b1, z1 (pre-activation), a1 (activation), da1 = dL_i/da1,
    delta1 = dL_i/dz1, dW1, db1; a0 is X. Rows are samples where the documents have columns. delta
    is that of one sample, so dW1 = delta1.T @ a0 / m, db1 = sum of delta1's rows / m (section 4).
    For cross_entropy the last a is softmax(z) and the last delta is a - y; for bce the last a is
    sigmoid(z). For mse delta is 2 (a - y) / outputs: the documents' a - y is that of half the
    squared error. An activation after no Linear is a step without W and b. `loss` is the mean.

    The same kernels run in the same order as in loss() and backward(): dW1 has the bits of the
    gradient they leave. The network, its gradients and its cached pass stay as they are.

    Args:
        net: the network.
        X, y: as for Network.loss.

    Returns:
        A dict of arrays: (m, features), W and dW (out, in), b and db (out,); loss is a float.

    Raises:
        TypeError, ValueError: input that does not fit.
    """
    dtype = net.parameters().dtype
    graph = net.plans.graph("explaining")
    lowered = reverse.training(graph, net.plans.functions.loss(), keep_all=True)
    gradients = np.zeros(net.parameters().size, dtype)
    pointer = ffi.from_buffer(gradients, require_writable=True)
    plan = net.plans.bound(lowered, pointer, share=False, step=net.step)
    batch, result = ffi.new("mg_batch *"), ffi.new("mg_result *")
    held = net.fill_batch(batch, "Network.explain", X, y)
    status = lib.mg_plan_loss(plan, batch, core.threads, result)
    status = status or lib.mg_plan_backward(plan, 0, core.threads)
    if status:
        net.incoming.raise_status("Network.explain", status, result, batch)
    del held
    rows = int(batch.rows)

    def read(buffer: int) -> Array:
        return buffer_copy(plan, lowered, buffer, rows, dtype)

    a0 = checks.reals("Network.explain", "X", X, dtype).copy()
    out: dict[str, Any] = {"loss": float(result.loss), "a0": a0}
    for number, step in enumerate(graph.steps, start=1):
        out |= _parameters_of(net, gradients, step, number)
        out[f"z{number}"] = read(lowered.values[step.z]) if step.z else a0
        out[f"a{number}"] = read(lowered.values[step.a])
        if step.a != step.z and step.a in lowered.gradients:
            out[f"da{number}"] = read(lowered.gradients[step.a])
        if step.z in lowered.gradients:
            out[f"delta{number}"] = read(lowered.gradients[step.z])
    last = graph.steps[-1]
    if net.loss_kind.output and last.a == last.z == graph.output:
        out[f"a{len(graph.steps)}"] = _output(net, out[f"z{len(graph.steps)}"])
    return out


def _parameters_of(net: Network, gradients: Array, step: Step, number: int) -> dict[str, Array]:
    """W, b, dW and db of a step, as far as it has them."""
    out = {}
    start = 0
    for p in net.parameters():
        path, _, kind = p.name.rpartition(".")
        if path == step.path:
            letter = "W" if kind == "weight" else "b"
            out[f"{letter}{number}"] = p.data.copy()
            out[f"d{letter}{number}"] = gradients[start : start + p.data.size].reshape(p.shape)
        start += p.data.size
    return out


def _output(net: Network, z: Array) -> Array:
    """The activation that the loss applies to the last z."""
    out = np.empty_like(z)
    to, source = ffi.from_buffer(out), ffi.from_buffer(z)
    code, (rows, columns) = core.DTYPES[net.dtype], z.shape
    if net.loss_kind.output == "softmax":
        lib.mg_softmax(core.ISA_CODE, code, rows, columns, source, columns, to, columns)
    else:
        lib.mg_map(core.ISA_CODE, code, lib.MG_SIGMOID, 0.0, z.size, source, to)
    return out


def place_not_finite(net: Network, X: Any, y: Any) -> str:
    """Where the first value of a pass that is not finite lies: "z2 (layer 1, ReLU())", or ""."""
    passed = explain(net, X, y)
    for number, step in enumerate(net.plans.graph("explaining").steps, start=1):
        for letter in "za":
            value = passed.get(f"{letter}{number}")
            if value is not None and not np.isfinite(value).all():
                layer = next((s.layer for s in starts(net.layers) if s.path == step.path), None)
                of = "" if layer is None else f" (layer {step.path}, {layer})"
                return f"{letter}{number}{of}"
    return ""
