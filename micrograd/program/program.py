"""compile: a function of Values, recorded once and run by the C core over whole batches.

    program = mg.compile(lambda x, y: (1 - y * mlp(x)).relu())
    loss = program.loss(X, y)
    program.backward()

The way from one to the other stands in `pipeline`; csrc/program/ runs what comes out of it.
"""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from micrograd import checks, core
from micrograd.core import Array
from micrograd.engine.node import number_of
from micrograd.engine.value import Value
from micrograd.parameters import Parameters
from micrograd.program.c_program import CProgram
from micrograd.program.ops import Shape
from micrograd.program.pipeline import simplified
from micrograd.program.recorded import Recorded, portable
from micrograd.program.recorder import RecordingError
from micrograd.program.steps import Steps

__all__ = ["Program", "RecordingError", "compile"]


class Program(Steps):
    """A function of Values that runs in the C core over the rows of a batch; see `compile`.

    It holds its own copy of the parameters, taken when the function was first recorded. Assigning
    to the Values it closes over changes nothing here until `reload()`, and training it changes
    nothing there until `write_back()`. A list from which the function took a leaf may get another
    leaf: the program stays with the one it has recorded.

    **Threads.** Any number of them may call a program at the same time. loss(), backward() and
    what else changes it belong to one thread at a time; another's attempt is a RuntimeError.

    **Copies.** A copy has parameters of its own, and the same function and leaves. A pickle brings
    its recordings along, and copies of the leaves; a function that pickle cannot find by its name,
    such as a lambda, stays behind, and the program then runs for the shapes it was called with.

    >>> w = Value(2.0)
    >>> program = mg.compile(lambda x: w * x + 1)
    >>> program([1.0, 2.0, 3.0])
    array([3., 5., 7.])
    """

    def __init__(self, function: Callable[..., Any], dtype: str = "float64") -> None:
        if not callable(function):
            raise TypeError(f"compile: {checks.describe(function)} is no function of Values")
        name = np.dtype(dtype).name if not isinstance(dtype, str) else dtype
        if name not in core.DTYPES:
            raise ValueError(
                f"compile: dtype is {dtype!r}, one of {', '.join(core.DTYPES)} is wanted"
            )
        self.function = function
        self.dtype = name
        self.leaves: list[Value] = []
        self._dtype = np.dtype(name)
        self._recorded: dict[tuple[Shape, ...], Recorded] = {}
        self._recording = threading.RLock()
        self._training: dict[tuple[Shape, ...], CProgram] = {}  # for loss() and backward()
        self._parameters: Parameters | None = None
        self.optimizer: Any = None  # of the last fit, as is the next
        self.position: Any = None
        self._pending: CProgram | None = None  # has a gradient that nobody has asked for yet
        self._pending_thread = 0
        self._travelled = False  # the leaves are copies, the function may have others

    # ---- recording ----

    def record(self, *arguments: Any) -> Program:
        """Records the function for arguments like these, without running it; returns the program.

        Calls do this by themselves. Needed where the parameters are wanted before the first call:
        `SGD(program.record(X, y).parameters(), lr=0.1)`.
        """
        self._prepare("Program.record", arguments)
        return self

    def _record(self, shapes: tuple[Shape, ...]) -> Recorded:
        """Records the function for these shapes; the first recording settles the parameters.

        Raises:
            RecordingError: a later recording uses a leaf that the first did not.
        """
        with self._recording:
            if shapes in self._recorded:  # another thread has been here
                return self._recorded[shapes]
            if self._parameters is None:
                function = simplified(self.function, shapes, lambda leaves: range(len(leaves)))
                leaves = function.recording.leaves
                recorded = Recorded(shapes, function, len(leaves), self.dtype)
                self.leaves, self._parameters = leaves, _parameters_of(leaves, self._dtype)
            else:
                function = simplified(self.function, shapes, self._numbers)
                recorded = Recorded(shapes, function, len(self.leaves), self.dtype)
            self._recorded[shapes] = recorded
            return recorded

    def _numbers(self, leaves: Sequence[Value]) -> list[int]:
        """The numbers of these leaves among the parameters."""
        numbers = {leaf: i for i, leaf in enumerate(self.leaves)}
        new = [leaf for leaf in leaves if leaf not in numbers]
        if new and self._travelled:
            self._meet_the_leaves()
            return self._numbers(leaves)
        if new:
            raise RecordingError(
                f"for these shapes the function uses {len(new)} Values more than in the "
                f"first call, such as {new[0]!r}; call it first with shapes that use all of them, "
                "or compile it once more"
            )
        return [numbers[leaf] for leaf in leaves]

    @property
    def recorded_shapes(self) -> list[tuple[Shape, ...]]:
        """What it has been recorded for: the shapes of its arguments for one sample, () for a
        Value, (n,) for a list of n."""
        return list(self._recorded)

    def _meet_the_leaves(self) -> None:
        """After a journey: takes the function's own leaves for the copies that came along.

        Raises:
            RecordingError: the function is not the one that was recorded.
        """
        shapes, recorded = next(iter(self._recorded.items()))
        function = simplified(self.function, shapes, lambda leaves: range(len(leaves)))
        leaves = function.recording.leaves
        if len(leaves) != len(self.leaves) or not recorded.does(function):
            raise RecordingError(
                "the function is not the one that this program was compiled from before it was "
                "pickled, so it is not recorded for arguments of other shapes; compile it once more"
            )
        self.leaves, self._travelled = leaves, False

    def parameters(self) -> Parameters:
        """The leaves that the function closes over, in the order in which it uses them.

        A sequence of Parameter(name, data, grad), each of shape (); `.flat` and `.flat_grad` are
        the arrays they lie in. Names are the Values' labels where these are unique, else "p0",
        "p1", ... behind what label there is.

        Raises:
            RuntimeError: there has been no call, and so no recording.
        """
        if self._parameters is None:
            raise RuntimeError(
                "Program.parameters: they are known once the function is recorded; "
                "call program.record(X, y), or program.loss(X, y), first"
            )
        return self._parameters

    def zero_grad(self) -> None:
        """Sets all gradients to zero.

        Raises:
            RuntimeError: another thread is training the program.
        """
        parameters = self.parameters()
        with parameters.access.training("Program.zero_grad"):
            parameters.zero_grad("Program.zero_grad")

    def write_back(self) -> None:
        """Copies data and gradients of the parameters into the Values they come from.

        Raises:
            RuntimeError: another thread is training the program.
        """
        parameters = self.parameters()
        with parameters.access.training("Program.write_back"):
            pairs = zip(parameters.flat.tolist(), parameters.flat_grad.tolist(), strict=True)
            for leaf, (data, grad) in zip(self.leaves, pairs, strict=True):
                leaf.data = data
                leaf.grad = grad

    def reload(self) -> None:
        """Takes the data of the parameters from their Values again, and those of the constants.

        Gradients stay as they are.

        Raises:
            RuntimeError: another thread is training the program.
        """
        parameters = self.parameters()
        with parameters.access.writing("Program.reload"), self._recording:
            _take_data(parameters, self.leaves)
            self._pending = None
            for shapes, recorded in list(self._recorded.items()):
                if recorded.out_of_date():  # constants are folded: it has to be recorded again
                    del self._recorded[shapes]
                    self._training.pop(shapes, None)

    # ---- what comes in ----

    def _prepare(self, where: str, arguments: tuple[Any, ...]) -> tuple[Recorded, int, list[Array]]:
        """What to run, the number of rows, and the arguments as arrays that fit."""
        arrays = [
            x
            if type(x) is np.ndarray and x.dtype is self._dtype and checks.is_plain(x)
            else checks.reals(where, f"argument {i}", x, self._dtype)
            for i, x in enumerate(arguments)
        ]
        rows = -1
        for i, x in enumerate(arrays):
            if x.ndim == 0:
                raise ValueError(
                    f"{where}: argument {i} is a number; an array with a row for each sample is "
                    "wanted"
                )
            if rows not in (-1, x.shape[0]):
                raise ValueError(
                    f"{where}: argument {i} has {x.shape[0]} rows, those before {rows}"
                )
            rows = x.shape[0]
        if rows < 1:
            raise ValueError(f"{where}: no {'rows' if arrays else 'arguments'}")
        shapes = tuple([x.shape[1:] for x in arrays])
        recorded = self._recorded.get(shapes)
        if recorded is None:
            if 0 in [n for shape in shapes for n in shape]:
                raise ValueError(f"{where}: an argument has an axis of length 0")
            recorded = self._record(shapes)
        return recorded, rows, arrays

    # ---- what it does ----

    def __call__(self, *arguments: Any) -> Any:
        """The function of each row, without a gradient.

        Args:
            *arguments: arrays of real numbers with a leading batch axis: (rows,) for what the
                function takes as a Value, (rows, n) for a list of n Values, (rows, n, m) for n
                lists of m. Infinities and NaN are computed with, as IEEE arithmetic has it.

        Returns:
            An array (rows,) for a Value, (rows, n) for a list of n; a tuple of these for a tuple.

        Raises:
            RecordingError: the function does what cannot be recorded.
            TypeError, ValueError: arguments that do not fit.
        """
        recorded, rows, arrays = self._prepare("Program", arguments)
        out = np.empty((rows, recorded.outputs), self._dtype)
        parameters = self.parameters()
        program = recorded.programs.take()
        access = parameters.access
        access.begin_read()
        try:
            program.run("Program", parameters.data_pointer, arrays, out)
        finally:
            access.end_read()
            recorded.programs.give(program)
        return recorded.results(out)

    def loss(self, *arguments: Any) -> float:
        """The mean of the function over the batch; keeps its gradient for backward().

        The gradient is computed here, block by block while the values are in the cache, so the
        arrays may be changed afterwards. For the value alone, program(...).mean() is cheaper.

        Raises:
            RecordingError: the function does what cannot be recorded.
            TypeError, ValueError: arguments that do not fit; more than one result.
            RuntimeError: another thread is training the program.
        """
        recorded, rows, arrays = self._prepare("Program.loss", arguments)
        if not recorded.is_loss:
            raise ValueError(
                "Program.loss: the function returns more than one Value; "
                "a mean and its gradient are of one"
            )
        parameters = self.parameters()
        access = parameters.access
        access.enter("Program.loss")
        try:
            program = self._training.get(recorded.shapes)
            if program is None:
                program = self._training[recorded.shapes] = recorded.program()
            if program is self._pending:
                self._pending = None  # its gradient is about to be overwritten
            mean = program.loss("Program.loss", parameters.data_pointer, arrays, rows)
            self._pending, self._pending_thread = program, threading.get_ident()
            return mean
        finally:
            access.leave()

    def evaluate(self, *arguments: Any) -> tuple[float, None]:
        """The mean of the function over the rows, without a gradient, and no accuracy; see
        Network.evaluate."""
        return float(np.mean(self(*arguments), dtype=np.float64)), None

    def backward(self) -> None:
        """Adds the gradient of the last loss() to the gradients of the parameters.

        Raises:
            RuntimeError: there is no loss() whose gradient has not been added already, or it was
                another thread's, or another thread is training the program.
        """
        parameters = self._parameters
        if parameters is None:
            raise RuntimeError(_NO_LOSS)
        access = parameters.access
        access.enter("Program.backward")
        try:
            program = self._pending
            if program is None:
                raise RuntimeError(_NO_LOSS)
            if self._pending_thread != threading.get_ident():
                raise RuntimeError(
                    "Program.backward: the last loss() was another thread's; loss() and backward() "
                    "of one step belong to one thread"
                )
            self._pending = None
            program.gradients(parameters.grad_pointer, not parameters.stale)
            parameters.stale = False
        finally:
            access.leave()

    # ---- reading it ----

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        shapes = ", ".join(str(shapes) for shapes in self._recorded) or "nothing yet"
        return f"Program({name}, dtype={self.dtype!r}, recorded for {shapes})"

    def __str__(self) -> str:
        """The ops of each recording; of a long one the first and the last."""
        if self._parameters is None:
            return repr(self)
        names = [p.name for p in self._parameters]
        return "\n\n".join(recorded.listing(names) for recorded in list(self._recorded.values()))

    # ---- copies ----

    def __getstate__(self) -> dict[str, Any]:
        with self._recording:
            return {
                "function": portable(self.function) if self._recorded else self.function,
                "dtype": self.dtype,
                "leaves": self.leaves,
                "parameters": self._parameters,
                "recorded": list(self._recorded.values()),
                "optimizer": self.optimizer,
                "position": self.position,
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["function"], state["dtype"])  # type: ignore[misc]
        self.leaves, self._parameters = state["leaves"], state["parameters"]
        self._recorded = {recorded.shapes: recorded for recorded in state["recorded"]}
        self.optimizer, self.position = state["optimizer"], state["position"]
        self._travelled = True

    def __deepcopy__(self, memo: dict[int, Any]) -> Program:
        out = Program(self.function, self.dtype)
        memo[id(self)] = out
        with self._recording:
            out.leaves, out._travelled = list(self.leaves), self._travelled
            out._recorded = dict(self._recorded)
            out._parameters = copy.deepcopy(self._parameters, memo)
            out.optimizer = copy.deepcopy(self.optimizer, memo)
            out.position = copy.deepcopy(self.position, memo)
        return out

    def __copy__(self) -> Program:
        return copy.deepcopy(self)


