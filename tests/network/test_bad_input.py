"""Input that does not fit: an error that says so, and a network that has not changed."""

import numpy as np
import pytest
from support.bits import same_bits
from support.networks import snapshot, targets_for

import micrograd as mg

ROWS = 6
GOOD_X = np.random.default_rng(0).normal(size=(ROWS, 4))
LOSSES = ("cross_entropy", "mse", "bce", "mae", "huber")


def network(loss="cross_entropy", dtype="float32", outputs=3):
    net = mg.Network(
        mg.Linear(4, 5), mg.GELU(), mg.Linear(5, outputs), loss=loss, dtype=dtype, seed=1
    )
    net.loss(GOOD_X, good_y(net))
    net.backward()  # so that the gradients are something that can be damaged
    return net


def good_y(net):
    return targets_for(net, ROWS, np.random.default_rng(1))


def changed(array, place, value, dtype=None):
    out = np.array(array, dtype)
    out[place] = value
    return out


# how to call a function of a network with this X and these targets
CALLS = {
    "Network.loss": lambda net, X, y: net.loss(X, y),
    "Network.predict": lambda net, X, y: net.predict(X),
    "Network.forward": lambda net, X, y: net.forward(X),
    "Network.evaluate": lambda net, X, y: net.evaluate(X, y),
    "Network.explain": lambda net, X, y: net.explain(X, y),
    "Network.fit": lambda net, X, y: net.fit(X, y, epochs=1, seed=0, progress=False),
    "Network.fit (validation)": lambda net, X, y: net.fit(
        GOOD_X, good_y(net), epochs=1, seed=0, progress=False, validation=(X, y)
    ),
}
WITH_TARGETS = [name for name in CALLS if name not in ("Network.predict", "Network.forward")]


def assert_refused(where, net, X, y, error, *words):
    before = snapshot(net)
    with pytest.raises(error) as caught:
        CALLS[where](net, X, y)
    message = str(caught.value)
    assert message.startswith(where.split(" (")[0]), message
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"
    assert all(same_bits(a, b) for a, b in zip(before, snapshot(net), strict=True))
    net.loss(GOOD_X, good_y(net))  # and it still works
    net.backward()


BAD_X = {
    "nan": (changed(GOOD_X, (3, 2), np.nan), ValueError, ["X[3, 2]", "nan", "finite"]),
    "inf": (changed(GOOD_X, (5, 3), np.inf), ValueError, ["X[5, 3]", "inf", "finite"]),
    "-inf": (changed(GOOD_X, (0, 0), -np.inf), ValueError, ["X[0, 0]", "-inf", "finite"]),
    "too few features": (GOOD_X[:, :3], ValueError, ["3", "4", "layer 0 Linear(4, 5)"]),
    "too many features": (np.ones((ROWS, 5)), ValueError, ["5", "4", "layer 0 Linear(4, 5)"]),
    "no columns": (np.ones((ROWS, 0)), ValueError, ["0", "4"]),
    "no rows": (np.ones((0, 4)), ValueError, ["(0, 4)"]),
    "one sample, one axis": (GOOD_X[0], ValueError, ["(4,)", "X[None, :]"]),
    "one number": (3.0, ValueError, ["()", "4"]),
    "three axes": (np.ones((2, 3, 4)), ValueError, ["(2, 3, 4)", "4"]),
    "strings": (np.full((ROWS, 4), "1.5"), TypeError, ["U", "real numbers"]),
    "objects": (np.full((ROWS, 4), None), TypeError, ["object", "real numbers"]),
    "None": (None, TypeError, ["real numbers"]),
    "complex": (GOOD_X + 1j, TypeError, ["complex", "real numbers"]),
    "dates": (np.full((ROWS, 4), "2020-01-01", "M8[D]"), TypeError, ["datetime", "real numbers"]),
    "ragged": ([[1, 2, 3, 4], [1, 2]], ValueError, ["X"]),
    "dict": ({"a": 1}, TypeError, ["real numbers"]),
    "too large": (changed(GOOD_X, (2, 1), 1e39), ValueError, ["1e+39", "float32", "[2, 1]"]),
}


@pytest.mark.parametrize("case", BAD_X)
@pytest.mark.parametrize("where", CALLS)
def test_bad_x(where, case):
    X, error, words = BAD_X[case]
    net = network()
    rows = len(X) if isinstance(X, np.ndarray) and X.ndim else ROWS
    assert_refused(where, net, X, np.zeros(rows, int), error, *words)


