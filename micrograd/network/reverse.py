"""The passes of a graph: the ops of a whole step, forward, loss and backward, in order.

Reverse mode over the graph of `lowering`, decided here and only carried out in C: which
gradients there are, which of them one op can leave in the place of another, and where they add up.
The gradient of a sum is that of its parts, so a skip connection costs no op at all: its gradient
lies where that of the sum lies, and the other path adds to it there.

Stages may be run again (`micrograd.checkpoint` says in which order).  What they make is then a new
instance of the same value, in a buffer of its own; how long a buffer is needed follows from the ops
that read it (`storage`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from micrograd.checkpoint.chain import Backward, Event, Forward, Stage
from micrograd.network.columns import Columnwise
from micrograd.network.graph import CONCAT, Graph, Node

if TYPE_CHECKING:
    from micrograd.program.network_op import ScalarOp

IDENTITY = "identity"


@dataclass
class Op:
    """One op; fields and kinds are those of mg_op in csrc/micrograd.h, names in lower case."""

    kind: str
    inputs: list[int]
    outputs: list[int]
    function: str = IDENTITY
    accumulate: bool = False
    gate: str = IDENTITY
    stream: int = 0
    weight: int = -1
    bias: int = -1
    slope: float = 0.0
    gate_slope: float = 0.0
    rate: float = 0.0
    columnwise: Columnwise | None = None
    program: ScalarOp | None = None
    first_parameter: int = -1  # of the program
    target_columns: int = 0
    samples: int = 0


@dataclass(frozen=True)
class LossOp:
    """A loss by the C core's name, or a program with so many columns of targets."""

    code: str
    program: ScalarOp | None = None
    targets: int = 0
    first_parameter: int = -1


@dataclass(frozen=True)
class Buffer:
    """Columns [offset, offset + columns) of a block, which is what storage is given to."""

    block: int
    offset: int
    columns: int

    def overlaps(self, other: Buffer) -> bool:
        """Whether the two have a number in common."""
        return (
            self.block == other.block
            and self.offset < other.offset + other.columns
            and other.offset < self.offset + self.columns
        )


@dataclass
class Passes:
    """Ops and buffers; buffer 0 is the network's input, in block -1."""

    ops: list[Op] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)  # columns of each
    values: dict[int, int] = field(
        default_factory=dict
    )  # buffer of each value, of its last instance
    gradients: dict[int, int] = field(default_factory=dict)  # buffer of the gradient of each value
    encoded: dict[bool, Any] = field(default_factory=dict)  # for the C core, by who shares storage


