"""An assembled program in the C core, with the memory it works in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from micrograd import core
from micrograd.core import Array, ffi, lib
from micrograd.program.layout import Assembly


def encode(assembly: Assembly, columns: Sequence[int], dtype: str) -> Any:
    """The C core's program (mg_program *), freed with the last reference to it.

    columns: how many numbers of one sample each argument holds.

    Raises:
        MemoryError: the core has no room for it.
    """
    source = ffi.new("mg_program_source *")
    source.n_parameters = assembly.n_parameters
    source.n_constants, source.n_uniforms = len(assembly.constants), assembly.n_uniforms
    source.n_arguments, source.n_outputs = len(columns), len(assembly.passes.outputs)
    source.uniform_slots, source.slots = assembly.uniform.slots, assembly.rows.slots
    source.run_slots = assembly.run.slots
    constants = ffi.new("double[]", assembly.constants)
    argument_columns = ffi.new("int64_t[]", list(columns))
    source.constants, source.argument_columns = constants, argument_columns
    held = []
    for name, code in (
        ("uniform", assembly.uniform.forward),
        ("uniform_backward", assembly.uniform.backward),
        ("forward", assembly.rows.forward),
        ("backward", assembly.rows.backward),
        ("run", assembly.run.forward),
    ):
        held.append(ffi.from_buffer("int32_t[]", code))
        part = getattr(source, name)
        part.code, part.length = held[-1], len(code)
    program = lib.mg_program_new(core.ISA_CODE, core.DTYPES[dtype], source)
    if program == ffi.NULL:
        raise MemoryError(f"compile: no memory for a program of {len(assembly.passes.nodes)} ops")
    return ffi.gc(program, lib.mg_program_free)


class CProgram:
    """A program of its own for one caller at a time: code, workspace, and the last gradient."""

    __slots__ = ("_arguments", "_code", "_loss")

    def __init__(self, assembly: Assembly, columns: Sequence[int], dtype: str) -> None:
        self._code = encode(assembly, columns, dtype)
        self._arguments = ffi.new("mg_argument[]", len(columns))
        for argument, n in zip(self._arguments, columns, strict=True):
            argument.ld = n
        self._loss = ffi.new("double *")

    def _point_to(self, arrays: Sequence[Array]) -> list[Any]:
        held = [ffi.from_buffer(x) for x in arrays]
        for i, data in enumerate(held):
            self._arguments[i].data = data
        return held

    def run(self, where: str, parameters: Any, arrays: Sequence[Array], out: Array) -> None:
        """out (rows, outputs) = the results of each row.

        Raises:
            MemoryError: there is no room for the batch.
        """
        held = self._point_to(arrays)
        rows = len(out)
        to = ffi.from_buffer(out, require_writable=True)
        status = lib.mg_program_run(self._code, parameters, self._arguments, rows, to, core.threads)
        del held
        if status:
            _fail(where, status, rows)

    def loss(self, where: str, parameters: Any, arrays: Sequence[Array], rows: int) -> float:
        """The mean of the result over the rows; its gradient is kept for `gradients`.

        Raises:
            MemoryError: there is no room for the batch.
        """
        held = self._point_to(arrays)
        status = lib.mg_program_loss(
            self._code, parameters, self._arguments, rows, core.threads, self._loss
        )
        del held
        if status:
            _fail(where, status, rows)
        return self._loss[0]  # type: ignore[no-any-return]

    def gradients(self, to: Any, accumulate: bool) -> None:
        """Puts the last loss' gradient there, or adds it to what is there."""
        lib.mg_program_gradients(self._code, to, accumulate)


def _fail(where: str, status: int, rows: int) -> None:
    if status == lib.MG_OUT_OF_MEMORY:
        raise MemoryError(f"{where}: no memory for a batch of {rows} rows")
    raise RuntimeError(f"{where}: the C core refused its arguments (status {status})")
