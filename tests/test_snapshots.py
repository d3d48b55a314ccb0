"""What others take of a model in training is of one moment; what changes it is refused."""

import copy
import io
import pickle
import threading

import numpy as np
import pytest
from support.bits import same_bits

import micrograd as mg

LONG = 20.0  # seconds that nothing here takes


def network():
    return mg.Network(mg.Linear(5, 4), mg.ReLU(), mg.Linear(4, 3), seed=0)


def in_a_thread(action):
    """Starts it; what it gave, or what it raised, is in the list once it has ended."""
    found = []

    def work():
        try:
            found.append(action())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, found


WAYS = {  # and the packages that they need
    "deepcopy": None,
    "copy": None,
    "pickle": None,
    "pickled parameters": None,
    "freeze": None,
    "save": "safetensors",
    "state of the optimizer": None,
    "to_c": None,
    "state_dict": "torch",
    "to_scalar": None,
}


def taken(net, adam, folder):
    """Ways to take a copy of a model or of what trains it."""

    def saved():
        net.save(folder / "m")
        return mg.load(folder / "m").parameters().flat

    def exported():
        mg.convert.to_c(net, folder / "m.h")
        return (folder / "m.h").read_text()

    return {
        "deepcopy": lambda: copy.deepcopy(net).parameters().flat,
        "copy": lambda: copy.copy(net.parameters()).flat,
        "pickle": lambda: pickle.loads(pickle.dumps(net)).parameters().flat,
        "pickled parameters": lambda: pickle.loads(pickle.dumps(net.parameters())).flat,
        "freeze": lambda: net.freeze()(np.eye(5, dtype=np.float32)),
        "save": saved,
        "state of the optimizer": lambda: adam.state_dict()["exp_avg"],
        "to_c": exported,
        "state_dict": lambda: mg.convert.state_dict(net)["0.weight"].numpy(),
        "to_scalar": lambda: np.array([p.data for p in net.to_scalar().parameters()]),
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("with_optimizer", [False, True])
def test_a_copy_waits_for_the_write_that_is_under_way(way, with_optimizer, tmp_path):
    if WAYS[way]:
        pytest.importorskip(WAYS[way])
    net = network()
    adam = mg.optim.Adam(net.parameters())
    net.optimizer = adam if with_optimizer else None
    take = taken(net, adam, tmp_path)[way]
    access, before = net.parameters().access, take()
    access.begin_write("here")
    try:
        net.parameters().flat[:4] += 1  # half of a step
        adam.state["exp_avg"][:4] += 1
        thread, found = in_a_thread(take)
        thread.join(0.05)
        assert thread.is_alive(), "it has not waited"
        net.parameters().flat[4:] += 1
        adam.state["exp_avg"][4:] += 1
    finally:
        access.end_write()
    thread.join(LONG)
    (got,) = found
    after = take()
    if isinstance(got, str):
        assert got == after != before
    else:
        assert same_bits(got, after) and not same_bits(got, before)


def changes(net, adam):
    """Ways to change what a thread that trains works with."""
    params, some = net.parameters(), net.parameters()[:2]
    part = mg.optim.SGD(some, lr=0.1)
    state = {name: np.array(value) for name, value in adam.state_dict().items()} | {"steps": 0}
    return {
        "Network.zero_grad": net.zero_grad,
        "Adam.zero_grad": adam.zero_grad,
        "SGD.zero_grad": part.zero_grad,
        "clip_grad_norm_": lambda: mg.clip_grad_norm_(params, 0.1),
        "clip_grad_value_": lambda: mg.clip_grad_value_(some, 0.1),
        "Adam.load_state_dict": lambda: adam.load_state_dict(state),
        "load_state_dict": lambda: mg.convert.load_state_dict(
            net, {p.name: p.data + 1 for p in params}
        ),
        "parameters: gradients": lambda: params.flat_grad,
        "Network.reseed": lambda: net.reseed(5),
        "Network.step": lambda: setattr(net, "step", 7),
        "Network.dropout_factor": lambda: setattr(net, "dropout_factor", 0.5),
    }


@pytest.mark.parametrize(
    "where",
    [
        "Network.zero_grad",
        "Adam.zero_grad",
        "SGD.zero_grad",
        "clip_grad_norm_",
        "clip_grad_value_",
        "Adam.load_state_dict",
        "load_state_dict",
        "parameters: gradients",
        "Network.reseed",
        "Network.step",
        "Network.dropout_factor",
    ],
)
def test_what_would_change_a_model_in_training_is_refused(where):
    net = network()
    if where == "load_state_dict":
        pytest.importorskip("torch")
    adam = mg.optim.Adam(net.parameters())
    change = changes(net, adam)[where]
    rng = np.random.default_rng(0)
    net.loss(rng.normal(size=(6, 5)), rng.integers(0, 3, 6))
    net.backward()
    adam.step()
    stale = where == "parameters: gradients"
    if stale:
        net.parameters().stale = True
    before = copy.deepcopy((net.parameters().__getstate__(), adam.state_dict()))
    masks = net.seed, net.step, net.dropout_factor
    with net.parameters().access.training("here"):
        thread, found = in_a_thread(change)
        thread.join(LONG)
    (error,) = found
    assert isinstance(error, RuntimeError) and str(error).startswith(f"{where}: another thread")
    after = net.parameters().__getstate__(), adam.state_dict()
    assert (after[0]["flat_grad"] is None) == stale
    if not stale:
        assert same_bits(after[0]["flat_grad"], before[0]["flat_grad"])
    for name, value in before[1].items():
        assert np.array_equal(after[1][name], value)
    assert same_bits(after[0]["flat"], before[0]["flat"])
    assert (net.seed, net.step, net.dropout_factor) == masks
    change()  # and taken where nobody trains


def test_lbfgs_waits_for_readers_before_it_tries_a_point():
    pytest.importorskip("scipy")
    net = mg.Network(mg.Linear(5, 3), dtype="float64", seed=0)
    X, y = np.random.default_rng(0).normal(size=(9, 5)), np.arange(9) % 3
    optimizer = mg.optim.LBFGS(net.parameters(), max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = net.loss(X, y)
        net.backward()
        return loss

    access = net.parameters().access
    access.begin_read()
    before = net.parameters().flat.copy()
    try:
        thread, found = in_a_thread(lambda: optimizer.step(closure))
        thread.join(0.05)
        assert thread.is_alive() and same_bits(net.parameters().flat, before)
    finally:
        access.end_read()
    thread.join(LONG)
    assert found[0] < 1.2


def test_who_reads_may_read_again_while_a_write_waits():
    net, inside, written = network(), threading.Event(), threading.Event()
    access, X = net.parameters().access, np.zeros((1, 5))

    def reading_twice():
        with access.reading():
            inside.set()
            assert written.wait(LONG)
            return net.predict(X)

    outer, first = in_a_thread(reading_twice)
    assert inside.wait(LONG)
    writer, wrote = in_a_thread(lambda: setattr(net.parameters()[1], "data", np.ones(4)))
    while not access.written:
        writer.join(0.001)
    reader, then = in_a_thread(lambda: net.predict(X))  # another, that stands in line
    reader.join(0.05)
    assert reader.is_alive()
    written.set()
    for thread in (outer, writer, reader):
        thread.join(LONG)
    assert wrote == [None] and not same_bits(first[0], then[0])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_schedule_may_look_at_the_model_that_it_is_of(accumulate):
    """It is asked between two steps, by the thread that makes them, which then has the model to
    itself: so has a signal's handler, which runs in that thread too."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), np.arange(40) % 3

    def trained(looks):
        net, seen = network(), []

        def rate(step):
            if looks:
                seen.append(net.evaluate(X, y)[0])
                copy.deepcopy(net)
            return 0.1 / (1 + step)

        sgd = mg.optim.SGD(net.parameters(), lr=rate)
        net.fit(X, y, epochs=2, batch_size=10, optimizer=sgd, seed=0, accumulate=accumulate)
        return net, seen

    thread, found = in_a_thread(lambda: trained(True))
    thread.join(LONG)
    assert not thread.is_alive()
    net, seen = found[0]
    assert same_bits(net.parameters().flat, trained(False)[0].parameters().flat)
    assert seen[0] == network().evaluate(X, y)[0] and len(set(seen)) == 8 // accumulate


def test_a_file_holds_what_its_digest_says_whoever_writes_into_the_arrays(tmp_path, monkeypatch):
    numpy = pytest.importorskip("safetensors.numpy")
    net, real = network(), numpy.save

    def late(tensors, metadata=None):
        net.parameters().flat[...] += 1  # by hand, in another thread
        return real(tensors, metadata)

    monkeypatch.setattr(numpy, "save", late)
    net.save(tmp_path / "m")
    assert same_bits(mg.load(tmp_path / "m").parameters().flat, net.parameters().flat)


class Stepping(pickle.Pickler):
    """Makes a step of training in the midst of a pickle, as another thread may."""

    def __init__(self, file, step):
        super().__init__(file)
        self.step = step

    def reducer_override(self, seen):
        if self.step and type(seen).__name__ in ("Adam", "Parameters"):
            self.step()
        return NotImplemented


def test_a_pickle_is_of_one_moment_and_keeps_who_belongs_to_whom():
    rows, y = np.eye(3), np.eye(3)
    net = mg.Network(mg.Linear(3, 3), loss="mse", dtype="float64", seed=0)
    net.optimizer = mg.optim.Adam(net.parameters(), lr=0.1)

    def step():
        net.loss(rows, y)
        net.backward()
        net.optimizer.step()

    step()
    for change in (step, None):
        wanted = net.parameters().flat.copy(), net.optimizer.state_dict()
        gradients = net.parameters().flat_grad.copy()
        file = io.BytesIO()
        Stepping(file, change).dump((net, net.optimizer))
        other, optimizer = pickle.loads(file.getvalue())
        assert optimizer is other.optimizer and optimizer.owner is other.parameters()
        assert np.array_equal(other.parameters().flat, wanted[0])
        assert np.array_equal(other.parameters().flat_grad, gradients)
        found = optimizer.state_dict()
        assert found.keys() == wanted[1].keys()
        assert all(np.array_equal(found[name], value) for name, value in wanted[1].items())
        other.loss(rows, y)
        other.backward()
        optimizer.step()  # on the parameters of this network
        assert not np.array_equal(other.parameters().flat, wanted[0])


class Begun(mg.Network):
    """A network that a fit gets an optimizer for while its state is being taken."""

    begins = None

    @property
    def step(self):
        if self.begins is not None:
            self.optimizer = self.begins
        return 0

    @step.setter
    def step(self, step):
        assert step == 0


def test_a_fit_that_begins_while_a_pickle_is_made(monkeypatch):
    net, file = Begun(mg.Linear(3, 3), loss="mse", dtype="float64", seed=0), io.BytesIO()
    adam = mg.optim.Adam(net.parameters())
    before = net.parameters().flat.copy()

    def step():
        net.loss(np.eye(3), np.eye(3))
        net.backward()
        adam.step()

    monkeypatch.setattr(Begun, "begins", adam)
    Stepping(file, step).dump(net)
    monkeypatch.undo()
    other = pickle.loads(file.getvalue())
    assert other.optimizer is None and not same_bits(other.parameters().flat, before)


def test_a_fit_that_begins_while_a_file_is_written(monkeypatch, tmp_path):
    pytest.importorskip("safetensors")
    from micrograd.saving import parts

    net = network()
    net.optimizer = mg.optim.Adam(net.parameters())
    encode = parts.encode_optimizer

    def then_begins(optimizer):
        encoded = encode(optimizer)
        net.optimizer = mg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        return encoded

    monkeypatch.setattr(parts, "encode_optimizer", then_begins)
    net.save(tmp_path / "net")
    assert type(mg.load(tmp_path / "net").optimizer) is mg.optim.Adam


def test_a_run_that_goes_on_takes_all_of_a_file_at_once(tmp_path):
    pytest.importorskip("safetensors")
    X, y = np.random.default_rng(0).normal(size=(9, 5)), np.arange(9) % 3
    done, net = network(), network()
    done.fit(X, y, epochs=1, seed=0)
    done.optimizer = None
    done.save(tmp_path / "run")
    wanted, access = done.parameters().flat.copy(), net.parameters().access
    access.begin_read()
    try:
        going_on, _ = in_a_thread(lambda: net.fit(X, y, epochs=1, resume=tmp_path / "run"))
        while not access.written:
            going_on.join(0.001)
        reader, seen = in_a_thread(lambda: net.parameters().__getstate__()["flat"])
        while not access.waiting:  # for the first write, which lets it in when it has ended
            reader.join(0.001)
    finally:
        access.end_read()
    for thread in (going_on, reader):
        thread.join(LONG)
    assert same_bits(seen[0], wanted)


def test_the_best_parameters_are_put_back_while_nobody_reads():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    net = mg.Network(mg.Linear(3, 4), mg.Tanh(), mg.Linear(4, 2), seed=0)
    steep = mg.optim.SGD(net.parameters(), lr=5.0)
    at_the_end, inside, may_leave = (threading.Event() for _ in range(3))
    seen = []

    def read():
        at_the_end.wait(60)
        with net.parameters().access.reading():
            seen.append(net.parameters().flat.copy())
            inside.set()
            may_leave.wait(60)
            seen.append(net.parameters().flat.copy())

    def last_epoch(state):
        if state.epoch == state.epochs:
            at_the_end.set()
            inside.wait(60)

    def train():
        net.fit(
            X, y, epochs=8, optimizer=steep, validation=(X[:9], y[:9]), seed=0, progress=False,
            callbacks=[last_epoch], early_stopping=mg.EarlyStopping(patience=9, restore_best=True),
        )  # fmt: skip

    threads = [threading.Thread(target=read), threading.Thread(target=train)]
    for thread in threads:
        thread.start()
    inside.wait(60)
    threads[1].join(0.2)  # it would have ended by now
    may_leave.set()
    for thread in threads:
        thread.join(60)
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(net.parameters().flat, seen[0])  # an epoch before was better
