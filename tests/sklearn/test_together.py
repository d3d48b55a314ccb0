"""Trainings that the C core makes together: each ends with the bits of training alone."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.exceptions import ConvergenceWarning

from micrograd.sklearn import MLPClassifier, MLPRegressor
from micrograd.sklearn.running import Rhythm, together

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5))
CLASSES = np.digitize(X[:, 0] + 0.3 * RNG.normal(size=90), [-0.5, 0.5])
NUMBERS = X[:, :2] ** 2
SMALL = {"hidden_layer_sizes": (9,), "batch_size": 20, "max_iter": 40}
CURVES = ("loss_curve_", "n_iter_", "t_", "best_loss_", "_no_improvement_count")


def estimators(dtype):
    """Enough equal ones to fill lanes, which stop at different times, and some that fit in none."""
    own = {"dtype": dtype, **SMALL}
    made = [
        MLPClassifier(
            alpha=10.0 ** -(i % 5), learning_rate_init=0.003 * (1 + i), random_state=i % 3,
            n_iter_no_change=2, tol=0.02, clip_norm=2.0 if i % 4 == 0 else None, **own,
        )
        for i in range(20)
    ]  # fmt: skip
    made += [MLPClassifier(alpha=0.0, random_state=i, **own) for i in range(6)]
    sgd = {"solver": "sgd", "n_iter_no_change": 1, "tol": 0.01}
    for rate in ("adaptive", "invscaling", "constant"):
        made += [MLPClassifier(learning_rate=rate, random_state=i, **sgd, **own) for i in range(5)]
    made.append(MLPClassifier(early_stopping=True, n_iter_no_change=2, random_state=0, **own))
    made.append(MLPClassifier(dropout=0.3, random_state=0, **own))
    made.append(MLPClassifier(activation="tanh", residual=True, random_state=1,
                              **{**own, "hidden_layer_sizes": (9, 9)}))  # fmt: skip
    made.append(MLPClassifier(solver="lbfgs", random_state=1, **own))
    return made


def trained_together(models, targets, rhythm=None, threads=2):
    rhythm = Rhythm() if rhythm is None else rhythm
    runs = [
        model.training(X, y, None, f"{type(model).__name__}.fit", rhythm)
        for model, y in zip(models, targets, strict=True)
    ]
    return together(runs, rhythm, threads)


def assert_same(one, other):
    for name in CURVES:
        assert getattr(one, name, None) == getattr(other, name, None), name
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batches", [1, 3, 64])
def test_bits_are_those_of_fit(dtype, batches):
    models = estimators(dtype)
    rhythm = Rhythm(0, np.inf)  # calls of one length: parts of an epoch, and many epochs
    rhythm.batches = batches
    assert trained_together(models, [CLASSES] * len(models), rhythm) == [None] * len(models)
    for model, alone in zip(models, estimators(dtype), strict=True):
        assert_same(model, alone.fit(X, CLASSES))
    stopped = {model.n_iter_ for model in models[:20]}
    assert len(stopped) > 4 and min(stopped) < 40  # else it shows nothing about early ends


def test_regressors_too_and_their_offsets():
    made = [
        [MLPRegressor(random_state=i, alpha=0.1, loss=loss, **SMALL) for i in range(2)]
        for loss in ("squared_error", "poisson")
    ]
    models = [model for pair in made for model in pair]
    assert trained_together(models, [NUMBERS] * 4, threads=1) == [None] * 4
    for model in models:
        assert_same(model, type(model)(**model.get_params()).fit(X, NUMBERS))


def test_one_that_diverges_says_so_and_the_others_are_trained_to_the_end():
    rates = [1e-3, 1e300, 1e-3, 1e-3, 1e-3]
    models = [
        MLPClassifier(learning_rate_init=rate, dtype="float64", random_state=0, **SMALL)
        for rate in rates
    ]
    errors = trained_together(models, [CLASSES] * 5)
    with pytest.raises(ValueError) as alone:
        MLPClassifier(**models[1].get_params()).fit(X, CLASSES)
    assert [error is None for error in errors] == [True, False, True, True, True]
    assert str(errors[1]) == str(alone.value)
    assert_same(models[0], models[2])
    assert_same(models[0], MLPClassifier(**models[0].get_params()).fit(X, CLASSES))


def test_where_threads_have_a_network_each_in_turn_one_that_diverges_says_so_too():
    rates = [1e-3, 1e300]
    models = [
        MLPClassifier(learning_rate_init=rate, dtype="float64", random_state=0, **SMALL)
        for rate in rates
    ]
    first, second = trained_together(models, [CLASSES] * 2, threads=3)
    assert first is None and "not finite in epoch" in str(second)
    assert_same(models[0], MLPClassifier(**models[0].get_params()).fit(X, CLASSES))


def test_calls_get_as_long_as_is_asked_and_have_a_batch_at_least():
    rhythm, found = Rhythm(1.0, 2.0), []
    for seconds in (0.5, 0.9, 1.5, 0.0, 2.5, 3.0, 9.0, 9.0, 2.0):
        rhythm.took(seconds)
        found.append(rhythm.batches)
    assert found == [2, 4, 4, 8, 4, 2, 1, 1, 1]


def test_an_interrupt_ends_all_of_them(monkeypatch):
    """With a warning each, as it ends a fit."""
    from micrograd.network.network import Network

    original, calls = Network.train_many, []

    def struck(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(Network, "train_many", staticmethod(struck))
    models = [MLPClassifier(random_state=i, **SMALL) for i in range(3)]
    rhythm = Rhythm(0, np.inf)  # a batch a call
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert trained_together(models, [CLASSES] * 3, rhythm) == [None] * 3
    assert sum("interrupted in epoch" in str(each.message) for each in said) == 3
    assert {model.n_iter_ for model in models} == {0}  # 3 of 5 batches, and no epoch


def test_a_generator_of_the_users_own_ends_where_scikit_learns_does():
    """Orders are drawn ahead; what has not been used is as if it had not been drawn."""
    from sklearn.neural_network import MLPClassifier as Theirs

    ends = []
    for kind in (MLPClassifier, Theirs):
        rng = np.random.RandomState(3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = kind((9,), batch_size=90, max_iter=300, n_iter_no_change=2, tol=0.02,
                         learning_rate_init=0.02, random_state=rng)  # fmt: skip
            ends.append((model.fit(X, CLASSES).n_iter_, rng.randint(2**31 - 1)))
    assert ends[0] == ends[1] and 3 < ends[0][0] < 300
