"""Softmax, its Jacobian and its cross-entropy, for few and for many columns."""

import numpy as np
import pytest
from support.bits import same_bits
from support.kernels import address, code

import micrograd as mg
from micrograd.core import lib


def softmax(isa, x, padding=0):
    rows, columns = x.shape
    store, out = (
        np.full((rows, columns + padding), 9, x.dtype),
        np.full((rows, columns + 5), 9, x.dtype),
    )
    store[:, :columns] = x
    arguments = rows, columns, address(store), columns + padding, address(out), columns + 5
    assert lib.mg_softmax(isa, code(x), *arguments) == lib.MG_OK
    assert (out[:, columns:] == 9).all()
    return out[:, :columns].copy()


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1025])
def test_softmax(isa, dtype, columns):
    rng = np.random.default_rng(columns)
    x = rng.normal(0, 3, (9, columns)).astype(dtype)
    y = softmax(isa, x, padding=3)
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True).astype(np.float64))
    want = e / e.sum(axis=1, keepdims=True)
    eps = np.finfo(dtype).eps
    # x - max is rounded: |x - max| eps/2 in the exponent; then exp, a sum, a division, a product
    slack = (np.abs(x - x.max(axis=1, keepdims=True)) + columns + 8) * eps
    assert (np.abs(y - want) <= slack * want).all()
    assert (np.abs(y.sum(axis=1, dtype=np.float64) - 1) <= (columns + 8) * eps).all()
    shifted = softmax(isa, np.round(x) + np.dtype(dtype).type(64))
    assert same_bits(shifted, softmax(isa, np.round(x)))  # whole numbers: no rounding in x - max
    assert columns > 1 or (y == 1).all()


@pytest.mark.parametrize("columns", [3, 40])
def test_softmax_at_large_logits(isa, dtype, columns):
    x = np.zeros((4, columns), dtype)
    x[0, 1], x[1, 2], x[2, :2], x[3] = 1e4, -1e4, 1e4, -1e4
    y = softmax(isa, x)
    assert y[0, 1] == 1 and y[0].sum() == 1
    assert y[1, 2] == 0 and np.allclose(y[1].sum(), 1)
    assert np.array_equal(y[2, :3], [0.5, 0.5, 0]) and np.allclose(y[3], 1 / columns)


def wide_rows(columns, dtype):
    """Their maxima lie in the first block or in the last, rise or fall, or are far above."""
    x = np.random.default_rng(columns).normal(0, 3, (6, columns)).astype(dtype)
    x[1, 7], x[2, -1] = 40, 40
    x[3] += np.linspace(-60, 60, columns).astype(dtype)
    x[4] += np.linspace(60, -60, columns).astype(dtype)
    x[5, : columns // 2] = -1e30
    return x


def exact_softmax(x):
    x = x.astype(np.longdouble)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("columns", [1024, 1025, 3000, 65_537, 70_001])
def test_softmax_of_wide_rows(isa, dtype, columns):
    x = wide_rows(columns, dtype)
    y, want, eps = softmax(isa, x), exact_softmax(x), np.finfo(dtype).eps
    # as above, but sums go block by block, and each exponent is rounded in a block and once more
    slack = (2 * np.abs(x - x.max(axis=1, keepdims=True)) + 300) * eps
    assert (np.abs(y - want) <= slack * want + np.finfo(dtype).tiny).all()
    infinite = x[:1].copy()
    infinite[0, :1024] = -np.inf
    if columns > 1024:
        y, want = softmax(isa, infinite), exact_softmax(infinite)
        assert (y[0, :1024] == 0).all() and np.allclose(y, want.astype(dtype), rtol=1e-4)
    infinite[0, -1] = np.nan
    assert np.isnan(softmax(isa, infinite)).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [20, 1024, 3000, 70_001])
def test_cross_entropy_of_wide_rows(dtype, columns, weighted):
    """One-hot inputs: the logits of row i are column i of W, and its gradient is column i of dW."""
    z = wide_rows(columns, dtype)
    rows, rng, eps = len(z), np.random.default_rng(1), np.finfo(dtype).eps
    net = mg.Network(mg.Linear(rows, columns, bias=False), dtype=dtype, seed=0)
    (W,) = net.parameters()
    W.data[...] = z.T
    w = rng.uniform(0.5, 3, rows).astype(dtype) if weighted else np.ones(rows, dtype)
    p, labels = exact_softmax(z), rng.integers(0, columns, rows)
    targets = rng.random((rows, columns)) * (rng.random((rows, columns)) < 0.2) + 1e-3
    targets = (targets / targets.sum(axis=1, keepdims=True)).astype(dtype)
    shifted = z.astype(np.longdouble) - z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    indicators = np.zeros((rows, columns))
    indicators[np.arange(rows), labels] = 1
    for y, one_hot in ((labels, indicators), (targets, targets)):
        share = (w / w.sum(dtype=np.longdouble))[:, None]
        loss = net.loss(np.eye(rows), y, w) if weighted else net.loss(np.eye(rows), y)
        net.backward()
        want = -(share * one_hot * np.where(one_hot > 0, log_p, 0)).sum()
        assert loss == pytest.approx(float(want), rel=64 * float(eps))
        mass = one_hot.sum(axis=1, keepdims=True, dtype=np.longdouble)
        gradient = share * (p * mass - one_hot)
        slack = share * ((2 * np.abs(shifted) + 300) * p + 8 * one_hot) * eps
        assert (np.abs(W.grad.T - gradient) <= slack + np.finfo(dtype).tiny).all()
        W.grad[...] = 0


@pytest.mark.parametrize("columns", [2, 7, 9, 20, 1500])
def test_a_target_of_zero_costs_nothing_however_far_its_logit(dtype, columns):
    """The logits lie at both ends of the numbers there are: 0 times an infinity."""
    net = mg.Network(mg.Linear(3, columns, bias=False), dtype=dtype, seed=0)
    (W,) = net.parameters()
    W.data[...] = -np.finfo(dtype).max
    W.data[columns // 2] = np.finfo(dtype).max
    targets = (W.data.T > 0).astype(dtype)
    assert net.loss(np.eye(3), targets) == 0


@pytest.mark.parametrize("columns", [1, 2, 5, 16, 17, 50])
def test_softmax_backward_is_the_jacobian(isa, dtype, columns):
    rng = np.random.default_rng(columns)
    rows, eps = 6, np.finfo(dtype).eps
    y = softmax(isa, rng.normal(size=(rows, columns)).astype(dtype))
    g = rng.normal(size=(rows, columns)).astype(dtype)
    out = np.full((rows, columns + 2), 9, dtype)
    arguments = rows, columns, address(y), columns, address(g), columns, address(out), columns + 2
    assert lib.mg_softmax_backward(isa, code(y), *arguments) == lib.MG_OK
    assert (out[:, columns:] == 9).all()
    for i in range(rows):
        p, gradient = y[i].astype(np.float64), g[i].astype(np.float64)
        jacobian = np.diag(p) - np.outer(p, p)
        bound = (columns + 4) * eps * p * (np.abs(gradient) + p @ np.abs(gradient))
        assert (np.abs(out[i, :columns] - jacobian @ gradient) <= bound).all()
