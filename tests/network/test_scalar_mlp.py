"""The same weights as Values and as a Network: same outputs, loss and gradients, both ways."""

import random

import numpy as np
import pytest

import micrograd as mg
from micrograd.nn import MLP, Neuron


def mse(mlp, X, Y):
    """mean over rows and outputs of (z - y)**2, of Values."""
    terms = []
    for x, y in zip(X.tolist(), Y.tolist(), strict=True):
        z = mlp(x)
        z = [z] if isinstance(z, mg.Value) else z
        terms += [(a - b) ** 2 for a, b in zip(z, y, strict=True)]
    return mg.sum(terms) / len(terms)


def flat_gradient(mlp):
    """In the Network's order: weights of a layer, then its biases."""
    parts = []
    for layer in mlp.layers:
        parts += [w.grad for neuron in layer.neurons for w in neuron.w]
        parts += [neuron.b.grad for neuron in layer.neurons]
    return parts


@pytest.mark.parametrize("sizes", [(3, [5, 4, 2]), (2, [1]), (1, [3, 1])])
def test_from_scalar_gives_the_same_loss_and_gradients(sizes):
    random.seed(1)
    mlp = MLP(*sizes)
    for p in mlp.parameters():
        p.data += 0.1  # biases too
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(7, sizes[0])), rng.normal(size=(7, sizes[1][-1]))
    net = mg.Network.from_scalar(mlp, loss="mse")
    loss = mse(mlp, X, Y)
    loss.backward()
    assert net.loss(X, Y) == pytest.approx(loss.data, rel=1e-13)
    net.backward()
    assert net.parameters().flat_grad == pytest.approx(flat_gradient(mlp), rel=1e-11, abs=1e-14)
    net.parameters()[0].data[...] = 7.0
    assert mlp.layers[0].neurons[0].w[0].data != 7.0


def test_there_and_back_again():
    random.seed(2)
    mlp = MLP(2, [4, 3])
    state = random.getstate()
    again = mg.Network.from_scalar(mlp).to_scalar()
    assert random.getstate() == state
    assert repr(again) == repr(mlp)
    assert [p.data for p in again.parameters()] == [p.data for p in mlp.parameters()]


def test_to_scalar_of_a_network():
    net = mg.Network(
        mg.Identity(), mg.Linear(3, 4, bias=False), mg.ReLU(), mg.Linear(4, 2), mg.ReLU(),
        loss="mse", dtype="float64", seed=4,
    )  # fmt: skip
    mlp = net.to_scalar()
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    loss = mse(mlp, X, Y)
    loss.backward()
    assert net.loss(X, Y) == pytest.approx(loss.data, rel=1e-13)
    net.backward()
    without_bias = [*flat_gradient(mlp)[:12], *flat_gradient(mlp)[16:]]
    assert net.parameters().flat_grad == pytest.approx(without_bias, rel=1e-11, abs=1e-14)
    assert not any(n.b.requires_grad for n in mlp.layers[0].neurons)


def test_what_has_no_counterpart():
    with pytest.raises(ValueError, match=r"no Tanh\(\)"):
        mg.Network(mg.Linear(2, 2), mg.Tanh()).to_scalar()
    mlp = MLP(2, [3, 1])
    mlp.layers[0].neurons[1] = Neuron(2, nonlin=False)
    with pytest.raises(ValueError, match="layer 0 has neurons with and without relu"):
        mg.Network.from_scalar(mlp)
    with pytest.raises(TypeError, match="want an MLP"):
        mg.Network.from_scalar(mlp.layers[0])
