"""Networks pickle, copy and go through pools; a copy shares no array with what it was made from."""

import copy
import operator
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import micrograd as mg

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
y = np.array([0, 1, 0, 1, 1, 0])
slope = mg.Value(0.5, "slope")


def swish(z):
    return z * (slope * z).sigmoid()


def make():
    net = mg.Network(
        mg.Residual(mg.Linear(3, 3), mg.Map(swish)),
        mg.Highway(mg.Linear(3, 3), gate_bias=-0.5),
        mg.Dropout(0.2),
        mg.Linear(3, 2),
        seed=3,
        checkpoint="sqrt",
    )
    net.metadata = {"classes": ["no", "yes"]}
    net.loss(X, y)
    net.backward()
    return net


WAYS = {
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_goes_on_as_the_network_would_and_apart_from_it(way):
    net = make()
    other = WAYS[way](net)
    assert other.layers == net.layers
    assert other.metadata == net.metadata
    assert repr(other) == repr(net)
    assert [p.name for p in other.parameters()] == [p.name for p in net.parameters()]
    assert np.array_equal(other.parameters().flat_grad, net.parameters().flat_grad)
    with pytest.raises(RuntimeError, match="no cached forward pass"):
        other.backward()
    assert other.loss(X, y) == net.loss(X, y)  # the same dropout masks too
    net.backward()
    other.backward()
    assert np.array_equal(other.parameters().flat_grad, net.parameters().flat_grad)
    before = net.predict(X)
    other.parameters().flat = np.zeros(other.parameters().size)
    assert not other.predict(X).any()
    assert np.array_equal(net.predict(X), before)


def test_a_parameter_stays_a_view_of_the_copied_network():
    net = make()
    other, weight = pickle.loads(pickle.dumps((net, net.parameters()[-1])))
    weight.data[...] = 7
    assert (other.parameters()[-1].data == 7).all()


def test_a_nesting_deeper_than_pythons_stack_is_pickled():
    layer = mg.Linear(2, 2)
    for _ in range(300):
        layer = mg.Residual(layer)
    net = mg.Network(layer, loss="mse", seed=0)
    other = pickle.loads(pickle.dumps(net))
    assert np.array_equal(other.predict(X[:, :2]), net.predict(X[:, :2]))


def nets_without_functions():
    """A process that is spawned cannot import this file."""
    return [mg.Network(mg.Linear(3, 5), mg.Tanh(), mg.Linear(5, 2), seed=k) for k in (0, 1)]


PREDICT = operator.methodcaller("predict", X)


def test_process_pools():
    nets = nets_without_functions()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for net, out in zip(nets, pool.map(PREDICT, nets), strict=True):
            assert np.array_equal(net.predict(X), out)


@pytest.mark.thread_unsafe(reason="joblib's pool is one for all threads")
def test_joblib():
    joblib = pytest.importorskip("joblib")
    nets = nets_without_functions()
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(PREDICT)(net) for net in nets)
    for net, out in zip(nets, found, strict=True):
        assert np.array_equal(net.predict(X), out)
