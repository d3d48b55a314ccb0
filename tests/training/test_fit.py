"""What fit offers besides the loop: weights, smoothing, metrics, stopping, callbacks, batches."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from support.bits import same_bits
from support.runs import data, network, orders
from support.twin import torch_twin

import micrograd as mg
from micrograd.optim import SGD
from micrograd.training import reweighting

X, Y = data()
SETTINGS = {"lr": 0.05, "momentum": 0.9}
QUIET = {"progress": False, "seed": 3}


def fitted(net, *arguments, **keywords):
    """A network after fit with momentum, and the history."""
    keywords = {"epochs": 3, "batch_size": 10, **QUIET} | keywords
    optimizer = SGD(net.parameters(), **SETTINGS)
    return net.fit(*arguments, optimizer=optimizer, **keywords)


def by_hand(net, steps, sample_weight=None):
    """The same in small steps: (X, y, weights) of each."""
    optimizer = SGD(net.parameters(), **SETTINGS)
    for X, y, w in steps:
        optimizer.zero_grad()
        net.loss(X, y, w)
        net.backward()
        optimizer.step()


def steps_of(X, y, w=None, batch_size=10, epochs=3):
    for batches in orders(len(X), batch_size, epochs, QUIET["seed"]):
        for index in batches:
            yield X[index], y[index], None if w is None else w[index]


# ---- weights and smoothing ----


def test_sample_weight_is_the_loop_with_weights(dtype):
    w = np.random.default_rng(1).uniform(0, 2, len(X)).astype(dtype)
    one, two = network(dtype=dtype), network(dtype=dtype)
    history = fitted(one, X, Y, sample_weight=w)
    by_hand(two, steps_of(X, Y, w))  # numpy and C add up the weights in different orders
    rtol = {"float32": 1e-4, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=rtol)
    # the loss of an epoch is the weighted mean of its batches'
    still = network(dtype=dtype)
    flat = still.fit(X, Y, epochs=1, batch_size=10, sample_weight=w, **QUIET,
                     optimizer=SGD(still.parameters(), lr=0.0))  # fmt: skip
    assert flat.loss[0] == pytest.approx(still.loss(X, Y, w), rel=1e-6)
    assert len(history.loss) == 3


def test_rows_of_weight_0_are_as_if_they_were_not_there():
    """A whole batch of them, too: no 0 / 0."""
    w = np.ones(len(X))
    w[10:30] = 0
    one, two = network(), network()
    fitted(one, X, Y, sample_weight=w, shuffle=False, epochs=2)
    keep = [0, 3, 4, 5]  # batches of 10 rows
    rows = [np.arange(i * 10, min(i * 10 + 10, len(X))) for i in keep]
    by_hand(two, [(X[r], Y[r], None) for r in rows] * 2)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-12)


def test_class_weight():
    weights = np.array([1.0, 3.0, 0.5])
    ends = []
    for class_weight in ({1: 3.0, 2: 0.5}, weights, weights.tolist()):
        net = network()
        fitted(net, X, Y, class_weight=class_weight)
        ends.append(net.parameters().flat.copy())
    twin = network()
    by_hand(twin, steps_of(X, Y, weights[Y]))
    assert all(same_bits(end, twin.parameters().flat) for end in ends)
    probabilities = network()
    fitted(probabilities, X, np.eye(3)[Y], class_weight=weights)
    np.testing.assert_allclose(probabilities.parameters().flat, ends[0], rtol=1e-10)
    both = network()
    w = np.linspace(0, 1, len(X))
    fitted(both, X, Y, class_weight=weights, sample_weight=w)
    by_hand(twin := network(), steps_of(X, Y, weights[Y] * w))
    np.testing.assert_allclose(both.parameters().flat, twin.parameters().flat, rtol=1e-11)


def test_class_weight_is_torchs():
    torch = pytest.importorskip("torch")
    net, weights = network(), np.array([1.0, 3.0, 0.5])
    twin = torch_twin(net)
    want = torch.nn.functional.cross_entropy(
        twin(torch.as_tensor(X)), torch.as_tensor(Y), weight=torch.as_tensor(weights)
    )
    found = net.fit(X, Y, epochs=1, batch_size=len(X), class_weight=weights,
                    optimizer=SGD(net.parameters(), lr=0.0), **QUIET)  # fmt: skip
    assert found.loss[0] == pytest.approx(want.item(), rel=1e-12)


def test_balanced_weights_are_sklearns():
    found = reweighting.class_weights("f", "balanced", Y, 3)
    assert np.allclose(np.bincount(Y) * found, len(Y) / 3)
    utils = pytest.importorskip("sklearn.utils")
    want = utils.compute_class_weight("balanced", classes=np.arange(3), y=Y)
    np.testing.assert_allclose(found, want, rtol=1e-14)
    some = Y[Y != 1]  # a class that does not occur
    want = utils.compute_class_weight("balanced", classes=np.array([0, 2]), y=some)
    np.testing.assert_allclose(reweighting.class_weights("f", "balanced", some, 3)[[0, 2]], want)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_is_torchs(smoothing):
    torch = pytest.importorskip("torch")
    net = network()
    twin = torch_twin(net)
    want = torch.nn.functional.cross_entropy(
        twin(torch.as_tensor(X)), torch.as_tensor(Y), label_smoothing=smoothing
    )
    rows = reweighting.smooth_labels(Y, 3, smoothing)
    assert net.loss(X, rows) == pytest.approx(want.item(), rel=1e-12)
    assert same_bits(reweighting.smooth_labels(np.eye(3)[Y], 3, smoothing), rows)
    one, two = network(), network()
    fitted(one, X, Y, label_smoothing=smoothing)
    by_hand(two, steps_of(X, rows))
    assert same_bits(one.parameters().flat, two.parameters().flat)


def binary(outputs=1):
    net = mg.Network(mg.Linear(5, 4), mg.Tanh(), mg.Linear(4, outputs), loss="bce", seed=1,
                     dtype="float64")  # fmt: skip
    return net, (X[:, 0] > 0).astype(int)


def test_bce_has_class_weights_and_smoothing():
    (one, y), (two, _) = binary(), binary()
    fitted(one, X, y, class_weight={0: 2.0, 1: 5.0}, label_smoothing=0.2)
    by_hand(two, steps_of(X, y * 0.8 + 0.1, np.where(y == 1, 5.0, 2.0)))
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-12)
    net, y = binary()
    fitted(net, X, y[:, None].astype(float), class_weight="balanced")


def test_smoothing_too_large_to_make_at_once(monkeypatch):
    monkeypatch.setattr("micrograd.training.inputs.MOST_SMOOTHED", 10)
    one, two = network(), network()
    fitted(one, X, Y, label_smoothing=0.1, class_weight="balanced")
    monkeypatch.undo()
    fitted(two, X, Y, label_smoothing=0.1, class_weight="balanced")
    assert same_bits(one.parameters().flat, two.parameters().flat)


# ---- validation, metrics, early stopping ----


def test_a_validation_fraction_is_stratified_and_not_trained_on():
    y = np.repeat([0, 1, 2], [40, 40, 20])
    X = np.random.default_rng(0).normal(size=(100, 5))
    seen = []
    net = network()

    class Spy:
        def on_epoch(self, state):
            seen.append(state.history.last()["val_probe"])

    def probe(y_true, output):
        assert np.bincount(y_true).tolist() == [8, 8, 4]
        return float(y_true.sum())

    history = fitted(net, X, y, validation=0.2, metrics=["accuracy", probe], callbacks=[Spy()])
    assert len(history.val_loss) == len(history.val_accuracy) == 3 and seen == [16, 16, 16]
    # training uses the other 80, and they alone: rows that are far away would show
    far = X.copy()
    rows = {tuple(row) for row in far}
    held = []
    fitted(network(), far, y, validation=0.2,
           metrics=lambda t, o: held.append(len(t)) or 0.0, epochs=1)  # fmt: skip
    assert held == [20] and len(rows) == 100


def test_what_is_set_aside_is_not_trained_on():
    """A network that counts, as in test_train: z = W x, each row of X touches its own weight."""
    rows = 20
    net = mg.Network(mg.Linear(rows, 1, bias=False), loss="mae", dtype="float64", seed=0)
    net.parameters().flat[:] = 0
    net.fit(np.eye(rows), np.full(rows, 100.0), epochs=3, batch_size=1, validation=0.25,
            optimizer=SGD(net.parameters(), lr=1.0), **QUIET)  # fmt: skip
    assert sorted(net.parameters().flat.tolist()) == [0] * 5 + [3] * 15
    again = mg.Network(mg.Linear(rows, 1, bias=False), loss="mae", dtype="float64", seed=0)
    again.parameters().flat[:] = 0
    again.fit(np.eye(rows), np.full(rows, 100.0), epochs=3, batch_size=1, validation=0.25,
              optimizer=SGD(again.parameters(), lr=1.0), **QUIET)  # fmt: skip
    assert same_bits(net.parameters().flat, again.parameters().flat)


def test_metrics_are_sklearns():
    metrics = pytest.importorskip("sklearn.metrics")
    net = network("mse")
    x, y = data("mse")
    history = fitted(net, x, y, validation=(x, y), metrics=["r2", "mae", "mse", "rmse"])
    z, found = net.predict(x), history.to_dict()
    assert found["val_r2"][-1] == pytest.approx(metrics.r2_score(y, z), rel=1e-12)
    assert found["val_mae"][-1] == pytest.approx(metrics.mean_absolute_error(y, z), rel=1e-12)
    assert found["val_mse"][-1] == pytest.approx(metrics.mean_squared_error(y, z), rel=1e-12)
    assert found["val_rmse"][-1] == pytest.approx(found["val_mse"][-1] ** 0.5, rel=1e-12)
    net = network()
    history = fitted(net, X, Y, metrics=["accuracy", "balanced_accuracy"])
    p, found = net.predict(X).argmax(axis=1), history.to_dict()
    assert found["accuracy"][-1] == metrics.accuracy_score(Y, p)
    want = metrics.balanced_accuracy_score(Y, p)
    assert found["balanced_accuracy"][-1] == pytest.approx(want, rel=1e-14)
    net, y = binary()
    history = fitted(net, X, y, validation=(X, y), metrics="accuracy")
    want = metrics.accuracy_score(y, net.predict(X)[:, 0] > 0)
    assert history.val_accuracy[-1] == want


def test_validation_with_weights():
    w = np.random.default_rng(0).uniform(size=len(X))
    w[:5] = 0
    net = network()
    history = fitted(net, X, Y, validation=(X, Y, w))
    assert history.val_loss[-1] == pytest.approx(net.loss(X, Y, w), rel=1e-12)


class Scripted:
    """A metric that goes through given values, one an epoch."""

    __name__ = "score"

    def __init__(self, *values):
        self.values = list(values)

    def __call__(self, y, output):
        return self.values.pop(0)


@pytest.mark.parametrize(
    "values, settings, epochs, best",
    [
        ([5, 4, 3, 4, 4, 9], {"patience": 2, "mode": "min"}, 5, 3),
        ([5, 4, 3, 4, 2, 9, 9], {"patience": 2, "mode": "min"}, 7, 5),
        ([1, 2, 2, 2, 9], {"patience": 2, "mode": "max"}, 4, 2),
        ([5, 4.9, 4.8, 4.7], {"patience": 3, "mode": "min", "min_delta": 0.5}, 4, 1),
        ([math.nan, 4, math.nan, math.inf, 1], {"patience": 2, "mode": "min"}, 4, 2),
        ([3, 2, 1], {"patience": 2, "mode": "min"}, 3, 3),
    ],
)
def test_early_stopping(values, settings, epochs, best):
    snapshots = []
    net = network()
    stopping = mg.EarlyStopping(monitor="val_score", **settings)
    history = fitted(
        net, X, Y, epochs=len(values), validation=(X, Y), metrics=Scripted(*values),
        early_stopping=stopping,
        callbacks=lambda state: snapshots.append(state.model.parameters().flat.copy()),
    )  # fmt: skip
    assert len(history.loss) == epochs and history.best_epoch == best
    assert same_bits(net.parameters().flat, snapshots[best - 1])
    net = network()
    stopping = mg.EarlyStopping(monitor="val_score", restore_best=False, **settings)
    fitted(net, X, Y, epochs=len(values), validation=(X, Y), metrics=Scripted(*values),
           early_stopping=stopping)  # fmt: skip
    assert same_bits(net.parameters().flat, snapshots[-1])


def test_a_patience_alone_looks_at_the_validation_loss():
    history = fitted(network(), X, Y, epochs=300, validation=0.3, early_stopping=3,
                     batch_size=5)  # fmt: skip
    assert len(history.loss) < 300
    assert history.best_epoch == 1 + int(np.argmin(history.val_loss))
    assert len(history.loss) == history.best_epoch + 3


# ---- accumulation ----


def test_accumulated_batches_are_one_large_batch():
    one, two = network(), network()
    a = fitted(one, X, Y, batch_size=5, accumulate=4, shuffle=False, clip_norm=0.1)
    b = fitted(two, X, Y, batch_size=20, shuffle=False, clip_norm=0.1)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-11)
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-12)
    one, two, w = network(), network(), np.random.default_rng(0).uniform(size=len(X))
    fitted(one, X, Y, batch_size=5, accumulate=4, sample_weight=w)
    fitted(two, X, Y, batch_size=20, sample_weight=w)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-10)


def test_accumulated_batches_of_other_sources(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    ends = []
    for source in (
        (X, Y),
        (mapped, Y),
        ([(X[i : i + 10], Y[i : i + 10]) for i in range(0, 53, 10)],),
    ):
        net = network()
        fitted(net, *source, shuffle=False, accumulate=4)  # the last step of an epoch has 2
        ends.append(net.parameters().flat.copy())
    assert same_bits(ends[0], ends[1]) and same_bits(ends[0], ends[2])


def test_nothing_stays_accumulated_behind_a_run_that_was_broken_off():
    def batches():
        yield from chunks(10)[:2]
        raise RuntimeError("no more")

    one, two = network(), network()
    with pytest.raises(RuntimeError, match="no more"):
        fitted(one, batches, accumulate=5, epochs=1)
    for net in (one, two):
        fitted(net, X, Y)
    assert same_bits(one.parameters().flat, two.parameters().flat)


def test_divergence_while_accumulating():
    net = network("mse")
    x, y = data("mse")
    net.parameters()[0].data[...] = 1e200
    before = net.parameters().flat.copy()
    with pytest.raises(
        FloatingPointError, match=r"^Network\.fit: .*at step 0 \(epoch 1\).*(layer|gradient of)"
    ):
        net.fit(x, y, batch_size=5, accumulate=4, **QUIET)
    assert same_bits(net.parameters().flat, before)


# ---- callbacks ----


def test_callbacks_see_every_step_and_epoch():
    log = []

    class Watch:
        def on_step(self, state):
            log.append(("step", state.step, state.epoch, state.loss))

        def on_epoch(self, state):
            log.append(("epoch", state.step, state.epoch, len(state.history.loss)))
            assert state.model is net and state.optimizer.steps == state.step

    net = network()
    plain = []
    history = fitted(net, X, Y, epochs=2, batch_size=20, callbacks=[Watch(), plain.append])
    assert [entry[:3] for entry in log] == [
        ("step", 1, 0), ("step", 2, 0), ("step", 3, 0), ("epoch", 3, 1),
        ("step", 4, 1), ("step", 5, 1), ("step", 6, 1), ("epoch", 6, 2),
    ]  # fmt: skip
    losses = [entry[3] for entry in log if entry[0] == "step"]
    assert np.dot(losses[:3], [20, 20, 13]) / 53 == pytest.approx(history.loss[0], rel=1e-12)
    assert len(plain) == 2 and isinstance(plain[0], mg.TrainingState)


def test_a_callback_stops_training():
    history = fitted(network(), X, Y, epochs=9,
                     callbacks=lambda s: s.stop() if s.epoch == 2 else None)  # fmt: skip
    assert len(history.loss) == 2

    class AfterSteps:
        def on_step(self, state):
            if state.step == 8:
                state.stop()

    net, twin = network(), network()
    history = fitted(net, X, Y, epochs=9, callbacks=AfterSteps())
    by_hand(twin, list(steps_of(X, Y))[:8])
    assert same_bits(net.parameters().flat, twin.parameters().flat)
    assert len(history.loss) == 2 and history.loss[1] != history.loss[0]


# ---- iterables ----


def chunks(n=20):
    return [(X[i : i + n], Y[i : i + n]) for i in range(0, len(X), n)]


@pytest.mark.parametrize(
    "source",
    [
        chunks(),
        tuple(chunks()),
        lambda: iter(chunks()),
        lambda epoch: chunks(),
        [(x.tolist(), y.tolist()) for x, y in chunks()],
    ],
)
def test_an_iterable_of_batches(source):
    one, two = network(), network()
    history = fitted(one, source, validation=(X, Y))
    by_hand(two, [(x, y, None) for x, y in chunks()] * 3)
    assert same_bits(one.parameters().flat, two.parameters().flat)
    assert len(history.loss) == len(history.val_loss) == 3


def test_a_function_of_the_epoch_and_batches_with_weights():
    epochs, w = [], np.linspace(0, 1, len(X))

    def source(epoch):
        epochs.append(epoch)
        for i in range(0, len(X), 20):
            yield X[i : i + 20], Y[i : i + 20], w[i : i + 20]

    one, two = network(), network()
    fitted(one, source)
    fitted(two, X, Y, sample_weight=w, shuffle=False, batch_size=20)
    assert epochs == [0, 1, 2] and same_bits(one.parameters().flat, two.parameters().flat)


def test_a_torch_loader():
    torch = pytest.importorskip("torch")
    dataset = torch.utils.data.TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    loader = torch.utils.data.DataLoader(dataset, batch_size=20)
    one, two = network(), network()
    fitted(one, loader)
    fitted(two, chunks())
    assert same_bits(one.parameters().flat, two.parameters().flat)


def test_pandas():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"))
    series = pd.Series(Y, index=np.arange(len(Y))[::-1], dtype="Int64")  # nullable, odd index
    one, two = network(), network()
    weights = pd.Series(np.linspace(0.1, 1, len(X)))
    fitted(one, frame, series, validation=(frame, series), sample_weight=weights)
    fitted(two, X, Y, sample_weight=weights.to_numpy())
    assert same_bits(one.parameters().flat, two.parameters().flat)
    mixed = frame.assign(a=[True] * len(X), b=np.arange(len(X)))
    fitted(network(), mixed, series)
    with pytest.raises(TypeError, match=r"Network\.fit: column 'c' of X has values such as 'x'"):
        network().fit(frame.assign(c="x"), series)
    with pytest.raises(ValueError, match=r"Network\.fit: y has 1 missing value"):
        network().fit(frame, series.where(series.index != 3))


# ---- memory-mapped files ----


@pytest.fixture
def mapped(tmp_path):
    """X and Y in files, X as float64 and as float32."""
    files = {}
    for name, array in (("X", X), ("Xf", X.astype("f")), ("Y", Y)):
        np.save(tmp_path / f"{name}.npy", array)
        files[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    return files


@pytest.mark.parametrize("kind", ["X", "Xf"])
def test_mapped_arrays_train_as_others_do(mapped, kind, dtype):
    one, two = network(dtype=dtype), network(dtype=dtype)
    a = fitted(one, mapped[kind], mapped["Y"], validation=0.2, class_weight="balanced")
    b = fitted(two, np.array(mapped[kind]), Y, validation=0.2, class_weight="balanced")
    assert same_bits(one.parameters().flat, two.parameters().flat)
    assert a.val_loss == b.val_loss and a.loss == b.loss
    fitted(one, mapped[kind], Y, validation=(mapped[kind], mapped["Y"]), label_smoothing=0.1)


def test_a_bad_number_in_a_mapped_file_is_named(tmp_path):
    bad = X.copy()
    bad[41, 3] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    mapped = np.load(tmp_path / "bad.npy", mmap_mode="r")
    with pytest.raises(ValueError, match=r"^Network\.fit: X\[41, 3\] is nan"):
        fitted(network(), mapped, Y)
    labels = Y.copy()
    labels[17] = 9
    with pytest.raises(ValueError, match=r"^Network\.fit: y\[17\] is 9"):
        fitted(network(), mapped, labels)
    with pytest.raises(ValueError, match="as many rows"):
        fitted(network(), mapped, Y[:-1])


CHILD = """
import sys, numpy as np, micrograd as mg
path, kind, rows, columns, dtype, validation = sys.argv[1:7]
rows, columns = int(rows), int(columns)
X = np.memmap(path, kind, "r", shape=(rows, columns))
y = np.zeros(rows, np.int8)
net = mg.Network(mg.Linear(columns, 8), mg.ReLU(), mg.Linear(8, 3), dtype=dtype, seed=0)
stop = type("Stop", (), {"on_step": lambda self, s: s.stop() if s.step == 300 else None})()
val = {"pair": (X[:9000], y[:9000]), "fraction": 2e-5}[validation]
history = net.fit(X, y, epochs=1, batch_size=64, callbacks=stop, validation=val, progress=False)
assert len(history.val_loss) == 1 and net.optimizer.steps == 300
peak = [int(line.split()[1]) for line in open("/proc/self/status") if "RssAnon" in line]
print(peak[0])
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
@pytest.mark.parametrize(
    "kind, columns, dtype, validation",
    [
        ("f4", 1024, "float32", "pair"),
        ("f8", 512, "float32", "fraction"),
        ("u1", 4096, "float64", "pair"),
        ("f4", 8, "float32", "fraction"),  # 134 million rows, whose order alone would take 1 GB
    ],
)
def test_four_gigabytes_in_little_memory(tmp_path, kind, columns, dtype, validation):
    path = tmp_path / "X.bin"
    size = 4 << 30
    with open(path, "wb") as file:
        file.truncate(size)  # a sparse file: no disk is used
    rows = size // np.dtype(kind).itemsize // columns
    arguments = [path, kind, rows, columns, dtype, validation]
    run = subprocess.run([sys.executable, "-c", CHILD, *map(str, arguments)], check=True,
                         capture_output=True, text=True)  # fmt: skip
    labels = rows / 1024  # y itself, one byte a row
    assert int(run.stdout) - labels < 150_000  # KB


