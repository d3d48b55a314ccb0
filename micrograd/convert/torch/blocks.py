"""The blocks as PyTorch modules, with parameters named as in a Network. Needs PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Layers F under the names "0", "1", ..., in order."""

    def __init__(self, body: Iterable[nn.Module]) -> None:
        super().__init__()
        self.size = 0
        for module in body:
            self.add_module(str(self.size), module)
            self.size += 1

    def body(self) -> list[nn.Module]:
        """The layers of F."""
        return [self.get_submodule(str(i)) for i in range(self.size)]

    def transform(self, x: Tensor) -> Tensor:
        """F(x)."""
        for module in self.body():
            x = module(x)
        return x


class Residual(Block):
    """F(x) + x, or F(x) + projection(x)."""

    def __init__(self, body: Iterable[nn.Module], projection: nn.Linear | None) -> None:
        super().__init__(body)
        self.projection = projection

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) to (batch, features of F)."""
        carried = x if self.projection is None else self.projection(x)
        return self.transform(x) + carried


class Highway(Block):
    """T F(x) + (1 - T) x, with T = sigmoid(gate(x))."""

    def __init__(self, body: Iterable[nn.Module], gate: nn.Linear) -> None:
        super().__init__(body)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) to the same."""
        share = torch.sigmoid(self.gate(x))
        return share * self.transform(x) + (1 - share) * x


class DenseBlock(Block):
    """Each group of layers sees x and the outputs of all groups before it, concatenated.

    sizes: how many layers each group has.
    """

    def __init__(self, body: Iterable[nn.Module], sizes: Sequence[int]) -> None:
        super().__init__(body)
        self.sizes = list(sizes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) to (batch, features of x and of all groups)."""
        modules = iter(self.body())
        for size in self.sizes:
            out = x
            for _ in range(size):
                out = next(modules)(out)
            x = torch.cat([x, out], dim=1)
        return x
