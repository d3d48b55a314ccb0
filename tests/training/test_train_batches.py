"""Many steps in one call of the C core: the same as one call each."""

import numpy as np
import pytest

import micrograd as mg
from micrograd.optim import Adam
from micrograd.optim.constraints import Constraints

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(50, 4)), RNG.normal(size=(50, 2))
WEIGHTS = RNG.uniform(0.5, 2, size=50)
WEIGHTS[20:30] = 0  # the third batch in the order of the rows
ORDER = np.arange(50)
EPOCHS = 40  # of fit: the last of them several in a call


def trained(weights, batches, order=ORDER):
    """Parameters, sums of loss and penalty, and steps, after batches of ten rows."""
    net = mg.Network(
        mg.Linear(4, 6), mg.Tanh(), mg.Dropout(0.2), mg.Linear(6, 2),
        loss="mse", dtype="float64", seed=1,
    )  # fmt: skip
    data = net.checked_batch("test", X, Y, weights)
    adam = Adam(net.parameters(), lr=0.01)
    constraints = Constraints(net.parameters(), l1=0.3, l2=2.0, clip_norm=0.5)
    totals = np.zeros(2)
    if batches:
        net.train_batches(data, order, 10, adam, constraints, totals)
    else:
        for start in range(0, len(order), 10):
            index = order[start : start + 10]
            weight = len(index) if weights is None else np.cumsum(weights[index])[-1]
            if weight == 0:
                continue
            constraints.c.l1, constraints.c.l2 = 0.3 / weight, 2.0 / weight
            loss = net.train_step(data, index, adam, constraints)
            totals += len(index) * np.array([loss, constraints.penalty])
    return net.parameters().flat.copy(), totals, adam.steps


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_equals_a_call_for_each_batch(weights):
    for order in (ORDER, RNG.permutation(50)[:47]):
        alone, together = trained(weights, False, order), trained(weights, True, order)
        for want, got in zip(alone, together, strict=True):
            np.testing.assert_array_equal(got, want)
    assert trained(weights, True)[2] == (5 if weights is None else 4)


def test_totals_do_not_depend_on_how_many_batches_a_call_has():
    net = mg.Network(mg.Linear(4, 2), loss="mse", seed=0)
    data = net.checked_batch("test", X, Y)
    found = []
    for rows in (10, 20, 50):
        net.parameters().flat[...] = 0.1
        adam, constraints = Adam(net.parameters()), Constraints(net.parameters(), l2=1.0)
        totals = np.zeros(2)
        for start in range(0, 50, rows):
            index = ORDER[start : start + rows]
            net.train_batches(data, index, 10, adam, constraints, totals)
        found.append(list(totals))
    assert found[0] == found[1] == found[2]


def test_a_loss_that_is_not_finite_stops_before_its_step():
    net = mg.Network(mg.Linear(4, 2), loss="mse", dtype="float64", seed=0)
    rows = X.copy()
    rows[25] = 1e200
    data = net.checked_batch("test", rows, Y)
    adam, constraints = Adam(net.parameters()), Constraints(net.parameters())
    with pytest.raises(FloatingPointError, match="at step 2"):
        net.train_batches(data, ORDER, 10, adam, constraints, np.zeros(2))
    assert adam.steps == 2 and np.isfinite(net.parameters().flat).all()


def test_epsilon_before_the_correction_of_the_second_moment():
    net = mg.Network(mg.Linear(1, 1), loss="mse", dtype="float64", seed=0)
    parameters = net.parameters()
    adam = Adam(parameters, lr=0.1, eps=0.01)
    adam.c.epsilon_hat = True
    p, m, s = parameters.flat.copy(), np.zeros(2), np.zeros(2)
    for t in range(1, 6):
        parameters.flat_grad[...] = g = np.array([0.3 * t, -0.02])
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
        rate = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)  # Kingma and Ba, end of section 2
        p = p - rate * m / (np.sqrt(s) + 0.01)
        adam.step()
        np.testing.assert_allclose(parameters.flat, p, rtol=1e-13)


class Watching:
    """Sees every step, so that each is a call of its own."""

    def __init__(self):
        self.steps = 0

    def on_step(self, state):
        self.steps += 1


