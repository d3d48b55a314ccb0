"""The graph of scalar ops behind a Value: numbers, names, local derivatives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from micrograd.draw.text import number, plain
from micrograd.engine import Value
from micrograd.engine.rules import ANY, DOT, RULES, Rule


@dataclass(slots=True)
class Node:
    """One number of a graph.

    kind: "leaf" (takes a gradient), "constant" (a Value that takes none), "number" (a plain number
        among the operands), "input" (an argument of a compiled function), or "op".
    rule: of an op: the entry of the table of ops, or what stands in its place for a Function.
    operands: their places in the graph, in order.
    data, grad: None where they are not known, as in a compiled function without data.
    locals: d(this)/d(operand) for each operand, None where it is not known.
    """

    kind: str
    label: str = ""
    rule: Any = None
    operands: tuple[int, ...] = ()
    data: float | None = None
    grad: float | None = None
    locals: tuple[float | None, ...] = ()

    @property
    def symbol(self) -> str:
        """What drawings show for the op, "" where there is none."""
        return plain(self.rule.symbol) if self.rule is not None else ""


@dataclass
class Graph:
    """Nodes, operands before results; the places of the results; remarks to print below."""

    nodes: list[Node] = field(default_factory=list)
    results: list[int] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def consumers(self) -> list[list[int]]:
        """Who uses each node, once for each operand that it is."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for v, node in enumerate(self.nodes):
            for u in node.operands:
                users[u].append(v)
        return users


def of_values(roots: Sequence[Value]) -> Graph:
    """The graph that these Values come from.

    Local derivatives are taken at the operands' present data, as backward() takes them.

    Raises:
        RecordingError: the Values belong to a recording, where there are no numbers.
    """
    graph = Graph()
    places: dict[Value, int] = {}
    stale = 0
    stack = list(reversed(roots))
    while stack:
        v = stack[-1]
        if v in places:
            stack.pop()
            continue
        missing = [x for x in v.parents if x not in places]
        if missing:
            stack.extend(reversed(missing))
            continue
        stack.pop()
        node = _node(v, graph, places)
        places[v] = len(graph.nodes)
        graph.nodes.append(node)
        stale += _is_stale(node, graph)
    graph.results = [places[root] for root in dict.fromkeys(roots)]
    if stale:
        graph.remarks.append(
            f"{stale} of the results were computed before the data of their operands changed."
        )
    return graph


def _node(v: Value, graph: Graph, places: dict[Value, int]) -> Node:
    grad = float(v.grad)
    label = plain(v.label)
    if v.grad_fn is None:
        return Node("leaf" if v.requires_grad else "constant", label, data=v.data, grad=grad)
    rule: Any = v.grad_fn.rule
    operands = v.operands
    if rule is DOT and not isinstance(operands[-1], Value) and operands[-1] == 0:
        operands = operands[:-1]  # no bias
    indices = []
    for x in operands:
        if isinstance(x, Value):
            indices.append(places[x])
        else:
            indices.append(len(graph.nodes))
            graph.nodes.append(Node("number", data=float(x)))
    node = Node("op", label, rule, tuple(indices), v.data, grad)
    node.locals = local_derivatives(node, graph.nodes)
    return node


def operands_of(node: Node, nodes: Sequence[Node]) -> list[float | None]:
    """The operands' data as the rule takes them: a dot without a bias has the bias 0."""
    data = [nodes[u].data for u in node.operands]
    return [*data, 0.0] if node.rule is DOT and len(data) % 2 == 0 else data


def local_derivatives(node: Node, nodes: Sequence[Node]) -> tuple[float | None, ...]:
    """d(node)/d(operand) for each, None where numbers are missing or a Function does not say."""
    operands = operands_of(node, nodes)
    unknown = (None,) * len(node.operands)
    if node.data is None or None in operands:
        return unknown
    try:
        found = node.rule.contributions(1.0, node.data, operands)
        numbers = [float(x) for x in found]
    except Exception:
        if isinstance(node.rule, Rule):
            raise
        return unknown  # a Function's backward: the user's code, which may not be there at all
    return tuple(numbers[: len(node.operands)])


def _is_stale(node: Node, graph: Graph) -> bool:
    """Whether the data of a node are not what its operands now give."""
    if not isinstance(node.rule, Rule) or node.rule.name not in RULES:
        return False
    now = node.rule.value(*operands_of(node, graph.nodes))
    return bool(now != node.data and (now == now or node.data == node.data))


def describe(node: Node, place: int) -> str:
    """A name for a node in a sentence: its label, else its number."""
    if node.label:
        return node.label
    if node.kind == "number":
        return "number" if node.data is None else number(node.data)
    return f"#{place}"


def counts(graph: Graph) -> Counter[str]:
    """How many nodes of each kind, ops by their symbols."""
    return Counter(node.symbol or node.kind for node in graph.nodes)


def is_many(rule: Any) -> bool:
    """Whether an op takes any number of operands."""
    return bool(rule.arity == ANY)
