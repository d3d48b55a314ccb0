"""The estimators against scikit-learn's own: their checks, their numbers, their interface."""

import copy
import pickle
import signal
import threading
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network as original
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
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

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 6))
LABELS = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)
CLASSES = np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])
MULTILABEL = (X @ RNG.normal(size=(6, 4)) > 0).astype(int)
NUMBERS = X[:, 0] - X[:, 1] ** 2
TABLE = np.stack([NUMBERS, X[:, 2], 10 * X[:, 3]], axis=1)
WEIGHTS = RNG.uniform(0, 2, size=150)
SMALL = {"hidden_layer_sizes": (9, 7), "max_iter": 12, "random_state": 0}


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


def assert_same(theirs, ours, rtol=1e-9):
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(theirs, name) == getattr(ours, name), name
    for name in ("loss_", "best_loss_", "best_validation_score_", "loss_curve_"):
        want = getattr(theirs, name, None)
        if want is not None:
            np.testing.assert_allclose(getattr(ours, name), want, rtol=rtol, err_msg=name)
    for name in ("coefs_", "intercepts_"):
        for want, got in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            assert got.shape == want.shape and got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-11, err_msg=name)


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


# ---- what scikit-learn's have not ----


def test_class_weight_is_the_same_as_sample_weight():
    own = {0: 1.0, 1: 5.0, 2: 0.5}
    weighted = MLPClassifier(**SMALL).fit(X, CLASSES, sample_weight=np.vectorize(own.get)(CLASSES))
    by_class = MLPClassifier(class_weight=own, **SMALL).fit(X, CLASSES)
    assert_same(weighted, by_class)
    counts = np.bincount(LABELS)
    names = np.array(["no", "yes"])[LABELS]
    balanced = MLPClassifier(class_weight="balanced", **SMALL).fit(X, names, sample_weight=WEIGHTS)
    same = MLPClassifier(**SMALL).fit(X, names, WEIGHTS * (len(X) / (2 * counts))[LABELS])
    assert_same(same, balanced)
    with pytest.raises(ValueError, match="give a dict"):
        MLPClassifier(class_weight="balanced").partial_fit(X, LABELS, classes=[0, 1])


def test_layers_of_their_own_kind():
    model = MLPClassifier(
        hidden_layer_sizes=(12, 12, 8),
        activation=("tanh", "gelu", "leaky_relu"),
        dropout=(0.0, 0.1, 0.2),
        residual=True,
        clip_norm=1.0,
        learning_rate_init=0.01,
        max_iter=80,
        random_state=0,
    ).fit(X, CLASSES)
    first, second, third, *rest = model.network_.layers[:-1]
    assert [type(layer).__name__ for layer in model.network_.layers] == [
        "Linear", "Tanh", "Residual", "Residual", "Linear",
    ]  # fmt: skip
    assert [type(x).__name__ for x in third.layers] == ["Linear", "GELU", "Dropout"]
    assert [None if p is None else p.shape for p in model.projections_] == [
        None, None, (12, 8), None,
    ]  # fmt: skip
    assert first.out_features == 12 and isinstance(second, mg.Tanh) and len(rest) == 1
    assert model.score(X, CLASSES) > 0.8
    a, b = X @ model.coefs_[0] + model.intercepts_[0], None
    a = np.tanh(a)
    z = a @ model.coefs_[1] + model.intercepts_[1]
    erf = pytest.importorskip("scipy.special").erf
    a = a + z * 0.5 * (1 + erf(z / np.sqrt(2)))
    z = a @ model.coefs_[2] + model.intercepts_[2]
    b = np.where(z > 0, z, 0.01 * z) + a @ model.projections_[2]
    logits = b @ model.coefs_[3] + model.intercepts_[3]
    np.testing.assert_allclose(model.network_.predict(X), logits, rtol=1e-9, atol=1e-11)


