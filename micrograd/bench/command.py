"""The command `micrograd bench`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from micrograd import checks
from micrograd.bench import machine, report, rounds, workers
from micrograd.bench.contenders import CONTENDERS, OURS
from micrograd.bench.report import Report
from micrograd.bench.rounds import Settings
from micrograd.bench.workers import Team, WorkerError
from micrograd.bench.workloads import WORKLOADS, Workload, parse

QUICK_ROUNDS = 3


def _list_of(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _threads(text: str) -> list[int]:
    parts = _list_of(text)
    if not parts or not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r}: numbers of threads are wanted, such as 1,2")
    return list(dict.fromkeys(map(int, parts)))


def _workloads(text: str) -> list[Workload]:
    try:
        return [parse(part) for part in _list_of(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _contenders(text: str) -> list[str]:
    names = _list_of(text)
    for name in names:
        if name not in CONTENDERS and ":" not in name:
            known = ", ".join(CONTENDERS)
            raise argparse.ArgumentTypeError(
                f"contender {name!r} is none of {known}; one of your own is module:Class"
            )
    return names


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: 1 or more is wanted")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `micrograd bench`."""
    everything = sorted({1, machine.cores()})
    parser.add_argument(
        "--threads",
        type=_threads,
        default=everything,
        metavar="N,N",
        help="default: 1 and all cores",
    )
    parser.add_argument(
        "--rounds", type=_rounds, help=f"default {Settings.rounds}, with --quick {QUICK_ROUNDS}"
    )
    parser.add_argument(
        "--workloads",
        type=_workloads,
        default=list(WORKLOADS),
        metavar="LAYERS,...",
        help=f"of {', '.join(w.layers for w in WORKLOADS)}; any other as LAYERS/BATCH: 8-16-2/32",
    )
    parser.add_argument(
        "--contenders",
        type=_contenders,
        default=list(CONTENDERS),
        metavar="NAME,...",
        help=f"of {', '.join(CONTENDERS)}, or module:Class; micrograd always takes part",
    )
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--quick", action="store_true", help="a rough look: short and few rounds")
    parser.add_argument(
        "--isa",
        choices=("avx2",),
        help="hold micrograd and the others to AVX2 on a machine that has more",
    )
    _add_others(parser)
    parser.add_argument("--markdown", action="store_true", help="print the README's table")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to FILE")
    parser.add_argument(
        "--plot", type=Path, metavar="FOLDER", help="write roofline and scaling plots (matplotlib)"
    )


