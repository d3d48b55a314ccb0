"""mg_train_many: small equal networks run side by side, with the bits of mg_plan_train_batches."""

import itertools

import numpy as np
import pytest
from support.kernels import DTYPES

import micrograd as mg
from micrograd import core
from micrograd.core import ffi, lib
from micrograd.optim.constraints import Constraints

OPTIMIZERS = {
    "sgd": lambda p, i: mg.optim.SGD(p, lr=0.01 * (i + 1)),
    "nesterov": lambda p, i: mg.optim.SGD(
        p, lr=0.01 * (i + 1), momentum=0.9, nesterov=True, weight_decay=1e-3 * i
    ),
    "adam": lambda p, i: mg.optim.Adam(p, lr=1e-3 * (i + 1)),
    "upwards": lambda p, i: mg.optim.Adam(p, lr=1e-3, maximize=i % 2 == 0),
    "adamw": lambda p, i: mg.optim.AdamW(p, lr=1e-3, weight_decay=0.1 * i),
    "rmsprop": lambda p, i: mg.optim.RMSprop(p, lr=1e-3, momentum=0.5, centered=True),
    "adagrad": lambda p, i: mg.optim.Adagrad(p, lr=1e-2),
    "adamax": lambda p, i: mg.optim.Adamax(p, lr=1e-2),
    "nadam": lambda p, i: mg.optim.NAdam(p, lr=1e-2 / (i + 1)),
    "radam": lambda p, i: mg.optim.RAdam(p, lr=1e-2),
}
ACTIVATIONS = (
    mg.ReLU, mg.LeakyReLU, mg.Tanh, mg.Sigmoid, mg.GELU, mg.SiLU, mg.Softplus, mg.ELU, mg.SELU,
    mg.Mish,
)  # fmt: skip
STACKS = {  # layers, and whether networks of them go side by side
    "no bias": (lambda: [mg.Linear(6, 8, bias=False), mg.ReLU(), mg.Linear(8, 2, bias=False)], 1),
    "activations first": (lambda: [mg.Tanh(), mg.ReLU(), mg.Linear(6, 2)], 1),
    "two in a row": (lambda: [mg.Linear(6, 8), mg.Tanh(), mg.Mish(), mg.Linear(8, 2)], 1),
    "one behind": (lambda: [mg.Linear(6, 8), mg.Tanh(), mg.Linear(8, 2), mg.Sigmoid()], 1),
    "two behind": (lambda: [mg.Linear(6, 2), mg.Tanh(), mg.SELU()], 1),
    "skip of the input": (lambda: [mg.Residual(mg.Linear(6, 6), mg.Tanh()), mg.Linear(6, 2)], 1),
    "skip in a skip": (lambda: [mg.Residual(mg.Residual(mg.Linear(6, 6))), mg.Linear(6, 2)], 1),
    "skip of an activation": (lambda: [mg.Residual(mg.GELU()), mg.Linear(6, 2)], 1),
    "added to another": (
        lambda: [mg.Linear(6, 8), mg.Residual(mg.Linear(8, 8)), mg.Linear(8, 2)],
        0,
    ),
    "added by an activation": (
        lambda: [mg.Linear(6, 8), mg.Residual(mg.Tanh(), mg.Linear(8, 8)), mg.Linear(8, 2)],
        0,
    ),
}


class Training:
    """A network, its optimizer, and the rows that it takes in an order of its own."""

    def __init__(self, i, layers, data, batch, make=OPTIMIZERS["sgd"], clip=None, order=None):
        X, y = data
        self.net = mg.Network(*layers(), loss="cross_entropy", dtype=X.dtype, seed=i)
        self.optimizer = make(self.net.parameters(), i)
        self.data, self.batch = self.net.checked_batch("test", X, y), batch
        self.constraints = Constraints(self.net.parameters(), clip_norm=clip)
        rng = np.random.default_rng(i if order is None else order)
        self.index = np.concatenate([rng.permutation(len(X)) for _ in range(3)])
        self.totals = np.zeros(2)

    def alone(self):
        self.net.train_batches(
            self.data, self.index, self.batch, self.optimizer, self.constraints, self.totals
        )

    def state(self):
        parameters, r = self.net.parameters(), self.constraints.result
        arrays = [parameters.flat, parameters.flat_grad, self.totals]
        arrays += [a for a in self.optimizer.state.values() if isinstance(a, np.ndarray)]
        numbers = r.loss, r.penalty, r.gradient_norm, r.steps, *r.losses, *r.gradient_norms
        c = self.optimizer.arguments()
        return [a.tobytes() for a in arrays], numbers, c.steps, c.largest, self.net.step


def train_many(trainings, threads=1):
    """In one call; how many ran side by side with each."""
    structs, held = ffi.new("mg_training[]", len(trainings)), []
    for c, t in zip(structs, trainings, strict=True):
        plan = t.net._plan_for(t.data.columns, t.batch)
        rows, sums = ffi.from_buffer("int64_t[]", t.index), ffi.from_buffer("double[]", t.totals)
        held += [plan, rows, sums]
        c.plan, c.data, c.index, c.count, c.batch_rows = (
            plan.c,
            t.data.c,
            rows,
            len(t.index),
            t.batch,
        )
        c.constraints, c.optimizer = t.constraints.c, t.optimizer.arguments()
        c.totals, c.result = sums, t.constraints.result
        t.net._parameters.stale = False
    lib.mg_train_many(len(trainings), structs, threads)
    return [c.together for c in structs], [c.status for c in structs]


