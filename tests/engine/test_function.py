"""Custom functions: every mode and order against the same maths in plain ops; bad definitions."""

import copy
import math

import pytest

from micrograd import func
from micrograd.engine import Function, Value, grad, modes, no_grad
from micrograd.gradcheck import gradcheck, gradgradcheck


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_values
        return 2.0 * x * grad

    @staticmethod
    def jvp(ctx, tangent):
        (x,) = ctx.saved_values
        return 2.0 * x * tangent


class Exp(Function):
    """Saves its result."""

    @staticmethod
    def forward(ctx, x):
        y = math.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        return ctx.saved_values[0] * grad

    jvp = backward


class Cartesian(Function):
    """Two operands, two results, all four saved; a constant in an attribute."""

    @staticmethod
    def forward(ctx, r, angle):
        ctx.unit = 1.0
        x, y = r * math.cos(angle), r * math.sin(angle)
        ctx.save_for_backward(r, angle, x, y)
        return x, y

    @staticmethod
    def backward(ctx, dx, dy):
        _, angle, x, y = ctx.saved_values
        return ctx.unit * dx * angle.cos() + dy * angle.sin(), x * dy - y * dx

    @staticmethod
    def jvp(ctx, dr, dangle):
        r, _, x, y = ctx.saved_values
        return x / r * dr - y * dangle, y / r * dr + x * dangle


