"""Frames that a program has: a few rows are read as many are."""

import dataclasses
import datetime

import numpy as np
import pytest

from micrograd.data.frames import FEW_ROWS, as_frame
from micrograd.tabular import Schema

pandas = pytest.importorskip("pandas")
ROWS = 40


def mixed():
    rng = np.random.default_rng(0)
    words = rng.choice(["a", "b"], ROWS)
    return pandas.DataFrame(
        {
            "single": rng.normal(size=ROWS).astype(np.float32),
            "double": rng.normal(size=ROWS),
            "gaps": np.where(np.arange(ROWS) % 3 == 0, np.nan, 2.5),
            "whole": rng.integers(0, 9, ROWS),
            "large": np.full(ROWS, 9007199254740993),
            "yes": words == "a",
            "text": words,
            "objects": np.array([None if i % 4 == 1 else "x" for i in range(ROWS)], object),
            "nullable": pandas.array([None if i % 5 == 2 else i for i in range(ROWS)], "Int64"),
            "kind": pandas.Categorical(words),
            "day": np.datetime64("2024-01-01") + np.arange(ROWS),
            "zone": pandas.date_range("2024-01-01", periods=ROWS, tz="Europe/Lisbon"),
        }
    )


@pytest.mark.parametrize("start", [0, 1, 2, 17])
def test_a_few_rows_have_the_cells_and_types_that_they_have_among_many(start):
    frame = mixed()
    part = slice(start, start + FEW_ROWS)
    many, few = as_frame(frame), as_frame(frame[part])
    assert few.names == many.names
    for name, one, other in zip(many.names, few.columns, many.columns, strict=True):
        np.testing.assert_array_equal(one, other[part], err_msg=name)
        if name not in ("nullable",):  # whole numbers where no gap is in sight
            assert one.dtype == other.dtype, name


def test_numbers_encoded_at_once_are_those_encoded_one_by_one():
    frame = mixed()[["single", "double", "whole", "text", "gaps", "yes"]]
    schema = Schema.infer(frame)
    table = as_frame(frame)
    parts = [column.encode(table) for column in schema.features]
    expected = np.concatenate([p for p, _ in parts] + [p for _, p in parts], axis=1)
    np.testing.assert_array_equal(schema.transform(frame), expected)
    np.testing.assert_array_equal(schema.transform(frame[:1]), expected[:1])
    other = frame.assign(double=np.where(np.arange(ROWS) == 3, np.nan, frame["double"]))
    found = schema.transform(other)
    np.testing.assert_array_equal(found[np.arange(ROWS) != 3], expected[np.arange(ROWS) != 3])
    assert found[3, schema.encoded_names.index("double")] == 0
    with pytest.raises(ValueError, match=r"column 2 .'double'.: the value inf is not finite"):
        schema.transform(other.assign(double=np.inf))


def test_durations_are_seconds_from_wherever_they_come():
    seconds = np.arange(ROWS) * 90.5
    whole = (seconds * 1000).astype("timedelta64[ms]")
    gaps = whole.copy()
    gaps[3] = "NaT"
    objects = np.array(gaps.tolist(), object)
    words = np.where(np.arange(ROWS) == 3, None, objects)
    frames = [
        pandas.DataFrame({"t": gaps}),
        pandas.DataFrame({"t": gaps})[: FEW_ROWS - 1],
        {"t": gaps},
        {"t": words},
        objects[:, None],
    ]
    if polars := pytest.importorskip("polars"):
        frames += [polars.DataFrame({"t": gaps}), polars.DataFrame({"t": whole})]
    frames.append(pytest.importorskip("pyarrow").table({"t": gaps}))
    for frame in frames:
        (found,) = as_frame(frame).columns
        want = seconds[: len(found)].copy()
        if frame is not frames[-2]:
            want[3] = np.nan
        np.testing.assert_array_equal(found, want)
    schema = Schema.infer({"t": gaps, "y": ["a", "b"] * 20}, "y")
    assert schema.columns[0].kind == "number" and schema.columns[0].missing == 1


def test_what_is_missing_in_objects():
    cells = np.array([pandas.NA, None, np.nan, pandas.NaT, *range(36)], object)
    schema = Schema.infer({"a": cells, "y": ["a", "b"] * 20}, "y")
    assert (schema.columns[0].kind, schema.columns[0].missing) == ("number", 4)


