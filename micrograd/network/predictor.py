"""Predictor: what a network computes, frozen: immutable, for any number of threads at once."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from micrograd import checks, core
from micrograd.core import Array
from micrograd.network.batch import Incoming
from micrograd.network.blocks import pack, unpack
from micrograd.network.c_plan import NOT_ALIGNED, Batch, Plan, address, predict_rows
from micrograd.network.classes import Classifying
from micrograd.network.plans import Planner
from micrograd.network.sparse import SparseRows
from micrograd.parameters import Parameters
from micrograd.sharing import Pool

_ARRAY = np.ndarray


class Predictor(Classifying):
    """The outputs of a network as it was when it was frozen; see Network.freeze.

    Nothing can change it, so nothing has to be locked: any number of threads may call it at once,
    and it goes through pickle to other processes. Training the network goes on beside it.

    Attributes:
        layers, loss_kind, dtype, in_features, out_features: of the network.
        metadata: a copy of the network's; class_names: those of the classes, or None.

    >>> predictor = net.freeze()
    >>> predictor(X).shape
    (1797, 10)
    """

    def __init__(self, net: Any) -> None:
        self._set(
            {
                "layers": net.layers,
                "loss_kind": net.loss_kind,
                "dtype": net.dtype,
                "in_features": net.in_features,
                "metadata": copy.deepcopy(net.metadata),
            },
            _copied(net.parameters()),
        )

    def _set(self, about: dict[str, Any], parameters: Parameters) -> None:
        layers, loss, dtype = about["layers"], about["loss_kind"], about["dtype"]
        planner = Planner(layers, about["in_features"], loss, dtype, 0, None, parameters)
        features = about["in_features"], planner.out_features
        plans = planner.predicting(planner.functions.targets)
        first = plans.take().freeze()  # what cannot be made is an error now
        pool = Pool(lambda: plans.take().freeze(first))
        pool.give(first)
        own = about | {
            "out_features": planner.out_features,
            "_about": about,
            "_incoming": Incoming(layers, features, loss, dtype),
            "_parameters": parameters,
            "_dtype": np.dtype(dtype),
            "_take": pool.take,
            "_give": pool.give,
        }
        vars(self).update(own)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"Predictor: {name} cannot be set, a predictor never changes")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Predictor: {name} cannot be deleted, a predictor never changes")

    def __call__(self, X: Any, out: Array | None = None) -> Array:
        """The network's outputs (rows, out_features), as Network.predict gave them.

        Args:
            X: (rows, in_features), real and finite, or a sparse matrix of scipy's.
            out: where to write them: a C-contiguous array (rows, out_features) of the network's
                dtype that shares no memory with X; None makes one.

        Raises:
            TypeError, ValueError: input or `out` that does not fit.
            MemoryError: there is no memory for a block of rows.
        """
        x = None
        try:  # an array that needs no conversion
            rows, columns = X.shape
            plain = type(X) is _ARRAY and X.dtype is self._dtype  # a subclass may have a mask
            if plain and columns == self.in_features and rows:
                x = address(X)
        except (AttributeError, TypeError, ValueError, BufferError):
            pass
        if x is None:
            X = self._incoming.rows("Predictor", X)
            if isinstance(X, SparseRows):
                return self._sparse(X, out)
            rows, x = len(X), address(X)
        if out is None:
            out = np.empty((rows, self.out_features), self._dtype)
            to = address(out)
        else:
            to = self._checked_out(X, rows, out)
        plan: Plan = self._take()
        try:
            status = predict_rows(plan.c, x, rows, to, core.threads, plan.result)
            if status == NOT_ALIGNED:
                X = self._incoming.features("Predictor", X)
                status = predict_rows(plan.c, address(X), rows, to, core.threads, plan.result)
            if status:
                batch = Batch(X, self.out_features)
                raise self._incoming.error("Predictor", status, plan.result, batch)
        finally:
            self._give(plan)
        return out

    def _sparse(self, X: SparseRows, out: Array | None) -> Array:
        if out is None:
            out = np.empty((len(X), self.out_features), self._dtype)
        else:
            self._checked_out(X.values, len(X), out)
        plan: Plan = self._take()
        try:
            status = plan.predict(X, out)
            if status:
                batch = Batch(X, self.out_features)
                raise self._incoming.error("Predictor", status, plan.result, batch)
        finally:
            self._give(plan)
        return out

    def _checked_out(self, X: Array, rows: int, out: Array) -> Any:
        shape = rows, self.out_features
        if not isinstance(out, np.ndarray) or out.dtype != self._dtype or out.shape != shape:
            raise ValueError(
                f"Predictor: out is {checks.describe(out)}, an array of {self.dtype} with shape "
                f"{shape} is wanted"
            )
        is_view = out.base is not None or X.base is not None or out is X
        if is_view and np.may_share_memory(X, out):
            raise ValueError("Predictor: out shares memory with X; an array of its own is wanted")
        if not out.flags.carray:
            raise ValueError(
                "Predictor: out has to be writable, aligned and C-contiguous, as numpy.empty "
                "makes it"
            )
        return core.address(out)

    def outputs(self, where: str, X: Any) -> Array:
        """The outputs (rows, out_features)."""
        return self(X)

    def weights(self) -> dict[str, Array]:
        """Every weight matrix and bias by its name in the network, copied.

        >>> net.freeze().weights()["0.weight"].shape
        (32, 64)
        """
        return {p.name: p.data.copy() for p in self._parameters}

    # ---- a copy of what never changes is itself; a pickle holds what it was made from ----

    def __copy__(self) -> Predictor:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Predictor:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self._about | {"layers": pack(self.layers), "parameters": self._parameters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        about = dict(state)
        parameters = about.pop("parameters")
        self._set(about | {"layers": unpack(about["layers"])}, parameters)

    def __repr__(self) -> str:
        layers = ", ".join(str(layer) for layer in self.layers)
        return f"Predictor({layers}, dtype={self.dtype!r})"

    # What vars() holds, for type checkers.
    layers: tuple[Any, ...]
    dtype: str
    in_features: int
    _about: dict[str, Any]
    _incoming: Incoming
    _parameters: Parameters
    _dtype: np.dtype[Any]
    _take: Any
    _give: Any


def _copied(parameters: Parameters) -> Parameters:
    """A copy, made while nobody writes."""
    with parameters.access.reading():
        return copy.copy(parameters)
