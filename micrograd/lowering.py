"""Layers lowered to a plan: the flat list of ops and buffers that the C core runs.

A plan comes in three kinds:

    training    an activation is fused into the Linear before it; every activation is kept for the
                backward pass, gradients take turns in two storages
    explaining  nothing is fused and nothing shares storage, so that z, a and both their gradients
                can be read afterwards; the same kernels run in the same order: the same bits
    predicting  as training, but values take turns in two storages and there are no gradients
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from micrograd import core
from micrograd.core import Array, ffi, lib
from micrograd.layers import Activation, Identity, Layer, Linear, Softmax
from micrograd.losses import Loss

Purpose = Literal["training", "explaining", "predicting"]


@dataclass
class Op:
    """One op; the fields are those of mg_op in csrc/micrograd.h."""

    kind: int
    function: int
    in_: int
    out: int = -1
    pre_activation: int = -1
    input_gradient: int = lib.MG_NO_GRADIENT
    gate: int = lib.MG_IDENTITY
    gate_buffer: int = -1
    weight: int = -1
    bias: int = -1
    slope: float = 0.0
    gate_slope: float = 0.0


@dataclass
class Step:
    """One pair z^[l], a^[l] of the documents: the buffers that hold them."""

    z: int
    a: int
    linear: int | None  # index of the layer that made z


@dataclass
class Lowered:
    """Ops and buffers, ready for make_plan."""

    ops: list[Op] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)  # of each buffer
    storage: list[int] = field(default_factory=list)  # of each buffer's values
    gradient: list[int] = field(default_factory=list)  # of each buffer's gradient
    storages: list[int] = field(default_factory=list)  # columns of each
    steps: list[Step] = field(default_factory=list)
    n_parameters: int = 0


@dataclass
class _Made:
    """The activation that made the current buffer: what its gradient has to be gated by."""

    function: int = lib.MG_IDENTITY
    slope: float = 0.0
    reference: int = -1


class _Lowering:
    """Walks the layers once, appending ops."""

    def __init__(self, purpose: Purpose) -> None:
        self.purpose = purpose
        self.result = Lowered()
        self.current = -1
        self.made = _Made()
        self.has_gradient = False  # something before here has parameters

    def buffer(self, columns: int, values: bool = True, gradient: bool = True) -> int:
        """A new buffer, in storages of its own; share_storages merges them afterwards."""
        out = self.result
        for wanted, place in ((values, out.storage), (gradient, out.gradient)):
            place.append(len(out.storages) if wanted else -1)
            if wanted:
                out.storages.append(columns)
        out.columns.append(columns)
        return len(out.columns) - 1

    def append(self, op: Op) -> None:
        if self.has_gradient:
            op.input_gradient = lib.MG_WRITE_GRADIENT
            op.gate, op.gate_slope, op.gate_buffer = (
                self.made.function,
                self.made.slope,
                self.made.reference,
            )
        self.result.ops.append(op)
        if op.out >= 0:
            self.current = op.out
        self.made = _Made()

    def linear(self, layer: Linear, index: int, activation: Activation | None) -> None:
        out = self.result
        weight = out.n_parameters
        bias = weight + layer.in_features * layer.out_features
        out.n_parameters = bias + (layer.out_features if layer.bias else 0)
        target = self.buffer(layer.out_features)
        op = Op(lib.MG_LINEAR, lib.MG_IDENTITY, self.current, target, weight=weight)
        op.bias = bias if layer.bias else -1
        made = _Made()
        if activation is not None:
            op.function, op.slope = activation.function, activation.slope
            made = _Made(activation.function, activation.slope, target)
            if activation.derivative_from_input and self.purpose == "training":
                op.pre_activation = made.reference = self.buffer(layer.out_features, gradient=False)
        self.append(op)
        self.has_gradient = True
        self.made = made
        out.steps.append(Step(target, target, index))

    def elementwise(self, kind: int, function: int, slope: float = 0.0) -> None:
        out, source = self.result, self.current
        target = self.buffer(out.columns[source])
        self.append(Op(kind, function, source, target, slope=slope))
        if out.steps and out.steps[-1].a == source == out.steps[-1].z:
            out.steps[-1].a = target
        else:
            out.steps.append(Step(source, target, None))

    def run(self, layers: Sequence[Layer], in_features: int, loss: Loss | None) -> Lowered:
        self.current = self.buffer(in_features, values=False, gradient=False)
        fuses = self.purpose != "explaining"
        real = [(i, layer) for i, layer in enumerate(layers) if not isinstance(layer, Identity)]
        position = 0
        while position < len(real):
            index, layer = real[position]
            position += 1
            if isinstance(layer, Linear):
                following = real[position][1] if position < len(real) else None
                activation = following if fuses and isinstance(following, Activation) else None
                position += activation is not None
                self.linear(layer, index, activation)
            elif isinstance(layer, Activation):
                self.elementwise(lib.MG_ACTIVATE, layer.function, layer.slope)
            elif isinstance(layer, Softmax):
                self.elementwise(lib.MG_SOFTMAX, lib.MG_IDENTITY)
        if loss is not None:
            self.append(Op(lib.MG_LOSS, loss.code, self.current))
        return self.result


def _share_storages(lowered: Lowered, values: bool) -> None:
    """Lets buffers take turns: gradients always (an op reads one and writes the next), values only
    where nothing is kept for a backward pass."""
    for places in (lowered.gradient, lowered.storage) if values else (lowered.gradient,):
        used = [i for i, place in enumerate(places) if place >= 0]
        for turn in range(2):
            mine = used[turn::2]
            if not mine:
                continue
            common = places[mine[0]]
            lowered.storages[common] = max(lowered.columns[i] for i in mine)
            for i in mine[1:]:
                lowered.storages[places[i]] = 0
                places[i] = common


def lower(
    layers: Sequence[Layer], in_features: int, loss: Loss | None, purpose: Purpose
) -> Lowered:
    """The ops and buffers of these layers; see the module's docstring for `purpose`."""
    lowered = _Lowering(purpose).run(layers, in_features, None if purpose == "predicting" else loss)
    if purpose == "predicting":
        lowered.gradient = [-1] * len(lowered.gradient)
        for op in lowered.ops:
            op.input_gradient, op.gate = lib.MG_NO_GRADIENT, lib.MG_IDENTITY
    if purpose != "explaining":
        _share_storages(lowered, values=purpose == "predicting")
    return lowered


