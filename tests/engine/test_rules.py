"""Every op of the table against PyTorch in float64: value and first three derivatives."""

import itertools
import math
import pickle

import numpy as np
import pytest

import micrograd as mg
from micrograd.engine import Value, dot, grad, maximum, minimum, where
from micrograd.engine import sum as n_ary_sum
from micrograd.engine.rules import ANY, RULES

torch = pytest.importorskip("torch")

inf, nan = math.inf, math.nan

# op name -> (on Values, on tensors). A rule without an entry here fails test_every_rule_is_tested.
PLAIN_TORCH = (
    *("log1p", "expm1", "log2", "log10", "tan", "asin", "acos", "atan", "sinh", "cosh"),
    *("asinh", "acosh", "atanh", "erf", "lgamma", "digamma", "sign", "floor", "ceil"),
    *("round", "cbrt"),
)
UNARY = {
    "neg": (lambda x: -x, lambda x: -x),
    "abs": (abs, torch.abs),
    "exp": (Value.exp, torch.exp),
    "log": (Value.log, torch.log),
    "sqrt": (Value.sqrt, torch.sqrt),
    "sin": (Value.sin, torch.sin),
    "cos": (Value.cos, torch.cos),
    "tanh": (Value.tanh, torch.tanh),
    "sigmoid": (Value.sigmoid, torch.sigmoid),
    "relu": (Value.relu, torch.relu),
    "softplus": (Value.softplus, torch.nn.functional.softplus),
    "erfc": (Value.erfc, torch.erfc),
    "gelu": (Value.gelu, torch.nn.functional.gelu),
    **{name: (getattr(Value, name), getattr(torch, name)) for name in PLAIN_TORCH[:-1]},
    "cbrt": (Value.cbrt, lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3)),
}
BINARY = {
    "add": (lambda x, y: x + y, torch.add),
    "sub": (lambda x, y: x - y, torch.sub),
    "mul": (lambda x, y: x * y, torch.mul),
    "div": (lambda x, y: x / y, torch.div),
    "pow": (lambda x, y: x**y, torch.pow),
    "hypot": (Value.hypot, torch.hypot),
    "atan2": (Value.atan2, torch.atan2),
    "maximum": (maximum, torch.maximum),
    "minimum": (minimum, torch.minimum),
    # PyTorch's leaky_relu takes a constant slope; with a learned one it is called prelu.
    "leaky_relu": (
        Value.leaky_relu,
        lambda x, y: torch.nn.functional.prelu(x.reshape(1), y.reshape(1)).squeeze(),
    ),
}
N_ARY = {
    "dot": (lambda *v: dot(v[:2], v[2:4], v[4]), lambda *v: v[4] + v[0] * v[2] + v[1] * v[3]),
    "sum": (lambda *v: n_ary_sum(v), lambda *v: torch.stack(v).sum()),
    "clamp": (lambda *v: v[0].clamp(v[1], v[2]), torch.clamp),
    "where": (
        lambda *v: where(v[0] > 0, v[1], v[2]),
        lambda *v: torch.where(v[0] > 0, v[1], v[2]),
    ),
}


def derivatives_of_value(f, point, orders=3):
    """[f, df, d2f, d3f], each derivative with respect to the sum of the operands."""
    xs = [Value(x) for x in point]
    y, out = f(*xs), []
    for _ in range(orders):
        out.append(y.data)
        y = n_ary_sum(grad(y, xs, create_graph=True))
        if not y.requires_grad:  # a constant: this and all further derivatives
            out.append(y.data)
            return out + [0.0] * (orders + 1 - len(out))
    return [*out, y.data]


def derivatives_of_tensor(f, point, orders=3):
    xs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in point]
    y, out = f(*xs), []
    for _ in range(orders):
        out.append(y.item())
        grads = torch.autograd.grad(y, xs, create_graph=True, allow_unused=True)
        y = sum(g for g in grads if g is not None)
        if not y.requires_grad:
            out.append(y.item())
            return out + [0.0] * (orders + 1 - len(out))
    return [*out, y.item()]


def first_derivatives(f, point):
    xs = [Value(x) for x in point]
    y = f(*xs)
    y.backward()
    return [y.data] + [x.grad for x in xs]


def first_derivatives_torch(f, point):
    xs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in point]
    y = f(*xs)
    y.backward()
    return [y.item()] + [0.0 if x.grad is None else x.grad.item() for x in xs]


