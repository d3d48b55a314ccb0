"""micrograd train --save and --resume, predict, export: model files on the command line."""

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.commands import accuracy, error_line, printed, write_csv

import micrograd as mg
from micrograd.cli import main
from micrograd.cli.models import load_model
from micrograd.tabular import read_table

pytest.importorskip("safetensors")


def trained(capsys, tmp_path, source, target, *extra):
    """A model file of a CSV file."""
    path = str(tmp_path / "model.safetensors")
    printed(capsys, "train", source, "--target", target, "--save", path, "--epochs", "20",
            "--layers", "16", *extra)  # fmt: skip
    return path


@pytest.fixture
def trees(capsys, tmp_path, classes_csv):
    return trained(capsys, tmp_path, classes_csv, "tree"), classes_csv


@pytest.fixture
def houses(capsys, tmp_path, quantity_csv):
    return trained(capsys, tmp_path, quantity_csv, "price", "--lr", "0.05"), quantity_csv


def predicted(capsys, *argv):
    """The table that predict prints, and what it says on standard error."""
    assert main(["predict", *argv]) == 0
    out, err = capsys.readouterr()
    return list(csv.DictReader(io.StringIO(out))), err


def table(path):
    with open(path) as file:
        return list(csv.DictReader(file))


# ---- train ----


def test_a_saved_model_is_the_trained_one(capsys, tmp_path):
    path = str(tmp_path / "digits.safetensors")
    out = printed(capsys, "train", "digits", "--epochs", "3", "--save", path)
    _, X_test, _, y_test = mg.data.train_test_split(*mg.data.digits(), 0.2, 0)
    net = mg.load(path)
    assert (net.predict(X_test).argmax(axis=1) == y_test).mean() == accuracy(out)[0]
    assert re.search(r"^  saving +[\d.]+ s", out, re.MULTILINE)


def test_resumed_training_is_the_uninterrupted_one(capsys, tmp_path):
    files = [str(tmp_path / name) for name in ("whole", "parts")]
    for path, epochs in ((files[0], "4"), (files[1], "4"), (files[1], "4")):
        printed(capsys, "train", "digits", "--epochs", epochs, "--resume", path, "--quiet")
    whole, parts = map(mg.load, files)
    assert (whole.parameters().flat == parts.parameters().flat).all()
    assert len(parts.position.history["loss"]) == 4


def test_options_of_training(capsys, tmp_path, classes_csv):
    out = printed(capsys, "train", classes_csv, "--target", "tree", "--patience", "3", "--balanced",
                  "--label-smoothing", "0.1", "--accumulate", "2", "--clip-norm", "0",
                  "--epochs", "200", "--resume", str(tmp_path / "run"))  # fmt: skip
    assert accuracy(out)[0] > 0.9
    position = mg.load(tmp_path / "run").position
    assert position.epoch < 200 and position.stopping["monitor"] == "val_loss"


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "adamw"])
def test_optimizers_and_dropout(capsys, tmp_path, optimizer):
    path = str(tmp_path / "digits.safetensors")
    out = printed(capsys, "train", "digits", "--optimizer", optimizer, "--dropout", "0.2",
                  "--epochs", "10", "--save", path)  # fmt: skip
    assert "Linear(64, 256) > ReLU() > Dropout(0.2) > Linear(256, 10)" in out
    assert accuracy(out)[0] > 0.95
    assert type(mg.load(path).optimizer).__name__.lower() == optimizer


# ---- predict ----


def test_predict_classes(capsys, trees):
    model, source = trees
    rows, err = predicted(capsys, model, source)
    truth = [row["tree"] for row in table(source)]
    assert [row["tree"] for row in rows] == truth
    assert err == "micrograd predict: accuracy 100.00 % (150 of 150)\n"
    assert all(0.5 < float(row["probability"]) <= 1 for row in rows)
    rows, _ = predicted(capsys, model, source, "--probabilities")
    assert list(rows[0]) == ["tree", "ash", "elm", "oak"]
    for row, name in zip(rows, truth, strict=True):
        p = {key: float(row[key]) for key in ("ash", "elm", "oak")}
        assert max(p, key=p.get) == name and sum(p.values()) == pytest.approx(1, abs=2e-4)