# ---- divergence ----


def test_divergence_names_step_layer_and_losses():
    net = network("mse")
    x, y = data("mse")
    with pytest.raises(FloatingPointError) as caught:
        net.fit(x, y, epochs=500, batch_size=10, optimizer=SGD(net.parameters(), lr=1e6), **QUIET)
    message = str(caught.value)
    assert message.startswith("Network.fit: ")
    for word in ("at step ", "(epoch ", "losses before were", "gradient norms before", "rate"):
        assert word in message, message
    assert "layer" in message or "gradient of" in message
    assert np.isfinite(net.parameters().flat).all()


# ---- the history ----


def test_history_plots_itself(tmp_path):
    pytest.importorskip("matplotlib")
    history = fitted(network(), X, Y, validation=(X, Y), metrics=["accuracy", "balanced_accuracy"])
    figure = history.plot()
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "loss", "validation accuracy, %", "validation balanced accuracy, %",
    ]  # fmt: skip
    history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="without an epoch"):
        mg.History().plot()


def test_history_as_a_dict_and_back():
    history = fitted(network(), X, Y, validation=(X, Y), metrics=["balanced_accuracy"])
    lists = history.to_dict()
    assert set(lists) == {"loss", "val_loss", "val_accuracy", "seconds", "val_balanced_accuracy"}
    assert mg.History.from_dict(lists) == history


