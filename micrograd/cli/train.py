"""`micrograd train`: a network on the digits, on MNIST files or on a CSV file."""

from __future__ import annotations

import argparse
import math
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from micrograd import plot
from micrograd.cli.command import Clock
from micrograd.cli.task import Task, load

if TYPE_CHECKING:
    from micrograd.network.network import Network
    from micrograd.training.history import History

ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu")
OPTIMIZERS = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
PEAK_LR = {"cross_entropy": 0.2, "mse": 0.02}  # of SGD
ADAPTIVE_LR = 3e-3  # of the others, whatever the loss
STOPPING_FRACTION = 0.1  # of the training rows, for early stopping: the test part stays unseen


def number(kind: type[int] | type[float], least: float, below: float = math.inf) -> Any:
    """An argparse type: a number from `least` on and less than `below`."""
    wanted = f"a {'whole ' * (kind is int)}number, {least:g} or more"
    wanted += f" and less than {below:g}" * (below < math.inf)

    def parse(text: str) -> float:
        with suppress(ValueError):
            if least <= (value := kind(text)) < below:
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")

    return parse


def sizes(text: str) -> tuple[int, ...]:
    """An argparse type: sizes of hidden layers, such as 256,128; none for no hidden layer."""
    parts = [] if text == "none" else text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of sizes such as 256,128, or none")
    return tuple(map(int, parts))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd train`."""
    parser.usage = "micrograd train DATA [options]"
    add = parser.add_argument
    shown = "(default: %(default)s)"
    about = "digits, the data that come with the package; a folder of MNIST IDX files; or a CSV "
    about += "file of numbers. MNIST has its own test part, of the others a fifth is held out"
    add("source", metavar="DATA", help=about)
    add("--target", metavar="COLUMN", help="of a CSV file: name or index of what to predict")
    about = "of a CSV file: what the target is; auto: classes if text or few whole numbers " + shown
    add("--kind", choices=("auto", "classes", "numbers"), default="auto", help=about)
    about = "sizes of the hidden layers, or none (default: 256)"
    add("--layers", type=sizes, default=(256,), metavar="N,N", help=about)
    add("--activation", choices=ACTIVATIONS, default="relu", help="of the hidden layers " + shown)
    for name, kind, default, about in (
        ("--epochs", number(int, 1), 30, "passes over the training rows " + shown),
        ("--batch", number(int, 1), 32, "rows in a minibatch " + shown),
        (
            "--dropout",
            number(float, 0, 1),
            0.0,
            "share of hidden units left out in training " + shown,
        ),
        (
            "--lr",
            number(float, 0),
            None,
            "peak learning rate (default: of sgd 0.2, for numbers 0.02; else 0.003)",
        ),
        ("--momentum", number(float, 0, 1), 0.9, "of sgd and rmsprop " + shown),
        ("--weight-decay", number(float, 0), 1e-3, "of the weights, by the optimizer " + shown),
        ("--clip-norm", number(float, 0), 1.0, "longest gradient of a step, 0: any " + shown),
        (
            "--label-smoothing",
            number(float, 0, 1),
            0.0,
            "share of the target for all classes alike " + shown,
        ),
        ("--accumulate", number(int, 1), 1, "minibatches that make a step together " + shown),
        (
            "--patience",
            number(int, 1),
            None,
            "stop after so many epochs without improvement on a "
            "tenth of the training rows, which is set aside, and go back to the best",
        ),
        ("--seed", number(int, 0), 0, "of split, weights and order of rows " + shown),
        ("--threads", number(int, 1), None, "at most (default: as many as processors)"),
    ):
        add(name, type=kind, default=default, metavar="N", help=about)
    about = "its learning rate falls from the peak to 0 along half a cosine " + shown
    add("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help=about)
    add("--balanced", action="store_true", help="weigh all classes the same, however rare")
    add("--save", metavar="FILE", help="write the trained model there, in safetensors format")
    about = "a model file to write after every epoch, and to go on from if it exists"
    add("--resume", metavar="FILE", help=about)
    add("--dtype", choices=("float32", "float64"), default="float32", help=shown)
    add("--plot", metavar="FILE.png", help="draw loss and accuracy by epoch")
    add("--quiet", action="store_true", help="print the result on the test part, nothing else")


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Trains a network, tests it, and says how well it did and where the time went."""
    check_outputs(options)
    from micrograd import core
    from micrograd.cli.columns import KEY
    from micrograd.network import network

    if options.threads:
        core.set_num_threads(options.threads)
    clock.lap("start and imports")
    task = load(options)
    clock.lap("loading data")
    layers = make_layers(task, options)
    net = network.Network(*layers, loss=task.loss, dtype=options.dtype, seed=options.seed)
    if not options.quiet:
        rows = f"{len(task.train[0])} training rows, {len(task.test[0])} test rows"
        goal = "one quantity" if task.loss == "mse" else f"{task.outputs} classes"
        print(f"{task.name}: {rows}, {goal}")
        print(f"{' > '.join(map(str, layers))}: {net.parameters().size} parameters", flush=True)
    net.metadata[KEY] = task.columns.to_plain()
    history = fit(net, task, options)
    clock.lap("training")
    result = evaluate(net, task)
    clock.lap("evaluating")
    if options.save:
        net.save(options.save)
        clock.lap("saving")
    if options.plot:
        plot.training_curves(history, options.plot, task.name)
        clock.lap("plotting")
    print(result if options.quiet else f"{result}\n\n{clock.table()}")


def check_outputs(options: argparse.Namespace) -> None:
    """Finds out before the training whether its results can be written."""
    if options.plot:
        plot.check(options.plot)
    files = [path for path in (options.save, options.resume) if path]
    if files:
        from micrograd.atomic import checked_target
        from micrograd.saving.write import require_safetensors

        require_safetensors("micrograd train")
        for path in files:
            checked_target(path)


def make_layers(task: Task, options: argparse.Namespace) -> list[Any]:
    """Linear layers from the features to the outputs; activation and dropout between them."""
    from micrograd.network import layers

    widths = [task.train[0].shape[1], *options.layers, task.outputs]
    kinds = (layers.ReLU, layers.LeakyReLU, layers.Sigmoid, layers.Tanh, layers.GELU)
    activation = kinds[ACTIVATIONS.index(options.activation)]()
    between = [activation, layers.Dropout(options.dropout)] if options.dropout else [activation]
    stack = [x for pair in pairwise(widths) for x in (layers.Linear(*pair), *between)]
    return stack[: -len(between)]


def fit(net: Network, task: Task, options: argparse.Namespace) -> History:
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
        progress=False if options.quiet else None,
        seed=options.seed,
        resume=options.resume,
        class_weight="balanced" if options.balanced else None,
        label_smoothing=options.label_smoothing,
        accumulate=options.accumulate,
        early_stopping=options.patience,
    )


def evaluate(net: Network, task: Task) -> str:
    """How well the network does on the test part, in words."""
    X, y = task.test
    output = net.predict(X)
    if task.loss == "cross_entropy":
        right = int((output.argmax(axis=1) == y).sum())
        return f"test accuracy {100 * right / len(y):.2f} % ({right} of {len(y)})"
    error, variance = float(((output[:, 0] - y) ** 2).mean()), float(y.var())
    r2 = f"{1 - error / variance:.4f}" if variance else "undefined (all targets are equal)"
    return f"test R^2 {r2}, RMSE {task.columns.unit * math.sqrt(error):.4g} in the target's units"
