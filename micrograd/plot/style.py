"""How every plot looks: one palette, sizes legible at half size, text that is never markup.

matplotlib is loaded by the first picture, never by an import.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from micrograd import atomic, checks

FORMATS = (".png", ".svg", ".pdf")
DPI = 150
SIZE = 12.0  # points; 12 pixels high where a picture is shown at half its size

# Okabe and Ito 2008: colours that colour-blind readers tell apart. The last is for lines only.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6D00", "#000000")
MARKERS = "os^Dv*PX"  # beside its colour, each line and class has a shape of its own
SEQUENTIAL, DIVERGING = "cividis", "RdBu_r"

LONGEST = 24  # characters of a name
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def require_matplotlib() -> None:
    """Raises ImportError, which says what to install, where matplotlib is missing."""
    checks.require("a plot", "matplotlib", "matplotlib", "plot")


def check(path: str | os.PathLike[str]) -> None:
    """Finds out at once, before a long training run, whether curves can be drawn after it.

    Raises:
        ImportError: matplotlib is not installed; says how to install it.
        ValueError: the name of the file ends in none of FORMATS.
        FileNotFoundError: its folder does not exist.

    >>> mg.plot.check("curves.png")
    """
    require_matplotlib()
    text = os.fspath(path)
    if not text.lower().endswith(FORMATS):
        raise ValueError(f"cannot plot to {text!r}: its name ends in none of {', '.join(FORMATS)}")
    if not os.path.isdir(os.path.dirname(text) or "."):
        raise FileNotFoundError(f"cannot plot to {text!r}: the folder does not exist")


def text(name: object, longest: int = LONGEST) -> str:
    """A name as a plot shows it: on one line, not too long, and never read as a formula."""
    line = " ".join(_UNPRINTABLE.sub(" ", str(name)).split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return line.replace("$", r"\$")  # a pair of $ would be a formula


@contextmanager
def picture(
    path: str | os.PathLike[str] | None,
    columns: int = 1,
    rows: int = 1,
    size: tuple[float, float] = (5.0, 4.0),
    title: str = "",
    **options: Any,
) -> Iterator[tuple[Any, list[Any]]]:
    """A new Figure and its axes, row by row; written to `path`, if there is one, at the end.

    The Figure belongs to no window: nothing is shown by itself.

    Args:
        size: of each of the axes, inches; options: go to Figure.subplots.

    Raises:
        ImportError, ValueError, OSError: as `check`; the file cannot be written.
    """
    if path is None:
        require_matplotlib()
    else:
        check(path)
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    settings: Any = {
        "font.size": SIZE,
        "axes.titlesize": SIZE,
        "legend.fontsize": SIZE - 2,
        "legend.framealpha": 0.85,
        "figure.titlesize": SIZE + 1,
        "axes.prop_cycle": cycler(color=PALETTE),
        "lines.linewidth": 2.0,
        "text.usetex": False,  # names are text
        "svg.hashsalt": "micrograd",  # the same bytes for the same picture
    }
    with rc_context(settings):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, **options)
        for axes in grid.flat:
            axes.tick_params(which="both", labelsize=SIZE - 1)  # ticks are made when drawn
        if title:
            figure.suptitle(text(title, 100))
        yield figure, list(grid.flat)
        if path is not None:
            save(figure, path)


def save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Writes a Figure whole or not at all; the ending names the format, one of FORMATS.

    Raises:
        ImportError, ValueError, OSError: as `check`; the file cannot be written.
    """
    check(path)
    ending = os.path.splitext(os.fspath(path))[1].lower().lstrip(".")
    stream = io.BytesIO()
    date = {"svg": "Date", "pdf": "CreationDate"}.get(ending)
    figure.savefig(stream, format=ending, dpi=DPI, metadata={date: None} if date else None)
    atomic.write_bytes(path, stream.getvalue())


def legend(axes: Any, handles: Sequence[Any], names: Sequence[object], **options: Any) -> None:
    """A legend of names as they are; matplotlib leaves out those that begin with an underscore."""
    box = axes.legend(handles, [f"{i}" for i in range(len(names))], **options)
    for line, name in zip(box.get_texts(), names, strict=True):
        line.set_text(text(name))


def marks(number: int) -> dict[str, Any]:
    """Colour and marker of line, or class, `number`: no two of 64 are the same."""
    turn = number // len(PALETTE)
    return {
        "color": PALETTE[number % len(PALETTE)],
        "marker": MARKERS[(number + turn) % len(MARKERS)],
    }
