"""The graph of a network: a flat list of nodes, each of which makes one matrix of a batch.

A value is a matrix (rows, columns) that a node makes; value 0 is the network's input. What a
concatenation makes is not copied together: its parts are placed in it, and who makes them writes
them there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from micrograd.network.columns import Columnwise
from micrograd.network.layers import Activation, Layer

if TYPE_CHECKING:
    from micrograd.program.network_op import ScalarOp

CONCAT = "concat"  # a node that runs nothing: its inputs lie in its output


@dataclass
class Node:
    """`output` made of `inputs`; kinds are those of mg_op in csrc/micrograd.h, in lower case.

    A linear node may have a second input, which is added to f(z), and keeps z as well where `kept`
    says so. `reference` is what f's derivative is computed from, -1 where there is no f.
    """

    kind: str
    inputs: list[int]
    output: int
    stage: int
    activation: Activation | None = None  # f
    kept: int = -1
    reference: int = -1
    weight: int = -1  # offsets into the parameters
    bias: int = -1
    stream: int = 0
    rate: float = 0.0  # of a dropout
    columnwise: Columnwise | None = None
    program: ScalarOp | None = None
    first_parameter: int = -1  # of the program, if it has any

    @property
    def function(self) -> str:
        """The C core's name of f, or of what is made of the columns."""
        if self.columnwise is not None:
            return self.columnwise.function
        return "identity" if self.activation is None else self.activation.function

    @property
    def slope(self) -> float:
        """What belongs to f."""
        return 0.0 if self.activation is None else self.activation.slope


@dataclass
class Step:
    """One pair z^[l], a^[l] of the documents, the path of the layer that made z, and the layer that
    made a of it, None where a is z."""

    z: int
    a: int
    path: str | None
    activation: Layer | None = None


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
