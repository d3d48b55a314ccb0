"""fit_many: every network ends with the bits of having been trained alone."""

import copy
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import micrograd as mg

rng = np.random.default_rng(0)
X = rng.normal(size=(150, 6))
y = rng.integers(0, 3, 150)
Xv, yv = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)


def networks():
    """Of different shapes, dtypes and losses."""
    return [
        mg.Network(mg.Linear(6, 8), mg.ReLU(), mg.Linear(8, 3), seed=0),
        mg.Network(mg.Linear(6, 16), mg.Tanh(), mg.Dropout(0.2), mg.Linear(16, 3), seed=1),
        mg.Network(mg.Linear(6, 3), dtype="float64", seed=2),
        mg.Network(mg.Linear(6, 5), mg.Map(lambda z: z * z.sigmoid()), mg.Linear(5, 3), seed=3),
        mg.Network(mg.Residual(mg.Linear(6, 6)), mg.Linear(6, 3), checkpoint="sqrt", seed=4),
    ]


def optimizers(nets):
    return [
        None,
        mg.optim.Adam(nets[1].parameters(), lr=0.01, weight_decay=0.1),
        mg.optim.SGD(nets[2].parameters(), lr=mg.schedule.Exponential(0.1, 0.99)),
        mg.optim.RMSprop(nets[3].parameters(), lr=0.001),
        mg.optim.AdamW(nets[4].parameters(), lr=0.02),
    ]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_bits_are_those_of_training_alone(n_threads):
    together, alone = networks(), networks()
    patiences = [None, 2, None, None, mg.EarlyStopping(patience=1, restore_best=True)]
    found = mg.fit_many(
        together, X, y, epochs=4, batch_size=16, optimizers=optimizers(together),
        validation=(Xv, yv), seeds=[5, 6, 7, 8, 9], early_stopping=patiences, n_threads=n_threads,
    )  # fmt: skip
    for i, (net, optimizer) in enumerate(zip(alone, optimizers(alone), strict=True)):
        wanted = net.fit(
            X, y, epochs=4, batch_size=16, optimizer=optimizer, validation=(Xv, yv), seed=5 + i,
            early_stopping=patiences[i], progress=False,
        )  # fmt: skip
        assert np.array_equal(together[i].parameters().flat, net.parameters().flat), i
        assert found[i].loss == wanted.loss
        assert found[i].val_loss == wanted.val_loss
        assert found[i].val_accuracy == wanted.val_accuracy
        assert together[i].step == net.step
        assert found[i].best_epoch == wanted.best_epoch
        assert together[i].optimizer.steps == net.optimizer.steps


def test_networks_are_trained_side_by_side():
    """Two at a time: each waits for the other in its first loss."""
    both = threading.Barrier(2, timeout=60)

    class Meeting(mg.optim.SGD):
        met = False

        def arguments(self):
            if not self.met:
                self.met = True
                both.wait()
            return super().arguments()

    nets = networks()[:2]
    optimizers = [Meeting(n.parameters(), 0.1) for n in nets]
    mg.fit_many(nets, X, y, epochs=1, n_threads=2, optimizers=optimizers)
    assert all(optimizer.met for optimizer in optimizers)


def test_they_go_on_and_take_names_of_classes():
    nets, names = networks()[:2], np.array(["a", "b", "c"])[y]
    mg.fit_many(nets, X, names, epochs=2, seeds=0)
    mg.fit_many(nets, X, names, epochs=2, seeds=0)
    assert all(net.metadata["classes"] == ["a", "b", "c"] for net in nets)
    assert all(net.optimizer.steps == 2 * 3 for net in nets)
    assert set(nets[0].classify(X)) <= {"a", "b", "c"}


