"""A table: columns by name, and where each cell of it stands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micrograd.data.cells import Notation


@dataclass
class Frame:
    r"""A table as it is in its file, or as someone has it: columns by name, one array each.

    source: what messages call it; columns: object arrays of text, or typed arrays; lines: of a
    text file or a sheet, the line on which each row starts; header: whether names came with it;
    notation: how its numbers are written; notes: what was found out about it, in words; equal:
    names that more than one column has, the further ones of which are called a.1, a.2, ...;
    categories: the columns that a program has declared to be such.

    >>> with open("houses.csv", "w") as file:
    ...     print("area;price", "50;1,5", "70;2,5", sep="\n", file=file)
    >>> frame = mg.tabular.read_table("houses.csv")
    >>> frame.names, frame.columns[1]
    (['area', 'price'], array(['1,5', '2,5'], dtype=object))
    """

    source: str
    names: list[str]
    columns: list[NDArray[Any]]
    lines: list[int] | None = None
    header: bool = True
    notation: Notation = field(default_factory=Notation)
    notes: list[str] = field(default_factory=list)
    equal: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The cells of a column; KeyError, which lists them, where there is none."""
        place = self._places.get(name)
        if place is None:
            shown = ", ".join(self.names[:20]) + ", ..." * (len(self.names) > 20)
            raise KeyError(f"{self.source}: no column is named {name!r}, the columns are {shown}")
        return self.columns[place]

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each column stands: in a table of 10,000, looking takes longer than working."""
        return {name: place for place, name in enumerate(self.names)}

    def place(self, row: int, column: str) -> str:
        """Where a cell is, for a message: file, line and column, both from 1."""
        number = self.names.index(column) + 1
        at = f"row {row}" if self.lines is None else f"line {self.lines[row]}"
        named = f" ({column!r})" if self.header else ""
        return f"{self.source}: {at}, column {number}{named}"

    def take(self, rows: Any) -> Frame:
        """The same columns, of these rows only."""
        lines = None if self.lines is None else np.asarray(self.lines)[rows].tolist()
        return replace(self, columns=[column[rows] for column in self.columns], lines=lines)
