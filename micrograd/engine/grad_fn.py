"""The backward steps of a graph as PyTorch shows them: what `Value.grad_fn` returns."""

from __future__ import annotations

from typing import Any

from micrograd.engine.node import Node


class GradFn:
    """One step of the backward pass, as PyTorch shows it: `<MulBackward>`.

    next_functions: the steps that follow it, one `(GradFn or None, 0)` per parent.
    `variable` is the Value concerned; a leaf that takes a gradient shows as `<AccumulateGrad>`.
    """

    __slots__ = ("variable",)

    def __init__(self, variable: Node) -> None:
        self.variable = variable

    @property
    def next_functions(self) -> tuple[tuple[GradFn | None, int], ...]:
        """The backward steps of the parents, in order; None for one that takes no gradient."""
        parents = self.variable.parents
        return tuple((GradFn(p) if p.requires_grad else None, 0) for p in parents)

    @property
    def rule(self) -> Any:
        """The op's entry in the table of `rules`, or what stands in its place for a Function.

        None for a leaf. `rule.contributions(g, z, operands)` is the backward step on numbers.
        """
        return self.variable._rule or None

    def name(self) -> str:
        """MulBackward for mul, LeakyReluBackward for leaky_relu, ..."""
        words = self.variable.op.split("_")
        capitalized = "".join(word[:1].upper() + word[1:] for word in words)
        return capitalized + "Backward" if capitalized else "AccumulateGrad"

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GradFn) and other.variable is self.variable

    def __hash__(self) -> int:
        return hash(self.variable)
