"""The process that compares the networks of some seeds and prints a line for each and each dtype.

python -m micrograd.selftest.worker FIRST STOP STRIDE
"""

from __future__ import annotations

import sys

from micrograd.selftest.run import FAILED, OUTCOME


def main(first: int, stop: int, stride: int) -> None:
    """Compares them, whatever happens to one."""
    import torch

    from micrograd.selftest.compare import LIMITS, compare
    from micrograd.selftest.draw import draw

    torch.set_num_threads(1)
    for seed in range(first, stop, stride):
        try:
            outcomes = compare(seed)
        except Exception as error:
            text = f"{type(error).__name__}: {error}".replace("\n", " ")
            print(f"{FAILED} {draw(seed)}: {text}", flush=True)
            continue
        for o in outcomes:
            print(f"{OUTCOME} {o.seed} {o.dtype} {o.error!r} {o.where}", flush=True)
            if not o.passed:
                limit = LIMITS[o.dtype]
                print(
                    f"{FAILED} {draw(seed)} in {o.dtype}: {o.where} is off by {o.error:.2e} of "
                    f"the largest, {limit:.0e} is allowed",
                    flush=True,
                )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
