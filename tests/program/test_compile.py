"""Compiled programs against the eager graph: batches, branches, parameters, training."""

import math
import random

import numpy as np
import pytest

import micrograd as mg
from micrograd import core
from micrograd.nn import MLP
from micrograd.program import RecordingError
from micrograd.program.pipeline import simplified

inf, nan = math.inf, math.nan


def close(got, want, rel, abs_=0.0):
    got, want = np.asarray(got, float), np.asarray(want, float)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - want) <= rel * np.abs(want) + abs_
    return (got == want) | (np.isnan(got) & np.isnan(want)) | near


@pytest.fixture(params=core.supported_isas())
def isa(request, monkeypatch):
    monkeypatch.setattr(core, "ISA_CODE", core.ISA_CODES[request.param])
    return request.param


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


# ------------------------------------------------------------------ simplification


def ops_of(f, *arguments):
    shapes = [np.asarray(x).shape[1:] for x in arguments]
    function = simplified(f, shapes, lambda leaves: range(len(leaves)))
    return [n.rule.name for n in function.nodes if n.rule.arity >= 0]


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


OPTIMIZERS = {
    "SGD": lambda params: mg.optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01),
    "RMSprop": lambda params: mg.optim.RMSprop(params, lr=0.01),
    "Adam": lambda params: mg.optim.Adam(params, lr=0.02),
    "AdamW": lambda params: mg.optim.AdamW(params, lr=0.02, weight_decay=0.05),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_the_eager_training(name):
    random.seed(3)
    mlp = MLP(2, [4, 1])
    f = hinge_of(mlp)
    X, y = moons(40)
    program = mg.compile(f).record(X, y)
    compiled = OPTIMIZERS[name](program.parameters())
    eager = OPTIMIZERS[name](mlp.parameters())
    assert program.leaves == mlp.parameters()
    for _ in range(5):
        samples = zip(X.tolist(), y.tolist(), strict=True)
        loss = mg.sum([f(row, target) for row, target in samples]) / 40
        mlp.zero_grad()
        loss.backward()
        assert program.loss(X, y) == pytest.approx(loss.data, rel=1e-12)
        compiled.zero_grad()
        program.backward()
        eager.step()
        compiled.step()
        want = [p.data for p in mlp.parameters()]
        assert program.parameters().flat.tolist() == pytest.approx(want, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fit_takes_every_optimizer(name):
    random.seed(4)
    mlp = MLP(2, [6, 1])
    X, y = moons(60)
    program = mg.compile(hinge_of(mlp)).record(X, y)
    optimizer = OPTIMIZERS[name](program.parameters())
    history = program.fit(X, y, epochs=20, batch_size=20, optimizer=optimizer, clip_norm=1.0)
    assert history.loss[-1] < 0.7 * history.loss[0]


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
