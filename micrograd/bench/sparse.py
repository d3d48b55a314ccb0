"""`python -m micrograd.bench.sparse`: our estimators beside scikit-learn's on sparse rows.

Both get the same parameters, rows and seeds, in turn, in one process, with one thread each. Times
are the processor's, which other processes disturb less than the clock's.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from statistics import median
from time import process_time
from typing import Any

FITS: dict[str, dict[str, Any]] = {
    "fit, sgd": {"solver": "sgd", "max_iter": 2},
    "fit, adam": {"solver": "adam", "max_iter": 2},
    "fit, lbfgs": {"solver": "lbfgs", "max_iter": 4},
}
PREDICTED = (1, 100, 0)  # rows of a call of predict; 0: all


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 1 where scikit-learn is faster."""
    parser = argparse.ArgumentParser(
        prog="python -m micrograd.bench.sparse",
        description="MLPClassifier and MLPRegressor beside scikit-learn's, on sparse rows.",
    )
    parser.add_argument("--rows", type=int, default=3000, help="rows of X (default: 3000)")
    parser.add_argument("--features", type=int, default=20000, help="columns (default: 20000)")
    parser.add_argument("--density", type=float, default=0.002, help="of numbers (default: 0.002)")
    parser.add_argument("--hidden", type=int, default=100, help="hidden units (default: 100)")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: 3)")
    options = parser.parse_args(arguments)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # before numpy is loaded
    warnings.simplefilter("ignore")  # not converged
    return 0 if compare(options) else 1


def compare(options: argparse.Namespace) -> bool:
    """Prints a line for each task, checked before it is timed; returns whether we are never slower.

    Raises:
        AssertionError: the two do not give the same.
    """
    import numpy as np
    from scipy import sparse

    from micrograd import core

    core.set_num_threads(1)
    rng = np.random.default_rng(0)
    shape = options.rows, options.features
    X = sparse.random_array(shape, density=options.density, rng=rng, format="csr")
    X = sparse.csr_matrix(X)  # of which scikit-learn takes every version
    y = rng.integers(0, 4, options.rows)
    fast = [_fit(name, X, y, options) for name in FITS]
    return all([*fast, *(_predict(count, X, y, options) for count in PREDICTED)])


def _makers() -> tuple[Any, Any]:
    from sklearn.neural_network import MLPClassifier as Theirs

    from micrograd.sklearn.estimators import MLPClassifier

    return Theirs, MLPClassifier


def _fit(name: str, X: Any, y: Any, options: argparse.Namespace) -> bool:
    settings = {"hidden_layer_sizes": (options.hidden,), "random_state": 0, **FITS[name]}
    times: list[list[float]] = [[], []]
    for _ in range(options.rounds):
        losses = []
        for kind, spent in zip(_makers(), times, strict=True):
            model = kind(**settings)
            started = process_time()
            model.fit(X, y)
            spent.append(process_time() - started)
            losses.append(model.loss_)
        assert abs(losses[0] - losses[1]) < 0.02 * abs(losses[0]), losses  # float64 and float32
    return _told(name, times)


def _predict(count: int, X: Any, y: Any, options: argparse.Namespace) -> bool:
    import numpy as np

    rows = X[: count or X.shape[0]]
    settings = {"hidden_layer_sizes": (options.hidden,), "random_state": 0, **FITS["fit, adam"]}
    models = [kind(**settings).fit(X, y) for kind in _makers()]
    first, second = (model.predict_proba(rows) for model in models)
    np.testing.assert_allclose(first, second, atol=1e-3)
    times: list[list[float]] = [[], []]
    calls = max(1, 300 // rows.shape[0])
    for _ in range(max(options.rounds, 5)):
        for model, spent in zip(models, times, strict=True):
            started = process_time()
            for _ in range(calls):
                model.predict_proba(rows)
            spent.append((process_time() - started) / calls)
    return _told(f"predict_proba, {rows.shape[0]} row(s)", times)


def _told(name: str, times: list[list[float]]) -> bool:
    """Prints a line; returns whether we are as fast."""
    theirs, ours = (median(spent) for spent in times)
    ratio = median(a / b for a, b in zip(*times, strict=True))
    print(
        f"{name:28} scikit-learn {1e3 * theirs:9.2f} ms, micrograd {1e3 * ours:9.2f} ms: "
        f"{ratio:5.2f} times as fast",
        flush=True,
    )
    return bool(ratio >= 1)


if __name__ == "__main__":
    sys.exit(main())
