"""Plans and batches as the C core holds them: the only file of this room that knows ffi and lib."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from micrograd import core
from micrograd.core import Array, ffi, lib
from micrograd.network.reverse import Op, Passes
from micrograd.network.sparse import SparseRows
from micrograd.network.storage import assign
from micrograd.parameters import Parameters

# What Network calls for every step, without a layer between: a small step is short.
address: Any = ffi.from_buffer  # of a C-contiguous array, which it keeps alive
NULL: Any = ffi.NULL
loss_rows: Any = lib.mg_plan_loss_rows
plan_backward: Any = lib.mg_plan_backward
predict_rows: Any = lib.mg_plan_predict_rows
NOT_ALIGNED: int = lib.MG_NOT_ALIGNED  # what both answer where a copy of an array is wanted


@cache
def _code(name: str) -> int:
    """The C core's number for a kind of op, a function or a loss: MG_RELU for "relu"."""
    return int(getattr(lib, f"MG_{name.upper()}"))


_STATUSES = {
    getattr(lib, f"MG_{name.upper()}"): name
    for name in (
        "out_of_memory",
        "input_not_finite",
        "label_out_of_range",
        "target_not_finite",
        "target_not_probability",
        "target_out_of_range",
        "loss_not_finite",
        "step_not_finite",
        "sparse_not_valid",
        "not_aligned",
    )
}


def status_name(status: int) -> str:
    """What a status other than MG_OK says: "input_not_finite"; "" for a bug in the caller."""
    return _STATUSES.get(status, "")


class Batch:
    """Rows, what the loss compares their outputs with, and the arrays that all of it lies in.

    x (rows, in_features), or sparse rows; labels (rows,) int64 or targets (rows, columns); weights
    (rows,) or None: plain arrays (checks.is_plain) of the network's dtype, checked. columns: of the
    targets, for labels the number of classes.
    """

    __slots__ = ("_held", "c", "columns", "labels", "rows", "targets", "weights", "x")

    def __init__(
        self,
        x: Array | SparseRows,
        columns: int,
        labels: Array | None = None,
        targets: Array | None = None,
        weights: Array | None = None,
        total_weight: float | None = None,
    ) -> None:
        self.c = c = ffi.new("mg_batch *")
        self.x, self.labels, self.targets, self.weights = x, labels, targets, weights
        self.rows, self.columns = len(x), columns
        dense = None if isinstance(x, SparseRows) else x
        arrays = (dense, labels, targets, weights)
        held = [NULL if a is None else address(a) for a in arrays]
        c.x, c.labels, c.targets, c.weights = held
        if isinstance(x, SparseRows):
            places = [address(a) for a in (x.starts, x.columns, x.values)]
            sparse = (x.starts.itemsize, *places, x.entries)
            c.sparse = entry = ffi.new("mg_sparse *", sparse)
            held += [*places, entry]
        self._held = held
        c.x_ld, c.rows, c.targets_ld = x.shape[1], self.rows, columns
        c.total_weight = self.rows if total_weight is None else total_weight


class Pace:
    """Epochs, what their losses are, and when there have been enough of them; see mg_epochs.

    The loss of an epoch is (factor * totals[0] + totals[1] / divisor + added) / rows. Training
    stops where it is above best - tol for more than `patience` epochs in a row.
    """

    __slots__ = ("_losses", "c")

    def __init__(
        self, rows: int, factor: float, divisor: float, tol: float, patience: float
    ) -> None:
        self.c = c = ffi.new("mg_epochs *")
        c.rows, c.factor, c.divisor, c.tol, c.patience = rows, factor, divisor, tol, patience
        c.best = math.inf
        self.make_room(1)

    def make_room(self, epochs: int) -> None:
        """A call to come ends so many of them at most."""
        self._losses = ffi.new("double[]", epochs)  # the struct does not keep it alive
        self.c.losses, self.c.ended = self._losses, 0

    def end(self, totals: Array) -> None:
        """An epoch that calls without a Pace have made has ended."""
        lib.mg_epochs_end(self.c, ffi.from_buffer("double[]", totals, require_writable=True))

    @property
    def done(self) -> int:
        """The rows of the epoch at hand that have been trained on."""
        return self.c.done  # type: ignore[no-any-return]

    @property
    def losses(self) -> list[float]:
        """Of the epochs that the last call has ended."""
        return ffi.unpack(self._losses, self.c.ended) if self.c.ended else []


