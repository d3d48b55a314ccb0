"""read_csv: the door for tables of numbers. The dialects themselves are in test_odd."""

import csv

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from micrograd import data
from micrograd.tabular import read_table

pytest.importorskip("pandas")

# The files are overwritten by each example, so that one temporary folder serves them all.
reuses_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def read_text(tmp_path):
    """Return a function that writes text (or bytes) to a file and reads that as CSV."""

    def read(text, *args, **options):
        path = tmp_path / "some.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return data.read_csv(path, *args, **options)

    return read


def test_csv_with_header_and_text_target(read_text):
    table = read_text("width,height,kind\n1,2.5,pear\n-3e2, 4 ,apple\n5,6,pear\n", "kind")
    np.testing.assert_array_equal(table.X, [[1, 2.5], [-300, 4], [5, 6]])
    assert table.X.dtype == np.float64 and table.X.flags.c_contiguous
    assert table.feature_names == ("width", "height") and table.target_name == "kind"
    assert table.classes == ("apple", "pear")
    assert table.y.tolist() == [1, 0, 1] and table.y.dtype == np.int64


def test_csv_without_header_takes_last_column(read_text):
    table = read_text("1,2,0.5\n3,4,1.5\n")
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])
    assert table.y.tolist() == [0.5, 1.5] and table.y.dtype == np.float64
    assert table.feature_names == ("x0", "x1") and table.target_name == "x2"
    assert table.classes == ()


@pytest.mark.parametrize("target", ["b", 1, -2, "1", "-2", np.int64(1)])
def test_csv_target_by_name_or_index(read_text, target):
    table = read_text("a,b,c\n1,2.5,3\n", target)
    assert table.target_name == "b" and table.feature_names == ("a", "c")
    assert table.X.tolist() == [[1, 3]] and table.y.tolist() == [2.5]


def test_csv_a_name_comes_before_an_index(read_text):
    assert read_text("a,0,c\n1,2,3\n", "0", header=True).feature_names == ("a", "c")


@pytest.mark.parametrize(
    "text",
    [
        "a;b\n1;2\n",
        "a\tb\n1\t2\n",
        "a,b\r\n1,2\r\n",
        "a,b\r1,2\r",
        "a,b\n1,2",
        "\ufeffa,b\n1,2\n",
        '\ufeff"a",b\n1,2\n',
        '"a", "b"\n"1", "2"\n',
        "\n\na,b\n\n1,2\n\n",
        " a , b \n 1 , 2 \n",
    ],
)
def test_csv_dialects(read_text, text):
    table = read_text(text, "b")
    assert table.X.tolist() == [[1]] and table.feature_names == ("a",)
    assert table.classes == ("2",)


def test_csv_delimiter_given(read_text):
    assert read_text("a|b,c\n1|2\n", delimiter="|").target_name == "b,c"
    assert read_text("a b\n1 2\n", delimiter=" ").X.tolist() == [[1]]


def test_csv_quotes_hold_delimiters_and_line_ends(read_text):
    table = read_text('"size, mm","the\nname"\n1,"Smith, ""J"""\n2,"b\nb"\n')
    assert table.feature_names == ("size, mm",) and table.target_name == "the\nname"
    assert table.classes == ('Smith, "J"', "b\nb")


def test_csv_wide_line_of_another_delimiter(read_text):
    """Tried as one cell, it exceeds the csv module's limit; that must not end the read."""
    numbers = ["0.12345678901234567"] * 10_000
    assert read_text("\t".join(numbers)).X.shape == (1, 9_999)


def test_csv_header_forced(read_text):
    assert read_text("1,2\n3,4\n", header=True).feature_names == ("1",)
    assert read_text("1,2\n3,4\n", header=False).X.tolist() == [[1], [3]]
    assert read_text("a,\n3,4\n").target_name == "x1"  # a column without a name


