"""`micrograd export`: a model file as ONNX, as a C header, or as PyTorch's state_dict."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from micrograd.cli.command import Clock, UsageError

if TYPE_CHECKING:
    from micrograd.cli.columns import Columns
    from micrograd.core import Array


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd export`."""
    parser.usage = "micrograd export MODEL (--onnx | --c | --torch) FILE [options]"
    add = parser.add_argument
    about = "a file that micrograd train --save, or net.save, has written"
    add("model", metavar="MODEL", help=about)
    about = "an ONNX graph that takes any number of rows; wants micrograd[onnx]"
    add("--onnx", metavar="FILE.onnx", help=about)
    about = "a C99 header with the weights, a predict function and a self-test; wants nothing"
    add("--c", metavar="FILE.h", help=about)
    about = "a state_dict for the Sequential that is printed; wants micrograd[torch]"
    add("--torch", metavar="FILE.pt", help=about)
    about = "of --c: store the weights as 8-bit integers; implies --unscaled, for columns of "
    about += "different size would share one scale"
    add("--int8", action="store_true", help=about)
    about = "of --onnx and --c: give probabilities instead of logits"
    add("--probabilities", action="store_true", help=about)
    about = "of --c: a CSV file on which to measure what 8 bits cost, and to test the header"
    add("--data", metavar="FILE.csv", help=about)
    about = "leave out the scaling of the columns that the model file remembers; otherwise it is "
    about += "made part of the first and last layer, and rows come as they are in the file"
    add("--unscaled", action="store_true", help=about)


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Writes the file and says what it takes and gives."""
    chosen = [name for name in ("onnx", "c", "torch") if getattr(options, name)]
    if len(chosen) != 1:
        raise UsageError("one of --onnx, --c and --torch has to name the file to write")
    for name in ("int8", "data"):
        if getattr(options, name) and not options.c:
            raise UsageError(f"--{name} is for --c")
    if options.probabilities and options.torch:
        raise UsageError("--probabilities is for --onnx and --c")
    from micrograd.cli.columns import in_file_units, load_model

    path = getattr(options, chosen[0])
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder; the name of a file is wanted")
    net, columns = load_model(options.model)
    options.unscaled = options.unscaled or options.int8
    if not options.unscaled:
        net = in_file_units(net, columns, options.model)
    from micrograd import convert

    said = ""
    if options.onnx:
        convert.to_onnx(net, path, probabilities=options.probabilities)
    elif options.c:
        X, y = sample(options, columns)
        header = convert.to_c(
            net, path, quantize="int8" if options.int8 else None,
            probabilities=options.probabilities, X=X, y=y,
        )  # fmt: skip
        said = f"\n{header}"
    else:
        said = write_state_dict(net, path)
    names = ", ".join(columns.features[:8]) + (", ..." if len(columns.features) > 8 else "")
    classes = columns.classes
    gives = f"{len(classes)} numbers, of {', '.join(classes[:8])}" if classes else columns.target
    gives += ", ..." * (len(classes) > 8)
    print(f"{path}: takes {len(columns.features)} numbers, {names}; gives {gives}{said}")
    if options.unscaled and columns.scales:
        print(scaling(columns))


def scaling(columns: Columns) -> str:
    """What has to be done to a row and to the outputs, in C's notation."""
    mean, std = (", ".join(f"{x:.9g}" for x in part) for part in (columns.mean, columns.std))
    text = "scale each row first, x[i] = (x[i] - mean[i]) / std[i], with\n"
    text += f"mean[] = {{{mean}}}\nstd[] = {{{std}}}"
    if not columns.classes:
        text += f"\n{columns.target} = {columns.centre:.9g} + {columns.unit:.9g} * output"
    return text


def sample(options: argparse.Namespace, columns: Columns) -> tuple[Array, Array | None]:
    """Rows, and the right answers for them if they are known, as the exported function takes them.

    Without a file, rows that are spread as those of the training were.
    """
    import numpy as np

    from micrograd.cli.columns import read_rows

    if options.data:
        return read_rows(options.data, columns, scaled=options.unscaled)
    X = np.random.default_rng(0).normal(size=(256, len(columns.features)))
    return X if options.unscaled else X * np.array(columns.std) + np.array(columns.mean), None


def write_state_dict(net: object, path: str) -> str:
    """torch.save of the parameters; returns how to read them back."""
    from micrograd.convert import to_torch

    module = to_torch(net)  # type: ignore[arg-type]
    import torch

    torch.save(module.state_dict(), path)
    return (
        f"\nmodel.load_state_dict(torch.load({path!r}, weights_only=True)) with model =\n{module}"
    )
