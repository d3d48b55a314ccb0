"""DOT, the language of Graphviz: for those who have it, as an input for other tools."""

from __future__ import annotations

from micrograd.draw.palette import LIGHT
from micrograd.draw.scene import Card, Scene
from micrograd.draw.text import plain


def quoted(text: str) -> str:
    """A string of the language."""
    return '"' + _entities(plain(text)).replace("\\", "\\\\") + '"'


def _entities(text: str) -> str:
    """Graphviz reads HTML's entities, and whoever shows its output has no markup to run."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text


def _field(text: str) -> str:
    """Text in a record, where braces, bars and blanks mean something."""
    return "".join("\\" + c if c in "\\{}| " else c for c in _entities(plain(text)))


def _record(card: Card) -> str:
    head = " ".join(part for part in (card.badge, card.title) if part)
    rows = [f"{row.name} {row.value}".strip() for row in card.rows]
    return '"{' + " | ".join(_field(part) for part in [head, *rows] if part) + '}"'


def render(scene: Scene) -> str:
    """The whole file."""
    colour = {1: LIGHT["positive"], -1: LIGHT["negative"], 0: LIGHT["line"]}
    lines = [
        "digraph {",
        "  rankdir=LR;",
        f"  label={quoted('. '.join([scene.title, *scene.notes]))};",
        '  node [shape=record, fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=10];',
    ]
    for i, card in enumerate(scene.cards):
        style = ", style=dashed" if card.kind in ("constant", "cache") else ""
        lines.append(f"  n{i} [label={_record(card)}{style}];")
    for wire in scene.wires:
        thick = f"{1 + 2 * wire.strength:.2f}"
        style = ", style=dotted" if wire.dashed else ""
        label = f", label={quoted(wire.label)}" if wire.label else ""
        lines.append(
            f"  n{wire.source} -> n{wire.target} "
            f'[color="{colour[wire.sign]}", penwidth={thick}{label}{style}];'
        )
    return "\n".join([*lines, "}", ""])
