"""Optimizers against torch.optim, for a network's parameters and for a list of Values."""

import itertools

import numpy as np
import pytest
from support.bits import same_bits
from support.kernels import address, code
from support.networks import gradients
from support.twin import torch_loss, torch_twin

import micrograd as mg
from micrograd.core import ffi, lib
from micrograd.engine import Value
from micrograd.optim import (
    SGD,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
)
from micrograd.parameters import Parameters

SETTINGS = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "weight_decay": 0.01}),
    (SGD, {"lr": 0.05, "momentum": 0.9}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.03}),
    (SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    (SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02}),
    (RMSprop, {}),
    (RMSprop, {"lr": 0.02, "alpha": 0.9, "eps": 1e-5, "weight_decay": 0.01}),
    (RMSprop, {"lr": 0.003, "momentum": 0.9}),
    (RMSprop, {"lr": 0.003, "centered": True, "eps": 1e-4}),
    (RMSprop, {"lr": 0.003, "centered": True, "eps": 1e-4, "momentum": 0.5, "weight_decay": 0.1}),
    (Adam, {}),
    (Adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.01}),
    (Adam, {"lr": 0.02, "betas": (0.5, 0.9), "amsgrad": True}),
    (AdamW, {}),
    (AdamW, {"lr": 0.02, "weight_decay": 0.3, "betas": (0.8, 0.99)}),
    (AdamW, {"lr": 0.01, "amsgrad": True, "betas": (0.9, 0.5)}),
    (SGD, {"lr": 0.02, "momentum": 0.9, "dampening": 0.3}),
    (SGD, {"lr": 0.001, "momentum": 0.5, "weight_decay": 0.4, "maximize": True}),
    (RMSprop, {"lr": 0.001, "maximize": True, "weight_decay": 0.1}),
    (Adam, {"lr": 0.001, "maximize": True, "weight_decay": 0.1}),
    (AdamW, {"lr": 0.001, "maximize": True}),
    (Adagrad, {}),
    (Adagrad, {"lr": 0.05, "lr_decay": 0.01, "weight_decay": 0.02, "eps": 1e-6}),
    (Adagrad, {"lr": 0.05, "initial_accumulator_value": 0.4, "maximize": True}),
    (Adamax, {}),
    (Adamax, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1}),
    (Adamax, {"lr": 0.001, "maximize": True}),
    (NAdam, {}),
    (NAdam, {"lr": 0.003, "betas": (0.8, 0.99), "weight_decay": 0.01, "momentum_decay": 0.02}),
    (NAdam, {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    (NAdam, {"lr": 0.001, "maximize": True}),
    (RAdam, {"lr": 0.005}),
    (RAdam, {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-5, "weight_decay": 0.1}),
    (RAdam, {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    (RAdam, {"lr": 0.005, "maximize": True}),
]
IDS = [f"{kind.__name__}({', '.join(settings)})-{i}" for i, (kind, settings) in enumerate(SETTINGS)]
every_setting = pytest.mark.parametrize("kind, settings", SETTINGS, ids=IDS)


def network(dtype="float64", seed=0):
    return mg.Network(
        mg.Linear(3, 7), mg.Tanh(), mg.Linear(7, 2), loss="mse", dtype=dtype, seed=seed
    )


def data(rows=12, dtype="float64"):
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, 3)).astype(dtype), rng.normal(size=(rows, 2)).astype(dtype)


def step(net, optimizer, X, y):
    optimizer.zero_grad()
    loss = net.loss(X, y)
    net.backward()
    optimizer.step()
    return loss


DEFAULT_LR = {RMSprop: 0.01, Adagrad: 0.01, Adamax: 2e-3, NAdam: 2e-3}


@pytest.fixture(autouse=True)
def double():
    """torch keeps NAdam's product of momenta in the default dtype, whatever the parameters have."""
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def torch_optimizer(kind, tensors, settings):
    import torch

    settings = {"lr": 0.01, **settings} if kind is RMSprop else settings
    return getattr(torch.optim, kind.__name__)(tensors, foreach=False, **settings)


# ---- against PyTorch ----


@every_setting
@pytest.mark.parametrize("n", [1, 37])
def test_a_thousand_random_steps_beside_torch(kind, settings, n):
    """Gradients that depend on nothing but chance, of scales from 1e-3 to 1e3.

    A rounding of p enters the next step through weight decay only, so 1000 steps add 1000 eps.
    """
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(n)
    params = Parameters([("w", (n,))], np.dtype("float64"))
    params.flat[:] = rng.normal(size=n)
    tensor = torch.tensor(params.flat.copy(), requires_grad=True)
    ours, theirs = kind(params, **({"lr": 0.1} | settings if kind is SGD else settings)), None
    theirs = torch_optimizer(kind, [tensor], settings)
    start = params.flat.copy()
    for _ in range(1000):
        g = rng.normal(size=n) * 10 ** rng.uniform(-3, 3)
        params.flat_grad[:] = g
        tensor.grad = torch.from_numpy(g.copy())
        ours.step()
        theirs.step()
    want = tensor.detach().numpy()
    np.testing.assert_allclose(params.flat, want, rtol=1e-10, atol=1e-10)
    assert np.abs(params.flat - start).max() > 1e-3
    state = theirs.state[tensor]
    for name, values in ours.state.items():
        theirs_name = "momentum_buffer" if name == "velocity" else name
        np.testing.assert_allclose(values, state[theirs_name], rtol=1e-10, atol=1e-12)


@every_setting
@pytest.mark.parametrize("scheduled", [False, True])
def test_a_hundred_steps_of_a_network_beside_torch(kind, settings, scheduled):
    torch = pytest.importorskip("torch")
    net, (X, y) = network(), data()
    twin = torch_twin(net)
    theirs = torch_optimizer(kind, list(twin.parameters()), settings)
    lr = settings.get("lr", DEFAULT_LR.get(kind, 1e-3))
    schedule = lambda t: lr * 0.97**t * (1 + t % 3)  # noqa: E731
    ours = kind(net.parameters(), **(settings | {"lr": schedule} if scheduled else settings))
    for t in range(100):
        for group in theirs.param_groups:
            group["lr"] = schedule(t) if scheduled else lr
        theirs.zero_grad()
        torch_loss(net, twin, X, y).backward()
        theirs.step()
        step(net, ours, X, y)
    assert torch is not None
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        q = q.detach().numpy()
        np.testing.assert_allclose(p.data, q, rtol=0, atol=1e-11 * np.abs(q).max())


@every_setting
def test_values_beside_torch(kind, settings):
    """A quadratic with a different curvature in each direction, as a list of Values."""
    torch = pytest.importorskip("torch")
    values = [Value(v) for v in (1.5, -2.0, 0.25)]
    tensors = [torch.tensor(v.data, dtype=torch.float64, requires_grad=True) for v in values]
    ours, theirs = kind(values, **settings), torch_optimizer(kind, tensors, settings)

    def loss(p):
        return p[0] * p[0] + p[1] * p[1] * 2 + p[2] * p[2] * 0.5 + p[0] * p[1]

    for _ in range(100):
        ours.zero_grad()
        assert all(v.grad == 0 for v in values)
        theirs.zero_grad()
        loss(values).backward()
        loss(tensors).backward()
        ours.step()
        theirs.step()
    got, want = [v.data for v in values], [t.item() for t in tensors]
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


@every_setting
def test_values_and_arrays_take_the_same_steps(kind, settings):
    rng = np.random.default_rng(0)
    params = Parameters([("w", (5,))], np.dtype("float64"))
    values = [Value(x) for x in rng.normal(size=5)]
    params.flat[:] = [v.data for v in values]
    pair = kind(params, **settings), kind(values, **settings)
    for _ in range(50):
        params.flat_grad[:] = rng.normal(size=5)
        for v, g in zip(values, params.flat_grad, strict=True):
            v.grad = float(g)
        for each in pair:
            each.step()
    np.testing.assert_allclose([v.data for v in values], params.flat, rtol=1e-12, atol=1e-14)
    assert pair[0].steps == pair[1].steps == 50


def test_no_denominator_is_negative():
    """Centered, of gradients that hardly vary: m**2 exceeds s by a rounding, which is no NaN."""
    params = Parameters([("w", (4,))], np.dtype("float32"))
    values = [Value(0.0)]
    pair = RMSprop(params, centered=True, alpha=0.5), RMSprop(values, centered=True, alpha=0.5)
    for _ in range(200):
        params.flat_grad[:] = values[0].grad = 0.1
        for each in pair:
            each.step()
    assert np.isfinite(params.flat).all() and np.isfinite(values[0].data)


# ---- the kernels ----


def struct(kind, p, g, states, isa, **settings):
    c = ffi.new("mg_optimizer *", {"kind": kind, "isa": isa, "dtype": code(p), "n": len(g)})
    c.parameters, c.gradients, c.largest = address(p), address(g), np.inf
    for i, state in enumerate(states):
        c.state[i] = ffi.NULL if state is None else address(state)
    for name, value in settings.items():
        setattr(c, name, value)
    return c


@pytest.mark.parametrize("n", [1, 5, 16, 50])
def test_sgd_by_hand(isa, dtype, n):
    """p = 1, g = 2, v = 4, weight decay 1/2, momentum 1/4, lr 1/8: exact in binary."""

    def one(steps=1, **settings):
        p, g, v = np.full(n + 1, 1, dtype), np.full(n, 2, dtype), np.full(n + 1, 4, dtype)
        state = [v] if settings.get("momentum") else []
        c = struct(lib.MG_SGD, p, g, state, isa, steps=steps, lr=0.125, **settings)
        assert lib.mg_optimizer_step(c, 1) == lib.MG_OK
        assert p[n] == 1 and v[n] == 4 and (g == 2).all() and c.steps == steps + 1
        assert len(set(p[:n])) == len(set(v[:n])) == 1
        return p[0], v[0]

    assert one() == (0.75, 4)
    assert one(weight_decay=0.5) == (1 - 2.5 / 8, 4)
    assert one(momentum=0.25) == (1 - 3 / 8, 3)
    assert one(momentum=0.25, steps=0) == (0.75, 2)
    assert one(momentum=0.25, weight_decay=0.5) == (1 - 3.5 / 8, 3.5)
    assert one(momentum=0.25, nesterov=1) == (1 - 2.75 / 8, 3)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 100, 5000])
