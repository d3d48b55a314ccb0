"""Tables as people have them through the command line: train, predict, export, a shuffled copy."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from support.commands import error_line, printed

from micrograd.cli import main
from micrograd.cli.models import load_model

pytest.importorskip("pandas")
pytest.importorskip("sklearn")
pytest.importorskip("safetensors")

ROWS = 300


def passengers():
    """Names, cabins with letters, missing ages, yes and no, ports; who survives depends on some."""
    rng = np.random.default_rng(0)
    woman = rng.random(ROWS) < 0.4
    rows = []
    for i in range(ROWS):
        age = "" if i % 5 == 0 else f"{rng.uniform(1, 80):.1f}"
        cabin = "" if i % 3 else f"{'ABC'[i % 9 // 3]}{i % 17}"
        saved = woman[i] != (rng.random() < 0.1)
        rows.append([str(i + 1), f"Passenger, {chr(65 + i % 26)}{i}", "female" if woman[i] else
                     "male", age, "yes" if i % 4 else "no", cabin, "SCQ"[i % 3],
                     "yes" if saved else "no"])  # fmt: skip
    return ["PassengerId", "Name", "Sex", "Age", "Alone", "Cabin", "Embarked", "Survived"], rows


def houses():
    """Dates, decimal commas, semicolons, and forty categories in a column."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(ROWS):
        size, street = rng.uniform(50, 200), i % 40
        price = 2 * size + 5 * street + rng.normal()
        day = f"{i % 28 + 1:02}.{i % 12 + 1:02}.2023"
        rows.append([day, f"{size:.2f}".replace(".", ","), f"street {street}",
                     f"{price:.2f}".replace(".", ",")])  # fmt: skip
    return ["verkauft", "größe", "straße", "preis"], rows


def write(path, header, rows, delimiter=","):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return str(path)


def sheet(path, header, rows):
    """An Excel sheet of the houses, with numbers and dates as such."""
    import pandas

    frame = pandas.DataFrame(rows, columns=header)
    for name in ("größe", "preis"):
        frame[name] = frame[name].str.replace(",", ".").astype(float)
    frame["verkauft"] = pandas.to_datetime(frame["verkauft"], dayfirst=True)
    frame.to_excel(path, index=False)
    return str(path)


