"""One random network beside PyTorch, in both dtypes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from micrograd import core
from micrograd.core import Array
from micrograd.network import Network
from micrograd.selftest.draw import Case, batch, draw
from micrograd.selftest.twin import Twin, loss_of

DTYPES = ("float64", "float32")
# What an error may be, relative to the largest number of its kind; see `error`. Float64 is the
# promise; float32 has 2^29 times its rounding, and the deepest of the networks a hundred of them.
LIMITS = {"float64": 1e-9, "float32": 5e-3}
# A ReLU whose input is within rounding of 0 may fall on either side: such batches are drawn again.
NEAR_A_KINK = 2e-5
SHARE_OF_THE_LARGEST = 1e-2


@dataclass(frozen=True)
class Outcome:
    """The worst error of one network in one dtype, and where it was."""

    seed: int
    dtype: str
    error: float
    where: str

    @property
    def passed(self) -> bool:
        """Whether the error is a number within the limit."""
        return self.error <= LIMITS[self.dtype]


@dataclass(frozen=True)
class _Reference:
    """What PyTorch computes: predictions without dropout, the loss with it, and gradients."""

    prediction: Array
    loss: float
    gradients: Mapping[str, Array]
    margin: float


def compare(seed: int) -> list[Outcome]:
    """The network of a seed in each dtype.

    The prediction, the loss with dropout at work, and every gradient, accumulated over two passes
    that have other masks, are compared with PyTorch in float64.
    """
    case = draw(seed)
    threads = core.get_num_threads()
    try:
        core.set_num_threads(case.threads)
        return [_compared(case, dtype) for dtype in DTYPES]
    finally:
        core.set_num_threads(threads)


def network(case: Case, dtype: str) -> Network:
    """The network, with biases that are not zero and parameters that float32 holds."""
    net = Network(
        *case.layers,
        loss=case.loss_argument,
        dtype=dtype,
        seed=case.seed,
        checkpoint=case.checkpoint,
    )
    rng = np.random.default_rng([case.seed, 1])
    for p in net.parameters():
        if p.name.endswith("bias"):
            p.data[...] = rng.normal(0, 0.5, p.shape)
        p.data[...] = p.data.astype(np.float32)
    return net


def _compared(case: Case, dtype: str) -> Outcome:
    net = network(case, dtype)
    tensors = {p.name: torch.from_numpy(p.data.astype(np.float64)) for p in net.parameters()}
    first = net.step
    wanted = _reference(case, tensors, first)
    for attempt in range(100):
        if wanted.margin > NEAR_A_KINK:
            break
        rng = np.random.default_rng([case.seed, 2, attempt])
        rows, out = len(case.x), net.out_features
        case.x, case.y, case.weight = batch(rng, case.loss, rows, net.in_features, out, case.sizes)
        wanted = _reference(case, tensors, first)
    errors = {"prediction": error(net.predict(case.x), wanted.prediction)}
    for _ in range(2):
        loss = net.loss(case.x, case.y, sample_weight=case.weight)
        net.backward()
    again = _reference(case, tensors, first + 1)
    scale = max(abs(again.loss), 1.0 if dtype == "float32" else 1e-3)
    errors["loss"] = abs(loss - again.loss) / scale
    total = {name: g + again.gradients[name] for name, g in wanted.gradients.items()}
    largest = max(float(np.abs(g).max()) for g in total.values())
    for p in net.parameters():
        least = SHARE_OF_THE_LARGEST * largest
        errors[p.name] = error(p.grad, total[p.name], least)
    where = max(errors, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    return Outcome(case.seed, dtype, errors[where], where)


def error(got: Array, wanted: Array, least: float = 0.0) -> float:
    """The largest difference, relative to the largest number wanted, or to `least` if that is more.

    A gradient that is a small difference of large terms has their rounding: hence `least`.
    """
    scale = max(float(np.abs(wanted).max()), least)
    difference = float(np.abs(np.asarray(got, np.float64) - wanted).max())
    return difference / scale if scale else difference


def _reference(case: Case, tensors: Mapping[str, torch.Tensor], step: int) -> _Reference:
    leaves = {name: t.clone().requires_grad_() for name, t in tensors.items()}
    x = torch.from_numpy(case.x)
    with torch.no_grad():
        predicting = Twin(leaves, case.seed, None)
        prediction = predicting.forward(case.layers, x).numpy()
    training = Twin(leaves, case.seed, step)
    z = training.forward(case.layers, x)
    if case.loss in ("mae", "quantile"):
        training.kink(z - torch.from_numpy(case.y))
    loss = loss_of(case.loss, z, case.y, case.weight)
    loss.backward()
    gradients = {
        name: np.zeros(t.shape) if t.grad is None else t.grad.numpy() for name, t in leaves.items()
    }
    margin = min(predicting.margin, training.margin)
    return _Reference(prediction, float(loss.detach()), gradients, margin)
