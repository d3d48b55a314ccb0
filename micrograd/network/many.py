"""predict_many: what several networks say of the same rows, shared out over threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from micrograd import checks, core
from micrograd.core import Array
from micrograd.network.network import Network
from micrograd.network.predictor import Predictor
from micrograd.network.sparse import is_sparse

SHORT = 25e6  # multiplications that are over in about a millisecond

T = TypeVar("T")


def predict_many(
    networks: Sequence[Network | Predictor], X: Any, n_threads: int | None = None
) -> list[Array]:
    """The outputs of each network for the same rows: of each the bits of its own predict.

    Networks may differ in shape, loss and dtype. They are shared out over threads, and X is
    converted once for all of a dtype. `net.freeze()` gives one to predict with again and again.

        outputs = mg.predict_many(networks, X)
        mean = np.mean(outputs, axis=0)

    Args:
        networks: one or more, or what their freeze() gave, in any mixture; one may come twice.
        X: (rows, in_features), real and finite, or a sparse matrix of scipy's.
        n_threads: how many networks predict at a time, 1 or more; None: mg.get_num_threads().

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
    threads = core.get_num_threads() if n_threads is None else n_threads
    threads = checks.count("predict_many", "n_threads", threads)
    rows = {net.dtype: X for net in networks}
    if not is_sparse(X):
        rows = {name: checks.reals("predict_many", "X", X, np.dtype(name)) for name in rows}

    def outputs(i: int) -> Array:
        net, where = networks[i], f"predict_many: network {i}"
        if isinstance(net, Network):
            return net.outputs(where, rows[net.dtype])
        try:
            output: Array = net(rows[net.dtype])
        except (TypeError, ValueError, MemoryError) as error:
            raise type(error)(f"{where}: {error}") from None
        return output

    count = max(rows[networks[0].dtype].shape[:1], default=0)
    work = count * sum(_size(net) for net in networks)
    return shared_out(outputs, len(networks), threads, work)


def _size(net: Network | Predictor) -> int:
    """The numbers in its parameters."""
    return net.parameters().size if isinstance(net, Network) else net.parameter_count


def shared_out(call: Callable[[int], T], count: int, threads: int, work: int) -> list[T]:
    """What call(0), ..., call(count - 1) return, made by so many threads; the C core uses as many
    within all of them together. `work`: multiplications; of few this thread makes all calls.

    Raises:
        Exception: that of the first call that has raised one.
    """
    workers = min(threads, count)
    if workers == 1 or work < SHORT:
        with core.limited_threads(threads):
            return [call(i) for i in range(count)]
    from concurrent.futures import ThreadPoolExecutor

    def begin() -> None:
        core.limit_threads_here(max(1, threads // workers))

    with ThreadPoolExecutor(workers, "micrograd", initializer=begin) as pool:
        return list(pool.map(call, range(count)))
