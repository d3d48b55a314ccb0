"""Images on the command line: the digits that come with the package, or a folder of MNIST files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.network.network import Network


def is_image_set(source: str) -> bool:
    """Whether it is `digits` or a folder, and no table."""
    return source == "digits" or os.path.isdir(source)


def images(net: Network, source: str) -> tuple[Array, Array]:
    """The images (rows, pixels) that a model has not been trained on, and their labels (rows,): the
    test part of a folder, all of the digits, for which each model has another.

    Raises:
        ValueError: the model is of a table, takes another number of pixels, or knows fewer labels.
    """
    from micrograd import data
    from micrograd.cli.models import KEY

    if KEY in net.metadata:
        what = "a set of images" if source == "digits" else "a folder"
        raise ValueError(f"{source}: {what}; the model was trained on a table: name a file like it")

    X, y = data.digits() if source == "digits" else data.mnist(source)[2:]
    if X.shape[1] != net.in_features:
        raise ValueError(
            f"{source}: images of {X.shape[1]} pixels, the model takes {net.in_features} numbers"
        )
    known = max(2, net.out_features)
    if y.max(initial=0) >= known:
        raise ValueError(f"{source}: a label is {y.max()}, the model knows 0 to {known - 1}")
    return X, y
