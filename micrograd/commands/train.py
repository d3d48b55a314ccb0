"""`micrograd train`: a network on the digits, on MNIST files or on a CSV file."""

from __future__ import annotations

import argparse
import math
import os
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from micrograd import plot
from micrograd.commands import Clock, UsageError, suggestion

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.history import History
    from micrograd.network import Network

ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu")
TEST_FRACTION = 0.2
PEAK_LR = {"cross_entropy": 0.2, "mse": 0.02}
CLIP_NORM = 1.0  # a batch that would throw the weights far away moves them a bounded step


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
        ("--lr", number(float, 0), None, "peak learning rate (default: 0.2, for numbers 0.02)"),
        ("--momentum", number(float, 0, 1), 0.9, "of SGD " + shown),
        ("--weight-decay", number(float, 0), 1e-3, "of SGD " + shown),
        ("--seed", number(int, 0), 0, "of split, weights and order of rows " + shown),
        ("--threads", number(int, 1), None, "at most (default: as many as processors)"),
    ):
        add(name, type=kind, default=default, metavar="N", help=about)
    add("--dtype", choices=("float32", "float64"), default="float32", help=shown)
    add("--plot", metavar="FILE.png", help="draw loss and accuracy by epoch")
    add("--quiet", action="store_true", help="print the result on the test part, nothing else")


class Task(NamedTuple):
    """Data to train on and to test with, (X, y) each, and what the network is to make of them."""

    name: str
    train: tuple[Array, Array]
    test: tuple[Array, Array]
    loss: str
    outputs: int  # number of classes, or 1 for a quantity
    unit: float = 1.0  # of y, in the units of the file


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Trains a network, tests it, and says how well it did and where the time went."""
    if options.plot:
        plot.check(options.plot)
    from micrograd import core, network

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
    history = fit(net, task, options)
    clock.lap("training")
    result = evaluate(net, task)
    clock.lap("evaluating")
    if options.plot:
        plot.training_curves(history, options.plot, task.name)
        clock.lap("plotting")
    print(result if options.quiet else f"{result}\n\n{clock.table()}")


def load(options: argparse.Namespace) -> Task:
    """The data that the options name."""
    source = options.source
    is_csv = source != "digits" and not os.path.isdir(source)
    if is_csv and not os.path.exists(source):
        raise ValueError(f"no file or folder {source!r}{suggestion(source, ['digits'])}")
    if is_csv and options.target is None:
        raise UsageError(f"{source} is a file: --target COLUMN has to say what to predict")
    if not is_csv and (options.target is not None or options.kind != "auto"):
        raise UsageError(f"--target and --kind are for CSV files, {source} is none")
    if is_csv:
        return load_csv(options)
    from micrograd import data

    if source == "digits":
        X, X_test, y, y_test = data.train_test_split(*data.digits(), TEST_FRACTION, options.seed)
    else:
        X, y, X_test, y_test = data.mnist(source)
    outputs = 1 + int(max(y.max(initial=0), y_test.max(initial=0)))
    return Task(source, (X, y), (X_test, y_test), "cross_entropy", outputs)


def load_csv(options: argparse.Namespace) -> Task:
    """A CSV file, scaled to mean 0 and standard deviation 1 over the training rows."""
    from micrograd import data

    table = data.read_csv(options.source, options.target, kind=options.kind)
    name = f"{options.source}, {table.target_name}"
    if len(table.classes) == 1:
        raise ValueError(f"{name}: every row is {table.classes[0]!r}, there is nothing to learn")
    X, X_test, y, y_test = data.train_test_split(table.X, table.y, TEST_FRACTION, options.seed)
    mean, std = X.mean(axis=0), X.std(axis=0)
    std[std == 0] = 1
    X, X_test = (X - mean) / std, (X_test - mean) / std
    if table.classes:
        return Task(name, (X, y), (X_test, y_test), "cross_entropy", len(table.classes))
    centre, unit = float(y.mean()), float(y.std()) or 1.0
    y, y_test = (y - centre) / unit, (y_test - centre) / unit
    return Task(name, (X, y), (X_test, y_test), "mse", 1, unit)


def make_layers(task: Task, options: argparse.Namespace) -> list[Any]:
    """Linear layers from the features to the outputs, with the activation between them."""
    from micrograd import layers

    widths = [task.train[0].shape[1], *options.layers, task.outputs]
    kinds = (layers.ReLU, layers.LeakyReLU, layers.Sigmoid, layers.Tanh, layers.GELU)
    activation = kinds[ACTIVATIONS.index(options.activation)]()
    return [x for pair in pairwise(widths) for x in (layers.Linear(*pair), activation)][:-1]


def fit(net: Network, task: Task, options: argparse.Namespace) -> History:
    """SGD with a learning rate that falls from its peak to 0 along half a cosine."""
    from micrograd.optim import SGD

    peak = PEAK_LR[task.loss] if options.lr is None else options.lr
    steps = options.epochs * math.ceil(len(task.train[0]) / options.batch)

    def lr(step: int) -> float:
        return float(peak * (1 + math.cos(math.pi * step / steps)) / 2)

    return net.fit(
        *task.train,
        epochs=options.epochs,
        batch_size=options.batch,
        optimizer=SGD(net.parameters(), lr, options.momentum, weight_decay=options.weight_decay),
        validation=task.test,
        clip_norm=CLIP_NORM,
        progress=False if options.quiet else None,
        seed=options.seed,
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
    return f"test R^2 {r2}, RMSE {task.unit * math.sqrt(error):.4g} in the target's units"