def make_plan(lowered: Lowered, dtype: str) -> Any:
    """The C core's plan, freed with the last reference to it.

    Raises:
        MemoryError: there is no memory for it.
    """
    ops = ffi.new("mg_op[]", len(lowered.ops))
    for c, op in zip(ops, lowered.ops, strict=True):
        for name, value in vars(op).items():
            setattr(c, name.rstrip("_"), value)
    buffers = ffi.new("mg_buffer[]", len(lowered.columns))
    for c, columns, storage, gradient in zip(
        buffers, lowered.columns, lowered.storage, lowered.gradient, strict=True
    ):
        c.columns, c.storage, c.gradient, c.offset = columns, storage, gradient, 0
    plan = lib.mg_plan_new(
        core.ISA_CODE,
        core.DTYPES[dtype],
        len(ops),
        ops,
        len(buffers),
        buffers,
        len(lowered.storages),
        lowered.storages,
        lowered.n_parameters,
    )
    if plan == ffi.NULL:
        raise MemoryError("Network: no memory for the plan")
    return ffi.gc(plan, lib.mg_plan_free)


def buffer_copy(
    get: Any, plan: Any, lowered: Lowered, buffer: int, rows: int, dtype: np.dtype[Any]
) -> Array:
    """What a buffer holds after a run, (rows, columns): values or gradient, as `get` says."""
    ld = ffi.new("int64_t *")
    pointer = get(plan, buffer, ld)
    size = rows * int(ld[0]) * dtype.itemsize
    whole: Array = np.frombuffer(ffi.buffer(pointer, size), dtype).reshape(rows, int(ld[0]))
    out: Array = whole[:, : lowered.columns[buffer]].copy()
    return out
