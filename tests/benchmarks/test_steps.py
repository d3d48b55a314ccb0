"""One full SGD step, by workload: the scalar engine, numpy, this C core, torch.

`pytest tests/benchmarks`; workloads, contenders and the check are those of `micrograd bench`.
"""

import pytest

from micrograd.bench.check import difference, first_step
from micrograd.bench.contenders import OURS, find
from micrograd.bench.workloads import WORKLOADS, make


@pytest.mark.parametrize("name", ["value", "numpy", OURS, "torch"])
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.layers)
def test_step(benchmark, workload, name):
    kind = find(name)
    pytest.importorskip(kind.module)
    if kind.refuses(workload):
        pytest.skip(kind.refuses(workload))
    problem = make(workload)
    contender = kind(problem, threads=1)
    other = find("numpy" if name == OURS else OURS)(problem, threads=1)
    assert difference(problem, first_step(contender), first_step(other)) is None
    benchmark.group = str(workload)
    benchmark(contender.step)
