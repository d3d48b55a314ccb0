"""draw: a picture of a Value's graph or of a model."""

from __future__ import annotations

import sys
from typing import Any

from micrograd.draw.drawing import Drawing
from micrograd.draw.graph import of_values
from micrograd.draw.graphs import of_graph
from micrograd.engine.value import Value


def draw(
    value_or_model: Any, X: Any = None, y: Any = None, collapse: bool | None = None
) -> Drawing:
    """Draws the graph behind a Value, or a model, in any of five formats.

    Every number is a card with its label, op, data and grad; on every edge stands the local
    derivative. Nothing but this package is needed; for .png also matplotlib.

    Args:
        value_or_model: a Value, several of them in a list, a Network or a Program.
        X, y: for a model: rows to run it on, as its loss() takes them. A Network's page offers
            them as samples; a Program is drawn for the first row.
        collapse: True draws neurons as layers, and many layers as blocks; False draws every node;
            None collapses beyond 150 nodes. The drawing says what it hides.

    Returns:
        A Drawing: `.save("x.svg")`, `.svg`, `.html`, `.mermaid`, `.dot`; shows itself in notebooks.

    Raises:
        TypeError: something else, or X and y with a Value.
        ValueError: X or y do not fit the model; with collapse=False, a graph of more than some
            50,000 nodes, fewer where edges are long: the message says how large it is.

    >>> import micrograd as mg
    >>> x = mg.Value(2.0, label="x")
    >>> y = x * 3 + 1
    >>> y.backward()
    >>> mg.draw(y)
    Drawing(result: 5 nodes, 4 edges)
    """
    if collapse not in (None, True, False):
        raise TypeError(f"draw: collapse is {collapse!r}, True, False or None is wanted")
    values = _values(value_or_model)
    if values is not None:
        if X is not None or y is not None:
            raise TypeError("draw: X and y are for a Network or a Program; a Value has its data")
        return of_graph(of_values(values), collapse)
    if "numpy" in sys.modules:  # without it there are no models, and Values want none
        from micrograd.draw.models import of_model

        drawing = of_model(value_or_model, X, y, collapse)
        if drawing is not None:
            return drawing
    raise TypeError(
        f"draw: {type(value_or_model).__name__} cannot be drawn; a Value, a list of Values, a "
        "Network or a Program is wanted"
    )


def _values(x: Any) -> list[Value] | None:
    """The Values to draw, None where x is something else."""
    if isinstance(x, Value):
        return [x]
    several = isinstance(x, (list, tuple)) and len(x) > 0
    return list(x) if several and all(isinstance(each, Value) for each in x) else None
