"""The data that the commands work on: the digits, a folder of MNIST files, or a CSV file."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, NamedTuple

from micrograd.cli.command import UsageError, suggestion

if TYPE_CHECKING:
    from micrograd.cli.columns import Columns
    from micrograd.core import Array

TEST_FRACTION = 0.2


class Task(NamedTuple):
    """Data to train on and to test with, (X, y) each, and what the network is to make of them."""

    name: str
    train: tuple[Array, Array]
    test: tuple[Array, Array]
    loss: str
    outputs: int  # number of classes, or 1 for a quantity
    columns: Columns  # what they are called in the file, and how they are scaled


def load(options: argparse.Namespace) -> Task:
    """The data that the options name."""
    source = options.source
    is_csv = source != "digits" and not os.path.isdir(source)
    if is_csv and not os.path.exists(source):
        raise ValueError(f"no file or folder {source!r}{suggestion(source, ['digits'])}")
    if is_csv and options.target is None:
        raise UsageError(f"{source} is a file: --target COLUMN has to say what to predict")
    if not is_csv and (options.target is not None or options.kind != "auto"):
        raise UsageError(f"--target and --kind are for CSV files, {source} is none")
    if is_csv:
        return load_csv(options)
    from micrograd import data
    from micrograd.cli.columns import Columns

    if source == "digits":
        X, X_test, y, y_test = data.train_test_split(*data.digits(), TEST_FRACTION, options.seed)
    else:
        X, y, X_test, y_test = data.mnist(source)
    outputs = 1 + int(max(y.max(initial=0), y_test.max(initial=0)))
    names = [f"x{i}" for i in range(X.shape[1])]
    columns = Columns(
        names, "y", [str(k) for k in range(outputs)], [0.0] * len(names), [1.0] * len(names)
    )
    return Task(source, (X, y), (X_test, y_test), "cross_entropy", outputs, columns)


def load_csv(options: argparse.Namespace) -> Task:
    """A CSV file, scaled to mean 0 and standard deviation 1 over the training rows."""
    from micrograd import data
    from micrograd.cli.columns import Columns

    table = data.read_csv(options.source, options.target, kind=options.kind)
    name = f"{options.source}, {table.target_name}"
    if len(table.classes) == 1:
        raise ValueError(f"{name}: every row is {table.classes[0]!r}, there is nothing to learn")
    X, X_test, y, y_test = data.train_test_split(table.X, table.y, TEST_FRACTION, options.seed)
    mean, std = X.mean(axis=0), X.std(axis=0)
    std[std == 0] = 1
    columns = Columns(
        list(table.feature_names), table.target_name, list(table.classes), mean.tolist(),
        std.tolist(),
    )  # fmt: skip
    X, X_test = columns.scale(X), columns.scale(X_test)
    if table.classes:
        return Task(name, (X, y), (X_test, y_test), "cross_entropy", len(table.classes), columns)
    columns.centre, columns.unit = float(y.mean()), float(y.std()) or 1.0
    y, y_test = ((part - columns.centre) / columns.unit for part in (y, y_test))
    return Task(name, (X, y), (X_test, y_test), "mse", 1, columns)
