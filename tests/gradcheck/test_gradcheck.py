"""gradcheck and gradgradcheck: what is right passes, what is wrong is named with both numbers."""

import math
import random
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd as mg
from micrograd import GradcheckError, Value, gradcheck, gradgradcheck
from micrograd.engine.rules import RULES
from micrograd.nn import MLP


class Cube(mg.Function):
    """x^3 with derivatives that are `wrong` times what they should be."""

    wrong, wrong_forward = 1.0, 1.0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @classmethod
    def backward(cls, ctx, grad):
        (x,) = ctx.saved_values
        return cls.wrong * 3.0 * x * x * grad

    @classmethod
    def jvp(cls, ctx, tangent):
        (x,) = ctx.saved_values
        return cls.wrong_forward * 3.0 * x * x * tangent


class WrongCube(Cube):
    wrong = 1.25


class WrongSecond(Cube):
    """Its first derivative is right, but is built from a constant."""

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_values
        return 3.0 * x * x.detach() * grad


class WrongForward(Cube):
    wrong_forward = 0.5


def test_right_functions_pass():
    f = lambda x, y: [x.sin() * y[0], y[1] ** x]  # noqa: E731
    point = (Value(1.2), [0.3, 2.0])
    assert gradcheck(f, point, check_forward_ad=True) is True
    assert gradgradcheck(f, point) is True
    assert gradcheck(Cube.apply, 2.0) and gradgradcheck(Cube.apply, Value(2.0))
    assert gradcheck(lambda x: 3.0, 1.0) and gradcheck(lambda x: [], (1.0,))
    assert point[0].grad == 0.0 and point[0].data == 1.2


def message(check, *args, **kwargs):
    with pytest.raises(GradcheckError) as info:
        check(*args, **kwargs)
    assert check(*args, **kwargs, raise_exception=False) is False
    return str(info.value)


def two_numbers(text):
    number = r"(-?[\d.e-]+)"
    found = re.search(rf"gives {number}, finite differences {number} ", text)
    return float(found[1]), float(found[2])


def test_a_wrong_derivative_is_named_with_both_numbers():
    text = message(gradcheck, WrongCube.apply, 2.0)
    assert text.startswith("gradcheck: input 0: reverse mode gives 15.0, finite differences 12.0")
    text = message(
        gradcheck,
        lambda a, v: [a * v[0], (a, WrongCube.apply(v[1]))],
        (Value(1.0), [Value(5.0), Value(2.0, label="w")]),
    )
    assert text.startswith("gradcheck: output 1[1] by input 1[1] (w): reverse mode gives 15.0")
    assert two_numbers(text) == pytest.approx((15.0, 12.0), rel=1e-8)
    assert "entries disagree" not in text
    text = message(gradcheck, lambda x, y: WrongCube.apply(x) + WrongCube.apply(y), (1.0, 3.0))
    assert "input 1: " in text and "2 of 2 entries disagree" in text  # the worst of them


def test_forward_mode_is_checked_on_request():
    assert gradcheck(WrongForward.apply, 2.0)
    text = message(gradcheck, WrongForward.apply, 2.0, check_forward_ad=True)
    assert text.startswith("gradcheck: input 0: forward mode gives 6.0, finite differences 12.0")


def test_second_derivatives():
    assert gradcheck(WrongSecond.apply, 2.0)
    text = message(gradgradcheck, lambda x, y: WrongSecond.apply(x) * y, (2.0, 1.0))
    assert text.startswith("gradgradcheck: the derivative of f by input 0 by input 0: reverse ")
    assert two_numbers(text) == pytest.approx((6.0, 12.0), rel=1e-8)


def test_tolerances():
    f = Cube.apply
    kwargs = {"eps": 1e-2, "rtol": 0.0}  # off by eps^2 = 1e-4
    assert gradcheck(f, 2.0, atol=1.1e-4, **kwargs)
    assert two_numbers(message(gradcheck, f, 2.0, atol=0.9e-4, **kwargs)) == pytest.approx(
        (12.0, 12.0001), abs=1e-9
    )
    assert gradcheck(WrongCube.apply, 2.0, atol=0.0, rtol=0.26)
    assert gradcheck(f, 2.0, atol=0.0, rtol=0.0, raise_exception=False) is False


