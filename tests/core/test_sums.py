"""Sums over many rows and over weights of any size, against float64 and exact rescaling."""

import numpy as np
import pytest

import micrograd as mg
from micrograd import core


def gradients(net, X, y, sample_weight=None):
    net.parameters().flat_grad[:] = 0
    loss = net.loss(X, y, sample_weight)
    net.backward()
    return loss, net.parameters().flat_grad.copy()


def test_bias_and_weight_gradients_of_a_million_rows():
    rng = np.random.default_rng(0)
    rows, columns = 1_300_000, 3
    X = rng.uniform(0.1, 1, (rows, columns)).astype(np.float32)
    net = mg.Network(mg.Linear(columns, 2), loss="mse", seed=0)
    y = np.full((rows, 2), -3, np.float32)  # every delta has the same sign
    _, got = gradients(net, X, y)
    W, b = (p.data.astype(np.float64) for p in net.parameters())
    delta = (X.astype(np.float64) @ W.T + b - y) * (2 / 2 / rows)
    exact = np.concatenate([(delta.T @ X).ravel(), delta.sum(0)])
    assert np.abs(got / exact - 1).max() < 1e-6


def test_sums_of_many_rows_have_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(1)
    rows = 2 * 32768 + 511  # three parts of dW
    X = rng.standard_normal((rows, 40)).astype(np.float32)
    y = rng.integers(0, 70, rows)
    net = mg.Network(mg.Linear(40, 70), seed=0)
    before = core.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            mg.set_num_threads(threads)
            found.append(gradients(net, X, y)[1].tobytes())
    finally:
        mg.set_num_threads(before)
    assert found[0] == found[1] == found[2]
    W, b = (p.data.astype(np.float64) for p in net.parameters())
    z = X @ W.T + b
    p = np.exp(z - z.max(1, keepdims=True))
    delta = (p / p.sum(1, keepdims=True) - np.eye(70)[y]) / rows
    exact = np.concatenate([(delta.T @ X).ravel(), delta.sum(0)])
    assert np.abs(np.frombuffer(found[0], np.float32) - exact).max() < 2e-8


def test_gradients_of_a_compiled_function_over_two_million_rows():
    w = mg.Value(0.1, "w")

    def f(x):
        return w * x[0]

    program = mg.compile(f, dtype="float32")
    rows = 2_000_000
    X = np.full((rows, 1), 0.1, np.float32)
    loss = program.loss(X)
    program.backward()
    # Equal numbers are rounded in one direction: the fewer lanes, the more of them in each.
    for found, want in ((loss, 0.01), (program.parameters()[0].grad, 0.1)):
        assert abs(float(found) / want - 1) < 1e-5


