"""What a program computes, in lines that a person can read."""

from __future__ import annotations

from collections.abc import Sequence

from micrograd.engine import rules
from micrograd.engine.rules import split_dot
from micrograd.program.layout import Assembly
from micrograd.program.ops import CONSTANT, INPUT, NONE, PARAMETER, Shape

SHOWN = 40  # ops from the beginning, and as many from the end
_OPERANDS = 8  # of one op


def _argument(number: int, column: int, shape: Shape) -> str:
    """x0 for a Value, x0[2] or x0[1][2] for what is in a list."""
    indices = []
    for n in reversed(shape):
        column, index = divmod(column, n)
        indices.append(f"[{index}]")
    return f"x{number}" + "".join(reversed(indices))


def _shortened(names: Sequence[str]) -> str:
    if len(names) <= _OPERANDS:
        return ", ".join(names)
    return f"{', '.join(names[:3])}, ... ({len(names)} in all), {names[-1]}"


def listing(
    assembly: Assembly,
    shapes: Sequence[Shape],
    parameters: Sequence[str],
    recorded: int,
) -> str:
    """The ops of a recording, one a line: destination = op(operands) and the slot it is kept in.

    recorded: how many ops there were before simplification.
    """
    passes = assembly.passes
    nodes = passes.nodes
    names: list[str] = []
    for i, (rule, operands, value) in enumerate(nodes):
        if rule is INPUT:
            names.append(_argument(operands[0], operands[1], shapes[operands[0]]))
        elif rule is PARAMETER:
            names.append(parameters[operands[0]])
        else:
            names.append(f"{value:g}" if rule is CONSTANT else f"%{i}")
    ops = [i for i, node in enumerate(nodes) if node.rule.arity != NONE]
    uniform = [i for i in ops if not passes.varies[i]]
    rows = [i for i in ops if passes.varies[i]]
    arguments = ", ".join(f"x{i}{list(shape) if shape else ''}" for i, shape in enumerate(shapes))
    head = (
        f"({arguments}) -> {_shortened([names[i] for i in passes.outputs])}: "
        f"{recorded} ops recorded, {len(ops)} after simplification; {len(parameters)} parameters; "
        f"{assembly.rows.slots} slots for {sum(passes.varies)} values and their gradients"
    )

    def line(i: int) -> str:
        rule, operands, _ = nodes[i]
        if rule is rules.DOT:
            ws, xs, bias = split_dot(operands)
            parts = (ws, xs, (bias,))
            inside = "; ".join(_shortened([names[j] for j in part]) for part in parts)
        else:
            inside = _shortened([names[j] for j in operands])
        gradient = "" if passes.receives[i] else "  (no gradient)"
        return f"  {names[i]:>6} = {rule.name}({inside}){gradient}"

    def section(title: str, part: list[int]) -> list[str]:
        if not part:
            return []
        if len(part) <= 2 * SHOWN:
            return [title, *map(line, part)]
        left_out = f"     ... {len(part) - 2 * SHOWN} more ..."
        return [title, *map(line, part[:SHOWN]), left_out, *map(line, part[-SHOWN:])]

    once = section(f"once a call ({len(uniform)} ops):", uniform)
    return "\n".join([head, *once, *section(f"for each row ({len(rows)} ops):", rows)])
