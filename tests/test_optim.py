"""SGD against torch.optim.SGD, for a network's parameters and for a list of Values."""

import numpy as np
import pytest
from conftest import gradients, same_bits, torch_loss, torch_twin

import micrograd as mg
from micrograd.engine import Value
from micrograd.optim import SGD

SETTINGS = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.01},
    {"lr": 0.05, "momentum": 0.9},
    {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.03},
    {"lr": 0.05, "momentum": 0.8, "nesterov": True},
    {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
]


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


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("scheduled", [False, True])
def test_a_hundred_steps_beside_torch(settings, scheduled):
    torch = pytest.importorskip("torch")
    net, (X, y) = network(), data()
    twin = torch_twin(net)
    theirs = torch.optim.SGD(twin.parameters(), **settings)
    schedule = lambda t: settings["lr"] * 0.97**t * (1 + t % 3)  # noqa: E731
    ours = SGD(net.parameters(), **(settings | {"lr": schedule} if scheduled else settings))
    for t in range(100):
        for group in theirs.param_groups:
            group["lr"] = schedule(t) if scheduled else settings["lr"]
        theirs.zero_grad()
        torch_loss(net, twin, X, y).backward()
        theirs.step()
        step(net, ours, X, y)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        q = q.detach().numpy()
        np.testing.assert_allclose(p.data, q, rtol=0, atol=1e-12 * np.abs(q).max())


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_values_beside_torch(settings):
    """A quadratic with a different curvature in each direction, as a list of Values."""
    torch = pytest.importorskip("torch")
    values = [Value(v) for v in (1.5, -2.0, 0.25)]
    tensors = [torch.tensor(v.data, dtype=torch.float64, requires_grad=True) for v in values]
    ours, theirs = SGD(values, **settings), torch.optim.SGD(tensors, **settings)

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
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def test_float32_follows_float64():
    """Each step rounds a weight once; tanh and the sums add a few roundings: 100 steps, 1e-4."""
    (X, y), ends = data(), {}
    for dtype in ("float32", "float64"):
        net = network(dtype)
        optimizer = SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01)
        for _ in range(100):
            step(net, optimizer, X.astype(dtype), y.astype(dtype))
        ends[dtype] = net.parameters().flat.copy()
    np.testing.assert_allclose(ends["float32"], ends["float64"], atol=1e-4)
    assert np.abs(ends["float64"] - network().parameters().flat).max() > 0.1  # it did go somewhere


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_state_dict_round_trip(settings):
    X, y = data()
    through, broken = network(), network()
    one, two = SGD(through.parameters(), **settings), SGD(broken.parameters(), **settings)
    for _ in range(5):
        step(through, one, X, y)
        step(broken, two, X, y)
    state = two.state_dict()
    step(broken, two, X, y)  # the state is a copy: this does not change it
    resumed = network(seed=9)
    resumed.parameters().flat[:] = through.parameters().flat
    three = SGD(resumed.parameters(), **settings)
    three.load_state_dict(state)
    assert three.state_dict()["steps"] == 5
    for _ in range(5):
        step(through, one, X, y)
        step(resumed, three, X, y)
    assert same_bits(through.parameters().flat, resumed.parameters().flat)


def test_state_of_values():
    values = [Value(1.0), Value(2.0)]
    optimizer = SGD(values, lr=0.1, momentum=0.5)
    for v in values:
        v.grad = 1.0
    optimizer.step()
    other = SGD([Value(v.data, "") for v in values], lr=0.1, momentum=0.5)
    other.load_state_dict(optimizer.state_dict())
    for o in (optimizer, other):
        for v in o.params:
            v.grad = 1.0
        o.step()
    assert [v.data for v in other.params] == [v.data for v in values]
    assert values[0].data == pytest.approx(1 - 0.1 - 0.1 * 1.5)


def test_a_state_that_does_not_fit():
    net = network()
    plain, heavy = SGD(net.parameters(), lr=0.1), SGD(net.parameters(), lr=0.1, momentum=0.9)
    small = SGD([Value(1.0)], lr=0.1, momentum=0.9)
    for optimizer, state in [(plain, heavy.state_dict()), (heavy, plain.state_dict()),
                             (heavy, small.state_dict())]:  # fmt: skip
        before = optimizer.state_dict()
        with pytest.raises(ValueError, match="load_state_dict"):
            optimizer.load_state_dict(state)
        assert optimizer.state_dict()["steps"] == before["steps"]
    with pytest.raises((KeyError, ValueError)):
        heavy.load_state_dict({})


@pytest.mark.parametrize(
    "keywords, error",
    [
        ({"lr": -0.1}, ValueError),
        ({"lr": float("nan")}, ValueError),
        ({"lr": float("inf")}, ValueError),
        ({"lr": "fast"}, TypeError),
        ({"lr": None}, TypeError),
        ({"lr": True}, TypeError),
        ({"lr": 0.1, "momentum": -1}, ValueError),
        ({"lr": 0.1, "momentum": "0.9"}, TypeError),
        ({"lr": 0.1, "weight_decay": -1e-9}, ValueError),
        ({"lr": 0.1, "nesterov": True}, ValueError),
    ],
)
def test_bad_settings(keywords, error):
    with pytest.raises(error, match="SGD"):
        SGD(network().parameters(), **keywords)


@pytest.mark.parametrize("params", [[], [1.0, 2.0], np.zeros(3), [np.zeros(3)], 5])
def test_bad_parameters(params):
    with pytest.raises((TypeError, ValueError), match="SGD"):
        SGD(params, lr=0.1)


def test_the_schedule_is_asked_once_a_step():
    asked = []
    net, (X, y) = network(), data()
    optimizer = SGD(net.parameters(), lr=lambda t: asked.append(t) or 0.1)
    for _ in range(4):
        step(net, optimizer, X, y)
    assert asked == [0, 1, 2, 3]


def test_settings_can_change_between_steps():
    """p -= lr * g, with the lr of that moment."""
    net, (X, y) = network(), data()
    optimizer = SGD(net.parameters(), lr=0.1)
    for lr in (0.1, 0.5, 0.0):
        optimizer.lr = lr
        before, (_, g) = net.parameters().flat.copy(), gradients(net, X, y)
        optimizer.step()
        np.testing.assert_allclose(net.parameters().flat, before - lr * g, rtol=1e-14, atol=1e-16)