def assert_same(ours, theirs, rel=1e-12, abs_=1e-13):
    assert ours == pytest.approx(theirs, rel=rel, abs=abs_, nan_ok=True)


def known(derivatives):
    """How many can be compared: at poles and outside its domain each has its own formula."""
    odd = [i for i, d in enumerate(derivatives) if not math.isfinite(d)]
    return odd[0] + 1 if odd else len(derivatives)


ORDINARY = [-3.7, -1.0, -0.3, 0.2, 0.5, 1.0, 2.5, 7.0]
SPECIAL = [0.0, -0.0, inf, -inf, nan, 1000.0, -1000.0, 1e-320]


def test_every_rule_is_tested():
    assert set(RULES) == {*UNARY, *BINARY, *N_ARY, "polygamma"}
    for name, rule in RULES.items():
        table = {1: UNARY, 2: BINARY, ANY: N_ARY}[rule.arity]
        assert name in table or name == "polygamma"


@pytest.mark.parametrize("x", [*ORDINARY, -1.5, 1.5])
@pytest.mark.parametrize("name", UNARY)
def test_unary_to_third_order(name, x):
    ours, theirs = UNARY[name]
    got, want = derivatives_of_value(ours, [x]), derivatives_of_tensor(theirs, [x])
    if name in PLAIN_TORCH:
        got, want = got[: known(want)], want[: known(want)]
    rel = 1e-9 if name in ("lgamma", "digamma", "cbrt") else 1e-12
    assert_same(got, want, rel, 1e-12)


@pytest.mark.parametrize("x", SPECIAL)
@pytest.mark.parametrize("name", UNARY)
def test_unary_at_special_points(name, x):
    ours, theirs = UNARY[name]
    got, want = first_derivatives(ours, [x]), first_derivatives_torch(theirs, [x])
    if name in PLAIN_TORCH:
        far = x == 1e-320 or abs(x) > 900 or name == "cbrt"  # PyTorch's formulas overflow there
        assert_same(got[: 1 if far else known(want)], want[: 1 if far else known(want)])
        return
    assert_same(got, want)
    assert_same(derivatives_of_value(ours, [x]), derivatives_of_tensor(theirs, [x]))


@pytest.mark.parametrize("c", [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0])
def test_constant_exponent_base_and_slope_at_special_points(c):
    for x in [*SPECIAL, *ORDINARY]:
        for f, g in (
            (lambda x: x**c, lambda x: x**c),
            (lambda x: c**x, lambda x: c**x),
            (lambda x: x.leaky_relu(c), lambda x: torch.nn.functional.leaky_relu(x, c)),
            (lambda x: c / x, lambda x: torch.full_like(x, c) / x),  # c/x there is c * (1/x)
            (lambda x: maximum(c, x), lambda x: torch.maximum(torch.full_like(x, c), x)),
        ):
            if c in (0.5, -0.5) and (x == -inf or str(x) == "-0.0"):
                continue  # PyTorch takes sqrt for a constant one half; C's pow differs at these two
            # PyTorch's second derivative of 0**x is nan, by 0 * log(0); here it is 0.
            orders = 1 if c == 0 else 3
            got = derivatives_of_value(f, [x], orders)
            want = derivatives_of_tensor(g, [x], orders)
            assert got == pytest.approx(want, rel=1e-12, abs=1e-12, nan_ok=True), (x, c)


@pytest.mark.parametrize("slope", [0.01, 0.2])
def test_leaky_relu_default_slope(slope):
    leaky = torch.nn.functional.leaky_relu
    ours = Value.leaky_relu if slope == 0.01 else lambda x: x.leaky_relu(slope)
    for x in [*SPECIAL, *ORDINARY]:
        assert_same(
            derivatives_of_value(ours, [x]), derivatives_of_tensor(lambda t: leaky(t, slope), [x])
        )


def test_softplus_and_gelu_are_accurate_where_pytorch_rounds():
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        for x in (-40.0, -8.0, 20.5, 30.0):
            assert Value(x).softplus().data == pytest.approx(
                float(mpmath.log1p(mpmath.exp(x))), rel=1e-15, abs=0
            )
        for x in (-20.0, -8.0, -1.0, 3.0):
            # erfc(t) loses up to 2 t**2 ulp of its argument's rounding: 400 ulp at x = -20
            assert Value(x).gelu().data == pytest.approx(
                float(x * mpmath.ncdf(x)), rel=1e-13, abs=0
            )


