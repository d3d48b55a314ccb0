"""Every file of tests/data/odd is read right, or refused with file, line, column and what to do."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("openpyxl")
pytest.importorskip("pyarrow")

from micrograd.tabular import Reading, Schema, read_table

FOLDER = Path(__file__).parent / "odd"
PRICES = [57.04, 59.26, 63.09, 31.13, 40.54, 39.22, 47.16, 85.74, 61.5, 44.1, 52.6, 38.2]
SIZES = [0.5, 1.25, -2.0, 3.5, 0.75, 2.25, -1.5, 4.0, 1.5, 0.25, 2.75, -0.5]
AGES = [12, 7, 3, 41, 9, 15, 28, 33, 5, 19, 22, 37]
COLOURS = ["red", "blue", "red", "blue", "red", "green", "green", "red", "blue", "green", "red",
           "blue"]  # fmt: skip

# The same table in another dress: size, age, colour and price as above.
SAME = [
    "plain.csv",
    "semicolon.csv",
    "tab.tsv",
    "pipe.csv",
    "spaces.txt",
    "crlf.csv",
    "old-mac.csv",
    "no-last-line-end.csv",
    "blank-lines.csv",
    "sep-line.csv",
    "sep-line-quoted.csv",
    "comment-first.csv",
    "comment-among.csv",
    "quoted.csv",
    "quoted-line-end.csv",
    "trailing-delimiter.csv",
    "trailing-in-rows.csv",
    "no-header.csv",
    "spaced-cells.csv",
    "equal-names.csv",
    "empty-name.csv",
    "decimal-comma.csv",
    "decimal-comma-no-header.csv",
    "decimal-comma-tab.tsv",
    "gzip.csv.gz",
    "gzip-without-the-name.csv",
    "bzip2.csv.bz2",
    "xz.csv.xz",
    "zip.zip",
    "mark.csv",
    "utf16.csv",
    "utf32.csv",
    "index-of-pandas.csv",
    "names-with-unseen-marks.csv",
    "end-of-dos.csv",
]

# size, age and a quantity: the factor to the prices, and the unit.
QUANTITIES = {
    "header-in-comment.csv": (1, ""),
    "header-of-numbers.csv": (1, ""),
    "header-of-years.csv": (1, ""),
    "thousands-quoted.csv": (1000, ""),
    "thousands-and-decimals.csv": (1000, ""),
    "thousands-point.csv": (1000, ""),
    "thousands-space.csv": (1000, ""),
    "thousands-apostrophe.csv": (1000, ""),
    "exponents.csv": (1, ""),
    "minus-sign.csv": (-1, ""),
    "dollars.csv": (1, "$"),
    "euros-behind.csv": (1, "€"),
    "percent.csv": (1, "%"),
    "percent-spaced.csv": (1, "%"),
    "milligrams.csv": (1, "mg"),
    "missing-feature.csv": (1, ""),
    "missing-words.csv": (1, ""),
}

# The classes, in their order.
CLASSES = {
    "codes-leading-zero.csv": ["02134", "10001"],
    "codes-01-and-1.csv": ["01", "1", "2"],
    "codes-exponent.csv": ["1000", "1E3"],
    "codes-long.csv": ["9007199254740992", "9007199254740993"],
    "zero-one.csv": ["0", "1"],
}

# The kind of the first column, and what it knows: categories, a format, or why it is left out.
FEATURES = {
    "booleans.csv": ("yes/no", ["False", "True"]),
    "yes-no.csv": ("yes/no", ["No", "yes"]),
    "zip-feature.csv": ("category", ["02134", "10001", "60601"]),
    "long-numbers.csv": ("category", [f"90071992547409{93 + i}" for i in range(4)]),
    "dates-iso.csv": ("date", "ISO 8601"),
    "dates-time.csv": ("date", "ISO 8601"),
    "dates-german.csv": ("date", "%d.%m.%Y"),
    "dates-american.csv": ("date", "%m/%d/%Y"),
    "names.csv": ("left out", "12 different texts in 12 rows"),
    "constant.csv": ("left out", "every row is 7"),
    "empty-column.csv": ("left out", "no cell has a value"),
    "ids.csv": ("left out", "a whole number that tells rows apart"),
    "na-is-a-word.csv": ("category", ["AS", "EU", "NA"]),
    "accents.csv": ("category", ["größe", "naïve", "中文"]),
    "ages.csv": ("category", ["20-30", "30-40", "40+"]),
    "cabins.csv": ("category", ["", "C85", "B5", "E46"]),
}

# What the message says besides the name of the file.
REFUSED = {
    "short-row.csv": "line 6: 3 column.s., wanted 4 as on line 1; .*--delimiter",
    "long-row.csv": "line 6: 5 column.s., wanted 4 as on line 1; .*--delimiter",
    "open-quote.csv": "line 6: unexpected end of data; .*every quote closed",
    "empty.csv": "the file is empty, wanted rows",
    "blank.csv": "the file is empty, wanted rows",
    "header-only.csv": "no rows after the header on line 1",
    "one-column.csv": "no feature to learn from .*; wanted a target and at least one column",
    "web-page.csv": "line 1: a web page or XML, not a table; download",
    "only-words.csv": "line 1 reads like the lines below it.*--no-header",
    "old-excel.xls": "save it as .xlsx or CSV",
    "picture.csv": "a picture, no table of text; save it as",
    "zip-of-two.zip": "2 files .a.csv, b.csv., wanted one; unpack it",
    "gzip-cut.csv.gz": "the compressed file is damaged .*; copy or download it again",
    "utf16-without-mark.csv": "line 1: a NUL character.*encoding='utf-16-le'",
    "cp1252.csv": "line 1: byte 11: not UTF-8; pass encoding='cp1252' .* 'size;age;größe;price'",
    "thousands-or-decimals.csv": "line 2, column 2 .'price'.: the cell '57,040' .*--thousands ,",
    "two-currencies.csv": "line 2, column 3 .'price'.: the cell '.57.04' .* no single unit",
    "odd-na.csv": "line 6, column 3 .'price'.: the cell 'NA' says that .*; fill it, or delete",
    "odd-question.csv": "line 6, column 3 .'price'.: the cell '.' says that .*; fill it",
    "odd-empty.csv": "line 6, column 3 .'price'.: the cell '' is empty, .*; fill it",
    "odd-thousands.csv": "line 6, column 3 .'price'.: the cell '57,037' is not .*--thousands ,",
    "odd-decimal-comma.csv": "line 6, column 3 .'price'.: the cell '57,04' is not .*--decimal ,",
    "odd-dollar.csv": "line 6, column 3 .'price'.: the cell '.57' is not .*; correct the cell",
    "odd-percent.csv": "line 6, column 3 .'price'.: the cell '57 %' is not .*; correct the cell",
    "odd-bound.csv": "line 6, column 3 .'price'.: the cell '<0.5' is not .*; correct the cell",
    "odd-unit.csv": "line 6, column 3 .'price'.: the cell '12 mg' is not .*; correct the cell",
    "odd-word.csv": "line 6, column 3 .'price'.: the cell 'many' is not .*; correct the cell",
    "odd-infinite.csv": "line 6, column 3 .'price'.: the cell 'inf' is not .*; correct the cell",
    "odd-too-large.csv": "line 6, column 3 .'price'.: the cell '1e999' is not .*; correct the cell",
    "odd-underscore.csv": "line 6, column 3 .'price'.: the cell '1_000' is not .*; correct",
    "odd-hexadecimal.csv": "line 6, column 3 .'price'.: the cell '0x1F' is not .*; correct",
    "odd-feature.csv": "line 6, column 1 .'size'.: the cell '<0.5' is not .*; correct the cell",
    "names-unique.csv": "line 2, column 3 .'name'.: .* 12 different texts .*choose another target",
    "dates-target.csv": "line 2, column 3 .'sold'.: .* is a date, .*; make a number of it",
    "same-target.csv": "sold: every row is 'yes', there is nothing to learn; add rows",
    "dates-either.csv": "line 2, column 1 .'thing'.: .*day or the month .*; say which: kinds=",
    "dates-mixed.csv": "line 2, column 1 .'thing'.: the cell '13.01.2024' is no date as ISO 8601, "
    "as others .*; write all in one format",
    "title-above.csv": "line 1: 1 column.s., 13 of 14 lines have 4; delete the lines .* line 3",
    "records.json": "line 1: JSON, not a table; write it as one: pandas.read_json",
    "records-by-line.jsonl": "line 1: JSON, not a table; .*lines=True",
    "accounting.csv": "line 3, column 3 .'price'.: the cell '.59.26.' is not .*; write -59.26 if",
    "accounting-feature.csv": "line 2, column 1 .'thing'.: the cell '.1.50.' .*; write -1.50 if",
    "quoted-twice.csv": "line 2, column 1 .'thing'.: the cell .'1.50'. .*; take the quotes off",
    "durations-of-days.csv": "line 2, column 1 .'thing'.: the cell '20:15:00' .*a number, such as",
    "units-below-the-names.csv": "line 2, column 4 .'price'.: the cell '.EUR.' is not .*; correct",
    "total-below.csv": "line 14, column 1 .'size'.: the cell 'Total' is not a number, as 12 of 13",
    "classes-in-capitals.csv": "line 4, column 3 .'colour'.: the cell 'Red' and the class 'red' "
    "differ in capitals .*; spell them alike",
    "dates-odd.csv": "line 7, column 1 .'thing'.: the cell 'soon' is no date as ISO 8601; correct",
}

BY_HAND = {"whole-prices.csv", "odd-digits.csv", "cp1252-told.csv", "sheet.xlsx", "columns.parquet",
           "two-sheets.xlsx", "minus-999.csv"}  # fmt: skip


def read(name, **reading):
    frame = read_table(FOLDER / name, Reading(**reading))
    return frame, Schema.infer(frame, -1)


def kinds(schema):
    return [column.kind for column in schema.columns if column.why != "a whole number that tells "
            "rows apart"]  # fmt: skip


def test_every_file_is_expected_once():
    groups = [SAME, QUANTITIES, CLASSES, FEATURES, REFUSED, BY_HAND]
    names = [name for group in groups for name in group]
    assert sorted(names) == sorted(path.name for path in FOLDER.iterdir())
    assert len(names) >= 60


def test_the_files_are_those_of_the_script():
    sys.path.insert(0, str(FOLDER.parent))
    try:
        import make_odd
    finally:
        sys.path.pop(0)
    for name, text in make_odd.texts().items():
        assert (FOLDER / name).read_bytes() == text.encode(), name


@pytest.mark.parametrize("name", SAME)
def test_the_same_table_in_another_dress(name):
    frame, schema = read(name)
    assert len(frame) == 12
    assert kinds(schema) == ["number", "number", "category"]
    size, age, colour = [c for c in schema.columns if c.kind != "left out"]
    np.testing.assert_array_equal(size.values(frame)[0][:, 0], SIZES)
    np.testing.assert_array_equal(age.values(frame)[0][:, 0], AGES)
    green = '"gr\nee,n"'[1:-1] if name == "quoted-line-end.csv" else "green"
    assert sorted(colour.categories) == sorted(["blue", green, "red"])
    said = [colour.categories[int(code)] for code in colour.values(frame)[0][:, 0]]
    assert said == [c.replace("green", green) for c in COLOURS]
    np.testing.assert_array_equal(schema.targets[0].values(frame), PRICES)
    again = Schema.from_dict(schema.to_dict())
    np.testing.assert_array_equal(again.transform(frame), schema.transform(frame))


@pytest.mark.parametrize("name", QUANTITIES)
def test_quantities(name):
    factor, unit = QUANTITIES[name]
    frame, schema = read(name)
    target = schema.targets[0]
    assert target.classes == [] and target.unit == unit
    tolerance = 1e-4 if name == "exponents.csv" else 1e-12
    np.testing.assert_allclose(target.values(frame), np.array(PRICES) * factor, rtol=tolerance)
    assert set(kinds(schema)) == {"number"}
    missing = {"missing-feature.csv": 1, "missing-words.csv": 5}.get(name, 0)
    assert sum(column.missing for column in schema.columns) == missing


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_as_they_are_spelled(name):
    frame, schema = read(name)
    target = schema.targets[0]
    assert target.classes == CLASSES[name]
    said = [target.classes[code] for code in target.values(frame)]
    assert said == [cell.strip() for cell in frame[target.name]]


@pytest.mark.parametrize("name", FEATURES)
def test_kinds_of_features(name):
    kind, knows = FEATURES[name]
    frame, schema = read(name)
    column = schema.columns[0]
    assert column.kind == kind
    if kind == "left out":
        assert column.why == knows and column.becomes == "nothing"
    elif kind == "date":
        assert column.form == knows
    elif name == "cabins.csv":
        assert column.categories == knows  # the most frequent first
    else:
        assert sorted(column.categories) == sorted(knows)
    X = schema.transform(frame)
    assert X.shape == (12, len(schema.encoded_names)) and np.isfinite(X).all()


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_place_and_what_to_do(name):
    with pytest.raises(ValueError) as caught:
        read(name)
    assert re.search(REFUSED[name], str(caught.value), re.DOTALL), str(caught.value)
    assert name in str(caught.value)


def test_whole_prices_are_a_quantity_and_say_so():
    frame, schema = read("whole-prices.csv")
    target = schema.targets[0]
    assert target.classes == [] and "kind 'classes' would take them" in target.why
    assert target.values(frame)[:3].tolist() == [57.0, 59.0, 63.0]


def test_a_number_that_may_stand_for_a_missing_one_is_named():
    _, schema = read("minus-999.csv")
    assert schema.columns[0].why == "numbers, 4 of them -999: empty, if that means missing"


def test_a_sheet_among_others_with_a_title_above():
    frame = read_table(FOLDER / "two-sheets.xlsx")
    with pytest.raises(ValueError, match=r"no column is named 'price', .*; this is sheet 'notes'; "
                       r"--sheet takes another: data"):  # fmt: skip
        Schema.infer(frame, "price")
    frame = read_table(FOLDER / "two-sheets.xlsx", Reading(sheet="data"))
    with pytest.raises(ValueError, match="'price' stands on line 3: if that line has the names"):
        Schema.infer(frame, "price")


def test_classes_that_differ_in_capitals_are_taken_if_asked_for():
    frame = read_table(FOLDER / "classes-in-capitals.csv")
    schema = Schema.infer(frame, "colour", kind="classes")
    assert schema.targets[0].classes == ["Red", "blue", "red"]


def test_digits_of_another_script():
    frame, schema = read("odd-digits.csv")
    assert schema.targets[0].values(frame)[4] == 57.0


def test_an_encoding_that_is_told():
    frame, schema = read("cp1252-told.csv", encoding="cp1252")
    assert frame.names[2] == "größe" and "grün" in schema.columns[2].categories


@pytest.mark.parametrize("name", ["sheet.xlsx", "columns.parquet"])
def test_sheets_and_columns_with_types(name):
    frame, schema = read(name)
    assert kinds(schema) == ["number", "number", "category", "date", "yes/no"]
    assert schema.columns[0].missing == 1
    np.testing.assert_array_equal(schema.targets[0].values(frame), PRICES)
    days, _ = schema.columns[3].values(frame)
    assert (np.diff(days[:, 0]) == 1).all()
    assert days[0, 0] == 19783  # from 1970-01-01 to 2024-03-01


@pytest.mark.parametrize(
    ("name", "options", "factor"),
    [
        ("thousands-or-decimals.csv", {"thousands": ","}, 1000),
        ("thousands-or-decimals.csv", {"decimal": ","}, 1),
        ("odd-thousands.csv", {"thousands": ","}, None),
    ],
)
def test_what_the_advice_says_works(name, options, factor):
    frame, schema = read(name, **options)
    values = schema.targets[0].values(frame)
    if factor is None:
        assert values[4] == 57037 and values[5] == 39.22
    else:
        np.testing.assert_allclose(values, np.array(PRICES) * factor)
