"""Schema: what columns are, how they become numbers, and that nothing is mixed up afterwards."""

import json

import numpy as np
import pytest

from micrograd.tabular import Schema, read_table

ROWS = 40


@pytest.fixture
def table():
    """A mapping of columns of every kind."""
    rng = np.random.default_rng(0)
    return {
        "width": rng.normal(5, 2, ROWS),
        "port": rng.choice(["Rotterdam", "Oslo", "Porto"], ROWS).astype(object),
        "open": rng.choice(["yes", "no"], ROWS).astype(object),
        "sold": np.datetime64("2023-01-01") + np.arange(ROWS) * 20,
        "name": np.array([f"ship {i}" for i in range(ROWS)], dtype=object),
        "price": rng.normal(100, 10, ROWS),
    }


def reordered(table):
    return {"extra": np.arange(ROWS), **{name: table[name] for name in reversed(table)}}


def test_kinds_and_the_table_that_is_printed(table):
    schema = Schema.infer(table, "price")
    kinds = {column.name: column.kind for column in schema.columns}
    assert kinds == {"width": "number", "port": "category", "open": "yes/no", "sold": "date",
                     "name": "left out"}  # fmt: skip
    text = str(schema).splitlines()
    assert text[0].split() == ["column", "kind", "because", "missing", "becomes"]
    assert "no -1, yes +1" in text[3] and "3 flags, none set for others" in text[2]
    assert "40 different texts in 40 rows" in text[5] and "a quantity" in text[6]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("PassengerId", "left out"), ("customer_id", "left out"), ("userID", "left out"),
     ("paid", "number"), ("Grid", "number"), ("liquid", "number")],
)  # fmt: skip
def test_whole_numbers_that_tell_rows_apart(table, name, kind):
    schema = Schema.infer({**table, name: np.arange(ROWS) * 3 + 7}, "price")
    assert {column.name: column.kind for column in schema.columns}[name] == kind


def test_numbers_are_scaled_as_realmlp_does(table):
    schema = Schema.infer(table, "price", features=["width"])
    x = table["width"]
    q25, q50, q75 = np.percentile(x, [25, 50, 75])
    z = (x - q50) / (q75 - q25)
    np.testing.assert_allclose(schema.transform(table)[:, 0], z / np.sqrt(1 + (z / 3) ** 2))


def test_flags_and_dates(table):
    schema = Schema.infer(table, "price")
    X = dict(zip(schema.encoded_names, schema.transform(table).T, strict=True))
    for port in ("Rotterdam", "Oslo", "Porto"):
        np.testing.assert_array_equal(X[f"port={port}"], table["port"] == port)
    np.testing.assert_array_equal(X["open"], np.where(table["open"] == "yes", 1, -1))
    days = (table["sold"] - np.datetime64("1970-01-01")).astype(int)
    angle = 2 * np.pi * (days % 365.2425) / 365.2425
    found = schema.columns[3].values(schema.align(table))[0]
    np.testing.assert_allclose(found[:, 0], days)
    np.testing.assert_allclose(
        found[:, 1:3], np.stack([np.sin(angle), np.cos(angle)], 1), atol=1e-9
    )


def test_columns_in_another_order_and_others_beside_them(table):
    schema = Schema.infer(table, "price")
    np.testing.assert_array_equal(schema.transform(reordered(table)), schema.transform(table))
    less = {name: table[name] for name in ("port", "open")}
    with pytest.raises(ValueError, match="no column 'width', 'sold', which the model was trained"):
        schema.transform(less)


def test_missing_values_and_unseen_categories(table):
    schema = Schema.infer(table, "price")
    new = {name: column[:3].copy() for name, column in table.items()}
    new["width"][0] = np.nan
    new["port"][1], new["port"][2], new["open"][0] = "Genoa", "", ""
    X = dict(zip(schema.encoded_names, schema.transform(new).T, strict=True))
    assert X["width"][0] == 0 and X["open"][0] == 0
    assert sum(X[f"port={p}"][1] for p in ("Rotterdam", "Oslo", "Porto")) == 0
    table["width"][5] = np.nan
    again = Schema.infer(table, "price")
    assert "width missing" in again.encoded_names
    assert again.columns[0].missing == 1