class Plan:
    """A plan of the C core for some passes, bound to parameters: it says what it is for.

    Nothing of it changes but what a pass leaves in its workspace and `result`, so it serves one
    caller at a time. targets: the columns of the targets that its loss is for; rows: the most rows
    that its order of recomputation is for, None for any number; output: the network's output.
    """

    __slots__ = ("_held", "_like", "_seed", "c", "output", "passes", "result", "rows", "targets")

    def __init__(
        self,
        passes: Passes,
        output: int,
        parameters: Parameters,
        gradients: Any,
        *,
        seed: int,
        step: int = 0,
        targets: int = 0,
        rows: int | None = None,
        share: bool = True,
    ) -> None:
        self.passes, self.output, self.targets, self.rows = passes, output, targets, rows
        self._seed = seed % 2**64
        self.result = ffi.new("mg_result *")
        self.c, self._held = _made(passes, parameters.size, parameters.dtype, share)
        lib.mg_plan_bind(self.c, parameters.data_pointer, gradients)
        self.step = step

    @property
    def step(self) -> int:
        """Training passes so far."""
        return int(lib.mg_plan_step(self.c))

    @step.setter
    def step(self, step: int) -> None:
        lib.mg_plan_set_random(self.c, self._seed, step)

    def place(self, seed: int, first_row: int) -> None:
        """What dropout masks depend on beside the step: the seed, and the place of the first row
        in a batch of which this plan may have a part."""
        step, self._seed = self.step, seed % 2**64
        lib.mg_plan_set_random(self.c, self._seed, step)
        lib.mg_plan_set_first_row(self.c, first_row)

    def scale_dropout(self, factor: float) -> None:
        """What the rates of all dropouts are multiplied by from now on."""
        lib.mg_plan_set_dropout(self.c, factor)

    def freeze(self, like: Plan | None = None) -> Plan:
        """Predicts from now on with the parameters as they are, laid out for reading; returns self.

        like: a plan of the same network, frozen already, whose weights it shares.

        Raises:
            MemoryError: there is no memory for them.
        """
        status = lib.mg_plan_freeze(self.c, NULL if like is None else like.c)
        if status == lib.MG_OUT_OF_MEMORY:
            raise MemoryError("Network.freeze: no memory for another copy of the weights")
        assert status == lib.MG_OK
        self._like = like  # lives as long
        return self

    def workspace_bytes(self) -> int:
        """What it has allocated for its passes."""
        return int(lib.mg_plan_workspace_bytes(self.c))

    def capacity(self) -> int:
        """The rows that the workspace has room for: the largest batch so far."""
        return int(lib.mg_plan_rows(self.c))

    # ---- passes: each returns a status ----

    def check(self, batch: Batch) -> int:
        """Looks for an element that does not belong there."""
        return int(lib.mg_plan_check(self.c, batch.c, self.result))

    def forward(self, batch: Batch) -> int:
        """The ops before the loss."""
        return int(lib.mg_plan_forward(self.c, batch.c, core.threads, self.result))

    def loss(self, batch: Batch) -> int:
        """The ops before the loss, and the loss."""
        return int(lib.mg_plan_loss(self.c, batch.c, core.threads, self.result))

    def backward(self, accumulate: bool) -> int:
        """The ops behind the loss."""
        return int(plan_backward(self.c, accumulate, core.threads))

    def predict(self, x: Array | SparseRows, out: Array) -> int:
        """The output for C-contiguous rows x, or sparse ones, in blocks of rows."""
        to = address(out)
        if isinstance(x, SparseRows):
            batch = Batch(x, self.targets)
            return int(lib.mg_plan_predict(self.c, batch.c, to, core.threads, self.result))
        return int(predict_rows(self.c, address(x), len(x), to, core.threads, self.result))

    def evaluate(self, batch: Batch) -> int:
        """The mean loss and the share of right classes, in blocks of rows."""
        return int(lib.mg_plan_evaluate(self.c, batch.c, core.threads, self.result))

    def train(
        self, data: Batch, index: Array, constraints: Any, optimizer: Any | None = None
    ) -> int:
        """A step on these rows, or their part of one where there is no optimizer.

        constraints: an optim.Constraints, whose result tells of the step.
        """
        rows = ffi.from_buffer("int64_t[]", index)
        to = NULL if optimizer is None else optimizer
        return int(
            lib.mg_plan_train(
                self.c, data.c, rows, len(index), constraints.c, to, constraints.sums,
                core.threads, constraints.result,
            )
        )  # fmt: skip

    def train_batches(
        self,
        data: Batch,
        index: Array,
        batch_rows: int,
        constraints: Any,
        optimizer: Any,
        totals: Any,
    ) -> int:
        """A step on each batch of so many of these rows; totals (2,) of float64 grow."""
        sums = ffi.from_buffer("double[]", totals, require_writable=True)
        rows = ffi.from_buffer("int64_t[]", index)
        return int(
            lib.mg_plan_train_batches(
                self.c, data.c, rows, len(index), batch_rows, constraints.c, optimizer,
                core.threads, sums, constraints.result,
            )
        )  # fmt: skip

    def train_epochs(self, *call: Any) -> int:
        """train_batches, with a Pace behind its arguments."""
        training = ffi.new("mg_training *")
        held = self._fill(training, call)
        status = int(lib.mg_train_one(training, core.threads))
        del held
        return status

    @staticmethod
    def train_many(plans: list[Plan], calls: list[Any], threads: int) -> list[int]:
        """train_batches of each plan with its arguments, and a Pace or None behind them, in one
        call; the statuses."""
        trainings = ffi.new("mg_training[]", len(plans))
        held = [plan._fill(c, a) for c, plan, a in zip(trainings, plans, calls, strict=True)]
        lib.mg_train_many(len(plans), trainings, threads)
        del held
        return [int(c.status) for c in trainings]

    def _fill(self, c: Any, call: Any) -> Any:
        """Writes what train_batches takes; returns what has to live as long as the call."""
        data, index, c.batch_rows, c.optimizer, constraints, totals, pace = call
        rows = ffi.from_buffer("int64_t[]", index)
        sums = ffi.from_buffer("double[]", totals, require_writable=True)
        c.plan, c.data, c.index, c.count = self.c, data.c, rows, len(index)
        c.constraints, c.totals, c.result = constraints.c, sums, constraints.result
        c.epochs = NULL if pace is None else pace.c
        return rows, sums

    def values(
        self, buffer: int, rows: int, dtype: np.dtype[Any], out: Array | None = None
    ) -> Array:
        """A copy of what a buffer holds after a pass, (rows, columns); `out` is filled if given."""
        ld = ffi.new("int64_t *")
        pointer = lib.mg_plan_values(self.c, buffer, ld)
        columns = self.passes.buffers[buffer].columns
        size = ((rows - 1) * int(ld[0]) + columns) * dtype.itemsize
        flat: Array = np.frombuffer(ffi.buffer(pointer, size), dtype)
        step = int(ld[0]) * dtype.itemsize
        view = np.lib.stride_tricks.as_strided(flat, (rows, columns), (step, dtype.itemsize))
        copied: Array = view.copy() if out is None else out
        if out is not None:
            out[...] = view
        return copied


