"""Predicting with frozen weights, for as long as nobody can have changed them.

A Predictor is faster than its network, on one row up to four times, but never changes. That a
weight has not been written to cannot be told without reading all of them, which takes as long as a
row takes. So what is watched is the way to them: training, and attributes that hand them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from micrograd.core import Array
from micrograd.network.network import Network
from micrograd.network.predictor import Predictor


class Still:
    """A time in which the weights stand still. May be used by several threads."""

    def __init__(self) -> None:
        self.used = False
        self.predictor: Predictor | None = None


class Weights:
    """The outputs of a network whose weights may be frozen.

    still: while the weights cannot change; None while they are trained, and for good once they
    have been handed out.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self.still: Still | None = Still()
        self._handed_out = False

    def predict(self, X: Any) -> Array:
        """Network.predict; from the second call on by a Predictor. May be called from several
        threads."""
        still = self.still
        if still is None:
            return self.net.predict(X)
        if still.predictor is None:
            if not still.used:  # many are fitted to be scored once: freezing would cost more
                still.used = True
                return self.net.predict(X)
            still.predictor = self.net.freeze()
        return still.predictor(X)

    def hand_out(self) -> None:
        """Somebody gets arrays to write to, or the network."""
        self._handed_out, self.still = True, None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """While the weights are trained or replaced."""
        self.still = None
        try:
            yield
        finally:
            self.still = None if self._handed_out else Still()


class HandedOut:
    """An attribute of an estimator, kept in its __dict__, that holds weights which may be written
    to: whoever gets or sets it from outside may change them."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, estimator: Any, owner: type) -> Any:
        if estimator is None:
            return self
        own = estimator.__dict__
        try:
            value = own[self.name]
        except KeyError:
            raise AttributeError(
                f"{owner.__name__!r} object has no attribute {self.name!r}"
            ) from None
        self._note(own)
        return value

    def __set__(self, estimator: Any, value: Any) -> None:
        own = estimator.__dict__
        own[self.name] = value
        self._note(own)

    def __delete__(self, estimator: Any) -> None:
        del estimator.__dict__[self.name]

    @staticmethod
    def _note(own: dict[str, Any]) -> None:
        model = own.get("_model")
        if model is not None:
            model.weights.hand_out()
