"""Several ranks train one model: against one rank, a plain Network, and each other."""

import numpy as np
import pytest
from support.ranks import run_ranks

import micrograd as mg

# Trains with all that a batch can be: dropout, clipping, weights, Adam, an uneven last batch.
TRAIN = """
import sys, numpy as np, micrograd as mg
from micrograd.distributed import DataParallel
path, dtype, reduction = sys.argv[1:4]
rng = np.random.default_rng(0)
X, y = rng.normal(size=(331, 6)).astype(dtype), rng.integers(0, 3, 331)
w = rng.uniform(0, 2, 331).astype(dtype)
layers = mg.Linear(6, 17), mg.ReLU(), mg.Dropout(0.3), mg.Linear(17, 3)
net = mg.Network(*layers, dtype=dtype, seed=4)
model = net if reduction == "none" else DataParallel(net, reduction=reduction)
adam = mg.optim.Adam(model.parameters(), lr=0.01)
history = model.fit(X, y, epochs=int(sys.argv[4]), batch_size=100, optimizer=adam, clip_norm=0.5,
                    sample_weight=w, validation=(X[:50], y[:50], w[:50]), seed=5)
if getattr(model, "rank", 0) == 0:
    np.savez(path, flat=net.parameters().flat, loss=history.loss, val_loss=history.val_loss,
             val_accuracy=history.val_accuracy, out=net.predict(X))
"""


