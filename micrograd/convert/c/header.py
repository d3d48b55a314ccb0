"""To C99: one header with the weights and a function that computes the network's output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd import __version__, checks, core
from micrograd.atomic import write_bytes
from micrograd.convert.c import int8, source
from micrograd.convert.c.scalar import c_function
from micrograd.convert.checks import (
    Path,
    check_network,
    finite_parameters,
    leaves_of,
    probability_function,
)
from micrograd.convert.scalar_function import scalar_function
from micrograd.convert.steps import INPUT, Add, Concat, Gate, Graph, Step, graph_of, writer_of
from micrograd.core import Array
from micrograd.network import layers
from micrograd.network.network import Network
from micrograd.network.targets import as_targets

TOLERANCE = 1e-5  # of the self-test, where float32 itself is as exact as that
TEST_ROWS = 8


@dataclass(frozen=True)
class CHeader:
    """What was written.

    function: the name of the predict function. parameter_bytes: of its constants. scratch_bytes: of
    static memory beside them. loss: what quantisation costs, None without.
    """

    function: str
    parameter_bytes: int
    scratch_bytes: int
    loss: int8.Loss | None = None

    def __str__(self) -> str:
        text = (
            f"{self.function}: {self.parameter_bytes} bytes of parameters, {self.scratch_bytes} "
            "bytes of static memory"
        )
        return text if self.loss is None else f"{text}\n{self.loss}"


def to_c(
    net: Network,
    path: Path,
    *,
    prefix: str = "",
    quantize: bool | str | None = None,
    probabilities: bool = False,
    X: Any = None,
    y: Any = None,
) -> CHeader:
    """Writes a C99 header that computes what `predict` does, one row at a time, in float32.

    It holds the weights and needs nothing but the C library's <math.h> (link with -lm); all its
    memory is static. For prefix "digits_" it declares

        digits_predict(x, out)                    x: DIGITS_PREDICT_INPUTS floats, out:
                                                  DIGITS_PREDICT_OUTPUTS floats
        digits_predict_with(x, out, scratch)      the same in the caller's memory, of
                                                  DIGITS_PREDICT_SCRATCH floats: for threads

    and with the macro DIGITS_PREDICT_MAIN a main() that compares with stored outputs:

        cc -std=c99 -O3 -DDIGITS_PREDICT_MAIN -x c digits.h -lm && ./a.out

    Args:
        net: the network; a float64 one is rounded to float32.
        path: the file to write; it is there whole or not at all.
        prefix: what all names begin with.
        quantize: "int8", or True, stores the weight matrices as 8-bit integers with one scale for
            each output; activations and biases stay float32. What that costs is measured on X.
        probabilities: the output goes through softmax (cross_entropy) or sigmoid (bce).
        X: rows (n, in_features), some of which the self-test takes, and on which int8 is measured;
            None draws 256 from a normal distribution.
        y: the right answers for X, as net.loss takes them; then the loss of accuracy is measured
            (cross_entropy, bce), or the root of the mean squared error (other losses).

    Returns:
        What was written; its str says what int8 costs.

    Raises:
        TypeError: net is no Network, or a layer has no form in C.
        ValueError: prefix is no C identifier, quantize is unknown, X or y do not fit, a parameter
            is not finite in float32, or the loss has no probabilities.
        OSError: the file cannot be written.
    """
    text, header = header_of(
        net, prefix=prefix, quantize=quantize, probabilities=probabilities, X=X, y=y
    )
    write_bytes(path, text.encode("ascii"))
    return header


def header_of(
    net: Network, *, prefix: str, quantize: bool | str | None, probabilities: bool, X: Any, y: Any
) -> tuple[str, CHeader]:
    """The text that to_c writes, and what is in it; arguments and errors are those of to_c."""
    check_network("to_c", net)
    if not isinstance(prefix, str) or (prefix and not source.IDENTIFIER.fullmatch(prefix)):
        raise ValueError(f"to_c: prefix is {prefix!r}, the start of a C identifier is wanted")
    if quantize not in (None, False, True, "int8"):
        raise ValueError(f"to_c: quantize is {quantize!r}, 'int8' or None is wanted")
    function = probability_function("to_c", net) if probabilities else None
    X, y = _data(net, X, y)
    parameters = finite_parameters("to_c", net, "float32")
    output, loss = net.predict(X), None
    quantised: dict[str, int8.Quantised] = {}
    if quantize:
        quantised = {
            name: int8.quantise(data) for name, data in parameters.items() if data.ndim == 2
        }
        after = _copy(net, quantised, net.dtype).predict(X)
        loss = int8.measure(net, output, after, y)
        output = after
    rows = np.linspace(0, len(X) - 1, min(TEST_ROWS, len(X))).astype(int)
    writer = _Writer(f"{prefix}predict", net, parameters, quantised)
    test = _Test(X[rows], _through(function, output[rows]), _tolerance(net, quantised, X[rows]))
    text = writer.header(function, test, loss)
    return text, CHeader(writer.name, writer.parameter_bytes, 4 * writer.scratch, loss)


def _data(net: Network, X: Any, y: Any) -> tuple[Array, Any]:
    if X is None:
        if y is not None:
            raise ValueError("to_c: y without X; the rows that it belongs to are wanted")
        X = np.random.default_rng(0).normal(size=(256, net.in_features))
    takes = f"the network takes {net.in_features}"
    X = checks.matrix("to_c", "X", X, net.in_features, np.dtype("float32"), takes)
    if y is not None:
        labels = None
        if net.loss_kind.takes_labels:
            labels = checks.labels("to_c", y, len(X), net.out_features)
            if labels is not None and not (labels.min() >= 0 and labels.max() < net.out_features):
                raise ValueError(
                    f"to_c: y has labels from {labels.min()} to {labels.max()}, "
                    f"0 to {net.out_features - 1} are wanted"
                )
        dtype = np.dtype(net.dtype)
        y = as_targets("to_c", y, len(X), net.out_features, dtype) if labels is None else labels
    return X, y


@dataclass(frozen=True)
class _Test:
    """What the self-test compares with: float32 rows, outputs, and how far off is right."""

    inputs: Array
    outputs: Array
    tolerance: float


def _copy(net: Network, quantised: Mapping[str, int8.Quantised], dtype: str) -> Network:
    copy = Network(*net.layers, loss="mse", dtype=dtype, seed=0)
    # without what only a loss of the user's own has, which would come last
    for parameter, original in zip(copy.parameters(), net.parameters(), strict=False):
        known = quantised.get(parameter.name)
        parameter.data[...] = original.data if known is None else known.restored()
    return copy


def _tolerance(net: Network, quantised: Mapping[str, int8.Quantised], X: Array) -> float:
    """1e-5, or what float32 loses on these rows if that is more, as far as float64 can tell.

    Sums in another order have another rounding error, of the same size: 8 allows for the spread.
    """
    single, double = (_copy(net, quantised, dtype).predict(X) for dtype in core.DTYPES)
    size = np.maximum(1, np.abs(double).max(axis=1, keepdims=True))
    with np.errstate(invalid="ignore"):  # of infinities, which are right or not
        lost = float((np.abs(single - double) / size).max())
    return max(TOLERANCE, 8 * lost) if np.isfinite(lost) else TOLERANCE


def _through(function: str | None, z: Array) -> Array:
    z = z.astype(np.float64)
    if function == "softmax":
        e = np.exp(z - z.max(axis=1, keepdims=True))
        z = e / e.sum(axis=1, keepdims=True)
    elif function == "sigmoid":
        z = np.exp(-np.logaddexp(0, -z))
    return z.astype(np.float32)


class _Writer:
    """The parts of one header."""

    def __init__(
        self,
        name: str,
        net: Network,
        parameters: Mapping[str, Array],
        quantised: Mapping[str, int8.Quantised],
    ) -> None:
        self.name = name
        self.net = net
        self.parameters = parameters
        self.quantised = quantised
        self.graph = graph_of("to_c", net)
        self.offsets, self.scratch = _allocate(self.graph)
        self.functions: dict[str, str] = {}  # needed, in order
        self.arrays: list[str] = []
        self.parameter_bytes = 0
        self.body: list[str] = []

    def header(self, function: str | None, test: _Test, loss: int8.Loss | None) -> str:
        """The whole text."""
        for step in self.graph.steps:
            writer_of("to_c", TABLE, step)(self, step)
        self.finish(function)
        guard, net = self.name.upper(), self.net
        int8_include = "#include <stdint.h>\n" if self.quantised else ""
        note = f"   {source.comment(str(loss))}\n" if loss else ""
        parts = [
            f"/* {source.comment(repr(net))}\n   written by micrograd {__version__}; C99, "
            f"link with -lm. One row at a time:\n       {self.name}(x, out)\n{note}*/\n"
            f"#ifndef {guard}_H\n#define {guard}_H\n"
            f"#include <math.h>\n#include <stddef.h>\n{int8_include}\n"
            f"#define {guard}_INPUTS {net.in_features}\n"
            f"#define {guard}_OUTPUTS {net.out_features}\n"
            f"#define {guard}_SCRATCH {max(1, self.scratch)}\n",
            *self.arrays,
            *(text.replace("@", self.name) for text in self.functions.values()),
            self.predict(guard),
            self.main(guard, test, loss),
            f"#endif /* {guard}_H */\n",
        ]
        return "\n".join(parts)

    def predict(self, guard: str) -> str:
        """The function itself, with memory of the caller's and with its own."""
        places = [f"float *s{i} = scratch + {i};" for i in sorted({*self.offsets.values()})]
        body = "\n".join(f"    {line}" for line in [*places, *self.body])
        return (
            f"/* x: {guard}_INPUTS numbers, out: {guard}_OUTPUTS, scratch: {guard}_SCRATCH, which "
            "may be in\n   use by one call at a time; none may overlap another. */\n"
            f"static inline void {self.name}_with(const float *x, float *out, float *scratch)\n"
            f"{{\n{body}\n}}\n\n"
            "/* The same with memory of its own: for one thread. */\n"
            f"static inline void {self.name}(const float *x, float *out)\n{{\n"
            f"    static float scratch[{guard}_SCRATCH];\n"
            f"    {self.name}_with(x, out, scratch);\n}}\n"
        )

    def main(self, guard: str, test: _Test, loss: int8.Loss | None) -> str:
        """The self-test."""
        data = source.float_array(f"{self.name}_test_inputs", test.inputs)
        data += source.float_array(f"{self.name}_test_outputs", test.outputs)
        note = f'    printf("%s\\n", {source.string(str(loss))});\n' if loss else ""
        text = source.MAIN.replace("@DATA", data.rstrip("\n")).replace("@NOTE", note)
        text = text.replace("@ROWS", str(len(test.inputs)))
        text = text.replace("@TOLERANCE", f"{test.tolerance:.1e}")
        return text.replace("@GUARD", guard).replace("@", self.name)

    # ---- what the steps use ----

    def value(self, number: int) -> str:
        """The C expression for the array that holds a value."""
        return "x" if number == INPUT else f"s{self.offsets[number]}"

    def use(self, name: str) -> str:
        """The C name of a function of c_source, which the header will hold."""
        self.functions.setdefault(name, source.FUNCTIONS[name])
        return f"{self.name}_{name}"

    def parameter(self, path: str) -> str:
        """The C name of a parameter's array, NULL if there is no such parameter."""
        if path not in self.parameters:
            return "NULL"
        return self.array(path, self.parameters[path])

    def array(self, path: str, data: Array) -> str:
        """Adds a constant array of float or int8_t, and returns its C name."""
        name = f"{self.name}_{path.replace('.', '_')}"
        define = source.int8_array if data.dtype == np.int8 else source.float_array
        self.arrays.append(define(name, data))
        self.parameter_bytes += data.nbytes
        return name

    def loop(self, columns: int, target: str, expression: str) -> None:
        """target[i] = expression, in which i is known, for each column."""
        self.body.append(f"for (size_t i = 0; i < {columns}; i++)")
        self.body.append(f"    {target}[i] = {expression};")

    def finish(self, function: str | None) -> None:
        """The last value goes to `out`."""
        columns, last = self.net.out_features, self.value(self.graph.output)
        if function == "softmax":
            self.body.append(f"{self.use('softmax')}({last}, {columns}, out);")
        elif function == "sigmoid":
            self.loop(columns, "out", f"{self.use('sigmoid')}({last}[i])")
        else:
            self.loop(columns, "out", f"{last}[i]")


