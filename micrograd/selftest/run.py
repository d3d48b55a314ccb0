"""Many random networks, on every instruction set of this machine, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from micrograd import checks, core
from micrograd.core import DTYPES

OUTCOME, FAILED = "outcome", "failed"  # what a line of a worker begins with


@dataclass
class Report:
    """What came of it. worst: for each dtype the largest relative error, its seed and place."""

    networks: int
    worst: dict[str, tuple[float, int, str]]
    failures: list[str]

    @property
    def passed(self) -> bool:
        """Whether every network agreed with PyTorch."""
        return not self.failures

    def __str__(self) -> str:
        lines = [f"{self.networks} random networks beside PyTorch, {len(self.failures)} failed"]
        lines += [
            f"  {dtype}: worst relative error {error:.2e}, seed {seed}: {where}"
            for dtype, (error, seed, where) in self.worst.items()
        ]
        return "\n".join([*lines, *self.failures])


def selftest(networks: int = 200, seed: int = 0) -> Report:
    """Compares random networks with PyTorch: predictions, losses and gradients.

    Network number i has the seed `seed + i`. They are dealt out to the instruction sets of this
    machine, or all run on the one that MICROGRAD_ISA names.

    Args:
        networks: how many, 1 or more.
        seed: of the first, 0 or more.

    Raises:
        ImportError: PyTorch is not installed.
        TypeError, ValueError: an argument is not as said.
    """
    networks = checks.count("selftest", "networks", networks)
    first = checks.count("selftest", "seed", seed, least=0)
    checks.require("selftest", "PyTorch", "torch", "torch")
    isas = [core.isa()] if os.environ.get("MICROGRAD_ISA") else core.supported_isas()
    report = Report(0, {}, [])
    for number, isa in enumerate(isas):
        seeds = range(first + number, first + networks, len(isas))
        for line in _lines(isa, seeds):
            _note(report, isa, line)
    if report.networks != networks and report.passed:
        report.failures.append(f"only {report.networks} of {networks} networks were run")
    return report


def _lines(isa: str, seeds: range) -> Iterator[str]:
    """What the process of an instruction set says of its networks."""
    command = [sys.executable, "-m", "micrograd.selftest.worker"]
    command += [str(number) for number in (seeds.start, seeds.stop, seeds.step)]
    environment = {**os.environ, "MICROGRAD_ISA": isa}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield from process.stdout
    if process.returncode:
        yield f"{FAILED} the process ended with status {process.returncode}"


def _note(report: Report, isa: str, line: str) -> None:
    kind, _, rest = line.strip().partition(" ")
    if kind == FAILED:
        report.failures.append(f"  on {isa}: {rest}")
        return
    if kind != OUTCOME:
        return
    seed, dtype, error, where = rest.split(" ", 3)
    report.networks += dtype == next(iter(reversed(DTYPES)))
    worst = report.worst.get(dtype, (-1.0, 0, ""))
    if float(error) > worst[0]:
        report.worst[dtype] = float(error), int(seed), f"{where} on {isa}"
