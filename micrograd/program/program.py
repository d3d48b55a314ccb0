"""compile: a function of Values, recorded once and run by the C core over whole batches.

    program = mg.compile(lambda x, y: (1 - y * mlp(x)).relu())
    loss = program.loss(X, y)
    program.backward()

The way from one to the other stands in `pipeline`; csrc/program/ runs what comes out of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd import checks, core
from micrograd.core import Array
from micrograd.engine.node import number_of
from micrograd.engine.value import Value
from micrograd.parameters import Parameters
from micrograd.program.c_program import CProgram
from micrograd.program.listing import listing
from micrograd.program.ops import Shape
from micrograd.program.pipeline import assembled, columns_of, simplified
from micrograd.program.recorder import RecordingError
from micrograd.trainable import Trainable

__all__ = ["Program", "RecordingError", "compile"]


class _Recorded:
    """The function for arguments of these shapes: what the C core needs, and what comes back."""

    def __init__(self, program: Program, shapes: tuple[Shape, ...]) -> None:
        function = simplified(program.function, shapes, program.adopt)
        recording = function.recording
        self.ops = function.recorded
        self.captured = recording.captured
        self.single = recording.single
        self.result_shapes = recording.shapes
        self.is_loss = recording.single and recording.shapes == [()]
        self.n_outputs = len(function.outputs)
        self.assembly = assembled(function, len(program.leaves))
        self.shapes = shapes
        self.code = CProgram(self.assembly, columns_of(shapes), program.dtype)


class Program(Trainable):
    """A function of Values that runs in the C core over the rows of a batch; see `compile`.

    It holds its own copy of the parameters, taken when the function was first recorded. Assigning
    to the Values it closes over changes nothing here until `reload()`, and training it changes
    nothing there until `write_back()`. A list from which the function took a leaf may get another
    leaf: the program stays with the one it has recorded.
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
        self._recorded: dict[tuple[Shape, ...], _Recorded] = {}
        self._parameters: Parameters | None = None
        self.optimizer: Any = None  # of the last fit, as is the next
        self.position: Any = None
        self._pending: _Recorded | None = None  # has a gradient that nobody has asked for yet

    # ---- recording ----

    def record(self, *arguments: Any) -> Program:
        """Records the function for arguments like these, without running it; returns the program.

        Calls do this by themselves. Needed where the parameters are wanted before the first call:
        `SGD(program.record(X, y).parameters(), lr=0.1)`.
        """
        self._prepare("Program.record", arguments)
        return self

    def adopt(self, leaves: Sequence[Value]) -> list[int]:
        """The numbers of these leaves among the parameters, which the first recording settles.

        Raises:
            RecordingError: a later recording uses a leaf that the first did not.
        """
        if self._parameters is None:
            self.leaves = list(leaves)
            labels = Counter(leaf.label for leaf in leaves)
            names = [
                leaf.label if leaf.label and labels[leaf.label] == 1 else f"{leaf.label}p{i}"
                for i, leaf in enumerate(leaves)
            ]
            self._parameters = Parameters([(name, ()) for name in names], self._dtype)
            self._take_data()
        numbers = {leaf: i for i, leaf in enumerate(self.leaves)}
        new = [leaf for leaf in leaves if leaf not in numbers]
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

    def _take_data(self) -> None:
        flat = self.parameters().flat
        for i, leaf in enumerate(self.leaves):
            flat[i] = number_of(leaf)

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
        """Sets all gradients to zero."""
        self.parameters().zero_grad()

    def write_back(self) -> None:
        """Copies data and gradients of the parameters into the Values they come from."""
        parameters = self.parameters()
        pairs = zip(parameters.flat.tolist(), parameters.flat_grad.tolist(), strict=True)
        for leaf, (data, grad) in zip(self.leaves, pairs, strict=True):
            leaf.data = data
            leaf.grad = grad

    def reload(self) -> None:
        """Takes the data of the parameters from their Values again, and those of the constants.

        Gradients stay as they are.
        """
        self._take_data()
        self._pending = None
        for shapes, recorded in list(self._recorded.items()):
            if any(_differ(number_of(leaf), value) for leaf, value in recorded.captured):
                del self._recorded[shapes]  # constants are folded: it has to be recorded again

    # ---- what comes in ----

    def _prepare(
        self, where: str, arguments: tuple[Any, ...]
    ) -> tuple[_Recorded, int, list[Array]]:
        """What to run, the number of rows, and the arguments as arrays that fit."""
        arrays = [
            x
            if type(x) is np.ndarray and x.dtype is self._dtype and x.flags.c_contiguous
            else checks.reals(where, f"argument {i}", x, self._dtype)
            for i, x in enumerate(arguments)
        ]
        rows = -1
        for i, x in enumerate(arrays):
            if x is not arguments[i] and np.ndim(arguments[i]) == 0:
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
            recorded = self._recorded[shapes] = _Recorded(self, shapes)
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
        out = np.empty((rows, recorded.n_outputs), self._dtype)
        recorded.code.run("Program", self.parameters().data_pointer, arrays, out)
        results = []
        start = 0
        for shape in recorded.result_shapes:
            stop = start + math.prod(shape)
            results.append(out[:, start:stop].reshape(rows, *shape))
            start = stop
        return results[0] if recorded.single else tuple(results)

    def loss(self, *arguments: Any) -> float:
        """The mean of the function over the batch; keeps its gradient for backward().

        The gradient is computed here, block by block while the values are in the cache, so the
        arrays may be changed afterwards. For the value alone, program(...).mean() is cheaper.

        Raises:
            RecordingError: the function does what cannot be recorded.
            TypeError, ValueError: arguments that do not fit; more than one result.
        """
        recorded, rows, arrays = self._prepare("Program.loss", arguments)
        if not recorded.is_loss:
            raise ValueError(
                "Program.loss: the function returns more than one Value; "
                "a mean and its gradient are of one"
            )
        mean = recorded.code.loss("Program.loss", self.parameters().data_pointer, arrays, rows)
        self._pending = recorded
        return mean

    def evaluate(self, *arguments: Any) -> tuple[float, None]:
        """The mean of the function over the rows, without a gradient, and no accuracy; see
        Network.evaluate."""
        return float(np.mean(self(*arguments), dtype=np.float64)), None

    def backward(self) -> None:
        """Adds the gradient of the last loss() to the gradients of the parameters.

        Raises:
            RuntimeError: there is no loss() whose gradient has not been added already.
        """
        recorded, parameters = self._pending, self._parameters
        if recorded is None or parameters is None:
            raise RuntimeError("Program.backward: no loss to go back from; call loss(X, y) first")
        self._pending = None
        recorded.code.gradients(parameters.grad_pointer, not parameters.stale)
        parameters.stale = False

    # ---- training, as fit drives it ----

    loss_name = "program"
    layers: tuple[Any, ...] = ()
    out_features = 0  # no outputs but the loss
    step = 0  # nothing in it depends on how many passes there were

    def checked_batch(
        self, where: str, X: Any, y: Any, sample_weight: Any = None, index: Any = None
    ) -> _Data:
        """A data set that train_step takes rows from, checked once."""
        if sample_weight is not None:
            raise ValueError(
                f"{where}: sample weights are for a Network; a compiled function weighs its "
                "samples itself, with a column of X"
            )
        arrays = [checks.reals(where, name, x, self._dtype) for name, x in (("X", X), ("y", y))]
        _, rows, _ = self._prepare(where, tuple(arrays))
        return _Data(rows, arrays)

    def train_step(self, data: Any, index: Array, optimizer: Any, constraints: Any) -> float:
        """One step on the rows `index` of a checked data set; returns the mean loss before it.

        Raises:
            FloatingPointError: the loss or the update is not finite; the parameters are those
                before.
        """
        loss = self.loss(*[array.take(index, axis=0) for array in data.arrays])
        self.parameters().stale = True
        self.backward()
        constraints.step(optimizer, "Program.fit", loss)
        return loss

    def accumulate_step(self, data: Any, index: Array, constraints: Any, steps: int) -> float:
        """The loss and gradient of some rows of the next step (number `steps`), which is made by
        constraints.step from the mean over all of them. Returns the mean loss so far.
        """
        loss = self.loss(*[array.take(index, axis=0) for array in data.arrays])
        parameters = self.parameters()
        before = parameters.flat_grad.copy() if constraints.gathering else 0
        parameters.stale = True
        self.backward()
        gradient = parameters.flat_grad
        gradient *= len(index)
        gradient += before
        return float(constraints.gather(loss, len(index)))

    def prepare(self, where: str, X: Any, y: Any) -> None:
        """Records the function for rows like these, if it has not been recorded yet."""
        if self._parameters is None:
            if y is None:
                raise RuntimeError(f"{where}: call program.record(X, y) with one batch first")
            self._prepare(where, (X[:1], y[:1]))

    def place_not_finite(self, X: Any, y: Any) -> str:
        """A function has no layers to look at: ""."""
        return ""

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
        return "\n\n".join(
            listing(r.assembly, r.shapes, names, r.ops) for r in self._recorded.values()
        )


@dataclass
class _Data:
    """A data set in arrays that fit."""

    rows: int
    arrays: list[Array]


def _differ(x: float, y: float) -> bool:
    return x != y and (x == x or y == y)


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
