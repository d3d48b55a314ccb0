"""fit_many: independent networks trained at once, shared out over threads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from inspect import signature
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks, core
from micrograd.data.source import is_mapped, plain
from micrograd.optim.optimizer import Optimizer
from micrograd.training.arguments import Arguments
from micrograd.training.feeds import ArrayFeed
from micrograd.training.fit import Prepared, prepared
from micrograd.training.history import History
from micrograd.training.side_by_side import Track, train

if TYPE_CHECKING:
    from micrograd.checks import Array
    from micrograd.training.inputs import Data
    from micrograd.training.model import Model
    from micrograd.training.run import Run


@dataclass(eq=False)
class _Job:
    """One network and its run."""

    model: Model
    where: str
    made: Prepared
    optimizer: Any  # as it was given
    names: list[str] | None
    stopped: bool = False

    def begin(self) -> Run:
        """The run, at its start."""
        self.made.begin()
        if self.names is not None:
            self.model.keep_names(self.names)
        return self.made.run

    def train(self, threads: int) -> History:
        """All epochs, by this thread and by so many threads of the C core, unless it is stopped."""
        if self.stopped:
            raise KeyboardInterrupt
        core.limit_threads_here(threads)
        with self.model.parameters().access.training(self.where):
            run = self.begin()
            try:
                while not (self.stopped or run.over()):
                    run.finish_epoch(run.next_epochs(self.made.data, seen=False))
            finally:
                run.restore_dropout()
            run.finish()
        return run.state.history

    def stop(self) -> None:
        """Ends the call that `train` is making in another thread, and makes no other."""
        self.stopped = True
        if hasattr(self.made.run, "state"):
            self.made.run.state.stop()


def fit_many(
    networks: Sequence[Model],
    X: Any,
    y: Any,
    epochs: int = 10,
    batch_size: int = 64,
    optimizers: Sequence[Any] | None = None,
    validation: Any = None,
    seeds: Sequence[int] | int | None = None,
    early_stopping: Any = None,
    n_threads: int | None = None,
) -> list[History]:
    """Trains independent networks on the same data at once, each as its own `fit` would.

    Networks may differ in shape, loss and dtype. They are shared out over threads; small equal ones
    run side by side in the lanes of vectors. All end with the bits of having been trained alone, by
    net.fit with these arguments, whatever the number of threads.

        nets = [mg.Network(mg.Linear(64, n), mg.ReLU(), mg.Linear(n, 10)) for n in (16, 32, 64)]
        histories = mg.fit_many(nets, X, y, epochs=20, validation=(Xt, yt), seeds=0)

    Args:
        networks: one or more, each once.
        X, y: as for fit.
        epochs, batch_size: 1 or more.
        optimizers: one for each network, such as Adam(net.parameters()) or None; None: the default
            of fit for all.
        validation: as for fit.
        seeds: of the shuffling: one for each network, or one int for all; None draws them.
        early_stopping: a patience or an EarlyStopping for all, or a list of one for each.
        n_threads: how many networks are trained at a time; None: mg.get_num_threads().

    Returns:
        The History of each network, in their order.

    Raises:
        TypeError, ValueError: an argument does not fit; nothing has changed then.
        FloatingPointError: the training of a network has diverged: the first one; the others have
            been trained to the end.

    >>> nets = [mg.Network(mg.Linear(64, n), mg.ReLU(), mg.Linear(n, 10)) for n in (8, 16)]
    >>> histories = mg.fit_many(nets, X, y, epochs=3, seeds=0)
    >>> [len(history.loss) for history in histories]
    [3, 3]
    """
    models = _checked_models(networks)
    threads = core.get_num_threads() if n_threads is None else n_threads
    workers = min(checks.count("fit_many", "n_threads", threads, below=2**31), len(models))
    each = {
        "optimizer": _one_each("optimizers", optimizers, len(models)),
        "seed": _one_each("seeds", seeds, len(models)),
        "early_stopping": _one_each("early_stopping", early_stopping, len(models)),
    }
    _check_schedules(each["optimizer"])
    data = _Converted(X, y, validation is None)
    same = {"epochs": epochs, "batch_size": batch_size, "validation": validation}
    jobs = [
        _job(model, f"fit_many: network {i}", data, same | {k: v[i] for k, v in each.items()})
        for i, model in enumerate(models)
    ]
    return _trained(jobs, workers, threads)


def _trained(jobs: list[_Job], workers: int, threads: int) -> list[History]:
    """All jobs, by so many workers that have so many threads to themselves."""
    together = [job for job in jobs if workers == threads and job.made.run.in_epochs(job.optimizer)]
    if len(together) < 2:
        together = []
    outcomes = _together(together, workers)
    others = [job for job in jobs if job not in together]
    outcomes += _apart(others, workers, max(1, threads // workers)) if others else []
    found = {id(job): outcome for job, outcome in zip(together + others, outcomes, strict=True)}
    return [_history(found[id(job)]) for job in jobs]


def _history(outcome: History | BaseException) -> History:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _together(jobs: list[_Job], threads: int) -> list[History | BaseException]:
    """All jobs, whose steps the C core makes in calls for all of them."""
    outcomes: list[History | BaseException] = []
    with ExitStack() as training, core.limited_threads(threads):
        tracks: list[Track | BaseException] = []
        for job in jobs:
            try:
                training.enter_context(job.model.parameters().access.training(job.where))
                tracks.append(Track(job.begin(), job.made.data))
            except Exception as error:
                tracks.append(error)
        train([track for track in tracks if isinstance(track, Track)], threads)
        for track in tracks:
            if isinstance(track, Track):
                outcomes.append(track.failed or track.run.state.history)
            else:
                outcomes.append(track)
    return outcomes


def _apart(jobs: list[_Job], workers: int, threads: int) -> list[History | BaseException]:
    """All jobs, by so many workers with so many threads of the C core each."""
    from concurrent.futures import ThreadPoolExecutor, wait

    go = Event()  # an interrupt while threads are started would lose sight of the last one

    def work(job: _Job) -> History:
        go.wait()
        return job.train(threads)

    with ThreadPoolExecutor(workers, thread_name_prefix="fit_many") as pool:
        try:
            futures = [pool.submit(work, job) for job in jobs]
            go.set()
            wait(futures)
        except BaseException:  # an interrupt: every network ends its call and goes no further
            for job in jobs:
                job.stop()
            raise
        finally:
            go.set()
    return [future.exception() or future.result() for future in futures]


@cache
def _defaults(kind: Any) -> dict[str, Any]:
    """What fit of this class takes where nothing is said."""
    own = signature(kind.fit).parameters
    return {name: p.default for name, p in own.items() if p.default is not p.empty}


def _job(model: Model, where: str, data: _Converted, given: dict[str, Any]) -> _Job:
    """The run of one network, checked; nothing of the network has changed."""
    given = (
        _defaults(type(model)) | given | {"X": data.features(model), "y": data.y, "progress": False}
    )
    arguments = Arguments(**given)
    model.prepare(where, arguments.X, arguments.y)
    made, names = prepared(model, where, arguments, data.made_for(model))
    if names is None:
        data.keep(model, made.data)
    return _Job(model, where, made, arguments.optimizer, names)


class _Converted:
    """The data, converted once for all networks of a dtype, and checked once for all that take the
    same where there is no `validation`, which a network measures itself."""

    def __init__(self, X: Any, y: Any, alike: bool) -> None:
        self._alike = alike
        self._made: dict[Any, Data] = {}
        self._X = plain("fit_many", "X", X)
        self._mapped = is_mapped(self._X)
        # A column that is no array of numbers may have names of classes: the networks look at it.
        column = hasattr(y, "to_numpy") and not hasattr(y, "columns")
        numbers = not column or np.asarray(y).dtype.kind in "fiub"
        self.y = plain("fit_many", "y", y) if numbers else y
        if isinstance(self.y, np.ndarray) and self.y.dtype.kind in "iu" and not is_mapped(self.y):
            self.y = self.y.astype(np.int64, copy=False)
        self._of: dict[np.dtype[Any], Array] = {}

    def features(self, model: Model) -> Any:
        """X in the network's dtype."""
        if self._mapped:
            return self._X
        dtype = model.parameters().dtype
        if dtype not in self._of:
            self._of[dtype] = checks.reals("fit_many", "X", self._X, dtype)
        return self._of[dtype]

    def made_for(self, model: Model) -> Data | None:
        """What has been made of the data for another model that takes the same."""
        return self._made.get(model.batch_kind)

    def keep(self, model: Model, data: Data) -> None:
        """For others that take what this one takes."""
        kind = model.batch_kind
        if self._alike and kind is not None and isinstance(data.feed, ArrayFeed):
            self._made[kind] = data


