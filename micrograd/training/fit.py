"""fit: its arguments checked, a run made of them, and epochs until it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from micrograd import checks
from micrograd.atomic import Own
from micrograd.optim.constraints import Constraints
from micrograd.optim.optimizer import Optimizer
from micrograd.training.callbacks import split_callbacks
from micrograd.training.early_stopping import Patience, as_early_stopping
from micrograd.training.inputs import Data, make_data
from micrograd.training.progress import Progress
from micrograd.training.resuming import check, settings_of
from micrograd.training.run import Run, Setting

if TYPE_CHECKING:
    from micrograd.training.arguments import Arguments
    from micrograd.training.history import History
    from micrograd.training.model import Model


def fit(model: Model, given: Arguments) -> History:
    """Trains a model; see Trainable.fit.

    Raises:
        TypeError, ValueError: an argument does not fit; nothing has changed then.
        FloatingPointError: loss or gradient are no longer finite.
        RuntimeError: another thread is training the model.

    >>> history = net.fit(X, y, epochs=2, seed=0)  # what calls it
    """
    where = f"{type(model).__name__}.fit"
    model.prepare(where, given.X, given.y)
    with model.parameters().access.training(where):
        made, names = prepared(model, where, given)
        made.begin()
        if names is not None:
            model.keep_names(names)
        run, data, on_epoch = made.run, made.data, made.on_epoch
        bar = Progress(given.progress, run.state.epochs, data.measured())
        try:
            while not run.over():
                whole = run.next_epochs(data, seen=bool(on_epoch) or bar.each)
                for call in on_epoch:
                    call(run.state)
                bar.show(run.state.history)
                run.finish_epoch(whole)
        finally:
            bar.close()
            run.restore_dropout()
        run.finish()
    return run.state.history


def _numbered(model: Model, where: str, given: Arguments, names: list[str]) -> Arguments:
    """The arguments with the numbers of classes in place of their names."""
    validation, weight = given.validation, given.class_weight
    if isinstance(validation, (tuple, list)) and len(validation) > 1:
        X, y, *weights = validation
        validation = (X, model.numbered(where, y, names), *weights)
    if isinstance(weight, Mapping):
        weight = {names.index(k) if k in names else k: v for k, v in weight.items()}
    y = model.numbered(where, given.y, names)
    return replace(given, y=y, validation=validation, class_weight=weight)


@dataclass(frozen=True)
class Prepared:
    """A run that can begin: all has been checked, and nothing of the model has changed.

    begin: puts the model where the run starts; on_epoch: what to call after each epoch.
    """

    run: Run
    data: Data
    on_epoch: list[Any]
    begin: Callable[[], None]


def prepared(
    model: Model, where: str, given: Arguments, data: Data | None = None
) -> tuple[Prepared, list[str] | None]:
    """What fit's arguments say, checked; and the names of the classes where y has names.

    data: what make_data has made of these arguments for a model that takes the same, or None.

    Raises:
        TypeError, ValueError: an argument does not fit.
    """
    names = model.names_in(where, given.y)
    if names is not None:
        given = _numbered(model, where, given, names)
    epochs = checks.count(where, "epochs", given.epochs)
    batch_size = checks.count(where, "batch_size", given.batch_size)
    accumulate = checks.count(where, "accumulate", given.accumulate)
    _check_optimizer(where, model, given.optimizer)
    trained = model.parameters() if given.optimizer is None else given.optimizer.params
    constraints = Constraints(
        trained, given.l1, given.l2, given.clip_norm, given.clip_value, given.max_norm,
        where,
    )  # fmt: skip
    groups = () if given.optimizer is None else given.optimizer.param_groups
    if (constraints.l1 or constraints.l2) and any(group["maximize"] for group in groups):
        raise ValueError(f"{where}: an optimizer that maximizes would maximize l1 and l2 too")
    on_step, on_epoch = split_callbacks(where, given.callbacks)
    seed = _checked_seed(where, given.seed)
    shuffle = checks.flag(where, "shuffle", given.shuffle)
    if given.progress is not None:
        checks.flag(where, "progress", given.progress)
    saved = file = None
    if given.resume is not None:
        file = Own(given.resume, where)
        saved = model.read_progress(given.resume, given.optimizer)
    if saved is not None and saved.position is not None and saved.position.seed is not None:
        seed = saved.position.seed
    if data is None:
        data = make_data(model, where, given, epochs, batch_size, seed)
    dropout_factor = _checked_factor(where, model, given.dropout_factor)
    patience = None
    if given.early_stopping is not None:
        settings = as_early_stopping(where, given.early_stopping)
        patience = Patience(where, settings, data.measured())
    kept = settings_of(model, given, data)
    if saved is not None:
        check(where, saved, kept, given)
    setting = Setting(where, constraints, accumulate, on_step, dropout_factor, patience, file, kept)
    run = Run(model, data.feed, setting)
    begin = partial(run.start, given.optimizer, epochs, seed, shuffle, saved)
    return Prepared(run, data, on_epoch, begin), names


def _checked_seed(where: str, seed: Any) -> int:
    """The seed, drawn where there is none."""
    given = checks.seed(where, seed)
    return int(cast("int", np.random.SeedSequence().entropy)) if given is None else given


def _checked_factor(where: str, model: Model, factor: Any) -> Callable[[int], float] | None:
    """The factor of dropout rates as a function of the step; None where it is not given.

    Raises:
        TypeError, ValueError: it is no number from 0 to 1, or the model has no such layers.
    """
    if factor is None:
        return None
    if model.dropout_factor is None:
        raise TypeError(
            f"{where}: dropout_factor is {checks.describe(factor)}, but a model without layers has "
            "no dropout; leave it out"
        )
    if callable(factor):
        return cast("Callable[[int], float]", factor)
    number = checks.number(where, "dropout_factor", factor, 0, most=1)
    return lambda _: number


def _check_optimizer(where: str, model: Model, optimizer: Any) -> None:
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        name = optimizer.__name__ if isinstance(optimizer, type) else "Adam"
        raise TypeError(
            f"{where}: optimizer is {checks.describe(optimizer)}, one of micrograd.optim is "
            f"wanted, such as {name}(net.parameters())"
        )
    if getattr(optimizer.step, "__func__", None) is not Optimizer.step:
        raise TypeError(
            f"{where}: {type(optimizer).__name__} has a step() of its own, and the C core makes "
            "fit's steps; call loss, backward and step for the rows of micrograd.data.batches, or "
            "give an optimizer of micrograd.optim and a callback with on_step"
        )
    if optimizer.owner is not model.parameters():
        raise ValueError(f"{where}: the optimizer is for the parameters of another model")
