"""Schedules against torch.optim.lr_scheduler, step for step, and by hand."""

import json
import math

import numpy as np
import pytest

import micrograd as mg
from micrograd import schedule
from micrograd.optim import SGD
from micrograd.saving import parts
from micrograd.schedule import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Product,
    ReduceOnPlateau,
    Sequence,
    Step,
    Warmup,
)

STEPS = 60


def torchs(make, lr=0.1):
    """The learning rates of STEPS steps under PyTorch's scheduler, which steps after each."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    "ours, make",
    [
        (Constant(0.1), lambda s, o: s.ConstantLR(o, factor=1.0)),
        (Step(0.1, 7, 0.5), lambda s, o: s.StepLR(o, 7, 0.5)),
        (Step(0.1, 1), lambda s, o: s.StepLR(o, 1)),
        (Exponential(0.1, 0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
        (Cosine(0.1, STEPS), lambda s, o: s.CosineAnnealingLR(o, STEPS)),
        (Cosine(0.1, STEPS, end=0.01), lambda s, o: s.CosineAnnealingLR(o, STEPS, 0.01)),
        (OneCycle(0.1, STEPS), lambda s, o: s.OneCycleLR(o, 0.1, STEPS)),
        (
            OneCycle(0.1, STEPS, 0.5, 10, 100),
            lambda s, o: s.OneCycleLR(
                o, 0.1, STEPS, pct_start=0.5, div_factor=10, final_div_factor=100
            ),
        ),
        (
            OneCycle(0.1, STEPS, anneal="linear"),
            lambda s, o: s.OneCycleLR(o, 0.1, STEPS, anneal_strategy="linear"),
        ),
        (
            OneCycle(0.1, STEPS, 0.35, three_phase=True),
            lambda s, o: s.OneCycleLR(o, 0.1, STEPS, pct_start=0.35, three_phase=True),
        ),
        (
            OneCycle(0.1, STEPS, 0.2, 5, 50, "linear", True),
            lambda s, o: s.OneCycleLR(
                o, 0.1, STEPS, pct_start=0.2, div_factor=5, final_div_factor=50,
                anneal_strategy="linear", three_phase=True,
            ),
        ),
        (MultiStep(0.1, (30, 8, 9)), lambda s, o: s.MultiStepLR(o, [8, 9, 30])),
        (MultiStep(0.1, [], 0.5), lambda s, o: s.MultiStepLR(o, [], 0.5)),
        (CosineRestarts(0.1, 7), lambda s, o: s.CosineAnnealingWarmRestarts(o, 7)),
        (
            CosineRestarts(0.1, 5, 2, end=0.02),
            lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, 2, 0.02),
        ),
        (Linear(0.02, 0.1, 20), lambda s, o: s.LinearLR(o, 0.2, 1.0, 20)),
        (
            Sequence((10, Linear(0.01, 0.1, 10)), (None, Exponential(0.1, 0.9))),
            lambda s, o: s.SequentialLR(
                o, [s.LinearLR(o, 0.1, 1.0, 10), s.ExponentialLR(o, 0.9)], [10]
            ),
        ),
        (
            Warmup(Cosine(0.1, 50), 10, start=0.01),
            lambda s, o: s.SequentialLR(
                o, [s.LinearLR(o, 0.1, 1.0, 10), s.CosineAnnealingLR(o, 50)], [10]
            ),
        ),
        (
            Product(Step(0.1, 7, 0.5), Exponential(1.0, 0.9)),
            lambda s, o: s.ChainedScheduler([s.StepLR(o, 7, 0.5), s.ExponentialLR(o, 0.9)]),
        ),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, schedule.Schedule) else "",
)  # fmt: skip
def test_beside_torch(ours, make):
    np.testing.assert_allclose([ours(t) for t in range(STEPS)], torchs(make), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"patience": 2, "factor": 0.5},
        {"patience": 0, "cooldown": 3},
        {"patience": 1, "threshold": 0.1, "least": 1e-3},
        {"patience": 2, "mode": "max", "factor": 0.7},
    ],
    ids=str,
)
def test_plateau_beside_torch(settings):
    torch = pytest.importorskip("torch")
    ours = ReduceOnPlateau(0.1, **settings)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    names = {"least": "min_lr"}
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, **{names.get(k, k): v for k, v in settings.items()}
    )
    rng, seen = np.random.default_rng(0), set()
    for epoch in range(200):
        metric = 1 / (1 + epoch / 9) + 0.3 * rng.normal()
        if epoch in (0, 3, 50):
            metric = math.inf if epoch == 0 else math.nan
        ours.update(metric)
        theirs.step(metric)
        assert ours(epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        seen.add(ours(epoch))
    assert len(seen) > 2


def test_cosine_with_warm_up_by_hand():
    """(t + 1) / 5 of the peak over four steps, then cos(0), cos(pi/2) and cos(pi) of six steps."""
    f = Cosine(1.0, 10, warmup=4)
    np.testing.assert_allclose([f(t) for t in range(5)], [0.2, 0.4, 0.6, 0.8, 1.0])
    np.testing.assert_allclose([f(7), f(10), f(11), f(1000)], [0.5, 0, 0, 0], atol=1e-16)


def test_one_cycle_stays_at_its_end():
    f = OneCycle(1.0, 20)
    assert f(19) == f(20) == f(500) == pytest.approx(1 / 25 / 1e4)
    assert max(f(t) for t in range(20)) == f(5) == 1.0
    assert OneCycle(1.0, 20, rise=0)(0) < 1.0


def test_products_and_numbers():
    f = Step(0.5, 2, 0.5) * Exponential(1.0, 0.5) * 3
    assert [f(t) for t in range(3)] == [1.5, 0.75, 0.1875]
    assert (2 * Constant(0.25))(9) == 0.5


EVERY = [
    Constant(0.1),
    Linear(0.0, 0.1, 5),
    Step(0.1, 3),
    Exponential(0.1, 0.9),
    Cosine(0.1, 20, warmup=3),
    OneCycle(0.1, 20),
    Warmup(Step(0.1, 3), 4),
    Sequence((3, Constant(0.1)), (None, Warmup(Exponential(0.1, 0.9), 4))),
    Product(Constant(0.5), Sequence((3, Step(0.1, 1)))),
    Warmup(ReduceOnPlateau(0.1, patience=0), 3),
]


@pytest.mark.parametrize("ours", EVERY, ids=str)
def test_as_json_and_back(ours):
    text = json.loads(json.dumps(parts.encode(ours)))
    back = parts.decode(text, parts.SCHEDULES)
    assert back == ours and [back(t) for t in range(20)] == [ours(t) for t in range(20)]
    assert repr(back) == repr(ours)


@pytest.mark.parametrize("ours", EVERY, ids=str)
def test_as_an_optimizers_learning_rate(ours):
    values = [mg.Value(1.0)]
    optimizer = SGD(values, lr=ours)
    for t in range(6):
        values[0].grad = 1.0
        before = values[0].data
        optimizer.step()
        assert before - values[0].data == pytest.approx(ours(t), abs=1e-15)


def test_what_a_plateau_remembers_goes_with_the_optimizer():
    def make():
        return SGD([mg.Value(1.0)], lr=Product(Constant(1.0), ReduceOnPlateau(0.1, patience=1)))

    one, two = make(), make()
    for metric in (1.0, 2.0, 2.0, 2.0):
        one.lr.update(metric)
    assert one.current_lr() == pytest.approx(0.01)
    state = json.loads(json.dumps({n: v for n, v in one.state_dict().items() if n != "velocity"}))
    two.load_state_dict(state)
    for metric in (2.0, 2.0):
        for each in (one, two):
            each.lr.update(metric)
        assert one.current_lr() == two.current_lr()
    for bad in ({}, {"1": {}}, {"1": {"lr": "x", "best": 0.0, "bad": 0, "rest": 0}}, 5):
        with pytest.raises(ValueError, match="load_state_dict"):
            two.load_state_dict({"steps": 0, "schedule": bad})


def test_fit_tells_the_plateau():
    """A learning rate of 0 never improves: reduced after every epoch but the first."""
    net = mg.Network(mg.Linear(3, 1), loss="mse", seed=0)
    plateau = ReduceOnPlateau(1e-30, patience=0, factor=0.5, least=0.0)
    plateau._state["lr"] = 1.0
    optimizer = SGD(net.parameters(), lr=Product(Constant(0.0), plateau))
    X, y = np.ones((8, 3)), np.ones((8, 1))
    net.fit(X, y, epochs=4, batch_size=8, optimizer=optimizer, progress=False)
    assert plateau(0) == 0.125


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(-1), lambda: Constant("a"), lambda: Constant(math.nan),
        lambda: Constant(math.inf), lambda: Constant(True), lambda: Step(0.1, 0),
        lambda: Step(0.1, 1.5), lambda: Exponential(0.1, -0.1), lambda: Cosine(0.1, 10, warmup=10),
        lambda: Cosine(0.1, 0), lambda: OneCycle(0.1, 1), lambda: OneCycle(0.1, 10, rise=1),
        lambda: OneCycle(0.1, 10, start_divisor=0), lambda: Warmup(0.1, 5),
        lambda: Warmup(Constant(0.1), 0), lambda: Sequence(), lambda: Sequence((1, 0.1)),
        lambda: Sequence((None, Constant(1)), (2, Constant(1))), lambda: Sequence((0, Constant(1))),
        lambda: Sequence((1, Constant(1), 2)), lambda: Product(Constant(1), 2),
        lambda: Product(lambda t: 1, Constant(1)), lambda: ReduceOnPlateau(0.1, factor=1),
        lambda: ReduceOnPlateau(0.1, patience=-1), lambda: ReduceOnPlateau(0.1, mode="least"),
        lambda: Linear(0, 1, 0), lambda: Constant(1) * "a",
    ],
)  # fmt: skip
def test_bad_settings(make):
    with pytest.raises((TypeError, ValueError), match=r"^\w+: "):
        make()


def test_a_metric_that_is_no_number():
    with pytest.raises(TypeError, match="metric"):
        ReduceOnPlateau(0.1).update("good")


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("shape", [{}, {"anneal": "linear"}, {"rise": 0.35, "three_phase": True}])
def test_the_momentum_of_a_cycle_beside_torch(kind, shape):
    torch = pytest.importorskip("torch")
    p = torch.zeros(1, requires_grad=True)
    settings = {"momentum": 0.9} if kind == "SGD" else {}
    optimizer = getattr(torch.optim, kind)([p], lr=0.1, **settings)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.1, STEPS, pct_start=shape.get("rise", 0.3), base_momentum=0.7,
        max_momentum=0.9, anneal_strategy=shape.get("anneal", "cos"),
        three_phase=shape.get("three_phase", False),
    )  # fmt: skip
    momentum = OneCycle(0.1, STEPS, **shape).momentum(0.7, 0.9)
    for t in range(STEPS):
        group = optimizer.param_groups[0]
        want = group["momentum"] if kind == "SGD" else group["betas"][0]
        assert momentum(t) == pytest.approx(want, rel=1e-9)
        optimizer.step()
        scheduler.step()
    assert momentum(10 * STEPS) == momentum(STEPS - 1)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("settings", [{"threshold_mode": "abs", "threshold": 0.3}, {"eps": 0.02}])
def test_plateaus_of_an_absolute_threshold_and_of_an_eps(mode, settings):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    shared = {"factor": 0.5, "patience": 1, "mode": mode} | settings
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **shared)
    ours = ReduceOnPlateau(0.1, **shared)
    for metric in np.random.default_rng(0).normal(size=60).cumsum():
        assert ours(0) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        ours.update(metric)
        theirs.step(metric)
    assert ours(0) < 0.1


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: MultiStep(0.1, 5), TypeError),
        (lambda: MultiStep(0.1, "12"), TypeError),
        (lambda: MultiStep(0.1, [1.5]), TypeError),
        (lambda: MultiStep(0.1, [-1]), ValueError),
        (lambda: CosineRestarts(0.1, 0), ValueError),
        (lambda: CosineRestarts(0.1, 5, 0), ValueError),
        (lambda: OneCycle(0.1, 10, anneal="log"), ValueError),
        (lambda: OneCycle(0.1, 10, 0.6, three_phase=True), ValueError),
        (lambda: OneCycle(0.1, 10).momentum(1.0), ValueError),
        (lambda: ReduceOnPlateau(0.1, threshold_mode="no"), ValueError),
        (lambda: ReduceOnPlateau(0.1, eps=-1), ValueError),
    ],
)
def test_what_the_newer_ones_refuse(make, error):
    with pytest.raises(error, match=r"^\w+: \w+ is "):
        make()


def test_the_newer_ones_are_saved_by_name_and_fields():
    for each in (MultiStep(0.1, (3, 5)), CosineRestarts(0.1, 5, 2), OneCycle(0.1, 9).momentum(),
                 OneCycle(0.1, 9, anneal="linear", rise=0.4, three_phase=True)):  # fmt: skip
        text = json.loads(json.dumps(parts.encode(each)))
        assert parts.decode(text, parts.SCHEDULES) == each


def test_the_edges_of_a_cycle():
    """At its first step where the way up takes one; two steps; divisors below 1; the defaults."""
    assert OneCycle(1.0, 10, rise=0.1)(0) == 1.0
    assert [OneCycle(1.0, 2, 0.5, end_divisor=0.5)(t) for t in range(2)] == [1.0, 0.08]
    assert OneCycle(1.0, 10, start_divisor=0.5)(0) == 2.0
    momentum = OneCycle(0.1, 30).momentum()
    assert schedule.OneCycleMomentum(0.85, 0.95, 30) == momentum
    assert (momentum(0), momentum(8), momentum(29)) == (0.95, 0.85, 0.95)
    with pytest.raises(ValueError, match="most"):
        OneCycle(0.1, 10).momentum(most=1.0)


def test_where_one_schedule_hands_over_to_the_next():
    f = Sequence((2, Constant(1.0)), (3, Linear(5.0, 2.0, 3)), (4, Constant(7.0)))
    assert [f(t) for t in range(11)] == pytest.approx([1, 1, 5, 4, 3, 7, 7, 7, 7, 7, 7])
    assert [Warmup(Constant(2.0), 4)(t) for t in range(6)] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    assert MultiStep(1.0, (0, 2), 0.5)(0) == 0.5


@pytest.mark.parametrize(
    "around",
    [
        lambda plateau: Warmup(plateau, 1),
        lambda plateau: Sequence((1, Constant(0.1)), (None, plateau)),
        lambda plateau: Product(Constant(1.0), plateau),
    ],
)
def test_a_plateau_within_another_schedule(around):
    """hears of the metric, and what it remembers goes along."""
    one, two = (around(ReduceOnPlateau(0.1, 0.5, patience=0)) for _ in range(2))
    for metric in (1.0, 1.0):
        one.update(metric)
    assert one(9) == 0.05 and two(9) == 0.1
    two.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert two(9) == 0.05


@pytest.mark.parametrize(
    ("settings", "metric", "lr"),  # the first metric is 1; half the learning rate: no improvement
    [
        ({"threshold": 0.0}, 1.0, 0.5),
        ({"threshold": 0.5}, 0.5, 0.5), ({"threshold": 0.5}, 0.4375, 1.0),
        ({"threshold": 0.25, "mode": "max"}, 1.25, 0.5),
        ({"threshold": 0.25, "mode": "max"}, 1.375, 1.0),
        ({"threshold": 0.5, "threshold_mode": "abs"}, 0.5, 0.5),
        ({"threshold": 0.5, "threshold_mode": "abs"}, 0.625, 0.5),
        ({"threshold": 0.5, "threshold_mode": "abs"}, 0.4375, 1.0),
        ({"threshold": 0.5, "threshold_mode": "abs", "mode": "max"}, 1.5, 0.5),
        ({"threshold": 0.5, "threshold_mode": "abs", "mode": "max"}, 1.375, 0.5),
        ({"threshold": 0.5, "threshold_mode": "abs", "mode": "max"}, 1.625, 1.0),
        ({"eps": 0.5}, 1.0, 1.0), ({"eps": 0.4375}, 1.0, 0.5),
    ],
)  # fmt: skip
def test_what_counts_as_an_improvement_and_as_a_reduction(settings, metric, lr):
    plateau = ReduceOnPlateau(1.0, 0.5, patience=0, **settings)
    plateau.update(1.0)
    plateau.update(metric)
    assert plateau(0) == lr


def test_what_a_plateau_remembers_is_no_part_of_what_it_is():
    one, two = ReduceOnPlateau(0.1, patience=0), ReduceOnPlateau(0.1, patience=0)
    one.update(1.0)
    one.update(1.0)
    assert one(0) != two(0) and one == two and hash(one) == hash(two)
    assert repr(one) == repr(two) and "_state" not in repr(one)