def _checked_models(networks: Any) -> list[Model]:
    if not isinstance(networks, (list, tuple)) or not networks:
        raise TypeError(
            f"fit_many: networks is {checks.describe(networks)}, a list of networks is wanted"
        )
    for i, model in enumerate(networks):
        if not callable(getattr(model, "fit", None)) or isinstance(model, type):
            raise TypeError(f"fit_many: networks[{i}] is {checks.describe(model)}, want a Network")
    owners = [id(model.parameters()) for model in networks]
    twice = next((i for i, owner in enumerate(owners) if owner in owners[:i]), None)
    if twice is not None:
        raise ValueError(
            f"fit_many: networks[{twice}] is networks[{owners.index(owners[twice])}] once more; "
            "a copy is another network: copy.deepcopy(net)"
        )
    return list(networks)


def _check_schedules(optimizers: list[Any]) -> None:
    """Raises ValueError where two optimizers follow one schedule that remembers a metric."""
    first: dict[int, int] = {}
    for i, optimizer in enumerate(optimizers):
        for schedule in optimizer.memories() if isinstance(optimizer, Optimizer) else ():
            before = first.setdefault(id(schedule), i)
            if before != i:
                raise ValueError(
                    f"fit_many: optimizers[{before}] and optimizers[{i}] follow one "
                    f"{type(schedule).__name__}, which remembers the losses of one network; give "
                    "each a schedule of its own"
                )


def _one_each(name: str, values: Any, count: int) -> list[Any]:
    """A list of as many as there are networks, of one value or of several."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        if name == "optimizers" and values is not None:
            raise TypeError(
                f"fit_many: optimizers is {checks.describe(values)}, a list with one for each "
                "network is wanted"
            )
        return [values] * count
    if len(values) != count:
        raise ValueError(f"fit_many: {name} has {len(values)} entries, there are {count} networks")
    return list(values)