class MyReLU(Function):
    """The documents' section 12."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return max(x, 0.0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_values
        return grad if x > 0 else 0.0


def custom(v):
    x, y = Cartesian.apply(v[0], v[1])
    return Square.apply(x) * y + Exp.apply(y * v[0]) + Cartesian.apply(x, 0.5)[1]


def plain(v):
    x, y = v[0] * v[1].cos(), v[0] * v[1].sin()
    return x * x * y + (y * v[0]).exp() + x * math.sin(0.5)


def flat(tree):
    return [leaf.data for leaf in func.leaves_of(tree, "")]


def test_backward_and_the_graph():
    x = Value(3.0)
    y = Square.apply(x)
    assert (y.data, y.op, y._op, y.parents, repr(y.grad_fn)) == (
        *(9.0, "Square", "Square", (x,)),
        "<SquareBackward>",
    )
    (y * 2.0).backward()
    (y * 2.0).backward()
    assert (x.grad, y.grad) == (24.0, 2.0)
    z = MyReLU.apply(Square.apply(x) - 10.0)
    assert (z.data, repr(z.grad_fn)) == (0.0, "<MyReLUBackward>")
    z.backward()
    assert x.grad == 24.0
    assert Square.apply(3.0).is_leaf
    with no_grad():
        assert Square.apply(x).is_leaf
    other = copy.deepcopy(y)
    other.backward()
    assert other.parents[0].grad == 30.0 and x.grad == 24.0


def test_several_results_are_one_op():
    r, angle = Value(2.0), Value(0.5)
    x, y = Cartesian.apply(r, angle)
    (x * x + y * y).backward()  # r^2
    assert r.grad == pytest.approx(4.0, rel=1e-15)
    assert angle.grad == pytest.approx(0.0, abs=1e-15)
    r.grad = angle.grad = 0.0
    x.backward()
    assert (r.grad, angle.grad) == (math.cos(0.5), -y.data)


@pytest.mark.parametrize(
    "transform",
    [
        func.grad,
        func.jacfwd,
        func.hessian,
        lambda f: func.jacrev(func.jacrev(f)),
        lambda f: func.jacfwd(func.jacfwd(f)),
        lambda f: func.jacrev(func.jacfwd(f)),
        lambda f: func.jacrev(func.hessian(f)),
        lambda f: func.jacfwd(func.hessian(f)),
    ],
)
def test_all_modes_and_orders_against_plain_ops(transform):
    point = [1.3, 0.4]
    want = flat(transform(plain)(point))
    assert flat(transform(custom)(point)) == pytest.approx(want, rel=1e-13)
    assert len(want) in (2, 4, 8) and max(map(abs, want)) > 1


def test_create_graph():
    x = Value(1.5)
    y = Exp.apply(Square.apply(x))
    (first,) = grad(y, x, create_graph=True)
    (second,) = grad(first, x, create_graph=True)
    (third,) = grad(second, x)
    e = math.exp(2.25)
    assert (first.data, second.data, third.data) == pytest.approx(
        (3 * e, 11 * e, (3 * 1.5 * 4 + 8 * 1.5**3) * e)
    )
    y.backward(create_graph=True)
    assert grad(x.grad, x)[0].data == pytest.approx(11 * e)


def test_gradcheck_takes_functions():
    point = ([1.3, 0.4],)
    assert gradcheck(custom, point, check_forward_ad=True) and gradgradcheck(custom, point)


def test_backward_gets_constants_at_first_order_and_nodes_beyond():
    seen = []

    class Spy(Function):
        @staticmethod
        def forward(ctx, x, y):
            assert isinstance(x, float) and isinstance(y, float)
            ctx.save_for_backward(x, x + y)
            seen.append(ctx.needs_input_grad)
            return x + y

        @staticmethod
        def backward(ctx, grad):
            seen.append([v.requires_grad for v in (grad, *ctx.saved_values)])
            return grad, None

    x = Value(1.0)
    z = Spy.apply(x, 2)
    z.backward()
    assert seen == [(True, False), [False, False, False]] and x.grad == 1.0
    with pytest.raises(RuntimeError, match=r"Spy.backward: saved value 1 is neither an operand"):
        z.backward(create_graph=True)


def test_what_would_lose_a_derivative_raises():
    class Sine(Function):
        cosine = staticmethod(math.cos)

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return math.sin(x)

        @classmethod
        def backward(cls, ctx, grad):
            return cls.cosine(ctx.saved_values[0]) * grad

    x = Value(0.5)
    Sine.apply(x).backward()
    assert x.grad == math.cos(0.5)
    with pytest.raises(TypeError, match=r"Sine.backward: float\(\) of a Value"):
        Sine.apply(x).backward(create_graph=True)
    Sine.cosine = staticmethod(lambda v: math.cos(v.detach()))
    (first,) = grad(Sine.apply(x), x, create_graph=True)
    assert first.data == math.cos(0.5) and not first.requires_grad  # as was asked for
    Sine.cosine = staticmethod(Value.cos)
    (first,) = grad(Sine.apply(x), x, create_graph=True)
    assert grad(first, x)[0].data == -math.sin(0.5)
    assert float(x) == 0.5 and not modes.active

    class Attribute(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.x = x
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return 2.0 * ctx.x * grad

    Attribute.apply(x).backward()
    with pytest.raises(RuntimeError, match=r"Attribute.backward: ctx.x is an operand"):
        Attribute.apply(x).backward(create_graph=True)


def returning(forward=lambda x, y: x, backward=lambda g: (g, g), jvp=None):
    class Odd(Function):
        pass

    Odd.forward = staticmethod(lambda ctx, *args: forward(*args))
    Odd.backward = staticmethod(lambda ctx, *grads: backward(*grads))
    if jvp:
        Odd.jvp = staticmethod(lambda ctx, *tangents: jvp(*tangents))
    return Odd


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    "returned, error, message",
    [
        (lambda g: g, ValueError, "returned 1 gradients for 2 operands"),
        (lambda g: (g, g, g), ValueError, "returned 3 gradients for 2 operands"),
        (lambda g: None, ValueError, "returned 1 gradients for 2"),
        (lambda g: ("1", g), TypeError, "gradient 0: '1' is a str"),
        (lambda g: [g, g], ValueError, "returned 1 gradients"),
    ],
)
def test_bad_gradients(returned, error, message, create_graph):
    x, y = Value(1.0), Value(2.0)
    with pytest.raises(error, match=rf"Odd.backward: {message}"):
        returning(backward=returned).apply(x, y).backward(create_graph=create_graph)
    assert (x.grad, y.grad) == (0.0, 0.0)


@pytest.mark.parametrize("bad", ["1", None, 1j, [1.0], Value(1.0)])
def test_bad_results_and_operands(bad):
    kind = type(bad).__name__
    with pytest.raises(TypeError, match=rf"Odd.forward: result: .* is a {kind}"):
        returning(forward=lambda x: bad).apply(Value(1.0))
    with pytest.raises(TypeError, match=rf"Odd.forward: result: .* is a {kind}"):
        returning(forward=lambda x: (x, bad)).apply(Value(1.0))
    if not isinstance(bad, Value):
        with pytest.raises(TypeError, match=rf"Odd.apply: .* is a {kind}"):
            returning().apply(Value(1.0), bad)


def test_missing_methods_and_bad_tangents():
    x = Value(2.0)
    with pytest.raises(
        NotImplementedError, match=r"MyReLU.jvp: not defined; forward mode needs jvp"
    ):
        func.jvp(MyReLU.apply, (2.0,), (1.0,))

    class Nothing(Function):
        pass

    with pytest.raises(NotImplementedError, match=r"Nothing.forward: not defined; define forward"):
        Nothing.apply(x)
    Nothing.forward = staticmethod(lambda ctx, x: 2 * x)
    with pytest.raises(NotImplementedError, match=r"Nothing.backward: not defined"):
        Nothing.apply(x).backward()
    for jvp, error, message in (
        (lambda s, t: (s, t), ValueError, "returned 2 tangents for 1 results"),
        (lambda s, t: "1", TypeError, "tangent 0: '1' is a str"),
    ):
        with pytest.raises(error, match=f"Odd.jvp: {message}"):
            func.jvp(returning(jvp=jvp).apply, (1.0, 2.0), (1.0, 1.0))
    assert not modes.active


def test_whole_numbers_will_do():
    x = Value(2.0)
    returning(forward=lambda x: 3, backward=lambda g: 5).apply(x).backward()
    assert x.grad == 5.0 and type(x.grad) is float
    _, tangent = func.jvp(returning(lambda x: 3, jvp=lambda t: 7).apply, (1.0,), (1.0,))
    assert tangent.data == 7.0


@pytest.mark.parametrize("create_graph", [False, True])
def test_none_is_a_gradient_of_zero(create_graph):
    x, y = Value(1.0), Value(2.0)
    returning(backward=lambda g: (3.0 * g, None)).apply(x, y).backward(create_graph=create_graph)
    assert (x.grad == 3.0, y.grad == 0.0) == (True, True)
    alone = returning(forward=lambda x: x, backward=lambda g: None)
    (gradient,) = grad(alone.apply(x) + x, x)
    assert gradient.data == 1.0