def _linear(to: _Writer, step: Step) -> None:
    x, out = to.value(step.inputs[0]), to.value(step.output)
    inputs, outputs = to.graph.columns[step.inputs[0]], to.graph.columns[step.output]
    path = f"{step.path}.weight"
    to.body.append(f"/* {step.path} {step.layer} */")
    if path in to.quantised:
        weight = to.array(path, to.quantised[path].q)
        scale = to.array(f"{path}_scale", to.quantised[path].scale)
        bias = to.parameter(f"{step.path}.bias")
        to.use("linear_int8")
        arguments = f"{x}, {inputs}, {weight}, {scale}, {bias}, {outputs}, {out}"
    else:
        weight, bias = to.parameter(path), to.parameter(f"{step.path}.bias")
        to.use("linear")
        arguments = f"{x}, {inputs}, {weight}, {bias}, {outputs}, {out}"
    to.body.append(f"{to.name}_linear({arguments});")


def _elementwise(function: str) -> Callable[[_Writer, Step], None]:
    def write(to: _Writer, step: Step) -> None:
        name = f"{function}f" if function == "tanh" else to.use(function)
        more = ""
        if isinstance(step.layer, layers.LeakyReLU):
            more = f", {source.literal(step.layer.slope)}"
        x = to.value(step.inputs[0])
        to.loop(to.graph.columns[step.output], to.value(step.output), f"{name}({x}[i]{more})")

    return write