def test_every_instruction_set_takes_the_same_steps(isa, dtype, n):
    """All kinds and states against the formulas in float64: a few roundings each step."""
    eps = np.finfo(dtype).eps
    shared = {"lr": 0.01, "weight_decay": 0.1, "eps": 1e-3}
    for kind, three, momentum in itertools.product(
        (lib.MG_RMSPROP, lib.MG_ADAM, lib.MG_ADAMW), (False, True), (0.0, 0.5)
    ):
        rng = np.random.default_rng(n)
        p, g = (rng.normal(size=n).astype(dtype) for _ in range(2))
        s, m, most = np.zeros(n, dtype), np.zeros(n, dtype), np.zeros(n, dtype)
        rms = kind == lib.MG_RMSPROP
        v = np.zeros(n, dtype)
        states = [s, v if momentum else None, m if three else None] if rms else [m, s]
        states += [most] if three and not rms else []
        settings = {"alpha": 0.75, "beta1": 0.75, "beta2": 0.875, "momentum": momentum, **shared}
        c = struct(kind, p, g, states, isa, **settings)
        P, S, M, V, MOST = p.astype(float), *np.zeros((4, n))
        for t in range(1, 4):
            assert lib.mg_optimizer_step(c, 1) == lib.MG_OK
            G = g.astype(float) + (0 if kind == lib.MG_ADAMW else 0.1 * P)
            if rms:
                S, M = 0.75 * S + 0.25 * G * G, 0.75 * M + 0.25 * G
                U = G / (np.sqrt(S - M * M if three else S) + 1e-3)
                V = momentum * V + U
                P = P - 0.01 * V
            else:
                P = P * (1 - 0.001) if kind == lib.MG_ADAMW else P
                M, S = 0.75 * M + 0.25 * G, 0.875 * S + 0.125 * G * G
                MOST = np.maximum(MOST, S)
                root = np.sqrt((MOST if three else S) / (1 - 0.875**t)) + 1e-3
                P = P - 0.01 * M / (1 - 0.75**t) / root
        np.testing.assert_allclose(p, P, rtol=40 * eps, atol=40 * eps)
        np.testing.assert_allclose(s, S, rtol=20 * eps, atol=20 * eps)


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam, AdamW])
def test_threads_change_no_bit(kind, threads):
    rng, n, ends = np.random.default_rng(0), 1_000_003, []
    start, g = rng.normal(size=(2, n)).astype("float32")
    for count in (1, 2, 3):
        threads(count)
        params = Parameters([("w", (n,))], np.dtype("float32"))
        params.flat[:] = start
        params.flat_grad[:] = g
        optimizer = kind(params, lr=0.01)
        for _ in range(3):
            optimizer.step()
        ends.append(params.flat.copy())
    assert same_bits(ends[0], ends[1]) and same_bits(ends[0], ends[2])
    assert (ends[0] != start).mean() > 0.99


