"""Losses with settings, beside what they are by hand and beside PyTorch."""

import numpy as np
import pytest

import micrograd as mg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))


def loss_and_gradient(loss, outputs, y):
    net = mg.Network(mg.Linear(3, outputs), loss=loss, dtype="float64", seed=1)
    value = net.loss(X, y)
    net.backward()
    return net, value, net.parameters().flat_grad.copy()


def differences(net, y):
    flat, found = net.parameters().flat, []
    for i in range(flat.size):
        before, values = flat[i], []
        for step in (1e-6, -1e-6):
            flat[i] = before + step
            values.append(net.loss(X, y))
        flat[i] = before
        found.append((values[0] - values[1]) / 2e-6)
    return np.array(found)


@pytest.mark.parametrize("levels", [[0.5], [0.1, 0.5, 0.9]])
def test_quantile(levels):
    y = RNG.normal(size=12)
    net, value, gradient = loss_and_gradient(mg.Quantile(levels), len(levels), y)
    off = y[:, None] - net.predict(X)
    q = np.array(levels)
    assert value == pytest.approx(np.maximum(q * off, (q - 1) * off).mean(), rel=1e-12)
    np.testing.assert_allclose(gradient, differences(net, y), atol=1e-8)


def test_poisson_beside_pytorch():
    torch = pytest.importorskip("torch")
    y = RNG.poisson(3.0, 12).astype(float)
    net, value, gradient = loss_and_gradient(mg.Poisson(), 1, y)
    z = torch.tensor(net.predict(X)[:, 0])
    expected = torch.nn.functional.poisson_nll_loss(z, torch.tensor(y), log_input=True)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, differences(net, y), atol=1e-7)


@pytest.mark.parametrize("levels", [[], [0.0], [1.0], ["a"], [0.5, True]])
def test_levels_that_are_none(levels):
    with pytest.raises((TypeError, ValueError), match=r"Quantile: (a level|levels) is"):
        mg.Quantile(levels)


def test_levels_and_outputs_are_as_many():
    with pytest.raises((TypeError, mg.RecordingError), match="2 levels for 3 outputs"):
        mg.Network(mg.Linear(3, 3), loss=mg.Quantile([0.1, 0.9]))
