"""Activations, vector maths, losses, updates: each kernel, all instruction sets."""

import math

import mpmath
import numpy as np
import pytest
from support.bits import same_bits, ulp, ulp_error
from support.kernels import address, apply, code

import micrograd as mg
from micrograd.core import lib

inf, nan = np.inf, np.nan


def erfc(x):
    return np.fromiter((math.erfc(v) for v in x.ravel()), np.float64, x.size).reshape(x.shape)


def gelu64(x):
    """x Phi(x); where x^2/2 would overflow both factors are at their limits."""
    return np.where(
        np.abs(x) < 40, x * erfc(np.clip(x, -40, 40) / -math.sqrt(2)) / 2, np.maximum(x, 0)
    )


def gelu_derivative64(x):
    x = np.clip(x, -40, 40)
    return erfc(x / -math.sqrt(2)) / 2 + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def sigmoid64(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


SELU = 1.0507009873554805, 1.6732632423543772  # scale and alpha: Klambauer et al. 2017, section 3


def selu64(x):
    return SELU[0] * np.where(x > 0, x, SELU[1] * np.expm1(np.minimum(x, 0)))


def mish64(x):
    return np.maximum(x, -800) * np.tanh(np.logaddexp(0, x))


# name in micrograd.h -> in float64, in mpmath, largest error in float32 and float64, ulps of what
RESULT, ARGUMENT, ONE = "result", "argument", "one"
FUNCTIONS = {
    "MG_EXP": (np.exp, mpmath.exp, 2, 3, RESULT),
    "MG_LOG": (np.log, mpmath.log, 2, 3, RESULT),
    "MG_SIGMOID": (sigmoid64, lambda x: 1 / (1 + mpmath.exp(-x)), 2, 3, RESULT),
    "MG_TANH": (np.tanh, mpmath.tanh, 2, 3, RESULT),
    "MG_GELU": (gelu64, lambda x: x * mpmath.ncdf(x), 4, 4, ARGUMENT),
    "MG_SILU": (lambda x: np.maximum(x, -800) * sigmoid64(x), lambda x: x / (1 + mpmath.exp(-x)),
                4, 4, ARGUMENT),
    "MG_SOFTPLUS": (
        lambda x: np.logaddexp(0, x), lambda x: mpmath.log1p(mpmath.exp(x)), 4, 4, RESULT
    ),
    "MG_SELU": (
        selu64, lambda x: SELU[0] * (x if x > 0 else SELU[1] * mpmath.expm1(x)), 6, 6, RESULT
    ),
    "MG_MISH": (mish64, lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))), 6, 6, ARGUMENT),
    # Phi(x) + x phi(x) is between -0.13 and 1.13: absolutely within 4 ulps of 1 (below 1: eps/2)
    "MG_GELU_DERIVATIVE": (
        gelu_derivative64, lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x), 4, 4, ONE
    ),
}  # fmt: skip
EVERY_FUNCTION = pytest.mark.parametrize("function", FUNCTIONS)


def errors(function, x, y, exact, rest=0.0):
    """In the ulps that the function's bound is given in."""
    kind = FUNCTIONS[function][4]
    if kind == RESULT:
        return ulp_error(y, exact, rest)
    unit = ulp(x.astype(np.float64), y.dtype) if kind == ARGUMENT else np.finfo(y.dtype).eps / 2
    with np.errstate(invalid="ignore"):
        error = np.abs((y.astype(np.float64) - exact) - rest) / unit
    return np.where(np.isinf(exact), np.where(y == exact, 0, inf), error)


