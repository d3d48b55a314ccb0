"""Estimators and Pipelines, what their classes are called, and columns far from zero."""

import json
import subprocess

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network as original
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from support.c_compiler import COMPILER, compile_c

import micrograd as mg
from micrograd.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)) * [1, 20, 0.1] + [0, 5, -2]
SUM = X[:, 0] + X[:, 1] / 20 + 10 * X[:, 2]
Y = {
    "binary": np.array(["no", "yes"])[(SUM > -20).astype(int)],
    "classes": np.array(['a "b"\\', "été??=", "*/ @GUARD"])[np.digitize(SUM, [-21, -19])],
    "number": SUM,
    "numbers": np.stack([SUM, -X[:, 0]], axis=1),
    "counts": np.round(np.exp(X[:, 0] / 2)),
}
SMALL = {"hidden_layer_sizes": (8, 5), "max_iter": 30, "random_state": 0}


def fitted(what, scaler=None, library=None):
    if what in ("binary", "classes"):
        kind = MLPClassifier if library is None else library.MLPClassifier
    else:
        kind = MLPRegressor if library is None else library.MLPRegressor
    loss = {"loss": "poisson"} if what == "counts" else {}
    model = kind(**SMALL, **loss)
    model = model if scaler is None else make_pipeline(scaler, model)
    return model.fit(X, Y[what])


def wanted(model, what):
    return model.predict_proba(X) if what in ("binary", "classes") else model.predict(X)


def compiled(header, rows, function="predict", kind="float"):
    if COMPILER is None:
        pytest.skip("no C compiler")
    guard = header.stem.upper() + "_PREDICT"
    source = header.with_suffix(".c")
    source.write_text(
        f'#include <stdio.h>\n#include "{header.name}"\n'
        f"int main(void) {{ {kind} x[{guard}_INPUTS], y[{guard}_OUTPUTS];\n"
        f"while (fread(x, sizeof x, 1, stdin) == 1) {{ {header.stem}_{function}(x, y);\n"
        "fwrite(y, sizeof y, 1, stdout); } return 0; }\n"
    )
    dtype = {"float": np.float32, "double": np.float64}[kind]
    done = subprocess.run(
        [compile_c(source)], input=rows.astype(dtype).tobytes(), capture_output=True, check=True
    )
    return np.frombuffer(done.stdout, dtype).reshape(len(rows), -1)