@pytest.mark.parametrize(
    ("column", "cell", "complaint"),
    [
        ("width", "5,1", "row 1, column 1 .'width'.: the cell '5,1' is not a number"),
        ("open", "maybe", "row 1, column 3 .'open'.: the cell 'maybe' is neither 'no' nor 'yes'"),
        ("sold", "soon", "row 1, column 4 .'sold'.: the cell 'soon' is no date as ISO 8601"),
    ],
)
def test_cells_that_do_not_fit_are_named(table, column, cell, complaint):
    schema = Schema.infer(table, "price")
    new = {name: values[:3] for name, values in table.items()}
    cells = np.array([str(value) for value in new[column]], dtype=object)
    cells[1] = cell
    with pytest.raises(ValueError, match=complaint):
        schema.transform({**new, column: cells})


@pytest.mark.parametrize("cells", [[20240131] * ROWS, [np.nan] * 3 + [1.7e9] * (ROWS - 3)])
def test_numbers_are_no_dates(table, cells):
    """20240131 was taken for seconds since 1970, a day in August of that year."""
    schema = Schema.infer(table, "price")
    with pytest.raises(ValueError, match=r"\('sold'\): the cell .* is a number, a date is wanted"):
        schema.transform({**table, "sold": np.array(cells)})
    gaps = schema.transform({**table, "sold": np.full(ROWS, np.nan)})
    place = [i for i, name in enumerate(schema.encoded_names) if name.startswith("sold")]
    assert place and not gaps[:, place].any()