def answers(capsys, *argv):
    assert main(["predict", *argv]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


CASES = {
    "passengers": (passengers, "Survived", ","),
    "houses": (houses, "preis", ";"),
    "sheet": (houses, "preis", "xlsx"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_table_as_it_is(capsys, tmp_path, name):
    make, target, mark = CASES[name]
    header, rows = make()
    order = np.random.default_rng(2).permutation(ROWS)
    places = [*range(len(header))][::-1]
    other_header = ["extra", *(header[i] for i in places)]
    other_rows = [["7", *(rows[r][i] for i in places)] for r in order]
    if mark == "xlsx":
        pytest.importorskip("openpyxl")
        source = sheet(tmp_path / "a.xlsx", header, rows)
        other = sheet(tmp_path / "b.xlsx", other_header, other_rows)
    else:
        source = write(tmp_path / "a.csv", header, rows, mark)
        other = write(tmp_path / "b.csv", other_header, other_rows, mark)
    model = str(tmp_path / "m")
    log = tmp_path / "log.csv"
    out = printed(
        capsys, "train", source, "--target", target, "--save", model, "--preset", "fast",
        "--log", str(log),
    )  # fmt: skip
    assert "column" in out.splitlines()[0] and "because" in out.splitlines()[0]
    assert "always " in out and "a linear function: " in out
    with open(log) as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0])[:2] == ["epoch", "loss"] and lines[-1]["epoch"] == str(len(lines))
    first, second = answers(capsys, model, source), answers(capsys, model, other)
    assert len(first) == ROWS
    assert [first[r] for r in order] == second
    if name == "passengers":
        right = [row["Survived"] == cells[-1] for row, cells in zip(first, rows, strict=True)]
        assert np.mean(right) > 0.85
    else:
        found = np.array([float(row["preis"]) for row in first])
        truth = np.array([float(cells[-1].replace(",", ".")) for cells in rows])
        assert np.abs(found - truth).mean() < 0.25 * truth.std()
    onnx_agrees(capsys, tmp_path, model, other, second)


@pytest.mark.parametrize("preset", ["fast", "default"])
def test_every_preset_is_diagnosed_predicts_and_leaves(capsys, tmp_path, preset):
    header, rows = passengers()
    source, model = write(tmp_path / "a.csv", header, rows, ","), str(tmp_path / "m")
    printed(
        capsys, "train", source, "--target", "Survived", "--save", model, "--preset", preset,
        "--epochs", "2",
    )  # fmt: skip
    assert "layer" in printed(capsys, "diagnose", model, source)
    onnx_agrees(capsys, tmp_path, model, source, answers(capsys, model, source))


def onnx_agrees(capsys, tmp_path, model, source, rows):
    """The exported file says of a table what predict says."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from micrograd.convert import onnx_inputs
    from micrograd.tabular import read_table

    path = str(tmp_path / "m.onnx")
    printed(capsys, "export", model, "--onnx", path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    schema = load_model(model)[1]
    found = session.run(None, onnx_inputs(schema, read_table(source)))
    name = schema.targets[0].name
    if schema.targets[0].classes:
        assert found[0].tolist() == [row[name] for row in rows]
    else:
        np.testing.assert_allclose(found[0][:, 0], [float(row[name]) for row in rows], rtol=1e-5)


def test_which_columns_and_how_they_are_written(capsys, tmp_path):
    header, rows = houses()
    source = write(tmp_path / "a.csv", header, rows, ";")
    argv = ["train", source, "--target", "preis", "--epochs", "2", "--layers", "4"]
    out = printed(capsys, *argv, "--features", "größe,verkauft", "--kinds", "verkauft=left out")
    assert "Linear(1, 4)" in out
    out = printed(capsys, *argv, "--drop", "straße", "--delimiter", ";", "--decimal", ",")
    assert "straße    left out" in out
    line = error_line(capsys, 1, *argv, "--drop", "strasse")
    assert "no column is named 'strasse'" in line and "did you mean 'straße'?" in line
    assert "is no pair such as" in error_line(capsys, 2, *argv, "--kinds", "größe")
    line = error_line(capsys, 2, "train", "digits", "--delimiter", ";")
    assert "--delimiter is for CSV files" in line


def test_rows_in_the_order_of_time_and_another_file_to_test_on(capsys, tmp_path):
    rows = [[i, i % 7, i * 2.5] for i in range(100)]
    source = write(tmp_path / "a.csv", ["t", "day", "y"], rows)
    argv = ["train", source, "--target", "y", "--epochs", "2", "--layers", "4"]
    assert "80 training rows, 20 test rows" in printed(capsys, *argv, "--no-shuffle")
    test = write(tmp_path / "b.csv", ["y", "day", "t"], [row[::-1] for row in rows[:30]])
    assert "100 training rows, 30 test rows" in printed(capsys, *argv, "--test", test)


def test_several_targets(capsys, tmp_path):
    rng = np.random.default_rng(0)
    rows = [[x, z, x + z + 0.5, 1000 * x] for x, z in rng.normal(size=(200, 2))]
    source = write(tmp_path / "a.csv", ["x", "z", "sum", "big"], rows)
    model = str(tmp_path / "m")
    out = printed(capsys, "train", source, "--target", "sum,big", "--save", model)
    assert "sum: test R^2 0.9" in out and "big: test R^2 0.9" in out and "2 quantities" in out
    found = answers(capsys, model, source)
    assert list(found[0]) == ["sum", "big"]
    assert float(found[3]["big"]) == pytest.approx(rows[3][3], abs=300)


def test_going_on_finds_columns_by_name_and_refuses_other_classes(capsys, tmp_path):
    rng = np.random.default_rng(0)
    rows = [[x, 50 + 9 * z, "yes" if x > 0 else "no"] for x, z in rng.normal(size=(200, 2))]
    first = write(tmp_path / "a.csv", ["x", "z", "y"], rows)
    turned = write(tmp_path / "b.csv", ["z", "x", "y"], [[b, a, c] for a, b, c in rows])
    renamed = write(
        tmp_path / "c.csv", ["x", "z", "y"],
        [[a, b, {"no": "absent"}.get(c, c)] for a, b, c in rows],
    )  # fmt: skip
    run = str(tmp_path / "run")
    argv = ["--target", "y", "--layers", "8", "--resume", run, "--quiet"]
    printed(capsys, "train", first, *argv, "--epochs", "10")
    before = Path(run).read_bytes()
    assert float(printed(capsys, "train", turned, *argv, "--epochs", "30").split()[2]) > 90
    Path(run).write_bytes(before)
    line = error_line(capsys, 1, "train", renamed, *argv, "--epochs", "30")
    assert "the cell 'absent' is none of the classes no, yes" in line
    assert "predicts y, --target is x" in error_line(
        capsys, 1, "train", first, "--target", "x", "--resume", run
    )
    assert Path(run).read_bytes() == before
