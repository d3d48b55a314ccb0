"""C99 headers: compiled with all warnings as errors, run, and compared with predict."""

import platform
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from support.c_compiler import COMPILER, compile_c
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

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")

READS_AND_WRITES = """
#include <stdio.h>
#include "%(name)s.h"
int main(void)
{
    float x[%(guard)s_INPUTS], y[%(guard)s_OUTPUTS];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        %(function)s(x, y);
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
"""


def run(header, X, prefix="", *options):
    """The outputs of the compiled function for each row."""
    function = f"{prefix}predict"
    source = header.with_suffix(".c")
    names = {"name": header.stem, "guard": function.upper(), "function": function}
    source.write_text(READS_AND_WRITES % names)
    program = compile_c(source, *options)
    done = subprocess.run([program], input=X.astype(np.float32).tobytes(), capture_output=True)
    return np.frombuffer(done.stdout, np.float32).reshape(len(X), -1)


def self_test(header, prefix=""):
    program = compile_c(header, f"-D{prefix.upper()}PREDICT_MAIN")
    return subprocess.run([program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kind(dtype, tmp_path):
    net, header = every_kind(dtype), tmp_path / "net.h"
    X = batch(net, 100)
    report = mg.convert.to_c(net, header)
    assert_close(run(header, X), net.predict(X))
    done = self_test(header)
    assert done.returncode == 0
    assert done.stdout.startswith("predict: 0 of 8 stored rows differ")
    assert report.parameter_bytes == 4 * (net.parameters().size - 1)  # the slope is in the code


@pytest.mark.parametrize("inputs", [7, 8, 64])
@pytest.mark.parametrize("outputs", [3, 4, 10, 64])
@pytest.mark.parametrize("level", ["-O1", "-O2", "-O3", "-Os"])
def test_no_size_makes_the_compiler_warn(inputs, outputs, level, tmp_path):
    net = filled(mg.Linear(inputs, outputs), mg.GELU(), mg.Linear(outputs, 10))
    header = tmp_path / "net.h"
    mg.convert.to_c(net, header)
    program = compile_c(header, "-DPREDICT_MAIN", level)
    assert subprocess.run([program], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("compiler", [c for c in ("gcc", "clang") if shutil.which(c)])
def test_the_copy_for_wide_vectors_gives_the_same_bits(compiler, tmp_path, monkeypatch):
    """Where products and sums could become FMAs, as in GNU C, too."""
    monkeypatch.setattr("support.c_compiler.COMPILER", compiler)
    net = filled(mg.Linear(13, 64), mg.ReLU(), mg.Linear(64, 21), mg.Tanh(), mg.Linear(21, 3))
    header, X = tmp_path / "net.h", batch(net, 40)
    mg.convert.to_c(net, header)
    found = [
        run(header, X, "", "-std=gnu99", level, *option)
        for level in ("-O2", "-O3")
        for option in ([], ["-DPREDICT_ONE_COPY"])
    ]
    assert_close(found[0], net.predict(X))
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[2], found[3])
    assembly = tmp_path / "net.s"
    for option, expected in (("-O2", True), ("-DPREDICT_ONE_COPY", False), ("-Os", False)):
        source = header.with_suffix(".c")
        subprocess.run([compiler, "-O2", option, "-S", source, "-o", assembly], check=True)
        wide = "ymm" in assembly.read_text()
        assert wide == (expected and platform.machine() in ("x86_64", "AMD64"))


def test_values_take_turns_in_the_static_memory(tmp_path):
    layers = [mg.Linear(5, 11), mg.GELU(), *[mg.Linear(11, 11), mg.Softmax()] * 9]
    report = mg.convert.to_c(filled(*layers), tmp_path / "net.h")
    assert report.scratch_bytes == 4 * (11 + 11)
    block = mg.Residual(mg.Linear(11, 11), mg.ReLU(), mg.Linear(11, 11))
    report = mg.convert.to_c(filled(mg.Linear(5, 11), *[block] * 9), tmp_path / "net.h")
    assert report.scratch_bytes == 4 * (11 + 11 + 11)  # x is kept for the sum


def test_the_self_test_finds_a_wrong_weight(tmp_path):
    header = tmp_path / "net.h"
    mg.convert.to_c(every_kind(), header)
    text = header.read_text()
    start = text.index("predict_1_bias[11] PREDICT_FLASH = {\n    ") + len(
        "predict_1_bias[11] PREDICT_FLASH = {\n    "
    )
    header.write_text(text[:start] + "9.0f + " + text[start:])
    done = self_test(header)
    assert done.returncode == 1
    assert "predict: 8 of 8 stored rows differ" in done.stdout


@settings(deadline=None, max_examples=15)
@given(networks())
def test_random_networks(tmp_path_factory, net):
    header = tmp_path_factory.getbasetemp() / "random.h"
    X = batch(net, 7)
    mg.convert.to_c(net, header, X=X)
    assert_close(run(header, X), net.predict(X), max(1e-5, 8 * float32_loses(net, X)))
    assert self_test(header).returncode == 0


def test_the_self_test_allows_what_float32_loses(tmp_path):
    """10 000 (x + 1e4) - 1e8 has no digit right in float32, in whatever order it is summed."""
    net, header = filled(mg.Linear(1, 9), mg.Linear(9, 1), loss="mse"), tmp_path / "net.h"
    for p, value in zip(net.parameters(), (1.0, 1e4, 1e4 / 9, -1e8), strict=True):
        p.data[...] = value
    net.parameters()[0].data[...] += np.linspace(0, 0.1, 9)[:, None]
    with pytest.warns(UserWarning, match="to_c: in float, .* subtract an offset"):
        mg.convert.to_c(net, header)
    done = self_test(header)
    assert done.returncode == 0
    assert float(done.stdout.split(", ")[-1].split()[0]) > 1e-5


def test_infinities_and_nan_are_what_they_are(tmp_path):
    net, header = filled(mg.Linear(1, 1), mg.Map(lambda x: x.log()), loss="mse"), tmp_path / "net.h"
    net.parameters().flat[...] = 1, 0
    X = np.array([[-1.0], [0], [1]])
    with np.errstate(all="ignore"):
        mg.convert.to_c(net, header, X=X)
        expected = net.predict(X)
    assert np.array_equal(run(header, X), expected, equal_nan=True)
    assert self_test(header).returncode == 0


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_probabilities(loss, tmp_path):
    net, header = every_kind(loss=loss), tmp_path / "net.h"
    mg.convert.to_c(net, header, probabilities=True)
    X = batch(net, 10)
    assert_close(run(header, X), probabilities(net, net.predict(X)), 1e-6)
    assert self_test(header).returncode == 0


def test_weights_are_stored_to_the_bit(tmp_path):
    net, header = filled(mg.Linear(1, 40, bias=False), loss="mse"), tmp_path / "net.h"
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 40, dtype=np.uint32).view(np.float32)
    bits[~np.isfinite(bits)] = 0
    bits[:6] = [1.4e-45, -1.1754942e-38, 3.4028235e38, -0.0, 16777216, 1e10]
    net.parameters().flat[...] = bits
    mg.convert.to_c(net, header)
    got = run(header, np.ones((1, 1)))[0]
    assert np.array_equal(got, bits)


def test_two_networks_in_one_program(tmp_path):
    first, second = every_kind(), filled(mg.Linear(5, 2), loss="mse", seed=3)
    mg.convert.to_c(first, tmp_path / "first.h", prefix="first_")
    mg.convert.to_c(second, tmp_path / "second.h", prefix="second_", quantize="int8-weights")
    source = tmp_path / "both.c"
    source.write_text(
        '#include "first.h"\n#include "second.h"\n#include <stdio.h>\n'
        "int main(void) { float x[5] = {1, 2, 3, 4, 5}, a[3], b[2], s[FIRST_PREDICT_SCRATCH];"
        "first_predict_with(x, a, s); second_predict(x, b);"
        'printf("%.9g %.9g %.9g %.9g %.9g", (double)a[0], (double)a[1], (double)a[2],'
        "(double)b[0], (double)b[1]); return 0; }"
    )
    done = subprocess.run([compile_c(source)], capture_output=True, text=True, check=True)
    got = np.array(done.stdout.split(), float)
    X = np.arange(1.0, 6)[None]
    assert got[:3] == pytest.approx(first.predict(X)[0], rel=1e-5, abs=1e-5)
    assert got[3:] == pytest.approx(second.predict(X)[0], rel=0.02, abs=0.02)


# ---- weights of 8 bits ----


def test_int8_loses_little_and_says_how_much(tmp_path):
    X, y = mg.data.digits()
    net = mg.Network(mg.Linear(64, 32), mg.ReLU(), mg.Linear(32, 10), seed=0)
    net.fit(X[:1200], y[:1200], epochs=5, seed=0, progress=False,
            optimizer=mg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9))  # fmt: skip
    X, y = X[1200:], y[1200:]
    plain = mg.convert.to_c(net, tmp_path / "plain.h")
    header = tmp_path / "net.h"
    report = mg.convert.to_c(net, header, quantize="int8-weights", X=X, y=y)
    # one byte a weight, a float for each output, and the biases
    assert plain.parameter_bytes == 4 * (64 * 32 + 32 + 32 * 10 + 10)
    assert report.parameter_bytes == (64 * 32 + 32 * 10) + 4 * (32 + 10) + 4 * (32 + 10)
    got, z = run(header, X), net.predict(X)
    assert report.loss.difference == pytest.approx(np.abs(got - z).max(), rel=1e-3)
    assert 0 < report.loss.difference < 0.02 * np.abs(z).max()
    assert report.loss.before == (z.argmax(axis=1) == y).mean()
    assert report.loss.after == (got.argmax(axis=1) == y).mean()
    assert report.loss.after > report.loss.before - 0.01 > 0.8
    done = self_test(header)
    assert done.returncode == 0
    assert str(report.loss) in done.stdout
    assert str(report.loss) in str(report)


