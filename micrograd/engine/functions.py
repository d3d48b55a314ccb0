"""Functions of more than one Value: maximum, minimum, where, dot, sum, softmax."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from micrograd.engine import modes, rules
from micrograd.engine.modes import active
from micrograd.engine.node import FROZEN, Identity, listed, number_of, operand
from micrograd.engine.rules import DOT
from micrograd.engine.value import Operand, Value, record

_new = object.__new__


def maximum(x: Operand, y: Operand) -> Value:
    """The larger of two; at a tie each receives half the gradient. nan if either is nan.

    >>> x = Value(2.0)
    >>> mg.maximum(x, 1.0).backward(); x.grad
    1.0
    """
    return record(rules.MAXIMUM, operand(x, "maximum"), operand(y, "maximum"))


def minimum(x: Operand, y: Operand) -> Value:
    """The smaller of two; at a tie each receives half the gradient. nan if either is nan.

    >>> x = Value(2.0)
    >>> mg.minimum(x, 1.0).backward(); x.grad
    0.0
    """
    return record(rules.MINIMUM, operand(x, "minimum"), operand(y, "minimum"))


def where(condition: Any, x: Operand, y: Operand) -> Value:
    """x if condition (whatever has a truth value) else y.

    The branch not taken enters as a mere number, so an infinite derivative behind it cannot turn
    the other's gradient into nan, as it can in PyTorch: where(x > 0, x.sqrt(), 0.0) is safe at 0.

    >>> x = Value(4.0)
    >>> y = mg.where(x > 0, x.sqrt(), 0.0)
    >>> y.backward(); y.data, x.grad
    (2.0, 0.25)
    """
    x, y = operand(x, "where"), operand(y, "where")
    if isinstance(condition, Identity):
        raise TypeError(
            "where: == and != between two Values say whether they are one object, not whether "
            "their numbers are equal; want x <= y, x - y == 0.0 or another comparison of numbers"
        )
    if active and (recorder := modes.recorder.get()) is not None:
        recorded: Value = recorder.where(condition, x, y)
        return recorded
    if condition:
        return record(rules.WHERE, 1.0, x, number_of(y))
    return record(rules.WHERE, 0.0, number_of(x), y)


def dot(ws: Sequence[Any], xs: Sequence[Any], bias: Any = 0.0) -> Value:
    """bias + w0*x0 + w1*x1 + ..., summed from the left, as one node.

    dL/dw_i = g * x_i, dL/dx_i = g * w_i and dL/dbias = g. Raises ValueError if the lengths differ.

    >>> w, x = [Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]
    >>> y = mg.dot(w, x, bias=0.5)
    >>> y.backward(); y.data, w[1].grad, x[1].grad
    (11.5, 4.0, 2.0)
    """
    if len(ws) != len(xs):
        raise ValueError(f"dot: {len(ws)} ws and {len(xs)} xs; want as many of each")
    if not active:
        with_bias = type(bias) is Value
        try:  # the usual case, nothing but Values, without a check of each one's type
            if (with_bias or bias == 0) and ws[0]._rule is not FROZEN:
                total = bias._data if with_bias else 0.0
                for w, x in zip(ws, xs):  # noqa: B905 (the keyword takes 15 % of this function)
                    total += w._data * x._data
                out = _new(Value)
                out._data = total
                out.grad = 0.0
                out._rule = DOT
                out._a = (*ws, bias) if with_bias else tuple(ws)
                out._b = tuple(xs)
                out._mark = None
                return out
        except (AttributeError, IndexError):
            pass  # a number among them, or nothing at all
    return record(DOT, *[operand(x, "dot") for x in (*ws, *xs, bias)])


def sum(values: Iterable[Operand]) -> Value:
    """The sum of the values from the left, as one node; Value(0) of none.

    >>> values = [Value(1.0), Value(2.0)]
    >>> mg.sum(values).data
    3.0
    """
    return record(rules.SUM, *[operand(x, "sum") for x in listed(values, "sum")])


def softmax(values: Iterable[Operand]) -> list[Value]:
    """exp(z_i) / sum over j of exp(z_j), for each i; stable: the largest z is taken off first.

    The Jacobian is da_i/dz_j = a_i * (1[i = j] - a_j). The shift is a constant: it cancels.

    >>> [round(a.data, 3) for a in mg.softmax([1.0, 2.0, 3.0])]
    [0.09, 0.245, 0.665]
    """
    zs = [operand(z, "softmax") for z in listed(values, "softmax")]
    if active and (recorder := modes.recorder.get()) is not None:
        shift = recorder.largest(zs)
    else:
        shift = max(map(number_of, zs), default=0.0)
    exps = [record(rules.EXP, record(rules.SUB, z, shift)) for z in zs]
    total = sum(exps)
    return [e / total for e in exps]
