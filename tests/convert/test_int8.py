"""Networks in 8-bit integers: the C header, to the bit what numpy's integers give, and near enough
what the network gives."""

import itertools
import pickle
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.c_compiler import COMPILER
from support.every_network import filled

import micrograd as mg
from micrograd.convert.int8.quant import Quant, factors, requantised

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")

STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror", "-pedantic"]
C = [name for name in ("gcc", "clang") if shutil.which(name)] or [COMPILER]
CPP = [name for name in ("g++", "clang++") if shutil.which(name)]

PROGRAM = """
#include <stdio.h>
#include "net.h"
int main(void)
{
    static int8_t x[PREDICT_INPUTS], y[PREDICT_INT8_OUTPUTS];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        predict_int8(x, y);
        if (fwrite(y, sizeof y, 1, stdout) != 1)
            return 1;
    }
    return 0;
}
"""
FLOATS = PROGRAM.replace("int8_t", "float").replace("predict_int8", "predict")
FLOATS = FLOATS.replace("PREDICT_INT8_OUTPUTS", "PREDICT_OUTPUTS")


def compiled(folder, text=PROGRAM, compiler=C[0], *options):
    kind = ["-std=c++11", "-x", "c++"] if "++" in compiler else ["-std=c99", "-x", "c"]
    (folder / "net.c").write_text(text)
    command = [compiler, *kind, *STRICT, *(options or ["-O2"]), "net.c", "-o", "net", "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "net"


def run(program, x, columns):
    done = subprocess.run([program], input=x.tobytes(), capture_output=True, check=True)
    assert not done.stderr
    return np.frombuffer(done.stdout, x.dtype).reshape(len(x), columns)


def mixed():
    """A network with a step of each kind that 8 bits know."""
    net = filled(
        mg.Linear(21, 19), mg.Scale(19), mg.ReLU(), mg.Residual(mg.Linear(19, 19), mg.Tanh()),
        mg.Residual(mg.Linear(19, 33), mg.GELU(), projection=True),
        mg.Highway(mg.Linear(33, 33), mg.ReLU()),
        mg.DenseBlock(mg.Linear(33, 4), mg.ReLU(), mg.Linear(37, 5), mg.Sigmoid()),
        mg.Map(lambda v: v * v * 0.1), mg.Dropout(0.3), mg.Linear(42, 17), mg.LeakyReLU(0.2),
        mg.Linear(17, 3), loss="mse",
    )  # fmt: skip
    return net


def rows(net, n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, net.in_features))


def every_byte(net, n):
    return np.random.default_rng(1).integers(-128, 128, (n, net.in_features)).astype(np.int8)


# ---- what the arithmetic is ----


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.floats(2.0**-24, 2.0**-5), st.integers(-128, 127))
def test_sums_are_brought_to_8_bits_by_integers(total, real, zero):
    multiplier, shift = factors(np.array([real]))
    got = int(requantised(np.array([[total]]), multiplier, shift, zero)[0, 0])
    right = np.clip(total * real + zero, -128, 127)
    assert abs(got - right) <= 0.5 + 256 * 2.0**-15 + 1 / 32
    assert 2**14 <= multiplier[0] < 2**15 and 0 <= shift[0] < 31


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_zero_is_stored_as_itself(low, high):
    low, high = min(low, high), max(low, high)
    quant = Quant.between(low, high)
    assert quant.restored(quant.stored(np.zeros(1)))[0] == 0
    inside = np.array([min(low, 0), max(high, 0)])
    assert np.abs(quant.restored(quant.stored(inside)) - inside).max() <= quant.scale * 1.001


# ---- C, numpy's integers, and the network ----


