"""Networks for the tests of conversions: one of every layer kind, and random ones."""

import numpy as np
from hypothesis import strategies as st

import micrograd as mg

ACTIVATIONS = (
    mg.ReLU(), mg.LeakyReLU(0.2), mg.LeakyReLU(1.5), mg.Sigmoid(), mg.Tanh(), mg.GELU(),
    mg.SiLU(), mg.Softplus(), mg.ELU(0.7), mg.SELU(), mg.Mish(), mg.Softmax(), mg.Identity(),
)  # fmt: skip


SLOPE = mg.Value(0.3, label="slope")


def swish(x):
    """x sigmoid(slope x), with a learned slope (Ramachandran et al. 2017)."""
    return x * (SLOPE * x).sigmoid()


def soft_step(x):
    """Of many ops, some of them comparisons; it shares the slope."""
    return mg.where(x < SLOPE, mg.maximum(-1, x), (1 + x.softplus()).log() - mg.minimum(x, 0.1))


MAPS = (mg.Map(swish), mg.Map(soft_step), mg.Map(lambda x: x.sin() + x))


def filled(*layers, loss="cross_entropy", dtype="float32", seed=0):
    """A network all of whose parameters, biases too, are random."""
    net = mg.Network(*layers, loss=loss, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    net.parameters().flat[...] += 0.3 * rng.normal(size=net.parameters().size)
    return net


def every_kind(dtype="float32", loss="cross_entropy"):
    """A network with every layer kind, Linear without bias and blocks in blocks among them."""
    layers = [mg.Tanh(), mg.Linear(5, 11)]
    for activation in ACTIVATIONS:
        layers += [activation, mg.Linear(11, 11, bias=isinstance(activation, mg.Tanh))]
    layers += [
        mg.Dropout(0.4),
        mg.Residual(mg.Linear(11, 4), mg.GELU(), mg.Linear(4, 11)),
        mg.Residual(mg.Linear(11, 6), mg.Dropout(0.1), mg.Sigmoid(), projection=True),
        mg.Highway(mg.Linear(6, 9), mg.ReLU(), mg.Linear(9, 6)),
        mg.DenseBlock(
            mg.Linear(6, 3), mg.Tanh(), mg.Identity(),
            mg.Residual(mg.Linear(9, 9), mg.Highway(mg.Linear(9, 9), mg.Tanh())), mg.GELU(),
        ),
        mg.Residual(mg.Softmax(), MAPS[0]),
        mg.GELU(),
        *MAPS,
    ]  # fmt: skip
    return filled(*layers, mg.Linear(18, 3), loss=loss, dtype=dtype)


def batch(net, rows, seed=1):
    X = np.random.default_rng(seed).normal(0, 2, (rows, net.in_features))
    return X.astype(net.dtype)


@st.composite
def sequences(draw, columns, depth, sized=False, gives=None, maps=True):
    """(layers, the columns they give): random layers for so many columns.

    depth: of blocks in blocks. sized: at least one has a size. gives: the columns wanted. maps: a
    Map may be among them.
    """
    layers = []
    has_size = False
    for _ in range(draw(st.integers(0, 3 if depth < 2 else 5))):
        kind = draw(st.sampled_from(["Linear", "other"] + ["block"] * bool(depth)))
        if kind == "other":
            others = (
                [*ACTIVATIONS, *MAPS, mg.Dropout(0.3)] if maps else [*ACTIVATIONS, mg.Dropout(0.3)]
            )
            layers.append(draw(st.sampled_from(others)))
            continue
        if kind == "Linear":
            layer = mg.Linear(columns, draw(st.integers(1, 9)), bias=draw(st.booleans()))
        else:
            layer = draw(blocks(columns, depth - 1, maps))
        layers.append(layer)
        columns, has_size = layer.gives(columns), has_size or layer.takes is not None
    if (gives or columns) != columns or (sized and not has_size):
        layers.append(mg.Linear(columns, gives or columns))
    return layers, gives or columns


@st.composite
def blocks(draw, columns, depth, maps):
    """A random block that takes so many columns."""
    kind = draw(st.sampled_from(["Residual", "projection", "Highway", "DenseBlock"]))
    if kind == "projection":
        layers, _ = draw(sequences(columns, depth, sized=True, maps=maps))
        return mg.Residual(*layers, projection=True)
    if kind == "DenseBlock":
        layers = []
        for _ in range(draw(st.integers(1, 3))):
            group = mg.Linear(columns, draw(st.integers(1, 4)))
            if depth and draw(st.booleans()):
                group = draw(blocks(columns, depth - 1, maps))
            if group.takes is None:  # a Residual of activations belongs to the group before it
                group = mg.Linear(columns, 2)
            layers.append(group)
            columns += group.gives(columns)
            layers += draw(st.lists(st.sampled_from(ACTIVATIONS), max_size=2))
        return mg.DenseBlock(*layers)
    layers, _ = draw(sequences(columns, depth, sized=kind == "Highway", gives=columns, maps=maps))
    return getattr(mg, kind)(*(layers or [mg.Tanh()]))


@st.composite
def networks(draw, maps=True):
    """Random networks with blocks in blocks."""
    layers, _ = draw(sequences(draw(st.integers(1, 9)), depth=3, sized=True, maps=maps))
    loss = draw(st.sampled_from(["cross_entropy", "bce", "mse"]))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    return filled(*layers, loss=loss, dtype=dtype, seed=draw(st.integers(0, 99)))


def probabilities(net, z):
    """softmax or sigmoid of logits, as the loss says, in float64."""
    z = z.astype(np.float64)
    if net.loss_name == "bce":
        z = np.concatenate([-z, z], axis=1) if z.shape[1] == 1 else z
        return 1 / (1 + np.exp(-z))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def float32_loses(net, X):
    """The rounding error of the network in float32, measured as assert_close does."""
    z = []
    for dtype in ("float32", "float64"):
        twin = mg.Network(*net.layers, loss="mse", dtype=dtype, seed=0)
        twin.parameters().flat[...] = net.parameters().flat
        z.append(twin.predict(X))
    return (np.abs(z[0] - z[1]) / np.maximum(1, np.abs(z[1]).max(axis=1, keepdims=True))).max()


def assert_close(actual, expected, tolerance=1e-5):
    """Differences of each row by its largest number, by 1 if that is smaller."""
    assert actual.shape == expected.shape
    size = np.maximum(1, np.abs(expected).max(axis=1, keepdims=True))
    assert (np.abs(actual - expected) / size).max() <= tolerance
