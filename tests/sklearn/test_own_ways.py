"""What scikit-learn's estimators have not: layers, callbacks, threads, interrupts, errors."""

import signal
import threading

import numpy as np
import pytest
from support.estimators import CLASSES, LABELS, NUMBERS, SMALL, TABLE, WEIGHTS, X, assert_same

pytest.importorskip("sklearn")

from sklearn.datasets import make_classification

import micrograd as mg
from micrograd.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*iterations.*:UserWarning"
)


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
