"""Storage for the buffers of a plan: blocks that are never needed at the same time share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd import core
from micrograd.core import Array, ffi, lib
from micrograd.network.reverse import Op, Passes


@dataclass
class Life:
    """The numbers of the ops between which a block is needed, both included."""

    first: int
    last: int


def lives(passes: Passes) -> list[Life]:
    """From the first op that writes a block to the last one that touches it."""
    found: list[Life | None] = [None] * len(passes.blocks)
    for number, op in enumerate(passes.ops):
        for buffer in (*op.inputs, *op.outputs):
            block = passes.buffers[buffer].block
            if block >= 0:
                life = found[block]
                if life is None:
                    found[block] = Life(number, number)
                else:
                    life.last = number
    return [life if life is not None else Life(0, -1) for life in found]


def assign(passes: Passes, share: bool) -> tuple[list[int], int]:
    """The storage of each block, and how many storages there are.

    A block takes the narrowest free storage that is wide enough, else the widest one, which grows.
    """
    if not share:
        return list(range(len(passes.blocks))), len(passes.blocks)
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for block, life in enumerate(lives(passes)):
        starts.setdefault(life.first, []).append(block)
        ends.setdefault(life.last, []).append(block)
    places = [-1] * len(passes.blocks)
    width: list[int] = []  # of each storage
    free: list[int] = []
    for number in range(len(passes.ops)):
        for block in starts.get(number, ()):
            columns = passes.blocks[block]
            wide = [s for s in free if width[s] >= columns]
            if wide:
                place = min(wide, key=width.__getitem__)
            elif free:
                place = max(free, key=width.__getitem__)
            else:
                place = len(width)
                width.append(0)
                free.append(place)
            width[place] = max(width[place], columns)
            free.remove(place)
            places[block] = place
        free += [places[block] for block in ends.get(number, ()) if places[block] >= 0]
    return places, len(width)


def make_plan(passes: Passes, n_parameters: int, dtype: str, share: bool = True) -> Any:
    """The C core's plan, freed with the last reference to it.

    share: blocks take turns in the same storage; else each keeps what was last in it.

    Raises:
        MemoryError: there is no memory for it.
    """
    ops = ffi.new("mg_op[]", len(passes.ops))
    for c, op in zip(ops, passes.ops, strict=True):
        _fill(c, op)
    places, n_storages = assign(passes, share)
    buffers = ffi.new("mg_buffer[]", len(passes.buffers))
    for c, buffer in zip(buffers, passes.buffers, strict=True):
        inside = buffer.block >= 0
        c.storage = places[buffer.block] if inside else -1
        c.width = passes.blocks[buffer.block] if inside else buffer.columns
        c.offset, c.columns = buffer.offset, buffer.columns
    plan = lib.mg_plan_new(
        core.ISA_CODE,
        core.DTYPES[dtype],
        len(ops),
        ops,
        len(buffers),
        buffers,
        n_storages,
        n_parameters,
    )
    if plan == ffi.NULL:
        raise MemoryError("Network: no memory for the plan")
    programs = [op.program for op in passes.ops if op.program is not None]

    release = lib.mg_plan_free  # `lib` may be gone when a program ends

    def free(plan: Any, held: Any = programs) -> None:  # programs live as long as the plan
        release(plan)

    return ffi.gc(plan, free)


def _fill(c: Any, op: Op) -> None:
    c.kind, c.function, c.accumulate = op.kind, op.function, op.accumulate
    c.gate, c.stream, c.weight, c.bias = op.gate, op.stream, op.weight, op.bias
    c.slope, c.gate_slope, c.rate = op.slope, op.gate_slope, op.rate
    c.first_parameter, c.target_columns, c.samples = (
        op.first_parameter,
        op.target_columns,
        op.samples,
    )
    c.program = ffi.NULL if op.program is None else op.program.code
    for places, buffers in ((getattr(c, "in"), op.inputs), (c.out, op.outputs)):
        for i in range(len(places)):
            places[i] = buffers[i] if i < len(buffers) else -1


def buffer_copy(plan: Any, passes: Passes, buffer: int, rows: int, dtype: np.dtype[Any]) -> Array:
    """What a buffer holds after a run, (rows, columns)."""
    ld = ffi.new("int64_t *")
    pointer = lib.mg_plan_values(plan, buffer, ld)
    columns = passes.buffers[buffer].columns
    size = ((rows - 1) * int(ld[0]) + columns) * dtype.itemsize
    flat: Array = np.frombuffer(ffi.buffer(pointer, size), dtype)
    step = int(ld[0]) * dtype.itemsize
    view = np.lib.stride_tricks.as_strided(flat, (rows, columns), (step, dtype.itemsize))
    out: Array = view.copy()
    return out
