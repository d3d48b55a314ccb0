"""fit(resume=path): interrupted anywhere and started again, a run ends with the same bits.

MICROGRAD_KILLS says how often the test with SIGKILL kills (default 10).
"""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from support.bits import same_bits
from support.runs import data, network

import micrograd as mg
from micrograd.optim import SGD

pytest.importorskip("safetensors")
X, Y = data()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


class StopAt:
    """Ends the run by an exception after some steps, as a crash would."""

    def __init__(self, step):
        self.step = step

    def on_step(self, state):
        if state.step == self.step:
            raise KeyboardInterrupt


def run(net, path=None, stop_at=None, **keywords):
    keywords = {"epochs": 8, "batch_size": 10, "seed": 5, "clip_norm": 1.0} | keywords
    optimizer = SGD(net.parameters(), lr=lambda step: 0.1 / (1 + step), momentum=0.9)
    callbacks = [] if stop_at is None else [StopAt(stop_at)]
    return net.fit(X, Y, optimizer=optimizer, resume=path, callbacks=callbacks, progress=False,
                   **keywords)  # fmt: skip


def without_seconds(history):
    lists = history.to_dict()
    return {name: lists[name] for name in lists if name != "seconds"}, history.best_epoch


OPTIONS = [
    {},
    {"validation": 0.25},
    {"validation": 0.25, "metrics": ["accuracy", "balanced_accuracy"]},
    {"validation": (X[:20], Y[:20]), "early_stopping": 2, "epochs": 40},
    {"early_stopping": mg.EarlyStopping(3, min_delta=0.05), "epochs": 40},
    {"shuffle": False, "accumulate": 2},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("stop_at", [1, 7, 12, 13, 30])
def test_interrupted_and_resumed(path, options, stop_at, dtype):
    whole, first, second = network(dtype=dtype), network(dtype=dtype), network(dtype=dtype)
    second.parameters().flat[:] = 0  # all of it comes from the file, or from the start
    want = run(whole, **options)
    with suppress(KeyboardInterrupt):
        run(first, path, stop_at, **options)
    if not path.exists():
        second = network(dtype=dtype)
    found = run(second, path, **options)
    assert same_bits(second.parameters().flat, whole.parameters().flat)
    assert same_bits(
        second.optimizer.state_dict()["velocity"], whole.optimizer.state_dict()["velocity"]
    )
    assert second.optimizer.steps == whole.optimizer.steps
    assert without_seconds(found) == without_seconds(want)
    assert found.seconds == sorted(found.seconds)
    loaded = mg.load(path)
    assert same_bits(loaded.parameters().flat, whole.parameters().flat)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("seed", [1, None])
def test_dropout_goes_on_with_the_masks_that_come_next(path, seed, own):
    """Whatever the seed of the network that a program, started again, has made: None draws one."""

    def dropping(seed):
        middle = mg.Map(lambda v: v.sin()) if own else mg.Tanh()  # which no file holds
        return mg.Network(mg.Linear(5, 16), middle, mg.Dropout(0.4), mg.Linear(16, 3), seed=seed)

    whole, first, second = dropping(1), dropping(1), dropping(seed)
    run(whole, validation=0.2)
    with suppress(KeyboardInterrupt):
        run(first, path, stop_at=20, validation=0.2)
    run(second, path, validation=0.2)
    assert same_bits(second.parameters().flat, whole.parameters().flat)
    assert second.step == whole.step and second.seed == 1


@pytest.mark.parametrize("options", OPTIONS)
def test_a_finished_run_stays_as_it_is(path, options):
    net, again = network(), network()
    want = run(net, path, **options)
    found = run(again, path, **options)
    assert same_bits(again.parameters().flat, net.parameters().flat)
    assert without_seconds(found) == without_seconds(want)


def test_more_epochs_go_on_from_the_last_not_the_best(path):
    options = {"validation": (X, (Y + 1) % 3), "early_stopping": 100}  # gets worse
    whole, first, second = network(), network(), network()
    run(whole, epochs=20, **options)
    history = run(first, path, epochs=12, **options)
    assert history.best_epoch < 12  # so that best and last differ
    run(second, path, epochs=20, **options)
    assert same_bits(second.parameters().flat, whole.parameters().flat)
    assert same_bits(
        second.optimizer.state_dict()["velocity"], whole.optimizer.state_dict()["velocity"]
    )


def test_without_a_seed_the_file_remembers_the_one_that_was_drawn(path):
    """The same rows are set aside: the network that counts of test_fit."""
    rows = 20
    net = mg.Network(mg.Linear(rows, 1, bias=False), loss="mae", dtype="float64", seed=0)
    net.parameters().flat[:] = 0
    for epochs in range(1, 7):
        net.fit(np.eye(rows), np.full(rows, 100.0), epochs=epochs, batch_size=1, validation=0.25,
                optimizer=SGD(net.parameters(), lr=1.0), resume=path, progress=False)  # fmt: skip
    assert sorted(net.parameters().flat.tolist()) == [0] * 5 + [6] * 15


def test_the_optimizer_of_the_file(path):
    one, two = network(), network()
    optimizer = SGD(one.parameters(), lr=0.2, momentum=0.5)
    one.fit(X, Y, epochs=2, seed=1, optimizer=optimizer, resume=path, progress=False)
    two.fit(X, Y, epochs=4, seed=1, resume=path, progress=False)
    assert repr(two.optimizer) == repr(optimizer) and two.optimizer.steps == 4


def test_a_saved_network_is_a_start_too(path):
    """A file without a training position: its weights, from the first epoch."""
    other = mg.Network(*network().layers, dtype="float64", seed=77)
    other.save(path)
    net = network()
    history = run(net, path, epochs=3)
    run(other, epochs=3)
    assert same_bits(net.parameters().flat, other.parameters().flat) and len(history.loss) == 3


def test_a_run_that_a_step_stopped_leaves_the_last_whole_epoch(path):
    class Stop:
        def on_step(self, state):
            if state.step == 15:
                state.stop()

    net, whole = network(), network()
    net.fit(X, Y, epochs=8, batch_size=10, seed=5, callbacks=Stop(), resume=path, progress=False)
    assert mg.load(path).position.epoch == 2 and net.position is None
    whole.fit(X, Y, epochs=8, batch_size=10, seed=5, progress=False)
    net.fit(X, Y, epochs=8, batch_size=10, seed=5, resume=path, progress=False)
    assert same_bits(net.parameters().flat, whole.parameters().flat)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda: mg.schedule.Warmup(mg.schedule.Cosine(0.1, steps=40), 5),
        lambda: mg.schedule.Product(mg.schedule.OneCycle(0.1, 60), mg.schedule.Step(1.0, 9, 0.5)),
        lambda: mg.schedule.Sequence(
            (10, mg.schedule.Linear(0.0, 0.1, 10)), (None, mg.schedule.Exponential(0.1, 0.9))
        ),
        lambda: mg.schedule.ReduceOnPlateau(0.5, factor=0.5, patience=1),
    ],
)
def test_schedules_resume_and_come_back_from_the_file(path, schedule):
    def end(epochs, resume, lr):
        net = network()
        optimizer = None if lr is None else SGD(net.parameters(), lr=lr, momentum=0.9)
        net.fit(X, Y, epochs=epochs, batch_size=10, optimizer=optimizer, validation=0.2, seed=3,
                resume=resume, progress=False)  # fmt: skip
        return net.parameters().flat.copy()

    whole = end(8, None, schedule())
    end(3, path, schedule())
    loaded = mg.load(path).optimizer
    assert loaded.lr == schedule() and loaded.steps == 15
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    assert same_bits(end(8, path, schedule()), whole)
    assert same_bits(end(8, copy, None), whole)  # with the optimizer of the file


