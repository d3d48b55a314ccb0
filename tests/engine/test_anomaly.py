"""detect_anomaly: the op, its operands and the user's line; forward, backward and forward mode."""

import asyncio
import inspect
import math
import threading

import pytest

import micrograd as mg
from micrograd import func
from micrograd.engine import AnomalyError, Value, detect_anomaly, dot, grad, modes, no_grad, watch
from micrograd.nn import MLP

pytestmark = pytest.mark.thread_unsafe(reason="looks at the modes of all threads")

inf, nan = math.inf, math.nan


def line_of(function, text):
    """'File "...", line n, in function: ...' of the line of the function that has the text."""
    lines, first = inspect.getsourcelines(function)
    n, source = next((i, s) for i, s in enumerate(lines) if text in s)
    return f'File "{__file__}", line {first + n}, in {function.__name__}: {source.strip()}'


def raised(f):
    with pytest.raises(AnomalyError) as info:
        f()
    assert not modes.active
    return str(info.value)


def forward_at_fault():
    x = Value(0.0, label="x")
    with detect_anomaly():
        y = x * 2.0
        return y.log()  # here


def test_forward():
    assert raised(forward_at_fault) == (
        "detect_anomaly: log(0.0) made -inf\n  " + line_of(forward_at_fault, "# here")
    )


@pytest.mark.parametrize(
    "op, shown",
    [
        (lambda x: x / 0.0, "div(x=0.0, 0.0) made nan"),
        (lambda x: 1 / x, "div(1.0, x=0.0) made inf"),
        (lambda x: (x + 1000).exp(), "exp(1000.0) made inf"),
        (lambda x: (x - 1).sqrt(), "sqrt(-1.0) made nan"),
        (lambda x: dot([x, 1e300], [x, 1e300]), "dot(x=0.0, 1e+300, x=0.0, 1e+300, 0.0) made inf"),
        (lambda x: mg.sum([x] * 9 + [inf]), "x=0.0, ... 10 in all) made inf"),
        (lambda x: x.detach() / 0.0, "div(x=0.0, 0.0) made nan"),
        (lambda x: MLP(1, [1])([x + inf]), "add(x=0.0, inf) made inf"),
    ],
)
def test_every_kind_of_op(op, shown):
    @detect_anomaly()
    def run():
        op(Value(0.0, label="x"))

    message = raised(run)
    assert shown in message and message.count("\n") == 1 and __file__ in message
    op(Value(0.0))  # nothing is raised outside


def backward_at_fault(differentiate):
    x = Value(0.0, label="x")
    with detect_anomaly():
        y = x.sqrt()  # here
        z = y * 3.0
        differentiate(z, x)


@pytest.mark.parametrize(
    "differentiate",
    [
        lambda z, x: z.backward(),
        lambda z, x: z.backward(create_graph=True),
        lambda z, x: grad(z, x),
        lambda z, x: grad(z, x, create_graph=True),
    ],
)
def test_backward_names_the_line_of_the_op(differentiate):
    assert raised(lambda: backward_at_fault(differentiate)) == (
        "detect_anomaly: the backward step of sqrt(x=0.0) = 0.0 made inf for operand 0, from the "
        "gradient 3.0\n  " + line_of(backward_at_fault, "# here")
    )


def test_a_backward_pass_that_raises_changes_nothing():
    x, w = Value(0.0), Value(2.0)
    h = x.sqrt()
    y = h * w + w
    unknown = "made outside detect_anomaly: its line is not known"
    with pytest.raises(AnomalyError, match=unknown), detect_anomaly():
        y.backward()
    assert (x.grad, w.grad, h.grad) == (0.0, 0.0, 0.0)
    y.backward()
    assert (x.grad, w.grad) == (inf, 1.0)


def test_a_sum_of_gradients_that_overflows():
    x = Value(1.0, label="x")
    with detect_anomaly():
        y = x * 1e308 + (x - 1.0) * 1e308
        with pytest.raises(AnomalyError, match=r"reach the leaf x=1\.0 add up to inf"):
            y.backward()
        h = x * 1.0
        y = h * 1e308 + (h - 1.0) * 1e308
        with pytest.raises(AnomalyError, match=r"backward step of mul.* from the gradient inf"):
            y.backward()


def test_forward_mode():
    def run():
        with detect_anomaly():
            func.jvp(lambda x: x.sqrt(), (0.0,), (1.0,))

    assert (
        "the forward derivative of sqrt(0.0) made inf, from the tangents (1.0)\n  File"
        in raised(run)
    )


def test_sound_programs_are_unchanged():
    def gradients():
        x, y = Value(0.3, label="x"), Value(-1.2)
        z = dot([x, y, x], [y, x, 2.0], 1.0).tanh() * x.exp() + (x - y).sqrt() ** y
        z.backward()
        (second,) = grad(x * y * z, x, create_graph=True)
        (third,) = grad(second, y)
        z.backward(create_graph=True)
        return z.data, x.grad.data, y.grad.data, second.data, third.data

    want = gradients()
    with detect_anomaly():
        assert gradients() == want
        x = Value(2.0)
        y = x * x
    (y * x).backward()  # nodes made inside are nodes like any other
    assert (x.grad, y.grad, repr(y)) == (12.0, 2.0, "Value(data=4.0, grad=2.0)")


def test_only_this_thread_and_this_task():
    x = Value(0.0)
    seen, begin = [], threading.Event()

    def other():
        begin.wait()
        seen.append(x.log().data)

    thread = threading.Thread(target=other)
    thread.start()  # one that starts inside is inside where Python says so: thread_inherit_context
    with detect_anomaly():
        begin.set()
        thread.join()
    assert seen == [-inf]

    async def careful(inside, outside):
        with detect_anomaly():
            inside.set()
            await outside.wait()
            with pytest.raises(AnomalyError):
                x.log()

    async def careless(inside, outside):
        await inside.wait()
        seen.append(x.log().data)
        outside.set()

    async def both():
        events = asyncio.Event(), asyncio.Event()
        await asyncio.gather(careful(*events), careless(*events))

    thread = threading.Thread(target=lambda: asyncio.run(both()))  # this one may have a loop
    thread.start()
    thread.join(60)
    assert seen == [-inf, -inf] and not modes.active


def test_nested_with_itself_and_with_no_grad():
    x = Value(0.0)
    with detect_anomaly():
        with detect_anomaly():
            pass
        with no_grad(), pytest.raises(AnomalyError):
            x.log()
        with func.count_operations() as count, pytest.raises(AnomalyError):
            (x * 2.0).log()
    assert count.values == 1
    assert x.log().data == -inf and modes.watchers.get() == ()


def test_it_is_the_error_of_pytorch_and_of_numpy():
    assert issubclass(mg.AnomalyError, RuntimeError) and issubclass(
        AnomalyError, FloatingPointError
    )
    assert mg.detect_anomaly is detect_anomaly


def test_off_it_costs_no_memory_and_no_line_is_looked_up(monkeypatch):
    monkeypatch.setattr(watch, "_users_line", lambda: pytest.fail("looked up a line"))
    x = Value(2.0)
    y = (x * x).log()
    y.backward()
    assert type(y) is Value and not hasattr(y, "site")
