"""The recorder: takes the ops that a function of Values does, as a list instead of a number.

While a `Recorder` is in force, every op on Values in its context comes here (`engine` asks) and
makes a `Tracer`: a Value that knows its place in the list and has no data. So `f` runs as it is,
through `nn`, `mg.dot` and whatever else is made of Values, and only what needs a number fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from micrograd.engine import modes, rules
from micrograd.engine.backward import topological
from micrograd.engine.hooks import Hook
from micrograd.engine.node import FROZEN
from micrograd.engine.rules import ANY, RULES, Rule
from micrograd.engine.value import Operand, Value
from micrograd.program.ops import (
    CONSTANT,
    DETACH,
    INPUT,
    LESS,
    LESS_EQUAL,
    PARAMETER,
    PLAIN,
    Node,
    op_node,
)

T = TypeVar("T")
# d(sum of seed * output)/dx for every x on the way, recorded: of the recorder, the graph's nodes in
# order, the outputs and the seeds. `reverse.gradients` is one.
Gradients = Callable[["Recorder", Sequence[Value], Sequence[Value], Sequence[Operand]], Any]
_new = object.__new__

_RECORDED = {*RULES.values(), *PLAIN}
_COMPARISONS: dict[str, tuple[Rule, bool]] = {  # the op, and whether its operands change places
    "__lt__": (LESS, False),
    "__le__": (LESS_EQUAL, False),
    "__gt__": (LESS, True),
    "__ge__": (LESS_EQUAL, True),
}

_ADVICE = {
    ".data": "compute with the Value itself; x.detach() is a value that takes no gradient",
    "float()": "use the Value's own functions, x.exp() for math.exp(x), "
    "mg.maximum(x, y) for max(x, y)",
    "bool()": "mg.where(x > y, a, b) computes both sides and chooses for each sample; "
    "mg.maximum, mg.minimum, x.relu() and abs(x) do so for a common choice",
    "backward()": "program.backward() gives the gradients of the parameters; inside, use "
    "mg.grad(y, x, create_graph=True)",
    "register_hook()": "a hook is Python on numbers; change gradients with ops on Values, such as "
    "mg.where(big, 0.0, g) for the g of mg.grad(y, x, create_graph=True)",
}


class RecordingError(TypeError):
    """A compiled function does what a recording cannot hold.

    where: the call that wanted the recording. reason: what is in its way, and what to do.

    >>> try:
    ...     mg.compile(lambda x: x if x > 0 else -x)([1.0, -1.0])
    ... except mg.RecordingError:
    ...     print(mg.compile(lambda x: mg.where(x > 0, x, -x))([1.0, -1.0]))
    [1. 1.]
    """

    def __init__(self, reason: str, where: str = "compile") -> None:
        super().__init__(reason, where)
        self.reason = reason
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class Tracer(Value):
    """A Value in a recording: an op whose result is not known yet."""

    __slots__ = ("index", "recorder")

    index: int
    recorder: Recorder

    @property
    def _data(self) -> float:  # type: ignore[override]
        _refuse(".data")

    def __bool__(self) -> bool:
        if self.recorder.answers is None:
            _refuse("bool()")
        return self.recorder.answer(self)

    def backward(
        self,
        grad: Operand = 1.0,
        create_graph: bool = False,
        retain_graph: bool | None = None,
    ) -> None:
        """Not in a recording.

        Raises:
            RecordingError: always.
        """
        _refuse("backward()")

    def register_hook(self, hook: Any) -> Hook:
        """Not in a recording.

        Raises:
            RecordingError: always.
        """
        _refuse("register_hook()")

    def __repr__(self) -> str:
        return f"<recorded {self.op or 'leaf'} {self.index}>"


class Condition:
    """A comparison in a recording; `mg.where` takes it."""

    __slots__ = ("tracer",)

    def __init__(self, tracer: Value) -> None:
        self.tracer = tracer  # 1 or 0, without a derivative

    def __bool__(self) -> bool:
        return bool(self.tracer)


def _refuse(how: str) -> NoReturn:
    raise RecordingError(
        f"{how} of a Value inside the compiled function: it is recorded once, without "
        f"numbers, and then runs on any; {_ADVICE[how]}"
    )


def _check_rule(rule: Rule) -> None:
    if rule not in _RECORDED:
        raise RecordingError(
            f"{rule.name} is a custom Function, whose forward and backward are Python on "
            "numbers; write it with ops on Values to compile it"
        )


def _check_hooks(x: Value) -> None:
    if getattr(x, "_hooks", None):
        raise RecordingError(
            f"{x!r} has a hook (register_hook), which is Python on numbers and would not be called "
            "by the compiled function; remove it to compile"
        )


class Recorder:
    """Takes the ops of one call of a function.

    derive: what differentiates inside the recording.

    nodes: the ops so far. leaves: the leaves outside the function that take a gradient, in the
    order in which it used them first. captured: the constants outside the function.
    """

    def __init__(self, derive: Gradients) -> None:
        self._derive = derive
        self.nodes: list[Node] = []
        self.leaves: dict[Value, int] = {}
        self.captured: list[tuple[Value, float]] = []
        self._known: dict[Value, int] = {}  # place of a Value that is no Tracer
        self.answers: tuple[bool, ...] | None = None  # to the first comparisons of a rule
        self._asked: list[Value] = []

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Ops of this context come here. An outer no_grad() is the caller's business, not f's."""
        modes.enter_mode()
        recorder = modes.recorder.set(self)
        depth = modes.no_grad_depth.set(0)
        try:
            yield
        finally:
            modes.no_grad_depth.reset(depth)
            modes.recorder.reset(recorder)
            modes.leave_mode()

    # ---- what engine calls ----

    def op(self, rule: Rule, operands: tuple[Operand, ...]) -> Value:
        """The result of an op; of numbers alone it is a constant."""
        _check_rule(rule)
        places = []
        only_numbers = True
        for x in operands:
            if type(x) is Tracer and x.recorder is self:
                places.append(x.index)
                only_numbers = False
            elif isinstance(x, Value):
                places.append(self.place(x))
                only_numbers = False
            else:
                places.append(-1)
        if only_numbers:
            return Value(rule.value(*operands), requires_grad=False)
        if -1 in places:
            places = [
                self.place(x) if at < 0 else at for x, at in zip(operands, places, strict=True)
            ]
        out = self._tracer(op_node(rule, tuple(places)))
        out._rule = rule
        if rule.arity == ANY:
            out._a, out._b = operands, ()
        else:
            out._a, out._b = operands[0], operands[-1]
        if modes.no_grad_depth.get() and rule is not DETACH:
            return self.detach(out)
        return out

    def detach(self, x: Operand) -> Value:
        """The value of x, through which no gradient goes."""
        return self.op(DETACH, (x,))

    def compare(self, name: str, x: Operand, y: Operand) -> Condition:
        """A comparison, by the name of its method."""
        if name in ("__eq__", "__ne__"):
            equal = self.op(rules.MUL, (self.op(LESS_EQUAL, (x, y)), self.op(LESS_EQUAL, (y, x))))
            return Condition(equal if name == "__eq__" else self.op(rules.SUB, (1.0, equal)))
        rule, swapped = _COMPARISONS[name]
        return Condition(self.op(rule, (y, x) if swapped else (x, y)))

    def where(self, condition: Any, x: Operand, y: Operand) -> Value:
        """A choice for each sample, if the condition depends on it."""
        if isinstance(condition, Condition):
            condition = condition.tracer
        elif not isinstance(condition, Value):
            condition = 1.0 if condition else 0.0
        return self.op(rules.WHERE, (condition, x, y))

    def largest(self, values: Sequence[Operand]) -> Operand:
        """The largest, as a constant: what softmax takes off."""
        largest: Operand = 0.0
        for i, x in enumerate(values):
            largest = self.op(rules.MAXIMUM, (largest, x)) if i else x
        return self.detach(largest)

    def gradients(
        self, order: Sequence[Value], outputs: Sequence[Value], seeds: Sequence[Operand]
    ) -> dict[Value, Operand]:
        """Derivatives as recorded Values."""
        found: dict[Value, Operand] = self._derive(self, order, outputs, seeds)
        return found

    def answering(
        self, answers: tuple[bool, ...], compute: Callable[[], T]
    ) -> tuple[T, list[Value]]:
        """The result of a rule whose first comparisons have these answers and the others are true.

        And the comparisons it has asked for.
        """
        self.answers, self._asked = answers, []
        try:
            return compute(), self._asked
        finally:
            self.answers = None

    def answer(self, condition: Value) -> bool:
        """Python wants to know whether this is 0, inside a rule."""
        answers = self.answers or ()
        self._asked.append(condition)
        return answers[len(self._asked) - 1] if len(self._asked) <= len(answers) else True

    def refuse(self, how: str) -> NoReturn:
        """Raises the error for reading a number.

        Raises:
            RecordingError: always.
        """
        _refuse(how)

    # ---- the list ----

    def input(self, argument: int, column: int) -> Tracer:
        """A new input."""
        return self._tracer(Node(INPUT, (argument, column)))

    def _tracer(self, node: Node) -> Tracer:
        out = _new(Tracer)
        out.index = len(self.nodes)
        out.recorder = self
        out.grad = 0.0
        out._rule = None
        out._mark = None
        self.nodes.append(node)
        return out

    def _append(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def place(self, x: Operand) -> int:
        """Where a number or a Value is in the list; one from outside comes with its graph."""
        if type(x) is Tracer:
            if x.recorder is not self:
                raise RecordingError(
                    "a Value of an earlier recording; the function has kept it somewhere, "
                    "which only works for Values that it does not make itself"
                )
            return x.index
        if not isinstance(x, Value):
            return self._append(Node(CONSTANT, (), x))
        if x not in self._known:
            for inner in topological([x]):
                if inner not in self._known:
                    _check_hooks(inner)
                    places = tuple(self.place(operand) for operand in inner.operands)
                    rule: Any = inner._rule
                    _check_rule(rule)
                    self._known[inner] = self._append(Node(rule, places))
            if x.is_leaf:
                self._known[x] = self._leaf(x)
        return self._known[x]

    def _leaf(self, x: Value) -> int:
        _check_hooks(x)
        if x._rule is FROZEN:
            self.captured.append((x, x._data))
            return self._append(Node(CONSTANT, (), x._data))
        self.leaves[x] = len(self.leaves)
        return self._append(Node(PARAMETER, (self.leaves[x],)))
