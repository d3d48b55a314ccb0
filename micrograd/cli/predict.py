"""`micrograd predict`: what a model file says of the rows of a CSV file."""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import IO, TYPE_CHECKING, Any

from micrograd.cli.command import Clock

if TYPE_CHECKING:
    from micrograd.cli.columns import Columns
    from micrograd.core import Array
    from micrograd.network.network import Network


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `micrograd predict`."""
    parser.usage = "micrograd predict MODEL FILE.csv [options]"
    add = parser.add_argument
    about = "a file that micrograd train --save, or net.save, has written"
    add("model", metavar="MODEL", help=about)
    about = "rows of numbers, as the model was trained on; with a header its columns are found by "
    about += "name, in any order, and if the target is among them, the errors are counted"
    add("source", metavar="FILE.csv", help=about)
    add("--output", metavar="FILE", help="write the predictions there (default: standard output)")
    about = "a column for each class, with its probability (default: that of the predicted one)"
    add("--probabilities", action="store_true", help=about)


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Writes a line for each row of the file."""
    from micrograd.cli.columns import load_model
    from micrograd.data.features import read_features

    net, columns = load_model(options.model)
    answers = Answers(net, columns, options.probabilities)
    score = Score(columns)
    rows = read_features(options.source, columns.features, columns.target)
    first = next(rows, None)  # whatever is wrong with the file, before a line is written
    out: Any = nullcontext(sys.stdout)
    if options.output:
        out = open(options.output, "w", encoding="utf-8", newline="")  # noqa: SIM115
    with out as file:
        write(file, answers, score, first, rows)
    if score.rows:
        print(f"micrograd predict: {score.text()}", file=sys.stderr)


def write(file: IO[str], answers: Answers, score: Score, first: Any, rows: Iterator[Any]) -> None:
    """The table of answers, block by block."""
    table = csv.writer(file, lineterminator="\n")
    table.writerow(answers.header())
    block = first
    while block is not None:
        X, truth = block
        output = answers.output(X)
        table.writerows(answers.lines(output))
        if truth:
            score.count(output, truth)
        block = next(rows, None)


class Answers:
    """The network's outputs in words and numbers."""

    def __init__(self, net: Network, columns: Columns, all_probabilities: bool) -> None:
        self._net, self._columns, self._all = net, columns, all_probabilities

    def header(self) -> list[str]:
        """Names of the columns of the answer."""
        columns = self._columns
        if columns.classes:
            return [columns.target, *(columns.classes if self._all else ["probability"])]
        if self._net.out_features == 1:
            return [columns.target]
        return [f"{columns.target}{i}" for i in range(self._net.out_features)]

    def output(self, X: Array) -> Array:
        """Probabilities of the classes, or quantities in the units of the file: (rows, outputs)."""
        import numpy as np

        columns = self._columns
        z = self._net.predict(columns.scale(X)).astype(np.float64)
        if columns.classes:
            e = np.exp(z - z.max(axis=1, keepdims=True))
            return np.asarray(e / e.sum(axis=1, keepdims=True))
        if self._net.loss_name == "bce":
            return np.asarray(1 / (1 + np.exp(-z)))
        return np.asarray(columns.centre + columns.unit * z)

    def lines(self, output: Array) -> Iterator[list[str]]:
        """A line for each row."""
        classes = self._columns.classes
        for row in output.tolist():
            if not classes:
                yield [f"{x:.7g}" for x in row]
                continue
            best = max(range(len(row)), key=row.__getitem__)
            shown = row if self._all else [row[best]]
            yield [classes[best], *(f"{p:.4f}" for p in shown)]


class Score:
    """How often, or how far, the answers are from the truth in the file."""

    def __init__(self, columns: Columns) -> None:
        self._classes = columns.classes
        self.rows = self._right = 0
        self._squares = 0.0

    def count(self, output: Array, truth: list[str]) -> None:
        """Takes a block of rows into account; cells of the target that say nothing are left out."""
        from micrograd.cli.columns import number, same_name

        for row, cell in zip(output.tolist(), truth, strict=True):
            if self._classes:
                if not cell:
                    continue
                best = max(range(len(row)), key=row.__getitem__)
                self._right += self._classes[best] == same_name(cell, self._classes)
            else:
                value = number(cell)
                if value is None:
                    continue
                self._squares += (row[0] - value) ** 2
            self.rows += 1

    def text(self) -> str:
        """The result in words."""
        if self._classes:
            return f"accuracy {100 * self._right / self.rows:.2f} % ({self._right} of {self.rows})"
        return f"RMSE {math.sqrt(self._squares / self.rows):.4g} over {self.rows} rows"
