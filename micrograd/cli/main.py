"""The `micrograd` command. Its functions import what they need: `--help` loads no numpy."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import micrograd
from micrograd.cli import bench, diagnose, export, info, installed, predict, train
from micrograd.cli.command import Clock, UsageError, suggestion

IMPORTED, CPU_AT_IMPORT = time.perf_counter(), time.process_time()
FAILURE, USAGE, INTERRUPTED = 1, 2, 130  # exit codes


class Command(NamedTuple):
    """A subcommand: what help says of it, how it declares its options, and what it does."""

    summary: str
    example: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Clock], None]


def commands() -> dict[str, Command]:
    """The subcommands by name, in the order in which help lists them."""
    return {
        "train": Command(
            "train a network on the embedded digits, MNIST files or a CSV file",
            "micrograd train digits --layers 128,64 --plot curves.png\n"
            "  micrograd train houses.csv --target price --save houses.safetensors",
            train.add_options,
            train.run,
        ),
        "predict": Command(
            "write what a saved model says of the rows of a CSV file",
            "micrograd predict houses.safetensors new.csv --output prices.csv",
            predict.add_options,
            predict.run,
        ),
        "export": Command(
            "write a saved model as ONNX, as a C header, or for PyTorch",
            "micrograd export houses.safetensors --c houses.h\n"
            "  micrograd export houses.safetensors --onnx houses.onnx",
            export.add_options,
            export.run,
        ),
        "diagnose": Command(
            "say whether the gradient reaches every layer of a saved model",
            "micrograd diagnose digits.safetensors digits",
            diagnose.add_options,
            diagnose.run,
        ),
        "bench": Command(
            "measure one training step against numpy, torch, jax and scikit-learn",
            "micrograd bench --threads 1 --workloads 784-128-10",
            bench.add_options,
            bench.run,
        ),
        "info": Command(
            "say what is installed and what it uses of this machine",
            "MICROGRAD_ISA=generic micrograd info",
            info.add_options,
            info.run,
        ),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv`, or that of the process and counts time from its start.

    Returns 0; 1 if the command failed (bad file, diverged); 2 if it was not understood; 130 after
    Ctrl-C. Errors are one line on standard error.
    """
    if not hasattr(micrograd, "__version__"):  # another package's __init__.py lies over ours
        package = Path(__file__).parents[1]
        return complain(f"error: {installed.collision(package) or installed.FOREIGN}", FAILURE)
    try:
        if argv is None:
            run(sys.argv[1:], Clock(process_start()))
        else:
            run(argv, Clock(time.perf_counter()))
        sys.stdout.flush()
    except SystemExit as stop:  # argparse, after --help or --version
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of `micrograd ... | head` has gone: nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except (UsageError, OSError, ValueError, ArithmeticError, ImportError, MemoryError) as error:
        text = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.filename is not None:
            text = f"{error.filename}: {error.strerror}"
        return complain(f"error: {text}", USAGE if isinstance(error, UsageError) else FAILURE)
    return 0


def complain(text: str, code: int) -> int:
    """Prints one line, on a terminal over an unfinished progress line, and returns the code."""
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{start}micrograd: {' '.join(text.split())}", file=sys.stderr)
    return code


def run(arguments: Sequence[str], clock: Clock) -> None:
    """Finds the subcommand and runs it with its options."""
    table = commands()
    listed = "".join(f"\n  {name:10}{command.summary}" for name, command in table.items())
    more = "micrograd COMMAND --help explains one of them, with an example."
    top = Parser("micrograd", f"commands:{listed}\n\n{more}", usage="micrograd COMMAND [options]")
    top.add_argument("--version", action="version", version=f"micrograd {micrograd.__version__}")
    if not arguments:
        top.print_help(sys.stderr)
        raise SystemExit(USAGE)
    name = arguments[0]
    if name not in table:
        top.parse_known_args([name])  # ends here if it is -h, --help or --version
        top.error(f"no command {name!r}{suggestion(name, [*table, '--help', '--version'])}")
    command = table[name]
    about = f"{command.summary[0].upper()}{command.summary[1:]}."
    parser = Parser(f"micrograd {name}", f"example:\n  {command.example}", description=about)
    command.add_options(parser)
    options, unknown = parser.parse_known_args(arguments[1:])
    if unknown:
        known = re.findall(r"--[\w-]+", parser.format_help())
        hint = suggestion(unknown[0].partition("=")[0], known)
        parser.error(f"unexpected argument {unknown[0]!r}{hint}")
    command.run(options, clock)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are exceptions, and whose epilog keeps its lines."""

    def __init__(self, prog: str, epilog: str, **settings: Any) -> None:
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, epilog=epilog, formatter_class=raw, allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")


def process_start() -> float:
    """When this process started, as far as its processor time tells.

    The time at which the system made it is that of the shell where `sh -c "... && micrograd"`
    became this program, and would count what went before.
    """
    return IMPORTED - CPU_AT_IMPORT
