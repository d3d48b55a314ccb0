"""The text of a C header: steps as calls and loops, constants, and the self-test."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from micrograd.convert.c import columns, source, weights8
from micrograd.convert.c.loss import Loss
from micrograd.convert.c.memory import allocate
from micrograd.convert.c.parts import SelfTest, classes_function, guarded
from micrograd.convert.c.scalar import c_function
from micrograd.convert.checks import leaves_of
from micrograd.convert.scalar_function import scalar_function
from micrograd.convert.steps import INPUT, Add, Concat, Gate, Step, graph_of, writer_of
from micrograd.core import Array
from micrograd.network import layers
from micrograd.network.columns import Embedding, Parametric, Periodic, PiecewiseLinear, Scale
from micrograd.network.network import Network

FEW = 4  # outputs, below which a dot product for each is faster than columns


class Writer:
    """The parts of one header, and how a step of each kind is written."""

    def __init__(
        self,
        name: str,
        net: Network,
        parameters: Mapping[str, Array],
        quantised: Mapping[str, weights8.Quantised],
    ) -> None:
        self.name = name
        self.net = net
        self.parameters = parameters
        self.quantised = quantised
        self.graph = graph_of("to_c", net)
        in_place = {step.output for step in self.graph.steps if step.kind in IN_PLACE}
        self.offsets, self.scratch = allocate(self.graph, in_place.__contains__)
        self.functions: dict[str, str] = {}  # needed, in order
        self.arrays: list[str] = []
        self.parameter_bytes = 0
        self.body: list[str] = []

    def header(self, function: str | None, test: SelfTest, loss: Loss | None) -> str:
        """The whole text."""
        for step in self.graph.steps:
            writer_of("to_c", TABLE, step)(self, step)
        outputs = self.finish(function)
        guard, net = self.name.upper(), self.net
        note = f"\n   {source.comment(str(loss))}" if loss else ""
        sizes = (
            f"#define {guard}_INPUTS {net.in_features}\n#define {guard}_OUTPUTS {outputs}\n"
            f"#define {guard}_SCRATCH {max(1, self.scratch)}\n"
        )
        parts = [
            sizes,
            self.filled(source.PLACES),
            self.filled(source.AVX2),
            *self.arrays,
            *map(self.filled, self.functions.values()),
            self.predict(),
            classes_function(self.name, net),
            self.main(guard, test, loss),
        ]
        about = f"link with -lm. One row at a time:\n       {self.name}(x, out)"
        return guarded(self.name, net, about + note, "<math.h> <stddef.h> <stdint.h>", parts)

    def filled(self, text: str) -> str:
        """A text of c.source with this header's names."""
        return text.replace("@GUARD", self.name.upper()).replace("@", self.name)

    def predict(self) -> str:
        """The function itself, with memory of the caller's and with its own."""
        places = [f"float *s{i} = scratch + {i};" for i in sorted({*self.offsets.values()})]
        body = "\n".join(f"    {line}" for line in [*places, *self.body])
        return self.filled(source.PREDICT).replace("%BODY", body)

    def main(self, guard: str, test: SelfTest, loss: Loss | None) -> str:
        """The self-test."""
        data = source.array(f"{self.name}_test_inputs", test.inputs)
        data += source.array(f"{self.name}_test_outputs", test.outputs)
        note = f'    printf("%s\\n", {source.string(str(loss))});\n' if loss else ""
        text = source.MAIN.replace("@DATA", data.rstrip("\n")).replace("@NOTE", note)
        text = text.replace("@ROWS", str(len(test.inputs)))
        text = text.replace("@TOLERANCE", f"{test.tolerance:.1e}")
        return self.filled(text)

    # ---- what the steps use ----

    def value(self, number: int) -> str:
        """The C expression for the array that holds a value."""
        return "x" if number == INPUT else f"s{self.offsets[number]}"

    def use(self, name: str) -> str:
        """The C name of a function of c.source, which the header will hold."""
        for needed in source.NEEDS.get(name, ()):
            self.use(needed)
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
        self.arrays.append(self.filled(source.array(name, data)))
        self.parameter_bytes += data.nbytes
        return name

    def loop(self, columns: int, target: str, expression: str) -> None:
        """target[i] = expression, in which i is known, for each column."""
        self.body.append(f"for (size_t i = 0; i < {columns}; i++)")
        self.body.append(f"    {target}[i] = {expression};")

    def finish(self, function: str | None) -> int:
        """The last value goes to `out`; returns how many numbers that are."""
        columns, last = self.net.out_features, self.value(self.graph.output)
        if function == "softmax":
            self.body.append(f"{self.use('softmax')}({last}, {columns}, out);")
        elif function == "sigmoid":
            self.loop(columns, "out", f"{self.use('sigmoid')}({last}[i])")
        elif function == "binary":
            sigmoid = self.use("sigmoid")
            self.body += [f"out[0] = {sigmoid}(-{last}[0]);", f"out[1] = {sigmoid}({last}[0]);"]
            return 2
        else:
            self.loop(columns, "out", f"{last}[i]")
        return columns


