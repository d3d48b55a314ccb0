"""The page that steps through a collapsed graph, card by card."""

from __future__ import annotations

import math

from micrograd.draw.collapse import Collapsed, collapse
from micrograd.draw.graph import Graph
from micrograd.draw.layers import longest_path
from micrograd.draw.page import Page, group, render
from micrograd.draw.scene import without_tooltips

NOTE = (
    "Steps go from card to card; collapse=False steps through every node, and lets one change it."
)


def collapsed_page(graph: Graph) -> str:
    """The page."""
    found = collapse(graph)
    cards, wires = found.scene.cards, found.scene.wires
    rank = longest_path(len(cards), [(wire.source, wire.target) for wire in wires])
    order = sorted(range(len(cards)), key=lambda v: rank[v])
    place = {v: i for i, v in enumerate(order)}
    groups = []
    for v in order:
        data = next((row.value for row in cards[v].rows if row.name in ("data", "")), "")
        grad = next((row.value for row in cards[v].rows if row.name in ("grad", "|grad|")), "")
        inputs = [place[u] for u in found.inputs(v)]
        groups.append(group(cards[v], inputs, data, grad, _rms(found, v, graph)))
    for v, card in enumerate(cards):
        card.key = f"n{place[v]}"
        for row in card.rows:
            if row.name in ("data", ""):
                row.key = f"d{place[v]}"
            elif row.name in ("grad", "|grad|"):
                row.key = f"g{place[v]}"
    for wire in wires:
        port = found.inputs(wire.target).index(wire.source)
        wire.key = f"e{place[wire.target]}-{port}"
    without_tooltips(found.scene)
    notes = [*found.scene.notes, NOTE]
    return render(Page(found.scene, notes=notes, groups=groups))


def _rms(found: Collapsed, v: int, graph: Graph) -> float | None:
    """The size of a card's gradient, with the sign where it is a single number's."""
    members = found.groups[v].results or found.groups[v].members
    grads = [graph.nodes[u].grad for u in members]
    known = [g for g in grads if g is not None]
    if len(known) == 1:
        return known[0]
    return math.hypot(*known) / math.sqrt(len(known)) if known else None
