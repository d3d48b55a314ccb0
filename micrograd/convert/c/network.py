"""A network as the text of a C99 header, and what is in it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.convert.c import int8, source
from micrograd.convert.c.writer import SelfTest, Writer
from micrograd.convert.checks import finite_parameters, probability_function
from micrograd.convert.models import through
from micrograd.core import Array
from micrograd.network.network import Network
from micrograd.network.targets import as_targets

TOLERANCE = 1e-5  # of the self-test, where float32 itself is as exact as that
TEST_ROWS = 8
NOTICEABLE = 1e-3  # share of the outputs' spread that rounding to float may cost unsaid


@dataclass(frozen=True)
class CHeader:
    """What was written.

    function: the name of the predict function. parameter_bytes: of its constants. scratch_bytes: of
    static memory beside them. rounding: what float costs on the rows it was measured on, as a share
    of the spread of the outputs. loss: what quantisation costs, None without.

    >>> header = mg.convert.to_c(net, "digits.h", prefix="digits_")
    >>> header.function, header.parameter_bytes
    ('digits_predict', 9640)
    """

    function: str
    parameter_bytes: int
    scratch_bytes: int
    rounding: float = 0.0
    loss: int8.Loss | None = None

    def __str__(self) -> str:
        text = (
            f"{self.function}: {self.parameter_bytes} bytes of parameters, {self.scratch_bytes} "
            "bytes of static memory"
        )
        return text if self.loss is None else f"{text}\n{self.loss}"


def header_of(
    where: str,
    net: Network,
    *,
    prefix: str | None,
    quantize: bool | str | None,
    probabilities: bool,
    X: Any,
    y: Any,
) -> tuple[str, CHeader]:
    """The text that to_c writes, and what is in it; arguments and errors are those of to_c."""
    prefix = checked_prefix(where, prefix)
    if quantize not in (None, False, True, "int8"):
        raise ValueError(f"{where}: quantize is {quantize!r}, 'int8' or None is wanted")
    function = probability_function(where, net) if probabilities else None
    X, y = _data(where, net, X, y)
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
    quantised: dict[str, int8.Quantised] = {}
    if quantize:
        quantised = {
            name: int8.quantise(data)
            for name, data in parameters.items()
            if data.ndim == 2 and name.endswith(".weight")
        }
        after = _copy(net, quantised, "float64").predict(X)
        loss = int8.measure(net, output, after, y)
        output = after
    rows = np.linspace(0, len(X) - 1, min(TEST_ROWS, len(X))).astype(int)
    writer = Writer(f"{prefix}predict", net, parameters, quantised)
    with np.errstate(over="ignore"):  # what is infinite in float is so in C too
        wanted = through(function, output[rows]).astype(np.float32)
    tolerance = _tolerance(net, quantised, X[rows])
    test = SelfTest(X[rows].astype(np.float32), wanted, tolerance)
    text = writer.header(function, test, loss)
    scratch = 4 * writer.scratch
    return text, CHeader(writer.name, writer.parameter_bytes, scratch, rounding, loss)


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


def _copy(net: Network, quantised: Mapping[str, int8.Quantised], dtype: str) -> Network:
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


def _tolerance(net: Network, quantised: Mapping[str, int8.Quantised], X: Array) -> float:
    """1e-5, or what float32 loses on these rows if that is more, as far as float64 can tell.

    Sums in another order have another rounding error, of the same size: 8 allows for the spread.
    """
    single = _copy(net, quantised, "float32").predict(X.astype(np.float32))
    double = _copy(net, quantised, "float64").predict(X)
    size = np.maximum(1, np.abs(double).max(axis=1, keepdims=True))
    with np.errstate(invalid="ignore"):  # of infinities, which are right or not
        lost = float((np.abs(single - double) / size).max())
    return max(TOLERANCE, 8 * lost) if np.isfinite(lost) else TOLERANCE
