"""MLPSearchCV gives what GridSearchCV gives, whether fits are trained together or not."""

import copy
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from micrograd.network.network import Network
from micrograd.sklearn import MLPClassifier, MLPRegressor, MLPSearchCV, side_by_side

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)) * [1, 5, 1, 1]
CLASSES = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + 0.5 * RNG.normal(size=90), [-0.5, 0.5])]
BINARY = X[:, 0] > 0
LABELS = (X[:, :3] > 0).astype(int)
NUMBERS = X[:, 0] ** 2 + 0.1 * RNG.normal(size=90)
SMALL = {"hidden_layer_sizes": (6,), "max_iter": 12, "random_state": 0}
RATES = {"alpha": [0.0, 0.1], "learning_rate_init": [0.01, 0.1]}
GRID = {"hidden_layer_sizes": [(6,), (8, 4)], **RATES}


class Columns(TransformerMixin, BaseEstimator):
    """As numpy has it: (0, 1) are two columns, (False, True, ...) say of each whether it stays."""

    def __init__(self, columns=()):
        self.columns = columns

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[:, list(self.columns)]


def same(estimator, grid, y, rows=X, **options):
    """Both searches, and that all they found is equal but for times."""
    options = {"cv": 3, **options}
    ours = MLPSearchCV(clone(estimator), grid, **options).fit(rows, y)
    theirs = GridSearchCV(clone(estimator), grid, **{**options, "n_jobs": None}).fit(rows, y)
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    for name, values in theirs.cv_results_.items():
        if "time" not in name:
            np.testing.assert_array_equal(ours.cv_results_[name], values, err_msg=name)
            assert type(ours.cv_results_[name]) is type(values)
    assert (ours.cv_results_["mean_fit_time"] > 0).all()
    assert ours.multimetric_ == theirs.multimetric_ and ours.n_splits_ == theirs.n_splits_
    for name in ("best_index_", "best_params_", "best_score_"):
        assert hasattr(ours, name) == hasattr(theirs, name)
        np.testing.assert_equal(getattr(ours, name, 0), getattr(theirs, name, 0))
    if options.get("refit", True):
        np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))
        assert ours.refit_time_ > 0
    return ours


@pytest.fixture
def calls(monkeypatch):
    """How many networks each joint call of the C core had."""
    original, found = Network.train_many, []

    def counted(each, threads):
        found.append(len(each))
        return original(each, threads)

    monkeypatch.setattr(Network, "train_many", staticmethod(counted))
    return found


@pytest.mark.parametrize("y", [CLASSES, BINARY], ids=["classes", "binary"])
@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_a_grid_of_classifiers(y, dtype, calls):
    same(MLPClassifier(dtype=dtype, **SMALL), GRID, y, return_train_score=True)
    assert max(calls) == 8 * 3  # all fits at once


def test_several_grids_and_what_each_says_alone(calls):
    grids = [
        {"solver": ["sgd"], "learning_rate": ["adaptive", "invscaling"], "tol": [0.05]},
        {"solver": ["adam", "lbfgs"], "class_weight": [None, "balanced", {"a": 2, "b": 1, "c": 1}]},
        {"early_stopping": [True], "n_iter_no_change": [1], "validation_fraction": [0.1, 0.3]},
        {"dropout": [0.3], "shuffle": [True, False], "batch_size": [7, "auto"]},
        {"activation": ["tanh"], "clip_norm": [None, 0.1], "random_state": [1, 2]},
        {"n_members": [2]},
        {"residual": [True], "hidden_layer_sizes": [(5, 5)]},
    ]
    same(MLPClassifier(**SMALL), grids, CLASSES)
    assert max(calls) == (2 + 3 + 2 + 4 + 4 + 1) * 3


def test_a_pipeline_whose_transformers_are_searched_too(calls):
    pipe = make_pipeline(StandardScaler(), MLPClassifier(**SMALL))
    grid = [
        {"standardscaler__with_mean": [True, False], "mlpclassifier__alpha": [0.1, 1.0]},
        {"standardscaler": [MinMaxScaler(), "passthrough"]},
    ]
    same(pipe, grid, CLASSES, return_train_score=True)
    assert max(calls) == 6 * 3
    same(pipe, {"mlpclassifier__alpha": [0.1]}, CLASSES, scoring=["accuracy", "f1_macro"],
         refit="f1_macro", return_train_score=True)  # fmt: skip


@pytest.mark.parametrize("kind", [tuple, list])
def test_settings_of_transformers_that_are_equal_and_not_the_same(kind, calls):
    pipe = make_pipeline(Columns(), MLPClassifier(**SMALL))
    columns = [kind(each) for each in ((0, 1, 0, 1), (False, True, False, True), (2, 3))]
    search = same(pipe, {"columns__columns": columns, "mlpclassifier__alpha": [0.1, 1]}, CLASSES)
    assert max(calls) == 6 * 3
    assert len(set(search.cv_results_["mean_test_score"])) > 2


