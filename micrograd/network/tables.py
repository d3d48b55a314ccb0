"""What a network is and what explain found, as tables that a person can read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd.network.blocks import Block, walk
from micrograd.network.layers import Layer

if TYPE_CHECKING:
    from micrograd.network.view import NetworkView

DEPTH = 8  # of nesting that a table shows by setting names in


class Table(str):
    """Text that an interactive session shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Explanation(dict[str, Any]):
    """What explain found, by name; it prints as a table: shapes and sizes, not all the numbers."""

    def __repr__(self) -> str:
        rows = [("name", "shape", "smallest", "largest", "mean square root")]
        for name, value in self.items():
            array = np.asarray(value, float)
            if not array.ndim:
                rows.append((name, "", f"{float(array):.6g}", "", ""))
                continue
            size = math.sqrt(float(np.mean(np.square(array)))) if array.size else math.nan
            low, high = float(array.min(initial=math.inf)), float(array.max(initial=-math.inf))
            shape = " x ".join(map(str, array.shape))
            rows.append((name, shape, f"{low:.4g}", f"{high:.4g}", f"{size:.4g}"))
        return aligned(rows, left=2)

    __str__ = __repr__


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of cells in columns, the first `left` of them to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def summary(net: NetworkView) -> Table:
    """Layers, shapes and numbers of parameters; see Network.summary."""
    sizes: dict[str, int] = {}
    for p in net.parameters():
        path = p.name.rpartition(".")[0]
        sizes[path] = sizes.get(path, 0) + p.data.size
    rows = [("layer", "", "takes", "gives", "parameters")]
    features = {"": net.in_features}  # what comes to the next layer of a sequence, by its prefix
    for path, layer in walk(net.layers):
        prefix, _, name = path.rpartition(".")
        depth = path.count(".")
        takes = layer.takes
        if takes is None:
            takes = features.get(prefix, 0)
        gives = layer.gives(takes)
        if name.isdigit():  # a gate or projection stands beside the sequence
            features[prefix] = gives
        features[path] = takes
        indent = "  " * min(depth, DEPTH)
        own = sizes.pop(path, 0)
        shown = f"{own:,}" if own else ""
        rows.append((f"{indent}{path}", _kind(layer), str(takes), str(gives), shown))
    if sizes:  # what is left belongs to no layer
        rows.append(("", "Values of functions", "", "", f"{sum(sizes.values()):,}"))
    total, dtype = net.parameters().size, net.dtype
    size = _bytes(total * np.dtype(dtype).itemsize)
    foot = f"{total:,} parameters in {dtype} ({size}), loss {net.loss_name}"
    return Table(f"{aligned(rows, left=2)}\n{foot}")


def _kind(layer: Layer) -> str:
    return type(layer).__name__ if isinstance(layer, Block) else str(layer)


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.3g} {unit}"
