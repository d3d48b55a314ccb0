"""A function recorded for arguments of certain shapes: what C runs, and what comes back."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

from micrograd.core import Array
from micrograd.engine.node import number_of
from micrograd.program.c_program import CProgram
from micrograd.program.layout import Assembly
from micrograd.program.listing import listing
from micrograd.program.ops import Shape, pack, unpack
from micrograd.program.pipeline import Simplified, assembled, columns_of
from micrograd.program.recorder import RecordingError
from micrograd.sharing import Pool


class Recorded:
    """Nothing in it changes but the pool of programs that run it, so threads and copies share it.

    shapes: of the arguments. outputs: how many numbers a row of results holds. is_loss: it returns
    one Value, so there is a gradient.
    """

    def __init__(
        self,
        shapes: tuple[Shape, ...],
        function: Simplified,
        n_parameters: int,
        dtype: str,
    ) -> None:
        recording = function.recording
        self.shapes = shapes
        self.outputs = len(function.outputs)
        self.is_loss = recording.single and recording.shapes == [()]
        self.captured = recording.captured
        self._single = recording.single
        self._result_shapes = recording.shapes
        self._dtype = dtype
        self._ops = function.recorded
        self._nodes = function.nodes
        self._assemble(function.outputs, n_parameters)

    def _assemble(self, outputs: list[int], n_parameters: int) -> None:
        self.assembly: Assembly = assembled(self._nodes, outputs, n_parameters)
        self.programs: Pool[CProgram] = Pool(self.program)
        self.programs.give(self.program())  # so that it is known to fit into memory

    def program(self) -> CProgram:
        """A new program of the C core, for one caller at a time.

        Raises:
            MemoryError: there is no room for it.
        """
        return CProgram(self.assembly, columns_of(self.shapes), self._dtype)

    def results(self, out: Array) -> Any:
        """The rows of results (rows, outputs) in the structure that the function returns."""
        rows, start, found = len(out), 0, []
        for shape in self._result_shapes:
            stop = start + math.prod(shape)
            found.append(out[:, start:stop].reshape(rows, *shape))
            start = stop
        return found[0] if self._single else tuple(found)

    def out_of_date(self) -> bool:
        """Whether a constant that the function closes over has got another number since."""
        return any(_differ(number_of(leaf), value) for leaf, value in self.captured)

    def does(self, function: Simplified) -> bool:
        """Whether another recording has come out the same."""
        same = pack(function.nodes) == pack(self._nodes)
        return same and function.outputs == self.assembly.passes.outputs

    def listing(self, parameters: Sequence[str]) -> str:
        """Its ops, in lines that a person can read."""
        return listing(self.assembly, self.shapes, parameters, self._ops)

    def __getstate__(self) -> dict[str, Any]:
        passed_on = ("shapes", "outputs", "is_loss", "captured")
        inside = ("_single", "_result_shapes", "_dtype", "_ops")
        state = {name: getattr(self, name) for name in (*passed_on, *inside)}
        state["nodes"] = pack(self._nodes)
        state["results"] = self.assembly.passes.outputs
        state["n_parameters"] = self.assembly.n_parameters
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._nodes = unpack(state.pop("nodes"))
        outputs, n_parameters = state.pop("results"), state.pop("n_parameters")
        self.__dict__.update(state)
        self._assemble(outputs, n_parameters)


def _differ(x: float, y: float) -> bool:
    return x != y and (x == x or y == y)


class Lost:
    """Stands for a function that could not travel with its program: a lambda, or one that stands
    inside another function. The program runs for what it has recorded.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *arguments: Any) -> Any:
        """Raises RecordingError, which says what to do."""
        raise RecordingError(
            f"this program was unpickled without its function {self.__name__!r}, which pickle "
            "cannot find by its name, and has no recording for arguments of these shapes; call it "
            "with them before it is pickled, or write the function at the top level of a module"
        )


def portable(function: Any) -> Any:
    """The function as a pickle holds it: one that is not found by its name is `Lost`."""
    if not hasattr(function, "__code__"):  # an object: it brings its own pickle
        return function
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return function if found is function else Lost(function.__qualname__)
