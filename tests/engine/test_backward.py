"""backward, grad and create_graph: worked numbers, accumulation, interrupts."""

import itertools
import math
import operator

import pytest

from micrograd.engine import grad
from micrograd.engine.rules import RULES
from micrograd.engine.value import Value, record

inf = math.inf


def test_the_documents_example():
    """x = 1, y = 2, w = 1: prediction 1, error -1, loss 1, dL/ds = -2, dL/dw = -2."""
    x, y = Value(1.0, requires_grad=False), Value(2.0, requires_grad=False)
    w = Value(1.0, label="w")
    y_hat = w * x
    s = y_hat - y
    loss = s**2
    assert (y_hat.data, s.data, loss.data) == (1.0, -1.0, 1.0)
    loss.backward()
    assert (loss.grad, s.grad, y_hat.grad, w.grad) == (1.0, -2.0, -2.0, -2.0)
    assert (x.grad, y.grad) == (0.0, 0.0)
    assert repr(w) == "Value(data=1.0, grad=-2.0)"


def test_fan_out_sums_over_all_paths():
    x = Value(3.0)
    a = x * x  # a = 9
    b = a * x + a  # b = 36, db/dx = 3x^2 + 2x = 33
    b.backward()
    assert (b.data, x.grad) == (36.0, 33.0)
    assert a.grad == 4.0  # x + 1


def test_diamond_needs_a_topological_order():
    """h is used at two depths: its gradient must be complete before it is passed on."""
    x = Value(2.0)
    h = x * 3.0
    y = h + ((h * h) * 2.0).sin() * h
    y.backward()
    t = 2.0 * 36.0
    dh = 1.0 + math.sin(t) + 6.0 * math.cos(t) * 4.0 * 6.0
    assert x.grad == pytest.approx(3.0 * dh, rel=1e-14)


def test_leaves_accumulate_and_inner_nodes_do_not():
    x = Value(2.0)
    h = x * x
    y = h * 3.0
    y.backward()
    y.backward()
    assert (x.grad, h.grad, y.grad) == (24.0, 3.0, 1.0)
    x.grad = 0.0
    y.backward(grad=-0.5)
    assert (x.grad, h.grad, y.grad) == (-6.0, -1.5, -0.5)
    x.backward(5.0)  # a leaf is its own result
    assert x.grad == -1.0


def test_a_zero_gradient_is_still_multiplied_where_a_derivative_is_infinite():
    """PyTorch: 0 * inf behind a product is nan; only bounded rules may skip a zero gradient."""
    for f in (Value.sqrt, Value.log, lambda x: x**0.5, lambda x: 1.0 / x):
        x = Value(0.0)
        (f(x) * 0.0).backward()
        assert math.isnan(x.grad)
    x, w = Value(inf), Value(2.0)
    ((x * w) * 0.0).backward()
    assert (x.grad, math.isnan(w.grad)) == (0.0, True)


def test_grad_changes_no_grad_attribute():
    x, y = Value(3.0), Value(4.0)
    z = x * x * y
    gx, gy = grad(z, [x, y])
    assert (gx.data, gy.data, gx.requires_grad) == (24.0, 9.0, False)
    assert (x.grad, y.grad, z.grad) == (0.0, 0.0, 0.0)
    inner = x * x
    assert grad([inner * y, inner], inner)[0].data == 5.0
    assert grad(x, [x, y])[0].data == 1.0 and grad(x, y)[0].data == 0.0
    with pytest.raises(RuntimeError, match=r"grad: inputs: .*does not require grad"):
        grad(z, Value(1.0, requires_grad=False))


def test_higher_orders_by_hand():
    x = Value(2.0)
    y = x**4
    for want in (32.0, 48.0, 48.0, 24.0 * 2 / 2, 0.0):
        (y,) = grad(y, x, create_graph=True)
        assert y.data == want
        if not y.requires_grad:
            break
    a, b = Value(2.0), Value(3.0)
    (ga,) = grad(a * a * b, a, create_graph=True)  # 2ab
    assert [g.data for g in grad(ga, [a, b])] == [6.0, 4.0]


def test_backward_with_create_graph():
    x = Value(2.0)
    (x**3).backward(create_graph=True)
    first = x.grad
    assert isinstance(first, Value) and first.data == 12.0
    assert grad(first, x)[0].data == 12.0  # 6x
    (x * 5.0).backward(create_graph=True)
    assert x.grad.data == 17.0 and grad(x.grad, x)[0].data == 12.0
    g = Value(3.0)
    x.grad = 0.0
    (x * x).backward(g, create_graph=True)
    assert grad(x.grad, g)[0].data == 4.0
    h = x * x
    for _ in range(2):
        (h * h).backward(create_graph=True)
    assert h.grad.data == 8.0  # an inner node's, so the last call's alone


class Interrupting:
    """A rule during which the user presses Ctrl-C."""

    arity, bounded = 1, True

    @staticmethod
    def dx(g, z, x):
        raise KeyboardInterrupt


def test_an_interrupted_backward_does_not_spoil_the_next():
    x = Value(2.0)
    h = x.relu()
    y = h * h
    rule, h._rule = h._rule, Interrupting
    with pytest.raises(KeyboardInterrupt):
        y.backward()
    h._rule = rule
    y.backward()
    assert x.grad == 4.0


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.arity == 2])
def test_the_inner_loop_is_the_table(name):
    """+ and * are written out in engine and backward; whatever the operands are, they are rules."""
    rule = RULES[name]
    kinds = (Value, lambda v: Value(v, requires_grad=False), float)
    for make_x, make_y in itertools.product(kinds, repeat=2):
        for x, y in itertools.product((-1.5, 0.0, 2.5, inf, math.nan), repeat=2):
            a, b = make_x(x), make_y(y)
            operators = {"add": operator.add, "mul": operator.mul, "sub": operator.sub}
            if name in operators and not (type(a) is float is type(b)):
                z = operators[name](a, b)
            else:
                z = record(rule, a, b)
            assert repr(z.data) == repr(float(rule.value(x, y)))
            if Value not in (make_x, make_y):
                assert not z.requires_grad and z.is_leaf
                continue
            z.backward(-3.0)
            wanted = rule.contributions(-3.0, z.data, (x, y))
            for operand, make, dx in zip((a, b), (make_x, make_y), wanted, strict=True):
                if make is not float:
                    assert repr(operand.grad) == repr(0.0 + dx if make is Value else 0.0)
