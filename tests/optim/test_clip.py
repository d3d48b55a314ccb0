"""Clipping against torch.nn.utils and by hand."""

import math

import numpy as np
import pytest
from support.bits import same_bits

import micrograd as mg
from micrograd.engine import Value
from micrograd.parameters import Parameters

inf, nan = math.inf, math.nan


def parameters(g, dtype="float64"):
    """Parameters whose gradient is g, in two arrays as a network's are."""
    g = np.asarray(g, dtype)
    half = len(g) // 2
    params = Parameters([("a", (half,)), ("b", (len(g) - half,))], np.dtype(dtype))
    params.flat_grad[:] = g
    return params


def values(g):
    found = [Value(0.0) for _ in g]
    for v, x in zip(found, g, strict=True):
        v.grad = float(x)
    return found


def grads(params):
    if isinstance(params, Parameters):
        return params.flat_grad.copy()
    return np.array([v.grad for v in params])


MAKERS = {"parameters": parameters, "values": values}
every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@every_kind
@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 10, inf, -inf])
@pytest.mark.parametrize("max_norm", [0, 1e-3, 1.0, 1e6, inf])
def test_beside_torch(make, p, max_norm):
    torch = pytest.importorskip("torch")
    g = np.random.default_rng(0).normal(size=1001)
    ours, theirs = make(g), torch.zeros(1001, dtype=torch.float64, requires_grad=True)
    theirs.grad = torch.from_numpy(g.copy())
    norm = mg.clip_grad_norm_(ours, max_norm, norm_type=p)
    want = torch.nn.utils.clip_grad_norm_([theirs], max_norm, norm_type=p).item()
    assert norm == pytest.approx(want, rel=1e-12)
    if max_norm < inf:  # torch makes inf * 0 of an infinite max_norm and a gradient of 0
        np.testing.assert_allclose(grads(ours), theirs.grad.numpy(), rtol=1e-12, atol=0)
    else:
        assert same_bits(grads(ours), g)


@every_kind
def test_the_norm_0_counts_what_is_not_0(make):
    """PyTorch's vector norm of all gradients as one vector, which its clipping is documented to be.

    Its clip_grad_norm_ gives the number of tensors that have a gradient instead: the norm 0 of
    their norms.
    """
    torch = pytest.importorskip("torch")
    g = np.random.default_rng(0).normal(size=1001)
    g[::7] = 0
    want = torch.linalg.vector_norm(torch.from_numpy(g), 0).item()
    ours = make(g)
    assert mg.clip_grad_norm_(ours, 100.0, norm_type=0) == want == 858
    np.testing.assert_allclose(grads(ours), g * 100 / (858 + 1e-6), rtol=1e-15)


@pytest.mark.parametrize("p", [1, 2, 2.5, inf])
def test_float32_beside_torch(p):
    """PyTorch in float64: in float32 its own sum of 5000 numbers is 2e-6 off."""
    torch = pytest.importorskip("torch")
    g = np.random.default_rng(1).normal(size=5000).astype("float32")
    ours, theirs = parameters(g, "float32"), torch.zeros(5000, dtype=torch.float64)
    theirs.requires_grad_().grad = torch.from_numpy(g.astype(float))
    want = torch.nn.utils.clip_grad_norm_([theirs], 1.5, norm_type=p).item()
    assert mg.clip_grad_norm_(ours, 1.5, norm_type=p) == pytest.approx(want, rel=1e-6)
    np.testing.assert_allclose(grads(ours), theirs.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("p", [1, 2, 3, 7.5, inf])
@pytest.mark.parametrize("scale, dtype", [(1e30, "float32"), (1e-30, "float32"),
                                          (1e200, "float64"), (1e-200, "float64")])  # fmt: skip
def test_gradients_whose_squares_leave_the_range(p, scale, dtype):
    """||s g|| = s ||g||, and afterwards the norm is max_norm."""
    shape = np.random.default_rng(2).normal(size=333)
    g = (shape * scale).astype(dtype)
    norm = np.abs(shape).max() if p == inf else (np.abs(shape) ** p).sum() ** (1 / p)
    for params in [parameters(g, dtype)] + [values(g)] * (dtype == "float64"):
        found = mg.clip_grad_norm_(params, inf, norm_type=p)
        assert found == pytest.approx(norm * scale, rel=1e-6)
        assert same_bits(grads(params), g)
        if scale > 1:
            mg.clip_grad_norm_(params, 2.0, norm_type=p)
            assert mg.clip_grad_norm_(params, inf, norm_type=p) == pytest.approx(2, rel=1e-5)


@every_kind
@pytest.mark.parametrize("bad", [inf, -inf, nan])
@pytest.mark.parametrize("p", [1, 2, 3, inf])
def test_gradients_that_are_not_finite(make, bad, p):
    params = make([1.0, bad, -2.0])
    with pytest.raises(RuntimeError, match="norm of the gradients is"):
        mg.clip_grad_norm_(params, 1.0, p, error_if_nonfinite=True)
    assert same_bits(grads(params), np.array([1.0, bad, -2.0]))
    norm = mg.clip_grad_norm_(params, 1.0, p)
    assert math.isnan(norm) if math.isnan(bad) else norm == inf
    torch = pytest.importorskip("torch")
    theirs = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    theirs.grad = torch.tensor([1.0, bad, -2.0], dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([theirs], 1.0, p)
    np.testing.assert_array_equal(grads(params), theirs.grad.numpy())


@every_kind
def test_values_by_hand(make):
    params = make([-3.0, -0.5, 0.0, 0.25, 1.0, inf, -inf, nan])
    mg.clip_grad_value_(params, 0.75)
    np.testing.assert_array_equal(grads(params), [-0.75, -0.5, 0, 0.25, 0.75, 0.75, -0.75, nan])


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100])
def test_clip_value_of_every_length(n, dtype):
    g = np.random.default_rng(n).normal(size=n + 1).astype(dtype)
    params = parameters(g, dtype)
    mg.clip_grad_value_(params, 0.5)
    assert same_bits(grads(params), np.clip(g, -0.5, 0.5).astype(dtype))


