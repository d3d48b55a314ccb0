"""What looks at a run: validation, metrics, early stopping, callbacks, the history."""

import math

import numpy as np
import pytest
from support.bits import same_bits
from support.fits import QUIET, X, Y, binary, by_hand, fitted, steps_of
from support.runs import data, network

import micrograd as mg
from micrograd.optim import SGD, Adam

# ---- validation, metrics, early stopping ----


def test_a_validation_fraction_is_stratified_and_not_trained_on():
    y = np.repeat([0, 1, 2], [40, 40, 20])
    X = np.random.default_rng(0).normal(size=(100, 5))
    seen = []
    net = network()

    class Spy:
        def on_epoch(self, state):
            seen.append(state.history.last()["val_probe"])

    def probe(y_true, output):
        assert np.bincount(y_true).tolist() == [8, 8, 4]
        return float(y_true.sum())

    history = fitted(net, X, y, validation=0.2, metrics=["accuracy", probe], callbacks=[Spy()])
    assert len(history.val_loss) == len(history.val_accuracy) == 3 and seen == [16, 16, 16]
    # training uses the other 80, and they alone: rows that are far away would show
    far = X.copy()
    rows = {tuple(row) for row in far}
    held = []
    fitted(network(), far, y, validation=0.2,
           metrics=lambda t, o: held.append(len(t)) or 0.0, epochs=1)  # fmt: skip
    assert held == [20] and len(rows) == 100


def test_what_is_set_aside_is_not_trained_on():
    """A network that counts, as in test_train: z = W x, each row of X touches its own weight."""
    rows = 20
    net = mg.Network(mg.Linear(rows, 1, bias=False), loss="mae", dtype="float64", seed=0)
    net.parameters().flat[:] = 0
    net.fit(np.eye(rows), np.full(rows, 100.0), epochs=3, batch_size=1, validation=0.25,
            optimizer=SGD(net.parameters(), lr=1.0), **QUIET)  # fmt: skip
    assert sorted(net.parameters().flat.tolist()) == [0] * 5 + [3] * 15
    again = mg.Network(mg.Linear(rows, 1, bias=False), loss="mae", dtype="float64", seed=0)
    again.parameters().flat[:] = 0
    again.fit(np.eye(rows), np.full(rows, 100.0), epochs=3, batch_size=1, validation=0.25,
              optimizer=SGD(again.parameters(), lr=1.0), **QUIET)  # fmt: skip
    assert same_bits(net.parameters().flat, again.parameters().flat)


def test_metrics_are_sklearns():
    metrics = pytest.importorskip("sklearn.metrics")
    net = network("mse")
    x, y = data("mse")
    history = fitted(net, x, y, validation=(x, y), metrics=["r2", "mae", "mse", "rmse"])
    z, found = net.predict(x), history.to_dict()
    assert found["val_r2"][-1] == pytest.approx(metrics.r2_score(y, z), rel=1e-12)
    assert found["val_mae"][-1] == pytest.approx(metrics.mean_absolute_error(y, z), rel=1e-12)
    assert found["val_mse"][-1] == pytest.approx(metrics.mean_squared_error(y, z), rel=1e-12)
    assert found["val_rmse"][-1] == pytest.approx(found["val_mse"][-1] ** 0.5, rel=1e-12)
    net = network()
    history = fitted(net, X, Y, metrics=["accuracy", "balanced_accuracy"])
    p, found = net.predict(X).argmax(axis=1), history.to_dict()
    assert found["accuracy"][-1] == metrics.accuracy_score(Y, p)
    want = metrics.balanced_accuracy_score(Y, p)
    assert found["balanced_accuracy"][-1] == pytest.approx(want, rel=1e-14)
    net, y = binary()
    history = fitted(net, X, y, validation=(X, y), metrics="accuracy")
    want = metrics.accuracy_score(y, net.predict(X)[:, 0] > 0)
    assert history.val_accuracy[-1] == want


def test_validation_with_weights():
    w = np.random.default_rng(0).uniform(size=len(X))
    w[:5] = 0
    net = network()
    history = fitted(net, X, Y, validation=(X, Y, w))
    assert history.val_loss[-1] == pytest.approx(net.loss(X, Y, w), rel=1e-12)


class Scripted:
    """A metric that goes through given values, one an epoch."""

    __name__ = "score"

    def __init__(self, *values):
        self.values = list(values)

    def __call__(self, y, output):
        return self.values.pop(0)


