"""Node: what a graph keeps of one number, be it read by backward, grad_fn or a drawing.

A node is a leaf, or holds the `Rule` that made it and the operands. Its arithmetic is `Value`'s, in
`value`; what walks over graphs needs no more than stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from math import inf
from numbers import Real
from typing import Any, ClassVar, Final, Literal, TypeAlias

from micrograd.engine.rules import ANY, Rule

Operand: TypeAlias = "Node | float"

# `Node._rule` of an inner node is its Rule. A leaf has no rule, and both words for that are falsy:
LEAF: Final = None  # a leaf that takes a gradient
FROZEN: Final = False  # a leaf that takes none: requires_grad=False, or made under no_grad
# `Node._a` of a frozen leaf that is a constant derivative, or computed from such: its own is 0.
DERIVATIVE: Final = "derivative"


OWN_OP = (
    "an op of your own is a subclass of micrograd.Function, with forward and backward as static "
    "methods, and used by its apply"
)


class Node:
    """A number and where it came from; see `value.Value`, its one public subclass."""

    # _a and _b are the operands, Nodes or floats; a unary op has no _b, a leaf neither. An op of
    # arity ANY has the tuple of its operands in _a and () in _b; only a `dot` of nothing but Values
    # has (*ws, bias) or ws in _a and xs in _b. _mark is for topological. _label is unset for "",
    # _hooks where there are none (that slot is free: CPython hands out memory in 16s).
    __slots__ = ("_a", "_b", "_data", "_hooks", "_label", "_mark", "_rule", "grad")

    _data: float
    _label: str
    _rule: Rule | Literal[False] | None
    _a: Any
    _b: Any
    _mark: object
    _hooks: dict[object, Callable[[Operand], Operand]]  # what replaces the gradient, in order
    grad: Any  # a float; a Value after backward(create_graph=True)

    # A subclass that stands for more than one number says here how an op applies to it: a function
    # of the rule and its operands, to the result. See `dual`.
    _lift: ClassVar[Any] = None

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """For copies and pickles: all but the hooks, which belong to this object, and the mark."""
        names = [name for cls in type(self).__mro__ for name in getattr(cls, "__slots__", ())]
        kept = [n for n in names if n != "_hooks" and hasattr(self, n)]
        return None, {n: None if n == "_mark" else getattr(self, n) for n in kept}

    @property
    def label(self) -> str:
        """A name for drawings, "" unless given."""
        return getattr(self, "_label", "")

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise TypeError(f"Value.label: {shown(label)}; a str is wanted")
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
    def is_derivative(self) -> bool:
        """Whether this is a constant because some derivative was: by whatever, its own is 0."""
        return self._rule is FROZEN and getattr(self, "_a", None) == DERIVATIVE

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

    # In notebooks. A graph is below the room that draws it, which is loaded by name when asked.

    def _repr_svg_(self) -> str | None:
        drawing: str | None = import_module("micrograd.draw.notebook").svg(self)
        return drawing

    def _repr_html_(self) -> str | None:
        drawing: str | None = import_module("micrograd.draw.notebook").html(self)
        return drawing


class Identity:
    """What == and != say of two Values: whether they are one object, as for the keys of a dict.

    It is not a condition on their numbers, and `mg.where` does not take it for one.
    """

    __slots__ = ("_truth",)

    def __init__(self, truth: bool) -> None:
        self._truth = truth

    def __bool__(self) -> bool:
        return self._truth

    def __eq__(self, other: object) -> bool:
        return self._truth == bool(other)

    def __hash__(self) -> int:
        return hash(self._truth)

    def __repr__(self) -> str:
        return repr(self._truth)


def shown(x: object) -> str:
    """What came, for a message: the beginning of its repr, and its type."""
    text = repr(x)
    return f"{text if len(text) <= 60 else text[:57] + '...'} is a {type(x).__name__}"


def number(x: Any, where: str, wanted: str = "a Value or a real number") -> float:
    """x as a float: int, bool, float, numpy scalar, Fraction. Anything else is a TypeError."""
    is_number = isinstance(x, Real)
    if not is_number:
        raise TypeError(f"{where}: {shown(x)}; want {wanted}")
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


def listed(values: Any, where: str) -> list[Any]:
    """Values that are gone through, as a list. What cannot be gone through is a TypeError."""
    try:
        return list(values)
    except TypeError:
        if isinstance(values, Iterable):
            raise
        raise TypeError(f"{where}: {shown(values)}; want a list of Values or numbers") from None


def plain(x: Operand) -> Any:
    """x, or its number where nothing is to be differentiated with respect to it."""
    kept = isinstance(x, Node) and (x._rule is not FROZEN or x._lift is not None)
    return x if kept else number_of(x)


def check_arguments(label: object, requires_grad: object, children: object, op: object) -> None:
    """Raises TypeError about what `Value` takes and this is not."""
    if children or op:
        raise TypeError(f"Value: _children and _op are made by the ops themselves; {OWN_OP}")
    if not isinstance(label, str):
        raise TypeError(f"Value: label: {shown(label)}; a str is wanted ({OWN_OP})")
    if not isinstance(requires_grad, bool):
        raise TypeError(
            f"Value: requires_grad: {shown(requires_grad)}; a bool is wanted ({OWN_OP})"
        )
