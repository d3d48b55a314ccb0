"""Drawings of graphs of scalar ops, collapsed or node by node."""

from __future__ import annotations

from micrograd.draw import collapse as collapsing
from micrograd.draw import scalar
from micrograd.draw.drawing import Drawing
from micrograd.draw.graph import Graph
from micrograd.draw.scene import Scene


def of_graph(graph: Graph, collapse: bool | None) -> Drawing:
    """A graph of scalar ops, collapsed or not."""
    if collapse is None:
        collapse = len(graph.nodes) > collapsing.MANY
    if collapse:
        scene = collapsing.scene_of(graph)
        return Drawing(scene, lambda: _collapsed_page(scene))
    return Drawing(scalar.scene_of(graph), lambda: _page(graph))


def _collapsed_page(scene: Scene) -> str:
    from micrograd.draw.page import collapsed_page

    return collapsed_page(scene)


def _page(graph: Graph) -> str:
    from micrograd.draw.scalar_page import scalar_page

    return scalar_page(graph)
