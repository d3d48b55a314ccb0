"""grad, vjp, jvp, Jacobians and Hessians: torch.func, nesting, operation counts, memory."""

import itertools
import math
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micrograd import func
from micrograd.engine import Value, dot, modes, no_grad, softmax, where
from micrograd.engine import sum as n_ary_sum
from micrograd.engine.rules import RULES
from micrograd.engine.value import record

inf, nan = math.inf, math.nan


def numbers(tree):
    if isinstance(tree, (list, tuple)):
        return type(tree)(map(numbers, tree))
    assert isinstance(tree, Value)
    return tree.data


def forward_derivative(f):
    return lambda x: func.jvp(f, (x,), (1.0,))[1]


DERIVATIVES = {"reverse": func.grad, "forward": forward_derivative}

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


# ------------------------------------------------------------------ every op of the table

OPERANDS = {1: 1, 2: 2, 0: 5}


def apply(name):
    """The op as a function of a list of operands."""
    if name == "dot":
        return lambda v: dot(v[:2], v[2:4], v[4])
    if name == "sum":
        return n_ary_sum
    if name == "clamp":
        return lambda v: v[0].clamp(v[1], v[2]) + v[3] * v[4]
    if name == "where":
        return lambda v: where(v[0] > 0, v[1], v[2]) * where(v[0] < 0, v[3], v[4])
    rule = RULES[name]
    return lambda v: record(rule, *v)


@pytest.mark.parametrize("name", RULES)
def test_forward_and_reverse_agree_on_every_op(name):
    """Two ways through the same table, here also at kinks and beyond the finite numbers.

    Where a derivative is infinite or nan, forward and reverse give the same for one direction at a
    time: neither mixes in another operand's 0 * inf.
    """
    n, f = OPERANDS[RULES[name].arity], apply(name)
    points = [[0.7, 1.3, 2.0, -0.4, 0.9], [-0.6, 2.0, 0.3, 1.1, -1.0], [1.0, 1.0, 1.0, 1.0, 1.0]]
    for special in (0.0, -0.0, inf, -inf, nan, 1000.0):
        points += [[special] * 5, [special, 2.0, 1.0, special, 3.0], [2.0, special, 0.0, 1.0, 1.0]]
    for point in points:
        point = point[:n]
        reverse, forward = (numbers(j(f)(point)) for j in (func.jacrev, func.jacfwd))
        assert forward == pytest.approx(reverse, rel=1e-14, abs=0, nan_ok=True), point
        xs = [Value(x) for x in point]
        y = f(xs)
        y.backward()
        assert reverse == pytest.approx([x.grad for x in xs], rel=0, abs=0, nan_ok=True), point


@pytest.mark.parametrize("name", RULES)
def test_second_and_third_derivatives_in_forward_mode(name):
    n, f = OPERANDS[RULES[name].arity], apply(name)
    for point in ([0.7, 1.3, 2.0, -0.4, 0.9], [1.2, 0.4, 0.3, 1.1, -1.0]):
        along = lambda t, point=point: f([x + t * (i + 1) for i, x in enumerate(point[:n])])  # noqa: E731
        reverse = forward = along
        for _ in range(3):
            reverse, forward = func.grad(reverse), forward_derivative(forward)
            want = pytest.approx(reverse(0.0).data, rel=1e-11, abs=1e-11, nan_ok=True)
            assert forward(0.0).data == want


# ------------------------------------------------------------------ work and memory


def counted(f):
    with func.count_operations() as count:
        f()
    return count


def test_one_op_is_counted_once_and_each_linear_map_once():
    x, y = Value(2.0), Value(3.0)
    z = None
    with func.count_operations() as count:
        z = x * y + x * 2.0  # mul, mul, add
    assert (count.values, count.derivatives, count.total) == (3, 0, 3)
    with func.count_operations() as count:
        z.backward()  # add has two Values, the first mul two, the other one
    assert (count.values, count.derivatives) == (0, 5)
    assert (x.grad, y.grad) == (5.0, 2.0)
    count = counted(lambda: func.jvp(lambda x: x * y.detach() + x * 2.0, (2.0,), (1.0,)))
    assert (count.values, count.derivatives) == (3, 4)
    before = count.total
    _ = x * y
    assert count.total == before and not modes.active


def test_reverse_mode_wins_from_many_to_one_and_forward_mode_from_one_to_many():
    """One pass against n: the work grows with n for the wrong mode and not for the right one."""
    n = 20

    def many_to_one(v):
        total = v[0]
        for x in v[1:]:
            total = (total * x).sin()
        return total

    point = [0.9] * n
    once = counted(lambda: many_to_one([Value(x) for x in point]))
    reverse = counted(lambda: func.jacrev(many_to_one)(point))
    forward = counted(lambda: func.jacfwd(many_to_one)(point))
    assert once.values == 2 * (n - 1)
    assert reverse.values == once.values  # f ran once,
    assert reverse.derivatives == 3 * (n - 1)  # and each of its ops was gone back over once
    assert forward.values == n * once.values  # f ran n times
    assert forward.total > n / 2 * reverse.total

    def one_to_many(x):
        for _ in range(10):
            x = x.sin()
        return [x * float(i + 1) for i in range(n)]

    reverse = counted(lambda: func.jacrev(one_to_many)(0.5))
    forward = counted(lambda: func.jacfwd(one_to_many)(0.5))
    assert forward.values == forward.derivatives == 10 + n  # one pass
    assert reverse.values == 10 + n
    assert reverse.derivatives == n * (10 + 1)  # n passes back over all of it


def test_forward_mode_stores_no_graph():
    """A chain of 50,000 ops needs no more memory than one of 500; in reverse mode it does."""

    def peak(transform, length):
        def chain(x):
            for _ in range(length):
                x = x.sin()
            return x

        tracemalloc.start()
        transform(chain)(1.0)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(forward_derivative, 10)
    assert peak(forward_derivative, 50_000) < peak(forward_derivative, 500) + 2_000
    assert peak(func.grad, 50_000) > 50_000 * 50


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
