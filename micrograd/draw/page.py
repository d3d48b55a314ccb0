"""The page to step through: one HTML file with everything in it, which loads nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from micrograd.draw import evaluator, palette, svg
from micrograd.draw.evaluator import asset
from micrograd.draw.scene import Card, Scene
from micrograd.draw.text import xml

SCRIPTS = ("numbers.js", "tape.js", "words.js", "view.js", "player.js", "start.js")
BUTTONS = (
    ("first", "First", "to before the first step (Home)"),
    ("back", "Back", "one step back (left arrow)"),
    ("play", "Play", "play or pause (space)"),
    ("forward", "Step", "one step on (right arrow)"),
    ("last", "Last", "to the end (End)"),
)
SPEEDS = ("0.5", "1", "2", "4", "10")
KEYS = (
    ("Space", "play, pause"),
    ("← →", "one step back, one step on"),
    ("Home End", "to the start, to the end"),
    ("[ ]", "slower, faster"),
    ("+ - 0", "zoom in, zoom out, all of it"),
    ("Tab Enter", "to a name in the table, and its whole story"),
    ("Esc", "close the story"),
)


@dataclass
class Page:
    """What stands on a page besides the drawing.

    nodes: for the script, see `node`; none where there is nothing to step through. results: their
    places. notes: sentences below the title. samples: what to choose from, with the numbers of
    each. vectors: whether nodes are vectors, as a network's are. own: script of the user's own
    functions. groups: the cards of a collapsed drawing, in place of nodes; see group.
    """

    scene: Scene
    nodes: list[dict[str, Any]] = field(default_factory=list)
    results: Sequence[int] = ()
    notes: Sequence[str] = ()
    samples: list[dict[str, Any]] = field(default_factory=list)
    vectors: bool = False
    own: str = ""
    groups: list[dict[str, Any]] = field(default_factory=list)


def node(
    name: str, kind: str, op: str, symbol: str, operands: Iterable[int], value: Any,
    locals_: Sequence[float | None] = (),
) -> dict[str, Any]:  # fmt: skip
    """A node as the script knows it."""
    found = {"n": name, "k": kind, "o": op, "s": symbol, "a": list(operands), "v": value}
    return found | ({"l": list(locals_)} if locals_ else {})


def group(
    card: Card, inputs: Iterable[int], data: str, grad: str, rms: float | None
) -> dict[str, Any]:
    """A card of a collapsed drawing as the script knows it; its tooltip says what it holds."""
    name = f"{card.title} ({card.badge})" if card.title and card.badge else ""
    name = name or card.title or card.badge or card.kind
    return {
        "n": name, "s": card.badge or card.kind, "a": list(inputs), "d": data, "g": grad, "r": rms,
        "m": card.tooltip.splitlines(),
    }  # fmt: skip


def _encoded(x: Any) -> Any:
    """For JSON, which has no nan and no infinities: texts that no label can be."""
    if isinstance(x, dict):
        return {str(k): _encoded(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [_encoded(each) for each in x]
    if isinstance(x, float) and not math.isfinite(x):
        return "\0nan" if x != x else "\0inf" if x > 0 else "\0-inf"
    return x


def embedded(data: Any) -> str:
    """JSON that may stand in a script element: no tag, no comment begins in it."""
    text = json.dumps(_encoded(data), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _compact(source: str) -> str:
    """A script or style sheet without indents and lines of comment."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"


def style() -> str:
    """The page's style sheet, with the colours of the drawings."""
    light, dark = palette.properties(palette.LIGHT), palette.properties(palette.DARK)
    media = "@media screen and (prefers-color-scheme:dark)"
    return f":root{{{light}}}{media}{{:root{{{dark}}}}}{_compact(asset('page.css'))}"


def script(
    ops: frozenset[str] | None = None, vectors: bool = False, own: str = "", groups: bool = False
) -> str:
    """The page's script, with the ops it computes (None: all); vectors: with those of networks;
    own: what comes behind them; groups: with the steps through a collapsed drawing.

    The derivatives are generated from the table of ops.
    """
    parts = [evaluator.script(ops), asset("vectors.js") if vectors else "", own + "\n"]
    names = [*SCRIPTS[:-1], *(("groups.js",) if groups else ()), SCRIPTS[-1]]
    parts += map(asset, names)
    return "'use strict';\n" + _compact("".join(parts))