def test_overrides(table):
    table["code"] = np.tile([1, 2, 3, 4], ROWS // 4)
    schema = Schema.infer(
        table, "price", kinds={"code": "category", "open": "category", "sold": "left out"},
        drop=["name"],
    )  # fmt: skip
    kinds = {column.name: column.kind for column in schema.columns}
    assert kinds["code"] == kinds["open"] == "category" and kinds["sold"] == "left out"
    assert "code=3" in schema.encoded_names
    with pytest.raises(ValueError, match=r"no column is named 'cod'.*did you mean 'code'"):
        Schema.infer(table, "price", kinds={"cod": "category"})
    with pytest.raises(ValueError, match="kind is 'integer', one of number, category"):
        Schema.infer(table, "price", kinds={"code": "integer"})
    with pytest.raises(ValueError, match="'price' is a feature and the target"):
        Schema.infer(table, "price", features=["price"])


def test_through_json_and_back(table):
    schema = Schema.infer(table, "price")
    again = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    assert str(again) == str(schema)
    np.testing.assert_array_equal(again.transform(table), schema.transform(table))


@pytest.mark.parametrize(
    "damage",
    [
        lambda plain: plain.pop("order"),
        lambda plain: plain.update(version=99),
        lambda plain: plain["columns"][0].update(kind="animal"),
        lambda plain: plain["columns"][0].update(centre=[float("nan")]),
        lambda plain: plain["columns"][0].update(scale=[1.0, 2.0]),
        lambda plain: plain["columns"][1].update(categories=["a", "a"]),
        lambda plain: plain["columns"][0].update(surprise=1),
        lambda plain: plain["targets"][0].update(scale=0.0),
        lambda plain: plain["order"].append("ghost"),
    ],
)
def test_nothing_in_a_file_is_taken_on_trust(table, damage):
    plain = json.loads(json.dumps(Schema.infer(table, "price").to_dict()))
    damage(plain)
    with pytest.raises(ValueError):
        Schema.from_dict(plain)


def test_frames_of_three_libraries_are_one_table(table):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    pyarrow = pytest.importorskip("pyarrow")
    table["width"][3] = np.nan
    lists = {name: column.tolist() for name, column in table.items()}
    lists["width"][3] = None
    lists["sold"] = [value.item() for value in table["sold"]]
    schema = Schema.infer(table, "price")
    expected = schema.transform(table)
    for frame in (pandas.DataFrame(lists), polars.DataFrame(lists), pyarrow.table(lists)):
        own = Schema.infer(frame, "price")
        assert [c.kind for c in own.columns] == [c.kind for c in schema.columns]
        np.testing.assert_allclose(own.transform(frame), expected, atol=1e-12)
        np.testing.assert_allclose(schema.transform(frame), expected, atol=1e-12)


def test_columns_far_from_zero_keep_their_digits():
    seconds = 1_700_000_000 + np.arange(200) * 7.0
    schema = Schema.infer({"unix": seconds, "y": seconds * 0 + np.arange(200)}, "y")
    near = Schema.infer({"unix": seconds - 1_700_000_000, "y": np.arange(200.0)}, "y")
    np.testing.assert_allclose(
        schema.transform({"unix": seconds}), near.transform({"unix": seconds - 1_700_000_000}),
        atol=1e-12,
    )  # fmt: skip


def test_tables_without_names_are_read_by_position(tmp_path):
    pytest.importorskip("pandas")
    rows = [f"{i / 7:.3f},{(i * 5) % 11}.5,{i * 1.5}" for i in range(20)]
    path = tmp_path / "bare.csv"
    path.write_text("\n".join(rows))
    schema = Schema.infer(read_table(path), -1)
    expected = schema.transform(read_table(path))
    path.write_text("\n".join(row.rpartition(",")[0] for row in rows))
    np.testing.assert_array_equal(schema.transform(read_table(path)), expected)
    path.write_text("\n".join(row + ",1,2" for row in rows))
    with pytest.raises(ValueError, match="5 columns without names, but the model was trained on 2"):
        schema.transform(read_table(path))


def test_several_targets(table):
    schema = Schema.infer(table, ["price", "width"])
    assert [target.name for target in schema.targets] == ["price", "width"]
    assert "width" not in [column.name for column in schema.columns]
    with pytest.raises(ValueError, match="'open' has classes: one of several targets has to be"):
        Schema.infer(table, ["price", "open"])
    with pytest.raises(ValueError, match="the target 'price' is named twice"):
        Schema.infer(table, ["price", "price"])


def test_a_matrix_has_columns_by_number():
    X = np.random.default_rng(1).normal(size=(30, 3))
    X[:, 2] = 4.0
    schema = Schema.infer(X)
    assert [c.kind for c in schema.columns] == ["number", "number", "left out"]
    slow = np.concatenate([c.encode(schema.align(X))[0] for c in schema.features], axis=1)
    np.testing.assert_array_equal(schema.transform(X), slow)
    with pytest.raises(ValueError, match="row 2, column 1: inf is not finite"):
        schema.transform(np.where(np.arange(30)[:, None] == 2, np.inf, X))
    with pytest.raises(ValueError, match="4 columns without names"):
        schema.transform(np.ones((2, 4)))


def test_what_is_no_list_of_names_and_no_table(table, tmp_path):
    with pytest.raises(TypeError, match=r"Schema: features is 'width', wanted a list: \['width'\]"):
        Schema.infer(table, features="width")
    with pytest.raises(TypeError, match=r"Schema: drop is 'port', wanted a list: \['port'\]"):
        Schema.infer(table, drop="port")
    for path in ("houses.csv", tmp_path / "houses.csv"):
        with pytest.raises(TypeError, match=r"Schema: .*houses.csv' is a path, .*read_table"):
            Schema.infer(path)
    with pytest.raises(TypeError, match=r"read_table: path is None, the path of a file is wanted"):
        read_table(None)
