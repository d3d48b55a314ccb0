"""fit: minibatches, shuffling, validation, history and a progress line."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from micrograd import core
from micrograd.core import Array
from micrograd.data import batches
from micrograd.optim import SGD

if TYPE_CHECKING:
    from micrograd.network import Network
    from micrograd.tape import Program

EVALUATION_ROWS = 1024  # a block of validation data: few enough for the cache


@dataclass
class History:
    """What happened in each epoch: lists of one length.

    loss: mean training loss over the epoch, while the weights changed; val_loss, val_accuracy:
    after the epoch, on the validation data (empty without; accuracy only for classes); seconds:
    since the start of fit, validation included.
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, list[float]]:
        """The lists by name."""
        return dict(vars(self))

    def line(self, epochs: int) -> str:
        """The last epoch in words."""
        text = f"epoch {len(self.loss):{len(str(epochs))}d}/{epochs}  loss {self.loss[-1]:.4f}"
        if self.val_loss:
            text += f"  val_loss {self.val_loss[-1]:.4f}"
        if self.val_accuracy:
            text += f"  val_accuracy {self.val_accuracy[-1]:.4f}"
        return text + f"  {self.seconds[-1]:.2f} s"


class _Progress:
    """One line that is written over on a terminal, a line an epoch elsewhere; nothing when off."""

    def __init__(self, wanted: bool | None) -> None:
        self.terminal = sys.stderr.isatty()
        self.on = self.terminal if wanted is None else wanted
        self.last = 0.0

    def show(self, history: History, epochs: int) -> None:
        if not self.on:
            return
        done = len(history.loss) == epochs
        if not self.terminal:
            print(history.line(epochs), file=sys.stderr)
        elif done or time.perf_counter() - self.last > 0.05:
            self.last = time.perf_counter()
            line = "\r\x1b[K" + history.line(epochs)
            print(line, end="\n" if done else "", file=sys.stderr, flush=True)


def evaluate(net: Network | Program, X: Array, y: Array) -> tuple[float, float | None]:
    """The mean loss over all rows, and for cross_entropy the share of rows whose largest output is
    the class in y: labels (rows,) or rows of probabilities. Gradients stay as they are."""
    total, right, has_classes = 0.0, 0, net.loss_name == "cross_entropy"
    for start in range(0, len(X), EVALUATION_ROWS):
        X_part, y_part = X[start : start + EVALUATION_ROWS], y[start : start + EVALUATION_ROWS]
        total += net.loss(X_part, y_part) * len(X_part)
        if has_classes:
            classes = y_part.argmax(axis=1) if y_part.ndim == 2 else y_part
            outputs = cast("Network", net).cached_output(len(X_part))
            right += int((outputs.argmax(axis=1) == classes).sum())
    return total / len(X), right / len(X) if has_classes else None


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"Network.fit: {name} is {core.describe(value)}, an integer is wanted")
    if value < 1:
        raise ValueError(f"Network.fit: {name} is {value}, 1 or more is wanted")
    return int(value)


def _checked_norm(clip_norm: Any) -> float:
    """What the C core calls max_norm: 0 for no clipping."""
    if clip_norm is None:
        return 0.0
    if isinstance(clip_norm, bool) or not isinstance(clip_norm, (int, float, np.number)):
        raise TypeError(f"Network.fit: clip_norm is {core.describe(clip_norm)}, a number is wanted")
    if not clip_norm > 0:
        raise ValueError(f"Network.fit: clip_norm is {clip_norm}, more than 0 is wanted")
    return float(clip_norm)


def _generator(seed: Any) -> np.random.Generator:
    if seed is not None and (isinstance(seed, bool) or not hasattr(seed, "__index__") or seed < 0):
        raise ValueError(
            f"Network.fit: seed is {core.describe(seed)}, an integer, 0 or more, or None is wanted"
        )
    return np.random.default_rng(seed)


def _checked_optimizer(net: Network | Program, optimizer: Any) -> SGD:
    if optimizer is None:
        return SGD(net.parameters(), lr=0.05, momentum=0.9)
    if not isinstance(optimizer, SGD):
        raise TypeError(
            f"Network.fit: optimizer is {core.describe(optimizer)}, a micrograd.optim.SGD is wanted"
        )
    if optimizer.params is not net.parameters():
        raise ValueError("Network.fit: the optimizer is for the parameters of another model")
    return optimizer


def fit(
    net: Network | Program,
    X: Any,
    y: Any,
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: SGD | None = None,
    validation: tuple[Any, Any] | None = None,
    clip_norm: float | None = None,
    progress: bool | None = None,
    seed: int | None = None,
) -> History:
    """Trains a network, or a compiled function of two arguments, on minibatches.

    Args:
        X, y: as for net.loss; every epoch goes over all rows once, in a new order.
        epochs, batch_size: 1 or more; the last batch of an epoch may be smaller.
        optimizer: default SGD(lr=0.05, momentum=0.9). It keeps its state from call to call.
        validation: (X, y) to evaluate after each epoch.
        clip_norm: gradients of a larger Euclidean norm are scaled down to it (section 9).
        progress: True or False; None shows it on a terminal only. It goes to standard error.
        seed: of the shuffling; None draws one. Same data, weights and seed: same bits.

    Returns:
        The History.

    Raises:
        TypeError, ValueError: input that does not fit; nothing has changed then.
        FloatingPointError: the loss is no longer finite; the weights are those before that step.
    """
    epochs, batch_size = _positive("epochs", epochs), _positive("batch_size", batch_size)
    optimizer = _checked_optimizer(net, optimizer)
    max_norm = _checked_norm(clip_norm)
    rng = _generator(seed)
    data, held = net.checked_batch("Network.fit", X, y)
    rows = int(data.rows)
    check = None
    if validation is not None:
        if not isinstance(validation, Sequence) or len(validation) != 2:
            raise TypeError(
                f"Network.fit: validation is {core.describe(validation)}, a pair (X, y) is wanted"
            )
        check, _ = net.checked_batch("Network.fit (validation)", *validation)
        X_val = core.as_reals("Network.fit", "validation X", validation[0], net.parameters().dtype)
        y_val = np.asarray(validation[1])
    history, bar, start = History(), _Progress(progress), time.perf_counter()
    for _ in range(epochs):
        total = 0.0
        for index in batches(rows, batch_size, rng):
            total += net.train_step(data, index, optimizer, max_norm) * len(index)
        history.loss.append(total / rows)
        if check is not None:
            loss, accuracy = evaluate(net, X_val, y_val)
            history.val_loss.append(loss)
            if accuracy is not None:
                history.val_accuracy.append(accuracy)
        history.seconds.append(time.perf_counter() - start)
        bar.show(history, epochs)
    del held
    return history
