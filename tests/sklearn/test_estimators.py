"""The estimators against scikit-learn's own: their checks, their numbers, their interface."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from support.estimators import (
    CLASSES,
    LABELS,
    MULTILABEL,
    NUMBERS,
    SMALL,
    TABLE,
    WEIGHTS,
    X,
    assert_same,
)

pytest.importorskip("sklearn")

from sklearn import neural_network as original
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import micrograd as mg
from micrograd.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*iterations.*:UserWarning"
)


@parametrize_with_checks(
    [
        MLPClassifier(max_iter=100),
        MLPRegressor(max_iter=100),
        MLPClassifier(solver="lbfgs", max_iter=50),
        MLPRegressor(solver="sgd", max_iter=50),
    ]
)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


# ---- the same numbers ----


def pair(kind, **settings):
    """scikit-learn's estimator and ours with the same parameters."""
    settings = {**SMALL, **settings}
    return getattr(original, kind)(**settings), getattr(mg.sklearn, kind)(
        dtype="float64", **settings
    )


SOLVERS = [
    {},
    {"batch_size": 32, "epsilon": 1e-3, "beta_1": 0.5, "beta_2": 0.9},
    {"alpha": 3.0, "batch_size": 40},
    {"solver": "sgd", "batch_size": 20},
    {"solver": "sgd", "nesterovs_momentum": False, "shuffle": False},
    {"solver": "sgd", "momentum": 0.0},
    {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "power_t": 0.3},
    {"solver": "lbfgs", "max_iter": 4},  # later, where |z| > 36, scikit-learn clips its loss
]
ACTIVATIONS = [
    {"activation": "logistic"},
    {"activation": "tanh"},
    {"activation": "identity"},
    {"activation": "logistic", "hidden_layer_sizes": ()},
    {"hidden_layer_sizes": 5},
]


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("y", [LABELS, CLASSES, MULTILABEL], ids=["binary", "classes", "labels"])
@pytest.mark.parametrize("settings", SOLVERS + ACTIVATIONS, ids=str)
def test_classifier_equals_scikit_learns(settings, y, weights):
    theirs, ours = pair("MLPClassifier", **settings)
    theirs.fit(X, y, sample_weight=weights)
    assert ours.fit(X, y, sample_weight=weights) is ours
    assert_same(theirs, ours)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(ours.predict_log_proba(X), np.log(ours.predict_proba(X)))
    assert ours.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("y", [NUMBERS, TABLE], ids=["one", "several"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("settings", SOLVERS, ids=str)
def test_regressor_equals_scikit_learns(settings, loss, y, weights):
    if not hasattr(original.MLPRegressor(), "loss"):
        pytest.skip("scikit-learn has no losses before 1.7")
    if loss == "poisson":
        y = np.abs(y).round()  # zeros among them
        if "learning_rate_init" in settings:
            settings = {**settings, "learning_rate_init": 0.01}
        if settings.get("solver") == "lbfgs":
            settings = {**settings, "max_iter": 2}
    theirs, ours = pair("MLPRegressor", loss=loss, **settings)
    theirs.fit(X, y, sample_weight=weights)
    ours.fit(X, y, sample_weight=weights)
    assert_same(theirs, ours)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8, atol=1e-9)


def test_the_network_of_a_poisson_regressor_is_saved(tmp_path):
    pytest.importorskip("safetensors")
    model = MLPRegressor(loss="poisson", max_iter=3, random_state=0)
    with pytest.warns(match="not converged"):
        model.fit(X, np.abs(NUMBERS).round())
    model.network_.save(tmp_path / "m")
    back = mg.load(tmp_path / "m")
    assert back.loss_name == "poisson"
    np.testing.assert_allclose(np.exp(back.predict(X)[:, 0]), model.predict(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "y"),
    [
        ("MLPClassifier", LABELS),
        ("MLPClassifier", CLASSES),
        ("MLPClassifier", MULTILABEL),
        ("MLPRegressor", TABLE),
    ],
)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_early_stopping_keeps_scikit_learns_best_weights(kind, y, weights):
    settings = {"early_stopping": True, "max_iter": 60, "n_iter_no_change": 3, "batch_size": 30}
    theirs, ours = pair(kind, learning_rate_init=0.02, validation_fraction=0.2, **settings)
    theirs.fit(X, y, sample_weight=weights)
    ours.fit(X, y, sample_weight=weights)
    assert_same(theirs, ours)
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-9)
    assert ours.best_loss_ is None and ours.n_iter_ < 60
    assert len(ours.validation_loss_curve_) == ours.n_iter_


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_stops_where_scikit_learn_stops(solver):
    rate = {"learning_rate": "adaptive"} if solver == "sgd" else {}
    theirs, ours = pair(
        "MLPClassifier", solver=solver, learning_rate_init=0.05, max_iter=400, tol=1e-2,
        n_iter_no_change=2, **rate,
    )  # fmt: skip
    theirs.fit(X, CLASSES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.fit(X, CLASSES)
    assert_same(theirs, ours)
    assert 12 < ours.n_iter_ < 400


def test_warns_where_it_has_not_converged():
    for settings in ({}, {"solver": "lbfgs", "max_iter": 2}):
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            MLPClassifier(**{**SMALL, **settings}).fit(X, CLASSES)
    with pytest.warns(UserWarning, match="batch_size"):
        MLPClassifier(batch_size=1000, **SMALL).fit(X, CLASSES)


def test_partial_fit_and_warm_start_go_on_as_scikit_learns():
    for solver in ("adam", "sgd"):
        theirs, ours = pair("MLPClassifier", solver=solver, batch_size=16)
        for model in (theirs, ours):
            for part in (slice(0, 50), slice(50, 90), slice(90, 150)):
                model.partial_fit(X[part], CLASSES[part], classes=[0, 1, 2])
        assert_same(theirs, ours)
        ours = pickle.loads(pickle.dumps(ours))  # the optimizer's state travels along
        assert_same(theirs.partial_fit(X, CLASSES), ours.partial_fit(X, CLASSES))
    theirs, ours = pair("MLPRegressor", warm_start=True)
    for model in (theirs, ours):
        model.fit(X, NUMBERS)
        model.fit(X, -NUMBERS)
    assert_same(theirs, ours)


def test_sparse_rows_give_what_dense_ones_give():
    sparse = pytest.importorskip("scipy.sparse")
    holes = np.where(X > 0, X, 0)
    for make in (sparse.csr_matrix, sparse.csc_matrix):
        for settings in ({}, {"solver": "lbfgs"}, {"early_stopping": True}):
            _, ours = pair("MLPClassifier", **settings)
            dense = clone(ours).fit(holes, CLASSES)
            ours.fit(make(holes), CLASSES)
            assert_same(dense, ours)
            np.testing.assert_allclose(
                ours.predict_proba(make(holes)), dense.predict_proba(holes), atol=1e-12
            )


def test_many_sparse_rows_with_weights_give_what_dense_ones_give():
    sparse = pytest.importorskip("scipy.sparse")
    rows, rng = 5000, np.random.default_rng(0)  # more than the blocks of a prediction
    wide = sparse.csr_matrix(sparse.random_array((rows, 40), density=0.1, rng=rng))
    y, weights = wide[:, [0]].toarray().ravel(), rng.integers(0, 3, rows).astype(float)
    _, ours = pair("MLPRegressor", solver="lbfgs", max_iter=5)
    whole = clone(ours).fit(wide.toarray(), y, sample_weight=weights)
    ours.fit(wide, y, sample_weight=weights)
    assert_same(whole, ours, rtol=1e-6)
    np.testing.assert_allclose(ours.predict(wide), whole.predict(wide.toarray()), rtol=1e-6)


def test_float32_is_close_and_follows_the_rule():
    digits, y = load_digits(return_X_y=True)
    settings = {**SMALL, "hidden_layer_sizes": (20,)}
    double = MLPClassifier(dtype="float64", **settings).fit(digits / 16, y)
    ours = MLPClassifier(**settings).fit(digits / 16, y)
    assert ours.coefs_[0].dtype == np.float32 and double.coefs_[0].dtype == np.float64
    np.testing.assert_allclose(ours.loss_curve_, double.loss_curve_, rtol=1e-4)
    assert ours.predict_proba(digits / 16).dtype == np.float64  # as X
    few = MLPClassifier(**settings).fit(digits[:199] / 16, y[:199])
    assert few.coefs_[0].dtype == np.float64
    lbfgs = MLPClassifier(solver="lbfgs", **settings).fit(digits / 16, y)
    assert lbfgs.coefs_[0].dtype == np.float64
    assert MLPRegressor(**SMALL).fit(X.astype("f4"), NUMBERS).coefs_[0].dtype == np.float32


# ---- the interface ----


def test_has_scikit_learns_parameters_with_the_same_defaults():
    for kind in ("MLPClassifier", "MLPRegressor"):
        ours = getattr(mg.sklearn, kind)().get_params()
        theirs = getattr(original, kind)().get_params()
        assert {name: ours[name] for name in theirs} == theirs


def test_string_labels_pipelines_searches_and_scores_in_processes():
    names = np.array(["ant", "bee", "cat"])[CLASSES]
    model = make_pipeline(
        StandardScaler(), MLPClassifier(learning_rate_init=0.02, batch_size=16, **SMALL)
    )
    model.fit(X, names)
    assert set(model.predict(X)) == {"ant", "bee", "cat"} and model.score(X, names) > 0.8
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__dropout": [0.0, 0.1]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(X, names)
    assert search.best_score_ > 0.5
    alone = cross_val_score(model, X, names, cv=3)
    np.testing.assert_array_equal(cross_val_score(model, X, names, cv=3, n_jobs=2), alone)


def test_copies_and_pickles_predict_and_train_the_same(tmp_path):
    joblib = pytest.importorskip("joblib")
    model = MLPClassifier(dropout=0.2, residual=True, **SMALL).partial_fit(
        X, CLASSES, classes=[0, 1, 2]
    )
    joblib.dump(model, tmp_path / "model")
    copies = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model"),
        joblib.load(tmp_path / "model", mmap_mode="r"),
    ]
    model.partial_fit(X, CLASSES)
    for other in copies:
        assert not np.array_equal(other.coefs_[0], model.coefs_[0])  # a copy, and no view
        other.partial_fit(X, CLASSES)
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert not hasattr(clone(model), "coefs_")


def test_weights_can_be_written_to_and_replaced():
    model = MLPRegressor(**SMALL).fit(X, NUMBERS)
    model.intercepts_[-1] += 1
    before = model.predict(X)
    model.intercepts_[-1] = model.intercepts_[-1] - 1
    np.testing.assert_allclose(model.predict(X), before - 1)
    model.coefs_ = [np.zeros_like(c) for c in model.coefs_]
    assert np.ptp(model.predict(X)) == 0
    assert np.ptp(copy.deepcopy(model).predict(X)) == 0
    model.coefs_ = model.coefs_[:2]
    with pytest.raises(ValueError, match="shapes"):
        model.predict(X)


def test_network_is_the_fitted_one(tmp_path):
    model = MLPClassifier(**SMALL)
    with pytest.raises(NotFittedError):
        model.network_  # noqa: B018
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.fit(X, CLASSES)
    assert isinstance(model.network_, mg.Network)
    np.testing.assert_array_equal(model.network_.predict(X).argmax(axis=1), model.predict(X))
