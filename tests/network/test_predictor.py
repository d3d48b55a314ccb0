"""Predictor: the network as it was, immutable, picklable, for many threads."""

import copy
import pickle
import threading

import numpy as np
import pytest

import micrograd as mg

rng = np.random.default_rng(0)
X = rng.normal(size=(37, 5)).astype(np.float32)
y = rng.integers(0, 3, 37)


def network(dtype="float32"):
    return mg.Network(
        mg.Linear(5, 8), mg.GELU(), mg.Dropout(0.5), mg.Residual(mg.Linear(8, 8), mg.Tanh()),
        mg.Map(lambda z: z * z), mg.Linear(8, 3), seed=0, dtype=dtype,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 2, 37])
def test_it_computes_what_predict_does(dtype, rows):
    net = network(dtype)
    predictor = net.freeze()
    wanted = net.predict(X[:rows])
    given = X[:rows].astype(dtype)
    out = np.empty((rows, 3), dtype)
    assert np.array_equal(predictor(given), wanted)
    assert predictor(given, out=out) is out
    assert np.array_equal(out, wanted)
    for other in (given.tolist(), np.asfortranarray(given), given[::1, ::1], given.astype("f8")):
        assert np.array_equal(predictor(other), wanted)
    assert predictor.in_features == 5
    assert predictor.out_features == 3
    assert predictor.dtype == dtype


def test_training_goes_on_without_it():
    net = network()
    net.metadata = {"classes": ["a", "b", "c"]}
    predictor, before = net.freeze(), net.predict(X)
    net.fit(X, y, epochs=2, progress=False)
    net.metadata["classes"][0] = "z"
    assert not np.array_equal(net.predict(X), before)
    assert np.array_equal(predictor(X), before)
    assert predictor.class_names == ["a", "b", "c"]


def test_nothing_of_it_can_be_changed():
    predictor = network().freeze()
    for name in ("dtype", "layers", "anything"):
        with pytest.raises(AttributeError, match="a predictor never changes"):
            setattr(predictor, name, 1)
        with pytest.raises(AttributeError, match="a predictor never changes"):
            delattr(predictor, name)
    assert copy.copy(predictor) is predictor
    assert copy.deepcopy(predictor) is predictor


def plain():
    return mg.Network(mg.Linear(5, 8), mg.ReLU(), mg.Linear(8, 3), seed=0)


def test_it_is_pickled():
    net = plain()
    net.metadata = {"classes": ["a", "b", "c"]}
    predictor = pickle.loads(pickle.dumps(net.freeze()))
    assert np.array_equal(predictor(X), net.predict(X))
    assert np.array_equal(predictor.predict_proba(X), net.predict_proba(X))
    assert predictor.classify(X).tolist() == net.classify(X).tolist()
    assert "Linear(5, 8)" in repr(predictor)


def test_threads_share_it():
    predictor = network().freeze()
    sizes = (1, 3, 37)
    wanted = {rows: predictor(X[:rows]) for rows in sizes}
    wrong = []

    def work(rows):
        for _ in range(500):
            if not np.array_equal(predictor(X[:rows]), wanted[rows]):
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(rows,)) for rows in sizes * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_what_does_not_fit_is_refused():
    predictor = plain().freeze()
    with pytest.raises(
        ValueError, match=r"Predictor: X has 4 features, layer 0 Linear\(5, 8\) take"
    ):
        predictor(X[:, :4])
    with pytest.raises(ValueError, match=r"Predictor: X has shape \(5,\).*X\[None, :\]"):
        predictor(X[0])
    bad = X.copy()
    bad[20, 3] = np.nan
    with pytest.raises(ValueError, match=r"Predictor: X\[20, 3\] is nan"):
        predictor(bad)
    for out, message in (
        (np.empty((37, 2), "f"), r"shape \(37, 3\) is wanted"),
        (np.empty((37, 3)), "array of float32"),
        ([0.0], "out is list"),
        (np.empty((3, 37), "f").T, "C-contiguous"),
        (np.empty((37, 6), "f")[:, ::2], "C-contiguous"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor(X, out=out)
    frozen = np.empty((37, 3), "f")
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="writable"):
        predictor(X, out=frozen)
    odd = np.zeros(37 * 3 * 4 + 1, np.uint8)[1:].view("f").reshape(37, 3)
    with pytest.raises(ValueError, match="aligned"):
        predictor(X, out=odd)
    memory = np.zeros(37 * 5, "f")
    with pytest.raises(ValueError, match="shares memory"):
        predictor(memory.reshape(37, 5), out=memory[: 37 * 3].reshape(37, 3))
