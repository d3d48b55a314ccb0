"""Penalties, clipping, max-norm and micro-batches around a step, beside PyTorch and by hand."""

import math

import numpy as np
import pytest
from support.bits import same_bits
from support.twin import torch_loss, torch_twin

import micrograd as mg
from micrograd.optim import SGD, Adam, RMSprop
from micrograd.optim.constraints import Constraints, apply_penalties
from micrograd.parameters import Parameters

inf, nan = math.inf, math.nan


def network(dtype="float64", width=7, seed=0):
    return mg.Network(
        mg.Linear(3, width), mg.Tanh(), mg.Linear(width, 2), loss="mse", dtype=dtype, seed=seed
    )


def data(rows=12, dtype="float64"):
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, 3)).astype(dtype), rng.normal(size=(rows, 2)).astype(dtype)


def fused(net, optimizer, constraints, X, y, steps=1, weights=None):
    batch = net.checked_batch("test", X, y, weights)
    index = np.arange(len(X))
    for _ in range(steps):
        loss = net.train_step(batch, index, optimizer, constraints)
    return loss


def torch_steps(net, X, y, steps, l1=0, l2=0, clip_norm=inf, clip_value=inf, max_norm=inf, lr=0.1):
    """The same in PyTorch: weights after the steps, the last norm and penalty."""
    import torch

    twin = torch_twin(net)
    optimizer = torch.optim.Adam(twin.parameters(), lr=lr)
    matrices = [p for p in twin.parameters() if p.ndim == 2]
    for _ in range(steps):
        optimizer.zero_grad()
        penalty = sum(l2 / 2 * (w**2).sum() + l1 * w.abs().sum() for w in matrices)
        (torch_loss(net, twin, X, y) + penalty).backward()
        norm = torch.nn.utils.clip_grad_norm_(twin.parameters(), clip_norm)
        if clip_value < inf:
            torch.nn.utils.clip_grad_value_(twin.parameters(), clip_value)
        optimizer.step()
        with torch.no_grad():
            for w in matrices:
                rows = w.norm(dim=1, keepdim=True)
                w *= torch.where(rows > max_norm, max_norm / rows, torch.ones_like(rows))
    flat = np.concatenate([p.detach().numpy().ravel() for p in twin.parameters()])
    return flat, norm.item(), float(penalty.detach())


SETTINGS = [
    {"l2": 0.3},
    {"l1": 0.05},
    {"clip_norm": 0.5},
    {"clip_value": 0.1},
    {"max_norm": 0.6},
    {"l1": 0.02, "l2": 0.1, "clip_norm": 0.7, "clip_value": 0.2, "max_norm": 0.9},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s))
@pytest.mark.parametrize("single", [False, True])
def test_beside_torch(settings, single):
    """Fused, and with separate calls, as models without a fused step make them."""
    pytest.importorskip("torch")
    net, (X, y) = network(width=300), data()
    want, norm, penalty = torch_steps(net, X, y, 20, **settings)
    constraints = Constraints(net.parameters(), **settings)
    optimizer = Adam(net.parameters(), lr=0.1)
    start = net.parameters().flat.copy()
    if single:
        for _ in range(20):
            net.zero_grad()
            loss = net.loss(X, y)
            net.backward()
            constraints.step(optimizer, "test", loss)
    else:
        fused(net, optimizer, constraints, X, y, 20)
    np.testing.assert_allclose(net.parameters().flat, want, rtol=1e-8, atol=1e-9)
    assert constraints.gradient_norm == pytest.approx(norm, rel=1e-8)
    assert constraints.penalty == pytest.approx(penalty, rel=1e-9)
    assert np.abs(net.parameters().flat - start).max() > 0.1 and optimizer.steps == 20


def test_biases_are_not_penalized():
    net = network()
    for p in net.parameters():
        p.data[...] = 2.0
    X, y = np.zeros((4, 3)), np.full((4, 2), 2 + 14 * np.tanh(2.0))  # a loss of 0
    constraints = Constraints(net.parameters(), l1=0.5, l2=1.0)
    fused(net, SGD(net.parameters(), lr=1.0), constraints, X, y)
    w1, b1, w2, b2 = [p.data for p in net.parameters()]
    np.testing.assert_allclose(w1, 2 - 0.5 - 2.0)
    np.testing.assert_allclose(w2, 2 - 0.5 - 2.0)
    np.testing.assert_allclose([*b1, *b2], 2.0, atol=1e-12)
    assert constraints.penalty == pytest.approx(35 * (0.5 * 2 + 0.5 * 4))


def test_the_sign_of_zero_is_zero():
    net = network()
    net.parameters().flat[:] = 0
    X, y = np.zeros((4, 3)), np.zeros((4, 2))
    fused(net, SGD(net.parameters(), lr=1.0), Constraints(net.parameters(), l1=0.5), X, y)
    assert (net.parameters().flat == 0).all()