def test_predict_a_quantity_in_its_units(capsys, houses, tmp_path):
    model, source = houses
    rows, err = predicted(capsys, model, source)
    found = np.array([float(row["price"]) for row in rows])
    truth = np.array([float(row["price"]) for row in table(source)])
    rmse = float(re.search(r"RMSE ([\d.]+) over 200 rows", err).group(1))
    assert rmse == pytest.approx(np.sqrt(((found - truth) ** 2).mean()), rel=1e-3)
    assert rmse < 0.2 * truth.std()


def test_columns_are_found_by_name_in_any_order(capsys, trees, tmp_path):
    model, source = trees
    rows = [(r["tree"], r["y"], "oak", r["x"]) for r in table(source)]
    other = write_csv(tmp_path / "other.csv", "what,y,tree?,x", rows)
    want, _ = predicted(capsys, model, source)
    found, err = predicted(capsys, model, other)
    assert found == want and err == ""  # no column `tree`: nothing to compare with
    bare = tmp_path / "bare.csv"
    bare.write_text("".join(f"{r['x']},{r['y']}\n" for r in table(source)))
    answers, said = predicted(capsys, model, str(bare))
    assert answers == want
    assert said == (
        "micrograd predict: the table's columns have no names: taken in their order, as x, y\n"
    )


def test_predict_into_a_file_and_many_rows(capsys, trees, tmp_path):
    model, source = trees
    rows = [(r["x"], r["y"]) for r in table(source)] * 20  # more than one block
    long = write_csv(tmp_path / "long.csv", "x,y", rows)
    out = str(tmp_path / "out.csv")
    assert printed(capsys, "predict", model, long, "--output", out) == ""
    assert [r["tree"] for r in table(out)] == [r["tree"] for r in table(source)] * 20


def test_predict_with_a_model_that_no_command_made(capsys, tmp_path):
    net = mg.Network(mg.Linear(2, 2), loss="bce", seed=0)
    net.save(tmp_path / "m")
    data = write_csv(tmp_path / "d.csv", "x1,x0", [(1.0, 2.0), (0.5, -3.0)])
    rows, _ = predicted(capsys, str(tmp_path / "m"), data)
    want = 1 / (1 + np.exp(-net.predict([[2.0, 1.0], [-3.0, 0.5]])))
    found = [[float(row["y0"]), float(row["y1"])] for row in rows]
    np.testing.assert_allclose(found, want, rtol=1e-5)


@pytest.mark.parametrize(
    "header, cells, words",
    [
        ("x,z", "1,2", "no column 'y', which the model was trained on; it has x, z"),
        ("x,y,y", "1,2,3", "two columns are named 'y'"),
        ("x,y", "1,tall", "line 2, column 2 ('y'): the cell 'tall' is not a number"),
        ("x,y", "1,inf", "line 2, column 2 ('y'): the cell 'inf' is not a number"),
        ("x,y", "1,2,3", "line 2: 3 column(s), wanted 2"),
        ("1,2,3,4", "4,5,6,7", "4 columns without names, but the model was trained on 2"),
    ],
)
def test_files_that_do_not_fit(capsys, trees, tmp_path, header, cells, words):
    data = tmp_path / "data.csv"
    data.write_text(f"{header}\n{cells}\n")
    assert words in error_line(capsys, 1, "predict", trees[0], str(data))


def test_predict_errors(capsys, trees, tmp_path):
    model, source = trees
    assert "DATA" in error_line(capsys, 2, "predict", model)
    assert "No such file" in error_line(capsys, 1, "predict", "none.safetensors", source)
    assert "no safetensors file" in error_line(capsys, 1, "predict", source, source)
    (tmp_path / "empty.csv").write_text("")
    assert "empty" in error_line(capsys, 1, "predict", model, str(tmp_path / "empty.csv"))
    assert "does not exist" in error_line(
        capsys, 1, "predict", model, source, "--output", str(tmp_path / "no" / "x")
    )


