"""Layers made of layers: the connections that let deep networks train (documents, section 10).

Each block is data, like the layers in `layers`; `lowering` says what it computes.  Blocks nest
in any way.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from micrograd import checks
from micrograd.network.chain import check_chain, check_kinds
from micrograd.network.layers import Layer, Linear

T = TypeVar("T")


# ---- going over nested layers ----


def walk(layers: Sequence[Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Every layer with its path ("0", "3.1", "3.gate"), in the order of the parameters.

    A block comes before what is in it; the layers that it has besides F come last.
    """
    stack = list(reversed([(f"{prefix}{i}", layer) for i, layer in enumerate(layers)]))
    while stack:
        path, layer = stack.pop()
        yield path, layer
        if isinstance(layer, Block):
            inside = [(f"{path}.{i}", inner) for i, inner in enumerate(layer.layers)]
            inside += [(f"{path}.{name}", extra) for name, extra in layer.extra().items()]
            stack += reversed(inside)


def unnest(steps: Generator[Any, Any, T]) -> T:
    """Runs a recursion over nested layers that is written as a generator, however deep it goes.

    Where a function would call itself, the generator yields the call, `y = yield self.inner(x)`,
    and is sent its result; what it yields that is no generator is sent back as it is. The calls
    wait in a list, not on Python's stack, which 200 nested blocks would overflow.
    """
    stack: list[Generator[Any, Any, Any]] = [steps]
    value: Any = None
    while True:
        try:
            value = stack[-1].send(value)
        except StopIteration as result:
            value = result.value
            stack.pop()
            if not stack:
                return value  # type: ignore[no-any-return]
        else:
            if isinstance(value, Generator):
                stack.append(value)
                value = None


def pack(layers: Sequence[Layer]) -> list[tuple[Layer | type, int, dict[str, Any]]]:
    """Layers as a flat list, for a pickle that does not recurse over their nesting.

    A layer is (itself, 0, {}); a block comes behind what is in it: (its class, number of layers,
    its settings).
    """
    flat: list[tuple[Layer | type, int, dict[str, Any]]] = []
    stack: list[tuple[Layer, bool]] = [(layer, False) for layer in reversed(layers)]
    while stack:
        layer, done = stack.pop()
        if not isinstance(layer, Block):
            flat.append((layer, 0, {}))
        elif done:
            names = [f.name for f in fields(layer) if f.name != "layers"]
            settings = {name: getattr(layer, name) for name in names}
            flat.append((type(layer), len(layer.layers), settings))
        else:
            stack.append((layer, True))
            stack += [(inner, False) for inner in reversed(layer.layers)]
    return flat


def unpack(flat: Sequence[tuple[Any, int, dict[str, Any]]]) -> tuple[Layer, ...]:
    """What `pack` made a list of."""
    stack: list[Layer] = []
    for layer, count, settings in flat:
        if count:
            inside = stack[-count:]
            del stack[-count:]
            stack.append(layer(*inside, **settings))
        else:
            stack.append(layer)
    return tuple(stack)


# ---- the blocks ----


@dataclass(frozen=True, init=False, repr=False)
class Block(Layer):
    """Base of the blocks: a sequence of layers F with something around it."""

    layers: tuple[Layer, ...]
    _features: ClassVar[tuple[int | None, int | None]] = (None, None)  # what it takes and gives

    def __init__(self, *layers: Layer) -> None:
        object.__setattr__(self, "layers", layers)
        if not layers:
            raise ValueError(f"{type(self).__name__}: no layers, 1 or more are wanted")
        check_kinds(type(self).__name__, layers)
        # Found once: whoever holds this block asks again, and so does who holds that.
        takes = self._takes()
        object.__setattr__(self, "_features", (takes, takes))
        self._check()
        if takes is not None:
            object.__setattr__(self, "_features", (takes, self._gives(takes)))

    def _takes(self) -> int | None:
        """What `takes` says."""
        return check_chain(type(self).__name__, self.layers)

    def _gives(self, features: int) -> int:
        """What `gives` says."""
        return self.body_gives(features)

    def _check(self) -> None:
        """Checks that the sizes work."""
        raise NotImplementedError

    @property
    def takes(self) -> int | None:
        """Features of the input, or None where any number will do."""
        return self._features[0]

    def gives(self, features: int) -> int:
        """Features of the output for an input of as many as it takes."""
        gives = self._features[1]
        return features if gives is None else gives

    def body_gives(self, features: int) -> int:
        """Features of F(x)."""
        return _chained(self.layers, features)

    def extra(self) -> dict[str, Linear]:
        """The layers that the block has besides F, by their names in the parameters' paths."""
        return {}

    def written(self, names: str) -> str:
        """The block in words; `names` are those of its layers."""
        return f"{type(self).__name__}({names})"

    def __str__(self) -> str:
        return unnest(_written(self))

    __repr__ = __str__


def _written(layer: Layer) -> Generator[Any, Any, str]:
    if not isinstance(layer, Block):
        return str(layer)
    names = []
    for inner in layer.layers:
        names.append((yield _written(inner)))
    return layer.written(", ".join(names))


def _names(layers: Sequence[Layer]) -> str:
    return ", ".join(map(str, layers))


