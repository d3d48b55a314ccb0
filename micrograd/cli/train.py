"""`micrograd train`: a network on the digits, on MNIST files or on a table."""

from __future__ import annotations

import argparse
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from micrograd.cli import extras, files
from micrograd.cli.command import Clock, UsageError
from micrograd.cli.interrupt import LastEpoch, interrupted
from micrograd.cli.preset import chosen, fit_recipe, members, shown
from micrograd.cli.task import Task, is_table, load
from micrograd.cli.train_options import OPTIMIZERS, add_options, check_goal, check_together, settle

if TYPE_CHECKING:
    from micrograd.cli.members import Average
    from micrograd.cli.ranks import Ranks
    from micrograd.distributed import DataParallel
    from micrograd.network.network import Network
    from micrograd.training.history import History

    Shared = Network | DataParallel

__all__ = ["add_options", "run"]

PEAK_LR = {"cross_entropy": 0.2, "mse": 0.02}  # of SGD
ADAPTIVE_LR = 3e-3  # of the others, whatever the loss
STOPPING_FRACTION = 0.1  # of the training rows, for early stopping: the test part stays unseen


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Trains a network, tests it, and says how well it did and where the time went."""
    if options.reduction is not None and not options.distributed:
        raise UsageError("--reduction is for --distributed")
    if not options.distributed:
        train(options, clock, None)
        return
    from micrograd.cli.ranks import Ranks

    with Ranks() as ranks:
        train(options, clock, ranks)


def train(options: argparse.Namespace, clock: Clock, ranks: Ranks | None) -> None:
    """The command, alone or on one of several ranks."""
    check_together(options)
    check_outputs(options)
    from micrograd import core

    if options.threads:
        core.set_num_threads(options.threads)
    clock.lap("start and imports")
    task = load(options)
    check_goal(options, task.name, task.loss)
    clock.lap("loading data")
    recipe = settle(options, task.schema is not None)
    many = members(options) if recipe else 1
    net = make_network(task, options, recipe)
    model: Shared = net if ranks is None else shared_out(net, options, ranks)
    trained: Shared | Average = model
    first = ranks is None or ranks.first
    if first and not options.quiet:
        introduce(net, task, many)
        if ranks is not None:
            print(f"{ranks.ranks} ranks, threads of each: {core.get_num_threads()}", flush=True)
    last = LastEpoch(net)
    try:
        if many > 1:
            from micrograd.cli.members import train_members

            trained, history = train_members(net, task, options)
        elif recipe:
            history = fit_recipe(model, task, options, [last], options.seed, True)
        else:
            history = fit(model, task, options, last)
    except KeyboardInterrupt:
        if not first or many > 1:
            raise
        raise interrupted(last, options.save, options.resume) from None
    clock.lap("training")
    result = evaluate(trained, task)
    clock.lap("evaluating")
    if options.save:
        trained.save(options.save)
        clock.lap("saving")
    if not first:
        return
    if options.log:
        write_log(history, options.log)
    if options.plot:
        history.plot(options.plot, task.name)
        clock.lap("plotting")
    print(result if options.quiet else f"{result}\n{compared(task)}\n{clock.table()}")


def shared_out(net: Network, options: argparse.Namespace, ranks: Ranks) -> DataParallel:
    """The network as all ranks train it together."""
    from micrograd import core
    from micrograd.distributed import DataParallel

    model = DataParallel(net, ranks.comm, options.reduction or "sum")
    if options.threads:  # all of a machine's ranks share its processors unless this is said
        core.set_num_threads(options.threads)
    return model


def introduce(net: Network, task: Task, networks: int) -> None:
    """Says what the table is, what is learnt from it, and by which network."""
    if task.schema is not None:
        print(f"{task.schema}\n")
    rows = f"{len(task.train[0])} training rows, {len(task.test[0])} test rows"
    goal = f"{task.outputs} classes"
    if task.loss == "mse":
        goal = "one quantity" if task.outputs == 1 else f"{task.outputs} quantities"
    print(f"{task.name}: {rows}, {goal}")
    stack = " > ".join(map(str, net.layers))
    many = f", {networks} times; their answers are averaged" if networks > 1 else ""
    print(f"{stack}: {net.parameters().size} parameters{many}", flush=True)


def compared(task: Task) -> str:
    """What less than a network reaches on the same rows."""
    from micrograd.cli.baselines import lines

    targets = [] if task.schema is None else task.schema.targets
    scale = targets[0].scale if len(targets) == 1 else 1.0
    return "".join(f"{line}\n" for line in lines(task, scale))


def write_log(history: History, path: str) -> None:
    """Writes a line for each epoch, whole or not at all."""
    import csv
    import io

    from micrograd.atomic import write_bytes

    columns = {name: values for name, values in history.to_dict().items() if _is_list(values)}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["epoch", *columns])
    for epoch, row in enumerate(zip(*columns.values(), strict=True), 1):
        table.writerow([epoch, *(f"{value:.8g}" for value in row)])
    write_bytes(path, text.getvalue().encode())


def _is_list(values: Any) -> bool:
    return isinstance(values, list) and len(values) > 0


def check_outputs(options: argparse.Namespace) -> None:
    """Finds out before the training whether its results can be written, and all is there."""
    table, save = is_table(options.source), options.save or options.resume
    extras.require("micrograd train", table=table, save=save, plot=options.plot)
    if options.plot:
        from micrograd import plot

        plot.check(options.plot)
    outputs = {f"--{name}": getattr(options, name) for name in ("save", "log", "plot")}
    files.check_outputs(outputs, [path for path in (options.source, options.test) if path])
    files.check_outputs({"--resume": options.resume}, [options.source])


def make_network(task: Task, options: argparse.Namespace, recipe: bool) -> Network:
    """The network for the task, with what its columns are in its metadata."""
    from micrograd.network.network import Network

    if recipe:
        from micrograd.sklearn.tabular_recipe import layers_for

        stack: list[Any] = layers_for(
            chosen(options, len(task.train[0])),
            task.train[0].shape[1],
            task.outputs,
            *((0,) if task.schema is None else (task.schema.n_numbers, task.schema.tables)),
        )
    else:
        stack = make_layers(task, options)
    net = Network(*stack, loss=task.loss, dtype=options.dtype, seed=options.seed)
    if task.classes:
        net.metadata["classes"] = list(task.classes)
    if task.schema is not None:
        from micrograd.cli.models import KEY

        net.metadata[KEY] = task.schema.to_dict()
    return net


def make_layers(task: Task, options: argparse.Namespace) -> list[Any]:
    """Linear layers from the features to the outputs; activation and dropout between them."""
    from micrograd.network import layers

    widths = [task.train[0].shape[1], *options.layers, task.outputs]
    activation = layers.ACTIVATIONS[options.activation]()
    between = [activation, layers.Dropout(options.dropout)] if options.dropout else [activation]
    stack = [x for pair in pairwise(widths) for x in (layers.Linear(*pair), *between)]
    return stack[: -len(between)]


def fit(net: Shared, task: Task, options: argparse.Namespace, last: LastEpoch) -> History:
    """Trains with a learning rate that falls from its peak to 0 along half a cosine."""
    from micrograd import optim, schedule

    usual = PEAK_LR[task.loss] if options.optimizer == "sgd" else ADAPTIVE_LR
    peak = usual if options.lr is None else options.lr
    rows = len(task.train[0]) * (1 if options.patience is None else 1 - STOPPING_FRACTION)
    steps = options.epochs * math.ceil(math.ceil(rows / options.batch) / options.accumulate)
    lr = schedule.Cosine(peak, steps)
    kind = getattr(optim, OPTIMIZERS[options.optimizer])
    settings = {"weight_decay": options.weight_decay}
    if options.optimizer in ("sgd", "rmsprop"):
        settings["momentum"] = options.momentum

    return net.fit(
        *task.train,
        epochs=options.epochs,
        batch_size=options.batch,
        optimizer=kind(net.parameters(), lr, **settings),
        validation=task.test if options.patience is None else STOPPING_FRACTION,
        clip_norm=options.clip_norm or None,
        progress=shown(options),
        seed=options.seed,
        resume=options.resume,
        class_weight="balanced" if options.balanced else None,
        label_smoothing=options.label_smoothing,
        accumulate=options.accumulate,
        early_stopping=options.patience,
        callbacks=[last],
    )


def evaluate(net: Shared | Average, task: Task) -> str:
    """How well the network does on the test part, in words."""
    X, y = task.test
    output = net.predict(X)
    if task.loss == "cross_entropy":
        right = int((output.argmax(axis=1) == y).sum())
        return f"test accuracy {100 * right / len(y):.2f} % ({right} of {len(y)})"
    assert task.schema is not None
    said = []
    for i, target in enumerate(task.schema.targets):
        truth = y if y.ndim == 1 else y[:, i]
        error, variance = float(((output[:, i] - truth) ** 2).mean()), float(truth.var())
        r2 = f"{1 - error / variance:.4f}" if variance else "undefined (all targets are equal)"
        rmse = f"RMSE {target.scale * math.sqrt(error):.4g} in the target's units"
        named = f"{target.name}: " if len(task.schema.targets) > 1 else ""
        said.append(f"{named}test R^2 {r2}, {rmse}")
    return "\n".join(said)