@pytest.mark.parametrize(
    ("cells", "kind", "y", "classes"),
    [
        (["10", "9", "10"], "auto", [1, 0, 1], ("9", "10")),  # by value, not as text
        (["10", "9", "10.0"], "auto", [1, 0, 2], ("9", "10", "10.0")),  # as they are spelled
        (["-1", "1", "-1"], "auto", [0, 1, 0], ("-1", "1")),
        (["1", "2.5", "1"], "auto", [1, 2.5, 1], ()),
        (["1", "2.5", "1"], "classes", [0, 1, 0], ("1", "2.5")),
        (["3", "4", "3"], "numbers", [3, 4, 3], ()),
        (["10", "9", "?"], "classes", [0, 1, 2], ("10", "9", "?")),
        (["1_0", "1_1", "1_0"], "auto", [0, 1, 0], ("1_0", "1_1")),
        ([str(i) for i in range(100)], "auto", list(range(100)), ()),
        ([str(i) for i in range(26)] * 4, "auto", [*range(26)] * 4, tuple(map(str, range(26)))),
        ([str(i) for i in range(101)], "auto", list(range(101)), ()),
    ],
)
def test_csv_kinds_of_target(read_text, cells, kind, y, classes):
    table = read_text("".join(f"0,{cell}\n" for cell in cells), kind=kind)
    assert table.classes == classes
    assert table.y.tolist() == y
    assert table.y.dtype == (np.int64 if classes else np.float64)


def test_csv_text_target_that_shows_late(read_text):
    """Numbers and one word: a slip, unless the caller says that they are classes."""
    text = "0,7\n" * 3000 + "0,seven\n"
    with pytest.raises(ValueError, match="line 3001, column 2: the cell 'seven' is not a number"):
        read_text(text)
    table = read_text(text, kind="classes")
    assert table.classes == ("7", "seven")
    assert np.bincount(table.y).tolist() == [3000, 1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file is empty"),
        ("\n\r\n", "the file is empty"),
        ("a,b\n", "no rows after the header on line 1"),
        (
            "a,b\n1,x\nabc,y\n",
            r"line 3, column 1 \('a'\): the cell 'abc' is not a number; c",
        ),
        ("1,2\n3,4\n5 6,7\n", "line 3, column 1: the cell '5 6' is not a number; c"),
        ("a,b\n\n\n1,x\n,y\n", r"line 5, column 1 \('a'\): the cell '' is empty"),
        ("a,b\n1,x\n2,\n", r"line 3, column 2 \('b'\): the cell '' is empty"),
        ("a,b\n1,2\nnan,2\n", r"line 3, column 1 \('a'\): the cell 'nan' says that there"),
        ("a,b\n1,2\n-Inf,2\n", "the cell '-Inf' is not finite"),
        ("a,b\n1,2\n1e999,2\n", "the cell '1e999' is not finite"),
        ("a,b\n1,2\n1,NaN\n", r"line 3, column 2 \('b'\): the cell 'NaN' says that there"),
        ("a,b\n1,2\n1,inf\n", "line 3, column 2 .'b'.: the cell 'inf' is not "),
        ("a,b\n1,2\n1_000,2\n", "the cell '1_000' is not a number"),
        ("a;b\n1,5;2\n1.5;3\n0.5;4\n", "line 2, column 1 .'a'.: the cell '1,5' is not a number"),
        ("a,b\n1,2\n1,2,3\n", "line 3: 3 column.s., wanted 2 as on line 1"),
        ("a,b\n1,2\n1\n", "line 3: 1 column.s., wanted 2 as on line 1"),
        ('a,b\n"1\n\n",2\nq,2\n', "line 5, column 1"),
        ('a,b\n1,"2\n3,4\n', "line 2: unexpected end of data; a cell with a quote"),
        ('a,b\n1,2\n"1"x,2\n', "line 3: '.*' expected after '\"'"),
        ("a\n1\n", "line 1: one column, wanted a target and at least one feature"),
        ("a,b\n" + "z" * 1000 + ",2", "the cell 'z{40}...' is not a number"),
        (b"a,b\n1,2\n1,\xff\n", "byte 10: not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1: a NUL character: .* pass encoding='utf-16-le'"),
    ],
)
def test_csv_faults_name_file_and_place(tmp_path, read_text, text, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        read_text(text)
    assert str(caught.value).startswith(f"read_csv: {tmp_path / 'some.csv'}: ")


def test_csv_fault_is_the_first_in_reading_order(read_text):
    rows = ["1,2,c"] * 5000
    rows[4321] = "1,bad,c"
    rows[4322] = "worse,2,c"
    with pytest.raises(ValueError, match="line 4322, column 2: the cell 'bad' is not a number"):
        read_text("\n".join(rows))


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"target": "d"}, ValueError, "no column is named 'd', the columns are a, b, a.1"),
        ({"target": "a"}, ValueError, "2 columns are named 'a'; pass an index"),
        ({"target": 3}, ValueError, "target is column 3, wanted -3 to 2"),
        ({"target": "-4"}, ValueError, "target is column -4, wanted -3 to 2"),
        ({"target": 1.0}, TypeError, "target is 1.0, wanted a column's name or index"),
        ({"target": None}, TypeError, "target is None, wanted a column's name or index"),
        ({"kind": "guess"}, ValueError, "kind is 'guess', wanted 'auto'"),
        ({"kind": "numbers"}, ValueError, r"line 2, column 3 \('a.1'\): the cell 'x' is not a "),
        ({"delimiter": ",,"}, ValueError, "delimiter is ',,', wanted one character"),
        ({"delimiter": '"'}, ValueError, "delimiter is '\"', wanted one character"),
    ],
)
def test_csv_wrong_arguments(read_text, options, error, complaint):
    with pytest.raises(error, match=complaint):
        read_text("a,b,a\n1,2,x\n", **options)


