"""What conversions take beside a Network, and what a model's inputs and outputs are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.network.layers import Layer, Linear, Map, ReLU, Sigmoid, Tanh
from micrograd.network.losses import softmax
from micrograd.network.network import Network
from micrograd.tabular.plain import plain_schema

if TYPE_CHECKING:
    from micrograd.tabular.schema import Schema


ACTIVATIONS: dict[str, type[Layer] | None] = {
    "identity": None,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
}
LOSSES = {"softmax": "cross_entropy", "logistic": "bce", "identity": "mse"}  # of out_activation_


def network_of(where: str, model: object) -> Network:
    """The Network of a model: itself, or that of a fitted estimator.

    Raises:
        TypeError: it is none of what conversions take; says what to pass.
        ValueError: an estimator that is not fitted.
    """
    if isinstance(model, Network):
        return model
    if is_estimator(model):
        return network_of_estimator(where, model)
    hint = ""
    if isinstance(getattr(model, "network_", None), Network):
        hint = "; pass its network_, which takes the numbers that its schema_ makes"
    raise TypeError(
        f"{where}: {checks.describe(model)} is no Network, no MLPClassifier or MLPRegressor and no "
        f"Pipeline of scalers and one of them{hint}"
    )


def scaled_network(where: str, model: Any) -> tuple[Network, Schema | None]:
    """The Network of a model, and how rows are scaled before it; None where they are not.

    Raises:
        TypeError, ValueError: as network_of; a step of a Pipeline that is no scaler.
    """
    steps = getattr(model, "steps", None)
    if not isinstance(steps, list) or not type(model).__module__.startswith("sklearn.pipeline"):
        return network_of(where, model), None
    net = network_of(where, steps[-1][1])
    slope, shift = np.ones(net.in_features), np.zeros(net.in_features)  # slope * x + shift
    for name, step in steps[:-1]:
        if step is None or step == "passthrough":
            continue
        if type(step).__name__ not in SCALERS or getattr(step, "clip", False):
            raise TypeError(
                f"{where}: step {name!r} of the Pipeline, {checks.describe(step)}, is none of "
                f"{', '.join(SCALERS)}; transform the rows yourself, and pass pipeline[-1]"
            )
        if getattr(step, "n_features_in_", None) != net.in_features:
            raise ValueError(f"{where}: step {name!r} of the Pipeline is not fitted to its rows")
        a, b = SCALERS[type(step).__name__](step)
        slope, shift = slope * a, shift * a + b
    centre = np.divide(-shift, slope, out=np.zeros_like(shift), where=slope != 0)
    names = getattr(steps[0][1], "feature_names_in_", getattr(model[-1], "feature_names_in_", None))
    features = net.in_features if names is None else [str(name) for name in names]
    classes = class_names(net)
    outputs = 1 if classes else net.out_features
    targets = ["y"] if outputs == 1 else [f"y{i}" for i in range(outputs)]
    return net, plain_schema(features, targets, classes, centre.tolist(), slope.tolist())


def _standard(step: Any) -> tuple[Any, Any]:
    scale = 1.0 if step.scale_ is None else step.scale_
    return 1 / scale, 0.0 if step.mean_ is None else -step.mean_ / scale


def _robust(step: Any) -> tuple[Any, Any]:
    scale = 1.0 if step.scale_ is None else step.scale_
    return 1 / scale, 0.0 if step.center_ is None else -step.center_ / scale


SCALERS: dict[str, Callable[[Any], tuple[Any, Any]]] = {  # to slope and shift
    "StandardScaler": _standard,
    "MinMaxScaler": lambda step: (step.scale_, step.min_),
    "MaxAbsScaler": lambda step: (1 / step.scale_, 0.0),
    "RobustScaler": _robust,
}


def is_estimator(model: object) -> bool:
    """Whether it is an MLP of micrograd.sklearn or of scikit-learn."""
    return any(
        kind.__module__.startswith(("micrograd.sklearn.", "sklearn.neural_network."))
        and kind.__name__ in ("MLPClassifier", "MLPRegressor")
        for kind in type(model).__mro__
    )


def network_of_estimator(where: str, model: Any) -> Network:
    """The Network of an estimator: what it gives are logits, or what predict says of quantities."""
    name = type(model).__name__
    if not hasattr(model, "coefs_"):
        raise ValueError(f"{where}: this {name} is not fitted; call fit first")
    net = getattr(model, "network_", None)
    if not isinstance(net, Network):
        return _network_of_coefs(where, model)
    if model.out_activation_ != "exp":
        return net
    counts = Network(*net.layers, Map(_exp), loss="mse", dtype=net.dtype, seed=0)
    counts.parameters().flat[...] = net.parameters().flat
    counts.metadata = net.metadata
    return counts


def _network_of_coefs(where: str, mlp: Any) -> Network:
    """A Network with the weights of an MLP of scikit-learn's."""
    if mlp.out_activation_ not in LOSSES or mlp.activation not in ACTIVATIONS:
        raise ValueError(
            f"{where}: this {type(mlp).__name__} has activation {mlp.activation!r} and output "
            f"function {mlp.out_activation_!r}; {', '.join(ACTIVATIONS)} and {', '.join(LOSSES)} "
            "are known"
        )
    activation = ACTIVATIONS[mlp.activation]
    layers: list[Layer] = []
    numbers: list[int] = []
    for weights in mlp.coefs_:
        if layers and activation is not None:
            layers.append(activation())
        numbers.append(len(layers))
        layers.append(Linear(*weights.shape))
    dtype = np.result_type(*mlp.coefs_).name
    net = Network(*layers, loss=LOSSES[mlp.out_activation_], dtype=dtype)
    parameters = {p.name: p.data for p in net.parameters()}
    for number, weights, biases in zip(numbers, mlp.coefs_, mlp.intercepts_, strict=True):
        parameters[f"{number}.weight"][...] = weights.T
        parameters[f"{number}.bias"][...] = biases
    classes = getattr(mlp, "classes_", None)
    if classes is not None and len(classes) > 1 and np.ndim(classes) == 1:
        net.metadata["classes"] = [str(name) for name in classes]
    return net


def _exp(z: Any) -> Any:
    return z.exp()


def class_names(net: Network) -> list[str]:
    """The names of the classes: one for each output, or both of a binary network; empty without."""
    return net.class_names or []


def through(function: str | None, z: Array) -> Array:
    """Outputs (rows, n) through "softmax" or "sigmoid"; "binary" makes two columns of one."""
    if function == "softmax":
        z = softmax(z)
    elif function is not None:
        z = np.concatenate([-z, z], axis=1) if function == "binary" else z
        z = np.exp(-np.logaddexp(0, -z))
    return z
