"""Optimizers against torch.optim, for a network's parameters and for a list of Values."""

import numpy as np
import pytest
from support.optimizers import data, every_setting, network, step
from support.twin import torch_loss, torch_twin

from micrograd.engine import Value
from micrograd.optim import (
    SGD,
    Adagrad,
    Adamax,
    NAdam,
    RMSprop,
)
from micrograd.parameters import Parameters

DEFAULT_LR = {RMSprop: 0.01, Adagrad: 0.01, Adamax: 2e-3, NAdam: 2e-3}


@pytest.fixture(autouse=True)
def double():
    """torch keeps NAdam's product of momenta in the default dtype, whatever the parameters have."""
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def torch_optimizer(kind, tensors, settings):
    import torch

    settings = {"lr": 0.01, **settings} if kind is RMSprop else settings
    return getattr(torch.optim, kind.__name__)(tensors, foreach=False, **settings)


# ---- against PyTorch ----


@every_setting
@pytest.mark.parametrize("n", [1, 37])
def test_a_thousand_random_steps_beside_torch(kind, settings, n):
    """Gradients that depend on nothing but chance, of scales from 1e-3 to 1e3.

    A rounding of p enters the next step through weight decay only, so 1000 steps add 1000 eps.
    """
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(n)
    params = Parameters([("w", (n,))], np.dtype("float64"))
    params.flat[:] = rng.normal(size=n)
    tensor = torch.tensor(params.flat.copy(), requires_grad=True)
    ours, theirs = kind(params, **({"lr": 0.1} | settings if kind is SGD else settings)), None
    theirs = torch_optimizer(kind, [tensor], settings)
    start = params.flat.copy()
    for _ in range(1000):
        g = rng.normal(size=n) * 10 ** rng.uniform(-3, 3)
        params.flat_grad[:] = g
        tensor.grad = torch.from_numpy(g.copy())
        ours.step()
        theirs.step()
    want = tensor.detach().numpy()
    np.testing.assert_allclose(params.flat, want, rtol=1e-10, atol=1e-10)
    assert np.abs(params.flat - start).max() > 1e-3
    state = theirs.state[tensor]
    for name, values in ours.state.items():
        theirs_name = "momentum_buffer" if name == "velocity" else name
        np.testing.assert_allclose(values, state[theirs_name], rtol=1e-10, atol=1e-12)


@every_setting
@pytest.mark.parametrize("scheduled", [False, True])
def test_a_hundred_steps_of_a_network_beside_torch(kind, settings, scheduled):
    torch = pytest.importorskip("torch")
    net, (X, y) = network(), data()
    twin = torch_twin(net)
    theirs = torch_optimizer(kind, list(twin.parameters()), settings)
    lr = settings.get("lr", DEFAULT_LR.get(kind, 1e-3))
    schedule = lambda t: lr * 0.97**t * (1 + t % 3)  # noqa: E731
    ours = kind(net.parameters(), **(settings | {"lr": schedule} if scheduled else settings))
    for t in range(100):
        for group in theirs.param_groups:
            group["lr"] = schedule(t) if scheduled else lr
        theirs.zero_grad()
        torch_loss(net, twin, X, y).backward()
        theirs.step()
        step(net, ours, X, y)
    assert torch is not None
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        q = q.detach().numpy()
        np.testing.assert_allclose(p.data, q, rtol=0, atol=1e-11 * np.abs(q).max())


@every_setting
def test_values_beside_torch(kind, settings):
    """A quadratic with a different curvature in each direction, as a list of Values."""
    torch = pytest.importorskip("torch")
    values = [Value(v) for v in (1.5, -2.0, 0.25)]
    tensors = [torch.tensor(v.data, dtype=torch.float64, requires_grad=True) for v in values]
    ours, theirs = kind(values, **settings), torch_optimizer(kind, tensors, settings)

    def loss(p):
        return p[0] * p[0] + p[1] * p[1] * 2 + p[2] * p[2] * 0.5 + p[0] * p[1]

    for _ in range(100):
        ours.zero_grad()
        assert all(v.grad == 0 for v in values)
        theirs.zero_grad()
        loss(values).backward()
        loss(tensors).backward()
        ours.step()
        theirs.step()
    got, want = [v.data for v in values], [t.item() for t in tensors]
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


@every_setting
def test_values_and_arrays_take_the_same_steps(kind, settings):
    rng = np.random.default_rng(0)
    params = Parameters([("w", (5,))], np.dtype("float64"))
    values = [Value(x) for x in rng.normal(size=5)]
    params.flat[:] = [v.data for v in values]
    pair = kind(params, **settings), kind(values, **settings)
    for _ in range(50):
        params.flat_grad[:] = rng.normal(size=5)
        for v, g in zip(values, params.flat_grad, strict=True):
            v.grad = float(g)
        for each in pair:
            each.step()
    np.testing.assert_allclose([v.data for v in values], params.flat, rtol=1e-12, atol=1e-14)
    assert pair[0].steps == pair[1].steps == 50


def test_no_denominator_is_negative():
    """Centered, of gradients that hardly vary: m**2 exceeds s by a rounding, which is no NaN."""
    params = Parameters([("w", (4,))], np.dtype("float32"))
    values = [Value(0.0)]
    pair = RMSprop(params, centered=True, alpha=0.5), RMSprop(values, centered=True, alpha=0.5)
    for _ in range(200):
        params.flat_grad[:] = values[0].grad = 0.1
        for each in pair:
            each.step()
    assert np.isfinite(params.flat).all() and np.isfinite(values[0].data)
