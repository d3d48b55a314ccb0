"""A large graph in few cards: ops become neurons, neurons layers, layers blocks.

Neurons: a sum of products, what is added to it and the function around it are one, as far as
    nobody else uses what lies between; leaves that nobody else uses belong to them.
Layers: neurons of one form that stand equally far from the result.
Blocks: consecutive ranks, where there are still too many cards.
None of these makes a circle: a neuron's parts lead to its result only, and the edges between layers
and between blocks go from rank to rank.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from micrograd.draw.graph import Graph, Node, counts
from micrograd.draw.layers import longest_path
from micrograd.draw.palette import strength
from micrograd.draw.scalar import card_of, largest_gradient, shown, title_of
from micrograd.draw.scene import Card, Row, Scene, Wire, arrange
from micrograd.draw.text import number

MANY = 150  # nodes drawn one by one; beyond that a drawing is collapsed
BLOCKS = 30  # of a graph that has too many layers
SUMS = ("add", "sub", "sum")
LINEAR = (*SUMS, "dot", "neg")


@dataclass
class Group:
    """Nodes drawn as one card. results: those of them that others use, or that are results."""

    members: list[int] = field(default_factory=list)
    results: list[int] = field(default_factory=list)
    block: bool = False


def collapsed(graph: Graph) -> tuple[list[Group], list[int]]:
    """The groups, and the group of each node."""
    owner = _neurons(graph)
    owner = _layers(graph, owner)
    drawn = len(set(owner))
    blocks = drawn > MANY
    if blocks:
        owner = _blocks(graph, owner)
    numbers: dict[int, int] = {}
    places = [numbers.setdefault(root, len(numbers)) for root in owner]
    groups = [Group(block=blocks) for _ in numbers]
    users = graph.consumers()
    ends = set(graph.results)
    for v, place in enumerate(places):
        groups[place].members.append(v)
        if v in ends or any(places[u] != place for u in users[v]):
            groups[place].results.append(v)
    return groups, places


def _neurons(graph: Graph) -> list[int]:
    """For each node the last node of its neuron."""
    users = graph.consumers()
    owner = list(range(len(graph.nodes)))
    ends = set(graph.results)
    for v in range(len(graph.nodes) - 1, -1, -1):
        only = set(users[v])
        if len(only) == 1 and v not in ends:
            user = only.pop()
            if _belongs(graph.nodes[v], graph.nodes[user]):
                owner[v] = owner[user]
    return owner


def _belongs(node: Node, user: Node) -> bool:
    """Whether a node that only `user` uses is part of the same neuron."""
    if node.kind != "op":
        return True
    op, use = node.rule.name, user.rule.name
    if use in SUMS:
        return op in LINEAR or op == "mul"
    return bool(user.rule.arity == 1 and op in LINEAR)


def _signatures(graph: Graph, owner: Sequence[int]) -> list[int]:
    """Numbers that are equal for neurons of one form; those of their last nodes count."""
    known: dict[Hashable, int] = {}
    found: list[int] = []
    for v, node in enumerate(graph.nodes):
        if node.kind != "op":
            form: Hashable = node.kind
        else:
            parts = [found[u] if owner[u] == owner[v] else -1 for u in node.operands]
            form = (node.rule.name, *parts)
        found.append(known.setdefault(form, len(known)))
    return found


def _quotient(graph: Graph, owner: Sequence[int]) -> tuple[dict[int, int], list[tuple[int, int]]]:
    """The groups by number, and the edges between them, each once."""
    numbers: dict[int, int] = {}
    for root in owner:
        numbers.setdefault(root, len(numbers))
    edges = {
        (numbers[owner[u]], numbers[owner[v]]): None
        for v, node in enumerate(graph.nodes)
        for u in node.operands
        if owner[u] != owner[v]
    }
    return numbers, list(edges)


def _layers(graph: Graph, owner: Sequence[int]) -> list[int]:
    """Neurons of one form and rank become one; then leaves that the same layers use."""
    numbers, edges = _quotient(graph, owner)
    rank = longest_path(len(numbers), edges)
    signature = _signatures(graph, owner)
    layer: dict[Hashable, int] = {}
    merged = []
    for root in owner:
        if graph.nodes[root].kind == "op":
            key = rank[numbers[root]], signature[root]
            merged.append(layer.setdefault(key, root))
        else:
            merged.append(root)
    users = graph.consumers()
    shared: dict[Hashable, int] = {}
    for v, node in enumerate(graph.nodes):
        if node.kind != "op" and merged[v] == v:
            into = frozenset(merged[u] for u in users[v])
            merged[v] = shared.setdefault((node.kind, into), v)
    return merged


def _blocks(graph: Graph, owner: Sequence[int]) -> list[int]:
    """Consecutive ranks become one."""
    numbers, edges = _quotient(graph, owner)
    rank = longest_path(len(numbers), edges)
    each = math.ceil((max(rank) + 1) / BLOCKS)
    first: dict[int, int] = {}
    return [first.setdefault(rank[numbers[root]] // each, root) for root in owner]


@dataclass
class Collapsed:
    """A collapsed graph: its groups, the lines between them with the local derivatives that each
    stands for, and the drawing."""

    groups: list[Group]
    bundles: dict[tuple[int, int], list[str]]
    scene: Scene

    def inputs(self, place: int) -> list[int]:
        """The groups that one uses, in the order of its lines."""
        return [u for u, v in self.bundles if v == place]


def scene_of(graph: Graph) -> Scene:
    """The collapsed drawing, which says what it hides."""
    return collapse(graph).scene


def collapse(graph: Graph, room: float = 0.0) -> Collapsed:
    """Collapses a graph; room: the least for the label of a line."""
    groups, places = collapsed(graph)
    largest = largest_gradient(graph)
    cards = [_card(group, graph, largest) for group in groups]
    bundles: dict[tuple[int, int], list[str]] = {}
    for v, node in enumerate(graph.nodes):
        for i, u in enumerate(node.operands):
            if places[u] != places[v]:
                local = shown(node.locals[i] if node.locals else None)
                bundles.setdefault((places[u], places[v]), []).append(local)
    into: dict[int, list[int]] = {}
    for u, v in bundles:
        into.setdefault(v, []).append(u)
    wires = []
    for (u, v), locals_ in bundles.items():
        many = len(locals_)
        sources = into[v]
        label = f"{many} edges" if many > 1 else locals_[0]
        port = (sources.index(u) + 0.5) / len(sources)
        tip = f"{many} edges, each with a local derivative of its own" if many > 1 else ""
        wires.append(Wire(u, v, label, tooltip=tip, port=port))
    for v, card in enumerate(cards):
        card.ports = len(into.get(v, ()))
    scene = Scene(title_of(graph), cards, wires, notes=[_hidden(graph, groups, len(wires))])
    scene.notes += graph.remarks
    scene.legend.append("|grad| is the root mean square over a card's results.")
    return Collapsed(groups, bundles, arrange(scene, room))


def _hidden(graph: Graph, groups: Sequence[Group], wires: int) -> str:
    """What is not to be seen, in a sentence."""
    edges = sum(len(node.operands) for node in graph.nodes)
    kind = "blocks of layers" if groups and groups[0].block else "layers of neurons"
    return (
        f"Collapsed into {kind}: {len(groups)} cards stand for {len(graph.nodes)} nodes and "
        f"{wires} lines for {edges} edges; collapse=False draws every node."
    )


def _card(group: Group, graph: Graph, largest: float) -> Card:
    nodes = [graph.nodes[v] for v in group.members]
    if len(nodes) == 1:
        return card_of(nodes[0], group.members[0], graph, largest)
    results = [graph.nodes[v] for v in group.results]
    last = results[-1] if results else nodes[-1]
    n = len(results)
    if group.block:
        title, badge, kind = f"block of {len(nodes)} nodes", "", "group"
    elif last.kind != "op":
        title, badge, kind = _leaves_title(nodes), "", last.kind
    else:
        badge, kind = last.symbol, "result" if set(group.results) & set(graph.results) else "group"
        label = last.label if n == 1 else ""
        title = label or f"{n} neuron{'s' * (n != 1)}"
    rows = [Row("nodes", str(len(nodes)))] if last.kind == "op" or group.block else []
    leaves = sum(node.kind == "leaf" for node in nodes)
    if leaves and rows:
        rows.append(Row("leaves", str(leaves)))
    rows += _figures(results or nodes, largest)
    every = counts(Graph(nodes))
    listed = "\n".join(f"{count} × {name}" for name, count in every.most_common(12))
    return Card(kind, title, badge, rows, listed)


def _leaves_title(nodes: Sequence[Node]) -> str:
    names = [node.label for node in nodes if node.label]
    if len(names) == len(nodes) <= 3:
        return ", ".join(names)
    return f"{len(nodes)} {nodes[0].kind if nodes[0].kind != 'leaf' else 'leave'}s"


def _figures(nodes: Sequence[Node], largest: float) -> list[Row]:
    """The range of the data and the root mean square of the gradients."""
    data = [node.data for node in nodes if node.data is not None]
    grads = [node.grad for node in nodes if node.grad is not None]
    rows = []
    if data:
        low, high = min(data), max(data)
        text = number(low) if low == high else f"{number(low)} … {number(high)}"
        rows.append(Row("data", text))
    if grads and nodes[0].kind not in ("constant", "number"):
        size = math.hypot(*grads) / math.sqrt(len(grads))
        rows.append(Row("|grad|", number(size), 1 if size else 0, strength(size, largest)))
    return rows
