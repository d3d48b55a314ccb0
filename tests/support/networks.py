"""What a network is made to do in many tests."""

import numpy as np


def snapshot(net):
    """Everything of a network that a failed call must leave alone."""
    probe = np.linspace(-1, 1, 3 * net.in_features).reshape(3, -1)
    parameters = net.parameters()
    return [parameters.flat.copy(), parameters.flat_grad.copy(), net.predict(probe)]


def targets_for(net, rows, rng):
    """Random targets of the kind that the network's loss compares with."""
    if net.loss_name == "cross_entropy":
        return rng.integers(0, net.out_features, rows)
    if net.loss_name == "bce":
        return rng.uniform(0, 1, (rows, net.out_features))
    return rng.normal(0, 2, (rows, net.out_features))


def gradients(net, X, y, **keywords):
    """loss and a copy of the flat gradient, from zero."""
    net.zero_grad()
    loss = net.loss(X, y, **keywords)
    net.backward()
    return loss, net.parameters().flat_grad.copy()
