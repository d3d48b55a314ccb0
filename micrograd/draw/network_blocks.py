"""A deep network in few cards: a card for each layer, or for a block of layers."""

from __future__ import annotations

import math
from collections import Counter

from micrograd.draw.network import size_of, title_of
from micrograd.draw.palette import strength
from micrograd.draw.scene import Card, Row, Scene, Wire, arrange
from micrograd.draw.text import number, plain
from micrograd.draw.unrolled import Unrolled

MANY = 60  # parts drawn one by one; beyond that a network is collapsed
CARDS = 30


def scene_of(out: Unrolled) -> Scene:
    """The network's layers, or as many blocks of them as fit; says what it hides."""
    net = out.net
    layers = len(net.layers)
    each = math.ceil(layers / CARDS)
    cards = [Card("input", "x", rows=[Row("features", str(net.in_features))])]
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


def _hidden(out: Unrolled, layers: int, each: int) -> str:
    what = f"blocks of {each} layers" if each > 1 else "layers"
    return (
        f"Collapsed into {what}: {layers} layers with {len(out.parts)} steps; the way back and the "
        "cache are not shown. collapse=False draws every step."
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