def _linear(to: Writer, step: Step) -> None:
    x, out = to.value(step.inputs[0]), to.value(step.output)
    inputs, outputs = to.graph.columns[step.inputs[0]], to.graph.columns[step.output]
    path, bias = f"{step.path}.weight", to.parameter(f"{step.path}.bias")
    to.body.append(f"/* {step.path} {step.layer} */")
    if path in to.quantised:
        weight = to.array(path, to.quantised[path].q)
        scale = to.array(f"{path}_scale", to.quantised[path].scale)
        function, constants = to.use("linear_int8"), f"{weight}, {scale}"
    elif outputs < FEW:
        function, constants = to.use("linear_rows"), to.parameter(path)
    else:
        function, constants = to.use("linear"), to.array(path, to.parameters[path].T)
    to.body.append(f"{function}({x}, {inputs}, {constants}, {bias}, {outputs}, {out});")


def _applied(to: Writer, layer: layers.Activation, x: str) -> str:
    """The activation of x."""
    name = f"{layer.function}f" if layer.function == "tanh" else to.use(layer.function)
    sloped = isinstance(layer, (layers.LeakyReLU, layers.ELU))
    return f"{name}({x}{f', {source.literal(layer.slope)}' if sloped else ''})"


def _elementwise(to: Writer, step: Step) -> None:
    assert isinstance(step.layer, layers.Activation)
    x = to.value(step.inputs[0])
    expression = _applied(to, step.layer, f"{x}[i]")
    to.loop(to.graph.columns[step.output], to.value(step.output), expression)


def _parametric(to: Writer, step: Step) -> None:
    assert isinstance(step.layer, Parametric)
    x, s = f"{to.value(step.inputs[0])}[i]", f"{to.parameter(f'{step.path}.weight')}[i]"
    expression = f"{x} + {s} * ({_applied(to, step.layer.activation, x)} - {x})"
    to.loop(to.graph.columns[step.output], to.value(step.output), expression)


def _map(to: Writer, step: Step) -> None:
    assert isinstance(step.layer, layers.Map)
    leaves, parameters = leaves_of(to.net)
    function = scalar_function(step.layer.f, leaves, [p.data.item() for p in parameters])
    name = f"{to.name}_{step.path.replace('.', '_')}_map"
    to.functions[name] = c_function(name, function, to.use)
    x = to.value(step.inputs[0])
    to.loop(to.graph.columns[step.output], to.value(step.output), f"{name}({x}[i])")


def _softmax(to: Writer, step: Step) -> None:
    x, out = to.value(step.inputs[0]), to.value(step.output)
    to.body.append(f"{to.use('softmax')}({x}, {to.graph.columns[step.output]}, {out});")


def _add(to: Writer, step: Step) -> None:
    a, b = map(to.value, step.inputs)
    to.loop(to.graph.columns[step.output], to.value(step.output), f"{a}[i] + {b}[i]")


def _gate(to: Writer, step: Step) -> None:
    t, f, x = map(to.value, step.inputs)
    expression = f"{t}[i] * {f}[i] + (1.0f - {t}[i]) * {x}[i]"
    to.loop(to.graph.columns[step.output], to.value(step.output), expression)


def _concat(to: Writer, step: Step) -> None:
    start = 0
    for value in step.inputs:
        columns = to.graph.columns[value]
        to.loop(columns, f"({to.value(step.output)} + {start})", f"{to.value(value)}[i]")
        start += columns


TABLE: dict[type, Callable[[Writer, Step], None]] = {
    layers.Linear: _linear,
    **dict.fromkeys(layers.ACTIVATIONS.values(), _elementwise),
    layers.Softmax: _softmax,
    Scale: columns.scale,
    Parametric: _parametric,
    Periodic: columns.periodic,
    PiecewiseLinear: columns.piecewise,
    Embedding: columns.embedding,
    layers.Map: _map,
    Add: _add,
    Gate: _gate,
    Concat: _concat,
}
OTHERWISE = {layers.Linear, Concat, Periodic, PiecewiseLinear, Embedding}
IN_PLACE = {*TABLE} - OTHERWISE  # may write over an input: out[i] is made of x[i]
