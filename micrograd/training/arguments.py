"""What fit was given, in one piece."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Arguments:
    """The arguments of Trainable.fit, unchecked; its docstring says what they are."""

    X: Any
    y: Any
    epochs: Any
    batch_size: Any
    optimizer: Any
    validation: Any
    clip_norm: Any
    callbacks: Any
    progress: bool | None
    seed: Any
    resume: str | os.PathLike[str] | None
    shuffle: Any
    sample_weight: Any
    class_weight: Any
    label_smoothing: Any
    dropout_factor: Any
    metrics: Any
    early_stopping: Any
    accumulate: Any
    l1: Any
    l2: Any
    max_norm: Any
    clip_value: Any
