"""fit against a loop written by hand; shuffling, clipping, validation, divergence, interruption."""

import math
import os
import signal
import threading

import numpy as np
import pytest
from support.bits import same_bits
from support.networks import snapshot
from support.runs import data, network, orders
from support.twin import torch_loss, torch_twin

import micrograd as mg
from micrograd.optim import SGD

SETTINGS = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}


def clip(flat_grad, max_norm):
    norm = math.sqrt(math.fsum(float(g) ** 2 for g in flat_grad))
    if norm > max_norm:
        flat_grad *= max_norm / (norm + 1e-6)


def loop(net, X, y, epochs, batch_size, seed, max_norm=None, **settings):
    """What fit does, in small steps; returns the mean loss of each epoch."""
    optimizer, history = SGD(net.parameters(), **settings), []
    for batches in orders(len(X), batch_size, epochs, seed):
        losses = []
        for index in batches:
            optimizer.zero_grad()
            losses.append(net.loss(X[index], y[index]) * len(index))
            net.backward()
            if max_norm:
                clip(net.parameters().flat_grad, max_norm)
            optimizer.step()
        history.append(sum(losses) / len(X))
    return history


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "bce", "mae", "huber"])
@pytest.mark.parametrize("batch_size", [1, 10, 53, 1000])
def test_fit_is_the_loop(loss, batch_size, dtype):
    """The same bits: fit calls the same kernels on the same numbers."""
    X, y = data(loss, dtype=dtype)
    one, two = network(loss, dtype), network(loss, dtype)
    settings = SETTINGS | {"lr": 0.01}
    optimizer = SGD(one.parameters(), **settings)
    history = one.fit(
        X, y, epochs=3, batch_size=batch_size, optimizer=optimizer, seed=7, progress=False
    )
    want = loop(two, X, y, 3, batch_size, 7, **settings)
    assert same_bits(one.parameters().flat, two.parameters().flat)
    assert history.loss == pytest.approx(want, rel=1e-14)
    assert optimizer.steps == 3 * math.ceil(53 / batch_size)
    assert len(history.seconds) == 3 and history.seconds == sorted(history.seconds)
    assert history.val_loss == history.val_accuracy == []


def test_probability_rows():
    X, y = data()
    one, two = network(), network()
    for net, targets in ((one, y), (two, np.eye(3)[y])):
        net.fit(X, targets, epochs=2, batch_size=8, seed=0, progress=False)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-10)


@pytest.mark.parametrize("max_norm", [0.05, 0.5, 1e6])
def test_clipping_is_torchs(max_norm):
    torch = pytest.importorskip("torch")
    X, y = data()
    ours, by_hand = network(), network()
    twin = torch_twin(ours)
    theirs = torch.optim.SGD(twin.parameters(), **SETTINGS)
    ours.fit(X, y, epochs=2, batch_size=10, optimizer=SGD(ours.parameters(), **SETTINGS),
             clip_norm=max_norm, seed=1, progress=False)  # fmt: skip
    for batches in orders(53, 10, 2, 1):
        for index in batches:
            theirs.zero_grad()
            torch_loss(ours, twin, X[index], y[index]).backward()
            torch.nn.utils.clip_grad_norm_(twin.parameters(), max_norm)
            theirs.step()
    loop(by_hand, X, y, 2, 10, 1, max_norm, **SETTINGS)
    np.testing.assert_allclose(ours.parameters().flat, by_hand.parameters().flat, rtol=1e-12)
    for p, q in zip(ours.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-11, atol=1e-13)
    unclipped = network()
    loop(unclipped, X, y, 2, 10, 1, **SETTINGS)
    assert (max_norm == 1e6) == np.allclose(ours.parameters().flat, unclipped.parameters().flat)


def test_seeds():
    X, y = data()
    ends = []
    for seed in (5, 5, 6):
        net = network()
        net.fit(X, y, epochs=2, batch_size=8, seed=seed, progress=False)
        ends.append(net.parameters().flat.copy())
    assert same_bits(ends[0], ends[1]) and not np.array_equal(ends[0], ends[2])


def test_every_row_is_used_once_an_epoch_in_a_new_order():
    """A network that only counts: the gradient of z = W x with mae is the sign times x."""
    rows = 20
    net = mg.Network(mg.Linear(rows, 1, bias=False), loss="mae", dtype="float64", seed=0)
    net.parameters().flat[:] = 0
    X, y = np.eye(rows), np.full(rows, 100.0)
    net.fit(X, y, epochs=3, batch_size=1, optimizer=SGD(net.parameters(), lr=1.0), progress=False)
    assert (net.parameters().flat == 3).all()