def test_bad_structs(isa):
    p = np.zeros(3)
    for kind, states in [(-1, []), (lib.MG_OPTIMIZERS, []), (lib.MG_RMSPROP, []),
                         (lib.MG_ADAM, [p]), (lib.MG_ADAMW, [p])]:  # fmt: skip
        c = struct(kind, p, p, states, isa)
        assert lib.mg_optimizer_step(c, 1) == lib.MG_BAD_ARGUMENT and c.steps == 0


@every_setting
def test_float32_follows_float64(kind, settings):
    """Each step rounds a weight once; tanh and the sums add a few roundings: 100 steps, 1e-4.

    Where g nearly vanishes, its sign is what an adaptive rule sees: 100 steps of lr then.
    """
    (X, y), ends = data(), {}
    for dtype in ("float32", "float64"):
        net = network(dtype)
        optimizer = kind(net.parameters(), **settings)
        for _ in range(100):
            step(net, optimizer, X.astype(dtype), y.astype(dtype))
        ends[dtype] = net.parameters().flat.copy()
    np.testing.assert_allclose(ends["float32"], ends["float64"], atol=1e-3)
    assert np.abs(ends["float64"] - network().parameters().flat).max() > 0.05


# ---- state ----


@every_setting
def test_state_dict_round_trip(kind, settings):
    X, y = data()
    through, broken = network(), network()
    one, two = kind(through.parameters(), **settings), kind(broken.parameters(), **settings)
    for _ in range(5):
        step(through, one, X, y)
        step(broken, two, X, y)
    state = two.state_dict()
    step(broken, two, X, y)  # the state is a copy: this does not change it
    resumed = network(seed=9)
    resumed.parameters().flat[:] = through.parameters().flat
    three = kind(resumed.parameters(), **settings)
    three.load_state_dict(state)
    assert three.state_dict()["steps"] == 5
    for _ in range(5):
        step(through, one, X, y)
        step(resumed, three, X, y)
    assert same_bits(through.parameters().flat, resumed.parameters().flat)


