"""How the speed of training grows with the ranks that share it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from micrograd.plot.style import picture, text


def scaling(
    ranks: Sequence[int],
    speedups: Sequence[float],
    title: str = "",
    path: str | os.PathLike[str] | None = None,
    measured: Sequence[tuple[int, float]] = (),
) -> Any:
    """Draws speedups over ranks, both on a logarithmic scale, beside the ideal line.

    measured: (ranks, speedup) of runs that have been made, drawn as points.

    Returns:
        The matplotlib Figure, written to `path` unless that is None.

    Raises:
        ImportError, ValueError, OSError: as `check`; the file cannot be written.

    >>> figure = mg.plot.scaling([1, 2, 4], [1.0, 1.9, 3.4])
    """
    with picture(path, size=(6.0, 4.4)) as (figure, (axes,)):
        axes.plot(ranks, ranks, linestyle="--", color="0.5", label="ideal")
        axes.plot(ranks, speedups, marker="o", label="predicted")
        if measured:
            axes.plot(*zip(*measured, strict=True), "s", color="tab:red", label="measured")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set(xlabel="ranks", ylabel="speedup over one rank", title=text(title, 70))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