@pytest.fixture(scope="module")
def float32_sample():
    """Every 4001st of all float32 numbers, and 300 neighbours of where something changes."""
    bits = np.arange(0, 2**32, 4001, dtype=np.uint64).astype(np.uint32)
    edges = np.array(
        [
            0,
            2**-126,
            2**-149,
            1,
            math.sqrt(0.5),
            math.sqrt(2),
            88.722839,
            87.336544,
            103.972,
            9.010913,
            10,
            13,
            15,
            17.32868,
            120,
            3.4e38,
            0.34657359,
        ],
        np.float32,
    )
    near = (edges.view(np.uint32)[:, None] + np.arange(-150, 150)).astype(np.uint32).ravel()
    x = np.concatenate([bits, near, near | np.uint32(2**31)]).view(np.float32)
    return x[np.isfinite(x)]


@pytest.fixture(scope="module")
def float32_truth(float32_sample):
    with np.errstate(all="ignore"):
        return {name: f[0](float32_sample.astype(np.float64)) for name, f in FUNCTIONS.items()}


@EVERY_FUNCTION
def test_float32_error(isa, function, float32_sample, float32_truth):
    x, exact = float32_sample, float32_truth[function]
    y = apply(isa, function, x)
    assert np.array_equal(np.isnan(y), np.isnan(exact))
    known = np.isfinite(exact) | (exact == inf)
    if function == "MG_LOG":
        known &= x != 0
    error = errors(function, x[known], y[known], exact[known])
    worst = error.argmax()
    assert error[worst] <= FUNCTIONS[function][2], (x[known][worst], y[known][worst], error[worst])


@pytest.fixture(scope="module")
def float64_sample():
    rng = np.random.default_rng(0)
    edges = [5e-324, 2.2250738585072014e-308, 2.2250738585072009e-308, 709.782712893384,
             708.4, 745.13, 745.14, 19.061547, 20, 22, 36.7368, 37.5, 38.6, 40, 0.5, 1,
             math.sqrt(0.5), math.sqrt(2), 0.34657359027997264, 1 + 2**-52, 1 - 2**-53,
             1.7976931348623157e308, 800, 750]  # fmt: skip
    positive = np.concatenate([
        np.exp(rng.uniform(-700, 700, 300)), rng.uniform(0, 1, 300), rng.uniform(0, 10, 300),
        rng.uniform(0, 50, 200), rng.uniform(600, 760, 200), 1 + rng.normal(size=100) * 1e-8, edges,
        rng.integers(1, 2**52, 50).view(np.float64),
    ])  # fmt: skip
    return np.concatenate([positive, -positive])


@pytest.fixture(scope="module")
def float64_truth(float64_sample):
    """Each value as the sum of two float64."""
    truth = {}
    with mpmath.workdps(60):
        for name, (_, f, *_) in FUNCTIONS.items():
            pairs = []
            for x in float64_sample:
                if (name == "MG_LOG" and x < 0) or (name.startswith("MG_GELU") and abs(x) > 1e3):
                    pairs.append((nan, 0.0))
                    continue
                value = f(
                    mpmath.mpf(float(min(x, 1e6))) if name == "MG_EXP" else mpmath.mpf(float(x))
                )
                high = float(value)
                pairs.append((high, float(value - high) if math.isfinite(high) else 0.0))
            truth[name] = np.array(pairs).T
    return truth


@EVERY_FUNCTION
def test_float64_error(isa, function, float64_sample, float64_truth):
    x, (high, low) = float64_sample, float64_truth[function]
    known = ~np.isnan(high)
    y = apply(isa, function, x)[known]
    error = errors(function, x[known], y, high[known], low[known])
    worst = error.argmax()
    assert error[worst] <= FUNCTIONS[function][3], (x[known][worst], y[worst], error[worst])


