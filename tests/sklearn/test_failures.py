"""What the estimators do when something goes wrong, or when only half of it does."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn import neural_network as original
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.estimator_checks import check_param_validation

from micrograd.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OLD = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
NUMBERS = X[:, 0] - X[:, 1] ** 2
LABELS = (X[:, 0] > 0).astype(int)
SMALL = {"hidden_layer_sizes": (7,), "max_iter": 6, "random_state": 0}
DIVERGING = {"activation": "identity", "solver": "sgd", "learning_rate_init": 1e5}


def test_diverging_training_with_early_stopping_ends_with_the_best_weights():
    rates = {"learning_rate_init": 0.4, "activation": "identity", "solver": "sgd"}
    model = MLPRegressor(**{**SMALL, "max_iter": 200}, early_stopping=True, batch_size=10, **rates)
    with pytest.warns(ConvergenceWarning, match=r"MLPRegressor\.fit: .*not finite in epoch"):
        model.fit(30 * X, NUMBERS)
    scores = model.validation_scores_
    assert np.isnan(scores[-1]) and np.isnan(model.loss_) and len(scores) == model.n_iter_
    assert len(model.loss_curve_) == len(model.validation_loss_curve_) == model.n_iter_
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_failed_fit_leaves_the_estimator_as_it_was(solver):
    def boom(state):
        raise RuntimeError("boom")

    for kind, y in ((MLPRegressor, NUMBERS), (MLPClassifier, LABELS)):
        model = kind(solver=solver, warm_start=True, **SMALL)
        unfitted = dict(vars(model))
        for bad in (np.full(120, np.nan), y[:-1]):
            with pytest.raises(ValueError):
                model.fit(X, bad)
        with pytest.raises(RuntimeError, match="boom"):
            model.set_params(callbacks=boom).fit(X, y)
        model.set_params(callbacks=())
        assert vars(model) == unfitted
        model.fit(X, y).partial_fit(X, y)
        twin = pickle.loads(pickle.dumps(model))
        curve = list(model.loss_curve_)
        failures = [
            ("fit", {}, slice(3)),
            ("fit", {"callbacks": boom}, slice(4)),
            ("partial_fit", {"callbacks": boom}, slice(4)),
            ("fit", {"callbacks": boom, "warm_start": False}, slice(2)),
        ]
        for method, settings, columns in failures:
            with pytest.raises((ValueError, RuntimeError)):
                getattr(model.set_params(**settings), method)(X[:, columns], y)
            model.set_params(callbacks=(), warm_start=True)
            assert model.n_features_in_ == 4 and model.loss_curve_ == curve
            np.testing.assert_array_equal(model.predict(X), twin.predict(X))
        model.partial_fit(X, y)  # the optimizer's state is as it was, too
        twin.partial_fit(X, y)
        np.testing.assert_array_equal(model.coefs_[0], twin.coefs_[0])


def test_a_diverging_refit_leaves_the_estimator_as_it_was():
    model = MLPRegressor(**SMALL, warm_start=True, **DIVERGING)
    model.set_params(learning_rate_init=1e-3).fit(X, NUMBERS)
    before = model.predict(X)
    with pytest.raises(ValueError, match=r"MLPRegressor\.fit: .* features that are not scaled"):
        model.set_params(learning_rate_init=1e5).fit(1e3 * X, NUMBERS)
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match=r"MLPRegressor\.partial_fit: "):
        for _ in range(9):
            model.partial_fit(1e3 * X, NUMBERS)
    assert np.isfinite(model.predict(X)).all()


def test_messages_name_the_method_that_was_called():
    for method in ("fit", "partial_fit"):
        model = MLPClassifier(dropout=0.1, **SMALL)
        call = getattr(model, method)
        more = {"classes": [0, 1]} if method == "partial_fit" else {}
        with pytest.raises(ValueError, match=rf"^MLPClassifier\.{method}: sample_weight"):
            call(X, LABELS, sample_weight=-np.ones(120), **more)
        with pytest.raises(TypeError, match=rf"^MLPClassifier\.{method}: the callback"):
            getattr(model.set_params(callbacks=[3]), method)(X, LABELS, **more)


def test_early_stopping_may_be_switched_between_warm_starts():
    model = MLPClassifier(warm_start=True, **SMALL).fit(X, LABELS)
    model.set_params(early_stopping=True).fit(X, LABELS)
    assert len(model.validation_scores_) == model.n_iter_ and model.best_loss_ is None
    assert model.best_validation_score_ == max(model.validation_scores_)
    model.set_params(early_stopping=False).fit(X, LABELS)
    assert model.validation_scores_ is None and np.isfinite(model.best_loss_)
    model.set_params(solver="lbfgs").fit(X, LABELS)
    model.set_params(solver="adam", early_stopping=True).fit(X, LABELS)
    assert len(model.validation_scores_) == model.n_iter_


def test_partial_fit_follows_a_change_of_solver():
    adam = MLPRegressor(**SMALL).fit(X, NUMBERS)
    start = adam.coefs_[0].copy()
    adam.set_params(solver="sgd", learning_rate_init=1e-12).partial_fit(X, NUMBERS)
    np.testing.assert_allclose(adam.coefs_[0], start, atol=1e-9)  # a step of Adam's were 1e-3


def test_rows_held_out_that_all_weigh_nothing_are_an_error_in_words():
    state = np.random.RandomState(0)
    state.uniform(size=(4, 1)), state.uniform(size=1)  # what the first weights take
    _, held_out = train_test_split(np.arange(120), random_state=state, test_size=0.1)
    weights = np.ones(120)
    weights[held_out] = 0
    model = MLPRegressor(hidden_layer_sizes=(), early_stopping=True, max_iter=2, random_state=0)
    with pytest.raises(ValueError, match=r"MLPRegressor\.fit: all rows held out by early_stop"):
        model.fit(X, NUMBERS, sample_weight=weights)


def test_one_class_scores_as_scikit_learns():
    settings = {**SMALL, "early_stopping": True}
    for y in (np.zeros(120, int), np.full(120, "only")):
        if y.dtype.kind == "U" and OLD:
            continue  # 1.7 looks for nan among words, and fails
        theirs = original.MLPClassifier(**settings).fit(X, y)
        ours = MLPClassifier(dtype="float64", **settings).fit(X, y)
        assert ours.validation_scores_ == theirs.validation_scores_
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)


def test_narrow_rows_through_a_wide_model_give_wide_numbers():
    narrow = X.astype(np.float32)
    model = MLPRegressor(dtype="float64", **SMALL).fit(X, NUMBERS)
    assert model.predict(narrow).dtype == np.float64
    np.testing.assert_array_equal(model.predict(narrow), model.predict(narrow.astype(float)))
    single = MLPRegressor(dtype="float32", **SMALL).fit(narrow, NUMBERS)
    assert single.predict(narrow).dtype == np.float32


@pytest.mark.parametrize("name", ["hidden_layer_sizes", "callbacks", "dropout", "activation"])
def test_an_iterator_is_no_parameter(name):
    values = {"hidden_layer_sizes": 5, "callbacks": print, "dropout": 0.1, "activation": "tanh"}
    with pytest.raises(ValueError, match=f"{name!r} parameter of MLPRegressor"):
        MLPRegressor(**{**SMALL, name: iter([values[name]])}).fit(X, NUMBERS)


@pytest.mark.parametrize("name", ["alpha", "max_iter", "hidden_layer_sizes", "dropout", "n_jobs"])
def test_a_bool_is_no_number(name):
    for value in (True, np.True_):
        with pytest.raises(ValueError, match=f"{name!r} parameter of MLPRegressor"):
            MLPRegressor(**{**SMALL, name: value}).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="'hidden_layer_sizes' parameter of MLPRegressor"):
        MLPRegressor(hidden_layer_sizes=(3, True)).fit(X, NUMBERS)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_parameters_are_validated_as_scikit_learn_asks(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_param_validation(kind.__name__, kind())


def test_masked_elements_are_not_taken_for_numbers():
    masked = np.ma.masked_greater(X, 1.5)
    for fails in (
        lambda: MLPRegressor(**SMALL).fit(masked, NUMBERS),
        lambda: MLPRegressor(**SMALL).fit(X, np.ma.masked_less(NUMBERS, 0)),
        lambda: MLPRegressor(**SMALL).fit(X, NUMBERS).predict(masked),
    ):
        with pytest.raises(ValueError, match=r"MLPRegressor: \d+ of \d+ elements .* are masked"):
            fails()
    MLPRegressor(**SMALL).fit(np.ma.masked_array(X), NUMBERS)


def test_sparse_rows_are_predicted_over_the_numbers_that_are_there():
    sparse = pytest.importorskip("scipy.sparse")
    wide = sparse.random_array((60, 5000), density=0.002, rng=np.random.default_rng(0)).tocsr()
    y = np.arange(60) % 3
    for settings in ({}, {"residual": True, "hidden_layer_sizes": (6, 5)}, {"dropout": 0.2}):
        model = MLPClassifier(**{**SMALL, **settings}).fit(wide, y)
        for rows in (wide, wide[:1], wide[:0:-7], sparse.csc_matrix(wide)):
            want = model.predict_proba(rows.toarray())
            np.testing.assert_allclose(model.predict_proba(rows), want, rtol=1e-9, atol=1e-12)
    linear = MLPRegressor(hidden_layer_sizes=(), max_iter=3, random_state=0).fit(wide, y)
    np.testing.assert_allclose(linear.predict(wide), linear.predict(wide.toarray()), rtol=1e-9)
    before = model.predict_proba(wide[:5])
    model.coefs_[0][...] *= 2  # weights that are changed in place count at once
    assert np.abs(model.predict_proba(wide[:5]) - before).max() > 0
    want = model.predict_proba(wide[:5].toarray())
    np.testing.assert_allclose(model.predict_proba(wide[:5]), want, rtol=1e-9)


def test_the_short_way_of_plain_rows_refuses_what_the_long_one_refuses():
    model = MLPClassifier(**SMALL).fit(X, LABELS)
    want = model.predict_proba(X.tolist())
    np.testing.assert_array_equal(model.predict_proba(X), want)
    for rows in (X[:1], np.asfortranarray(X), X[::-2], X.astype(np.float32)):
        np.testing.assert_array_equal(model.predict_proba(rows), model.predict_proba(list(rows)))
    bad = X.copy()
    bad[3, 2] = np.nan
    for rows, words in ((bad, "NaN"), (X[:, :3], "3 features"), (X[:0], "0 sample"), (X[0], "2D")):
        with pytest.raises(ValueError, match=words):
            model.predict_proba(rows)
    pd = pytest.importorskip("pandas")
    named = MLPClassifier(**SMALL).fit(pd.DataFrame(X, columns=list("abcd")), LABELS)
    with pytest.warns(UserWarning, match="feature names"):
        named.predict_proba(X)
