"""Compiled programs against the eager graph: ops, random programs, training, what is refused."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import micrograd as mg
from micrograd import core
from micrograd.backward import topological
from micrograd.core import ffi, lib
from micrograd.derivatives import reads
from micrograd.engine import _record
from micrograd.function import Function
from micrograd.instructions import OPCODES
from micrograd.nn import MLP
from micrograd.rules import ANY, RULES
from micrograd.tape import RecordingError

inf, nan = math.inf, math.nan

SPECIAL = [0.0, -0.0, inf, -inf, nan, 1000.0, -1000.0, 1e-320]
ORDINARY = [-3.7, -1.0, -0.3, 0.2, 0.5, 1.0, 2.5, 3.0]


def close(got, want, rel, abs_=0.0):
    got, want = np.asarray(got, float), np.asarray(want, float)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - want) <= rel * np.abs(want) + abs_
    return (got == want) | (np.isnan(got) & np.isnan(want)) | near


def points_of(rule):
    n = rule.arity or {"dot": 5, "sum": 3, "where": 3}[rule.name]
    if n <= 2:
        return list(itertools.product([*SPECIAL, *ORDINARY], repeat=n))
    return [tuple(p) for p in np.random.default_rng(0).choice([*SPECIAL, *ORDINARY], (300, n))]


@pytest.fixture(params=core.supported_isas())
def isa(request, monkeypatch):
    monkeypatch.setattr(core, "ISA_CODE", core.ISA_CODES[request.param])
    return request.param


# ------------------------------------------------------------------ ops


def test_every_rule_has_an_opcode():
    assert {rule.name for rule in OPCODES} >= set(RULES)
    assert len(set(OPCODES.values())) == len(OPCODES)


@pytest.mark.parametrize("name", RULES)
def test_op_is_its_rule(name, isa):
    """Value and derivatives in C are the table's, at kinks, zeros, infinities and NaN too."""
    rule = RULES[name]
    points = points_of(rule)
    program = mg.compile(lambda x: _record(rule, *x))
    want = [rule.value(*map(float, p)) for p in points]
    # dot: the C core fuses multiply and add. gelu: the rule's erfc loses 2 x**2 ulp in the tail.
    rel, abs_ = (1e-12, 1e-14) if name in ("dot", "gelu") else (2e-15, 0)
    bad = ~close(program(np.array(points)), want, rel, abs_)
    assert not bad.any(), (np.array(points)[bad], np.array(want)[bad])
    zeros = [mg.Value(-0.0) for _ in points[0]]  # x + -0.0 is x, also for x = -0.0
    shifted = mg.compile(
        lambda x: -2.0 * _record(rule, *[a + z for a, z in zip(x, zeros, strict=True)])
    )
    for point in points:
        shifted.loss(np.array([point]))
        shifted.zero_grad()
        shifted.backward()
        operands = [*map(float, point)]
        want = [0.0 + g for g in rule.contributions(-2.0, rule.value(*operands), operands)]
        # sigmoid and tanh: 1 - z loses what z has rounded away
        assert close(shifted.parameters().flat_grad, want, 2e-14, 2e-15).all(), (point, want)


def test_reads_finds_what_the_derivatives_look_at():
    assert reads(RULES["add"], 0, 2) == ()
    assert (reads(RULES["mul"], 0, 2), reads(RULES["mul"], 1, 2)) == ((1,), (0,))
    assert (reads(RULES["exp"], 0, 1), reads(RULES["log"], 0, 1)) == ((-1,), (0,))
    assert (reads(RULES["pow"], 0, 2), reads(RULES["pow"], 1, 2)) == ((0, 1), (-1, 0, 1))
    assert [reads(RULES["dot"], k, 5) for k in range(5)] == [(2,), (3,), (0,), (1,), ()]
    for rule in RULES.values():
        if rule.arity == ANY:
            continue
        for k, x in itertools.product(range(rule.arity), ORDINARY):
            inside = (1.3, -0.8)[: rule.arity]
            spoilt = [v if i in reads(rule, k, rule.arity) else nan for i, v in enumerate(inside)]
            z = 0.7 if -1 in reads(rule, k, rule.arity) else nan
            assert rule.contributions(x, z, spoilt)[k] == rule.contributions(x, 0.7, inside)[k], (
                rule.name
            )