@pytest.mark.parametrize(
    "function, pairs",
    [
        ("MG_EXP", [(0.0, 1), (-0.0, 1), (inf, inf), (-inf, 0.0), (1e6, inf), (-1e6, 0.0)]),
        ("MG_LOG", [(0.0, -inf), (-0.0, -inf), (1, 0.0), (inf, inf), (-1, nan), (-inf, nan)]),
        ("MG_SIGMOID", [(0.0, 0.5), (-0.0, 0.5), (inf, 1), (-inf, 0.0), (1e30, 1), (-1e30, 0.0)]),
        ("MG_TANH", [(0.0, 0.0), (-0.0, -0.0), (inf, 1), (-inf, -1), (1e30, 1), (-1e30, -1)]),
        ("MG_GELU", [(0.0, 0.0), (inf, inf), (-1e30, 0), (2.0**100, 2.0**100), (60, 60)]),
        ("MG_GELU_DERIVATIVE", [(0.0, 0.5), (-0.0, 0.5), (inf, 1), (-inf, 0), (60, 1), (-60, 0)]),
        ("MG_RELU", [(0.0, 0.0), (inf, inf), (-inf, 0.0), (-3, 0.0), (2, 2)]),
        ("MG_IDENTITY", [(-0.0, -0.0), (inf, inf), (-inf, -inf), (-3, -3)]),
    ],
)
def test_special_values(isa, dtype, function, pairs):
    x, want = np.array([*pairs, (nan, nan)], dtype).T
    y = apply(isa, function, x)
    assert np.array_equal(y, want, equal_nan=True), list(zip(x, y, want, strict=True))
    signed = want == 0
    if not function.startswith(("MG_GELU", "MG_RELU")):
        assert np.array_equal(np.signbit(y[signed]), np.signbit(want[signed]))


def test_denormals(isa, dtype):
    """tanh x = gelu's x/2 slope = x and log x are right there, exp and sigmoid do not notice."""
    tiny = np.finfo(dtype).smallest_subnormal
    x = tiny * np.array([1, 2, 3, 1000, 12345], dtype)
    assert same_bits(apply(isa, "MG_TANH", x), x) and same_bits(apply(isa, "MG_TANH", -x), -x)
    assert (apply(isa, "MG_EXP", x) == 1).all() and (apply(isa, "MG_SIGMOID", -x) == 0.5).all()
    assert (np.abs(apply(isa, "MG_GELU", x) - x / 2) <= 4 * tiny).all()
    want = math.log(tiny) if dtype == "float64" else math.log(float(tiny))
    assert apply(isa, "MG_LOG", x)[0] == np.dtype(dtype).type(want)


@pytest.mark.parametrize("function", [*FUNCTIONS, "MG_RELU", "MG_LEAKY_RELU", "MG_IDENTITY"])
def test_an_element_does_not_see_its_neighbours(isa, dtype, function):
    """Every length up to 70, with NaN and infinities beside it; nothing past the end."""
    rng = np.random.default_rng(1)
    x = rng.normal(0, 4, 70).astype(dtype)
    x[::7] = [nan, inf, -inf, 0, 1e-40, 1e30, -1e30, nan, 2, -0.0]
    full = apply(isa, function, x, 0.1)
    f = getattr(lib, function)
    for n in range(71):
        for start in {0, 70 - n}:
            y = np.full(72, 55, dtype)
            part = np.ascontiguousarray(x[start : start + n])
            lib.mg_map(isa, code(x), f, 0.1, n, address(part), address(y[1:]))
            assert same_bits(y[1 : n + 1], full[start : start + n])
            assert y[0] == 55 and (y[n + 1 :] == 55).all()
    alone = np.concatenate([apply(isa, function, x[i : i + 1], 0.1) for i in range(70)])
    assert same_bits(alone, full)
    in_place = x.copy()
    lib.mg_map(isa, code(x), f, 0.1, 70, address(in_place), address(in_place))
    assert same_bits(in_place, full)


def test_relu_kinds(isa, dtype):
    x = np.array([-2, -0.5, 0, 0.5, 3, nan], dtype)
    assert np.array_equal(apply(isa, "MG_RELU", x), [0, 0, 0, 0.5, 3, nan], equal_nan=True)
    leaky = apply(isa, "MG_LEAKY_RELU", x, 0.25)
    assert np.array_equal(leaky, [-0.5, -0.125, 0, 0.5, 3, nan], equal_nan=True)


