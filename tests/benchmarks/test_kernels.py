"""Single kernels of the C core beside numpy, in float32: each checked against float64 first."""

import numpy as np
import pytest

from micrograd import core
from micrograd.core import ffi, lib
from micrograd.network.c_plan import Batch, Plan
from micrograd.network.reverse import Buffer, Op, Passes
from micrograd.parameters import Parameters

EPS = np.finfo(np.float32).eps
F32 = core.DTYPES["float32"]
M, N, K = 128, 512, 784  # the products of 784-512-256-10 with batch 128
ROWS, CLASSES = 512, 10
COUNT = 4096


def normal(*shape):
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def address(array):
    return ffi.from_buffer(array)


def run(function, *arguments):
    """A call of the C core that has to succeed."""
    status = function(core.ISA_CODE, F32, *arguments)
    assert status == lib.MG_OK


def matmul(a_transposed, b_transposed):
    """C = op(A) @ op(B): ours, numpy's, wanted, bound. |error| <= k eps |A| |B| in any order."""
    A = normal(K, M).T if a_transposed else normal(M, K)
    B = normal(N, K).T if b_transposed else normal(K, N)
    C = np.empty((M, N), np.float32)
    strides = [s // A.itemsize for s in (*A.strides, *B.strides)]
    a, b, c = (address(x if x.flags.c_contiguous else x.T) for x in (A, B, C))

    def ours():
        run(lib.mg_matmul, M, N, K, 1.0, a, *strides[:2], b, *strides[2:], 0, c, N, 1)
        return C

    out = np.empty((M, N), np.float32)
    bound = K * EPS * (np.abs(A) @ np.abs(B))
    return ours, lambda: np.matmul(A, B, out=out), A.astype(float) @ B.astype(float), bound


def elementwise(function, numpy_function):
    """y = f(x): 4 units in the last place."""
    x = normal(COUNT)
    y = np.empty_like(x)
    source, to = address(x), address(y)

    def ours():
        run(lib.mg_map, function, 0.0, COUNT, source, to)
        return y

    wanted = numpy_function(x.astype(float))
    return ours, lambda: numpy_function(x), wanted, 4 * EPS * np.abs(wanted)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax_of(z):
    exp_z = np.exp(z - z.max(axis=1, keepdims=True))
    return exp_z / exp_z.sum(axis=1, keepdims=True)


def softmax():
    """a = exp(z - max) / sum: the error of z - max, of exp and of a sum of 10."""
    z = normal(ROWS, CLASSES)
    a = np.empty_like(z)
    source, to = address(z), address(a)

    def ours():
        run(lib.mg_softmax, ROWS, CLASSES, source, CLASSES, to, CLASSES)
        return a

    return ours, lambda: softmax_of(z), softmax_of(z.astype(float)), np.full(a.shape, 16 * EPS)


def cross_entropy_plan():
    """A plan of nothing but softmax-cross-entropy: buffer 0 is the logits."""
    logits, gradient = Buffer(-1, 0, CLASSES), Buffer(0, 0, CLASSES)
    passes = Passes([Op("loss", [0], [1], "cross_entropy")], [logits, gradient], [CLASSES])
    parameters = Parameters([], np.dtype(np.float32))
    return Plan(passes, 0, parameters, parameters.grad_pointer, seed=0)


def softmax_cross_entropy():
    """The mean loss of rows of logits; the same call leaves delta = a - y, checked here."""
    z = normal(ROWS, CLASSES)
    labels = np.arange(ROWS, dtype=np.int64) % CLASSES
    one_hot = np.eye(CLASSES, dtype=np.float32)[labels]
    plan, batch = cross_entropy_plan(), Batch(z, CLASSES, labels)
    core.set_num_threads(1)

    def ours():
        assert plan.loss(batch) == lib.MG_OK
        return plan.result.loss

    def numpys():
        a = softmax_of(z)
        np.subtract(a, one_hot, out=delta)
        return -np.log(a[np.arange(ROWS), labels]).mean()

    delta = np.empty_like(z)
    exact = softmax_of(z.astype(float))
    ours()
    found = plan.values(1, ROWS, np.dtype(np.float32))
    np.testing.assert_allclose(found, exact - one_hot, rtol=0, atol=16 * EPS)
    wanted = -np.log(exact[np.arange(ROWS), labels]).mean()
    return ours, numpys, wanted, 16 * EPS * wanted


KERNELS = {
    "matmul A B": lambda: matmul(False, False),
    "matmul A B^T": lambda: matmul(False, True),
    "matmul A^T B": lambda: matmul(True, False),
    "matmul A^T B^T": lambda: matmul(True, True),
    "exp": lambda: elementwise(lib.MG_EXP, np.exp),
    "tanh": lambda: elementwise(lib.MG_TANH, np.tanh),
    "sigmoid": lambda: elementwise(lib.MG_SIGMOID, sigmoid),
    "softmax": softmax,
    "softmax-cross-entropy": softmax_cross_entropy,
}


@pytest.mark.parametrize("who", ["micrograd", "numpy"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel(benchmark, kernel, who):
    ours, numpys, wanted, bound = KERNELS[kernel]()
    timed = ours if who == "micrograd" else numpys
    assert np.all(np.abs(timed() - wanted) <= bound)
    benchmark.group = kernel
    benchmark(timed)
