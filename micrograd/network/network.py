"""Network: layers lowered to a plan of the C core; loss, backward, predict, explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks, core
from micrograd.checkpoint.policies import Checkpoint, find
from micrograd.core import Array, ffi, lib
from micrograd.network import losses
from micrograd.network.batch import Incoming
from micrograd.network.layers import Layer, check_chain, check_kinds
from micrograd.network.plans import Plans
from micrograd.network.storage import buffer_copy
from micrograd.parameters import Parameters
from micrograd.trainable import Storable

if TYPE_CHECKING:
    from micrograd.engine.value import Value
    from micrograd.nn import MLP

_INT64 = np.dtype(np.int64)


def _checked_layers(layers: Sequence[Layer]) -> int:
    """Checks that the layers fit together; returns the number of input features."""
    check_kinds("Network", layers)
    features = check_chain("Network", layers)
    if features is None:
        raise ValueError("Network: no Linear layer, so it is not known how many features come in")
    return features


def _checked_seed(seed: Any) -> int:
    given = checks.seed("Network", seed)
    entropy: Any = np.random.SeedSequence().entropy
    return int(entropy) if given is None else given


class Network(Storable):
    """A multilayer perceptron whose forward and backward passes run in the C core.

    Args:
        *layers: Linear, ReLU, LeakyReLU, Sigmoid, Tanh, GELU, Softmax, Identity, Dropout, and the
            blocks Residual, Highway and DenseBlock, which nest in any way; Map for an activation of
            one's own. Values that a Map or a loss closes over and that take a gradient become
            parameters, behind the others, under their labels; their data are copied.
        loss: "cross_entropy" (on logits; integer labels or probability rows), "mse" (mean over all
            elements, so its gradient is 2 (a - y) / n; the documents' delta = a - y belongs to half
            the squared error), "bce" (on logits), "mae" or "huber"; or a function f(z, y) of Values
            for one sample, compiled: z is a list of Values, or one where there is one output, and
            y likewise, a number from y's row for each column.
        dtype: "float32" or "float64".
        seed: for the initial weights and dropout, an int; None draws one. The same seed gives the
            same weights in both dtypes.
        checkpoint: which activations are kept for the backward pass, and which are computed again:
            None keeps all; "sqrt", or a schedule of `micrograd.checkpoint`. Gradients have the same
            bits whatever it is.

    Raises:
        TypeError, ValueError: layers that do not fit together, an unknown loss, dtype or schedule.

    >>> net = Network(Linear(4, 8), ReLU(), Linear(8, 3), seed=0)
    >>> loss = net.loss(X, y); net.backward()  # doctest: +SKIP
    """

    def __init__(
        self,
        *layers: Layer,
        loss: str | Callable[[Any, Any], Any] = "cross_entropy",
        dtype: str = "float32",
        seed: int | None = None,
        checkpoint: str | Checkpoint | None = None,
    ) -> None:
        name = np.dtype(dtype).name if not isinstance(dtype, str) else dtype
        if name not in core.DTYPES:
            raise ValueError(
                f"Network: dtype is {dtype!r}, one of {', '.join(core.DTYPES)} is wanted"
            )
        self.layers = tuple(layers)
        self.dtype = name
        self.in_features = _checked_layers(self.layers)
        self.loss_kind = losses.find(loss)
        self._dtype = np.dtype(name)
        self.seed = _checked_seed(seed)
        self.checkpoint = find(checkpoint)
        self.plans = Plans(
            self.layers, self.in_features, self.loss_kind, name, self.seed, self.checkpoint
        )
        self.out_features = self.plans.out_features
        self._parameters = self.plans.parameters
        features = self.in_features, self.out_features
        self.incoming = Incoming(self.layers, features, self.loss_kind, name)
        self._adopt_plan()
        self._replans = self.plans.depends_on_rows
        self._prediction_batch = ffi.new("mg_batch *")
        self._batch = ffi.new("mg_batch *")
        self._result = ffi.new("mg_result *")
        self._held: Any = None  # the arrays that the cached forward pass points into
        self._ready = False  # there is a forward pass with loss to go back over
        # What _fill_fast has set _batch up for: rows with labels, -rows with targets.
        self._set_up = 0
        self.optimizer: Any = None  # of the last fit, saved along, as are the next two
        self.position: Any = None
        self.metadata: dict[str, Any] = {}

    # ---- the same network made of Values ----

    @classmethod
    def from_scalar(cls, mlp: MLP, loss: Any = "cross_entropy", dtype: str = "float64") -> Network:
        """A Network with the layers and weights of a `micrograd.nn.MLP`.

        In float64 it gives the MLP's outputs, loss and gradients to rounding. The weights are
        copied: training one does not change the other.

        Raises:
            TypeError: mlp is no MLP.
            ValueError: a layer has neurons with and without relu; loss or dtype is unknown.
        """
        from micrograd.network.scalar_mlp import from_scalar

        return from_scalar(mlp, loss, dtype, cls)

    def to_scalar(self) -> MLP:
        """A `micrograd.nn.MLP` with the layers and weights of this network, copied.

        Raises:
            ValueError: a layer is neither Linear, ReLU behind a Linear, nor Identity.
        """
        from micrograd.network.scalar_mlp import to_scalar

        return to_scalar(self)

    # ---- what it is ----

    @property
    def loss_name(self) -> str:
        """The name of the loss."""
        return self.loss_kind.name

    def parameters(self) -> Parameters:
        """The weights and biases: a sequence of Parameter(name, data, grad).

        Their arrays are views into `.flat` and `.flat_grad`. Names are PyTorch's for a Sequential
        of the same layers: "0.weight", "0.bias", "2.weight", ...
        """
        return self._parameters

    def leaves(self) -> list[Value]:
        """The Values that Maps and the loss close over and that take a gradient.

        They are parameters here, the last ones, in this order.
        """
        return list(self.plans.functions.leaves)

    def zero_grad(self) -> None:
        """Sets all gradients to zero."""
        self._parameters.zero_grad()

    def __repr__(self) -> str:
        layers = ", ".join(str(layer) for layer in self.layers)
        return f"Network({layers}, loss={self.loss_kind.name!r}, dtype={self.dtype!r})"

    @property
    def step(self) -> int:
        """The number of training passes so far: dropout masks depend on it and on the seed."""
        return self.plans.step

    @step.setter
    def step(self, step: int) -> None:
        self.plans.step = step

    def memory(self) -> dict[str, int]:
        """What the network takes, in bytes, for a batch as large as the largest so far.

        parameter_bytes, gradient_bytes: the flat arrays.
        activation_bytes: what is kept for the backward pass at once, at most: activations between
            layers, and what blocks keep inside. The network's input lies with the caller, and the
            activation that a layer is just working on is part of the workspace.
        workspace_bytes: the rest of what the C core has allocated: activations and gradients at
            work, minibatches, packed matrices.
        recomputed_layers: how many times the last backward pass evaluated a layer again.
        """
        return self.plans.memory()

    # ---- what comes in ----

    def fill_batch(self, batch: Any, where: str, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Points the batch at arrays that have been checked; returns what has to be kept alive."""
        held = self.incoming.fill(batch, where, X, y, sample_weight)
        if batch.targets_ld != self.plans.functions.targets:
            self.plans.retarget(batch.targets_ld)
            self._adopt_plan()
        return held

    def check_batch(self, where: str, batch: Any, index: Any = None) -> None:
        """Looks for an element that does not belong there; `index` as for checked_batch.

        Raises:
            ValueError: there is one.
        """
        status = lib.mg_plan_check(self.plans.predicting(), batch, self._result)
        if status:
            self.incoming.raise_status(where, status, self._result, batch, index)

    def _adopt_plan(self) -> None:
        """Takes over a new training plan; what the one before has cached is gone."""
        self._plan = self.plans.training
        self._targets = self.plans.functions.targets
        self._ready = False
        self._set_up = 0

    def _plan_for(self, where: str, batch: Any, rows: int) -> None:
        """A new plan where the one there is was made for fewer rows; checks the batch first."""
        if not self.plans.fits(rows):
            self.check_batch(where, batch)
            self.plans.make_for(rows)
            self._adopt_plan()

    # ---- what it does ----

    def loss(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Runs the forward pass, keeps what the backward pass needs, and returns the mean loss.

        Args:
            X: (rows, in_features), real and finite; not copied when it is a C-contiguous array of
                the network's dtype, so do not write into it before backward().
            y: for cross_entropy (rows,) integers or (rows, out_features) probabilities; for the
                other losses (rows, out_features), or (rows,) when there is one output.
            sample_weight: (rows,), 0 or more; the loss is then sum_i w_i L_i / sum_i w_i.

        Raises:
            TypeError, ValueError: input that does not fit; nothing has changed then.
        """
        batch = self._batch
        held = None
        if sample_weight is None:
            held = self._fill_fast(X, y)
        if held is None:
            self._set_up = 0
            held = self.fill_batch(batch, "Network.loss", X, y, sample_weight)
        if self._replans:
            self._plan_for("Network.loss", batch, batch.rows)
        status = lib.mg_plan_loss(self._plan, batch, core.threads, self._result)
        if status:
            self.incoming.raise_status("Network.loss", status, self._result, batch)
        self._held = held
        self._ready = True
        return self._result.loss  # type: ignore[no-any-return]

    def _fill_fast(self, X: Any, y: Any) -> Any:
        """As fill_batch for the common case, arrays that need no conversion; else None.

        A small network's step takes 3 microseconds, of which every attribute looked up here is 1 %.
        """
        try:
            rows, columns = X.shape
            labels = y.dtype is _INT64
            if X.dtype is not self._dtype or columns != self.in_features or rows == 0:
                return None
            if labels:
                if y.shape != (rows,) or not self.loss_kind.takes_labels:
                    return None
            elif y.dtype is not self._dtype or y.shape != (rows, self._targets):
                return None
            held = ffi.from_buffer(X), ffi.from_buffer(y)
        except (AttributeError, TypeError, ValueError, BufferError):
            return None  # lists, other shapes, strided arrays
        batch = self._batch
        if labels:
            batch.x, batch.labels = held
        else:
            batch.x, batch.targets = held
        set_up = rows if labels else -rows
        if set_up != self._set_up:
            self._set_up = set_up
            batch.rows = batch.total_weight = rows
            batch.x_ld, batch.weights = columns, ffi.NULL
            batch.targets_ld = self._targets
            if labels:
                batch.targets = ffi.NULL
            else:
                batch.labels = ffi.NULL
        return held

    def backward(self) -> None:
        """Adds the gradient of the last loss() to the gradients of the parameters.

        dL/dW^[l] = (1/m) delta^[l] A^[l-1].T and dL/db^[l] = (1/m) sum_i delta^[l]_i, as in the
        documents' section 4.

        Raises:
            RuntimeError: there is no loss() that has not been gone back over already.
        """
        if not self._ready:
            raise RuntimeError("Network.backward: no cached forward pass; call loss(X, y) first")
        self._ready = False
        parameters = self._parameters
        status = lib.mg_plan_backward(self._plan, not parameters.stale, core.threads)
        if status:
            self.incoming.raise_status("Network.backward", status, self._result, self._batch)
        parameters.stale = False

    def forward(self, X: Any) -> Array:
        """The network's output (rows, out_features): logits for cross_entropy and bce.

        Runs the training plan and leaves its activations in the cache. There is no loss to go back
        from; predict() is the one for inference.
        """
        batch = self._batch
        self._set_up = 0
        held, rows = self.incoming.fill_x(batch, "Network.forward", X)
        batch.labels = batch.targets = batch.weights = ffi.NULL
        batch.total_weight = rows
        if self._replans:
            self._plan_for("Network.forward", batch, rows)
        status = lib.mg_plan_forward(self._plan, batch, core.threads, self._result)
        if status:
            self.incoming.raise_status("Network.forward", status, self._result, batch)
        self._held, self._ready = held, False
        return buffer_copy(self._plan, self.plans.passes, self.plans.output, rows, self._dtype)

    def predict(self, X: Any) -> Array:
        """The network's output (rows, out_features): logits for cross_entropy and bce.

        Caches nothing: a loss() before it can still be gone back over, and a million rows need no
        more memory than a block of them. argmax(axis=1) gives the classes.

        Raises:
            TypeError, ValueError: input that does not fit.
        """
        plan, batch = self.plans.predicting(), self._prediction_batch
        _held, rows = self.incoming.fill_x(batch, "Network.predict", X)
        out = np.empty((rows, self.out_features), self._dtype)
        status = lib.mg_plan_predict(plan, batch, ffi.from_buffer(out), core.threads, self._result)
        if status:
            self.incoming.raise_status("Network.predict", status, self._result, batch)
        return out

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> tuple[float, float | None]:
        """The mean loss without dropout, and the accuracy where the targets are classes.

        Caches nothing: gradients and a loss() before it stay as they are. Runs in blocks of rows.

        Args:
            X, y, sample_weight: as for loss().

        Returns:
            The loss, and for cross_entropy the (weighted) share of rows whose largest output is the
            class in y, a label or the largest of a row of probabilities; else None.

        Raises:
            TypeError, ValueError: input that does not fit.
        """
        plan, batch = self.plans.predicting(), self._prediction_batch
        held = self.fill_batch(batch, "Network.evaluate", X, y, sample_weight)
        status = lib.mg_plan_evaluate(plan, batch, core.threads, self._result)
        if status:
            self.incoming.raise_status("Network.evaluate", status, self._result, batch)
        del held
        has_classes = self.loss_kind.takes_labels
        return self._result.loss, self._result.right if has_classes else None

    def explain(self, X: Any, y: Any) -> dict[str, Any]:
        """Every quantity of one pass by the documents' names; see micrograd.explain.explain."""
        from micrograd.network.explain import explain

        return explain(self, X, y)

    # ---- training ----

    def checked_batch(
        self, where: str, X: Any, y: Any, sample_weight: Any = None, index: Any = None
    ) -> tuple[Any, Any]:
        """A data set that train_step takes rows from, checked once, and what has to be kept alive.

        `index`: what the rows are called in messages, where they have been gathered.

        Raises:
            TypeError, ValueError: data that do not fit.
        """
        batch = ffi.new("mg_batch *")
        held = self.fill_batch(batch, where, X, y, sample_weight)
        self.check_batch(where, batch, index)
        return batch, held

    def train_step(self, data: Any, index: Array, optimizer: Any, constraints: Any) -> float:
        """One step on the rows `index` (int64) of a checked data set, in one call of the C core:
        forward, backward, penalties, clipping, update. Returns the mean loss before it; the penalty
        and the gradient's norm are in `constraints`. Rows of accumulate_step count as well.

        Raises:
            FloatingPointError: the loss or the update is not finite; the weights are those before.
        """
        return self._train(data, index, optimizer.arguments(), constraints, optimizer.steps)

    def accumulate_step(self, data: Any, index: Array, constraints: Any, steps: int) -> float:
        """The forward and backward pass of some rows of the next train_step (number `steps`), which
        makes its update from the mean over all of them. Returns the mean loss so far.

        Raises:
            FloatingPointError: the loss is not finite; all these rows are forgotten.
        """
        return self._train(data, index, ffi.NULL, constraints, steps)

    def _train(
        self, data: Any, index: Array, optimizer: Any, constraints: Any, steps: int
    ) -> float:
        self._ready = False
        if self._replans:
            self._plan_for("Network.fit", data, len(index))
        status = lib.mg_plan_train(
            self._plan,
            data,
            ffi.from_buffer("int64_t[]", index),
            len(index),
            constraints.c,
            optimizer,
            constraints.sums,
            core.threads,
            constraints.result,
        )
        return self._trained(status, data, constraints, steps)

    def train_batches(
        self,
        data: Any,
        index: Array,
        batch_rows: int,
        optimizer: Any,
        constraints: Any,
        totals: Any,
    ) -> float:
        """As train_step for each batch of `batch_rows` of these rows, in one call of the C core.

        The penalties l1 and l2 are divided by the weight of each batch; those of weight 0 are left
        out. `totals`, a C array of two doubles, grows by rows * loss and rows * penalty of each.
        Returns the loss of the last.

        Raises:
            FloatingPointError: the loss or an update is not finite; the weights are those before.
        """
        self._ready = False
        if self._replans:
            self._plan_for("Network.fit", data, batch_rows)
        status = lib.mg_plan_train_batches(
            self._plan,
            data,
            ffi.from_buffer("int64_t[]", index),
            len(index),
            batch_rows,
            constraints.c,
            optimizer.arguments(),
            core.threads,
            totals,
            constraints.result,
        )
        return self._trained(status, data, constraints, optimizer.steps)

    def _trained(self, status: int, data: Any, constraints: Any, steps: int) -> float:
        if status != lib.MG_LOSS_NOT_FINITE:
            self._parameters.stale = False
        if status in (lib.MG_LOSS_NOT_FINITE, lib.MG_STEP_NOT_FINITE):
            constraints.raise_status("Network.fit", status, self._parameters, steps)
        if status:
            self.incoming.raise_status("Network.fit", status, constraints.result, data)
        return float(constraints.loss)

    def prepare(self, where: str, X: Any, y: Any) -> None:
        """Nothing: its parameters are known from the start."""

    def place_not_finite(self, X: Any, y: Any) -> str:
        """Where the first value of a pass over this batch that is not finite lies, "" for none:
        "z2 (layer 1, ReLU())"."""
        from micrograd.network.explain import place_not_finite

        return place_not_finite(self, X, y)