# ---- derivatives ----


@pytest.mark.parametrize("n", [1, 3, 16, 37])
def test_gates(isa, dtype, n):
    """g *= f'(.): from the output a, for gelu from the input."""
    rng = np.random.default_rng(2)
    x, g = rng.normal(size=(2, n)).astype(dtype)
    x[0] = 0
    eps = np.finfo(dtype).eps

    def gated(function, reference):
        out = np.full(n + 2, 8, dtype)
        out[1:-1] = g
        arguments = getattr(lib, function), 0.125, n, address(reference), address(out[1:])
        assert lib.mg_gate(isa, code(g), *arguments) == lib.MG_OK
        assert out[0] == out[-1] == 8
        return out[1:-1]

    assert np.array_equal(gated("MG_IDENTITY", x), g)
    assert np.array_equal(gated("MG_RELU", np.maximum(x, 0)), np.where(x > 0, g, 0))
    assert np.array_equal(gated("MG_LEAKY_RELU", x), np.where(x > 0, g, g / 8))
    a = apply(isa, "MG_SIGMOID", x).astype(np.float64)
    want = g * a * (1 - a)
    assert (np.abs(gated("MG_SIGMOID", a.astype(dtype)) - want) <= 2 * eps * np.abs(want)).all()
    a = apply(isa, "MG_TANH", x).astype(np.float64)
    # 1 - a^2 cancels near |a| = 1, but its error stays within eps of 1
    assert (
        np.abs(gated("MG_TANH", a.astype(dtype)) - g * (1 - a * a)) <= 2 * eps * np.abs(g)
    ).all()
    want = g * gelu_derivative64(x.astype(np.float64))
    assert (np.abs(gated("MG_GELU", x) - want) <= 5 * eps * np.abs(g)).all()


@pytest.mark.parametrize("n", [0, 1, 7, 16, 33, 1000])
def test_norm(isa, dtype, n):
    x = np.random.default_rng(3).normal(size=n).astype(dtype)
    want = math.sqrt(math.fsum(float(v) ** 2 for v in x))
    assert lib.mg_norm(isa, code(x), n, address(x), 2) == pytest.approx(want, rel=1e-14)


# ---- losses, through a network that computes z = x exactly ----


def identity_network(columns, loss, dtype="float64"):
    net = mg.Network(mg.Linear(columns, columns, bias=False), loss=loss, dtype=dtype, seed=0)
    net.parameters()[0].data[...] = np.eye(columns)
    return net


@pytest.mark.parametrize(
    "loss, z, y, want, gradient",
    [
        ("cross_entropy", [[0, 0]], [1], math.log(2), [[0.5, -0.5]]),
        ("cross_entropy", [[math.log(3), 0]], [0], math.log(4 / 3), [[-0.25, 0.25]]),
        ("cross_entropy", [[0, 0, 0, 0]], [[0.5, 0.5, 0, 0]], math.log(4),
         [[-0.25, -0.25, 0.25, 0.25]]),
        ("mse", [[1, 2], [3, 5]], [[0, 2], [1, 1]], (1 + 0 + 4 + 16) / 4, [[1, 0], [2, 4]]),
        ("bce", [[0, math.log(3)]], [[1, 0]], (math.log(2) + math.log(4)) / 2, [[-0.25, 0.375]]),
        ("mae", [[1, -2, 5, 0]], [[2, -4, 5, 0.5]], 3.5 / 4, [[-0.25, 0.25, 0, -0.25]]),
        ("huber", [[0.5, 3, -3, 1]], [[0, 0, 0, 0]], (0.125 + 2.5 + 2.5 + 0.5) / 4,
         [[0.125, 0.25, -0.25, 0.25]]),
    ],
)  # fmt: skip
def test_losses_by_hand(loss, z, y, want, gradient, dtype):
    net = identity_network(len(z[0]), loss, dtype)
    assert net.loss(z, y) == pytest.approx(want, rel=4 * float(np.finfo(dtype).eps))
    delta = net.explain(z, y)["delta1"]  # of one sample's loss
    np.testing.assert_allclose(delta, gradient, rtol=8 * np.finfo(dtype).eps, atol=1e-300)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "bce", "mae", "huber"])
