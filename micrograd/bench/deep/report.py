"""`micrograd bench --deep`: blocks and recomputation beside torch, in one run, one thread.

Each contender has a process of its own, so that its peak memory is its own, and is timed only if it
computes the same loss and gradients as the first. Steps are timed A B C A B C.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np

from micrograd import checkpoint
from micrograd.bench.deep.contenders import BLOCK_ROWS, BLOCKS, CHAIN_ROWS, DEPTH, WIDTH
from micrograd.bench.scalar.report import Process, ratio
from micrograd.checkpoint.chain import Stage, replay

CHAINS = (64, 256, 1024)
RECOMPUTING = ("micrograd/plain", "micrograd/sqrt", "torch/plain", "torch/checkpoint_sequential")


class DeepProcess(Process):
    """A contender, which also knows the peak of its memory."""

    worker = "micrograd.bench.deep.worker"
    block_seconds = 0.2

    def peak(self) -> int | None:
        """Bytes above what the libraries take; None where the system does not say."""
        assert self._process.stdin is not None
        print("peak", file=self._process.stdin, flush=True)
        found: int | None = json.loads(self._line())
        return found


def _agrees(one: DeepProcess, other: DeepProcess) -> bool:
    """Whether loss and norms of gradients are the same to the rounding of float32."""
    assert one.outcome is not None and other.outcome is not None
    return bool(
        np.allclose(one.outcome[0], other.outcome[0], rtol=1e-4)
        and np.allclose(one.outcome[1], other.outcome[1], rtol=1e-2, atol=1e-7)
    )


def measure(problem: str, kinds: Sequence[str], rounds: int) -> dict[str, DeepProcess]:
    """The contenders of a problem, timed but for those with an `error`; they still run."""
    found: dict[str, DeepProcess] = {}
    try:
        for kind in kinds:
            found[kind] = process = DeepProcess(kind, f"{problem}/{kind}")
            reference = found[kinds[0]]
            if not process.error and not _agrees(process, reference):
                process.error = f"loss or gradients are not those of {reference.name}"
        for _ in range(rounds):
            for process in found.values():
                if not process.error:
                    process.round()
    except BaseException:
        _stop(found)
        raise
    return found


def _stop(processes: dict[str, DeepProcess]) -> None:
    for process in processes.values():
        process.stop()


def _blocks(rounds: int) -> Iterator[str]:
    kinds = ("micrograd/plain", "torch/plain")
    yield f"SGD step of {DEPTH} blocks, width {WIDTH}, batch {BLOCK_ROWS}, float32, one thread"
    for problem in BLOCKS:
        found = measure(problem, kinds, rounds)
        _stop(found)
        ours, torch = (found[kind] for kind in kinds)
        if torch.error:
            yield f"  {problem:10} micrograd {median(ours.seconds) * 1e3:8.2f} ms   {torch.error}"
            continue
        yield (
            f"  {problem:10} micrograd {median(ours.seconds) * 1e3:8.2f} ms   torch "
            f"{median(torch.seconds) * 1e3:8.2f} ms   {ratio(torch, ours):.2f} times (bar: 2)"
        )


def _chain(length: int, rounds: int) -> Iterator[str]:
    found = measure(str(length), RECOMPUTING, rounds)
    peaks = {kind: None if p.error else p.peak() for kind, p in found.items()}
    _stop(found)
    kept = _kept(length)
    yield f"SGD step of a chain of {length}, width {WIDTH}, batch {CHAIN_ROWS}; sqrt keeps {kept}"
    for kind, process in found.items():
        if process.error:
            yield f"  {kind:28} {process.error}"
            continue
        first = found["torch/plain" if kind.startswith("torch") else "micrograd/plain"]
        peak = peaks[kind]
        memory = "" if peak is None else f"   {peak / 2**20:7.1f} MiB"
        yield (
            f"  {kind:28} {median(process.seconds) * 1e3:8.1f} ms   "
            f"{ratio(process, first):.3f} x plain{memory}"
        )
    ours, torch = found["micrograd/sqrt"], found["torch/checkpoint_sequential"]
    yield f"  sqrt takes {ratio(ours, found['micrograd/plain']):.3f} of plain (bar: 1.35)"
    if not torch.error:
        yield f"  and is {ratio(torch, ours):.2f} times as fast as checkpoint_sequential (bar: 1)"


def _kept(length: int) -> str:
    stages = [Stage(1)] * length
    kept = replay(stages, checkpoint.sqrt().order(stages)).kept
    return f"{kept} activations (bar: {2 * length**0.5 + 2:.0f})"


def run(rounds: int) -> Iterator[str]:
    """Measures everything; gives the lines to print as they come."""
    yield from _blocks(rounds)
    for length in CHAINS:
        yield from _chain(length, max(1, rounds * 64 // length) if length > 64 else rounds)
