"""predict_many: what several networks say of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.network.network import Network
from micrograd.network.predictor import Predictor
from micrograd.network.sparse import is_sparse


def predict_many(networks: Sequence[Network | Predictor], X: Any) -> list[Array]:
    """The outputs of each network for the same rows: of each the bits of its own predict.

    Networks may differ in shape, loss and dtype; X is converted once for all of a dtype. The rows
    of one network after the other are shared out over mg.get_num_threads() threads. `net.freeze()`
    gives one to predict with again and again.

        outputs = mg.predict_many(networks, X)
        mean = np.mean(outputs, axis=0)

    Args:
        networks: one or more, or what their freeze() gave, in any mixture; one may come twice.
        X: (rows, in_features), real and finite, or a sparse matrix of scipy's.

    Returns:
        Arrays (rows, out_features), in the order of the networks, each in its network's dtype.

    Raises:
        TypeError, ValueError: an argument does not fit; says which network does not take X.
        MemoryError: there is no memory for a block of rows.

    >>> nets = [mg.Network(mg.Linear(64, n), mg.ReLU(), mg.Linear(n, 10)) for n in (8, 16)]
    >>> [output.shape for output in mg.predict_many(nets, X)]
    [(1797, 10), (1797, 10)]
    """
    if not isinstance(networks, (list, tuple)) or not networks:
        raise TypeError(
            f"predict_many: networks is {checks.describe(networks)}, a list of networks is wanted"
        )
    for i, net in enumerate(networks):
        if not isinstance(net, (Network, Predictor)):
            raise TypeError(
                f"predict_many: networks[{i}] is {checks.describe(net)}, a Network or what its "
                "freeze() gives is wanted"
            )
    rows = {net.dtype: X for net in networks}
    if not is_sparse(X):
        rows = {name: checks.reals("predict_many", "X", X, np.dtype(name)) for name in rows}
    return [
        _outputs(f"predict_many: network {i}", net, rows[net.dtype])
        for i, net in enumerate(networks)
    ]


def _outputs(where: str, net: Network | Predictor, X: Any) -> Array:
    """Of one network; errors begin with `where`."""
    if isinstance(net, Network):
        return net.outputs(where, X)
    try:
        output: Array = net(X)
    except (TypeError, ValueError, MemoryError) as error:
        raise type(error)(f"{where}: {error}") from None
    return output
