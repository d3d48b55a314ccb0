"""What stands in the list of a recording: ops of `rules`, leaves, and ops without a derivative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from micrograd.engine.rules import RULES, Rule

Shape = tuple[int, ...]  # of an argument or a result: () for a Value, (n,) for a list of n

NONE = -1  # the arity of a leaf


def _no_value(*operands: float) -> NoReturn:
    raise AssertionError("a leaf is not computed")


# What stands in the list beside the ops of `rules`. Leaves: an input is (argument, column), a
# parameter (number,), a constant has a value.
INPUT = Rule("input", "", NONE, _no_value)
PARAMETER = Rule("parameter", "", NONE, _no_value)
CONSTANT = Rule("constant", "", NONE, _no_value)
# Ops without a derivative.
LESS = Rule("less", "<", 2, lambda x, y: float(x < y), lambda *_: 0.0, lambda *_: 0.0)
LESS_EQUAL = Rule("less_equal", "<=", 2, lambda x, y: float(x <= y), lambda *_: 0.0, lambda *_: 0.0)
DETACH = Rule("detach", "detach", 1, lambda x: x, lambda *_: 0.0)
PLAIN = (LESS, LESS_EQUAL, DETACH)


class Node(NamedTuple):
    """An op and the places of its operands in the list, or a leaf (see INPUT, ...)."""

    rule: Rule
    operands: tuple[int, ...]
    value: float = 0.0


_new_tuple = tuple.__new__
OPS: dict[str, Rule] = {
    rule.name: rule for rule in (*RULES.values(), *PLAIN, INPUT, PARAMETER, CONSTANT)
}
Packed = tuple[str, tuple[int, ...], str]


def pack(nodes: Sequence[Node]) -> list[Packed]:
    """The list as plain data, to compare and to pickle: names, places, and numbers to the bit."""
    return [(node.rule.name, node.operands, float(node.value).hex()) for node in nodes]


def unpack(packed: Sequence[Packed]) -> list[Node]:
    """The list that `pack` was given."""
    return [Node(OPS[name], operands, float.fromhex(value)) for name, operands, value in packed]


def op_node(rule: Rule, operands: tuple[int, ...]) -> Node:
    """Node(rule, operands), in a third of the time."""
    return _new_tuple(Node, (rule, operands, 0.0))
