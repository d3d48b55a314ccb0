"""`--preset best`: five networks in one file, the mean of their answers in what leaves."""

import csv
import io

import numpy as np
import pytest
from support.commands import error_line, printed, write_csv

from micrograd.cli import main, members
from micrograd.tabular import Schema, read_table

pytest.importorskip("pandas")
pytest.importorskip("sklearn")
pytest.importorskip("safetensors")

from micrograd.saving import load_members


@pytest.fixture
def flats(tmp_path):
    """Rent by area and town, and whether it is dear."""
    rng = np.random.default_rng(0)
    area, town = rng.uniform(20, 200, 300), rng.integers(0, 12, 300)
    rent = 8 * area + 60 * town + 20 * rng.normal(size=300)
    dear = np.where(rent > 1100, "dear", "cheap")
    rows = zip(area, [f"town {i}" for i in town], rent, dear, strict=True)
    return write_csv(tmp_path / "flats.csv", "area,town,rent,class", rows)


def trained(capsys, flats, target, drop, tmp_path):
    path = str(tmp_path / "best.safetensors")
    out = printed(
        capsys, "train", flats, "--target", target, "--drop", drop, "--preset", "best",
        "--epochs", "12", "--save", path, "--log", str(tmp_path / "log.csv"),
    )  # fmt: skip
    return path, out


def predicted(capsys, *argv):
    assert main(["predict", *argv]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_quantity_is_the_mean_of_five(capsys, flats, tmp_path):
    path, out = trained(capsys, flats, "rent", "class", tmp_path)
    assert "parameters, 5 times; their answers are averaged" in out
    nets = load_members(path)
    assert len(nets) == 5
    assert len({net.parameters().flat.tobytes() for net in nets}) == 5
    schema = Schema.from_dict(nets[0].metadata["schema"])
    inputs = schema.transform(read_table(flats)).astype(np.float32)
    target = schema.targets[0]
    each = [target.centre + target.scale * net.predict(inputs)[:, 0].astype(float) for net in nets]
    found = [float(row["rent"]) for row in predicted(capsys, path, flats)]
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-6)
    assert len((tmp_path / "log.csv").read_text().splitlines()) > 12


def test_classes_and_their_probabilities_are_those_of_onnx(capsys, flats, tmp_path):
    path, _ = trained(capsys, flats, "class", "rent", tmp_path)
    rows = predicted(capsys, path, flats, "--probabilities")
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    onnx = str(tmp_path / "best.onnx")
    assert main(["export", path, "--onnx", onnx]) == 0
    from micrograd.convert import onnx_inputs

    schema = Schema.from_dict(load_members(path)[0].metadata["schema"])
    session = runtime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    labels, p = session.run(["label", "probabilities"], onnx_inputs(schema, read_table(flats)))
    assert labels.tolist() == [row["class"] for row in rows]
    found = [[float(row[name]) for name in ("cheap", "dear")] for row in rows]
    np.testing.assert_allclose(found, p, atol=1e-4)


def test_what_takes_one_network_says_so(capsys, flats, tmp_path):
    path, _ = trained(capsys, flats, "rent", "class,town", tmp_path)
    for flag, name in (("--c", "m.h"), ("--torch", "m.pt")):
        line = error_line(capsys, 1, "export", path, flag, str(tmp_path / name))
        assert "5 networks, whose answers are averaged" in line and "--preset default" in line
        assert not (tmp_path / name).exists()
    line = error_line(capsys, 1, "export", path, "--onnx", str(tmp_path / "m.onnx"), "--unscaled")
    assert "without --unscaled" in line
    assert "it holds 5 networks" in error_line(capsys, 1, "diagnose", path, flats)
    line = error_line(
        capsys, 2, "train", flats, "--target", "rent", "--preset", "best",
        "--resume", str(tmp_path / "new"),
    )  # fmt: skip
    assert "--resume is for one network, and --preset best has 5" in line


def test_ctrl_c_says_that_nothing_is_saved(capsys, flats, tmp_path, monkeypatch):
    import micrograd.sklearn.tabular_recipe as recipe

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "trained_at_once", stopped)
    path = tmp_path / "m"
    code = main(["train", flats, "--target", "rent", "--preset", "best", "--save", str(path)])
    assert code == 130 and not path.exists()
    assert "nothing is saved" in capsys.readouterr().err


def test_the_average_of_one_network_is_that_network():
    import micrograd as mg

    net = mg.Network(mg.Linear(2, 1), loss="mse", seed=0)
    X = np.ones((3, 2))
    np.testing.assert_array_equal(members.Average([net]).predict(X), net.predict(X))