def test_a_copy_has_the_same_rule():
    for rule in RULES.values():
        assert pickle.loads(pickle.dumps(rule)) is rule


@pytest.mark.parametrize("x", [-1.5, -0.4, 0.7, 2.0])
@pytest.mark.parametrize("y", [-2.0, -0.6, 1.0, 3.0])
@pytest.mark.parametrize("name", BINARY)
def test_binary_to_third_order(name, x, y):
    ours, theirs = BINARY[name]
    got, want = derivatives_of_value(ours, [x, y]), derivatives_of_tensor(theirs, [x, y])
    if name == "pow" and y == 1.0 and x > 0:  # PyTorch's loses d/dy of y x**(y-1) at y = 0
        mpmath = pytest.importorskip("mpmath")
        third = float(mpmath.diff(lambda t: (x + t) ** (y + t), 0, 3))
        assert got[3] == pytest.approx(third, rel=1e-9) and want[3] != pytest.approx(third)
        got, want = got[:3], want[:3]
    assert_same(got, want)


@pytest.mark.parametrize("name", BINARY)
def test_binary_at_special_points(name):
    ours, theirs = BINARY[name]
    for x, y in itertools.product([*SPECIAL, -8.0, 2.0, 3.0, 0.5], repeat=2):
        got, want = first_derivatives(ours, [x, y]), first_derivatives_torch(theirs, [x, y])
        if name in ("hypot", "atan2") and 1e-320 in (x, y):
            continue  # PyTorch squares them
        assert got == pytest.approx(want, rel=1e-12, abs=1e-13, nan_ok=True), (name, x, y)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_zeros_of_either_sign_are_equal_and_the_second_is_taken(name):
    function = BINARY[name][0]
    program = mg.compile(function)
    for x, y in itertools.product([0.0, -0.0], repeat=2):
        found = function(Value(x), Value(y)).data
        compiled = program(np.array([x]), np.array([y]))[0]
        assert math.copysign(1, found) == math.copysign(1, compiled) == math.copysign(1, y)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("x", [-1.0, 0.0, 2.5])
def test_equal_operands_share_whatever_gradient_comes(name, x):
    ours, theirs = BINARY[name]
    got = first_derivatives(lambda a, b: -3.0 * ours(a, b), [x, x])
    assert got == first_derivatives_torch(lambda a, b: -3.0 * theirs(a, b), [x, x])
    assert got[1:] == [-1.5, -1.5]


# Along (1, 1), where second derivatives commute: value, first, second and third derivative, where
# PyTorch has nan; see `rules`.
POW_AT_ZERO = {
    0.0: [1, 0, 0, 0],
    0.5: [0, inf, -inf, inf],
    1.0: [0, 1, 0, 0],
    2.0: [0, 0, 2, 0],
    3.0: [0, 0, 0, 6],
}


@pytest.mark.parametrize("name", BINARY)
def test_binary_at_special_points_to_third_order(name):
    if name in ("hypot", "atan2"):
        pytest.skip("PyTorch squares its operands")
    ours, theirs = BINARY[name]
    differ = 0
    for x, y in itertools.product([*SPECIAL, -8.0, 2.0, 3.0, 0.5, 1.0], repeat=2):
        got, want = derivatives_of_value(ours, [x, y]), derivatives_of_tensor(theirs, [x, y])
        if name == "pow" and x == 0 and y in (*POW_AT_ZERO, 1000.0):
            assert got == POW_AT_ZERO.get(y, [0, 0, 0, 0]) and math.isnan(want[2]), (x, y)
        elif name == "pow" and y == 0 and 0 < x < inf and x != 1e-320:
            assert_same(got[:2], want[:2])  # PyTorch's second has 1/x from one side only
            assert got[2] == pytest.approx(2 / x + math.log(x) ** 2, rel=1e-12)
        elif name == "pow" and y == 1 and 0 < x < inf:
            assert_same(got[:3], want[:3])
        elif name == "pow" and x == 0 and y == 1e-320:
            assert [abs(v) for v in got] == [0, inf, inf, inf] and math.isnan(want[2])
        elif name == "pow" and x in (inf, 1e-320) and y == 0:
            assert got[:3] == [1.0, math.log(x), inf] and math.isnan(want[2])
        elif name == "leaky_relu" and x == 0:
            assert_same(got[:2], want[:2])
            assert (got[2:], want[2:]) == ([2.0, 0.0], [0.0, 0.0]), (x, y)
        else:
            assert got == pytest.approx(want, rel=1e-11, abs=1e-12, nan_ok=True), (name, x, y)
            continue
        differ += 1
    assert differ == {"pow": 36, "leaky_relu": 26}.get(name, 0)


