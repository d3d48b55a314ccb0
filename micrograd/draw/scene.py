"""What is on a drawing, before any format: cards with rows of text, wires between them.

`arrange` gives it coordinates; svg, png, dot and mermaid write it down.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from micrograd.draw.layers import longest_path
from micrograd.draw.layout import Point, layout
from micrograd.draw.text import shorten, width

Sign = Literal[-1, 0, 1]
PAD, ROW, HEAD, PORT = 9.0, 17.0, 22.0, 17.0  # inner margin, a row, the title, between two ports
NAME, VALUE, TITLE, LABEL = 10.5, 12.0, 13.0, 10.5  # font sizes
BOLD = 1.07  # a bold letter for a regular one
TIP = 5.0  # the line ends so far before its arrowhead does
LONGEST = 32  # characters of a title or value on a card; all of it stands in the tooltip


def sign_of(x: float | None) -> Sign:
    """-1, 0 (also for what is not known) or 1."""
    return 0 if x is None or x == 0 or x != x else 1 if x > 0 else -1


@dataclass
class Row:
    """A name and a value; sign and strength colour the row, for a gradient."""

    name: str
    value: str
    sign: Sign = 0
    strength: float = 0.0
    key: str = ""  # its id on a page


@dataclass
class Card:
    """A box. kind: "leaf", "constant", "number", "input", "op", "group", "loss" or "cache"."""

    kind: str
    title: str = ""
    badge: str = ""
    rows: list[Row] = field(default_factory=list)
    tooltip: str = ""
    ports: int = 0
    key: str = ""  # its id on a page
    x: float = 0.0
    y: float = 0.0
    w: float = 0.0
    h: float = 0.0

    def measure(self) -> None:
        """Sets w and h to what the text and the ports need."""
        self.title = shorten(self.title, LONGEST)
        head = self.title_left + BOLD * width(self.title, TITLE) if self.has_head else 0.0
        names = max((width(row.name, NAME) for row in self.rows), default=0.0)
        values = max((width(row.value, VALUE, mono=True) for row in self.rows), default=0.0)
        inner = max(head, names + values + (10 if names else 0))
        self.w = max(30.0, inner + 2 * PAD)
        text = (HEAD if self.has_head else 0) + ROW * len(self.rows) + 8
        self.h = max(text, PORT * self.ports + 4)

    @property
    def has_head(self) -> bool:
        """Whether there is a line for badge and title."""
        return bool(self.title or self.badge)

    @property
    def badge_width(self) -> float:
        """Of the pill around the op's symbol."""
        return max(20.0, width(self.badge, 12.0, mono=True) + 10) if self.badge else 0.0

    @property
    def title_left(self) -> float:
        """Where the title begins, from the inner left edge."""
        return self.badge_width + (7 if self.badge and self.title else 0)


@dataclass
class Wire:
    """A line from one card to another; sign and strength colour it, dashed is for the cache."""

    source: int
    target: int
    label: str = ""
    sign: Sign = 0
    strength: float = 0.0
    tooltip: str = ""
    port: float = 0.5
    dashed: bool = False
    key: str = ""
    route: list[Point] = field(default_factory=list)
    lead: float = 0.0
    vertical: bool = False  # leaves and arrives at top or bottom


@dataclass
class Band:
    """A part of the drawing with a name: forward, cache, backward."""

    name: str
    x: float
    y: float
    w: float
    h: float


@dataclass
class Scene:
    """Everything on a drawing. notes: sentences below it, what is hidden before all else."""

    title: str
    cards: list[Card] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    legend: list[str] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def arrange(scene: Scene, room: float = 0.0) -> Scene:
    """Measures the cards and places them, from left to right.

    room: the least that a label gets, for those that a page writes longer ones to.
    """
    for card in scene.cards:
        card.measure()
    _even_widths(scene)
    found = layout(
        [(card.w, card.h) for card in scene.cards],
        [(wire.source, wire.target) for wire in scene.wires],
        [wire.port for wire in scene.wires],
        [max(room, _room(wire)) for wire in scene.wires],
    )
    for card, (x, y) in zip(scene.cards, found.boxes, strict=True):
        card.x, card.y = x, y
    for wire, route, lead in zip(scene.wires, found.routes, found.lead, strict=True):
        wire.route, wire.lead = route, lead
    scene.width, scene.height = found.width, found.height
    return scene


def _even_widths(scene: Scene) -> None:
    """Cards of one column are as wide as the widest, unless they are much narrower."""
    rank = longest_path(len(scene.cards), [(wire.source, wire.target) for wire in scene.wires])
    widest: dict[int, float] = {}
    for card, r in zip(scene.cards, rank, strict=True):
        if card.kind != "number":
            widest[r] = max(widest.get(r, 0.0), card.w)
    for card, r in zip(scene.cards, rank, strict=True):
        if card.kind != "number" and card.w > 0.6 * widest[r]:
            card.w = widest[r]


def _room(wire: Wire) -> float:
    return width(wire.label, LABEL, mono=True) + 16 if wire.label else 0.0


def outline(wire: Wire) -> list[tuple[str, Sequence[Point]]]:
    """The wire as a path: ("M", [p]), ("C", [c1, c2, p]) and ("L", [p]) in turn."""
    points = wire.route
    if wire.vertical:
        (x0, y0), (x1, y1) = points[0], points[-1]
        y1 += -TIP if y1 > y0 else TIP
        bend = (y1 - y0) / 2
        return [("M", [(x0, y0)]), ("C", [(x0, y0 + bend), (x1, y1 - bend), (x1, y1)])]
    parts: list[tuple[str, Sequence[Point]]] = [("M", [points[0]])]
    end = points[-1]
    points = [*points[:-1], (end[0] - wire.lead, end[1])]
    for i, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(points)):
        if y0 == y1 or i % 2:
            parts.append(("L", [(x1, y1)]))
        else:
            middle = (x0 + x1) / 2
            parts.append(("C", [(middle, y0), (middle, y1), (x1, y1)]))
    parts.append(("L", [(end[0] + (TIP if wire.lead < 0 else -TIP), end[1])]))
    return parts


def without_tooltips(scene: Scene) -> Scene:
    """For a page, where numbers change and tell their story themselves."""
    for card in scene.cards:
        card.tooltip = ""
    for wire in scene.wires:
        wire.tooltip = ""
    return scene
