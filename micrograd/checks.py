"""Checks of the numbers that settings are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from micrograd import core


def checked_number(
    where: str, name: str, value: Any, least: float = 0.0, below: float = math.inf
) -> float:
    """A float in [least, below).

    Raises:
        TypeError, ValueError: it is no number, or out of its range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{where}: {name} is {core.describe(value)}, a number is wanted")
    if not least <= value < below:
        limit = "" if below == math.inf else f" and less than {below:g}"
        raise ValueError(
            f"{where}: {name} is {value}, a finite number, {least:g} or more{limit}, is wanted"
        )
    return float(value)


def checked_count(where: str, name: str, value: Any, least: int = 1) -> int:
    """An integer of at least `least`.

    Raises:
        TypeError, ValueError: it is no integer, or less.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{where}: {name} is {core.describe(value)}, an integer is wanted")
    if value < least:
        raise ValueError(f"{where}: {name} is {value}, {least} or more is wanted")
    return int(value)