def test_int8_by_hand(tmp_path):
    net, header = filled(mg.Linear(2, 3, bias=False), loss="mse"), tmp_path / "net.h"
    net.parameters().flat[...] = [1.27, -0.633, 0, 0, 1e-40, 2e-40]
    mg.convert.to_c(net, header, quantize="int8-weights")
    assert (
        "predict_0_weight[6] PREDICT_FLASH = {\n    127, -63, 0, 0, 0, 0\n}" in header.read_text()
    )
    assert run(header, np.ones((1, 2)))[0] == pytest.approx([0.64, 0, 0], rel=1e-6)


@pytest.mark.parametrize("loss", ["cross_entropy", "bce", "mse"])
def test_int8_of_every_kind_of_loss(loss, tmp_path):
    net, header = every_kind(loss=loss), tmp_path / "net.h"
    X = batch(net, 50)
    y = np.eye(3)[np.arange(50) % 3]
    report = mg.convert.to_c(net, header, quantize="int8-weights", X=X, y=y)
    z, got = net.predict(X), run(header, X)
    metric = {
        "cross_entropy": lambda z: (z.argmax(1) == y.argmax(1)).mean(),
        "bce": lambda z: ((z > 0) == y).mean(),
        "mse": lambda z: np.sqrt(np.square(z - y).mean()),
    }[loss]
    assert report.loss.before == pytest.approx(metric(z), rel=1e-6)
    assert report.loss.after == pytest.approx(metric(got), rel=1e-4)
    assert ("RMSE" if loss == "mse" else "accuracy") in str(report)
    assert self_test(header).returncode == 0


