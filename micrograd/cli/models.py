"""A model file on the command line: the network, and what its columns and answers are called.

`micrograd train` writes a schema into the model file, so that `predict`, `export` and `diagnose`
treat a table as the training did.  A network that has none takes numbers as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd.convert.models import class_names, through
from micrograd.core import Array
from micrograd.network.loss_functions import Poisson
from micrograd.tabular import Frame, Schema
from micrograd.tabular.column import NUMBER
from micrograd.tabular.plain import plain_schema

if TYPE_CHECKING:
    from micrograd.network.network import Network

KEY = "schema"  # in net.metadata


def schema_of(net: Network, path: str) -> Schema:
    """What the model file says of its columns; x0, x1, ... in and the classes 0, 1, ... or a number
    out where it says nothing.

    Raises:
        ValueError: it is damaged, or does not fit the network; nothing in a file is taken on trust.
    """
    plain = net.metadata.get(KEY)
    n, outputs = net.in_features, net.out_features
    if "columns" in net.metadata:
        raise ValueError(
            f"{path}: written by an earlier version, which scaled columns in another way; train it "
            "again"
        )
    if plain is None:
        many = net.loss_name == "cross_entropy"
        classes = class_names(net) or ([str(k) for k in range(outputs)] if many else [])
        return plain_schema(n, classes=classes)
    try:
        schema = Schema.from_dict(plain)
    except ValueError as error:
        raise ValueError(f"{path}: what it says of its columns is damaged: {error}") from None
    wanted = len(schema.targets[0].classes) if schema.targets else 0
    wanted = 1 if wanted == 2 and net.loss_name == "bce" else wanted or len(schema.targets)
    if len(schema.encoded_names) != n or wanted != outputs:
        raise ValueError(
            f"{path}: its columns make {len(schema.encoded_names)} inputs and {wanted} outputs, "
            f"which does not fit the network of {n} and {outputs}"
        )
    return schema


def load_model(path: str) -> tuple[Network, Schema]:
    """A model file, and what its columns are."""
    from micrograd.saving.read import load

    net = load(path)
    return net, schema_of(net, path)


def load_models(path: str) -> tuple[list[Network], Schema]:
    """The networks of a model file, of which --preset best has several, and their columns."""
    from micrograd.saving.read import load_members

    nets = load_members(path)
    return nets, schema_of(nets[0], path)


def is_plain(schema: Schema) -> bool:
    """Whether the network takes the numbers of the columns as they are, in their order."""
    return all(
        c.kind == NUMBER and not c.clip and not c.missing and c.centre == [0.0] and c.scale == [1.0]
        for c in schema.columns
    )


def targets_of(schema: Schema, frame: Frame) -> Array | None:
    """What the network should say, (rows,) or (rows, targets), as it says it; None without them.

    Raises:
        ValueError: a cell of a target is missing or odd.
    """
    frame = schema.align(frame)
    if not all(target.name in frame.names for target in schema.targets):
        return None
    if schema.targets[0].classes:
        return schema.targets[0].values(frame)
    columns = [(t.values(frame) - t.centre) / t.scale for t in schema.targets]
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def answers(nets: Sequence[Network], schema: Schema, X: Array) -> Array:
    """Probabilities of the classes, or quantities in the units of the file: (rows, outputs), as
    means over the networks, held within what training had where the model does that.

    X: what Schema.transform gives.
    """
    mean: Array = np.mean([_answers(net, schema, X) for net in nets], axis=0)
    if not clamped(nets[0]):
        return mean
    least, most = ([getattr(t, name) for t in schema.targets] for name in ("least", "most"))
    return np.clip(mean, least, most)


def clamped(net: Network) -> bool:
    """Whether a model holds its answers within what training had, as a TabularRegressor does."""
    return net.metadata.get("clamp") is True


def _answers(net: Network, schema: Schema, X: Array) -> Array:
    z = net.predict(X).astype(np.float64)
    if len(schema.targets[0].classes) == 2 and net.loss_name == "bce":
        return through("binary", z)
    if schema.targets[0].classes:
        return through("softmax", z)
    if net.loss_name == "bce":
        return through("sigmoid", z)
    if isinstance(net.loss_kind.function, Poisson):
        z = np.exp(z)
    if len(schema.targets) != z.shape[1]:
        return z
    return np.stack([t.centre + t.scale * z[:, i] for i, t in enumerate(schema.targets)], axis=1)


def plain_metadata(schema: Schema) -> dict[str, Any]:
    """For net.metadata."""
    return schema.to_dict()