def _add_others(parser: argparse.ArgumentParser) -> None:
    """Other benchmarks than that of a step, each instead of it."""
    parser.add_argument("--step-overhead", action="store_true", help="measure nothing else")
    parser.add_argument(
        "--threads-threshold",
        action="store_true",
        help="from which size on more threads pay, nothing else",
    )
    parser.add_argument(
        "--scalar", action="store_true", help="the engine of Values beside others, nothing else"
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="blocks and recomputation in deep networks, nothing else",
    )
    parser.add_argument(
        "--predict", action="store_true", help="one row and many through predict, nothing else"
    )
    parser.add_argument(
        "--many", action="store_true", help="many small networks at once, nothing else"
    )
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="instructions of a step in the C core, by valgrind, nothing else",
    )
    parser.add_argument(
        "--karpathy",
        type=Path,
        metavar="PATH",
        help="for --scalar: wheel (pip download micrograd) or source folder of karpathy/micrograd",
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _measure_bounds(team: Team, found: Report, threads: list[int]) -> None:
    for n in threads:
        worker = team.workers[OURS, n]
        try:
            rate = worker.ask("bandwidth")
        except WorkerError:
            continue
        if rate is not None:
            found.bandwidth[n] = rate


def collect(
    workloads: list[Workload], contenders: list[str], threads: list[int], settings: Settings
) -> Report:
    """Runs everything that the table needs.

    Raises:
        WorkerError: not even micrograd's own worker runs.
    """
    found = Report(settings, machine.description(), {})
    with Team(contenders, threads) as team:
        found.versions, found.failures = team.versions(), team.failures()
        found.machine["isa"] = team.workers[OURS, threads[0]].ask("isa")
        found.overhead = team.workers[OURS, threads[0]].ask("overhead")
        _measure_bounds(team, found, threads)
        for number, workload in enumerate(workloads, start=1):
            _say(f"{number}/{len(workloads)}  {workload}")
            found.rows += rounds.measure(team, threads, workload, settings)
    return found


def _print_overhead(threads: int) -> None:
    with Team([], [threads]) as team:
        seconds = team.workers[OURS, threads].ask("overhead")
    for name, value in seconds.items():
        print(f"{name:10} {report.duration(value)}")


def _print_threshold(threads: int, settings: Settings) -> None:
    from micrograd.bench import threshold

    sizes = threshold.measure(threads, settings.dtype, settings.rounds)
    print("\n".join(threshold.lines(sizes, threads)))


def _no_file(path: Path) -> str | None:
    """Why `path` cannot be written, found out before a long run and not after it."""
    if not path.absolute().parent.is_dir():
        return f"{path}: there is no folder {path.absolute().parent}"
    return f"{path} is a folder" if path.is_dir() else None


def _impossible(options: argparse.Namespace) -> str | None:
    if options.plot is not None:
        try:
            checks.require("--plot", "matplotlib", "matplotlib", "plot")
        except ImportError as error:
            return str(error)
        if options.plot.exists() and not options.plot.is_dir():
            return f"--plot: {options.plot} is no folder"
    if options.threads_threshold and max(options.threads) == 1:
        return "--threads-threshold wants more than one thread: --threads 2"
    if options.karpathy is not None and not options.scalar:
        return "--karpathy goes with --scalar"
    if options.karpathy is not None and not options.karpathy.exists():
        return f"--karpathy: {options.karpathy} is not there"
    wrong = _no_file(options.json) if options.json is not None else None
    return f"--json: {wrong}" if wrong else None


def _other(options: argparse.Namespace, rounds: int) -> Iterable[str] | None:
    """The lines of another benchmark than that of a step, where one is asked for."""
    if options.scalar:
        from micrograd.bench.scalar import report as scalar

        return scalar.run(options.karpathy, rounds)
    if options.deep:
        from micrograd.bench.deep import report as deep

        return deep.run(rounds)
    if options.predict:
        from micrograd.bench import predict

        return predict.run(rounds)
    if options.many:
        from micrograd.bench import many

        return many.run(rounds)
    if options.instructions:
        from micrograd.bench import instructions

        return instructions.run(options.workloads, options.dtype)
    return None


def run(options: argparse.Namespace) -> int:
    """Carries out what add_arguments' options say; returns the exit status."""
    wrong = _impossible(options)
    if wrong:
        _say(f"micrograd bench: {wrong}")
        return 2
    if options.isa:
        os.environ.update(workers.held_to(options.isa))
    count = options.rounds or (QUICK_ROUNDS if options.quick else Settings.rounds)
    settings = Settings(count, options.dtype, options.quick)
    try:
        if (other := _other(options, count)) is not None:
            for line in other:
                print(line, flush=True)
            return 0
        if options.step_overhead:
            _print_overhead(options.threads[0])
            return 0
        if options.threads_threshold:
            _print_threshold(max(options.threads), settings)
            return 0
        found = collect(options.workloads, options.contenders, options.threads, settings)
        print("\n".join(report.lines(found, options.markdown)))
        if options.json is not None:
            options.json.write_text(json.dumps(report.to_json(found), indent=1) + "\n")
        if options.plot is not None:
            from micrograd.bench import plots, scaling

            scans = scaling.scans(options.contenders, options.threads[0], settings, _say)
            for path in plots.draw(found, scans, options.plot):
                _say(f"wrote {path}")
    except WorkerError as error:
        _say(f"micrograd bench: micrograd's own worker failed: {error}")
        return 1
    except ValueError as error:  # of --karpathy
        _say(f"micrograd bench: {error}")
        return 2
    except KeyboardInterrupt:
        _say("micrograd bench: stopped")
        return 130
    return 0


def main(arguments: list[str] | None = None) -> int:
    """`python -m micrograd.bench`: the same as `micrograd bench`."""
    parser = argparse.ArgumentParser(prog="micrograd bench", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))
