"""Blocks and recomputation: an SGD step by micrograd and by torch, with equal losses.

`micrograd bench --deep` puts them beside each other, with the peak memory of each process.
"""

import pytest

from micrograd.bench.deep.contenders import BLOCKS, make

CASES = [
    *(f"{problem}/{library}/plain" for problem in BLOCKS for library in ("micrograd", "torch")),
    *(f"64/micrograd/{kind}" for kind in ("plain", "sqrt")),
    *(f"64/torch/{kind}" for kind in ("plain", "checkpoint_sequential")),
]


@pytest.mark.parametrize("case", CASES)
def test_step(benchmark, case):
    if "torch" in case:
        pytest.importorskip("torch")
    contender = make(case)
    problem = case.split("/")[0]
    reference = make(f"{problem}/micrograd/plain").gradients()
    loss, norms = contender.gradients()
    assert loss == pytest.approx(reference[0], rel=1e-4)
    assert norms == pytest.approx(reference[1], rel=1e-2, abs=1e-7)
    benchmark.group = problem
    benchmark(contender.step)