def test_one_that_diverges_is_named_and_the_others_are_trained_to_the_end():
    nets, alone = ([made[i] for i in (1, 0, 2)] for made in (networks(), networks()))
    steep = mg.optim.SGD(nets[1].parameters(), lr=1e30)
    with pytest.raises(FloatingPointError, match=r"fit_many: network 1: .* at step \d+ \(epoch"):
        mg.fit_many(
            nets, X, y, epochs=3, batch_size=20, optimizers=[None, steep, None], seeds=0,
            n_threads=2,
        )  # fmt: skip
    for i in (0, 2):
        alone[i].fit(X, y, epochs=3, batch_size=20, seed=0, progress=False)
        assert np.array_equal(nets[i].parameters().flat, alone[i].parameters().flat)


def test_what_does_not_fit_is_refused_and_changes_nothing():
    nets = networks()[:2]
    before = [net.parameters().flat.copy() for net in nets]
    for change, error in (
        ({"networks": []}, "a list of networks is wanted"),
        ({"networks": nets[0]}, "a list of networks is wanted"),
        ({"networks": [nets[0], mg.Linear(2, 2)]}, r"networks\[1\] is"),
        ({"networks": [nets[0], nets[1], nets[0]]}, r"networks\[2\] is networks\[0\] once more"),
        ({"seeds": [1]}, "seeds has 1 entries, there are 2 networks"),
        ({"seeds": -1}, "network 0: seed"),
        ({"optimizers": mg.optim.SGD(nets[0].parameters(), 0.1)}, "optimizers is SGD"),
        ({"optimizers": [None, mg.optim.SGD(nets[0].parameters(), 0.1)]}, "network 1: the optim"),
        ({"epochs": 0}, "network 0: epochs is 0"),
        ({"n_threads": 0}, "n_threads is 0"),
        ({"X": X[:, :5]}, "network 0: X has 5 features"),
        ({"networks": [nets[0], mg.Network(mg.Linear(5, 3))]}, "network 1: X has 6 features"),
    ):
        arguments = {"networks": nets, "X": X, "y": y, "epochs": 1} | change
        with pytest.raises((TypeError, ValueError), match=error):
            mg.fit_many(**arguments)
    assert all(net.optimizer is None for net in nets)
    for net, flat in zip(nets, before, strict=True):
        assert np.array_equal(net.parameters().flat, flat)


def test_copies_of_one_network_are_networks():
    net = networks()[0]
    nets = [net, copy.deepcopy(net)]
    mg.fit_many(nets, X, y, epochs=1, seeds=[3, 3])
    assert np.array_equal(nets[0].parameters().flat, nets[1].parameters().flat)


def test_networks_with_one_seed_have_the_order_of_that_seed():
    """Drawn once for all of them, and again in the next epoch."""
    nets, alone = ([mg.Network(mg.Linear(6, 3), seed=i) for i in range(5)] for _ in range(2))
    mg.fit_many(nets, X, y, epochs=3, batch_size=16, seeds=[7, 7, 8, 7, 8])
    for i, net in enumerate(alone):
        net.fit(X, y, epochs=3, batch_size=16, seed=8 if i in (2, 4) else 7, progress=False)
        assert np.array_equal(nets[i].parameters().flat, net.parameters().flat)
        assert nets[i].position.rng == net.position.rng


