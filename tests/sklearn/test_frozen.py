"""Estimators predict by frozen weights, and never by old ones."""

import copy
import pickle
import threading

import numpy as np
import pytest

pytest.importorskip("sklearn")

import micrograd as mg
from micrograd.network.predictor import Predictor
from micrograd.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
CLASSES = RNG.integers(3, size=120)
NUMBERS = X @ [1.0, -2, 0.5, 0] + 3
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 3, "tol": 0, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore:.*not converged")


@pytest.fixture
def calls(monkeypatch):
    """Counts the calls of Predictors."""
    count = []
    original = Predictor.__call__

    def counted(self, X, out=None):
        count.append(len(X))
        return original(self, X, out)

    monkeypatch.setattr(Predictor, "__call__", counted)
    return count


def fresh(model, rows=X):
    """What the weights of the estimator give now, by numpy."""
    z = rows
    for i, (weights, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        z = (z if i == 0 else np.maximum(z, 0)) @ weights + bias
    return z.ravel()


def frozen(settings=None):
    """A regressor that has predicted often enough to have frozen its weights."""
    model = MLPRegressor(**SMALL, **(settings or {})).fit(X, NUMBERS)
    for _ in range(3):
        model.predict(X)
    return model


def test_the_second_answer_comes_from_frozen_weights_to_the_bit(calls):
    model = MLPClassifier(**SMALL).fit(X, CLASSES)
    first = model.predict_proba(X)
    assert not calls
    for _ in range(3):
        np.testing.assert_array_equal(model.predict_proba(X), first)
    assert calls == [120] * 3
    np.testing.assert_array_equal(model.predict_proba(X[:1]), model.predict_proba(X.tolist())[:1])


@pytest.mark.parametrize("change", [
    lambda model: model.fit(X, -NUMBERS),
    lambda model: model.partial_fit(X, -NUMBERS),
    lambda model: model.set_params(warm_start=True).fit(X, -NUMBERS),
    lambda model: model.coefs_[0].__imul__(2),
    lambda model: model.intercepts_[-1].__iadd__(1),
    lambda model: setattr(model, "intercepts_", [b + 1 for b in model.intercepts_]),
    lambda model: model.network_.parameters().flat.__imul__(2),
    lambda model: model.network_.fit(X.astype(model.network_.dtype), NUMBERS[:, None], epochs=1,
                                     progress=False),
])  # fmt: skip
def test_whatever_changes_the_weights_counts_at_once(change):
    model = frozen()
    before = model.predict(X)
    change(model)
    for _ in range(3):
        assert np.abs(model.predict(X) - before).max() > 1e-3
        np.testing.assert_allclose(model.predict(X), fresh(model), rtol=1e-9, atol=1e-9)


def test_arrays_taken_before_a_warm_start_may_be_written_to_after_it(calls):
    model = frozen({"warm_start": True})
    held = model.coefs_[0]
    model.fit(X, NUMBERS)
    model.predict(X), model.predict(X)
    calls.clear()
    held *= 3
    np.testing.assert_allclose(model.predict(X), fresh(model), rtol=1e-9)
    assert not calls
    model.set_params(warm_start=False).fit(X, NUMBERS)  # other arrays
    model.predict(X), model.predict(X)
    assert calls == [120]


def test_a_fit_that_fails_leaves_the_answers(calls):
    model = frozen()
    before = model.predict(X)
    with pytest.raises(ValueError, match="y contains NaN"):
        model.partial_fit(X, np.full(120, np.nan))
    for _ in range(3):
        np.testing.assert_array_equal(model.predict(X), before)

    def boom(state):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        model.set_params(callbacks=boom).partial_fit(X, -NUMBERS)
    for _ in range(3):
        np.testing.assert_array_equal(model.predict(X), before)


def test_copies_are_their_own():
    model = frozen()
    before = model.predict(X)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for _ in range(3):
            np.testing.assert_array_equal(other.predict(X), before)
        other.coefs_[0][...] = 0
        assert np.ptp(other.predict(X)) == 0
    np.testing.assert_array_equal(model.predict(X), before)


def test_threads_that_predict_at_once_agree():
    X, y = mg.data.digits()
    model = MLPClassifier((16,), max_iter=2, random_state=0).fit(X, y)
    want, wrong = MLPClassifier((16,), max_iter=2, random_state=0).fit(X, y).predict_proba(X), []

    def work():
        for i in range(200):
            if not np.array_equal(model.predict_proba(X[i : i + 1]), want[i : i + 1]):
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_float32_cannot_hold_is_no_number():
    model = MLPClassifier(**SMALL, dtype="float32").fit(X, CLASSES)
    big = X[:2].copy()
    big[1, 2] = 1e39
    for _ in range(3):
        with pytest.raises(ValueError, match=r"X\[1, 2\] is (inf|1e\+39)"):
            model.predict_proba(big)


def test_ensembles_freeze_their_members(calls):
    model = MLPClassifier(**SMALL, n_members=3).fit(X, CLASSES)
    first = model.predict_proba(X)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict_proba(X), first)
    assert len(calls) == 6
    model.members_[1].coefs_[0][...] = 0
    assert np.abs(model.predict_proba(X) - first).max() > 1e-3
