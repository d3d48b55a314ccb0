"""What a model's inputs and outputs are in its user's terms: columns, units, names of classes.

`micrograd train` writes it into the model file, so that `predict`, `export` and `diagnose` scale as
the training did.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd.checks import describe
from micrograd.core import Array

if TYPE_CHECKING:
    from micrograd.network.network import Network

KEY = "columns"  # in net.metadata


@dataclass
class Columns:
    """features, target: names of columns; classes: names, empty for a quantity.

    An input is (x - mean) / std, column by column; a quantity is centre + unit * output.
    """

    features: list[str]
    target: str
    classes: list[str]
    mean: list[float]
    std: list[float]
    centre: float = 0.0
    unit: float = 1.0

    def scale(self, X: Array) -> Array:
        """Inputs of the network, float64, for rows as they are in the file."""
        scaled: Array = (X - np.array(self.mean)) / np.array(self.std)
        return scaled

    def to_plain(self) -> dict[str, Any]:
        """For net.metadata."""
        return dict(vars(self))

    @property
    def scales(self) -> bool:
        """Whether it changes any number."""
        inputs = any(self.mean) or any(x != 1 for x in self.std)
        return inputs or self.centre != 0 or self.unit != 1


def plain_columns(net: Network) -> Columns:
    """Numbers as they are: x0, x1, ... in, the classes 0, 1, ... or a number out."""
    n, outputs = net.in_features, net.out_features
    classes = [str(k) for k in range(outputs)] if net.loss_name == "cross_entropy" else []
    return Columns([f"x{i}" for i in range(n)], "y", classes, [0.0] * n, [1.0] * n)


def columns_of(net: Network, path: str) -> Columns:
    """What the model file says of its columns.

    Raises:
        ValueError: it is damaged; nothing in a file is taken on trust.
    """
    plain = net.metadata.get(KEY)
    if plain is None:
        return plain_columns(net)
    names = {field.name for field in fields(Columns)}
    if not isinstance(plain, dict) or set(plain) != names:
        raise ValueError(f"{path}: its columns are {describe(plain)}, not what train writes")
    columns = Columns(**plain)
    n, outputs = net.in_features, net.out_features
    texts, lists = [*_list(columns.features, n), columns.target, *_list(columns.classes)], []
    lists = [*_list(columns.mean, n), *_list(columns.std, n), columns.centre, columns.unit]
    fits = all(isinstance(text, str) for text in texts) and len(columns.classes) in (0, outputs)
    if not fits or not all(type(x) in (int, float) and np.isfinite(x) for x in lists):
        raise ValueError(f"{path}: what it says of its columns does not fit the network")
    if not all(x > 0 for x in columns.std):
        raise ValueError(f"{path}: a column has a standard deviation that is not positive")
    return columns


def _list(value: Any, length: int | None = None) -> list[Any]:
    """The list, or one that no check passes."""
    good = isinstance(value, list) and length in (None, len(value))
    return value if good else [None]


def load_model(path: str) -> tuple[Network, Columns]:
    """A model file and what its columns are."""
    from micrograd.saving.read import load

    net = load(path)
    return net, columns_of(net, path)


def in_file_units(net: Network, columns: Columns, path: str) -> Network:
    """The same function of unscaled rows: the scaling becomes part of the first and last Linear.

        W ((x - mean) / std) + b = (W / std) x + (b - (W / std) mean)

    Raises:
        ValueError: the network does not start or end with a Linear with a bias.
    """
    from micrograd.network.layers import Linear
    from micrograd.network.network import Network

    if not columns.scales:
        return net
    first, last = net.layers[0], net.layers[-1]
    if not all(isinstance(layer, Linear) and layer.bias for layer in (first, last)):
        raise ValueError(
            f"{path}: its scaling cannot be put into it: the first and the last layer have to be "
            "Linear, with a bias"
        )
    new = Network(*net.layers, loss=net.loss_name, dtype=net.dtype, seed=0)
    new.parameters().flat[...] = net.parameters().flat
    parameters = {p.name: p.data for p in new.parameters()}
    weight, bias = parameters["0.weight"], parameters["0.bias"]
    scaled = weight.astype(np.float64) / np.array(columns.std)
    bias[...] = bias - scaled @ np.array(columns.mean)
    weight[...] = scaled
    end = len(net.layers) - 1
    parameters[f"{end}.weight"][...] *= columns.unit
    parameters[f"{end}.bias"][...] = parameters[f"{end}.bias"] * columns.unit + columns.centre
    return new


def read_rows(path: str, columns: Columns, scaled: bool) -> tuple[Array, Array | None]:
    """All rows of a CSV file, and the targets, labels or quantities, if it has their column.

    scaled: as the network takes and gives them; else as they are in the file.

    Raises:
        ValueError: the file does not fit the columns.
    """
    from micrograd.data.features import read_features

    blocks = list(read_features(path, columns.features, columns.target))
    if not blocks:
        raise ValueError(f"{path}: no rows after the header")
    X = np.concatenate([rows for rows, _ in blocks])
    cells = [cell for _, truth in blocks for cell in truth]
    if scaled:
        X = columns.scale(X)
    if not cells:
        return X, None
    if not columns.classes:
        values = [number(cell) for cell in cells]
        if None in values:
            raise ValueError(f"{path}: {columns.target} is not a number in every row")
        y = np.array(values, dtype=np.float64)
        return X, (y - columns.centre) / columns.unit if scaled else y
    names = [same_name(cell, columns.classes) for cell in cells]
    unknown = sorted(set(names) - set(columns.classes))
    if unknown:
        raise ValueError(
            f"{path}: the class {unknown[0]!r} is none of {', '.join(columns.classes)}"
        )
    return X, np.array([columns.classes.index(name) for name in names])


def number(cell: str) -> float | None:
    """A finite number, or None."""
    from micrograd.data.table import parse_number

    value = parse_number(cell)
    return value if value is not None and np.isfinite(value) else None


def same_name(cell: str, classes: list[str]) -> str:
    """A class of the model for a cell: numbers may be written in another way, 1.0 for 1."""
    if cell in classes:
        return cell
    value = number(cell)
    return str(int(value)) if value is not None and value.is_integer() else cell
