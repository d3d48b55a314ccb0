"""Colours and fonts of every drawing: on white, on dark, on paper.

Positive is blue and negative orange: a pair that people with any of the common kinds of colour
blindness tell apart (Okabe and Ito 2008), and a sign is always written too. Size is how strong the
colour is. Text keeps a contrast of 4.5 to 1 or more with what lies under it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MONO = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "card": "#f7f8fa",
    "ink": "#16191d",
    "muted": "#545c66",
    "line": "#9aa3ad",
    "positive": "#0072b2",
    "negative": "#c75300",
    "leaf": "#e9f0e6",
    "leaf-line": "#5b7553",
    "cache": "#f4ecd8",
    "cache-line": "#8a6a1a",
    "focus": "#7b3fa0",
}
DARK: Mapping[str, str] = {
    "paper": "#12161b",
    "card": "#1c222a",
    "ink": "#e8ecf1",
    "muted": "#a5b0bc",
    "line": "#66727f",
    "positive": "#56b4e9",
    "negative": "#f0953f",
    "leaf": "#1f2b22",
    "leaf-line": "#8fb083",
    "cache": "#2e2818",
    "cache-line": "#d2b15c",
    "focus": "#c79be0",
}

DECADES = 4.0  # from the largest size to the faintest colour
FAINTEST = 0.15


def strength(x: float | None, largest: float) -> float:
    """How strong the colour of x is, 0 to 1: by its logarithm, four decades below the largest."""
    if x is None or x == 0 or x != x or not largest > 0:
        return 0.0
    if math.isinf(x) or math.isinf(largest):
        return 1.0 if math.isinf(x) else FAINTEST
    ratio = abs(x) / largest
    if ratio == 0:
        return FAINTEST
    return min(1.0, max(FAINTEST, 1 + math.log10(ratio) / DECADES))


def properties(colours: Mapping[str, str]) -> str:
    """The colours as CSS custom properties, as pages want them."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())
