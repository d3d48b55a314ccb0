"""What a layer is: plain data that a Network lowers to a plan for the C core.

Names and meanings follow PyTorch.  Weights are (out_features, in_features), batches
(rows, features): the documents' Z = W A + b is Z = X @ W.T + b here.  Layers made of layers are in
`micrograd.network.blocks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.engine import minimum, where

INITS = {"he": 2.0, "xavier": 1.0, "lecun": 1.0}  # the variance of a weight, times its fan
SATURATED = 0.05  # a unit whose slope is less than this share of the steepest hardly learns


@dataclass(frozen=True)
class First:
    """One array of parameters that a layer has, and the normal distribution it starts from."""

    name: str  # within the layer: "weight", "bias"
    shape: tuple[int, ...]
    mean: float = 0.0
    std: float = 0.0  # 0: every number starts as the mean


class Layer:
    """Base of all layers; compare with isinstance.

    A layer is immutable, so a copy of it is the layer itself. What an analysis wants to know of one
    without parameters stands here: `steepest`, `saturated`, `dead`; nan where there is no answer.

    >>> isinstance(mg.ReLU(), mg.network.Layer), mg.Linear(4, 8).takes
    (True, 4)
    """

    @property
    def takes(self) -> int | None:
        """Features of the input, or None where any number will do: it gives as many then."""
        return None

    def gives(self, features: int) -> int:
        """Features of the output for an input of so many."""
        return features

    def firsts(self, before_relu: bool) -> Sequence[First]:
        """Its arrays of parameters, in order; before_relu: an activation of a ReLU kind follows."""
        return ()

    @property
    def steepest(self) -> float:
        """The largest norm that the layer's Jacobian can have (documents, section 6)."""
        return math.nan

    def saturated(self, a: Array) -> float:
        """The share of outputs a at which the slope is below SATURATED of the steepest."""
        return math.nan

    def dead(self, a: Array) -> float:
        """The share of units that pass no gradient for any row of the outputs a (rows, units)."""
        return math.nan

    def __copy__(self) -> Layer:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Layer:
        return self


@dataclass(frozen=True)
class Linear(Layer):
    """z = x @ W.T + b, with W (out_features, in_features) and b (out_features,).

    Args:
        in_features: columns of the input, 1 or more.
        out_features: columns of the output, 1 or more.
        bias: whether there is a b.
        init: "he" (normal, variance 2 / in_features: He et al. 2015, eq. 10) or "xavier" (normal,
            variance 2 / (in_features + out_features): Glorot and Bengio 2010, eq. 12) or "lecun"
            (normal, variance 1 / in_features: LeCun et al. 1998, section 4.6); None takes "he"
            before a ReLU kind and "xavier" elsewhere.

    Raises:
        TypeError, ValueError: a size is not a positive integer, or init is unknown.

    >>> [p.shape for p in mg.Network(mg.Linear(4, 3)).parameters()]
    [(3, 4), (3,)]
    """

    in_features: int
    out_features: int
    bias: bool = True
    init: str | None = None

    def __post_init__(self) -> None:
        for name in ("in_features", "out_features"):
            size = getattr(self, name)
            size = checks.count("Linear", name, size, below=2**31)
            object.__setattr__(self, name, size)
        object.__setattr__(self, "bias", checks.flag("Linear", "bias", self.bias))
        if self.init is not None and self.init not in INITS:
            raise ValueError(f"Linear: init is {self.init!r}, one of {', '.join(INITS)} is wanted")

    @property
    def takes(self) -> int:
        """in_features."""
        return self.in_features

    def gives(self, features: int) -> int:
        """out_features."""
        return self.out_features

    def __str__(self) -> str:
        return f"Linear({self.in_features}, {self.out_features})"

    def firsts(self, before_relu: bool) -> Sequence[First]:
        """W, and b unless there is none."""
        kind = self.init or ("he" if before_relu else "xavier")
        both = (self.in_features + self.out_features) / 2
        std = math.sqrt(INITS[kind] / (both if kind == "xavier" else self.in_features))
        weight = First("weight", (self.out_features, self.in_features), std=std)
        return (weight, First("bias", (self.out_features,))) if self.bias else (weight,)


