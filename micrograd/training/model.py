"""What training asks of a model: Network and Program both answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from micrograd.saving.position import Resumable

if TYPE_CHECKING:
    from micrograd.atomic import Own
    from micrograd.core import Array
    from micrograd.optim.constraints import Constraints
    from micrograd.optim.optimizer import Optimizer
    from micrograd.saving.read import Saved


class Model(Resumable, Protocol):
    """A model that can be trained.

    out_features: columns of the output, 0 where there is none. first_row: the place in its batch of
    the first row that this process works on, 0 unless the batch is shared out. dropout_factor: of
    the rates of dropout, None where there is no such layer. train_batches: as train_step, for many
    batches in one call: see Network.train_batches; None where each is a call of its own.
    train_many: the same for many models: see Network.train_many; None where each is trained alone,
    and each of its epochs too. train_epochs, pace: several epochs in such a call, and what they
    say: see Network.train_epochs and Network.pace.
    batch_kind: models with the same take the same checked batches; None where each has its own.
    """

    first_row: int
    dropout_factor: Any
    train_batches: Any
    train_many: Any
    train_epochs: Any
    pace: Any
    batch_kind: Any

    out_features: int

    def zero_grad(self) -> None:
        """Sets all gradients to zero."""

    def loss(self, X: Any, y: Any, /) -> float:
        """The forward pass; returns the mean loss."""

    def backward(self) -> None:
        """Adds the gradient of the last loss()."""

    def evaluate(self, X: Any, y: Any, /) -> tuple[float, float | None]:
        """The mean loss and, of classes, the accuracy; changes nothing."""

    def names_in(self, where: str, y: Any) -> list[str] | None:
        """The names of the classes where y has names; None where it has numbers."""

    def numbered(self, where: str, y: Any, names: list[str]) -> Any:
        """y with the number of each name."""

    def keep_names(self, names: list[str]) -> None:
        """Notes the names of the classes."""

    def part(self, rows: int) -> slice:
        """Which of a batch's rows this process works on."""

    def epoch_mean(self, total: float, weight: float) -> float:
        """The mean loss of an epoch from its weighted sum over the batches."""

    def read_progress(self, path: Any, optimizer: Any) -> Saved | None:
        """What fit(resume=path) goes on from; None where there is no file."""

    def write_progress(self, file: Own) -> None:
        """Writes what fit(resume=path) goes on from."""

    def prepare(self, where: str, X: Any, y: Any) -> None:
        """Gets ready for rows like these, where parameters are not known before."""

    def checked_batch(
        self, where: str, X: Any, y: Any, sample_weight: Any = None, index: Any = None
    ) -> Any:
        """A data set that train_step takes rows from, checked; it keeps its arrays alive."""

    def train_step(
        self, data: Any, index: Array, optimizer: Optimizer, constraints: Constraints
    ) -> float:
        """One step on these rows; returns the mean loss before it."""

    def accumulate_step(
        self, data: Any, index: Array, constraints: Constraints, steps: int
    ) -> float:
        """The passes of some rows of the next step; returns the mean loss so far."""

    def place_not_finite(self, X: Any, y: Any) -> str:
        """Where the first number of a forward pass that is not finite lies; "" for none."""


class HasOutputs(Model, Protocol):
    """A model with outputs besides its loss: one with layers."""

    def predict(self, X: Any, /) -> Array:
        """The outputs, (rows, out_features)."""
