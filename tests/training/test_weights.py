"""Rows and classes that count more than others, and smoothed labels: against the loop by hand."""

import numpy as np
import pytest
from support.bits import same_bits
from support.fits import QUIET, X, Y, binary, by_hand, fitted, steps_of
from support.runs import network
from support.twin import torch_twin

from micrograd.optim import SGD
from micrograd.training import reweighting
from micrograd.training.validation import split

# ---- weights and smoothing ----


def test_sample_weight_is_the_loop_with_weights(dtype):
    w = np.random.default_rng(1).uniform(0, 2, len(X)).astype(dtype)
    one, two = network(dtype=dtype), network(dtype=dtype)
    history = fitted(one, X, Y, sample_weight=w)
    by_hand(two, steps_of(X, Y, w))  # numpy and C add up the weights in different orders
    rtol = {"float32": 1e-4, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=rtol)
    # the loss of an epoch is the weighted mean of its batches'
    still = network(dtype=dtype)
    flat = still.fit(X, Y, epochs=1, batch_size=10, sample_weight=w, **QUIET,
                     optimizer=SGD(still.parameters(), lr=0.0))  # fmt: skip
    assert flat.loss[0] == pytest.approx(still.loss(X, Y, w), rel=1e-6)
    assert len(history.loss) == 3


def test_rows_of_weight_0_are_as_if_they_were_not_there():
    """A whole batch of them, too: no 0 / 0."""
    w = np.ones(len(X))
    w[10:30] = 0
    one, two = network(), network()
    fitted(one, X, Y, sample_weight=w, shuffle=False, epochs=2)
    keep = [0, 3, 4, 5]  # batches of 10 rows
    rows = [np.arange(i * 10, min(i * 10 + 10, len(X))) for i in keep]
    by_hand(two, [(X[r], Y[r], None) for r in rows] * 2)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-12)


def test_class_weight():
    weights = np.array([1.0, 3.0, 0.5])
    ends = []
    for class_weight in ({1: 3.0, 2: 0.5}, weights, weights.tolist()):
        net = network()
        fitted(net, X, Y, class_weight=class_weight)
        ends.append(net.parameters().flat.copy())
    twin = network()
    by_hand(twin, steps_of(X, Y, weights[Y]))
    assert all(same_bits(end, twin.parameters().flat) for end in ends)
    probabilities = network()
    fitted(probabilities, X, np.eye(3)[Y], class_weight=weights)
    np.testing.assert_allclose(probabilities.parameters().flat, ends[0], rtol=1e-10)
    both = network()
    w = np.linspace(0, 1, len(X))
    fitted(both, X, Y, class_weight=weights, sample_weight=w)
    by_hand(twin := network(), steps_of(X, Y, weights[Y] * w))
    np.testing.assert_allclose(both.parameters().flat, twin.parameters().flat, rtol=1e-11)


def test_class_weight_is_torchs():
    torch = pytest.importorskip("torch")
    net, weights = network(), np.array([1.0, 3.0, 0.5])
    twin = torch_twin(net)
    want = torch.nn.functional.cross_entropy(
        twin(torch.as_tensor(X)), torch.as_tensor(Y), weight=torch.as_tensor(weights)
    )
    found = net.fit(X, Y, epochs=1, batch_size=len(X), class_weight=weights,
                    optimizer=SGD(net.parameters(), lr=0.0), **QUIET)  # fmt: skip
    assert found.loss[0] == pytest.approx(want.item(), rel=1e-12)


