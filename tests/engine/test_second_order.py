"""Second derivatives: symmetric by every route, and not lost to zeros, infinities and overflow."""

import itertools
import math

import numpy as np
import pytest

import micrograd as mg
from micrograd import func
from micrograd.engine import Value, dot, grad

inf, nan = math.inf, math.nan


def numbers(rows):
    return [[v.data for v in row] for row in rows]


def by_grad(f, point):
    xs = [Value(p) for p in point]
    first = grad(f(*xs), xs, create_graph=True)
    return numbers(grad(g, xs) for g in first)


def compiled(f, point):
    def hessian(*xs):
        return [list(grad(g, xs)) for g in grad(f(*xs), xs, create_graph=True)]

    return mg.compile(hessian)(*[np.array([p]) for p in point])[0].tolist()


ROUTES = {
    "forward over reverse": lambda f, p: numbers(func.hessian(lambda v: f(*v))(p)),
    "forward over forward": lambda f, p: numbers(func.jacfwd(func.jacfwd(lambda v: f(*v)))(p)),
    "reverse over forward": lambda f, p: numbers(func.jacrev(func.jacfwd(lambda v: f(*v)))(p)),
    "reverse over reverse": lambda f, p: numbers(func.jacrev(func.jacrev(lambda v: f(*v)))(p)),
    "grad of grad": by_grad,
    "compiled": compiled,
}


@pytest.mark.parametrize("route", ROUTES)
def test_the_hessian_of_a_power_is_symmetric(route):
    xs, ys = [0.0, 1e-310, 0.5, 2.0, 1e60, -2.0], [0.0, 0.5, 1.0, 2.0, 3.0, -1.0]
    for x, y in itertools.product(xs, ys):
        (_, xy), (yx, yy) = ROUTES[route](lambda a, b: a**b, [x, y])
        if x == 1e-310 and y != 0.0:
            continue  # x**y has lost its digits
        assert xy == yx or (math.isnan(xy) and math.isnan(yx)), (x, y, xy, yx)
        if x > 0:
            with np.errstate(over="ignore"):
                want = np.power(x, y - 1) * (1 + y * math.log(x))
                assert xy == pytest.approx(want, rel=1e-12), (x, y)
                assert yy == pytest.approx(np.power(x, y) * math.log(x) ** 2, rel=1e-12), (x, y)
        elif x == 0 <= y:
            assert (xy, yy) == (0.0, 0.0)  # 0**y is taken for constant in y
        elif x < 0:
            assert math.isnan(xy) and math.isnan(yy)


@pytest.mark.parametrize("route", ROUTES)
def test_the_power_of_zero_depends_on_its_exponent(route):
    (_, xy), (yx, _) = ROUTES[route](lambda a, b: a**b, [2.0, 0.0])
    assert xy == yx == 0.5


@pytest.mark.parametrize("route", [r for r in ROUTES if r != "forward over forward"])
def test_entropy_near_zero(route):
    """(x log x)'' = 1/x; 1/x**2 on the way would overflow (forward over forward needs it)."""
    assert ROUTES[route](lambda x: x * x.log(), [1e-160])[0][0] == pytest.approx(1e160)


def test_a_quotient_of_tiny_numbers():
    for x, y, g in ((1e160, 1e-160, 1e-160), (1.0, 1e-200, 1e-300), (1e-300, 1e200, 1.0)):
        a, b = Value(x), Value(y)
        (a / b).backward(g)
        want = -float(np.longdouble(g) * np.longdouble(x) / np.longdouble(y) ** 2)
        assert b.grad == pytest.approx(want, rel=1e-12)
        w = Value(y)
        program = mg.compile(lambda v: v[0] * (v[1] / w))  # noqa: B023
        program.loss(np.array([[g, x]]))
        program.backward()
        assert program.parameters().flat_grad[0] == pytest.approx(want, rel=1e-12)


def test_nan_from_a_zero_is_kept_in_a_recording():
    """0 * log'(0) is 0 * inf."""
    X = np.array([0.0, 2.0])
    for f in (lambda x: 0.0 * x.log(), lambda x: x.log() * 0.0, lambda x: dot([0.0], [x.log()])):
        got = mg.compile(lambda x: mg.grad(f(x), x)[0])(X)  # noqa: B023
        want = [grad(f(x), x)[0].data for x in map(Value, X.tolist())]
        assert math.isnan(want[0]) and want[1] == 0.0
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("exponent", [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
def test_constant_powers_keep_what_infinities_do(exponent):
    """x**2 and the like, in a program, to second order and behind factors that are not finite."""
    points = [0.0, -0.0, inf, -inf, nan, 1e-200, -1e200, 2.0, -3.0]
    factors = [1.0, 0.0, inf, -2.0, 1e-300]
    w = Value(1.0)

    def f(x, c):
        return c * (w * x) ** exponent

    pairs = np.array(list(itertools.product(points, factors)))
    X, C = pairs.T.copy()
    program = mg.compile(lambda x, c: f(x, c))
    orders = mg.compile(
        lambda x, c: [
            f(x, c),
            (g := mg.grad(f(x, c), x, create_graph=True)[0]),
            mg.grad(g, x)[0],
        ]
    )(X, C)
    for x, c, got in zip(X.tolist(), C.tolist(), orders.tolist(), strict=True):
        v = Value(x)
        y = f(v, c)
        (first,) = grad(y, v, create_graph=True)
        (second,) = grad(first, v)
        want = [y.data, first.data, second.data]
        assert got == pytest.approx(want, rel=1e-14, nan_ok=True), (x, c)
        w.grad = 0.0
        f(Value(x), c).backward()
        program.loss(np.array([x]), np.array([c]))
        program.zero_grad()
        program.backward()
        (gradient,) = program.parameters().flat_grad
        assert gradient == pytest.approx(w.grad, rel=1e-14, nan_ok=True), (x, c)