def test_a_network_with_functions_in_it_resumes(path):
    def mapped():
        return mg.Network(mg.Linear(5, 6), mg.Map(lambda v: v.sin()), mg.Linear(6, 1), seed=1,
                          loss=lambda z, y: (z - y) ** 2)  # fmt: skip

    keywords = {"batch_size": 8, "seed": 1, "progress": False}
    whole, first, second = mapped(), mapped(), mapped()
    y = X[:, 0]
    whole.fit(X, y, epochs=5, **keywords)
    first.fit(X, y, epochs=2, resume=path, **keywords)
    second.fit(X, y, epochs=5, resume=path, **keywords)
    assert same_bits(second.parameters().flat, whole.parameters().flat)
    with pytest.raises(ValueError, match="functions in it"):
        mg.load(path)


def test_a_program_resumes(path):
    def program():
        w, b = mg.Value(0.5, label="w"), mg.Value(0.0)
        return mg.compile(lambda x, y: (w * x + b - y) ** 2)

    x = np.linspace(-1, 1, 40)
    keywords = {"batch_size": 8, "seed": 1, "progress": False}
    whole, first, second = program(), program(), program()
    whole.fit(x, 3 * x + 1, epochs=5, **keywords)
    first.fit(x, 3 * x + 1, epochs=2, resume=path, **keywords)
    second.fit(x, 3 * x + 1, epochs=5, resume=path, **keywords)
    assert same_bits(second.parameters().flat, whole.parameters().flat)
    with pytest.raises(ValueError, match="compiled Program"):
        mg.load(path)


# ---- files that do not fit ----


def assert_refused(net, path, words, **keywords):
    before, file = net.parameters().flat.copy(), path.read_bytes()
    with pytest.raises(ValueError, match=rf"^Network\.fit: resume: .*{path.name}: .*{words}"):
        net.fit(X, Y, resume=path, progress=False, **keywords)
    assert same_bits(net.parameters().flat, before) and path.read_bytes() == file


