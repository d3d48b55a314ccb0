"""What the functions of this room ask of a Network, which is made below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from micrograd.core import Array
    from micrograd.network.batch import Incoming
    from micrograd.network.c_plan import Batch
    from micrograd.network.layers import Layer
    from micrograd.network.losses import Loss
    from micrograd.network.plans import Planner
    from micrograd.parameters import Parameters


class NetworkView(Protocol):
    """Layers, parameters and loss of a network, and how rows come in and outputs go out."""

    dtype: str
    in_features: int
    out_features: int
    loss_kind: Loss
    planner: Planner
    incoming: Incoming

    @property
    def layers(self) -> Sequence[Layer]:
        """Its layers."""

    @property
    def loss_name(self) -> str:
        """The name of its loss."""

    @property
    def dropout_factor(self) -> Any:
        """What the rates of its dropout are multiplied by."""

    @property
    def step(self) -> int:
        """Training passes so far."""

    def parameters(self) -> Parameters:
        """Its parameters."""

    def batch(self, where: str, X: Any, y: Any, sample_weight: Any = None) -> Batch:
        """Rows and targets, converted."""

    def checked_batch(
        self, where: str, X: Any, y: Any, sample_weight: Any = None, index: Any = None
    ) -> Batch:
        """Rows and targets, converted and checked."""

    def outputs(self, where: str, X: Any) -> Array:
        """The outputs for rows."""
