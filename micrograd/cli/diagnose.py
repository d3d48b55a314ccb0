"""`micrograd diagnose`: whether the gradient reaches every layer of a saved model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from micrograd import plot
from micrograd.cli.advice import advice
from micrograd.cli.command import Clock
from micrograd.cli.files import check_outputs
from micrograd.cli.images import images, is_image_set
from micrograd.cli.tables import add_reading_options, read

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.network.network import Network
    from micrograd.tabular import Schema

ROWS = 1000  # of the data, the first: enough for means over rows


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd diagnose`."""
    parser.usage = "micrograd diagnose MODEL DATA [options]"
    add = parser.add_argument
    about = "a file that micrograd train --save, or net.save, has written"
    add("model", metavar="MODEL", help=about)
    about = "what it was trained on: digits, a folder of MNIST IDX files, or a CSV file; "
    about += f"{ROWS} rows at most are looked at"
    add("source", metavar="DATA", help=about)
    add("--plot", metavar="FILE.png", help="draw the size of delta in each layer")
    add_reading_options(parser)


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Prints a line for each layer, a verdict and a remedy."""
    if options.plot:
        plot.check(options.plot)
    check_outputs({"--plot": options.plot}, [options.model, options.source])
    from micrograd.cli.models import load_model

    net, schema = load_model(options.model)
    X, y = load(options, net, schema)
    from micrograd.diagnose import diagnose

    diagnosis = diagnose(net, X[:ROWS], y[:ROWS])
    print(diagnosis)
    print(advice(net.position.history if net.position is not None else {}))
    if options.plot:
        diagnosis.plot(options.plot, f"{options.model}, {options.source}")


def load(options: argparse.Namespace, net: Network, schema: Schema) -> tuple[Array, Array]:
    """X and y as the network takes them."""
    from micrograd.cli.models import targets_of

    source = options.source
    if is_image_set(source):
        return images(net, source)
    frame = schema.align(read(options, source, schema))
    y = targets_of(schema, frame)
    if y is None:
        name = next(t.name for t in schema.targets if t.name not in frame.names)
        raise ValueError(f"{source}: no column {name!r}: a diagnosis wants the targets")
    return schema.transform(frame), y
