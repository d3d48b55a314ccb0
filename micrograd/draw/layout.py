"""One layout for every drawing: sizes and edges in, coordinates and routes out.

The same input gives the same numbers: nothing is drawn at random, no set is walked through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from micrograd.draw.coordinates import places
from micrograd.draw.layers import Layered, longest_path, order, with_dummies

GAP = 14.0  # between two nodes of a rank
Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Where things are, in pixels; x to the right, y down.

    boxes: the upper left corner of each node; routes: for each edge its points, from the right side
    of its source to the left side of its target, two for each rank passed; lead: how much of the
    end of each edge is straight, for a label to sit on. ranks: the column of each node.
    """

    boxes: list[Point]
    routes: list[list[Point]]
    lead: list[float]
    ranks: list[int]
    width: float
    height: float


def layout(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    ports: Sequence[float] | None = None,
    labels: Sequence[float] | None = None,
    gap: float = GAP,
    margin: float = 34.0,
) -> Layout:
    """A layered drawing from left to right.

    Args:
        sizes: width and height of each node.
        edges: (source, target) each; there is no way round in a circle. Several may join the same
            two nodes.
        ports: where on its target's left side each edge arrives, 0 (top) to 1; 1/2 where not given.
        labels: the room each edge's label takes before its target; 0 where not given.
        gap: between nodes of a rank; margin: what a bend takes between two ranks.

    Raises:
        ValueError: the edges go round in a circle.
    """
    n = len(sizes)
    ports = [0.5] * len(edges) if ports is None else ports
    labels = [0.0] * len(edges) if labels is None else labels
    rank = longest_path(n, edges)
    graph = with_dummies(n, edges, ports, rank)
    order(graph)
    heights = [h for _, h in sizes] + [0.0] * (len(graph.rank) - n)
    ys = places(graph, heights, gap)
    columns, leads, lefts = _columns(graph, sizes, edges, labels, ys, margin)
    boxes = []
    for v, (w, h) in enumerate(sizes):
        slack = columns[rank[v]] - w
        left = lefts[rank[v]] + (slack if rank[v] == 0 else slack / 2)
        boxes.append((left, ys[v] - h / 2))
    routes = []
    for (u, v), chain, port in zip(edges, graph.chains, ports, strict=True):
        route = [(boxes[u][0] + sizes[u][0], ys[u])]
        for dummy in chain[1:-1]:
            left = lefts[graph.rank[dummy]]
            route += [(left, ys[dummy]), (left + columns[graph.rank[dummy]], ys[dummy])]
        route.append((boxes[v][0], boxes[v][1] + port * sizes[v][1]))
        routes.append(route)
    lead = [leads[rank[v]] for _, v in edges]
    tall = max((y + h for (_, y), (_, h) in zip(boxes, sizes, strict=True)), default=0.0)
    width = lefts[-1] + columns[-1] if lefts else 0.0
    return Layout(boxes, routes, lead, rank, width, max(tall, max(ys, default=0.0)))


def _columns(
    graph: Layered,
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    labels: Sequence[float],
    ys: Sequence[float],
    margin: float,
) -> tuple[list[float], list[float], list[float]]:
    """For each rank its width, the room for labels before it, and its left side."""
    rank = graph.rank
    columns = [0.0] * len(graph.ranks)
    leads = [0.0] * len(graph.ranks)
    bends = [margin] * len(graph.ranks)
    for v, (w, _) in enumerate(sizes):
        columns[rank[v]] = max(columns[rank[v]], w)
    for (_, v), room in zip(edges, labels, strict=True):
        leads[rank[v]] = max(leads[rank[v]], room)
    for u, pairs in enumerate(graph.after):
        for v, _ in pairs:  # a steep line wants room to bend
            steep = min(abs(ys[u] - ys[v]) / 12, 4 * margin)
            bends[graph.rank[v]] = max(bends[graph.rank[v]], steep)
    lefts, x = [], 0.0
    for r, column in enumerate(columns):
        x += (bends[r] + leads[r]) if r else 0.0
        lefts.append(x)
        x += column
    return columns, leads, lefts
