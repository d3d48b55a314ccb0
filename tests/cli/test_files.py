"""No command destroys what it reads, leaves half a file, or reads less than `train` takes."""

import shutil
import subprocess

import numpy as np
import pytest
from support.commands import error_line, printed, write_csv, write_idx

import micrograd as mg
from micrograd.cli import main

pytest.importorskip("safetensors")
pytest.importorskip("pandas")


@pytest.fixture
def houses(capsys, tmp_path, quantity_csv):
    path = str(tmp_path / "houses.safetensors")
    printed(capsys, "train", quantity_csv, "--target", "price", "--epochs", "2", "--save", path)
    return path, quantity_csv


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_an_output_that_is_an_input_is_refused(capsys, houses, tmp_path):
    model, source = houses
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "hard.csv").hardlink_to(source)
    before = contents(tmp_path)
    train = ("train", source, "--target", "price", "--epochs", "1")
    for argv in (
        ("predict", model, source, "--output", source),
        ("predict", model, source, "--output", str(tmp_path / "link.csv")),
        ("predict", model, str(tmp_path / "link.csv"), "--output", source),
        ("predict", model, source, "--output", str(tmp_path / "hard.csv")),
        ("predict", model, source, "--output", model),
        (*train, "--save", source),
        (*train, "--save", str(tmp_path / "link.csv")),
        (*train, "--resume", source),
        (*train, "--plot", source),
        (*train, "--log", source),
        ("export", model, "--c", model),
        ("export", model, "--onnx", model),
        ("export", model, "--torch", model),
        ("export", model, "--c", source, "--data", source),
        ("diagnose", model, source, "--plot", source),
    ):
        if "--plot" in argv:
            pytest.importorskip("matplotlib")
        code = main(argv)
        err = capsys.readouterr().err
        assert code in (1, 2) and err.startswith("micrograd: error: "), argv
        assert "which this command reads" in err or "its name ends" in err, argv
        assert contents(tmp_path) == before, argv


def test_two_outputs_are_not_one_file(capsys, quantity_csv, tmp_path):
    path = str(tmp_path / "one")
    argv = ("train", quantity_csv, "--target", "price", "--save", path, "--log", path)
    assert "both name" in error_line(capsys, 2, *argv)
    assert not (tmp_path / "one").exists()


def test_a_bad_cell_far_down_leaves_what_was_there(capsys, houses, tmp_path):
    model, _ = houses
    rows = [(i % 50 + 1, 1, 7) for i in range(3000)]
    rows[2900] = ("many", 1, 7)
    bad = write_csv(tmp_path / "bad.csv", "area,age,constant", rows)
    out = tmp_path / "out.csv"
    out.write_text("before")
    err = error_line(capsys, 1, "predict", model, bad, "--output", str(out))
    assert "bad.csv" in err and "2902" in err
    assert out.read_text() == "before" and not list(tmp_path.glob(".*.tmp"))


def test_names_of_250_bytes(capsys, houses, tmp_path):
    model, source = houses
    out = str(tmp_path / ("p" * 246 + ".csv"))
    printed(capsys, "export", model, "--c", str(tmp_path / ("c" * 248 + ".h")))
    assert main(["predict", model, source, "--output", out]) == 0
    assert len((tmp_path / out).read_text().splitlines()) == 201


# ---- what train takes, the others take ----


def test_predict_export_and_diagnose_take_the_digits(capsys, tmp_path):
    model, out = str(tmp_path / "m.safetensors"), tmp_path / "out.csv"
    printed(capsys, "train", "digits", "--epochs", "5", "--save", model)
    assert main(["predict", model, "digits", "--output", str(out)]) == 0
    err = capsys.readouterr().err
    X, y = mg.data.digits()
    right = int((mg.load(model).predict(X).argmax(axis=1) == y).sum())
    assert f"({right} of 1797)" in err
    assert len(out.read_text().splitlines()) == 1798
    said = printed(capsys, "export", model, "--c", str(tmp_path / "d.h"), "--int8",
                   "--data", "digits")  # fmt: skip
    assert "on 1797 rows" in said and "accuracy" in said
    assert "healthy" in printed(capsys, "diagnose", model, "digits")


