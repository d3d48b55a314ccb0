"""Several networks behind one estimator, and the search over candidates in threads."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import micrograd as mg
from micrograd.sklearn import MLPClassifier, MLPRegressor, MLPSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = {
    "classes": np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])],
    "binary": np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)],
    "labels": (X[:, :3] > 0).astype(int),
    "numbers": X[:, :2] - X[:, 1:3] ** 2,
}
SMALL = {"hidden_layer_sizes": (7,), "max_iter": 6, "random_state": 0}


def alone(kind, what, seed):
    return kind(**{**SMALL, "random_state": seed}).fit(X, Y[what])


@pytest.mark.parametrize("what", ["classes", "binary", "labels"])
def test_probabilities_are_the_mean_of_members_trained_alone(what):
    model = MLPClassifier(n_members=3, **SMALL).fit(X, Y[what])
    seeds = np.random.RandomState(0).randint(2**31 - 1, size=3)
    members = [alone(MLPClassifier, what, int(seed)) for seed in seeds]
    want = np.mean([member.predict_proba(X) for member in members], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), want, rtol=1e-12)
    if what == "labels":
        np.testing.assert_array_equal(model.predict(X), (want > 0.5).astype(int))
    else:
        np.testing.assert_array_equal(model.predict(X), model.classes_[want.argmax(axis=1)])
    assert 0 <= model.score(X, Y[what]) <= 1 and len(model.members_) == 3
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    with pytest.raises(AttributeError, match=r"members_\[0\]\.network_"):
        model.network_  # noqa: B018


def test_a_regressor_gives_the_mean_and_goes_on_from_its_members():
    model = MLPRegressor(n_members=2, **SMALL).fit(X, Y["numbers"])
    seeds = np.random.RandomState(0).randint(2**31 - 1, size=2)
    members = [alone(MLPRegressor, "numbers", int(seed)) for seed in seeds]
    want = np.mean([member.predict(X) for member in members], axis=0)
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-12)
    before = [member.coefs_[0].copy() for member in model.members_]
    with pytest.raises(ValueError):
        model.partial_fit(X[:, :3], Y["numbers"])
    for old, member in zip(before, model.members_, strict=True):
        np.testing.assert_array_equal(member.coefs_[0], old)
    model.partial_fit(X, Y["numbers"])
    for member in members:
        member.partial_fit(X, Y["numbers"])
    want = np.mean([member.predict(X) for member in members], axis=0)
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-12)
    model.set_params(n_members=1).fit(X, Y["numbers"])
    assert not hasattr(model, "members_") and hasattr(model, "coefs_")


def test_the_search_gives_what_grid_search_gives():
    pipe = make_pipeline(StandardScaler(), MLPClassifier(**SMALL))
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__hidden_layer_sizes": [(4,), (9,)]}
    threads = mg.get_num_threads()
    ours = MLPSearchCV(pipe, grid, cv=3).fit(X, Y["classes"])
    theirs = GridSearchCV(pipe, grid, cv=3).fit(X, Y["classes"])
    assert mg.get_num_threads() == threads
    assert ours.best_params_ == theirs.best_params_ and ours.best_score_ == theirs.best_score_
    for name in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert clone(ours).get_params()["param_grid"] == grid
    with pytest.raises(ValueError, match="alpha"):
        MLPSearchCV(MLPClassifier(), {"alpha": [-1]}, cv=2, error_score="raise").fit(X, Y["binary"])
    assert mg.get_num_threads() == threads
