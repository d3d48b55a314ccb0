"""Layers that make something of each column by itself, for tables: factors and embeddings.

Each works on some columns and passes the others on: the numbers of a table come first, the codes of
its categories last. The C core has a kernel for each; csrc/micrograd.h has their equations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from micrograd import checks
from micrograd.network.layers import Activation, First, Layer

MOST_WIDTH = 16  # of Periodic, as in csrc/micrograd.h


@dataclass(frozen=True)
class Columnwise(Layer):
    """Base of the layers that work column by column; the C core knows them by `function`."""

    function: ClassVar[str]

    @property
    def worked_on(self) -> int:
        """Columns that it works on, as the C core counts them."""
        raise NotImplementedError

    @property
    def made(self) -> int:
        """Columns that it makes of each of them, where that is one number for all."""
        return 1

    @property
    def waves(self) -> int:
        """Cosines of each of them."""
        return 0

    @property
    def constants(self) -> tuple[float, ...]:
        """Numbers that are not learnt, in order."""
        return ()

    @property
    def bent_by(self) -> Activation | None:
        """The activation whose slope it learns."""
        return None

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.takes}, {self.gives(self.takes or 0)})"


@dataclass(frozen=True)
class Scale(Columnwise):
    """A learned factor for each feature: y_j = s_j x_j, with s = 1 at the start.

    RealMLP (arXiv 2407.04491, section 3) puts it first, with a learning rate of its own, so that
    the network can tell features that matter from those that do not.

    Args:
        features: columns, 1 or more.

    Raises:
        TypeError, ValueError: features is no such number.

    >>> mg.Network(mg.Scale(2), mg.Linear(2, 1), loss="mse").parameters()[0].data
    array([1., 1.], dtype=float32)
    """

    features: int
    function = "scale"

    def __post_init__(self) -> None:
        count = checks.count("Scale", "features", self.features, below=2**31)
        object.__setattr__(self, "features", count)

    @property
    def takes(self) -> int:
        """features."""
        return self.features

    @property
    def worked_on(self) -> int:
        """None but by their place: all columns have a factor."""
        return 0

    def firsts(self, before_relu: bool) -> tuple[First, ...]:
        """s (features,)."""
        return (First("weight", (self.features,), mean=1.0),)


@dataclass(frozen=True)
class Parametric(Columnwise):
    """An activation with a learned slope for each feature: RealMLP's parametric activation.

        y_j = x_j + s_j (f(x_j) - x_j), with s = 1 at the start, where it is f alone

    s = 0 is the identity; between them, and beyond, lies how far the activation bends
    (arXiv 2407.04491, section 3, there for SELU and Mish).

    Args:
        activation: a layer such as SELU() or Mish(). features: columns, 1 or more.

    Raises:
        TypeError, ValueError: activation is no such layer, or features no such number.

    >>> net = mg.Network(mg.Linear(4, 64), mg.Parametric(mg.Mish(), 64), mg.Linear(64, 3))
    """

    activation: Activation
    features: int
    function = "parametric"

    def __post_init__(self) -> None:
        if not isinstance(self.activation, Activation):
            raise TypeError(
                f"Parametric: activation is {checks.describe(self.activation)}, a layer that is an "
                "activation, such as SELU(), is wanted"
            )
        count = checks.count("Parametric", "features", self.features, below=2**31)
        object.__setattr__(self, "features", count)

    @property
    def takes(self) -> int:
        """features."""
        return self.features

    @property
    def worked_on(self) -> int:
        """None but by their place: all columns have a slope."""
        return 0

    @property
    def bent_by(self) -> Activation:
        """activation."""
        return self.activation

    def firsts(self, before_relu: bool) -> tuple[First, ...]:
        """s (features,)."""
        return (First("weight", (self.features,), mean=1.0),)

    def __str__(self) -> str:
        return f"Parametric({self.activation}, {self.features})"


@dataclass(frozen=True)
class Periodic(Columnwise):
    """Cosines of each number, mixed linearly, beside the number itself: RealMLP's PBLD embedding.

        x_j  ->  x_j, b_jo + sum_k w_jok cos(2 pi (f_jk x_j + p_jk))   for o < width

    The first `numbers` columns become width + 1 each, the others are passed on behind them.

    Args:
        in_features: columns of the input; numbers: of these from the first on; None: all.
        frequencies: cosines of each number. width: numbers made of them, at most 16.
        sigma: standard deviation of the frequencies at the start: small ones bend gently.

    Raises:
        TypeError, ValueError: a size is no positive integer, or numbers is more than in_features.

    >>> net = mg.Network(mg.Periodic(2), mg.Linear(8, 1), loss="mse")
    >>> net.predict([[0.5, -1.0]]).shape
    (1, 1)
    """

    in_features: int
    numbers: int | None = None
    frequencies: int = 16
    width: int = 3
    sigma: float = 0.1
    function = "periodic"

    def __post_init__(self) -> None:
        features = checks.count("Periodic", "in_features", self.in_features, below=2**31)
        numbers = features if self.numbers is None else self.numbers
        numbers = checks.count("Periodic", "numbers", numbers, below=features + 1)
        width = checks.count("Periodic", "width", self.width, below=MOST_WIDTH + 1)
        frequencies = checks.count("Periodic", "frequencies", self.frequencies, below=2**20)
        sigma = checks.number("Periodic", "sigma", self.sigma, above=0)
        for name, value in (
            ("in_features", features), ("numbers", numbers), ("width", width),
            ("frequencies", frequencies), ("sigma", sigma),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @property
    def takes(self) -> int:
        """in_features."""
        return self.in_features

    @property
    def worked_on(self) -> int:
        """numbers."""
        assert self.numbers is not None
        return self.numbers

    @property
    def waves(self) -> int:
        """frequencies."""
        return self.frequencies

    @property
    def made(self) -> int:
        """width: the C core counts the number itself besides."""
        return self.width

    def gives(self, features: int) -> int:
        """in_features, and width more for each number."""
        return self.in_features + self.worked_on * self.width

    def firsts(self, before_relu: bool) -> tuple[First, ...]:
        """frequency, phase (numbers, k), in turns; weight (numbers, width, k), bias."""
        n, k, m = self.worked_on, self.frequencies, self.width
        return (
            First("frequency", (n, k), std=self.sigma),
            First("phase", (n, k), std=0.5),
            First("weight", (n, m, k), std=1 / math.sqrt(k)),
            First("bias", (n, m)),
        )


@dataclass(frozen=True)
class PiecewiseLinear(Columnwise):
    """Where each number lies between its edges (Gorishniy et al. 2022, arXiv 2203.05556, eq. 1).

        x_j  ->  clip((x_j - e_t) / (e_(t+1) - e_t), 0, 1)   for t = 0, 1, ...

    the first not held from below and the last not from above. The edges are not learnt: quantiles
    of the training rows are usual. Numbers come first, other columns are passed on behind them.

    Args:
        edges: for each number its edges, rising; as many for each, two or more.
        in_features: columns of the input; None: as many as there are numbers.

    Raises:
        TypeError, ValueError: edges that do not rise, or of different lengths.

    >>> edges = ((0.0, 1.0, 2.0),)
    >>> mg.Network(mg.PiecewiseLinear(edges), mg.Scale(2)).predict([[0.5], [1.5]])
    array([[0.5, 0. ],
           [1. , 0.5]], dtype=float32)
    """

    edges: tuple[tuple[float, ...], ...]
    in_features: int | None = None
    function = "piecewise"

    def __post_init__(self) -> None:
        wanted = "a list of rising numbers for each number, [[0, 1, 2], [5, 6, 9]],"
        rows = checks.items("PiecewiseLinear", "edges", self.edges, wanted)
        rows = [checks.items("PiecewiseLinear", "a row of edges", row, wanted) for row in rows]
        edges = tuple(
            tuple(checks.number("PiecewiseLinear", "an edge", e, least=-math.inf) for e in each)
            for each in rows
        )
        lengths = {len(each) for each in edges}
        if len(lengths) != 1 or min(lengths) < 2:
            raise ValueError(
                "PiecewiseLinear: edges has rows of "
                f"{', '.join(map(str, sorted(lengths))) or 'no'} numbers, as many for each number, "
                "two or more, are wanted"
            )
        for j, each in enumerate(edges):
            if not all(math.isfinite(e) for e in each) or sorted(set(each)) != list(each):
                raise ValueError(f"PiecewiseLinear: the edges of number {j} do not rise: {each}")
        features = len(edges) if self.in_features is None else self.in_features
        features = checks.count("PiecewiseLinear", "in_features", features, least=len(edges))
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "in_features", features)

    @property
    def takes(self) -> int:
        """in_features."""
        assert self.in_features is not None
        return self.in_features

    @property
    def worked_on(self) -> int:
        """One for each row of edges."""
        return len(self.edges)

    @property
    def made(self) -> int:
        """One less than the edges of a number."""
        return len(self.edges[0]) - 1

    @property
    def constants(self) -> tuple[float, ...]:
        """The edges, number by number."""
        return tuple(edge for each in self.edges for edge in each)

    def gives(self, features: int) -> int:
        """The pieces of each number, and what is passed on."""
        return self.takes + self.worked_on * (self.made - 1)


@dataclass(frozen=True)
class Embedding(Columnwise):
    """A learned row of numbers for each category, from codes 0, 1, ... in the last columns.

    A code that the table has not, such as -1 for a category that was not seen, gives zeros.

    Args:
        sizes: categories of each column of codes. widths: numbers made of each; one number for all.
        in_features: columns of the input; None: as many as there are codes.

    Raises:
        TypeError, ValueError: a size or width is no positive integer, or not as many of both.

    >>> embedding = mg.Embedding((3,), widths=2, in_features=5)  # four numbers and a code
    >>> mg.Network(embedding, mg.Linear(6, 1), loss="mse").predict([[0.1, 0.2, 0.3, 0.4, 2]]).shape
    (1, 1)
    """

    sizes: tuple[int, ...]
    widths: tuple[int, ...] | int = 8
    in_features: int | None = None
    function = "embedding"

    def __post_init__(self) -> None:
        sizes = self._counts("sizes", self.sizes)
        widths = self.widths if isinstance(self.widths, Sequence) else [self.widths] * len(sizes)
        widths = self._counts("widths", widths)
        if not sizes or len(sizes) != len(widths):
            raise ValueError(
                f"Embedding: {len(sizes)} sizes and {len(widths)} widths, one each for every "
                "column of codes is wanted"
            )
        features = len(sizes) if self.in_features is None else self.in_features
        features = checks.count("Embedding", "in_features", features, least=len(sizes))
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "in_features", features)

    @staticmethod
    def _counts(name: str, values: Sequence[int]) -> tuple[int, ...]:
        each = checks.items("Embedding", name, values, "a number for each column of codes, (3,),")
        return tuple(checks.count("Embedding", name, value, below=2**24) for value in each)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Size and width of each table."""
        assert isinstance(self.widths, tuple)
        return list(zip(self.sizes, self.widths, strict=True))

    @property
    def takes(self) -> int:
        """in_features."""
        assert self.in_features is not None
        return self.in_features

    @property
    def worked_on(self) -> int:
        """The columns of codes."""
        return len(self.sizes)

    @property
    def constants(self) -> tuple[float, ...]:
        """Rows and columns of each table."""
        return tuple(float(n) for pair in self.pairs for n in pair)

    def gives(self, features: int) -> int:
        """The widths, and what is passed on."""
        return self.takes - len(self.sizes) + sum(width for _, width in self.pairs)

    def firsts(self, before_relu: bool) -> tuple[First, ...]:
        """A table (size, width) for each column of codes."""
        return tuple(
            First(f"table{i}", pair, std=1 / math.sqrt(pair[1]))
            for i, pair in enumerate(self.pairs)
        )