@pytest.mark.parametrize("columns", [1, 2, 3, 8, 9, 16, 17, 40])
def test_losses_against_torch(loss, columns, dtype):
    torch = pytest.importorskip("torch")
    from support.twin import torch_loss

    rng = np.random.default_rng(columns)
    z, rows = rng.normal(0, 4, (21, columns)).astype(dtype), 21
    if loss == "cross_entropy":
        probabilities = rng.dirichlet(np.ones(columns), rows)
        probabilities[:3] = np.eye(columns)[rng.integers(0, columns, 3)]
        choices = [rng.integers(0, columns, rows), probabilities]
    else:
        choices = [rng.uniform(0, 1, z.shape) if loss == "bce" else rng.normal(0, 4, z.shape)]
    net = identity_network(columns, loss, dtype)
    # each z, exp and difference is rounded; |z| reaches 20, and a sum has `columns` terms
    tolerance = (columns + 40) * float(np.finfo(dtype).eps)
    for y in choices:
        for w in (None, rng.uniform(0, 3, rows) * (np.arange(rows) % 4 > 0)):
            t = torch.from_numpy(z).requires_grad_()
            want = torch_loss(net, lambda _, t=t: t, z, y, w)
            (gradient,) = torch.autograd.grad(want, t)
            assert net.loss(z, y, w) == pytest.approx(want.item(), rel=tolerance, abs=tolerance)
            weight = 1 / rows if w is None else (w / w.sum())[:, None]
            if w is None:  # explain has no weights; the gradient of W is tested with them elsewhere
                delta = net.explain(z, y)["delta1"]
                np.testing.assert_allclose(
                    delta * weight, gradient.numpy(), rtol=tolerance, atol=tolerance
                )


def test_cross_entropy_at_large_logits(dtype):
    for columns in (3, 30):
        net = identity_network(columns, "cross_entropy", dtype)
        z = np.zeros((1, columns), dtype)
        z[0, 0], z[0, 1] = 1e4, -1e4
        assert net.loss(z, [0]) == 0
        assert net.loss(z, [1]) == 2e4
        assert net.loss(z, [2]) == 1e4
        delta = net.explain(z, [1])["delta1"][0]
        assert delta[0] == 1 and delta[1] == -1 and (delta[2:] == 0).all()
        assert net.loss(-z, np.eye(columns)[[0]]) == 2e4


def test_bce_at_large_logits(dtype):
    net = identity_network(2, "bce", dtype)
    assert net.loss([[1e4, -1e4]], [[1, 0]]) == 0
    assert net.loss([[1e4, -1e4]], [[0, 1]]) == 1e4
    tiny = net.loss([[30, 30]], [[1, 1]])
    assert tiny == pytest.approx(
        math.log1p(math.exp(-30)), rel=1e-5 if dtype == "float32" else 1e-13
    )


def test_cross_entropy_of_large_logits_keeps_its_digits():
    """log sum exp(z - max) + (max - z): at 1e4, adding the maximum first would lose four digits."""
    net = mg.Network(mg.Linear(3, 3, bias=False), dtype="float64")
    net.parameters()[0].data[...] = np.eye(3)
    logits = [[1e4, 1e4 - 25.0, 1e4 - 30.0]]
    exact = math.log1p(math.exp(-25.0) + math.exp(-30.0))
    assert net.loss(logits, [0]) == pytest.approx(exact, rel=1e-4)
    assert net.loss(logits, [1]) == pytest.approx(25.0 + exact, rel=1e-15)
