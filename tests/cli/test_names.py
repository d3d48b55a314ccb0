"""Names of columns that are numbers, equal, or not there: nothing is mixed up without a word."""

import csv
import unicodedata

import numpy as np
import pytest
from support.commands import error_line, printed

from micrograd.cli import main

pytest.importorskip("pandas")
pytest.importorskip("sklearn")
pytest.importorskip("safetensors")

ROWS = 60
RNG = np.random.default_rng(0)
A = [f"{value:.3f}" for value in RNG.normal(size=ROWS)]
B = [str(value) for value in RNG.integers(0, 100, ROWS)]
Y = [f"{3 * float(a) + int(b) / 50:.3f}" for a, b in zip(A, B, strict=True)]


def write(path, *columns):
    """A table, whose first cells are the names."""
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(zip(*columns, strict=True))
    return str(path)


def trained(tmp_path, capsys, *columns, target="y"):
    table, model = write(tmp_path / "table.csv", *columns), str(tmp_path / "m.safetensors")
    printed(capsys, "train", table, "--target", target, "--epochs", "2", "--save", model)
    return model, table


def predicted(capsys, model, table, *options):
    """The answers, and what was said beside them."""
    assert main(["predict", model, table, *options]) == 0
    seen = capsys.readouterr()
    return [float(line) for line in seen.out.splitlines()[1:]], seen.err


def test_names_that_are_numbers_are_known_from_the_model(tmp_path, capsys):
    model, table = trained(tmp_path, capsys, ["2019", *A], ["2020", *B], ["y", *Y])
    want, _ = predicted(capsys, model, table)
    assert len(want) == ROWS
    other = write(tmp_path / "other.csv", ["2020", *B], ["2019", *A])  # no word tells of a header
    assert predicted(capsys, model, other) == (want, "")
    said = error_line(capsys, 1, "predict", model, other, "--no-header")
    assert f"{other}: line 1 holds the names of the columns; pass header=True (--header)" in said


def test_a_table_without_names_is_taken_in_order_and_that_is_said(tmp_path, capsys):
    model, table = trained(tmp_path, capsys, ["a", *A], ["b", *B], ["y", *Y])
    want, _ = predicted(capsys, model, table)
    found, said = predicted(capsys, model, write(tmp_path / "bare.csv", A, B))
    assert found == want
    assert "the table's columns have no names: taken in their order, as a, b\n" in said


def test_a_target_whose_name_is_there_twice_is_named_by_its_index(tmp_path, capsys):
    columns = ["y", *A], ["b", *B], ["y", *Y]
    table = write(tmp_path / "twice.csv", *columns)
    said = error_line(capsys, 1, "train", table, "--target", "y", "--epochs", "2")
    assert "2 columns are named 'y'; name the target by its index, 0 or 2, or rename" in said
    model, _ = trained(tmp_path, capsys, *columns, target="2")
    (tmp_path / "once").mkdir()
    plain, one = trained(tmp_path / "once", capsys, ["a", *A], ["b", *B], ["z", *Y], target="z")
    assert predicted(capsys, model, table)[0] == predicted(capsys, plain, one)[0]


def test_a_name_in_other_letters_is_asked_for(tmp_path, capsys):
    table = write(tmp_path / "table.csv", ["a", *A], ["Price", *Y])
    said = error_line(capsys, 1, "train", table, "--target", "PRICE")
    assert said.endswith("the columns are a, Price; did you mean 'Price'?\n")


@pytest.mark.parametrize("source", ["digits", "."])
def test_images_are_nothing_for_the_model_of_a_table(source, tmp_path, capsys):
    columns = [[f"c{i}", *A] for i in range(64)]  # as many as the digits have pixels
    classes = ["pqrstuvwxy"[int(b) % 10] for b in B]
    model, _ = trained(tmp_path, capsys, *columns, ["y", *classes])
    said = error_line(capsys, 1, "predict", model, source)
    assert f"{source}: a " in said and "the model was trained on a table: name a file" in said
    assert "the model was trained on a table" in error_line(capsys, 1, "diagnose", model, source)


def test_a_dash_is_no_standard_input(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = error_line(capsys, 2, "train", "-", "--target", "y")
    assert said == "micrograd: error: - is no file; /dev/stdin is read from a pipe\n"
    model, _ = trained(tmp_path, capsys, ["a", *A], ["y", *Y])
    assert error_line(capsys, 2, "predict", model, "-") == said


def test_without_a_target_the_columns_are_listed(capsys, tmp_path):
    table = write(tmp_path / "table.csv", ["größe", *A], ["price", *Y])
    said = error_line(capsys, 2, "train", table)
    assert said.endswith("--target COLUMN has to say what to predict, one of größe, price\n")


def test_names_that_look_alike_are_one(tmp_path, capsys):
    model, table = trained(tmp_path, capsys, ["größe", *A], ["straße", *B], ["y", *Y])
    want, _ = predicted(capsys, model, table)
    apart = unicodedata.normalize("NFD", "größe")  # as some file systems and programs spell it
    assert apart != "größe"
    other = write(tmp_path / "other.csv", ["straße", *B], [apart, *A])
    assert predicted(capsys, model, other) == (want, "")
    said = printed(capsys, "train", other, "--target", apart, "--epochs", "1")
    assert "größe   target" in said
