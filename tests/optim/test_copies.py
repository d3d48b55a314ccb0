"""Copies of optimizers and histories: each with arrays of its own, going on with the same bits."""

import copy
import pickle

import numpy as np
import pytest
from support.bits import same_bits

import micrograd as mg
from micrograd.optim import LBFGS, SGD, Adam, NAdam, RMSprop

X, Y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}
KINDS = {
    "SGD": lambda p: SGD(p, lr=0.1, momentum=0.9),
    "RMSprop": lambda p: RMSprop(p, centered=True),
    "Adam": lambda p: Adam(p, lr=mg.schedule.Cosine(0.1, 30), amsgrad=True),
    "NAdam in groups": lambda p: NAdam([{"params": p[:2], "lr": 0.1}, {"params": p[3:]}]),
}


def trained(kind):
    net = mg.Network(mg.Linear(3, 4), mg.ReLU(), mg.Linear(4, 2), seed=0)
    history = net.fit(X, Y, epochs=2, optimizer=KINDS[kind](net.parameters()), seed=0)
    return net, history


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_and_its_optimizer_go_on_alike(kind, way):
    net, history = trained(kind)
    other, start = WAYS[way](net), net.parameters().flat.copy()
    assert other.optimizer.owner is other.parameters() is not net.parameters()
    assert repr(other.optimizer) == repr(net.optimizer)
    other.fit(X, Y, epochs=2, optimizer=other.optimizer, seed=1)
    assert same_bits(net.parameters().flat, start) and other.optimizer.steps == 4
    net.fit(X, Y, epochs=2, optimizer=net.optimizer, seed=1)
    assert same_bits(net.parameters().flat, other.parameters().flat)
    assert WAYS[way](history) == history


@pytest.mark.parametrize("kind", KINDS)
def test_a_shallow_copy_has_a_state_of_its_own(kind):
    net, _ = trained(kind)
    other = copy.copy(net.optimizer)
    assert other.owner is net.parameters()
    for name, array in other.state.items():
        assert same_bits(array, net.optimizer.state[name])
        assert not np.shares_memory(array, net.optimizer.state[name])


def test_lbfgs():
    pytest.importorskip("scipy")
    net, _ = trained("SGD")
    for way in WAYS.values():
        other = way(LBFGS(net.parameters(), max_iter=7))
        assert other.max_iter == 7 and other.owner is not net.parameters()
