"""The weights of a layer as images: what each of its units looks for."""

from __future__ import annotations

import math
import os
from typing import Any

from micrograd import checks
from micrograd.plot.style import DIVERGING, SIZE, picture, text


def weights(
    model: Any,
    layer: int | str = 0,
    shape: tuple[int, int] | None = None,
    units: int = 64,
    title: str = "",
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draws the weights of a layer: an image for each unit, red where they are positive.

    All images share one scale, with 0 in the middle.

    Args:
        model: a Network, a Predictor, or an estimator that has a network.
        layer: which weight matrix, counted from 0 at the input; or the path of its layer in a
            network, as "2" or "3.1".
        shape: height and width of an image, the inputs of the layer row by row. None: a square
            where the inputs are a square number, else the whole matrix is one image.
        units: how many to show at most; the heading says how many there are.
        title: stands above; path: the file to write, .png, .svg or .pdf; None writes none.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError, ValueError: the model has no such weights, or they do not have that shape.

    >>> figure = mg.plot.weights(net, shape=(8, 8))
    """
    where = "plot.weights"
    units = checks.count(where, "units", units)
    name, matrix = _matrix(where, model, layer)
    outputs, inputs = matrix.shape
    height, width = _sides(where, shape, inputs)
    top = float(abs(matrix).max()) or 1.0
    if not math.isfinite(top):
        raise ValueError(f"{where}: {name} has weights that are not finite")
    scale = {"vmin": -top, "vmax": top, "cmap": DIVERGING}
    if not height:
        return _whole(matrix, scale, title or name, path)
    heading = f"{name}: {units} of {outputs} units" if units < outputs else name
    images = matrix[:units].reshape(-1, height, width)
    return _tiles(images, scale, title or heading, path)


def _tiles(images: Any, scale: dict[str, Any], title: str, path: Any) -> Any:
    """An image for each unit, in a grid."""
    shown, height, width = images.shape
    columns = math.ceil(math.sqrt(shown * height / width))
    rows = math.ceil(shown / columns)
    edge = min(1.6, max(0.7, 8.0 / columns))
    with picture(path, columns, rows, (edge, edge * height / width), title) as (figure, panels):
        for axes in panels:
            axes.axis("off")
        for axes, pixels in zip(panels, images, strict=False):
            image = axes.imshow(pixels, **scale)
        _color_bar(figure, image, panels)
    return figure


def _sides(where: str, shape: tuple[int, int] | None, inputs: int) -> tuple[int, int]:
    """Height and width of an image; (0, 0) where the matrix itself is one."""
    if shape is None:
        side = math.isqrt(inputs)
        return (side, side) if side * side == inputs and side > 1 else (0, 0)
    height, width = (checks.count(where, "shape", side) for side in _pair(where, shape))
    if height * width != inputs:
        raise ValueError(
            f"{where}: shape {(height, width)} has {height * width} pixels, the layer has "
            f"{inputs} inputs"
        )
    return height, width


def _pair(where: str, shape: Any) -> tuple[Any, Any]:
    try:
        height, width = shape
    except (TypeError, ValueError):
        raise ValueError(
            f"{where}: shape is {shape!r}, (height, width) of an image is wanted"
        ) from None
    return height, width


def _whole(matrix: Any, scale: dict[str, Any], title: str, path: Any) -> Any:
    """The matrix as one image, a row for each unit."""
    outputs, inputs = matrix.shape
    size = (min(10.0, 3.5 + 0.15 * inputs), min(8.0, 2.2 + 0.15 * outputs))
    with picture(path, size=size, title=title) as (figure, (axes,)):
        image = axes.imshow(matrix, aspect="auto", **scale)
        axes.set(xlabel="input", ylabel="unit")
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_locator().set_params(integer=True)
        _color_bar(figure, image, axes)
    return figure


def _color_bar(figure: Any, image: Any, beside: Any) -> None:
    bar = figure.colorbar(image, ax=beside, label="weight", shrink=0.8)
    bar.ax.tick_params(labelsize=SIZE - 1)


def _matrix(where: str, model: Any, layer: int | str) -> tuple[str, Any]:
    """The name of a weight matrix, and its numbers (outputs, inputs)."""
    found = _matrices(where, model)
    if isinstance(layer, str):
        names = [name.removesuffix(".weight") for name, _ in found]
        if layer not in names:
            raise ValueError(f"{where}: layer is {layer!r}, there are {', '.join(names)}")
        return found[names.index(layer)]
    number = checks.count(where, "layer", layer, 0)
    if number >= len(found):
        raise ValueError(f"{where}: layer is {number}, the model has {len(found)} weight matrices")
    return found[number]


def _matrices(where: str, model: Any) -> list[tuple[str, Any]]:
    """(name, numbers) of all weight matrices, from the input on."""
    if hasattr(model, "coefs_"):  # an estimator, whose matrices are (inputs, outputs)
        return [(f"coefs_[{i}]", w.T) for i, w in enumerate(model.coefs_)]
    if hasattr(model, "weights"):  # a Predictor
        named = list(model.weights().items())
    elif hasattr(model, "parameters") and not isinstance(model, type):
        named = [(p.name, p.data) for p in model.parameters() if hasattr(p, "name")]
    else:
        hint = "; members_[0] is one of its networks" if hasattr(model, "members_") else ""
        raise TypeError(
            f"{where}: model is {text(type(model).__name__)}; a Network, a Predictor or a fitted "
            f"estimator is wanted{hint}"
        )
    found = [(name, w) for name, w in named if name.endswith(".weight") and w.ndim == 2]
    if not found:
        raise ValueError(f"{where}: the model has no weight matrix")
    return found
