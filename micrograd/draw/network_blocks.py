"""A deep network in few cards: a card for each layer, or for a block of layers."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from micrograd.draw.network import size_of, title_of
from micrograd.draw.page import Page, group
from micrograd.draw.palette import strength
from micrograd.draw.scene import Card, Row, Scene, Wire, arrange, without_tooltips
from micrograd.draw.text import number, plain
from micrograd.draw.unrolled import Unrolled

OUTPUT, GRADIENT = "|output|", "|grad|"  # rows of a card: over all rows, each with its own loss
PLAIN = ("linear", "add")  # ops whose way back takes nothing but weights
MANY = 60  # parts drawn one by one; beyond that a network is collapsed
CARDS = 30


def scene_of(out: Unrolled) -> Scene:
    """The network's layers, or as many blocks of them as fit; says what it hides."""
    net = out.net
    layers = len(net.layers)
    each = math.ceil(layers / CARDS)
    flow = _deltas(out)
    cards = [Card("input", "x", rows=[Row("features", str(net.in_features)), *_flow(out, flow, 0)])]
    norms = _gradients(out, each)
    largest = max((g for g in norms.values() if math.isfinite(g)), default=0.0)
    sizes: Counter[int] = Counter()
    for p in net.parameters():
        sizes[_block_of(p.name, each)] += p.data.size
    features = net.in_features
    for start in range(0, layers, each):
        block = net.layers[start : start + each]
        for layer in block:
            features = layer.gives(features)
        kinds = [type(layer).__name__ for layer in block]
        last = start + len(block) - 1
        title = f"layer {start}" if len(block) == 1 else f"layers {start} to {last}"
        rows = [Row("features", str(features))]
        size = sum(
            p.data.size for p in net.parameters() if _block_of(p.name, each) == start // each
        )
        if size:
            rows.append(Row("parameters", str(size)))
        rows += _flow(out, flow, out.ends[last])
        if start // each in norms:
            norm = norms[start // each]
            rows.append(Row("|dW, db|", number(norm), 1 if norm else 0, strength(norm, largest)))
        badge = kinds[0] if len(set(kinds)) == 1 else ""
        tip = "\n".join(plain(str(layer)) for layer in block[:12])
        cards.append(Card("op", title, badge, rows, tip))
    cards.append(Card("loss", f"L = {plain(net.loss_name)}", rows=_loss(out)))
    wires = [Wire(i, i + 1) for i in range(len(cards) - 1)]
    scene = Scene(title_of(net), cards, wires, notes=[_hidden(out, layers, each)])
    scene.notes += out.remarks
    return arrange(scene)


def page_of(out: Unrolled) -> Page:
    """The page that steps through the blocks: their output on the way there, dL/d(it) back.

    Without X and y there are no numbers, and so nothing to step through.
    """
    scene = scene_of(out)
    if not out.rows:
        return Page(scene, notes=scene.notes)
    groups = []
    for i, card in enumerate(scene.cards):
        rows = {row.name: row for row in card.rows}
        data, grad = (rows.get(name) for name in (OUTPUT, GRADIENT))
        data = rows.get("mean", data)
        for letter, row in (("d", data), ("g", grad)):
            if row is not None:
                row.key = f"{letter}{i}"
        card.key = f"n{i}"
        shown = data.value if data is not None else ""
        back, known = (grad.value, float(grad.value)) if grad is not None else ("", None)
        groups.append(group(card, [i - 1] if i else [], shown, back, known))
    for i, wire in enumerate(scene.wires):
        wire.key = f"e{i + 1}-0"
    return Page(without_tooltips(scene), notes=scene.notes, groups=groups)


def _deltas(out: Unrolled) -> dict[int, Any]:
    """dL/d(part) by its place, (rows, features), each row's own: what explain says and, of what it
    does not name, the sum over the linear layers and the sums that use it; else not there."""
    users: list[list[int]] = [[] for _ in out.parts]
    for v, part in enumerate(out.parts):
        for u in part.inputs:
            users[u].append(v)
    weights = {p.name: p.data for p in out.net.parameters()}
    found: dict[int, Any] = {}
    for u in reversed(range(len(out.parts))):
        if out.parts[u].delta is not None:
            found[u] = out.parts[u].delta
        elif users[u] and all(v in found and out.parts[v].op in PLAIN for v in users[u]):
            found[u] = sum(
                found[v] @ weights[f"{out.parts[v].path}.weight"]
                if out.parts[v].op == "linear"
                else found[v]
                for v in users[u]
            )
    return found


def _flow(out: Unrolled, deltas: dict[int, Any], place: int) -> list[Row]:
    """The size of a part and of dL/d(it), over all rows; none where that is not known."""
    value = out.parts[place].value
    rows = [] if value is None else [Row(OUTPUT, number(size_of(value)))]
    if place in deltas:
        size = size_of(deltas[place])
        rows.append(Row(GRADIENT, number(size), 1 if size else 0))
    return rows


def _hidden(out: Unrolled, layers: int, each: int) -> str:
    what = f"blocks of {each} layers" if each > 1 else "layers"
    return (
        f"Collapsed into {what}: {layers} layers with {len(out.parts)} steps; the way back within "
        "them and the cache are not shown. collapse=False draws every step."
    )


def _block_of(path: str, each: int) -> int:
    """The block of a parameter, by the number of its top-level layer; -1 for those of functions."""
    first = path.split(".")[0]
    return int(first) // each if "." in path and first.isdigit() else -1


def _gradients(out: Unrolled, each: int) -> dict[int, float]:
    """|dW, db| of the mean loss, block by block."""
    found: dict[int, float] = {}
    for part in out.parts:
        for name in (f"dW{part.number}", f"db{part.number}"):
            if part.op == "linear" and name in out.figures:
                block = _block_of(f"{part.path}.weight", each)
                found[block] = math.hypot(found.get(block, 0.0), size_of(out.figures[name]))
    return found


def _loss(out: Unrolled) -> list[Row]:
    return [Row("mean", number(out.figures["loss"]))] if "loss" in out.figures else []
