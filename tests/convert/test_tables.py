"""A whole table's model out of the package: what leaves gives the answers of predict."""

import shutil
import subprocess

import numpy as np
import pytest

pytest.importorskip("sklearn")

import micrograd as mg
from micrograd.cli.main import main
from micrograd.saving import load_members
from micrograd.sklearn import TabularClassifier, TabularRegressor

ROWS = 400


def table(seed=0):
    rng = np.random.default_rng(seed)
    width = rng.normal(20, 5, ROWS)
    width[::9] = np.nan
    night = rng.choice(["Yes", "no"], ROWS)
    return {
        "port": rng.choice(["Oslo", "Porto", "Genoa"], ROWS).astype(object),
        "width": width,
        "unix": 1_700_000_000 + np.cumsum(rng.integers(1, 9, ROWS)).astype(float),
        "night": night.astype(object),
        "sailed": np.datetime64("2020-01-01") + rng.integers(0, 1500, ROWS),
    }


def answer(columns):
    width = np.nan_to_num(columns["width"], nan=20)
    return width + 5 * (columns["port"] == "Oslo") + (columns["unix"] - 1_700_000_000) / 200


def shuffled(columns, order):
    other = {name: columns[name][order] for name in reversed(columns)}
    other["port"] = other["port"].copy()
    other["port"][0] = "Bergen"  # not seen
    return {"more": np.zeros(ROWS), **other}


def session(path):
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("preset", ["fast", "best"])
def test_onnx_of_a_classifier(tmp_path, preset):
    pytest.importorskip("onnx")
    columns = table()
    y = np.array(["low", "high"])[(answer(columns) > 24).astype(int)]
    model = TabularClassifier(preset, random_state=0, epochs=8).fit(columns, y)
    mg.convert.to_onnx(model, tmp_path / "model.onnx")
    run = session(tmp_path / "model.onnx")
    for frame in (columns, shuffled(columns, np.random.default_rng(1).permutation(ROWS))):
        inputs = mg.convert.onnx_inputs(model.schema_, frame)
        assert {each.name for each in run.get_inputs()} == set(inputs)
        labels, p = run.run(["label", "probabilities"], inputs)
        np.testing.assert_allclose(p, model.predict_proba(frame), atol=1e-5)
        assert labels.tolist() == model.predict(frame).tolist()


def test_onnx_of_a_regressor_with_several_targets(tmp_path):
    pytest.importorskip("onnx")
    columns = table()
    y = np.stack([answer(columns), 1e6 - answer(columns)], axis=1)
    model = TabularRegressor("fast", random_state=0).fit(columns, y)
    mg.convert.to_onnx(model, tmp_path / "model.onnx")
    frame = {**columns, "width": columns["width"] * 100}
    (found,) = session(tmp_path / "model.onnx").run(
        None, mg.convert.onnx_inputs(model.schema_, frame)
    )
    np.testing.assert_allclose(found, model.predict(frame), atol=2e-4)


def numbers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) * [1, 10, 1000] + [0, -5, 1_700_000_000]
    X[::7, 1] = np.nan
    return X, X[:, 0] + (X[:, 2] - 1_700_000_000) / 1000


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_c_of_a_table_of_numbers(tmp_path, kind):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    X, y = numbers()
    model = kind("fast", random_state=0).fit(X, y if kind is TabularRegressor else y > 0)
    path = tmp_path / "model.h"
    with pytest.warns(UserWarning, match="a column is far from zero; call predict_row"):
        mg.convert.to_c(model, path, prefix="", X=X)
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-DPREDICT_MAIN"]
    program = str(tmp_path / "model")
    subprocess.run(["cc", *flags, "-x", "c", str(path), "-o", program, "-lm"], check=True)
    done = subprocess.run([program], check=True, capture_output=True, text=True)
    assert float(done.stdout.split()[-1]) < 1e-4


def test_what_cannot_leave_says_so(tmp_path):
    X, y = numbers()
    path = tmp_path / "m"
    with pytest.raises(ValueError, match="not fitted; call fit first"):
        mg.convert.to_c(TabularRegressor(), path)
    words = TabularRegressor("fast", epochs=1).fit({"a": X[:, 0], "b": ["x", "y", "z"] * 100}, y)
    with pytest.raises(ValueError, match=r"column 'b' is no plain number, .*write an ONNX file"):
        mg.convert.to_c(words, path)
    best = TabularRegressor("best", epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="an average of 5 networks"):
        mg.convert.to_c(best, path)
    pytest.importorskip("onnx")
    with pytest.raises(ValueError, match="loss 'quantile' has outputs"):
        mg.convert.to_onnx(TabularRegressor(loss="quantile", epochs=1).fit(X, y), path)
    assert not path.exists()


def test_one_file_holds_the_five_networks_of_the_best(tmp_path):
    pytest.importorskip("safetensors")
    columns = table()
    model = TabularRegressor("best", random_state=0, epochs=3).fit(columns, answer(columns))
    model.save(tmp_path / "m")
    nets = load_members(tmp_path / "m")
    schema = mg.tabular.Schema.from_dict(nets[0].metadata["schema"])
    target = schema.targets[0]
    z = np.mean([net.predict(schema.transform(columns))[:, 0] for net in nets], axis=0)
    found = np.clip(target.centre + target.scale * z, target.least, target.most)
    np.testing.assert_allclose(found, model.predict(columns), rtol=1e-5)
    with pytest.raises(ValueError, match="it holds 5 networks"):
        mg.load(tmp_path / "m")


def test_counts_leave_as_counts_or_not_at_all(tmp_path, capsys):
    pytest.importorskip("safetensors")
    X, _ = numbers()
    counts = np.random.default_rng(0).poisson(np.exp(1 + 0.5 * np.tanh(X[:, 0])))
    for preset in ("fast", "best"):
        model = TabularRegressor(preset, loss="poisson", random_state=0, epochs=3).fit(X, counts)
        path = tmp_path / preset
        model.save(path)
        np.savetxt(tmp_path / "X.csv", X, delimiter=",", comments="",
                   header=",".join(f"x{i}" for i in range(X.shape[1])), fmt="%.17g")  # fmt: skip
        assert main(["predict", str(path), str(tmp_path / "X.csv")]) == 0
        found = [float(line) for line in capsys.readouterr().out.split()[1:]]
        np.testing.assert_allclose(found, model.predict(X), rtol=1e-5)
    net = mg.load(tmp_path / "fast")
    with pytest.raises(ValueError, match="table_to_c: loss 'poisson' has outputs"):
        mg.convert.table_to_c(net, model.schema_, tmp_path / "m.h")
    quantiles = TabularRegressor("fast", loss="quantile", epochs=1).fit(X, counts)
    with pytest.raises(ValueError, match="save: loss 'quantile' has several outputs"):
        quantiles.save(tmp_path / "q")


def test_one_file_holds_the_network_and_the_schema(tmp_path):
    pytest.importorskip("safetensors")
    columns = table()
    model = TabularRegressor("fast", random_state=0).fit(columns, answer(columns))
    model.save(tmp_path / "model.safetensors")
    net = mg.load(tmp_path / "model.safetensors")
    schema = mg.tabular.Schema.from_dict(net.metadata["schema"])
    other = shuffled(columns, np.arange(ROWS))
    target = schema.targets[0]
    found = target.centre + target.scale * net.predict(schema.transform(other))[:, 0]
    np.testing.assert_allclose(
        np.clip(found, target.least, target.most), model.predict(other), rtol=1e-6
    )
