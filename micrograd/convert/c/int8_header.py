"""A network in 8-bit integers as the text of a C header."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from micrograd.convert.c import int8_source, source
from micrograd.convert.c.loss import Loss, measure
from micrograd.convert.c.memory import allocate
from micrograd.convert.c.parts import CHeader, SelfTest, classes_function, guarded
from micrograd.convert.int8.build import Int8Network
from micrograd.convert.int8.ops import Blend, Dense, Factors, Join, Op, Sum, Table
from micrograd.convert.steps import INPUT, Step
from micrograd.core import Array
from micrograd.network.network import Network

IN_PLACE = (Table, Sum, Blend, Factors)  # may write over an input
NOTICEABLE = 0.1  # of the outputs' spread: more than 8 bits should cost

# out[i] of `got`, where r[i] is what got[i] stands for
FINISH = {
    None: "",
    "softmax": "    @_softmax(out, @GUARD_OUTPUTS, out);",
    "sigmoid": "    for (i = 0; i < @GUARD_OUTPUTS; i++)\n        out[i] = @_sigmoid(out[i]);",
    "binary": "    out[1] = @_sigmoid(out[0]);\n    out[0] = @_sigmoid(-out[0]);",
}


def int8_header(
    where: str,
    net: Network,
    integers: Int8Network,
    name: str,
    function: str | None,
    X: Array,
    right: Array,
    y: Any,
    rows: Array,
) -> tuple[str, CHeader]:
    """The text for predict functions called `name` and f"{name}_int8", and what is in it.

    function: what makes probabilities in the float function, None for the outputs themselves.
    X, right, y: what the cost is measured on: rows, the network's outputs, the answers. rows: those
    of X that the self-test takes.
    """
    loss = measure("int8", net, right, integers.predict(X), y)
    if loss.typical > NOTICEABLE:
        warnings.warn(
            f"{where}: quantize='int8' moves the outputs by {100 * loss.typical:.2g} % of their "
            "spread on X; columns of different size share one scale: bring them to one size before "
            "(StandardScaler, and export pipeline[-1] for scaled rows), or train on "
            "quantize='int8-weights', which keeps activations in float",
            stacklevel=4,
        )
    writer = _Int8Writer(name, net, integers)
    inputs = integers.input.stored(X[rows])
    outputs = integers.predict_int8(inputs)
    text = writer.header(function, SelfTest(inputs, outputs, 0.0), loss)
    header = CHeader(
        name, writer.parameter_bytes, writer.scratch, loss=loss, int8=integers,
        example=inputs[0], classes=bool(writer.classes),
    )  # fmt: skip
    return text, header


class _Int8Writer:
    """The parts of one header."""

    def __init__(self, name: str, net: Network, integers: Int8Network) -> None:
        self.name, self.net, self.integers = name, net, integers
        self.graph = integers.graph
        in_place = {
            step.output
            for step, op in zip(self.graph.steps, integers.ops, strict=True)
            if isinstance(op, IN_PLACE)
        }
        self.offsets, self.scratch = allocate(self.graph, in_place.__contains__, skip_output=True)
        self.classes = classes_function(name, net)
        self.functions: dict[str, str] = {}
        self.arrays: list[str] = []
        self.parameter_bytes = 0
        self.body: list[str] = []

    def header(self, function: str | None, test: SelfTest, loss: Loss) -> str:
        """The whole text."""
        for step, op in zip(self.graph.steps, self.integers.ops, strict=True):
            self.body.append(f"/* {step.path} {source.comment(str(step.layer))} */")
            _WRITERS[type(op)](self, step, op)
        if self.graph.output == INPUT:
            self.call("copy", "x", self.net.in_features, "out")
        guard, columns = self.name.upper(), self.net.out_features
        gives = 2 if function == "binary" else columns
        into, out = self.integers.input, self.integers.output
        sizes = (
            f"#define {guard}_INPUTS {self.net.in_features}\n#define {guard}_OUTPUTS {gives}\n"
            f"#define {guard}_INT8_OUTPUTS {columns}\n"
            f"#define {guard}_SCRATCH {max(1, self.scratch)}\n"
            "/* A number is SCALE * (integer - ZERO). */\n"
            f"#define @PREFIXINPUT_SCALE {source.literal(into.scale)}\n"
            f"#define @PREFIXINPUT_ZERO ({into.zero})\n"
            f"#define @PREFIXOUTPUT_SCALE {source.literal(out.scale)}\n"
            f"#define @PREFIXOUTPUT_ZERO ({out.zero})\n"
        )
        places = [f"int8_t *s{i} = scratch + {i};" for i in sorted({*self.offsets.values()})]
        unused = [] if places else ["(void)scratch;"]
        body = "\n".join(f"    {line}" for line in [*places, *unused, *self.body])
        parts = [
            self.filled(sizes),
            self.filled(source.PLACES),
            *self.arrays,
            *map(self.filled, self.functions.values()),
            self.filled(int8_source.PREDICT).replace("%BODY", body),
            self.wrapper(function),
            self.classes,
            self.main(function, test, loss),
        ]
        about = f"One row at a time, in 8-bit integers alone:\n       {self.name}_int8(x, out)"
        about += f"\n   {source.comment(str(loss))}"
        return guarded(self.name, self.net, about, "<stddef.h> <stdint.h> <string.h>", parts)

    def filled(self, text: str) -> str:
        """A text of int8_source with this header's names."""
        prefix = self.name.upper().removesuffix("PREDICT")
        text = text.replace("@GUARD", self.name.upper()).replace("@PREFIX", prefix)
        return text.replace("@", self.name)

    def wrapper(self, function: str | None) -> str:
        """The float function beside the integers."""
        into = self.integers.input
        finish = (
            "    for (i = 0; i < @GUARD_INT8_OUTPUTS; i++)\n"
            "        out[i] = @PREFIXOUTPUT_SCALE * (float)(got[i] - @PREFIXOUTPUT_ZERO);\n"
        )
        finish = (finish + FINISH[function]).rstrip("\n")
        needed = "softmax" if function == "softmax" else "sigmoid"
        helper = f"{source.FUNCTIONS[needed]}\n" if function else ""
        text = int8_source.WRAPPER.replace("@FINISH", finish).replace("@HELP", helper)
        text = text.replace("@INCLUDE", "#include <math.h>\n" if function else "")
        text = text.replace("@INVERSE", source.literal(1 / into.scale))
        return self.filled(text.replace("@SHIFTED", f"{into.zero + 128}.0"))

    def main(self, function: str | None, test: SelfTest, loss: Loss) -> str:
        """The self-test."""
        data = source.array(f"{self.name}_test_inputs", test.inputs)
        data += source.array(f"{self.name}_test_outputs", test.outputs)
        first = "@PREFIXOUTPUT_SCALE * (float)(out[0] - @PREFIXOUTPUT_ZERO)"
        different = "!(said[0] >= 0.0f)" if function else f"said[0] != {first}"
        note = f'    printf("%s\\n", {source.string(str(loss))});\n'
        text = (
            int8_source.MAIN.replace("@DIFFERENT", different)
            .replace("@DATA", data.rstrip("\n"))
            .replace("@NOTE", note)
        )
        return self.filled(text.replace("@ROWS", str(len(test.inputs))))

    # ---- what the steps use ----

    def value(self, number: int) -> str:
        """The C expression for the array that holds a value."""
        if number == self.graph.output:
            return "out"
        return "x" if number == INPUT else f"s{self.offsets[number]}"

    def call(self, name: str, *arguments: object) -> None:
        """A call of a function of int8_source, which the header will hold."""
        for needed in (*int8_source.NEEDS.get(name, ()), name):
            self.functions.setdefault(needed, int8_source.FUNCTIONS[needed])
        self.body.append(f"{self.name}_{name}({', '.join(map(str, arguments))});")

    def array(self, path: str, data: Array) -> str:
        """Adds a constant array, and returns its C name."""
        name = f"{self.name}_{path.replace('.', '_')}"
        self.arrays.append(self.filled(source.array(name, data)))
        self.parameter_bytes += data.nbytes
        return name


