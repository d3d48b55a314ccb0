"""`micrograd bench`: micrograd.bench behind the command line."""

from __future__ import annotations

import argparse

from micrograd.cli.command import Clock


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd bench`."""
    from micrograd.bench.command import add_arguments
    from micrograd.bench.tabular.command import add_options as add_tabular

    add_arguments(parser)
    add_tabular(parser)


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Runs the benchmark; a status other than 0 ends the process with it."""
    if options.tabular:
        from micrograd.bench.tabular.command import run as run_tabular

        run_tabular(options)
        return
    from micrograd.bench.command import run

    status = run(options)
    if status:
        raise SystemExit(status)
