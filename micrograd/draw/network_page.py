"""The page of a network: one sample at a time, forward and back, with the cache between."""

from __future__ import annotations

from typing import Any

import numpy as np

from micrograd.draw import own_functions, page
from micrograd.draw.network import LOSS_SLOPES, Places, scene_of, slope_in_words
from micrograd.draw.page import Page
from micrograd.draw.text import number, plain, shorten
from micrograd.draw.unrolled import SAMPLES, Part, Unrolled

MOST = 150_000  # weights that a page takes along: three megabytes


def reason_against(out: Unrolled, y: Any) -> str:
    """Why there is nothing to step through, "" where there is."""
    if not out.rows:
        return "Give X and y to see numbers and to step through, sample by sample."
    size = out.net.parameters().size
    if size > MOST:
        return f"{size} weights are too many for a page that computes; {MOST} fit."
    strange = {part.kind for part in out.parts if part.op == "other"}
    if out.net.loss_kind.function is None and out.net.loss_name not in LOSS_SLOPES:
        strange.add(plain(out.net.loss_name))
    if strange:
        return f"{', '.join(sorted(strange))}: cannot be computed again in the page."
    return own_functions.reason_against(out, _targets(y))


def _targets(y: Any) -> int:
    """How many numbers y has for a sample."""
    return int(np.prod(np.shape(y)[1:], dtype=int))


class _Nodes:
    """The script's nodes: the parts, and before each Linear its W and b."""

    def __init__(self, out: Unrolled, y: Any) -> None:
        self.out, self.nodes = out, list[dict[str, Any]]()
        self.places = Places()
        self.parameters = {p.name: p.data for p in out.net.parameters()}
        for at, part in enumerate(out.parts):
            self.append(at, part)
        self.y = np.asarray(y)

    def new(self, **fields: Any) -> int:
        self.nodes.append(page.node(**fields))
        return len(self.nodes) - 1

    def append(self, at: int, part: Part) -> None:
        operands = [self.places.value[u] for u in part.inputs]
        value = None if part.value is None else part.value[0].tolist()
        if part.op == "input":
            place = self.new(name="x", kind="input", op="", symbol="", operands=[], value=value)
            self.places.value.append(place)
            return
        if part.op == "linear":
            for name, letter, where in self.of_linear(part):
                data = self.parameters[name].tolist()
                label = f"{letter}{part.number}"
                place = self.new(name=label, kind="leaf", op="", symbol="", operands=[], value=data)
                where[at] = place
                operands.append(place)
        if part.op == "loss":
            value = float(part.value[0, 0])
            target = self.new(name="y", kind="target", op="", symbol="", operands=[], value=None)
            operands.append(target)
        place = self.new(
            name=part.name, kind="op", op=part.op, symbol=part.kind, operands=operands, value=value
        )
        if part.op == "map":
            self.nodes[place]["f"] = list(part.script)
        if part.op == "loss":
            kind = self.out.net.loss_kind
            slope = slope_in_words(self.out.net).format(z=self.out.parts[part.inputs[0]].name)
            self.nodes[place]["f"] = ["own" if kind.function else kind.name, slope]
        self.places.value.append(place)

    def of_linear(self, part: Part) -> list[tuple[str, str, dict[int, int]]]:
        found = [(f"{part.path}.weight", "W", self.places.weight)]
        if part.bias:
            found.append((f"{part.path}.bias", "b", self.places.bias))
        return found

    def samples(self) -> list[dict[str, Any]]:
        """What the engine says of each row: all data, and the gradients that it computes."""
        found = []
        target = self.places.value[-1] - 1
        for i in range(min(self.out.rows, SAMPLES)):
            data: dict[int, Any] = {target: self.target(i)}
            grads: dict[int, Any] = {}
            for part, place in zip(self.out.parts, self.places.value, strict=True):
                row = part.value[i].tolist()
                data[place] = row[0] if part.op == "loss" else row
                if part.delta is not None:
                    grads[place] = part.delta[i].tolist()
            shown = self.named(self.target(i))
            found.append({"n": shorten(f"{i}: y = {shown}", 40), "v": data, "g": grads})
        return found

    def named(self, target: Any) -> str:
        """The name of the class, or the numbers."""
        classes = self.out.names.classes
        if isinstance(target, int):
            return plain(classes[target]) if target < len(classes) else str(target)
        return ", ".join(map(number, target))

    def target(self, i: int) -> Any:
        """y of a row as the script's losses take it: a label, or a list."""
        row = self.y[i]
        if self.out.net.loss_kind.takes_labels and row.ndim == 0:
            return int(row)
        return np.atleast_1d(np.asarray(row, dtype=np.float64)).tolist()


def network_page(out: Unrolled, y: Any) -> Page:
    """The page; one that only shows the drawing says why."""
    against = reason_against(out, y)
    if against:
        scene = scene_of(out)
        return Page(scene, notes=[*scene.notes, against])
    nodes = _Nodes(out, y)
    scene = scene_of(out, nodes.places)
    samples = nodes.samples()
    for place, value in samples[0]["v"].items():
        nodes.nodes[place]["v"] = value
    for each in nodes.nodes:
        each["c"] = 1  # on a card the norm stands for a vector
    notes = [*scene.notes]
    if out.rows > SAMPLES:
        notes.append(f"The first {SAMPLES} of {out.rows} rows are here to choose from.")
    if out.net.dtype == "float32":
        notes.append("The engine's numbers are float32; what you change is computed in double.")
    scene.legend.insert(
        0, "One sample: |z|, |a|, |δ| are lengths of its vectors, L and the gradients its own."
    )
    own = own_functions.script(out, _targets(y))
    result = nodes.places.value[-1]
    return Page(scene, nodes.nodes, [result], notes, samples, vectors=True, own=own)
