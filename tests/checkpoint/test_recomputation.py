"""Recomputation in networks: the same bits, the memory that was promised, seen by the system."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bits import same_bits

import micrograd as mg
from micrograd.checkpoint import revolve

WIDTH, ROWS = 6, 5
rng = np.random.default_rng(0)
X, y = rng.normal(size=(ROWS, WIDTH)), rng.normal(size=(ROWS, WIDTH))


def chain(depth, checkpoint=None):
    layers = [layer for _ in range(depth) for layer in (mg.Linear(WIDTH, WIDTH), mg.Tanh())]
    return mg.Network(*layers, loss="mse", dtype="float64", seed=1, checkpoint=checkpoint)


def deep(checkpoint, dtype):
    """Blocks in blocks, dropout, layers of unequal sizes."""
    inner = mg.Residual(mg.Linear(8, 8), mg.GELU(), mg.Dropout(0.3), mg.Linear(8, 8))
    return mg.Network(
        mg.Linear(WIDTH, 8), mg.ReLU(), mg.Dropout(0.5),
        mg.Residual(inner, mg.Sigmoid()), mg.Tanh(),
        mg.Highway(mg.Linear(8, 8), mg.ReLU()),
        mg.DenseBlock(mg.Linear(8, 3), mg.LeakyReLU(), mg.Linear(11, 4)), mg.Softmax(),
        mg.Residual(mg.Linear(15, 7), projection=True), mg.Dropout(0.1),
        *(layer for _ in range(6) for layer in (mg.Linear(7, 7), mg.Sigmoid())),
        mg.Linear(7, WIDTH), loss="mse", dtype=dtype, seed=2, checkpoint=checkpoint,
    )  # fmt: skip


def step(net, data=X, target=y):
    net.zero_grad()
    loss = net.loss(data, target)
    net.backward()
    return loss, net.parameters().flat_grad.copy()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.just("sqrt"),
        st.integers(1, 20).map(mg.checkpoint.every),
        st.integers(1, 20).map(mg.checkpoint.binomial),
        st.integers(3000, 12000).map(mg.checkpoint.budget),
    ),
    st.sampled_from(["float32", "float64"]),
)
def test_the_same_bits_dropout_included(checkpoint, dtype):
    plain, other = deep(None, dtype), deep(checkpoint, dtype)
    data, target = X.astype(dtype), y.astype(dtype)
    for _ in range(3):  # the masks change from step to step
        expected, found = step(plain, data, target), step(other, data, target)
        assert found[0] == expected[0] and same_bits(found[1], expected[1])
        plain.parameters().flat[...] -= 0.1 * expected[1]
        other.parameters().flat[...] -= 0.1 * found[1]


@pytest.mark.parametrize("slots", [1, 2, 3, 7, 20])
def test_memory_says_what_theory_says_of_binomial(slots):
    for depth in (1, 2, 9, 33, 60):
        net = chain(depth, mg.checkpoint.binomial(slots))
        step(net)
        memory = net.memory()
        assert memory["recomputed_layers"] == revolve.fewest_recomputed(depth, slots)
        assert memory["activation_bytes"] <= slots * ROWS * WIDTH * 8


@pytest.mark.parametrize("depth", [64, 256, 1024])
def test_memory_says_what_was_promised_of_sqrt(depth):
    net = chain(depth, "sqrt")
    step(net)
    memory = net.memory()
    assert memory["activation_bytes"] <= (2 * math.sqrt(depth) + 2) * ROWS * WIDTH * 8
    assert memory["recomputed_layers"] < depth
    plain = chain(depth)
    step(plain)
    assert plain.memory()["activation_bytes"] == (depth - 2) * ROWS * WIDTH * 8
    assert plain.memory()["recomputed_layers"] == 0


def test_a_budget_is_kept_or_refused():
    each = ROWS * WIDTH * 8
    net = chain(20, mg.checkpoint.budget(7 * each))
    step(net)
    memory = net.memory()
    assert memory["activation_bytes"] <= 7 * each and 0 < memory["recomputed_layers"] < 20
    with pytest.raises(ValueError, match=rf"need at least {2 * each}"):
        chain(20, mg.checkpoint.budget(2 * each - 1)).loss(X, y)


PEAK = """
import numpy as np, micrograd as mg
checkpoint = {checkpoint}
layers = [layer for _ in range({depth}) for layer in (mg.Linear(32, 32), mg.Tanh())]
net = mg.Network(*layers, loss="mse", seed=1, checkpoint=checkpoint)
X = np.zeros(({rows}, 32), np.float32)
net.loss(X[:8], X[:8])
status = open("/proc/self/status").read()
before = int(status.partition("VmRSS:")[2].split()[0])
net.loss(X, X)
net.backward()
status = open("/proc/self/status").read()
print(int(status.partition("VmHWM:")[2].split()[0]) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says the peak there")
def test_the_peak_of_the_process():
    """64 layers of 2 MiB: about 64 of them without, 16 + 2 activations and 2 gradients with sqrt,
    5 + 4 with binomial(5)."""
    depth, rows = 64, 2**14
    unit = rows * 32 * 4 / 1024

    def peak(checkpoint):
        code = PEAK.format(checkpoint=checkpoint, depth=depth, rows=rows)
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return int(run.stdout) / unit

    plain = peak(None)
    assert 62 < plain < 76
    assert 14 < peak("'sqrt'") < 26
    assert 3 < peak("mg.checkpoint.binomial(5)") < 15


def test_ten_sigmoids_within_the_documents_bound():
    """Section 7: |prod of sigmoid'(z^[l])| <= 0.25^10, unit by unit and row by row, measured."""
    layers = [layer for _ in range(10) for layer in (mg.Linear(WIDTH, WIDTH), mg.Sigmoid())]
    net = mg.Network(*layers, mg.Linear(WIDTH, WIDTH), loss="mse", dtype="float64", seed=0)
    seen = net.explain(X, y)
    products = np.ones((ROWS, WIDTH))
    for number in range(1, 11):
        a = seen[f"a{number}"]
        np.testing.assert_allclose(a, 1 / (1 + np.exp(-seen[f"z{number}"])), rtol=1e-12)
        slope = a * (1 - a)
        expected = seen[f"da{number}"] * slope  # it is this slope that delta has in it
        np.testing.assert_allclose(seen[f"delta{number}"], expected, rtol=1e-10, atol=1e-300)
        products *= slope
    assert 0 < products.max() <= 0.25**10 < 1e-6


def test_a_thousand_residual_layers_train():
    body = mg.Linear(8, 8), mg.ReLU(), mg.Linear(8, 8)
    blocks = [mg.Residual(*body) for _ in range(1000)]
    net = mg.Network(mg.Linear(2, 8), *blocks, mg.Linear(8, 1), loss="mse", seed=0)
    x = np.random.default_rng(1).uniform(-1, 1, (128, 2)).astype(np.float32)
    target = (x[:, :1] * x[:, 1:]).astype(np.float32)
    history = net.fit(
        x, target, epochs=30, batch_size=32, seed=2, clip_norm=1.0,
        optimizer=mg.optim.SGD(net.parameters(), lr=0.02, momentum=0.9),
    )  # fmt: skip
    assert history.loss[-1] < 0.3 * history.loss[0]
    assert history.loss[-1] < 0.5 * target.var()
