"""Neuron, Layer and MLP made of Values: a drop-in for karpathy/micrograd's `nn`.

Same constructors, attributes and printed form, and the same weights from the same `random.seed`:
each weight is drawn by `random.uniform(-1, 1)`, neuron by neuron; biases start at 0.
A neuron computes relu(w . x + b), one `dot` node and one `relu` node.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from micrograd import checks
from micrograd.engine.functions import dot
from micrograd.engine.value import Operand, Value


class Module:
    """Something with parameters.

    >>> mlp = mg.nn.MLP(2, [3, 1])
    >>> mlp.zero_grad(); len(mlp.parameters())
    13
    """

    def zero_grad(self) -> None:
        """Set every parameter's gradient to 0, as needed before each backward pass."""
        for p in self.parameters():
            p.grad = 0.0

    def parameters(self) -> list[Value]:
        """The Values to be learned, in a fixed order."""
        return []


class Neuron(Module):
    """relu(w . x + b), or w . x + b if nonlin is False. w: nin Values, b: a Value.

    Called with nin Values or numbers (a list, a tuple, a numpy row), returns a Value.
    Raises ValueError if there are more or fewer, TypeError if one is not a number.

    >>> neuron = mg.nn.Neuron(2, nonlin=False)
    >>> len(neuron.w), neuron([0.0, 0.0]).data == neuron.b.data
    (2, True)
    """

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        nin = checks.count("Neuron", "nin", nin)
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0.0)
        self.nonlin = nonlin

    def __call__(self, x: Iterable[Operand]) -> Value:
        x = tuple(x)
        if len(x) != len(self.w):
            raise ValueError(f"Neuron: x has {len(x)} features, this neuron takes {len(self.w)}")
        act = dot(self.w, x, self.b)
        return act.relu() if self.nonlin else act

    def parameters(self) -> list[Value]:
        """w, then b."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """nout Neurons side by side, each on all nin inputs; kwargs go to every Neuron.

    Called with nin Values or numbers, returns a list of nout Values, or the Value itself if nout
    is 1. Numbers become constants in the graph, one each, which all neurons share.

    >>> len(mg.nn.Layer(2, 3)([1.0, -2.0]))
    3
    """

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        nout = checks.count("Layer", "nout", nout)
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Iterable[Operand]) -> Any:
        # Made once, as the dot nodes of all neurons share the tuple.
        try:
            x = tuple([v if isinstance(v, Value) else Value(v, requires_grad=False) for v in x])
        except TypeError:
            checks.items("Layer", "x", x, "a list of Values or numbers")
            raise
        out = [neuron(x) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        """Those of the first neuron, then of the second, ..."""
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(str, self.neurons))}]"


class MLP(Module):
    """Layers nin -> nouts[0] -> ... -> nouts[-1], relu in all but the last, which is linear.

    >>> mlp = mg.nn.MLP(2, [16, 16, 1])
    >>> loss = (mlp([1.0, -2.0]) - 1) ** 2
    >>> loss.backward(); len(mlp.parameters())
    337
    """

    def __init__(self, nin: int, nouts: Sequence[int]) -> None:
        sizes = [nin, *checks.items("MLP", "nouts", nouts, "a list of sizes, such as [16, 1],")]
        self.layers = [
            Layer(fan_in, fan_out, nonlin=i != len(sizes) - 2)
            for i, (fan_in, fan_out) in enumerate(pairwise(sizes))
        ]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer([x] if isinstance(x, Value) else x)
        return x

    def parameters(self) -> list[Value]:
        """Layer by layer."""
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(str, self.layers))}]"
