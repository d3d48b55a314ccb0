"""Scalar functions as ops of a Network, against the eager graph: values, gradients, errors."""

import math

import numpy as np
import pytest

import micrograd as mg
from micrograd import core
from micrograd.core import ffi, lib
from micrograd.program import RecordingError
from micrograd.program.network_op import loss_op, map_op

DTYPES = {"float32": (np.float32, 2e-5), "float64": (np.float64, 1e-12)}


@pytest.fixture(params=core.supported_isas())
def isa(request, monkeypatch):
    monkeypatch.setattr(core, "ISA_CODE", core.ISA_CODES[request.param])
    return request.param


def pointer(x):
    return ffi.NULL if x is None else ffi.cast("void *", x.ctypes.data)


def padded(rows, columns, ld, dtype, fill=np.nan):
    """(rows, columns) of a wider matrix, whose other columns must stay as they are."""
    whole = np.full((rows, ld), fill, dtype)
    return whole, whole[:, :columns]


def run_map(op, parameters, x, y, g=None, dx=None, accumulate=False, threads=1):
    item = x.itemsize
    sums = np.zeros(op.n_parameters, x.dtype)
    status = lib.mg_program_map_pass(
        op.code,
        pointer(parameters),
        *x.shape,
        pointer(x),
        x.strides[0] // item,
        pointer(y),
        y.strides[0] // item,
        pointer(g),
        0 if g is None else g.strides[0] // item,
        pointer(dx),
        0 if dx is None else dx.strides[0] // item,
        accumulate,
        pointer(sums),
        threads,
    )
    assert status == lib.MG_OK
    return sums


def run_loss(op, parameters, z, y, weights=None, gradient=True, threads=1):
    rows, columns = z.shape
    item = z.itemsize
    row_loss = np.full(rows, np.nan)
    dz = np.full((rows, columns + 3), np.nan, z.dtype) if gradient else None
    sums = np.zeros(op.n_parameters, z.dtype)
    batch = ffi.new("mg_batch *")
    batch.x, batch.x_ld, batch.rows = pointer(z), z.strides[0] // item, rows
    if y.dtype == np.int64:
        batch.labels = pointer(y)
    else:
        batch.targets, batch.targets_ld = pointer(y), y.strides[0] // item
    batch.weights = pointer(weights)
    batch.total_weight = rows if weights is None else weights.sum()
    status = lib.mg_program_loss_pass(
        op.code,
        pointer(parameters),
        batch,
        columns,
        ffi.cast("double *", row_loss.ctypes.data),
        pointer(dz),
        columns + 3,
        pointer(sums),
        threads,
    )
    assert status == lib.MG_OK
    if gradient:
        assert np.isnan(dz[:, columns:]).all()
        dz = dz[:, :columns]
    return row_loss, dz, sums


def values(row):
    return mg.Value(row) if np.ndim(row) == 0 else [mg.Value(x) for x in row]


slope, shift = mg.Value(0.3, label="slope"), mg.Value(-0.4, label="shift")
ACTIVATIONS = {
    "swish": lambda x: x * x.sigmoid(),
    "square": lambda x: x * x,
    "constant": lambda x: mg.Value(2.0, requires_grad=False),
    "unused": lambda x: slope * 2.0,
    "identity": lambda x: x,
    "parametric relu": lambda x: mg.where(x > 0, x, slope * x),
    "safe root": lambda x: mg.where(x > 0, x.sqrt(), shift * x),
    "uniforms": lambda x: (slope.exp() * x + shift.tanh()).tanh(),
    "max": lambda x: mg.maximum(x, slope),
}


def eager_map(f, x, g):
    """y, dx and the parameters' sums, element by element."""
    y, dx = np.empty_like(x), np.zeros_like(x)
    slope.grad = shift.grad = 0.0
    for i, number in np.ndenumerate(x):
        v = mg.Value(float(number))
        out = f(v)
        y[i] = out.data
        if out.requires_grad:
            out.backward(float(g[i]))
        dx[i] = v.grad
    return y, dx, {slope: slope.grad, shift: shift.grad}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_map_is_the_eager_function(name, dtype, isa):
    f, (real, tolerance) = ACTIVATIONS[name], DTYPES[dtype]
    random = np.random.default_rng(3)
    leaves = [mg.Value(7.0)]  # of another op of the same model
    op = map_op(f, leaves, dtype)
    assert op.n_parameters == len(leaves)
    parameters = np.array([leaf.data for leaf in leaves], real)
    for rows, columns in [(1, 1), (3, 5), (40, 9), (7, 129)]:
        _, x = padded(rows, columns, columns + 2, real)
        _, g = padded(rows, columns, columns + 1, real)
        x[...], g[...] = random.normal(size=(2, rows, columns))
        x.flat[0] = 0.0
        whole_y, y = padded(rows, columns, columns + 5, real)
        whole_dx, dx = padded(rows, columns, columns + 3, real)
        sums = run_map(op, parameters, x, y, g, dx)
        want_y, want_dx, want_sums = eager_map(f, x.astype(float), g.astype(float))
        np.testing.assert_allclose(y, want_y, tolerance, tolerance)
        np.testing.assert_allclose(dx, want_dx, tolerance, tolerance)
        want = [want_sums.get(leaf, 0.0) for leaf in leaves]
        np.testing.assert_allclose(sums, want, tolerance, tolerance * rows * columns)
        assert np.isnan(whole_y[:, columns:]).all()
        assert np.isnan(whole_dx[:, columns:]).all()
        # added to what is there, in place of g, or not at all
        once = dx.copy()
        run_map(op, parameters, x, y, g, dx, accumulate=True)
        np.testing.assert_allclose(dx, 2 * once, tolerance)
        np.testing.assert_array_equal(run_map(op, parameters, x, y, g, None), sums)
        run_map(op, parameters, x, y, g, g)
        np.testing.assert_array_equal(g, once)


