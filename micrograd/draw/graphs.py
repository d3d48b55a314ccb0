"""Drawings of graphs of scalar ops, collapsed or node by node."""

from __future__ import annotations

from micrograd.draw import collapse as collapsing
from micrograd.draw import scalar
from micrograd.draw.drawing import Drawing
from micrograd.draw.graph import Graph
from micrograd.draw.layers import count_places

PLACES = 150_000  # of a layout: about 10 s


def of_graph(graph: Graph, collapse: bool | None) -> Drawing:
    """A graph of scalar ops, collapsed or not.

    Raises:
        ValueError: drawn node by node it would take more than PLACES.
    """
    if collapse is None:
        collapse = len(graph.nodes) > collapsing.MANY
    if collapse:
        return Drawing(collapsing.scene_of(graph), lambda: _collapsed_page(graph))
    edges = [(u, v) for v, node in enumerate(graph.nodes) for u in node.operands]
    places = count_places(len(graph.nodes), edges)
    if places > PLACES:
        raise ValueError(
            f"draw: collapse=False: {len(graph.nodes):,} nodes and the way of their edges past "
            f"others take {places:,} places, at most {PLACES:,} are drawn; draw a part of the "
            "graph, or leave collapse out"
        )
    return Drawing(scalar.scene_of(graph), lambda: _page(graph))


def _collapsed_page(graph: Graph) -> str:
    from micrograd.draw.collapsed_page import collapsed_page

    return collapsed_page(graph)


def _page(graph: Graph) -> str:
    from micrograd.draw.scalar_page import scalar_page

    return scalar_page(graph)
