"""explain: the documents' quantities by name, and the documents' equations between them."""

import numpy as np
import pytest
from support.bits import same_bits
from support.kernels import apply
from support.networks import gradients, snapshot, targets_for

import micrograd as mg
from micrograd import core

ROWS = 7


def two_layers(activation, loss="cross_entropy", dtype="float64", **keywords):
    net = mg.Network(
        mg.Linear(4, 6), activation, mg.Linear(6, 3), loss=loss, dtype=dtype, seed=3, **keywords
    )
    rng = np.random.default_rng(4)
    for p in net.parameters():
        p.data += rng.normal(0, 0.1, p.shape).astype(dtype)
    return net, rng.normal(size=(ROWS, 4)).astype(dtype), targets_for(net, ROWS, rng)


def test_names_and_shapes(dtype):
    net, X, y = two_layers(mg.Sigmoid(), dtype=dtype)
    e = net.explain(X, y)
    shapes = {
        "a0": (ROWS, 4), "W1": (6, 4), "b1": (6,), "z1": (ROWS, 6), "a1": (ROWS, 6),
        "da1": (ROWS, 6), "delta1": (ROWS, 6), "dW1": (6, 4), "db1": (6,), "W2": (3, 6), "b2": (3,),
        "z2": (ROWS, 3), "a2": (ROWS, 3), "delta2": (ROWS, 3), "dW2": (3, 6), "db2": (3,),
    }  # fmt: skip
    assert set(e) == {*shapes, "loss"} and isinstance(e["loss"], float)
    for name, shape in shapes.items():
        assert e[name].shape == shape and e[name].dtype == dtype, name
    for name, p in zip(("W1", "b1", "W2", "b2"), net.parameters(), strict=True):
        assert same_bits(e[name], p.data) and not np.shares_memory(e[name], p.data)
    assert same_bits(e["a0"], X) and not np.shares_memory(e["a0"], X)


ELEMENTWISE = {
    "sigmoid": (mg.Sigmoid(), "MG_SIGMOID", lambda g, z, a: g * (a * (1 - a))),
    "tanh": (mg.Tanh(), "MG_TANH", lambda g, z, a: g * (1 - a * a)),
    "relu": (mg.ReLU(), "MG_RELU", lambda g, z, a: np.where(z > 0, g, 0)),
    "leaky_relu": (mg.LeakyReLU(0.25), "MG_LEAKY_RELU", lambda g, z, a: np.where(z > 0, g, g / 4)),
    "gelu": (mg.GELU(), "MG_GELU", None),
}


def fused(g, a, dtype):
    """g * (1 - a^2) with a^2 unrounded, as a fused multiply-add has it."""
    wide = np.longdouble if dtype == "float64" else np.float64
    return (g * (1 - a.astype(wide) ** 2).astype(dtype)).astype(dtype)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_equations_hold_in_every_bit(name, dtype):
    """a1 = f(z1) and delta1 = da1 * f'(z1)."""
    activation, function, gate = ELEMENTWISE[name]
    net, X, y = two_layers(activation, dtype=dtype)
    e = net.explain(X, y)
    slope = 0.25 if name == "leaky_relu" else 0.0
    assert same_bits(e["a1"], apply(core.ISA_CODE, function, e["z1"], slope))
    if name == "gelu":
        derivative = apply(core.ISA_CODE, "MG_GELU_DERIVATIVE", e["z1"])
        assert same_bits(e["delta1"], e["da1"] * derivative)
    elif name == "tanh":  # the one product here that a fused multiply-add does not round
        either = np.where(
            e["delta1"] == gate(e["da1"], e["z1"], e["a1"]), True,
            e["delta1"] == fused(e["da1"], e["a1"], dtype),
        )  # fmt: skip
        assert either.all()
    else:
        assert same_bits(e["delta1"], gate(e["da1"], e["z1"], e["a1"]).astype(dtype))
    assert e["delta1"].any()


def test_softmax_and_cross_entropy_give_a_minus_y(dtype):
    """delta2 = a2 - y (documents, section 6), in every bit, for labels and for one-hot rows."""
    net, X, y = two_layers(mg.Tanh(), dtype=dtype)
    for targets in (y, np.eye(3)[y]):
        e = net.explain(X, targets)
        assert same_bits(e["delta2"], (e["a2"] - np.eye(3)[y]).astype(dtype))
        shifted = np.exp(e["z2"] - e["z2"].max(axis=1, keepdims=True))
        want = shifted / shifted.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(e["a2"], want, rtol=20 * np.finfo(dtype).eps)
        picked = -np.log(e["a2"][np.arange(ROWS), y].astype(np.float64)).mean()
        assert e["loss"] == pytest.approx(picked, rel=20 * float(np.finfo(dtype).eps))


