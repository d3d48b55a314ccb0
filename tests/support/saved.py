"""A small network, and the same with an optimizer and metadata: what is saved in tests."""

import numpy as np

import micrograd as mg
from micrograd.optim import SGD

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 4)), RNG.integers(0, 3, 40)


def network(**settings):
    return mg.Network(
        mg.Linear(4, 6), mg.LeakyReLU(0.2), mg.Linear(6, 5, bias=False, init="he"), mg.Tanh(),
        mg.Linear(5, 3), mg.Identity(), seed=3, **settings,
    )  # fmt: skip


def trained(**settings):
    net = network(**settings)
    net.optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    net.fit(X, Y, epochs=2, optimizer=net.optimizer, seed=0, progress=False)
    net.metadata = {"scaling": [1.5, 2.0], "é": "ü"}
    return net
