"""Writes tests/data/odd/: files as people have them, one oddity each, and nothing else.

    python tests/data/make_odd.py

The files are made here, with no one's data, so that each can be read beside what is odd about it.
What they should be read as stands in tests/data/test_odd.py.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "odd"
ROWS = [(0.5, 12, "red"), (1.25, 7, "blue"), (-2.0, 3, "red"), (3.5, 41, "blue"),
        (0.75, 9, "red"), (2.25, 15, "green"), (-1.5, 28, "green"), (4.0, 33, "red"),
        (1.5, 5, "blue"), (0.25, 19, "green"), (2.75, 22, "red"), (-0.5, 37, "blue")]  # fmt: skip
PRICES = [57.04, 59.26, 63.09, 31.13, 40.54, 39.22, 47.16, 85.74, 61.5, 44.1, 52.6, 38.2]
HEADER = ["size", "age", "colour", "price"]


def lines(mark: str = ",", header: bool = True, point: str = ".") -> list[str]:
    rows = [
        mark.join([str(a).replace(".", point), str(b), c, str(p).replace(".", point)])
        for (a, b, c), p in zip(ROWS, PRICES, strict=True)
    ]
    return [mark.join(HEADER), *rows] if header else rows


def numbers(prices: list[str], name: str = "price", feature: str = "size") -> str:
    rows = [f"{a},{b},{p}" for (a, b, _), p in zip(ROWS, prices, strict=False)]
    return "\n".join([f"{feature},age,{name}", *rows]) + "\n"


def column(cells: list[str], name: str = "thing") -> str:
    """A file with a feature of these cells, one number and the price."""
    rows = [f"{c},{a},{p}" for c, (a, _, _), p in zip(cells, ROWS, PRICES, strict=False)]
    return "\n".join([f"{name},size,price", *rows]) + "\n"


def with_cell(cell: str, row: int = 4) -> list[str]:
    prices = [str(p) for p in PRICES]
    prices[row] = cell
    return prices


def texts() -> dict[str, str]:
    plain = "\n".join(lines()) + "\n"
    semicolon = "\n".join(lines(";", point=",")) + "\n"
    whole = [str(round(p)) for p in PRICES]
    return {
        # how a file is laid out
        "plain.csv": plain,
        "semicolon.csv": "\n".join(lines(";")) + "\n",
        "tab.tsv": "\n".join(lines("\t")) + "\n",
        "pipe.csv": "\n".join(lines("|")) + "\n",
        "spaces.txt": "\n".join(line.replace(",", "   ") for line in lines()) + "\n",
        "crlf.csv": plain.replace("\n", "\r\n"),
        "old-mac.csv": plain.replace("\n", "\r"),
        "no-last-line-end.csv": plain[:-1],
        "blank-lines.csv": "\n\n" + plain.replace("\n", "\n\n"),
        "sep-line.csv": "sep=;\n" + "\n".join(lines(";")) + "\n",
        "sep-line-quoted.csv": '"sep=;"\n' + "\n".join(lines(";")) + "\n",
        "comment-first.csv": "# made by a logger\n# on a Monday\n" + plain,
        "comment-among.csv": plain.replace("\n0.75", "\n# paused\n0.75"),
        "header-in-comment.csv": "#" + numbers([str(p) for p in PRICES]),
        "quoted.csv": "\n".join(
            ",".join(f'"{cell}"' for cell in line.split(",")) for line in lines()
        ) + "\n",
        "quoted-line-end.csv": plain.replace("colour", '"col\nour"').replace("green", '"gr\nee,n"'),
        "trailing-delimiter.csv": "\n".join(line + "," for line in lines()) + "\n",
        "trailing-in-rows.csv": "\n".join(
            line + "," * (i > 0) for i, line in enumerate(lines())
        ) + "\n",
        "no-header.csv": "\n".join(lines(header=False)) + "\n",
        "spaced-cells.csv": plain.replace(",", " , "),
        "index-of-pandas.csv": "\n".join(
            ["," + lines()[0], *(f"{i},{line}" for i, line in enumerate(lines()[1:]))]
        ) + "\n",
        "names-with-unseen-marks.csv": "\u200bsize\u00a0,age,colour,\u2060price\u200b\n" + plain[
            plain.index("\n") + 1 :
        ],
        "end-of-dos.csv": plain + "\x1a",
        "title-above.csv": "Sales of 2024\n\n" + plain,
        "records.json": '[\n  {"size": 0.5, "price": 57.04},\n  {"size": 1.25, "price": 59}\n]\n',
        "records-by-line.jsonl": '{"size": 0.5, "price": 57.04}\n{"size": 1.25, "price": 59.26}\n',
        "equal-names.csv": plain.replace("size,age", "size,size"),
        "empty-name.csv": plain.replace("size,age", "size,"),
        "header-of-numbers.csv": "0,1,target\n" + "\n".join(
            f"{a},{b},{p}" for (a, b, _), p in zip(ROWS, PRICES, strict=True)
        ) + "\n",
        "header-of-years.csv": "2019,2020,2021\n" + "\n".join(
            f"{a},{b + 0.5},{p}" for (a, b, _), p in zip(ROWS, PRICES, strict=True)
        ) + "\n",
        "only-words.csv": "red,small\nblue,large\nred,large\nblue,small\nred,small\nblue,large\n",
        "short-row.csv": plain.replace("\n0.75,9,red,40.54", "\n0.75,9,red"),
        "long-row.csv": plain.replace("\n0.75,9,red,40.54", "\n0.75,9,red,40.54,1"),
        "open-quote.csv": plain.replace("\n0.75,9,red", '\n0.75,9,"red'),
        "empty.csv": "",
        "blank.csv": "\n \n\n",
        "header-only.csv": ",".join(HEADER) + "\n",
        "one-column.csv": "price\n" + "\n".join(map(str, PRICES)) + "\n",
        "web-page.csv": "<!DOCTYPE html>\n<html><body>not found</body></html>\n",
        # how numbers are written
        "decimal-comma.csv": semicolon,
        "decimal-comma-no-header.csv": "\n".join(lines(";", False, ",")) + "\n",
        "decimal-comma-tab.tsv": "\n".join(lines("\t", point=",")) + "\n",
        "thousands-quoted.csv": numbers([f'"{round(p * 1000):,}"' for p in PRICES]),
        "thousands-and-decimals.csv": numbers([f'"{p * 1000:,.2f}"' for p in PRICES]),
        "thousands-point.csv": "age;price\n" + "\n".join(
            f"{b};{p * 1000:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")
            for (_, b, _), p in zip(ROWS, PRICES, strict=True)
        ) + "\n",
        "thousands-space.csv": numbers([f"{round(p * 1000):,}".replace(",", " ") for p in PRICES]),
        "thousands-apostrophe.csv": numbers(
            [f"{round(p * 1000):,}".replace(",", "'") for p in PRICES]
        ),
        "thousands-or-decimals.csv": "age,price\n" + "\n".join(
            f'{b},"{round(p * 1000):,}"' for (_, b, _), p in zip(ROWS, PRICES, strict=True)
        ) + "\n",
        "exponents.csv": numbers([f"{p:.3e}" for p in PRICES]),
        "minus-sign.csv": numbers([f"\u2212{p}" for p in PRICES]),
        "dollars.csv": numbers([f"${p}" for p in PRICES]),
        "euros-behind.csv": numbers([f"{p} €" for p in PRICES]),
        "percent.csv": numbers([f"{p}%" for p in PRICES]),
        "percent-spaced.csv": numbers([f"{p} %" for p in PRICES]),
        "milligrams.csv": numbers([f"{p} mg" for p in PRICES]),
        "two-currencies.csv": numbers([f"{'$€'[i % 2]}{p}" for i, p in enumerate(PRICES)]),
        "accounting.csv": numbers([f"({p})" if i % 3 else str(p) for i, p in enumerate(PRICES)]),
        "accounting-feature.csv": column([f"({i + 1}.50)" for i in range(12)]),
        "quoted-twice.csv": column([f"'{i + 1}.50'" for i in range(12)]),
        "durations-of-days.csv": column([f"{20 + 3 * i}:15:00" for i in range(12)]),
        "units-below-the-names.csv": plain.replace("\n", "\n(m),(years),,(EUR)\n", 1),
        "total-below.csv": plain + "Total,,,613.71\n",
        # one odd cell in a quantity
        "odd-na.csv": numbers(with_cell("NA")),
        "odd-question.csv": numbers(with_cell("?")),
        "odd-empty.csv": numbers(with_cell("")),
        "odd-thousands.csv": numbers(with_cell('"57,037"')),
        "odd-decimal-comma.csv": numbers(with_cell('"57,04"')),
        "odd-dollar.csv": numbers(with_cell("$57")),
        "odd-percent.csv": numbers(with_cell("57 %")),
        "odd-bound.csv": numbers(with_cell("<0.5")),
        "odd-unit.csv": numbers(with_cell("12 mg")),
        "odd-word.csv": numbers(with_cell("many")),
        "odd-infinite.csv": numbers(with_cell("inf")),
        "odd-too-large.csv": numbers(with_cell("1e999")),
        "odd-underscore.csv": numbers(with_cell("1_000")),
        "odd-hexadecimal.csv": numbers(with_cell("0x1F")),
        "odd-digits.csv": numbers(with_cell("٥٧")),
        "odd-feature.csv": numbers([str(p) for p in PRICES]).replace("0.75,9", "<0.5,9"),
        "missing-feature.csv": numbers([str(p) for p in PRICES]).replace("0.75,9", ",9"),
        "missing-words.csv": column(
            ["1", "NA", "3", "?", "5", "n/a", "7", "-", "9", "null", "2", "4"]
        ),
        # what is predicted
        "whole-prices.csv": numbers(whole),
        "codes-leading-zero.csv": numbers(["02134", "10001"] * 6, "zip"),
        "codes-01-and-1.csv": numbers(["01", "1", "2"] * 4, "code"),
        "codes-exponent.csv": numbers(["1E3", "1000"] * 6, "part"),
        "codes-long.csv": numbers(["9007199254740993", "9007199254740992"] * 6, "account"),
        "zero-one.csv": numbers(["0", "1"] * 6, "bought"),
        "names-unique.csv": numbers([f"house {i}" for i in range(12)], "name"),
        "dates-target.csv": numbers([f"2024-01-{i + 1:02}" for i in range(12)], "sold"),
        "classes-in-capitals.csv": numbers(["red", "blue", "Red"] * 4, "colour"),
        "same-target.csv": numbers(["yes"] * 12, "sold"),
        # kinds of features
        "booleans.csv": column(["True", "False"] * 6),
        "yes-no.csv": column(["yes", "No"] * 6),
        "zip-feature.csv": column(["02134", "10001", "60601"] * 4),
        "long-numbers.csv": column([f"90071992547409{93 + i % 4}" for i in range(12)]),
        "dates-iso.csv": column([f"2024-0{i % 9 + 1}-11" for i in range(12)]),
        "dates-time.csv": column([f"2024-01-0{i % 9 + 1}T1{i % 10}:30:00Z" for i in range(12)]),
        "dates-german.csv": column([f"{i + 13}.03.2024" for i in range(12)]),
        "dates-american.csv": column([f"03/{i + 13}/2024" for i in range(12)]),
        "dates-either.csv": column([f"0{i % 9 + 1}/0{(i * 2) % 9 + 1}/2024" for i in range(12)]),
        "dates-odd.csv": column([f"2024-01-{i + 1:02}" if i != 5 else "soon" for i in range(12)]),
        "dates-mixed.csv": column(
            [f"2024-01-{i + 1:02}" if i % 3 else f"{i + 13}.01.2024" for i in range(12)]
        ),
        "minus-999.csv": column(["1.5", "-999", "2", "3.5", "-999", "2.5"] * 2),
        "names.csv": column([f"Person {chr(65 + i)}" for i in range(12)]),
        "constant.csv": column(["7"] * 12),
        "empty-column.csv": column([""] * 12),
        "ids.csv": column([str(1000 + 7 * i) for i in range(12)], "id"),
        "na-is-a-word.csv": column(["NA", "EU", "AS"] * 4),
        "accents.csv": column(["größe", "naïve", "中文"] * 4),
        "ages.csv": column(["20-30", "30-40", "40+"] * 4),
        "cabins.csv": column(
            ["C85", "E46", "", "C85", "B5", "", "E46", "C85", "", "B5", "C85", ""]
        ),
    }  # fmt: skip


def binaries() -> dict[str, bytes]:
    plain = ("\n".join(lines()) + "\n").encode()
    german = ("\n".join(lines(";", point=","))).replace("red", "grün").replace("colour", "größe")
    archive, two = io.BytesIO(), io.BytesIO()
    moment = (2024, 1, 1, 0, 0, 0)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("plain.csv", moment), plain)
    with zipfile.ZipFile(two, "w") as file:
        file.writestr(zipfile.ZipInfo("a.csv", moment), plain)
        file.writestr(zipfile.ZipInfo("b.csv", moment), plain)
    return {
        "gzip.csv.gz": gzip.compress(plain, mtime=0),
        "gzip-without-the-name.csv": gzip.compress(plain, mtime=0),
        "bzip2.csv.bz2": bz2.compress(plain),
        "xz.csv.xz": lzma.compress(plain),
        "zip.zip": archive.getvalue(),
        "zip-of-two.zip": two.getvalue(),
        "gzip-cut.csv.gz": gzip.compress(plain, mtime=0)[:-12],
        "mark.csv": b"\xef\xbb\xbf" + plain,
        "utf16.csv": plain.decode().encode("utf-16"),
        "utf16-without-mark.csv": plain.decode().encode("utf-16-le"),
        "utf32.csv": plain.decode().encode("utf-32"),
        "cp1252.csv": german.encode("cp1252"),
        "cp1252-told.csv": german.encode("cp1252"),
        "old-excel.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64),
        "picture.csv": b"\x89PNG\r\n\x1a\n" + bytes(32),
    }


def workbooks() -> None:
    """An Excel sheet and a Parquet file, with the types that they know."""
    import pandas

    frame = pandas.DataFrame(
        {
            "size": [a for a, _, _ in ROWS],
            "age": [b for _, b, _ in ROWS],
            "colour": [c for _, _, c in ROWS],
            "sold": pandas.to_datetime([f"2024-03-{i + 1:02}" for i in range(12)]),
            "garden": [i % 3 == 0 for i in range(12)],
            "price": PRICES,
        }
    )
    frame.loc[3, "size"] = np.nan
    frame.to_excel(FOLDER / "sheet.xlsx", index=False)
    with pandas.ExcelWriter(FOLDER / "two-sheets.xlsx") as book:
        pandas.DataFrame({"notes": ["see the other"]}).to_excel(
            book, sheet_name="notes", index=False
        )
        frame.to_excel(book, sheet_name="data", index=False, startrow=2)
        book.sheets["data"]["A1"] = "Sales of 2024"
    frame.to_parquet(FOLDER / "columns.parquet", index=False)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_bytes(text.encode())
    for name, raw in binaries().items():
        (FOLDER / name).write_bytes(raw)
    workbooks()
