"""L-BFGS: minima that are known, parameters of every kind, and what stops it."""

import math
import sys

import numpy as np
import pytest

import micrograd as mg
from micrograd.engine import Value
from micrograd.optim import LBFGS


@pytest.fixture(autouse=True)
def scipy():
    return pytest.importorskip("scipy")


def closure_of(model, optimizer, *data):
    def closure():
        optimizer.zero_grad()
        loss = model.loss(*data)
        model.backward()
        return loss

    return closure


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-6), ("float32", 1e-3)])
def test_least_squares(dtype, tolerance):
    """A Linear layer with the mean squared error: numpy.linalg.lstsq has the minimum."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 4)).astype(dtype), rng.normal(size=(50, 2)).astype(dtype)
    net = mg.Network(mg.Linear(4, 2), loss="mse", dtype=dtype, seed=0)
    optimizer = LBFGS(net.parameters(), tol=1e-8)
    loss = optimizer.step(closure_of(net, optimizer, X, y))
    design = np.column_stack([X, np.ones(50)]).astype(float)
    want = np.linalg.lstsq(design, y.astype(float), rcond=None)[0]
    weight, bias = (p.data for p in net.parameters())
    np.testing.assert_allclose(weight, want[:4].T, atol=tolerance)
    np.testing.assert_allclose(bias, want[4], atol=tolerance)
    assert loss == pytest.approx(np.mean((design @ want - y) ** 2), rel=1e-5)
    assert loss == pytest.approx(net.loss(X, y), rel=1e-6)
    assert 0 < optimizer.steps < 50 and optimizer.message


def rosenbrock(x, y):
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def test_a_list_of_values():
    values = [Value(-1.2), Value(1.0)]
    optimizer = LBFGS(values, history_size=5)

    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(*values)
        loss.backward()
        return loss

    assert optimizer.step(closure) < 1e-8
    np.testing.assert_allclose([v.data for v in values], 1, atol=1e-3)


def test_a_program():
    x, y = Value(-1.2), Value(1.0)
    program = mg.compile(lambda t: rosenbrock(x, y) * t)
    program.loss([1.0])
    optimizer = LBFGS(program.parameters())
    assert optimizer.step(closure_of(program, optimizer, [1.0])) < 1e-8
    np.testing.assert_allclose(program.parameters().flat, 1, atol=1e-3)


def test_max_iter_and_going_on():
    values = [Value(-1.2), Value(1.0)]
    optimizer = LBFGS(values, max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(*values)
        loss.backward()
        return loss

    losses = [optimizer.step(closure) for _ in range(40)]
    assert losses[0] > 1e-3 > losses[-1] and losses == sorted(losses, reverse=True)
    assert optimizer.steps <= 120
    other = LBFGS(values)
    other.load_state_dict(optimizer.state_dict())
    assert other.steps == optimizer.steps
    with pytest.raises(ValueError, match="load_state_dict"):
        other.load_state_dict({})


def test_the_best_that_was_seen_is_kept():
    """A loss that is not a number beyond 1: the line search steps over it and has to come back."""
    v = [Value(0.0)]
    optimizer = LBFGS(v)

    def closure():
        optimizer.zero_grad()
        x = v[0]
        loss = (x - 0.9) ** 2 * 1e3 if x.data < 1 else x * math.nan
        loss.backward()
        return loss

    assert optimizer.step(closure) < 1e-3 and v[0].data == pytest.approx(0.9, abs=1e-2)


def test_an_error_in_the_closure_leaves_the_best():
    v, calls = [Value(5.0)], []
    optimizer = LBFGS(v)

    def closure():
        calls.append(v[0].data)
        if len(calls) == 4:
            raise KeyboardInterrupt
        optimizer.zero_grad()
        loss = v[0] ** 4
        loss.backward()
        return loss

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert v[0].data == min(calls[:3], key=abs) and v[0].data != 5


def test_a_loss_that_is_not_finite_at_the_start():
    v = [Value(math.inf)]
    optimizer = LBFGS(v)
    with pytest.raises(FloatingPointError, match=r"LBFGS\.step"):
        optimizer.step(lambda: v[0].data)
    assert v[0].data == math.inf


@pytest.mark.parametrize(
    "settings",
    [{"max_iter": 0}, {"max_iter": 1.5}, {"tol": -1}, {"tol": "a"}, {"history_size": 0}],
    ids=str,
)
def test_bad_settings(settings):
    with pytest.raises((TypeError, ValueError), match=f"LBFGS: {next(iter(settings))}"):
        LBFGS([Value(1.0)], **settings)


@pytest.mark.parametrize("params", [[], [1.0], 5, np.zeros(3)])
def test_bad_parameters(params):
    with pytest.raises((TypeError, ValueError), match="LBFGS: params"):
        LBFGS(params)


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"pip install 'micrograd-core\[scipy\]'"):
        LBFGS([Value(1.0)])
