"""What an ONNX file holds for layers that make something of each column by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from micrograd.convert.steps import Step
from micrograd.network import columns as layers


def scale(to: Any, step: Step, x: str) -> str:
    """x s."""
    name = f"{step.path}.weight"
    return _text(to.node("Mul", [x, to.constant(to.parameters[name], name)], f"{step.path} Scale"))


def periodic(to: Any, step: Step, x: str) -> str:
    """The numbers, and cosines of them mixed linearly."""
    layer, path = step.layer, step.path
    assert isinstance(layer, layers.Periodic)
    n, m = layer.worked_on, layer.width
    p = {name: to.parameters[f"{path}.{name}"] for name in ("frequency", "phase", "weight", "bias")}
    number = _reshaped(to, path, _part(to, path, x, 0, n, "numbers"), (0, n, 1), "each")
    turns = to.node(
        "Mul", [number, to.constant(p["frequency"], f"{path}.frequency")], f"{path} times"
    )
    turns = to.node("Add", [turns, to.constant(p["phase"], f"{path}.phase")], f"{path} turns")
    rest = to.node("Sub", [turns, to.node("Floor", [turns], f"{path} whole")], f"{path} rest")
    angle = to.node("Mul", [rest, to.constant(2 * np.pi)], f"{path} angle")
    cosines = _cosine(to, path, angle)
    first = to.node("Transpose", [cosines], f"{path} by number", perm=[1, 0, 2])
    weight = to.constant(p["weight"].transpose(0, 2, 1), f"{path}.weight")
    mixed = to.node("MatMul", [first, weight], f"{path} mixed")
    back = to.node("Transpose", [mixed], f"{path} by row", perm=[1, 0, 2])
    made = to.node("Add", [back, to.constant(p["bias"], f"{path}.bias")], f"{path} made")
    both = to.node("Concat", [number, made], f"{path} both", axis=2)
    flat = _reshaped(to, path, both, (0, n * (m + 1)), "flat")
    return _with_rest(to, path, flat, x, n, layer.takes)


def _cosine(to: Any, path: str, angle: str) -> str:
    """In float, the one dtype for which runtimes are sure to have it."""
    kinds = to.onnx.TensorProto
    if to.dtype == np.float32:
        return _text(to.node("Cos", [angle], f"{path} cosines"))
    single = to.node("Cast", [angle], f"{path} angle in float", to=kinds.FLOAT)
    cosine = to.node("Cos", [single], f"{path} cosines in float")
    return _text(to.node("Cast", [cosine], f"{path} cosines", to=kinds.DOUBLE))


def piecewise(to: Any, step: Step, x: str) -> str:
    """Where each number lies between its edges."""
    layer, path = step.layer, step.path
    assert isinstance(layer, layers.PiecewiseLinear)
    n, m = layer.worked_on, layer.made
    edges = np.array(layer.edges)
    low, high = np.zeros((n, m)), np.ones((n, m))
    low[:, 0], high[:, -1] = -np.finfo(to.dtype).max, np.finfo(to.dtype).max
    number = _reshaped(to, path, _part(to, path, x, 0, n, "numbers"), (0, n, 1), "each")
    off = to.node("Sub", [number, to.constant(edges[:, :-1], f"{path}.edges")], f"{path} off")
    part = to.node("Div", [off, to.constant(np.diff(edges), f"{path}.widths")], f"{path} part")
    part = to.node("Max", [part, to.constant(low, f"{path}.low")], f"{path} from below")
    part = to.node("Min", [part, to.constant(high, f"{path}.high")], f"{path} from above")
    flat = _reshaped(to, path, part, (0, n * m), "flat")
    return _with_rest(to, path, flat, x, n, layer.takes)


def embedding(to: Any, step: Step, x: str) -> str:
    """A product of each code's flags with its table: zeros for a code that it has not."""
    layer, path = step.layer, step.path
    assert isinstance(layer, layers.Embedding)
    before = layer.takes - layer.worked_on
    parts = [_part(to, path, x, 0, before, "passed")] if before else []
    for j, (size, _) in enumerate(layer.pairs):
        code = _part(to, path, x, before + j, before + j + 1, f"code {j}")
        known = to.constant(np.arange(size, dtype=float)[None], f"{path}.codes{j}")
        equal = to.node("Equal", [code, known], f"{path} is {j}")
        kind = to.onnx.helper.np_dtype_to_tensor_dtype(to.dtype)
        flags = to.node("Cast", [equal], f"{path} flags {j}", to=kind)
        name = f"{path}.table{j}"
        table = to.constant(to.parameters[name], name)
        parts.append(to.node("MatMul", [flags, table], f"{path} rows {j}"))
    return _text(to.node("Concat", parts, f"{path} Embedding", axis=1))


def _text(name: str) -> str:
    return name


def _part(to: Any, path: str, x: str, first: int, last: int, what: str) -> str:
    """Columns [first, last)."""
    bounds = [
        to.integers([n], f"{path}.{what} {end}") for n, end in ((first, "from"), (last, "to"))
    ]
    axis = to.integers([1], f"{path}.{what} axis")
    return _text(to.node("Slice", [x, *bounds, axis], f"{path} {what}"))


def _reshaped(to: Any, path: str, x: str, shape: tuple[int, ...], what: str) -> str:
    """0 stands for the rows."""
    return _text(
        to.node("Reshape", [x, to.integers(list(shape), f"{path}.{what} shape")], f"{path} {what}")
    )


def _with_rest(to: Any, path: str, made: str, x: str, first: int, last: int) -> str:
    """What was made, and behind it the columns that are passed on."""
    if first == last:
        return made
    rest = _part(to, path, x, first, last, "passed")
    return _text(to.node("Concat", [made, rest], f"{path} all", axis=1))