def test_max_norm_leaves_short_rows_alone():
    net = network(seed=3)
    before = [p.data.copy() for p in net.parameters()]
    X, y = data()
    rule = Constraints(net.parameters(), max_norm=1.0)
    fused(net, SGD(net.parameters(), lr=0.0), rule, X, y)
    for p, old in zip(net.parameters(), before, strict=True):
        if p.data.ndim == 1:
            assert same_bits(p.data, old)
            continue
        norms = np.linalg.norm(old, axis=1)
        assert (norms > 1).any() or p.name != "0.weight"
        for row, was, norm in zip(p.data, old, norms, strict=True):
            if norm <= 1:
                assert same_bits(row, was)
            else:
                np.testing.assert_allclose(row, was / norm, rtol=1e-14)


@pytest.mark.parametrize("settings", [{}, *SETTINGS], ids=lambda s: "-".join(s) or "none")
def test_threads_change_no_bit(settings, threads, dtype):
    """Enough work for a second thread, sizes that no chunk divides."""
    ends, rng = [], np.random.default_rng(0)
    X, y = rng.normal(size=(97, 203)), rng.normal(size=(97, 5))
    for count in (1, 2, 3):
        threads(count)
        net = mg.Network(
            mg.Linear(203, 131), mg.ReLU(), mg.Linear(131, 5), loss="mse", dtype=dtype, seed=0
        )
        constraints = Constraints(net.parameters(), **settings)
        optimizer = Adam(net.parameters(), lr=0.01)
        fused(net, optimizer, constraints, X, y, 3)
        ends.append((net.parameters().flat.copy(), constraints.gradient_norm, constraints.penalty))
    assert same_bits(ends[0][0], ends[1][0]) and same_bits(ends[0][0], ends[2][0])
    assert ends[0][1:] == ends[1][1:] == ends[2][1:]


# ---- micro-batches ----


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("weighted", [False, True])
def test_micro_batches_are_the_whole_batch(kind, weighted):
    one, two, (X, y) = network(), network(), data(30)
    weights = np.random.default_rng(2).uniform(0, 2, 30) if weighted else None
    settings = {"l2": 0.1, "clip_norm": 0.5}
    constraints = [Constraints(n.parameters(), **settings) for n in (one, two)]
    optimizers = [kind(n.parameters(), lr=0.05) for n in (one, two)]
    batch = two.checked_batch("test", X, y, weights)
    for _ in range(5):
        want = fused(one, optimizers[0], constraints[0], X, y, 1, weights)
        for part in (np.arange(0, 11), np.arange(11, 12)):
            two.accumulate_step(batch, part, constraints[1], 0)
        found = two.train_step(batch, np.arange(12, 30), optimizers[1], constraints[1])
        assert found == pytest.approx(want, rel=1e-12)
        assert constraints[1].gradient_norm == pytest.approx(
            constraints[0].gradient_norm, rel=1e-11
        )
        for part in (np.arange(0, 17), np.arange(17, 30)):  # an update of its own at the end
            loss = two.accumulate_step(batch, part, constraints[1], 0)
        constraints[1].step(optimizers[1], "test", loss)
        fused(one, optimizers[0], constraints[0], X, y, 1, weights)
    np.testing.assert_allclose(two.parameters().flat, one.parameters().flat, rtol=1e-10)
    assert optimizers[1].steps == 10


def test_a_failed_micro_batch_is_forgotten():
    net, (X, y) = network(), data(10)
    twin = network()
    constraints = Constraints(net.parameters())
    batch = net.checked_batch("test", X, y)
    net.accumulate_step(batch, np.arange(5), constraints, 0)
    keep = net.parameters().flat.copy()
    net.parameters().flat[:] = 1e308
    with pytest.raises(FloatingPointError, match="loss"):
        net.accumulate_step(batch, np.arange(5, 10), constraints, 3)
    net.parameters().flat[:] = keep
    net.train_step(batch, np.arange(10), SGD(net.parameters(), lr=0.1), constraints)
    fused(twin, SGD(twin.parameters(), lr=0.1), Constraints(twin.parameters()), X, y)
    assert same_bits(net.parameters().flat, twin.parameters().flat)


# ---- what is not finite ----


def everything(net, optimizer):
    return [net.parameters().flat.copy(), *(s.copy() for s in optimizer.state.values())]


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_that_overflows_changes_nothing(kind, dtype):
    net, (X, y) = network(dtype), data(dtype=dtype)
    settings = {"momentum": 0.9} if kind is not Adam else {}
    optimizer = kind(net.parameters(), lr=0.1, **settings)
    constraints = Constraints(net.parameters())
    fused(net, optimizer, constraints, X, y, 3)
    before = everything(net, optimizer)
    optimizer.lr = np.finfo(dtype).max.item()
    if kind is SGD:
        y = y * dtype_scale(dtype)
    with pytest.raises(FloatingPointError, match="not finite at step 3"):
        fused(net, optimizer, constraints, X, y)
    assert all(same_bits(a, b) for a, b in zip(before, everything(net, optimizer), strict=True))
    optimizer.lr = 0.1
    fused(net, optimizer, constraints, *data(dtype=dtype))
    assert optimizer.steps == 4


