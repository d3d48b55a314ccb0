"""Tables on the command line: the options that say how a file is read, and its schema."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from micrograd.cli.command import UsageError

if TYPE_CHECKING:
    from micrograd.tabular import Frame, Schema

READING = ("delimiter", "decimal", "thousands", "encoding", "header", "sheet")
CHOOSING = ("features", "drop", "kinds")
SPLITTING = ("test", "no_shuffle")
WORDS = {"tab": "\t", "\\t": "\t", "space": " ", "none": ""}


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Declares how a file is to be read; what is not said is found out."""
    group = parser.add_argument_group("how the table is written (found out where nothing is said)")
    add = group.add_argument
    add("--delimiter", metavar="CHAR", help="between cells; tab and space may be spelled out")
    add("--decimal", choices=(".", ","), help="mark before the decimals")
    about = "mark between groups of three digits: , . ' or space; none: there is none"
    add("--thousands", metavar="CHAR", help=about)
    add("--encoding", metavar="NAME", help="of the text, such as cp1252 (default: UTF-8)")
    add("--header", action="store_true", default=None, help="the first line holds the names")
    about = "the first line is a row: the columns are called x0, x1, ..."
    add("--no-header", dest="header", action="store_false", help=about)
    add("--sheet", metavar="NAME", help="of an Excel workbook, by name or number from 0")


def add_choosing_options(parser: argparse.ArgumentParser) -> None:
    """Declares which columns a model learns from, and what they are."""
    group = parser.add_argument_group("which columns of a table")
    add = group.add_argument
    add("--features", metavar="A,B", help="learn from these only (default: all but the target)")
    add("--drop", metavar="A,B", help="leave these out")
    about = "what columns are, where the rules that are shown say otherwise: number, category, "
    about += "yes/no, date, left out, or a date's format, as in 'born=date %%d/%%m/%%Y'"
    add("--kinds", metavar="A=KIND,B=KIND", help=about)


def listed(text: str | None) -> list[str]:
    """Names between commas; a name with a comma in it stands in quotes."""
    import csv

    if not text:
        return []
    names = next(csv.reader([text], skipinitialspace=True))
    return [normalize("NFC", name.strip()) for name in names]  # as read_table has them


def kinds_of(text: str | None) -> dict[str, str]:
    """Columns and what they are."""
    found = {}
    for part in listed(text):
        name, equals, kind = part.rpartition("=")
        if not equals:
            raise UsageError(f"--kinds: {part!r} is no pair such as zip=category")
        found[name] = kind
    return found


def read(options: argparse.Namespace, path: str, schema: Schema | None = None) -> Frame:
    """The table in a file, read as the options say; schema: of the model that it is for."""
    from micrograd.tabular import Reading, read_table

    if path == "-" and not os.path.exists(path):
        raise UsageError("- is no file; /dev/stdin is read from a pipe")
    given: dict[str, Any] = {name: getattr(options, name, None) for name in READING}
    for name in ("delimiter", "thousands"):
        given[name] = WORDS.get(given[name], given[name])
    if given["thousands"] == "" and given["decimal"] is None:
        given["decimal"] = "."
    sheet = given.pop("sheet")
    given["sheet"] = 0 if sheet is None else int(sheet) if sheet.isdecimal() else sheet
    known = schema.features if schema is not None and schema.header else []
    names = frozenset(column.name for column in known)
    return read_table(path, Reading(**given, names=names))


def infer(options: argparse.Namespace, frame: Frame, embed_above: int | None) -> Schema:
    """What the columns of a table are, as the options say; embed_above: of Schema.infer."""
    from micrograd.tabular import Schema

    targets: list[Any] = listed(options.target)
    if options.target in frame.names:
        targets = [options.target]
    return Schema.infer(
        frame,
        targets,
        kind=options.kind,
        kinds=kinds_of(options.kinds),
        features=listed(options.features) or None,
        drop=listed(options.drop),
        embed_above=embed_above,
    )


def refuse_table_options(options: argparse.Namespace, source: str) -> None:
    """Raises UsageError for options that say something of a table, where the data are none."""
    for name in ("target", *READING, *CHOOSING, *SPLITTING):
        if getattr(options, name, None):
            flag = "--target and --kind" if name == "target" else f"--{name.replace('_', '-')}"
            are = "are" if name == "target" else "is"
            raise UsageError(f"{flag} {are} for CSV files, {source} is none")
    if getattr(options, "kind", "auto") != "auto":
        raise UsageError(f"--target and --kind are for CSV files, {source} is none")
