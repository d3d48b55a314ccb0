"""`micrograd predict`: what a model file says of the rows of a table."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from micrograd.cli import extras
from micrograd.cli.command import Clock
from micrograd.cli.files import check_outputs
from micrograd.cli.images import images, is_image_set
from micrograd.cli.tables import add_reading_options, listed, read

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.network.network import Network
    from micrograd.tabular import Frame, Schema


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd predict`."""
    parser.usage = "micrograd predict MODEL DATA [options]"
    add = parser.add_argument
    about = "a file that micrograd train --save, or net.save, has written"
    add("model", metavar="MODEL", help=about)
    about = "a table with the columns that the model was trained on, found by name, in any order, "
    about += "and others beside them; if the target is among them, the errors are counted; or "
    about += "digits, or a folder of images, of which the test part is read"
    add("source", metavar="DATA", help=about)
    add("--output", metavar="FILE", help="write the predictions there (default: standard output)")
    about = "a column for each class, with its probability (default: that of the predicted one)"
    add("--probabilities", action="store_true", help=about)
    about = "columns of the file to write before the answers, such as a name or a number"
    add("--keep", metavar="A,B", help=about)
    add_reading_options(parser)


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Writes a line for each row of the file: all of them, or none if something is wrong."""
    check_outputs({"--output": options.output}, [options.model, options.source])
    extras.require("micrograd predict", table=not is_image_set(options.source), save=True)
    from micrograd.cli.models import answers, load_models

    nets, schema = load_models(options.model)
    net = nets[0]
    if is_image_set(options.source):
        predict_images(net, schema, options)
        return
    frame = read(options, options.source, schema)
    keep = listed(options.keep)
    for name in keep:
        if name not in frame.names:
            from micrograd.tabular.naming import no_such_column

            raise ValueError(f"--keep: {no_such_column(frame, name)}")
    aligned = schema.align(frame)
    score = Score(schema, aligned)
    output = answers(nets, schema, schema.transform(aligned))
    kept = {name: frame[name] for name in keep}
    write(net, schema, output, kept, options)
    for said in [*aligned.notes, *schema.unusual(aligned), *score.lines(output)]:
        print(f"micrograd predict: {said}", file=sys.stderr)


def predict_images(net: Network, schema: Schema, options: argparse.Namespace) -> None:
    """Writes a line for each image of a set, and how many are right."""
    from micrograd.cli.models import answers

    X, y = images(net, options.source)
    output = answers([net], schema, X)
    write(net, schema, output, {}, options)
    right = int((output.argmax(axis=1) == y).sum())
    share = f"{100 * right / len(y):.2f} % ({right} of {len(y)})"
    print(f"micrograd predict: accuracy {share}", file=sys.stderr)


def write(
    net: Network, schema: Schema, output: Array, kept: dict[str, Any], options: argparse.Namespace
) -> None:
    """The table of answers, beside columns that are kept, whole or not at all."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*kept, *header(net, schema, options.probabilities)])
    for row, cells in enumerate(lines(schema, output, options.probabilities)):
        table.writerow([*(column[row] for column in kept.values()), *cells])
    if not options.output:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="strict")  # data: as they are, or an error
        sys.stdout.write(text.getvalue())
        return
    from micrograd.atomic import write_bytes

    write_bytes(options.output, text.getvalue().encode())


def header(net: Network, schema: Schema, all_probabilities: bool) -> list[str]:
    """Names of the columns of the answer."""
    target = schema.targets[0]
    if target.classes:
        return [target.name, *(target.classes if all_probabilities else ["probability"])]
    if len(schema.targets) == net.out_features:
        return [each.name for each in schema.targets]
    return [f"{target.name}{i}" for i in range(net.out_features)]


def lines(schema: Schema, output: Array, all_probabilities: bool) -> Iterator[list[str]]:
    """The answer for each row."""
    classes = schema.targets[0].classes
    for row in output.tolist():
        if not classes:
            yield [f"{x:.7g}" for x in row]
            continue
        best = max(range(len(row)), key=row.__getitem__)
        shown = row if all_probabilities else [row[best]]
        yield [classes[best], *(f"{p:.4f}" for p in shown)]


class Score:
    """How often, or how far, the answers are from the truth in the file; rows in which the target
    is empty are left out."""

    def __init__(self, schema: Schema, frame: Frame) -> None:
        import numpy as np

        from micrograd.data.cells import is_missing
        from micrograd.data.columns import as_text

        self.truths: list[tuple[str, Array, Array]] = []  # name, rows, values
        self.classes = schema.targets[0].classes
        for target in schema.targets:
            if target.name not in frame.names:
                continue
            texts = as_text(frame[target.name])
            empty = [is_missing(text) and text not in target.classes for text in texts]
            rows = np.flatnonzero(~np.array(empty, dtype=bool))
            if len(rows):
                self.truths.append((target.name, rows, target.values(frame.take(rows))))

    def lines(self, output: Array) -> Iterator[str]:
        """The result in words, a line for each target."""
        for i, (name, rows, truth) in enumerate(self.truths):
            if self.classes:
                right = int((output[rows].argmax(axis=1) == truth).sum())
                yield f"accuracy {100 * right / len(rows):.2f} % ({right} of {len(rows)})"
                continue
            error = float(((output[rows, i] - truth) ** 2).mean()) ** 0.5
            named = f"{name}: " if len(self.truths) > 1 else ""
            yield f"{named}RMSE {error:.4g} over {len(rows)} rows"
