"""`micrograd selftest`: random networks beside PyTorch."""

from __future__ import annotations

import argparse

from micrograd.cli.command import Clock


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares how many networks, and the seed of the first."""
    parser.add_argument(
        "--networks",
        type=int,
        default=200,
        metavar="N",
        help="how many random networks, dealt out to the instruction sets here (default: 200)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the first; --networks 1 --seed S runs network S again (default: 0)",
    )


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Prints how many networks agreed and the worst errors; status 1 if one did not agree."""
    from micrograd.selftest import selftest

    report = selftest(options.networks, options.seed)
    print(report)
    if not report.passed:
        raise SystemExit(1)