# ------------------------------------------------------------------ random programs

SAFE_UNARY = {
    "neg": lambda x: -x,
    "abs": abs,
    "exp": lambda x: x.tanh().exp(),
    "log": lambda x: (abs(x) + 0.5).log(),
    "sqrt": lambda x: (abs(x) + 0.5).sqrt(),
    "sin": mg.Value.sin,
    "cos": mg.Value.cos,
    "tanh": mg.Value.tanh,
    "sigmoid": mg.Value.sigmoid,
    "relu": mg.Value.relu,
    "softplus": mg.Value.softplus,
    "erfc": mg.Value.erfc,
    "gelu": mg.Value.gelu,
}
SAFE_BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x.tanh() * y,
    "div": lambda x, y: x / (abs(y) + 0.5),
    "pow": lambda x, y: (abs(x) + 0.5) ** y.tanh(),
    "square": lambda x, y: x.sin() ** 2 + y.cos() ** 3 + (abs(y) + 1) ** -1 + x**1 + y**0,
    "maximum": mg.maximum,
    "minimum": mg.minimum,
    "leaky_relu": lambda x, y: x.leaky_relu(y.sigmoid()),
    "dot": lambda x, y: mg.dot([x, y.tanh(), 0.5], [y.sin(), 2.0, x], y),
    "sum": lambda x, y: mg.sum([x, y, 1.5, x]),
    "chain": lambda x, y: x + y + x.sin() * y + 0.25,
    "products": lambda x, y: 0.0 + x.tanh() * y + x.cos() * y.sin() + y * 0.5,
    "where": lambda x, y: mg.where(x > y, x.sin(), mg.where(y <= 0.3, x * 0.5, y)),
    "detach": lambda x, y: x.detach() * y.tanh() + x,
    "softmax": lambda x, y: mg.softmax([x, y, 0.5])[1],
}


def test_random_programs_cover_every_rule():
    assert set(RULES) <= {*SAFE_UNARY, *SAFE_BINARY}


def build(steps):
    """A function of (x: 2 Values, y) and 3 parameters; a step applies an op to earlier values."""
    weights = [mg.Value(w, label=f"w{i}") for i, w in enumerate((0.7, -1.1, 0.4))]

    def f(x, y):
        values = [*x, y, *weights]
        for name, i, j in steps:
            a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
            values.append(SAFE_UNARY[name](a) if name in SAFE_UNARY else SAFE_BINARY[name](a, b))
        return mg.sum(values[-3:])

    return f, weights


def well_conditioned(root):
    """The largest number in a graph; none is so large, or so near a kink, that rounding decides."""
    largest = 1.0
    for z in topological([root]):
        x = [v.data if isinstance(v, mg.Value) else v for v in z.operands]
        kink = {"relu": x[0], "abs": x[0], "leaky_relu": x[0]}.get(z.op, 1.0)
        if z.op in ("maximum", "minimum", "where") and len(set(x)) > 1:
            kink = x[-2] - x[-1]
        assume(abs(kink) > 1e-9 and abs(z.data) < 1e4 and abs(z.grad) < 1e4)
        largest = max(largest, abs(z.data), abs(z.grad))
    return largest


STEPS = st.lists(
    st.tuples(st.sampled_from([*SAFE_UNARY, *SAFE_BINARY]), st.integers(0, 30), st.integers(0, 30)),
    min_size=1,
    max_size=25,
)


