"""The numbers by which the C core knows ops and special places (csrc/micrograd.h)."""

from __future__ import annotations

from micrograd.core import lib
from micrograd.engine.rules import RULES, Rule
from micrograd.program.ops import INPUT, PLAIN

OPCODES: dict[Rule, int] = {
    rule: getattr(lib, f"MG_OP_{rule.name.upper()}") for rule in (*RULES.values(), *PLAIN, INPUT)
}
OUTPUT, KEEP = int(lib.MG_OP_OUTPUT), int(lib.MG_OP_KEEP)
NO_SLOT, NO_SINK = int(lib.MG_NO_SLOT), int(lib.MG_NO_SINK)


def scalar_operand(number: int) -> int:
    """Scalar `number` as an operand; a slot stands for itself."""
    return ~number


def slot_sink(slot: int, add: bool) -> int:
    """A gradient's way into a slot: in place of what is there, or added to it."""
    return 2 * slot + add


def scalar_sink(number: int) -> int:
    """A gradient's way into the sum of scalar `number`."""
    return -2 - number
