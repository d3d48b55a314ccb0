"""What the columns of a table are and how they become numbers: found once, saved with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from micrograd.data.frame import Frame
from micrograd.data.frames import as_frame, is_lazy
from micrograd.data.target import Target, infer_target
from micrograd.tabular.column import CATEGORY, LEFT_OUT, NUMBER, Column, scaled
from micrograd.tabular.infer import embed, infer_column
from micrograd.tabular.naming import chosen as chosen_columns
from micrograd.tabular.naming import find, listed
from micrograd.tabular.one_row import OneRow

VERSION = 1
Encoded = tuple[NDArray[np.float64], NDArray[np.float64]]  # numbers and flags


def is_frame(data: Any) -> bool:
    """Whether it is a table with names: of pandas, polars or pyarrow, a mapping, or a Frame."""
    if isinstance(data, (Frame, Mapping)) or is_lazy(data):
        return True
    return hasattr(data, "columns") or hasattr(data, "column_names")


def as_table(data: Any) -> Frame:
    """A table as a Frame; see `micrograd.tabular.Schema.infer` for what may come."""
    return as_frame(data, "X")


class Schema:
    """What each column of a table is, and how the table becomes the numbers that a network takes.

        schema = mg.tabular.Schema.infer(frame, target="price")
        print(schema)                        # a line for each column
        X, y = schema.transform(frame), schema.targets[0].values(frame)

    Attributes:
        columns: the features, in the order of the table they were found in, those left out too.
        targets: what is predicted.
        order: names of all columns of that table; header: whether they came with it, or are the
            x0, x1, ... of a table without names, which is then read by position.
        notes: what was found out about the table, in words.

    A table that the schema is applied to may have its columns in another order, and others beside
    them; a category that was not seen sets no flag.

    >>> frame = {"area": [50.0, 70.0, 90.0], "price": [1.0, 1.4, 1.8]}
    >>> schema = mg.tabular.Schema.infer(frame, target="price")
    >>> schema.transform(frame).shape, schema.targets[0].name
    ((3, 1), 'price')
    """

    def __init__(
        self,
        columns: Sequence[Column],
        targets: Sequence[Target],
        order: Sequence[str],
        header: bool,
        notes: Sequence[str] = (),
    ) -> None:
        self.columns = list(columns)
        self.targets = list(targets)
        self.order = list(order)
        self.header = header
        self.notes = list(notes)
        self.features = [column for column in self.columns if column.kind != LEFT_OUT]
        self._one_row = OneRow(self.features)
        self._plain: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        if self.features and all(
            c.kind == NUMBER and not c.missing and c.clip for c in self.features
        ):
            self._plain = (
                np.array([c.centre[0] for c in self.features]),
                np.array([c.scale[0] for c in self.features]),
            )

    @classmethod
    def infer(
        cls,
        data: Any,
        target: str | SupportsIndex | Sequence[str | SupportsIndex] | None = None,
        *,
        kind: str = "auto",
        kinds: Mapping[str, str] | None = None,
        features: Sequence[str] | None = None,
        drop: Sequence[str] = (),
        embed_above: int | None = None,
    ) -> Schema:
        """Finds out what the columns of a table are; `micrograd.tabular.infer` lists the rules.

        Args:
            data: a pandas or polars frame, a pyarrow table, a mapping of columns, a matrix, or what
                `read_table` returns.
            target: name or index of the column to predict, or several; None for none.
            kind: what the target is: "classes", "numbers", or "auto".
            kinds: what columns are, by name: "number", "category", "yes/no", "date",
                "date %d.%m.%Y" with a format, "left out".
            features: the columns to learn from; None: all but the targets.
            drop: columns to leave out.
            embed_above: columns with more categories become their codes, for a network that begins
                with mg.Embedding(schema.tables, 8, in_features=len(schema.encoded_names)); None:
                flags, whatever their number.

        Raises:
            TypeError: data is no table; a target is neither name nor index.
            ValueError: a column that does not exist, or that can be read in two ways; no feature;
                names file, line, column and cell, and says what to do.
        """
        frame = as_frame(data, "Schema")
        wanted = [] if target is None else listed(target)
        names = [find(frame, each) for each in wanted]
        chosen = chosen_columns(frame, names, features, drop, kinds or {})
        targets = _targets(frame, names, kind)
        columns = [
            infer_column(frame, name, (kinds or {}).get(name))
            if name in chosen
            else Column(name, LEFT_OUT, "as asked")
            for name in frame.names
            if name not in names
        ]
        embed(columns, embed_above)
        schema = cls(columns, targets, frame.names, frame.header, frame.notes)
        if not schema.features:
            raise ValueError(_no_feature(frame, schema))
        return schema

    # ---- what goes in ----

    @property
    def n_numbers(self) -> int:
        """How many of the columns of `transform` are numbers on a scale: the first ones."""
        return sum(len(column.numbers) for column in self.features)

    @property
    def encoded_names(self) -> list[str]:
        """Names of the columns of `transform`."""
        numbers = [name for column in self.features for name in column.numbers]
        flags = [name for column in self.features for name in column.flags]
        return numbers + flags + [name for column in self.features for name in column.codes]

    @property
    def tables(self) -> tuple[int, ...]:
        """Of each code how many there are, which is what an Embedding takes as its sizes."""
        return tuple(len(column.categories) for column in self.features if column.embedded)

    def align(self, data: Any) -> Frame:
        """The table with the model's columns, found by name, or by position where there are none.

        Raises:
            ValueError: columns are missing; names them.
        """
        frame = as_frame(data, "X")
        for name in frame.equal & {column.name for column in self.features}:
            if f"{name}.1" not in self.order:
                raise ValueError(
                    f"{frame.source}: two columns are named {name!r}, and the model was trained on "
                    "one; rename or delete the other"
                )
        if self.header and frame.header:
            there = set(frame.names)
            missing = [c.name for c in self.features if c.name not in there]
            if missing:
                raise ValueError(
                    f"{frame.source}: no column {', '.join(map(repr, missing[:8]))}"
                    f"{', ...' * (len(missing) > 8)}, which the model was trained on; it has "
                    f"{', '.join(frame.names[:20])}{', ...' * (len(frame.names) > 20)}"
                )
            return frame
        named = {c.name for c in self.features}
        if self.header != frame.header and named <= set(frame.names):
            return frame
        if frame.lines is not None and named <= {str(c[0]).strip() for c in frame.columns}:
            raise ValueError(
                f"{frame.source}: line {frame.lines[0]} holds the names of the columns; pass "
                "header=True (--header)"
            )
        targets = {target.name for target in self.targets}
        without = [name for name in self.order if name not in targets]
        for order in (self.order, without):
            if len(frame.names) == len(order):
                notes = [note for note in frame.notes if not note.startswith("no header")]
                if self.header != frame.header:
                    shown = ", ".join(order[:20]) + ", ..." * (len(order) > 20)
                    whose = "model's columns" if frame.header else "table's columns"
                    notes.append(f"the {whose} have no names: taken in their order, as {shown}")
                return Frame(
                    frame.source, list(order), frame.columns, frame.lines, frame.header,
                    frame.notation, notes,
                )  # fmt: skip
        raise ValueError(
            f"{frame.source}: {len(frame.names)} columns"
            f"{'' if frame.header else ' without names'}, but the model was trained on "
            f"{len(without)}{' without names' * (not self.header)} and a target: "
            f"{', '.join(without[:20])}{', ...' * (len(without) > 20)}, in this order"
        )

    def transform(self, data: Any) -> NDArray[np.float64]:
        """The numbers that the network takes, (rows, len(encoded_names)).

        Numbers come first: centred at their median and divided by the distance of their quartiles
        in float64, then x / sqrt(1 + (x / 3)^2), so that no number is larger than 3; behind them
        flags, of categories 0 or 1, of yes and no 1 and -1, with 0 for a missing one; last the
        codes of categories that are embedded, 0, 1, ..., and -1 for one that was not seen.

        Raises:
            ValueError: a column is missing, or a cell does not fit its column; names them.
        """
        if self._plain is not None and type(data) is np.ndarray and data.dtype == np.float64:
            return self._matrix(data)
        if hasattr(data, "iat") and len(data) == 1:  # pandas
            row = self._one_row(data)
            if row is not None:
                return row
        frame = self.align(data)
        together = self._together(frame)
        encoded = [together.get(column.name) or column.encode(frame) for column in self.features]
        parts = [numbers for numbers, _ in encoded] + [flags for _, flags in encoded]
        parts += [column.values(frame)[0] for column in self.features if column.embedded]
        return np.concatenate(parts or [np.empty((len(frame), 0))], axis=1)

    def _together(self, frame: Frame) -> dict[str, Encoded]:
        """What the columns of finite numbers become that have no flag, by name: encoded at once,
        as a call of numpy for each would take longer than its work where rows are few."""
        plain = [c for c in self.features if c.kind == NUMBER and c.clip and not c.missing]
        cells = [frame[column.name] for column in plain]
        if len(plain) < 2 or not all(column.dtype.kind in "iuf" for column in cells):
            return {}
        values = np.stack(cells, axis=1).astype(np.float64, copy=False)
        if not np.isfinite(values).all():
            return {}
        centre, scale = (np.array([getattr(c, n)[0] for c in plain]) for n in ("centre", "scale"))
        z = scaled(values, centre, scale, True)
        none = np.empty((len(z), 0))
        return {column.name: (z[:, i : i + 1], none) for i, column in enumerate(plain)}

    def slopes(self, data: Any) -> NDArray[np.float64]:
        """How the numbers of `transform` change with the cells that they are made of,
        (rows, n_numbers): for a number in its unit, for a date in a day; 0 where one is missing.

        Raises:
            ValueError: as for transform.
        """
        frame = self.align(data)
        return np.concatenate([column.slopes(frame) for column in self.features], axis=1)

    def _matrix(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """As transform, for a matrix of numbers without a missing one."""
        assert self._plain is not None
        if X.ndim != 2 or X.shape[1] != len(self.columns) or self.header:
            frame = self.align(X)
            X = np.stack([frame[c.name] for c in self.features], axis=1)
        elif len(self.features) != len(self.columns):
            X = X[:, [c.kind != LEFT_OUT for c in self.columns]]
        if np.isfinite(X).all():
            return scaled(X, *self._plain, True)
        if np.isinf(X).any():
            row, column = np.argwhere(np.isinf(X))[0]
            raise ValueError(
                f"X: row {row}, column {column + 1}: {X[row, column]} is not finite; Input X "
                "contains infinity or a value too large"
            )
        z = scaled(X, *self._plain, True)
        z[np.isnan(X)] = 0.0
        return z

    def fitted(self, data: Any) -> Schema:
        """The same kinds of columns, with the scales of these rows: those to train on.

        Raises:
            ValueError: as for transform.
        """
        frame = self.align(data)
        columns = [replace(column) for column in self.columns]
        for column in columns:
            if column.kind != LEFT_OUT:
                column.fit_scale(frame)
        targets = [target.fitted(frame) for target in self.targets]
        return Schema(columns, targets, self.order, self.header, self.notes)

    def unusual(self, data: Any) -> list[str]:
        """What a table has that the training rows had not, in words: missing values in a column
        that had none, which count as its median, and categories that set no flag."""
        frame = self.align(data)
        found = []
        for column in self.features:
            _, missing = column.values(frame)
            rows = int(missing.sum())
            if rows and column.kind == CATEGORY:
                found.append(f"{rows} row(s) of {column.name!r} with a category that was not seen")
            elif rows and not column.missing:
                found.append(f"{rows} row(s) without a value in {column.name!r}, taken as usual")
        return found

    # ---- words and storage ----

    def __str__(self) -> str:
        """A line for each column: what it is, why, what is missing, what it becomes."""
        rows = [("column", "kind", "because", "missing", "becomes")]
        for column in self.columns:
            missing = str(column.missing) if column.missing else ""
            rows.append((column.name, column.kind, column.why, missing, column.becomes))
        for target in self.targets:
            kind, becomes = "target", "a quantity"
            if target.classes:
                shown = ", ".join(target.classes[:6]) + (", ..." if len(target.classes) > 6 else "")
                becomes = f"{len(target.classes)} classes: {shown}"
            rows.append((target.name, kind, target.why, "", becomes))
        rows = [tuple(_short(cell) for cell in row) for row in rows]  # type: ignore[misc]
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, *(f"({note})" for note in self.notes)])

    def __repr__(self) -> str:
        kinds = ", ".join(f"{c.name}: {c.kind}" for c in self.columns[:8])
        more = ", ..." * (len(self.columns) > 8)
        return f"Schema({kinds}{more} -> {', '.join(t.name for t in self.targets) or 'no target'})"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a model's metadata."""
        return {
            "version": VERSION,
            "columns": [column.to_dict() for column in self.columns],
            "targets": [target.to_dict() for target in self.targets],
            "order": list(self.order),
            "header": self.header,
        }

    @classmethod
    def from_dict(cls, plain: Any) -> Schema:
        """From what to_dict gave.

        Raises:
            ValueError: it is something else; nothing in a file is taken on trust.
        """
        wanted = {"version", "columns", "targets", "order", "header"}
        if not isinstance(plain, dict) or set(plain) != wanted or plain["version"] != VERSION:
            raise ValueError("Schema: not what to_dict gives, or of another version")
        lists = (plain["columns"], plain["targets"], plain["order"])
        if not all(isinstance(part, list) for part in lists) or type(plain["header"]) is not bool:
            raise ValueError("Schema: its description is damaged")
        columns = [Column.from_dict(column) for column in plain["columns"]]
        targets = [Target.from_dict(target) for target in plain["targets"]]
        names = [c.name for c in columns] + [t.name for t in targets]
        if sorted(map(str, plain["order"])) != sorted(names) or len(set(names)) != len(names):
            raise ValueError("Schema: its description is damaged: the names of the columns differ")
        schema = cls(columns, targets, plain["order"], plain["header"])
        if not schema.features:
            raise ValueError("Schema: its description is damaged: no feature")
        return schema