class _Emitter:
    """Appends the ops of one stage after the other."""

    def __init__(
        self, graph: Graph, keep_all: bool = False, eager: bool = False, inputs: bool = False
    ) -> None:
        self.graph = graph
        self.keep_all = keep_all  # every gradient can be read afterwards
        self.eager = eager  # a stage's output is not wanted once the next stage has been gone over
        self.out = Passes(buffers=[Buffer(-1, 0, graph.columns[0])], values={0: 0})
        self.block_of: dict[int, int] = {}  # of a value that lies in no other
        self.has_gradient = {0: inputs}
        self.gradient: dict[int, int] = {}  # buffers; what is being added up
        self.gated: set[int] = set()  # values whose gradient is that of z already
        self.written: dict[int, int] = {}  # the last op that wrote a buffer
        self.read: dict[int, int] = {}  # the last op that read from a block
        self.made: dict[int, int] = {}  # the first op that wrote a buffer
        self.made_stages: set[int] = set()
        self.by_stage: dict[int, list[Node]] = {}
        for node in graph.nodes:
            self.by_stage.setdefault(node.stage, []).append(node)
            self.has_gradient[node.output] = (
                node.weight >= 0
                or node.first_parameter >= 0
                or any(self.has_gradient[x] for x in node.inputs)
            )

    # ---- buffers and ops ----

    def block(self, columns: int) -> int:
        self.out.blocks.append(columns)
        return len(self.out.blocks) - 1

    def buffer(self, block: int, offset: int, columns: int) -> int:
        self.out.buffers.append(Buffer(block, offset, columns))
        return len(self.out.buffers) - 1

    def fresh(self, columns: int) -> int:
        return self.buffer(self.block(columns), 0, columns)

    def part(self, buffer: int, offset: int, columns: int) -> int:
        whole = self.out.buffers[buffer]
        return self.buffer(whole.block, whole.offset + offset, columns)

    def emit(self, op: Op) -> None:
        number = len(self.out.ops)
        self.out.ops.append(op)
        for buffer in op.inputs:
            self.read[self.out.buffers[buffer].block] = number
        for buffer in op.outputs:
            if buffer >= 0:
                self.written[buffer] = number
                self.made.setdefault(buffer, number)

    # ---- forward ----

    def forward(self, stage: int) -> None:
        nodes = self.by_stage.get(stage, [])
        if stage in self.made_stages:  # once more: new instances
            for node in nodes:
                self.block_of.pop(self.graph.place(node.output)[0], None)
        self.made_stages.add(stage)
        for node in nodes:
            outputs = [self.instance(node.output)]
            if node.kind == CONCAT:
                self.made[outputs[0]] = len(self.out.ops) - 1
                continue
            if node.kept >= 0:
                outputs.append(self.instance(node.kept))
            inputs = [self.out.values[x] for x in node.inputs]
            op = Op(node.kind, inputs, outputs, node.function, slope=node.slope)
            op.weight, op.bias, op.stream = node.weight, node.bias, node.stream
            op.program, op.first_parameter, op.rate = node.program, node.first_parameter, node.rate
            op.columnwise = node.columnwise
            self.emit(op)

    def instance(self, value: int) -> int:
        root, offset = self.graph.place(value)
        if root not in self.block_of:
            self.block_of[root] = self.block(self.graph.columns[root])
        buffer = self.buffer(self.block_of[root], offset, self.graph.columns[value])
        self.out.values[value] = buffer
        return buffer

    def loss(self, loss: LossOp, with_gradient: bool) -> None:
        z = self.graph.output
        op = Op("loss", [self.out.values[z]], [], loss.code, target_columns=loss.targets)
        op.program, op.first_parameter = loss.program, loss.first_parameter
        if with_gradient and self.has_gradient[z]:
            self.gradient[z] = self.fresh(self.graph.columns[z])
            op.outputs.append(self.gradient[z])
        self.emit(op)
        if with_gradient and loss.program is not None:
            self.sums_of(loss.program, loss.first_parameter, 1)

    def sums_of(self, program: ScalarOp, first_parameter: int, samples: int) -> None:
        """The gradients of a program's parameters, from so many samples in a row."""
        if program.n_parameters:
            op = Op("program_gradients", [], [], samples=samples)
            op.program, op.first_parameter = program, first_parameter
            self.emit(op)

    # ---- the gradients of values ----

    def shared(self, value: int) -> bool:
        """Whether the gradient of this value lies where that of another does."""
        mine = self.out.buffers[self.gradient[value]]
        others = [b for v, b in self.gradient.items() if v != value]
        if self.keep_all:
            others += [b for v, b in self.out.gradients.items() if v != value]
        return any(mine.overlaps(self.out.buffers[b]) for b in others)

    def target(self, value: int) -> tuple[int, bool]:
        """The buffer to write a contribution to, and whether it is added to what is there."""
        columns = self.graph.columns[value]
        if value not in self.gradient:
            self.gradient[value] = self.fresh(columns)
            return self.gradient[value], False
        if self.shared(value):
            copy = self.fresh(columns)
            self.emit(Op("activate", [self.gradient[value]], [copy]))
            self.gradient[value] = copy
        return self.gradient[value], True

    def pass_on(self, value: int, buffer: int) -> None:
        """A contribution that lies in a buffer already."""
        if not self.has_gradient[value]:
            return
        if value not in self.gradient:
            self.gradient[value] = buffer
        else:
            there, _ = self.target(value)
            self.emit(Op("add", [there, buffer], [there]))

    def delta(self, node: Node) -> int:
        """The gradient of what the node's function is applied to, from that of its output."""
        value = node.output
        buffer = self.gradient[value]
        if node.function == IDENTITY or value in self.gated:
            self.gated.discard(value)
            return buffer
        reference = self.out.values[node.reference]
        if self.takes_a_gate(value, reference, node):
            last = self.out.ops[self.written[buffer]]
            last.gate, last.gate_slope = node.function, node.slope
            last.inputs.append(reference)
            return buffer
        target = self.fresh(self.graph.columns[value]) if self.shared(value) else buffer
        if self.keep_all:
            target = self.fresh(self.graph.columns[value])
        op = Op("activate_backward", [buffer, reference], [target], node.function)
        op.slope = node.slope
        self.emit(op)
        return target

    def takes_a_gate(self, value: int, reference: int, node: Node) -> bool:
        """Whether the op that finished the gradient of this value can apply the derivative too."""
        buffer = self.gradient[value]
        number = self.written.get(buffer)
        if number is None or self.keep_all or self.shared(value):
            return False
        op = self.out.ops[number]
        return (
            op.kind in ("loss", "linear_input")
            and op.gate == IDENTITY
            and self.read.get(self.out.buffers[buffer].block, -1) <= number
            and self.made[reference] < number
        )

    # ---- backward ----

    def backward(self, stage: int) -> None:
        for node in reversed(self.by_stage.get(stage, [])):
            if node.output not in self.gradient:
                continue
            is_delta = node.output in self.gated
            self.node_backward(node)
            value = node.kept if is_delta and node.kept >= 0 else node.output
            self.out.gradients[value] = self.gradient.pop(node.output)
        if self.eager:
            self.gate_early(stage - 1)

    def gate_early(self, stage: int) -> None:
        """Applies the derivative of a stage's last activation, as long as its output is there."""
        node = self.by_stage[stage][-1] if stage in self.by_stage else None
        if node is not None and node.reference == node.output in self.gradient:
            self.gradient[node.output] = self.delta(node)
            self.gated.add(node.output)

    def node_backward(self, node: Node) -> None:
        g = self.gradient[node.output]
        x = node.inputs[0]
        if node.kind == "linear":
            self.linear(node)
        elif node.kind == "activate":
            done = node.function == IDENTITY or node.output in self.gated
            if x in self.gradient and not done:
                reference = self.out.values[node.reference]
                self.into(x, Op("activate_backward", [g, reference], [], node.function))
                self.out.ops[-1].slope = node.slope
            else:
                self.pass_on(x, self.delta(node))
        elif node.kind == "map":
            self.map(node, g)
        elif node.kind == "columns":
            op = Op("columns_backward", [g, self.out.values[x]], [], node.function)
            op.weight, op.columnwise = node.weight, node.columnwise
            if self.has_gradient[x]:
                self.into(x, op)
            else:
                self.emit(op)
        elif node.kind == "softmax":
            self.into(x, Op("softmax_backward", [g, self.out.values[node.output]], []))
        elif node.kind == "dropout":
            op = Op("dropout", [g], [], rate=node.rate, stream=node.stream)
            if x in self.gradient or self.keep_all or self.shared(node.output):
                self.into(x, op)
            elif self.has_gradient[x]:
                op.outputs.append(g)
                self.emit(op)
                self.gradient[x] = g
        elif node.kind == "add":
            for value in node.inputs:
                self.pass_on(value, g)
        elif node.kind == "mix":
            self.mix(node, g)
        else:
            assert node.kind == CONCAT
            first = 0
            for value in node.inputs:
                columns = self.graph.columns[value]
                self.pass_on(value, self.part(g, first, columns))
                first += columns

    def into(self, value: int, op: Op) -> None:
        """Emits an op that leaves a contribution to the gradient of a value."""
        if self.has_gradient[value]:
            buffer, op.accumulate = self.target(value)
            op.outputs.append(buffer)
            self.emit(op)

    def linear(self, node: Node) -> None:
        if len(node.inputs) > 1:
            self.pass_on(node.inputs[1], self.gradient[node.output])
        delta = self.delta(node)
        self.gradient[node.output] = delta
        a = self.out.values[node.inputs[0]]
        weight = Op("linear_weight", [delta, a], [], weight=node.weight, bias=node.bias)
        self.emit(weight)
        self.into(node.inputs[0], Op("linear_input", [delta], [], weight=node.weight))

    def map(self, node: Node, g: int) -> None:
        program, x = node.program, node.inputs[0]
        assert program is not None
        op = Op("map_backward", [g, self.out.values[x]], [])
        op.program, op.first_parameter = program, node.first_parameter
        if self.has_gradient[x]:
            self.into(x, op)
        else:
            self.emit(op)
        self.sums_of(program, node.first_parameter, self.graph.columns[x])

    def mix(self, node: Node, g: int) -> None:
        h, t, x = node.inputs
        inputs = [g, *(self.out.values[value] for value in node.inputs)]
        columns = self.graph.columns[x]
        of_h, of_t = self.fresh(columns), self.fresh(columns)
        carried, accumulate = (
            self.target(x) if self.has_gradient[x] else (self.fresh(columns), False)
        )
        op = Op("mix_backward", inputs, [of_h, of_t, carried], accumulate=accumulate)
        self.emit(op)
        self.gradient[t] = of_t
        self.gated.add(t)
        self.pass_on(h, of_h)