# ---- what goes wrong ----


@pytest.mark.parametrize(
    "keywords, error, words",
    [
        ({"validation": 0.0}, ValueError, "validation is 0.0"),
        ({"validation": 1.0}, ValueError, "validation is 1.0"),
        ({"validation": "x"}, TypeError, "validation"),
        ({"callbacks": [3]}, TypeError, "callback"),
        ({"callbacks": 3}, TypeError, "callback"),
        ({"callbacks": [mg.TrainingState]}, TypeError, "callback"),
        ({"accumulate": 0}, ValueError, "accumulate"),
        ({"label_smoothing": 1.0}, ValueError, "label_smoothing"),
        ({"label_smoothing": "x"}, TypeError, "label_smoothing"),
        ({"class_weight": {3: 1.0}}, ValueError, "class_weight has the class 3"),
        ({"class_weight": {"a": 1.0}}, ValueError, "class_weight has the class 'a'"),
        ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] is -1"),
        ({"class_weight": {0: "x"}}, TypeError, "class_weight"),
        ({"class_weight": [1, 2]}, ValueError, "class_weight has shape"),
        ({"class_weight": "even"}, ValueError, "balanced"),
        ({"metrics": "r2"}, ValueError, "'r2' is unknown for the loss 'cross_entropy'"),
        ({"metrics": [3]}, TypeError, "metric"),
        ({"early_stopping": 0}, ValueError, "early_stopping"),
        ({"early_stopping": "soon"}, TypeError, "early_stopping"),
        ({"early_stopping": mg.EarlyStopping(3, monitor="val_loss")}, ValueError, "not measured"),
        ({"sample_weight": np.zeros(53)}, ValueError, "sample_weight"),
        ({"sample_weight": np.ones(52)}, ValueError, "sample_weight"),
    ],
)  # fmt: skip
def test_bad_options(keywords, error, words):
    net = network()
    before = net.parameters().flat.copy()
    with pytest.raises(error, match=words):
        net.fit(X, Y, epochs=2, **QUIET, **keywords)
    assert same_bits(net.parameters().flat, before)