@every_setting
def test_state_of_values(kind, settings):
    values = [Value(1.0), Value(2.0)]
    optimizer = kind(values, **settings)
    for v in values:
        v.grad = 1.0
    optimizer.step()
    other = kind([Value(v.data) for v in values], **settings)
    other.load_state_dict(optimizer.state_dict())
    for o in (optimizer, other):
        for v in o.params:
            v.grad = 1.0
        o.step()
    assert [v.data for v in other.params] == [v.data for v in values]


def test_a_state_that_does_not_fit():
    net = network()
    plain, heavy = SGD(net.parameters(), lr=0.1), SGD(net.parameters(), lr=0.1, momentum=0.9)
    small = SGD([Value(1.0)], lr=0.1, momentum=0.9)
    adam, ams = Adam(net.parameters()), Adam(net.parameters(), amsgrad=True)
    good = heavy.state_dict()
    for optimizer, state in [
        (plain, heavy.state_dict()), (heavy, plain.state_dict()), (heavy, small.state_dict()),
        (adam, heavy.state_dict()), (adam, ams.state_dict()), (ams, adam.state_dict()),
        (heavy, good | {"steps": -1}), (heavy, good | {"steps": 1.5}), (heavy, good | {"x": 1}),
        (heavy, {}),
    ]:  # fmt: skip
        before = optimizer.state_dict()
        with pytest.raises(ValueError, match="load_state_dict"):
            optimizer.load_state_dict(state)
        after = optimizer.state_dict()
        assert all(np.array_equal(before[name], after[name]) for name in before)


# ---- settings ----


