"""Compiled ops against their rules, and random compiled programs against the eager graph."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import micrograd as mg
from micrograd import core
from micrograd.engine.backward import topological
from micrograd.engine.rules import ANY, RULES
from micrograd.engine.value import record
from micrograd.program.reads import reads
from micrograd.program.slots import OPCODES

inf, nan = math.inf, math.nan

SPECIAL = [0.0, -0.0, inf, -inf, nan, 1000.0, -1000.0, 1e-320]
ORDINARY = [-3.7, -1.0, -0.3, 0.2, 0.5, 1.0, 2.5, 3.0]


def close(got, want, rel, abs_=0.0):
    got, want = np.asarray(got, float), np.asarray(want, float)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - want) <= rel * np.abs(want) + abs_
    return (got == want) | (np.isnan(got) & np.isnan(want)) | near


def points_of(rule):
    n = rule.arity or {"dot": 5, "sum": 3, "where": 3, "clamp": 3}[rule.name]
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
    program = mg.compile(lambda x: record(rule, *x))
    want = [rule.value(*map(float, p)) for p in points]
    # dot: the C core fuses multiply and add. gelu: the rule's erfc loses 2 x**2 ulp in the tail.
    rel, abs_ = (1e-12, 1e-14) if name in ("dot", "gelu") else (2e-15, 0)
    bad = ~close(program(np.array(points)), want, rel, abs_)
    assert not bad.any(), (np.array(points)[bad], np.array(want)[bad])
    zeros = [mg.Value(-0.0) for _ in points[0]]  # x + -0.0 is x, also for x = -0.0
    shifted = mg.compile(
        lambda x: -2.0 * record(rule, *[a + z for a, z in zip(x, zeros, strict=True)])
    )
    for point in points:
        shifted.loss(np.array([point]))
        shifted.zero_grad()
        shifted.backward()
        operands = [*map(float, point)]
        want = [0.0 + g for g in rule.contributions(-2.0, rule.value(*operands), operands)]
        # sigmoid and tanh: 1 - z loses what z has rounded away
        assert close(shifted.parameters().flat_grad, want, 2e-14, 2e-15).all(), (point, want)


@pytest.mark.parametrize("name", RULES)
def test_derivatives_recorded_are_the_rules(name):
    """mg.grad inside a compiled function: kinks become choices, and there too it is the table."""
    rule = RULES[name]
    points = points_of(rule)

    def derivatives(x):
        return list(mg.grad(record(rule, *x), x, create_graph=True))

    got = mg.compile(derivatives)(np.array(points))
    want = [
        [0.0 + g for g in rule.contributions(1.0, rule.value(*p), p)]
        for p in (tuple(map(float, point)) for point in points)
    ]
    bad = ~close(got, want, 2e-14, 2e-15).all(axis=1)
    assert not bad.any(), (np.array(points)[bad], got[bad], np.array(want)[bad])


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
            got, want = rule.contributions(x, z, spoilt)[k], rule.contributions(x, 0.7, inside)[k]
            assert got == want or (math.isnan(got) and math.isnan(want)), rule.name


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
    "log1p": lambda x: abs(x).log1p(),
    "expm1": lambda x: x.tanh().expm1(),
    "log2": lambda x: (abs(x) + 0.5).log2(),
    "log10": lambda x: (abs(x) + 0.5).log10(),
    "tan": lambda x: x.tanh().tan(),
    "asin": lambda x: (x.tanh() * 0.9).asin(),
    "acos": lambda x: (x.tanh() * 0.9).acos(),
    "atan": mg.Value.atan,
    "sinh": lambda x: x.tanh().sinh(),
    "cosh": lambda x: x.tanh().cosh(),
    "asinh": mg.Value.asinh,
    "acosh": lambda x: (abs(x) + 1.5).acosh(),
    "atanh": lambda x: (x.tanh() * 0.9).atanh(),
    "cbrt": lambda x: (abs(x) + 0.5).cbrt(),
    "erf": mg.Value.erf,
    "lgamma": lambda x: (abs(x) + 0.5).lgamma(),
    "digamma": lambda x: (abs(x) + 0.5).digamma(),
    "polygamma": lambda x: (abs(x) + 0.5).polygamma(1),
    "sign": mg.Value.sign,
    "floor": lambda x: (x * 3).floor(),
    "ceil": lambda x: (x * 3).ceil(),
    "round": lambda x: (x * 3).round(),
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
    "hypot": lambda x, y: x.hypot(abs(y) + 0.5),
    "atan2": lambda x, y: x.atan2(abs(y) + 0.5),
    "clamp": lambda x, y: x.clamp(-abs(y), 0.7),
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
        if z.op == "clamp":
            kink = min(abs(x[0] - x[1]), abs(x[0] - x[2]), abs(x[1] - x[2]))
        if z.op in ("sign", "floor", "ceil", "round"):
            kink = min((2 * x[0]) % 1, -(2 * x[0]) % 1)
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