def test_outputs_and_deltas_of_the_other_losses(dtype):
    """mse: 2 (a - y) / n; the documents' a - y belongs to the half of it. bce: (a - y) / n."""
    net, X, y = two_layers(mg.Tanh(), "mse", dtype)
    y = y.astype(dtype)
    e = net.explain(X, y)
    eps = np.finfo(dtype).eps
    assert same_bits(e["a2"], e["z2"])
    np.testing.assert_allclose(e["delta2"], 2 * (e["a2"] - y) / 3, rtol=4 * eps)
    net, X, y = two_layers(mg.Tanh(), "bce", dtype)
    e = net.explain(X, y)
    assert same_bits(e["a2"], apply(core.ISA_CODE, "MG_SIGMOID", e["z2"]))
    np.testing.assert_allclose(
        e["delta2"], (e["a2"] - y.astype(dtype)) / 3, rtol=4 * eps, atol=eps / 4
    )


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "bce", "mae", "huber"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sums_hold_to_rounding(name, loss, dtype):
    """Z = A W.T + b, dA = delta W, dW = delta.T A / m, db = mean of delta: k + 3 roundings each."""
    net, X, y = two_layers(ELEMENTWISE[name][0], loss, dtype)
    e = {k: np.asarray(v, np.float64) for k, v in net.explain(X, y).items()}
    eps = np.finfo(dtype).eps

    def close(got, a, b, plus=0.0, scale=1.0):
        k = a.shape[1]
        bound = (k + 4) * eps * (scale * np.abs(a) @ np.abs(b) + np.abs(plus))
        assert (np.abs(got - (scale * a @ b + plus)) <= bound).all()

    for layer in ("1", "2"):
        before = e[f"a{int(layer) - 1}"]
        close(e["z" + layer], before, e["W" + layer].T, e["b" + layer])
        close(e["dW" + layer], e["delta" + layer].T, before, scale=1 / ROWS)
        close(e["db" + layer], e["delta" + layer].T, np.ones(ROWS), scale=1 / ROWS)
    close(e["da1"], e["delta2"], e["W2"])


STACKS = [
    [mg.Linear(4, 6), mg.ReLU(), mg.Linear(6, 3)],
    [mg.Linear(4, 70), mg.GELU(), mg.Linear(70, 33), mg.Tanh(), mg.Linear(33, 3), mg.Sigmoid()],
    [mg.Linear(4, 5), mg.Softmax(), mg.Linear(5, 3, bias=False)],
    [mg.Sigmoid(), mg.Linear(4, 5), mg.ReLU(), mg.Tanh(), mg.Identity(), mg.Linear(5, 3)],
    [mg.Linear(4, 3), mg.LeakyReLU(0.3), mg.Softmax()],
    [mg.Linear(4, 3)],
    [mg.Linear(4, 200), mg.GELU(), mg.Linear(200, 200), mg.LeakyReLU(0.1), mg.Linear(200, 3)],
]


@pytest.mark.parametrize("layers", STACKS, ids=range(len(STACKS)))
@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "bce"])
def test_same_bits_as_loss_and_backward(layers, loss, dtype):
    """explain runs unfused, loss and backward fused."""
    rng = np.random.default_rng(6)
    net = mg.Network(*layers, loss=loss, dtype=dtype, seed=5)
    for rows in (1, 40, 203):
        X, y = rng.normal(size=(rows, 4)).astype(dtype), targets_for(net, rows, rng)
        e = net.explain(X, y)
        loss_value, flat = gradients(net, X, y)
        assert e["loss"] == loss_value
        pieces = [e[k].ravel() for k in e if k.startswith(("dW", "db"))]
        names = [k for k in e if k.startswith(("dW", "db"))]
        assert names == sorted(names, key=lambda k: (int(k[2:]), k))
        assert same_bits(np.concatenate(pieces), flat)
        last = [k for k in e if k.startswith("z")][-1]
        if not isinstance(layers[-1], (mg.Sigmoid, mg.Softmax, mg.LeakyReLU)):
            assert same_bits(e[last], net.predict(X))
        else:
            assert same_bits(e["a" + last[1:]], net.predict(X))


def test_the_network_is_unchanged():
    net, X, y = two_layers(mg.ReLU())
    net.loss(X, y)
    net.backward()
    net.loss(X, y)  # a cached pass
    before = snapshot(net)
    e = net.explain(2 * X, y)
    for value in e.values():
        if isinstance(value, np.ndarray):
            value[...] = 99  # what comes back is the caller's own
    assert all(same_bits(a, b) for a, b in zip(before, snapshot(net), strict=True))
    net.backward()
    np.testing.assert_allclose(net.parameters().flat_grad, 2 * before[1], rtol=1e-14)


# ---- the documents' own example ----


def documents_example():
    """Section 15: n0, n1, n2, m = 4, 3, 2, 5 and numpy's seed 42, in the order of drawing."""
    random = np.random.RandomState(42)
    W1, W2 = random.randn(3, 4) * 0.1, random.randn(2, 3) * 0.1
    X = random.randn(4, 5)
    return W1, W2, X, random.randint(0, 2, 5)