@pytest.mark.parametrize(
    "kind, keywords, error",
    [
        (SGD, {"lr": -0.1}, ValueError),
        (SGD, {"lr": float("nan")}, ValueError),
        (SGD, {"lr": float("inf")}, ValueError),
        (SGD, {"lr": "fast"}, TypeError),
        (SGD, {"lr": None}, TypeError),
        (SGD, {"lr": True}, TypeError),
        (SGD, {"lr": 0.1, "momentum": -1}, ValueError),
        (SGD, {"lr": 0.1, "momentum": "0.9"}, TypeError),
        (SGD, {"lr": 0.1, "weight_decay": -1e-9}, ValueError),
        (SGD, {"lr": 0.1, "nesterov": True}, ValueError),
        (RMSprop, {"alpha": 1}, ValueError),
        (RMSprop, {"alpha": -0.1}, ValueError),
        (RMSprop, {"eps": -1e-8}, ValueError),
        (RMSprop, {"momentum": float("nan")}, ValueError),
        (Adam, {"betas": (0.9, 1.0)}, ValueError),
        (Adam, {"betas": (-0.1, 0.9)}, ValueError),
        (Adam, {"betas": 0.9}, TypeError),
        (Adam, {"betas": (0.9,)}, TypeError),
        (Adam, {"betas": ("a", 0.9)}, TypeError),
        (AdamW, {"weight_decay": -1}, ValueError),
        (AdamW, {"eps": "small"}, TypeError),
    ],
)
def test_bad_settings(kind, keywords, error):
    with pytest.raises(error, match=kind.__name__):
        kind(network().parameters(), **keywords)


@pytest.mark.parametrize("params", [[], [1.0, 2.0], np.zeros(3), [np.zeros(3)], 5])
@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam, AdamW])
def test_bad_parameters(params, kind):
    with pytest.raises((TypeError, ValueError), match=kind.__name__):
        kind(params, lr=0.1)


def test_the_base_class_is_no_optimizer():
    with pytest.raises(TypeError, match="such as SGD or Adam"):
        Optimizer(network().parameters(), lr=0.1)


def test_the_schedule_is_asked_once_a_step():
    asked = []
    net, (X, y) = network(), data()
    optimizer = Adam(net.parameters(), lr=lambda t: asked.append(t) or 0.1)
    for _ in range(4):
        step(net, optimizer, X, y)
    assert asked == [0, 1, 2, 3]
    assert optimizer.current_lr() == 0.1


def test_settings_can_change_between_steps():
    """p -= lr * g, with the lr of that moment; a bad one leaves the old."""
    net, (X, y) = network(), data()
    optimizer = SGD(net.parameters(), lr=0.1)
    for lr in (0.1, 0.5, 0.0):
        optimizer.lr = lr
        with pytest.raises(ValueError, match="lr"):
            optimizer.lr = -1
        before, (_, g) = net.parameters().flat.copy(), gradients(net, X, y)
        optimizer.step()
        np.testing.assert_allclose(net.parameters().flat, before - lr * g, rtol=1e-14, atol=1e-16)


def test_a_momentum_that_begins_later():
    """The velocity starts from zero then: v = g at that step, momentum * v + g at the next."""
    values = [Value(0.0)]
    optimizer = SGD(values, lr=1.0)
    for momentum in (0.0, 0.5, 0.5):
        optimizer.momentum = momentum
        values[0].grad = 1.0
        optimizer.step()
    assert values[0].data == -(1 + 1 + 1.5)


def test_repr_has_every_setting():
    assert repr(SGD(network().parameters(), 0.1)) == (
        "SGD(lr=0.1, momentum=0, nesterov=False, weight_decay=0, dampening=0, maximize=False)"
    )
    assert "betas=(0.9, 0.999)" in repr(AdamW(network().parameters()))


@every_setting
def test_fit_takes_them_all(kind, settings):
    """The fused step against the single calls."""
    one, two, (X, y) = network(), network(), data(40)
    fused, single = kind(one.parameters(), **settings), kind(two.parameters(), **settings)
    one.fit(X, y, epochs=2, batch_size=40, optimizer=fused, seed=0, progress=False)
    for _ in range(2):
        step(two, single, X, y)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-9, atol=1e-12)
    assert fused.steps == single.steps == 2
