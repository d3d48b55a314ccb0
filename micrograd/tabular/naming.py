"""Columns as they are asked for: by name or number, and what to say where there is none."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

from micrograd.data.frame import Frame


def listed(target: Any) -> list[Any]:
    """One target or several, as a list."""
    return list(target) if isinstance(target, (list, tuple)) else [target]


def find(frame: Frame, target: Any) -> str:
    """The name of a column that is named, or numbered from 0, negative from the end."""
    if isinstance(target, bool) or not isinstance(target, (str, SupportsIndex)):
        raise TypeError(f"{frame.source}: target is {target!r}, wanted a column's name or index")
    names = frame.names
    if isinstance(target, str) and target in names:
        if target in frame.equal:
            places = [i for i, each in enumerate(names) if _is_one_of(each, target)]
            raise ValueError(
                f"{frame.source}: {len(places)} columns are named {target!r}; name the target by "
                f"its index, {' or '.join(map(str, places))}, or rename the others"
            )
        return target
    index: int | None
    if isinstance(target, str):
        digits = target.lstrip("-")
        index = int(target) if digits.isdecimal() and digits.isascii() else None
    else:
        index = operator.index(target)
    if index is None:
        raise ValueError(no_such_column(frame, str(target)))
    if not -len(names) <= index < len(names):
        raise ValueError(
            f"{frame.source}: target is column {index}, wanted {-len(names)} to {len(names) - 1}"
        )
    return names[index]


def _is_one_of(name: str, equal: str) -> bool:
    """Whether a column has that name, or a.1, a.2, ... as the further ones are called."""
    head, dot, number = name.rpartition(".")
    return name == equal or bool(dot and head == equal and number.isdecimal())


def _stands(frame: Frame, row: int, name: str) -> bool:
    return any(str(column[row]).strip() == name for column in frame.columns)


def no_such_column(frame: Frame, name: str) -> str:
    """A message that lists the columns, and the one that is spelled most like it."""
    from difflib import get_close_matches

    names = frame.names
    close = [n for n in names if n.lower() == name.lower()] or get_close_matches(name, names, n=1)
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    hint = f"; did you mean {close[0]!r}?" if close else ""
    below = next((row for row in range(min(20, len(frame))) if _stands(frame, row, name)), None)
    if below is not None and frame.lines is not None:
        hint = (
            f"; {name!r} stands on line {frame.lines[below]}: if that line has the names of the "
            "columns, delete the lines above it"
        )
    hint += "".join(f"; this is {note}" for note in frame.notes if note.startswith("sheet "))
    return f"{frame.source}: no column is named {name!r}, the columns are {listed}{hint}"


def chosen(
    frame: Frame,
    targets: Sequence[str],
    features: Sequence[str] | None,
    drop: Sequence[str],
    kinds: Mapping[str, str],
) -> set[str]:
    """The columns to learn from."""
    for option, names in (("features", features), ("drop", drop)):
        if isinstance(names, str):
            raise TypeError(f"{frame.source}: {option} is {names!r}, wanted a list: [{names!r}]")
    for name in [*(features or ()), *drop, *kinds]:
        if name not in frame.names:
            raise ValueError(no_such_column(frame, name))
    for name in features or ():
        if name in targets or name in drop:
            raise ValueError(
                f"{frame.source}: the column {name!r} is a feature and "
                f"{'the target' if name in targets else 'to be dropped'}; name it once"
            )
    chosen = set(frame.names if features is None else features)
    return chosen - set(targets) - set(drop)