def _dense(to: _Int8Writer, step: Step, op: Dense) -> None:
    arrays = [
        to.array(f"{step.path}.{name}", getattr(op, name))
        for name in ("weight", "bias", "multiplier", "shift")
    ]
    outputs, inputs = op.weight.shape
    x, y = to.value(step.inputs[0]), to.value(step.output)
    to.call("dense", x, inputs, *arrays, op.zero, outputs, y)


def _table(to: _Int8Writer, step: Step, op: Table) -> None:
    entries = to.array(f"{step.path}.{_kind(step)}", op.entries)
    columns = to.graph.columns[step.output]
    to.call("table", to.value(step.inputs[0]), columns, entries, to.value(step.output))


def _kind(step: Step) -> str:
    return f"{step.kind.__name__.lower()}"


def _sum(to: _Int8Writer, step: Step, op: Sum) -> None:
    a, b = map(to.value, step.inputs)
    columns, y = to.graph.columns[step.output], to.value(step.output)
    (za, zb), (m, n) = op.zeros, op.multipliers
    to.call("sum", a, za, m, b, zb, n, op.shift, op.zero, columns, y)


def _blend(to: _Int8Writer, step: Step, op: Blend) -> None:
    t, f, x = map(to.value, step.inputs)
    columns, y = to.graph.columns[step.output], to.value(step.output)
    (zf, zx), (m, n) = op.zeros, op.multipliers
    to.call("blend", t, f, zf, m, x, zx, n, op.shift, op.zero, columns, y)


def _factors(to: _Int8Writer, step: Step, op: Factors) -> None:
    m, b = (to.array(f"{step.path}.{name}", getattr(op, name)) for name in ("multiplier", "bias"))
    x, y, columns = to.value(step.inputs[0]), to.value(step.output), to.graph.columns[step.output]
    to.call("factors", x, m, b, op.shift, columns, y)


def _join(to: _Int8Writer, step: Step, op: Join) -> None:
    at = 0
    for number, (value, table) in enumerate(zip(step.inputs, op.tables, strict=True)):
        x, columns = to.value(value), to.graph.columns[value]
        y = f"{to.value(step.output)} + {at}" if at else to.value(step.output)
        if table is None:
            to.call("copy", x, columns, y)
        else:
            entries = to.array(f"{step.path}.join{number}", table.entries)
            to.call("table", x, columns, entries, y)
        at += columns


_WRITERS: dict[type[Op], Callable[[_Int8Writer, Step, Any], None]] = {
    Dense: _dense,
    Table: _table,
    Sum: _sum,
    Blend: _blend,
    Factors: _factors,
    Join: _join,
}
