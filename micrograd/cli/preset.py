"""Networks for tables as a preset has them: which, how many, and how they are trained."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from micrograd.cli.command import UsageError
from micrograd.cli.task import Task

if TYPE_CHECKING:
    from micrograd.distributed import DataParallel
    from micrograd.network.network import Network
    from micrograd.training.history import History


def members(options: argparse.Namespace) -> int:
    """How many networks the preset has.

    Raises:
        UsageError: several, and an option that is for one.
    """
    from micrograd.sklearn.tabular_recipe import PRESETS

    many = PRESETS[options.preset].members
    for name in ("resume", "distributed"):
        if many > 1 and getattr(options, name):
            raise UsageError(
                f"--{name} is for one network, and --preset {options.preset} has {many}; "
                "--preset default has one"
            )
    return many


def chosen(options: argparse.Namespace, rows: int) -> Any:
    """The preset for so many rows, with what the options change of it."""
    from micrograd.sklearn.tabular_recipe import PRESETS

    given = {
        "epochs": options.epochs, "batch_size": options.batch, "dropout": options.dropout,
        "weight_decay": options.weight_decay, "smoothing": options.label_smoothing,
        "clip_norm": options.clip_norm or None,
    }  # fmt: skip
    changed = {name: value for name, value in given.items() if value is not None}
    return replace(PRESETS[options.preset].sized(rows), **changed)


def fit_recipe(
    net: Network | DataParallel,
    task: Task,
    options: argparse.Namespace,
    callbacks: list[Any],
    seed: int,
    show: bool,
) -> History:
    """Trains as the preset says; the epoch is chosen by a tenth of the training rows."""
    from micrograd.sklearn.tabular_recipe import HELD_OUT, train

    classes = task.loss == "cross_entropy"
    return train(
        cast("Network", net),
        chosen(options, len(task.train[0])),
        (*task.train, None),
        HELD_OUT if len(task.train[0]) >= 20 else None,
        seed=seed,
        by_errors=classes and len(task.train[0]) >= 1000,
        resume=options.resume,
        progress=shown(options) if show else False,
        class_weight="balanced" if options.balanced else None,
        callbacks=callbacks,
    )


def shown(options: argparse.Namespace) -> bool | None:
    """Whether epochs are shown: on a terminal, which mpiexec hides from its ranks."""
    if options.quiet:
        return False
    return True if options.distributed else None
