"""Layers for tables beside numpy, finite differences and a copy."""

import numpy as np
import pytest

import micrograd as mg

RNG = np.random.default_rng(0)
ROWS = 37  # no multiple of a vector's lanes
EDGES = ((-1.0, -0.2, 0.1, 1.0), (-2.0, 0.0, 0.5, 0.75))


def parameters(net, prefix="0."):
    return {
        p.name.removeprefix(prefix): p.data for p in net.parameters() if p.name.startswith(prefix)
    }


def scale(p, X, layer):
    return X * p["weight"]


def periodic(p, X, layer):
    n = layer.worked_on
    turns = X[:, :n, None] * p["frequency"] + p["phase"]
    mixed = np.einsum("rnk,nmk->rnm", np.cos(2 * np.pi * turns), p["weight"]) + p["bias"]
    both = np.concatenate([X[:, :n, None], mixed], axis=2).reshape(len(X), -1)
    return np.concatenate([both, X[:, n:]], axis=1)


def piecewise(p, X, layer):
    parts = []
    for j, edges in enumerate(layer.edges):
        for t in range(len(edges) - 1):
            z = (X[:, j] - edges[t]) / (edges[t + 1] - edges[t])
            z = z if t == 0 else np.maximum(z, 0)
            parts.append(z if t == len(edges) - 2 else np.minimum(z, 1))
    return np.concatenate([np.stack(parts, axis=1), X[:, len(layer.edges) :]], axis=1)


def embedding(p, X, layer):
    before = X.shape[1] - layer.worked_on
    parts = [X[:, :before]]
    for j, (size, _) in enumerate(layer.pairs):
        code = X[:, before + j]
        known = (code >= 0) & (code < size)
        rows = p[f"table{j}"][np.where(known, code, 0).astype(int)]
        parts.append(np.where(known[:, None], rows, 0))
    return np.concatenate(parts, axis=1)


def codes(rows=ROWS):
    X = RNG.normal(size=(rows, 4))
    X[:, 2] = RNG.integers(-1, 6, rows)
    X[:, 3] = RNG.integers(0, 3, rows)
    return X


def parametric(p, X, layer):
    z = X.astype(float)
    softplus = np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0)
    minus = 1.6732632423543772 * np.expm1(np.minimum(z, 0))
    bent = {
        "selu": 1.0507009873554805 * np.where(z > 0, z, minus),
        "mish": z * np.tanh(softplus),
        "leaky_relu": np.where(z > 0, z, layer.activation.slope * z),
        "tanh": np.tanh(z),
    }[layer.activation.function]
    return z + p["weight"] * (bent - z)


CASES = [
    (mg.Scale(4), scale),
    (mg.Parametric(mg.SELU(), 4), parametric),
    (mg.Parametric(mg.Mish(), 4), parametric),
    (mg.Parametric(mg.LeakyReLU(0.3), 4), parametric),
    (mg.Parametric(mg.Tanh(), 4), parametric),
    (mg.Periodic(4, sigma=1.0), periodic),
    (mg.Periodic(4, numbers=3, frequencies=5, width=2, sigma=0.7), periodic),
    (mg.PiecewiseLinear(EDGES), piecewise),
    (mg.PiecewiseLinear(EDGES, in_features=4), piecewise),
    (mg.Embedding((5, 3), (4, 2), in_features=4), embedding),
    (mg.Embedding((5, 3)), embedding),
]


def inputs(layer):
    X = codes() if isinstance(layer, mg.Embedding) else RNG.normal(size=(ROWS, 4))
    return X[:, -layer.takes :]


def network(layer, dtype, before=()):
    features = layer.gives(layer.takes)
    tail = [mg.Linear(features, 6), mg.GELU(), mg.Linear(6, 2)]
    net = mg.Network(*before, layer, *tail, loss="mse", dtype=dtype, seed=3)
    net.parameters().flat[...] += 0.1 * np.random.default_rng(1).normal(size=net.parameters().size)
    return net


