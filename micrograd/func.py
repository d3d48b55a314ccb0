"""Derivatives as functions of functions: grad, vjp, jvp, jacrev, jacfwd, hessian.

Each takes a function f of Values, and of lists, tuples, dicts and numpy arrays of Values, nested as
one likes, that returns such a thing; with has_aux a pair of such a thing and anything else. Results
have the structure of what they belong to, with a Value for each number: `grad(f)(w)` that of w, a
Jacobian that of f's result with, in place of each number of it, the structure of the input.
Arguments may be Values or plain numbers.

Reverse mode (grad, vjp, jacrev) runs f once and walks its graph once per number that f returns.
Forward mode (jvp, jacfwd) runs f on dual numbers, once per direction, and keeps no graph.

**Nesting.** All of these may be applied to one another, inside or around, to any order. f may use
Values from outside. If one of them, or of the arguments, requires a gradient, then so do the
results, and can be differentiated with respect to it: a leaf made by `Value(2.0)` is such an
argument. Arguments that are plain numbers and an f of nothing else, or a no_grad block around,
give constants and leave nothing behind.

    >>> from micrograd import func
    >>> func.grad(lambda x: x**3)(2.0)
    Value(data=12.0, grad=0.0)
    >>> func.hessian(lambda v: v[0] * v[0] * v[1])([2.0, 3.0])[0]
    [Value(data=6.0, grad=0.0), Value(data=4.0, grad=0.0)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any, TypeAlias

from micrograd.engine import dual as forward
from micrograd.engine import modes
from micrograd.engine.backward import accumulate, gradients, leaves, topological
from micrograd.engine.dual import Dual
from micrograd.engine.functions import dot
from micrograd.engine.node import number_of, shown
from micrograd.engine.trees import Tree, leaves_of, like, same_structure, values_in, with_values
from micrograd.engine.value import Operand, Value, constant
from micrograd.engine.watch import Operations, count_operations

__all__ = [
    "Operations",
    "count_operations",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "vjp",
]

Argnums: TypeAlias = "int | tuple[int, ...]"


def _values(tree: Tree, leaves: Sequence[Operand]) -> Tree:
    return like(tree, map(constant, leaves))


class _Call:
    """f with the arguments `argnums` free: the tree of these, and f of a list of their leaves."""

    def __init__(
        self,
        where: str,
        f: Callable[..., Tree],
        argnums: Argnums,
        args: Any,
        kwargs: Any,
        has_aux: bool = False,
    ) -> None:
        chosen = argnums if isinstance(argnums, tuple) else (argnums,)
        for i in chosen:
            if not isinstance(i, int) or not -len(args) <= i < len(args):
                raise ValueError(
                    f"{where}: argnums is {argnums!r}, the function was called with {len(args)} "
                    "positional arguments"
                )
        self.where = where
        self.f, self.args, self.kwargs = f, list(args), kwargs
        self.chosen = chosen
        trees = tuple(args[i] for i in chosen)
        self.tree = trees if isinstance(argnums, tuple) else trees[0]
        self.inputs = leaves_of(self.tree, where)
        self.has_aux = has_aux
        self.result: Tree = None
        self.size = 0  # how many numbers there are in the result
        self._aux: Any = None

    def __call__(self, leaves: Sequence[Operand]) -> list[Operand]:
        """The leaves of f's result, and behind them the Values in what it returns beside; the
        result itself is kept for its structure.
        """
        trees = like(tuple(self.args[i] for i in self.chosen), map(constant, leaves))
        args = list(self.args)
        for i, tree in zip(self.chosen, trees, strict=True):
            args[i] = tree
        returned = self.f(*args, **self.kwargs)
        self._aux = ()
        if self.has_aux:
            if not isinstance(returned, tuple) or len(returned) != 2:
                raise TypeError(
                    f"{self.where}: with has_aux the function returns (result, aux), a tuple of "
                    f"two; it returned {shown(returned)}"
                )
            returned, self._aux = returned
        self.result = returned
        outputs = leaves_of(returned, f"{self.where}: a result of the function")
        self.size = len(outputs)
        return [*outputs, *values_in(self._aux)]

    def aux(self, values: Iterable[Operand]) -> Any:
        """What f returned beside its result, with these in the place of its Values."""
        left = iter(values)
        return with_values(self._aux, lambda _: constant(next(left)))


# Reverse mode.


def _variable(x: Operand) -> tuple[Value, Value]:
    """x as f shall see it, and the Value in it that reverse mode differentiates by.

    That is a new Value even if x is one: what f makes of its argument must not be mixed up with
    what it makes of the same Value from outside.
    """
    if isinstance(x, Dual):
        inner, variable = _variable(x.primal)
        return Dual(x.level, inner, x.tangent), variable
    own = x * 1.0 if isinstance(x, Value) and x.requires_grad else Value(number_of(x))
    return own, own


class _Recording:
    """The graph of one run of f on variables of its own."""

    def __init__(self, call: _Call) -> None:
        self.outside = modes.no_grad_depth.get() == 0  # whether results may have a graph
        token = modes.no_grad_depth.set(0)  # a no_grad around does not concern the graph of f
        try:
            pairs = [_variable(x if self.outside else _without_graph(x)) for x in call.inputs]
            self.variables = [variable for _, variable in pairs]
            everything = call([x for x, _ in pairs])
        finally:
            modes.no_grad_depth.reset(token)
        self.outputs = everything[: call.size]
        self._own = set(self.variables)
        self.aux = call.aux([self.outer(x) for x in everything[call.size :]])

    def _depends_on_more(self, root: Value, order: Sequence[Value]) -> bool:
        """Whether root's graph has leaves that take a gradient other than the variables."""
        return not (leaves(order) if order else {root}) <= self._own

    def outer(self, out: Operand) -> Operand:
        """out as the caller gets it: without a graph unless it depends on Values from outside."""
        if isinstance(out, Dual):
            return Dual(out.level, self.outer(out.primal), self.outer(out.tangent))
        if isinstance(out, float) or not out.requires_grad:
            return out
        kept = self.outside and self._depends_on_more(out, topological([out]))
        return out if kept else number_of(out)

    def pull(self, cotangents: Sequence[Operand]) -> list[Operand]:
        """d(sum of cotangent * output)/d(variable) for each variable."""
        token = modes.no_grad_depth.set(0)
        try:
            total = dot(cotangents, self.outputs)
        finally:
            modes.no_grad_depth.reset(token)
        if not isinstance(total, Dual) and any(isinstance(x, Dual) for x in self.outputs):
            raise RuntimeError("func.vjp: this pullback is of a jvp that has come to its end")
        return self.gradient(total)

    def gradient(self, output: Operand) -> list[Operand]:
        """d(output)/d(variable) for each variable."""
        if isinstance(output, Dual):
            # In an outer forward pass. The tangent of the gradient is the gradient of the tangent.
            primals, tangents = self.gradient(output.primal), self.gradient(output.tangent)
            return [Dual(output.level, p, t) for p, t in zip(primals, tangents, strict=True)]
        if not isinstance(output, Value) or not output.requires_grad:
            return [0.0] * len(self.variables)
        order = topological([output])
        if (recorder := modes.recorder.get()) is not None:
            recorded: dict[Value, Operand] = recorder.gradients(order, [output], [1.0])
            return [recorded.get(x, 0.0) for x in self.variables]
        depends_on_more = self._depends_on_more(output, order)
        watchers = modes.watchers.get()
        if depends_on_more or watchers or modes.hooks:
            create_graph = depends_on_more and self.outside
            grads = gradients(order, [output], [1.0], create_graph, watchers)
            return [grads.get(x, 0.0) for x in self.variables]
        for x in self.variables:  # nobody else's `.grad` is concerned
            x.grad = 0.0
        accumulate(order, output, 1.0)
        return [x.grad for x in self.variables]


