"""`micrograd export`: a model file as ONNX, as a C header, or as PyTorch's state_dict."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from micrograd.cli import extras
from micrograd.cli.command import Clock, UsageError
from micrograd.cli.files import check_outputs
from micrograd.cli.images import images, is_image_set
from micrograd.cli.tables import add_reading_options, read

if TYPE_CHECKING:
    from micrograd.network.network import Network
    from micrograd.tabular import Schema


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd export`."""
    parser.usage = "micrograd export MODEL (--onnx | --c | --torch) FILE [options]"
    add = parser.add_argument
    about = "a file that micrograd train --save, or net.save, has written"
    add("model", metavar="MODEL", help=about)
    about = "an ONNX graph that takes any number of rows; wants micrograd-core[onnx]"
    add("--onnx", metavar="FILE.onnx", help=about)
    about = "a C99 header with the weights, a predict function and a self-test; wants nothing"
    add("--c", metavar="FILE.h", help=about)
    about = "a state_dict for the Sequential that is printed; wants micrograd-core[torch]"
    add("--torch", metavar="FILE.pt", help=about)
    about = "of --c: compute in 8-bit integers alone, with scales taken from the rows of --data"
    add("--int8", action="store_true", help=about)
    about = "of --c: store the weights as 8-bit integers, and compute in float"
    add("--int8-weights", action="store_true", help=about)
    about = "of --c: make an Arduino library of the header in this folder, too"
    add("--arduino", metavar="DIR", help=about)
    about = "of --c: what all names in the header begin with (default: the name of its file)"
    add("--prefix", metavar="NAME", help=about)
    about = "of --onnx and --c: give probabilities instead of logits"
    add("--probabilities", action="store_true", help=about)
    about = (
        "of --c: rows to take the scales of --int8 from, to measure on what 8 bits cost, and to "
    )
    about += "test the header: digits, a folder of images, or a table"
    add("--data", metavar="DATA", help=about)
    about = (
        "write the network alone, without the schema of its table: it takes the numbers that the "
    )
    about += "schema makes, and gives its raw outputs"
    add("--unscaled", action="store_true", help=about)
    add_reading_options(parser)


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Writes the file and says what it takes and gives."""
    chosen = [name for name in ("onnx", "c", "torch") if getattr(options, name)]
    if len(chosen) != 1:
        raise UsageError("one of --onnx, --c and --torch has to name the file to write")
    for name in ("int8", "int8_weights", "arduino", "data", "prefix"):
        if getattr(options, name) and not options.c:
            raise UsageError(f"--{name.replace('_', '-')} is for --c")
    if options.int8 and options.int8_weights:
        raise UsageError("--int8 and --int8-weights exclude one another")
    if options.int8 and not options.data:
        raise UsageError(
            "--int8 takes the scale of every layer from rows: --data TRAINING_DATA, or "
            "--int8-weights, which wants none"
        )
    if options.probabilities and options.torch:
        raise UsageError("--probabilities is for --onnx and --c")
    path = getattr(options, chosen[0])
    check_outputs({f"--{chosen[0]}": path}, filter(None, [options.model, options.data]))
    table = options.data and not is_image_set(options.data)
    wanted = {"table": table, "save": True, "onnx": options.onnx, "torch": options.torch}
    if extras.lacking(save=True):  # so that the model cannot be looked at
        extras.require("micrograd export", **wanted)
    from micrograd.cli.models import is_plain, load_models

    nets, schema = load_models(options.model)
    if len(nets) > 1 and (not options.onnx or options.unscaled):
        raise ValueError(
            f"{options.model}: {len(nets)} networks, whose answers are averaged, go into an ONNX "
            "file of the whole table (--onnx without --unscaled); for C and PyTorch train one: "
            "micrograd train --preset default"
        )
    extras.require("micrograd export", **wanted)
    net = nets[0]
    options.unscaled = options.unscaled or bool(options.torch) or is_plain(schema)
    try:
        if options.onnx:
            said = write_onnx(nets, schema, options)
        elif options.c:
            said = write_c(net, schema, options)
        else:
            said = write_state_dict(net, path)
    except TypeError as error:  # a layer that has no form there
        raise ValueError(str(error)) from error
    features = [column.name for column in schema.features]
    if options.unscaled:
        features = schema.encoded_names
    classes = schema.targets[0].classes
    gives = f"{len(classes)} numbers, of {shown(classes)}" if classes else ""
    gives = gives or ", ".join(target.name for target in schema.targets)
    kind = "columns" if options.onnx and not options.unscaled else "numbers"
    print(f"{path}: takes {len(features)} {kind}, {shown(features)}; gives {gives}{said}")
    if options.unscaled and not is_plain(schema):
        print(scaling(schema))


def shown(names: list[str]) -> str:
    """The first of these names."""
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def write_onnx(nets: list[Network], schema: Schema, options: argparse.Namespace) -> str:
    """The network, or the whole way from the columns to the answers."""
    from micrograd import convert
    from micrograd.cli.models import clamped

    if options.unscaled:
        convert.to_onnx(nets[0], options.onnx, probabilities=options.probabilities)
    else:
        convert.table_to_onnx(nets, schema, options.onnx, clamp=clamped(nets[0]))
    return ""


def write_c(net: Network, schema: Schema, options: argparse.Namespace) -> str:
    """The network, or the way from the numbers of a row to the answers."""
    from micrograd import convert
    from micrograd.cli.models import clamped
    from micrograd.convert.c.source import identifier

    settings: dict[str, Any] = {
        "prefix": options.prefix or f"{identifier(Path(options.c).stem)}_",
        "quantize": "int8" if options.int8 else "int8-weights" if options.int8_weights else None,
        "arduino": options.arduino,
        "probabilities": options.probabilities,
    }
    X: Any = None
    if options.data and is_image_set(options.data):
        X, settings["y"] = images(net, options.data)
    elif options.data:
        from micrograd.cli.models import targets_of

        frame = schema.align(read(options, options.data, schema))
        settings["y"] = targets_of(schema, frame)
        if options.unscaled:
            X = schema.transform(frame)
        else:
            import numpy as np

            X = np.concatenate([column.values(frame)[0] for column in schema.features], axis=1)
    if options.unscaled:
        return f"\n{convert.to_c(net, options.c, X=X, **settings)}"
    settings["clamp"] = clamped(net)
    return f"\n{convert.table_to_c(net, schema, options.c, X=X, **settings)}"


def scaling(schema: Schema) -> str:
    """What has to be done to a row and to the outputs."""
    text = "the numbers are what micrograd.tabular.Schema.transform makes of a table"
    for target in schema.targets:
        if not target.classes:
            text += f"\n{target.name} = {target.centre:.9g} + {target.scale:.9g} * output"
    return text


def write_state_dict(net: object, path: str) -> str:
    """torch.save of the parameters; returns how to read them back."""
    from micrograd.convert import to_torch

    module = to_torch(net)  # type: ignore[arg-type]
    import torch

    from micrograd.atomic import replacing

    with replacing(path) as file:
        torch.save(module.state_dict(), file)
    return (
        f"\nmodel.load_state_dict(torch.load({path!r}, weights_only=True)) with model =\n{module}"
    )