def test_a_transformer_that_fails_fails_the_fits_behind_it():
    pipe = make_pipeline(PCA(), MLPClassifier(**SMALL))
    grid = {"pca__n_components": [2, 50], "mlpclassifier__alpha": [0.1, 1.0]}
    with pytest.warns(FitFailedWarning, match="6 fits failed out of a total of 12"):
        same(pipe, grid, CLASSES, error_score=-1.0, return_train_score=True)
    with pytest.raises(ValueError, match="n_components=50 must be between"):
        MLPSearchCV(pipe, grid, error_score="raise", cv=3).fit(X, CLASSES)


def test_what_else_there_is_goes_grid_search_cvs_way(calls, capsys):
    model, grid = MLPClassifier(**SMALL), {"alpha": [0.0, 1.0]}
    same(LogisticRegression(), {"C": [0.1, 1.0]}, CLASSES)
    same(model, grid, CLASSES, verbose=2)
    assert capsys.readouterr().out.count("[CV] END") == 2 * 2 * 3
    with config_context(enable_metadata_routing=True):
        same(model, grid, CLASSES)
    weights = np.where(CLASSES == "a", 30.0, 1.0)
    found = [
        search(model, grid, cv=3).fit(X, CLASSES, sample_weight=weights)
        for search in (MLPSearchCV, GridSearchCV)
    ]
    for name in ("mean_test_score", "split0_test_score"):
        np.testing.assert_array_equal(*(search.cv_results_[name] for search in found))
    np.testing.assert_array_equal(*(search.predict_proba(X) for search in found))
    assert not calls
    with config_context(skip_parameter_validation=True):
        unweighted = same(model, grid, CLASSES)
    assert max(calls) == 6
    assert not np.array_equal(unweighted.predict(X), found[0].predict(X))


@pytest.mark.parametrize(
    ("y", "options"),
    [
        (NUMBERS, {}),
        (np.stack([NUMBERS, -NUMBERS], axis=1), {"return_train_score": True}),
        (NUMBERS, {"scoring": ["r2", "neg_mean_absolute_error"], "refit": False}),
        (
            NUMBERS,
            {"scoring": "neg_max_error", "cv": KFold(4, shuffle=True, random_state=1)},
        ),
        (NUMBERS, {"scoring": lambda e, X, y: {"a": e.score(X, y), "b": 1.0}, "refit": "a"}),
        (NUMBERS, {"refit": lambda results: 1}),
    ],
)
def test_regressors_and_scorers(y, options, calls):
    same(MLPRegressor(**SMALL), GRID, y, **options)
    assert max(calls) == 8 * options["cv"].get_n_splits() if "cv" in options else 24


def test_labels_numbers_of_events_and_sparse_rows():
    same(MLPClassifier(**SMALL), {"alpha": [0.0, 1.0]}, LABELS)
    same(MLPRegressor(loss="poisson", **SMALL), {"alpha": [0.0, 1.0]}, np.abs(NUMBERS).round())
    same(MLPClassifier(**SMALL), {"alpha": [0.0, 1.0]}, CLASSES, csr_array(X))


def test_frames_keep_the_names_of_their_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("wxyz"))
    search = same(
        MLPClassifier(**SMALL), {"alpha": [0.0, 1.0]}, pandas.Series(CLASSES), frame,
        return_train_score=True,
    )  # fmt: skip
    assert list(search.feature_names_in_) == list("wxyz")


