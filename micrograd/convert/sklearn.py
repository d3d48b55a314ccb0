"""From the estimators of micrograd.sklearn and scikit-learn's MLPClassifier and MLPRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np

from micrograd import checks
from micrograd.convert.models import scaled_network
from micrograd.network.layers import Linear
from micrograd.network.network import Network
from micrograd.tabular.schema import Schema

NOTICEABLE = 1e-3  # share of the outputs' spread that scaling inside the weights may cost


def from_sklearn(mlp: Any) -> Network:
    """A Network with the layers, dtype and weights of a fitted estimator.

    Its loss is the one that the estimator was fitted with, and its output what that loss takes:
    logits of the classes in the order of `mlp.classes_` ("cross_entropy"), one logit for a binary
    classifier, that of `classes_[1]`, and one for each label of a multilabel one ("bce"), the
    predicted quantities for a regressor ("mse", where scikit-learn's has a factor 1/2). So softmax,
    sigmoid or nothing of `net.predict(X)` is `mlp.predict_proba(X)` or `mlp.predict(X)`. The names
    of the classes and of the features are in its metadata.

    Args:
        mlp: MLPClassifier or MLPRegressor, of micrograd.sklearn or of scikit-learn, or a Pipeline
            of scalers and one of them. The scaling becomes part of the first layer, whose rows are
            then those that the Pipeline takes. Weights are copied.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: mlp is none of these.
        ValueError: it is not fitted, or its output goes through a function that no loss here has;
            or a column of a Pipeline is so far from zero that the weights cannot hold the scaling.

    >>> from sklearn.neural_network import MLPClassifier
    >>> mlp = MLPClassifier((8,), max_iter=300, random_state=0).fit(X[:50], y[:50])
    >>> mg.convert.from_sklearn(mlp).predict(X).shape
    (1797, 10)
    """
    checks.require("from_sklearn", "scikit-learn", "sklearn", "sklearn")
    if isinstance(mlp, Network):
        raise TypeError("from_sklearn: this is a Network already")
    net, schema = scaled_network("from_sklearn", mlp)
    return with_scaling("from_sklearn", net, schema)


def with_scaling(where: str, net: Network, schema: Schema | None) -> Network:
    """A copy of a network; a scaling of its rows becomes part of its first layer.

    Raises:
        ValueError: a column is so far from zero that the weights cannot hold the scaling.
    """
    new = Network(*net.layers, loss=net.loss_kind.function or net.loss_name, dtype=net.dtype)
    new.parameters().flat[...] = net.parameters().flat
    new.metadata = dict(net.metadata)
    return new if schema is None else _scaled(where, new, schema)


def _scaled(where: str, net: Network, schema: Schema) -> Network:
    """The network with a scaling made part of its first layer.

    W (s (x - c)) + b = (W s) x + (b - (W s) c)
    """
    centre = np.array([column.centre[0] for column in schema.features])
    scale = np.array([column.scale[0] for column in schema.features])
    spread = np.divide(1.0, scale, out=np.ones_like(scale), where=scale != 0)
    rows = centre + spread * np.random.default_rng(0).normal(size=(256, len(centre)))
    wide = Network(*net.layers, loss="mse", dtype="float64", seed=0)
    wide.parameters().flat[...] = net.parameters().flat
    wanted = wide.predict((rows - centre) * scale)
    assert isinstance(net.layers[0], Linear)
    parameters = {p.name: p.data for p in net.parameters()}
    weight, bias = parameters["0.weight"], parameters["0.bias"]
    scaled = weight.astype(np.float64) * scale
    bias[...] = bias - scaled @ centre
    weight[...] = scaled
    size = np.maximum(wanted.std(axis=0), 1e-3 * np.abs(wanted).max(axis=0))
    lost = float((np.abs(net.predict(rows) - wanted) / np.where(size > 0, size, 1)).max())
    if not lost <= NOTICEABLE:
        raise ValueError(
            f"{where}: a column is so far from zero that its scaling inside {net.dtype} "
            f"weights costs {100 * lost:.2g} % of the outputs' spread; pass pipeline[-1] and scale "
            "the rows before, or fit the estimator with dtype='float64'"
        )
    net.metadata.pop("schema", None)
    return net