@dataclass(frozen=True)
class Activation(Layer):
    """An element-wise function: what the plan, the first weights and an analysis must know of it.

    function: its name in lower case: MG_<NAME> of the C core, what the estimators and the command
        line call it.
    derivative_from_input: the derivative is computed from z, else from the cached output a.
    from_either: it can be computed from z as well as from a.
    is_relu_kind: a Linear before it starts with He's weights.
    """

    function: ClassVar[str]
    derivative_from_input: ClassVar[bool] = False
    from_either: ClassVar[bool] = False
    is_relu_kind: ClassVar[bool] = False

    @property
    def slope(self) -> float:
        """What the C core gets beside the function; LeakyReLU's and ELU's."""
        return 0.0

    def __str__(self) -> str:
        return f"{type(self).__name__}()"


class ReLU(Activation):
    """max(0, z); derivative 1 where z > 0, else 0 (documents, section 6).

    >>> mg.Network(mg.Scale(3), mg.ReLU()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[0., 0., 2.]], dtype=float32)
    """

    function = "relu"
    from_either = True
    is_relu_kind = True
    steepest = 1.0

    def dead(self, a: Array) -> float:
        """Units that are 0 for every row."""
        return float((a <= 0).all(axis=0).mean())


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """z where z > 0, else negative_slope * z.

    Raises:
        ValueError: negative_slope is negative or no finite number.

    >>> mg.Network(mg.Scale(3), mg.LeakyReLU()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[-0.01,  0.  ,  2.  ]], dtype=float32)
    """

    negative_slope: float = 0.01
    function = "leaky_relu"
    from_either = True
    is_relu_kind = True

    def __post_init__(self) -> None:
        slope = checks.number("LeakyReLU", "negative_slope", self.negative_slope)
        object.__setattr__(self, "negative_slope", slope)

    @property
    def slope(self) -> float:
        """negative_slope."""
        return self.negative_slope

    @property
    def steepest(self) -> float:
        """1, or negative_slope where that is larger."""
        return max(1.0, self.negative_slope)

    def __str__(self) -> str:
        return f"LeakyReLU({self.negative_slope:g})"


class Sigmoid(Activation):
    """1 / (1 + exp(-z)); derivative a (1 - a) from the output, at most 1/4 (section 6).

    >>> mg.Network(mg.Scale(3), mg.Sigmoid()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[0.269, 0.5  , 0.881]], dtype=float32)
    """

    function = "sigmoid"
    steepest = 0.25

    def saturated(self, a: Array) -> float:
        """Where a (1 - a) is small."""
        return float((a * (1 - a) < SATURATED * self.steepest).mean())


class Tanh(Activation):
    """tanh(z); derivative 1 - a^2 from the output (documents, section 6).

    >>> mg.Network(mg.Scale(3), mg.Tanh()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[-0.762,  0.   ,  0.964]], dtype=float32)
    """

    function = "tanh"
    steepest = 1.0

    def saturated(self, a: Array) -> float:
        """Where 1 - a^2 is small."""
        return float((1 - np.square(a) < SATURATED * self.steepest).mean())


class GELU(Activation):
    """z * Phi(z), Phi the normal distribution function, exact (Hendrycks and Gimpel 2016).

    >>> mg.Network(mg.Scale(3), mg.GELU()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[-0.159,  0.   ,  1.954]], dtype=float32)
    """

    function = "gelu"
    derivative_from_input = True
    is_relu_kind = True
    # Phi(z) + z phi(z) is largest at z = sqrt(2).
    steepest = 0.5 * (1 + math.erf(1)) + math.exp(-1) / math.sqrt(math.pi)


class SiLU(Activation):
    """z * sigmoid(z), also called swish (Elfwing et al. 2017).

    >>> mg.Network(mg.Scale(3), mg.SiLU()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[-0.269,  0.   ,  1.762]], dtype=float32)
    """

    function = "silu"
    derivative_from_input = True
    is_relu_kind = True
    steepest = 1.0998393194  # at z = 2.3993573

    def f(self, z: Any) -> Any:
        """The same of a Value."""
        return z * z.sigmoid()


class Softplus(Activation):
    """log(1 + exp(z)): a smooth ReLU, whose derivative is the sigmoid.

    >>> mg.Network(mg.Scale(3), mg.Softplus()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[0.313, 0.693, 2.127]], dtype=float32)
    """

    function = "softplus"
    derivative_from_input = True
    is_relu_kind = True
    steepest = 1.0


