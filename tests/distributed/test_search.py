"""Searches over estimators: joblib's threads and processes, a Dask cluster, Ray: one result.

Ray's wheel has 79 MB and its start takes 10 s: its tests run where MICROGRAD_TEST_RAY is set.
"""

import os
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("sklearn")
joblib = pytest.importorskip("joblib")
from sklearn.experimental import enable_halving_search_cv  # noqa: E402, F401
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    HalvingRandomSearchCV,
    cross_val_score,
)

import micrograd as mg  # noqa: E402
from micrograd.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

BACKENDS = ["threading", "loky", "dask", "ray"]


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    """The name of a joblib backend, with a real cluster of two workers behind it."""
    with cluster(request.param):
        yield request.param


@contextmanager
def cluster(name):
    if name == "dask":
        distributed = pytest.importorskip("dask.distributed")  # tests/distributed bears its name
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None
            ) as workers,
            distributed.Client(workers),
        ):
            yield
    elif name == "ray":
        if not os.environ.get("MICROGRAD_TEST_RAY"):
            pytest.skip("MICROGRAD_TEST_RAY is not set")
        ray, ray_joblib = pytest.importorskip("ray"), pytest.importorskip("ray.util.joblib")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        ray_joblib.register_ray()
        yield
        ray.shutdown()
    else:
        yield


def data(classes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4)).astype("float32")
    score = X[:, 0] * X[:, 1] + X[:, 2]
    return X, (score > 0).astype(int) if classes else score


def small(kind):
    return kind(hidden_layer_sizes=(6,), max_iter=8, random_state=3)


def searches():
    """What each search finds, as arrays."""
    X, y = data(classes=True)
    grid = GridSearchCV(
        small(MLPClassifier), {"alpha": [1e-4, 1.0], "learning_rate_init": [0.01, 0.1]},
        cv=3, n_jobs=2,
    ).fit(X, y)  # fmt: skip
    halving = HalvingRandomSearchCV(
        small(MLPClassifier), {"alpha": [1e-4, 1e-2, 1.0]}, resource="max_iter", max_resources=9,
        cv=3, n_jobs=2, random_state=1, n_candidates=3,
    ).fit(X, y)  # fmt: skip
    X, t = data(classes=False)
    scores = cross_val_score(small(MLPRegressor), X, t, cv=4, n_jobs=2)
    return [
        grid.cv_results_["mean_test_score"],
        grid.cv_results_["std_test_score"],
        grid.best_estimator_.predict_proba(data(classes=True)[0]),
        halving.cv_results_["mean_test_score"],
        halving.cv_results_["param_alpha"].astype(float),
        halving.best_estimator_.predict_proba(data(classes=True)[0]),
        scores,
    ]


@pytest.fixture(scope="module")
def alone():
    """The results without any backend, one fit after the other."""
    with joblib.parallel_config(n_jobs=1):
        return searches()


@pytest.mark.filterwarnings("ignore:.*(Maximum iterations|did not converge|not converged)")
def test_all_backends_find_the_same(backend, alone):
    with joblib.parallel_config(backend):
        found = searches()
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(np.unique(alone[0])) > 1  # the candidates differ: equality says something


def test_workers_of_their_own_use_their_share(backend):
    """Two workers of a machine use no more threads than it has processors."""
    if backend == "threading":
        pytest.skip("one process: see the next test")
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    with joblib.parallel_config(backend, n_jobs=2):
        threads = joblib.Parallel()(joblib.delayed(mg.get_num_threads)() for _ in range(8))
    assert len(threads) == 8 and max(threads) <= max(1, processors // 2)


def test_threads_of_one_process_are_those_of_the_user():
    before = mg.get_num_threads()
    mg.set_num_threads(1)
    try:
        with joblib.parallel_config("threading", n_jobs=2):
            threads = joblib.Parallel()(joblib.delayed(mg.get_num_threads)() for _ in range(4))
        assert threads == [1] * 4
    finally:
        mg.set_num_threads(before)
