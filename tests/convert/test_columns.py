"""Layers that work column by column, as onnxruntime and a C compiler read them."""

import shutil
import subprocess

import numpy as np
import pytest

import micrograd as mg

RNG = np.random.default_rng(0)
LAYERS = [
    mg.Scale(4),
    mg.Parametric(mg.SELU(), 4),
    mg.Parametric(mg.Mish(), 4),
    mg.Parametric(mg.LeakyReLU(0.3), 4),
    mg.Periodic(4, numbers=3, frequencies=5, width=2, sigma=0.7),
    mg.Periodic(4, sigma=1.0),
    mg.PiecewiseLinear(((-1.0, -0.2, 0.1, 1.0), (-2.0, 0.0, 0.5, 0.75)), in_features=4),
    mg.Embedding((5, 3), (4, 2), in_features=4),
]


def network(layer, dtype="float32"):
    linear = mg.Linear(layer.gives(4), 3)
    net = mg.Network(layer, linear, mg.Tanh(), mg.Linear(3, 2), loss="mse", dtype=dtype, seed=0)
    net.parameters().flat[...] += 0.1 * np.random.default_rng(1).normal(size=net.parameters().size)
    return net


def inputs():
    X = RNG.normal(size=(20, 4))
    X[:, 2], X[:, 3] = RNG.integers(-1, 6, 20), RNG.integers(0, 3, 20)
    return X.astype(np.float32)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_onnx(tmp_path, layer, dtype):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    net, X = network(layer, dtype), inputs()
    mg.convert.to_onnx(net, tmp_path / "net.onnx")
    session = runtime.InferenceSession(
        str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {"X": X.astype(dtype)})[0]
    np.testing.assert_allclose(found, net.predict(X), atol=1e-5)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_c(tmp_path, layer):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    net, path = network(layer), tmp_path / "net.h"
    mg.convert.to_c(net, path, X=inputs())
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-DPREDICT_MAIN"]
    program = str(tmp_path / "net")
    subprocess.run(["cc", *flags, "-x", "c", str(path), "-o", program, "-lm"], check=True)
    subprocess.run([program], check=True)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize(("dtype", "atol"), [("float32", 1e-5), ("float64", 1e-10)])
def test_to_pytorch_and_back(layer, dtype, atol):
    torch = pytest.importorskip("torch")
    net, X = network(layer, dtype), inputs().astype(dtype)
    module = mg.convert.to_torch(net)
    assert list(module.state_dict()) == [p.name for p in net.parameters()]
    with torch.no_grad():
        found = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, net.predict(X), atol=atol)
    back = mg.convert.from_torch(module, loss="mse")
    assert back.layers == net.layers
    assert np.array_equal(back.predict(X), net.predict(X))


def test_a_code_that_is_no_category_is_zeros_in_pytorch():
    torch = pytest.importorskip("torch")
    net = mg.Network(mg.Embedding((3,), 2), mg.Linear(2, 1, bias=False), loss="mse", seed=0)
    codes = np.float32([[-1], [3], [1.5], [2]])
    found = mg.convert.to_torch(net)(torch.from_numpy(codes)).detach().numpy()
    assert (found[:3] == 0).all() and found[3] != 0
    np.testing.assert_allclose(found, net.predict(codes), atol=1e-6)
