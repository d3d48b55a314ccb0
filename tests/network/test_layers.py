"""Layers as data: numpy's numbers, nested blocks, and what an analysis asks of an activation."""

import copy

import numpy as np
import pytest

import micrograd as mg
from micrograd.network import layers
from micrograd.network.blocks import unnest, walk


def test_numpys_scalars_are_numbers():
    assert mg.Dropout(np.float32(0.25)).p == 0.25
    assert mg.LeakyReLU(np.float32(0.25)).slope == 0.25
    assert mg.Highway(mg.Linear(2, 2), gate_bias=np.float32(-2)).gate_bias == -2.0
    assert mg.Linear(np.int64(2), np.int32(3)).takes == 2
    for make in (
        lambda: mg.Dropout(True),
        lambda: mg.LeakyReLU(False),
        lambda: mg.Highway(mg.Linear(2, 2), gate_bias=True),
        lambda: mg.Linear(True, 3),
    ):
        with pytest.raises(TypeError, match="is wanted"):
            make()


def test_walk_goes_over_every_layer_once_in_the_order_of_the_parameters():
    net = mg.Network(
        mg.Linear(4, 3),
        mg.Residual(mg.Highway(mg.Linear(3, 3), mg.ReLU()), mg.Linear(3, 5), projection=True),
        mg.DenseBlock(mg.Linear(5, 2), mg.Tanh(), mg.Linear(7, 1)),
        loss="mse",
    )
    walked = dict(walk(net.layers))
    assert list(walked) == [
        "0", "1", "1.0", "1.0.0", "1.0.1", "1.0.gate", "1.1", "1.projection", "2", "2.0", "2.1",
        "2.2",
    ]  # fmt: skip
    linear = [path for path, layer in walked.items() if isinstance(layer, mg.Linear)]
    assert linear == [p.name.removesuffix(".weight") for p in net.parameters() if p.data.ndim == 2]


def test_unnest_is_a_recursion_without_pythons_stack():
    def depth(n):
        below = 0 if n == 0 else (yield depth(n - 1))
        plain = yield below + 1  # what is no generator comes back as it is
        return plain

    assert unnest(depth(20_000)) == 20_001


def nested(depth, block=mg.Residual):
    layer = mg.Linear(3, 3)
    for _ in range(depth):
        layer = block(layer)
    return layer


@pytest.mark.parametrize("block", [mg.Residual, mg.Highway])
def test_200_nested_blocks_work(block, tmp_path):
    """Nothing on the way from layers to a step recurses over the nesting."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    net = mg.Network(nested(200, block), loss="mse", dtype="float64", seed=0)
    if block is mg.Residual:  # F(x) + x, 200 times
        W, b = (p.data for p in net.parameters())
        np.testing.assert_allclose(net.predict(X), X @ W.T + b + 200 * X)
    net.loss(X, y)
    net.backward()
    assert net.explain(X, y)["loss"] == net.evaluate(X, y)[0]
    assert len(mg.diagnose(net, X, y).layers) == len(net.parameters()) // 2
    assert "Linear(3, 3)" in repr(net)
    assert net.memory()["recomputed_layers"] == 0
    assert "Linear(3, 3)" in str(net.summary())
    pytest.importorskip("safetensors")
    net.save(tmp_path / "m")
    assert np.array_equal(mg.load(tmp_path / "m").predict(X), net.predict(X))


def test_activations_know_what_an_analysis_asks():
    """The steepest slope against finite differences; saturation and death by hand."""
    z = np.linspace(-20, 20, 400_001)  # softplus is steepest far out
    for name, kind in layers.ACTIVATIONS.items():
        layer = kind()
        assert layer.function == name
        net = mg.Network(mg.Linear(1, 1), layer, loss="mse", dtype="float64", seed=0)
        net.parameters().flat[...] = [1, 0]
        slopes = np.diff(net.predict(z[:, None]).ravel()) / np.diff(z)
        assert layer.steepest == pytest.approx(np.abs(slopes).max(), rel=1e-4), name
    a = np.array([[0.001, 0.0], [0.5, 0.0]])
    assert layers.Sigmoid().saturated(a) == 0.75
    assert layers.Tanh().saturated(np.array([0.99, 0.0])) == 0.5
    assert layers.ReLU().dead(a) == 0.5
    assert np.isnan(layers.ReLU().saturated(a))
    assert np.isnan(layers.GELU().dead(a))


def test_who_lists_activations_lists_all_of_them():
    """The command line has a list of its own, since it starts without numpy."""
    from micrograd.cli import train_options

    assert set(train_options.ACTIVATIONS) == set(layers.ACTIVATIONS)
    for kind in layers.ACTIVATIONS.values():
        assert getattr(mg, kind.__name__) is kind
        assert kind.__name__ in mg.network.__all__


def test_a_copy_of_a_layer_is_the_layer():
    layer = mg.Residual(mg.Linear(2, 2))
    assert copy.copy(layer) is layer
    assert copy.deepcopy(layer) is layer