def test_threads_give_the_same_bits(threads, dtype):
    """256-256-256 with 128 rows: 17 million multiply-adds, above PARALLEL_MULTIPLICATIONS."""
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(300, 256)).astype(dtype), rng.integers(0, 10, 300)
    ends = []
    for n in (1, 2, 3):
        threads(n)
        net = mg.Network(
            mg.Linear(256, 256), mg.Tanh(), mg.Linear(256, 255), mg.Softmax(), mg.Linear(255, 10),
            dtype=dtype, seed=0,
        )  # fmt: skip
        history = net.fit(X, y, epochs=2, batch_size=128, clip_norm=0.3, seed=1, progress=False)
        ends.append((history.loss, net.parameters().flat.copy(), net.loss(X, y)))
        net.backward()
        ends[-1] += (net.parameters().flat_grad.copy(),)
    for other in ends[1:]:
        assert other[0] == ends[0][0] and other[2] == ends[0][2]
        assert same_bits(other[1], ends[0][1]) and same_bits(other[3], ends[0][3])


def test_validation_metrics():
    X, y = data()
    X_val, y_val = data(rows=1500)  # more than one block of EVALUATION_ROWS
    net = network()
    history = net.fit(
        X, y, epochs=3, batch_size=8, validation=(X_val, y_val), seed=0, progress=False
    )
    assert len(history.val_loss) == len(history.val_accuracy) == 3
    z = net.predict(X_val)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    assert history.val_loss[-1] == pytest.approx(-log_p[np.arange(1500), y_val].mean(), rel=1e-12)
    assert history.val_accuracy[-1] == (z.argmax(axis=1) == y_val).mean()
    assert history.val_loss[0] != history.val_loss[1]
    again = network()
    without = again.fit(X, y, epochs=3, batch_size=8, seed=0, progress=False)
    assert without.loss == history.loss  # looking does not change the training
    assert same_bits(again.parameters().flat, net.parameters().flat)
    assert history.to_dict()["val_loss"] == history.val_loss


def test_validation_of_a_regression_and_of_probability_rows():
    X, y = data("mse")
    net = network("mse")
    history = net.fit(X, y, epochs=2, validation=(X, y), seed=0, progress=False)
    assert history.val_accuracy == [] and len(history.val_loss) == 2
    assert history.val_loss[-1] == pytest.approx(((net.predict(X) - y) ** 2).mean(), rel=1e-12)
    X, y = data()
    one, two = (
        network().fit(X, y, epochs=2, validation=(X, v), seed=0, progress=False)
        for v in (y, np.eye(3)[y])
    )
    assert one.val_accuracy == two.val_accuracy
    assert one.val_loss == pytest.approx(two.val_loss, rel=1e-12)


def test_an_optimizer_keeps_its_state_from_call_to_call():
    X, y = data()
    one, two = network(), network()
    optimizer = SGD(one.parameters(), lr=lambda t: 0.1 / (1 + t), momentum=0.9)
    for _ in range(2):
        one.fit(X, y, epochs=1, batch_size=60, optimizer=optimizer, seed=4, progress=False)
    assert optimizer.steps == 2
    reference = SGD(two.parameters(), lr=lambda t: 0.1 / (1 + t), momentum=0.9)
    for batches in [next(orders(53, 60, 1, 4)) for _ in range(2)]:
        two.zero_grad()
        two.loss(X[batches[0]], y[batches[0]])
        two.backward()
        reference.step()
    assert same_bits(one.parameters().flat, two.parameters().flat)


# ---- what goes wrong ----


@pytest.mark.parametrize("lr", [50.0, 1e6, 1e15])
def test_divergence(lr, dtype):
    """The loss overflows: an error, and the weights are those before the step that failed."""
    X, y = data("mse", dtype=dtype)
    net = network("mse", dtype)
    optimizer = SGD(net.parameters(), lr=lr)
    with pytest.raises(FloatingPointError, match=r"Network\.fit.*learning rate"):
        net.fit(X, y, epochs=2000, batch_size=10, optimizer=optimizer, seed=0, progress=False)
    assert np.isfinite(net.parameters().flat).all()
    twin, done = network("mse", dtype), 0
    by_hand = SGD(twin.parameters(), lr=lr)
    with np.errstate(all="ignore"):
        for batches in orders(53, 10, 2000, 0):
            for index in batches:
                if done == optimizer.steps:
                    break
                twin.zero_grad()
                twin.loss(X[index], y[index])
                twin.backward()
                by_hand.step()
                done += 1
    assert same_bits(net.parameters().flat, twin.parameters().flat)


def test_a_step_that_overflows_is_an_error():
    """The loss is still finite, but lr * gradient is not."""
    X, y = data("mse", dtype="float32")
    net = network("mse", "float32")
    optimizer = SGD(net.parameters(), lr=3e38)
    with pytest.raises(FloatingPointError, match=r"Network\.fit"):
        net.fit(X * 100, y, epochs=5, batch_size=10, optimizer=optimizer, progress=False)
    assert np.isfinite(net.parameters().flat).all()