@given(steps=STEPS, seed=st.integers(0, 2**32 - 1))
@example(
    steps=[("neg", 0, 0)] * 3 + [("products", 0, 2)], seed=0
)  # an operand on both sides of dot
@settings(max_examples=250, deadline=None)
def test_random_programs_agree_with_the_eager_graph(steps, seed):
    f, weights = build(steps)
    rows = 11  # one full AVX-512 vector and a part
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(rows, 2)), rng.normal(size=rows)
    want, largest = [], 1.0
    for (a, b), c in zip(X.tolist(), y.tolist(), strict=True):
        out = f([mg.Value(a), mg.Value(b)], mg.Value(c))
        out.backward(1 / rows)
        want.append(out.data)
        largest = max(largest, well_conditioned(out))
    grads = [w.grad for w in weights]
    program, atol = mg.compile(f), 1e-12 * largest**2
    assert close(program(X, y), want, 1e-12, atol).all()
    assert program.loss(X, y) == pytest.approx(np.mean(want), rel=1e-12, abs=atol)
    program.backward()
    got = {p.name: float(p.grad) for p in program.parameters()}
    for w, grad in zip(weights, grads, strict=True):
        assert got.get(w.label, 0.0) == pytest.approx(grad, rel=1e-12, abs=atol)
    single = mg.compile(f, dtype="float32")
    assert close(single(X, y), want, 1e-4, 1e-4 * largest**2).all()
    single.loss(X, y)
    single.backward()
    for w, grad in zip(weights, grads, strict=True):
        if w.label in got:
            (mine,) = (p.grad for p in single.parameters() if p.name == w.label)
            assert mine == pytest.approx(grad, rel=1e-4, abs=1e-4 * largest**2)


# ------------------------------------------------------------------ batches, results, threads


@pytest.mark.parametrize("rows", [1, 7, 8, 33, 127, 128, 129, 1000, 10_001])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_rows(rows, dtype, isa):
    w, b = mg.Value(2.0), mg.Value(-0.5)
    program = mg.compile(lambda x: (w * x + b) ** 2 / x, dtype=dtype)
    x = np.linspace(1, 3, rows)
    eps = 1e-5 if dtype == "float32" else 1e-13
    assert program(x) == pytest.approx((2 * x - 0.5) ** 2 / x, rel=eps)
    assert program.loss(x) == pytest.approx(np.mean((2 * x - 0.5) ** 2 / x), rel=eps)
    program.backward()
    r = 2 * (2 * x - 0.5)
    assert program.parameters().flat_grad == pytest.approx([r.mean(), (r / x).mean()], rel=eps)


def test_lanes_without_a_row_send_nothing():
    """A derivative that is infinite at the filler of the last vector must not reach the sum."""
    w = mg.Value(0.0)
    program = mg.compile(lambda x: (x + w).sqrt())
    for rows in (1, 3, 9):
        program.loss(np.full(rows, 4.0))
        program.zero_grad()
        program.backward()
        assert program.parameters().flat_grad.tolist() == [pytest.approx(0.25)]


def test_arguments_and_results_of_any_depth():
    def f(a, b, c):
        return [a, b[0] * b[1]], mg.sum(c[0]) - c[1][2], [[a, 2.0], [b[0], a * a]]

    a, b = np.arange(3), np.arange(6).reshape(3, 2)
    c = np.arange(18.0).reshape(3, 2, 3)
    first, second, third = mg.compile(f)(a, b.tolist(), c)
    assert np.array_equal(first, np.stack([a, b[:, 0] * b[:, 1]], 1))
    assert np.array_equal(second, c[:, 0].sum(1) - c[:, 1, 2])
    assert third.shape == (3, 2, 2)
    assert np.array_equal(third[:, 1], np.stack([b[:, 0], a * a], 1))
    assert np.array_equal(mg.compile(lambda x: x)(a), a)
    assert np.array_equal(mg.compile(lambda x: 3)(a), [3, 3, 3])
    strided = np.arange(12.0).reshape(6, 2)[::2, 1]
    assert np.array_equal(mg.compile(lambda x: -x)(strided), -strided)


