"""A whole table's model as one ONNX file: columns in, scaling, networks, answers with names out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from micrograd import __version__, checks
from micrograd.atomic import write_bytes
from micrograd.convert.checks import Path, check_network, check_of_table
from micrograd.convert.onnx.network import IR_VERSION, OPSET, network_model
from micrograd.network.network import Network
from micrograd.tabular.column import (
    CATEGORY,
    CLIP,
    DATE,
    DAY,
    NUMBER,
    PERIODS,
    YES_NO,
    Column,
)
from micrograd.tabular.schema import Schema

ML_OPSET = 3  # of ai.onnx.ml: LabelEncoder


def table_to_onnx(
    nets: Network | Sequence[Network],
    schema: Schema,
    path: Path,
    *,
    temperature: float = 1.0,
    clamp: bool = False,
) -> None:
    """Writes networks and the schema of their table to one ONNX file.

    There is an input for each feature, named as its column, (batch, 1): double for a number (NaN
    where it is missing) and for a date (seconds since 1970-01-01T00:00 UTC), string for a category
    and for yes or no, spelled as in the training table ("" where it is missing). Columns are scaled
    in double, so that one far from zero keeps its digits, and the networks run in float.

    Outputs: for classes "label" (batch,), strings, and "probabilities" (batch, classes), the mean
    over the networks; else "prediction" (batch, targets), double, in the units of the table.

    Args:
        nets: one network or several, whose inputs are what schema.transform gives.
        schema: of the table.
        path: the file to write; it is there whole or not at all.
        temperature: of the probabilities: logits are divided by it.
        clamp: hold predictions within what the training rows had.

    Raises:
        ImportError: the onnx package is not installed.
        TypeError, ValueError: a network cannot be written, or does not fit the schema.

    >>> frame = {"area": [50.0, 70.0, 90.0], "price": [1.0, 1.4, 1.8]}
    >>> schema = mg.tabular.Schema.infer(frame, target="price")
    >>> houses = mg.Network(mg.Linear(schema.transform(frame).shape[1], 1), loss="mse")
    >>> mg.convert.table_to_onnx(houses, schema, "houses.onnx")
    """
    onnx = checks.require("table_to_onnx", "onnx", "onnx", "onnx")
    members = [nets] if isinstance(nets, Network) else list(nets)
    for net in members:
        check_network("table_to_onnx", net)
        check_of_table("table_to_onnx", net)
        if net.in_features != len(schema.encoded_names):
            raise ValueError(
                f"table_to_onnx: the network takes {net.in_features} numbers, the schema makes "
                f"{len(schema.encoded_names)}; give the schema that it was trained with"
            )
    builder = _Table(onnx, schema)
    encoded = builder.encode()
    outputs = [builder.network(net, f"member {i} ", encoded) for i, net in enumerate(members)]
    ends = builder.answers(outputs, temperature, clamp)
    model = builder.model(ends)
    onnx.checker.check_model(model, full_check=True)
    write_bytes(path, model.SerializeToString())


class _Table:
    """Nodes, initializers and inputs of the file."""

    def __init__(self, onnx: Any, schema: Schema) -> None:
        self.onnx, self.schema = onnx, schema
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs: list[Any] = []
        self.count = 0

    def node(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Appends a node with one output, and returns the name of that."""
        self.count += 1
        output = output or f"{op.lower()} {self.count}"
        self.nodes.append(self.onnx.helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def constant(self, data: Any, kind: Any = np.float64) -> str:
        """The name of an initializer."""
        self.count += 1
        name = f"constant {self.count}"
        if kind is object:
            texts = [text.encode() for text in data]
            string = self.onnx.TensorProto.STRING
            self.initializers.append(
                self.onnx.helper.make_tensor(name, string, [len(texts)], texts)
            )
        else:
            array = np.asarray(data, kind)
            self.initializers.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def cast(self, value: str, kind: str) -> str:
        """The value in another type, "FLOAT" or "DOUBLE"."""
        return self.node("Cast", [value], to=getattr(self.onnx.TensorProto, kind))

    # ---- columns ----

    def encode(self) -> str:
        """What Schema.transform gives, in float."""
        numbers: list[str] = []
        flags: list[str] = []
        codes: list[str] = []
        for column in self.schema.features:
            text = column.kind in (CATEGORY, YES_NO)
            element = self.onnx.TensorProto.STRING if text else self.onnx.TensorProto.DOUBLE
            self.inputs.append(
                self.onnx.helper.make_tensor_value_info(column.name, element, ["batch", 1])
            )
            if column.kind == CATEGORY:
                (codes if column.embedded else flags).append(self.category(column))
            elif column.kind == YES_NO:
                flags += self.yes_no(column)
            else:
                numbers.append(self.numbers(column))
                if column.missing:
                    flags.append(self.cast(self.node("IsNaN", [column.name]), "FLOAT"))
        return self.node("Concat", [*numbers, *flags, *codes], "encoded", axis=1)

    def numbers(self, column: Column) -> str:
        """The numbers of a column on their scale, (batch, numbers), 0 where there is none."""
        values = column.name if column.kind == NUMBER else self.dates(column)
        centred = self.node("Sub", [values, self.constant([column.centre])])
        z = self.node("Mul", [centred, self.constant([column.scale])])
        if column.clip:
            third = self.node("Div", [z, self.constant(CLIP)])
            square = self.node("Add", [self.constant(1.0), self.node("Mul", [third, third])])
            z = self.node("Div", [z, self.node("Sqrt", [square])])
        missing = self.node("IsNaN", [column.name])
        return self.cast(self.node("Where", [missing, self.constant(0.0), z]), "FLOAT")

    def dates(self, column: Column) -> str:
        """Days, and sine and cosine of what comes again, (batch, numbers)."""
        assert column.kind == DATE
        days = self.node("Div", [column.name, self.constant(DAY)])
        parts = []
        for part in column.parts:
            if part == "days":
                parts.append(days)
                continue
            turns = self.node("Div", [days, self.constant(PERIODS[part])])
            rest = self.node("Sub", [turns, self.node("Floor", [turns])])
            angle = self.cast(self.node("Mul", [rest, self.constant(2 * np.pi)]), "FLOAT")
            parts += [self.cast(self.node(op, [angle]), "DOUBLE") for op in ("Sin", "Cos")]
        return self.node("Concat", parts, axis=1)

    def category(self, column: Column) -> str:
        """A flag for each category, (batch, categories), or the code, (batch, 1), if embedded."""
        codes = self.node(
            "LabelEncoder", [column.name], domain="ai.onnx.ml", keys_strings=column.categories,
            values_int64s=list(range(len(column.categories))), default_int64=-1,
        )  # fmt: skip
        if column.embedded:
            return self.cast(codes, "FLOAT")
        known = self.constant([list(range(len(column.categories)))], np.int64)
        return self.cast(self.node("Equal", [codes, known]), "FLOAT")

    def yes_no(self, column: Column) -> list[str]:
        """1 for yes, -1 for no, 0 for a missing one, NaN for another word; then the flag."""
        spelled = column.meanings()
        code = self.node(
            "LabelEncoder", [column.name], domain="ai.onnx.ml", keys_strings=list(spelled),
            values_floats=list(spelled.values()), default_float=float("nan"),
        )  # fmt: skip
        if not column.missing:
            return [code]
        missing = self.node("Equal", [code, self.constant(0.0, np.float32)])
        return [code, self.cast(missing, "FLOAT")]

    # ---- networks and answers ----

    def network(self, net: Network, prefix: str, encoded: str) -> str:
        """The nodes of a network over the encoded columns; the name of its output."""
        made = self.onnx.compose.add_prefix(network_model(net), prefix)
        graph = made.graph
        source = encoded
        if net.dtype == "float64":
            source = self.cast(encoded, "DOUBLE")
        self.node("Identity", [source], graph.input[0].name)
        self.nodes += list(graph.node)
        self.initializers += list(graph.initializer)
        output: str = graph.output[0].name
        return self.cast(output, "DOUBLE")

    def answers(self, outputs: Sequence[str], temperature: float, clamp: bool) -> list[Any]:
        """The outputs of the file."""
        helper, kinds = self.onnx.helper, self.onnx.TensorProto
        targets = self.schema.targets
        if targets[0].classes:
            scaled = [self.node("Div", [z, self.constant(temperature)]) for z in outputs]
            each = [self.node("Softmax", [z], axis=1) for z in scaled]
            mean = self.mean(each)
            self.node("Cast", [mean], "probabilities", to=kinds.FLOAT)
            best = self.node("ArgMax", ["probabilities"], axis=1, keepdims=0)
            self.node("Gather", [self.constant(targets[0].classes, object), best], "label")
            return [
                helper.make_tensor_value_info("label", kinds.STRING, ["batch"]),
                helper.make_tensor_value_info(
                    "probabilities", kinds.FLOAT, ["batch", len(targets[0].classes)]
                ),
            ]
        scale = self.constant([[target.scale for target in targets]])
        centre = self.constant([[target.centre for target in targets]])
        result = self.node("Add", [self.node("Mul", [self.mean(outputs), scale]), centre])
        if clamp:
            least = self.constant([[target.least for target in targets]])
            most = self.constant([[target.most for target in targets]])
            result = self.node("Min", [self.node("Max", [result, least]), most])
        self.node("Identity", [result], "prediction")
        return [helper.make_tensor_value_info("prediction", kinds.DOUBLE, ["batch", len(targets)])]

    def mean(self, values: Sequence[str]) -> str:
        """The mean of values of one shape."""
        total = values[0]
        for value in values[1:]:
            total = self.node("Add", [total, value])
        return self.node("Div", [total, self.constant(float(len(values)))])

    def model(self, ends: list[Any]) -> Any:
        """The file."""
        helper = self.onnx.helper
        graph = helper.make_graph(self.nodes, "table", self.inputs, ends, self.initializers)
        return helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET),
            ],
            ir_version=IR_VERSION,
            producer_name="micrograd",
            producer_version=__version__,
            doc_string=str(self.schema),
        )  # fmt: skip


def onnx_inputs(schema: Schema, data: Any) -> dict[str, Any]:
    """What the file's inputs are for a table, by name: for onnxruntime's session.run.

    Args:
        schema: that the file was written with.
        data: a table as for Schema.transform.

    Returns:
        Arrays (rows, 1): float64 for numbers and dates, object (strings) for words.

    >>> frame = {"area": [50.0, 70.0, 90.0], "price": [1.0, 1.4, 1.8]}
    >>> schema = mg.tabular.Schema.infer(frame, target="price")
    >>> mg.convert.onnx_inputs(schema, frame)["area"].shape
    (3, 1)
    """
    frame = schema.align(data)
    return {column.name: column.inputs(frame)[:, None] for column in schema.features}
