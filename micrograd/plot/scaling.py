"""How the speed of training grows with the ranks that share it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from micrograd.plot.curves import check, require_matplotlib


def scaling(
    ranks: Sequence[int],
    speedups: Sequence[float],
    title: str = "",
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draws speedups over ranks, both on a logarithmic scale, beside the ideal line.

    Returns:
        The matplotlib Figure, written to `path` unless that is None.

    Raises:
        ImportError, ValueError, OSError: as `check`; the file cannot be written.
    """
    if path is None:
        require_matplotlib()
    else:
        check(path)
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    figure = Figure(figsize=(5.5, 4.0), layout="constrained")
    axis = figure.subplots()
    axis.plot(ranks, ranks, linestyle="--", color="0.6", label="ideal")
    axis.plot(ranks, speedups, marker="o", label="predicted")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.set(xlabel="ranks", ylabel="speedup over one rank", title=title)
    axis.grid(alpha=0.3)
    axis.legend()
    if path is not None:
        figure.savefig(path)
    return figure