def test_a_file_of_something_else(path):
    run(network(), path, epochs=1)
    assert_refused(network(dtype="float32"), path, "dtype")
    assert_refused(network(width=12), path, "another network")
    assert_refused(mg.Network(*network().layers, loss="mse", dtype="float64"), path, "loss")
    w = mg.Value(1.0)
    program = mg.compile(lambda x, y: w * x - y)
    with pytest.raises(ValueError, match=r"Program\.fit"):
        program.fit(Y, Y, resume=path)
    path.write_bytes(path.read_bytes()[:-1])
    assert_refused(network(), path, "damaged")


def test_data_that_do_not_fit_leave_model_and_file_alone(path):
    run(network(), path, epochs=1)
    net = network()
    before, file = net.parameters().flat.copy(), path.read_bytes()
    with pytest.raises(ValueError, match="features"):
        net.fit(X[:, :4], Y, resume=path, progress=False)
    with pytest.raises(ValueError, match="early stopping monitors 'val_loss', in the file 'loss'"):
        run(network(), other := path.with_name("other"), epochs=2, early_stopping=3)
        run(net, other, validation=(X[:9], Y[:9]), early_stopping=3)
    assert same_bits(net.parameters().flat, before) and path.read_bytes() == file


def test_a_place_that_cannot_be_written_is_found_out_at_once(tmp_path):
    net = network()
    before = net.parameters().flat.copy()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run(net, tmp_path / "nowhere" / "run.safetensors")
    assert same_bits(net.parameters().flat, before)


class BeforeStep:
    """Does something once, in the midst of an epoch."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step(self, state):
        if state.step == self.step:
            self.action()


def go_on(net, path, action):
    options = {"epochs": 4, "batch_size": 10, "seed": 5, "progress": False}
    return net.fit(X, Y, resume=path, callbacks=[BeforeStep(8, action)], **options)


@pytest.mark.parametrize("there", [False, True])
def test_of_two_runs_into_one_file_the_second_is_told(path, there):
    if there:
        network().fit(X, Y, resume=path, epochs=1, batch_size=10, seed=5, progress=False)
    other = path.with_name("other")
    network().fit(X, Y, resume=other, epochs=3, batch_size=10, seed=5, progress=False)
    replaced, net = other.read_bytes(), network()
    with pytest.raises(
        RuntimeError, match=r"Network\.fit: resume: .*has been written by something"
    ):
        go_on(net, path, lambda: os.replace(other, path))
    assert path.read_bytes() == replaced
    assert net.optimizer.steps == 12 and np.isfinite(net.parameters().flat).all()
    assert len(go_on(network(), path, lambda: None).loss) == 4  # and it goes on from that file


def test_a_file_that_has_vanished_meanwhile_is_written_again(path):
    assert len(go_on(network(), path, path.unlink).loss) == 4
    assert len(mg.load(path).position.history["loss"]) == 4


# ---- killed ----

CHILD = """
import sys, numpy as np, micrograd as mg
rng = np.random.default_rng(0)
X, y = rng.normal(size=(200, 6)), rng.integers(0, 3, 200)
net = mg.Network(mg.Linear(6, 30), mg.Tanh(), mg.Linear(30, 3), seed=1)
print("go", flush=True)
optimizer = mg.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
net.fit(X, y, epochs=int(sys.argv[1]), batch_size=20, optimizer=optimizer, validation=0.2, seed=2,
        early_stopping=10**6, resume=sys.argv[2] if len(sys.argv) > 2 else None, progress=False)
print(net.parameters().flat.tobytes().hex(), optimizer.state_dict()["velocity"].tobytes().hex())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signals")
def test_killed_at_random_moments(path):
    kills = int(os.environ.get("MICROGRAD_KILLS", "10"))
    epochs, moments = str(30 * kills), random.Random(0)

    def start(*arguments):
        child = subprocess.Popen([sys.executable, "-c", CHILD, epochs, *arguments], text=True,
                                 stdout=subprocess.PIPE)  # fmt: skip
        assert child.stdout.readline() == "go\n"
        return child

    killed = 0
    while killed < kills:
        child = start(str(path))
        while not path.exists() and child.poll() is None:
            time.sleep(0.01)  # the first one, until there is something to lose
        time.sleep(moments.uniform(0, 0.15))
        if child.poll() is not None:
            break  # it was through: there is nothing left to kill
        child.kill()
        child.wait()
        killed += 1
        loaded = mg.load(path)
        assert 1 <= loaded.position.epoch <= int(epochs)
        assert len(loaded.position.history["loss"]) == loaded.position.epoch
    assert killed >= kills // 2
    resumed, uninterrupted = start(str(path)), start()
    assert resumed.communicate()[0] == uninterrupted.communicate()[0] != ""
    assert resumed.returncode == uninterrupted.returncode == 0
