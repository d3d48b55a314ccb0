"""A network as predict computes it, in single steps: what ONNX and C99 are written from.

The walk over the layers stands here once; a target has a table from the kind of a step to what it
writes for it. Kinds are the layers without layers inside, and Add, Gate and Concat for what the
blocks do with the outputs of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from micrograd.network.blocks import DenseBlock, Highway, Residual
from micrograd.network.columns import Columnwise
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
from micrograd.network.network import Network

INPUT = 0  # the value that is the network's input


class Add:
    """Kind of a step: the sum of two values."""


class Gate:
    """Kind of a step with values t, f, x: t f + (1 - t) x."""


class Concat:
    """Kind of a step: the columns of one value, then those of the other."""


@dataclass(frozen=True)
class Step:
    """One step: values are numbered, each is made by one step.

    kind: key of the targets' tables. inputs, output: values. layer: for a kind that is a layer.
    path: the layer's place, "3.gate"; its parameters are path.weight and path.bias.
    """

    kind: type
    inputs: tuple[int, ...]
    output: int
    layer: Layer | None
    path: str


@dataclass
class Graph:
    """Steps in order, the columns of each value, and the value that is the result."""

    steps: list[Step] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    output: int = INPUT

    def add(
        self, kind: type, inputs: Sequence[int], columns: int, layer: Layer | None, path: str
    ) -> int:
        """Appends a step and returns the value that it makes."""
        self.columns.append(columns)
        value = len(self.columns) - 1
        self.steps.append(Step(kind, tuple(inputs), value, layer, path))
        return value

    def last_uses(self) -> list[int]:
        """For each value the number of the last step that reads it; the result outlives all."""
        last = [-1] * len(self.columns)
        for number, step in enumerate(self.steps):
            for value in step.inputs:
                last[value] = number
        last[self.output] = len(self.steps)
        return last


def graph_of(where: str, net: Network) -> Graph:
    """The steps of a network's predict.

    Raises:
        TypeError: a layer of a kind that no conversion knows.
    """
    graph = Graph(columns=[net.in_features])
    graph.output = _walk(where, graph, net.layers, INPUT, "")
    return graph


def _walk(where: str, graph: Graph, layers: Sequence[Layer], value: int, prefix: str) -> int:
    for index, layer in enumerate(layers):
        value = _step(where, graph, layer, value, f"{prefix}{index}")
    return value


def _step(where: str, graph: Graph, layer: Layer, value: int, path: str) -> int:
    columns = graph.columns[value]
    if isinstance(layer, (Identity, Dropout)):
        return value
    if isinstance(layer, Linear):
        return graph.add(Linear, [value], layer.out_features, layer, path)
    if isinstance(layer, Columnwise):
        return graph.add(type(layer), [value], layer.gives(columns), layer, path)
    if isinstance(layer, (Activation, Softmax, Map)):
        return graph.add(type(layer), [value], columns, layer, path)
    if isinstance(layer, Residual):
        out = _walk(where, graph, layer.layers, value, f"{path}.")
        for name, projection in layer.extra().items():
            value = _step(where, graph, projection, value, f"{path}.{name}")
        return graph.add(Add, [out, value], graph.columns[out], layer, path)
    if isinstance(layer, Highway):
        out = _walk(where, graph, layer.layers, value, f"{path}.")
        gate = _step(where, graph, layer.extra()["gate"], value, f"{path}.gate")
        share = graph.add(Sigmoid, [gate], columns, Sigmoid(), f"{path}.gate")
        return graph.add(Gate, [share, out, value], columns, layer, path)
    if isinstance(layer, DenseBlock):
        index = 0
        for group in layer.groups():
            out = value
            for inner in group:
                out = _step(where, graph, inner, out, f"{path}.{index}")
                index += 1
            together = graph.columns[value] + graph.columns[out]
            value = graph.add(Concat, [value, out], together, layer, f"{path}.{index - 1}")
        return value
    no_form(where, layer, path)


def no_form(where: str, layer: Layer | None, path: str) -> NoReturn:
    """Raises TypeError for a layer that the target has nothing for."""
    raise TypeError(f"{where}: layer {path} {layer} is of a kind that this conversion cannot write")


Writer = TypeVar("Writer", bound=Callable[..., Any])


def writer_of(where: str, table: Mapping[type, Writer], step: Step) -> Writer:
    """What the target's table has for this step.

    Raises:
        TypeError: it has nothing.
    """
    if step.kind not in table:
        no_form(where, step.layer, step.path)
    return table[step.kind]