@dataclass(frozen=True, init=False, repr=False)
class Residual(Block):
    """F(x) + x, with F the layers given (He et al. 2016, eq. 1).

    dL/dx = dL/dout (dF/dx + I): the identity lets the gradient pass, whatever F does to it.

    Args:
        *layers: F, one layer or more.
        projection: where F changes the number of features, F(x) + W_s x (He et al. 2016, eq. 2)
            with a learned W_s (out_features, in_features) and no bias.

    The last Linear of F starts smaller than elsewhere, by one over the square root of the number of
    Residuals that follow one another in the network: where F ends in it, the sum neither grows nor
    fades with depth at first, and a thousand of them train. An F that ends in a ReLU only ever adds
    to x, and the sum grows with depth all the same.

    Raises:
        TypeError: something is no layer.
        ValueError: F gives another number of features than it takes, and there is no projection;
            or the sizes are the same, or unknown, and there is one.

    >>> blocks = [mg.Residual(mg.Linear(8, 8), mg.Tanh()) for _ in range(10)]
    >>> mg.Network(*blocks, mg.Linear(8, 3)).predict(np.ones((1, 8))).shape
    (1, 3)
    """

    projection: bool

    def __init__(self, *layers: Layer, projection: bool = False) -> None:
        object.__setattr__(self, "projection", checks.flag("Residual", "projection", projection))
        super().__init__(*layers)

    def _check(self) -> None:
        features = check_chain("Residual", self.layers)
        gives = features if features is None else self.body_gives(features)
        if self.projection and features is None:
            raise ValueError(
                f"Residual: layers {_names(self.layers)} take any number of features, "
                "so no projection can be made; leave projection out"
            )
        if features != gives and not self.projection:
            raise ValueError(
                f"Residual: layers {_names(self.layers)} take {features} features and give "
                f"{gives}, so x cannot be added; give as many, or say projection=True"
            )

    def extra(self) -> dict[str, Linear]:
        """The projection, if there is one."""
        if not self.projection:
            return {}
        features = self.takes
        assert features is not None
        return {"projection": Linear(features, self.body_gives(features), bias=False)}

    def written(self, names: str) -> str:
        """With projection where there is one."""
        return f"Residual({names}{', projection=True' if self.projection else ''})"


@dataclass(frozen=True, init=False, repr=False)
class Highway(Block):
    """T(x) F(x) + (1 - T(x)) x, with T(x) = sigmoid(W_T x + b_T), element by element.

    The transform gate T is learned (Srivastava et al. 2015, eq. 3). Its bias starts negative, so
    that the block carries its input on at first (their section 2.2).

    Args:
        *layers: F, which gives as many features as it takes.
        gate_bias: what b_T starts with.

    Raises:
        TypeError: something is no layer, or gate_bias is no number.
        ValueError: F changes the number of features, or takes any.

    >>> blocks = [mg.Highway(mg.Linear(8, 8), mg.Tanh()) for _ in range(10)]
    >>> mg.Network(*blocks, mg.Linear(8, 3)).predict(np.ones((1, 8))).shape
    (1, 3)
    """

    gate_bias: float

    def __init__(self, *layers: Layer, gate_bias: float = -1.0) -> None:
        bias = checks.number("Highway", "gate_bias", gate_bias, above=-math.inf)
        object.__setattr__(self, "gate_bias", bias)
        super().__init__(*layers)

    def _check(self) -> None:
        features = check_chain("Highway", self.layers)
        if features is None:
            raise ValueError(
                f"Highway: layers {_names(self.layers)} take any number of features, so the gate "
                "has no size; one Linear at least is wanted"
            )
        if self.body_gives(features) != features:
            raise ValueError(
                f"Highway: layers {_names(self.layers)} take {features} features and give "
                f"{self.body_gives(features)}, so x cannot be carried on; give as many"
            )

    def extra(self) -> dict[str, Linear]:
        """The gate."""
        features = self.takes
        assert features is not None
        return {"gate": Linear(features, features, init="xavier")}

    def written(self, names: str) -> str:
        """With the gate's first bias."""
        return f"Highway({names}, gate_bias={self.gate_bias:g})"


@dataclass(frozen=True, init=False, repr=False)
class DenseBlock(Block):
    """Every layer sees the input and all earlier outputs, concatenated (Huang et al. 2017, eq. 2).

        x^[l] = F^[l]([x^[0], x^[1], ..., x^[l-1]])        out = [x^[0], x^[1], ..., x^[L]]

    A layer without a size of its own (an activation, Dropout) belongs to the layer before it and is
    part of its F^[l]: `groups()` are the F^[l]. The features of x come first, then those of each
    output in its turn.

    Raises:
        TypeError: something is no layer.
        ValueError: a layer does not take as many features as come before it; none has a size.

    >>> block = mg.DenseBlock(mg.Linear(4, 2), mg.ReLU(), mg.Linear(6, 2))
    >>> mg.Network(block, mg.Linear(8, 3)).predict(np.ones((1, 4))).shape
    (1, 3)
    """

    def _check(self) -> None:
        features = self.takes
        if features is None:
            raise ValueError(
                f"DenseBlock: layers {_names(self.layers)} take any number of features; "
                "one Linear at least is wanted"
            )
        for i, group in enumerate(self.groups()):
            takes = check_chain("DenseBlock", group)
            if takes != features:
                raise ValueError(
                    f"DenseBlock: layers {_names(group)} (group {i}) take {takes} features, but "
                    f"the input and the outputs before them are {features} together"
                )
            features += _chained(group, features)

    def groups(self) -> list[tuple[Layer, ...]]:
        """The layers of each F^[l]."""
        groups: list[list[Layer]] = []
        sized = True  # the last group has a layer with a size
        for layer in self.layers:
            if not groups or (sized and layer.takes is not None):
                groups.append([])
                sized = False
            groups[-1].append(layer)
            sized = sized or layer.takes is not None
        return [tuple(group) for group in groups]

    def _takes(self) -> int | None:
        return check_chain("DenseBlock", self.groups()[0])

    def _gives(self, features: int) -> int:
        for group in self.groups():
            features += _chained(group, features)
        return features


def _chained(layers: Sequence[Layer], features: int) -> int:
    for layer in layers:
        features = layer.gives(features)
    return features