def test_kinks_and_numbers_that_are_not_finite():
    assert gradcheck(Value.relu, 1.0) and gradcheck(Value.relu, -1.0)
    assert two_numbers(message(gradcheck, Value.relu, 0.0)) == (0.0, 0.5)
    assert "gives inf, finite differences nan" in message(gradcheck, Value.sqrt, 0.0)
    assert "gives -1.0, finite differences nan" in message(gradcheck, Value.log, -1.0)


def test_what_is_not_to_be_checked():
    n = Value(3.0, requires_grad=False)
    assert gradcheck(lambda x, n: x * x if n.data == 3.0 else x, (2.0, n))
    assert gradcheck(lambda x, n: x * n.detach(), (2.0, n))
    with pytest.raises(ValueError, match="nothing to check, no input requires a gradient"):
        gradcheck(lambda n: n, n)
    with pytest.raises(ValueError, match="nothing to check"):
        gradcheck(lambda: 1.0, ())
    outside = Value(2.0)
    assert gradcheck(lambda x: x * outside, 3.0) and outside.grad == 0.0


def test_bad_use():
    with pytest.raises(
        ValueError, match=r"gradcheck: input 0 is 1e\+20, where a step of eps=1e-06"
    ):
        gradcheck(lambda x: x, 1e20)
    with pytest.raises(TypeError, match="gradcheck: inputs: 'a' is a str"):
        gradcheck(lambda x: x, "a")
    with pytest.raises(TypeError, match="gradcheck: a result of the function: 'a' is a str"):
        gradcheck(lambda x: "a", 1.0)
    draws = random.Random(0)
    with pytest.raises(ValueError, match="gradcheck: the function is not deterministic"):
        gradcheck(lambda x: x * draws.random(), 1.0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(r for r in RULES if RULES[r].arity == 1)),
    st.floats(0.2, 2.0),
    st.booleans(),
)
def test_every_unary_op(name, x, negative):
    if name in ("asin", "acos", "atanh", "tan", "log1p"):
        x *= 0.4  # within (-1, 1)
    elif name in ("floor", "ceil", "round"):
        x = 0.25 + 0.1 * x  # away from the jumps
    elif name == "acosh":
        x += 1.0
    positive = ("log", "log2", "log10", "sqrt", "acosh", "lgamma", "digamma")
    x = -x if negative and name not in positive else x
    f = (lambda v: -v) if name == "neg" else getattr(Value, name)
    assert gradcheck(f, x, check_forward_ad=True) and gradgradcheck(f, x)


# ------------------------------------------------------------------ models


def network(loss="cross_entropy", dtype="float64"):
    np = pytest.importorskip("numpy")
    net = mg.Network(mg.Linear(4, 5), mg.Tanh(), mg.Linear(5, 3), loss=loss, dtype=dtype, seed=0)
    rng = np.random.default_rng(1)
    X = rng.normal(size=(6, 4))
    y = rng.integers(0, 3, 6) if loss == "cross_entropy" else rng.normal(size=(6, 3))
    return net, X, y


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_network_passes_and_is_left_as_it_was(loss):
    net, X, y = network(loss)
    net.loss(X, y)
    net.backward()
    parameters = net.parameters()
    data, gradients = parameters.flat.copy(), parameters.flat_grad.copy()
    assert gradcheck(net, (X, y)) is True
    assert (parameters.flat == data).all() and (parameters.flat_grad == gradients).all()


def test_a_wrong_gradient_of_a_network_is_named(monkeypatch):
    net, X, y = network()
    backward, parameters = net.backward, net.parameters()
    data = parameters.flat.copy()

    def wrong():
        backward()
        parameters[2].grad[1, 3] += 0.5

    monkeypatch.setattr(net, "backward", wrong)
    text = message(gradcheck, net, (X, y))
    assert text.startswith("gradcheck: parameter '2.weight'[1, 3]: backward gives ")
    ours, theirs = two_numbers(text)
    assert ours - theirs == pytest.approx(0.5, abs=1e-8)
    assert (parameters.flat == data).all() and not parameters.flat_grad.any()


