"""Recording: what a function of Values does, as a list of ops instead of a number.

While a `Recorder` is in force, every op on Values in its context comes here (`engine` asks) and
makes a `Tracer`: a Value that knows its place in the list and has no data. So `f` runs as it is,
through `nn`, `mg.dot` and whatever else is made of Values, and only what needs a number fails.

A function that is not the same each time it is called cannot be recorded: it is called twice, and
the two lists are compared. That finds random numbers, counters, and leaves made anew by each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, TypeVar

from micrograd.engine import rules
from micrograd.engine import value as engine
from micrograd.engine.backward import FROZEN, topological
from micrograd.engine.rules import ANY, RULES, Rule
from micrograd.engine.value import Operand, Value

T = TypeVar("T")
NONE = -1  # the arity of a leaf


def _no_value(*operands: float) -> NoReturn:
    raise AssertionError("a leaf is not computed")


# What stands in the list beside the ops of `rules`. Leaves: an input is (argument, column), a
# parameter (number,), a constant has a value.
INPUT = Rule("input", "", NONE, _no_value)
PARAMETER = Rule("parameter", "", NONE, _no_value)
CONSTANT = Rule("constant", "", NONE, _no_value)
# Ops without a derivative.
LESS = Rule("less", "<", 2, lambda x, y: float(x < y), lambda *_: 0.0, lambda *_: 0.0)
LESS_EQUAL = Rule("less_equal", "<=", 2, lambda x, y: float(x <= y), lambda *_: 0.0, lambda *_: 0.0)
DETACH = Rule("detach", "detach", 1, lambda x: x, lambda *_: 0.0)
PLAIN = (LESS, LESS_EQUAL, DETACH)

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
}


class RecordingError(TypeError):
    """A compiled function does what a recording cannot hold."""


class Node(NamedTuple):
    """An op and the places of its operands in the list, or a leaf (see INPUT, ...)."""

    rule: Rule
    operands: tuple[int, ...]
    value: float = 0.0


_new_tuple = tuple.__new__


def op_node(rule: Rule, operands: tuple[int, ...]) -> Node:
    """Node(rule, operands), in a third of the time."""
    return _new_tuple(Node, (rule, operands, 0.0))


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

    def backward(self, grad: Operand = 1.0, create_graph: bool = False) -> None:
        """Not in a recording.

        Raises:
            RecordingError: always.
        """
        _refuse("backward()")

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
        f"compile: {how} of a Value inside the compiled function: it is recorded once, without "
        f"numbers, and then runs on any; {_ADVICE[how]}"
    )


def _check_rule(rule: Rule) -> None:
    if rule not in _RECORDED:
        raise RecordingError(
            f"compile: {rule.name} is a custom Function, whose forward and backward are Python on "
            "numbers; write it with ops on Values to compile it"
        )


class Recorder:
    """Takes the ops of one call of a function.

    nodes: the ops so far. leaves: the leaves outside the function that take a gradient, in the
    order in which it used them first. captured: the constants outside the function.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.leaves: dict[Value, int] = {}
        self.captured: list[tuple[Value, float]] = []
        self._known: dict[Value, int] = {}  # place of a Value that is no Tracer
        self.answers: tuple[bool, ...] | None = None  # to the first comparisons of a rule
        self._asked: list[Value] = []

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Ops of this context come here. An outer no_grad() is the caller's business, not f's."""
        engine.enter_mode()
        recorder = engine._recorder.set(self)
        depth = engine._no_grad_depth.set(0)
        try:
            yield
        finally:
            engine._no_grad_depth.reset(depth)
            engine._recorder.reset(recorder)
            engine.leave_mode()

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
        if engine._no_grad_depth.get() and rule is not DETACH:
            return self.detach(out)
        return out

    def detach(self, x: Operand) -> Value:
        """The value of x, through which no gradient goes."""
        return self.op(DETACH, (x,))

    def compare(self, name: str, x: Operand, y: Operand) -> Condition:
        """A comparison, by the name of its method."""
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
        from micrograd.program.reverse import gradients

        return gradients(self, order, outputs, seeds)

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
        out = engine._new(Tracer)
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
                    "compile: a Value of an earlier recording; the function has kept it somewhere, "
                    "which only works for Values that it does not make itself"
                )
            return x.index
        if not isinstance(x, Value):
            return self._append(Node(CONSTANT, (), x))
        if x not in self._known:
            for inner in topological([x]):
                if inner not in self._known:
                    places = tuple(self.place(operand) for operand in inner.operands)
                    rule: Any = inner._rule
                    _check_rule(rule)
                    self._known[inner] = self._append(Node(rule, places))
            if x.is_leaf:
                self._known[x] = self._leaf(x)
        return self._known[x]

    def _leaf(self, x: Value) -> int:
        if x._rule is FROZEN:
            self.captured.append((x, x._data))
            return self._append(Node(CONSTANT, (), x._data))
        self.leaves[x] = len(self.leaves)
        return self._append(Node(PARAMETER, (self.leaves[x],)))


Shape = tuple[int, ...]


@dataclass
class Recording:
    """What a function does for arguments of these shapes.

    nodes, outputs: the list, and the places in it of the results. shapes: of each result, () for a
    Value, (n,) for a list of n; single: the function returns one result and no tuple.
    """

    nodes: list[Node]
    outputs: list[int]
    shapes: list[Shape]
    single: bool
    leaves: list[Value]
    captured: list[tuple[Value, float]]


def _argument(recorder: Recorder, number: int, shape: Shape, columns: Iterator[int]) -> Any:
    if not shape:
        return recorder.input(number, next(columns))
    return [_argument(recorder, number, shape[1:], columns) for _ in range(shape[0])]


def _result(x: Any, flat: list[Operand]) -> Shape:
    """Appends the Values of a nested list to `flat`, and returns its shape."""
    if isinstance(x, (list, tuple)):
        shapes = [_result(each, flat) for each in x]
        if not shapes or any(shape != shapes[0] for shape in shapes):
            raise RecordingError(
                "compile: the function returns a list that is empty or ragged; "
                "a Value, a list of as many Values in each row, or a tuple of these is wanted"
            )
        return (len(shapes), *shapes[0])
    try:
        flat.append(engine._operand(x, "compile"))
    except TypeError:
        raise RecordingError(
            f"compile: the function returns {type(x).__name__} {x!r:.60}; "
            "a Value, a list of Values or a tuple of these is wanted"
        ) from None
    return ()


def _record_once(f: Callable[..., Any], shapes: Sequence[Shape]) -> Recording:
    recorder = Recorder()
    with recorder.in_force():
        arguments = [
            _argument(recorder, i, shape, iter(range(10**12))) for i, shape in enumerate(shapes)
        ]
        returned = f(*arguments)
        single = not isinstance(returned, tuple)
        flat: list[Operand] = []
        results = [returned] if single else list(returned)
        result_shapes = [_result(x, flat) for x in results]
        outputs = [recorder.place(x) for x in flat]
    return Recording(
        recorder.nodes, outputs, result_shapes, single, list(recorder.leaves), recorder.captured
    )


def _same(a: Node, b: Node) -> bool:
    return a == b or (a[:2] == b[:2] and a.value != a.value and b.value != b.value)


def record(f: Callable[..., Any], shapes: Sequence[Shape]) -> Recording:
    """What f does for a sample whose arguments have these shapes: () for a Value, (n,) for a list.

    Raises:
        RecordingError: f does what a recording cannot hold, or not the same thing twice.
    """
    first, second = _record_once(f, shapes), _record_once(f, shapes)
    leaves = zip(first.leaves, second.leaves, strict=False)
    if len(first.leaves) != len(second.leaves) or any(x is not y for x, y in leaves):
        raise RecordingError(
            "compile: the function makes new Values that take a gradient each time it is called; "
            "make parameters once, outside, and constants with Value(x, requires_grad=False)"
        )
    if (
        first.outputs != second.outputs
        or len(first.nodes) != len(second.nodes)
        or not all(map(_same, first.nodes, second.nodes))
    ):
        raise RecordingError(
            "compile: the function does something else each time it is called (does it draw random "
            "numbers, count its calls, or read data that change?); pass what changes as an argument"
        )
    return first