def test_every_step_near_the_network_and_to_the_bit_in_c(tmp_path):
    net = mixed()
    report = mg.convert.to_c(net, tmp_path / "net.h", quantize="int8", X=rows(net, 500))
    new = rows(net, 400, seed=5)
    z = net.predict(new)
    assert np.abs(report.int8.predict(new) - z).std() < 0.1 * z.std()
    x = every_byte(net, 300)
    want = report.int8.predict_int8(x)
    assert len(np.unique(want)) > 50
    levels = ["-O0", "-O1", "-O2", "-O3", "-Os"]
    for compiler, level in [*itertools.product(C, levels), *itertools.product(CPP, ["-O2"])]:
        np.testing.assert_array_equal(run(compiled(tmp_path, PROGRAM, compiler, level), x, 3), want)
    for compiler in C:
        safe = ["-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover"]
        np.testing.assert_array_equal(run(compiled(tmp_path, PROGRAM, compiler, *safe), x, 3), want)


@pytest.mark.skipif("gcc" not in C, reason="no gcc")
def test_without_sse_the_plain_loops_give_the_same(tmp_path):
    net = mixed()
    report = mg.convert.to_c(net, tmp_path / "net.h", quantize="int8", X=rows(net, 100))
    x = every_byte(net, 100)
    program = compiled(tmp_path, PROGRAM, C[0], "-O2", "-U__SSE2__")
    np.testing.assert_array_equal(run(program, x, 3), report.int8.predict_int8(x))


@pytest.mark.parametrize(
    "inputs, outputs", [(1, 1), (15, 4), (16, 5), (17, 3), (1100, 9), (2600, 4)]
)
def test_widths_and_the_largest_sums(inputs, outputs, tmp_path):
    net = mg.Network(mg.Linear(inputs, outputs), loss="mse", seed=0)
    net.parameters().flat[: inputs * outputs] = np.where(np.arange(inputs * outputs) % 7, 0.5, -0.5)
    net.parameters().flat[: inputs // 2] = 0.5
    report = mg.convert.to_c(net, tmp_path / "net.h", quantize="int8", X=rows(net, 100))
    x = every_byte(net, 60)
    x[0], x[1] = -128, 127
    got = run(compiled(tmp_path), x, outputs)
    np.testing.assert_array_equal(got, report.int8.predict_int8(x))


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from([1e-6, 1e-2, 1.0, 50.0, 1e5]), st.booleans())
def test_networks_of_any_size_of_numbers(tmp_path_factory, seed, size, shifted):
    folder = tmp_path_factory.mktemp("any")
    rng = np.random.default_rng(seed)
    a, b, c = (int(n) for n in rng.integers(1, 40, 3))
    net = filled(mg.Linear(a, b), mg.ReLU(), mg.Linear(b, c), loss="mse", seed=seed)
    net.parameters().flat[...] *= rng.choice(
        [size, 1.0, 0.0], net.parameters().size, p=[0.6, 0.3, 0.1]
    )
    X = rng.normal(size=(50, a)) * rng.choice([size, 1.0]) + shifted * 3 * size
    report = mg.convert.to_c(net, folder / "net.h", quantize="int8", X=X)
    x = every_byte(net, 40)
    np.testing.assert_array_equal(run(compiled(folder), x, c), report.int8.predict_int8(x))


def trained(*hidden, seed=0):
    X, y = mg.data.digits()
    net = mg.Network(mg.Linear(64, 32), *hidden, mg.Linear(32, 10), seed=seed)
    optimizer = mg.optim.Adam(net.parameters(), lr=3e-3)
    net.fit(X[:1200], y[:1200], epochs=12, seed=0, progress=False, optimizer=optimizer)
    return net, X, y


@pytest.mark.parametrize("kind", [mg.ReLU, mg.Tanh, mg.GELU, mg.Sigmoid, mg.SiLU, mg.ELU])
def test_the_digits_lose_less_than_half_a_point(kind, tmp_path):
    net, X, y = trained(kind())
    header = tmp_path / "net.h"
    report = mg.convert.to_c(net, header, quantize="int8", X=X[:1200], y=y[:1200])
    assert report.loss.before - report.loss.after <= 0.005
    new = report.int8.predict(X[1200:]).argmax(axis=1)
    right = net.predict(X[1200:]).argmax(axis=1)
    assert (right == y[1200:]).mean() - (new == y[1200:]).mean() <= 0.005
    assert f"a loss of {100 * (report.loss.before - report.loss.after):.2f} points" in str(report)
    assert report.parameter_bytes < 64 * 32 + 32 * 10 + 7 * 42 + 257
    x = report.int8.input.stored(X)
    got = run(compiled(tmp_path), x, 10)
    np.testing.assert_array_equal(got, report.int8.predict_int8(x))


