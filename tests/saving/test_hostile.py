"""Model files that are damaged, foreign or hostile: refused by name, or read as what they are."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.saved import X, trained

import micrograd as mg

safetensors = pytest.importorskip("safetensors")
from safetensors.numpy import load_file, save_file  # noqa: E402


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def saved(path):
    trained().save(path)
    return path


def refused(path, *words):
    """load raises a ValueError of one line that names the file."""
    with pytest.raises(ValueError) as caught:
        mg.load(path)
    message = str(caught.value)
    assert message.startswith(f"load: {path}: ") and "\n" not in message
    for word in words:
        assert word in message, message
    return message


def rewrite(path, change_text=None, change_tensors=None):
    """The file with another description or other tensors."""
    with safetensors.safe_open(path, framework="np") as file:
        text = json.loads(file.metadata()["micrograd"])
    tensors = load_file(path)
    if change_text:
        changed = change_text(text)
        text = text if changed is None else changed
    if change_tensors:
        change_tensors(tensors)
    text = text if isinstance(text, str) else json.dumps(text)
    save_file(tensors, path, metadata={"micrograd": text})


def set_at(place, value):
    def change(text):
        *way, last = place
        for key in way:
            text = text[key]
        text[last] = value

    return change


DEEP = '{"version": 1, "dtype": "float32", "layers": [' + '{"kind": "Residual", "layers": [' * 9000


@pytest.mark.parametrize(
    "change, words",
    [
        (set_at(["version"], 2), ["version 2"]),
        (set_at(["version"], None), ["version"]),
        (set_at(["dtype"], "float16"), ["dtype", "float16"]),
        (set_at(["dtype"], "float64"), ["F32", "F64"]),
        (set_at(["dtype"], []), ["dtype"]),
        (set_at(["loss"], "exec"), ["loss", "exec"]),
        (set_at(["loss"], None), ["loss"]),
        (set_at(["loss"], []), ["loss"]),
        (set_at(["seed"], -1), ["seed"]),
        (set_at(["seed"], "x"), ["seed"]),
        (set_at(["layers"], 5), ["layers"]),
        (set_at(["layers"], []), ["0.bias"]),
        (set_at(["layers"], [[]]), ["kind"]),
        (set_at(["layers", 0, "kind"], "system"), ["system"]),
        (set_at(["layers", 0, "kind"], "Layer"), ["Layer"]),
        (set_at(["layers", 1, "kind"], "Activation"), ["Activation"]),
        (set_at(["layers", 0, "kind"], ["Linear"]), ["kind"]),
        (set_at(["layers", 0, "extra"], 1), ["extra"]),
        (set_at(["layers", 0, "in_features"], 2**31 - 1), ["0.weight", "2147483647"]),
        (set_at(["layers", 0, "in_features"], 10**400), ["in_features"]),
        (set_at(["layers", 0, "in_features"], 4.0), ["in_features"]),
        (set_at(["layers", 0, "in_features"], {"kind": "ReLU"}), ["in_features"]),
        (set_at(["layers", 0, "out_features"], 0), ["out_features"]),
        (set_at(["layers", 1, "negative_slope"], "x"), ["negative_slope"]),
        (set_at(["layers", 1, "layers"], [1]), [""]),
        (set_at(["layers", 3], {"kind": "Linear", "in_features": 5, "out_features": 5}),
         ["3.weight", "missing"]),
        (lambda t: t["layers"].pop(2) and None, ["3.weight"]),
        (lambda t: t["layers"].append({"kind": "Highway", "layers": [dict(t["layers"][4])]}), [""]),
        (lambda t: t["layers"].extend([{"kind": "Linear", "in_features": 3, "out_features": 10**9},
                                       {"kind": "Linear", "in_features": 10**9,
                                        "out_features": 10**9}]), ["6.weight"]),
        (set_at(["metadata"], 3), ["metadata"]),
        (set_at(["optimizer"], 3), ["optimizer"]),
        (set_at(["optimizer", "kind"], {}), ["optimizer"]),
        (set_at(["optimizer", "momentum"], -1), ["momentum"]),
        (set_at(["optimizer", "momentum"], 0), ["velocity"]),
        (set_at(["optimizer", "lr"], {"kind": "system"}), ["system"]),
        (set_at(["optimizer", "params"], []), ["params"]),
        (set_at(["optimizer_state"], []), ["optimizer_state"]),
        (set_at(["optimizer_state", "steps"], "x"), [""]),
        (lambda t: t["optimizer_state"].clear(), ["steps"]),
        (set_at(["training"], {"epoch": -1}), ["epoch"]),
        (set_at(["training"], {"epoch": 1, "history": {"loss": 3}}), ["history"]),
        (set_at(["training"], {"epoch": 1, "history": {"loss": [1, 2]}}), ["history"]),
        (set_at(["training"], {"epoch": 1, "history": {"loss": [[]]}}), ["history"]),
        (set_at(["training"], {"rng": {"bit_generator": "MT19937"}}), [""]),
        (set_at(["training"], {"rng": {"bit_generator": "PCG64", "state": {"state": -1, "inc": 2},
                                       "has_uint32": 0, "uinteger": 0}}), [""]),
        (set_at(["training"], {"a": 1}), ["'a'"]),
        (set_at(["step"], -1), ["step"]),
        (set_at(["checkpoint"], 3), ["checkpoint"]),
        (set_at(["checkpoint"], {}), [""]),
        (set_at(["checkpoint"], {"name": "binomial", "slots": -1}), ["slots"]),
        (set_at(["checkpoint"], {"name": "budget", "bytes": -1}), [""]),
        (lambda t: "[]", ["description"]),
        (lambda t: "no json", [""]),
        (lambda t: "", [""]),
        (lambda t: DEEP, [""]),
        (lambda t: DEEP + "]}" * 9000 + "]}", [""]),
        (lambda t: "[" * 10**6, [""]),
        (lambda t: '{"version": 1' + "0" * 5000 + "}", [""]),
    ],
)  # fmt: skip
def test_a_hostile_description(saved, change, words):
    rewrite(saved, change)
    refused(saved, *words)


def put(name, value):
    return lambda tensors: tensors.__setitem__(name, value)


@pytest.mark.parametrize(
    "change, words",
    [
        (put("0.weight", np.full((6, 4), np.nan, "f")), ["0.weight[0, 0] is nan"]),
        (put("4.bias", np.array([0, np.inf, 0], "f")), ["4.bias[1] is inf"]),
        (put("optimizer.velocity", np.full(78, np.nan, "f")), ["optimizer.velocity[0] is nan"]),
        (put("optimizer.velocity", np.zeros(77, "f")), ["optimizer.velocity", "(77,)"]),
        (put("optimizer.velocity", np.zeros(78, "d")), ["optimizer.velocity", "F64"]),
        (put("optimizer.other", np.zeros(78, "f")), ["other"]),
        (put("training.best", np.zeros(3, "f")), ["training.best", "(3,)"]),
        (put("0.weight", np.zeros((4, 6), "f")), ["0.weight", "(4, 6)"]),
        (put("0.weight", np.zeros((6, 4), "d")), ["0.weight", "F64"]),
        (put("0.weight", np.zeros((6, 4), "i4")), ["0.weight", "I32"]),
        (put("9.weight", np.zeros((6, 4), "f")), ["9.weight"]),
        (lambda tensors: tensors.pop("0.bias"), ["0.bias", "missing"]),
        (lambda tensors: tensors.pop("optimizer.velocity"), ["velocity"]),
        (lambda tensors: tensors.clear(), ["missing"]),
    ],
)
def test_tensors_that_do_not_fit(saved, change, words):
    rewrite(saved, change_tensors=change)
    refused(saved, *words)


def with_header(header, data=b"\0" * 64, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(shape, first, last, dtype="F32"):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        b"\0" * 100,
        b"\xff" * 100,
        b"PK\x03\x04" + b"a" * 100,
        b"\x80\x04\x95" + b"a" * 100,  # a pickle
        with_header({}, length=2**63),
        with_header({}, length=10**9),
        with_header({}, length=0),
        with_header(b"[" * 10**5, b""),
        with_header(b"{" + b'"a":{' * 10**5, b""),
        with_header({"__metadata__": {"micrograd": 3}}),
        with_header({"__metadata__": []}),
        with_header(entry([16], 0, 64)),  # sound, but not ours
        with_header(entry([2**62, 2**62], 0, 64)),
        with_header(entry([2**40], 0, 2**42)),
        with_header(entry([16], 64, 0)),
        with_header(entry([-16], 0, 64)),
        with_header(entry([16], -64, 0)),
        with_header(entry([16.5], 0, 64)),
        with_header(entry([2], 0, 64, "F1024")),
        with_header(entry([8], 0, 32)),  # half of the data belong to nobody
    ],
)
def test_a_foreign_file(path, content):
    path.write_bytes(content)
    refused(path)


def test_no_file(tmp_path, path):
    with pytest.raises(FileNotFoundError):
        mg.load(path)
    refused(tmp_path, "no regular file")
    if os.path.exists("/dev/zero"):
        with pytest.raises(ValueError, match=r"/dev/zero"):
            mg.load("/dev/zero")


def test_truncated_anywhere(saved):
    whole = saved.read_bytes()
    for length in range(0, len(whole), 7):
        saved.write_bytes(whole[:length])
        refused(saved)
    saved.write_bytes(whole + b"\0")
    refused(saved)


@pytest.mark.thread_unsafe(reason="threads of one test would write one file")
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1,
                max_size=4))  # fmt: skip
def test_flipped_bytes(tmp_path_factory, flips):
    """Refused with the one error, or read as a network that works."""
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    if not hasattr(test_flipped_bytes, "whole"):
        trained().save(path)
        test_flipped_bytes.whole = path.read_bytes()
    data = bytearray(test_flipped_bytes.whole)
    for place, bits in flips:
        data[int(place * len(data))] ^= bits
    path.write_bytes(data)
    try:
        net = mg.load(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert np.isfinite(net.predict(X)[:, 0]).all() or np.abs(net.parameters().flat).max() > 1e30


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="it takes address space")
def test_a_lie_about_sizes_takes_no_memory(path):
    """Highway's gate of a million squared, which no tensor in the file confirms: 4 TB."""
    n = 10**6
    text = {
        "version": 1, "dtype": "float32", "loss": "mse", "seed": 0,
        "layers": [
            {"kind": "Linear", "in_features": 1, "out_features": n, "bias": False},
            {"kind": "Highway", "layers": [
                {"kind": "Linear", "in_features": n, "out_features": 1, "bias": False},
                {"kind": "Linear", "in_features": 1, "out_features": n, "bias": False}]},
        ],
    }  # fmt: skip
    shapes = {"0.weight": (n, 1), "1.0.weight": (1, n), "1.1.weight": (n, 1)}
    shapes |= {"1.gate.weight": (1, 1), "1.gate.bias": (n,)}
    save_file({name: np.zeros(shape, "f") for name, shape in shapes.items()}, path,
              metadata={"micrograd": json.dumps(text)})  # fmt: skip
    code = (
        "import resource, micrograd as mg\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n"
        f"try: mg.load({str(path)!r})\n"
        "except ValueError as error: print(error)\n"
        "status = open('/proc/self/status').read()\n"  # ru_maxrss has the peak of pytest in it
        "print(status.partition('VmHWM:')[2].split()[0])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message, peak = run.stdout.splitlines()
    assert "1.gate.weight" in message and str(n) in message
    assert 10_000 < int(peak) < 150_000  # KB: Python and numpy themselves
