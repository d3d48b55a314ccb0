"""A network as the text of a C99 header, and what is in it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.convert.c import source, weights8
from micrograd.convert.c.int8_header import int8_header
from micrograd.convert.c.loss import measure
from micrograd.convert.c.parts import CHeader, SelfTest
from micrograd.convert.c.writer import Writer
from micrograd.convert.checks import finite_parameters, probability_function
from micrograd.convert.int8.build import Int8Network, int8_network
from micrograd.convert.models import class_names, through
from micrograd.convert.sklearn import with_scaling
from micrograd.core import Array
from micrograd.network.network import Network
from micrograd.network.targets import as_targets
from micrograd.tabular.schema import Schema

TOLERANCE = 1e-5  # of the self-test, where float32 itself is as exact as that
TEST_ROWS = 8
NOTICEABLE = 1e-3  # share of the outputs' spread that rounding to float may cost unsaid


def header_of(
    where: str,
    net: Network,
    *,
    prefix: str | None,
    quantize: bool | str | None,
    probabilities: bool,
    X: Any,
    y: Any,
    scaling: Schema | None = None,
) -> tuple[str, CHeader]:
    """The text that to_c writes, and what is in it; arguments and errors are those of to_c.

    scaling: of the rows before the network, for quantize="int8".
    """
    name = f"{checked_prefix(where, prefix)}predict"
    kind = checked_quantize(where, quantize, X)
    function = probability_function(where, net) if probabilities else None
    X, y = _data(where, net, X, y)
    rows = np.linspace(0, len(X) - 1, min(TEST_ROWS, len(X))).astype(int)
    if kind == "int8":
        finite_parameters(where, net, "float32")
        integers, right = _integers(where, net, X, scaling)
        return int8_header(where, net, integers, name, function, X, right, y, rows)
    parameters = finite_parameters(where, net, "float32")
    wide, single = _copy(net, {}, "float64"), X.astype(np.float32)
    output, loss = wide.predict(X), None
    rounding = max(
        _lost(wide.predict(single), output, 1e-9),
        _lost(_copy(net, {}, "float32").predict(single), output, 1e-3),
    )
    if rounding > NOTICEABLE:
        warnings.warn(
            f"{where}: in float, which C computes in, outputs are off by up to "
            f"{100 * rounding:.2g} % of their spread on these rows; columns far from zero cause "
            "it: subtract an offset from them first",
            stacklevel=3,
        )
    quantised: dict[str, weights8.Quantised] = {}
    if kind is not None:
        quantised = {
            name: weights8.quantise(data)
            for name, data in parameters.items()
            if data.ndim == 2 and name.endswith(".weight")
        }
        after = _copy(net, quantised, "float64").predict(X)
        loss = measure("int8 weights", net, output, after, y)
        output = after
    writer = Writer(name, net, parameters, quantised)
    with np.errstate(over="ignore"):  # what is infinite in float is so in C too
        wanted = through(function, output[rows]).astype(np.float32)
    tolerance = _tolerance(net, quantised, X[rows])
    test = SelfTest(X[rows].astype(np.float32), wanted, tolerance)
    text = writer.header(function, test, loss)
    scratch = 4 * writer.scratch
    header = CHeader(
        name, writer.parameter_bytes, scratch, rounding, loss, example=test.inputs[0],
        classes=bool(class_names(net)),
    )  # fmt: skip
    return text, header


def _integers(
    where: str, net: Network, X: Array, schema: Schema | None
) -> tuple[Int8Network, Array]:
    """The network in 8 bits, and its outputs for X without.

    A scaling becomes part of the first layer, or stands before it in integers, with wide columns
    divided by a power of their width and their weights multiplied by it: whichever loses least. A
    column that is rare is wide when it is divided by its spread, and its weights are large when
    they are: either way others share their scale with it.
    """
    if schema is None:
        return int8_network(where, net, X), net.predict(X).astype(np.float64)
    centre = np.array([column.centre[0] for column in schema.features])
    factor = np.array([column.scale[0] for column in schema.features])
    scaled = (X - centre) * factor
    right = net.predict(scaled).astype(np.float64)
    width = np.abs(scaled).max(axis=0)
    usual = float(np.median(width[width > 0])) if width.any() else 1.0
    found = []
    for power in (0.0, 0.25, 0.5):
        share = np.maximum(width / usual, 1.0) ** -power
        twin = _copy(net, {}, "float64")
        twin.parameters()[0].data[...] /= share
        found.append(int8_network(where, twin, X, (centre, factor * share)))
    with contextlib.suppress(ValueError):  # a column too far from zero for the weights to hold it
        found.append(int8_network(where, with_scaling(where, net, schema), X))
    errors = [np.square(each.predict(X) - right).mean() for each in found]
    return found[int(np.argmin(errors))], right


QUANTIZE = {None: None, False: None, True: "int8", "int8": "int8", "int8-weights": "int8-weights"}


def checked_quantize(where: str, quantize: Any, X: Any) -> str | None:
    """What is made integers: "int8", "int8-weights" or nothing."""
    try:
        kind = QUANTIZE[quantize]
    except (KeyError, TypeError):
        raise ValueError(
            f"{where}: quantize is {quantize!r}, 'int8', 'int8-weights' or None is wanted"
        ) from None
    if kind == "int8" and X is None:
        raise ValueError(
            f"{where}: quantize='int8' without X: it takes the scale of every layer from rows that "
            "are like those to come; pass X=rows, some hundred of the training data, or "
            "quantize='int8-weights', which wants none"
        )
    return kind


def checked_prefix(where: str, prefix: str | None) -> str:
    """What all names begin with."""
    prefix = "" if prefix is None else prefix
    if not isinstance(prefix, str) or (prefix and not source.IDENTIFIER.fullmatch(prefix)):
        raise ValueError(f"{where}: prefix is {prefix!r}, the start of a C identifier is wanted")
    return prefix


def _data(where: str, net: Network, X: Any, y: Any) -> tuple[Array, Any]:
    if X is None:
        if y is not None:
            raise ValueError(f"{where}: y without X; the rows that it belongs to are wanted")
        X = np.random.default_rng(0).normal(size=(256, net.in_features)).astype(np.float32)
    takes = f"the network takes {net.in_features}"
    X = checks.matrix(where, "X", X, net.in_features, np.dtype("float64"), takes)
    if y is not None:
        labels = None
        if net.loss_kind.takes_labels:
            labels = checks.labels(where, y, len(X), net.out_features)
            if labels is not None and not (labels.min() >= 0 and labels.max() < net.out_features):
                raise ValueError(
                    f"{where}: y has labels from {labels.min()} to {labels.max()}, "
                    f"0 to {net.out_features - 1} are wanted"
                )
        dtype = np.dtype(net.dtype)
        y = as_targets(where, y, len(X), net.out_features, dtype) if labels is None else labels
    return X, y


def _copy(net: Network, quantised: Mapping[str, weights8.Quantised], dtype: str) -> Network:
    copy = Network(*net.layers, loss="mse", dtype=dtype, seed=0)
    # without what only a loss of the user's own has, which would come last
    for parameter, original in zip(copy.parameters(), net.parameters(), strict=False):
        known = quantised.get(parameter.name)
        parameter.data[...] = original.data if known is None else known.restored()
    return copy


def _lost(rounded: Array, exact: Array, least: float) -> float:
    """The largest difference, as a share of the spread of its column, which is at least this share
    of its size: outputs that are the same everywhere have no spread."""
    with np.errstate(invalid="ignore"):  # of infinities, which are right or not
        spread = np.maximum(exact.std(axis=0), least * np.abs(exact).max(axis=0))
        lost = np.abs(rounded - exact).max(axis=0) / np.where(spread > 0, spread, 1)
    return float(lost.max()) if np.isfinite(lost).all() else 0.0


def _tolerance(net: Network, quantised: Mapping[str, weights8.Quantised], X: Array) -> float:
    """1e-5, or what float32 loses on these rows if that is more, as far as float64 can tell.

    Sums in another order have another rounding error, of the same size: 8 allows for the spread.
    """
    single = _copy(net, quantised, "float32").predict(X.astype(np.float32))
    double = _copy(net, quantised, "float64").predict(X)
    size = np.maximum(1, np.abs(double).max(axis=1, keepdims=True))
    with np.errstate(invalid="ignore"):  # of infinities, which are right or not
        lost = float((np.abs(single - double) / size).max())
    return max(TOLERANCE, 8 * lost) if np.isfinite(lost) else TOLERANCE
