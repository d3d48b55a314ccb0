"""Layers made of layers: the connections that let deep networks train (documents, section 10).

Each block is data, like the layers in `layers`; `lowering` says what it computes.  Blocks nest
in any way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from micrograd import checks
from micrograd.network.layers import Layer, Linear, check_chain, check_kinds


@dataclass(frozen=True, init=False)
class Block(Layer):
    """Base of the blocks: a sequence of layers F with something around it."""

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        object.__setattr__(self, "layers", layers)
        if not layers:
            raise ValueError(f"{type(self).__name__}: no layers, 1 or more are wanted")
        check_kinds(type(self).__name__, layers)
        self._check()

    def _check(self) -> None:
        """Checks that the sizes work."""
        raise NotImplementedError

    @property
    def takes(self) -> int | None:
        """Features of the input, or None where any number will do."""
        return check_chain(type(self).__name__, self.layers)

    def body_gives(self, features: int) -> int:
        """Features of F(x)."""
        return _gives(self.layers, features)

    def extra(self) -> dict[str, Linear]:
        """The layers that the block has besides F, by their names in the parameters' paths."""
        return {}

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self.layers))})"


def _names(layers: Sequence[Layer]) -> str:
    return ", ".join(map(str, layers))


@dataclass(frozen=True, init=False)
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
    """

    projection: bool

    def __init__(self, *layers: Layer, projection: bool = False) -> None:
        object.__setattr__(self, "projection", bool(projection))
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

    def gives(self, features: int) -> int:
        """Features of F(x)."""
        return self.body_gives(features)

    def extra(self) -> dict[str, Linear]:
        """The projection, if there is one."""
        if not self.projection:
            return {}
        features = self.takes
        assert features is not None
        return {"projection": Linear(features, self.body_gives(features), bias=False)}

    def __str__(self) -> str:
        projection = ", projection=True" if self.projection else ""
        return f"Residual({_names(self.layers)}{projection})"


@dataclass(frozen=True, init=False)
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

    def __str__(self) -> str:
        return f"Highway({_names(self.layers)}, gate_bias={self.gate_bias:g})"


@dataclass(frozen=True, init=False)
class DenseBlock(Block):
    """Every layer sees the input and all earlier outputs, concatenated (Huang et al. 2017, eq. 2).

        x^[l] = F^[l]([x^[0], x^[1], ..., x^[l-1]])        out = [x^[0], x^[1], ..., x^[L]]

    A layer without a size of its own (an activation, Dropout) belongs to the layer before it and is
    part of its F^[l]: `groups()` are the F^[l]. The features of x come first, then those of each
    output in its turn.

    Raises:
        TypeError: something is no layer.
        ValueError: a layer does not take as many features as come before it; none has a size.
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
            features += _gives(group, features)

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

    @property
    def takes(self) -> int | None:
        """Features of the input."""
        return check_chain("DenseBlock", self.groups()[0])

    def gives(self, features: int) -> int:
        """Features of the input and all outputs."""
        for group in self.groups():
            features += _gives(group, features)
        return features


def _gives(layers: Sequence[Layer], features: int) -> int:
    for layer in layers:
        features = layer.gives(features)
    return features
