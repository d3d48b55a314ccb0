"""An assembled program as the C core holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from micrograd import core
from micrograd.core import ffi, lib
from micrograd.program.layout import Assembly


def code_of(assembly: Assembly, n_parameters: int, columns: Sequence[int], dtype: str) -> Any:
    """The C core's program (mg_program *), freed with the last reference to it.

    columns: how many numbers of one sample each argument holds.

    Raises:
        MemoryError: the core has no room for it.
    """
    source = ffi.new("mg_program_source *")
    source.n_parameters = n_parameters
    source.n_constants, source.n_uniforms = len(assembly.constants), assembly.n_uniforms
    source.n_arguments, source.n_outputs = len(columns), assembly.n_outputs
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
        raise MemoryError(f"compile: no memory for a program of {len(assembly.nodes)} ops")
    return ffi.gc(program, lib.mg_program_free)