def test_balanced_weights_are_sklearns():
    found = reweighting.class_weights("f", "balanced", Y, 3)
    assert np.allclose(np.bincount(Y) * found, len(Y) / 3)
    utils = pytest.importorskip("sklearn.utils")
    want = utils.compute_class_weight("balanced", classes=np.arange(3), y=Y)
    np.testing.assert_allclose(found, want, rtol=1e-14)
    some = Y[Y != 1]  # a class that does not occur
    want = utils.compute_class_weight("balanced", classes=np.array([0, 2]), y=some)
    np.testing.assert_allclose(reweighting.class_weights("f", "balanced", some, 3)[[0, 2]], want)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_is_torchs(smoothing):
    torch = pytest.importorskip("torch")
    net = network()
    twin = torch_twin(net)
    want = torch.nn.functional.cross_entropy(
        twin(torch.as_tensor(X)), torch.as_tensor(Y), label_smoothing=smoothing
    )
    rows = reweighting.smooth_labels(Y, 3, smoothing)
    assert net.loss(X, rows) == pytest.approx(want.item(), rel=1e-12)
    assert same_bits(reweighting.smooth_labels(np.eye(3)[Y], 3, smoothing), rows)
    one, two = network(), network()
    fitted(one, X, Y, label_smoothing=smoothing)
    by_hand(two, steps_of(X, rows))
    assert same_bits(one.parameters().flat, two.parameters().flat)


def test_bce_has_class_weights_and_smoothing():
    (one, y), (two, _) = binary(), binary()
    fitted(one, X, y, class_weight={0: 2.0, 1: 5.0}, label_smoothing=0.2)
    by_hand(two, steps_of(X, y * 0.8 + 0.1, np.where(y == 1, 5.0, 2.0)))
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-12)
    net, y = binary()
    fitted(net, X, y[:, None].astype(float), class_weight="balanced")


def test_smoothing_too_large_to_make_at_once(monkeypatch):
    monkeypatch.setattr("micrograd.training.inputs.MOST_SMOOTHED", 10)
    one, two = network(), network()
    fitted(one, X, Y, label_smoothing=0.1, class_weight="balanced")
    monkeypatch.undo()
    fitted(two, X, Y, label_smoothing=0.1, class_weight="balanced")
    assert same_bits(one.parameters().flat, two.parameters().flat)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("part", ["to train on", "that validation sets aside"])
def test_weights_that_leave_a_part_of_the_rows_without_any(part, mapped, tmp_path):
    """The others have some, so that the rows altogether do."""
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float64, X.shape) if mapped else X
    x[...] = X
    net = network()
    before = net.parameters().flat.copy()
    aside = [np.any(_aside(seed) == 7) for seed in range(20)]  # whether row 7 is there
    seed = aside.index(part == "to train on")
    weight = (np.arange(len(X)) == 7) * 1.0
    with pytest.raises(ValueError, match=rf"^Network\.fit: the rows {part} all have weight 0"):
        net.fit(x, Y, epochs=1, seed=seed, validation=0.2, sample_weight=weight, progress=False)
    assert same_bits(net.parameters().flat, before) and net.optimizer is None
    weight[:] = 1
    net.fit(x, Y, epochs=1, seed=seed, validation=0.2, sample_weight=weight, progress=False)


def _aside(seed):
    """The rows that fit sets aside."""
    _, _, count, select = split(Y, len(Y), 0.2, seed)
    return select(np.arange(count))


def test_class_weights_that_leave_no_row_to_train_on():
    net, labels = network(), np.arange(len(X)) % 2  # of three classes
    with pytest.raises(ValueError, match=r"^Network\.fit: the rows to train on all have weight 0"):
        net.fit(X, labels, class_weight={0: 0, 1: 0}, progress=False)


@pytest.mark.parametrize("bad", [-1.0, 1.5])
def test_targets_of_bce_are_probabilities(bad, tmp_path):
    """-1 for "no" has a loss without a lower bound: training ran away in silence."""
    net, y = binary()
    before, y = net.parameters().flat.copy(), y.astype(float)
    y[4] = bad
    mapped = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", np.float64, y.shape)
    mapped[...] = y
    with pytest.raises(ValueError, match=rf"^Network\.fit: y\[4, 0\] is {bad}; for bce 0 to 1"):
        net.fit(X, y, epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"validation\): y\[4, 0\]"):
        net.fit(X, np.clip(y, 0, 1), epochs=1, validation=(X, y), progress=False)
    assert same_bits(net.parameters().flat, before) and net.optimizer is None
    with pytest.raises(ValueError, match=r"y\[4, 0\]"):
        net.fit(X, mapped, epochs=1, progress=False)
    net.fit(X, np.clip(y, 0, 1), epochs=1, progress=False)
