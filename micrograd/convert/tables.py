"""Estimators for tables as conversions take them: their networks and their schema."""

from __future__ import annotations

from typing import Any

from micrograd.network.network import Network
from micrograd.tabular.schema import Schema


def is_tabular(model: object) -> bool:
    """Whether it is a TabularClassifier or TabularRegressor."""
    return any(
        kind.__module__.startswith("micrograd.sklearn.")
        and kind.__name__ in ("TabularClassifier", "TabularRegressor")
        for kind in type(model).__mro__
    )


def parts_of(where: str, model: Any) -> tuple[list[Network], Schema, bool]:
    """The networks of an estimator, its schema with the targets, and whether answers are clamped.

    Raises:
        ValueError: it is not fitted, or its answers are no plain function of the outputs.
    """
    if not hasattr(model, "networks_"):
        raise ValueError(f"{where}: this {type(model).__name__} is not fitted; call fit first")
    loss = getattr(model, "fitted_loss_", None)
    if loss in ("poisson", "quantile"):
        raise ValueError(
            f"{where}: loss {loss!r} has outputs that are no quantities of one scale; pass its "
            "networks_[0], and scale the answers yourself"
        )
    if not model.schema_.features:
        raise ValueError(f"{where}: the table has no feature that says anything; nothing to write")
    return list(model.networks_), model.schema_, loss == "squared_error"


def single(where: str, networks: list[Network]) -> Network:
    """The only one of them.

    Raises:
        ValueError: there are several.
    """
    if len(networks) > 1:
        raise ValueError(
            f"{where}: an average of {len(networks)} networks, one is wanted; write ONNX, or fit "
            "with preset 'default'"
        )
    return networks[0]