def trained(tmp_path, ranks, dtype, reduction, epochs=50):
    path = tmp_path / f"{ranks}-{dtype}-{reduction}.npz"
    run_ranks(ranks, TRAIN, path, dtype, reduction, epochs)
    return dict(np.load(path))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ordered_sums_have_the_same_bits_for_any_number_of_ranks(tmp_path, dtype):
    """200 steps: 50 epochs of four batches."""
    one = trained(tmp_path, 1, dtype, "ordered")
    for ranks in (2, 3, 4):
        other = trained(tmp_path, ranks, dtype, "ordered")
        for name, value in one.items():
            assert np.array_equal(value, other[name]), (ranks, name)
    plain = trained(tmp_path, 1, dtype, "none")
    tolerance = 1e-6 if dtype == "float64" else 2e-3
    for name in ("flat", "loss", "val_loss"):
        np.testing.assert_allclose(one[name], plain[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_default_sum_is_that_of_one_rank(tmp_path, ranks):
    plain = trained(tmp_path, 1, "float64", "none")
    other = trained(tmp_path, ranks, "float64", "sum")
    for name in ("flat", "loss", "val_loss"):
        np.testing.assert_allclose(other[name], plain[name], rtol=1e-6, atol=1e-6)
    assert np.array_equal(other["val_accuracy"], plain["val_accuracy"])


def test_half_the_bytes_cost_little_accuracy(tmp_path):
    plain = trained(tmp_path, 1, "float32", "none")
    other = trained(tmp_path, 2, "float32", "bfloat16")
    assert not np.array_equal(other["flat"], plain["flat"])
    assert abs(other["loss"][-1] - plain["loss"][-1]) < 0.02 * plain["loss"][-1]


def test_a_batch_smaller_than_the_number_of_ranks(tmp_path):
    source = """
import sys, numpy as np, micrograd as mg
net = mg.Network(mg.Linear(3, 2), loss="mse", dtype="float64", seed=0)
model = mg.distributed.DataParallel(net, reduction=sys.argv[2])
X = np.arange(15.0).reshape(5, 3) / 10
sgd = mg.optim.SGD(model.parameters(), 0.1)
model.fit(X, X[:, :2], epochs=3, batch_size=4, optimizer=sgd, seed=1)
if model.rank == 0: np.save(sys.argv[1], net.parameters().flat)
"""
    net = mg.Network(mg.Linear(3, 2), loss="mse", dtype="float64", seed=0)
    X = np.arange(15.0).reshape(5, 3) / 10
    sgd = mg.optim.SGD(net.parameters(), 0.1)
    net.fit(X, X[:, :2], epochs=3, batch_size=4, optimizer=sgd, seed=1)
    for reduction in ("sum", "ordered"):
        path = tmp_path / f"{reduction}.npy"
        run_ranks(4, source, path, reduction)
        np.testing.assert_allclose(np.load(path), net.parameters().flat, rtol=1e-12)


def test_loss_and_backward_of_each_ranks_own_rows(tmp_path):
    """Ranks with 7 and 4 rows: loss and gradient are those of the mean over all eleven."""
    source = """
import sys, numpy as np, micrograd as mg
net = mg.Network(mg.Linear(3, 2), mg.Tanh(), mg.Linear(2, 2), dtype="float64", seed=None)
model = mg.distributed.DataParallel(net)
if model.rank == 0: net.save(sys.argv[2])
X, y, w = np.random.default_rng(0).normal(size=(11, 3)), np.arange(11) % 2, np.arange(11) + 1.0
mine = slice(0, 7) if model.rank == 0 else slice(7, 11)
before = [model.loss(X[mine], y[mine], w[mine]) for _ in range(2)]
model.backward()
model.loss(X[mine], y[mine])
model.backward()
norm = np.linalg.norm(net.parameters().flat_grad)
assert np.isclose(mg.clip_grad_norm_(model.parameters(), 1e9), norm)
if model.rank == 0: np.savez(sys.argv[1], loss=before, grad=net.parameters().flat_grad)
"""
    pytest.importorskip("safetensors")
    path, saved = tmp_path / "found.npz", tmp_path / "net.safetensors"
    run_ranks(2, source, path, saved)
    found, net = np.load(path), mg.load(saved)
    X, y, w = np.random.default_rng(0).normal(size=(11, 3)), np.arange(11) % 2, np.arange(11) + 1.0
    net.zero_grad()
    loss = net.loss(X, y, w)
    net.backward()
    net.loss(X, y)
    net.backward()
    np.testing.assert_allclose(found["loss"], [loss, loss], rtol=1e-12)
    np.testing.assert_allclose(found["grad"], net.parameters().flat_grad, rtol=1e-10, atol=1e-14)


def test_rows_that_lie_with_the_ranks(tmp_path):
    """sharded=True: a rank with three times the rows has three times the share of each batch."""
    source = """
import sys, numpy as np, micrograd as mg
rng = np.random.default_rng(0)
X, y = rng.normal(size=(400, 5)), rng.integers(0, 2, 400)
net = mg.Network(mg.Linear(5, 2), dtype="float64", seed=1)
model = mg.distributed.DataParallel(net, sharded=True)
mine = slice(0, 300) if model.rank == 0 else slice(300, 400)
history = model.fit(X[mine], y[mine], epochs=4, batch_size=400, seed=2)
losses = model.wire.all(np.array(history.loss))
assert (losses[0] == losses[1]).all()
if model.rank == 0: np.savez(sys.argv[1], flat=net.parameters().flat, loss=history.loss)
"""
    run_ranks(2, source, tmp_path / "found.npz")
    found, rng = np.load(tmp_path / "found.npz"), np.random.default_rng(0)
    X, y = rng.normal(size=(400, 5)), rng.integers(0, 2, 400)
    net = mg.Network(mg.Linear(5, 2), dtype="float64", seed=1)
    history = net.fit(X, y, epochs=4, batch_size=400, seed=2)
    np.testing.assert_allclose(found["flat"], net.parameters().flat, rtol=1e-10)
    np.testing.assert_allclose(found["loss"], history.loss, rtol=1e-10)


def test_measuring_is_shared_out(tmp_path):
    source = """
import numpy as np, micrograd as mg
rng = np.random.default_rng(0)
X, y, w = rng.normal(size=(2500, 4)), rng.integers(0, 3, 2500), rng.uniform(size=2500)
net = mg.Network(mg.Linear(4, 3), dtype="float64", seed=0)
model = mg.distributed.DataParallel(net)
assert np.array_equal(model.predict(X), net.predict(X))
assert model.predict(X[:1]).shape == (1, 3)
for weights in (None, w):
    loss, right = net.evaluate(X, y, weights)
    assert np.allclose(model.evaluate(X, y, weights), (loss, right), rtol=1e-12)
"""
    run_ranks(3, source)


def test_what_cannot_be(tmp_path):
    source = """
import numpy as np, pytest, micrograd as mg
from micrograd.distributed import DataParallel
net = mg.Network(mg.Linear(4, 3), seed=0)
with pytest.raises(ValueError, match="reduction is 'mean', one of sum, ordered, bfloat16"):
    DataParallel(net, reduction="mean")
with pytest.raises(TypeError, match="a Network or Program is wanted"):
    DataParallel(3)
with pytest.raises(ValueError, match="sharded"):
    DataParallel(net, reduction="ordered", sharded=True)
with pytest.raises(ValueError, match="timeout is 0"):
    DataParallel(net, timeout=0)
model = DataParallel(net, reduction="ordered")
with pytest.raises(RuntimeError, match="no loss"):
    model.backward()
rows = 20 + model.rank
with pytest.raises(ValueError, match="leaves of 32 rows"):
    model.loss(np.zeros((rows, 4)), np.zeros(rows, int))
"""
    run_ranks(2, source)


def test_weights_far_from_one(tmp_path):
    """Rank 0's rows weigh 2^70 in all, rank 1's 1: the C core sums them in different units."""
    source = """
import sys, numpy as np, micrograd as mg
net = mg.Network(mg.Linear(3, 2), dtype="float64", seed=0)
model = mg.distributed.DataParallel(net)
X, y = np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2
w = np.where(np.arange(8) < 4, 2.0**68, 0.25)
sgd = mg.optim.SGD(model.parameters(), 0.1)
model.fit(X, y, epochs=2, batch_size=8, optimizer=sgd, sample_weight=w, shuffle=False)
if model.rank == 0: np.save(sys.argv[1], net.parameters().flat)
"""
    run_ranks(2, source, tmp_path / "flat.npy")
    net = mg.Network(mg.Linear(3, 2), dtype="float64", seed=0)
    X, y = np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2
    w = np.where(np.arange(8) < 4, 2.0**68, 0.25)
    sgd = mg.optim.SGD(net.parameters(), 0.1)
    net.fit(X, y, epochs=2, batch_size=8, optimizer=sgd, sample_weight=w, shuffle=False)
    np.testing.assert_allclose(np.load(tmp_path / "flat.npy"), net.parameters().flat, rtol=1e-12)


@pytest.mark.parametrize("reduction", ["sum", "ordered"])
def test_a_rank_whose_rows_all_weigh_nothing(tmp_path, reduction):
    """In every second batch rank 0's rows have the weight 0: it adds nothing to the gradient."""
    source = """
import sys, numpy as np, micrograd as mg
net = mg.Network(mg.Linear(3, 2), dtype="float64", seed=0)
model = net if sys.argv[2] == "none" else mg.distributed.DataParallel(net, reduction=sys.argv[2])
X, y = np.random.default_rng(0).normal(size=(256, 3)), np.arange(256) % 2
w = np.where(np.arange(256) % 128 < 32, np.arange(256) < 64, 1.0)
sgd = mg.optim.SGD(model.parameters(), 0.5)
model.fit(X, y, epochs=3, batch_size=64, optimizer=sgd, sample_weight=w, shuffle=False)
if getattr(model, "rank", 0) == 0: np.save(sys.argv[1], net.parameters().flat)
"""
    flats = []
    for ranks, how in ((2, reduction), (1, "none")):
        run_ranks(ranks, source, tmp_path / f"{how}.npy", how)
        flats.append(np.load(tmp_path / f"{how}.npy"))
    np.testing.assert_allclose(*flats, rtol=1e-12)


def test_a_rank_whose_own_rows_all_weigh_nothing(tmp_path):
    """Sharded rows, and rows of a mapped file: batch 1 has no weight on rank 0."""
    source = """
import sys, numpy as np, micrograd as mg
X = np.random.default_rng(0).normal(size=(64, 3))
y, w = np.arange(64) % 2, np.ones(64)
path, how = sys.argv[1:]
net = mg.Network(mg.Linear(3, 2), dtype="float64", seed=0)
model = net if how == "none" else mg.distributed.DataParallel(net, sharded=how == "sharded")
sgd = mg.optim.SGD(model.parameters(), 0.5)
w[32:48] = 0  # of two batches of 32 rows the first half of the second
if how == "sharded":  # a rank has a half of each batch
    own = np.arange(64).reshape(2, 2, 16)[:, model.rank].ravel()
    X, y, w = X[own], y[own], w[own]
if how == "mapped":
    np.save(f"{path}.{model.rank}.npy", X)
    X = np.load(f"{path}.{model.rank}.npy", mmap_mode="r")
model.fit(X, y, epochs=3, batch_size=32, optimizer=sgd, sample_weight=w, shuffle=False)
if getattr(model, "rank", 0) == 0: np.save(path, net.parameters().flat)
"""
    run_ranks(1, source, tmp_path / "none.npy", "none")
    for how in ("sharded", "mapped"):
        run_ranks(2, source, tmp_path / f"{how}.npy", how)
        flats = [np.load(tmp_path / f"{name}.npy") for name in (how, "none")]
        np.testing.assert_allclose(*flats, rtol=1e-12)


def test_no_weight_on_any_rank_is_an_error():
    source = """
import numpy as np, micrograd as mg
net = mg.Network(mg.Linear(3, 2), seed=0)
model = mg.distributed.DataParallel(net, sharded=True)
X, y = np.ones((8, 3)), np.arange(8) % 2
net.parameters().flat_grad[...] = 7
before = net.parameters().flat.copy()
def loss():
    try:
        model.loss(X, y, np.zeros(8))
    finally:
        assert (net.parameters().flat_grad == 7).all()
for call in (
    loss,
    lambda: model.fit(X, y, batch_size=16, sample_weight=np.zeros(8)),
    lambda: model.evaluate(X, y, np.zeros(8)),
):
    try:
        call()
    except ValueError as error:
        assert "all of sample_weight is 0" in str(error), error
    else:
        raise AssertionError("no error")
    assert np.array_equal(before, net.parameters().flat) and net.step == 0
"""
    run_ranks(2, source)