@pytest.mark.parametrize(
    "source, error, words",
    [
        (5, TypeError, "iterable"),
        ("abc", TypeError, "iterable"),
        ({1: 2}, TypeError, "iterable"),
        ([], ValueError, "no batches"),
        ([3], TypeError, "batch 0 is"),
        ([(X, Y), (X[:, :4], Y)], ValueError, r"batch 1: X has 4 features"),
        (iter(chunks()), ValueError, "only once"),
        (lambda: [], ValueError, "no batches"),
    ],
)
def test_bad_iterables(source, error, words):
    with pytest.raises(error, match=rf"^Network\.fit.*{words}"):
        network().fit(source, epochs=2, **QUIET)


def test_options_that_an_iterable_cannot_have():
    for keywords in ({"validation": 0.2}, {"sample_weight": Y}, {"class_weight": "balanced"},
                     {"metrics": "accuracy"}):  # fmt: skip
        with pytest.raises(ValueError, match=r"^Network\.fit"):
            network().fit(chunks(), **QUIET, **keywords)
    for keywords in ({"class_weight": {0: 1}}, {"label_smoothing": 0.1}):
        with pytest.raises(ValueError, match="cross_entropy"):
            network("mse").fit(*data("mse"), **QUIET, **keywords)


def test_a_program_has_the_same_fit(tmp_path):
    def program():
        w, b = mg.Value(0.5), mg.Value(0.0)
        return mg.compile(lambda x, y: (w * x + b - y) ** 2)

    x = np.linspace(-1, 1, 40)
    y = 3 * x + 1
    one, steps = program(), []

    class Count:
        def on_step(self, state):
            steps.append(state.loss)

    history = one.fit(x, y, epochs=30, batch_size=8, validation=0.2, early_stopping=50,
                      callbacks=Count(), **QUIET)  # fmt: skip
    assert history.val_loss[-1] < 1e-3 and len(steps) == 30 * 4
    with pytest.raises(ValueError, match="no metrics"):
        program().fit(x, y, metrics="mae", **QUIET)
    with pytest.raises(ValueError, match="sample weights"):
        program().fit(x, y, sample_weight=x + 2, **QUIET)
    two = program()
    two.fit(x, y, epochs=3, batch_size=8, accumulate=2, **QUIET)
    three = program()
    three.fit(x, y, epochs=3, batch_size=16, **QUIET)
    np.testing.assert_allclose(two.parameters().flat, three.parameters().flat, rtol=1e-12)