@pytest.mark.parametrize("where", CALLS)
def test_nan_in_the_networks_own_dtype(where, dtype):
    """The fast path, without a conversion; in every place of a row, also behind whole vectors."""
    net = mg.Network(mg.Linear(37, 3), dtype=dtype, seed=0)
    for place in [(0, 0), (1, 15), (2, 16), (1, 31), (2, 36)]:
        for value in (np.nan, np.inf):
            X = changed(np.ones((3, 37)), place, value, dtype)
            with pytest.raises(ValueError, match=rf"X\[{place[0]}, {place[1]}\] is {value}"):
                if where == "Network.fit (validation)":
                    net.fit(np.ones((3, 37)), [0, 1, 2], validation=(X, [0, 1, 2]))
                else:
                    CALLS[where](net, X, np.array([0, 1, 2]))


def test_float64_takes_large_numbers():
    net = network(dtype="float64")
    X = changed(GOOD_X, (2, 1), 1e39)
    assert np.isfinite(net.predict(X)).all()
    assert np.isfinite(network().predict(X * 1e-10)).all()


BAD_LABELS = {
    "too large": (changed([0, 1, 2, 0, 1, 2], 4, 3), ValueError, ["y[4]", "3", "0 to 2"]),
    "negative": (changed([0, 1, 2, 0, 1, 2], 1, -1), ValueError, ["y[1]", "-1", "0 to 2"]),
    "huge": (np.full(ROWS, 2**63 - 1), ValueError, ["y[0]", str(2**63 - 1)]),
    "unsigned": (np.full(ROWS, 2**64 - 1, np.uint64), ValueError, ["y[0]", str(2**64 - 1)]),
    "floats": (np.array([0.0, 1, 2, 0, 1, 2]), TypeError, ["float64", "integer", "(6,)"]),
    "too few": (np.zeros(ROWS - 1, int), ValueError, ["(5,)", "(6,)"]),
    "too many": (np.zeros(ROWS + 1, int), ValueError, ["(7,)", "(6,)"]),
    "one number": (1, ValueError, ["()", "(6,)"]),
    "a column": (np.zeros((ROWS, 1), int), ValueError, ["(6, 1)", "(6,)", "ravel"]),
    "strings": (np.array(list("abcdab")), (TypeError, ValueError), ["names", "classes"]),
    "None": (None, TypeError, ["integer"]),
    "ragged": ([[0, 1], [0]], ValueError, ["y"]),
    "four columns": (np.full((ROWS, 4), 0.25), (TypeError, ValueError), ["(6, 4)", "(6, 3)"]),
    "sum 0.9": (np.full((ROWS, 3), 0.3), ValueError, ["row 0", "sum"]),
    "sum 2 in row 4": (
        changed(np.eye(3)[[0, 1, 2, 0, 1, 2]], (4, slice(None)), [1, 1, 0]), ValueError, ["row 4"],
    ),
    "negative probability": (
        changed(np.eye(3)[[0, 1, 2, 0, 1, 2]], (2, slice(None)), [-1, 1, 1]), ValueError, ["row 2"],
    ),
    "nan": (changed(np.eye(3)[[0, 1, 2, 0, 1, 2]], (5, 1), np.nan), ValueError, ["y[5, 1]", "nan"]),
    "logits": (np.full((ROWS, 3), 1000.0), ValueError, ["row 0"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LABELS)
@pytest.mark.parametrize("where", WITH_TARGETS)
def test_bad_labels(where, case):
    y, error, words = BAD_LABELS[case]
    assert_refused(where, network(), GOOD_X, y, error, *words)


BAD_TARGETS = {
    "one axis": (np.zeros(ROWS), ["(6,)", "(6, 3)"], ValueError),
    "too few rows": (np.zeros((ROWS - 1, 3)), ["(5, 3)", "(6, 3)"], ValueError),
    "transposed": (np.zeros((3, ROWS)), ["(3, 6)", "(6, 3)"], ValueError),
    "one column": (np.zeros((ROWS, 1)), ["(6, 1)", "(6, 3)"], ValueError),
    "nan": (changed(np.zeros((ROWS, 3)), (4, 2), np.nan), ["y[4, 2]", "nan"], ValueError),
    "inf": (changed(np.zeros((ROWS, 3)), (0, 1), -np.inf), ["y[0, 1]", "-inf"], ValueError),
    "too large": (changed(np.zeros((ROWS, 3)), (1, 1), 1e300), ["1e+300", "float32"], ValueError),
    "strings": (np.full((ROWS, 3), "x"), ["U", "real numbers"], TypeError),
    "None": (None, ["real numbers"], TypeError),
    "complex": (np.zeros((ROWS, 3), complex), ["complex", "real numbers"], TypeError),
    "ragged": ([[1, 2, 3], [1]], ["y"], ValueError),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
@pytest.mark.parametrize("loss", LOSSES[1:])
@pytest.mark.parametrize("where", WITH_TARGETS)
def test_bad_targets(where, loss, case):
    y, words, error = BAD_TARGETS[case]
    assert_refused(where, network(loss), GOOD_X, y, error, *words)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [-1.0, -1e-6, 1.001])
@pytest.mark.parametrize("where", WITH_TARGETS)
def test_targets_of_bce_that_are_no_probabilities(where, value, dtype):
    """-1 for "no", say: its loss would have no lower bound."""
    net = network("bce", dtype)
    good = np.asarray(good_y(net), dtype)
    strided = np.repeat(good, 2, axis=1)[:, ::2]
    strided[4, 2] = value
    for y in (strided, changed(good, (4, 2), value)):
        assert_refused(where, net, GOOD_X, y, ValueError, "y[4, 2]", "for bce 0 to 1")
    for edge in (0.0, -0.0, 1.0):
        CALLS[where](net, GOOD_X, changed(good, (4, 2), edge))


@pytest.mark.parametrize(
    "weights, error, words",
    [
        (np.ones(ROWS - 1), ValueError, ["(5,)", "(6,)"]),
        (np.ones((ROWS, 1)), ValueError, ["(6, 1)", "(6,)"]),
        (1.0, ValueError, ["()", "(6,)"]),
        (np.zeros(ROWS), ValueError, ["0"]),
        (changed(np.ones(ROWS), 3, -0.5), ValueError, ["sample_weight[3]", "-0.5"]),
        (changed(np.ones(ROWS), 2, np.nan), ValueError, ["sample_weight[2]", "nan"]),
        (changed(np.ones(ROWS), 1, np.inf), ValueError, ["sample_weight[1]", "inf"]),
        (list("abcdef"), TypeError, ["sample_weight", "real numbers"]),
    ],
)
def test_bad_sample_weights(weights, error, words):
    net = network()
    before = snapshot(net)
    with pytest.raises(error) as caught:
        net.loss(GOOD_X, good_y(net), sample_weight=weights)
    assert str(caught.value).startswith("Network.loss")
    assert all(word in str(caught.value) for word in words), caught.value
    assert all(same_bits(a, b) for a, b in zip(before, snapshot(net), strict=True))


def test_a_refused_call_leaves_the_cached_pass_alone():
    """DESIGN, section 3: nothing is changed by a call that raises."""
    net, want = network(), network()
    for n in (net, want):
        n.zero_grad()
        n.loss(GOOD_X, good_y(n))
    for X, y in [
        (GOOD_X[:, :2], good_y(net)),
        (BAD_X["nan"][0], good_y(net)),
        (GOOD_X, [9] * ROWS),
    ]:
        with pytest.raises(ValueError):
            net.loss(X, y)
    for n in (net, want):
        n.backward()
    assert same_bits(net.parameters().flat_grad, want.parameters().flat_grad)


# ---- what is unusual but fits ----


@pytest.mark.parametrize("kind", ["strided", "fortran", "reversed", "float16", "big endian", "list",
                                  "readonly", "unaligned", "subclass"])  # fmt: skip
def test_unusual_memory_is_no_error(kind, dtype):
    net = network(dtype=dtype)
    X = np.round(GOOD_X * 8).astype(dtype) / 8  # exact in float16
    wide = np.zeros((2 * ROWS, 12), dtype)
    wide[::2, ::3] = X
    unaligned = np.zeros(X.nbytes + 1, np.uint8)[1:].view(dtype).reshape(X.shape)
    unaligned[...] = X
    readonly = X.copy()
    readonly.flags.writeable = False
    variants = {
        "strided": wide[::2, ::3],
        "fortran": np.asfortranarray(X),
        "reversed": X[::-1].copy()[::-1],
        "float16": X.astype(np.float16),
        "big endian": X.astype(X.dtype.newbyteorder(">")),
        "list": X.tolist(),
        "readonly": readonly,
        "unaligned": unaligned,
        "subclass": X.view(np.matrix),
    }
    other, y = variants[kind], good_y(net)
    assert same_bits(net.predict(other), net.predict(X))
    assert same_bits(net.forward(other), net.forward(X))
    assert net.loss(other, y) == net.loss(X, y)
    ours, theirs = net.explain(X, y), net.explain(other, y)
    assert all(same_bits(np.asarray(ours[k]), np.asarray(theirs[k])) for k in ours)
    twin = network(dtype=dtype)
    for n, data in ((net, other), (twin, X)):
        n.fit(data, y, epochs=2, batch_size=4, seed=0, progress=False)
    assert same_bits(net.parameters().flat, twin.parameters().flat)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_targets_weights_and_sparse_rows_that_begin_between_two_elements(loss, dtype):
    """Numbers as elsewhere; that C is never handed such an address shows under UBSan."""

    def odd(array):
        moved = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
        moved[...] = array
        return moved

    net, twin = network(loss, dtype), network(loss, dtype)
    X, weights = GOOD_X.astype(dtype), np.arange(1, ROWS + 1).astype(dtype)
    y = good_y(net) if loss == "cross_entropy" else good_y(net).astype(dtype)
    assert net.loss(odd(X), odd(y)) == twin.loss(X, y)
    assert net.loss(X, odd(y), odd(weights)) == twin.loss(X, y, weights)
    for n, data in ((net, (X, odd(y))), (twin, (X, y))):
        n.backward()
        n.fit(*data, epochs=1, batch_size=4, seed=0, progress=False)
    assert same_bits(net.parameters().flat, twin.parameters().flat)
    assert same_bits(net.freeze()(odd(X)), twin.freeze()(X))
    sparse = pytest.importorskip("scipy.sparse").csr_array(X)
    moved = sparse.copy()
    moved.data, moved.indices = odd(moved.data), odd(moved.indices)
    moved.indptr = odd(moved.indptr)
    assert net.loss(moved, y) == twin.loss(sparse, y)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_sample_and_integers(loss):
    net = network(loss, "float64")
    X, y = np.array([[1, 2, 3, 4]]), good_y(net)[:1]
    assert net.loss(X, y) == net.loss(X.astype(float), y) > 0
    assert net.predict(X).shape == (1, 3)
    net.fit(X, y, epochs=1, progress=False)


def test_labels_of_any_integer_kind():
    net = network()
    y = good_y(net)
    want = net.loss(GOOD_X, y)
    for kind in ("int8", "uint8", "int32", "uint64", ">i8"):
        assert net.loss(GOOD_X, y.astype(kind)) == want
    assert net.loss(GOOD_X, y.tolist()) == want
    assert net.loss(GOOD_X, np.repeat(y, 2)[::2]) == want


def test_one_output_takes_a_vector_of_targets():
    for loss in LOSSES[1:]:
        net = network(loss, outputs=1)
        y = good_y(net)
        assert net.loss(GOOD_X, y.ravel()) == net.loss(GOOD_X, y)


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: mg.Network(), ValueError),
        (lambda: mg.Network(mg.ReLU()), ValueError),
        (lambda: mg.Network(mg.Linear(3, 4), mg.Linear(5, 2)), ValueError),
        (lambda: mg.Network(mg.Linear(3, 4), mg.ReLU), TypeError),
        (lambda: mg.Network(mg.Linear(3, 4), "relu"), TypeError),
        (lambda: mg.Network(mg.Linear(3, 4), loss="l2"), ValueError),
        (lambda: mg.Network(mg.Linear(3, 4), loss=None), (TypeError, ValueError)),
        (lambda: mg.Network(mg.Linear(3, 4), dtype="float16"), ValueError),
        (lambda: mg.Network(mg.Linear(3, 4), dtype=int), (TypeError, ValueError)),
        (lambda: mg.Network(mg.Linear(3, 4), dtype="abc"), ValueError),
        (lambda: mg.Network(mg.Linear(3, 4), seed=-1), ValueError),
        (lambda: mg.Network(mg.Linear(3, 4), seed="a"), (TypeError, ValueError)),
        (lambda: mg.Linear(0, 4), ValueError),
        (lambda: mg.Linear(3, -1), ValueError),
        (lambda: mg.Linear(3.0, 4), TypeError),
        (lambda: mg.Linear(True, 4), TypeError),
        (lambda: mg.Linear(3, 2**31), ValueError),
        (lambda: mg.Linear(3, 4, init="zeros"), ValueError),
        (lambda: mg.LeakyReLU(-0.1), ValueError),
        (lambda: mg.LeakyReLU(float("nan")), ValueError),
        (lambda: mg.LeakyReLU("a"), TypeError),
    ],
)
def test_a_network_that_cannot_be(make, error):
    with pytest.raises(error, match=r"^(Network|Linear|LeakyReLU): "):
        make()


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (1.5, TypeError), (None, TypeError), (True, TypeError)]
)
def test_reseed_takes_what_the_constructor_takes(seed, error):
    net = mg.Network(mg.Linear(2, 2), mg.Dropout(0.5), mg.Linear(2, 2), seed=3)
    net.loss(np.ones((4, 2)), [0, 1, 0, 1])
    with pytest.raises(error, match=r"^Network\.reseed: seed is"):
        net.reseed(seed)
    assert net.seed == 3 and net.step == 1
