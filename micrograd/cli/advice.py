"""What would help a model that has been trained: data, regularisation, or a longer run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

FEWEST = 5  # epochs, below which a course says nothing
RISEN = 1.05  # of the lowest held-out loss: from here on the last one tells of overfitting
FALLING = 0.97  # of the held-out loss a fifth of the epochs ago: below, training was not done


def advice(history: Mapping[str, Sequence[float]]) -> str:
    """One sentence from the course of the held-out loss, or why there is none.

    history: lists by name, "loss" and "val_loss" among them, one number for each epoch, NaN where
    it was not measured.
    """
    losses = enumerate(map(float, history.get("val_loss", ())), start=1)
    held_out = [(value, epoch) for epoch, value in losses if not math.isnan(value)]
    epochs = len(held_out)
    if epochs < FEWEST:
        return (
            f"the model file tells of {epochs} epochs with held-out rows, {FEWEST} at least are "
            "wanted to say whether data, regularisation or a longer run would help"
        )
    best, when = min(held_out)
    last, then = held_out[-1][0], held_out[-1 - max(1, epochs // 5)][0]
    if last > RISEN * best:
        return (
            f"held-out loss {best:.4g} in epoch {when}, {last:.4g} in the last: it learns "
            "the training rows by heart; more data or more regularisation (--dropout, "
            "--weight-decay, a smaller network) would help, a longer run would not"
        )
    if last < FALLING * then:
        return (
            f"held-out loss still falling, from {then:.4g} to {last:.4g} in the last fifth "
            "of the epochs: a longer run (--epochs) or a higher learning rate would help"
        )
    return (
        f"held-out loss {last:.4g}, level in the last fifth: neither a longer "
        "run nor more regularisation would help much; other columns, more data or a larger "
        "network may"
    )
