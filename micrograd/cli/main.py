"""The `micrograd` command. Its functions import what they need: `--help` loads no numpy."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import micrograd
from micrograd.cli.command import Clock, UsageError, said
from micrograd.cli.launched import is_first
from micrograd.cli.parser import USAGE, parsed

IMPORTED, CPU_AT_IMPORT = time.perf_counter(), time.process_time()
FAILURE, INTERRUPTED = 1, 130  # exit codes, beside USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv`, or that of the process and counts time from its start.

    Returns 0; 1 if the command failed (bad file, diverged); 2 if it was not understood; 130 after
    Ctrl-C. Errors are one line on standard error.
    """
    if not hasattr(micrograd, "__version__"):  # another package's __init__.py lies over ours
        from micrograd.cli import installed

        package = Path(__file__).parents[1]
        return complain(f"error: {installed.collision(package) or installed.FOREIGN}", FAILURE)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a report is not lost for a name it cannot print
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if argv is None:
            run(sys.argv[1:], Clock(process_start()))
        else:
            run(argv, Clock(time.perf_counter()))
        if sys.stdout is not None:  # as where a shell has closed it
            sys.stdout.flush()
    except SystemExit as stop:  # argparse, after --help or --version
        return int(stop.code or 0)
    except KeyboardInterrupt as interrupt:
        return complain(str(interrupt) or "interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of `micrograd ... | head` has gone: nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except (UsageError, OSError, ValueError, ArithmeticError, ImportError, MemoryError) as error:
        code = USAGE if isinstance(error, UsageError) else FAILURE
        if code == USAGE and "--distributed" in sys.argv and not is_first(os.environ):
            return code  # rank 0 says it
        return complain(f"error: {said(error)}", code)
    return 0


def complain(text: str, code: int) -> int:
    """Prints one line, on a terminal over an unfinished progress line, and returns the code."""
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{start}micrograd: {' '.join(text.split())}", file=sys.stderr)
    return code


def run(arguments: Sequence[str], clock: Clock) -> None:
    """Finds the subcommand and runs it with its options."""
    command, options = parsed(arguments)
    command.run(options, clock)


def process_start() -> float:
    """When this process started, as far as its processor time tells.

    The time at which the system made it is that of the shell where `sh -c "... && micrograd"`
    became this program, and would count what went before.
    """
    return IMPORTED - CPU_AT_IMPORT
