"""Ranks beside one rank, DDP and the simulator: the benchmark runs and its table is whole."""

import pytest
from support.ranks import run_ranks

MAIN = "from micrograd.bench.distributed import main; main()"


@pytest.mark.parametrize("torch", [False, True])
def test_the_benchmark_of_two_ranks(torch):
    if torch:
        pytest.importorskip("torch")
    arguments = ["--rounds", "1", "--workloads", "8-16-3/64,64-32-10"]
    without = [] if torch else ["--no-torch"]
    done = run_ranks(2, MAIN, *arguments, *without, timeout=300)  # importing torch takes its time
    head, *rows = done.stdout.splitlines()
    assert "2 ranks ms" in head and "predicted ms" in head
    assert [row.split(", batch")[0].strip() for row in rows] == ["8-16-3", "64-32-10"]
    for row in rows:
        batch, ours, one, speedup, ddp, ratio, *_ = row.split(", batch")[1].split()
        assert batch == "64"
        assert float(speedup) == pytest.approx(float(one) / float(ours), rel=0.1, abs=0.02)
        assert (ddp == "-") != torch and (ratio == "-") != torch
