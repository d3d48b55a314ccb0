"""grad, vjp, jvp, Jacobians and Hessians: torch.func, nesting, operation counts, memory."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.derivatives import DERIVATIVES, numbers

from micrograd import func
from micrograd.engine import Value, dot, modes, no_grad, softmax, where
from micrograd.engine import sum as n_ary_sum

inf, nan = math.inf, math.nan


# ------------------------------------------------------------------ results and their structure


def test_grad_by_hand():
    assert numbers(func.grad(lambda x: x**3)(2.0)) == 12.0
    f = lambda x, y: x[0] * x[1][0] + x[1][1] * y  # noqa: E731
    point = ([2.0, (3.0, 5.0)], Value(7.0))
    assert numbers(func.grad(f)(*point)) == [3.0, (2.0, 7.0)]
    assert numbers(func.grad(f, argnums=1)(*point)) == 5.0
    assert numbers(func.grad(f, argnums=(1, 0))(*point)) == (5.0, [3.0, (2.0, 7.0)])
    assert numbers(func.grad(f, argnums=-1)(*point)) == 5.0
    gradient, value = func.grad_and_value(f)(*point)
    assert (numbers(gradient), value.data) == ([3.0, (2.0, 7.0)], 41.0)
    assert numbers(func.grad(lambda x, scale: scale * x * x)(3.0, scale=10)) == 60.0
    assert numbers(func.grad(lambda x: 5)(3.0)) == 0.0
    assert numbers(func.grad(lambda x: n_ary_sum(x))([])) == []


def test_vjp_and_jvp_by_hand():
    """f(a, [b, c]) = (ab, [c^2, a]): J = [[b, a, 0], [0, 0, 2c], [1, 0, 0]]."""
    f = lambda a, bc: (a * bc[0], [bc[1] ** 2, a])  # noqa: E731
    result, pullback = func.vjp(f, 2.0, [3.0, 5.0])
    assert numbers(result) == (6.0, [25.0, 2.0])
    for _ in range(2):
        assert numbers(pullback((1.0, [10.0, 100.0]))) == (103.0, [2.0, 100.0])
    assert numbers(pullback((0.0, [Value(1.0), 0]))) == (0.0, [0.0, 10.0])
    result, derivative = func.jvp(f, (2.0, [3.0, 5.0]), (1.0, [10.0, 100.0]))
    assert numbers(result) == (6.0, [25.0, 2.0])
    assert numbers(derivative) == (23.0, [1000.0, 1.0])
    assert numbers(func.jvp(lambda x: [x, 3.0], [2.0], [4.0])) == ([2.0, 3.0], [4.0, 0.0])


def test_jacobians_mirror_result_and_input():
    f = lambda v, w: (v[0] * w, [v[1] * v[1]])  # noqa: E731
    for jacobian in (func.jacrev, func.jacfwd):
        assert numbers(jacobian(f)([2.0, 3.0], 5.0)) == ([5.0, 0.0], [[0.0, 6.0]])
        assert numbers(jacobian(f, (0, 1))([2.0, 3.0], 5.0)) == (
            ([5.0, 0.0], 2.0),
            [([0.0, 6.0], 0.0)],
        )
        assert numbers(jacobian(lambda x: x.exp())(0.0)) == 1.0
        assert numbers(jacobian(lambda x: [7.0])([1.0, 2.0])) == [[0.0, 0.0]]
        assert numbers(jacobian(lambda x: (3.0,))([])) == ([],)
    assert numbers(func.hessian(lambda x: x**3)(2.0)) == 12.0
    hessian = func.hessian(lambda v, w: v[0] * v[0] * v[1] * w, (0, 1))([2.0, 3.0], 5.0)
    assert numbers(hessian) == (
        [([30.0, 20.0], 12.0), ([20.0, 0.0], 4.0)],
        ([12.0, 4.0], 0.0),
    )


@pytest.mark.parametrize("transform", [func.grad, func.jacrev, func.jacfwd, func.hessian])
def test_bad_argnums_and_arguments(transform):
    with pytest.raises(ValueError, match=r"argnums is 2, .* called with 1 positional"):
        transform(lambda x: x, argnums=2)(1.0)
    with pytest.raises(ValueError, match="argnums is 'x'"):
        transform(lambda x: x, argnums="x")(1.0)
    with pytest.raises(TypeError, match=r"func\.\w+: 'a' is a str"):
        transform(lambda x: x)("a")
    with pytest.raises(TypeError, match=r"func\.\w+: a result of the function: None is a NoneType"):
        transform(lambda x: None)(1.0)


def test_bad_structures():
    with pytest.raises(TypeError, match="returned a list of 2; want one Value"):
        func.grad(lambda x: [x, x])(1.0)
    with pytest.raises(ValueError, match=r"func.jvp: tangents \(1.0,\) have not the structure"):
        func.jvp(lambda x: x, ([1.0],), (1.0,))
    _, pullback = func.vjp(lambda x: [x, x], 1.0)
    for wrong in (1.0, [1.0], [1.0, [1.0]]):
        with pytest.raises(ValueError, match=r"func.vjp: cotangents .* have not the structure"):
            pullback(wrong)
    with pytest.raises(TypeError, match="a cotangent: 'a' is a str"):
        pullback([1.0, "a"])
    with pytest.raises(ZeroDivisionError):
        func.jvp(lambda x: 1 / 0, (1.0,), (1.0,))
    with pytest.raises(ZeroDivisionError):
        func.grad(lambda x: 1 / 0)(1.0)
    assert not modes.active and (Value(1.0) * 2).requires_grad


# ------------------------------------------------------------------ nesting


@pytest.mark.parametrize("outer", DERIVATIVES)
@pytest.mark.parametrize("inner", DERIVATIVES)
def test_perturbations_are_not_confused(outer, inner):
    """Siskind and Pearlmutter (2005): d/dx (x * d/dy (x + y)) is 1, not 2; and variants of it."""
    outer, inner = DERIVATIVES[outer], DERIVATIVES[inner]
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0).data == 1.0
    # d/dx (x * d/dy (x y^2) at y = x) = d/dx (2 x^3)
    assert outer(lambda x: x * inner(lambda y: x * y * y)(x))(3.0).data == 54.0
    # d/dy at y = x is not d/dx: the inner derivative of x * y is x, whose derivative is 1
    assert outer(lambda x: inner(lambda y: x * y)(x))(3.0).data == 1.0
    assert outer(lambda x: inner(lambda y: x * x)(x))(3.0).data == 0.0
    assert outer(lambda x: inner(lambda y: where(y > 2, y * x, y))(x))(3.0).data == 1.0


@pytest.mark.parametrize("kinds", [*itertools.product(DERIVATIVES, repeat=3)], ids="-".join)
def test_third_derivatives_in_every_nesting(kinds):
    f = g = lambda x: (x * x).sin() * (x / 2).exp()
    for kind in kinds:
        g = DERIVATIVES[kind](g)
    x = 0.7
    s, c, e = math.sin(x * x), math.cos(x * x), math.exp(x / 2)
    d1, d2, d3 = 2 * x * c, 2 * c - 4 * x**2 * s, -12 * x * s - 8 * x**3 * c
    assert g(x).data == pytest.approx(e * (d3 + 1.5 * d2 + 0.75 * d1 + 0.125 * s), rel=1e-13)
    assert f(Value(x)).data == s * e


def test_hessian_is_the_same_in_all_four_ways():
    def f(v):
        return (v[0] * v[1]).tanh() * v[2].exp() + v[1] ** 3 / v[0] + dot(v, v).sqrt()

    point = [0.5, -1.2, 0.3]
    want = numbers(func.hessian(f)(point))
    for a, b in itertools.product((func.jacrev, func.jacfwd), repeat=2):
        got = numbers(a(b(f))(point))
        for row, expected in zip(got, want, strict=True):
            assert row == pytest.approx(expected, rel=1e-13, abs=1e-13)
    assert want[0][1] == pytest.approx(want[1][0], rel=1e-13)


def test_derivatives_with_respect_to_directions_and_cotangents():
    """J v is linear in v and v^T J in v, so their derivatives by v are J itself."""
    f = lambda x: x.sin()  # noqa: E731
    for d in DERIVATIVES.values():
        by_tangent = d(lambda t: func.jvp(f, (2.0,), (t * t,))[1])(3.0)
        by_cotangent = d(lambda t: func.vjp(f, 2.0)[1](t * t)[0])(3.0)
        assert by_tangent.data == by_cotangent.data == pytest.approx(6.0 * math.cos(2.0))
        both = d(lambda t: func.vjp(lambda x: [x.sin(), x * t], t)[1]([t, t])[0])(3.0)
        assert both.data == pytest.approx(math.cos(3) - 3 * math.sin(3) + 6)  # t cos t + t^2


def test_values_from_outside_stay_connected():
    w, x = Value(2.0), Value(3.0)
    g = func.grad(lambda x: w * x * x)(x)  # 2wx
    g.backward()
    assert (g.data, w.grad, x.grad) == (12.0, 6.0, 4.0)
    w.grad = 0.0
    func.grad_and_value(lambda x: w * x)(5.0)[1].backward()
    assert w.grad == 5.0
    func.jvp(lambda x: w * w * x, (5.0,), (1.0,))[1].backward()
    assert w.grad == 9.0
    _, pullback = func.vjp(lambda x: x * x, 3.0)
    pullback(w)[0].backward()
    assert w.grad == 15.0
    assert (g.requires_grad, func.grad(lambda x: x * x)(5.0).requires_grad) == (True, False)


def test_no_grad_around_and_inside():
    x = Value(3.0)
    with no_grad():
        g, y = func.grad_and_value(lambda v: v * v * x)(x)
        assert (g.data, g.requires_grad, y.data, y.requires_grad) == (18.0, False, 27.0, False)
        assert func.hessian(lambda v: v**3)(x).data == 18.0
        assert not (x * x).requires_grad and x.grad == 0.0
        assert func.jvp(lambda v: v * v, (x,), (1.0,))[1].data == 6.0

    def partly(v):
        with no_grad():
            constant = v * v
        return constant * v

    assert func.grad(partly)(3.0).data == 9.0


def test_results_leave_no_trace():
    x = Value(3.0)
    for result in (
        func.grad(lambda v: v * v)(3.0),
        *func.jvp(lambda v: v * v, (3.0,), (1.0,)),
        func.vjp(lambda v: v * v, 3.0)[0],
        func.hessian(lambda v: v * v)(Value(3.0, requires_grad=False)),
    ):
        assert result.is_leaf and not result.requires_grad
    func.grad(lambda v: v * v * x)(3.0)
    assert x.grad == 0.0 and not modes.active


def test_a_pullback_does_not_outlive_its_forward_pass():
    kept = []

    def f(x):
        y, pullback = func.vjp(lambda v: v * v, x)
        kept.append(pullback)
        return y

    func.jvp(f, (2.0,), (1.0,))
    with pytest.raises(RuntimeError, match="jvp that has come to its end"):
        kept[0](2.0)


# ------------------------------------------------------------------ against PyTorch


def program_on_values(v):
    a, b, c = v
    h = (a * b).tanh() + c.sigmoid() * a
    p = softmax([h, b, c * 2.0])
    return [dot(p, [a, h, b], c), (h * h + 1.0).log() ** b, n_ary_sum([h.gelu(), c.softplus(), h])]


def program_on_tensors(v):
    import torch

    f = torch.nn.functional
    a, b, c = v
    h = torch.tanh(a * b) + torch.sigmoid(c) * a
    p = torch.softmax(torch.stack([h, b, c * 2.0]), 0)
    # torch's softplus turns linear above 20, which is not reached here
    first = p[0] * a + p[1] * h + p[2] * b + c
    return torch.stack([first, torch.log(h * h + 1.0) ** b, f.gelu(h) + f.softplus(c) + h])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.floats(0.1, 2.0) | st.floats(-2.0, -0.1), min_size=6, max_size=6))
def test_jacobians_and_products_against_torch(draw):
    torch = pytest.importorskip("torch")
    point, direction = draw[:3], draw[3:]
    x, v = (torch.tensor(a, dtype=torch.float64) for a in (point, direction))
    want = torch.func.jacrev(program_on_tensors)(x)
    close = {"rel": 1e-9, "abs": 1e-10 * (1 + want.abs().max().item())}
    for jacobian in (func.jacrev, func.jacfwd):
        for row, expected in zip(
            numbers(jacobian(program_on_values)(point)), want.tolist(), strict=True
        ):
            assert row == pytest.approx(expected, **close)
    assert numbers(func.vjp(program_on_values, point)[1](direction)[0]) == pytest.approx(
        torch.func.vjp(program_on_tensors, x)[1](v)[0].tolist(), **close
    )
    assert numbers(func.jvp(program_on_values, (point,), (direction,))[1]) == pytest.approx(
        torch.func.jvp(program_on_tensors, (x,), (v,))[1].tolist(), **close
    )


@pytest.mark.parametrize("output", range(3))
def test_hessian_against_torch(output):
    torch = pytest.importorskip("torch")
    point = [0.6, -0.8, 0.4]
    want = torch.autograd.functional.hessian(
        lambda v: program_on_tensors(v)[output], torch.tensor(point, dtype=torch.float64)
    )
    got = numbers(func.hessian(lambda v: program_on_values(v)[output])(point))
    for row, expected in zip(got, want.tolist(), strict=True):
        assert row == pytest.approx(expected, rel=1e-11, abs=1e-11)


# ------------------------------------------------------------------ aux, dicts and arrays


def test_has_aux():
    def f(w, scale):
        y = w[0] * w[1] * scale
        return y * y, {"y": y, "text": "as it is", "list": [w[0], 3]}

    gradient, aux = func.grad(f, has_aux=True)([2.0, 3.0], 0.5)
    assert [g.data for g in gradient] == [9.0, 6.0]
    assert aux["y"].data == 3.0 and not aux["y"].requires_grad and aux["text"] == "as it is"
    assert aux["list"][0].data == 2.0 and aux["list"][1] == 3
    gradient, (value, aux) = func.grad_and_value(f, has_aux=True)([2.0, 3.0], 0.5)
    assert value.data == 9.0 and aux["y"].data == 3.0
    for jacobian in (func.jacrev, func.jacfwd):
        rows, aux = jacobian(lambda v: ([v * v, 2 * v], v + 1), has_aux=True)(3.0)
        assert [r.data for r in rows] == [6.0, 2.0] and aux.data == 4.0 and type(aux) is Value
    result, pullback, aux = func.vjp(lambda v: (v * v, v + 1), 3.0, has_aux=True)
    assert (result.data, pullback(1.0)[0].data, aux.data) == (9.0, 6.0, 4.0)
    result, tangent, aux = func.jvp(lambda v: (v * v, v + 1), (3.0,), (1.0,), has_aux=True)
    assert (result.data, tangent.data, aux.data) == (9.0, 6.0, 4.0) and type(aux) is Value
    outside = Value(5.0)
    _, aux = func.grad(lambda v: (v * v, v * outside), has_aux=True)(2.0)
    assert aux.requires_grad
    with pytest.raises(TypeError, match=r"func.grad: with has_aux the function returns"):
        func.grad(lambda v: v, has_aux=True)(2.0)


def test_dicts_and_arrays():
    np = pytest.importorskip("numpy")

    def model(p, x):
        return (p["w"] * x).sum() + p["b"][0] * p["b"][1]

    p = {"w": np.array([1.0, 2.0]), "b": (3.0, Value(4.0))}
    x = np.array([0.5, -1.0])
    g = func.grad(model)(p, x)
    assert list(g) == ["w", "b"] and [v.data for v in g["w"]] == [0.5, -1.0]
    assert g["w"].shape == (2,) and tuple(v.data for v in g["b"]) == (4.0, 3.0)
    hessian = func.hessian(lambda v: (v * v * v).sum())(np.array([1.0, 2.0]))
    assert [[v.data for v in row] for row in hessian] == [[6.0, 0.0], [0.0, 12.0]]
    out, pullback = func.vjp(lambda v: {"double": 2 * v, "square": v * v}, 3.0)
    assert out["square"].data == 9.0
    assert pullback({"double": 1.0, "square": 10.0})[0].data == 62.0
    with pytest.raises(ValueError, match="have not the structure"):
        pullback({"square": 1.0})
    _, tangents = func.jvp(lambda m: m @ m, (np.eye(2),), (np.ones((2, 2)),))
    assert [[v.data for v in row] for row in tangents] == [[2.0, 2.0], [2.0, 2.0]]