def test_more_threads_than_the_process_may_use_otherwise(threads):
    threads(1)
    nets, alone = ([mg.Network(mg.Linear(6, 3), seed=i) for i in range(5)] for _ in range(2))
    mg.fit_many(nets, X, y, epochs=1, seeds=0, n_threads=3)
    assert mg.get_num_threads() == 1
    for net, other in zip(nets, alone, strict=True):
        other.fit(X, y, epochs=1, seed=0, progress=False)
        assert np.array_equal(net.parameters().flat, other.parameters().flat)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_small_equal_networks_each_have_the_bits_of_training_alone(n_threads):
    """As lanes of vectors: rates, seeds and patience of their own, two that diverge."""

    def made():
        nets = [
            mg.Network(mg.Linear(6, 9), mg.Tanh(), mg.Linear(9, 3), dtype="float64", seed=i)
            for i in range(21)
        ]
        rates = [1e308 if i in (4, 11) else 1e-3 * (1 + i) for i in range(21)]
        makers = [mg.optim.Adam if i % 3 else mg.optim.SGD for i in range(21)]
        return nets, [f(n.parameters(), lr=r) for n, r, f in zip(nets, rates, makers, strict=True)]

    (together, given), (alone, own) = made(), made()
    seeds, patience = list(range(30, 51)), [1 + i % 3 for i in range(21)]
    with pytest.raises(FloatingPointError, match=r"fit_many: network 4: .* at step") as first:
        mg.fit_many(
            together, X, y, epochs=7, batch_size=16, optimizers=given, seeds=seeds,
            validation=(Xv, yv), early_stopping=patience, n_threads=n_threads,
        )  # fmt: skip
    for i, net in enumerate(alone):
        settings = {"optimizer": own[i], "seed": seeds[i], "early_stopping": patience[i]}
        settings |= {"epochs": 7, "batch_size": 16, "validation": (Xv, yv), "progress": False}
        if i in (4, 11):
            with pytest.raises(FloatingPointError) as error:
                net.fit(X, y, **settings)
            if i == 4:
                text = str(error.value).replace("Network.fit", "fit_many: network 4")
                assert str(first.value) == text
        else:
            wanted = net.fit(X, y, **settings)
            found = together[i].position.history
            assert found["loss"] == wanted.loss and found["val_loss"] == wanted.val_loss
            assert found["val_accuracy"] == wanted.val_accuracy
            assert together[i].optimizer.steps == net.optimizer.steps
            assert together[i].step == net.step
        assert np.array_equal(together[i].parameters().flat, net.parameters().flat), i


def test_activations_before_the_layers_of_a_block_leave_the_same_bits():
    """Their gradient is added to that of the skip: in one rounding with the product or in two."""

    def made(i):
        block = mg.Residual(mg.Tanh(), mg.Linear(8, 8))
        return mg.Network(mg.Linear(6, 8), block, mg.Linear(8, 3), seed=i)

    nets, alone = ([made(i) for i in range(17)] for _ in range(2))
    found = mg.fit_many(nets, X, y, epochs=3, batch_size=16, seeds=1)
    for i, net in enumerate(alone):
        wanted = net.fit(X, y, epochs=3, batch_size=16, seed=1, progress=False)
        assert found[i].loss == wanted.loss
        assert np.array_equal(nets[i].parameters().flat, net.parameters().flat)