@every_kind
@pytest.mark.parametrize("max_norm", [-1, nan, -inf, "1", None, True])
def test_bad_max_norm(make, max_norm):
    params = make([3.0, 4.0])
    for call in (mg.clip_grad_norm_, mg.clip_grad_value_):
        with pytest.raises((TypeError, ValueError), match=call.__name__):
            call(params, max_norm)
    assert same_bits(grads(params), np.array([3.0, 4.0]))


@pytest.mark.parametrize("p", [-1, nan, "2", None, True])
def test_bad_norm_type(p):
    with pytest.raises((TypeError, ValueError), match="clip_grad_norm_: norm_type"):
        mg.clip_grad_norm_(parameters([3.0, 4.0]), 1.0, p)


@pytest.mark.parametrize("params", [5, None, [1.0], "abc", np.zeros(3)])
def test_bad_parameters(params):
    for call in (mg.clip_grad_norm_, mg.clip_grad_value_):
        with pytest.raises(TypeError, match=call.__name__):
            call(params, 1.0)


def test_gradients_that_were_zeroed_late():
    """zero_grad may be put off; clipping sees zeros all the same."""
    net = mg.Network(mg.Linear(3, 2), loss="mse", seed=0)
    X, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    net.loss(X, y)
    net.backward()
    net.zero_grad()
    assert mg.clip_grad_norm_(net.parameters(), 1.0) == 0
    net.loss(X, y)
    net.backward()
    net.zero_grad()
    mg.clip_grad_value_(net.parameters(), 1.0)
    assert (net.parameters().flat_grad == 0).all()


def test_a_network_and_a_program():
    net = mg.Network(mg.Linear(3, 2), loss="mse", seed=0)
    net.loss(np.ones((4, 3), "float32"), np.full((4, 2), 100, "float32"))
    net.backward()
    norm = mg.clip_grad_norm_(net.parameters(), 1.0)
    assert norm > 100
    assert np.linalg.norm(net.parameters().flat_grad) == pytest.approx(1, rel=1e-5)
    w, b = Value(3.0), Value(4.0)
    program = mg.compile(lambda x: w * x * 3 + b * x * 4)
    program.loss([1.0])
    program.backward()
    assert mg.clip_grad_norm_(program.parameters(), 1.0) == 5
    np.testing.assert_allclose(program.parameters().flat_grad, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("p", [0, 1, 2, inf, -inf])
def test_some_of_the_parameters_in_several_pieces(p):
    """The norm is theirs, and the others keep their gradients: a, c are chosen, b lies between."""
    params = Parameters([("a", (2,)), ("b", (2,)), ("c", (1,))], np.dtype("float64"))
    params.flat_grad[:] = [3.0, -4.0, 1000.0, 0.5, 12.0]
    chosen = [params[0], params[2]]
    want = {0: 3, 1: 19, 2: 13, inf: 12, -inf: 3}[p]
    assert mg.clip_grad_norm_(chosen, want / 2, norm_type=p) == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(params.flat_grad, [1.5, -2.0, 1000.0, 0.5, 6.0], rtol=1e-5)
    mg.clip_grad_value_(chosen, 1.75)
    np.testing.assert_allclose(params.flat_grad, [1.5, -1.75, 1000.0, 0.5, 1.75], rtol=1e-5)


@every_kind
@pytest.mark.parametrize("p", [0, 0.5, 1, 2, inf, -inf])
def test_gradients_of_zero_have_no_norm(make, p):
    params = make([0.0, 0.0, 0.0])
    assert mg.clip_grad_norm_(params, 1.0, norm_type=p) == 0
    assert (grads(params) == 0).all()