def _ops(page: Page) -> frozenset[str]:
    """What the page's nodes compute, by name."""
    found = {each["o"] for each in page.nodes} | {each.get("f", [""])[0] for each in page.nodes}
    found |= set(re.findall(r"VALUES\.(\w+)", page.own))
    return frozenset(found | ({"sigmoid", "softplus"} if page.vectors else set()))


def _bar(page: Page) -> str:
    buttons = "".join(
        f'<button type="button" id="{name}" title="{xml(about)}">{text}</button>'
        for name, text, about in BUTTONS
    )
    speeds = "".join(
        f'<option value="{speed}"{" selected" * (speed == "1")}>{speed}×</option>'
        for speed in SPEEDS
    )
    sample = ""
    if page.samples:
        sample = '<label>Sample <select id="sample"></select></label>'
    return (
        f'<section id="bar" aria-label="Steps">{buttons}'
        '<input type="range" id="position" min="0" value="0" aria-label="Step">'
        '<span id="count"></span>'
        f'<label>Speed <select id="speed">{speeds}</select></label>{sample}'
        '<button type="button" id="reset" disabled>Reset numbers</button></section>'
    )


def _side(page: Page) -> str:
    keys = "".join(f"<p><kbd>{xml(key)}</kbd> {what}</p>" for key, what in KEYS)
    return (
        '<div id="side" role="region" aria-label="The step and all numbers" tabindex="0">'
        '<div id="step" aria-live="polite"></div>'
        '<p id="message" role="status"></p>'
        '<p id="changed" class="way" hidden>Numbers were changed: the page computes, in double '
        "precision; Reset brings the engine's back.</p>"
        '<section id="story" aria-label="The story of a node" hidden></section>'
        '<table id="numbers"><caption>All numbers</caption><thead><tr><th scope="col">name</th>'
        '<th scope="col">op</th><th scope="col">data</th><th scope="col">grad</th></tr></thead>'
        f"<tbody></tbody></table><details><summary>Keys</summary>{keys}</details></div>"
    )


def _cards(scene: Scene) -> str:
    """The cards as a table, where there is nothing to step through."""
    rows = []
    for card in scene.cards:
        name = " ".join(part for part in (card.badge, card.title) if part) or card.kind
        facts = ", ".join(f"{row.name} {row.value}".strip() for row in card.rows)
        rows.append(f'<tr><th scope="row">{xml(name)}</th><td>{xml(facts)}</td></tr>')
    return (
        '<div id="side" role="region" aria-label="All numbers" tabindex="0"><table id="numbers">'
        '<caption>All cards</caption><thead><tr><th scope="col">name</th><th scope="col">what it '
        f"says</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def render(page: Page) -> str:
    """The whole file."""
    steps = bool(page.nodes or page.groups)
    notes = "".join(f'<p class="note">{xml(note)}</p>' for note in page.notes)
    legend = "".join(f"<p>{xml(line)}</p>" for line in page.scene.legend)
    data = {"steps": steps, "nodes": page.nodes, "results": list(page.results)}
    if page.samples:
        data["samples"] = page.samples
    if page.groups:
        data["groups"] = page.groups
    code = script(_ops(page), page.vectors, page.own, bool(page.groups))
    zoom = "".join(
        f'<button type="button" id="{name}" aria-label="{about}">{text}</button>'
        for name, about, text in (
            ("zoom-out", "zoom out", "−"), ("fit", "all of it", "Fit"), ("zoom-in", "zoom in", "+")
        )
    )  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data:\">"
        f'<link rel="icon" href="data:,"><title>{xml(page.scene.title)}</title>'
        f"<style>{style()}</style></head><body>"
        f"<header><h1>{xml(page.scene.title)}</h1>{notes}{legend}</header>"
        f"{_bar(page) if steps else ''}"
        f'<main id="picture">{svg.picture(page.scene)}<div id="zoom">{zoom}</div></main>'
        f"{_side(page) if steps else _cards(page.scene)}"
        f'<script type="application/json" id="graph">{embedded(data)}</script>'
        f"<script>{code}</script></body></html>\n"
    )
