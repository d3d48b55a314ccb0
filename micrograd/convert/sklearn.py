"""From scikit-learn's MLPClassifier and MLPRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np

from micrograd import checks
from micrograd.network.layers import Layer, Linear, ReLU, Sigmoid, Tanh
from micrograd.network.network import Network

ACTIVATIONS: dict[str, type[Layer] | None] = {
    "identity": None,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
}
LOSSES = {"softmax": "cross_entropy", "logistic": "bce", "identity": "mse"}  # of out_activation_


def from_sklearn(mlp: Any) -> Network:
    """A Network with the layers, dtype and weights of a fitted scikit-learn MLP.

    Its loss is the one that the estimator was fitted with, and its output what that loss takes:
    logits of the classes in the order of `mlp.classes_` ("cross_entropy"), one logit for a binary
    classifier, that of `classes_[1]`, and one for each label of a multilabel one ("bce"), the
    predicted quantities for a regressor ("mse", where scikit-learn's has a factor 1/2). So softmax,
    sigmoid or nothing of `net.predict(X)` is `mlp.predict_proba(X)` or `mlp.predict(X)`.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: mlp is neither MLPClassifier nor MLPRegressor.
        ValueError: it is not fitted, or its output goes through a function that no loss here has.
    """
    models = checks.require("from_sklearn", "scikit-learn", "sklearn.neural_network", "sklearn")
    if not isinstance(mlp, (models.MLPClassifier, models.MLPRegressor)):
        raise TypeError(
            f"from_sklearn: {checks.describe(mlp)} is no MLPClassifier or MLPRegressor of "
            "scikit-learn"
        )
    name = type(mlp).__name__
    if not hasattr(mlp, "coefs_"):
        raise ValueError(f"from_sklearn: this {name} is not fitted; call fit first")
    if mlp.out_activation_ not in LOSSES or mlp.activation not in ACTIVATIONS:
        raise ValueError(
            f"from_sklearn: this {name} has activation {mlp.activation!r} and output function "
            f"{mlp.out_activation_!r}; {', '.join(ACTIVATIONS)} and {', '.join(LOSSES)} are known"
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
    return net
