"""ONNX files: what onnxruntime and the reference evaluator compute from them."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from support.every_network import (
    assert_close,
    batch,
    every_kind,
    filled,
    float32_loses,
    networks,
    probabilities,
)

import micrograd as mg

onnx = pytest.importorskip("onnx")


def run(path, X, output=None, tolerance=1e-5):
    """What both make of X, having checked that they agree."""
    from onnx.reference import ReferenceEvaluator

    onnx.checker.check_model(os.fspath(path), full_check=True)
    wanted = None if output is None else [output]
    (reference,) = ReferenceEvaluator(os.fspath(path)).run(wanted, {"X": X})
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    (out,) = session.run(wanted, {"X": X})
    assert out.dtype == reference.dtype == X.dtype
    assert_close(out, reference, tolerance)
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 5, 64])
def test_every_kind(dtype, rows, tmp_path):
    net = every_kind(dtype)
    X, path = batch(net, rows), tmp_path / "net.onnx"
    mg.convert.to_onnx(net, path)
    assert_close(run(path, X, "logits"), net.predict(X), {"float32": 5e-6, "float64": 1e-6}[dtype])


def test_float64_keeps_its_digits_but_in_gelu(tmp_path):
    net = filled(mg.Linear(5, 9), mg.LeakyReLU(0.1), mg.Linear(9, 9), mg.Tanh(), mg.Linear(9, 3),
                 mg.Sigmoid(), mg.Softmax(), loss="mse", dtype="float64")  # fmt: skip
    mg.convert.to_onnx(net, tmp_path / "net.onnx")
    X = batch(net, 20)
    assert_close(run(tmp_path / "net.onnx", X, "output"), net.predict(X), 1e-14)


@settings(deadline=None, max_examples=40)
@given(networks())
def test_random_networks(tmp_path_factory, net):
    path = tmp_path_factory.getbasetemp() / "random.onnx"
    mg.convert.to_onnx(net, path)
    X = batch(net, 7)
    tolerance = max(1e-5, 8 * float32_loses(net, X))
    assert_close(run(path, X, tolerance=tolerance), net.predict(X), tolerance)


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_probabilities(loss, tmp_path):
    net = every_kind(loss=loss)
    mg.convert.to_onnx(net, tmp_path / "net.onnx", probabilities=True)
    X = batch(net, 10)
    got = run(tmp_path / "net.onnx", X, "probabilities")
    assert_close(got, probabilities(net, net.predict(X)), 1e-6)


def test_what_the_file_says(tmp_path):
    net = every_kind()
    mg.convert.to_onnx(net, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    assert (model.producer_name, model.doc_string) == ("micrograd", repr(net))
    assert [x.version for x in model.opset_import] == [17]
    for value, name, columns in (
        (model.graph.input[0], "X", 5),
        (model.graph.output[0], "logits", 3),
    ):
        rows, features = value.type.tensor_type.shape.dim
        assert (value.name, rows.dim_param, features.dim_value) == (name, "batch", columns)
    stored = {x.name: onnx.numpy_helper.to_array(x) for x in model.graph.initializer}
    for p in net.parameters()[:-1]:  # the last, a Map's slope, is a number like others
        assert np.array_equal(stored[p.name], p.data)


def test_errors_leave_no_file(tmp_path, monkeypatch):
    net = every_kind(loss="mse")
    path = tmp_path / "net.onnx"
    with pytest.raises(ValueError, match="loss 'mse' has none"):
        mg.convert.to_onnx(net, path, probabilities=True)
    net.parameters()[1].data[2] = np.nan
    with pytest.raises(ValueError, match=r"1\.bias\[2\] is nan, which is no finite float32"):
        mg.convert.to_onnx(net, path)
    with pytest.raises(TypeError, match="is no Network"):
        mg.convert.to_onnx(mg.Linear(2, 3), path)
    assert not any(tmp_path.iterdir())
    with pytest.raises(IsADirectoryError):
        mg.convert.to_onnx(every_kind(), tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mg.convert.to_onnx(every_kind(), tmp_path / "nowhere" / "net.onnx")

    def broken(descriptor):
        raise OSError("disk full")

    path.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        mg.convert.to_onnx(every_kind(), path)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_more_than_protobuf_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("micrograd.convert.onnx.file.LARGEST", 1000)
    with pytest.raises(ValueError, match=r"\d+ bytes of parameters, .* at most 2 GiB"):
        mg.convert.to_onnx(every_kind(), tmp_path / "net.onnx")