# ---- what it refuses ----


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"prefix": "3d"}, ValueError, "prefix is '3d', the start of a C identifier"),
        ({"prefix": "a b"}, ValueError, "prefix is 'a b'"),
        ({"quantize": "int4"}, ValueError, "quantize is 'int4'"),
        ({"X": np.zeros((3, 4))}, ValueError, "to_c: X has 4 features, the network takes 5"),
        ({"y": [1]}, ValueError, "y without X"),
        ({"X": np.zeros((2, 5)), "y": [0, 3]}, ValueError, "labels from 0 to 3, 0 to 2"),
        ({"X": np.zeros((2, 5)), "y": [0, 1, 2]}, ValueError, r"to_c: y has shape \(3,\)"),
        ({"X": np.full((2, 5), np.nan)}, ValueError, r"X\[0, 0\] is nan"),
    ],
)
def test_what_it_refuses(settings, error, message, tmp_path):
    with pytest.raises(error, match=message):
        mg.convert.to_c(every_kind(), tmp_path / "net.h", **settings)
    assert not any(tmp_path.iterdir())


def test_what_no_float32_holds(tmp_path):
    net = every_kind("float64", loss="mse")
    net.parameters()[0].data[0, 1] = 1e39
    with pytest.raises(ValueError, match=r"1\.weight\[0, 1\] is 1e\+39.*no finite float32"):
        mg.convert.to_c(net, tmp_path / "net.h")
    with pytest.raises(ValueError, match="has none"):
        mg.convert.to_c(every_kind(loss="mse"), tmp_path / "net.h", probabilities=True)
    with pytest.raises(TypeError, match="is no Network"):
        mg.convert.to_c(3, tmp_path / "net.h")
    assert not any(tmp_path.iterdir())