def _map(to: _Writer, step: Step) -> None:
    assert isinstance(step.layer, layers.Map)
    leaves, parameters = leaves_of(to.net)
    function = scalar_function(step.layer.f, leaves, [p.data.item() for p in parameters])
    name = f"{to.name}_{step.path.replace('.', '_')}_map"
    to.functions[name] = c_function(name, function, to.use)
    x = to.value(step.inputs[0])
    to.loop(to.graph.columns[step.output], to.value(step.output), f"{name}({x}[i])")


def _softmax(to: _Writer, step: Step) -> None:
    x, out = to.value(step.inputs[0]), to.value(step.output)
    to.body.append(f"{to.use('softmax')}({x}, {to.graph.columns[step.output]}, {out});")


def _add(to: _Writer, step: Step) -> None:
    a, b = map(to.value, step.inputs)
    to.loop(to.graph.columns[step.output], to.value(step.output), f"{a}[i] + {b}[i]")


def _gate(to: _Writer, step: Step) -> None:
    t, f, x = map(to.value, step.inputs)
    expression = f"{t}[i] * {f}[i] + (1.0f - {t}[i]) * {x}[i]"
    to.loop(to.graph.columns[step.output], to.value(step.output), expression)


def _concat(to: _Writer, step: Step) -> None:
    start = 0
    for value in step.inputs:
        columns = to.graph.columns[value]
        to.loop(columns, f"({to.value(step.output)} + {start})", f"{to.value(value)}[i]")
        start += columns