def _targets(frame: Frame, names: Sequence[str], kind: str) -> list[Target]:
    """What is predicted: one quantity or one set of classes, or several quantities."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{frame.source}: the target {twice!r} is named twice")
    targets = [infer_target(frame, name, kind) for name in names]
    with_classes = next((target for target in targets if target.classes), None)
    if with_classes is None:
        return targets
    if len(targets) > 1:
        raise ValueError(
            f"{frame.source}: the target {with_classes.name!r} has classes: one of several targets "
            "has to be a quantity; --kind numbers takes its numbers as such, or train a model for "
            "each"
        )
    if len(with_classes.classes) == 1:
        raise ValueError(
            f"{frame.source}: {with_classes.name}: every row is {with_classes.classes[0]!r}, there "
            "is nothing to learn; add rows of another class"
        )
    return targets


def _no_feature(frame: Frame, schema: Schema) -> str:
    said = "; ".join(f"{c.name}: {c.why}" for c in schema.columns[:5]) or "one column"
    return (
        f"{frame.source}: no feature to learn from ({said}); wanted a target and at least one "
        "column beside it; if the columns are separated otherwise, pass delimiter= (--delimiter)"
    )


def _short(cell: str) -> str:
    cell = " ".join(cell.split())
    return cell if len(cell) <= 60 else cell[:57] + "..."