@dataclass(frozen=True)
class ELU(Activation):
    """z where z > 0, else alpha * (exp(z) - 1) (Clevert et al. 2015).

    Raises:
        TypeError, ValueError: alpha is no number, or negative.

    >>> mg.Network(mg.Scale(3), mg.ELU()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[-0.632,  0.   ,  2.   ]], dtype=float32)
    """

    alpha: float = 1.0
    function = "elu"
    is_relu_kind = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checks.number("ELU", "alpha", self.alpha))

    @property
    def slope(self) -> float:
        """alpha."""
        return self.alpha

    @property
    def steepest(self) -> float:
        """1, or alpha where that is larger."""
        return max(1.0, self.alpha)

    def f(self, z: Any) -> Any:
        """The same of a Value."""
        return where(z > 0, z, self.alpha * (minimum(z, 0.0).exp() - 1))

    def __str__(self) -> str:
        return f"ELU({self.alpha:g})"


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class SELU(Activation):
    """SELU_SCALE * ELU(z, SELU_ALPHA): numbers that keep mean 0 and variance 1 from layer to layer
    (Klambauer et al. 2017).

    >>> mg.Network(mg.Scale(3), mg.SELU()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[-1.111,  0.   ,  2.101]], dtype=float32)
    """

    function = "selu"
    is_relu_kind = True
    steepest = SELU_SCALE * SELU_ALPHA

    def f(self, z: Any) -> Any:
        """The same of a Value."""
        return SELU_SCALE * ELU(SELU_ALPHA).f(z)


class Mish(Activation):
    """z * tanh(softplus(z)) (Misra 2019).

    >>> mg.Network(mg.Scale(3), mg.Mish()).predict([[-1.0, 0.0, 2.0]]).round(3)
    array([[-0.303,  0.   ,  1.944]], dtype=float32)
    """

    function = "mish"
    derivative_from_input = True
    is_relu_kind = True
    steepest = 1.0884995  # at z = 1.4906

    def f(self, z: Any) -> Any:
        """The same of a Value."""
        return z * z.softplus().tanh()


# Every activation by its name; whoever lists or looks up activations does it here.
ACTIVATIONS: dict[str, type[Activation]] = {
    kind.function: kind
    for kind in (ReLU, LeakyReLU, Sigmoid, Tanh, GELU, SiLU, Softplus, ELU, SELU, Mish)
}


@dataclass(frozen=True)
class Map(Layer):
    """An activation of one's own: f(z), element by element, a function of one Value.

        swish = mg.Map(lambda z: z * z.sigmoid())

    It is recorded once, as `mg.compile` does it, and runs in the C core, forward and backward.
    Values that f closes over and that take a gradient become parameters of the network, such as a
    learned slope; see Network.

    Raises:
        TypeError: f is no function. What cannot be recorded is an error when the network is made.

    >>> mg.Network(mg.Scale(3), mg.Map(lambda z: z * z)).predict([[-1.0, 0.0, 2.0]])
    array([[1., 0., 4.]], dtype=float32)
    """

    f: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not callable(self.f):
            raise TypeError(f"Map: {checks.describe(self.f)} is no function of a Value")

    def __str__(self) -> str:
        return f"Map({getattr(self.f, '__name__', type(self.f).__name__)})"


@dataclass(frozen=True)
class Identity(Layer):
    """Changes nothing.

    >>> mg.Network(mg.Scale(2), mg.Identity()).predict([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
    """

    steepest = 1.0

    def __str__(self) -> str:
        return "Identity()"


@dataclass(frozen=True)
class Softmax(Layer):
    """exp(z_i) / sum_j exp(z_j) over each row, with its full Jacobian (documents, section 6).

    The "cross_entropy" loss applies its own softmax and wants logits: no Softmax before it.

    >>> mg.Network(mg.Scale(2), mg.Softmax(), loss="mse").predict([[0.0, 0.0]])
    array([[0.5, 0.5]], dtype=float32)
    """

    steepest = 0.5  # of the Jacobian diag(p) - p p^T

    def __str__(self) -> str:
        return "Softmax()"


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets each number to 0 with probability p and multiplies the others by 1 / (1 - p).

    Only in training: loss(), backward() and fit() have it, predict() and evaluate() do not
    (Srivastava et al. 2014; scaled in training, as PyTorch does). Which numbers are dropped depends
    on the network's seed, its count of training passes, the layer and the place in the batch, and
    on nothing else: not on the number of threads, nor on whether a pass is computed twice.

    Raises:
        TypeError, ValueError: p is no number, or not in [0, 1).

    >>> net = mg.Network(mg.Linear(64, 32), mg.ReLU(), mg.Dropout(0.2), mg.Linear(32, 10))
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", checks.number("Dropout", "p", self.p, below=1))

    @property
    def steepest(self) -> float:
        """1 / (1 - p), where nothing is dropped."""
        return 1 / (1 - self.p)

    def __str__(self) -> str:
        return f"Dropout({self.p:g})"
