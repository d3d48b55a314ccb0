"""Masks: which rows take part in what stands behind a `where`.

A row that does not take a branch must send nothing into it, as in the eager graph, and 0 times an
infinite derivative is NaN. So an op that rows use only behind a `where` gets a mask, 1.0 or 0.0 for
each row, computed by ops of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from micrograd.engine import rules
from micrograd.program.ops import CONSTANT, NONE, Node
from micrograd.program.reads import LINEAR, differentiable


class Masks:
    """nodes: those given, and behind them what computes the masks. of: the mask of a node."""

    def __init__(self, nodes: list[Node], receives: list[bool], outputs: Sequence[int]) -> None:
        self.nodes = list(nodes)
        self.of: dict[int, int] = {}
        self._places: dict[Node, int] = {}
        if not any([node.rule is rules.WHERE for node in nodes]):
            return
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
        needed = {i: m for i, m in mask.items() if m != always and nodes[i].rule not in LINEAR}
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