@pytest.mark.parametrize(
    "values, settings, epochs, best",
    [
        ([5, 4, 3, 4, 4, 9], {"patience": 2, "mode": "min"}, 5, 3),
        ([5, 4, 3, 4, 2, 9, 9], {"patience": 2, "mode": "min"}, 7, 5),
        ([1, 2, 2, 2, 9], {"patience": 2, "mode": "max"}, 4, 2),
        ([5, 4.9, 4.8, 4.7], {"patience": 3, "mode": "min", "min_delta": 0.5}, 4, 1),
        ([math.nan, 4, math.nan, math.inf, 1], {"patience": 2, "mode": "min"}, 4, 2),
        ([3, 2, 1], {"patience": 2, "mode": "min"}, 3, 3),
    ],
)
def test_early_stopping(values, settings, epochs, best):
    snapshots = []
    net = network()
    stopping = mg.EarlyStopping(monitor="val_score", **settings)
    history = fitted(
        net, X, Y, epochs=len(values), validation=(X, Y), metrics=Scripted(*values),
        early_stopping=stopping,
        callbacks=lambda state: snapshots.append(state.model.parameters().flat.copy()),
    )  # fmt: skip
    assert len(history.loss) == epochs and history.best_epoch == best
    assert same_bits(net.parameters().flat, snapshots[best - 1])
    net = network()
    stopping = mg.EarlyStopping(monitor="val_score", restore_best=False, **settings)
    fitted(net, X, Y, epochs=len(values), validation=(X, Y), metrics=Scripted(*values),
           early_stopping=stopping)  # fmt: skip
    assert same_bits(net.parameters().flat, snapshots[-1])


def test_a_patience_alone_looks_at_the_validation_loss():
    history = fitted(network(), X, Y, epochs=300, validation=0.3, early_stopping=3,
                     batch_size=5)  # fmt: skip
    assert len(history.loss) < 300
    assert history.best_epoch == 1 + int(np.argmin(history.val_loss))
    assert len(history.loss) == history.best_epoch + 3


# ---- callbacks ----


def test_callbacks_see_every_step_and_epoch():
    log = []

    class Watch:
        def on_step(self, state):
            log.append(("step", state.step, state.epoch, state.loss))

        def on_epoch(self, state):
            log.append(("epoch", state.step, state.epoch, len(state.history.loss)))
            assert state.model is net and state.optimizer.steps == state.step

    net = network()
    plain = []
    history = fitted(net, X, Y, epochs=2, batch_size=20, callbacks=[Watch(), plain.append])
    assert [entry[:3] for entry in log] == [
        ("step", 1, 0), ("step", 2, 0), ("step", 3, 0), ("epoch", 3, 1),
        ("step", 4, 1), ("step", 5, 1), ("step", 6, 1), ("epoch", 6, 2),
    ]  # fmt: skip
    losses = [entry[3] for entry in log if entry[0] == "step"]
    assert np.dot(losses[:3], [20, 20, 13]) / 53 == pytest.approx(history.loss[0], rel=1e-12)
    assert len(plain) == 2 and isinstance(plain[0], mg.TrainingState)


def test_a_callback_stops_training():
    history = fitted(network(), X, Y, epochs=9,
                     callbacks=lambda s: s.stop() if s.epoch == 2 else None)  # fmt: skip
    assert len(history.loss) == 2

    class AfterSteps:
        def on_step(self, state):
            if state.step == 8:
                state.stop()

    net, twin = network(), network()
    history = fitted(net, X, Y, epochs=9, callbacks=AfterSteps())
    by_hand(twin, list(steps_of(X, Y))[:8])
    assert same_bits(net.parameters().flat, twin.parameters().flat)
    assert len(history.loss) == 2 and history.loss[1] != history.loss[0]


def test_a_fit_within_a_callback_leaves_the_run_its_optimizer_and_its_position(tmp_path):
    pytest.importorskip("safetensors")

    class Tune:
        def __init__(self, after):
            self.after = after

        def on_epoch(self, state):
            if state.epoch == 1:
                state.model.fit(X, Y, epochs=3, optimizer=SGD(net.parameters(), lr=0.01), seed=1)

        def on_step(self, state):
            if state.step == self.after:
                state.model.fit(X, Y, epochs=1, seed=2)
                state.stop()

    net, path = network(), tmp_path / "run"
    adam = Adam(net.parameters())
    net.fit(X, Y, epochs=2, optimizer=adam, seed=0, callbacks=Tune(0), resume=path)
    assert net.optimizer is adam and len(net.position.history["loss"]) == 2
    saved = mg.load(path)
    assert saved.optimizer.state_dict()["steps"] == adam.steps and type(saved.optimizer) is Adam
    net.fit(X, Y, epochs=2, batch_size=20, optimizer=adam, seed=0, callbacks=Tune(adam.steps + 2))
    assert net.optimizer is adam and net.position is None  # broken off within an epoch


# ---- the history ----


def test_history_plots_itself(tmp_path):
    pytest.importorskip("matplotlib")
    history = fitted(network(), X, Y, validation=(X, Y), metrics=["accuracy", "balanced_accuracy"])
    figure = history.plot()
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "loss", "validation accuracy, %", "validation balanced accuracy, %",
    ]  # fmt: skip
    history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="without an epoch"):
        mg.History().plot()


def test_history_as_a_dict_and_back():
    history = fitted(network(), X, Y, validation=(X, Y), metrics=["balanced_accuracy"])
    lists = history.to_dict()
    assert set(lists) == {"loss", "val_loss", "val_accuracy", "seconds", "val_balanced_accuracy"}
    assert mg.History.from_dict(lists) == history
