"""Drawings of graphs of scalar ops, collapsed or node by node."""

from __future__ import annotations

from micrograd.draw import collapse as collapsing
from micrograd.draw import scalar
from micrograd.draw.drawing import Drawing
from micrograd.draw.graph import Graph


def of_graph(graph: Graph, collapse: bool | None) -> Drawing:
    """A graph of scalar ops, collapsed or not."""
    if collapse is None:
        collapse = len(graph.nodes) > collapsing.MANY
    if collapse:
        return Drawing(collapsing.scene_of(graph), lambda: _collapsed_page(graph))
    return Drawing(scalar.scene_of(graph), lambda: _page(graph))


def _collapsed_page(graph: Graph) -> str:
    from micrograd.draw.collapsed_page import collapsed_page

    return collapsed_page(graph)


def _page(graph: Graph) -> str:
    from micrograd.draw.scalar_page import scalar_page

    return scalar_page(graph)
