"""Calls that look right and mean something else: refused with a sentence, or understood."""

import copy
import math
import pickle
import threading

import pytest

import micrograd as mg
from micrograd import func
from micrograd.engine import Value, enable_grad, grad, no_grad, where

np = pytest.importorskip("numpy")

# ------------------------------------------------------------------ constructor


@pytest.mark.parametrize(
    "make",
    [
        lambda a: Value(0.5, (a,), "tanh"),  # the lecture's order: data, children, op
        lambda a: Value(0.5, (), ""),
        lambda a: Value(0.5, [a]),
        lambda a: Value(0.5, 3),
        lambda a: Value(0.5, "name", 1),
        lambda a: Value(0.5, "name", None),
        lambda a: Value(0.5, _children=(a,)),
        lambda a: Value(0.5, _op="+"),
    ],
)
def test_arguments_in_the_wrong_place_are_refused(make):
    with pytest.raises(TypeError, match=r"Value: .*micrograd\.Function"):
        make(Value(1.0))


def test_a_label_is_a_str():
    x = Value(1.0, label="x")
    with pytest.raises(TypeError, match=r"Value\.label: 3 is a int; a str is wanted"):
        x.label = 3
    assert x.label == "x"


def test_the_lectures_closures_are_refused_with_what_to_write():
    x = Value(2.0)
    y = x * x
    with pytest.raises(AttributeError, match=r"Value\._backward: .*micrograd\.Function"):
        y._backward = lambda: None
    with pytest.raises(AttributeError):
        y._prev = {x}


def test_backward_by_hand_as_in_the_lecture():
    a, b, c, f = Value(2.0), Value(-3.0), Value(10.0), Value(-2.0)
    e = a * b
    d = e + c
    out = d * f
    out.grad = 1.0
    for node in (out, c, d, f, e):
        node._backward()
    assert [v.grad for v in (a, b, c, f, d, e)] == [6.0, -4.0, -2.0, 4.0, -2.0, -2.0]


def test_data_wants_a_number():
    x = Value(1.0)
    with pytest.raises(TypeError, match=r"Value\.data: .* is a Value; want a real number$"):
        x.data = Value(1.0)
    with pytest.raises(TypeError, match=r"Value: .* is a Value; want a real number$"):
        Value(Value(1.0))
    assert x.data == 1.0


# ------------------------------------------------------------------ ==


def test_equality_with_a_number_compares_the_data():
    x = Value(1.0)
    assert x == 1.0 and x == 1 and not x != 1.0 and x != 2.0 and x == np.float64(1.0)  # noqa: SIM202
    assert Value(math.nan) != math.nan and not Value(math.nan) == math.nan  # noqa: SIM201
    a, b = Value(3.0), Value(4.0)
    assert where(x == 1.0, a, b).data == 3.0
    assert where(x != 1.0, a, b).data == 4.0
    assert x != "1.0" and x != None  # noqa: E711


