"""Value: a number that remembers how it was computed, and backward() over such numbers.

Every operation on Values makes a new Value that holds the result, the op's `Rule` and the operands.
These links form a graph, from results back to inputs. `backward()` walks it from the last result
to the inputs and applies the chain rule at each node: dL/dx is the sum, over all z that used x, of
dL/dz * dz/dx. How z = f(x, y) is differentiated is not written here but in `rules`, once per op.

The accumulation rule is PyTorch's: a leaf (a Value the user made) adds up the gradients of all
backward calls until someone sets `.grad = 0`; an inner node's `.grad` is the last call's alone.

What makes it fast: slots, no closures and no reference cycles, so that a graph is freed by
reference counting; operands held by the node itself and plain numbers kept as plain floats, so that
an op makes one object for the garbage collector to visit, not three (it took half of the forward
time); n-ary `dot` and `sum` (see `functions`), so that a neuron is one node. A node of two operands
takes 96 bytes and 24 for its number; backward() adds 24 for its gradient and at most 16 for the
order in which it goes. Only the standard library is used.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import inf
from numbers import Real
from typing import Any, TypeAlias, TypeVar

from micrograd.engine import modes, rules
from micrograd.engine.arrays import is_array
from micrograd.engine.backward import (
    accumulate,
    check_requires_grad,
    gradients,
    topological,
    with_hooks,
)
from micrograd.engine.hooks import Hook
from micrograd.engine.modes import Watcher, active
from micrograd.engine.node import (
    DERIVATIVE,
    FROZEN,
    LEAF,
    Identity,
    check_arguments,
    number,
    number_of,
    operand,
    shown,
)
from micrograd.engine.reading import Readable
from micrograd.engine.rules import ADD, ANY, MUL, Rule

Operand: TypeAlias = "Value | float"
F = TypeVar("F", bound=Callable[..., Any])

_new = object.__new__


def constant(x: Operand) -> Value:
    """x as a Value; a number becomes one that takes no gradient."""
    return x if isinstance(x, Value) else Value(x, requires_grad=False)


def derivative(g: Operand) -> Value:
    """A derivative that may be differentiated again: where it is a constant, it says of itself that
    it is one, and its derivative is 0.
    """
    if isinstance(g, Value) and (g._rule is not FROZEN or g._lift is not None):
        return g
    out = Value(number_of(g), requires_grad=False)
    if not modes.no_grad_depth.get():
        out._a = DERIVATIVE
    return out


def record(rule: Rule, *operands: Operand) -> Value:
    """The node rule(*operands), or a frozen leaf where nothing is to be differentiated."""
    watchers: tuple[Watcher, ...] = ()
    if active:
        for x in operands:
            if isinstance(x, Value) and x._lift is not None:
                return x._lift(rule, operands)  # type: ignore[no-any-return]
        if (recorder := modes.recorder.get()) is not None:
            return recorder.op(rule, operands)  # type: ignore[no-any-return]
        watchers = modes.watchers.get()
    out = _new(_Watched if watchers else Value)
    out._data = rule.value(*map(number_of, operands))
    out.grad = 0.0
    out._mark = None
    needed = any(isinstance(x, Value) and x._rule is not FROZEN for x in operands)
    if active and modes.no_grad_depth.get():
        out._rule = FROZEN
    elif not needed:
        out._rule = FROZEN
        if any(isinstance(x, Value) and x.is_derivative for x in operands):
            out._a = DERIVATIVE
    else:
        out._rule = rule
        if rule.arity == ANY:
            out._a, out._b = operands, ()
        else:
            out._a = operands[0]
            if rule.arity == 2:
                out._b = operands[1]
    for watcher in watchers:
        watcher.made(out, rule, operands)
    return out


def _unary(rule: Rule) -> Callable[[Value], Value]:
    value = rule.value

    def method(self: Value) -> Value:
        if active or self._rule is FROZEN:
            return record(rule, self)
        out = _new(Value)
        out._data = value(self._data)
        out.grad = 0.0
        out._rule = rule
        out._a = self
        out._mark = None
        return out

    return _named(method, rule.name, f"{rule.name} of this Value, see `micrograd.engine.rules`.")


def _binary(rule: Rule, name: str) -> Callable[[Value, Any], Value]:
    value = rule.value

    def method(self: Value, other: Any) -> Value:
        if type(other) is Value:
            if active or (self._rule is FROZEN and other._rule is FROZEN):
                return record(rule, self, other)
            data = value(self._data, other._data)
        elif type(other) is float:
            if active or self._rule is FROZEN:
                return record(rule, self, other)
            data = value(self._data, other)
        else:
            return _slowly(rule, self, other, f"Value.{name}")
        out = _new(Value)
        out._data = data
        out.grad = 0.0
        out._rule = rule
        out._a = self
        out._b = other
        out._mark = None
        return out

    return _named(method, name, f"{rule.name} of this Value and another, or a number.")


def _slowly(rule: Rule, x: Value, other: Any, where: str) -> Value:
    """rule(x, other) for whatever else stands on the right; arrays see to their elements."""
    if isinstance(other, (Value, Real)) or not is_array(other):
        return record(rule, x, operand(other, where))
    return NotImplemented  # type: ignore[no-any-return]


def _reflected(rule: Rule, name: str) -> Callable[[Value, Any], Value]:
    def method(self: Value, other: Any) -> Value:
        return record(rule, operand(other, f"Value.{name}"), self)

    return _named(method, name, f"{rule.name} of a number and this Value.")


def _comparison(compare: Callable[[float, float], bool], name: str) -> Callable[[Value, Any], Any]:
    def method(self: Value, other: Any) -> Any:
        if not isinstance(other, (Value, Real)) and is_array(other):
            return NotImplemented
        other = operand(other, f"Value.{name}")
        if active and (recorder := modes.recorder.get()) is not None:
            return recorder.compare(name, self, other)
        return compare(self._data, number_of(other))

    return _named(method, name, "Compare the data.")


def _equality(compare: Callable[[float, float], bool], name: str) -> Callable[[Value, Any], Any]:
    def method(self: Value, other: Any) -> Any:
        if isinstance(other, Value):
            return Identity((self is other) is compare(1.0, 1.0))
        if not isinstance(other, Real):
            return NotImplemented
        if active and (recorder := modes.recorder.get()) is not None:
            return recorder.compare(name, self, number(other, f"Value.{name}"))
        return compare(self._data, number(other, f"Value.{name}"))

    doc = "With a number: compare the data. With a Value: whether the two are one object."
    return _named(method, name, doc)


def _named(method: F, name: str, doc: str) -> F:
    method.__name__, method.__qualname__, method.__doc__ = name, f"Value.{name}", doc
    return method


class Value(Readable):
    """A number in a computation that can be differentiated.

    data: a real number (kept as a float, also on assignment). label: a str, a name for drawings.
    requires_grad: a bool; False makes a constant, which takes no gradient and needs no graph.

    Operators take Values and numbers on either side; the result requires a gradient if an operand
    does. Arithmetic is IEEE: log(0) is -inf, 1/0 is inf, 0/0 is nan, and nothing raises. Among the
    elements of numpy's arrays a Value is an object: `np.array([1.0, 2.0]) * x` is an array of two.

    `grad` is dL/d(this) after `L.backward()`, 0.0 at first.

    Raises TypeError if data, or an operand, is not a number, or another argument not what it is
    here. To add an op of your own, subclass `Function`.

    >>> x, w = Value(1.0), Value(3.0)
    >>> ((x * w - 2) ** 2).backward()
    >>> w
    Value(data=3.0, grad=2.0)
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        label: str = "",
        requires_grad: bool = True,
        *,
        _children: None = None,
        _op: None = None,
    ) -> None:
        if type(label) is not str or type(requires_grad) is not bool or _children or _op:
            check_arguments(label, requires_grad, _children, _op)
        self._data = data if type(data) is float else number(data, "Value", "a real number")
        self.grad = 0.0
        self._rule = LEAF if requires_grad else FROZEN
        self._mark = None
        if label:
            self._label = label

    # Arithmetic. + and * are what `_binary` makes, written out: most of many graphs.

    def __add__(self, other: Any) -> Value:
        """The sum of this Value and another, or a number."""
        if type(other) is Value:
            if active or (self._rule is FROZEN and other._rule is FROZEN):
                return record(ADD, self, other)
            data = self._data + other._data
        elif type(other) is float:
            if active or self._rule is FROZEN:
                return record(ADD, self, other)
            data = self._data + other
        else:
            return _slowly(ADD, self, other, "Value.__add__")
        out = _new(Value)
        out._data = data
        out.grad = 0.0
        out._rule = ADD
        out._a = self
        out._b = other
        out._mark = None
        return out

    def __mul__(self, other: Any) -> Value:
        """The product of this Value and another, or a number."""
        if type(other) is Value:
            if active or (self._rule is FROZEN and other._rule is FROZEN):
                return record(MUL, self, other)
            data = self._data * other._data
        elif type(other) is float:
            if active or self._rule is FROZEN:
                return record(MUL, self, other)
            data = self._data * other
        else:
            return _slowly(MUL, self, other, "Value.__mul__")
        out = _new(Value)
        out._data = data
        out.grad = 0.0
        out._rule = MUL
        out._a = self
        out._b = other
        out._mark = None
        return out

    __sub__ = _binary(rules.SUB, "__sub__")
    __truediv__ = _binary(rules.DIV, "__truediv__")
    __pow__ = _binary(rules.POW, "__pow__")
    __radd__ = _reflected(rules.ADD, "__radd__")
    __rsub__ = _reflected(rules.SUB, "__rsub__")
    __rmul__ = _reflected(rules.MUL, "__rmul__")
    __rtruediv__ = _reflected(rules.DIV, "__rtruediv__")
    __rpow__ = _reflected(rules.POW, "__rpow__")
    __neg__ = _unary(rules.NEG)
    __abs__ = abs = _unary(rules.ABS)

    __hash__ = object.__hash__
    __eq__ = _equality(operator.eq, "__eq__")
    __ne__ = _equality(operator.ne, "__ne__")

    exp = _unary(rules.EXP)
    log = _unary(rules.LOG)
    sqrt = _unary(rules.SQRT)
    sin = _unary(rules.SIN)
    cos = _unary(rules.COS)
    tanh = _unary(rules.TANH)
    sigmoid = _unary(rules.SIGMOID)
    relu = _unary(rules.RELU)
    softplus = _unary(rules.SOFTPLUS)
    erfc = _unary(rules.ERFC)
    gelu = _unary(rules.GELU)
    log1p = _unary(rules.LOG1P)
    expm1 = _unary(rules.EXPM1)
    log2 = _unary(rules.LOG2)
    log10 = _unary(rules.LOG10)
    tan = _unary(rules.TAN)
    asin = arcsin = _unary(rules.ASIN)  # numpy's functions of arrays ask for its own names
    acos = arccos = _unary(rules.ACOS)
    atan = arctan = _unary(rules.ATAN)
    sinh = _unary(rules.SINH)
    cosh = _unary(rules.COSH)
    asinh = arcsinh = _unary(rules.ASINH)
    acosh = arccosh = _unary(rules.ACOSH)
    atanh = arctanh = _unary(rules.ATANH)
    cbrt = _unary(rules.CBRT)
    erf = _unary(rules.ERF)
    lgamma = _unary(rules.LGAMMA)
    digamma = _unary(rules.DIGAMMA)
    sign = _unary(rules.SIGN)
    floor = _unary(rules.FLOOR)
    ceil = _unary(rules.CEIL)
    round = _unary(rules.ROUND)
    hypot = _binary(rules.HYPOT, "hypot")
    atan2 = arctan2 = _binary(rules.ATAN2, "atan2")

    def polygamma(self, n: Operand) -> Value:
        """The derivative number n (0, 1, 2, ...) of digamma; nan for any other n."""
        return record(rules.POLYGAMMA, self, operand(n, "Value.polygamma: n"))

    def clamp(self, min: Operand | None = None, max: Operand | None = None) -> Value:
        """This, but no less than min and no more than max (which holds if they cross).

        Raises TypeError if there is neither.
        """
        if min is None and max is None:
            raise TypeError("Value.clamp: neither min nor max; want one of them, or both")
        low = -inf if min is None else operand(min, "Value.clamp: min")
        high = inf if max is None else operand(max, "Value.clamp: max")
        return record(rules.CLAMP, self, low, high)

    def leaky_relu(self, negative_slope: Operand = 0.01) -> Value:
        """x for x > 0, else x * negative_slope (a Value makes the slope learnable)."""
        return record(rules.LEAKY_RELU, self, operand(negative_slope, "Value.leaky_relu"))

    __lt__ = _comparison(operator.lt, "__lt__")
    __le__ = _comparison(operator.le, "__le__")
    __gt__ = _comparison(operator.gt, "__gt__")
    __ge__ = _comparison(operator.ge, "__ge__")

    # Differentiation.

    def detach(self) -> Value:
        """A constant with the same data and label, outside the graph."""
        if active and (recorder := modes.recorder.get()) is not None:
            recorded: Value = recorder.detach(self)
            return recorded
        return Value(self._data, self.label, requires_grad=False)

    def register_hook(self, hook: Callable[[Value], Operand | None]) -> Hook:
        """Calls hook(gradient) whenever a backward pass, or `grad`, has computed this Value's.

        gradient: a Value, with a graph of its own under create_graph. What the hook returns takes
        its place, for `.grad` and for what is passed on; None leaves it. Hooks run in the order in
        which they were registered; `remove()` of what is returned here takes this one away.

        Raises RuntimeError if this Value does not require a gradient, TypeError if hook cannot be
        called; a backward pass raises TypeError if the hook does not return a number or None.
        """
        check_requires_grad(self, "Value.register_hook")
        if not callable(hook):
            raise TypeError(f"Value.register_hook: {shown(hook)}; a function is wanted")

        def on_operands(g: Any) -> Any:
            returned = hook(constant(g))
            return g if returned is None else operand(returned, "Value.register_hook: the hook's")

        return Hook(self, on_operands)

    def backward(
        self,
        grad: Operand = 1.0,
        create_graph: bool = False,
        retain_graph: bool | None = None,
    ) -> None:
        """Add grad * d(self)/d(leaf) to `.grad` of every leaf this Value was computed from.

        Inner nodes' `.grad` is set, not added to. The derivative is taken at the operands' present
        data: do not change a leaf's data between computing a result and calling backward on it.

        create_graph: gradients become Values with a graph of their own, so that they can be
        differentiated again. `grad` may then be a Value. retain_graph: accepted, as in PyTorch, and
        not needed: a graph is there as long as somebody holds its result.

        Raises RuntimeError if this Value does not require a gradient.
        """
        seed = operand(grad, "Value.backward: grad")
        check_requires_grad(self, "Value.backward")
        order = topological([self])
        watchers = modes.watchers.get() if active else ()
        if not create_graph:
            seed = number_of(seed)
            if not watchers and not (modes.hooks and with_hooks(order, [self])):
                accumulate(order, self, seed)
                return
        for x, g in gradients(order, [self], [seed], create_graph, watchers).items():
            add = x.is_leaf and (isinstance(x.grad, Value) or x.grad != 0)
            dx = derivative(g) if create_graph else g
            x.grad = x.grad + dx if add else dx


class _Watched(Value):
    """A node made while somebody watched: it has room for the line of the user that made it."""

    __slots__ = ("site",)

    site: str
