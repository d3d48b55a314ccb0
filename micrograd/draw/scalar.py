"""A graph of scalar ops as a scene: a card for every number, a local derivative on every edge."""

from __future__ import annotations

from micrograd.draw.graph import Graph, Node, describe
from micrograd.draw.palette import strength
from micrograd.draw.scene import Card, Row, Scene, Wire, arrange, sign_of, without_tooltips
from micrograd.draw.text import number

LEGEND = (
    "On an edge: the local derivative, d(result)/d(operand). Blue is positive, orange negative; "
    "the stronger, the larger the gradient (four decades).",
)
UNKNOWN = "?"
ROOM = 112.0  # on a page, for upstream times local derivative


def shown(x: float | None) -> str:
    """A number, or a question mark."""
    return UNKNOWN if x is None else number(x)


def title_of(graph: Graph) -> str:
    """A heading: what is drawn, and how large it is."""
    names = [graph.nodes[v].label or "result" for v in graph.results]
    listed = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    edges = sum(len(node.operands) for node in graph.nodes)
    n = len(graph.nodes)
    return f"{listed}: {n} node{'s' * (n != 1)}, {edges} edge{'s' * (edges != 1)}"


def card_of(node: Node, place: int, graph: Graph, largest: float, keys: bool = False) -> Card:
    """The card of one number. keys: with ids, for a page."""
    key = str(place) if keys else ""
    data = Row("data", shown(node.data), key=key and f"d{key}")
    if node.kind == "number":
        data.name = ""
        return Card("number", rows=[data], key=key and f"n{key}")
    rows = [data]
    if node.kind != "constant" and not (node.kind == "input" and node.grad is None):
        grad = node.grad
        row = Row("grad", shown(grad), sign_of(grad), strength(grad, largest), key and f"g{key}")
        rows.append(row)
    kind = "result" if place in graph.results and node.kind == "op" else node.kind
    tip = [describe(node, place), f"data {node.data!r}", f"grad {node.grad!r}"]
    if node.rule is not None:
        tip.insert(1, f"op {node.rule.name}")
    ports = len(node.operands)
    title = node.label or (f"#{key}" if key else "")
    return Card(kind, title, node.symbol, rows, "\n".join(tip), ports, key and f"n{key}")


def largest_gradient(graph: Graph) -> float:
    """The largest size of a finite gradient, 0 where there is none."""
    sizes = [abs(node.grad) for node in graph.nodes if node.grad is not None]
    return max((g for g in sizes if g < float("inf")), default=0.0)


def wires_of(graph: Graph, keys: bool = False) -> list[Wire]:
    """An edge for every operand, coloured by what goes down it on the way back."""
    flows: list[tuple[Wire, float | None]] = []
    for v, node in enumerate(graph.nodes):
        for i, u in enumerate(node.operands):
            local = node.locals[i] if node.locals else None
            below = graph.nodes[u]
            takes = below.kind not in ("number", "constant")
            flow = None if local is None or node.grad is None or not takes else node.grad * local
            names = describe(node, v), describe(below, u)
            tip = f"d {names[0]} / d {names[1]} = {shown(local)}"
            if flow is not None:
                tip += f"\npassed down: {shown(node.grad)} * {shown(local)} = {shown(flow)}"
            port = (i + 0.5) / len(node.operands)
            # The exponent of a negative base has none: nan, and of no use to anybody.
            none = below.kind == "number" and local is not None and local != local
            wire = Wire(u, v, "" if none else shown(local), tooltip=tip, port=port)
            wire.key = f"e{v}-{i}" if keys else ""
            flows.append((wire, flow))
    most = max((abs(f) for _, f in flows if f is not None and abs(f) < float("inf")), default=0.0)
    for wire, flow in flows:
        wire.sign, wire.strength = sign_of(flow), strength(flow, most)
    return [wire for wire, _ in flows]


def scene_of(graph: Graph, keys: bool = False) -> Scene:
    """The whole graph, every node of it. keys: for a page, with ids and more room on the edges."""
    largest = largest_gradient(graph)
    nodes = enumerate(graph.nodes)
    cards = [card_of(node, v, graph, largest, keys) for v, node in nodes]
    scene = Scene(title_of(graph), cards, wires_of(graph, keys), legend=list(LEGEND))
    scene.notes += graph.remarks
    return without_tooltips(arrange(scene, ROOM)) if keys else arrange(scene)
