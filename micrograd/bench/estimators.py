"""`python -m micrograd.bench.estimators`: MLPClassifier beside scikit-learn's, to the end of fit.

Both get the same parameters, rows and seeds, one after the other in one process, with one thread
each. The time of a fit is the processor's, which other processes disturb less than the clock's.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from statistics import mean, median, stdev
from time import process_time
from typing import Any

# scikit-learn's data set, the other parameters, and how many times as fast we want to be
TASKS: dict[str, tuple[str, dict[str, Any], float]] = {
    "digits": ("load_digits", {"batch_size": 32}, 10.0),
    "breast_cancer": ("load_breast_cancer", {}, 5.0),
}
CONTENDERS = ("scikit-learn", "micrograd", "micrograd float64")


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 1 where a speed or an accuracy falls short."""
    parser = argparse.ArgumentParser(
        prog="python -m micrograd.bench.estimators",
        description="MLPClassifier beside scikit-learn's: time of fit, accuracy over seeds.",
    )
    parser.add_argument("--seeds", type=int, default=10, help="fits of each (default: 10)")
    parser.add_argument(
        "--max-iter", type=int, default=200, help="epochs at most (default: 200, scikit-learn's)"
    )
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error("--seeds: 2 or more are wanted")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # before numpy is loaded
    reached = [compare(task, options.seeds, options.max_iter) for task in TASKS]
    return 0 if all(reached) else 1


def compare(task: str, seeds: int, max_iter: int) -> bool:
    """Fits all contenders with each seed, prints what came out; returns whether it is enough."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    from micrograd import core

    core.set_num_threads(1)
    loader, parameters, wanted = TASKS[task]
    X, y = getattr(datasets, loader)(return_X_y=True)
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    scores: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    epochs: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for seed in range(seeds):
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.25, stratify=y, random_state=seed
        )
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
        for name in CONTENDERS if seed % 2 else reversed(CONTENDERS):
            model = _make(name, {**parameters, "max_iter": max_iter, "random_state": seed})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # not converged
                started = process_time()
                model.fit(X_train, y_train)
                times[name].append(process_time() - started)
            scores[name].append(100 * model.score(X_test, y_test))
            epochs[name].append(model.n_iter_)
    print(f"{task}, {len(X_train)} rows, {parameters or 'default parameters'}, {seeds} seeds")
    print(f"{'':18}  fit, s  times as fast     test accuracy, %  epochs")
    for name in CONTENDERS:
        ratios = [a / b for a, b in zip(times[CONTENDERS[0]], times[name], strict=True)]
        print(
            f"{name:18}  {median(times[name]):6.3f}  {median(ratios):5.1f} "
            f"({min(ratios):4.1f} to {max(ratios):4.1f})  {mean(scores[name]):6.2f} +- "
            f"{stdev(scores[name]):.2f}  {mean(epochs[name]):6.1f}"
        )
    theirs, ours = (times[name] for name in CONTENDERS[:2])
    ratio = median(a / b for a, b in zip(theirs, ours, strict=True))
    differences = [a - b for a, b in zip(*(scores[n] for n in CONTENDERS[:2]), strict=True)]
    error = stdev(differences) / len(differences) ** 0.5
    equal = abs(mean(differences)) <= max(2 * error, 0.1)
    print(
        f"{ratio:.1f} times as fast, {wanted:.0f} wanted: {'yes' if ratio >= wanted else 'no'}; "
        f"accuracies differ by {mean(differences):.2f} +- {error:.2f} (standard error): "
        f"{'equal' if equal else 'not equal'}\n"
    )
    return ratio >= wanted and equal


def _make(name: str, parameters: dict[str, Any]) -> Any:
    if name == "scikit-learn":
        from sklearn.neural_network import MLPClassifier as Theirs

        return Theirs(**parameters)
    from micrograd.sklearn.estimators import MLPClassifier

    return MLPClassifier(dtype="float64" if "float64" in name else "auto", **parameters)


if __name__ == "__main__":
    sys.exit(main())
