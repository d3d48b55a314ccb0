"""Mermaid: what GitHub, GitLab and many a notebook draw from text."""

from __future__ import annotations

from micrograd.draw.palette import LIGHT
from micrograd.draw.scene import Card, Scene
from micrograd.draw.text import plain

# Mermaid reads #NNN; and #name; as characters and its labels as HTML and Markdown: whatever could
# be either goes in by its number.
_SPECIAL = set("#&;<>\"'`*_~[](){}|\\$%")


def escaped(text: str) -> str:
    """Text inside a quoted label."""
    return "".join(f"#{ord(c)};" if c in _SPECIAL else c for c in plain(text))


def _label(card: Card) -> str:
    head = " ".join(part for part in (card.badge, card.title) if part)
    rows = [f"{row.name} {row.value}".strip() for row in card.rows]
    return "<br/>".join(escaped(part) for part in [head, *rows] if part)


def render(scene: Scene) -> str:
    """The whole file."""
    lines = [f"%% {escaped(line)}" for line in (scene.title, *scene.notes)]
    lines.append("flowchart LR")
    for i, card in enumerate(scene.cards):
        left, right = ("([", "])") if card.kind in ("number", "cache") else ("[", "]")
        lines.append(f'  n{i}{left}"{_label(card)}"{right}')
    styles = []
    colour = {1: LIGHT["positive"], -1: LIGHT["negative"], 0: LIGHT["line"]}
    for i, wire in enumerate(scene.wires):
        arrow = "-.->" if wire.dashed else "-->"
        label = f'|"{escaped(wire.label)}"|' if wire.label else ""
        lines.append(f"  n{wire.source} {arrow}{label} n{wire.target}")
        if wire.sign:
            thick = f"{1 + 2 * wire.strength:.1f}px"
            styles.append(f"  linkStyle {i} stroke:{colour[wire.sign]},stroke-width:{thick}")
    return "\n".join([*lines, *styles, ""])
