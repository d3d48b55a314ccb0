"""The options of `micrograd train`, and what they are where nothing is said."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from micrograd.cli.command import UsageError
from micrograd.cli.images import is_image_set
from micrograd.cli.tables import add_choosing_options, add_reading_options

ACTIVATIONS = (  # those of network.layers, which would load numpy
    "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu", "selu", "mish",
)  # fmt: skip
OPTIMIZERS = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
PRESETS = ("fast", "default", "best", "none")

# Of a network of one's own; a table's has those of its preset. Naming one of OWN means the former.
PLAIN = {
    "layers": (256,), "activation": "relu", "optimizer": "sgd", "momentum": 0.9, "accumulate": 1,
    "epochs": 30, "batch": 32, "dropout": 0.0, "weight_decay": 1e-3, "clip_norm": 1.0,
    "label_smoothing": 0.0,
}  # fmt: skip
# The embedded digits with none of these options: as accurate in a third of the time.
DIGITS = PLAIN | {"layers": (192,), "epochs": 15, "lr": 0.3}
OWN = ("layers", "activation", "optimizer", "momentum", "accumulate", "lr", "patience")


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


def check_together(options: argparse.Namespace) -> None:
    """Fills in the preset, and raises UsageError for options that exclude one another."""
    own = [name for name in OWN if getattr(options, name) is not None]
    if options.preset not in (None, "none") and own:
        raise UsageError(
            f"--preset {options.preset} has a network and a training of its own, "
            f"--{own[0].replace('_', '-')} is for one without a preset; leave one of them out"
        )
    if options.preset not in (None, "none") and is_image_set(options.source):
        raise UsageError(f"--preset is for tables, {options.source} is none")
    if options.momentum is not None and options.optimizer in ("adam", "adamw"):
        raise UsageError(f"--momentum is for sgd and rmsprop, --optimizer is {options.optimizer}")
    options.preset = options.preset or ("none" if own else "default")


def check_goal(options: argparse.Namespace, name: str, loss: str) -> None:
    """Raises UsageError for options that are for classes, where quantities are learnt."""
    for flag in ("balanced", "label_smoothing"):
        if getattr(options, flag) and loss != "cross_entropy":
            raise UsageError(
                f"--{flag.replace('_', '-')} is for classes, {name} is a quantity; if its numbers "
                "stand for classes, --kind classes says so"
            )


def by_preset(options: argparse.Namespace) -> bool:
    """Whether a table's network is that of a preset."""
    return str(options.preset) != "none"


def named(options: argparse.Namespace, names: Iterable[str]) -> bool:
    """Whether any of these options was given."""
    return any(getattr(options, name) is not None for name in names)


def settle(options: argparse.Namespace, is_table: bool) -> bool:
    """Fills in what was not said; returns whether the network is that of a preset for tables."""
    recipe = is_table and by_preset(options)
    if not recipe:
        said = named(options, (*OWN, *PLAIN))
        for name, value in (PLAIN if said or options.source != "digits" else DIGITS).items():
            if getattr(options, name) is None:
                setattr(options, name, value)
    return recipe


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd train`."""
    parser.usage = "micrograd train DATA [options]"
    add = parser.add_argument
    about = "digits, the data that come with the package; a folder of MNIST IDX files; or a table: "
    about += "CSV, plain or packed, Parquet, Excel. MNIST has its own test part, of the others a "
    about += "fifth is held out"
    add("source", metavar="DATA", help=about)
    about = "of a table: name or index of what to predict; several quantities between commas"
    add("--target", metavar="COLUMN", help=about)
    about = "what the target is; auto: classes if text or few whole numbers close together "
    about += "(default: %(default)s)"
    add("--kind", choices=("auto", "classes", "numbers"), default="auto", help=about)
    about = "of a table: test on this file instead of a fifth of the rows"
    add("--test", metavar="FILE", help=about)
    about = "test on the last fifth of the rows, for rows in the order of time"
    add("--no-shuffle", action="store_true", help=about)
    add_choosing_options(parser)
    add_reading_options(parser)
    _add_training(parser)
    _add_files(parser)
    _add_ranks(parser)


def _add_training(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("network and training").add_argument
    about = "the network for a table and its training, as TabularClassifier has them; best: five "
    about += "networks, whose answers are averaged; none, or any "
    about += "of --layers, --activation, --optimizer, --lr: one of your own (default: default)"
    add("--preset", choices=PRESETS, help=about)

    def shown(name: str, known: str = "") -> str:
        value = known or PLAIN[name.lstrip("-").replace("-", "_")]
        return f"(default: {value}; of a preset its own)"

    about = (
        "sizes of the hidden layers, or none (default: 256; of a preset its own; digits with none "
    )
    about += "of these options: 192, in 15 epochs from a learning rate of 0.3)"
    add("--layers", type=sizes, metavar="N,N", help=about)
    about = f"of the hidden layers {shown('activation')}"
    add("--activation", choices=ACTIVATIONS, help=about)
    patience = "stop after so many epochs without improvement on a tenth of the training rows, "
    patience += "which is set aside, and go back to the best"
    lr = "peak learning rate (default: of sgd 0.2, for numbers 0.02; else 0.003)"
    for name, kind, about in (
        ("--epochs", number(int, 1), "passes over the training rows"),
        ("--batch", number(int, 1), "rows in a minibatch"),
        ("--dropout", number(float, 0, 1), "share of hidden units left out in training"),
        ("--lr", number(float, 0), lr),
        ("--momentum", number(float, 0, 1), "of sgd and rmsprop"),
        ("--weight-decay", number(float, 0), "of the weights, by the optimizer"),
        ("--clip-norm", number(float, 0), "longest gradient of a step, 0: any"),
        ("--label-smoothing", number(float, 0, 1), "share of the target for all classes alike"),
        ("--accumulate", number(int, 1), "minibatches that make a step together"),
        ("--patience", number(int, 1), patience),
    ):
        said = "" if name in ("--lr", "--patience") else f" {shown(name)}"
        add(name, type=kind, metavar="N", help=about + said)
    about = "its learning rate falls from the peak to 0 along half a cosine "
    add("--optimizer", choices=tuple(OPTIMIZERS), help=about + shown("optimizer"))
    add("--balanced", action="store_true", help="weigh all classes the same, however rare")
    about = "of split, weights and order of rows (default: %(default)s)"
    add("--seed", type=number(int, 0), default=0, metavar="N", help=about)
    about = "at most (default: as many as processors)"
    add("--threads", type=number(int, 1), metavar="N", help=about)
    about = "(default: %(default)s)"
    add("--dtype", choices=("float32", "float64"), default="float32", help=about)


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what is written").add_argument
    add("--save", metavar="FILE", help="write the trained model there, in safetensors format")
    about = "a model file to write after every epoch, and to go on from if it exists"
    add("--resume", metavar="FILE", help=about)
    add("--plot", metavar="FILE.png", help="draw loss and accuracy by epoch")
    add("--log", metavar="FILE.csv", help="write loss, measures and seconds of each epoch there")
    add("--quiet", action="store_true", help="print the result on the test part, nothing else")


def _add_ranks(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("several processes or machines").add_argument
    about = "share every batch out over the ranks of an MPI job: mpiexec -n 4 micrograd train DATA "
    about += "--distributed"
    add("--distributed", action="store_true", help=about)
    about = "how ranks add up gradients: sum; ordered, the same bits for any number of ranks; "
    about += "bfloat16, half the bytes (default: sum)"
    add("--reduction", choices=("sum", "ordered", "bfloat16"), help=about)