def test_types_of_pyarrow_in_pandas_are_what_their_cells_are():
    arrow = pytest.importorskip("pyarrow")
    plain = pandas.DataFrame(
        {
            "double": [0.5, None, 2.5, 4.0],
            "whole": [1, 2, 3, 4],
            "time": pandas.to_datetime(["2024-01-01 10:30", None, "2024-03-01 00:00", None]),
            "day": [datetime.date(2024, 1, 1), datetime.date(1023, 2, 3), None, None],
            "word": ["a", None, "b", "a"],
            "yes": np.array([True, False, True, False], object),
        }
    )  # fmt: skip
    types = {
        "double": arrow.float64(), "whole": arrow.int32(), "time": arrow.timestamp("us"),
        "day": arrow.date32(), "word": arrow.string(), "yes": arrow.bool_(),
    }  # fmt: skip
    typed = pandas.DataFrame({n: plain[n].astype(pandas.ArrowDtype(t)) for n, t in types.items()})
    typed["zone"] = typed["time"].dt.tz_localize("UTC").dt.tz_convert("Europe/Lisbon")
    typed["kind"] = pandas.array(
        ["a", None, "b", "a"], pandas.ArrowDtype(arrow.dictionary(arrow.int8(), arrow.string()))
    )
    plain["zone"], plain["kind"] = plain["time"], plain["word"]
    for rows in (1, 4, 5 * FEW_ROWS):
        places = np.arange(rows) % 4
        one, other = as_frame(typed.iloc[places]), as_frame(plain.iloc[places])
        for name in one.names:
            assert one[name].dtype.kind == other[name].dtype.kind
            assert str(one[name].tolist()) == str(other[name].tolist())


def test_a_list_in_a_cell_is_one_cell():
    polars = pytest.importorskip("polars")
    for made in (pandas.DataFrame, polars.DataFrame):
        frame = as_frame(made({"pair": [[1, 2], [3, 4]], "number": [1.5, 2.5]}))
        assert frame["pair"].tolist() == [[1, 2], [3, 4]]
        assert frame["pair"].shape == (2,)


def test_a_frame_that_has_yet_to_be_computed_and_a_row_that_is_no_table():
    polars = pytest.importorskip("polars")
    lazy = polars.LazyFrame({"a": [1.0, 2.0]})
    with pytest.raises(TypeError, match=r"X: a LazyFrame, .*pass X.collect\(\)"):
        as_frame(lazy)
    assert Schema.infer(lazy.collect()).encoded_names == ["a"]
    with pytest.raises(ValueError, match=r"X: column 'a' is a single value; .*{'a': \[value\], "):
        as_frame({"a": 1.5, "b": "x"})


def test_a_category_of_numbers_is_a_category():
    frame = pandas.DataFrame({"grade": pandas.Categorical([3, 1, 2, 1]), "size": [1, 2, 3, 4]})
    schema = Schema.infer(frame)
    assert [column.kind for column in schema.columns] == ["category", "number"]
    assert "a category by its type" in str(schema)
    assert np.array_equal(schema.transform(frame), schema.transform(frame.astype({"grade": int})))
    flags = schema.transform(frame[["size", "grade"]])[:, 1:]
    assert flags.tolist() == [
        [0, 0, 1],
        [1, 0, 0],
        [0, 1, 0],
        [1, 0, 0],
    ]  # 1, the frequent one; 2, 3
    assert Schema.infer(frame, kinds={"grade": "number"}).columns[0].kind == "number"
    words = pandas.DataFrame({"ok": pandas.Categorical(["no", "yes", "no", "no"])})
    assert Schema.infer(words).columns[0].kind == "yes/no"


def test_a_table_of_which_nothing_is_left_has_no_inputs():
    schema = Schema.infer(pandas.DataFrame({"a": [1.5, 2.5]}))
    schema = Schema([dataclasses.replace(schema.columns[0], kind="left out")], [], ["a"], True)
    assert schema.transform(pandas.DataFrame({"a": [1.5, 2.5, 3.5]})).shape == (3, 0)


def test_a_column_that_is_not_there_is_said_with_those_that_are():
    frame = as_frame({"a": [1.5, 2.5], "b": ["x", "y"]}, "table")
    assert frame["b"].tolist() == ["x", "y"]
    with pytest.raises(KeyError, match=r"table: no column is named 'c', the columns are a, b"):
        frame["c"]
