"""`micrograd bench --instructions`: how many instructions a step takes in the C core.

valgrind's callgrind counts them on a processor that it makes up: one with AVX2, and without
neighbours, so that two versions can be compared on any machine, however busy. A step's count is the
difference of a process with some more steps to one with few. Time it does not tell: an instruction
may wait for memory.

`python -m micrograd.bench.instructions LAYERS/BATCH DTYPE STEPS` is what it counts in.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

from micrograd.bench.contenders import Micrograd
from micrograd.bench.workers import environment
from micrograd.bench.workloads import Workload, make, parse

FEW, MORE = 2, 12
LARGEST = 10**9  # floating-point operations of a step, beyond which it takes minutes
FUNCTIONS = ("mg_plan_*", "mg_optimizer_*")


def run(workloads: Sequence[Workload], dtype: str) -> Iterator[str]:
    """A line for each workload."""
    if shutil.which("valgrind") is None:
        yield "instructions are left out: valgrind is not installed"
        return
    yield f"instructions of an SGD step in the C core, {dtype}, AVX2, one thread (callgrind)"
    for workload in workloads:
        if workload.flops > LARGEST:
            yield f"  {workload!s:34} left out: minutes under valgrind"
            continue
        count = of_a_step(workload, dtype)
        if count == 0:
            yield "  left out: this build of the C core has no symbols to count by"
            return
        yield f"  {workload!s:34} {count:12,.0f}   {workload.flops / count:5.2f} operations each"


def of_a_step(workload: Workload, dtype: str) -> float:
    """Instructions of one step; 0 where the functions are not found."""
    few, more = (_counted(workload, dtype, steps) for steps in (FEW, MORE))
    return (more - few) / (MORE - FEW)


def _counted(workload: Workload, dtype: str, steps: int) -> int:
    """Instructions of a process with so many steps.

    Raises:
        ValueError: valgrind fails; says how.
    """
    command = [
        "valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}",
        "--collect-atstart=no", *(f"--toggle-collect={name}" for name in FUNCTIONS),
        sys.executable, "-m", "micrograd.bench.instructions",
        f"{workload.layers}/{workload.batch}", dtype, str(steps),
    ]  # fmt: skip
    settings = {**environment(1), "MICROGRAD_ISA": "avx2", "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise ValueError(f"--instructions: valgrind: {done.stderr.strip()[-500:]}")
    return int(found[1])


def main(text: str, dtype: str, steps: str) -> None:
    """So many steps of ours."""
    contender = Micrograd(make(parse(text), dtype), 1)
    for _ in range(int(steps)):
        contender.step()


if __name__ == "__main__":
    main(*sys.argv[1:])
