"""DataParallel: one model on many ranks, each of which has a part of every batch."""

from __future__ import annotations

import os
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.distributed.drift import check_drift
from micrograd.distributed.partition import Part, even_part, tree_sum
from micrograd.distributed.processors import share_processors
from micrograd.distributed.reductions import REDUCTIONS
from micrograd.distributed.shards import Shuffled
from micrograd.distributed.wire import Wire, timeout_of, world
from micrograd.optim.constraints import Constraints
from micrograd.trainable import Trainable

if TYPE_CHECKING:
    from micrograd.atomic import Own
    from micrograd.optim.optimizer import Optimizer
    from micrograd.parameters import Parameters
    from micrograd.training.history import History
    from micrograd.training.model import Model

DRIFT_STEPS = 100  # steps between two comparisons of the ranks' parameters
_BLOCK = 1024  # rows that evaluate() measures at once, whatever the number of ranks


class Weightless:
    """Rows of which each has the weight 0: they add nothing to what the other ranks have."""


class _OfNet:
    """An attribute that the model inside has, and keeps when it is set."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, model: Any, owner: type) -> Any:
        return self if model is None else getattr(model.net, self.name)

    def __set__(self, model: Any, value: Any) -> None:
        setattr(model.net, self.name, value)


class DataParallel(Trainable):
    """A model whose batches are shared out over the ranks of an MPI job.

    Every rank runs the same program and makes the same calls. Each works on its rows of a batch;
    then the gradients are added up, so that all ranks make the same step, with the gradient of the
    mean over all rows, weights included. Optimizers, clipping, fit, early stopping and saving work
    as they do for `net`; progress is shown and files are written by rank 0. Ranks on one machine
    share its processors, unless MICROGRAD_NUM_THREADS or a later set_num_threads says otherwise.

        $ mpiexec -n 4 python train.py

        net = mg.Network(mg.Linear(784, 128), mg.ReLU(), mg.Linear(128, 10), seed=0)
        model = mg.distributed.DataParallel(net)
        model.fit(X, y, epochs=5, batch_size=1024, seed=0)

    Args:
        net: a Network or Program. Rank 0's parameters, seed and count of passes are sent to all.
        comm: an mpi4py communicator; MPI.COMM_WORLD unless given.
        reduction: "sum", MPI's, in the parameters' dtype; "ordered", in float64 and in an order
            that does not depend on the number of ranks: parameters have the same bits for any; or
            "bfloat16", half the bytes, with error feedback.
        sharded: False: every rank gives fit() the same X and y, mapped from a file where they are
            large, and reads its own rows of each batch; the number of ranks does not change the
            model. True: each rank gives rows of its own, such as those of `shard`.
        timeout: seconds to wait for the other ranks, then the job is ended with a message;
            the environment's MICROGRAD_MPI_TIMEOUT, else 60.

    Raises:
        ImportError: mpi4py is not installed.
        TypeError, ValueError: an argument is of the wrong kind or unknown.

    >>> model = mg.distributed.DataParallel(net)  # doctest: +SKIP
    >>> history = model.fit(X, y, epochs=5, seed=0)  # on every rank  # doctest: +SKIP
    """

    def __init__(
        self,
        net: Any,
        comm: Any = None,
        reduction: str = "sum",
        *,
        sharded: bool = False,
        timeout: float | None = None,
    ) -> None:
        where = "DataParallel"
        if not all(hasattr(net, name) for name in ("train_step", "parameters", "evaluate")):
            raise TypeError(
                f"{where}: net is {checks.describe(net)}, a Network or Program is wanted"
            )
        if reduction not in REDUCTIONS:
            known = ", ".join(REDUCTIONS)
            raise ValueError(f"{where}: reduction is {reduction!r}, one of {known} is wanted")
        if sharded and reduction == "ordered":
            raise ValueError(
                f"{where}: sharded=True shares rows out by what the ranks have, and no order of "
                'adding up is then the same for any number of ranks; use reduction="sum", or give '
                "all ranks the same mapped arrays"
            )
        self.net: Model = net
        self.wire = Wire(world() if comm is None else comm, timeout_of(where, timeout))
        self.sharded, self.reduction = sharded, reduction
        self.wire.crowded = share_processors(self.wire.comm)
        parameters = net.parameters()
        self.wire.from_first(parameters.flat, "take rank 0's parameters")
        net.step = int(self.wire.from_first(np.array([net.step], np.int64))[0])
        if hasattr(net, "reseed"):  # a Program draws nothing
            net.reseed(self.wire.object_from_first(net.seed))
        self._reduction = REDUCTIONS[reduction](self.wire, parameters.flat_grad)
        self._own = Constraints(parameters)  # gathers a batch that loss() is given
        self._pending: Array | None = None
        if self.ranks == 1 and reduction == "sum":  # there is nothing to add up
            vars(self)["train_step"] = net.train_step
            vars(self)["train_batches"] = net.train_batches

    @property
    def rank(self) -> int:
        """Which rank this is, 0 to ranks - 1."""
        return self.wire.rank

    @property
    def ranks(self) -> int:
        """How many there are."""
        return self.wire.ranks

    def __repr__(self) -> str:
        return f"DataParallel({self.net!r}, rank {self.rank} of {self.ranks}, {self.reduction!r})"

    # ---- the model's own ----

    optimizer, position, step, metadata = _OfNet(), _OfNet(), _OfNet(), _OfNet()
    dropout_factor = _OfNet()
    train_batches = train_many = train_epochs = pace = batch_kind = None  # ranks meet after each

    def __getattr__(self, name: str) -> Any:
        if name == "net" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.net, name)

    def parameters(self) -> Parameters:
        """The model's, which are the same on all ranks."""
        return self.net.parameters()

    def names_in(self, where: str, y: Any) -> list[str] | None:
        """The names of the classes where y has names; None where it has numbers."""
        return self.net.names_in(where, y)

    def numbered(self, where: str, y: Any, names: list[str]) -> Any:
        """y with the number of each name; y itself where it has numbers."""
        return self.net.numbered(where, y, names)

    def keep_names(self, names: list[str]) -> None:
        """Notes the names of the classes."""
        self.net.keep_names(names)

    # ---- one step ----

    def checked_batch(
        self, where: str, X: Any, y: Any, sample_weight: Any = None, index: Array | None = None
    ) -> Any:
        """As the model's; all of a rank's own rows of a batch may have the weight 0."""
        own = self.sharded or index is not None  # else the rows are those of all ranks
        given = () if sample_weight is None else (sample_weight,)
        if own and given and np.shape(sample_weight) == (len(X),) and not np.any(sample_weight):
            self.net.checked_batch(where, X, y, np.ones(len(X)), index)
            return Weightless()
        return self.net.checked_batch(
            where, X, y, *given, **({} if index is None else {"index": index})
        )

    def loss(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The mean loss over all ranks' rows; X and y are the rows of this rank alone.

        Ranks may have different numbers of rows. The gradient is computed along; backward() adds
        it. With reduction="ordered" every rank but the last must have a multiple of 32 rows.

        Raises:
            TypeError, ValueError: input that does not fit, or weights of all ranks that are all 0.
        """
        rows = len(X)
        index = np.arange(rows, dtype=np.int64)
        data = self.checked_batch("DataParallel.loss", X, y, sample_weight, index)
        counts = self.wire.all(np.array([rows], np.int64))[:, 0]
        first = int(counts[: self.rank].sum())
        part = self._reduction.part(int(counts.sum()), self.rank, self.ranks)
        if self.reduction == "ordered" and (part.first, len(part)) != (first, rows):
            raise ValueError(
                f"DataParallel.loss: rank {self.rank} has rows {first} to {first + rows - 1} of "
                f"{int(counts.sum())}, and would have {part.first} to {part.last - 1} if the batch "
                "were cut by leaves of 32 rows, as reduction='ordered' wants it"
            )
        grad, before = self.parameters().flat_grad, self.parameters().flat_grad.copy()
        try:
            weight, loss = self._gathered(data, index, self._own, own=Part(first, first + rows))
        except ValueError:
            grad[...] = before
            raise
        self._pending = grad / grad.dtype.type(weight)
        grad[...] = before
        return loss / weight

    def backward(self) -> None:
        """Adds the gradient of the last loss() to the gradients.

        Raises:
            RuntimeError: there is no loss() that has not been gone back over already.
        """
        if self._pending is None:
            raise RuntimeError("DataParallel.backward: no loss() to go back from")
        self.parameters().flat_grad[...] += self._pending
        self._pending = None

    def part(self, rows: int) -> slice:
        """The rows of a batch of so many that this rank works on."""
        part = self._reduction.part(rows, self.rank, self.ranks)
        return slice(part.first, part.last)

    def train_step(
        self, data: Any, index: Array, optimizer: Optimizer, constraints: Constraints
    ) -> float:
        """One step of all ranks on the rows `index` of a batch, of which each takes its part."""
        self._compare(optimizer.steps)
        weight, loss = self._gathered(data, index, constraints)
        constraints.regather(weight, loss)
        constraints.step(optimizer, "DataParallel.fit", loss / weight)
        return loss / weight

    def accumulate_step(
        self, data: Any, index: Array, constraints: Constraints, steps: int
    ) -> float:
        """The passes of some rows of the next step; returns the mean loss so far."""
        grad = self.parameters().flat_grad
        before = grad.copy() if constraints.gathering else None
        weight, loss = constraints.gathered
        constraints.regather(0.0, 0.0)
        more, more_loss = self._gathered(data, index, constraints)
        if before is not None:
            grad += before
        constraints.regather(weight + more, loss + more_loss)
        return (loss + more_loss) / (weight + more)

    def _gathered(
        self, data: Any, index: Array, constraints: Constraints, own: Part | None = None
    ) -> tuple[float, float]:
        """Leaves the sums over all ranks' rows in the gradient; their weight and weighted loss.

        index: the rows in `data` of a whole batch, or of this rank's `own` part of it.
        """
        step, rows, skipped = self.net.step, len(index), 0
        if own is None and self.sharded:
            counts = self.wire.all(np.array([rows], np.int64))[:, 0]
            rows, skipped = int(counts.sum()), int(counts[: self.rank].sum())
            own = Part(skipped, skipped + len(index))
        elif own is not None:
            skipped = own.first
        else:
            own = self._reduction.part(rows, self.rank, self.ranks)

        def run(part: Part) -> tuple[float, float]:
            constraints.regather(0.0, 0.0)
            if isinstance(data, Weightless):
                self.parameters().flat_grad[...] = 0
                return 0.0, 0.0
            self.net.step = step  # all parts of a batch belong to one pass, as dropout sees it
            self.net.first_row = part.first
            i = index[part.first - skipped : part.last - skipped]
            try:
                self.net.accumulate_step(data, i, constraints, 0)
                if not constraints.gathered[0]:  # the C core has left things as they were
                    self.parameters().flat_grad[...] = 0
                elif constraints.unit != 1:  # ranks may have different ones
                    self.parameters().flat_grad[...] /= constraints.unit
                return constraints.gathered
            finally:
                self.net.first_row = 0
                constraints.regather(0.0, 0.0)

        totals = self._reduction.step(rows, own, run)
        self.net.step = step
        if totals[0] == 0:
            raise ValueError("DataParallel: all of sample_weight is 0, on every rank")
        self.net.step = step + 1
        return totals

    def _compare(self, steps: int) -> None:
        if steps % DRIFT_STEPS == 0:
            check_drift(self.wire, self.parameters())

    # ---- measuring ----

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> tuple[float, float | None]:
        """As the model's, of the same rows on all ranks, which share them out.

        Blocks of a fixed number of rows are added up in a fixed order: the same bits for any
        number of ranks.
        """
        rows = len(X)
        blocks = -(-rows // _BLOCK)
        mine = even_part(blocks, self.rank, self.ranks)
        found, has_classes = np.zeros((len(mine), 3)), 0.0
        for at, block in enumerate(range(mine.first, mine.last)):
            i = slice(block * _BLOCK, (block + 1) * _BLOCK)
            w = None if sample_weight is None else sample_weight[i]
            weight = float(len(X[i])) if w is None else float(np.sum(w, dtype=np.float64))
            if weight > 0:
                loss, right = self.net.evaluate(X[i], y[i], *(() if w is None else (w,)))
                found[at] = weight, weight * loss, weight * (right or 0.0)
                has_classes = float(right is not None)
        counts = np.array([len(even_part(blocks, r, self.ranks)) for r in range(self.ranks)])
        every = self.wire.all_rows(found, counts, "measure")
        classes = self.wire.all(np.array([has_classes])).max() > 0
        weight, loss, right = tree_sum([(0, i) for i in range(blocks)], list(every), np.add)
        if weight == 0:
            raise ValueError("DataParallel.evaluate: all of sample_weight is 0")
        return float(loss / weight), float(right / weight) if classes else None

    def predict(self, X: Any) -> Array:
        """The outputs for the same rows on all ranks, which share them out."""
        part = even_part(len(X), self.rank, self.ranks)
        some = X[part.first : part.last] if len(part) else X[:1]
        own: Array = self.net.predict(some)[: len(part)]  # type: ignore[attr-defined]
        counts = np.array([len(even_part(len(X), r, self.ranks)) for r in range(self.ranks)])
        return self.wire.all_rows(own, counts, "predict")

    # ---- training ----

    def fit(self, X: Any, y: Any = None, *arguments: Any, **options: Any) -> History:
        """Trains on all ranks; arguments as for the model's own fit, the same on all ranks.

        batch_size counts the rows of all ranks together. With sharded=True, X and y are the rows of
        this rank, kept where they are; validation is then a pair of arrays, the same on all ranks.
        """
        given = signature(super().fit).bind(X, y, *arguments, **options)
        given.apply_defaults()
        options = {name: value for name, value in given.arguments.items() if name not in ("X", "y")}
        seed = options["seed"]
        drawn = np.random.SeedSequence().generate_state(1)[0] if seed is None else seed
        options["seed"] = self.wire.object_from_first(drawn)
        if self.rank:
            options["progress"] = False
        if self.sharded and y is not None:
            weight = options.pop("sample_weight")
            batches = Shuffled(
                self.wire,
                (X, y, weight),
                options["batch_size"],
                options["seed"],
                options["shuffle"],
            )
            return super().fit(batches, None, **options)
        return super().fit(X, y, **options)

    def epoch_mean(self, total: float, weight: float) -> float:
        """The mean loss of an epoch, over the rows of all ranks."""
        if self.sharded:
            total, weight = self.wire.sum(np.array([total, weight]))
        return super().epoch_mean(float(total), float(weight))

    def read_progress(self, path: str | os.PathLike[str], optimizer: Any) -> Any:
        """What rank 0 finds in the file."""
        saved = self.net.read_progress(path, optimizer) if self.rank == 0 else None
        return self.wire.object_from_first(saved)

    def write_progress(self, file: Own) -> None:
        """Rank 0 writes the file, if all ranks agree on what; the others wait until it is there."""
        check_drift(self.wire, self.parameters())
        if self.rank == 0:
            self.net.write_progress(file)
        self.wire.sum(np.zeros(1), "write the model file")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Rank 0 writes the model; the others wait until it is there.

        Raises:
            DriftError: the ranks' parameters differ; and as the model's own save.
        """
        check_drift(self.wire, self.parameters())
        if self.rank == 0:
            self.net.save(path)  # type: ignore[attr-defined]
        self.wire.sum(np.zeros(1), "write the model file")
