"""One step of each optimizer over flat float32 parameters, beside torch; each is checked first.

`extra_info` has the bytes it has to move in a second, and their share of what a = b + s c (triad)
moves: the machine's own limit where the arrays are larger than its caches.
"""

import numpy as np
import pytest

import micrograd as mg
from micrograd.core import lib
from micrograd.optim import SGD, Adam, AdamW, RMSprop
from micrograd.parameters import Parameters

SIZES = [10_000, 1_000_000, 20_000_000]
# kind, settings, float32 numbers read and written for each parameter
OPTIMIZERS = {
    "SGD": (SGD, {"lr": 1e-3}, 3),
    "SGD, momentum": (SGD, {"lr": 1e-3, "momentum": 0.9}, 5),
    "RMSprop": (RMSprop, {"lr": 1e-3}, 5),
    "Adam": (Adam, {"lr": 1e-3}, 7),
    "AdamW": (AdamW, {"lr": 1e-3}, 7),
}


def arrays(n):
    return np.random.default_rng(n).normal(size=(2, n)).astype(np.float32)


def ours(kind, settings, p, g):
    params = Parameters([("w", p.shape)], p.dtype)
    params.flat[:], params.flat_grad[:] = p, g
    optimizer = kind(params, **settings)
    return optimizer.step, lambda: params.flat


def torchs(kind, settings, p, g, **keywords):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    tensor = torch.from_numpy(p.copy()).requires_grad_()
    tensor.grad = torch.from_numpy(g.copy())
    optimizer = getattr(torch.optim, kind.__name__)([tensor], **settings, **keywords)
    return optimizer.step, lambda: tensor.detach().numpy()


@pytest.mark.parametrize("who", ["micrograd", "torch", "torch fused"])
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_step(benchmark, name, n, who):
    kind, settings, moved = OPTIMIZERS[name]
    p, g = arrays(n)
    if who == "micrograd":
        step, result = ours(kind, settings, p, g)
    elif who == "torch":
        step, result = torchs(kind, settings, p, g)
    elif kind is RMSprop:
        pytest.skip("torch has no fused RMSprop")
    else:
        step, result = torchs(kind, settings, p, g, fused=True)
    reference, wanted = ours(kind, settings, p.astype(float), g.astype(float))
    step()
    reference()
    np.testing.assert_allclose(result(), wanted(), rtol=1e-5, atol=1e-6)
    benchmark.group = f"{name}, {n} parameters"
    benchmark(step)
    if benchmark.stats is not None:
        speed = n * moved * 4 / benchmark.stats["median"] / 1e9
        benchmark.extra_info["GB/s"] = round(speed, 1)
        benchmark.extra_info["of triad"] = round(speed / lib.mg_measure_triad(1), 2)


@pytest.mark.parametrize("who", ["micrograd", "torch"])
@pytest.mark.parametrize("n", SIZES)
def test_clip_grad_norm(benchmark, n, who):
    """To a norm that is not reached: the norm alone is what it takes. torch sums in float32, which
    at 20 million numbers is 0.1 % off."""
    p, g = arrays(n)
    wanted = np.linalg.norm(g.astype(float))
    if who == "micrograd":
        params = Parameters([("w", p.shape)], p.dtype)
        params.flat_grad[:] = g
        clip = lambda: mg.clip_grad_norm_(params, 1e9)  # noqa: E731
    else:
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        tensor = torch.from_numpy(p).requires_grad_()
        tensor.grad = torch.from_numpy(g.copy())
        clip = lambda: torch.nn.utils.clip_grad_norm_([tensor], 1e9)  # noqa: E731
    assert float(clip()) == pytest.approx(wanted, rel=1e-6 if who == "micrograd" else 0.01)
    benchmark.group = f"clip_grad_norm_, {n} parameters"
    benchmark(clip)
