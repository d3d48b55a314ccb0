"""Forward and reverse mode on every op, and what each costs: operations, memory."""

import math
import tracemalloc

import pytest
from support.derivatives import forward_derivative, numbers

from micrograd import func
from micrograd.engine import Value, dot, modes, where
from micrograd.engine import sum as n_ary_sum
from micrograd.engine.rules import RULES
from micrograd.engine.value import record

OPERANDS = {1: 1, 2: 2, 0: 5}
inf, nan = math.inf, math.nan


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
