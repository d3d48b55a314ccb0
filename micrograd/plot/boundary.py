"""The plane as a model divides it: decision boundaries, or a surface of outputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from micrograd import checks
from micrograd.plot.classes import class_column
from micrograd.plot.style import PALETTE, SEQUENTIAL, SIZE, legend, marks, picture, text

MARGIN = 0.08  # of the data's extent, left free on every side
PALEST, DEEPEST = 0.12, 0.6  # how much of its class's colour a point of the plane has


def decision_boundary(
    model: Any,
    X: Any,
    y: Any = None,
    resolution: int = 200,
    display_labels: Sequence[object] | None = None,
    title: str = "",
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draws which class a model gives every point of a plane, and the data on top.

    Where the model has probabilities, the colour of a class is deeper where it is surer. Of a model
    that gives numbers, a regression, the plane shows the number.

    Args:
        model: a Network, a Predictor, an estimator, or a function that takes an array (points, 2)
            and returns the class of each, or a number.
        X: the data, (rows, 2): an array, or a frame of two columns, which the model then gets too.
        y: the class of each row, or its number; None draws the points in one colour.
        resolution: points along each side of the plane.
        display_labels: names to show for the classes in their sorted order.
        title: stands above; path: the file to write, .png, .svg or .pdf; None writes none.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError, ValueError: X has not two columns, y does not fit it, or the model neither.

    >>> moons = mg.Network(mg.Linear(2, 8), mg.Tanh(), mg.Linear(8, 2), seed=0)
    >>> figure = mg.plot.decision_boundary(moons, X[:, :2], y % 2)
    """
    where = "plot.decision_boundary"
    import numpy as np

    resolution = checks.count(where, "resolution", resolution, 2)
    data, names, points = _plane(where, X, resolution)
    if y is not None and len(y) != len(data):
        raise ValueError(f"{where}: X has {len(data)} rows, y has {len(y)}")
    found, sure = _outputs(where, model, points)
    grid = found.reshape(resolution, resolution)
    low, high = _limits(data)
    extent = (low[0], high[0], low[1], high[1])
    with picture(path, size=(6.4, 5.0), title=title) as (figure, (axes,)):
        if found.dtype.kind == "f":
            _draw_surface(figure, axes, grid, extent, data, y)
        else:
            column = None if y is None else class_column(where, "y", y)
            classes = sorted({*found.tolist(), *(column or [])})
            shown = _shown(where, classes, display_labels)
            _draw_classes(
                axes, np.searchsorted(np.array(classes), grid), sure, extent, len(classes)
            )
            _draw_points(axes, data, column, classes, shown)
        axes.set(xlim=extent[:2], ylim=extent[2:])
        axes.set(xlabel=text(names[0]), ylabel=text(names[1]))
    return figure


def _shown(where: str, classes: Sequence[Any], names: Sequence[object] | None) -> Sequence[object]:
    if names is not None and len(names) < len(classes):
        raise ValueError(
            f"{where}: display_labels has {len(names)} names for {len(classes)} classes"
        )
    return classes if names is None else names


def _limits(data: Any) -> tuple[Any, Any]:
    low, high = data.min(axis=0), data.max(axis=0)
    room = MARGIN * (high - low) + 1e-9 + (high == low) * 0.5
    return low - room, high + room


def _plane(where: str, X: Any, resolution: int) -> tuple[Any, list[object], Any]:
    """The data as an array, the names of the columns, and the plane's points as the model wants."""
    import numpy as np

    data = checks.matrix(
        where, "X", X, 2, np.dtype(np.float64), "a plane has two: choose two columns and train "
        "the model on them"
    )  # fmt: skip
    if not np.isfinite(data).all():
        row = int(np.argwhere(~np.isfinite(data))[0][0])
        raise ValueError(f"{where}: X[{row}] is {data[row]}, finite numbers are wanted")
    low, high = _limits(data)
    first, second = (np.linspace(low[i], high[i], resolution) for i in (0, 1))
    points = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    columns = getattr(X, "columns", None)
    if columns is None:
        return data, ["x1", "x2"], points
    names = list(columns)
    frame = type(X)
    if hasattr(X, "loc"):  # pandas
        return data, names, frame(points, columns=columns)
    return data, names, frame(points, schema=names)