def test_equality_between_values_is_identity_and_no_condition():
    x, y = Value(1.0), Value(1.0)
    assert x == x and x != y and not x == y  # noqa: SIM201
    assert y not in [x] and x in [y, x] and [x, y].index(y) == 1
    assert {x: 1}[x] == 1 and len({x, y}) == 2 and (x == y) == False  # noqa: E712
    for condition in (x == y, x != y, x == x):
        with pytest.raises(TypeError, match=r"where: == and != between two Values"):
            where(condition, 1.0, 2.0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_equality_in_a_recording_is_decided_for_each_row(dtype):
    X = np.array([0.0, 1.0, -0.0, 2.0, math.nan])
    w = Value(3.0)
    for f, want in (
        (lambda x: where(x == 0.0, x + 5.0, w), [5.0, 3.0, 5.0, 3.0, 3.0]),
        (lambda x: where(x != 0.0, x + 5.0, w), [3.0, 6.0, 3.0, 7.0, math.nan]),
        (lambda x: where(w == 3.0, 1.0, x), [1.0] * 5),
    ):
        np.testing.assert_array_equal(mg.compile(f, dtype=dtype)(X), want)
    program = mg.compile(lambda x: where(x == 0.0, x * w, w * w))
    program.loss(X[:4])
    program.backward()
    assert program.parameters().flat_grad.tolist() == [3.0]  # 2w / 2


def test_equality_in_a_recording_is_no_python_condition():
    with pytest.raises(mg.RecordingError, match=r"mg\.where"):
        mg.compile(lambda x: x * 2.0 if x == 0.0 else x)(np.ones(2))
    with pytest.raises(TypeError, match="between two Values"):
        mg.compile(lambda x, y: where(x == y, x, y))(np.ones(2), np.ones(2))


# ------------------------------------------------------------------ arrays of Values


def test_arrays_and_values_work_element_by_element():
    x, y = Value(3.0), Value(2.0)
    numbers, values = np.array([1.0, 2.0]), np.array([x, y])
    for got, want in (
        (numbers * x, [3.0, 6.0]),
        (x * numbers, [3.0, 6.0]),
        (numbers - x, [-2.0, -1.0]),
        (x - numbers, [2.0, 1.0]),
        (values / x, [1.0, 2.0 / 3.0]),
        (x / numbers, [3.0, 1.5]),
        (numbers**y, [1.0, 4.0]),
        (x**numbers, [3.0, 9.0]),
        (values + values, [6.0, 4.0]),
        (np.exp(values), [math.exp(3.0), math.exp(2.0)]),
    ):
        assert got.dtype == object and all(type(v) is Value for v in got)
        assert [v.data for v in got] == pytest.approx(want)
    assert (values @ numbers).data == 7.0 and (x < numbers).tolist() == [False, False]
    assert (values > 2.5).tolist() == [True, False] == (values == 3.0).tolist()
    for scalar in (np.float64(2.0) * x, np.array(2.0) * x, x * np.array(2.0), np.multiply(2.0, x)):
        assert type(scalar) is Value and scalar.data == 6.0
    assert type(np.exp(x)) is Value and np.float32(2.0) < x


def test_softmax_over_an_array_of_values():
    z = [Value(0.3), Value(-1.2), Value(2.0)]
    e = np.exp(np.array(z))
    p = e / e.sum()
    (-p[2].log()).backward()
    want = [v.data for v in mg.softmax([v.detach() for v in z])]
    assert [v.data for v in p] == pytest.approx(want, rel=1e-15)
    assert [v.grad for v in z] == pytest.approx([want[0], want[1], want[2] - 1.0], rel=1e-14)


def test_arrays_in_a_recording():
    c = np.array([0.5, 2.0])
    program = mg.compile(lambda x: (c * x[0] - x[1]).sum())
    assert program(np.array([[1.0, 3.0]])).tolist() == [-3.5]


# ------------------------------------------------------------------ derivatives of constants


def test_a_constant_derivative_has_the_derivative_zero():
    x, y = Value(3.0), Value(2.0)
    for f in (lambda: 3.0 * x, lambda: x.relu(), lambda: abs(x), lambda: x - y):
        (g,) = grad(f(), x, create_graph=True)
        assert [h.data for h in grad(g, [x, y])] == [0.0, 0.0]
        assert grad(g * g + 1.0, x)[0].data == 0.0
        g.backward()  # adds nothing
    assert (x.grad, y.grad) == (0.0, 0.0)
    (3.0 * x).backward(create_graph=True)
    assert grad(x.grad, x)[0].data == 0.0 == func.grad(func.grad(lambda v: 3.0 * v))(3.0).data
    third = mg.compile(lambda v: mg.grad(mg.grad(3.0 * v, v, create_graph=True)[0], v)[0] + v)
    assert third(np.ones(2)).tolist() == [1.0, 1.0]
    for copied in (copy.deepcopy(x.grad), pickle.loads(pickle.dumps(x.grad))):
        assert grad(copied, x)[0].data == 0.0


def test_other_constants_are_still_refused():
    x = Value(3.0)
    (g,) = grad(3.0 * x, x, create_graph=True)
    with no_grad():
        y = x * x
        h = g * 2.0
        (i,) = grad(y, x, create_graph=True) if y.requires_grad else (y,)
    for constant in (y, h, i, g.detach(), x.detach(), Value(1.0, requires_grad=False)):
        with pytest.raises(RuntimeError, match="does not require grad"):
            grad(constant, x)
    (plain,) = grad(x * x, x)
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad(plain, x)


# ------------------------------------------------------------------ PyTorch's habits


def test_grad_outputs_and_allow_unused():
    x, y = Value(3.0), Value(2.0)
    gx, gy = grad([x * y, x], [x, y], grad_outputs=[2.0, Value(5.0)])
    assert (gx.data, gy.data) == (9.0, 6.0)
    assert grad(x * x, x, grad_outputs=2)[0].data == 12.0
    assert grad(x * x, [x, y], allow_unused=True)[1] is None
    assert grad(x * x, [x, y])[1].data == 0.0
    v = Value(0.5)
    (g,) = grad(x * x, x, grad_outputs=v, create_graph=True)
    assert [h.data for h in grad(g, [v, x])] == [6.0, 1.0]
    with pytest.raises(ValueError, match="grad: 1 grad_outputs for 2 outputs"):
        grad([x, y], x, grad_outputs=[1.0])
    with pytest.raises(TypeError, match="create_graph"):
        grad(x * x, x, True)
    with pytest.raises(TypeError, match="grad: grad_outputs: 'a' is a str"):
        grad(x * x, x, grad_outputs=["a"])
    program = mg.compile(lambda a, b: mg.grad([a * b, a], [a, b], grad_outputs=[2.0, b])[0])
    assert program(np.array([3.0]), np.array([2.0])).tolist() == [6.0]


def test_retain_graph_is_accepted():
    x = Value(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=False)
    assert x.grad == 12.0 and grad(y, x, retain_graph=True)[0].data == 6.0


@pytest.mark.thread_unsafe(reason="looks at the modes of all threads")
def test_enable_grad():
    x = Value(3.0)
    with no_grad():
        with enable_grad():
            assert (x * x).requires_grad
            with no_grad():
                assert not (x * x).requires_grad
            assert (x * x).requires_grad
        assert not (x * x).requires_grad

    @mg.enable_grad()
    def f(n):
        with no_grad():
            return f(n - 1) if n else (enable_grad and (x * x).requires_grad)

    assert f(2) is False and (x * x).requires_grad
    both = enable_grad()
    with no_grad(), both, no_grad(), both:
        assert (x * x).requires_grad
    seen = []

    @enable_grad()
    def slow(event):
        event.wait()
        return seen.append((x * x).requires_grad)

    event = threading.Event()
    threads = [threading.Thread(target=slow, args=(event,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    event.set()
    for thread in threads:
        thread.join()
    assert seen == [True] * 4 and not mg.engine.modes.active


# ------------------------------------------------------------------ hooks


def test_hooks_see_and_replace_gradients():
    x, y = Value(3.0), Value(2.0)
    z = x * y
    seen = []
    first = z.register_hook(lambda g: seen.append(g.data))
    z.register_hook(lambda g: g * 10.0)
    leaf = x.register_hook(lambda g: g + 1)
    (3.0 * z).backward()
    assert seen == [3.0] and z.grad == 30.0 and (x.grad, y.grad) == (61.0, 90.0)
    assert grad(z, [x, y])[0].data == 21.0 and seen == [3.0, 1.0]
    first.remove()
    first.remove()
    leaf.remove()
    x.grad = 0.0
    (3.0 * z).backward()
    assert x.grad == 60.0 and len(seen) == 2
    z.register_hook(lambda g: None)
    (h,) = grad(z * z, x, create_graph=True)  # 10 * 2z * y
    assert h.data == 240.0 and grad(h, y)[0].requires_grad is False
    x.register_hook(lambda g: -g)
    x.grad = 0.0
    x.backward()
    assert x.grad == -1.0


def test_hooks_run_once_a_pass_on_the_whole_sum():
    x = Value(2.0)
    y = x * x
    calls = []
    y.register_hook(calls.append)
    (y * 3.0 + y.sin()).backward()
    assert [c.data for c in calls] == [3.0 + math.cos(4.0)] and not calls[0].requires_grad
    calls.clear()
    func.grad(lambda v: (lambda w: (w.register_hook(calls.append), w * w)[1])(v * 2.0))(1.0)
    assert [c.data for c in calls] == [4.0]


def test_bad_hooks():
    x = Value(2.0)
    y = x * x
    with pytest.raises(TypeError, match=r"register_hook: 3 is a int; a function is wanted"):
        y.register_hook(3)
    with pytest.raises(RuntimeError, match=r"Value\.register_hook: .*does not require grad"):
        x.detach().register_hook(print)
    handle = y.register_hook(lambda g: "no")
    with pytest.raises(TypeError, match=r"register_hook: .*'no' is a str"):
        y.backward()
    assert (x.grad, y.grad) == (0.0, 0.0)
    with pytest.raises(mg.RecordingError, match="register_hook"):
        mg.compile(lambda v: y * v)(np.ones(1))
    handle.remove()
    assert mg.compile(lambda v: y * v)(np.ones(1)).tolist() == [4.0]
    with pytest.raises(mg.RecordingError, match="a hook is Python on numbers"):
        mg.compile(lambda v: (v.register_hook(print), v)[1])(np.ones(1))


def test_copies_have_no_hooks():
    x = Value(2.0, label="x")
    x.register_hook(lambda g: g * 100.0)
    for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        (other * other).backward()
        assert (other.grad, other.label) == (4.0, "x")
    assert x.grad == 0.0
