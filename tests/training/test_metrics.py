"""Metrics weigh the rows as the loss does: against scikit-learn's and against rows repeated."""

import numpy as np
import pytest

import micrograd as mg
from micrograd.training import metrics

RNG = np.random.default_rng(3)
LABELS, LOGITS = RNG.integers(0, 3, 50), RNG.normal(size=(50, 3))
TARGETS, OUTPUT = RNG.normal(size=(50, 2)), RNG.normal(size=(50, 2))
COUNTS = RNG.integers(0, 4, 50)
CASES = [("cross_entropy", name, LABELS, LOGITS) for name in ("accuracy", "balanced_accuracy")]
CASES += [("mse", name, TARGETS, OUTPUT) for name in ("mae", "mse", "rmse", "r2")]
CASES += [("bce", "accuracy", (TARGETS > 0) * 1.0, OUTPUT)]


@pytest.mark.parametrize(("loss", "name", "y", "output"), CASES)
def test_a_row_of_weight_n_counts_as_n_rows(loss, name, y, output):
    metric = metrics.named_metrics(loss)[name]
    want = metric(np.repeat(y, COUNTS, axis=0), np.repeat(output, COUNTS, axis=0))
    assert metric(y, output, COUNTS) == pytest.approx(want, rel=1e-12)
    assert metric(y, output) == pytest.approx(metric(y, output, np.full(50, 0.3)), rel=1e-12)
    assert metric(y, output, COUNTS) != metric(y, output)


def test_metrics_against_scikit_learn():
    score = pytest.importorskip("sklearn.metrics")
    classes, labels = LOGITS.argmax(axis=1), LABELS
    for name, theirs, y, output in (
        ("accuracy", score.accuracy_score, labels, classes),
        ("balanced_accuracy", score.balanced_accuracy_score, labels, classes),
        ("mae", score.mean_absolute_error, TARGETS, OUTPUT),
        ("mse", score.mean_squared_error, TARGETS, OUTPUT),
        ("r2", score.r2_score, TARGETS, OUTPUT),
    ):
        ours = getattr(metrics, name)(y, LOGITS if y is LABELS else OUTPUT, COUNTS)
        want = theirs(y, output, sample_weight=COUNTS)
        assert ours == pytest.approx(want, rel=1e-12)


def test_validation_weights_reach_the_metrics():
    """A row weighs nothing: what it would add is a million times the rest."""
    X, y, w = np.eye(4), np.array([1.0, 2.0, 3.0, 1e6]), np.array([1.0, 2.0, 1.0, 0.0])
    net = mg.Network(mg.Linear(4, 1), loss="mse", dtype="float64", seed=0)
    history = net.fit(X[:3], y[:3], epochs=2, validation=(X, y, w), metrics=["mse", "mae"], seed=0)
    error = net.predict(X)[:, 0] - y
    assert history.metrics["val_mse"][-1] == pytest.approx(np.average(error**2, weights=w))
    assert history.metrics["val_mse"][-1] == pytest.approx(history.val_loss[-1])
    assert history.metrics["val_mae"][-1] == pytest.approx(np.average(abs(error), weights=w))


@pytest.mark.parametrize("names", [None, ["balanced_accuracy", "accuracy"]])
def test_validation_weights_reach_the_accuracy(names):
    X, y, w = np.eye(4), np.array([0, 1, 0, 1]), np.array([1.0, 1.0, 5.0, 0.5])
    net = mg.Network(mg.Linear(4, 2), seed=0)
    history = net.fit(X, y, epochs=1, validation=(X, y, w), metrics=names, seed=0)
    right = net.predict(X).argmax(axis=1) == y
    assert history.val_accuracy[-1] == pytest.approx(np.average(right, weights=w))


def test_a_function_gets_the_weights_if_it_takes_them():
    seen = {}

    def takes(y, output, sample_weight):
        seen["takes"] = sample_weight
        return 0.5

    def takes_none(y, output):
        seen["takes_none"] = len(y)
        return 0.25

    X, y, w = np.eye(4), np.array([0, 1, 0, 1]), np.array([1.0, 1.0, 5.0, 0.5])
    net = mg.Network(mg.Linear(4, 2), seed=0)
    net.fit(X, y, epochs=1, validation=(X, y, w), metrics=[takes, takes_none])
    assert seen["takes"].tolist() == w.tolist() and seen["takes_none"] == 4
    net.fit(X, y, epochs=1, validation=(X, y), metrics=[takes, takes_none])
    assert seen["takes"] is None


def test_two_metrics_of_one_name_are_refused():
    net = mg.Network(mg.Linear(4, 2), seed=0)
    with pytest.raises(ValueError, match=r"two metrics are called '<lambda>'"):
        net.fit(np.eye(4), [0, 1, 0, 1], metrics=[lambda y, z: 0.0, lambda y, z: 1.0])


@pytest.mark.parametrize("name", ["loss", "val_loss", "val_accuracy", "seconds"])
@pytest.mark.parametrize("validation", [None, 0.2])
def test_a_metric_takes_no_name_of_what_fit_measures(name, validation):
    """A function called loss had taken the place of the validation loss."""

    def own(y, output):
        return 5.0

    own.__name__ = name
    net = mg.Network(mg.Linear(2, 3), seed=0)
    before = net.parameters().flat.copy()
    with pytest.raises(ValueError, match=rf"^Network\.fit: a metric is called '{name}', as what"):
        net.fit(LOGITS[:, :2], LABELS, epochs=1, metrics=own, validation=validation, progress=False)
    assert np.array_equal(net.parameters().flat, before) and net.optimizer is None
