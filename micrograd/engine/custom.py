"""Function: an op of the user's own, with its derivatives written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from micrograd.engine.modes import differentiating, enter_mode, leave_mode
from micrograd.engine.node import number, number_of, operand, plain
from micrograd.engine.rules import ANY
from micrograd.engine.value import Operand, Value, constant, record


class _Input(float):
    """An argument of forward, which save_for_backward can tell from other numbers."""

    __slots__ = ("index",)

    index: int


class Context:
    """What forward leaves for backward and jvp: numbers saved, and attributes of any kind."""

    saved_values: tuple[Value, ...] = ()  # in backward and jvp: what was saved, in order
    needs_input_grad: tuple[bool, ...] = ()  # one for each operand
    _saved: tuple[float, ...] = ()

    def save_for_backward(self, *values: float) -> None:
        """Keep inputs and results of forward, which backward gets as `saved_values`.

        Other numbers can be saved too, unless a derivative of backward is wanted: in such a number
        its dependence on the inputs is lost, and reading it then raises RuntimeError.
        """
        self._saved = values


class Function:
    """A custom op. Subclass it, write `forward` and `backward`, use `apply`:

    >>> class Square(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_values
    ...         return 2.0 * x * grad
    ...     @staticmethod
    ...     def jvp(ctx, tangent):
    ...         (x,) = ctx.saved_values
    ...         return 2.0 * x * tangent
    >>> x = Value(3.0)
    >>> Square.apply(x).backward(); x.grad
    6.0

    forward(ctx, *floats) gets plain floats and returns a number, or a tuple of numbers for an op
    with several results.

    backward(ctx, grad) gets dL/d(result), one argument per result, and returns dL/d(operand), alone
    or as a tuple with one entry per operand; None is 0, and needs no computing.
    jvp(ctx, *tangents), for forward mode, gets one tangent per operand and returns the result's, or
    a tuple of them. Both get Values and return Values or numbers.

    **Higher orders.** `grad` and `ctx.saved_values` are Values: constants in a first-order pass,
    nodes of the graph when backward itself is to be differentiated (create_graph, or a transform of
    `func` around). Written with operators, methods such as x.exp() and other Functions, one
    backward serves every order. What leaves the graph would lose its derivative, so while it is
    being recorded float(x) and math.exp(x) raise; float(x.detach()) is a deliberate constant.
    Compare with < or <=, as == between Values is identity.

    An op with several results has its backward called once per result that was used, with zeros for
    the others (backward is linear in them).
    """

    @staticmethod
    def forward(ctx: Any, *operands: Any) -> Any:
        """The op's value, from floats to a float or a tuple of floats."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradients of the operands, from those of the results."""
        raise NotImplementedError

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """The tangents of the results, from those of the operands."""
        raise NotImplementedError

    @classmethod
    def apply(cls, *operands: Operand) -> Any:
        """The op's result as a Value, or a tuple of Values if forward returns a tuple.

        Raises TypeError if an operand or a result of forward is not a number.
        """
        checked = [operand(x, f"{cls.__name__}.apply") for x in operands]
        call = _Call(cls, checked)
        results = tuple(call.node(i, checked) for i in range(len(call.results)))
        return results if call.several else results[0]


class _Call:
    """One run of forward: its results, the context, and where each saved number comes from."""

    def __init__(self, function: type[Function], operands: Sequence[Operand]) -> None:
        self.function = function
        self.name = function.__name__
        self.context = Context()
        self.context.needs_input_grad = tuple(isinstance(plain(x), Value) for x in operands)
        inputs = [_Input(number_of(x)) for x in operands]
        for i, x in enumerate(inputs):
            x.index = i
        returned = self._implementation("forward")(self.context, *inputs)
        self.several = isinstance(returned, tuple)
        results = returned if self.several else (returned,)
        self.results = [number(y, f"{self.name}.forward: result") for y in results]
        self.sources = [self._source(x, results) for x in self.context._saved]
        self.context._saved = tuple(map(float, self.context._saved))

    def _source(self, saved: float, results: Sequence[float]) -> tuple[str, int]:
        """ "input" or "result" and which one, or "other"."""
        number(saved, f"{self.name}.forward: ctx.save_for_backward")
        if isinstance(saved, _Input):
            return "input", saved.index
        same = [j for j, y in enumerate(results) if y is saved]
        return ("result", same[0]) if same else ("other", 0)

    def _implementation(self, method: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self.function, method)
        if found is getattr(Function, method):
            raise NotImplementedError(
                f"{self.name}.{method}: not defined; {_WANTED[method]}, as a static method"
            )
        return found

    def node(self, index: int, operands: Sequence[Operand]) -> Value:
        """Result `index`, as a node of the graph."""
        return record(_Result(self, index), *operands)  # type: ignore[arg-type]

    def run(
        self,
        method: str,
        arguments: Sequence[Operand],
        index: int,
        z: Operand,
        operands: Sequence[Operand],
    ) -> tuple[Operand | None, ...]:
        """What backward or jvp returns; z is result `index`."""
        where = f"{self.name}.{method}"
        context = Context()
        context.__dict__.update(self.context.__dict__)
        context.saved_values = self._saved_values(where, index, z, operands)
        implementation = self._implementation(method)
        recorded = any(isinstance(x, Value) for x in (z, *arguments))
        with _differentiating(where) if recorded else nullcontext():
            returned = implementation(context, *map(constant, arguments))
        return returned if isinstance(returned, tuple) else (returned,)

    def _saved_values(
        self, where: str, index: int, z: Operand, operands: Sequence[Operand]
    ) -> tuple[Value, ...]:
        """The saved numbers; where z is a Value, as Values that depend on the operands."""
        recorded = isinstance(z, Value)
        if recorded:
            for name, kept in self.context.__dict__.items():
                if isinstance(kept, _Input):
                    raise RuntimeError(
                        f"{where}: ctx.{name} is an operand, whose derivative is lost in an "
                        "attribute; keep it with ctx.save_for_backward"
                    )
        values = []
        for i, (kind, j) in enumerate(self.sources):
            if kind == "input":
                values.append(constant(operands[j]))
            elif not recorded:
                values.append(constant(self.context._saved[i]))
            elif kind == "result":
                values.append(constant(z) if j == index else self.node(j, operands))
            else:
                raise RuntimeError(
                    f"{where}: saved value {i} is neither an operand nor a result of forward, so "
                    "its derivative is not known; compute it in backward, or keep what is constant "
                    "as an attribute of ctx"
                )
        return tuple(values)


_WANTED = {
    "forward": "define forward(ctx, *floats), the value",
    "backward": "define backward(ctx, grad), the gradients of the operands",
    "jvp": "forward mode needs jvp(ctx, *tangents), the tangent of the result",
}


@contextmanager
def _differentiating(where: str) -> Iterator[None]:
    """Inside, float() of a Value that takes a gradient raises, in the name of `where`."""
    enter_mode()
    token = differentiating.set(where)
    try:
        yield
    finally:
        differentiating.reset(token)
        leave_mode()


class _Result:
    """Stands in the graph where a Rule would, for result `index` of a call."""

    arity = ANY
    bounded = False

    def __init__(self, call: _Call, index: int) -> None:
        self.call = call
        self.index = index
        self.name = self.symbol = call.name

    def value(self, *operands: float) -> float:
        """What forward returned."""
        return self.call.results[self.index]

    def pull(self, g: Operand, z: Operand, operands: Sequence[Operand]) -> list[Operand]:
        """The shares of the operands: one backward, with g for this result and 0 for others."""
        call, where = self.call, f"{self.call.name}.backward"
        grads = [g if i == self.index else 0.0 for i in range(len(call.results))]
        shares = call.run("backward", grads, self.index, z, operands)
        if len(shares) != len(operands):
            raise ValueError(
                f"{where}: returned {len(shares)} gradients for {len(operands)} operands; "
                "want one for each"
            )
        return [
            0.0 if share is None else plain(operand(share, f"{where}: gradient {i}"))
            for i, share in enumerate(shares)
        ]

    contributions = pull

    def tangent(
        self, tangents: Sequence[Operand | None], z: Operand, operands: Sequence[Operand]
    ) -> Operand:
        """This result's tangent: one jvp, with 0 for operands that do not vary."""
        call, where = self.call, f"{self.call.name}.jvp"
        arrived = [0.0 if t is None else t for t in tangents]
        returned = call.run("jvp", arrived, self.index, z, operands)
        if len(returned) != len(call.results):
            raise ValueError(
                f"{where}: returned {len(returned)} tangents for {len(call.results)} results; "
                "want one for each"
            )
        tangent: Operand = operand(returned[self.index], f"{where}: tangent {self.index}")
        return tangent
