"""Network against finite differences, PyTorch and numpy; accumulation, prediction, weights."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bits import same_bits
from support.networks import gradients, targets_for
from support.reference import reference_pass
from support.twin import torch_gradients

import micrograd as mg

LOSSES = ("cross_entropy", "mse", "bce", "mae", "huber")
ACTIVATIONS = {
    "relu": mg.ReLU(),
    "leaky_relu": mg.LeakyReLU(0.2),
    "sigmoid": mg.Sigmoid(),
    "tanh": mg.Tanh(),
    "gelu": mg.GELU(),
    "silu": mg.SiLU(),
    "softplus": mg.Softplus(),
    "elu": mg.ELU(0.7),
    "selu": mg.SELU(),
    "mish": mg.Mish(),
    "softmax": mg.Softmax(),
    "identity": mg.Identity(),
}


def spread_biases(net, rng):
    """Biases start at zero; this gives them values, so that a bias that is forgotten shows."""
    for p in net.parameters():
        if p.name.endswith("bias"):
            p.data[...] = rng.normal(0, 0.5, p.shape)
    return net


def small_network(activation="tanh", loss="cross_entropy", dtype="float64", seed=0):
    f = ACTIVATIONS[activation]
    layers = mg.Linear(3, 5), f, mg.Linear(5, 4, bias=False), f, mg.Linear(4, 2)
    net = mg.Network(*layers, loss=loss, dtype=dtype, seed=seed)
    return spread_biases(net, np.random.default_rng(seed))


# ---- gradients ----


def numeric_gradient(net, X, y, w, step=1e-6):
    flat = net.parameters().flat
    out = np.empty(flat.size)
    for i in range(flat.size):
        old = flat[i]
        flat[i] = old + step
        above = net.loss(X, y, w)
        flat[i] = old - step
        out[i] = (above - net.loss(X, y, w)) / (2 * step)
        flat[i] = old
    return out


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_finite_differences(activation, loss):
    """Central differences: h^2 f'''/6 and rounding eps L / h, both below 1e-8 here."""
    rng = np.random.default_rng(1)
    net = small_network(activation, loss)
    X = rng.normal(size=(6, 3))
    for w in (None, rng.uniform(0, 2, 6)):
        y = targets_for(net, 6, rng)
        _, analytic = gradients(net, X, y, sample_weight=w)
        assert np.abs(analytic).max() > 1e-3
        np.testing.assert_allclose(analytic, numeric_gradient(net, X, y, w), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("place", ["first", "last", "twice"])
def test_an_activation_anywhere(activation, place):
    """Before the first Linear, after the last one, and two in a row."""
    f, rng = ACTIVATIONS[activation], np.random.default_rng(2)
    layers = {
        "first": [f, mg.Linear(3, 4), mg.Tanh(), mg.Linear(4, 2)],
        "last": [mg.Linear(3, 4), mg.Tanh(), mg.Linear(4, 2), f],
        "twice": [mg.Linear(3, 4), f, f, mg.Identity(), mg.Linear(4, 2)],
    }[place]
    for loss in ("mse", "cross_entropy"):
        net = spread_biases(mg.Network(*layers, loss=loss, dtype="float64", seed=3), rng)
        X, y = rng.normal(size=(7, 3)), targets_for(net, 7, rng)
        _, analytic = gradients(net, X, y)
        np.testing.assert_allclose(
            analytic, numeric_gradient(net, X, y, None), rtol=1e-6, atol=1e-8
        )
        assert np.abs(analytic).max() > 1e-3


@st.composite
def architectures(draw, dtype):
    """A random network, a batch for it, and perhaps weights of the samples."""
    rare_width = draw(st.sampled_from([0] * 12 + [1025, 1100]))
    widths = draw(st.lists(st.integers(1, 40), min_size=2, max_size=5))
    if rare_width:
        widths = [*widths[:1], rare_width, *widths[1:2]]
    layers = []
    for fan_in, fan_out in pairwise(widths):
        layers.append(mg.Linear(fan_in, fan_out, bias=draw(st.booleans())))
        layers += draw(st.lists(st.sampled_from(list(ACTIVATIONS.values())), max_size=2))
    loss = draw(st.sampled_from(LOSSES))
    net = mg.Network(*layers, loss=loss, dtype=dtype, seed=draw(st.integers(0, 10**6)))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    spread_biases(net, rng)
    rows = draw(st.integers(1, 12) | st.integers(1, 200))
    X, y = rng.normal(size=(rows, widths[0])).astype(dtype), targets_for(net, rows, rng)
    if loss == "cross_entropy" and draw(st.booleans()):
        y = rng.dirichlet(np.ones(net.out_features), rows)
    weights = rng.uniform(0.1, 2, rows) if draw(st.booleans()) else None
    return net, X, y, weights


random_networks = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@random_networks
@given(case=architectures("float64"))
def test_float64_equals_torch(case):
    """Relative to the largest gradient of a parameter; below 1e-14 there is only cancellation."""
    pytest.importorskip("torch")
    net, X, y, weights = case
    want, by_name = torch_gradients(net, X, y, weights)
    loss, _ = gradients(net, X, y, sample_weight=weights)
    assert loss == pytest.approx(want, rel=1e-12, abs=1e-14)
    for p in net.parameters():
        scale = np.abs(by_name[p.name]).max()
        np.testing.assert_allclose(p.grad, by_name[p.name], rtol=0, atol=1e-12 * scale + 1e-14)


@random_networks
@given(case=architectures("float32"))
def test_float32_is_within_its_rounding(case):
    """Against float64 in numpy, with the bound of reference.py."""
    net, X, y, _ = case
    if net.loss_name != "cross_entropy":
        y = y.astype(np.float32)
    loss, by_name, loss_bound, bounds = reference_pass(net, X, y)
    got, _ = gradients(net, X, y)
    assert abs(got - loss) <= loss_bound
    for p in net.parameters():
        assert (np.abs(p.grad - by_name[p.name]) <= bounds[p.name] + 1e-37).all(), p.name


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_float64_equals_numpy(activation, loss):
    """The reference itself, so that the float32 bound above stands on something."""
    rng = np.random.default_rng(4)
    net = small_network(activation, loss)
    X, y = rng.normal(size=(9, 3)), targets_for(net, 9, rng)
    want, by_name, _, bounds = reference_pass(net, X, y)
    loss_value, _ = gradients(net, X, y)
    assert loss_value == pytest.approx(want, rel=1e-13)
    for p in net.parameters():
        scale = np.abs(by_name[p.name]).max()
        np.testing.assert_allclose(p.grad, by_name[p.name], rtol=0, atol=1e-13 * scale)
        assert bounds[p.name].max() < 1e-4  # float32's bound is a bound worth having


# ---- accumulation ----


def test_backward_accumulates():
    rng = np.random.default_rng(5)
    net = small_network()
    X, y = rng.normal(size=(8, 3)), targets_for(net, 8, rng)
    _, once = gradients(net, X, y)
    for times in (2, 3):
        net.loss(X, y)
        net.backward()
        np.testing.assert_allclose(net.parameters().flat_grad, times * once, rtol=1e-14)
    assert same_bits(gradients(net, X, y)[1], once)


def test_halves_of_a_batch_accumulate_to_the_whole():
    rng = np.random.default_rng(6)
    net = small_network(loss="mse")
    X, y = rng.normal(size=(8, 3)), targets_for(net, 8, rng)
    _, whole = gradients(net, X, y)
    net.zero_grad()
    for part in (slice(0, 4), slice(4, 8)):
        net.loss(X[part], y[part])
        net.backward()
    np.testing.assert_allclose(net.parameters().flat_grad / 2, whole, rtol=1e-12, atol=1e-15)


def test_zero_grad_shows_in_arrays_handed_out_before():
    rng = np.random.default_rng(7)
    net = small_network()
    X, y = rng.normal(size=(8, 3)), targets_for(net, 8, rng)
    _, once = gradients(net, X, y)
    flat, first = net.parameters().flat_grad, net.parameters()[0].grad
    assert flat.any() and first.any()
    net.zero_grad()
    assert not flat.any() and not first.any()
    net.loss(X, y)
    net.backward()
    assert same_bits(flat, once) and np.shares_memory(flat, first)
    assert net.parameters()[0].grad is first or np.shares_memory(net.parameters()[0].grad, first)


def test_zeroing_that_was_put_off_is_seen_by_whoever_reads_first():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(8, 3))
    y = rng.integers(0, 2, 8)
    for read in (
        lambda net: net.parameters().flat_grad,
        lambda net: net.parameters()[-1].grad,
        lambda net: next(iter(net.parameters())).grad,
        lambda net: net.parameters()[0:2][1].grad,
    ):
        net = small_network()
        net.loss(X, y)
        net.backward()
        net.zero_grad()  # nobody has asked for a gradient yet
        assert not read(net).any()
        net.loss(X, y)
        net.backward()
        assert read(net).any()


def test_a_value_written_into_a_gradient_takes_part():
    rng = np.random.default_rng(9)
    X, y = rng.normal(size=(8, 3)), rng.integers(0, 2, 8)
    net = small_network()
    _, once = gradients(small_network(), X, y)
    net.loss(X, y)
    net.backward()
    net.zero_grad()
    net.parameters()[0].grad[1, 2] = 7
    net.parameters().flat_grad[-1] += 3
    net.loss(X, y)
    net.backward()
    once[1 * 3 + 2] += 7
    once[-1] += 3
    np.testing.assert_allclose(net.parameters().flat_grad, once, rtol=1e-14, atol=1e-15)


def test_step_after_zero_grad_moves_nothing():
    net = small_network()
    X, y = np.ones((2, 3)), [0, 1]
    net.loss(X, y)
    net.backward()
    before = net.parameters().flat.copy()
    net.zero_grad()
    mg.optim.SGD(net.parameters(), lr=1.0).step()
    assert same_bits(net.parameters().flat, before)


def test_backward_needs_a_loss():
    net = small_network()
    X, y = np.ones((2, 3)), [0, 1]
    for prepare in (lambda: None, lambda: net.predict(X), lambda: net.forward(X)):
        prepare()
        with pytest.raises(RuntimeError, match=r"Network\.backward.*loss"):
            net.backward()
        assert not net.parameters().flat_grad.any()
    net.loss(X, y)
    net.backward()
    after = net.parameters().flat_grad.copy()
    with pytest.raises(RuntimeError, match=r"Network\.backward"):
        net.backward()
    assert same_bits(net.parameters().flat_grad, after)


def test_uniform_sample_weights_change_nothing_and_zero_weight_removes_a_row():
    rng = np.random.default_rng(10)
    for loss in LOSSES:
        net = small_network(loss=loss)
        X, y = rng.normal(size=(8, 3)), targets_for(net, 8, rng)
        plain = gradients(net, X, y)
        weighted = gradients(net, X, y, sample_weight=np.full(8, 3.0))
        assert weighted[0] == pytest.approx(plain[0], rel=1e-14)
        np.testing.assert_allclose(weighted[1], plain[1], rtol=1e-12, atol=1e-15)
        w = np.array([1, 1, 0, 1, 1, 1, 1, 0.0])
        less = gradients(net, X, y, sample_weight=w)
        fewer = gradients(net, X[w > 0], y[w > 0])
        assert less[0] == pytest.approx(fewer[0], rel=1e-14)
        np.testing.assert_allclose(less[1], fewer[1], rtol=1e-12, atol=1e-15)


# ---- prediction ----


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_predict_equals_forward(activation, dtype):
    rng = np.random.default_rng(11)
    net = small_network(activation, dtype=dtype)
    for rows in (1, 5, 168, 400):
        X = rng.normal(size=(rows, 3)).astype(dtype)
        assert same_bits(net.predict(X), net.forward(X))
        assert net.predict(X).dtype == dtype and net.predict(X).shape == (rows, 2)


def test_predict_does_not_disturb_a_cached_pass():
    rng = np.random.default_rng(12)
    net = small_network()
    X, y = rng.normal(size=(9, 3)), rng.integers(0, 2, 9)
    _, want = gradients(net, X, y)
    net.zero_grad()
    net.loss(X, y)
    net.predict(rng.normal(size=(500, 3)))
    net.explain(rng.normal(size=(20, 3)), rng.integers(0, 2, 20))
    net.backward()
    assert same_bits(net.parameters().flat_grad, want)


def test_predict_in_blocks_and_threads_equals_row_by_row(threads, dtype):
    """Blocks have 168 rows; with 2 threads and this width each thread takes its own blocks."""
    layers = mg.Linear(70, 90), mg.GELU(), mg.Linear(90, 40), mg.Softmax(), mg.Linear(40, 11)
    net = mg.Network(*layers, dtype=dtype, seed=13)
    X = np.random.default_rng(13).normal(size=(1000, 70)).astype(dtype)
    threads(1)
    want = np.concatenate([net.predict(X[i : i + 1]) for i in range(len(X))])
    assert same_bits(net.predict(X), want)
    for rows in (167, 168, 169, 337):
        assert same_bits(net.predict(X[:rows]), want[:rows])
    threads(2)
    assert same_bits(net.predict(X), want)
    threads(3)
    assert same_bits(net.predict(X), want)


def test_output_is_the_callers_own():
    net = small_network()
    a = net.predict(np.ones((2, 3)))
    b = a.copy()
    net.predict(np.zeros((2, 3)))
    net.forward(np.zeros((2, 3)))
    assert same_bits(a, b)


# ---- weights ----


def test_same_seed_same_weights_in_both_dtypes():
    one, two = small_network(dtype="float64", seed=4), small_network(dtype="float32", seed=4)
    assert same_bits(one.parameters().flat.astype(np.float32), two.parameters().flat)
    other = small_network(dtype="float32", seed=5)
    assert not np.array_equal(two.parameters()[0].data, other.parameters()[0].data)
    unseeded = [mg.Network(mg.Linear(3, 4)).parameters().flat.tolist() for _ in range(2)]
    assert unseeded[0] != unseeded[1]


@pytest.mark.parametrize(
    "after, init, variance",
    [
        (mg.ReLU(), None, 2 / 300),
        (mg.LeakyReLU(), None, 2 / 300),
        (mg.GELU(), None, 2 / 300),
        (mg.Tanh(), None, 2 / 800),
        (mg.Sigmoid(), None, 2 / 800),
        (None, None, 2 / 800),
        (mg.Tanh(), "he", 2 / 300),
        (mg.ReLU(), "xavier", 2 / 800),
        (mg.ReLU(), "lecun", 1 / 300),
    ],
)
def test_initial_variance(after, init, variance):
    """150,000 draws: the variance is known to sqrt(2/150000) = 0.37 %, the mean to 1/390."""
    layers = [mg.Linear(300, 500, init=init), *([after] if after else [])]
    net = mg.Network(*layers, seed=6)
    weight, bias = net.parameters()
    assert weight.data.var(dtype=np.float64) == pytest.approx(variance, rel=5 * 0.0037)
    assert abs(weight.data.mean(dtype=np.float64)) < 5 * (variance / 150_000) ** 0.5
    assert not bias.data.any()
    kurtosis = (weight.data.astype(np.float64) ** 4).mean() / variance**2
    assert kurtosis == pytest.approx(3, rel=0.1)  # normal; uniform has 1.8


def test_parameter_names_are_those_of_torchs_state_dict():
    torch = pytest.importorskip("torch")
    net = small_network()
    twin = torch.nn.Sequential(
        torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4, bias=False), torch.nn.Tanh(),
        torch.nn.Linear(4, 2),
    )  # fmt: skip
    want = [(name, tuple(t.shape)) for name, t in twin.state_dict().items()]
    assert [(p.name, p.shape) for p in net.parameters()] == want


def test_parameters_are_views_into_one_flat_array():
    net = small_network()
    parameters = net.parameters()
    assert np.array_equal(parameters.flat, np.concatenate([p.data.ravel() for p in parameters]))
    assert all(np.shares_memory(p.data, parameters.flat) for p in parameters)
    assert all(np.shares_memory(p.grad, parameters.flat_grad) for p in parameters)
    before = net.predict(np.ones((1, 3)))
    parameters.flat[-1] += 1
    assert net.predict(np.ones((1, 3)))[0, 1] == pytest.approx(before[0, 1] + 1)


def test_init_looks_past_identity():
    """He before a ReLU kind, also with an Identity between them."""
    layers = [mg.Linear(300, 500), mg.Identity(), mg.ReLU(), mg.Linear(500, 2)]
    weight = mg.Network(*layers, seed=6).parameters()[0]
    assert weight.data.var(dtype=np.float64) == pytest.approx(2 / 300, rel=5 * 0.0037)