@pytest.mark.filterwarnings("ignore:One or more of the:UserWarning")
@pytest.mark.filterwarnings("ignore:Scoring failed:UserWarning")
def test_what_fails_is_that_candidates_error_score():
    grid = {"learning_rate_init": [0.01, 1e300], "alpha": [0.0, -1.0]}
    model = MLPClassifier(dtype="float64", **SMALL)
    with pytest.warns(FitFailedWarning, match="9 fits failed out of a total of 12"):
        search = same(model, grid, CLASSES, error_score=-1.0, return_train_score=True)
    assert search.cv_results_["mean_test_score"].tolist()[1:] == [-1, -1, -1]
    several = {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro", "error_score": 0.25}
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
        search = same(model, {"alpha": [-1.0, 0.1]}, CLASSES, return_train_score=True, **several)
    assert search.cv_results_["split2_train_f1_macro"][0] == 0.25
    with pytest.raises(ValueError, match="'alpha' parameter of MLPClassifier must be"):
        MLPSearchCV(model, {"alpha": [-1.0, 0.1]}, error_score="raise", cv=3).fit(X, CLASSES)
    with pytest.raises(ValueError, match="not finite in epoch"):
        MLPSearchCV(
            model, {"learning_rate_init": [0.1, 1e300]}, error_score="raise", cv=3
        ).fit(X, CLASSES)  # fmt: skip
    with pytest.raises(ValueError, match="All the 3 fits failed"):
        MLPSearchCV(model, {"alpha": [-1.0]}, cv=3).fit(X, CLASSES)
    with pytest.raises(ValueError, match="Invalid parameter 'alhpa'"):
        MLPSearchCV(model, {"alhpa": [1.0]}, cv=3).fit(X, CLASSES)
    holes = X.copy()
    holes[0, 0] = np.nan  # in one fold in the test rows, in two among those to train on
    with pytest.warns(FitFailedWarning, match="4 fits failed out of a total of 6"):
        same(model, {"alpha": [0.0, 0.1]}, CLASSES, holes, refit=False)


def test_few_networks_at_a_time_where_they_are_large(monkeypatch, calls):
    monkeypatch.setattr(side_by_side, "MOST_BYTES", 30_000)
    monkeypatch.setattr(side_by_side, "MOST_SHARED", 100)
    same(MLPClassifier(**SMALL), GRID, CLASSES)
    assert 2 <= max(calls) < 24


@pytest.mark.parametrize("n_jobs", [1, 2, -1])
def test_jobs_are_threads_and_change_nothing(n_jobs):
    same(MLPClassifier(**SMALL), {"alpha": [0.0, 0.1]}, CLASSES, n_jobs=n_jobs)


def test_seeds_that_are_none():
    """Each fit draws its own; a generator goes GridSearchCV's way, with its numbers."""
    model = MLPClassifier(**{**SMALL, "random_state": None})
    scores = []
    for _ in range(2):
        np.random.seed(0)
        search = MLPSearchCV(model, {"alpha": [0.0, 0.0]}, cv=3).fit(X, CLASSES)
        scores.append(search.cv_results_["split0_test_score"].tolist())
    assert scores[0] == scores[1]
    with_rng = MLPClassifier(**{**SMALL, "random_state": np.random.RandomState(0)})
    same(with_rng, {"alpha": [0.0, 0.1]}, CLASSES)


def test_those_who_look_on_see_one_fit_after_the_other(calls):
    seen = []
    model = MLPClassifier(callbacks=[lambda state: seen.append(state.epoch)], **SMALL)
    MLPSearchCV(model, {"alpha": [0.0, 0.1]}, cv=2, refit=False).fit(X, CLASSES)
    assert seen == list(range(1, 13)) * 4 and not calls


def test_it_says_how_much_there_is_to_do(capsys):
    MLPSearchCV(MLPClassifier(**SMALL), {"alpha": [0, 1]}, cv=2, verbose=1).fit(X, CLASSES)
    ours = capsys.readouterr().out
    GridSearchCV(MLPClassifier(**SMALL), {"alpha": [0, 1]}, cv=2, verbose=1).fit(X, CLASSES)
    assert ours == capsys.readouterr().out != ""


def test_an_interrupt_ends_the_search(monkeypatch):
    def struck(calls, threads):
        raise KeyboardInterrupt

    monkeypatch.setattr(Network, "train_many", staticmethod(struck))
    search = MLPSearchCV(MLPClassifier(**SMALL), {"alpha": [0.0, 0.1]}, cv=3)
    with pytest.raises(KeyboardInterrupt), warnings.catch_warnings():
        warnings.simplefilter("error")
        search.fit(X, CLASSES)
    assert not hasattr(search, "cv_results_")


def test_copies_and_pickles():
    search = MLPSearchCV(MLPClassifier(**SMALL), {"alpha": [0.0, 0.1]}, cv=3).fit(X, CLASSES)
    for other in (copy.deepcopy(search), pickle.loads(pickle.dumps(search))):
        np.testing.assert_array_equal(other.predict(X), search.predict(X))
    again = clone(search)
    assert not hasattr(again, "cv_results_") and again.estimator.get_params() == SMALL | {
        **MLPClassifier().get_params(), **SMALL
    }  # fmt: skip


def test_models_of_a_search_share_nothing_that_is_written_to():
    """The same seed gives the same first weights, and each fit its own copy of them."""
    search = MLPSearchCV(MLPClassifier(**SMALL), {"alpha": [0.0, 0.0, 5.0]}, cv=3)
    scores = search.fit(X, CLASSES).cv_results_
    assert scores["split0_test_score"][0] == scores["split0_test_score"][1]
    alone = MLPClassifier(**SMALL, alpha=0.0).fit(X, CLASSES)
    np.testing.assert_array_equal(
        search.set_params(refit=True).best_estimator_.predict(X), alone.predict(X)
    )