def test_models_that_cannot_be_checked():
    net, X, y = network(dtype="float32")
    with pytest.raises(TypeError, match=r"'0.weight' is float32, .* dtype='float64'"):
        gradcheck(net, (X, y))
    with pytest.raises(TypeError, match=r"gradgradcheck: .*'0.weight' is float32"):
        gradgradcheck(net, (X, y))
    with pytest.raises(ValueError, match="X has 3 features"):
        net, X, y = network()
        gradcheck(net, (X[:, :3], y))


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_second_derivatives_of_a_network(loss, monkeypatch):
    net, X, y = network(loss)
    data = net.parameters().flat.copy()
    assert gradgradcheck(net, (X, y)) is True
    backward, parameters = net.backward, net.parameters()

    def wrong():
        backward()
        parameters[0].grad[2, 1] *= 3.0  # right at no point but where it is 0

    monkeypatch.setattr(net, "backward", wrong)
    text = message(gradgradcheck, net, (X, y))
    assert "parameter '0.weight'[2, 1]" in text and "the other way round it is" in text
    assert gradgradcheck(net, (X, y), raise_exception=False) is False
    assert (parameters.flat == data).all() and not parameters.flat_grad.any()


def test_a_program_passes_both():
    np = pytest.importorskip("numpy")
    random.seed(2)
    mlp = MLP(2, [3, 1])
    program = mg.compile(lambda x, y: (mlp(x).tanh() - y) ** 2 + 0.1 * mlp(x).sin())
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5, 2)), rng.normal(size=5)
    program.record(X, y)
    assert gradcheck(program, (X, y)) and gradgradcheck(program, (X, y))


class Regression:
    """A model whose parameters are Values."""

    def __init__(self, noise=0.0):
        random.seed(4)
        self.mlp, self.noise, self.fault = MLP(2, [3, 1]), noise, 0.0
        self.mlp.layers[0].neurons[1].w[0].label = "w"

    def parameters(self):
        return self.mlp.parameters()

    def loss(self, X, y):
        self.result = mg.sum((self.mlp(x) - t) ** 2 for x, t in zip(X, y, strict=True))
        return self.result + self.noise * random.random()

    def backward(self):
        self.result.backward()
        self.parameters()[3].grad += self.fault


def test_a_model_of_values():
    model, data = Regression(), ([[0.5, -1.0], [2.0, 1.0]], [1.0, -1.0])
    model.parameters()[0].grad = 7.0
    assert gradcheck(model, data)
    assert [p.grad for p in model.parameters()] == [7.0] + [0.0] * 12
    model.fault = 1.0
    assert message(gradcheck, model, data).startswith("gradcheck: parameter 'w': backward gives")
    with pytest.raises(ValueError, match=r"Regression\.loss is not deterministic"):
        gradcheck(Regression(noise=1.0), data)
    model.parameters = lambda: []
    with pytest.raises(ValueError, match="Regression has no parameters to check"):
        gradcheck(model, data)


def test_data_and_gradients_are_restored_when_the_model_raises():
    model, data = Regression(), ([[0.5, -1.0]], [1.0])
    before = [p.data for p in model.parameters()]
    model.parameters()[0].grad = 7.0
    model.backward = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        gradcheck(model, data)
    calls = iter([1.0, 1.0, 2.0])
    model.loss = lambda X, y: next(calls)
    with pytest.raises(StopIteration):
        gradcheck(model, data)
    assert [p.data for p in model.parameters()] == before
    assert [p.grad for p in model.parameters()] == [7.0] + [0.0] * 12


@pytest.mark.parametrize(
    "first",
    [
        "import micrograd.gradcheck",
        "from micrograd.gradcheck.check import gradgradcheck",
        "mg.gradgradcheck",
        "mg.func",
    ],
)
def test_the_module_does_not_hide_the_function(first):
    code = f"import micrograd as mg\n{first}\nassert mg.gradcheck(lambda x: x * x, 2.0)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_numpy_for_functions():
    code = "import sys, micrograd as mg; mg.gradcheck(lambda x: x, 1.0); assert 'numpy' not in "
    subprocess.run([sys.executable, "-c", code + "sys.modules"], check=True)
    assert math.isclose(mg.func.grad(mg.Value.exp)(0.0).data, 1.0)