TABLE: dict[type, Callable[[_Writer, Step], None]] = {
    layers.Linear: _linear,
    layers.ReLU: _elementwise("relu"),
    layers.LeakyReLU: _elementwise("leaky_relu"),
    layers.Sigmoid: _elementwise("sigmoid"),
    layers.Tanh: _elementwise("tanh"),
    layers.GELU: _elementwise("gelu"),
    layers.Softmax: _softmax,
    layers.Map: _map,
    Add: _add,
    Gate: _gate,
    Concat: _concat,
}
IN_PLACE = {*TABLE} - {layers.Linear, Concat}  # may write over an input: out[i] is made of x[i]


def _allocate(graph: Graph) -> tuple[dict[int, int], int]:
    """Where in the scratch memory each value lies, and how many floats there are.

    A value takes the first gap that is free while it lives; an element-wise step whose input is
    not needed any more writes over it.
    """
    last = graph.last_uses()
    offsets: dict[int, int] = {}
    living: list[int] = []
    total = 0
    for number, step in enumerate(graph.steps):
        dying = [v for v in step.inputs if v != INPUT and last[v] == number]
        columns = graph.columns[step.output]
        same = [v for v in dying if graph.columns[v] == columns and step.kind in IN_PLACE]
        if same:
            offsets[step.output] = offsets[same[0]]
        else:
            start = 0
            for value in sorted(living, key=offsets.__getitem__):
                if start + columns <= offsets[value]:
                    break
                start = max(start, offsets[value] + graph.columns[value])
            offsets[step.output] = start
        total = max(total, offsets[step.output] + columns)
        living = [v for v in living if last[v] > number]
        living.append(step.output)
    return offsets, total
