"""To ONNX: a file that onnxruntime and other runtimes run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from micrograd import __version__, checks
from micrograd.atomic import write_bytes
from micrograd.convert.checks import (
    Path,
    check_network,
    finite_parameters,
    leaves_of,
    probability_function,
)
from micrograd.convert.onnx.scalar import Scalar, gelu, write_function
from micrograd.convert.scalar_function import scalar_function
from micrograd.convert.steps import Add, Concat, Gate, Graph, Step, graph_of, writer_of
from micrograd.core import Array
from micrograd.network import layers
from micrograd.network.network import Network

OPSET, IR_VERSION = 17, 8  # of ONNX 1.12: what runtimes since 2022 read
LARGEST = 2**31 - 2**20  # bytes: protobuf ends at 2 GiB


def to_onnx(net: Network, path: Path, *, probabilities: bool = False) -> None:
    """Writes the network, as `predict` computes it, to an ONNX file.

    Its input is "X" (batch, in_features), with a batch of any size, in the network's dtype. Its
    output is (batch, out_features) and named "logits" for the losses cross_entropy and bce,
    "output" for the others.

    In float64, GELU rounds to float32 inside: onnxruntime has its Erf in that dtype alone.

    Args:
        net: the network, dtype float32 or float64.
        path: the file to write; it is there whole or not at all.
        probabilities: the output goes through softmax (cross_entropy) or sigmoid (bce) and is named
            "probabilities".

    Raises:
        ImportError: the onnx package is not installed.
        TypeError: net is no Network, or a layer has no form in ONNX.
        ValueError: a parameter is not finite, there are 2 GiB of them, or the loss has no
            probabilities.
        OSError: the file cannot be written.
    """
    onnx = checks.require("to_onnx", "onnx", "onnx", "onnx")
    check_network("to_onnx", net)
    function = probability_function("to_onnx", net) if probabilities else None
    if net.parameters().flat.nbytes > LARGEST:
        raise ValueError(
            f"to_onnx: {net.parameters().flat.nbytes} bytes of parameters, but an ONNX file "
            "has at most 2 GiB"
        )
    model = _Builder(onnx, net).model(function)
    onnx.checker.check_model(model, full_check=True)
    write_bytes(path, model.SerializeToString())


def network_model(net: Network) -> Any:
    """The file of a network as an onnx.ModelProto, with its raw outputs: a part of a larger one."""
    return _Builder(checks.require("to_onnx", "onnx", "onnx", "onnx"), net).model(None)


class _Builder:
    """Nodes and initializers of the file; each value has a name."""

    def __init__(self, onnx: Any, net: Network) -> None:
        self.onnx = onnx
        self.net = net
        self.dtype = np.dtype(net.dtype)
        self.element = onnx.helper.np_dtype_to_tensor_dtype(self.dtype)
        self.parameters = finite_parameters("to_onnx", net, net.dtype)
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.names: dict[int, str] = {0: "X"}  # of the graph's values

    def model(self, function: str | None) -> Any:
        helper, net = self.onnx.helper, self.net
        graph = graph_of("to_onnx", net)
        for step in graph.steps:
            self.write(graph, step)
        result = self.names[graph.output]
        if function == "softmax":
            self.node("Softmax", [result], "probabilities", axis=1)
        elif function == "sigmoid":
            self.node("Sigmoid", [result], "probabilities")
        else:
            self.node("Identity", [result], "logits" if net.loss_kind.output else "output")
        ends = [
            helper.make_tensor_value_info(name, self.element, ["batch", columns])
            for name, columns in (
                ("X", net.in_features),
                (self.nodes[-1].output[0], net.out_features),
            )
        ]
        made = helper.make_graph(
            self.nodes, "network", ends[:1], ends[1:], list(self.initializers.values())
        )
        return helper.make_model(
            made,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="micrograd",
            producer_version=__version__,
            doc_string=repr(net),
        )

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

    def constant(self, data: Array | float, name: str | None = None) -> str:
        """The name of an initializer; without a name a number, of which there is one each."""
        array = np.asarray(data, self.dtype)
        name = name or f"number {float(array)!r}"
        if name not in self.initializers:
            self.initializers[name] = self.onnx.numpy_helper.from_array(array, name)
        return name


def _linear(to: _Builder, step: Step, x: str) -> str:
    names = [name for name in (f"{step.path}.weight", f"{step.path}.bias") if name in to.parameters]
    inputs = [x, *(to.constant(to.parameters[name], name) for name in names)]
    return to.node("Gemm", inputs, f"{step.path} Linear", transB=1)


def _leaky_relu(to: _Builder, step: Step, x: str) -> str:
    assert isinstance(step.layer, layers.LeakyReLU)
    slope = step.layer.slope
    if to.dtype == np.float32:
        return to.node("LeakyRelu", [x], f"{step.path} LeakyRelu", alpha=slope)
    # an attribute is a float32 always, PRelu has its slope as a tensor
    return to.node("PRelu", [x, to.constant(slope)], f"{step.path} PRelu")


def _gelu(to: _Builder, step: Step, x: str) -> str:
    return gelu(Scalar(to, f"{step.path} GELU"), x)


def _map(to: _Builder, step: Step, x: str) -> str:
    assert isinstance(step.layer, layers.Map)
    leaves, parameters = leaves_of(to.net)
    function = scalar_function(step.layer.f, leaves, [p.data.item() for p in parameters])
    return write_function(to, f"{step.path} Map", function, x)


def _softmax(to: _Builder, step: Step, x: str) -> str:
    return to.node("Softmax", [x], f"{step.path} Softmax", axis=1)


def _gate(to: _Builder, step: Step, t: str, f: str, x: str) -> str:
    path = step.path
    transformed = to.node("Mul", [t, f], f"{path} transformed")
    rest = to.node("Sub", [to.constant(1.0), t], f"{path} rest")
    carried = to.node("Mul", [rest, x], f"{path} carried")
    return to.node("Add", [transformed, carried], f"{path} Highway")


def _concat(to: _Builder, step: Step, *inputs: str) -> str:
    return to.node("Concat", list(inputs), f"{step.path} Concat", axis=1)


def _op(name: str) -> Callable[..., str]:
    """A step that is one op without attributes."""

    def write(to: _Builder, step: Step, *inputs: str) -> str:
        return to.node(name, list(inputs), f"{step.path} {name}")

    return write


TABLE: dict[type, Callable[..., str]] = {
    layers.Linear: _linear,
    layers.ReLU: _op("Relu"),
    layers.LeakyReLU: _leaky_relu,
    layers.Sigmoid: _op("Sigmoid"),
    layers.Tanh: _op("Tanh"),
    layers.GELU: _gelu,
    layers.Softmax: _softmax,
    layers.Map: _map,
    Add: _op("Add"),
    Gate: _gate,
    Concat: _concat,
}
