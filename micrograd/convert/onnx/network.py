"""The nodes and initializers of a network as ONNX has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from micrograd import __version__, checks
from micrograd.convert.checks import (
    finite_parameters,
    leaves_of,
)
from micrograd.convert.models import class_names
from micrograd.convert.onnx import columns
from micrograd.convert.onnx.scalar import (
    Scalar,
    elu,
    gelu,
    mish,
    silu,
    softplus,
    write_function,
)
from micrograd.convert.scalar_function import scalar_function
from micrograd.convert.steps import INPUT, Add, Concat, Gate, Graph, Step, graph_of, writer_of
from micrograd.core import Array
from micrograd.network import layers
from micrograd.network.columns import Embedding, Parametric, Periodic, PiecewiseLinear, Scale
from micrograd.network.network import Network
from micrograd.tabular.schema import Schema

OPSET, IR_VERSION = 17, 8  # of ONNX 1.12: what runtimes since 2022 read


def network_model(net: Network) -> Any:
    """The file of a network as an onnx.ModelProto, with its raw outputs: a part of a larger one."""
    return Builder(checks.require("to_onnx", "onnx", "onnx", "onnx"), net, None).model(None)


class Builder:
    """Nodes and initializers of the file; each value has a name."""

    def __init__(self, onnx: Any, net: Network, schema: Schema | None) -> None:
        self.onnx = onnx
        self.net = net
        self.schema = schema
        self.dtype = np.dtype(net.dtype)
        self.element = onnx.helper.np_dtype_to_tensor_dtype(self.dtype)
        self.parameters = finite_parameters("to_onnx", net, net.dtype)
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.names: dict[int, str] = {0: "X"}  # of the graph's values

    def model(self, function: str | None) -> Any:
        helper, net = self.onnx.helper, self.net
        graph = graph_of("to_onnx", net)
        element = self.element
        if self.schema is not None:
            self.names[INPUT] = self.scaled(self.schema)
            element = self.onnx.TensorProto.DOUBLE
        for step in graph.steps:
            self.write(graph, step)
        result = self.names[graph.output]
        if function == "softmax":
            self.node("Softmax", [result], "probabilities", axis=1)
        elif function == "sigmoid":
            self.node("Sigmoid", [result], "probabilities")
        elif function == "binary":
            self.node("Neg", [result], "other class")
            self.node("Concat", ["other class", result], "both classes", axis=1)
            self.node("Sigmoid", ["both classes"], "probabilities")
        else:
            self.node("Identity", [result], "logits" if net.loss_kind.output else "output")
        ends = [
            helper.make_tensor_value_info(name, kind, ["batch", columns])
            for name, kind, columns in (
                ("X", element, net.in_features),
                (
                    self.nodes[-1].output[0],
                    self.element,
                    2 if function == "binary" else net.out_features,
                ),
            )
        ]
        made = helper.make_graph(
            self.nodes, "network", ends[:1], ends[1:], list(self.initializers.values())
        )
        model = helper.make_model(
            made,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="micrograd",
            producer_version=__version__,
            doc_string=repr(net),
        )
        names = class_names(net)
        if names:
            helper.set_model_props(model, {"classes": json.dumps(names, ensure_ascii=False)})
        return model

    def scaled(self, schema: Schema) -> str:
        """The rows on their scale, centred in double: columns far from zero keep their digits."""
        constants = []
        for name, values in (
            ("centre", [c.centre for c in schema.features]),
            ("scale", [c.scale for c in schema.features]),
        ):
            array = np.array(values, np.float64).reshape(1, -1)
            self.initializers[name] = self.onnx.numpy_helper.from_array(array, name)
            constants.append(name)
        centred = self.node("Sub", ["X", constants[0]], "centred rows")
        rows = self.node("Mul", [centred, constants[1]], "scaled rows")
        return self.node("Cast", [rows], "rows", to=self.element)

    def write(self, graph: Graph, step: Step) -> None:
        """Appends the nodes of one step."""
        writer = writer_of("to_onnx", TABLE, step)
        self.names[step.output] = writer(self, step, *[self.names[i] for i in step.inputs])

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Appends a node with one output, and returns the name of that."""
        name = None if output in ("logits", "output", "probabilities") else output
        made = self.onnx.helper.make_node(op, inputs, [output], name=name, **attributes)
        self.nodes.append(made)
        return output

    def integers(self, values: list[int], name: str) -> str:
        """The name of an initializer of int64."""
        if name not in self.initializers:
            array = np.array(values, np.int64)
            self.initializers[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def constant(self, data: Array | float, name: str | None = None) -> str:
        """The name of an initializer; without a name a number, of which there is one each."""
        array = np.asarray(data, self.dtype)
        name = name or f"number {float(array)!r}"
        if name not in self.initializers:
            self.initializers[name] = self.onnx.numpy_helper.from_array(array, name)
        return name


def _linear(to: Builder, step: Step, x: str) -> str:
    names = [name for name in (f"{step.path}.weight", f"{step.path}.bias") if name in to.parameters]
    inputs = [x, *(to.constant(to.parameters[name], name) for name in names)]
    return to.node("Gemm", inputs, f"{step.path} Linear", transB=1)


def _leaky_relu(to: Builder, step: Step, x: str) -> str:
    assert isinstance(step.layer, layers.LeakyReLU)
    slope = step.layer.slope
    if to.dtype == np.float32:
        return to.node("LeakyRelu", [x], f"{step.path} LeakyRelu", alpha=slope)
    # an attribute is a float32 always, PRelu has its slope as a tensor
    return to.node("PRelu", [x, to.constant(slope)], f"{step.path} PRelu")


def _composed(write: Callable[[Scalar, str], str]) -> Callable[..., str]:
    """An activation that is written as several ops."""

    def written(to: Builder, step: Step, x: str) -> str:
        return write(Scalar(to, f"{step.path} {type(step.layer).__name__}"), x)

    return written


def _elu(to: Builder, step: Step, x: str) -> str:
    assert isinstance(step.layer, layers.ELU)
    return elu(Scalar(to, f"{step.path} ELU"), x, step.layer.alpha)


def _map(to: Builder, step: Step, x: str) -> str:
    assert isinstance(step.layer, layers.Map)
    leaves, parameters = leaves_of(to.net)
    function = scalar_function(step.layer.f, leaves, [p.data.item() for p in parameters])
    return write_function(to, f"{step.path} Map", function, x)


def _softmax(to: Builder, step: Step, x: str) -> str:
    return to.node("Softmax", [x], f"{step.path} Softmax", axis=1)


def _gate(to: Builder, step: Step, t: str, f: str, x: str) -> str:
    path = step.path
    transformed = to.node("Mul", [t, f], f"{path} transformed")
    rest = to.node("Sub", [to.constant(1.0), t], f"{path} rest")
    carried = to.node("Mul", [rest, x], f"{path} carried")
    return to.node("Add", [transformed, carried], f"{path} Highway")


def _concat(to: Builder, step: Step, *inputs: str) -> str:
    return to.node("Concat", list(inputs), f"{step.path} Concat", axis=1)


def _op(name: str) -> Callable[..., str]:
    """A step that is one op without attributes."""

    def write(to: Builder, step: Step, *inputs: str) -> str:
        return to.node(name, list(inputs), f"{step.path} {name}")

    return write


def _parametric(to: Builder, step: Step, x: str) -> str:
    assert isinstance(step.layer, Parametric)
    inner = replace(step, layer=step.layer.activation, path=f"{step.path}.activation")
    bent = to.node("Sub", [TABLE[type(inner.layer)](to, inner, x), x], f"{step.path} bent")
    name = f"{step.path}.weight"
    bent = to.node("Mul", [bent, to.constant(to.parameters[name], name)], f"{step.path} scaled")
    return to.node("Add", [x, bent], f"{step.path} Parametric")


TABLE: dict[type, Callable[..., str]] = {
    layers.Linear: _linear,
    layers.ReLU: _op("Relu"),
    layers.LeakyReLU: _leaky_relu,
    layers.Sigmoid: _op("Sigmoid"),
    layers.Tanh: _op("Tanh"),
    layers.GELU: _composed(gelu),
    layers.SiLU: _composed(silu),
    layers.Softplus: _composed(softplus),
    layers.ELU: _elu,
    layers.SELU: _composed(lambda to, x: elu(to, x, layers.SELU_ALPHA, layers.SELU_SCALE)),
    layers.Mish: _composed(mish),
    layers.Softmax: _softmax,
    Scale: columns.scale,
    Parametric: _parametric,
    Periodic: columns.periodic,
    PiecewiseLinear: columns.piecewise,
    Embedding: columns.embedding,
    layers.Map: _map,
    Add: _op("Add"),
    Gate: _gate,
    Concat: _concat,
}
