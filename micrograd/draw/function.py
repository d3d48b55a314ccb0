"""draw: a picture of a Value's graph or of a model."""

from __future__ import annotations

from typing import Any

from micrograd.draw import collapse as collapsing
from micrograd.draw import network, network_blocks, scalar
from micrograd.draw.drawing import Drawing
from micrograd.draw.graph import Graph, of_values
from micrograd.draw.network_page import network_page
from micrograd.draw.page import Page, node, render
from micrograd.draw.program_graph import of_program
from micrograd.draw.scene import Scene
from micrograd.draw.unrolled import Names, unroll, with_numbers
from micrograd.engine.rules import Rule
from micrograd.engine.value import Value
from micrograd.network.network import Network
from micrograd.program.program import Program


def draw(
    value_or_model: Any, X: Any = None, y: Any = None, collapse: bool | None = None
) -> Drawing:
    """Draws the graph behind a Value, or a model, in any of five formats.

    Every number is a card with its label, op, data and grad; on every edge stands the local
    derivative. Nothing but this package is needed; for .png also matplotlib.

    Args:
        value_or_model: a Value, several of them in a list, a Network or a Program.
        X, y: for a model: rows to run it on, as its loss() takes them. A Network's page offers
            them as samples; a Program is drawn for the first row.
        collapse: True draws neurons as layers, and many layers as blocks; False draws every node;
            None collapses beyond 150 nodes. The drawing says what it hides.

    Returns:
        A Drawing: `.save("x.svg")`, `.svg`, `.html`, `.mermaid`, `.dot`; shows itself in notebooks.

    Raises:
        TypeError: something else, or X and y with a Value.
        ValueError: X or y do not fit the model.

    >>> import micrograd as mg
    >>> x = mg.Value(2.0, label="x")
    >>> y = x * 3 + 1
    >>> y.backward()
    >>> mg.draw(y)
    Drawing(result: 5 nodes, 4 edges)
    """
    if collapse not in (None, True, False):
        raise TypeError(f"draw: collapse is {collapse!r}, True, False or None is wanted")
    values = _values(value_or_model)
    if values is not None:
        if X is not None or y is not None:
            raise TypeError("draw: X and y are for a Network or a Program; a Value has its data")
        return of_graph(of_values(values), collapse)
    if isinstance(value_or_model, Network):
        return of_network(value_or_model, X, y, collapse)
    if isinstance(value_or_model, Program):
        return of_graph(of_program(value_or_model, X, y), collapse)
    raise TypeError(
        f"draw: {type(value_or_model).__name__} cannot be drawn; a Value, a list of Values, a "
        "Network or a Program is wanted"
    )


def _values(x: Any) -> list[Value] | None:
    """The Values to draw, None where x is something else."""
    if isinstance(x, Value):
        return [x]
    several = isinstance(x, (list, tuple)) and len(x) > 0
    return list(x) if several and all(isinstance(each, Value) for each in x) else None


def of_graph(graph: Graph, collapse: bool | None) -> Drawing:
    """A graph of scalar ops, collapsed or not."""
    if collapse is None:
        collapse = len(graph.nodes) > collapsing.MANY
    if collapse:
        scene = collapsing.scene_of(graph)
        return Drawing(scene, lambda: render(Page(scene, notes=_collapsed_notes(scene))))
    scene = scalar.scene_of(graph)
    return Drawing(scene, lambda: render(scalar_page(graph)))


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
        scene = network_blocks.scene_of(out)
        return Drawing(scene, lambda: render(Page(scene, notes=_collapsed_notes(scene))))
    return Drawing(network.scene_of(out), lambda: render(network_page(out, y)))


def _collapsed_notes(scene: Scene) -> list[str]:
    return [*scene.notes, "A page of a graph that is drawn node by node can be stepped through."]


def scalar_page(graph: Graph) -> Page:
    """The page that steps through a graph, where all of its numbers are known."""
    scene = scalar.scene_of(graph, keys=True)
    if any(each.data is None for each in graph.nodes):
        notes = [*graph.remarks, "Give X (and y) to see numbers and to step through."]
        return Page(scene, notes=notes)
    nodes = [
        node(
            each.label,
            each.kind,
            each.rule.name if isinstance(each.rule, Rule) else f"{each.symbol}()",
            each.symbol,
            each.operands,
            each.data,
            () if _is_known(each.rule) else each.locals,
        )
        for each in graph.nodes
    ]
    return Page(scene, nodes, graph.results, [*graph.remarks, *_remarks(graph)])


def _is_known(rule: Any) -> bool:
    from micrograd.draw.evaluator import known

    return rule is None or (isinstance(rule, Rule) and rule.name in known())


def _remarks(graph: Graph) -> list[str]:
    """What the page cannot do, and where its pass differs from the gradients the Values hold."""
    found = []
    fixed = sorted({each.symbol for each in graph.nodes if not _is_known(each.rule)})
    if fixed:
        found.append(
            f"{', '.join(fixed)}: an op that cannot be computed again in the page. Its numbers are "
            "the engine's, and what it depends on cannot be changed here."
        )
    return found