def steep_later(nets):
    """SGD, of which two make the loss grow until it is not finite: after some epochs."""
    rates = [0.01, 3.0, 0.02, 0.02, 2.0] * 4
    kinds = [mg.optim.SGD] * 20
    return [kind(n.parameters(), lr=r) for n, r, kind in zip(nets, rates, kinds, strict=True)]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_several_epochs_in_a_call_leave_what_one_by_one_leave(n_threads, monkeypatch):
    """Losses, generators, and what is said of those that diverge in the midst of such a call, whose
    epochs of two batches are shorter than the memory of the last steps."""
    rows, calls, own = 40, [], mg.Network.train_many

    def watched(given, threads):
        calls.extend(len(index) for _, _, index, *_ in given)
        return own(given, threads)

    def made():
        return [
            mg.Network(mg.Linear(6, 5), mg.ReLU(), mg.Linear(5, 1), loss="mse", seed=i)
            if i % 2
            else mg.Network(mg.Linear(6, 7), mg.Dropout(0.1), mg.Linear(7, 1), loss="mse", seed=i)
            for i in range(20)
        ]

    target = X[:rows, :1]
    settings = {"epochs": 60, "batch_size": 25}
    together, alone = made(), made()
    monkeypatch.setattr(mg.Network, "train_many", staticmethod(watched))
    with pytest.raises(FloatingPointError, match="fit_many: network 1: ") as first:
        mg.fit_many(
            together, X[:rows], target, optimizers=steep_later(together), n_threads=n_threads,
            seeds=[i // 2 for i in range(20)], **settings,
        )  # fmt: skip
    assert max(calls) >= 20 * rows
    failed = 0
    for i, (net, optimizer) in enumerate(zip(alone, steep_later(alone), strict=True)):
        try:
            wanted = net.fit(
                X[:rows], target, optimizer=optimizer, seed=i // 2, progress=False, **settings
            )
        except FloatingPointError as error:
            failed += 1
            assert together[i].position is None
            assert "the losses before were" in str(error)
            assert int(str(error).split("(epoch ")[1].split(")")[0]) > 1
            if i == 1:
                assert str(first.value) == str(error).replace("Network.fit", "fit_many: network 1")
        else:
            found = together[i].position
            assert found.history["loss"] == wanted.loss and len(wanted.loss) == 60
            assert sorted(found.history["seconds"]) == found.history["seconds"]
            assert found.rng == net.position.rng
        assert np.array_equal(together[i].parameters().flat, net.parameters().flat), i
        assert together[i].optimizer.steps == net.optimizer.steps
        assert together[i].step == net.step
    assert 1 < failed < 12


def test_networks_that_take_the_same_are_given_it_checked_once():
    """And others what they take: targets in place of labels, another dtype, errors of their own."""
    y2 = y % 2
    nets, alone = (
        [
            mg.Network(mg.Linear(6, 4), mg.ReLU(), mg.Linear(4, 2), seed=0),
            mg.Network(mg.Linear(6, 2), seed=1),
            mg.Network(mg.Linear(6, 2), dtype="float64", seed=2),
            mg.Network(mg.Linear(6, 1), loss="bce", seed=3),
            mg.Network(mg.Linear(6, 1), loss="mse", seed=4),
            mg.Network(mg.Linear(6, 1), loss=lambda a, b: (a - b) ** 2, seed=5),
        ]
        for _ in range(2)
    )
    mg.fit_many(nets, X, y2, epochs=2, seeds=0)
    for net, other in zip(nets, alone, strict=True):
        other.fit(X, y2, epochs=2, seed=0, progress=False)
        assert np.array_equal(net.parameters().flat, other.parameters().flat)
    assert len({net.batch_kind for net in nets[:5]}) == 4
    assert nets[5].batch_kind is None
    with pytest.raises(ValueError, match=r"network 2: y\[\d+\] is 2, the network has 2 classes"):
        mg.fit_many([nets[5], nets[4], nets[0]], X, np.where(y == 2, 2, y2), epochs=1)


@pytest.mark.parametrize("kind", ["object", "string", "category"])
def test_names_of_classes_in_a_column_of_pandas(kind):
    pandas = pytest.importorskip("pandas")
    names = pandas.Series(np.array(["ash", "fir", "oak"])[y]).astype(kind)
    nets, alone = ([mg.Network(mg.Linear(6, 3), seed=i) for i in range(2)] for _ in range(2))
    mg.fit_many(nets, X, names, epochs=2, seeds=0)
    for net, other in zip(nets, alone, strict=True):
        other.fit(X, names, epochs=2, seed=0, progress=False)
        assert np.array_equal(net.parameters().flat, other.parameters().flat)
        assert net.metadata == other.metadata == {"classes": ["ash", "fir", "oak"]}
    holes = pandas.Series(np.where(y == 1, None, "ash"))
    with pytest.raises((TypeError, ValueError), match=r"^fit_many: network 0: y"):
        mg.fit_many(nets, X, holes, epochs=1)


def test_a_schedule_that_remembers_belongs_to_one_network():
    nets = [mg.Network(mg.Linear(6, 3), seed=i) for i in range(3)]
    before = [net.parameters().flat.copy() for net in nets]
    plateau = mg.schedule.ReduceOnPlateau(0.1, patience=1)
    for lr in (lambda: plateau, lambda: plateau * 0.5, lambda: mg.schedule.Warmup(plateau, 3)):
        both = [None, *(mg.optim.SGD(net.parameters(), lr=lr()) for net in nets[1:])]
        with pytest.raises(ValueError, match=r"optimizers\[1\] and optimizers\[2\] follow one"):
            mg.fit_many(nets, X, y, epochs=2, optimizers=both)
    assert all(np.array_equal(n.parameters().flat, b) for n, b in zip(nets, before, strict=True))
    falling = mg.schedule.Exponential(0.1, 0.9)  # remembers nothing
    both = [mg.optim.SGD(net.parameters(), lr=falling) for net in nets]
    assert len(mg.fit_many(nets, X, y, epochs=2, optimizers=both)) == 3


def test_who_waits_for_something_better_looks_at_each_epoch():
    """Beside one that does not."""
    nets, alone = ([mg.Network(mg.Linear(6, 3), seed=i) for i in range(4)] for _ in range(2))
    patience = [mg.EarlyStopping(patience=1, min_delta=0.1), None, 2, None]
    found = mg.fit_many(nets, X, y, epochs=30, seeds=0, early_stopping=patience)
    assert len(found[0].loss) < 30 == len(found[1].loss)
    for i, net in enumerate(alone):
        wanted = net.fit(X, y, epochs=30, seed=0, early_stopping=patience[i], progress=False)
        assert found[i].loss == wanted.loss and found[i].best_epoch == wanted.best_epoch
        assert np.array_equal(net.parameters().flat, nets[i].parameters().flat)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_long_calls_of_a_whole_team_leave_the_same_bits(n_threads, threads):
    """So many rows that the C core waits for all of its threads; not all are of one length."""
    threads(2)
    rows, hidden = np.random.default_rng(1).normal(size=(4000, 64)), [96, 20, 96, 7, 50]
    labels = np.argmax(rows[:, :10], axis=1)
    nets, alone = (
        [
            mg.Network(mg.Linear(64, n), mg.ReLU(), mg.Linear(n, 10), seed=i)
            for i, n in enumerate(hidden)
        ]
        for _ in range(2)
    )
    settings = {"epochs": 4, "batch_size": 50}
    found = mg.fit_many(nets, rows, labels, seeds=3, n_threads=n_threads, **settings)
    for i, net in enumerate(alone):
        wanted = net.fit(rows, labels, seed=3, progress=False, **settings)
        assert found[i].loss == wanted.loss
        assert np.array_equal(nets[i].parameters().flat, net.parameters().flat)


@pytest.mark.parametrize("epochs", [1, 3])
def test_orders_too_long_to_be_stored_are_those_of_fit(epochs, monkeypatch):
    """More than 2**23 rows; here more than 100."""
    for module in ("data.batching", "training.feeds", "training.side_by_side"):
        monkeypatch.setattr(f"micrograd.{module}.STORED_ROWS", 100)
    nets, alone = ([mg.Network(mg.Linear(6, 3), seed=i) for i in range(5)] for _ in range(2))
    mg.fit_many(nets, X, y, epochs=epochs, batch_size=16, seeds=[7, 7, 8, 7, 8])
    for i, net in enumerate(alone):
        net.fit(
            X, y, epochs=epochs, batch_size=16, seed=8 if i in (2, 4) else 7, progress=False
        )  # fmt: skip
        assert np.array_equal(nets[i].parameters().flat, net.parameters().flat)
        assert nets[i].position.rng == net.position.rng


def test_mapped_arrays_are_read_batch_by_batch(tmp_path):
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=X.shape)
    mapped[...] = X
    nets, alone = ([mg.Network(mg.Linear(6, 3), seed=i) for i in range(3)] for _ in range(2))
    mg.fit_many(nets, mapped, y, epochs=2, batch_size=16, seeds=0)
    for net, other in zip(nets, alone, strict=True):
        other.fit(X, y, epochs=2, batch_size=16, seed=0, progress=False)
        assert np.array_equal(net.parameters().flat, other.parameters().flat)


