"""The network of an estimator, with its parameters and its loss in scikit-learn's terms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd.core import Array
from micrograd.network.blocks import Residual
from micrograd.network.layers import Dropout, Layer, Linear
from micrograd.network.loss_functions import Poisson
from micrograd.network.network import Network
from micrograd.sklearn.parameters import ACTIVATIONS
from micrograd.sklearn.still import Weights
from micrograd.tabular.plain import plain_schema


@dataclass(frozen=True)
class Output:
    """What an out_activation_ of scikit-learn is here.

    loss: of the Network. scikit-learn's loss is `loss_factor` times that, and our gradient is
    `scale` times the one that scikit-learn steps along; both may depend on the number of outputs k.
    It takes sums over the outputs of classifiers; of squares it reports half the mean, but steps
    along the gradient of half the sum.
    """

    loss: str | Callable[[Any, Any], Any]
    loss_factor: tuple[float, int] = (1, 0)  # a * k**b
    scale: tuple[float, int] = (1, 0)


OUTPUTS = {
    "softmax": Output("cross_entropy"),
    "logistic": Output("bce", (1, 1), (1, -1)),
    "identity": Output("mse", (0.5, 0), (2, -1)),
    "exp": Output(Poisson(), (1, 1), (1, -1)),
}


@dataclass(frozen=True)
class Architecture:
    """What a network of an estimator is made from.

    sizes: units of all layers, input and output included; activations, dropout: one for each hidden
    layer; output: the out_activation_; dtype: "float32" or "float64".
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    dropout: tuple[float, ...]
    residual: bool
    output: str
    dtype: str

    def layers(self) -> tuple[list[Layer], list[str]]:
        """The layers of the Network, and the path of each Linear."""
        layers: list[Layer] = []
        paths: list[str] = []
        hidden = zip(self.activations, self.dropout, strict=True)
        for i, (name, rate) in enumerate(hidden):
            linear = Linear(self.sizes[i], self.sizes[i + 1])
            activation = ACTIVATIONS[name]
            group: list[Layer] = [linear] if activation is None else [linear, activation()]
            if rate:
                group.append(Dropout(rate))
            if self.residual and i > 0:
                paths.append(f"{len(layers)}.0")
                layers.append(Residual(*group, projection=self.sizes[i] != self.sizes[i + 1]))
            else:
                paths.append(str(len(layers)))
                layers += group
        paths.append(str(len(layers)))
        layers.append(Linear(self.sizes[-2], self.sizes[-1]))
        return layers, paths


class Model:
    """A Network as the estimators use it; it can be pickled.

    Attributes:
        net: the Network.
        coefs, intercepts: views of its weights, (in, out) as scikit-learn has them, and biases.
        projections: for each Linear the view (in, out) of the projection around it, or None.
        scale, loss_factor: see Output, for this number of outputs.
        weights: what predicts; it has to know when the weights change.
    """

    def __init__(self, architecture: Architecture, seed: int, like: Model | None = None) -> None:
        """like: one of this architecture and this seed, which makes it faster; all parameters are 0
        then."""
        self.architecture = architecture
        output = OUTPUTS[architecture.output]
        if like is None:
            layers, self._paths = architecture.layers()
            self.net = Network(*layers, loss=output.loss, dtype=architecture.dtype, seed=seed)
        else:
            self._paths, self.net = like._paths, like.net.twin()
        paths = self._paths
        parameters = {p.name: p.data for p in self.net.parameters()}
        self.coefs = [parameters[f"{path}.weight"].T for path in paths]
        self.intercepts = [parameters[f"{path}.bias"] for path in paths]
        around = (parameters.get(f"{path.split('.')[0]}.projection.weight") for path in paths)
        self.projections = [None if p is None else p.T for p in around]
        outputs = architecture.sizes[-1]
        self.loss_factor = output.loss_factor[0] * outputs ** output.loss_factor[1]
        self.scale = output.scale[0] * float(outputs) ** output.scale[1]
        self.weights = Weights(self.net)

    def draw(self, rng: np.random.RandomState, factors: list[float]) -> None:
        """First values of all parameters, uniform within +-sqrt(factor / (fan_in + fan_out)).

        They are scikit-learn's for the same random state (Glorot and Bengio 2010, eq. 16). Where
        Residuals follow one another, their weights are divided by the root of their number, which
        keeps the sum from growing with depth.
        """
        blocks = sum(isinstance(layer, Residual) for layer in self.net.layers)
        residual = self.architecture.residual
        for i, (coef, intercept) in enumerate(zip(self.coefs, self.intercepts, strict=True)):
            bound = math.sqrt(factors[i] / sum(coef.shape))
            coef[...] = rng.uniform(-bound, bound, coef.shape)
            intercept[...] = rng.uniform(-bound, bound, len(intercept))
            if residual and 0 < i < len(self.coefs) - 1:
                coef /= math.sqrt(blocks)
        for projection in self.projections:
            if projection is not None:
                bound = math.sqrt(6 / sum(projection.shape))
                projection[...] = rng.uniform(-bound, bound, projection.shape)

    def adopt(self, coefs: list[Array], intercepts: list[Array]) -> None:
        """Copies arrays that somebody has put in the place of the views.

        Raises:
            ValueError: their shapes are not those of the network.
        """
        mine, theirs = self.coefs + self.intercepts, [*coefs, *intercepts]
        if [m.shape for m in mine] != [np.shape(t) for t in theirs]:
            raise ValueError(
                f"coefs_ and intercepts_ have shapes {[np.shape(t) for t in theirs]}, the network "
                f"has {[m.shape for m in mine]}"
            )
        for m, t in zip(mine, theirs, strict=True):
            if m is not t:
                m[...] = t

    def logits(self, X: Any) -> Array:
        """The network's output for dense or sparse rows, (rows, outputs), before out_activation_.

        May be called from several threads.
        """
        return self.weights.predict(X)

    def penalised(self) -> Array:
        """Which of the flat parameters are weights, and not biases."""
        return np.concatenate(
            [np.full(p.data.size, p.data.ndim == 2) for p in self.net.parameters()]
        )

    def snapshot(self) -> tuple[int, Array]:
        """What training changes, for `restore`."""
        return self.net.step, self.net.parameters().flat.copy()

    def restore(self, snapshot: tuple[int, Array]) -> None:
        """Goes back to a snapshot."""
        self.net.step, self.net.parameters().flat[...] = snapshot

    def __getstate__(self) -> dict[str, Any]:
        net = self.net
        return {
            "architecture": self.architecture,
            "seed": net.seed,
            "step": net.step,
            "flat": net.parameters().flat.copy(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Model.__init__(self, state["architecture"], state["seed"])
        self.net.step = state["step"]
        self.net.parameters().flat[...] = state["flat"]


def schema_of(net: Network, features: Any, classes: list[str]) -> dict[str, Any]:
    """For a network's metadata: the names of the columns of X, or None, and of the classes."""
    names = net.in_features if features is None else [str(name) for name in features]
    single = bool(classes) or net.out_features == 1
    targets = ["y"] if single else [f"y{i}" for i in range(net.out_features)]
    return plain_schema(names, targets, classes).to_dict()
