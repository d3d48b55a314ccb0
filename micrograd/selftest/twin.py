"""The same network written for PyTorch, from what its layers say they are; always in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from micrograd.core import Array
from micrograd.network import (
    ELU,
    GELU,
    SELU,
    DenseBlock,
    Dropout,
    Embedding,
    Highway,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    Map,
    Mish,
    Parametric,
    Periodic,
    PiecewiseLinear,
    ReLU,
    Residual,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from micrograd.selftest.draw import levels

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


class Twin:
    """A forward pass over the layers.

    Args:
        parameters: tensors by the names that the network gives them.
        seed, step: the network's, for the masks of Dropout; None leaves Dropout out.

    Attributes:
        margin: how near to its kink a ReLU or LeakyReLU came: the least |z| over the largest.
    """

    def __init__(self, parameters: Mapping[str, torch.Tensor], seed: int, step: int | None) -> None:
        self.parameters = parameters
        self.seed, self.step = seed, step
        self.streams = self.maps = 0
        self.margin = float("inf")

    def forward(self, layers: Sequence[Layer], x: torch.Tensor, path: str = "") -> torch.Tensor:
        """(rows, features) to (rows, features of the last layer)."""
        for i, layer in enumerate(layers):
            x = FORWARD[type(layer)](self, layer, x, f"{path}{i}")
        return x

    def kink(self, z: torch.Tensor) -> None:
        """Notes how near to 0 a number came where a derivative jumps."""
        size = float(z.detach().abs().max())
        self.margin = min(self.margin, float(z.detach().abs().min()) / size if size else 0.0)

    def linear(self, x: torch.Tensor, path: str) -> torch.Tensor:
        """x @ W.T + b, where there is a b."""
        bias = self.parameters.get(f"{path}.bias")
        return functional.linear(x, self.parameters[f"{path}.weight"], bias)

    def relu(self, layer: ReLU | LeakyReLU, x: torch.Tensor) -> torch.Tensor:
        """Either kind."""
        self.kink(x)
        slope = layer.negative_slope if isinstance(layer, LeakyReLU) else 0.0
        return functional.leaky_relu(x, slope)

    def elu(self, layer: ELU | SELU, x: torch.Tensor) -> torch.Tensor:
        """Either kind."""
        self.kink(x)
        return functional.elu(x, layer.alpha) if isinstance(layer, ELU) else functional.selu(x)

    def map(self, x: torch.Tensor) -> torch.Tensor:
        """x sigmoid(b x), as micrograd.selftest.draw makes them, in their order."""
        b = self.parameters[f"swish{self.maps}"]
        self.maps += 1
        return x * torch.sigmoid(b * x)

    def dropout(self, layer: Dropout, x: torch.Tensor) -> torch.Tensor:
        """The mask of csrc/kernels/skip_template.h, computed again in numpy."""
        if self.step is None or layer.p == 0:
            return x
        dropped = dropped_at(layer.p, self.seed, self.step, self.streams, x.shape[0], x.shape[1])
        self.streams += 1
        return x * torch.from_numpy(~dropped / (1 - layer.p))

    def parametric(self, layer: Parametric, x: torch.Tensor, path: str) -> torch.Tensor:
        """Between x and the activation of it, and beyond."""
        bent = FORWARD[type(layer.activation)](self, layer.activation, x, path)
        return x + self.parameters[f"{path}.weight"] * (bent - x)

    def periodic(self, layer: Periodic, x: torch.Tensor, path: str) -> torch.Tensor:
        """Each number, and the cosines of it mixed; then what is passed on."""
        n = layer.worked_on
        f, phase, w, b = (
            self.parameters[f"{path}.{name}"] for name in ("frequency", "phase", "weight", "bias")
        )
        number = x[:, :n, None]
        waves = torch.cos(2 * torch.pi * (f * number + phase))
        mixed = torch.einsum("rnk,nok->rno", waves, w.reshape(n, -1, f.shape[1])) + b
        return torch.cat([torch.cat([number, mixed], dim=2).flatten(1), x[:, n:]], dim=1)

    def piecewise(self, layer: PiecewiseLinear, x: torch.Tensor) -> torch.Tensor:
        """The share of each piece between two edges that lies below the number."""
        out = []
        for j, edges in enumerate(layer.edges):
            for t in range(len(edges) - 1):
                share = (x[:, j] - edges[t]) / (edges[t + 1] - edges[t])
                if t > 0:
                    self.kink(x[:, j] - edges[t])
                    share = share.clamp(min=0)
                out.append(share if t == len(edges) - 2 else share.clamp(max=1))
        return torch.cat([torch.stack(out, dim=1), x[:, len(layer.edges) :]], dim=1)

    def embedding(self, layer: Embedding, x: torch.Tensor, path: str) -> torch.Tensor:
        """What is passed on, then the row of each code, or zeros for a code of no category."""
        first = x.shape[1] - layer.worked_on
        out = [x[:, :first]]
        for i, size in enumerate(layer.sizes):
            code = x[:, first + i].to(torch.int64)
            known = (code >= 0) & (code < size)
            row = self.parameters[f"{path}.table{i}"][code.clamp(0, size - 1)]
            out.append(row * known[:, None])
        return torch.cat(out, dim=1)

    def residual(self, layer: Residual, x: torch.Tensor, path: str) -> torch.Tensor:
        """F(x) + x, or F(x) + W_s x."""
        carried = self.linear(x, f"{path}.projection") if layer.projection else x
        return self.forward(layer.layers, x, f"{path}.") + carried

    def highway(self, layer: Highway, x: torch.Tensor, path: str) -> torch.Tensor:
        """T F(x) + (1 - T) x."""
        share = torch.sigmoid(self.linear(x, f"{path}.gate"))
        return share * self.forward(layer.layers, x, f"{path}.") + (1 - share) * x

    def dense(self, layer: DenseBlock, x: torch.Tensor, path: str) -> torch.Tensor:
        """x and the output of every group of layers, each of which sees all before it."""
        position = 0
        for group in layer.groups():
            new = x
            for inner in group:
                new = FORWARD[type(inner)](self, inner, new, f"{path}.{position}")
                position += 1
            x = torch.cat([x, new], dim=1)
        return x


FORWARD: dict[type[Layer], Callable[[Twin, Any, torch.Tensor, str], torch.Tensor]] = {
    Linear: lambda t, _, x, path: t.linear(x, path),
    ReLU: lambda t, layer, x, _: t.relu(layer, x),
    LeakyReLU: lambda t, layer, x, _: t.relu(layer, x),
    Sigmoid: lambda t, _, x, path: torch.sigmoid(x),
    Tanh: lambda t, _, x, path: torch.tanh(x),
    GELU: lambda t, _, x, path: functional.gelu(x),
    SiLU: lambda t, _, x, path: functional.silu(x),
    Softplus: lambda t, _, x, path: functional.softplus(x, threshold=40),
    ELU: lambda t, layer, x, _: t.elu(layer, x),
    SELU: lambda t, layer, x, _: t.elu(layer, x),
    Mish: lambda t, _, x, path: functional.mish(x),
    Softmax: lambda t, _, x, path: torch.softmax(x, dim=1),
    Identity: lambda t, _, x, path: x,
    Dropout: lambda t, layer, x, _: t.dropout(layer, x),
    Map: lambda t, _, x, path: t.map(x),
    Scale: lambda t, _, x, path: x * t.parameters[f"{path}.weight"],
    Parametric: lambda t, layer, x, path: t.parametric(layer, x, path),
    Periodic: lambda t, layer, x, path: t.periodic(layer, x, path),
    PiecewiseLinear: lambda t, layer, x, _: t.piecewise(layer, x),
    Embedding: lambda t, layer, x, path: t.embedding(layer, x, path),
    Residual: lambda t, layer, x, path: t.residual(layer, x, path),
    Highway: lambda t, layer, x, path: t.highway(layer, x, path),
    DenseBlock: lambda t, layer, x, path: t.dense(layer, x, path),
}


def _mixed(x: Any) -> Any:
    """SplitMix64's step (Steele et al. 2014), of uint64 scalars or arrays."""
    with np.errstate(over="ignore"):
        x = np.asarray(x, np.uint64) + _GAMMA
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _scrambled(x: Array) -> Array:
    """Wellons' lowbias32."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    out: Array = x ^ (x >> np.uint32(16))
    return out


def dropped_at(p: float, seed: int, step: int, stream: int, rows: int, columns: int) -> Array:
    """Which elements Dropout number `stream` of a network sets to 0: bool (rows, columns)."""
    with np.errstate(over="ignore"):
        run = _mixed(_mixed(np.uint64(seed)) + np.uint64(step))
        key = _mixed(run + np.uint64(stream))
        row = _mixed(key + np.arange(rows, dtype=np.uint64))[:, None]
        bits = np.arange(columns, dtype=np.uint32)[None, :] + row.astype(np.uint32)
        bits = _scrambled(bits)
        bits = _scrambled(bits ^ (row >> np.uint64(32)).astype(np.uint32))
    dropped: Array = (bits >> np.uint32(8)) < np.uint32(int(p * (1 << 24)))
    return dropped


def _pinball(off: torch.Tensor) -> torch.Tensor:
    """(rows, outputs): q times how far the target lies above, 1 - q times how far below."""
    q = torch.tensor(levels(off.shape[1]), dtype=torch.float64)
    return torch.where(off > 0, q * off, (q - 1) * off)


def loss_of(name: str, z: torch.Tensor, y: Array, weight: Array | None) -> torch.Tensor:
    """The loss of a batch: sum_i w_i L_i / sum_i w_i."""
    target = torch.from_numpy(y)
    elements: dict[str, Callable[[], torch.Tensor]] = {
        "cross_entropy": lambda: functional.cross_entropy(z, target, reduction="none"),
        "mse": lambda: ((z - target) ** 2).mean(1),
        "bce": lambda: functional.binary_cross_entropy_with_logits(
            z, target, reduction="none"
        ).mean(1),
        "mae": lambda: (z - target).abs().mean(1),
        "huber": lambda: functional.huber_loss(z, target, reduction="none").mean(1),
        "quantile": lambda: _pinball(target - z).mean(1),
        "poisson": lambda: (torch.exp(z) - target * z).mean(1),
        "own": lambda: torch.log(torch.cosh(z - target)).mean(1),
    }
    rows = elements[name]()
    w = torch.ones_like(rows) if weight is None else torch.from_numpy(weight)
    return (w * rows).sum() / w.sum()
