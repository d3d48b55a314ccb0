"""What C99 is written for layers that make something of each column by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from micrograd.convert.steps import Step
from micrograd.network import columns as layers


def scale(to: Any, step: Step) -> None:
    """x[i] s[i]."""
    x, s = to.value(step.inputs[0]), to.parameter(f"{step.path}.weight")
    to.loop(to.graph.columns[step.output], to.value(step.output), f"{x}[i] * {s}[i]")


def _passed(to: Any, step: Step, count: int, source: int, target: int) -> None:
    """Columns that are handed on as they are."""
    x, out = to.value(step.inputs[0]), to.value(step.output)
    if count:
        to.loop(count, f"({out} + {target})", f"{x}[i + {source}]")


def periodic(to: Any, step: Step) -> None:
    """The number, and cosines of it mixed linearly."""
    layer = step.layer
    assert isinstance(layer, layers.Periodic)
    n, k, m = layer.worked_on, layer.frequencies, layer.width
    x, out = to.value(step.inputs[0]), to.value(step.output)
    f, p, w, b = (
        to.parameter(f"{step.path}.{name}") for name in ("frequency", "phase", "weight", "bias")
    )
    to.body += [
        f"/* {step.path} {layer} */",
        f"for (size_t i = 0; i < {n}; i++) {{",
        f"    float *y = {out} + i * {m + 1};",
        f"    y[0] = {x}[i];",
        f"    for (size_t o = 0; o < {m}; o++) y[o + 1] = {b}[i * {m} + o];",
        f"    for (size_t k = 0; k < {k}; k++) {{",
        f"        float u = {f}[i * {k} + k] * {x}[i] + {p}[i * {k} + k];",
        "        float c = cosf(6.2831853f * (u - floorf(u)));",
        f"        for (size_t o = 0; o < {m}; o++)",
        f"            y[o + 1] += {w}[(i * {m} + o) * {k} + k] * c;",
        "    }",
        "}",
    ]
    _passed(to, step, layer.takes - n, n, n * (m + 1))


def piecewise(to: Any, step: Step) -> None:
    """Where a number lies between its edges."""
    layer = step.layer
    assert isinstance(layer, layers.PiecewiseLinear)
    n, m = layer.worked_on, layer.made
    x, out = to.value(step.inputs[0]), to.value(step.output)
    e = to.array(f"{step.path}.edges", np.array(layer.edges, np.float32))
    to.body += [
        f"/* {step.path} {layer} */",
        f"for (size_t i = 0; i < {n}; i++)",
        f"    for (size_t t = 0; t < {m}; t++) {{",
        f"        const float *e = {e} + i * {m + 1} + t;",
        f"        float u = ({x}[i] - e[0]) / (e[1] - e[0]);",
        "        if (t > 0 && u < 0) u = 0;",
        f"        if (t + 1 < {m} && u > 1) u = 1;",
        f"        {out}[i * {m} + t] = u;",
        "    }",
    ]
    _passed(to, step, layer.takes - n, n, n * m)


def embedding(to: Any, step: Step) -> None:
    """The row of each code's table, zeros for a code that it has not."""
    layer = step.layer
    assert isinstance(layer, layers.Embedding)
    x, out = to.value(step.inputs[0]), to.value(step.output)
    before = layer.takes - layer.worked_on
    _passed(to, step, before, 0, 0)
    at = before
    for j, (size, width) in enumerate(layer.pairs):
        table = to.parameter(f"{step.path}.table{j}")
        code = f"{x}[{before + j}]"
        known = f"{code} >= 0 && {code} < {size} && {code} == floorf({code})"
        row = f"{table}[(size_t){code} * {width} + i]"
        to.loop(width, f"({out} + {at})", f"{known} ? {row} : 0.0f")
        at += width