def test_same_bits_for_any_number_of_threads():
    random.seed(0)
    mlp = MLP(3, [8, 1])
    program = mg.compile(lambda x, y: (mlp(x) - y).tanh() + 1e-3 * mlp.layers[0].neurons[0].w[0])
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(20_011, 3)), rng.normal(size=20_011)
    before, results = core.threads, []
    try:
        for threads in (1, 2, 3, 7):
            core.set_num_threads(threads)
            loss = program.loss(X, y)
            program.zero_grad()
            program.backward()
            results.append(
                (loss, program.parameters().flat_grad.tobytes(), program(X, y).tobytes())
            )
    finally:
        core.set_num_threads(before)
    assert len(set(results)) == 1


def test_nan_and_infinity_stay_in_their_row():
    program = mg.compile(lambda x: x * 2.0 - 1.0)
    assert close(program([1.0, nan, inf, 2.0]), [1.0, nan, inf, 3.0], 0).all()
    assert math.isnan(program.loss([1.0, nan]))


# ------------------------------------------------------------------ where


def test_where_sends_nothing_into_the_branch_not_taken():
    """sqrt has an infinite derivative at 0, and 0 * inf is NaN; the eager where is safe there."""
    w = mg.Value(1.0)

    def f(x):
        return mg.where(x > 0.0, (w * x).sqrt() * (w * x).log(), w * x)

    x = np.array([4.0, 0.0, -1.0, 9.0])
    program = mg.compile(f)
    program.loss(x)
    program.backward()
    want = 0.0
    for v in x.tolist():
        w.grad = 0.0
        f(mg.Value(v)).backward()
        want += w.grad / 4
    assert math.isfinite(want)
    assert program.parameters().flat_grad.tolist() == [pytest.approx(want, rel=1e-14)]


def test_where_with_branches_that_share_and_nest():
    a, b = mg.Value(0.0), mg.Value(2.0)

    def f(x):
        root = (x * x + a).sqrt()  # infinite derivative where x = 0, taken only inside
        inner = mg.where(x < 1.0, root, root.log())
        uniform = mg.where(b < x, a.sqrt(), b / 2.0)  # a.sqrt() depends on no row
        return mg.where(x != x or x <= 0.0, b, inner) + uniform

    for v in (0.0, -2.0, 0.5, 1.5):
        a.grad = b.grad = 0.0
        f(mg.Value(v)).backward()
        program = mg.compile(f)
        program.loss([v])
        program.backward()
        got = {
            leaf: float(p.grad)
            for leaf, p in zip(program.leaves, program.parameters(), strict=True)
        }
        assert (got[a], got[b]) == (pytest.approx(a.grad), b.grad), v


def test_a_value_or_a_number_as_condition():
    def f(x):
        return mg.where(x, 1.0, 2.0) + mg.where(3 > 2, x, 0.0)

    assert mg.compile(f)([0.0, 5.0, -1.0]).tolist() == [2.0, 6.0, 0.0]


# ------------------------------------------------------------------ parameters


def test_parameters_in_the_order_of_use_and_their_names():
    a, b, c = mg.Value(1.0, label="slope"), mg.Value(2.0), mg.Value(3.0, label="slope")
    h = b * 2.0  # made outside, from a leaf: part of the function
    program = mg.compile(lambda x: c * x + h * a)
    with pytest.raises(RuntimeError, match=r"program\.record"):
        program.parameters()
    program.record([0.0])
    assert program.leaves == [c, b, a]
    names = [p.name for p in program.parameters()]
    assert names == ["slopep0", "p1", "slopep2"]
    program.loss([5.0, 7.0])
    program.backward()
    assert program.parameters().flat_grad.tolist() == [6.0, 2.0, 4.0]
    assert program.parameters()[0].shape == ()


def test_gradients_accumulate_until_zero_grad():
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * w * x)
    for expected in (4.0, 8.0):
        program.loss([1.0])
        program.backward()
        assert program.parameters().flat_grad.tolist() == [expected]
    with pytest.raises(RuntimeError, match="call loss"):
        program.backward()
    program.zero_grad()
    assert program.parameters().flat_grad.tolist() == [0.0]