def test_a_smaller_batch_after_a_larger_one():
    """The last batch needs more room for packed panels than the first: 575 rows are one block, 600
    are two of 304."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1175, 784)).astype(np.float32)
    y = rng.integers(0, 10, 1175)

    def network():
        return mg.Network(mg.Linear(784, 128), mg.ReLU(), mg.Linear(128, 10), seed=1)

    net, by_hand = network(), network()
    sgd = mg.optim.SGD(net.parameters(), lr=0.1)
    net.fit(X, y, epochs=1, batch_size=600, optimizer=sgd, shuffle=False)
    optimizer = mg.optim.SGD(by_hand.parameters(), lr=0.1)
    for rows in (slice(0, 600), slice(600, 1175)):
        optimizer.zero_grad()
        by_hand.loss(X[rows], y[rows])
        by_hand.backward()
        optimizer.step()
    assert net.parameters().flat.tobytes() == by_hand.parameters().flat.tobytes()


@pytest.mark.parametrize("exponent", [-140, -110, 110])
def test_weights_of_any_size(exponent):
    """Only the ratio of weights counts: a power of two may change nothing but what a subnormal
    weight has lost."""
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((12, 5)).astype(np.float32), rng.integers(0, 3, 12)
    weights = rng.integers(0, 8, 12).astype(np.float32)
    net = mg.Network(mg.Linear(5, 7), mg.Tanh(), mg.Linear(7, 3), seed=0)
    plain_loss, plain = gradients(net, X, y, weights)
    loss, found = gradients(net, X, y, np.ldexp(weights, exponent))
    assert loss == pytest.approx(plain_loss, rel=1e-6)
    np.testing.assert_allclose(found, plain, rtol=2e-6, atol=1e-9)
    assert net.evaluate(X, y, np.ldexp(weights, exponent))[0] == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_training_with_weights_of_any_size(accumulate):
    """Micro-batches of weights whose sums lie far from one another, against plain steps."""
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((12, 5)).astype(np.float32), rng.integers(0, 3, 12)
    weights = np.ldexp(np.float32(1), np.repeat([-140, -130, -145], 4))
    nets = [mg.Network(mg.Linear(5, 3), seed=0) for _ in range(2)]
    sgd = [mg.optim.SGD(net.parameters(), lr=0.1) for net in nets]
    nets[0].fit(
        X, y, epochs=1, batch_size=4, accumulate=accumulate, optimizer=sgd[0], shuffle=False,
        sample_weight=weights,
    )  # fmt: skip
    for rows in np.split(np.arange(12), 3 // accumulate):
        sgd[1].zero_grad()
        nets[1].loss(X[rows], y[rows], np.ldexp(weights[rows], 140))
        nets[1].backward()
        sgd[1].step()
    np.testing.assert_allclose(
        nets[0].parameters().flat, nets[1].parameters().flat, rtol=1e-5, atol=1e-7
    )


def test_a_batch_whose_weights_vanish_in_float32_is_left_out():
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((12, 5)).astype(np.float32), rng.integers(0, 3, 12)
    weights = np.repeat([1.0, 1e-60, 1.0], 4)
    nets = [mg.Network(mg.Linear(5, 3), seed=0) for _ in range(2)]
    with_it, without = (mg.optim.Adam(net.parameters(), lr=0.1) for net in nets)
    nets[0].fit(
        X, y, epochs=1, batch_size=4, optimizer=with_it, shuffle=False, sample_weight=weights,
        callbacks=[lambda *_: None],
    )  # fmt: skip
    kept = np.r_[0:4, 8:12]
    nets[1].fit(X[kept], y[kept], epochs=1, batch_size=4, optimizer=without, shuffle=False)
    assert nets[0].parameters().flat.tobytes() == nets[1].parameters().flat.tobytes()


def test_labels_that_change_while_training_are_refused_before_they_are_used():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((64, 4)).astype(np.float32), rng.integers(0, 3, 64)
    net = mg.Network(mg.Linear(4, 3), seed=0)

    def spoil(*_):
        y[17] = 1 << 40

    with pytest.raises(ValueError, match=r"y\[17\] is 1099511627776, the network has 3 classes"):
        net.fit(X, y, epochs=3, batch_size=16, callbacks=[spoil])
    assert np.isfinite(net.parameters().flat).all()


def test_gradients_of_factors_and_of_embeddings_over_a_million_rows():
    rng = np.random.default_rng(6)
    rows = 1_000_000
    X = np.empty((rows, 2), np.float32)
    X[:, 0], codes = rng.uniform(0.1, 1, rows), rng.integers(0, 2, rows)
    X[:, 1] = codes
    y = np.full((rows, 1), -3, np.float32)  # every delta has the same sign
    layers = mg.Embedding([2], 1, in_features=2), mg.Scale(2), mg.Linear(2, 1)
    net = mg.Network(*layers, loss="mse", seed=0)
    _, found = gradients(net, X, y)
    table, factor, W, b = (p.data.astype(np.float64) for p in net.parameters())
    made = np.column_stack([X[:, 0].astype(np.float64), table.ravel()[codes]])
    delta = 2 / rows * ((made * factor) @ W.T + b - y)
    through = delta * W
    exact = np.concatenate([
        np.bincount(codes, through[:, 1] * factor[1]),
        (through * made).sum(0),
        (delta.T @ (made * factor)).ravel(),
        delta.sum(0),
    ])  # fmt: skip
    assert np.abs(found / exact - 1).max() < 2e-6