def _made(passes: Passes, n_parameters: int, dtype: np.dtype[Any], share: bool) -> tuple[Any, Any]:
    """The C core's plan, freed with the last reference to it, and what it reads while it lives.

    share: blocks take turns in the same storage; else each keeps what was last in it.

    Raises:
        MemoryError: there is no memory for it.
    """
    if share not in passes.encoded:
        passes.encoded[share] = _encoded(passes, share)
    ops, buffers, n_storages, held = passes.encoded[share]
    kind = core.DTYPES[dtype.name]
    plan = lib.mg_plan_new(
        core.ISA_CODE, kind, len(ops), ops, len(buffers), buffers, n_storages, n_parameters
    )
    if plan == NULL:
        raise MemoryError("Network: no memory for the plan")
    programs: list[Any] = [op.program for op in passes.ops if op.program is not None]
    # freed by C itself: an interrupt in a callback in Python is forgotten, and the plan never freed
    return ffi.gc(plan, lib.mg_plan_free), (programs, held)


def _encoded(passes: Passes, share: bool) -> Any:
    """Ops and buffers as the C core takes them, the number of storages, and what has to be kept as
    long as a plan."""
    ops = ffi.new("mg_op[]", len(passes.ops))
    held = [_fill(c, op) for c, op in zip(ops, passes.ops, strict=True)]
    places, n_storages = assign(passes, share)
    buffers = ffi.new("mg_buffer[]", len(passes.buffers))
    for c, buffer in zip(buffers, passes.buffers, strict=True):
        inside = buffer.block >= 0
        c.storage = places[buffer.block] if inside else -1
        c.width = passes.blocks[buffer.block] if inside else buffer.columns
        c.offset, c.columns = buffer.offset, buffer.columns
    return ops, buffers, n_storages, held


def _fill(c: Any, op: Op) -> Any:
    """Writes an op for the C core; returns what has to be kept as long as it."""
    c.kind, c.function, c.gate = _code(op.kind), _code(op.function), _code(op.gate)
    for name in (
        "accumulate",
        "stream",
        "weight",
        "bias",
        "slope",
        "gate_slope",
        "rate",
        "first_parameter",
        "target_columns",
        "samples",
    ):
        setattr(c, name, getattr(op, name))
    c.program = NULL if op.program is None else op.program.code
    for places, buffers in ((getattr(c, "in"), op.inputs), (c.out, op.outputs)):
        for i in range(len(places)):
            places[i] = buffers[i] if i < len(buffers) else -1
    layer = op.columnwise
    if layer is None:
        return None
    c.numbers, c.frequencies, c.width = layer.worked_on, layer.waves, layer.made
    if layer.bent_by is not None:
        c.activation, c.slope = _code(layer.bent_by.function), layer.bent_by.slope
    c.constants = constants = ffi.new("double[]", layer.constants) if layer.constants else NULL
    return constants


_KINDS = {np.dtype(name).char: code for name, code in core.DTYPES.items()}  # a name takes 2 us


def apply(function: str, z: Array) -> Array:
    """A function of the C core of a matrix (rows, columns), such as the one a loss applies."""
    out = np.empty_like(z)
    to, source = address(out), address(z)
    kind, (rows, columns) = _KINDS[z.dtype.char], z.shape
    if function == "softmax":
        lib.mg_softmax(core.ISA_CODE, kind, rows, columns, source, columns, to, columns)
    else:
        lib.mg_map(core.ISA_CODE, kind, _code(function), 0.0, z.size, source, to)
    return out