def test_the_program_holds_its_own_copy():
    w, k = mg.Value(2.0), mg.Value(10.0, requires_grad=False)
    holder = [w]
    program = mg.compile(lambda x: holder[0] * x * k)
    assert program([1.0]).tolist() == [20.0]
    w.data, holder[0] = 3.0, mg.Value(-1.0)
    assert program([1.0]).tolist() == [20.0]  # neither is seen
    program.reload()
    assert program([1.0]).tolist() == [30.0]  # the data are; the leaf is the recorded one
    k.data = 100.0
    program.reload()  # constants are folded: recorded anew at the next call, which meets the leaf
    with pytest.raises(RecordingError, match="compile it once more"):
        program([1.0])


def test_reload_takes_parameters_and_constants_again():
    w, k = mg.Value(2.0), mg.Value(10.0, requires_grad=False)
    program = mg.compile(lambda x: w * x * k)
    program([1.0])
    w.data, k.data = 3.0, 100.0
    program.reload()
    assert program([1.0]).tolist() == [300.0]
    assert program.parameters().flat.tolist() == [3.0]


def test_write_back_copies_data_and_gradients():
    w = mg.Value(2.0)
    program = mg.compile(lambda x: (w * x - 1.0) ** 2)
    program.loss([3.0])
    program.backward()
    mg.optim.SGD(program.parameters(), lr=0.01).step()
    assert (w.data, w.grad) == (2.0, 0.0)
    program.write_back()
    assert (w.data, w.grad) == (pytest.approx(2.0 - 0.01 * 30.0), 30.0)


def test_a_later_shape_may_not_bring_new_leaves():
    ws = [mg.Value(1.0), mg.Value(2.0)]
    program = mg.compile(lambda x: mg.dot(ws[: len(x)], x))
    program(np.ones((2, 1)))
    with pytest.raises(RecordingError, match="1 Values more"):
        program(np.ones((2, 2)))
    fewer = mg.compile(lambda x: mg.dot(ws[: len(x)], x))
    assert fewer(np.ones((1, 2))).tolist() == [3.0]
    assert fewer(np.ones((1, 1))).tolist() == [1.0]


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
    "grad without a graph": (lambda x: mg.engine.grad(x * W, W)[0], "detach"),
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


# ------------------------------------------------------------------ simplification


def ops_of(f, *arguments):
    program = mg.compile(f).record(*arguments)
    (recorded,) = program._recorded.values()
    return [n.rule.name for n in recorded.assembly.nodes if n.rule.arity >= 0]


def test_simplification():
    ws = [mg.Value(float(i)) for i in range(4)]
    one = np.ones(2)
    assert ops_of(lambda x: x.sin() + 0.0 * (mg.Value(2.0, requires_grad=False).exp()), one) == [
        "sin",
        "add",
    ]
    assert ops_of(lambda x: (x.exp(), x.cos())[0], one) == ["exp"]  # dead code
    assert ops_of(lambda x: x.exp() * ws[0] + ws[0] * x.exp(), one) == ["exp", "mul", "add"]
    assert ops_of(lambda x: x**2, one) == ["mul"]
    assert ops_of(lambda x: x**1 * 1.0 / 1.0, one) == []
    assert ops_of(lambda x: x + ws[0] + ws[1] + ws[2], one) == ["sum"]
    products = ops_of(
        lambda x: sum((w * v for w, v in zip(ws, x, strict=True)), ws[0]), np.ones((2, 4))
    )
    assert products == ["dot"]
    for k in range(10):
        shared = mg.compile(lambda x, k=k: sum([x] * k) - 0.5 * sum([x] * (k + 1)))
        assert shared([3.0]).tolist() == [3.0 * k - 1.5 * (k + 1)]


