"""What several test files need: C kernels on numpy arrays, bits, ulps, PyTorch twins."""

import os
import subprocess
import sys

import numpy as np
import pytest

from micrograd import core
from micrograd.core import ffi, lib

ISAS = core.supported_isas()
DTYPES = ("float32", "float64")


@pytest.fixture(params=ISAS)
def isa(request):
    """Every instruction set of this machine, as the C core's number."""
    return core.ISA_CODES[request.param]


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.fixture
def threads():
    """Restores the number of threads after a test that changes it."""
    before = core.threads
    yield core.set_num_threads
    core.set_num_threads(before)


def lanes(isa, dtype):
    """Elements of one vector register: see MG_VECTOR_BYTES in csrc/isa_*.c."""
    by_name = {"generic": 16, "avx2": 32, "avx512": 64, "neon": 16}
    by_code = {core.ISA_CODES[name]: size for name, size in by_name.items()}
    return by_code[isa] // np.dtype(dtype).itemsize


def tile_rows(isa):
    """Rows of the micro-kernel's tile: see MG_ROWS in csrc/isa_*.c."""
    by_name = {"generic": 4, "avx2": 6, "avx512": 14, "neon": 12}
    return {core.ISA_CODES[name]: rows for name, rows in by_name.items()}[isa]


def address(array):
    """The address of an array's first element, whatever its strides."""
    return ffi.cast("void *", array.ctypes.data)


def strides(array):
    """Strides in elements."""
    assert all(s % array.itemsize == 0 for s in array.strides)
    return [s // array.itemsize for s in array.strides]


def code(array):
    return core.DTYPES[array.dtype.name]


def matmul(isa, a, b, c, alpha=1.0, accumulate=False, threads=1):
    """c = alpha * a @ b in the C core, += with accumulate; the strides are those of the arrays."""
    (m, k), (_, n) = a.shape, b.shape
    assert b.shape[0] == k and c.shape == (m, n) and a.dtype == b.dtype == c.dtype
    assert n <= 1 or strides(c)[1] == 1
    status = lib.mg_matmul(
        isa, code(a), m, n, k, alpha, address(a), *strides(a), address(b), *strides(b),
        accumulate, address(c), strides(c)[0], threads,
    )  # fmt: skip
    assert status == lib.MG_OK
    return c


def apply(isa, function, x, slope=0.0):
    """f(x) by the C core, function by its name in micrograd.h: "MG_EXP"."""
    x = np.ascontiguousarray(x)
    y = np.full_like(x, 123)
    status = lib.mg_map(isa, code(x), getattr(lib, function), slope, x.size, address(x), address(y))
    assert status == lib.MG_OK
    return y


def same_bits(a, b):
    """Equal down to the sign of zero and the payload of a NaN."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def ulp(x, dtype):
    """The unit in the last place of `dtype` at the float64 x; denormals share the smallest."""
    info = np.finfo(dtype)
    exponent = np.frexp(np.abs(x))[1] - 1
    return np.ldexp(1.0, np.maximum(exponent, info.minexp) - info.nmant)


def ulp_error(actual, exact, rest=0.0):
    """|actual - (exact + rest)| in ulps of exact, a float64; rest is what it rounds off.

    An exact value past the largest number counts as 2^maxexp, and so does an infinity that came.
    """
    exact = np.asarray(exact)
    shrink = np.where(np.abs(exact) > 1, 0.5, 1.0)  # so that 2^1024 has a place in float64
    top = np.ldexp(1.0, np.finfo(actual.dtype).maxexp - 1)  # half of 2^maxexp
    came = np.clip(actual.astype(np.float64) * shrink, -top, top)
    want = np.clip(exact * shrink, -top, top)
    unit = ulp(np.where(np.abs(want) == top, top / 2, want), actual.dtype)
    return np.abs((came - want) - rest * shrink) / unit


def run_python(source, timeout=120, check=True, **environment):
    """Runs a program in a process of its own; returns it with its output."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MICROGRAD_", "OMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", source],
        env=env | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def snapshot(net):
    """Everything of a network that a failed call must leave alone."""
    probe = np.linspace(-1, 1, 3 * net.in_features).reshape(3, -1)
    parameters = net.parameters()
    return [parameters.flat.copy(), parameters.flat_grad.copy(), net.predict(probe)]


def targets_for(net, rows, rng):
    """Random targets of the kind that the network's loss compares with."""
    if net.loss_name == "cross_entropy":
        return rng.integers(0, net.out_features, rows)
    if net.loss_name == "bce":
        return rng.uniform(0, 1, (rows, net.out_features))
    return rng.normal(0, 2, (rows, net.out_features))


def gradients(net, X, y, **keywords):
    """loss and a copy of the flat gradient, from zero."""
    net.zero_grad()
    loss = net.loss(X, y, **keywords)
    net.backward()
    return loss, net.parameters().flat_grad.copy()


# ---- PyTorch ----


def torch_twin(net):
    """The same network in PyTorch, with the same weights."""
    import torch

    kinds = {
        "Linear": lambda x: torch.nn.Linear(x.in_features, x.out_features, x.bias),
        "ReLU": lambda x: torch.nn.ReLU(),
        "LeakyReLU": lambda x: torch.nn.LeakyReLU(x.negative_slope),
        "Sigmoid": lambda x: torch.nn.Sigmoid(),
        "Tanh": lambda x: torch.nn.Tanh(),
        "GELU": lambda x: torch.nn.GELU(),
        "Softmax": lambda x: torch.nn.Softmax(dim=1),
        "Identity": lambda x: torch.nn.Identity(),
    }
    twin = torch.nn.Sequential(*(kinds[type(layer).__name__](layer) for layer in net.layers))
    twin = twin.to(getattr(torch, net.dtype))
    state = {p.name: torch.from_numpy(p.data.copy()) for p in net.parameters()}
    twin.load_state_dict(state, strict=True)
    return twin


def torch_loss(net, twin, X, y, sample_weight=None):
    """The loss of the twin, a tensor, by PyTorch's functions."""
    import torch
    from torch.nn import functional

    kind = getattr(torch, net.dtype)
    z = twin(torch.as_tensor(np.ascontiguousarray(X)).to(kind))
    y = torch.as_tensor(np.ascontiguousarray(y))
    if y.is_floating_point() or net.loss_name != "cross_entropy":
        y = y.to(kind).reshape(z.shape)
    function = {
        "cross_entropy": functional.cross_entropy,
        "mse": functional.mse_loss,
        "bce": functional.binary_cross_entropy_with_logits,
        "mae": functional.l1_loss,
        "huber": functional.huber_loss,
    }[net.loss_name]
    if sample_weight is None:
        return function(z, y)
    rows = function(z, y, reduction="none")
    rows = rows if rows.ndim == 1 else rows.mean(dim=1)
    w = torch.as_tensor(np.asarray(sample_weight)).to(kind)
    return (w * rows).sum() / w.sum()


def torch_gradients(net, X, y, sample_weight=None):
    """loss and {name: gradient} of the twin."""
    twin = torch_twin(net)
    loss = torch_loss(net, twin, X, y, sample_weight)
    loss.backward()
    return loss.item(), {name: p.grad.numpy() for name, p in twin.named_parameters()}
