"""The process of one scalar contender: `python -m micrograd.bench.scalar_worker NAME`.

A process each, because a garbage collection costs what all objects of a process cost: an engine
would be charged for its neighbours' and for the modules they have loaded.
It reads a number of steps from standard input, line by line, and answers with seconds a step. The
first line it writes is its outcome: [loss, gradients], or {"error": why not}.
"""

from __future__ import annotations

import json
import sys
import time

from micrograd.bench.scalar.contenders import find


def main(name: str) -> None:
    """Serves until the other end closes the pipe."""
    try:
        contender = find(name)
        print(json.dumps(contender.outcome()), flush=True)
    except (ImportError, ValueError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    for line in sys.stdin:
        count = int(line)
        started = time.perf_counter()
        for _ in range(count):
            contender.step()
        print((time.perf_counter() - started) / count, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
