"""What an estimator saves says the same on the command line as in Python."""

import io

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("sklearn")
pytest.importorskip("safetensors")

import pandas

import micrograd as mg
from micrograd.cli.main import main
from micrograd.sklearn import TabularClassifier, TabularRegressor

RNG = np.random.default_rng(0)
TABLE = pandas.DataFrame(RNG.normal(size=(200, 2)).round(3), columns=["a", "b"])
Y = 2 * TABLE["a"] + TABLE["b"]
MODELS = {
    "squared": (TabularRegressor("fast", random_state=0, epochs=20), Y),
    "absolute": (TabularRegressor("fast", loss="absolute_error", random_state=0, epochs=3), Y),
    "poisson": (TabularRegressor("fast", loss="poisson", random_state=0, epochs=3), Y.abs()),
    "two": (TabularRegressor("fast", random_state=0, epochs=20), np.c_[Y, -Y]),
    "several": (TabularRegressor("best", random_state=0, epochs=2), Y),
    "classes": (TabularClassifier("fast", random_state=0, epochs=3), np.where(Y > 0, "up", "down")),
}


@pytest.fixture(params=MODELS)
def saved(request, tmp_path):
    """A fitted estimator, its file, a table with rows far from those in training, its file."""
    model, y = MODELS[request.param]
    model.fit(TABLE, y).save(tmp_path / "model.safetensors")
    far = pandas.concat([TABLE, 20 * TABLE], ignore_index=True)
    far.to_csv(tmp_path / "far.csv", index=False)
    return model, str(tmp_path / "model.safetensors"), far, str(tmp_path / "far.csv")


def test_predict_has_the_answers_of_the_estimator(saved, capsys):
    """Of rows that are far from those in training, the estimator alone held them to the range."""
    model, path, far, source = saved
    assert main(["predict", path, source]) == 0
    found = pandas.read_csv(io.StringIO(capsys.readouterr().out))
    want = model.predict(far)
    if isinstance(model, TabularClassifier):
        assert found["y"].tolist() == want.tolist()
        return
    shown = found.to_numpy().reshape(want.shape)
    np.testing.assert_allclose(shown, want, rtol=1e-6, atol=1e-6)


def test_so_has_the_onnx_file(saved, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model, path, far, _ = saved
    if model.get_params().get("loss") == "poisson":
        pytest.skip("its outputs are no quantities of one scale, and export says so")
    assert main(["export", path, "--onnx", str(tmp_path / "model.onnx")]) == 0
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    found = session.run(None, {name: far[[name]].to_numpy(np.float64) for name in far})[-1]
    classes = isinstance(model, TabularClassifier)
    want = model.predict_proba(far) if classes else model.predict(far).reshape(found.shape)
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=2e-5)


def test_the_header_is_the_one_of_the_estimator(tmp_path):
    for name in ("squared", "absolute"):
        model, y = MODELS[name]
        model.fit(TABLE, y).save(tmp_path / "model.safetensors")
        assert (
            main(["export", str(tmp_path / "model.safetensors"), "--c", str(tmp_path / "m.h")]) == 0
        )
        mg.convert.to_c(model, tmp_path / "own.h", prefix="m_")
        assert (tmp_path / "m.h").read_text() == (tmp_path / "own.h").read_text()


def test_a_layer_without_a_form_is_one_line(tmp_path, capsys):
    """It was a traceback."""
    model, y = MODELS["squared"]
    path, source, header = (str(tmp_path / name) for name in ("m.safetensors", "t.csv", "m.h"))
    model.fit(TABLE, y).save(path)
    TABLE.to_csv(source, index=False)
    assert main(["export", path, "--c", header, "--int8", "--data", source]) == 1
    assert "Periodic(2, 8) has no form in 8-bit integers; " in capsys.readouterr().err
