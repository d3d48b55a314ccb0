"""A network as a scene: forward from left to right, back from right to left, the cache between.

As in the documents' section 13: the forward pass leaves in the cache what the backward pass will
want, and only that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from micrograd.draw.layout import Layout, layout
from micrograd.draw.palette import strength
from micrograd.draw.scene import Band, Card, Row, Scene, Wire, without_tooltips
from micrograd.draw.text import number, plain
from micrograd.draw.unrolled import Part, Unrolled
from micrograd.network.network import Network

TOP, APART, STACK = 26.0, 30.0, 10.0  # below a band's name, between bands, between cards
LOSS_SLOPES = {
    "cross_entropy": "softmax({z}) - y",
    "bce": "sigmoid({z}) - y",
    "mse": "2 ({z} - y) / n",
    "mae": "sign({z} - y) / n",
    "huber": "clip({z} - y) / n",
}


@dataclass
class Places:
    """Where on a page the numbers of each part stand: its place among the script's nodes."""

    value: list[int] = field(default_factory=list)
    weight: dict[int, int] = field(default_factory=dict)
    bias: dict[int, int] = field(default_factory=dict)


def rms(x: Any) -> float:
    """The root mean square over rows of |x|."""
    rows = np.asarray(x, dtype=np.float64)
    return float(np.sqrt(np.mean(np.sum(rows * rows, axis=tuple(range(1, rows.ndim))))))


def size_of(x: Any) -> float:
    """The length of all of x."""
    return float(np.sqrt(np.sum(np.square(np.asarray(x, dtype=np.float64)))))


def gradients_in_words(out: Unrolled, place: int) -> str:
    """What dL/d(part) is made of, from the parts that use it."""
    part = out.parts[place]
    pieces = []
    for user in out.parts:
        for i, u in enumerate(user.inputs):
            if u == place:
                pieces.append(_piece(out, part, user, i))
    return " + ".join(pieces)


def slope_in_words(net: Network) -> str:
    """dL/dz of a network's loss, with {z} for the name of its output."""
    own = net.loss_kind.function is not None
    return "dL/d{z}" if own else LOSS_SLOPES.get(net.loss_name, "dL/d{z}")


def _piece(out: Unrolled, part: Part, user: Part, i: int) -> str:
    d = user.gradient
    if user.op == "loss":
        return slope_in_words(out.net).format(z=part.name)
    if user.op == "linear":
        return f"W{user.number}ᵀ {d}"
    if user.op in ("map", "other"):
        return f"{d} ⊙ {user.kind}′"
    if user.op == "softmax":
        return f"softmax′ᵀ {d}"
    if user.op == "mix":
        h, t, x = (out.parts[u].name for u in user.inputs)
        return (f"{t}⊙{d}", f"({h}-{x})⊙{d}", f"(1-{t})⊙{d}")[i]
    return f"part of {d}" if user.op == "concat" else d


