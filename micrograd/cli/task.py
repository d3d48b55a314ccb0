"""The data that the commands work on: the digits, a folder of MNIST files, or a table."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, NamedTuple

from micrograd.cli.command import UsageError, suggestion

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.tabular import Frame, Schema

TEST_FRACTION = 0.2


class Task(NamedTuple):
    """Data to train on and to test with, (X, y) each, and what the network is to make of them."""

    name: str
    train: tuple[Array, Array]
    test: tuple[Array, Array]
    loss: str
    outputs: int  # number of classes, or of quantities
    schema: Schema | None  # of a table
    classes: tuple[str, ...] = ()  # of images, by label


def load(options: argparse.Namespace) -> Task:
    """The data that the options name."""
    from micrograd.cli import tables

    source = options.source
    if source == "-" and not os.path.exists(source):
        raise UsageError("- is no file; /dev/stdin is read from a pipe")
    if source != "digits" and not os.path.exists(source):
        raise ValueError(f"no file or folder {source!r}{suggestion(source, ['digits'])}")
    if is_table(source):
        if not tables.listed(options.target):
            names = tables.read(options, source).names
            raise UsageError(
                f"{source} is a file: --target COLUMN has to say what to predict, one of "
                f"{', '.join(names[:20])}{', ...' * (len(names) > 20)}"
            )
        return load_table(options)
    from micrograd import data

    tables.refuse_table_options(options, source)
    if source == "digits":
        X, X_test, y, y_test = data.train_test_split(*data.digits(), TEST_FRACTION, options.seed)
        return Task(source, (X, y), (X_test, y_test), "cross_entropy", 10, None)
    found = data.read_images(source)
    classes = found.classes
    return Task(source, found.train, found.test, "cross_entropy", len(classes), None, classes)


def is_table(source: str) -> bool:
    """Whether it is a file, and neither `digits` nor a folder of images."""
    return source != "digits" and os.path.exists(source) and not os.path.isdir(source)


def load_table(options: argparse.Namespace) -> Task:
    """A table: its schema, with the scales of the rows to train on, and both parts of it.

    Where training goes on from a model file, that file's schema counts: columns are found by their
    names, and a class that it does not know is an error.
    """
    from micrograd.cli import tables
    from micrograd.cli.train_options import by_preset
    from micrograd.sklearn.tabular_recipe import EMBED_ABOVE

    before = saved_schema(options)
    frame = tables.read(options, options.source, before)
    schema = before or tables.infer(options, frame, EMBED_ABOVE if by_preset(options) else None)
    if before is not None:
        check_same_targets(options, before)
    train, test = split(options, schema, frame)
    if before is None:
        schema = schema.fitted(train)
    name = f"{options.source}, {', '.join(target.name for target in schema.targets)}"
    parts = _numbers(schema, train, name), _numbers(schema, test, name)
    classes = schema.targets[0].classes
    loss = "cross_entropy" if classes else "mse"
    return Task(name, *parts, loss, len(classes) or len(schema.targets), schema)


def _numbers(schema: Schema, frame: Frame, name: str) -> tuple[Array, Array]:
    from micrograd.cli.models import targets_of

    y = targets_of(schema, frame)
    if y is None:
        missing = [t.name for t in schema.targets if t.name not in frame.names]
        raise ValueError(
            f"{frame.source}: no column {missing[0]!r}, which {name} has as its target"
        )
    return schema.transform(frame), y


def saved_schema(options: argparse.Namespace) -> Schema | None:
    """The schema in the model file that training goes on from, if there is such a file."""
    if not options.resume or not os.path.exists(options.resume):
        return None
    from micrograd.cli.models import load_model

    return load_model(options.resume)[1]


def check_same_targets(options: argparse.Namespace, schema: Schema) -> None:
    """Raises ValueError where the options name other targets than the model has."""
    from micrograd.cli.tables import listed

    wanted = {options.target} | set(listed(options.target))
    names = [target.name for target in schema.targets]
    if schema.header and not set(names) <= wanted:
        raise ValueError(
            f"{options.resume}: predicts {', '.join(names)}, --target is {options.target}; "
            "go on with the same target, or save the new model in another file"
        )


def split(options: argparse.Namespace, schema: Schema, frame: Frame) -> tuple[Frame, Frame]:
    """Rows to train on and to test with: another file, the last fifth, or a fifth drawn at random,
    of each class its share."""
    import numpy as np

    from micrograd import data
    from micrograd.cli import tables

    frame = schema.align(frame)
    if options.test:
        return frame, schema.align(tables.read(options, options.test, schema))
    rows = np.arange(len(frame))
    if options.no_shuffle:
        first = len(rows) - max(1, round(TEST_FRACTION * len(rows)))
        return frame.take(rows[:first]), frame.take(rows[first:])
    y = schema.targets[0].values(frame)
    train, test, _, _ = data.train_test_split(rows[:, None], y, TEST_FRACTION, options.seed)
    return frame.take(train[:, 0]), frame.take(test[:, 0])
