"""The graph of a compiled function: as it was recorded, with the program's own parameters."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.draw.graph import Graph, Node, local_derivatives, operands_of
from micrograd.draw.text import plain
from micrograd.engine.value import Value
from micrograd.program.ops import CONSTANT, INPUT, PARAMETER, Shape
from micrograd.program.ops import Node as Recorded
from micrograd.program.program import Program
from micrograd.program.recording import record


def of_program(program: Program, X: Any, y: Any) -> Graph:
    """The graph of one sample: that of the first row of X and y, without numbers where X is None.

    X may be a tuple of arrays, for a function of other than two arguments.

    Raises:
        ValueError: X is None and nothing has been recorded; an argument does not fit.
    """
    if X is None:
        if y is not None:
            raise ValueError("draw: y without X: the first row of both is drawn")
        if not program.recorded_shapes:
            raise ValueError(
                "draw: the program has not been recorded yet; give X (and y), or call "
                "program.record(X, y) first"
            )
        return _graph(program, program.recorded_shapes[-1], None)
    arguments = X if isinstance(X, tuple) else (X,)
    if y is not None:
        arguments = (*arguments, y)
    rows = [_first_row(i, argument) for i, argument in enumerate(arguments)]
    graph = _graph(program, tuple(row.shape for row in rows), rows)
    _differentiate(graph)
    graph.remarks.append("The first row of the data.")
    if program.dtype == "float32":
        graph.remarks.append("Computed in double precision; the program runs in float32.")
    return graph


def _first_row(i: int, argument: Any) -> Any:
    array = checks.reals("draw", f"argument {i}", argument, np.dtype(np.float64))
    if np.ndim(argument) == 0 or array.shape[0] < 1:
        raise ValueError(f"draw: argument {i} has no rows; an array with a row a sample is wanted")
    return array[0]


def _graph(program: Program, shapes: tuple[Shape, ...], rows: Sequence[Any] | None) -> Graph:
    recording = record(program.function, shapes)
    data, names = _parameters(program, recording.leaves)
    arguments = _argument_names(program.function, len(shapes))
    wanted = _reached(recording.nodes, recording.outputs)
    graph = Graph()
    places: dict[int, int] = {}
    for i in wanted:
        rule, operands, value = recording.nodes[i]
        if rule is INPUT:
            number, column = operands
            at = np.unravel_index(column, shapes[number]) if shapes[number] else ()
            index = f"[{','.join(map(str, map(int, at)))}]" if at else ""
            known = None if rows is None else float(rows[number].flat[column])
            node = Node("input", f"{arguments[number]}{index}", data=known)
        elif rule is PARAMETER:
            leaf = operands[0]
            node = Node("leaf", names[leaf], data=data[leaf])
        elif rule is CONSTANT:
            node = Node("number", data=value)
        else:
            node = Node("op", "", rule, tuple(places[u] for u in operands))
            known_all = [graph.nodes[u].data for u in node.operands]
            if None not in known_all:
                node.data = float(rule.value(*operands_of(node, graph.nodes)))
            node.locals = local_derivatives(node, graph.nodes)
        places[i] = len(graph.nodes)
        graph.nodes.append(node)
    graph.results = [places[i] for i in dict.fromkeys(recording.outputs)]
    return graph


def _reached(nodes: Sequence[Recorded], outputs: Sequence[int]) -> list[int]:
    """What the results depend on, in order."""
    needed = [False] * len(nodes)
    for i in outputs:
        needed[i] = True
    for i in range(len(nodes) - 1, -1, -1):
        if needed[i] and nodes[i].rule not in (INPUT, PARAMETER, CONSTANT):
            for u in nodes[i].operands:
                needed[u] = True
    return [i for i, yes in enumerate(needed) if yes]


def _parameters(program: Program, leaves: Sequence[Value]) -> tuple[list[float], list[str]]:
    """Data and names: the program's own, where it has recorded these leaves already."""
    numbers = {leaf: i for i, leaf in enumerate(program.leaves)}
    flat = program.parameters() if program.leaves else []
    data, names = [], []
    for i, leaf in enumerate(leaves):
        if leaf in numbers:
            data.append(float(flat[numbers[leaf]].data))
            names.append(plain(flat[numbers[leaf]].name))
        else:
            data.append(leaf.data)
            names.append(plain(leaf.label) or f"p{i}")
    return data, names


def _argument_names(function: Any, n: int) -> list[str]:
    try:
        named = [plain(name) for name in inspect.signature(function).parameters][:n]
    except (TypeError, ValueError):
        named = []
    return [*named, *(f"argument{i}" for i in range(len(named), n))]


def _differentiate(graph: Graph) -> None:
    """Sets the gradients of the sum of the results."""
    grads = [0.0] * len(graph.nodes)
    for result in graph.results:
        grads[result] += 1.0
    for v in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[v]
        if node.rule is not None:
            g = grads[v]
            if g or not node.rule.bounded:
                shares = node.rule.contributions(g, node.data, operands_of(node, graph.nodes))
                for u, share in zip(node.operands, shares, strict=False):
                    grads[u] += share
        if node.kind != "number":
            node.grad = grads[v]