class _Builder:
    """Makes cards and wires, band by band."""

    def __init__(self, out: Unrolled, places: Places | None) -> None:
        self.out, self.places = out, places
        self.scene = Scene(title_of(out.net))
        self.slots: list[float] = []
        self.forward: list[Card] = []
        self.back: dict[int, Card] = {}
        self.weights: dict[int, Card] = {}
        self.cache: dict[int, Card] = {}
        norms = [size_of(x) for name, x in out.figures.items() if name.startswith("dW")]
        self.largest = max((n for n in norms if math.isfinite(n)), default=0.0)
        deltas = [rms(part.delta) for part in out.parts if part.delta is not None]
        self.largest_delta = max((d for d in deltas if math.isfinite(d)), default=0.0)

    def key(self, kind: str, place: int | None) -> str:
        return "" if self.places is None or place is None else f"{kind}{place}"

    def place(self, part: int) -> int | None:
        return None if self.places is None else self.places.value[part]

    def data_row(self, part: Part, at: int) -> list[Row]:
        if part.value is None and self.places is None:
            return []
        text = "" if part.value is None else number(rms(part.value))
        name = f"|{part.name}|"
        if part.op == "loss":
            name = "mean" if self.places is None else "L"
        if part.op == "loss" and part.value is not None:
            text = number(self.out.figures["loss"])
        return [Row(name, text, key=self.key("d", self.place(at)))]

    def make_forward(self) -> None:
        parameters = {p.name: p for p in self.out.net.parameters()}
        for at, part in enumerate(self.out.parts):
            rows = [] if part.op == "loss" else [Row("features", str(part.features))]
            if part.op == "linear":
                weight = parameters[f"{part.path}.weight"]
                rows.append(Row(f"W{part.number}", " × ".join(map(str, weight.shape))))
                key = None if self.places is None else self.places.weight[at]
                text = number(size_of(weight.data))
                rows.append(Row(f"|W{part.number}|", text, key=self.key("d", key)))
            rows += self.data_row(part, at)
            kind = "input" if part.op == "input" else "loss" if part.op == "loss" else "op"
            title = part.name if part.op == "input" else f"{part.name} = {part.formula}"
            badge = "" if part.op in ("input", "loss") else part.kind
            ports = len(part.inputs)
            key_ = self.key("n", self.place(at))
            self.forward.append(Card(kind, title, badge, rows, title, ports, key_))

    def make_back(self) -> None:
        for at, part in enumerate(self.out.parts):
            if part.op == "input":
                continue
            words = gradients_in_words(self.out, at)
            title = "dL/dL = 1" if part.op == "loss" else f"{part.gradient} = {words}"
            delta = part.delta
            tone = strength(rms(delta), self.largest_delta) if delta is not None else 0.0
            rows = []
            if delta is not None or self.places is not None:
                text = "" if delta is None else number(rms(delta))
                key = self.key("g", self.place(at))
                name = part.gradient if part.op == "loss" else f"|{part.gradient}|"
                rows = [Row(name, text, 1 if tone else 0, tone, key)]
            kind = "loss" if part.op == "loss" else "group"
            key = self.key("b", self.place(at))
            self.back[at] = Card(kind, title, "", rows, title, 0, key)
            if part.op == "linear":
                self.weights[at] = self.weight_card(part, at)

    def weight_card(self, part: Part, at: int) -> Card:
        n = part.number
        before = self.out.parts[part.inputs[0]].name
        title = f"dW{n} = δ{n} {before}ᵀ"
        rows = [Row("shape", f"{part.features} × {self.out.parts[part.inputs[0]].features}")]
        keys: tuple[int | None, int | None] = (None, None)
        if self.places is not None:
            keys = self.places.weight[at], self.places.bias.get(at)
        for name, key in zip((f"dW{n}", f"db{n}"), keys, strict=True):
            if name[:2] == "db" and not part.bias:
                continue
            gradient = self.out.figures.get(name)
            if gradient is None and self.places is None:
                continue
            norm = None if gradient is None else size_of(gradient)
            tone = strength(norm, self.largest)
            text = "" if norm is None else number(norm)
            rows.append(Row(f"|{name}|", text, 1 if tone else 0, tone, self.key("g", key)))
        tip = f"{title}, db{n} = δ{n}" if part.bias else title
        return Card("leaf", title, "", rows, tip)

    def make_cache(self) -> None:
        for at, part in enumerate(self.out.parts):
            for need in part.needs:
                kept = at if need == -1 else part.inputs[need]
                if kept not in self.cache:
                    name = self.out.parts[kept].name
                    self.cache[kept] = Card("cache", name, tooltip=f"{name}, kept for the way back")

    # ---- where things go ----

    def arrange(self) -> Scene:
        for card in [*self.forward, *self.back.values(), *self.weights.values()]:
            card.measure()
        for card in self.cache.values():
            card.measure()
        sizes = []
        for at, card in enumerate(self.forward):
            partners = [card, self.back.get(at), self.weights.get(at)]
            wide = max(each.w for each in partners if each is not None)
            for each in partners:
                if each is not None:
                    each.w = wide
            high = max(card.h, self.back[at].h if at in self.back else 0.0)
            sizes.append((wide, high))
        self.slots = [high for _, high in sizes]
        edges = [(u, v) for v, part in enumerate(self.out.parts) for u in part.inputs]
        ports = [
            (i + 0.5) / len(part.inputs) for part in self.out.parts for i in range(len(part.inputs))
        ]
        found = layout(sizes, edges, ports, [14.0] * len(edges), gap=18.0)
        self.put(found, edges)
        return self.scene

    def put(self, found: Layout, edges: list[tuple[int, int]]) -> None:
        """Coordinates: three bands, one below the other."""
        shift = STACK
        for at, card in enumerate(self.forward):
            x, y = found.boxes[at]
            card.x, card.y = x + shift, y + TOP + (self.slots[at] - card.h) / 2
        forward_high = TOP + found.height + STACK
        cache_top = forward_high + APART
        cache_high = self.stack(found, self.cache, cache_top + TOP, shift) - cache_top
        back_top = cache_top + cache_high + APART
        for at, back in self.back.items():
            x, y = found.boxes[at]
            back.x = x + shift
            back.y = back_top + TOP + y + (self.slots[at] - back.h) / 2
        weights_top = back_top + TOP + found.height + APART
        back_high = self.stack(found, self.weights, weights_top, shift) - back_top
        wide = found.width + 2 * shift
        self.scene.bands = [
            Band("forward →", 0, 0, wide, forward_high),
            Band("cache: what the way back will want", 0, cache_top, wide, cache_high),
            Band("← backward", 0, back_top, wide, back_high),
        ]
        self.scene.width, self.scene.height = wide, back_top + back_high
        self.connect(found, edges, back_top + TOP, shift)

    def stack(self, found: Layout, cards: dict[int, Card], top: float, shift: float) -> float:
        """Cards below one another in the columns of their parts; returns where the band ends."""
        filled: dict[int, float] = {}
        for at in sorted(cards, key=lambda each: found.boxes[each][1]):
            rank, card = found.ranks[at], cards[at]
            card.x = self.forward[at].x + (self.forward[at].w - card.w) / 2
            card.y = filled.get(rank, top)
            filled[rank] = card.y + card.h + STACK
        return max(filled.values(), default=top)

    def connect(
        self, found: Layout, edges: list[tuple[int, int]], back_top: float, shift: float
    ) -> None:
        """All wires."""
        cards = self.scene.cards
        index: dict[int, int] = {}
        for card in [
            *self.forward, *self.cache.values(), *self.back.values(), *self.weights.values()
        ]:  # fmt: skip
            index[id(card)] = len(cards)
            cards.append(card)

        def wire(a: Card, b: Card, **settings: Any) -> Wire:
            made = Wire(index[id(a)], index[id(b)], **settings)
            self.scene.wires.append(made)
            return made

        def down(a: Card, b: Card, dashed: bool, aside: float = 0.5) -> None:
            line = wire(a, b, dashed=dashed, vertical=True)
            line.route = [(a.x + a.w / 2, a.y + a.h), (b.x + aside * b.w, b.y)]

        seen: dict[int, int] = {}
        for (u, v), route, lead in zip(edges, found.routes, found.lead, strict=True):
            i = seen[v] = seen.get(v, -1) + 1
            key = self.key("e", self.place(v))
            line = wire(self.forward[u], self.forward[v], key=key and f"{key}-{i}", lead=lead)
            line.route = [(x + shift, y + TOP) for x, y in route]
            if u in self.back:
                back = wire(self.back[v], self.back[u], lead=-14.0)
                points = [(x + shift, y + back_top) for x, y in route][::-1]
                start, end = self.back[v], self.back[u]
                points[0] = (start.x, min(points[0][1], start.y + start.h - 8))
                points[-1] = (end.x + end.w, end.y + end.h / 2)
                back.route = points
        for at, card in self.cache.items():
            down(self.forward[at], card, dashed=True)
        for at, part in enumerate(self.out.parts):
            for need in part.needs:
                kept = self.cache[at if need == -1 else part.inputs[need]]
                if part.op == "linear":
                    down(kept, self.weights[at], dashed=True, aside=0.3)
                    continue
                for u in dict.fromkeys(part.inputs):
                    if u in self.back:
                        down(kept, self.back[u], dashed=True)
        for at, card in self.weights.items():
            down(self.back[at], card, dashed=False)
        last = len(self.forward) - 1
        down(self.forward[last], self.back[last], dashed=False)