def test_one_that_another_thread_trains_is_named_and_the_others_are_trained():
    nets, alone = ([mg.Network(mg.Linear(6, 3), seed=i) for i in range(3)] for _ in range(2))
    begun, enough = threading.Event(), threading.Event()

    def look(_):
        begun.set()
        enough.wait(60)

    other = threading.Thread(
        target=lambda: nets[1].fit(X, y, epochs=1, callbacks=[look], progress=False)
    )
    other.start()
    try:
        assert begun.wait(60)
        with pytest.raises(RuntimeError, match="fit_many: network 1: another thread"):
            mg.fit_many(nets, X, y, epochs=2, seeds=0)
    finally:
        enough.set()
        other.join()
    for i in (0, 2):
        alone[i].fit(X, y, epochs=2, seed=0, progress=False)
        assert np.array_equal(nets[i].parameters().flat, alone[i].parameters().flat)
    assert nets[1].optimizer.steps == 3


@pytest.fixture
def interrupts():
    """SIGINT raises, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("own", [False, True], ids=["in calls for all", "in threads of Python"])
def test_after_an_interrupt_networks_are_whole_and_can_be_trained(own, interrupts, monkeypatch):
    """It comes in one of the first epochs of very many; one may not have begun."""
    calls, train_many = [], mg.Network.train_many

    def struck(given, threads):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train_many(given, threads)

    class Striking(mg.optim.SGD):
        def arguments(self):
            if self.steps >= 4 and not calls:
                calls.append(1)
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # which waits
            return super().arguments()

    monkeypatch.setattr(mg.Network, "train_many", staticmethod(struck))
    nets = [mg.Network(mg.Linear(6, 9), mg.Dropout(0.5), mg.Linear(9, 3), seed=i) for i in range(2)]
    kind = Striking if own else mg.optim.SGD
    with pytest.raises(KeyboardInterrupt):
        mg.fit_many(
            nets, X, y, epochs=10**4, batch_size=64, seeds=0, n_threads=2, validation=(Xv, yv),
            optimizers=[kind(net.parameters(), 0.1) for net in nets],
        )  # fmt: skip
    assert max(net.step for net in nets) > 0
    for net in nets:
        assert net.step == (net.optimizer.steps if net.optimizer else 0)
        assert np.isfinite(net.parameters().flat).all()
        np.testing.assert_array_equal(net.predict(X), net.predict(X))  # without dropout
    monkeypatch.setattr(mg.Network, "train_many", staticmethod(train_many))
    for net in nets:
        net.optimizer = mg.optim.SGD(net.parameters(), 0.1)
    again = mg.fit_many(nets, X, y, epochs=2, seeds=0, n_threads=2)
    assert [len(history.loss) for history in again] == [2, 2]


def test_an_interrupt_while_threads_are_started_leaves_networks_as_they_were(monkeypatch):
    submit = ThreadPoolExecutor.submit

    def struck(*arguments):
        submit(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadPoolExecutor, "submit", struck)
    nets = [mg.Network(mg.Linear(6, 3), mg.Map(lambda z: z * z), seed=i) for i in range(2)]
    before = [net.parameters().flat.copy() for net in nets]
    made = [mg.optim.Adam(net.parameters(), lr=mg.schedule.Exponential(0.1, 0.9)) for net in nets]
    with pytest.raises(KeyboardInterrupt):
        mg.fit_many(nets, X, y, epochs=2, n_threads=2, optimizers=made)
    for net, flat in zip(nets, before, strict=True):
        assert np.array_equal(net.parameters().flat, flat) and net.step == 0
