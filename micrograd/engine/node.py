"""Node: what a graph keeps of one number, be it read by backward, grad_fn or a drawing.

A node is a leaf, or holds the `Rule` that made it and the operands. Its arithmetic is `Value`'s, in
`value`; what walks over graphs needs no more than stands here.
"""

from __future__ import annotations

from math import inf
from numbers import Real
from typing import Any, ClassVar, Final, Literal, TypeAlias

from micrograd.engine.rules import ANY, Rule

Operand: TypeAlias = "Node | float"

# `Node._rule` of an inner node is its Rule. A leaf has no rule, and both words for that are falsy:
LEAF: Final = None  # a leaf that takes a gradient
FROZEN: Final = False  # a leaf that takes none: requires_grad=False, or made under no_grad


class Node:
    """A number and where it came from; see `value.Value`, its one public subclass."""

    # _a and _b are the operands, Nodes or floats; a unary op has no _b, a leaf neither. An op of
    # arity ANY has the tuple of its operands in _a and () in _b; only a `dot` of nothing but Values
    # has (*ws, bias) or ws in _a and xs in _b. _mark is for topological. _label is unset for "".
    __slots__ = ("_a", "_b", "_data", "_label", "_mark", "_rule", "grad")

    _data: float
    _label: str
    _rule: Rule | Literal[False] | None
    _a: Any
    _b: Any
    _mark: object
    grad: Any  # a float; a Value after backward(create_graph=True)

    # A subclass that stands for more than one number says here how an op applies to it: a function
    # of the rule and its operands, to the result. See `dual`.
    _lift: ClassVar[Any] = None

    @property
    def label(self) -> str:
        """A name for drawings, "" unless given."""
        return getattr(self, "_label", "")

    @label.setter
    def label(self, label: str) -> None:
        self._label = label

    @property
    def op(self) -> str:
        """The name of the op that made this Value, "" for a leaf."""
        return self._rule.name if self._rule else ""

    @property
    def operands(self) -> tuple[Any, ...]:
        """What the op was applied to, in order: Values, and floats for plain numbers."""
        rule = self._rule
        if not rule:
            return ()
        if rule.arity != ANY:
            return (self._a, self._b) if rule.arity == 2 else (self._a,)
        if not self._b:
            return tuple(self._a)
        n = len(self._b)
        return (*self._a[:n], *self._b, *(self._a[n:] or (0.0,)))

    @property
    def parents(self) -> tuple[Any, ...]:
        """The Values among the operands, in order; x * x has x twice."""
        return tuple(x for x in self.operands if isinstance(x, Node))

    @property
    def is_leaf(self) -> bool:
        """True unless an op recorded in the graph made this Value."""
        return not self._rule

    @property
    def requires_grad(self) -> bool:
        """Whether backward reaches this Value. Assignable on a leaf, else a RuntimeError."""
        return self._rule is not FROZEN

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        if self._rule:
            raise RuntimeError(
                f"Value.requires_grad: this Value is the result of {self.op}, only a leaf's flag "
                "can be changed; use detach() for a constant with the same data"
            )
        self._rule = LEAF if requires_grad else FROZEN


def number(x: Any, where: str) -> float:
    """x as a float: int, bool, float, numpy scalar, Fraction. Anything else is a TypeError."""
    is_number = isinstance(x, Real)
    if not is_number:
        shown = repr(x)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        raise TypeError(f"{where}: {shown} is a {type(x).__name__}; want a Value or a real number")
    try:
        return float(x)
    except OverflowError:  # an int beyond the doubles
        return inf if x > 0 else -inf


def number_of(x: Operand) -> float:
    """The number itself, or a Value's data."""
    return x if isinstance(x, float) else x._data


def operand(x: Any, where: str) -> Any:
    """x as an op takes it: a Value, or a number as a float. Anything else is a TypeError."""
    return x if isinstance(x, Node) else number(x, where)


def plain(x: Operand) -> Any:
    """x, or its number where nothing is to be differentiated with respect to it."""
    kept = isinstance(x, Node) and (x._rule is not FROZEN or x._lift is not None)
    return x if kept else number_of(x)