def test_the_float_function_is_the_integers_in_float(tmp_path):
    net, X, y = trained(mg.ReLU())
    report = mg.convert.to_c(net, tmp_path / "net.h", quantize="int8", X=X, y=y)
    got = run(compiled(tmp_path, FLOATS), X.astype(np.float32), 10)
    np.testing.assert_allclose(got, report.int8.predict(X), rtol=1e-5, atol=1e-6)
    mg.convert.to_c(net, tmp_path / "net.h", quantize="int8", X=X, probabilities=True)
    got = run(compiled(tmp_path, FLOATS), X.astype(np.float32), 10)
    e = np.exp(report.int8.predict(X))
    np.testing.assert_allclose(got, e / e.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)
    bad = np.array([[np.nan] * 64, [np.inf] * 64, [-np.inf] * 64, [1e38] * 64], np.float32)
    program = compiled(
        tmp_path, FLOATS, C[0], "-O1", "-fsanitize=undefined", "-fno-sanitize-recover"
    )
    assert np.isfinite(run(program, bad, 10)).all()


def test_one_output_has_both_probabilities(tmp_path):
    X, y = mg.data.digits()
    net = mg.Network(mg.Linear(64, 8), mg.ReLU(), mg.Linear(8, 1), loss="bce", seed=0)
    net.fit(X, (y > 4).astype(np.float32), epochs=3, seed=0, progress=False)
    header = tmp_path / "net.h"
    report = mg.convert.to_c(
        net, header, quantize="int8", X=X, y=(y > 4).astype(float), probabilities=True
    )
    assert report.loss.metric == "accuracy"
    got = run(compiled(tmp_path, FLOATS), X.astype(np.float32), 2)
    p = 1 / (1 + np.exp(-report.int8.predict(X)[:, 0]))
    np.testing.assert_allclose(got, np.stack([1 - p, p], axis=1), rtol=1e-4, atol=1e-6)


def test_the_macros_say_what_the_integers_mean(tmp_path):
    net, X, _ = trained(mg.ReLU())
    report = mg.convert.to_c(net, tmp_path / "net.h", prefix="d_", quantize="int8", X=X)
    text = """
#include <stdio.h>
#define D_INT8_ONLY
#include "net.h"
float predict(void);
float predict(void) { return 0.0f; }
int main(void)
{
    static int8_t x[D_PREDICT_INPUTS], y[D_PREDICT_INT8_OUTPUTS], s[D_PREDICT_SCRATCH];
    d_predict_int8(x, y);
    d_predict_int8_with(x, y, s);
    printf("%.9g %d %.9g %d %d", (double)D_INPUT_SCALE, D_INPUT_ZERO, (double)D_OUTPUT_SCALE,
           D_OUTPUT_ZERO, y[3]);
    return 0;
}
"""
    done = subprocess.run([compiled(tmp_path, text)], capture_output=True, text=True, check=True)
    into, out = report.int8.input, report.int8.output
    zeros = int(report.int8.predict_int8(np.zeros((1, 64), np.int8))[0, 3])
    want = [into.scale, into.zero, out.scale, out.zero, zeros]
    assert [float(v) for v in done.stdout.split()] == pytest.approx(want, rel=1e-7)
    integers = (tmp_path / "net.h").read_text().split("#ifndef D_INT8_ONLY")[0]
    code = integers.split("_round")[1]
    assert "float" not in code and "<math.h>" not in integers and " / " not in code.split("*/")[-1]


