"""`python -m micrograd.bench.search`: MLPSearchCV beside GridSearchCV, on iris and digits.

24 candidates, five folds. All search the same grid with the same seed, one after the other in one
process, GridSearchCV with two jobs in two more that are there already when its time is taken. The
scores of our three have to be equal before a ratio is printed; scikit-learn's MLP, in float64, has
scores of its own. Times are the clock's, so the machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

GRID = {
    "hidden_layer_sizes": [(16,), (50,), (100,)],
    "alpha": [1e-5, 1e-4, 1e-3, 1e-2],
    "learning_rate_init": [1e-3, 1e-2],
}
# scikit-learn's data set, and epochs: its MLPs take 200, which on digits is minutes
TASKS = {"iris": ("load_iris", 200), "digits": ("load_digits", 30)}
OURS = "MLPSearchCV"
# the others, and how many times as fast we want to be
WANTED = {"GridSearchCV": 2.0, "GridSearchCV, 2 jobs": 1.3, "scikit-learn, 2 jobs": 15.0}


@dataclass
class Found:
    """One search: seconds, those of it in the C core's joint calls, and its scores."""

    seconds: float
    in_core: float
    scores: Any


def searches(max_iter: int) -> dict[str, Callable[[], Any]]:
    """What makes a search, by its name."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.neural_network import MLPClassifier as Theirs

    from micrograd.sklearn import MLPClassifier, MLPSearchCV

    ours = MLPClassifier(max_iter=max_iter, random_state=0)
    theirs = Theirs(max_iter=max_iter, random_state=0)
    return {
        OURS: lambda: MLPSearchCV(ours, GRID, cv=5),
        "GridSearchCV": lambda: GridSearchCV(ours, GRID, cv=5),
        "GridSearchCV, 2 jobs": lambda: GridSearchCV(ours, GRID, cv=5, n_jobs=2),
        "scikit-learn, 2 jobs": lambda: GridSearchCV(theirs, GRID, cv=5, n_jobs=2),
    }


def rows_of(task: str) -> tuple[Any, Any, int]:
    """X, scaled, y, and the epochs of a task."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    loader, max_iter = TASKS[task]
    X, y = getattr(datasets, loader)(return_X_y=True)
    return StandardScaler().fit_transform(X), y, max_iter


def timed(make: Callable[[], Any], X: Any, y: Any) -> Found:
    """One search, and how long it took."""
    from micrograd.network.network import Network

    original, in_core = Network.train_many, 0.0

    def watched(calls: Any, threads: int) -> Any:
        nonlocal in_core
        started = perf_counter()
        found = original(calls, threads)
        in_core += perf_counter() - started
        return found

    search = make()
    Network.train_many = staticmethod(watched)  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged
            started = perf_counter()
            search.fit(X, y)
            seconds = perf_counter() - started
    finally:
        Network.train_many = staticmethod(original)  # type: ignore[method-assign]
    folds = [search.cv_results_[f"split{k}_test_score"] for k in range(5)]
    return Found(seconds, in_core, np.stack(folds))


def compare(task: str, max_iter: int | None, rounds: int) -> bool:
    """Prints what came out; returns whether it is enough."""
    X, y, usual = rows_of(task)
    makers = searches(max_iter or usual)
    found: dict[str, list[Found]] = {name: [] for name in makers}
    for name in makers:  # libraries are loaded, processes started
        timed(makers[name], X, y)
    for number in range(rounds):
        for name in makers if number % 2 else reversed(makers):
            found[name].append(timed(makers[name], X, y))
    first = found[OURS][0].scores
    for name in makers:
        if "scikit" not in name and any(not np.array_equal(f.scores, first) for f in found[name]):
            raise RuntimeError(f"{task}: {name} has other scores than {OURS}")
    size = f"{len(X)} rows, {first.shape[1]} candidates, {len(first)} folds"
    print(f"{task}, {size}, max_iter={max_iter or usual}")
    print(f"{'':22}  seconds  in joint calls  {OURS} is faster  mean score, %")
    enough = True
    for name, runs in found.items():
        ratios = [a.seconds / b.seconds for a, b in zip(runs, found[OURS], strict=True)]
        ratio, wanted = median(ratios), WANTED.get(name)
        enough &= wanted is None or ratio >= wanted
        said = "" if wanted is None else f"  {wanted:g} wanted"
        print(
            f"{name:22}  {median(r.seconds for r in runs):7.3f}  "
            f"{median(r.in_core for r in runs):14.3f}  {ratio:6.1f} ({min(ratios):4.1f} to "
            f"{max(ratios):4.1f})  {100 * runs[0].scores.mean():13.2f}{said}"
        )
    print()
    return enough


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 1 where a speed falls short."""
    parser = argparse.ArgumentParser(
        prog="python -m micrograd.bench.search",
        description="MLPSearchCV beside GridSearchCV over our and over scikit-learn's MLP.",
    )
    parser.add_argument("--task", choices=sorted(TASKS), action="append", help="default: both")
    parser.add_argument("--rounds", type=int, default=3, help="searches of each (default: 3)")
    parser.add_argument(
        "--max-iter", type=int, help="epochs at most (default: 200 for iris, 30 for digits)"
    )
    options = parser.parse_args(arguments)
    if options.rounds < 1 or (options.max_iter is not None and options.max_iter < 1):
        parser.error("--rounds, --max-iter: 1 or more is wanted")
    reached = [
        compare(task, options.max_iter, options.rounds) for task in options.task or list(TASKS)
    ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
