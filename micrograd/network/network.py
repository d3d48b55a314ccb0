"""Network: layers lowered to a plan of the C core; loss, backward, predict, explain."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks, core
from micrograd.checkpoint.policies import Checkpoint, find
from micrograd.core import Array
from micrograd.network import classes, losses
from micrograd.network.batch import Incoming
from micrograd.network.blocks import pack, unpack
from micrograd.network.c_plan import Batch
from micrograd.network.chain import check_chain, check_kinds
from micrograd.network.classes import Classifying
from micrograd.network.layers import Layer, Linear
from micrograd.network.moment import Moment, bring_back
from micrograd.network.plans import Planner
from micrograd.network.predictor import Predictor
from micrograd.network.trained import Trained
from micrograd.parameters import Parameters
from micrograd.trainable import Storable

if TYPE_CHECKING:
    from micrograd.engine.value import Value
    from micrograd.nn import MLP


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


class Network(Trained, Classifying, Storable):
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

    >>> net = mg.Network(mg.Linear(4, 8), mg.ReLU(), mg.Linear(8, 3), seed=0)
    >>> loss = net.loss(np.ones((2, 4)), [0, 1]); net.backward()
    """

    layers: tuple[Layer, ...] = checks.fixed("layers", "Network")
    dtype: str = checks.fixed("dtype", "Network")
    in_features: int = checks.fixed("in_features", "Network")
    out_features: int = checks.fixed("out_features", "Network")
    loss_kind: losses.Loss = checks.fixed("loss_kind", "Network")
    seed: int = checks.fixed("seed", "Network", "reseed(seed) takes another one")
    checkpoint: Checkpoint | None = checks.fixed("checkpoint", "Network")

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
        self.seed = _checked_seed(seed)
        self.checkpoint = find(checkpoint)
        self.metadata: dict[str, Any] = {}
        self._make(None)
        self.optimizer: Any = None  # of the last fit, saved along, as are the next two
        self.position: Any = None

    def _make(self, parameters: Parameters | None) -> None:
        """What computes: plans for these parameters, or for new ones."""
        planner = Planner(
            self.layers,
            self.in_features,
            self.loss_kind,
            self.dtype,
            self.seed,
            self.checkpoint,
            parameters,
        )
        self.out_features = planner.out_features
        features = self.in_features, self.out_features
        super().__init__(planner, Incoming(self.layers, features, self.loss_kind, self.dtype))

    # ---- copies and pickles: all but the pass that is under way ----

    def __getstate__(self) -> dict[str, Any]:
        with self._access.reading():
            state = self._state()
            optimizer = state["optimizer"]  # a fit that begins in another thread gives another
            if optimizer is not None:
                state["moment"] = Moment(self._parameters, optimizer)  # behind the two
            return state

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        other = object.__new__(type(self))
        memo[id(self)] = other
        with self._access.reading():
            state = copy.deepcopy(self._state(), memo)
        other.__setstate__(state)
        return other

    def _state(self) -> dict[str, Any]:
        own = {name: x for name, x in vars(self).items() if name not in self.not_copied}
        state = {name.removeprefix("fixed_"): x for name, x in own.items()}
        flat = pack(self.layers)
        return state | {"layers": flat, "parameters": self._parameters, "step": self.step}

    def __setstate__(self, state: dict[str, Any]) -> None:
        own = dict(state)
        parameters, step, moment = own.pop("parameters"), own.pop("step"), own.pop("moment", None)
        own["layers"] = unpack(own["layers"])
        del own["out_features"]  # _make finds it again
        for name, value in own.items():
            setattr(self, name, value)
        self._make(parameters)
        self.step = step
        bring_back(moment, parameters, self.optimizer)

    def __copy__(self) -> Network:
        return copy.deepcopy(self)

    def twin(self) -> Network:
        """A network of the same layers, loss, dtype and seed, whose parameters, its own, are all 0:
        where many are wanted, it is made in a fraction of the time."""
        other = object.__new__(type(self))
        own = vars(self)
        vars(other).update({name: x for name, x in own.items() if name not in self.not_copied})
        other.metadata, other.optimizer, other.position = {}, None, None
        Trained.__init__(other, self.planner.twin(), self.incoming)
        return other

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
        return list(self.planner.functions.leaves)

    def zero_grad(self) -> None:
        """Sets all gradients to zero.

        Raises:
            RuntimeError: another thread is training the network.
        """
        self._parameters.zero_grad("Network.zero_grad")

    def __repr__(self) -> str:
        layers = ", ".join(str(layer) for layer in self.layers)
        return f"Network({layers}, loss={self.loss_kind.name!r}, dtype={self.dtype!r})"

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
        return self.planner.memory(self._plan)

    # ---- what it does, for any number of threads ----

    def predict(self, X: Any) -> Array:
        """The network's output (rows, out_features): logits for cross_entropy and bce.

        Caches nothing: a loss() before it can still be gone back over, and a million rows need no
        more memory than a block of them. argmax(axis=1) gives the classes.

        Raises:
            TypeError, ValueError: input that does not fit.
        """
        return self.outputs("Network.predict", X)

    def outputs(self, where: str, X: Any) -> Array:
        """What predict gives; errors begin with `where`."""
        x = self.incoming.rows(where, X)
        out = np.empty((len(x), self.out_features), self._dtype)
        pool, access = self.planner.predicting(self.planner.functions.targets), self._access
        plan = pool.take()
        access.begin_read()
        try:
            status = plan.predict(x, out)
            if status:
                batch = Batch(x, self.out_features)
                raise self.incoming.error(where, status, plan.result, batch)
        finally:
            access.end_read()
            pool.give(plan)
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
        batch = self.batch("Network.evaluate", X, y, sample_weight)
        pool, access = self.planner.predicting(batch.columns), self._access
        plan = pool.take()
        access.begin_read()
        try:
            status = plan.evaluate(batch)
            if status:
                raise self.incoming.error("Network.evaluate", status, plan.result, batch)
            has_classes = self.loss_kind.takes_labels
            return plan.result.loss, plan.result.right if has_classes else None
        finally:
            access.end_read()
            pool.give(plan)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """How good the outputs are: for cross_entropy and bce the share of right classes, weighted;
        for others R^2, 1 - sum (y - z)^2 / sum (y - mean y)^2, averaged over the outputs.

        Args:
            X, y, sample_weight: as for loss().

        Raises:
            TypeError, ValueError: input that does not fit; all y of an output are equal; the loss
                is a function, whose outputs need not be estimates of y.
        """
        from micrograd.network.score import score

        return score(self, X, y, sample_weight)

    def freeze(self) -> Predictor:
        """The network as it is now, to predict with and nothing else: immutable, picklable, for any
        number of threads at once, and the shortest way to an output.

        Training this network on does not change it.
        """
        return Predictor(self)

    def summary(self) -> str:
        """Layers, what they take and give, and how many parameters they have: a table.

        >>> print(net.summary().splitlines()[0])
        layer                  takes  gives  parameters
        """
        from micrograd.network.tables import summary

        return summary(self)

    def explain(self, X: Any, y: Any) -> dict[str, Any]:
        """Every quantity of one pass by the documents' names; see
        micrograd.network.explain.explain.

        Printed, it is a table of their shapes and sizes.
        """
        from micrograd.network.explain import explain

        return explain(self, X, y)

    def input_gradient(self, X: Any, y: Any) -> Array:
        """How the loss of each row changes with its features, (rows, in_features); see
        micrograd.network.explain.input_gradient."""
        from micrograd.network.explain import input_gradient

        return input_gradient(self, X, y)

    # ---- training ----

    @property
    def batch_kind(self) -> Any:
        """What decides of a batch and of the errors in it: networks of a kind share checked ones.
        None for one with batches of its own."""
        if type(self.layers[0]) is not Linear or self.loss_kind.function is not None:
            return None
        shape = self.in_features, self.out_features
        return type(self), self.loss_kind.name, self.dtype, *shape

    def prepare(self, where: str, X: Any, y: Any) -> None:
        """Nothing: its parameters are known from the start."""

    def names_in(self, where: str, y: Any) -> list[str] | None:
        """The names of the classes where y has names: those that the metadata have, else those in
        y, sorted; None where y has numbers."""
        if not classes.are_names(y):
            return None
        return self.class_names or classes.distinct_names(where, y, self._n_classes(where, y))

    def numbered(self, where: str, y: Any, names: list[str] | None) -> Any:
        """y with the number of each name; y itself where it has numbers."""
        if not classes.are_names(y):
            return y
        self._n_classes(where, y)
        return classes.numbered(where, y, names)

    def keep_names(self, names: list[str]) -> None:
        """Notes the names of the classes in the metadata, where there are none yet."""
        if self.class_names is None:
            self.metadata[classes.KEY] = names

    def _n_classes(self, where: str, y: Any) -> int:
        found = classes.number_of_classes(self.loss_kind, self.out_features)
        if not found:
            raise TypeError(
                f"{where}: y is {checks.describe(np.asarray(y))}, real numbers are wanted; names "
                f"of classes are for cross_entropy, and for bce with one output: this is "
                f"{self.loss_name} with {self.out_features}"
            )
        return found

    def batch(self, where: str, X: Any, y: Any, sample_weight: Any = None) -> Batch:
        """A batch of arrays that have been checked; y may have names of classes."""
        if type(y) is not np.ndarray or y.dtype.kind not in "fiub":
            y = self.numbered(where, y, self.class_names)
        return self.incoming.batch(where, X, y, sample_weight)

    def place_not_finite(self, X: Any, y: Any) -> str:
        """Where the first value of a pass over this batch that is not finite lies, "" for none:
        "z2 (layer 1, ReLU())"."""
        from micrograd.network.explain import place_not_finite

        return place_not_finite(self, X, y)