@pytest.mark.parametrize(
    "change",
    [
        {"columns": []},
        {"order": ["x", 3, "tree"]},
        {"header": "yes"},
        {"targets": []},
        {"extra": 1},
        {"columns": "ab"},
    ],
)
def test_a_hostile_description_of_the_columns(capsys, trees, change):
    model, source = trees
    net = mg.load(model)
    net.metadata["schema"] |= change
    net.save(model)
    assert "what it says of its columns" in error_line(capsys, 1, "predict", model, source)


def test_values_that_training_had_not_are_told(capsys, trees, tmp_path):
    data = write_csv(tmp_path / "d.csv", "x,y", [("", 2), (1, 2)])
    rows, err = predicted(capsys, trees[0], data)
    assert len(rows) == 2
    assert err == "micrograd predict: 1 row(s) without a value in 'x', taken as usual\n"


def test_columns_pass_through(capsys, trees, tmp_path):
    model, source = trees
    want, _ = predicted(capsys, model, source)
    rows = [(i, r["x"], r["y"]) for i, r in enumerate(table(source))]
    data = write_csv(tmp_path / "d.csv", "number,x,y", rows)
    out = str(tmp_path / "out.csv")
    printed(capsys, "predict", model, data, "--output", out, "--keep", "number")
    found = table(out)
    assert [row.pop("number") for row in found] == [str(i) for i in range(150)]
    assert found == want
    assert "did you mean 'number'" in error_line(
        capsys, 1, "predict", model, data, "--keep", "numbers"
    )
    before = (tmp_path / "d.csv").read_text()
    assert "which this command reads" in error_line(
        capsys, 2, "predict", model, data, "--output", data
    )
    assert (tmp_path / "d.csv").read_text() == before


# ---- export ----