def forward_only(graph: Graph, loss: LossOp | None) -> Passes:
    """The ops of a forward pass, and of a loss without a gradient."""
    emitter = _Emitter(graph)
    for stage in range(len(graph.stages)):
        emitter.forward(stage)
    if loss is not None:
        emitter.loss(loss, with_gradient=False)
    return emitter.out


def training(
    graph: Graph,
    loss: LossOp,
    order: Sequence[Event] | None = None,
    keep_all: bool = False,
    inputs: bool = False,
) -> Passes:
    """The ops of a step: forward through all stages, the loss, and back.

    order: of a graph with isolated stages; None: each stage is evaluated once. With keep_all every
    gradient has a buffer of its own; with `inputs` the input, value 0, has one, too.
    """
    emitter = _Emitter(graph, keep_all, order is not None, inputs)
    stages = range(len(graph.stages))
    plain: list[Event] = [Forward(i) for i in stages]
    plain += [Backward(i) for i in reversed(stages)]
    for number, event in enumerate(plain if order is None else order):
        if isinstance(event, Backward):
            emitter.backward(event.stage)
        else:
            emitter.forward(event.stage)
        if number == len(stages) - 1:
            emitter.loss(loss, with_gradient=True)
    if inputs:
        emitter.out.gradients[0] = emitter.gradient[0]
    return emitter.out


def stages_of(graph: Graph, bytes_per_column: int) -> list[Stage]:
    """The stages of a graph with isolated stages, as a schedule of recomputation sees them."""
    nodes: dict[int, list[Node]] = {}
    for node in graph.nodes:
        nodes.setdefault(node.stage, []).append(node)
    return [_stage(graph, nodes[i], bytes_per_column) for i in range(len(graph.stages))]


def _stage(graph: Graph, nodes: Sequence[Node], bytes_per_column: int) -> Stage:
    """Internal is what the way back reads, besides the input and, right away, the output."""
    output = nodes[-1].output
    inside = [node.output for node in nodes[:-1] if graph.place(node.output)[0] != output]
    inside += [node.kept for node in nodes if node.kept >= 0]
    inside += [output] if nodes[-1].kind == "softmax" else []
    columns = sum(graph.columns[value] for value in inside)
    if columns == 0 and len(nodes) > 1:  # all of it lies in the output, side by side
        columns = graph.columns[output]
    cost = 0
    for node in nodes:
        out = graph.columns[node.output]
        cost += graph.columns[node.inputs[0]] * out if node.kind == "linear" else out
    return Stage(graph.columns[output] * bytes_per_column, columns * bytes_per_column, cost)
