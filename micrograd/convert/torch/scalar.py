"""A scalar function as a PyTorch module, element by element. Needs PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from micrograd.convert.scalar_function import ScalarFunction
from micrograd.engine.rules import split_dot


def _dot(*operands: Tensor) -> Tensor:
    ws, xs, bias = split_dot(operands)
    total: Tensor = bias
    for w, x in zip(ws, xs, strict=True):
        total = total + w * x
    return total


def _sum(*operands: Tensor) -> Tensor:
    total = operands[0]
    for x in operands[1:]:
        total = total + x
    return total


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "pow": torch.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "leaky_relu": lambda x, slope: torch.where(x > 0, x, x * slope),
    "neg": torch.neg,
    "abs": torch.abs,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),  # functional's is cut off at 20
    "erfc": torch.erfc,
    "gelu": nn.functional.gelu,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "log2": torch.log2,
    "log10": torch.log10,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "cbrt": lambda x: torch.sign(x) * torch.abs(x) ** (1.0 / 3.0),
    "erf": torch.erf,
    "lgamma": torch.lgamma,
    "digamma": torch.digamma,
    "sign": torch.sign,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "hypot": torch.hypot,
    "atan2": torch.atan2,
    "polygamma": lambda x, n: torch.polygamma(int(n.item()), x),
    "clamp": lambda x, low, high: torch.minimum(torch.maximum(x, low), high),
    "dot": _dot,
    "sum": _sum,
    "where": lambda c, x, y: torch.where(c != 0, x, y),
    "less": lambda x, y: (x < y).to(x.dtype),
    "less_equal": lambda x, y: (x <= y).to(x.dtype),
    "detach": torch.detach,
}


class Map(nn.Module):
    """An element-wise function, given by its ops.

    leaves: the numbers that it reads. They belong to the module of the whole network, which knows
    them by their names, for several functions may read the same.
    """

    def __init__(
        self, function: ScalarFunction, label: str, leaves: Sequence[nn.Parameter] = ()
    ) -> None:
        super().__init__()
        self.function = function
        self.label = label
        self.leaves = list(leaves)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""

        def op(name: str, operands: Sequence[Tensor]) -> Tensor:
            return FUNCTIONS[name](*operands)

        out = self.function.write(x, x.new_tensor, op, self.leaves)
        return out if self.function.varies else out.expand_as(x)

    def extra_repr(self) -> str:
        """What repr shows between the parentheses."""
        return self.label
