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


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux tells its memory there")
def test_a_million_rows_are_predicted_in_blocks():
    """A hidden layer of 256 would need 1 GB for all rows at once."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1_000_000, 4)).astype(np.float32)
    net = mg.Network(mg.Linear(4, 256), mg.Tanh(), mg.Linear(256, 2), seed=0)
    some = net.predict(X[:1000])
    before = resident_bytes()
    out = net.predict(X)
    assert resident_bytes() - before < out.nbytes + 4_000_000
    np.testing.assert_array_equal(out[:1000], some)
