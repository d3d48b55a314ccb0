"""A network as the documents write it: x, z1 = W1 x + b1, a1 = f(z1), ..., L, with its numbers.

Steps are numbered as `Network.explain` numbers them; what lies between them (sums, mixes,
concatenations) has names of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from micrograd.draw.text import plain
from micrograd.network.blocks import DenseBlock, Highway, Residual
from micrograd.network.layers import (
    ELU,
    SELU,
    Activation,
    Dropout,
    Identity,
    Layer,
    Linear,
    Map,
    Mish,
    SiLU,
    Softmax,
)
from micrograd.network.network import Network

# What the page's script calls the function of an activation, by the class.
SCRIPTS = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "GELU": "gelu",
    "Softplus": "softplus",
}


@dataclass
class Part:
    """One matrix (rows, features) on the way from X to the loss.

    op: "input", "linear", "map", "softmax", "add", "mix", "concat", "dropout", "other" or "loss".
    inputs: the parts it is made of. name, gradient: of its value and of dL/d(value); formula: what
    it is. number: of the step; kind: what the layer is called. path: of a Linear's parameters.
    script: of a map, the page's op and its further operands; own: its function, the user's. needs:
    what of its inputs and itself (-1) its backward step reads.
    value, delta: (rows, features), where known; loss and delta are each sample's own.
    """

    op: str
    name: str
    formula: str
    inputs: tuple[int, ...] = ()
    features: int = 0
    kind: str = ""
    number: int = 0
    path: str = ""
    bias: bool = False
    script: tuple[Any, ...] = ()
    needs: tuple[int, ...] = ()
    own: Any = None
    value: Any = None
    delta: Any = None

    @property
    def gradient(self) -> str:
        """The name of dL/d(value)."""
        return f"δ{self.number}" if self.op == "linear" else f"d{self.name}"


@dataclass(frozen=True)
class Names:
    """What the columns of X and the classes are called, where that is known."""

    features: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)


@dataclass
class Unrolled:
    """parts in the order in which they are computed, the loss last. rows: of the data, 0 without;
    figures: dW1, db1, ... of the mean loss; remarks: sentences to print; names: of the data;
    ends: for each layer of the network, the part that is its output."""

    net: Network
    parts: list[Part] = field(default_factory=list)
    rows: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    ends: list[int] = field(default_factory=list)

    def add(self, part: Part) -> int:
        """Appends a part; returns its place."""
        self.parts.append(part)
        return len(self.parts) - 1


class _Walk:
    """Goes through the layers as the lowering does, so that the steps get the same numbers.

    quiet: those of the network without dropout, where an activation behind one belongs to the
    Linear before it.
    """

    def __init__(self, unrolled: Unrolled, quiet: bool = False) -> None:
        self.out, self.quiet = unrolled, quiet
        self.steps = 0
        self.open = -1  # the part that is the z of the last step, as long as it has no a
        self.owns = 0
        self.others: dict[str, int] = {}

    def part(self, place: int) -> Part:
        return self.out.parts[place]

    def named(self, letter: str) -> str:
        self.others[letter] = self.others.get(letter, 0) + 1
        return f"{letter}{self.others[letter]}"

    def sequence(self, layers: Sequence[Layer], x: int, prefix: str, first: int = 0) -> int:
        for i, layer in enumerate(layers, first):
            x = self.layer(layer, f"{prefix}{i}", x)
        return x

    def layer(self, layer: Layer, path: str, x: int) -> int:
        if isinstance(layer, Identity) or (isinstance(layer, Dropout) and layer.p == 0):
            return x
        if isinstance(layer, Linear):
            return self.linear(layer, path, x)
        if isinstance(layer, Residual):
            y = self.sequence(layer.layers, x, f"{path}.")
            if not layer.projection:
                return self.between("add", "s", "{} + {}", (y, x), self.part(y).features)
            shortcut = self.linear(layer.extra()["projection"], f"{path}.projection", x)
            self.open = -1
            return self.between("add", "s", "{} + {}", (y, shortcut), self.part(y).features)
        if isinstance(layer, Highway):
            h = self.sequence(layer.layers, x, f"{path}.")
            t = self.linear(layer.extra()["gate"], f"{path}.gate", x)
            t = self.activation("Sigmoid", ("sigmoid",), t, from_input=False)
            mixed = self.between(
                "mix", "m", "{1}⊙{0} + (1-{1})⊙{2}", (h, t, x), self.part(h).features
            )
            self.part(mixed).needs = (0, 1, 2)
            return mixed
        if isinstance(layer, DenseBlock):
            at = 0
            for group in layer.groups():
                y = self.sequence(group, x, f"{path}.", at)
                both = self.part(x).features + self.part(y).features
                x = self.between("concat", "c", "[{}, {}]", (x, y), both)
                at += len(group)
            return x
        if isinstance(layer, Dropout):
            opened = self.open == x
            place = self.between("dropout", "r", "Dropout({})", (x,), self.part(x).features)
            if opened and self.quiet:
                self.open = place
            return place
        if isinstance(layer, Softmax):
            return self.activation("softmax", (), x, from_input=False)
        kind = type(layer).__name__
        if isinstance(layer, (Map, SiLU, ELU, SELU, Mish)):
            self.owns += 1
            place = self.activation(kind, (f"own{self.owns}",), x, from_input=True)
            self.part(place).own = layer.f
            return place
        if kind in SCRIPTS and isinstance(layer, Activation):
            extra = (float(layer.slope),) if kind == "LeakyReLU" else ()
            script = (SCRIPTS[kind], *extra)
            return self.activation(kind, script, x, layer.derivative_from_input)
        place = self.activation(kind, (), x, from_input=True)
        self.part(place).op = "other"
        self.part(place).features = layer.gives(self.part(x).features)
        return place

    def linear(self, layer: Linear, path: str, x: int) -> int:
        self.steps += 1
        n = self.steps
        formula = f"W{n} {self.part(x).name}" + (f" + b{n}" if layer.bias else "")
        part = Part("linear", f"z{n}", formula, (x,), layer.out_features, "Linear", n, path)
        part.bias, part.needs = layer.bias, (0,)
        self.open = self.out.add(part)
        return self.open

    def activation(self, kind: str, script: tuple[Any, ...], x: int, from_input: bool) -> int:
        if self.open != x:
            self.steps += 1
        self.open = -1
        op = "softmax" if kind == "softmax" else "map"
        formula = f"{kind}({self.part(x).name})"
        part = Part(op, f"a{self.steps}", formula, (x,), self.part(x).features, kind, self.steps)
        part.script, part.needs = script, (0,) if from_input else (-1,)
        return self.out.add(part)

    def between(
        self, op: str, letter: str, formula: str, inputs: tuple[int, ...], features: int
    ) -> int:
        names = [self.part(each).name for each in inputs]
        self.open = -1
        kind = {"add": "+", "mix": "mix", "concat": "[ ]", "dropout": "Dropout"}[op]
        name = self.named(letter)
        return self.out.add(Part(op, name, formula.format(*names), inputs, features, kind))


def unroll(net: Network, quiet: bool = False) -> Unrolled:
    """The parts of a network, without numbers; quiet: its steps are counted as without dropout."""
    out = Unrolled(net)
    x = out.add(Part("input", "x", "the input", features=net.in_features, kind="input"))
    walk, last = _Walk(out, quiet), x
    for i, layer in enumerate(net.layers):
        last = walk.layer(layer, str(i), last)
        out.ends.append(last)
    name = plain(net.loss_name)
    formula = f"{name}({out.parts[last].name}, y)"
    out.add(Part("loss", "L", formula, (last,), 1, "loss", needs=(0,)))
    return out


def without_dropout(net: Network) -> Network:
    """The network as it predicts: the same numbers, no dropout; itself where it has none."""

    def strip(layers: Sequence[Layer]) -> list[Layer]:
        return [_stripped(layer, strip) for layer in layers]

    layers = strip(net.layers)
    if all(a is b for a, b in zip(layers, net.layers, strict=True)):
        return net
    loss: Any = net.loss_kind.function or net.loss_name
    twin = Network(*layers, loss=loss, dtype=net.dtype, seed=0)
    twin.parameters().flat[...] = net.parameters().flat
    return twin


def _stripped(layer: Layer, strip: Any) -> Layer:
    if isinstance(layer, Dropout):
        return Identity() if layer.p else layer
    if isinstance(layer, (Residual, Highway, DenseBlock)):
        inner = strip(layer.layers)
        if all(a is b for a, b in zip(inner, layer.layers, strict=True)):
            return layer
        if isinstance(layer, Residual):
            return Residual(*inner, projection=layer.projection)
        if isinstance(layer, Highway):
            return Highway(*inner, gate_bias=layer.gate_bias)
        return DenseBlock(*inner)
    return layer


def with_numbers(net: Network, X: Any, y: Any) -> Unrolled:
    """The parts with what they are for these rows.

    Raises:
        TypeError, ValueError: X and y do not fit; see Network.loss.
    """
    quiet = without_dropout(net)
    found = quiet.explain(X, y)
    out = unroll(net, quiet=True)
    if quiet is not net:
        out.remarks.append("Dropout is off in these numbers, as in predict().")
    out.rows = len(found["a0"])
    out.figures = {
        name: x for name, x in found.items() if name[:2] in ("dW", "db") or name == "loss"
    }
    for part in out.parts:
        inputs = [out.parts[u].value for u in part.inputs]
        if part.op == "input":
            part.value = found["a0"]
        elif part.op == "linear":
            part.value, part.delta = found[f"z{part.number}"], found.get(f"delta{part.number}")
        elif part.op in ("map", "softmax", "other"):
            part.value, part.delta = found[f"a{part.number}"], found.get(f"da{part.number}")
        elif part.op == "add" and out.parts[part.inputs[1]].path.endswith(".projection"):
            shortcut = out.parts[part.inputs[1]]  # explain has added F(x) to its z already
            part.value, part.delta = shortcut.value, shortcut.delta
            shortcut.value = shortcut.value - inputs[0]
        elif part.op == "add":
            part.value = inputs[0] + inputs[1]
        elif part.op == "mix":
            h, t, x = inputs
            part.value = t * h + (1 - t) * x
        elif part.op == "concat":
            part.value = np.concatenate(inputs, axis=1)
        elif part.op == "dropout":
            part.value = inputs[0]
    out.parts[-1].value = _losses(quiet, X, y, out.rows)
    return out


def _losses(net: Network, X: Any, y: Any, rows: int) -> Any:
    """Each row's own loss, (rows, 1), of the first few."""
    X, y = np.asarray(X), np.asarray(y)
    each = [net.evaluate(X[i : i + 1], y[i : i + 1])[0] for i in range(min(rows, SAMPLES))]
    return np.array(each, dtype=np.float64)[:, None]


SAMPLES = 16  # rows that a page offers