def hinge(z, y):
    return (1 - y * z).relu() + slope * z * z


def softmax_cross_entropy(z, y):
    logs = [a.log() for a in mg.softmax(z)]
    return -mg.sum([mg.where((y > k - 0.5), log, 0.0) for k, log in enumerate(logs)]) / 3


def tilted(z, y):
    return mg.dot(z, y, shift) * slope.exp() + z[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 10, 700])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "f, outputs, kind", [(hinge, 1, 1), (softmax_cross_entropy, 4, 0), (tilted, 3, 3)]
)
def test_a_loss_is_the_eager_function(f, outputs, kind, rows, weighted, dtype, isa):
    real, tolerance = DTYPES[dtype]
    random = np.random.default_rng(rows)
    _, z = padded(rows, outputs, outputs + 2, real)
    z[...] = random.normal(size=z.shape)
    labels = random.integers(0, 4, rows)
    y = random.normal(size=(rows, kind)).astype(real) if kind else labels
    weights = random.uniform(0, 2, rows).astype(real) if weighted else None
    leaves = []
    op = loss_op(f, outputs, max(kind, 1), leaves, dtype)
    parameters = np.array([leaf.data for leaf in leaves], real)
    row_loss, dz, sums = run_loss(op, parameters, z, y, weights)
    slope.grad = shift.grad = 0.0
    scale = np.ones(rows) if weights is None else weights.astype(float)
    for i in range(rows):
        zs = values(z[i].astype(float) if outputs > 1 else float(z[i, 0]))
        target = values(y[i].astype(float) if kind > 1 else float(y[i] if kind == 0 else y[i, 0]))
        out = f(zs, target)
        out.backward(scale[i])
        np.testing.assert_allclose(row_loss[i], scale[i] * out.data, tolerance, tolerance)
        want = [v.grad for v in zs] if outputs > 1 else [zs.grad]
        np.testing.assert_allclose(dz[i], want, 10 * tolerance, tolerance)
    want = [leaf.grad / scale.sum() for leaf in leaves]
    np.testing.assert_allclose(sums, want, 10 * tolerance, 10 * tolerance)
    np.testing.assert_allclose(
        run_loss(op, parameters, z, y, weights, gradient=False)[0], row_loss, tolerance, tolerance
    )


def test_same_bits_for_any_number_of_threads():
    leaves = []
    f = ACTIVATIONS["uniforms"]
    op = map_op(f, leaves, "float32")
    parameters = np.array([leaf.data for leaf in leaves], np.float32)
    x, g = np.random.default_rng(0).normal(size=(2, 300, 70)).astype(np.float32)
    results = []
    for threads in (1, 2, 3, 7):
        y, dx = np.empty_like(x), np.empty_like(x)
        sums = run_map(op, parameters, x, y, g, dx, threads=threads)
        results.append((y.tobytes(), dx.tobytes(), sums.tobytes()))
    assert len(set(results)) == 1
    loss = loss_op(tilted, 3, 3, leaves, "float64")
    z, y = np.random.default_rng(1).normal(size=(2, 5000, 3))
    parameters = parameters.astype(float)
    results = [run_loss(loss, parameters, z, y, threads=threads) for threads in (1, 2, 3, 7)]
    assert len({b"".join(part.tobytes() for part in each) for each in results}) == 1


def test_ops_of_one_model_number_their_leaves_together():
    leaves = []
    first = map_op(ACTIVATIONS["parametric relu"], leaves, "float64")
    second = map_op(ACTIVATIONS["safe root"], leaves, "float64")
    third = loss_op(hinge, 1, 1, leaves, "float64")
    assert leaves == [slope, shift]
    assert (first.n_parameters, second.n_parameters, third.n_parameters) == (1, 2, 2)
    assert "slope" in first.listing
    assert "where" in first.listing


@pytest.mark.parametrize(
    "f, error, message",
    [
        (3, TypeError, "Map: 3 is a int, want a function"),
        (lambda: 1.0, TypeError, "Map: the function takes one Value here"),
        (lambda x, y: x, TypeError, "Map: the function takes one Value here"),
        (lambda x: [x, x], RecordingError, "Map: the function returns more than one Value"),
        (lambda x: (x,), RecordingError, "Map: the function returns more than one Value"),
        (lambda x: None, RecordingError, "Map: the function returns NoneType"),
        (lambda x: x if x > 0 else -x, RecordingError, r"Map: bool\(\) of a Value .*mg.where"),
        (lambda x: math.exp(x), RecordingError, r"Map: float\(\) of a Value .*x.exp\(\)"),
        (lambda x: x * mg.Value(1.0), RecordingError, "Map: the function makes new Values"),
    ],
)
def test_errors_name_what_the_function_is_for(f, error, message):
    leaves = [slope]
    with pytest.raises(error, match=message):
        map_op(f, leaves, "float32")
    assert leaves == [slope]


def test_a_loss_takes_two_arguments():
    with pytest.raises(TypeError, match="loss: the function takes 2 arguments here"):
        loss_op(lambda z: z, 1, 1, [], "float32")
