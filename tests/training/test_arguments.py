"""What fit is given: iterators once, arrays that change meanwhile, names that others use."""

import numpy as np
import pytest
from support.bits import same_bits
from support.runs import data, network

import micrograd as mg

X, Y = data()


def test_an_iterator_of_callbacks_is_gone_through_once():
    seen = []
    network().fit(X, Y, epochs=2, callbacks=iter([seen.append, seen.append]), progress=False)
    assert len(seen) == 4


def test_an_iterator_of_metrics():
    history = network().fit(X, Y, epochs=2, validation=0.5, progress=False,
                            metrics=iter(["accuracy", "balanced_accuracy"]))  # fmt: skip
    assert len(history.val_accuracy) == len(history.metrics["val_balanced_accuracy"]) == 2


def test_an_optimizer_whose_step_would_not_be_called():
    class Halved(mg.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            self.owner.flat *= 0.5

    net = network()
    patched = mg.optim.SGD(net.parameters(), lr=0.1)
    patched.step = lambda closure=None: None
    before = net.parameters().flat.copy()
    for optimizer in (Halved(net.parameters(), lr=0.1), patched):
        with pytest.raises(TypeError, match=r"Network\.fit: (Halved|SGD) has a step\(\) of"):
            net.fit(X, Y, epochs=1, optimizer=optimizer, progress=False)
        assert same_bits(net.parameters().flat, before) and net.optimizer is None
    with pytest.raises(TypeError, match=r"fit_many: network 1: SGD has a step\(\) of its own"):
        mg.fit_many([network(), net], X, Y, optimizers=[None, patched])


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("label", [-1, 3, 2**62])
def test_labels_that_are_overwritten(accumulate, label):
    """They are indices: each is looked at when it is used, and named by its row."""
    net, labels = network(), np.array(Y)

    def spoil(state):
        labels[7] = label

    with pytest.raises(ValueError, match=rf"y\[7\] is {label}, the network has 3 classes"):
        net.fit(X, labels, epochs=3, batch_size=10, callbacks=spoil, accumulate=accumulate)
    assert np.isfinite(net.parameters().flat).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_overwritten_are_named(value):
    net, inputs = network(dtype="float32"), np.array(X, np.float32)

    def spoil(state):
        inputs[7, 1] = value

    with pytest.raises(FloatingPointError, match="X has been overwritten since fit began"):
        net.fit(inputs, Y, epochs=3, batch_size=10, callbacks=spoil, progress=False)
    assert np.isfinite(net.parameters().flat).all()


def test_arrays_that_are_converted_are_copied():
    """X of another dtype: what is written into it later changes nothing."""
    one, two = network(dtype="float64"), network(dtype="float64")
    inputs = np.array(X, np.float32)

    def spoil(state):
        inputs[...] = np.nan

    one.fit(inputs.copy(), Y, epochs=3, seed=0, progress=False)
    two.fit(inputs, Y, epochs=3, seed=0, progress=False, callbacks=spoil)
    assert same_bits(one.parameters().flat, two.parameters().flat)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lr", r"optimizer=micrograd\.optim\.SGD\(net\.parameters\(\), lr=\.\.\.\)"),
        ("learning_rate", r"optimizer=micrograd\.optim\.SGD"),
        ("verbose", "progress is what it is called here"),
        ("validation_data", "validation is what it is called here"),
        ("n_epochs", "epochs is what it is called here"),
        ("batchsize", "batch_size is what it is called here"),
        ("momentum", r"optimizer=micrograd\.optim\.SGD"),
        ("xyzzy", "there are X, y, epochs, batch_size"),
    ],
)
@pytest.mark.parametrize("kind", ["Network", "Program"])
def test_hints_for_names_that_others_use(kind, name, hint):
    model = network() if kind == "Network" else mg.compile(lambda x, y: x * y)
    with pytest.raises(TypeError, match=rf"^fit: there is no argument '{name}'; .*{hint}"):
        model.fit(X, Y, **{name: 1})