def _outputs(where: str, model: Any, points: Any) -> tuple[Any, Any]:
    """The class or the number of each point; the probabilities of all classes, or None."""
    import numpy as np

    probability = getattr(model, "predict_proba", None)
    sure = None
    kind = getattr(model, "loss_kind", None)
    if kind is not None:  # a Network or a Predictor
        if kind.output is None:
            found = model(points) if callable(model) else model.predict(points)
        else:
            found = model.classify(points)
            sure = model.predict_proba(points)
    elif hasattr(model, "predict"):
        found = model.predict(points)
        sure = None if probability is None else np.asarray(probability(points))
    elif callable(model):
        found = model(points)
    else:
        raise TypeError(
            f"{where}: model is {checks.describe(model)}; a Network, a Predictor, an estimator or "
            "a function of points is wanted"
        )
    found = np.asarray(found)
    if found.shape == (len(points), 1):
        found = found[:, 0]
    if found.shape != (len(points),):
        raise ValueError(
            f"{where}: the model gives {checks.describe(found)} for {len(points)} points, one "
            "class or one number for each is wanted"
        )
    return (np.array(found.tolist()) if found.dtype.kind == "O" else found), sure


def _draw_classes(axes: Any, index: Any, sure: Any, extent: Any, n: int) -> None:
    """The plane in the colours of its n classes, and the lines between them.

    index: the class of each point; sure: the probabilities of all classes, (points, n), or None.
    """
    import numpy as np
    from matplotlib.colors import to_rgb

    colors = np.array([to_rgb(marks(i)["color"]) for i in range(n)])
    each = (index[..., None] == np.arange(n)) * 1.0
    if sure is not None and sure.shape[1] == n:  # else y has classes that the model has not
        each = sure.reshape(each.shape)
    certain = (each.max(axis=-1) - 1 / n) / (1 - 1 / n) if n > 1 else np.ones(index.shape)
    depth = PALEST + (DEEPEST - PALEST) * np.clip(certain, 0, 1)
    plane = 1 - depth[..., None] * (1 - colors[index])
    axes.imshow(plane, origin="lower", extent=extent, aspect="auto", interpolation="nearest")
    lines = {"colors": "black", "linewidths": 1.2, "linestyles": "-"}
    for i in range(n):
        others = np.delete(each, i, axis=-1)
        if others.size and 0 < (index == i).mean() < 1:
            ahead = each[..., i] - others.max(axis=-1)
            axes.contour(ahead, [0.0], origin="lower", extent=extent, **lines)


def _draw_points(axes: Any, data: Any, column: Any, classes: Any, shown: Sequence[object]) -> None:
    """The data, each class with its colour and its shape."""
    size = 32 if len(data) <= 1000 else 9
    if column is None:
        axes.scatter(*data.T, s=size, color="white", edgecolors="black", linewidths=0.7)
        return
    handles, names = [], []
    for i, label in enumerate(classes):
        rows = [value == label for value in column]
        if any(rows):
            style = {"s": size, "edgecolors": "black", "linewidths": 0.7} | marks(i)
            handles.append(axes.scatter(*data[rows].T, **style))
            names.append(shown[i])
    if len(handles) <= 12:
        legend(axes, handles, names, loc="best")


def _draw_surface(figure: Any, axes: Any, grid: Any, extent: Any, data: Any, y: Any) -> None:
    """The plane in the colours of its numbers, on the scale of the data's."""
    import numpy as np

    values = None if y is None else np.asarray(y, dtype=float).reshape(-1)
    both = grid if values is None else np.concatenate([grid.ravel(), values])
    scale = {"vmin": float(both.min()), "vmax": float(both.max()), "cmap": SEQUENTIAL}
    image = axes.imshow(grid, origin="lower", extent=extent, aspect="auto", **scale)
    axes.contour(grid, 8, origin="lower", extent=extent, colors="white", linewidths=0.7)
    if values is None:
        axes.scatter(*data.T, s=20, color="white", edgecolors=PALETTE[7])
    else:
        axes.scatter(*data.T, s=32, c=values, edgecolors="black", linewidths=0.8, **scale)
    figure.colorbar(image, label="output").ax.tick_params(labelsize=SIZE - 1)