def _without_graph(x: Operand) -> Operand:
    if isinstance(x, Dual):
        return Dual(x.level, _without_graph(x.primal), _without_graph(x.tangent))
    return number_of(x)


def grad_and_value(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., tuple[Tree, Any]]:
    """A function that takes f's arguments and returns (gradient, f's value), in this order.

    has_aux: f returns (value, aux), aux being anything, and the result is (gradient, (value, aux)).

    The gradient has the structure of argument `argnums`; for a tuple of numbers it is a tuple with
    one gradient each. Arguments with other numbers, and those by keyword, are passed on as they
    are.

    Raises TypeError if f does not return one number, ValueError if there is no argument `argnums`.

    >>> gradient, value = mg.func.grad_and_value(lambda x: x**2)(3.0)
    >>> gradient.data, value.data
    (6.0, 9.0)
    """

    def gradient_and_value(*args: Any, **kwargs: Any) -> tuple[Tree, Any]:
        call = _Call("func.grad", f, argnums, args, kwargs, has_aux)
        recording = _Recording(call)
        if call.result is not None and not isinstance(call.result, (Value, Real)):
            raise TypeError(
                f"func.grad: the function returned a {type(call.result).__name__} of "
                f"{len(call.result)}; want one Value (jacrev differentiates several)"
            )
        grads = recording.gradient(recording.outputs[0])
        value = constant(recording.outer(recording.outputs[0]))
        return _values(call.tree, grads), (value, recording.aux) if has_aux else value

    return gradient_and_value


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Tree]:
    """A function that takes f's arguments and returns the gradient of f's value, with has_aux
    (gradient, aux); see grad_and_value.

    >>> mg.func.grad(lambda x, y: x**2 * y)(3.0, 4.0).data
    24.0
    """
    both = grad_and_value(f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Tree:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return gradient


def vjp(f: Callable[..., Tree], *primals: Tree, has_aux: bool = False) -> tuple[Any, ...]:
    """(f(*primals), pullback): pullback(v) is v^T J, a tuple with one tree per primal.

    has_aux: f returns (result, aux), and this (result, pullback, aux).

    v, the cotangents, has the structure of f's result. f runs once, however often the pullback is
    called; each call walks the graph once.

    Raises ValueError if v has another structure.

    >>> y, pullback = mg.func.vjp(lambda a, b: a * b, 2.0, 3.0)
    >>> [d.data for d in pullback(1.0)]
    [3.0, 2.0]
    """
    call = _Call("func.vjp", f, tuple(range(len(primals))), primals, {}, has_aux)
    recording = _Recording(call)
    result = call.result

    def pullback(cotangents: Tree) -> tuple[Tree, ...]:
        if not same_structure(result, cotangents):
            raise ValueError(
                f"func.vjp: cotangents {cotangents!r} have not the structure of the result "
                f"{result!r}"
            )
        seeds = leaves_of(cotangents, "func.vjp: a cotangent")
        return tuple(_values(call.tree, recording.pull(seeds)))

    out = _values(result, [recording.outer(x) for x in recording.outputs])
    return (out, pullback, recording.aux) if has_aux else (out, pullback)


def jacrev(
    f: Callable[..., Tree], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Tree]:
    """A function that takes f's arguments and returns the Jacobian, by one reverse pass per number
    that f returns: right for few results of many inputs.

    In place of each number of f's result it has what `grad` would return for that number:
    `J[i][j]` = df_i/dx_j for f from a list to a list.

    >>> J = mg.func.jacrev(lambda v: [v[0] * v[1]])([2.0, 3.0])
    >>> [[d.data for d in row] for row in J]
    [[3.0, 2.0]]
    """

    def jacobian(*args: Any, **kwargs: Any) -> Tree:
        call = _Call("func.jacrev", f, argnums, args, kwargs, has_aux)
        recording = _Recording(call)
        rows = [_values(call.tree, recording.gradient(y)) for y in recording.outputs]
        jacobian = like(call.result, rows)
        return (jacobian, recording.aux) if has_aux else jacobian

    return jacobian


# Forward mode.


def jvp(
    f: Callable[..., Tree],
    primals: Sequence[Tree],
    tangents: Sequence[Tree],
    has_aux: bool = False,
) -> tuple[Any, ...]:
    """(f(*primals), J v): the derivative of f's result in the direction v, the tangents.

    primals is the sequence of f's arguments, tangents one of the same structure. One pass on dual
    numbers: nothing is stored for a backward pass, and none runs.

    Raises ValueError if primals and tangents differ in structure.

    >>> y, dy = mg.func.jvp(lambda x: x.exp(), (0.0,), (1.0,))
    >>> y.data, dy.data
    (1.0, 1.0)
    """
    primals, tangents = tuple(primals), tuple(tangents)
    if not same_structure(primals, tangents):
        raise ValueError(
            f"func.jvp: tangents {tangents!r} have not the structure of the primals {primals!r}"
        )
    call = _Call("func.jvp", f, tuple(range(len(primals))), primals, {}, has_aux)
    directions = leaves_of(tangents, "func.jvp: a tangent")
    results, derivatives = forward.push(call, call.inputs, directions)
    n = call.size
    out = (_values(call.result, results[:n]), _values(call.result, derivatives[:n]))
    return (*out, call.aux(results[n:])) if has_aux else out


def jacfwd(
    f: Callable[..., Tree], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Tree]:
    """A function that takes f's arguments and returns the Jacobian, by one forward pass per number
    in the argument `argnums`: right for many results of few inputs. The structure is jacrev's.

    >>> J = mg.func.jacfwd(lambda x: [x, x**2, x**3])(2.0)
    >>> [dy.data for dy in J]
    [1.0, 4.0, 12.0]
    """

    def jacobian(*args: Any, **kwargs: Any) -> Tree:
        call = _Call("func.jacfwd", f, argnums, args, kwargs, has_aux)
        columns: list[list[Operand]] = []
        results: list[Operand] = []
        for i in range(len(call.inputs)):
            directions = [1.0 if j == i else None for j in range(len(call.inputs))]
            results, derivatives = forward.push(call, call.inputs, directions)
            columns.append(derivatives[: call.size])
        if not columns:
            results = call([])
        rows = zip(*columns, strict=True) if columns else [()] * call.size
        jacobian = like(call.result, [_values(call.tree, row) for row in rows])
        return (jacobian, call.aux(results[call.size :])) if has_aux else jacobian

    return jacobian


def hessian(f: Callable[..., Tree], argnums: Argnums = 0) -> Callable[..., Tree]:
    """A function that takes f's arguments and returns the second derivatives, forward over reverse:
    `H[i][j]` = d2f/dx_i dx_j for f from a list to a number.

    It is jacfwd(jacrev(f)), and has the structure that this gives.

    >>> H = mg.func.hessian(lambda v: v[0] ** 2 * v[1])([2.0, 3.0])
    >>> [[h.data for h in row] for row in H]
    [[6.0, 4.0], [4.0, 0.0]]
    """
    return jacfwd(jacrev(f, argnums), argnums)
