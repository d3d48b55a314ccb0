"""Assembly: a list of nodes as instructions for the C core, with a slot for every number it keeps.

The format of the instructions stands in csrc/micrograd.h. A slot holds one number for each row of a
block of the batch; what has the same value for all rows (parameters, constants, and what is
computed from these alone) is a scalar, computed once a call and not once a row.

Time runs through the forward ops and then through the backward ops, in reverse. A value lives from
its op to its last use, which may be in the derivative of another op; a gradient lives from the
first op that sends something to it until its own op passes it on. Slots are shared by whatever does
not live at the same time, so that a block of rows fits into the cache.
"""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from micrograd import rules
from micrograd.core import lib
from micrograd.recording import CONSTANT, INPUT, NONE, PARAMETER, PLAIN, Node
from micrograd.rules import RULES, Rule
from micrograd.simplify import varying

OPCODES: dict[Rule, int] = {
    rule: getattr(lib, f"MG_OP_{rule.name.upper()}") for rule in (*RULES.values(), *PLAIN, INPUT)
}
# Ops whose derivative is 1 or -1: a gradient of 0 stays 0 whatever the operands are.
_LINEAR = (rules.ADD, rules.SUB, rules.NEG, rules.SUM, rules.WHERE)


@cache
def _looks_at(rule: Rule, operand: int) -> tuple[int, ...]:
    """`reads` for an op of one or two operands: whatever changes the answer is looked at."""
    samples = (-1.7, -0.3, 0.0, 0.6, 2.3)  # 0: kinks, and 0**y
    found = set()
    for point in itertools.product(samples, repeat=1 + rule.arity):
        before = rule.contributions(1.3, point[0], point[1:])[operand]
        for i, x in itertools.product(range(1 + rule.arity), samples):
            other = (*point[:i], x, *point[i + 1 :])
            after = rule.contributions(1.3, other[0], other[1:])[operand]
            if before != after and (before == before or after == after):  # not both NaN
                found.add(i - 1)
    return tuple(sorted(found))