finite = st.floats(allow_nan=False, allow_infinity=False)
name = st.text("abcdefgÄé中 \";,\t\n'", min_size=1, max_size=5).map(str.strip).filter(bool)


@reuses_folder
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 4)), elements=finite),
    st.sampled_from(",;\t"),
    st.booleans(),
    st.data(),
)
def test_csv_round_trip(tmp_path, X, delimiter, quote_all, draws):
    size = X.shape[1] + 1
    names = draws.draw(st.lists(name, min_size=size, max_size=size, unique=True))
    labels = draws.draw(st.lists(name, min_size=len(X), max_size=len(X)))
    place = draws.draw(st.integers(0, X.shape[1]))
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    path = tmp_path / "round.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
        writer.writerow(names)
        for numbers, text in zip(X.tolist(), labels, strict=True):
            cells = [repr(number) for number in numbers]
            writer.writerow([*cells[:place], text, *cells[place:]])
    table = data.read_csv(path, place, delimiter=delimiter, header=True, kind="classes")
    np.testing.assert_array_equal(table.X, X)
    assert [table.classes[code] for code in table.y] == labels
    assert [*table.feature_names[:place], table.target_name, *table.feature_names[place:]] == names


@pytest.mark.parametrize("text", [",", ".", ",,", ".,", "a,"])
def test_marks_without_a_digit_say_nothing_of_numbers(read_text, text):
    table = read_text(f'word,number\n"{text}",1.625\nb,2.375\n', "word", kind="classes")
    assert table.X.ravel().tolist() == [1.625, 2.375] and table.classes == (text, "b")


def test_csv_equals_numpy_loadtxt(tmp_path):
    rows = np.random.default_rng(0).standard_normal((3000, 4))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",")
    theirs = np.loadtxt(tmp_path / "rows.csv", delimiter=",")
    table = data.read_csv(tmp_path / "rows.csv", 0)
    np.testing.assert_array_equal(table.X, theirs[:, 1:])
    np.testing.assert_array_equal(table.y, theirs[:, 0])


def test_csv_table_is_frozen(read_text):
    table = read_text("1,2\n")
    with pytest.raises(AttributeError):
        table.y = None


# ------------------------------------------------------------------------- minibatches and splits


def test_cells_longer_than_csv_allows(tmp_path):
    before = csv.field_size_limit()
    path = tmp_path / "long.csv"
    text = "x" * (before + 10)
    path.write_text(f"note;a;y\n{text};1;2\n{text};2;4\nshort;3;6\n")
    frame = read_table(path)
    assert frame.names == ["note", "a", "y"] and frame["note"].tolist() == [text, text, "short"]
    path.write_text('note,y\n"open,1\n' + "b,2\n" * before)
    with pytest.raises(ValueError, match=r"line 2: unexpected end of data; .* every quote closed"):
        read_table(path)
    assert csv.field_size_limit() == before
