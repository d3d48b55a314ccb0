"""Small training runs: a network, its data, and the orders that fit draws."""

import numpy as np

import micrograd as mg
from support.networks import targets_for


def network(loss="cross_entropy", dtype="float64", width=11, inputs=5):
    return mg.Network(
        mg.Linear(inputs, width), mg.GELU(), mg.Linear(width, 3), loss=loss, dtype=dtype, seed=2
    )


def data(loss="cross_entropy", rows=53, inputs=5, dtype="float64"):
    rng = np.random.default_rng(3)
    net = network(loss, dtype, inputs=inputs)
    return rng.normal(size=(rows, inputs)).astype(dtype), targets_for(net, rows, rng)


def orders(rows, batch_size, epochs, seed):
    """The row numbers of each batch of each epoch."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = np.arange(rows)
        rng.shuffle(order)
        yield [order[i : i + batch_size] for i in range(0, rows, batch_size)]
