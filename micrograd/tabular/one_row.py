"""One row of a pandas frame, as a server gets them: by cells, as columns are slow to take out.

To take a column out of a pandas frame costs 10 to 30 us, a cell 1 to 3. What is not plain here,
such as an odd cell, is left to Schema.transform's usual way, so that there is one place that judges
and one that words errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micrograd.data.frame import Frame
from micrograd.tabular.column import CATEGORY, DATE, NUMBER, YES_NO, Column, scaled

NUMBERS = frozenset((float, int, np.float64, np.float32, np.int64, np.int32))
WORDS = frozenset((str, bool, np.bool_))
MATRIX = 4  # features from which on they are taken out together, where the frame has numbers only


class OneRow:
    """Reads one row for the features of a schema; any number of threads may call it at once."""

    def __init__(self, features: Sequence[Column]) -> None:
        self.features = list(features)
        self.plain = all(column.clip and not column.unit for column in features)
        self.only_numbers = all(column.kind == NUMBER for column in features)
        self.centre = np.array([x for column in features for x in column.centre])
        self.scale = np.array([x for column in features for x in column.scale])
        self.codes = {c.name: {word: i for i, word in enumerate(c.categories)} for c in features}
        self.meanings = {c.name: c.meanings() for c in features if c.kind == YES_NO}
        self._known: tuple[Any, list[int], bool] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_known": None}

    def __call__(self, data: Any) -> NDArray[np.float64] | None:
        """What Schema.transform gives, (1, inputs), for a pandas frame of one row; None where that
        has to look: a column's name is missing, equal to another or no text, a cell is not plain.
        """
        found = self._places(data.columns)
        if found is None:
            return None
        places, no_others = found
        if self.only_numbers and no_others and len(places) >= MATRIX:
            matrix = data.to_numpy()
            cells = matrix[0, places].tolist() if matrix.dtype.kind in "iuf" else [None]
        else:
            at = data.iat
            cells = [at[0, place] for place in places]
        values: list[float] = []
        flags: list[float] = []
        codes: list[float] = []
        for column, cell in zip(self.features, cells, strict=False):
            if not self._read(column, cell, values, codes if column.embedded else flags):
                return None
        row = np.array(values, np.float64)
        missing = row != row
        if np.isinf(row).any():
            return None
        z = scaled(row, self.centre, self.scale, True)
        z[missing] = 0.0
        return np.concatenate([z, flags, codes])[None]

    def _places(self, columns: Any) -> tuple[list[int], bool] | None:
        """Where the features are, and whether there is nothing else."""
        known = self._known
        if known is not None and columns.equals(known[0]):
            return known[1:]
        names = columns.tolist()
        if not self.plain or not all(type(name) is str for name in names):
            return None
        place = {name: i for i, name in enumerate(names)}
        if len(place) != len(names) or not all(c.name in place for c in self.features):
            return None
        places = [place[column.name] for column in self.features]
        self._known = columns, places, len(places) == len(names)
        return self._known[1:]

    def _read(self, column: Column, cell: Any, values: list[float], flags: list[float]) -> bool:
        """Appends what a cell becomes, unscaled; False if it is not plain."""
        kind, sort = column.kind, type(cell)
        if kind == NUMBER:
            if sort not in NUMBERS:
                return False
            values.append(cell)
            if column.missing:
                flags.append(cell != cell)
            return True
        if kind == DATE:
            return self._date(column, cell, values, flags)
        if cell is None or (sort is float and cell != cell):
            word = ""
        elif sort in WORDS:
            word = str(cell).strip()
        else:
            return False
        if kind == CATEGORY:
            code = self.codes[column.name].get(word, -1)
            if column.embedded:
                flags.append(code)
                return True
            own = [0.0] * len(column.categories)
            if code >= 0:
                own[code] = 1.0
            flags += own
            return True
        meanings = self.meanings[column.name]
        meaning = meanings.get(word, meanings.get(word.lower()))
        if meaning is None:
            return False
        flags.append(meaning)
        if column.missing:
            flags.append(meaning == 0)
        return True

    @staticmethod
    def _date(column: Column, cell: Any, values: list[float], flags: list[float]) -> bool:
        if not hasattr(cell, "to_datetime64") or cell.tzinfo is not None:
            return False
        frame = Frame("X", [column.name], [np.array([cell.to_datetime64()])])
        found, missing = column.values(frame)
        values += found[0].tolist()
        if column.missing:
            flags += missing.tolist()
        return True
