"""`micrograd bench`: this core beside numpy and the frameworks, on one machine in one run.

workloads   what is timed                 contenders, frameworks   who is timed
check       whether they did the same     worker, workers          a process for each
machine     what the machine can do       rounds                   the measuring
report      the tables and the JSON       scaling, plots           the plots
"""

from __future__ import annotations

import argparse

__all__ = ["add_arguments", "main", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command to a parser."""
    from micrograd.bench import command

    command.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Carries out the command; returns its exit status."""
    from micrograd.bench import command

    return command.run(options)


def main(arguments: list[str] | None = None) -> int:
    """The command with its own parser; returns its exit status."""
    from micrograd.bench import command

    return command.main(arguments)