def compiled(tmp_path, header, X, outputs):
    """The outputs of a C header for rows X."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    rows = ",".join("{" + ",".join(map(repr, row)) + "}" for row in X.tolist())
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include "{header}"\n'
        f"static const float X[{len(X)}][{X.shape[1]}] = {{{rows}}};\n"
        f"int main(void) {{ float out[{outputs}]; for (int i = 0; i < {len(X)}; i++) {{\n"
        f"{Path(header).stem}_predict(X[i], out);\n"
        f'for (int j = 0; j < {outputs}; j++) printf("%.9g ", out[j]); }}\n'
        "return 0; }\n"
    )
    program = str(tmp_path / "main")
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["cc", *flags, str(tmp_path / "main.c"), "-o", program, "-lm"], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return np.array(done.stdout.split(), float).reshape(len(X), outputs)


def test_export_c_takes_rows_as_they_are_in_the_file(capsys, houses, tmp_path):
    model, source = houses
    header = str(tmp_path / "houses.h")
    out = printed(capsys, "export", model, "--c", header)
    assert f"{header}: takes 2 numbers, area, age; gives price" in out
    X = np.array([[float(r[k]) for k in ("area", "age")] for r in table(source)])
    rows, _ = predicted(capsys, model, source)
    want = [float(row["price"]) for row in rows]
    found = compiled(tmp_path, header, X[:50], 1)[:, 0]
    np.testing.assert_allclose(found, want[:50], rtol=1e-4)


def test_export_int8_keeps_the_scaling_outside(capsys, trees, tmp_path):
    model, source = trees
    header = str(tmp_path / "trees.h")
    out = printed(capsys, "export", model, "--c", header, "--int8", "--data", source)
    assert "a loss of 0.00 points" in out or "accuracy 100.00 % against 100.00 %" in out
    assert "takes 2 numbers, x, y; gives 3 numbers, of ash, elm, oak" in out
    sample = np.array([[float(r["x"]), float(r["y"])] for r in table(source)])
    rows, _ = predicted(capsys, model, source)
    best = compiled(tmp_path, header, sample, 3).argmax(axis=1)
    assert [["ash", "elm", "oak"][i] for i in best] == [row["tree"] for row in rows]


def test_export_makes_an_arduino_library(capsys, trees, tmp_path):
    model, source = trees
    header, folder = tmp_path / "t.h", tmp_path / "Trees"
    printed(capsys, "export", model, "--c", str(header), "--int8", "--data", source,
            "--arduino", str(folder))  # fmt: skip
    assert (folder / "src/Trees.h").read_text() == header.read_text()
    sketch = (folder / "examples/Trees/Trees.ino").read_text()
    assert "t_predict(x, out);" in sketch and "#include <Trees.h>" in sketch
    out = printed(capsys, "export", model, "--c", str(header), "--int8-weights")
    assert "int8 weights: outputs differ by at most" in out


def test_export_onnx(capsys, trees, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model, source = trees
    path = str(tmp_path / "trees.onnx")
    printed(capsys, "export", model, "--onnx", path, "--probabilities")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {name: np.array([[float(r[name])] for r in table(source)]) for name in ("x", "y")}
    labels, found = session.run(["label", "probabilities"], inputs)
    rows, _ = predicted(capsys, model, source, "--probabilities")
    want = [[float(row[k]) for k in ("ash", "elm", "oak")] for row in rows]
    np.testing.assert_allclose(found, want, atol=2e-4)
    assert labels.tolist() == [row["tree"] for row in rows]


def test_export_torch(capsys, houses, tmp_path):
    torch = pytest.importorskip("torch")
    model, source = houses
    path = str(tmp_path / "houses.pt")
    out = printed(capsys, "export", model, "--torch", path)
    assert "Sequential(" in out and "weights_only=True" in out
    twin = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    twin.load_state_dict(torch.load(path, weights_only=True))
    schema = load_model(model)[1]
    X = schema.transform(read_table(source)).astype(np.float32)
    rows, _ = predicted(capsys, model, source)
    want = [[float(row["price"])] for row in rows]
    target = schema.targets[0]
    found = target.centre + target.scale * twin(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(found, want, rtol=1e-4)
    assert f"price = {target.centre:.9g} + {target.scale:.9g} * output" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "one of --onnx, --c and --torch"),
        (["--onnx", "a", "--c", "b"], "one of --onnx, --c and --torch"),
        (["--onnx", "a", "--int8"], "--int8 is for --c"),
        (["--onnx", "a", "--arduino", "b"], "--arduino is for --c"),
        (["--c", "a", "--int8"], "--int8 takes the scale of every layer from rows: --data"),
        (["--c", "a", "--int8", "--int8-weights"], "exclude one another"),
        (["--onnx", "a", "--data", "b"], "--data is for --c"),
        (["--torch", "a", "--probabilities"], "--probabilities is for"),
        (["--onxx", "a"], "did you mean --onnx?"),
    ],
)
def test_export_usage(capsys, trees, arguments, words):
    assert words in error_line(capsys, 2, "export", trees[0], *arguments)


# ---- diagnose ----


def test_diagnose(capsys, trees, tmp_path):
    model, source = trees
    out = printed(capsys, "diagnose", model, source)
    assert "2->16" in out and "healthy" in out
    deep = str(tmp_path / "deep")
    printed(capsys, "train", "digits", "--layers", "32,32,32,32,32,32,32,32", "--activation",
            "sigmoid", "--epochs", "1", "--save", deep)  # fmt: skip
    assert "vanishing" in printed(capsys, "diagnose", deep, "digits")
    bare = write_csv(tmp_path / "bare.csv", "x,y", [(1, 2)])
    assert "no column 'tree'" in error_line(capsys, 1, "diagnose", model, bare)
    said = error_line(capsys, 1, "diagnose", model, "digits")
    assert "a set of images; the model was trained on a table" in said
    assert "DATA" in error_line(capsys, 2, "diagnose", model)


def test_help_has_an_example(capsys):
    for command in ("train", "predict", "export", "diagnose"):
        text = printed(capsys, command, "--help")
        assert f"example:\n  micrograd {command} " in text