@pytest.mark.parametrize("name", N_ARY)
def test_n_ary_at_special_points_to_third_order(name):
    ours, theirs = N_ARY[name]
    for point in itertools.product([0.0, -0.0, inf, -inf, nan, 2.0], repeat=3):
        operands = [*point, 1.5, -2.0][: 3 if name in ("where", "clamp") else 5]
        assert_same(first_derivatives(ours, operands), first_derivatives_torch(theirs, operands))
        assert_same(derivatives_of_value(ours, operands), derivatives_of_tensor(theirs, operands))


@pytest.mark.parametrize("name", N_ARY)
def test_n_ary_to_third_order(name):
    ours, theirs = N_ARY[name]
    for first in (-0.6, 1.3):
        point = [first, 2.0, -3.0, 0.5, 0.25][: 3 if name in ("where", "clamp") else 5]
        assert_same(first_derivatives(ours, point), first_derivatives_torch(theirs, point))
        assert_same(derivatives_of_value(ours, point), derivatives_of_tensor(theirs, point))


@pytest.mark.parametrize("order", ["xyy", "yxy", "yyx"])
@pytest.mark.parametrize("at", [0.0, 0.5])
def test_third_derivatives_of_a_power_commute(order, at):
    """x**(y-1) * (2 log x + y log(x)**2); y = 0 has a rule of its own."""
    values = {"x": Value(3.0), "y": Value(at)}
    result = values["x"] ** values["y"]
    for name in order:
        (result,) = grad(result, values[name], create_graph=True)
    log = math.log(3.0)
    assert result.data == pytest.approx(3.0 ** (at - 1) * (2 * log + at * log**2), rel=1e-14)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_derivative_of_a_quotient_by_its_divisor_is_finite_where_a_factor_is_not(sign):
    """-g x / y**2 with g / y = 1e350, and with x / y**2 = 1e350."""
    for g, x, y, wanted in ((1e250, 1e-250, 1e-100, 1e200), (1e-250, 1e-50, 1e-200, 1e100)):
        divisor = Value(y)
        (found,) = grad(g * (sign * Value(x) / divisor), divisor)
        assert found.data == pytest.approx(-sign * wanted, rel=1e-14)


@pytest.mark.parametrize(
    ("name", "at"),
    [
        *(("acos", 1.0), ("asin", -1.0), ("acosh", 1.0), ("cbrt", 0.0), ("sqrt", 0.0)),
        *(("lgamma", 1e-310), ("digamma", 1e-200)),
    ],
)
def test_no_gradient_times_an_infinite_derivative_of_a_finite_result_is_no_number(name, at):
    x, tensor = Value(at), torch.tensor(at, dtype=torch.float64, requires_grad=True)
    result = getattr(x, name)()
    assert math.isfinite(result.data)
    (result * 0.0).backward()
    (getattr(torch, name, lambda t: t ** (1 / 3))(tensor) * 0.0).backward()
    assert math.isnan(tensor.grad) and math.isnan(x.grad)


@pytest.mark.parametrize(
    ("ours", "theirs", "at"),
    [
        (Value.hypot, torch.hypot, [0.0, 0.0]),
        (lambda x: x.polygamma(1), lambda x: torch.polygamma(1, x), [1e-150]),
        (Value.atan2, None, [1e-310, 1e-310]),  # PyTorch squares them
    ],
)
def test_nor_is_it_with_further_operands(ours, theirs, at):
    assert math.isfinite(ours(*map(Value, at)).data)
    found = first_derivatives(lambda *xs: ours(*xs) * 0.0, at)
    assert found[0] == 0 and all(map(math.isnan, found[1:]))
    if theirs is not None:
        wanted = first_derivatives_torch(lambda *xs: theirs(*xs) * 0.0, at)
        assert wanted == pytest.approx(found, nan_ok=True)
