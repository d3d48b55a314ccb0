"""Activations and losses that are the user's own functions of Values, as script of a page.

They are recorded as a network records them, and so is their derivative; the leaves they close over
have the data that the network has for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from micrograd.draw.evaluator import body
from micrograd.draw.unrolled import Unrolled
from micrograd.engine import Value, grad
from micrograd.network.network import Network
from micrograd.program.ops import CONSTANT, PARAMETER, Node, Shape
from micrograd.program.recording import record

MOST = 3000  # ops of a function that a page takes along


def reason_against(out: Unrolled, targets: int) -> str:
    """Why one of the functions cannot be in a page, "" where all can."""
    try:
        script(out, targets)
    except ValueError as error:
        return str(error)
    return ""


def script(out: Unrolled, targets: int) -> str:
    """VALUES.own0, PULLS.own0, ... for the activations, LOSSES.own for the loss.

    targets: how many numbers y has for a sample.

    Raises:
        ValueError: a function is too long.
    """
    leaves = _leaves(out.net)
    parts = []
    for part in out.parts:
        if part.own is not None:
            name, f = part.script[0], part.own
            value = _code(f, [()], leaves, lambda *_: "x")
            slope = _code(_slope(f), [()], leaves, lambda *_: "x")
            parts.append(f"VALUES.{name}=(x)=>({value})[0];")
            parts.append(f"PULLS.{name}=(g,z,x)=>({slope}).map((d)=>g*d);")
    own_loss = out.net.loss_kind.function
    if own_loss is not None:
        outputs = out.net.out_features
        shapes: list[Shape] = [() if n == 1 else (n,) for n in (outputs, targets)]

        def argument(number: int, column: int) -> str:
            return f"{'zy'[number]}[{column}]"

        value = _code(own_loss, shapes, leaves, argument)
        slope = _code(_slopes(own_loss, outputs), shapes, leaves, argument)
        parts.append(f"LOSSES.own={{value:(z,y)=>({value})[0],slope:(z,y)=>({slope})}};")
    return "\n".join(parts)


def _leaves(net: Network) -> dict[Value, float]:
    """What the network has for the leaves that functions close over: its last parameters."""
    leaves = net.leaves()
    parameters = list(net.parameters())[len(net.parameters()) - len(leaves) :]
    return {leaf: float(parameter.data) for leaf, parameter in zip(leaves, parameters, strict=True)}


def _slope(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: grad(f(x), x, create_graph=True)[0]


def _slopes(f: Callable[[Any, Any], Any], outputs: int) -> Callable[[Any, Any], Any]:
    """dL/dz for each z, as a list."""

    def slopes(z: Any, y: Any) -> list[Value]:
        return list(grad(f(z, y), [z] if outputs == 1 else list(z), create_graph=True))

    return slopes


def _code(
    f: Callable[..., Any],
    shapes: Sequence[Shape],
    leaves: Mapping[Value, float],
    argument: Callable[[int, int], str],
) -> str:
    """The body of a function of JavaScript that returns f's results in an array."""
    recording = record(f, shapes)
    if len(recording.nodes) > MOST:
        name = getattr(f, "__name__", type(f).__name__)
        raise ValueError(f"{name}: {len(recording.nodes)} ops are too many for a page.")
    data = [leaves[leaf] for leaf in recording.leaves]
    nodes = [
        Node(CONSTANT, (), data[node.operands[0]]) if node.rule is PARAMETER else node
        for node in recording.nodes
    ]
    code = body(nodes, recording.outputs, argument)
    return code if code.startswith("[") else f"(()=>{code})()"