def test_zeros_keep_their_sign():
    def signs(f, x):
        return np.copysign(1.0, mg.compile(f)(np.array(x))).tolist()

    assert signs(lambda x: x + x + x, [-0.0, 0.0]) == [-1.0, 1.0]
    assert signs(lambda x: mg.sum([x, x, x]), [-0.0, 0.0]) == [1.0, 1.0]
    assert signs(lambda x: x * -0.0, [1.0]) == [-1.0]
    assert signs(lambda x: [x * 0.0, x * -0.0], [1.0]) == [[1.0, -1.0]]


def test_print_lists_the_ops():
    w, b = mg.Value(2.0, label="w"), mg.Value(1.0, label="b")
    program = mg.compile(lambda x, y: (mg.dot([w, b], x) * w.exp() - y) ** 2)
    assert "nothing yet" in str(program)
    program.record(np.ones((1, 2)), np.ones(1))
    text = str(program)
    for part in (
        "(x0[2], x1) -> ",
        "5 ops recorded",
        "2 parameters",
        "once a call (1 ops)",
        "exp(w)",
    ):
        assert part in text, text
    assert "dot(w, b; x0[0], x0[1]; 0)" in text
    long = mg.compile(lambda x: mg.sum([(x + float(i)).sin() for i in range(500)])).record([1.0])
    assert "more ..." in str(long) and len(str(long).splitlines()) < 100


# ------------------------------------------------------------------ training


def moons(n=200, seed=0):
    rng = np.random.default_rng(seed)
    label = np.where(np.arange(n) % 2, 1.0, -1.0)
    t = rng.uniform(0, math.pi, n)
    x = np.where(label > 0, np.cos(t), 1 - np.cos(t)) + rng.normal(0, 0.1, n)
    y = np.where(label > 0, np.sin(t), 0.5 - np.sin(t)) + rng.normal(0, 0.1, n)
    return np.stack([x, y], 1), label


def hinge_of(mlp):
    return lambda x, y: (1 - y * mlp(x)).relu() + 1e-4 * mg.sum(p * p for p in mlp.parameters())


def test_training_is_the_eager_training():
    random.seed(3)
    mlp = MLP(2, [4, 1])
    f = hinge_of(mlp)
    X, y = moons(40)
    program = mg.compile(f).record(X, y)
    compiled = mg.optim.SGD(program.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    eager = mg.optim.SGD(mlp.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    assert program.leaves == mlp.parameters()
    for _ in range(5):
        loss = (
            mg.sum([f(row, target) for row, target in zip(X.tolist(), y.tolist(), strict=True)])
            / 40
        )
        mlp.zero_grad()
        loss.backward()
        assert program.loss(X, y) == pytest.approx(loss.data, rel=1e-12)
        compiled.zero_grad()
        program.backward()
        eager.step()
        compiled.step()
        want = [p.data for p in mlp.parameters()]
        assert program.parameters().flat.tolist() == pytest.approx(want, rel=1e-11, abs=1e-13)


def test_fit():
    random.seed(5)
    mlp = MLP(2, [8, 8, 1])
    X, y = moons()
    program = mg.compile(hinge_of(mlp))
    history = program.fit(
        X, y, epochs=60, batch_size=20, validation=moons(50, 1), clip_norm=5.0, seed=1
    )
    assert history.loss[-1] < 0.1 * history.loss[0] and len(history.val_loss) == 60
    program.write_back()
    right = [(mlp(row) > 0) == (target > 0) for row, target in zip(X.tolist(), y, strict=True)]
    assert np.mean(right) > 0.97


def test_fit_clips_and_stops_at_a_loss_that_is_not_finite():
    w = mg.Value(1.0)
    program = mg.compile(lambda x, y: w * x * y)
    optimizer = mg.optim.SGD(program.record([1.0], [1.0]).parameters(), lr=1.0)
    program.fit([30.0], [10.0], epochs=1, optimizer=optimizer, clip_norm=0.5)
    assert program.parameters().flat[0] == pytest.approx(0.5, rel=1e-5)
    with pytest.raises(FloatingPointError, match=r"Program\.fit"):
        program.fit([inf], [1.0], epochs=1)
    assert program.parameters().flat[0] == pytest.approx(0.5, rel=1e-5)
