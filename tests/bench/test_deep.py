"""micrograd bench --deep: contenders that agree, processes that tell their peak."""

from pathlib import Path

import pytest

from micrograd.bench.deep import report as deep
from micrograd.bench.deep.contenders import BLOCKS, layers_of, make


@pytest.mark.parametrize("problem", [*BLOCKS, "3"])
def test_torch_computes_the_same(problem):
    pytest.importorskip("torch")
    kinds = ("plain", "checkpoint_sequential") if problem == "3" else ("plain",)
    loss, norms = make(f"{problem}/micrograd/plain").gradients()
    for kind in kinds:
        other, others = make(f"{problem}/torch/{kind}").gradients()
        assert other == pytest.approx(loss, rel=1e-4)
        assert others == pytest.approx(norms, rel=1e-2, abs=1e-7)
    assert len(layers_of("3")) == 5


def test_processes_are_timed_and_tell_their_peak():
    found = deep.measure("3", ("micrograd/plain", "micrograd/sqrt"), rounds=1)
    try:
        for process in found.values():
            assert process.error is None and process.seconds[0] > 0
            if Path("/proc/self/status").exists():
                assert 2**20 < process.peak() < 2**27
    finally:
        for process in found.values():
            process.stop()
