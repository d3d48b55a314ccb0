"""Tables of numbers from a file, with one column as the target."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, SupportsIndex

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Table:
    r"""A table of numbers and its target column, as `read_csv` returns it.

    Attributes:
        X: float64 (n, features), all finite, columns in the order of the file.
        y: (n,), int64 indices into ``classes``, or float64 values if ``classes`` is empty.
        feature_names: of the columns of X.
        target_name: of the column that became y.
        classes: name of each class as it is spelled, sorted: numbers by value, else as text. Empty
            when y is a quantity to regress on.

    >>> with open("flowers.csv", "w") as file:
    ...     print("petal,width,species", "1.4,0.2,setosa", "4.7,1.4,virginica", sep="\n", file=file)
    >>> table = mg.data.read_csv("flowers.csv")
    >>> table.X.shape, table.y, table.classes
    ((2, 2), array([0, 1]), ('setosa', 'virginica'))
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64] | NDArray[np.float64]
    feature_names: tuple[str, ...]
    target_name: str
    classes: tuple[str, ...]


def read_csv(
    path: str | os.PathLike[str],
    target: str | SupportsIndex = -1,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    kind: Literal["auto", "classes", "numbers"] = "auto",
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
) -> Table:
    r"""Read a table of numbers whose target column may be text.

        table = mg.data.read_csv("iris.csv", target="species")
        table.X.shape, table.classes      # (150, 4), ('setosa', 'versicolor', 'virginica')

    This is the door for tables of numbers without a gap. `micrograd.tabular.Schema` takes words,
    dates and missing values as well. Files are read as `micrograd.tabular.read_table` does it.

    Args:
        path: the file: CSV, plain or packed, Parquet or Excel.
        target: column to predict: its name, or its index from 0, negative from the end. A text
            that names no column but reads as an integer is an index. The last column by default.
        delimiter: one character; None finds it.
        header: whether the first line holds the column names; None finds out. A column without a
            name is called ``x{index}``, a second a ``a.1``.
        kind: what the target is. "classes": each distinct text is a class, y holds its index.
            "numbers": y holds the values. "auto": classes if text, or if all are few whole numbers
            close together; else numbers.
        decimal, thousands: marks in numbers, "." or ","; None finds them.
        encoding: of the text; None: as a byte-order mark says, else UTF-8.

    Raises:
        ImportError: pandas is not installed.
        ValueError: a cell that is empty or no finite number; a line with more or fewer cells than
            the first; no rows, no such target column, no feature column; broken quotes; bytes that
            are not in the encoding. Names the file, and the line and column (both from 1) and the
            cell, or the byte, and says what to do.
        TypeError: target is neither text nor an integer.
        OSError: the file cannot be opened.

    >>> with open("flowers.csv", "w") as file:
    ...     print("petal,width,species", "1.4,0.2,setosa", "4.7,1.4,virginica", sep="\n", file=file)
    >>> mg.data.read_csv("flowers.csv", target="species").feature_names
    ('petal', 'width')
    """
    from micrograd.data.numeric import read_numbers
    from micrograd.data.reading import Reading

    reading = Reading(delimiter, decimal, thousands, encoding, header)
    return Table(*read_numbers(path, target, kind, reading))