# ---- penalties and constraints ----


def test_penalties_clipping_and_max_norm_are_torchs():
    """The order of things: penalty, norm, value, step, rows."""
    torch = pytest.importorskip("torch")
    ours = network()
    twin = torch_twin(ours)
    theirs = torch.optim.SGD(twin.parameters(), **SETTINGS)
    fitted(ours, X, Y, l1=0.01, l2=0.1, clip_norm=0.5, clip_value=0.1, max_norm=1.1)
    for x, y, _ in steps_of(X, Y):
        theirs.zero_grad()
        loss = torch.nn.functional.cross_entropy(twin(torch.as_tensor(x)), torch.as_tensor(y))
        weights = [p for p in twin.parameters() if p.ndim == 2]
        loss = loss + sum(0.05 * (w**2).sum() + 0.01 * w.abs().sum() for w in weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        torch.nn.utils.clip_grad_value_(twin.parameters(), 0.1)
        theirs.step()
        with torch.no_grad():
            for w in weights:
                norms = w.norm(dim=1, keepdim=True)
                w *= torch.clamp(1.1 / norms, max=1.0)
    for p, q in zip(ours.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, atol=1e-12)
    for keywords in ({"l1": -1}, {"l2": "x"}, {"max_norm": 0}, {"clip_value": float("nan")}):
        with pytest.raises((TypeError, ValueError), match=r"^Network\.fit"):
            network().fit(X, Y, **QUIET, **keywords)


def test_callbacks_see_the_norm_of_the_gradient():
    norms = []

    class Watch:
        def on_step(self, state):
            norms.append(state.gradient_norm)

    net, twin = network(), network()
    fitted(net, X, Y, epochs=1, callbacks=Watch(), clip_norm=0.01)
    x, y, _ = next(steps_of(X, Y))
    twin.loss(x, y)
    twin.backward()
    assert len(norms) == 6
    assert norms[0] == pytest.approx(np.linalg.norm(twin.parameters().flat_grad), rel=1e-12)


@pytest.mark.parametrize("kind", ["RMSprop", "Adam", "AdamW"])
def test_every_optimizer_resumes(tmp_path, kind):
    pytest.importorskip("safetensors")
    ends = []
    for epochs in ([6], [2, 6]):
        path = tmp_path / f"{kind}{len(epochs)}"
        for n in epochs:
            net = network(dtype="float32")
            optimizer = getattr(mg.optim, kind)(net.parameters(), lr=0.01, weight_decay=0.1)
            net.fit(X, Y, epochs=n, batch_size=10, optimizer=optimizer, resume=path, **QUIET)
        ends.append(net.parameters().flat.copy())
        assert repr(mg.load(path).optimizer) == repr(optimizer)
    assert same_bits(*ends)