@pytest.mark.parametrize(
    "keywords, error",
    [
        ({"epochs": 0}, ValueError),
        ({"epochs": -3}, ValueError),
        ({"epochs": 1.5}, TypeError),
        ({"epochs": True}, TypeError),
        ({"batch_size": 0}, ValueError),
        ({"batch_size": "all"}, TypeError),
        ({"clip_norm": 0}, ValueError),
        ({"clip_norm": -1.0}, ValueError),
        ({"clip_norm": float("nan")}, ValueError),
        ({"clip_norm": "1"}, TypeError),
        ({"optimizer": "sgd"}, TypeError),
        ({"validation": 5}, (TypeError, ValueError)),
        ({"validation": (np.ones((2, 5)),)}, (TypeError, ValueError)),
        ({"seed": -1}, ValueError),
        ({"seed": "x"}, (TypeError, ValueError)),
    ],
)
def test_bad_settings(keywords, error):
    net, (X, y) = network(), data()
    before = snapshot(net)
    with pytest.raises(error, match=r"^Network\.fit"):
        net.fit(X, y, progress=False, **keywords)
    assert all(same_bits(a, b) for a, b in zip(before, snapshot(net), strict=True))


def test_an_optimizer_of_another_network_is_refused():
    net, other, (X, y) = network(), network(), data()
    with pytest.raises(ValueError, match="another model"):
        net.fit(X, y, optimizer=SGD(other.parameters(), lr=0.1), progress=False)


def assert_usable(net, X, y):
    assert np.isfinite(net.parameters().flat).all() and np.isfinite(net.predict(X)).all()
    before = net.loss(X, y)
    net.fit(X, y, epochs=20, seed=0, progress=False)
    assert net.loss(X, y) < before


def test_an_interruption_from_within():
    net, twin, (X, y) = network(), network(), data()

    def interrupts(step):
        if step == 7:
            raise KeyboardInterrupt
        return 0.05

    for n, lr in ((net, interrupts), (twin, 0.05)):
        optimizer = SGD(n.parameters(), lr=lr)
        if n is net:
            with pytest.raises(KeyboardInterrupt):
                n.fit(X, y, epochs=9, batch_size=53, optimizer=optimizer, seed=0, progress=False)
        else:
            n.fit(X, y, epochs=7, batch_size=53, optimizer=optimizer, seed=0, progress=False)
    assert same_bits(net.parameters().flat, twin.parameters().flat)  # whole steps only
    assert_usable(net, X, y)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.thread_unsafe(reason="a signal goes to the main thread, which waits for the others")
def test_ctrl_c():
    net, (X, y) = network(), data()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=10**7, batch_size=16, seed=0, progress=False)
    timer.join()
    assert_usable(net, X, y)


def test_fit_between_loss_and_backward_leaves_no_stale_pass():
    """fit works in the same memory as the cached pass; a larger batch moves it."""
    net, (X, y) = network(), data()
    net.loss(X[:2], y[:2])
    net.fit(X, y, epochs=1, batch_size=53, progress=False)
    with pytest.raises(RuntimeError, match=r"Network\.backward"):
        net.backward()


def test_gradients_after_a_failed_fit_follow_the_rules():
    """zero_grad was called: whoever reads then sees zeros or a real gradient, never an old one."""
    X, y = data("mse")
    net = network("mse")
    net.loss(X, y)
    net.backward()
    net.zero_grad()
    net.parameters()[0].data[...] = 1e200  # the loss overflows in the first step
    with pytest.raises(FloatingPointError):
        net.fit(X, y, epochs=1, progress=False)
    assert not net.parameters().flat_grad.any()


# ---- what it prints, and the main job ----


def test_progress(capsys):
    net, (X, y) = network(), data()
    net.fit(X, y, epochs=2, validation=(X, y), seed=0, progress=True)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2 and all("loss" in line and "val_accuracy" in line for line in lines)
    net.fit(X, y, epochs=2, seed=0)
    net.fit(X, y, epochs=2, seed=0, progress=False)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


@pytest.mark.parametrize("activation", [mg.ReLU(), mg.Tanh()])
def test_digits(activation, dtype):
    X, y = mg.data.digits()
    X_train, X_test, y_train, y_test = mg.data.train_test_split(X, y, seed=0)
    net = mg.Network(mg.Linear(64, 48), activation, mg.Linear(48, 10), dtype=dtype, seed=0)
    history = net.fit(
        X_train, y_train, epochs=25, batch_size=32, validation=(X_test, y_test), seed=0,
        progress=False,
    )  # fmt: skip
    assert history.val_accuracy[-1] > 0.95
    assert history.loss[-1] < 0.1 < history.loss[0]
    assert (net.predict(X_test).argmax(axis=1) == y_test).mean() == history.val_accuracy[-1]
