"""Numbers that may be one of two are refused, when a table is learnt from and when it is asked."""

import numpy as np
import pytest

from micrograd.tabular import Reading, Schema, read_table

# Whole numbers as Germany and America write them, some of them below a thousand.
WHOLE = np.random.default_rng(0).integers(100, 3000, 60)
KINDS = np.where(np.arange(60) % 2 == 0, "flat", "house")


def written(path, *columns):
    """A file with these columns of cells, of which the last is the target."""
    names = [*(f"c{i}" for i in range(len(columns) - 1)), "y"]
    lines = [";".join(names), *(";".join(map(str, row)) for row in zip(*columns, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def grouped(mark, values=WHOLE):
    return [f"{x:,}".replace(",", mark) for x in values]


def column_of(path, **reading):
    frame = read_table(path, Reading(**reading))
    schema = Schema.infer(frame, "y")
    return schema.columns[0].values(frame)[0][:, 0]


@pytest.mark.parametrize("mark", [".", ","])
def test_groups_beside_numbers_without_any_are_asked_about(tmp_path, mark):
    path = written(tmp_path / "t.csv", grouped(mark), KINDS)
    with pytest.raises(ValueError, match=r"may be ([1-9]\d{3}) or ([1-9])\.\d{3}; say which"):
        column_of(path)
    np.testing.assert_array_equal(column_of(path, thousands=mark), WHOLE)
    small = np.where(WHOLE > 999, WHOLE / 1000, WHOLE)
    np.testing.assert_array_equal(column_of(path, decimal=mark), small)


@pytest.mark.parametrize("mark", [".", ","])
def test_few_of_them_are_no_words(tmp_path, mark):
    """A column whose plain numbers are many was left out, as one of different texts."""
    values = [*range(100, 180), *range(1201, 1221)]
    path = written(tmp_path / "t.csv", grouped(mark, values), ["a", "b"] * 50)
    with pytest.raises(ValueError, match=r"column 1 \('c0'\): the cell '1.201' may be 1201 or"):
        column_of(path)


@pytest.mark.parametrize("mark", [".", ","])
def test_so_are_those_of_a_target(tmp_path, mark):
    path = written(tmp_path / "t.csv", range(60), grouped(mark))
    for kind in ("auto", "numbers"):
        with pytest.raises(ValueError, match=r"column 2 \('y'\).* may be .*--decimal"):
            Schema.infer(read_table(path), "y", kind=kind)


@pytest.mark.parametrize(
    ("told", "thousands"), [("0.5", False), ("2,75", True), ("1.234.567", True), ("1.234,5", True)]
)
def test_a_cell_elsewhere_tells(tmp_path, told, thousands):
    path = written(tmp_path / "t.csv", grouped("."), [told] * 30 + ["3"] * 30, KINDS)
    want = WHOLE if thousands else np.where(WHOLE > 999, WHOLE / 1000, WHOLE)
    np.testing.assert_array_equal(column_of(path), want)


def test_three_decimals_in_every_row_are_decimals(tmp_path):
    values = np.random.default_rng(1).uniform(1, 9, 60).round(3)
    path = written(tmp_path / "t.csv", [f"{x:.3f}" for x in values], KINDS)
    np.testing.assert_array_equal(column_of(path), values)


def test_a_model_of_a_table_with_decimal_commas_asks_about_a_dot(tmp_path):
    cells = [f"{x:.1f}".replace(".", ",") for x in WHOLE / 3]
    frame = read_table(written(tmp_path / "train.csv", cells, KINDS))
    schema = Schema.from_dict(Schema.infer(frame, "y").to_dict())
    new = written(tmp_path / "new.csv", ["1.250"], ["flat"])
    with pytest.raises(ValueError, match=r"'1\.250' may be 1250 or 1\.250; say which"):
        schema.transform(read_table(new))
    for reading, value in ((Reading(thousands="."), 1250), (Reading(decimal="."), 1.25)):
        found = schema.columns[0].values(read_table(new, reading))[0]
        np.testing.assert_array_equal(found, [[value]])
    both = written(tmp_path / "both.csv", ["1.250", "12,5"], ["flat"] * 2)
    np.testing.assert_array_equal(schema.columns[0].values(read_table(both))[0], [[1250], [12.5]])
    with pytest.raises(ValueError, match=r"'1,250' may be 1250 or 1\.250; say which"):
        schema.transform(read_table(written(tmp_path / "comma.csv", ["1,250"], ["flat"])))


def test_numbers_of_a_sheet_are_as_they_are(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    values = [1.125, 2.375] + [float(i % 9) for i in range(38)]
    pandas.DataFrame({"c0": values, "y": ["a", "b"] * 20}).to_excel(tmp_path / "t.xlsx")
    frame = read_table(tmp_path / "t.xlsx")
    found = Schema.infer(frame, "y").columns[1].values(frame)[0][:, 0]
    np.testing.assert_array_equal(found, values)