def test_dropout_and_clipping_change_training_only_as_they_should():
    plain = MLPRegressor(**SMALL).fit(X, NUMBERS)
    dropped = MLPRegressor(dropout=0.5, **SMALL).fit(X, NUMBERS)
    assert dropped.loss_ != plain.loss_
    np.testing.assert_array_equal(dropped.predict(X), dropped.predict(X))
    again = MLPRegressor(dropout=0.5, **SMALL).fit(X, NUMBERS)
    np.testing.assert_array_equal(again.coefs_[0], dropped.coefs_[0])
    wide = MLPRegressor(clip_norm=1e9, **SMALL).fit(X, NUMBERS)
    assert_same(plain, wide)
    step = {**SMALL, "solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1, "alpha": 0.0}
    for y in (TABLE, NUMBERS):  # the norm is that of scikit-learn's gradient
        start = MLPRegressor(**{**step, "learning_rate_init": 1e-300}).partial_fit(X, y)
        clipped = MLPRegressor(clip_norm=0.25, batch_size=150, **step).partial_fit(X, y)
        moved = [a - b for a, b in zip(clipped.coefs_, start.coefs_, strict=True)]
        moved += [a - b for a, b in zip(clipped.intercepts_, start.intercepts_, strict=True)]
        norm = np.sqrt(sum((m**2).sum() for m in moved))
        assert norm == pytest.approx(0.1 * 0.25, rel=1e-5)


def test_validation_loss_is_the_loss_on_the_rows_held_out():
    from sklearn.metrics import log_loss
    from sklearn.model_selection import train_test_split

    model = MLPClassifier(early_stopping=True, tol=0, **SMALL).fit(X, CLASSES)
    rng = np.random.RandomState(0)
    for coef, intercept in zip(model.coefs_, model.intercepts_, strict=True):
        rng.uniform(size=coef.shape), rng.uniform(size=len(intercept))
    _, held_out = train_test_split(np.arange(150), random_state=rng, test_size=0.1)
    best = int(np.argmax(model.validation_scores_))
    want = log_loss(CLASSES[held_out], model.predict_proba(X[held_out]), labels=[0, 1, 2])
    assert model.validation_loss_curve_[best] == pytest.approx(want, rel=1e-9)
    assert MLPClassifier(**SMALL).fit(X, CLASSES).validation_loss_curve_ is None


def test_callbacks_see_the_run_and_can_end_it():
    seen, steps = [], []

    class Watch:
        def on_step(self, state):
            steps.append((state.step, state.loss, state.gradient_norm))

        def on_epoch(self, state):
            seen.append((state.epoch, state.history.loss[-1]))
            if state.epoch == 3:
                state.stop()

    for solver in ("adam", "lbfgs"):
        seen.clear()
        model = MLPClassifier(callbacks=[Watch()], **{**SMALL, "solver": solver}).fit(X, CLASSES)
        assert [epoch for epoch, _ in seen] == [1, 2, 3] and model.n_iter_ == 3
        assert model.loss_ == pytest.approx(seen[-1][1])
    assert [step for step, *_ in steps] == [1, 2, 3] and all(norm > 0 for *_, norm in steps)
    measured = []
    MLPRegressor(
        early_stopping=True, callbacks=lambda s: measured.append(s.history.last()), **SMALL
    ).fit(X, NUMBERS)
    assert set(measured[0]) == {"loss", "val_loss", "val_score"}


def test_n_jobs_limits_the_threads_and_changes_no_bit():
    big, y = make_classification(600, 200, n_informative=50, random_state=0)
    settings = {"hidden_layer_sizes": (300,), "batch_size": 300, "max_iter": 2, "random_state": 0}
    before = mg.get_num_threads()
    one = MLPClassifier(n_jobs=1, **settings).fit(big, y)
    for jobs in (None, -1, 2):
        other = MLPClassifier(n_jobs=jobs, **settings).fit(big, y)
        np.testing.assert_array_equal(one.predict_proba(big), other.predict_proba(big))
    assert mg.get_num_threads() == before
    with pytest.raises(ValueError, match="'n_jobs' parameter"):
        MLPClassifier(n_jobs=0).fit(big, y)


def test_threads_may_predict_with_one_model_at_once():
    model = MLPClassifier(**SMALL).fit(X, CLASSES)
    want, wrong = model.predict_proba(X), []

    def work():
        for _ in range(50):
            if not np.array_equal(model.predict_proba(X), want):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_interrupt_ends_training_with_a_warning():
    def interrupt(state):
        if state.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(UserWarning, match="interrupted in epoch"):
        model = MLPClassifier(callbacks=interrupt, **SMALL).fit(X, CLASSES)
    assert model.n_iter_ == 2 and model.predict(X).shape == (150,)


def test_verbose_prints_the_losses(capsys):
    for settings in ({"early_stopping": True}, {"solver": "lbfgs"}):
        MLPClassifier(verbose=True, **SMALL, **settings).fit(X, CLASSES)
        text = capsys.readouterr().out
        assert "Iteration 1, loss = " in text
        assert ("Validation score: " in text) == ("early_stopping" in settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_layer_sizes": (5, 0)}, "'hidden_layer_sizes' parameter"),
        ({"hidden_layer_sizes": 2.5}, "'hidden_layer_sizes' parameter"),
        ({"activation": "swish"}, "'activation' parameter"),
        ({"activation": ("relu", "tanh")}, "'activation' parameter"),
        ({"solver": "newton"}, "'solver' parameter"),
        ({"alpha": -1}, "'alpha' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"batch_size": "all"}, "'batch_size' parameter"),
        ({"learning_rate": "cosine"}, "'learning_rate' parameter"),
        ({"learning_rate_init": 0}, "'learning_rate_init' parameter"),
        ({"max_iter": 0}, "'max_iter' parameter"),
        ({"shuffle": 1}, "'shuffle' parameter"),
        ({"tol": "small"}, "'tol' parameter"),
        ({"momentum": 1.5}, "'momentum' parameter"),
        ({"beta_1": 1.0}, "'beta_1' parameter"),
        ({"n_iter_no_change": 0}, "'n_iter_no_change' parameter"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"dropout": 0.1, "solver": "lbfgs"}, "dropout makes the loss a random one"),
        ({"clip_norm": 0}, "'clip_norm' parameter"),
        ({"clip_norm": 1, "solver": "lbfgs"}, "clip_norm is for"),
        ({"dtype": "float16"}, "'dtype' parameter"),
        ({"residual": True}, "two hidden layers"),
        ({"verbose": "yes"}, "'verbose' parameter"),
        ({"callbacks": [3]}, "callback int 3"),
    ],
    ids=str,
)
def test_bad_parameters_are_named(settings, message):
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        MLPRegressor(**settings).fit(X, NUMBERS)
    if "parameter" in message:
        assert type(raised.value).__name__ == "InvalidParameterError"


def test_bad_data_are_named():
    with pytest.raises(ValueError, match="sample_weight"):
        MLPClassifier(**SMALL).fit(X, CLASSES, sample_weight=-WEIGHTS)
    with pytest.raises(ValueError, match="poisson"):
        MLPRegressor(loss="poisson").fit(X, NUMBERS)
    with pytest.raises(ValueError, match="validation_fraction"):
        MLPClassifier(early_stopping=True).fit(X[:6], CLASSES[:6])
    with pytest.raises(ValueError, match="no early stopping"):
        MLPRegressor(early_stopping=True).partial_fit(X, NUMBERS)
    with pytest.raises(ValueError, match="classes must be passed"):
        MLPClassifier().partial_fit(X, LABELS)
    model = MLPClassifier(**SMALL).fit(X, CLASSES)
    with pytest.raises(ValueError, match=r"classes \[7\]"):
        model.partial_fit(X, np.full(150, 7))
    with pytest.raises(ValueError, match="sizes"):
        model.set_params(warm_start=True, hidden_layer_sizes=(4,)).fit(X, CLASSES)
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="features that are not scaled"):
        MLPRegressor(activation="identity", solver="sgd", learning_rate_init=1e5, **SMALL).fit(
            1e3 * X, NUMBERS
        )
