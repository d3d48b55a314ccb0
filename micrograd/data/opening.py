"""From a file to its text: compression, encoding, and files that are no text at all."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import stat
import zipfile
import zlib
from typing import Any

BYTE_ORDER_MARKS = (  # utf-32 first: its mark starts with that of utf-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
GZIP, BZIP2, XZ, ZIP = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"PK\x03\x04"
OLD_EXCEL, PARQUET = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PAR1"
_JSON = re.compile(rb'(?:\[\s*)?\{\s*"|\[\s*\[')
_PAGE = re.compile(rb"<(?:!doctype|html|\?xml|table)\b")
OTHERS = (  # how files begin that are no text, whatever their names
    (b"ARROW1\0\0", "an Arrow or Feather file"), (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "an array of numpy's"), (b"%PDF-", "a PDF file"), (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"), (b"GIF89a", "a picture"), (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3\0", "a database of SQLite's"), (b"\x28\xb5\x2f\xfd", "packed by zstd"),
    (b"7z\xbc\xaf", "packed by 7-Zip"),
    *((bytes([0x80, protocol]), "a pickle of Python's") for protocol in range(2, 6)),
)  # fmt: skip
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
LARGEST = 1 << 34  # bytes that a compressed file, or what comes through a pipe, may grow to
PIECE = 1 << 20  # bytes read at a time from what does not tell its size


def read_bytes(path: str | os.PathLike[str], where: str) -> bytes:
    """The bytes of a file or pipe; of a gzip, bzip2, xz or zip file those of what is packed in it.

    Raises:
        ValueError: it is damaged, a zip file holds more than one file, it grows too large, or it is
            a device such as /dev/zero, which has no end.
        OSError: the file cannot be opened.
    """
    with open(path, "rb") as file:
        about = os.fstat(file.fileno())
        if stat.S_ISREG(about.st_mode):
            raw = file.read()
        elif not stat.S_ISCHR(about.st_mode) or file.isatty() or _is_null(about):
            raw = _bounded(file, where, "came through this pipe; write a file")
        else:
            raise ValueError(f"{where}: a device, which may have no end; wanted a file or a pipe")
    try:
        if raw.startswith(GZIP):
            return _bounded(gzip.GzipFile(fileobj=io.BytesIO(raw)), where)
        if raw.startswith(BZIP2):
            return _bounded(bz2.BZ2File(io.BytesIO(raw)), where)
        if raw.startswith(XZ):
            return _bounded(lzma.LZMAFile(io.BytesIO(raw)), where)
        if raw.startswith(ZIP) and not is_excel(raw):
            return _only_member(raw, where)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{where}: the compressed file is damaged ({error}); copy or download it again"
        ) from None
    return raw


def _is_null(about: os.stat_result) -> bool:
    """Whether an open device is the one without a byte: standard input where there is none."""
    return about.st_rdev == os.stat(os.devnull).st_rdev


def _bounded(stream: Any, where: str, how: str = "unpacked; split the file") -> bytes:
    """All bytes of a stream, taken piece by piece: asked for as many as there may be, Python's
    streams take the memory for them first."""
    data = io.BytesIO()
    with stream:
        while piece := stream.read(PIECE):
            data.write(piece)
            if data.tell() > LARGEST:
                raise ValueError(f"{where}: more than {LARGEST >> 30} GiB {how}")
    return data.getvalue()


def _only_member(raw: bytes, where: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        names = [
            name
            for name in archive.namelist()
            if not name.endswith("/") and not name.startswith("__MACOSX/")
        ]
        if "content.xml" in names or "xl/workbook.bin" in names:
            raise ValueError(f"{where}: a spreadsheet, .ods or .xlsb; save it as .xlsx or CSV")
        if len(names) != 1:
            listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            raise ValueError(
                f"{where}: the zip file holds {len(names)} files ({listed}), wanted one; unpack "
                "it and name the table"
            )
        with archive.open(names[0]) as member:
            return _bounded(member, where)


def is_excel(raw: bytes) -> bool:
    """Whether these bytes are an .xlsx or .xlsm workbook: a zip file with xl/workbook.xml in it."""
    if not raw.startswith(ZIP):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def decode(raw: bytes, where: str, encoding: str | None) -> tuple[str, str]:
    """The text, and the encoding it was read in: that of the mark at its start, else UTF-8.

    Raises:
        ValueError: the bytes are no text in this encoding; names line and byte, and what to pass.
    """
    _refuse_other_formats(raw, where)
    name = encoding or next((n for mark, n in BYTE_ORDER_MARKS if raw.startswith(mark)), "utf-8")
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(
                f"{where}: encoding is {encoding!r}, wanted one that Python knows, such as "
                "'utf-8', 'cp1252', 'latin-1' or 'utf-16'"
            ) from None
        if codecs.lookup(encoding).name == "utf-8":
            name = "utf-8-sig"
    try:
        text = raw.decode(name)
    except UnicodeDecodeError as error:
        raise ValueError(_not_in_encoding(raw, where, name, encoding, error.start)) from None
    if "\0" in text:
        place = text.index("\0")
        line = text.count("\n", 0, place) + 1
        raise ValueError(
            f"{where}: line {line}: a NUL character: this is no text in {name}; if it is UTF-16 "
            "without a mark pass encoding='utf-16-le', else save it as CSV again"
        )
    return text.removeprefix("\ufeff").removesuffix("\x1a"), name  # the end as DOS writes it


def _refuse_other_formats(raw: bytes, where: str) -> None:
    if raw.startswith(OLD_EXCEL):
        raise ValueError(f"{where}: an Excel file of before 2007 (.xls); save it as .xlsx or CSV")
    start = raw[:64].lstrip().lower()
    if _PAGE.match(start):
        raise ValueError(f"{where}: line 1: a web page or XML, not a table; download the CSV file")
    if _JSON.match(start):
        raise ValueError(
            f"{where}: line 1: JSON, not a table; write it as one: pandas.read_json(FILE, "
            "lines=True for an object a line).to_csv(OTHER, index=False)"
        )
    what = next((what for first, what in OTHERS if raw.startswith(first)), None)
    if what is not None:
        raise ValueError(f"{where}: {what}, no table of text; save it as CSV, Parquet or .xlsx")


def _not_in_encoding(raw: bytes, where: str, name: str, encoding: str | None, place: int) -> str:
    line = raw.count(b"\n", 0, place) + 1
    shown = "UTF-8" if name.startswith("utf-8") else name
    text = f"{where}: line {line}: byte {place}: not {shown}"
    if encoding is not None:
        return f"{text}; pass the encoding that it was saved in"
    if _CONTROLS.search(raw[:1000]):
        return (
            f"{text}, and there are control characters: if it is UTF-16 without a mark pass "
            "encoding='utf-16-le' (--encoding utf-16-le), else it is no table of text: save it as "
            "CSV, Parquet or .xlsx"
        )
    first = raw.rfind(b"\n", 0, place) + 1
    end = raw.find(b"\n", place)
    around = raw[max(first, place - 12) : min(end if end >= 0 else len(raw), place + 12)]
    guess = around.decode("cp1252", "replace").strip()
    return (
        f"{text}; pass encoding='cp1252' (--encoding cp1252) if {guess!r} is right, else the "
        "encoding that it was saved in, or save the file as UTF-8"
    )
