"""Taking back what a fit that fails has changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from micrograd.sklearn.model import Model
from micrograd.sklearn.solvers import Steps


@contextmanager
def as_before_on_failure(estimator: Any) -> Iterator[None]:
    """Takes everything back that has changed in an estimator, if the block ends with an exception:
    attributes, curves, weights and the optimizer's state."""
    own: dict[str, Any] = estimator.__dict__
    before = {k: list(v) if isinstance(v, list) else v for k, v in own.items()}
    model: Model | None = own.get("_model")
    optimizer: Steps | None = own.get("_optimizer")
    weights = None if model is None else model.snapshot()
    state = None if optimizer is None else optimizer.snapshot()
    try:
        yield
    except BaseException:
        own.clear()
        own.update(before)
        if model is not None and weights is not None:
            model.restore(weights)
        if optimizer is not None and state is not None:
            optimizer.restore(state)
        raise
