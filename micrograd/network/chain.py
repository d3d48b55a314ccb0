"""Layers one behind the other: are they layers, and does each take what the one before gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from micrograd import checks
from micrograd.network.layers import Layer


def check_kinds(where: str, layers: Iterable[Any]) -> None:
    """Checks that all of them are layers.

    Raises:
        TypeError: one is not.
    """
    for i, layer in enumerate(layers):
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(
                f"{where}: layer {i} is the class {layer.__name__}; write {layer.__name__}()"
            )
        if not isinstance(layer, Layer):
            listed = isinstance(layer, (list, tuple)) and all(isinstance(x, Layer) for x in layer)
            hint = f"; write {where}(*layers), with a star" if listed and layer else ""
            raise TypeError(
                f"{where}: layer {i} is {checks.describe(layer)}, a layer is wanted{hint}"
            )


def check_chain(where: str, layers: Sequence[Layer]) -> int | None:
    """Checks that each layer takes what the one before it gives; returns what the first one takes.

    None is returned where no layer says how many features it takes.

    Raises:
        ValueError: two layers do not fit together.
    """
    features = first = None
    for i, layer in enumerate(layers):
        takes = layer.takes
        if features is None:
            features = first = takes
        elif takes is not None and takes != features:
            raise ValueError(
                f"{where}: layer {i} {layer} takes {takes} features, "
                f"but the layers before it give {features}"
            )
        if features is not None:
            features = layer.gives(features)
    return first