def by_hand(W1, W2, X, labels, sigmoid):
    """The documents' equations with samples as columns; biases are zero."""
    m, Y = X.shape[1], np.eye(2)[:, labels]
    Z1 = W1 @ X
    A1 = 1 / (1 + np.exp(-Z1)) if sigmoid else np.maximum(Z1, 0)
    Z2 = W2 @ A1
    A2 = np.exp(Z2) / np.exp(Z2).sum(axis=0)
    delta2 = A2 - Y
    delta1 = W2.T @ delta2 * (A1 * (1 - A1) if sigmoid else Z1 > 0)
    return {
        "loss": -np.log(A2[labels, range(m)]).mean(), "Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2,
        "delta2": delta2, "delta1": delta1, "dW2": delta2 @ A1.T / m, "db2": delta2.mean(axis=1),
        "dW1": delta1 @ X.T / m, "db1": delta1.mean(axis=1),
    }  # fmt: skip


@pytest.mark.parametrize("sigmoid", [False, True])
def test_the_documents_two_layer_net(sigmoid):
    W1, W2, X, labels = documents_example()
    layers = mg.Linear(4, 3), mg.Sigmoid() if sigmoid else mg.ReLU(), mg.Linear(3, 2)
    net = mg.Network(*layers, dtype="float64", seed=0)
    for p, value in zip(net.parameters(), (W1, 0, W2, 0), strict=True):
        p.data[...] = value
    want, e = by_hand(W1, W2, X, labels, sigmoid), net.explain(X.T, labels)
    assert e["loss"] == pytest.approx(want["loss"], rel=1e-13)
    for name in ("Z1", "A1", "Z2", "A2", "delta1", "delta2"):
        np.testing.assert_allclose(
            e[name.replace("Z", "z").replace("A", "a")].T, want[name], rtol=1e-12
        )
    for name in ("dW1", "db1", "dW2", "db2"):
        np.testing.assert_allclose(e[name], want[name], rtol=1e-12, atol=1e-16)

    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(np.ascontiguousarray(v), dtype=torch.float64) for v in (W1, W2, X)]
    weights = [tensors[0], torch.zeros(3, 1, dtype=torch.float64), tensors[1],
               torch.zeros(2, 1, dtype=torch.float64)]  # fmt: skip
    for w in weights:
        w.requires_grad_()
    z1 = weights[0] @ tensors[2] + weights[1]
    a1 = torch.sigmoid(z1) if sigmoid else torch.relu(z1)
    z2 = weights[2] @ a1 + weights[3]
    torch.nn.functional.cross_entropy(z2.T, torch.tensor(labels)).backward()
    for name, w in zip(("dW1", "db1", "dW2", "db2"), weights, strict=True):
        got = e[name].reshape(w.shape)
        np.testing.assert_allclose(got, w.grad.numpy(), rtol=1e-12, atol=1e-16)
        assert np.abs(got).max() > 1e-4


@pytest.mark.parametrize("layers", [
    (mg.Linear(4, 6), mg.Tanh(), mg.Dropout(0.5), mg.Linear(6, 3)),
    (mg.Periodic(4, 2, sigma=0.7), mg.Linear(10, 5), mg.GELU(), mg.Linear(5, 3)),
    (mg.Scale(4), mg.DenseBlock(mg.Linear(4, 2), mg.ReLU()), mg.Linear(6, 3)),
    (mg.Parametric(mg.Mish(), 4), mg.Residual(mg.Linear(4, 4), mg.ELU()), mg.Linear(4, 3)),
    (mg.Highway(mg.Linear(4, 4), mg.Tanh()), mg.Linear(4, 3)),
    (mg.Residual(mg.Tanh()), mg.Linear(4, 3)),
])  # fmt: skip
def test_input_gradient_beside_finite_differences(layers):
    rng = np.random.default_rng(0)
    net = mg.Network(*layers, dtype="float64", seed=1)
    still = mg.Network(*(x for x in layers if not isinstance(x, mg.Dropout)), dtype="float64")
    still.parameters().flat[...] = net.parameters().flat
    X, y, before = rng.normal(size=(5, 4)), np.array([0, 2, 1, 1, 0]), net.parameters().flat.copy()
    found = net.input_gradient(X, y)
    assert found.shape == X.shape
    for i in range(5):
        for j in range(4):
            moved = np.repeat(X[i : i + 1], 2, axis=0)
            moved[:, j] += (1e-6, -1e-6)
            high, low = (still.loss(row[None], y[i : i + 1]) for row in moved)
            assert found[i, j] == pytest.approx((high - low) / 2e-6, abs=1e-8)
    np.testing.assert_array_equal(net.parameters().flat, before)
    assert not net.parameters().flat_grad.any()
    with pytest.raises(ValueError, match=r"Network.input_gradient: X has 3 features"):
        net.input_gradient(X[:, :3], y)