def lanes(dtype):
    """Networks of a group: reals of a vector."""
    bytes_ = {"generic": 16, "neon": 16, "avx2": 32, "avx512": 64}[core.isa()]
    return bytes_ // np.dtype(dtype).itemsize


def rows(count, features, classes, dtype):
    rng = np.random.default_rng([count, features])
    return rng.normal(size=(count, features)).astype(dtype), rng.integers(0, classes, count)


def layers(sizes, activation=mg.ReLU):
    def make():
        for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            yield mg.Linear(inputs, outputs)
            if i < len(sizes) - 2:
                yield activation()

    return make


def check(sizes, count, batch, dtype, activation=mg.ReLU, **settings):
    """Networks for one group and most of another: twice, so that state is gone on from."""
    data, group = rows(count, sizes[0], sizes[-1], dtype), lanes(dtype)
    some = group * 3 // 4 + 1
    both = [
        [
            Training(i, layers(sizes, activation), data, batch, **settings)
            for i in range(group + some)
        ]
        for _ in range(2)
    ]
    for _ in range(2):
        for training in both[0]:
            training.alone()
        together, statuses = train_many(both[1])
        assert together == [group] * group + [some] * some and not any(statuses)
    for one, other in zip(*both, strict=True):
        assert one.state() == other.state()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_each_with_its_own_rate_have_the_bits_of_training_alone(name, dtype):
    check([9, 13, 2], 47, 20, dtype, make=OPTIMIZERS[name])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_and_clipping_have_the_bits_of_training_alone(activation, dtype):
    check([9, 13, 7, 2], 47, 20, dtype, activation, clip=0.3)


@pytest.mark.parametrize("order", [None, 0], ids=["orders of their own", "one order"])
@pytest.mark.parametrize(
    ("sizes", "count", "batch"),
    [([64, 32, 2], 130, 64), ([4, 8, 2], 250, 100), ([1, 1, 2], 5, 1), ([5, 2], 20, 7),
     ([33, 35, 16, 2], 90, 65), ([40, 41, 2], 140, 130)],
)  # fmt: skip
def test_shapes_have_the_bits_of_training_alone(sizes, count, batch, order, dtype):
    check(sizes, count, batch, dtype, order=order)


@pytest.mark.parametrize("name", STACKS)
def test_stacks_have_the_bits_of_training_alone(name, dtype):
    """Activations of their own, skips and layers without bias; where a gradient is added to
    another, each goes alone."""
    stack, fits = STACKS[name]
    data = rows(40, 6, 2, dtype)
    both = [[Training(i, stack, data, 16) for i in range(lanes(dtype))] for _ in range(2)]
    for training in both[0]:
        training.alone()
    together, statuses = train_many(both[1])
    assert together == [lanes(dtype) if fits else 1] * lanes(dtype) and not any(statuses)
    for one, other in zip(*both, strict=True):
        assert one.state() == other.state()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_others_go_alone_and_bits_do_not_depend_on_threads(threads, dtype):
    """What fits no lane: dropout, other losses, wide outputs, long sums, odd ones out."""

    def of(i):
        kind = i % 5
        if kind == 0:
            return layers([5, 8, 2])
        if kind == 1:
            return lambda: [mg.Linear(5, 8), mg.Dropout(0.3), mg.Linear(8, 2)]
        if kind == 2:
            return layers([5, 70])
        if kind == 3:
            return layers([5, 9, 2])
        return lambda: [mg.Linear(5, 3), mg.Softmax(), mg.Linear(3, 2)]

    data, count = rows(60, 5, 2, dtype), 5 * lanes(dtype)
    before = core.threads
    core.set_num_threads(4)
    try:
        both = [[Training(i, of(i), data, 30) for i in range(count)] for _ in range(2)]
        for training in both[0]:
            training.alone()
        together, statuses = train_many(both[1], threads)
    finally:
        core.set_num_threads(before)
    assert not any(statuses)
    assert together == [lanes(dtype) if i % 5 in (0, 3) else 1 for i in range(count)]
    for one, other in zip(*both, strict=True):
        assert one.state() == other.state()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_lane_that_fails_is_as_if_alone_and_the_others_go_on(dtype):
    """One diverges, one has a label that is no class from some row on."""
    X, y = rows(60, 5, 2, dtype)
    group = lanes(dtype)

    def make(parameters, i):
        return mg.optim.SGD(parameters, lr=1e30 if i == 1 else 0.01, momentum=0.9)

    both = [
        [Training(i, layers([5, 8, 2]), (X, y.copy()), 20, make=make) for i in range(group)]
        for _ in range(2)
    ]
    for trainings in both:
        trainings[0].data.labels[trainings[0].index[-1]] = 77  # behind its check
    outcomes = []
    for training in both[0]:
        try:
            training.alone()
            outcomes.append(lib.MG_OK)
        except FloatingPointError:
            outcomes.append(lib.MG_STEP_NOT_FINITE)
        except ValueError:
            outcomes.append(lib.MG_LABEL_OUT_OF_RANGE)
    _, statuses = train_many(both[1])
    assert set(outcomes) == {lib.MG_OK, lib.MG_STEP_NOT_FINITE, lib.MG_LABEL_OUT_OF_RANGE} or (
        group == 2 and lib.MG_OK not in outcomes
    )
    assert [s == 0 for s in statuses] == [o == 0 for o in outcomes]
    for one, other in zip(*both, strict=True):
        assert one.net.parameters().flat.tobytes() == other.net.parameters().flat.tobytes()
