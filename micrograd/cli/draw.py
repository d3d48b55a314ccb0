"""`micrograd draw`: a picture of a saved model, or a page to step through."""

from __future__ import annotations

import argparse
import os

from micrograd.cli.command import Clock, UsageError
from micrograd.cli.files import check_outputs
from micrograd.cli.tables import add_reading_options

ROWS = 1000  # of the data, the first: enough for means over rows
FORMATS = (".svg", ".html", ".mmd", ".dot", ".png")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd draw`."""
    parser.usage = "micrograd draw MODEL --output FILE [options]"
    add = parser.add_argument
    about = "a file that micrograd train --save, or net.save, has written"
    add("model", metavar="MODEL", help=about)
    about = f"where to; the ending says what: {', '.join(FORMATS)}"
    add("--output", metavar="FILE", required=True, help=about)
    about = "what it was trained on (digits, a folder of MNIST IDX files, or a CSV file): numbers "
    about += "appear and layers are coloured by the size of their gradient; "
    about += f"{ROWS} rows at most are looked at, and a page offers the first as samples"
    add("--data", metavar="DATA", dest="source", help=about)
    about = "every step of a deep network, which else becomes blocks of layers"
    add("--all", action="store_true", help=about)
    add_reading_options(parser)


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Writes the file and says what is hidden."""
    ending = os.path.splitext(options.output)[1].lower()
    if ending not in FORMATS:
        raise UsageError(f"--output {options.output!r} ends in none of {', '.join(FORMATS)}")
    from micrograd.cli.diagnose import load
    from micrograd.cli.models import load_model
    from micrograd.draw.models import of_network
    from micrograd.draw.unrolled import Names

    inputs = [options.model, *([options.source] if options.source else [])]
    check_outputs({"--output": options.output}, inputs)
    net, schema = load_model(options.model)
    X = y = None
    names = Names(list(schema.encoded_names), [str(t) for t in schema.targets[0].classes])
    if options.source is not None:
        X, y = load(options, net, schema)
        X, y = X[:ROWS], y[:ROWS]
    drawing = of_network(net, X, y, False if options.all else None, names)
    drawing.save(options.output)
    print(f"{options.output}: {drawing.title}")
    for note in drawing.notes:
        print(note)
