"""Trainings by fit, and the same ones by hand in small steps."""

import micrograd as mg
from micrograd.optim import SGD
from support.runs import data, orders

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


def chunks(n=20):
    return [(X[i : i + n], Y[i : i + n]) for i in range(0, len(X), n)]


def binary(outputs=1):
    net = mg.Network(mg.Linear(5, 4), mg.Tanh(), mg.Linear(4, outputs), loss="bce", seed=1,
                     dtype="float64")  # fmt: skip
    return net, (X[:, 0] > 0).astype(int)