def test_the_self_test_finds_a_wrong_weight(tmp_path):
    net, X, _ = trained(mg.Tanh())
    header = tmp_path / "net.h"
    mg.convert.to_c(net, header, quantize="int8", X=X)

    def self_test():
        program = compiled(tmp_path, '#include "net.h"\n', C[0], "-O1", "-DPREDICT_MAIN")
        return subprocess.run([program], capture_output=True, text=True, check=False)

    done = self_test()
    assert done.returncode == 0 and "predict_int8: 0 of 8 stored rows differ" in done.stdout
    text = header.read_text()
    start = text.index("predict_2_weight[320] PREDICT_FLASH = {\n    ") + 44
    end = text.index(",", start)
    wrong = -int(text[start:end]) or 99
    header.write_text(f"{text[:start]}{127 if wrong < 0 else -127}{text[end:]}")
    assert self_test().returncode == 1


# ---- models with a scaling ----


def test_the_scaling_of_a_pipeline_becomes_part_of_the_integers(tmp_path):
    pytest.importorskip("sklearn")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from micrograd.sklearn import MLPClassifier

    X, y = mg.data.digits()
    X = 16 * X.astype(np.float64)
    net = MLPClassifier((32,), max_iter=60, random_state=0)
    model = make_pipeline(StandardScaler(), net).fit(X[:1200], y[:1200])
    before = net.coefs_[0].copy()
    report = mg.convert.to_c(model, tmp_path / "net.h", quantize="int8", X=X[:1200], y=y[:1200])
    np.testing.assert_array_equal(net.coefs_[0], before)
    assert report.loss.before - report.loss.after <= 0.005
    assert report.int8.input.scale == pytest.approx(16 / 255, rel=0.01)
    got = run(compiled(tmp_path, FLOATS), X.astype(np.float32), 10).argmax(axis=1)
    assert (got == model.predict(X)).mean() > 0.98
    again = pickle.loads(pickle.dumps(report.int8))
    np.testing.assert_array_equal(again.predict(X), report.int8.predict(X))


# ---- what it refuses ----


def test_what_it_refuses_and_what_to_do(tmp_path):
    net = filled(mg.Linear(3, 4), mg.Softmax(), mg.Linear(4, 2))
    path = tmp_path / "net.h"
    with pytest.raises(ValueError, match=r"quantize='int8' without X: .* pass X=rows"):
        mg.convert.to_c(net, path, quantize="int8")
    with pytest.raises(TypeError, match=r"layer 1 Softmax\(\) has no form in 8-bit integers; end"):
        mg.convert.to_c(net, path, quantize="int8", X=rows(net, 9))
    net = filled(mg.Periodic(3, 3), mg.Linear(mg.Periodic(3, 3).gives(3), 2))
    with pytest.raises(TypeError, match=r"layer 0 Periodic.*'int8-weights'"):
        mg.convert.to_c(net, path, quantize="int8", X=rows(net, 9))
    net = filled(mg.Linear(3, 4), mg.Map(lambda v: v.log()), mg.Linear(4, 2))
    with pytest.raises(ValueError, match=r"layer 1 Map.* not finite for a row of X"):
        mg.convert.to_c(net, path, quantize="int8", X=rows(net, 9))
    wide = mg.Network(mg.Linear(32769, 1), loss="mse", seed=0)
    with pytest.raises(ValueError, match=r"layer 0 has 32769 inputs, .* up to 32768"):
        mg.convert.to_c(wide, path, quantize="int8", X=np.ones((2, 32769)))
    with pytest.raises(ValueError, match=r"X\[0, 0\] is nan"):
        mg.convert.to_c(wide, path, quantize="int8", X=np.full((2, 32769), np.nan))
    assert not any(tmp_path.iterdir())


def test_columns_of_different_size_are_told(tmp_path):
    net = filled(mg.Linear(2, 9), mg.Tanh(), mg.Linear(9, 1), loss="mse")
    net.parameters()[0].data[:, 1] *= 1e-5
    X = rows(net, 200) * [1, 1e5]
    with pytest.warns(UserWarning, match="columns of different size share one scale"):
        mg.convert.to_c(net, tmp_path / "net.h", quantize="int8", X=X)