@pytest.mark.parametrize(("layer", "reference"), CASES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward_beside_numpy(layer, reference, dtype):
    net = mg.Network(layer, mg.Linear(layer.gives(layer.takes), 1), dtype=dtype, loss="mse", seed=2)
    X = inputs(layer)
    flat = parameters(net, "1.")
    want = reference(parameters(net), X.astype(dtype), layer) @ flat["weight"].T + flat["bias"]
    np.testing.assert_allclose(net.predict(X), want, atol=2e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize(("layer", "reference"), CASES, ids=str)
def test_gradients_beside_finite_differences(layer, reference):
    before = () if isinstance(layer, mg.Embedding) else (mg.Linear(3, layer.takes),)
    for front in ((), before):
        net = network(layer, "float64", front)
        X = RNG.normal(size=(ROWS, 3)) if front else inputs(layer)
        y = RNG.normal(size=(ROWS, 2))
        net.loss(X, y)
        net.backward()
        gradient, flat = net.parameters().flat_grad.copy(), net.parameters().flat
        for i in range(flat.size):
            here, values = flat[i], []
            for step in (1e-6, -1e-6):
                flat[i] = here + step
                values.append(net.loss(X, y))
            flat[i] = here
            assert gradient[i] == pytest.approx((values[0] - values[1]) / 2e-6, abs=2e-8), i


@pytest.mark.parametrize(("layer", "reference"), CASES, ids=str)
def test_gradients_add_up_over_batches(layer, reference):
    net = network(layer, "float64")
    X, y = inputs(layer), RNG.normal(size=(ROWS, 2))
    net.loss(X, y)
    net.backward()
    whole = net.parameters().flat_grad.copy()
    net.zero_grad()
    for part in (slice(0, 10), slice(10, ROWS)):
        net.loss(X[part], y[part])
        net.backward()
        share = len(X[part]) / ROWS
        if part.start == 0:
            first = share * net.parameters().flat_grad.copy()
    total = net.parameters().flat_grad - first / (10 / ROWS)
    np.testing.assert_allclose(first + total * (27 / ROWS), whole, atol=1e-12)


@pytest.mark.parametrize(("layer", "reference"), CASES, ids=str)
def test_same_bits_for_any_number_of_threads_and_after_saving(layer, reference, tmp_path):
    pytest.importorskip("safetensors")
    X = np.tile(inputs(layer), (40, 1)).astype("float32")
    y = np.tile(RNG.normal(size=(ROWS, 2)), (40, 1)).astype("float32")
    found = []
    before = mg.get_num_threads()
    for threads in (1, 2):
        mg.set_num_threads(threads)
        wide = mg.Linear(layer.gives(layer.takes), 300)
        net = mg.Network(layer, wide, mg.GELU(), mg.Linear(300, 2), loss="mse", seed=0)
        net.fit(X, y, epochs=2, batch_size=500, seed=0, progress=False)
        found.append(net.parameters().flat.copy())
    mg.set_num_threads(before)
    assert (found[0] == found[1]).all()
    net.save(tmp_path / "net")
    again = mg.load(tmp_path / "net")
    assert (again.predict(X) == net.predict(X)).all()
    assert again.layers == net.layers


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: mg.Scale(0), "Scale: features is 0"),
        (lambda: mg.Parametric(mg.SELU(), 0), "Parametric: features is 0"),
        (lambda: mg.Periodic(3, numbers=4), "Periodic: numbers is 4"),
        (lambda: mg.Periodic(3, width=17), "Periodic: width is 17"),
        (lambda: mg.Periodic(3, sigma=0), "Periodic: sigma is 0"),
        (lambda: mg.PiecewiseLinear(((0.0, 1.0), (0.0,))), "rows of 1, 2 numbers"),
        (lambda: mg.PiecewiseLinear(((1.0, 1.0),)), "the edges of number 0 do not rise"),
        (lambda: mg.Embedding((3, 4), (2,)), "2 sizes and 1 widths"),
        (lambda: mg.Embedding((3,), in_features=0), "Embedding: in_features is 0"),
    ],
)
def test_settings_that_do_not_fit(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_parametric_takes_an_activation_and_is_it_at_the_start():
    with pytest.raises(TypeError, match=r"activation is .*Linear.*, such as SELU\(\), is wanted"):
        mg.Parametric(mg.Linear(3, 3), 3)
    X = RNG.normal(size=(ROWS, 200))  # more columns than a tile of the kernel has
    plain, learned = (
        mg.Network(mg.Linear(200, 200), layer, mg.Linear(200, 2), loss="mse", seed=1)
        for layer in (mg.Mish(), mg.Parametric(mg.Mish(), 200))
    )
    assert learned.parameters()[2].data.shape == (200,)
    flat = [p.data for p in learned.parameters()]
    for p, data in zip(plain.parameters(), [flat[0], flat[1], flat[3], flat[4]], strict=True):
        p.data[...] = data
    np.testing.assert_allclose(learned.predict(X), plain.predict(X), atol=1e-5)
