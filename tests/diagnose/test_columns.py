"""Layers for columns in explain and diagnose: steps of their own, with what is known of them."""

import numpy as np
import pytest

import micrograd as mg
from micrograd.diagnose import bounds

EDGES = [list(np.linspace(-1, 1, 5))] * 3
LAYERS = {
    "scale": mg.Scale(4),
    "periodic": mg.Periodic(4, numbers=3, frequencies=5, width=2),
    "piecewise": mg.PiecewiseLinear(EDGES, in_features=4),
    "embedding": mg.Embedding([3], 4, in_features=4),
}
slope = mg.Value(0.5, label="slope")


def network(first):
    inside = mg.Residual(mg.Linear(5, 5), mg.Scale(5), mg.Map(lambda z: z * z.tanh() * slope))
    body = mg.Linear(first.gives(4), 5), mg.ReLU(), inside, mg.Linear(5, 2)
    net = mg.Network(first, *body, dtype="float64", seed=0)
    named = {p.name: p for p in net.parameters()}
    named["3.1.weight"].data = [0.5, -3.0, 1.0, 2.0, 0.25]
    return net


def batch():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(20, 3)), rng.integers(0, 3, 20)])
    return X, rng.integers(0, 2, 20)


@pytest.fixture(params=LAYERS.values(), ids=LAYERS)
def net(request):
    return network(request.param)


def test_every_step_follows_from_the_one_before(net):
    X, y = batch()
    seen = net.explain(X, y)
    assert np.array_equal(seen["a0"], X)
    z2 = seen["a1"] @ seen["W2"].T + seen["b2"]
    np.testing.assert_allclose(seen["z2"], z2, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(seen["dW2"], seen["delta2"].T @ seen["a1"] / 20, rtol=1e-12)
    assert seen["a1"].shape == (20, net.layers[0].gives(4))


def test_each_parameter_has_its_gradient(net):
    """The numbers that backward leaves, found again under their names."""
    X, y = batch()
    seen = net.explain(X, y)
    net.loss(X, y)
    net.backward()
    for p in net.parameters():
        path, _, kind = p.name.rpartition(".")
        if path == "0":
            short = {"weight": "W1", "bias": "b1"}.get(kind, f"{kind}_1")
            assert np.array_equal(seen[short], p.data)
            assert np.array_equal(seen[f"d{short}"], p.grad)


@pytest.mark.parametrize("options", [{}, {"lr": 0.1}, {"optimizer": True}])
def test_it_stands_in_the_table_with_its_gradient(net, options):
    X, y = batch()
    if options.get("optimizer"):
        options = {"optimizer": mg.optim.Adam(net.parameters(), lr=0.1)}
    found = mg.diagnose(net, X, y, **options)
    net.loss(X, y)
    net.backward()
    own = [p.grad.ravel() for p in net.parameters() if p.name.startswith("0.")]
    rows = {flow.name: flow for flow in found.layers}
    if own:
        assert rows["0"].layer == str(net.layers[0])
        assert rows["0"].gradient == pytest.approx(np.linalg.norm(np.concatenate(own)))
    else:
        assert "0" not in rows  # nothing of it is learnt: no gradient comes this far
    assert rows["3.1"].norm == 3.0
    assert str(net.layers[0]) in str(found) or not own


def test_the_bound_goes_through_a_scale():
    """|| diag(s) || = max |s|; before a layer whose slope depends on the data there is no bound."""
    layers = mg.Linear(4, 4), mg.Scale(4), mg.Linear(4, 2)
    norms = {"0": 1.5, "1": 3.0, "2": 2.0}
    assert bounds.bounds(layers, norms) == {"2": 1.0, "1": 2.0, "0": 6.0}
    unknown = mg.Linear(4, 4), mg.Periodic(4), mg.Linear(16, 2)
    found = bounds.bounds(unknown, {"0": 1.5, "1": float("nan"), "2": 2.0})
    assert found["1"] == 2.0 and np.isnan(found["0"])
