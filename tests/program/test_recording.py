"""What a compiled function may not do, and what the C core does not take."""

import itertools
import math
import random

import numpy as np
import pytest

import micrograd as mg
from micrograd import core
from micrograd.core import ffi, lib
from micrograd.engine import Function
from micrograd.program import RecordingError

inf, nan = math.inf, math.nan

# ------------------------------------------------------------------ what is refused


def stateful():
    calls = itertools.count()
    return lambda x: x * next(calls)


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        return grad


W = mg.Value(2.0)
CUBED = Cube.apply(W)
REFUSED = {
    "if": (lambda x: x if x > 0 else -x, "mg.where"),
    "truth": (lambda x: 1.0 if x else 2.0, "mg.where"),
    "builtin max": (lambda x: max(x, W), "mg.maximum"),
    "branch on a parameter": (lambda x: x if W > 0 else -x, "mg.where"),
    "chained comparison": (lambda x: mg.where(0 < x < 1, x, 0.0), "mg.where"),
    "data": (lambda x: x * x.data, "detach"),
    "data of a parameter": (lambda x: x * W.data, "detach"),
    "float": (lambda x: math.exp(x) * x, r"x\.exp"),
    "float of a parameter": (lambda x: x * float(W), r"x\.exp"),
    "backward": (lambda x: (x * W).backward(), "program.backward"),
    "random numbers": (lambda x: x * random.random(), "something else each time"),
    "a counter": (stateful(), "something else each time"),
    "new parameters": (lambda x: x * mg.Value(1.0), "new Values"),
    "a custom op": (lambda x: Cube.apply(x), "detach"),
    "a custom op outside": (lambda x: CUBED * x, "custom Function"),
    "no Value": (lambda x: "text", "returns str"),
    "ragged": (lambda x: [x, [x, x]], "ragged"),
    "nothing": (lambda x: None, "NoneType"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_recorded_is_an_error_with_advice(what):
    f, advice = REFUSED[what]
    with pytest.raises(RecordingError, match=advice):
        mg.compile(f)([1.0, 2.0])
    assert (W.data, float(W), bool(W > 1), W.grad) == (2.0, 2.0, True, 0.0)  # recording is over


def test_a_value_kept_from_a_recording():
    kept = []
    mg.compile(lambda x: (kept.append(x), x)[1])([1.0])
    with pytest.raises(RecordingError):
        kept[0].data  # noqa: B018
    with pytest.raises(RecordingError, match="earlier recording"):
        mg.compile(lambda x: x + kept[0])([1.0])


def test_arguments_that_do_not_fit():
    program = mg.compile(lambda x, y: x[0] * y)
    for arguments, message in (
        ((np.ones((2, 1)), np.ones(3)), "argument 1 has 3 rows, those before 2"),
        ((np.ones((2, 1)), 1.0), "argument 1 is a number"),
        ((np.ones((0, 1)), np.ones(0)), "no rows"),
        ((np.ones((2, 0)), np.ones(2)), "length 0"),
        ((), "no arguments"),
    ):
        with pytest.raises(ValueError, match=message):
            program(*arguments)
    for bad in (["a"], [1j], [None]):
        with pytest.raises(TypeError, match="real numbers"):
            program(np.ones((1, 1)), bad)
    with pytest.raises(ValueError, match="too large"):
        mg.compile(lambda x: x, dtype="float32")([1e300])
    with pytest.raises(ValueError, match="more than one Value"):
        mg.compile(lambda x: (x, x)).loss([1.0])
    with pytest.raises(TypeError, match="no function"):
        mg.compile(3)
    with pytest.raises(ValueError, match="float32, float64"):
        mg.compile(abs, dtype="float16")


def test_no_grad_outside_does_not_matter_and_inside_cuts():
    w = mg.Value(3.0)

    def f(x):
        with mg.no_grad():
            scale = w * 2.0
        return w * x * scale

    program = mg.compile(f)
    with mg.no_grad():
        program.loss([1.0])
    program.backward()
    assert program.parameters().flat_grad.tolist() == [6.0]


def test_a_gradient_inside_the_function():
    """mg.grad with create_graph is made of ops like any other: d(sin(w x))/dx, and its dw."""
    w = mg.Value(0.7)

    def f(x):
        (g,) = mg.engine.grad((w * x).sin(), x, create_graph=True)
        return g

    program, x = mg.compile(f), 1.3
    assert program([x])[0] == pytest.approx(0.7 * math.cos(0.91), rel=1e-14)
    program.loss([x])
    program.backward()
    want = math.cos(0.91) - 0.7 * x * math.sin(0.91)
    assert program.parameters().flat_grad[0] == pytest.approx(want, rel=1e-14)


slope = mg.Value(0.7, label="slope")
KINKED = {
    "relu": lambda x: (slope * x).relu() * x * x,
    "abs": lambda x: abs(x * x - 1.0) * x,
    "maximum": lambda x: mg.maximum(x * x, slope * x) * x,
    "minimum": lambda x: mg.minimum(x * slope, x * x),
    "leaky relu": lambda x: x.leaky_relu(slope) ** 3.0,
    "learned power": lambda x: x**slope * x,
    "safe root": lambda x: mg.where(x > 0, x.sqrt() * x, slope * x * x),
    "nested": lambda x: mg.where(
        x > 0, mg.where(x > 1, x.log() * x, (x - 1.0).exp()), slope.exp() * x * x
    ),
}


@pytest.mark.parametrize("transform", ["mg.grad", "mg.func.grad"])
@pytest.mark.parametrize("name", KINKED)
def test_derivatives_of_functions_with_kinks(name, transform):
    """First and second derivatives, and a gradient of the first, are the eager ones."""
    f = KINKED[name]

    def derivative(f):
        if transform == "mg.func.grad":
            return lambda x: mg.func.grad(f)(x)
        return lambda x: mg.grad(f(x), x, create_graph=True)[0]

    X = np.array([-2.0, -1.0, -0.5, 0.0, 0.3, 0.7, 1.0, 2.5])
    for g in (derivative(f), derivative(derivative(f))):
        got = mg.compile(g)(X)
        want = [g(mg.Value(x)).data for x in X.tolist()]
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    program = mg.compile(derivative(f))
    sound = [x for x in X.tolist() if math.isfinite(derivative(f)(mg.Value(x)).data)]
    program.loss(np.array(sound))
    program.backward()
    total = mg.sum([derivative(f)(mg.Value(x)) for x in sound]) / len(sound)
    (want,) = mg.grad(total, slope)
    if math.isfinite(want.data):
        np.testing.assert_allclose(program.parameters().flat_grad, want.data, rtol=1e-12)


def test_a_gradient_that_is_not_to_be_differentiated_is_a_constant():
    w = mg.Value(3.0)
    program = mg.compile(lambda x: w * mg.grad(w * x * x, x)[0])
    program.loss([2.0])
    program.backward()
    assert program.parameters().flat_grad.tolist() == [12.0]  # not 24


def test_the_c_core_refuses_instructions_that_do_not_fit():
    """No number anywhere in the code may lead it outside its memory."""
    code = [lib.MG_OP_INPUT, 2, 0, 0, 0, lib.MG_OP_EXP, 1, 1, 0, lib.MG_OP_OUTPUT, 1, 0, 1]

    def accepted(code):
        source = ffi.new("mg_program_source *")
        ints, columns = ffi.new("int32_t[]", code), ffi.new("int64_t[]", [1])
        source.n_arguments, source.n_outputs, source.run_slots = 1, 1, 2
        source.argument_columns, source.run.code = columns, ints
        source.run.length = len(code)
        program = lib.mg_program_new(core.ISA_CODE, lib.MG_FLOAT64, source)
        lib.mg_program_free(program)
        return program != ffi.NULL

    assert accepted(code)
    for i in range(len(code)):
        assert not accepted([*code[:i], 99, *code[i + 1 :]]), i
        assert not accepted([*code[:i], -99, *code[i + 1 :]]), i
    for length in (1, 2, 3, 7, 12):
        assert not accepted(code[:length])
