"""Small charts of plain lists, as SVG: how a training run went, what arrives at each layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from micrograd.draw.svg import coordinate, style, text_at, wrapped
from micrograd.draw.text import number, plain, shorten, xml

WIDE, HIGH, LEFT, TOP = 460.0, 190.0, 62.0, 44.0
BAR, NAMES = 20.0, 190.0
# Curves differ in their dashes too, not by colour alone.
CURVES = (("mg-wp", ""), ("mg-wn", "6 3"), ("mg-wz", "2 3"), ("mg-wp", "9 3 2 3"), ("mg-wn", "1 3"))


def _document(title: str, wide: float, high: float, parts: Sequence[str]) -> str:
    size = f'width="{coordinate(wide)}" height="{coordinate(high)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mg-drawing" role="img" {size} '
        f'viewBox="0 0 {coordinate(wide)} {coordinate(high)}" aria-label="{xml(title)}">{style()}'
        f'<rect class="mg-paper" width="100%" height="100%"/>'
        f"{text_at(16, 25, 'mg-head mg-ink', title)}{''.join(parts)}</svg>\n"
    )


def curves(title: str, x_name: str, series: Mapping[str, Sequence[float]]) -> str:
    """Lists of one length as curves over 1, 2, 3, ...; each has its own scale written at its end.

    What is not finite leaves a gap. Lists that are empty are left out.
    """
    drawn = {plain(name): list(ys) for name, ys in series.items() if len(ys)}
    if not drawn:
        return _document(title, WIDE, 70, [text_at(16, 52, "mg-note mg-muted", "nothing yet")])
    finite = [y for ys in drawn.values() for y in ys if math.isfinite(y)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    span = (high - low) or 1.0
    longest = max(map(len, drawn.values()))
    right = LEFT + WIDE
    parts = [
        f'<path class="mg-wire mg-wz" d="M{LEFT},{TOP}V{TOP + HIGH}H{right}" stroke-width="1"/>'
    ]
    for y in dict.fromkeys((low, (low + high) / 2, high)):
        at = TOP + HIGH * (1 - (y - low) / span)
        parts.append(text_at(LEFT - 6, at + 4, "mg-name mg-mono mg-muted", number(y), "end"))
    parts.append(text_at(LEFT, TOP + HIGH + 17, "mg-name mg-muted", f"{x_name} 1"))
    parts.append(text_at(right, TOP + HIGH + 17, "mg-name mg-muted", str(longest), "end"))
    for i, (name, ys) in enumerate(drawn.items()):
        kind, dash = CURVES[i % len(CURVES)]
        points, pen = [], "M"
        for x, y in enumerate(ys):
            if not math.isfinite(y):
                pen = "M"
                continue
            px = LEFT + WIDE * (x / (longest - 1) if longest > 1 else 0.5)
            py = TOP + HIGH * (1 - (y - low) / span)
            points.append(f"{pen}{coordinate(px)},{coordinate(py)}")
            pen = "L"
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        line = f'class="mg-wire {kind}" stroke-width="2" stroke-linecap="round"{dashes}'
        parts.append(f'<path {line} d="{"".join(points)}"/>')
        y = TOP + 14 + 20 * i
        parts.append(f'<path {line} d="M{right + 16},{y - 4}h26"/>')
        label = f"{shorten(name, 20)} {number(ys[-1])}"
        parts.append(text_at(right + 50, y, "mg-note mg-ink", label))
    return _document(title, right + 260, TOP + max(HIGH, 20.0 * len(drawn)) + 34, parts)


def bars(title: str, rows: Sequence[tuple[str, float, str]], note: str = "") -> str:
    """Names, sizes on a logarithmic scale, and a word to each."""
    sizes = [size for _, size, _ in rows if math.isfinite(size) and size > 0]
    top = math.log10(max(sizes, default=1.0))
    bottom = min(math.log10(min(sizes, default=1.0)), top - 1) - 0.3
    parts = []
    for i, (name, size, word) in enumerate(rows):
        y = TOP + BAR * i
        parts.append(text_at(16, y + 13, "mg-note mg-ink", shorten(plain(name), 28)))
        long = 0.0
        if size > 0:
            long = 1.0 if math.isinf(size) else (math.log10(size) - bottom) / (top - bottom)
        kind = "mg-tp" if word == "healthy" else "mg-tn"
        parts.append(
            f'<rect class="{kind}" x="{16 + NAMES}" y="{coordinate(y + 2)}" height="{BAR - 6}" '
            f'width="{coordinate(max(0.0, long) * WIDE / 2)}" rx="3"/>'
        )
        words = f"{number(size)}  {plain(word)}"
        x = 16 + NAMES + max(0.0, long) * WIDE / 2 + 8
        parts.append(text_at(x, y + 13, "mg-note mg-mono mg-ink", words))
    wide = 16 + NAMES + WIDE / 2 + 190
    high = TOP + BAR * len(rows) + 12
    for line in wrapped([plain(note)] if note else [], wide - 32):
        parts.append(text_at(16, high + 4, "mg-note mg-muted", line))
        high += 17
    return _document(title, wide, high, parts)
