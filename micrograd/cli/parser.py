"""The subcommands, and the parsing of a command line, `micrograd help` included."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import micrograd
from micrograd.cli.command import Clock, UsageError, suggestion

USAGE = 2  # exit code of a command line that was not understood


class Command(NamedTuple):
    """A subcommand: the name of its module in micrograd.cli, and what help says of it.

    The module is loaded when it is asked for: a command does not wait for what others need.
    """

    name: str
    summary: str
    example: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declares its options."""
        self._module().add_options(parser)

    def run(self, options: argparse.Namespace, clock: Clock) -> None:
        """Does what it does."""
        self._module().run(options, clock)

    def _module(self) -> Any:
        return import_module(f"micrograd.cli.{self.name}")


COMMANDS = (
    Command(
        "train",
        "train a network on the embedded digits, MNIST files or a CSV file",
        "micrograd train digits --layers 128,64 --plot curves.png\n"
        "  micrograd train houses.csv --target price --save houses.safetensors",
    ),
    Command(
        "predict",
        "write what a saved model says of the rows of a CSV file",
        "micrograd predict houses.safetensors new.csv --output prices.csv",
    ),
    Command(
        "export",
        "write a saved model as ONNX, as a C header, or for PyTorch",
        "micrograd export houses.safetensors --c houses.h\n"
        "  micrograd export houses.safetensors --onnx houses.onnx",
    ),
    Command(
        "diagnose",
        "say whether the gradient reaches every layer of a saved model",
        "micrograd diagnose digits.safetensors digits",
    ),
    Command(
        "draw",
        "draw a saved model: forward, backward and the cache, or a page to step through",
        "micrograd draw digits.safetensors --output digits.svg\n"
        "  micrograd draw houses.safetensors --output houses.html --data houses.csv",
    ),
    Command(
        "play",
        "play with a network in the browser: data, layers, gradients, live",
        "micrograd play\n  micrograd play --data houses.csv --target price",
    ),
    Command(
        "bench",
        "measure one training step against numpy, torch, jax and scikit-learn",
        "micrograd bench --threads 1 --workloads 784-128-10",
    ),
    Command(
        "selftest",
        "compare random networks with PyTorch on every instruction set of this machine",
        "micrograd selftest --networks 200",
    ),
    Command(
        "info",
        "say what is installed and what it uses of this machine",
        "MICROGRAD_ISA=generic micrograd info",
    ),
)


def commands() -> dict[str, Command]:
    """The subcommands by name, in the order in which help lists them."""
    return {command.name: command for command in COMMANDS}


def parsed(arguments: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """The subcommand and its options.

    Raises:
        SystemExit: help or the version was asked for and has been printed; or nothing was said.
        UsageError: the line was not understood.
    """
    table = commands()
    top = overview(table)
    if not arguments:
        top.print_help(sys.stderr)
        raise SystemExit(USAGE)
    name, *rest = arguments
    if name == "help":
        if not rest:
            top.print_help()
            raise SystemExit(0)
        name, rest = rest[0], ["--help"]
    if name not in table:
        top.parse_known_args([name])  # ends here if it is -h, --help or --version
        known = [*table, "help", "--help", "--version"]
        top.error(f"no command {name!r}{suggestion(name, known)}")
    parser = parser_of(table[name])
    options, unknown = parser.parse_known_args(rest)
    if unknown:
        known = re.findall(r"--[\w-]+", parser.format_help())
        hint = suggestion(unknown[0].partition("=")[0], known)
        parser.error(f"unexpected argument {unknown[0]!r}{hint}")
    return table[name], options


def overview(table: dict[str, Command]) -> Parser:
    """The parser of the line without a subcommand: it lists them."""
    listed = "".join(f"\n  {name:10}{command.summary}" for name, command in table.items())
    more = "`micrograd help COMMAND` explains one of them, with an example."
    top = Parser("micrograd", f"commands:{listed}\n\n{more}", usage="micrograd COMMAND [options]")
    top.add_argument("--version", action="version", version=f"micrograd {micrograd.__version__}")
    return top


def parser_of(command: Command) -> Parser:
    """The parser of a subcommand."""
    about = f"{command.summary[0].upper()}{command.summary[1:]}."
    parser = Parser(
        f"micrograd {command.name}", f"example:\n  {command.example}", description=about
    )
    command.add_options(parser)
    return parser


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are exceptions, and whose epilog keeps its lines."""

    def __init__(self, prog: str, epilog: str, **settings: Any) -> None:
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, epilog=epilog, formatter_class=raw, allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")
