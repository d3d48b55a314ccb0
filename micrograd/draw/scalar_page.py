"""The page that steps through a graph of scalar ops, node by node."""

from __future__ import annotations

from typing import Any

from micrograd.draw import scalar
from micrograd.draw.evaluator import known
from micrograd.draw.graph import Graph
from micrograd.draw.page import Page, node, render
from micrograd.engine.rules import Rule


def scalar_page(graph: Graph) -> str:
    """The page that steps through a graph, where all of its numbers are known."""
    scene = scalar.scene_of(graph, keys=True)
    if any(each.data is None for each in graph.nodes):
        notes = [*graph.remarks, "Give X (and y) to see numbers and to step through."]
        return render(Page(scene, notes=notes))
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
    return render(Page(scene, nodes, graph.results, [*graph.remarks, *_remarks(graph)]))


def _is_known(rule: Any) -> bool:
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