def fitted(watched, **options):
    """A network's parameters, history and counts after fit, whose steps somebody sees or nobody."""
    net = mg.Network(
        mg.Linear(4, 6), mg.Tanh(), mg.Dropout(0.2), mg.Linear(6, 2), loss="mse", seed=1
    )
    history = net.fit(
        X, Y, epochs=EPOCHS, batch_size=8, seed=4, progress=False, callbacks=watched, **options
    )
    return net.parameters().flat.copy(), history, net.optimizer.steps, net.step


@pytest.mark.parametrize(
    "options", [{}, {"shuffle": False}, {"clip_norm": 0.1, "validation": (X, Y)}, {"l2": 0.1}]
)
def test_fit_has_the_same_bits_whether_its_steps_are_watched(options):
    watching = Watching()
    flat, history, *counts = fitted([watching], **options)
    got, same, *others = fitted([], **options)
    assert watching.steps == EPOCHS * 7
    np.testing.assert_array_equal(got, flat)
    assert same.loss == history.loss and same.val_loss == history.val_loss and others == counts


def test_fit_makes_many_steps_a_call_and_many_epochs(monkeypatch):
    net = mg.Network(mg.Linear(4, 2), loss="mse", seed=0)
    calls = []
    for name in ("train_batches", "train_epochs"):
        own = getattr(type(net), name)
        monkeypatch.setattr(type(net), name, lambda *a, own=own: calls.append(len(a[2])) or own(*a))
    history = net.fit(X, Y, epochs=200, batch_size=10, seed=0, progress=False)
    assert sum(calls) == 200 * 50 and net.optimizer.steps == 1000
    assert len(calls) < 50  # twice as many batches each time, until a call takes milliseconds
    assert len(history.loss) == len(history.seconds) == 200
    assert np.all(np.diff(history.seconds) >= 0)


def test_who_looks_at_each_epoch_sees_each(capsys):
    seen = []
    net = mg.Network(mg.Linear(4, 2), loss="mse", seed=0)
    callback = [lambda state: seen.append((state.epoch, state.history.loss[-1]))]
    history = net.fit(X, Y, epochs=EPOCHS, seed=0, progress=False, callbacks=callback)
    assert seen == list(enumerate(history.loss, 1))
    same = mg.Network(mg.Linear(4, 2), loss="mse", seed=0)
    assert same.fit(X, Y, epochs=EPOCHS, seed=0, progress=True).loss == history.loss
    assert len(capsys.readouterr().err.splitlines()) == EPOCHS


def test_training_goes_on_from_several_epochs_in_a_call(tmp_path):
    """A file is written after each epoch: each is a call of its own there."""
    once, twice, file = (mg.Network(mg.Linear(4, 2), loss="mse", seed=0) for _ in range(3))
    once.fit(X, Y, epochs=2 * EPOCHS, batch_size=16, seed=3, progress=False)
    twice.fit(X, Y, epochs=EPOCHS, batch_size=16, seed=3, progress=False)
    mg.save(twice, tmp_path / "half.npz")
    path = tmp_path / "half.npz"
    twice.fit(X, Y, epochs=2 * EPOCHS, batch_size=16, seed=3, progress=False, resume=path)
    file.fit(X, Y, epochs=2 * EPOCHS, batch_size=16, seed=3, progress=False, resume=tmp_path / "f")
    assert np.array_equal(once.parameters().flat, twice.parameters().flat)
    assert np.array_equal(once.parameters().flat, file.parameters().flat)


def test_divergence_is_told_with_the_same_words_and_steps_before():
    told = []
    for watched in ([Watching()], []):
        net = mg.Network(mg.Linear(4, 2), loss="mse", dtype="float64", seed=0)
        steep = mg.optim.SGD(net.parameters(), lr=30.0)
        with pytest.raises(FloatingPointError) as caught:
            net.fit(
                X, Y, epochs=200, batch_size=10, shuffle=False, seed=0, progress=False,
                optimizer=steep, callbacks=watched,
            )  # fmt: skip
        told.append(str(caught.value))
        assert np.isfinite(net.parameters().flat).all()
    assert told[0] == told[1]
    assert told[0].count("e+") >= 10  # five losses, five norms
