"""Whether all ranks still have the same parameters."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.distributed.wire import Wire
    from micrograd.parameters import Parameters


class DriftError(RuntimeError):
    """The ranks' parameters are no longer the same.

    >>> try:  # doctest: +SKIP
    ...     model.fit(X, y)  # a DataParallel
    ... except mg.distributed.DriftError as error:
    ...     print(error)
    """


def check_drift(wire: Wire, parameters: Parameters) -> None:
    """Compares a hash of the parameters; all ranks raise where one differs.

    Raises:
        DriftError: names the first tensor that differs, and the ranks that differ from rank 0.
    """
    if wire.ranks == 1:
        return
    hashes = wire.all(_hash(parameters.flat), "compare their parameters")
    if (hashes == hashes[0]).all():
        return
    each = np.stack([_hash(np.ascontiguousarray(p.data)) for p in parameters])
    of_ranks = wire.all(each, "compare their parameters")
    differs = (of_ranks != of_ranks[0]).any(axis=2)  # (ranks, tensors)
    tensor = int(differs.any(axis=0).argmax())
    ranks = ", ".join(map(str, np.flatnonzero(differs[:, tensor])))
    raise DriftError(
        f"DataParallel: the ranks' parameters are no longer the same: {parameters[tensor].name} of "
        f"rank {ranks} differs from rank 0's; something changed them on some ranks alone, such as "
        "a callback or a random choice without a common seed"
    )


def _hash(x: Array) -> Array:
    return np.frombuffer(blake2b(x.tobytes(), digest_size=16).digest(), np.uint8)
