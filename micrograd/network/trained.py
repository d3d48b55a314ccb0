"""What changes a network or belongs to one pass of it: loss, backward, forward, steps of fit."""

from __future__ import annotations

import math
from threading import get_ident
from typing import Any

import numpy as np

from micrograd import checks, core
from micrograd.core import Array
from micrograd.network.batch import Incoming
from micrograd.network.c_plan import (
    NOT_ALIGNED,
    NULL,
    Batch,
    Pace,
    Plan,
    address,
    loss_rows,
    plan_backward,
    status_name,
)
from micrograd.network.losses import Loss
from micrograd.network.plans import Planner
from micrograd.parameters import Parameters

_ARRAY = np.ndarray
_INT64 = np.dtype(np.int64)


class Trained:
    """The training of a network: one plan, one pass at a time, by one thread at a time.

    `optimizer` and `constraints` are those of micrograd.optim, which is a room above this one.

    A call that raises leaves the pass before it as it was: what it needs is made first, and taken
    over when the C core has said that all is well.
    """

    in_features: int
    loss_kind: Loss
    seed: int
    fixed_seed: int  # where that lies
    not_copied = (  # by a copy or a pickle of a network, which makes its own
        "planner", "incoming", "_parameters", "_access", "_dtype", "_features", "_takes_labels",
        "_replans", "_plan", "_step", "_first_row", "_dropout_factor", "_pending",
        "_pending_thread",
    )  # fmt: skip

    def __init__(self, planner: Planner, incoming: Incoming) -> None:
        self.planner, self.incoming = planner, incoming
        self._parameters: Parameters = planner.parameters
        self._access = planner.parameters.access
        self._dtype = planner.parameters.dtype
        self._features, self._takes_labels = incoming.in_features, incoming.takes_labels
        self._replans = planner.depends_on_rows
        self._plan: Plan | None = None
        if not self._replans:
            self._plan = planner.training(planner.functions.targets, 1, 0)
        self._step = 0  # as long as there is no plan
        self._first_row = 0
        self._dropout_factor = 1.0
        # The pass that backward() goes back over: the arrays that it points into, and whose it is.
        self._pending: Any = None
        self._pending_thread = 0

    def batch(self, where: str, X: Any, y: Any, sample_weight: Any = None) -> Batch:
        """A batch of arrays that have been checked."""
        raise NotImplementedError

    @property
    def step(self) -> int:
        """The number of training passes so far: dropout masks depend on it and on the seed."""
        return self._step if self._plan is None else self._plan.step

    @step.setter
    def step(self, step: int) -> None:
        step = checks.count("Network", "step", step, 0)
        with self._access.training("Network.step"):
            self._step = step
            if self._plan is not None:
                self._plan.step = step

    @property
    def first_row(self) -> int:
        """The place of the first row in a batch that is shared out over processes, else 0: dropout
        masks depend on it."""
        return self._first_row

    @first_row.setter
    def first_row(self, row: int) -> None:
        with self._access.training("Network.first_row"):
            self._first_row = row
            if self._plan is not None:
                self._plan.place(self.seed, row)

    @property
    def dropout_factor(self) -> Any:
        """What the rates of Dropout layers are multiplied by in training passes to come, 0 to 1: 1
        at first, and of a copy."""
        return self._dropout_factor

    @dropout_factor.setter
    def dropout_factor(self, factor: Any) -> None:
        factor = checks.number("Network", "dropout_factor", factor, 0, most=1)
        with self._access.training("Network.dropout_factor"):
            self._dropout_factor = factor
            if self._plan is not None:
                self._plan.scale_dropout(factor)

    def reseed(self, seed: int) -> None:
        """Takes another seed for the dropout masks to come; parameters stay.

        Raises:
            TypeError, ValueError: seed is no integer of 0 or more.
            RuntimeError: another thread is training the network, as of `step` and `dropout_factor`.
        """
        given = checks.seed("Network.reseed", seed)
        if given is None:
            raise TypeError("Network.reseed: seed is None, an integer, 0 or more, is wanted")
        with self._access.training("Network.reseed"):
            self.fixed_seed = given
            self.planner.reseed(given)
            if self._plan is not None:
                self._plan.place(given, self._first_row)

    def _plan_for(self, targets: int | None, rows: int) -> Plan:
        """The training plan for such targets (None: any) and so many rows, a new one where the one
        there is will not do; whoever has run it takes it over."""
        plan = self._plan
        if plan is not None and (targets is None or targets == plan.targets):
            if plan.rows is None or rows <= plan.rows:
                return plan
            rows = max(rows, plan.rows)
        if targets is None:
            targets = self.planner.functions.targets if plan is None else plan.targets
        plan = self.planner.training(targets, rows, self.step)
        plan.place(self.seed, self._first_row)
        plan.scale_dropout(self._dropout_factor)
        return plan

    # ---- passes ----

    def loss(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Runs the forward pass, keeps what the backward pass needs, and returns the mean loss.

        Args:
            X: (rows, in_features), real and finite, or a sparse matrix of scipy's, which is not
                made dense where the first layer is a Linear; not copied when it is a C-contiguous
                array of the network's dtype, so do not write into it before backward().
            y: for cross_entropy (rows,) integers or (rows, out_features) probabilities; for the
                other losses (rows, out_features), or (rows,) when there is one output; for bce each
                is 0 to 1.
            sample_weight: (rows,), 0 or more; the loss is then sum_i w_i L_i / sum_i w_i.

        Raises:
            TypeError, ValueError: input that does not fit; nothing has changed then.
            MemoryError: there is no memory for so many rows; nothing has changed then.
            RuntimeError: another thread is training the network.
        """
        access, thread = self._access, get_ident()
        free = access.free
        try:  # access.enter and leave, written out: each call is 1 % of a small step
            if access.owner is None:
                free.pop()
            else:
                access.enter("Network.loss")
        except IndexError:
            access.contend("Network.loss")
        try:
            access.holder = thread
            plan = self._plan
            if sample_weight is None and plan is not None and not self._replans:
                held = self._plain(X, y, plan.targets)
                if held is not None:
                    rows, x, labels, targets = held
                    loss = loss_rows(plan.c, x, rows, labels, targets, core.threads, plan.result)
                    if loss == loss or not (status := plan.result.status):
                        self._pending, self._pending_thread = held, thread
                        return loss  # type: ignore[no-any-return]
                    if status != NOT_ALIGNED:
                        batch = self.batch("Network.loss", X, y)
                        raise self.incoming.error("Network.loss", status, plan.result, batch)
            batch = self.batch("Network.loss", X, y, sample_weight)
            plan = self._plan_for(batch.columns, batch.rows)
            status = plan.loss(batch)
            if status:
                raise self.incoming.error("Network.loss", status, plan.result, batch)
            loss = float(plan.result.loss)
            self._plan, self._pending, self._pending_thread = plan, batch, thread
            return loss
        finally:
            if access.owner is None:
                access.holder = None
                if not free:
                    free.append(None)

    def _plain(self, X: Any, y: Any, targets: int) -> Any:
        """Rows, and the addresses of X, and of y as labels or as targets, for arrays that need no
        conversion; None for others, and for subclasses: a mask would be forgotten.

        A small network's step takes 4 microseconds, of which every attribute looked up here is 1 %.
        """
        if type(X) is not _ARRAY or type(y) is not _ARRAY:
            return None
        try:
            rows, columns = X.shape
            if X.dtype is not self._dtype or columns != self._features or rows == 0:
                return None
            if y.dtype is _INT64:
                if y.shape != (rows,) or not self._takes_labels:
                    return None
                return rows, address(X), address(y), NULL
            if y.dtype is not self._dtype or y.shape != (rows, targets):
                return None
            return rows, address(X), NULL, address(y)
        except (TypeError, ValueError, BufferError):
            return None  # other shapes, strided arrays

    def backward(self) -> None:
        """Adds the gradient of the last loss() to the gradients of the parameters.

        dL/dW^[l] = (1/m) delta^[l] A^[l-1].T and dL/db^[l] = (1/m) sum_i delta^[l]_i, as in the
        documents' section 4.

        Raises:
            RuntimeError: there is no loss() that has not been gone back over already, or it was
                another thread's, or another thread is training the network.
        """
        access, thread = self._access, get_ident()
        free = access.free
        try:
            if access.owner is None:
                free.pop()
            else:
                access.enter("Network.backward")
        except IndexError:
            access.contend("Network.backward")
        try:
            access.holder = thread
            plan = self._plan
            if self._pending is None or plan is None:
                raise RuntimeError(
                    "Network.backward: no cached forward pass; call loss(X, y) first"
                )
            if self._pending_thread != thread:
                raise RuntimeError(
                    "Network.backward: the last loss() was another thread's; loss() and backward() "
                    "of one step belong to one thread"
                )
            parameters = self._parameters
            status = plan_backward(plan.c, not parameters.stale, core.threads)
            if status:
                raise RuntimeError(f"Network.backward: the C core refused it (status {status})")
            parameters.stale = False
            self._pending = None
        finally:
            if access.owner is None:
                access.holder = None
                if not free:
                    free.append(None)

    def forward(self, X: Any) -> Array:
        """The network's output (rows, out_features): logits for cross_entropy and bce.

        Runs the training plan and leaves its activations in the cache. There is no loss to go back
        from; predict() is the one for inference.

        Raises:
            TypeError, ValueError, MemoryError, RuntimeError: as loss().
        """
        where = "Network.forward"
        batch = Batch(self.incoming.rows(where, X), self.planner.out_features)
        with self._access.training(where):
            plan = self._plan_for(None, batch.rows)
            out = np.empty((batch.rows, self.planner.out_features), self._dtype)
            status = plan.forward(batch)
            if status:
                raise self.incoming.error(where, status, plan.result, batch)
            self._plan, self._pending = plan, None
            return plan.values(plan.output, batch.rows, self._dtype, out)

    # ---- the steps of fit ----

    def checked_batch(
        self, where: str, X: Any, y: Any, sample_weight: Any = None, index: Array | None = None
    ) -> Batch:
        """A data set that train_step takes rows from, checked once; it owns its arrays.

        `index`: what the rows are called in messages, where they have been gathered.

        Raises:
            TypeError, ValueError: data that do not fit.
        """
        batch = self.batch(where, X, y, sample_weight)
        pool = self.planner.predicting(batch.columns)
        plan = pool.take()
        try:
            status = plan.check(batch)
            if status:
                raise self.incoming.error(where, status, plan.result, batch, index)
        finally:
            pool.give(plan)
        return batch

    def train_step(self, data: Batch, index: Array, optimizer: Any, constraints: Any) -> float:
        """One step on the rows `index` (int64) of a checked data set, in one call of the C core:
        forward, backward, penalties, clipping, update. Returns the mean loss before it; the penalty
        and the gradient's norm are in `constraints`. Rows of accumulate_step count as well.

        Raises:
            FloatingPointError: the loss or the update is not finite; the weights are those before.
            RuntimeError: another thread is training the network.
        """
        plan = self._begin(data, len(index))
        try:
            status = plan.train(data, index, constraints, optimizer.arguments())
            return self._trained(plan, status, data, constraints, optimizer.steps)
        finally:
            self._access.end_write()

    def accumulate_step(self, data: Batch, index: Array, constraints: Any, steps: int) -> float:
        """The forward and backward pass of some rows of the next train_step (number `steps`), which
        makes its update from the mean over all of them. Returns the mean loss so far.

        Raises:
            FloatingPointError: the loss is not finite; all these rows are forgotten.
            RuntimeError: another thread is training the network.
        """
        plan = self._begin(data, len(index))
        try:
            status = plan.train(data, index, constraints)
            return self._trained(plan, status, data, constraints, steps)
        finally:
            self._access.end_write()

    def train_batches(
        self,
        data: Batch,
        index: Array,
        batch_rows: int,
        optimizer: Any,
        constraints: Any,
        totals: Any,
    ) -> float:
        """As train_step for each batch of `batch_rows` of these rows, in one call of the C core.

        The penalties l1 and l2 are divided by the weight of each batch; those of weight 0 are left
        out. `totals`, float64 (2,), grows by rows * loss and rows * penalty of each.
        Returns the loss of the last.

        Raises:
            FloatingPointError: the loss or an update is not finite; the weights are those before.
            RuntimeError: another thread is training the network.
        """
        plan = self._begin(data, batch_rows)
        try:
            arguments = optimizer.arguments()
            status = plan.train_batches(data, index, batch_rows, constraints, arguments, totals)
            return self._trained(plan, status, data, constraints, optimizer.steps)
        finally:
            self._access.end_write()

    def train_epochs(
        self,
        data: Batch,
        index: Array,
        batch_rows: int,
        optimizer: Any,
        constraints: Any,
        totals: Array,
        pace: Pace,
    ) -> None:
        """As train_batches, epoch after epoch: a batch ends where an epoch does, and `totals` begin
        anew. `pace` says when, gives the loss of each, and stops early.

        Raises:
            FloatingPointError, RuntimeError: as train_batches.
        """
        plan = self._begin(data, batch_rows)
        try:
            arguments = optimizer.arguments()
            status = plan.train_epochs(
                data, index, batch_rows, arguments, constraints, totals, pace
            )
            self._trained(plan, status, data, constraints, optimizer.steps)
        finally:
            self._access.end_write()

    @staticmethod
    def pace(rows: int, epochs: int) -> Pace:
        """For train_many: up to so many epochs of so many rows, whose mean losses it will have."""
        pace = Pace(rows, 1.0, 1.0, 0.0, math.inf)
        pace.make_room(epochs)
        return pace

    @staticmethod
    def train_many(calls: list[Any], threads: int) -> list[BaseException | None]:
        """train_batches of several networks in one call of the C core, shared out over threads;
        small equal networks run side by side in the lanes of vectors. All end with the same bits.

        calls: (network, data, index, batch_rows, optimizer, constraints, totals, pace) of each, as
        for train_epochs, or with None for a pace as for train_batches; the networks are different
        ones.
        Returns what train_batches would have raised, for each; None where all is well.

        Raises:
            RuntimeError: another thread is training one of them; none has been trained.
        """
        plans: list[Plan] = []
        try:
            for net, data, _, rows, *_ in calls:
                plans.append(net._begin(data, rows))
            arguments = [(*call[1:4], call[4].arguments(), *call[5:]) for call in calls]
            statuses = Plan.train_many(plans, arguments, threads)
            found: list[BaseException | None] = []
            for plan, call, status in zip(plans, calls, statuses, strict=True):
                net, data, _, _, optimizer, constraints, *_ = call
                try:
                    net._trained(plan, status, data, constraints, optimizer.steps)
                    found.append(None)
                except Exception as error:
                    found.append(error)
            return found
        finally:
            for call, _ in zip(calls, plans, strict=False):
                call[0]._access.end_write()

    def _begin(self, data: Batch, rows: int) -> Plan:
        """Claims the network for a step, and returns its plan; `end_write` has to follow."""
        self._access.begin_write("Network.fit")
        try:
            plan = self._plan_for(data.columns, rows)
        except BaseException:
            self._access.end_write()
            raise
        self._plan, self._pending = plan, None
        return plan

    def _trained(self, plan: Plan, status: int, data: Batch, constraints: Any, steps: int) -> float:
        failure = status_name(status) if status else ""
        if failure != "loss_not_finite":
            self._parameters.stale = False
        if failure in ("loss_not_finite", "step_not_finite"):
            constraints.raise_status("Network.fit", status, self._parameters, steps)
        if status:
            raise self.incoming.error("Network.fit", status, constraints.result, data)
        return float(constraints.loss)