@pytest.mark.parametrize("what", Y)
@pytest.mark.parametrize("scaler", [None, StandardScaler(), MinMaxScaler((-1, 2))], ids=str)
def test_c_gives_what_the_estimator_gives(what, scaler, tmp_path):
    model, header = fitted(what, scaler), tmp_path / "net.h"
    classes = what in ("binary", "classes")
    report = mg.convert.to_c(model, header, prefix="net_", probabilities=classes)
    assert report.function == "net_predict"
    want = wanted(model, what).reshape(len(X), -1)
    assert np.abs(compiled(header, X) - want).max() < 1e-4 * max(1, np.abs(want).max())
    program = compile_c(header, "-DNET_PREDICT_MAIN")
    assert subprocess.run([program], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("what", Y)
@pytest.mark.parametrize("scaler", [None, RobustScaler(), MaxAbsScaler()], ids=str)
def test_onnx_gives_what_the_estimator_gives(what, scaler, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    model, path = fitted(what, scaler), tmp_path / "net.onnx"
    classes = what in ("binary", "classes")
    mg.convert.to_onnx(model, path, probabilities=classes)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    kind = {"tensor(float)": np.float32, "tensor(double)": np.float64}[session.get_inputs()[0].type]
    (found,) = session.run(None, {"X": X.astype(kind)})
    want = wanted(model, what).reshape(len(X), -1)
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)
    told = session.get_modelmeta().custom_metadata_map
    if classes:
        assert json.loads(told["classes"]) == sorted(set(Y[what]))


@pytest.mark.parametrize("library", [None, original], ids=["ours", "theirs"])
def test_from_sklearn_takes_both_libraries_and_pipelines(library):
    for what in ("binary", "number"):
        for scaler in (None, StandardScaler()):
            model = fitted(what, scaler, library)
            net = mg.convert.from_sklearn(model)
            z = net.predict(X)
            if what == "binary":
                z = 1 / (1 + np.exp(-z))
                np.testing.assert_allclose(z[:, 0], model.predict_proba(X)[:, 1], atol=1e-5)
            else:
                np.testing.assert_allclose(z[:, 0], model.predict(X), atol=1e-3)
    ours = fitted("number")
    net = mg.convert.from_sklearn(ours)
    net.parameters().flat[...] = 0  # a copy
    assert np.abs(ours.predict(X)).max() > 0


def test_class_names_are_in_the_header_as_they_are(tmp_path):
    for what in ("binary", "classes"):
        model, header = fitted(what), tmp_path / f"{what}.h"
        mg.convert.to_c(model, header, prefix=f"{what}_")
        source = tmp_path / "names.c"
        source.write_text(
            f'#include <stdio.h>\n#include "{header.name}"\nint main(void) {{\n'
            f"for (size_t i = 0; i < {len(model.classes_)}; i++)\n"
            f"    puts({what}_predict_class(i));\nreturn 0; }}\n"
        )
        done = subprocess.run([compile_c(source)], capture_output=True, check=True)
        assert done.stdout.decode().splitlines() == list(model.classes_)


def test_a_saved_network_keeps_classes_and_feature_names(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("safetensors")
    frame = pd.DataFrame(X, columns=["length", "width", "mass"])
    model = MLPClassifier(**SMALL).fit(frame, Y["classes"])
    model.network_.save(tmp_path / "m.safetensors")
    net = mg.load(tmp_path / "m.safetensors")
    schema = mg.tabular.Schema.from_dict(net.metadata["schema"])
    assert [c.name for c in schema.features] == ["length", "width", "mass"]
    assert schema.targets[0].classes == sorted(set(Y["classes"]))
    header = tmp_path / "m.h"
    mg.convert.to_c(net, header)
    assert "predict_class(size_t i)" in header.read_text()


def test_columns_far_from_zero_are_centred_before_they_are_multiplied(tmp_path):
    seconds = 1.7e9 + 3600 * RNG.uniform(0, 2000, size=(300, 1))
    y = np.sin((seconds[:, 0] - 1.7e9) / 2e6)
    pipe = make_pipeline(StandardScaler(), MLPRegressor(solver="lbfgs", **SMALL)).fit(seconds, y)
    want, header = pipe.predict(seconds), tmp_path / "net.h"
    mg.convert.to_c(pipe, header, prefix="net_", X=seconds)
    exact = compiled(header, seconds, "predict_row", "double")[:, 0]
    assert np.abs(exact - want).max() < 1e-5 * np.ptp(want)
    single = compiled(header, seconds)[:, 0]  # 1.7e9 in float is off by up to 64 seconds
    assert np.abs(single - want).max() < 1e-3 * np.ptp(want)
    minutes = 1.7e9 + 60 * RNG.uniform(0, 60, size=(300, 1))
    near = make_pipeline(StandardScaler(), MLPRegressor(solver="lbfgs", **SMALL)).fit(minutes, y)
    with pytest.warns(UserWarning, match="far from zero; call net_predict_row, which takes double"):
        mg.convert.to_c(near, header, prefix="net_", X=minutes)
    with pytest.raises(ValueError, match=r"so far from zero .* pass pipeline\[-1\]"):
        mg.convert.from_sklearn(near.set_params(mlpregressor__dtype="float32").fit(minutes, y))
    net = mg.Network(mg.Linear(1, 1), dtype="float64", loss="mse", seed=0)
    with pytest.warns(UserWarning, match="to_c: in float, which C computes in, .* subtract an off"):
        mg.convert.to_c(net, header, X=1.7e9 + np.arange(0, 1000, 50.0)[:, None])


@pytest.mark.parametrize("function", ["to_c", "to_onnx", "from_sklearn"])
def test_what_cannot_be_taken_is_named(function, tmp_path):
    if function == "to_onnx":
        pytest.importorskip("onnx")
    call = getattr(mg.convert, function)
    more = () if function == "from_sklearn" else (tmp_path / "file",)
    with pytest.raises(ValueError, match=rf"^{function}: this MLPClassifier is not fitted"):
        call(MLPClassifier(), *more)
    with pytest.raises(
        TypeError, match=rf"^{function}: step 'pca' of the Pipeline.*pipeline\[-1\]"
    ):
        call(make_pipeline(PCA(), MLPRegressor(**SMALL)).fit(X, SUM), *more)
    with pytest.raises(TypeError, match=rf"^{function}: .*MinMaxScaler.* is none of"):
        call(make_pipeline(MinMaxScaler(clip=True), MLPRegressor(**SMALL)).fit(X, SUM), *more)
    with pytest.raises(TypeError, match=rf"^{function}: PCA\(\) is no Network|^{function}: .*PCA"):
        call(PCA(), *more)
    assert not any(tmp_path.iterdir())
