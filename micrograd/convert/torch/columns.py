"""The layers for columns as PyTorch modules, parameters named as in a Network. Needs PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Scale(nn.Module):
    """s_j x_j."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) to the same."""
        return self.weight * x


class Parametric(nn.Module):
    """x_j + s_j (f(x_j) - x_j)."""

    def __init__(self, activation: nn.Module, features: int) -> None:
        super().__init__()
        self.activation = activation
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) to the same."""
        return x + self.weight * (self.activation(x) - x)


class Periodic(nn.Module):
    """Cosines of each of the first numbers, mixed, beside the number itself; the rest behind."""

    def __init__(
        self, in_features: int, numbers: int, frequencies: int, width: int, sigma: float
    ) -> None:
        super().__init__()
        self.in_features, self.sigma = in_features, sigma
        self.frequency = nn.Parameter(torch.empty(numbers, frequencies))
        self.phase = nn.Parameter(torch.empty(numbers, frequencies))
        self.weight = nn.Parameter(torch.empty(numbers, width, frequencies))
        self.bias = nn.Parameter(torch.zeros(numbers, width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_features) to (batch, in_features + numbers * width)."""
        numbers = len(self.frequency)
        x, others = x[:, :numbers], x[:, numbers:]
        waves = torch.cos(2 * math.pi * (self.frequency * x[:, :, None] + self.phase))
        mixed = self.bias + torch.einsum("bnk,nwk->bnw", waves, self.weight)
        made = torch.cat([x[:, :, None], mixed], dim=2)
        return torch.cat([made.flatten(1), others], dim=1)


class PiecewiseLinear(nn.Module):
    """Where each number lies between its edges; the first piece is not held from below, the last
    not from above. The edges are constants."""

    def __init__(self, edges: Sequence[Sequence[float]], in_features: int) -> None:
        super().__init__()
        self.edges, self.in_features = tuple(map(tuple, edges)), in_features

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_features) to (batch, pieces of the numbers and the other columns)."""
        edges = torch.tensor(self.edges, dtype=x.dtype, device=x.device)
        numbers, pieces = len(edges), edges.shape[1] - 1
        share = (x[:, :numbers, None] - edges[:, :-1]) / (edges[:, 1:] - edges[:, :-1])
        low = torch.zeros(pieces, dtype=x.dtype, device=x.device)
        high = torch.ones(pieces, dtype=x.dtype, device=x.device)
        low[0], high[-1] = -math.inf, math.inf
        made = torch.minimum(torch.maximum(share, low), high)
        return torch.cat([made.flatten(1), x[:, numbers:]], dim=1)


class Embedding(nn.Module):
    """A row of a table for each code of the last columns; zeros for a code that it has not."""

    def __init__(self, pairs: Sequence[tuple[int, int]], in_features: int) -> None:
        super().__init__()
        self.pairs, self.in_features = [*pairs], in_features
        for i, (size, width) in enumerate(self.pairs):
            self.register_parameter(f"table{i}", nn.Parameter(torch.empty(size, width)))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_features) to (batch, the other columns and the widths)."""
        first = self.in_features - len(self.pairs)
        parts = [x[:, :first]]
        for i, (size, _) in enumerate(self.pairs):
            code = x[:, first + i]
            known = (code >= 0) & (code < size) & (code == code.trunc())
            rows = self.get_parameter(f"table{i}")[torch.where(known, code, 0).long()]
            parts.append(torch.where(known[:, None], rows, 0))
        return torch.cat(parts, dim=1)
