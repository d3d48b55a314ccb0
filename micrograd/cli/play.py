"""`micrograd play`: a page on which networks train, are watched, wound back and compared."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from micrograd.cli.command import Clock, UsageError
from micrograd.cli.tables import add_reading_options, read, refuse_table_options
from micrograd.cli.train_options import number

if TYPE_CHECKING:
    from micrograd.play.config import Config
    from micrograd.play.dataset import Table

HIGHEST_PORT = 65535


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd play`."""
    parser.usage = "micrograd play [--data FILE --target COLUMN] [options]"
    add = parser.add_argument
    about = "a table of yours to train on: CSV, plain or packed, Parquet, Excel"
    add("--data", metavar="FILE", help=about)
    add("--target", metavar="COLUMN", help="name or index of the column to predict")
    about = "where to begin: an address copied from the page, or what stands behind its #"
    add("--config", metavar="ADDRESS", help=about)
    about = "of this machine, where the page is (default: any that is free)"
    add("--port", type=number(int, 0, HIGHEST_PORT + 1), default=0, metavar="N", help=about)
    about = "print the address only; open it in a browser yourself"
    add("--no-browser", action="store_true", help=about)
    add_reading_options(parser)


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Serves the page until Ctrl-C."""
    from micrograd.play import serve

    configs = configurations(options)
    table = table_of(options)
    if table is not None:
        names, wanted = table.frame.names, options.target
        if wanted not in names:
            wanted = names[_index(wanted, names, table.name)]
        configs = [config.changed({"data": "table", "target": wanted}) for config in configs]
    serve(table, configs, options.port, lambda address: announce(address, options.no_browser))


def configurations(options: argparse.Namespace) -> list[Config]:
    """Those of --config, or the usual one."""
    from micrograd.play.config import Config, from_fragment

    return [Config()] if options.config is None else from_fragment(options.config)


def table_of(options: argparse.Namespace) -> Table | None:
    """The table of --data, or None."""
    if options.data is None:
        refuse_table_options(options, "what the page begins with")
        return None
    if options.target is None:
        raise UsageError(f"{options.data} is a file: --target COLUMN has to say what to predict")
    from micrograd.play.dataset import Table

    frame = read(options, options.data)
    return Table(frame, os.path.basename(options.data), path=options.data)


def _index(wanted: str, names: list[str], table: str) -> int:
    """The place of a column that is given by its number."""
    try:
        index = int(wanted)
    except ValueError:
        index = len(names)
    if not -len(names) <= index < len(names):
        raise ValueError(f"{table}: no column {wanted!r}, the columns are {', '.join(names[:20])}")
    return index


def announce(address: str, quiet: bool) -> None:
    """Says where the page is, and opens it."""
    print(f"micrograd play: {address}\nCtrl-C ends it.", flush=True)
    if not quiet:
        import webbrowser

        webbrowser.open(address)
