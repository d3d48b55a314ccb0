"""PNG, drawn by matplotlib, which brings its fonts along: the same picture on every machine."""

from __future__ import annotations

import io

from micrograd.checks import require
from micrograd.draw.palette import LIGHT
from micrograd.draw.scene import (
    HEAD,
    LABEL,
    NAME,
    PAD,
    ROW,
    TITLE,
    VALUE,
    Card,
    Scene,
    Wire,
    outline,
)
from micrograd.draw.svg import EDGE, LINE, NOTE, wrapped

SCALE = 2.0  # pixels of the file for one of the drawing
LARGEST = 30_000  # pixels along a side: what the rasterizer takes, with some room
POINT = 72 / 96  # a font size in points, for one in pixels
TINT = {1: LIGHT["positive"], -1: LIGHT["negative"], 0: LIGHT["line"]}
FILL = {"leaf": "leaf", "input": "leaf", "cache": "cache"}


class _Canvas:
    """An axis whose unit is a pixel of the drawing, y down."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(width / 96, height / 96), facecolor=LIGHT["paper"])
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")

    def text(
        self, x: float, y: float, text: str, size: float, colour: str, end: str = "left",
        mono: bool = False, bold: bool = False,
    ) -> None:  # fmt: skip
        """One line of text; never as mathematics."""
        self.axes.text(
            x, y, text, ha=end, va="baseline", color=LIGHT[colour], fontsize=size * POINT,
            family="DejaVu Sans Mono" if mono else "DejaVu Sans",
            weight="bold" if bold else "normal", parse_math=False,
        )  # fmt: skip

    def box(
        self, x: float, y: float, w: float, h: float, radius: float, fill: str,
        line: str = "none", alpha: float = 1.0, style: str = "-", thick: float = 1.0,
    ) -> None:  # fmt: skip
        """A rectangle with round corners."""
        from matplotlib.patches import FancyBboxPatch

        shape = f"round,pad=0,rounding_size={min(radius, h / 2)}"
        patch = FancyBboxPatch(
            (x, y), w, h, boxstyle=shape, facecolor=fill, edgecolor=line, alpha=alpha,
            linewidth=thick * POINT, linestyle=style,
        )  # fmt: skip
        self.axes.add_patch(patch)


def _draw_wire(canvas: _Canvas, wire: Wire, dx: float, dy: float) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    codes = {"M": [Path.MOVETO], "L": [Path.LINETO], "C": [Path.CURVE4] * 3}
    points, kinds = [], []
    for command, part in outline(wire):
        points += [(x + dx, y + dy) for x, y in part]
        kinds += codes[command]
    colour = TINT[wire.sign]
    alpha = 0.45 + 0.55 * wire.strength if wire.sign else 1.0
    style = (0, (1, 4)) if wire.dashed else "-"
    path = Path(points, kinds)
    thick = (1.1 + 2.2 * wire.strength) * POINT
    canvas.axes.add_patch(
        PathPatch(path, fill=False, edgecolor=colour, linewidth=thick, alpha=alpha, linestyle=style)
    )
    x, y = wire.route[-1][0] + dx, wire.route[-1][1] + dy
    if wire.vertical:
        back = -6 if wire.route[-1][1] > wire.route[0][1] else 6
        head = [(x, y), (x - 3.5, y + back), (x + 3.5, y + back)]
    else:
        back = 6 if wire.lead < 0 else -6
        head = [(x, y), (x + back, y - 3.5), (x + back, y + 3.5)]
    canvas.axes.add_patch(Polygon(head, closed=True, facecolor=colour, edgecolor="none"))
    if wire.label:
        canvas.text(x - 9, y - 4, wire.label, LABEL, "muted", "right", mono=True)


def _draw_card(canvas: _Canvas, card: Card, dx: float, dy: float) -> None:
    x, y = card.x + dx, card.y + dy
    fill = FILL.get(card.kind, "card")
    line = (
        "ink" if card.kind in ("result", "loss") else f"{fill}-line" if fill != "card" else "line"
    )
    canvas.box(
        x, y, card.w, card.h, 11 if card.kind in ("number", "cache") else 6, LIGHT[fill],
        LIGHT[line], style="--" if card.kind == "constant" else "-",
        thick=2 if line == "ink" else 1,
    )  # fmt: skip
    y += (card.h - (HEAD if card.has_head else 0) - ROW * len(card.rows) - 8) / 2 + 4
    if card.has_head:
        if card.badge:
            canvas.box(x + PAD - 3, y + 1, card.badge_width, 18, 9, LIGHT["ink"])
            middle = x + PAD - 3 + card.badge_width / 2
            canvas.text(middle, y + 14.2, card.badge, 12, "paper", "center", mono=True)
        left = x + PAD + card.title_left - (3 if card.badge else 0)
        canvas.text(left, y + 14.5, card.title, TITLE, "ink", bold=True)
        y += HEAD
    for row in card.rows:
        if row.sign:
            canvas.box(x + 3, y, card.w - 6, 16, 3, TINT[row.sign], alpha=0.4 * row.strength)
        canvas.text(x + PAD, y + 12.2, row.name, NAME, "muted")
        canvas.text(x + card.w - PAD, y + 12.2, row.value, VALUE, "ink", "right", mono=True)
        y += ROW


def render(scene: Scene) -> bytes:
    """The file, twice as fine as the drawing where that is possible.

    Raises:
        ImportError: matplotlib is not installed; says how to install it.
        ValueError: the drawing is too large for a picture of dots.
    """
    require("Drawing.save: a .png", "matplotlib", "matplotlib", "plot")
    width = max(scene.width, 320.0) + 2 * EDGE
    lines = [(note, "ink") for note in wrapped(scene.notes, width - 2 * EDGE)]
    lines += [(note, "muted") for note in wrapped(scene.legend, width - 2 * EDGE)]
    top = EDGE + 22
    height = top + scene.height + LINE * len(lines) + 10 + EDGE
    scale = min(SCALE, LARGEST / max(width, height))
    if scale < 0.25:
        raise ValueError(
            f"Drawing.save: {width:.0f} x {height:.0f} pixels are too many for .png; "
            "save .svg or .html, or draw with collapse=True"
        )
    canvas = _Canvas(width, height)
    canvas.text(EDGE, EDGE + 9, scene.title, 15, "ink", bold=True)
    for band in scene.bands:
        x, y = band.x + EDGE, band.y + top
        canvas.box(x, y, band.w, band.h, 8, "none", LIGHT["line"], style=":")
        canvas.text(x + 10, y + 16, band.name, NOTE, "muted")
    for wire in scene.wires:
        _draw_wire(canvas, wire, EDGE, top)
    for card in scene.cards:
        _draw_card(canvas, card, EDGE, top)
    y = top + scene.height + 10
    for text, colour in lines:
        y += LINE
        canvas.text(EDGE, y, text, NOTE, colour)
    file = io.BytesIO()
    canvas.figure.savefig(file, format="png", dpi=96 * scale, metadata={"Software": None})
    return file.getvalue()
