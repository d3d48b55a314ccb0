"""Layers lowered to a graph.

    layers  --lowering-->  graph  --reverse-->  ops, forward and backward  --storage-->  plan

Graphs are made for one of three purposes:

    training    an activation is fused into the Linear before it, and so is the sum of a Residual
    explaining  nothing is fused, so that z and a can both be read; the same kernels run in the same
                order, and give the same bits
    predicting  as training, without dropout, and nothing is kept for a backward pass
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from micrograd.network.blocks import DenseBlock, Highway, Residual, unnest
from micrograd.network.columns import Columnwise
from micrograd.network.graph import CONCAT, Graph, Node, Step
from micrograd.network.initial import Start
from micrograd.network.layers import (
    Activation,
    Dropout,
    Identity,
    Layer,
    Linear,
    Map,
    Sigmoid,
    Softmax,
)

if TYPE_CHECKING:
    from micrograd.program.network_op import ScalarOp

Purpose = Literal["training", "explaining", "predicting"]
Nested = Generator[Any, Any, int]  # a value, found by going into a block: see blocks.unnest


class _Lowering:
    """Walks the layers once, appending nodes."""

    def __init__(
        self,
        purpose: Purpose,
        starts: Sequence[Start],
        programs: Mapping[str, ScalarOp],
        isolate: bool,
    ) -> None:
        self.programs = programs
        self.offsets: dict[str, int] = {}  # of each parameter, by its name
        at = 0
        for start in starts:
            for name, shape in start.shapes():
                self.offsets[name] = at
                at += math.prod(shape)
        self.first_scalar = at
        self.purpose = purpose
        self.fuses = purpose != "explaining"
        self.isolate = isolate
        self.graph = Graph()
        self.made_in: list[int] = []  # the stage of each value
        self.streams = 0

    def value(self, columns: int) -> int:
        self.graph.columns.append(columns)
        self.made_in.append(len(self.graph.stages) - 1)
        return len(self.graph.columns) - 1

    def append(self, kind: str, inputs: list[int], columns: int) -> Node:
        node = Node(kind, inputs, self.value(columns), len(self.graph.stages) - 1)
        self.graph.nodes.append(node)
        return node

    def add_step(self, z: int, a: int, layer: Layer) -> None:
        """An activation: the a of the step that made z, or a step without a Linear."""
        steps = self.graph.steps
        if steps and steps[-1].a == z == steps[-1].z:
            steps[-1].a, steps[-1].activation = a, layer
        else:
            steps.append(Step(z, a, None, layer))

    # ---- sequences ----

    def network(self, layers: Sequence[Layer], in_features: int) -> Graph:
        x = self.value(in_features)
        self.graph.output = unnest(self.sequence(layers, x, "", top=True))
        return self.graph

    def sequence(
        self, layers: Sequence[Layer], x: int, prefix: str, first: int = 0, top: bool = False
    ) -> Nested:
        """The value that these layers make of x; `first` is the number of the first one."""
        real = [(i, layer) for i, layer in enumerate(layers, first) if self.does_something(layer)]
        position = 0
        while position < len(real):
            index, layer = real[position]
            position += 1
            if top:
                self.graph.stages.append(str(layer))
            if isinstance(layer, Linear) and position < len(real):
                after = real[position][1]
                if self.fuses and isinstance(after, Activation):
                    position += 1
                    x = self.linear(layer, f"{prefix}{index}", x, after)
                    continue
            x = yield _lowered_by(layer)(self, layer, f"{prefix}{index}", x)
        return x

    def does_something(self, layer: Layer) -> bool:
        if isinstance(layer, Dropout):
            return layer.p > 0 and self.purpose != "predicting"
        return not isinstance(layer, Identity)

    # ---- layers ----

    def linear(self, layer: Linear, path: str, x: int, activation: Activation | None = None) -> int:
        node = self.append("linear", [x], layer.out_features)
        node.weight = self.offsets[f"{path}.weight"]
        node.bias = self.offsets.get(f"{path}.bias", -1)
        step = Step(node.output, node.output, path)
        if activation is not None:
            node.activation = step.activation = activation
            node.reference = node.output
            if activation.derivative_from_input and self.purpose == "training":
                node.reference = node.kept = self.value(layer.out_features)
        self.graph.steps.append(step)
        return node.output

    def activation(self, layer: Activation, path: str, x: int) -> int:
        node = self.append("activate", [x], self.graph.columns[x])
        node.activation = layer
        node.reference = x if layer.derivative_from_input else node.output
        self.add_step(x, node.output, layer)
        return node.output

    def softmax(self, layer: Softmax, path: str, x: int) -> int:
        node = self.append("softmax", [x], self.graph.columns[x])
        self.add_step(x, node.output, layer)
        return node.output

    def map(self, layer: Map, path: str, x: int) -> int:
        node = self.append("map", [x], self.graph.columns[x])
        node.program = self.programs[path]
        if node.program.n_parameters:
            node.first_parameter = self.first_scalar
        self.add_step(x, node.output, layer)
        return node.output

    def dropout(self, layer: Dropout, path: str, x: int) -> int:
        node = self.append("dropout", [x], self.graph.columns[x])
        node.rate, node.stream = layer.p, self.streams
        self.streams += 1
        return node.output

    def columnwise(self, layer: Columnwise, path: str, x: int) -> int:
        node = self.append("columns", [x], layer.gives(self.graph.columns[x]))
        node.columnwise = layer
        firsts = layer.firsts(False)
        if firsts:
            node.weight = self.offsets[f"{path}.{firsts[0].name}"]
        self.graph.steps.append(Step(node.output, node.output, path))
        return node.output

    # ---- blocks ----

    def residual(self, layer: Residual, path: str, x: int) -> Nested:
        y: int = yield self.sequence(layer.layers, x, f"{path}.")
        if layer.projection:
            out = self.linear(layer.extra()["projection"], f"{path}.projection", x)
            self.graph.nodes[-1].inputs.append(y)
            return out
        node = self.graph.nodes[-1] if self.graph.nodes else None
        if (
            node
            and node.output == y
            and y != x
            and y not in self.graph.placed
            and self.takes_a_sum(node)
        ):
            node.inputs.append(x)
            return y
        return self.append("add", [y, x], self.graph.columns[x]).output

    def takes_a_sum(self, node: Node) -> bool:
        """Whether x can be added in the epilogue of the multiplication that makes this node.

        The derivative of the activation must not want f(z), which only the sum is left of then:
        some can do with z instead.
        """
        if node.kind != "linear" or len(node.inputs) > 1 or not self.fuses:
            return False
        if self.purpose == "predicting" or node.activation is None or node.kept >= 0:
            return True
        if node.activation.from_either:
            node.reference = node.kept = self.value(self.graph.columns[node.output])
            return True
        return False

    def highway(self, layer: Highway, path: str, x: int) -> Nested:
        h = yield self.sequence(layer.layers, x, f"{path}.")
        t = self.linear(layer.extra()["gate"], f"{path}.gate", x, Sigmoid())
        if not self.fuses:
            gate = self.graph.nodes[-1]
            gate.kept = self.value(self.graph.columns[t])
            self.graph.steps[-1].z = gate.kept
        return self.append("mix", [h, t, x], self.graph.columns[x]).output

    def dense(self, layer: DenseBlock, path: str, x: int) -> Nested:
        first = 0
        for group in layer.groups():
            y = yield self.sequence(group, x, f"{path}.", first)
            x = self.concatenate(x, y)
            first += len(group)
        return x

    def concatenate(self, x: int, y: int) -> int:
        parts = [self.movable(x)]
        parts.append(self.copy(y) if y == parts[0] else self.movable(y))
        columns = [self.graph.columns[part] for part in parts]
        out = self.append(CONCAT, parts, sum(columns)).output
        self.graph.placed[parts[0]] = out, 0
        self.graph.placed[parts[1]] = out, columns[0]
        return out

    def movable(self, value: int) -> int:
        """The value if it can still be placed, else a copy of it, soon to be placed."""
        elsewhere = self.isolate and self.made_in[value] != len(self.graph.stages) - 1
        if value != 0 and value not in self.graph.placed and not elsewhere:
            return value
        return self.copy(value)

    def copy(self, value: int) -> int:
        return self.append("activate", [value], self.graph.columns[value]).output


# How each kind of layer is lowered: (lowering, layer, path, value) -> value, or a generator of it.
_LOWERED: dict[type[Layer], Callable[..., int | Nested]] = {
    Linear: _Lowering.linear,
    Activation: _Lowering.activation,
    Softmax: _Lowering.softmax,
    Map: _Lowering.map,
    Dropout: _Lowering.dropout,
    Columnwise: _Lowering.columnwise,
    Residual: _Lowering.residual,
    Highway: _Lowering.highway,
    DenseBlock: _Lowering.dense,
}


def _lowered_by(layer: Layer) -> Callable[..., int | Nested]:
    for kind in type(layer).__mro__:
        if kind in _LOWERED:
            return _LOWERED[kind]
    raise TypeError(f"Network: {layer} is of a kind that cannot be lowered to the C core")


def lower(
    layers: Sequence[Layer],
    in_features: int,
    starts: Sequence[Start],
    purpose: Purpose,
    programs: Mapping[str, ScalarOp],
    isolate: bool = False,
) -> Graph:
    """The graph of these layers; see the module's docstring for `purpose`.

    starts: the network's parameters in their order, but for those of programs, which come behind
    them; programs: that of each Map, by its path; isolate: no value of one stage is placed in one
    of another, so that stages can be computed again one by one.
    """
    return _Lowering(purpose, starts, programs, isolate).network(layers, in_features)