_NO_LOSS = "Program.backward: no loss to go back from; call loss(X, y) first"


def _parameters_of(leaves: Sequence[Value], dtype: np.dtype[Any]) -> Parameters:
    labels = Counter(leaf.label for leaf in leaves)
    names = [
        leaf.label if leaf.label and labels[leaf.label] == 1 else f"{leaf.label}p{i}"
        for i, leaf in enumerate(leaves)
    ]
    parameters = Parameters([(name, ()) for name in names], dtype)
    _take_data(parameters, leaves)
    return parameters


def _take_data(parameters: Parameters, leaves: Sequence[Value]) -> None:
    for i, leaf in enumerate(leaves):
        parameters.flat[i] = number_of(leaf)


def compile(function: Callable[..., Any], dtype: str = "float64") -> Program:
    """A program that computes `function` for every row of a batch, and its gradient, in C.

    `function` takes Values, or nested lists of them, for one sample, and returns a Value, a list of
    Values or a tuple of these. It is called once for each shape of arguments (twice in fact, to see
    that it does the same again) and written down: what it does besides computing with Values, it
    does then and never again. The Values it closes over that take a gradient become the program's
    parameters; those made with requires_grad=False are constants.

    Ops, kinks and IEEE conventions are those of `engine.rules`; `mg.grad` and reverse mode
    (`mg.func.grad`, `vjp`, `jacrev`) may be used inside. Comparisons work as the condition of
    `mg.where`; Python's `if`, `max` and `float` cannot see a number that is not there yet and raise
    RecordingError, which says what to write instead.

    Args:
        function: what to compile.
        dtype: "float64" or "float32", of the arithmetic.

    Raises:
        TypeError, ValueError: no function, an unknown dtype.

    >>> w = Value(3.0)
    >>> program = compile(lambda x, y: (w * x - y) ** 2)
    >>> program.loss([1.0, 2.0], [2.0, 4.0])  # ((3 - 2)**2 + (6 - 4)**2) / 2
    2.5
    >>> program.backward()
    >>> program.parameters().flat_grad
    array([5.])
    """
    return Program(function, dtype)