@pytest.fixture
def letters(tmp_path):
    """EMNIST letters: a bright pixel in a place of its own for each of three letters."""
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, rows in (("train", 120), ("test", 30)):
        labels = np.arange(rows) % 3 + 1
        images = rng.integers(0, 60, (rows, 4, 4))
        images[np.arange(rows), labels, 0] = 255
        write_idx(folder / f"emnist-letters-{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"emnist-letters-{part}-labels-idx1-ubyte.gz", labels)
    return str(tmp_path / "EMNIST")


def test_a_folder_of_letters_from_training_to_names(capsys, letters, tmp_path):
    model = str(tmp_path / "m.safetensors")
    out = printed(capsys, "train", letters, "--epochs", "20", "--save", model)
    assert "3 classes" in out and "test accuracy 100.00 %" in out
    assert main(["predict", model, letters]) == 0
    text, err = capsys.readouterr()
    lines = text.splitlines()
    assert [line[0] for line in lines[1:7]] == list("ABCABC") and len(lines) == 31
    assert "accuracy 100.00 % (30 of 30)" in err
    assert "the model takes 16" in error_line(capsys, 1, "predict", model, "digits")


# ---- models of estimators; headers of the command line ----


def test_predict_takes_what_an_estimator_saves(capsys, tmp_path):
    pytest.importorskip("sklearn")
    pd = pytest.importorskip("pandas")
    from micrograd.sklearn import MLPClassifier

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 2)), columns=["b", "a"])
    y = np.where(frame["a"] > 0, "plus", "minus")
    model = MLPClassifier(max_iter=300, random_state=0, learning_rate_init=0.05).fit(frame, y)
    path, data = str(tmp_path / "m.safetensors"), str(tmp_path / "d.csv")
    model.network_.save(path)
    frame[["a", "b"]].assign(y=y).to_csv(data, index=False)
    assert main(["predict", path, data, "--probabilities"]) == 0
    text, err = capsys.readouterr()
    rows = [line.split(",") for line in text.splitlines()]
    assert rows[0] == ["y", "minus", "plus"]
    assert [row[0] for row in rows[1:]] == model.predict(frame).tolist()
    found = np.array([row[1:] for row in rows[1:]], float)
    np.testing.assert_allclose(found, model.predict_proba(frame), atol=6e-5)
    assert "accuracy" in err
    assert "minus, plus" in printed(capsys, "export", path, "--c", str(tmp_path / "m.h"))


def test_two_headers_of_the_command_line_work_in_one_program(capsys, tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    rng = np.random.default_rng(0)
    for i, slope in (("1", 1), ("2", 2)):
        a, b = rng.normal(size=(2, 60))
        source = write_csv(tmp_path / f"t{i}.csv", "a,b,y", zip(a, b, slope * a - b, strict=True))
        model = str(tmp_path / f"t{i}.safetensors")
        printed(capsys, "train", source, "--target", "y", "--epochs", "60", "--save", model)
        printed(capsys, "export", model, "--c", str(tmp_path / f"t {i}.h"))
    (tmp_path / "two.c").write_text(
        '#include <stdio.h>\n#include "t 1.h"\n#include "t 2.h"\nint main(void)\n{\n'
        "    float x[2] = {1, 0}, first[1], second[1];\n"
        "    t_1_predict(x, first);\n    t_2_predict(x, second);\n"
        '    printf("%g %g\\n", (double)first[0], (double)second[0]);\n    return 0;\n}\n'
    )
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *flags, tmp_path / "two.c", "-o", tmp_path / "two", "-lm"], check=True)
    done = subprocess.run([tmp_path / "two"], capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    assert abs(first - 1) < 0.3 and abs(second - 2) < 0.6
    out = printed(capsys, "export", model, "--c", str(tmp_path / "x.h"), "--prefix", "mine_")
    assert "mine_predict: " in out
    assert "prefix is '3 d'" in error_line(
        capsys, 1, "export", model, "--c", str(tmp_path / "x.h"), "--prefix", "3 d"
    )