def reads(rule: Rule, operand: int, n: int) -> tuple[int, ...]:
    """What the linear map of an operand, one of n, looks at: -1 for the result, else operands."""
    if rule is rules.SUM:
        return ()
    if rule is rules.WHERE:
        return (0,)
    if rule is rules.DOT:  # w, x, bias
        return () if operand == n - 1 else ((operand + n // 2) % (n - 1),)
    return _looks_at(rule, operand)


def differentiable(node: Node) -> range:
    """The operands that can receive a gradient from this op."""
    if node.rule.arity == NONE or node.rule in PLAIN:
        return range(0)
    return range(node.rule is rules.WHERE, len(node.operands))


@dataclass
class Code:
    """Instructions, and how many slots they work on."""

    forward: array[int] = field(default_factory=lambda: array("i"))
    backward: array[int] = field(default_factory=lambda: array("i"))
    slots: int = 0


@dataclass
class Assembly:
    """A program for the C core.

    nodes: what it computes, masks included; varies, receives, sends: of each node, whether it
    differs from row to row, whether it gets a gradient, and the operands it sends one to.
    scalars: the number of each node that is one.
    """

    nodes: list[Node]
    varies: list[bool]
    receives: list[bool]
    sends: list[Sequence[int]]
    scalars: dict[int, int] = field(default_factory=dict)
    constants: list[float] = field(default_factory=list)
    n_uniforms: int = 0
    uniform: Code = field(default_factory=Code)
    rows: Code = field(default_factory=Code)
    run: Code = field(default_factory=Code)
    n_outputs: int = 1


class _Slots:
    """Numbers for what lives at the same time; a number given back is given out again first."""

    def __init__(self) -> None:
        self.count = 0
        self._free: list[int] = []

    def take(self) -> int:
        if self._free:
            return self._free.pop()
        self.count += 1
        return self.count - 1

    def give_back(self, slots: Sequence[int]) -> None:
        self._free.extend(slots)


def _receives(nodes: list[Node], outputs: Sequence[int], arguments: Container[int]) -> list[bool]:
    """Whether a gradient gets there from an output, and goes on to a parameter or an argument."""
    leads: list[bool] = []
    for node in nodes:
        leads.append(
            node.rule is PARAMETER
            or (node.rule is INPUT and node.operands[0] in arguments)
            or any(leads[node.operands[k]] for k in differentiable(node))
        )
    reached = [False] * len(nodes)
    for i in outputs:
        reached[i] = leads[i]
    for i in range(len(nodes) - 1, -1, -1):
        if reached[i]:
            for k in differentiable(nodes[i]):
                j = nodes[i].operands[k]
                reached[j] = reached[j] or leads[j]
    return reached


class _Masks:
    """For each node that rows use only behind a `where`: which rows do, as 1.0 or 0.0.

    A row that does not take a branch must send nothing into it, as in the eager graph, and 0 times
    an infinite derivative is NaN.
    """

    def __init__(self, nodes: list[Node], receives: list[bool], outputs: Sequence[int]) -> None:
        self.nodes = list(nodes)  # and behind them what computes the masks
        self._places: dict[Node, int] = {}
        always = self._place(Node(CONSTANT, (), 1.0))
        mask = dict.fromkeys(outputs, always)
        for i in range(len(nodes) - 1, -1, -1):
            rule, operands, _ = nodes[i]
            for k in differentiable(nodes[i]) if receives[i] else ():
                j = operands[k]
                if not receives[j] or nodes[j].rule.arity == NONE:
                    continue
                new = self._branch(operands[0], mask[i], k) if rule is rules.WHERE else mask[i]
                if mask.setdefault(j, new) != new:
                    some = always in (mask[j], new)
                    either = Node(rules.MAXIMUM, (mask[j], new))
                    mask[j] = always if some else self._place(either)
        needed = {i: m for i, m in mask.items() if m != always and nodes[i].rule not in _LINEAR}
        self.of = self._without_the_rest(len(nodes), needed)

    def _place(self, node: Node) -> int:
        if node not in self._places:
            self._places[node] = len(self.nodes)
            self.nodes.append(node)
        return self._places[node]

    def _branch(self, condition: int, mask: int, side: int) -> int:
        """The rows of a mask that take the first or the second side."""
        never = self._place(Node(CONSTANT, (), 0.0))
        sides = (mask, never) if side == 1 else (never, mask)
        return self._place(Node(rules.WHERE, (condition, *sides)))

    def _without_the_rest(self, first: int, needed: dict[int, int]) -> dict[int, int]:
        """Drops what computes masks that no derivative needs."""
        used = set(needed.values())
        for i in range(len(self.nodes) - 1, first - 1, -1):
            if i in used:
                used.update(self.nodes[i].operands)
        new = {i: i for i in range(first)}
        kept = self.nodes[:first]
        for i in range(first, len(self.nodes)):
            if i in used:
                new[i] = len(kept)
                rule, operands, value = self.nodes[i]
                kept.append(Node(rule, tuple(new[j] for j in operands), value))
        self.nodes = kept
        return {i: new[m] for i, m in needed.items()}


def leave_gradient(column: Sequence[int], slot: int) -> tuple[int, ...]:
    """The instruction by which the gradient of an argument's column goes to the caller."""
    nowhere = int(lib.MG_NO_SINK)
    head = (OPCODES[INPUT], 2, int(lib.MG_NO_SLOT), slot, int(lib.MG_NO_SLOT))
    return (*head, *column, nowhere, nowhere)


class _Assembler:
    """Instructions for one half of the nodes: those that vary, or those that do not."""

    def __init__(
        self, assembly: Assembly, masks: dict[int, int], mine: list[int], training: bool
    ) -> None:
        self.training = training
        self.nodes = assembly.nodes
        self.receives = assembly.receives
        self.scalars = assembly.scalars
        self.masks = masks
        self.mine = mine
        self.sends = assembly.sends
        self.steps = [
            i
            for i in reversed(mine)
            if training and (self.sends[i] or (self.receives[i] and self.nodes[i].rule is INPUT))
        ]
        self._mine = set(mine)
        self.slots = _Slots()
        self.slot: dict[int, int] = {}  # of a value
        self.gradient: dict[int, int] = {}

    def operand(self, i: int) -> int:
        return self.slot[i] if i in self.slot else ~self.scalars[i]

    def sink(self, i: int) -> int:
        if not self.receives[i]:
            return int(lib.MG_NO_SINK)
        if i not in self._mine:
            return -2 - self.scalars[i]
        if i in self.gradient:
            return 2 * self.gradient[i] + 1
        self.gradient[i] = self.slots.take()
        return 2 * self.gradient[i]

    def last_uses(self, ends: Sequence[int]) -> dict[int, list[int]]:
        """What is not used any more after each point in time: forward op t, then backward steps."""
        last: dict[int, int] = {}
        for t, i in enumerate(self.mine):
            if self.nodes[i].rule is not INPUT:
                last.update(dict.fromkeys(self.nodes[i].operands, t))
        n = len(self.mine)
        last.update(dict.fromkeys(ends, n))
        for t, i in enumerate(self.steps, start=n + 1):
            rule, operands, _ = self.nodes[i]
            for k in self.sends[i]:
                for at in reads(rule, k, len(operands)):
                    last[i if at < 0 else operands[at]] = t
            if i in self.masks:
                last[self.masks[i]] = t
        gone: dict[int, list[int]] = defaultdict(list)
        for i, t in last.items():
            if i in self._mine:
                gone[t].append(i)
        return gone

    def run(self, ends: Sequence[int], end: Callable[[_Assembler, Code], None]) -> Code:
        """Forward; what reads the ends and, in training, starts their gradients; backward."""
        code = Code()
        gone = self.last_uses(ends)
        for t, i in enumerate(self.mine):
            rule, operands, _ = self.nodes[i]
            codes = operands if rule is INPUT else [self.operand(j) for j in operands]
            self.slots.give_back([self.slot[j] for j in gone.get(t, ())])
            self.slot[i] = self.slots.take()
            code.forward.extend((OPCODES[rule], len(operands), self.slot[i], *codes))
        end(self, code)
        self.slots.give_back([self.slot[j] for j in gone.get(len(self.mine), ())])
        for t, i in enumerate(self.steps, start=len(self.mine) + 1):
            self.backward(code, i)
            self.slots.give_back([self.gradient[i], *[self.slot[j] for j in gone.get(t, ())]])
        code.slots = self.slots.count
        return code

    def backward(self, code: Code, i: int) -> None:
        rule, operands, _ = self.nodes[i]
        if rule is INPUT:
            code.backward.extend(leave_gradient(operands, self.gradient[i]))
            return
        n = len(operands)
        reads_result = any([-1 in reads(rule, k, n) for k in self.sends[i]])
        masked = i in self.masks and rule not in _LINEAR
        code.backward.extend(
            (
                OPCODES[rule],
                n,
                self.slot[i] if reads_result else lib.MG_NO_SLOT,
                self.gradient[i],
                self.slot[self.masks[i]] if masked else lib.MG_NO_SLOT,
                *[self.operand(j) for j in operands],
            )
        )
        sinks = [lib.MG_NO_SINK] * n
        order = self.sends[i]
        if rule is rules.DOT:  # as csrc/program.h goes: w0, x0, w1, x1, ..., bias
            order = sorted(order, key=lambda k: (k % (n // 2), k) if k < n - 1 else (n, k))
        for k in order:
            sinks[k] = self.sink(operands[k])
        code.backward.extend(sinks)


def assemble(
    nodes: list[Node],
    outputs: list[int],
    n_parameters: int,
    differentiated: Mapping[int, int] = MappingProxyType({}),
) -> Assembly:
    """Instructions that compute these outputs and, where there is only one, its gradient.

    The gradient is with respect to the parameters and the arguments `differentiated`, which maps
    the number of each to how many columns it has.
    """
    training = len(outputs) == 1
    receives = _receives(nodes, outputs if training else (), differentiated)
    masks = _Masks(nodes, receives, outputs) if training else None
    plain = len(nodes)
    nodes = masks.nodes if masks else nodes
    mask_of = masks.of if masks else {}
    receives += [False] * (len(nodes) - plain)
    varies = varying(nodes)
    for i, (rule, operands, _) in enumerate(nodes):
        # What is computed behind a `where` counts as varying: not every row uses it.
        if rule.arity != NONE and not varies[i]:
            varies[i] = i >= plain or i in mask_of or any(varies[j] for j in operands)
    sends: list[Sequence[int]] = [
        [k for k in differentiable(node) if receives[node.operands[k]]] if receives[i] else ()
        for i, node in enumerate(nodes)
    ]
    assembly = Assembly(nodes, varies, receives, sends, n_outputs=len(outputs))
    for i, (rule, operands, value) in enumerate(nodes):
        if rule is PARAMETER:
            assembly.scalars[i] = operands[0]
        elif rule is CONSTANT:
            assembly.scalars[i] = n_parameters + len(assembly.constants)
            assembly.constants.append(value)
    read = set(outputs)
    for i, node in enumerate(nodes):
        if varies[i] and node.rule is not INPUT:
            read.update(node.operands)
    ops = [i for i, node in enumerate(nodes) if node.rule.arity != NONE or node.rule is INPUT]
    kept = [i for i in ops if not varies[i] and i in read]

    def keep(part: _Assembler, code: Code) -> None:
        for i in kept:
            number = assembly.scalars[i]
            code.forward.extend((lib.MG_OP_KEEP, 1, number, part.slot[i]))
            if receives[i] and part.training:
                seed = (lib.MG_OP_KEEP, 1, number, 0, lib.MG_NO_SLOT, part.slot[i])
                code.backward.extend((*seed, part.sink(i)))

    def put_out(part: _Assembler, code: Code) -> None:
        for number, i in enumerate(outputs):
            code.forward.extend((lib.MG_OP_OUTPUT, 1, number, part.operand(i)))
            if receives[i] and part.training:
                seed = (lib.MG_OP_OUTPUT, 1, number, 0, lib.MG_NO_SLOT, part.operand(i))
                code.backward.extend((*seed, part.sink(i)))

    for n, i in enumerate(kept):
        assembly.scalars[i] = n_parameters + len(assembly.constants) + n
    assembly.n_uniforms = len(kept)
    still = [i for i in ops if not varies[i]]
    rows = [i for i in ops if varies[i]]
    assembly.uniform = _Assembler(assembly, mask_of, still, training).run(kept, keep)
    assembly.rows = _Assembler(assembly, mask_of, rows, training).run(outputs, put_out)
    reached = {nodes[i].operands for i in rows if receives[i] and nodes[i].rule is INPUT}
    for argument, columns in differentiated.items():
        for column in range(columns):
            if (argument, column) not in reached:  # its gradient is zero
                zero = leave_gradient((argument, column), lib.MG_NO_SLOT)
                assembly.rows.backward.extend(zero)
    assembly.run = _Assembler(assembly, {}, rows[: bisect_left(rows, plain)], False).run(
        outputs, put_out
    )
    return assembly
