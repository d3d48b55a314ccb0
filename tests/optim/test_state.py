"""What optimizers keep between steps, and what they take: state, settings, parameters."""

from threading import get_ident

import numpy as np
import pytest
from support.bits import same_bits
from support.networks import gradients
from support.optimizers import data, every_setting, network, step

from micrograd.engine import Value
from micrograd.optim import (
    SGD,
    Adam,
    AdamW,
    NAdam,
    Optimizer,
    RMSprop,
)
from micrograd.schedule import ReduceOnPlateau


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


def test_a_bad_state_of_the_second_schedule_leaves_the_first():
    def rate():
        return ReduceOnPlateau(0.1, patience=0)

    sgd = SGD(network().parameters(), lr=rate(), momentum=rate())
    good = sgd.state_dict()
    sgd.update_schedules(1.0)
    sgd.update_schedules(1.0)
    before = sgd.state_dict()
    assert before["schedule"] != good["schedule"]
    with pytest.raises(ValueError, match="ReduceOnPlateau"):
        sgd.load_state_dict(good | {"schedule.momentum": {"lr": 1.0}})
    np.testing.assert_equal(sgd.state_dict(), before)
    sgd.load_state_dict(good)
    np.testing.assert_equal(sgd.state_dict(), good)


def test_the_product_of_nadam_is_of_the_moment_of_its_arrays():
    """It is read, and written, while no other thread makes a step."""
    net = network()
    nadam, access = NAdam(net.parameters()), net.parameters().access

    class Watched:
        def __init__(self, group):
            self.group = group

        def __getattr__(self, name):
            if name == "c":
                inside.append((get_ident() in access.readers, access.owner == get_ident()))
            return getattr(self.group, name)

    step(net, nadam, *data())
    nadam.param_groups[0] = Watched(nadam.param_groups[0])
    inside = []
    state = nadam.state_dict()
    assert inside and all(reading for reading, _ in inside)
    del inside[:]
    nadam.load_state_dict(state)
    assert inside[-1][1]  # the last is the product's


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
