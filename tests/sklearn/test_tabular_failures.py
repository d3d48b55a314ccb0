"""What the estimators for tables do when a fit fails, and what they say."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from micrograd.sklearn import MLPClassifier, MLPSearchCV, TabularClassifier, TabularRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
TABLE = {"a": RNG.normal(size=120), "c": RNG.choice(["x", "y", "z"], 120).astype(object)}
Y = 2 * TABLE["a"] + (TABLE["c"] == "x")
WORDS = np.where(Y > 0, "up", "down")


class Interrupted:
    """A seed that Ctrl-C follows: what comes after it has not been reached."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *arguments, **keywords):
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize(
    ("kind", "y", "other"),
    [(TabularRegressor, Y, 1000 * Y + 5), (TabularClassifier, WORDS, WORDS[::-1] + "!")],
)
def test_a_refit_that_fails_leaves_the_estimator_as_it_was(monkeypatch, kind, y, other, error):
    """Answers were those of the old networks in the units, or names, of the new targets."""
    model = kind("fast", random_state=0, epochs=2)
    unfitted = dict(vars(model))
    with pytest.raises(ValueError, match="kinds names the column 'q'"):
        model.set_params(kinds={"q": "number"}).fit(TABLE, y)
    model.set_params(kinds=None)
    assert vars(model) == unfitted
    before = model.fit(TABLE, y).predict(TABLE)
    kept = dict(vars(model))
    narrow = {"a": TABLE["a"]}
    with pytest.raises(ValueError, match="kinds names the column 'q'"):
        model.set_params(kinds={"q": "number"}).fit(narrow, other)
    model.set_params(kinds=None)
    monkeypatch.setattr("micrograd.sklearn.tabular_base.train", Interrupted(error))
    with pytest.raises(type(error)):
        model.fit(narrow, other)
    assert set(vars(model)) == set(kept)
    np.testing.assert_array_equal(model.predict(TABLE), before)


def test_a_search_whose_last_fit_fails_is_as_it_was(monkeypatch):
    X = RNG.normal(size=(60, 2))
    net = MLPClassifier(max_iter=3, random_state=0, hidden_layer_sizes=(3,))
    search = MLPSearchCV(net, {"alpha": [0.0, 1.0]}, cv=2).fit(X, X[:, 0] > 0)
    kept = dict(vars(search))
    monkeypatch.setattr(MLPSearchCV, "_refit", Interrupted(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, X[:, 1] > 0)
    assert vars(search) == kept


@pytest.mark.parametrize("fitted", ["squared_error", "poisson", "quantile"])
def test_answers_are_of_the_loss_that_it_was_fitted_with(fitted):
    model = TabularRegressor("fast", loss=fitted, random_state=0, epochs=2).fit(TABLE, np.abs(Y))
    before, slopes = model.predict(TABLE), model.derivatives(TABLE)[1]
    for other in ("squared_error", "poisson", "quantile", "huber"):
        model.set_params(loss=other)
        np.testing.assert_array_equal(model.predict(TABLE), before)
        np.testing.assert_array_equal(model.derivatives(TABLE)[1], slopes)
        if fitted != "quantile":
            with pytest.raises(ValueError, match=f"fitted with loss='{fitted}'"):
                model.predict_quantiles(TABLE)


def cut(rows):
    return {name: column[:rows] for name, column in TABLE.items()}


@pytest.mark.parametrize(
    ("kind", "rows", "y", "complaint"),
    [
        (TabularRegressor, 1, Y, r"TabularRegressor\.fit: X has 1 row, 2 or more"),
        (TabularClassifier, 0, Y, r"TabularClassifier: X has no rows"),
        (TabularRegressor, 120, WORDS, r"fit: y: .*for words there is TabularClassifier"),
        (TabularRegressor, 120, np.where(Y > 0, Y, np.nan), "fit: .*NaN.* every row a number"),
        (TabularRegressor, 120, np.arange(120).astype("M8[D]"), "fit: y has dates, numbers are"),
        (TabularRegressor, 120, np.arange(120).astype("m8[s]"), "fit: y has durations, numbers"),
        (TabularClassifier, 120, np.full(120, "q"), "y has one class, 'q'; two or more"),
    ],
)
def test_what_it_says(kind, rows, y, complaint):
    with pytest.raises((ValueError, TypeError), match=complaint):
        kind("fast").fit(cut(rows), y[:rows])


def test_targets_with_gaps_of_pandas():
    pandas = pytest.importorskip("pandas")
    y = pandas.Series([pandas.NA, "a", "b"] * 40)
    with pytest.raises(ValueError, match=r"TabularClassifier\.fit: .*NaN; give every row a class"):
        TabularClassifier("fast").fit(TABLE, y)


def test_no_rows_to_answer():
    model = TabularRegressor("fast", random_state=0, epochs=1).fit(TABLE, Y)
    with pytest.raises(ValueError, match="TabularRegressor: X has no rows"):
        model.predict(cut(0))
