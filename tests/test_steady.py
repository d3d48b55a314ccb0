"""A long run stays where it is: no memory grows from step to step."""

import os

import numpy as np
import pytest

import micrograd as mg

STEPS = 100_000


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux tells its memory there")
def test_a_hundred_thousand_steps_keep_their_memory():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100, 4)).astype(np.float32), rng.integers(0, 3, 100)
    net = mg.Network(mg.Linear(4, 8), mg.ReLU(), mg.Linear(8, 3), seed=0)
    optimizer = mg.optim.SGD(net.parameters(), lr=1e-3)

    def steps(n):
        for _ in range(n):
            optimizer.zero_grad()
            loss = net.loss(X, y)
            net.backward()
            optimizer.step()
        return loss

    first = steps(1000)
    before = resident_bytes()
    last = steps(STEPS)
    assert resident_bytes() - before < 1_000_000
    assert last < first