def dtype_scale(dtype):
    return 1e10 if dtype == "float32" else 1e100


@pytest.mark.parametrize("bad", [nan, inf, -inf])
@pytest.mark.parametrize("n", [1, 100, 9000])
def test_gradients_that_are_not_finite_name_the_parameter(bad, n):
    params = Parameters([("a", (n,)), ("b", (1, n))], np.dtype("float64"))
    params.flat[:] = np.random.default_rng(0).normal(size=2 * n)
    optimizer = Adam(params)
    constraints = Constraints(params, l2=0.1)
    params.flat_grad[n + n // 2] = bad
    before = params.flat.copy()
    with pytest.raises(FloatingPointError, match="gradient of b is not finite at step 0"):
        constraints.step(optimizer)
    assert same_bits(params.flat, before) and (optimizer.state["exp_avg"] == 0).all()


@pytest.mark.parametrize(
    "scale, dtype",
    [(1e30, "float32"), (1e200, "float64"), (1e-200, "float64"), (1e-30, "float32")],
)
def test_norms_whose_squares_leave_the_range(scale, dtype):
    n = 9001
    params = Parameters([("a", (n,))], np.dtype(dtype))
    g = np.random.default_rng(0).normal(size=n)
    params.flat_grad[:] = g * scale
    constraints = Constraints(params, clip_norm=1e-3 if scale > 1 else None)
    constraints.step(SGD(params, lr=1.0))
    norm = np.linalg.norm(g)
    assert constraints.gradient_norm == pytest.approx(norm * scale, rel=1e-6)
    step = -g / norm * 1e-3 if scale > 1 else -g * scale
    np.testing.assert_allclose(params.flat, step, rtol=1e-5)


# ---- settings ----


@pytest.mark.parametrize(
    "settings",
    [{"l1": -1}, {"l2": nan}, {"l2": inf}, {"l1": "a"}, {"clip_norm": 0}, {"clip_norm": -1},
     {"clip_value": nan}, {"max_norm": 0}, {"max_norm": "1"}, {"clip_norm": True}],
    ids=str,
)  # fmt: skip
def test_bad_settings(settings):
    with pytest.raises((TypeError, ValueError), match=f"Constraints: {next(iter(settings))}"):
        Constraints(network().parameters(), **settings)


def test_a_program_is_penalized_whole():
    """d/dw (w - 1)^2 + l2/2 w^2 at w = 3: 4 + 3/2."""
    w = mg.Value(3.0)
    program = mg.compile(lambda x: (w * x - 1) ** 2)
    program.loss([1.0])
    program.backward()
    constraints = Constraints(program.parameters(), l2=0.5)
    constraints.step(SGD(program.parameters(), lr=0.1))
    assert program.parameters().flat[0] == pytest.approx(3 - 0.55)
    assert constraints.penalty == pytest.approx(0.25 * 9)
    with pytest.raises(ValueError, match="max_norm"):
        Constraints(program.parameters(), max_norm=1.0)


def test_penalties_by_themselves():
    """The same as around the fused step; of a list of Values all are penalized."""
    one, two, (X, y) = network(), network(), data()
    constraints = Constraints(one.parameters(), l1=0.1, l2=0.3)
    fused(one, SGD(one.parameters(), lr=0.1), constraints, X, y)
    two.loss(X, y)
    two.backward()
    penalty = apply_penalties(two.parameters(), l1=0.1, l2=0.3)
    SGD(two.parameters(), lr=0.1).step()
    np.testing.assert_allclose(two.parameters().flat, one.parameters().flat, rtol=1e-13)
    assert penalty == pytest.approx(constraints.penalty, rel=1e-13)
    values = [mg.Value(-2.0), mg.Value(0.0), mg.Value(3.0)]
    assert apply_penalties(values, l1=0.5, l2=1.0) == 0.5 * 5 + 13 / 2
    assert [v.grad for v in values] == [-2.5, 0.0, 3.5]
    for bad in ([values, -1], [values, "a"], [[1.0], 1], [5, 1]):
        with pytest.raises((TypeError, ValueError), match="apply_penalties"):
            apply_penalties(*bad)


def test_a_small_gradient_upon_a_large_velocity():
    """v = 1.5e38 for ever: p = -1.5e38, -3e38, and then past what a float32 holds."""
    params = Parameters([("a", (40,))], np.dtype("float32"))
    optimizer = SGD(params, lr=1.0, momentum=1.0)
    constraints = Constraints(params)
    for g in (1.5e38, 1.0):
        params.flat_grad[:] = 0
        params.flat_grad[7] = g
        constraints.step(optimizer)
    before = params.flat.copy()
    assert before[7] == np.float32(-3e38)
    with pytest.raises(FloatingPointError, match="lr times the gradient is not finite at step 2"):
        constraints.step(optimizer)
    assert same_bits(params.flat, before) and optimizer.steps == 2
