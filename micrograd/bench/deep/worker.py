"""The process of one deep contender: `python -m micrograd.bench.deep_worker PROBLEM/LIBRARY/KIND`.

The first line it writes is its outcome, [loss, norms of gradients], or {"error": why not}. Then it
answers a number of steps with seconds a step, and "peak" with bytes: how far the process's resident
memory was, at most, above what it was when the libraries had been loaded (Linux; else null).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import micrograd as mg
from micrograd.bench.deep.contenders import make

STATUS = Path("/proc/self/status")


def resident(what: str) -> int | None:
    """VmRSS or VmHWM, its peak, in bytes; None where the system does not say."""
    if not STATUS.exists():
        return None
    found = STATUS.read_text().partition(f"{what}:")[2].split()
    return int(found[0]) * 1024 if found else None


def _load(library: str) -> None:
    """What a library needs for its first step, loaded and run on something small."""
    if library == "torch":
        import torch
        import torch.utils.checkpoint

        x = torch.ones(1, 1, requires_grad=True)
        torch.optim.SGD([x], lr=0.1).zero_grad()
        torch.nn.Linear(1, 1)(x).sum().backward()
    import micrograd.convert  # noqa: F401

    net = mg.Network(mg.Linear(1, 1), loss="mse")
    net.loss([[1.0]], [[1.0]])


def main(text: str) -> None:
    """Serves until the other end closes the pipe."""
    try:
        _load(text.split("/")[1])
        before = resident("VmRSS")
        contender = make(text)
        print(json.dumps(contender.gradients()), flush=True)
    except ImportError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    for line in sys.stdin:
        if line.strip() == "peak":
            peak = resident("VmHWM")
            print(json.dumps(None if peak is None or before is None else peak - before), flush=True)
            continue
        started = time.perf_counter()
        for _ in range(int(line)):
            contender.step()
        print((time.perf_counter() - started) / int(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