def title_of(net: Network) -> str:
    """A heading: sizes and loss."""
    n = net.parameters().size
    return f"Network {net.in_features} → {net.out_features}, {n} parameters, {plain(net.loss_name)}"


def scene_of(out: Unrolled, places: Places | None = None) -> Scene:
    """The drawing of a network; `places` for a page, with ids."""
    builder = _Builder(out, places)
    builder.make_forward()
    builder.make_back()
    builder.make_cache()
    scene = builder.arrange()
    if places is not None:
        without_tooltips(scene)
    scene.notes += out.remarks
    if places is None and out.rows:
        scene.legend.append(
            f"|z|, |a|, |δ|: root mean square over {out.rows} rows of a vector's length. dW and db "
            "are those of the mean loss; the stronger their colour, the larger (four decades)."
        )
    features = [plain(name) for name in out.names.features]
    if features:
        more = f", … {len(features) - 12} more" if len(features) > 12 else ""
        scene.legend.append(f"x: {', '.join(features[:12])}{more}.")
    if out.names.classes:
        scene.legend.append(f"classes: {', '.join(map(plain, out.names.classes))}.")
    scene.legend.append(
        "Dotted: what is kept in the cache, and who wants it. ⊙: element by element, ᵀ: transposed."
    )
    return scene
