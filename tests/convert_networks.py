"""Networks for the tests of conversions: one of every layer kind, and random ones."""

import numpy as np
from hypothesis import strategies as st

import micrograd as mg

ACTIVATIONS = (
    mg.ReLU(), mg.LeakyReLU(0.2), mg.LeakyReLU(1.5), mg.Sigmoid(), mg.Tanh(), mg.GELU(),
    mg.Softmax(), mg.Identity(),
)  # fmt: skip


def filled(*layers, loss="cross_entropy", dtype="float32", seed=0):
    """A network all of whose parameters, biases too, are random."""
    net = mg.Network(*layers, loss=loss, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    net.parameters().flat[...] += 0.3 * rng.normal(size=net.parameters().size)
    return net


def every_kind(dtype="float32", loss="cross_entropy"):
    """A network with every layer kind that has no layers inside, Linear without bias among them."""
    layers = [mg.Tanh(), mg.Linear(5, 11)]
    for activation in ACTIVATIONS:
        layers += [activation, mg.Linear(11, 11, bias=isinstance(activation, mg.Tanh))]
    return filled(*layers, mg.GELU(), mg.Linear(11, 3), loss=loss, dtype=dtype)


def batch(net, rows, seed=1):
    X = np.random.default_rng(seed).normal(0, 2, (rows, net.in_features))
    return X.astype(net.dtype)


@st.composite
def networks(draw, dtypes=("float32", "float64")):
    """Random networks, up to a dozen layers deep."""
    columns = draw(st.integers(1, 9))
    layers, sized = [], False
    for _ in range(draw(st.integers(0, 8))):
        if draw(st.booleans()):
            out = draw(st.integers(1, 9))
            layers.append(mg.Linear(columns, out, bias=draw(st.booleans())))
            columns, sized = out, True
        else:
            layers.append(draw(st.sampled_from(ACTIVATIONS)))
    if not sized:
        layers.append(mg.Linear(columns, draw(st.integers(1, 9))))
    loss = draw(st.sampled_from(["cross_entropy", "bce", "mse"]))
    dtype = draw(st.sampled_from(dtypes))
    return filled(*layers, loss=loss, dtype=dtype, seed=draw(st.integers(0, 99)))


def probabilities(net, z):
    """softmax or sigmoid of logits, as the loss says, in float64."""
    z = z.astype(np.float64)
    if net.loss_name == "bce":
        return 1 / (1 + np.exp(-z))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def assert_close(actual, expected, tolerance=1e-5):
    """Differences of each row by its largest number, by 1 if that is smaller."""
    assert actual.shape == expected.shape
    size = np.maximum(1, np.abs(expected).max(axis=1, keepdims=True))
    assert (np.abs(actual - expected) / size).max() <= tolerance
