"""Layers lowered to a graph: a flat list of nodes, each of which makes one matrix of a batch.

    layers  --lowering-->  graph  --passes-->  ops, forward and backward  --storage-->  plan

A value is a matrix (rows, columns) that a node makes; value 0 is the network's input.  What a
concatenation makes is not copied together: its parts are placed in it, and who makes them writes
them there.  Graphs are made for one of three purposes:

    training    an activation is fused into the Linear before it, and so is the sum of a Residual
    explaining  nothing is fused, so that z and a can both be read; the same kernels run in the same
                order, and give the same bits
    predicting  as training, without dropout, and nothing is kept for a backward pass
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from micrograd.core import lib
from micrograd.network.blocks import Block, DenseBlock, Highway, Residual
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
from micrograd.program.network_op import ScalarOp

Purpose = Literal["training", "explaining", "predicting"]

CONCAT = -1  # a node that runs nothing: its inputs lie in its output


@dataclass
class Node:
    """`output` made of `inputs`; kinds and functions are those of mg_op in csrc/micrograd.h.

    A Linear may have a second input, which is added to f(z), and keeps z as well where `kept` says
    so. `reference` is what f's derivative is computed from, -1 where there is no f.
    """

    kind: int
    inputs: list[int]
    output: int
    stage: int
    function: int = lib.MG_IDENTITY
    slope: float = 0.0
    kept: int = -1
    reference: int = -1
    weight: int = -1
    bias: int = -1
    stream: int = 0
    rate: float = 0.0  # of a dropout
    program: ScalarOp | None = None
    first_parameter: int = -1  # of the program, if it has any


@dataclass
class Step:
    """One pair z^[l], a^[l] of the documents, and the path of the Linear that made z."""

    z: int
    a: int
    path: str | None


@dataclass
class Graph:
    """Nodes in the order in which they run, and the values between them."""

    nodes: list[Node] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)  # of each value
    placed: dict[int, tuple[int, int]] = field(default_factory=dict)  # value: in which, from where
    output: int = 0
    stages: list[str] = field(default_factory=list)  # the top-level layers, activations fused
    steps: list[Step] = field(default_factory=list)

    def place(self, value: int) -> tuple[int, int]:
        """The value that this one lies in, which itself lies in no other, and the first column."""
        offset = 0
        while value in self.placed:
            value, first = self.placed[value]
            offset += first
        return value, offset


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
        self.offsets: dict[str, tuple[int, int]] = {}  # of W and b, by the path of their Linear
        at = 0
        for start in starts:
            weight = start.layer.in_features * start.layer.out_features
            bias = start.layer.out_features if start.layer.bias else 0
            self.offsets[start.path] = at, at + weight if bias else -1
            at += weight + bias
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

    def append(self, kind: int, inputs: list[int], columns: int) -> Node:
        node = Node(kind, inputs, self.value(columns), len(self.graph.stages) - 1)
        self.graph.nodes.append(node)
        return node

    # ---- sequences ----

    def network(self, layers: Sequence[Layer], in_features: int) -> Graph:
        x = self.value(in_features)
        self.graph.output = self.sequence(layers, x, "", top=True)
        return self.graph

    def sequence(
        self, layers: Sequence[Layer], x: int, prefix: str, first: int = 0, top: bool = False
    ) -> int:
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
            x = self.layer(layer, f"{prefix}{index}", x)
        return x

    def does_something(self, layer: Layer) -> bool:
        if isinstance(layer, Dropout):
            return layer.p > 0 and self.purpose != "predicting"
        return not isinstance(layer, Identity)

    def layer(self, layer: Layer, path: str, x: int) -> int:
        if isinstance(layer, Linear):
            return self.linear(layer, path, x, None)
        if isinstance(layer, Activation):
            return self.activation(layer, x)
        if isinstance(layer, Softmax):
            node = self.append(lib.MG_SOFTMAX, [x], self.graph.columns[x])
            self.add_step(x, node.output)
            return node.output
        if isinstance(layer, Map):
            node = self.append(lib.MG_MAP, [x], self.graph.columns[x])
            node.program = self.programs[path]
            if node.program.n_parameters:
                node.first_parameter = self.first_scalar
            self.add_step(x, node.output)
            return node.output
        if isinstance(layer, Dropout):
            node = self.append(lib.MG_DROPOUT, [x], self.graph.columns[x])
            node.rate, node.stream = layer.p, self.streams
            self.streams += 1
            return node.output
        if isinstance(layer, Residual):
            return self.residual(layer, path, x)
        if isinstance(layer, Highway):
            return self.highway(layer, path, x)
        assert isinstance(layer, DenseBlock)
        return self.dense(layer, path, x)

    def add_step(self, z: int, a: int) -> None:
        """An activation: the a of the step that made z, or a step without a Linear."""
        steps = self.graph.steps
        if steps and steps[-1].a == z == steps[-1].z:
            steps[-1].a = a
        else:
            steps.append(Step(z, a, None))

    # ---- layers ----

    def linear(self, layer: Linear, path: str, x: int, activation: Activation | None) -> int:
        node = self.append(lib.MG_LINEAR, [x], layer.out_features)
        node.weight, node.bias = self.offsets[path]
        if activation is not None:
            node.function, node.slope = activation.function, activation.slope
            node.reference = node.output
            if activation.derivative_from_input and self.purpose == "training":
                node.reference = node.kept = self.value(layer.out_features)
        self.graph.steps.append(Step(node.output, node.output, path))
        return node.output

    def activation(self, layer: Activation, x: int) -> int:
        node = self.append(lib.MG_ACTIVATE, [x], self.graph.columns[x])
        node.function, node.slope = layer.function, layer.slope
        node.reference = x if layer.derivative_from_input else node.output
        self.add_step(x, node.output)
        return node.output

    # ---- blocks ----

    def residual(self, layer: Residual, path: str, x: int) -> int:
        y = self.sequence(layer.layers, x, f"{path}.")
        if layer.projection:
            out = self.linear(layer.extra()["projection"], f"{path}.projection", x, None)
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
        return self.append(lib.MG_ADD, [y, x], self.graph.columns[x]).output

    def takes_a_sum(self, node: Node) -> bool:
        """Whether x can be added in the epilogue of the multiplication that makes this node.

        The derivative of the activation must not want f(z), which only the sum is left of then:
        the ReLUs can do with z instead.
        """
        if node.kind != lib.MG_LINEAR or len(node.inputs) > 1 or not self.fuses:
            return False
        if self.purpose == "predicting" or node.function == lib.MG_IDENTITY or node.kept >= 0:
            return True
        if node.function in (lib.MG_RELU, lib.MG_LEAKY_RELU):
            node.reference = node.kept = self.value(self.graph.columns[node.output])
            return True
        return False

    def highway(self, layer: Highway, path: str, x: int) -> int:
        h = self.sequence(layer.layers, x, f"{path}.")
        t = self.linear(layer.extra()["gate"], f"{path}.gate", x, Sigmoid())
        if not self.fuses:
            gate = self.graph.nodes[-1]
            gate.kept = self.value(self.graph.columns[t])
            self.graph.steps[-1].z = gate.kept
        return self.append(lib.MG_MIX, [h, t, x], self.graph.columns[x]).output

    def dense(self, layer: DenseBlock, path: str, x: int) -> int:
        first = 0
        for group in layer.groups():
            y = self.sequence(group, x, f"{path}.", first)
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
        return self.append(lib.MG_ACTIVATE, [value], self.graph.columns[value]).output


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


def maps(layers: Sequence[Layer], prefix: str = "") -> Iterator[tuple[str, Map]]:
    """Every Map in these layers and in the blocks among them, by its path."""
    for i, layer in enumerate(layers):
        if isinstance(layer, Map):
            yield f"{prefix}{i}", layer
        elif isinstance(layer, Block):
            yield from maps(layer.layers, f"{prefix}{i}.")
