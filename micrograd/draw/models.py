"""Drawings of models: a network by its layers, a compiled function by its ops."""

from __future__ import annotations

from typing import Any

from micrograd.draw import network, network_blocks
from micrograd.draw.drawing import Drawing
from micrograd.draw.graphs import of_graph
from micrograd.draw.network_page import network_page
from micrograd.draw.page import render
from micrograd.draw.program_graph import of_program
from micrograd.draw.unrolled import Names, unroll, with_numbers
from micrograd.network.network import Network
from micrograd.program.program import Program


def of_model(model: Any, X: Any, y: Any, collapse: bool | None) -> Drawing | None:
    """The drawing of a Network or a Program, None of anything else."""
    if isinstance(model, Network):
        return of_network(model, X, y, collapse)
    if isinstance(model, Program):
        return of_graph(of_program(model, X, y), collapse)
    return None


def of_network(
    net: Network, X: Any, y: Any, collapse: bool | None, names: Names | None = None
) -> Drawing:
    """A network: forward, back and the cache between, or its layers as blocks.

    names: of the columns of X and of the classes, to print.

    Raises:
        ValueError: only one of X and y is given.
    """
    if (X is None) != (y is None):
        missing = "y" if y is None else "X"
        raise ValueError(
            f"draw: {missing} is missing: the way back begins at a loss, which takes X and y"
        )
    out = unroll(net) if X is None else with_numbers(net, X, y)
    out.names = names or Names()
    if collapse is None:
        collapse = len(out.parts) > network_blocks.MANY
    if collapse:
        return Drawing(network_blocks.scene_of(out), lambda: render(network_blocks.page_of(out)))
    return Drawing(network.scene_of(out), lambda: render(network_page(out, y)))
