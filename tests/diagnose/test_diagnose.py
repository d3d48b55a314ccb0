"""diagnose: its numbers against numpy and explain, its bound, its verdicts, and Monitor."""

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bits import same_bits

import micrograd as mg
from micrograd.diagnose import bounds

ROWS = 24
rng = np.random.default_rng(5)
X, y = rng.normal(size=(ROWS, 6)), rng.integers(0, 3, ROWS)


def chain(activation, depth, width=8, dtype="float64", init=None, seed=0):
    """depth Linears, an activation after each but the last."""
    sizes = [6] + [width] * (depth - 1)
    layers = []
    for a, b in pairwise(sizes):
        layers += [mg.Linear(a, b, init=init), activation]
    return mg.Network(*layers, mg.Linear(sizes[-1], 3), dtype=dtype, seed=seed)


def nested(dtype="float64", seed=1):
    return mg.Network(
        mg.Linear(6, 8),
        mg.Residual(mg.Linear(8, 8), mg.Tanh(), mg.Linear(8, 8)),
        mg.ReLU(),
        mg.DenseBlock(mg.Linear(8, 4), mg.ReLU(), mg.Linear(12, 4), mg.Sigmoid()),
        mg.Residual(mg.Residual(mg.Linear(16, 16), mg.GELU()), mg.Linear(16, 5), projection=True),
        mg.Dropout(0.25),
        mg.LeakyReLU(0.5),
        mg.Linear(5, 3),
        dtype=dtype,
        seed=seed,
    )


# ---- the spectral norm ----


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.integers(-150, 150))
def test_spectral_norm_is_the_largest_singular_value(rows, columns, seed, exponent):
    weight = np.random.default_rng(seed).normal(size=(rows, columns)) * 2.0**exponent
    largest = np.linalg.svd(weight, compute_uv=False)[0]
    assert math.isclose(bounds.spectral_norm(weight), largest, rel_tol=1e-6)


def test_spectral_norm_of_special_matrices():
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(30, 30)))[0]
    assert math.isclose(bounds.spectral_norm(q), 1.0, rel_tol=1e-12)  # all singular values are 1
    near = q @ np.diag([1.0, 1 - 1e-7, *[0.5] * 28])
    assert math.isclose(bounds.spectral_norm(near), 1.0, rel_tol=2e-7)
    assert bounds.spectral_norm(np.zeros((3, 4))) == 0
    assert math.isnan(bounds.spectral_norm(np.array([[1.0, np.nan]])))
    huge = np.full((8, 8), 1e38, np.float32)
    assert math.isclose(bounds.spectral_norm(huge), 8e38, rel_tol=1e-6)
    wide = np.random.default_rng(2).normal(size=(256, 256)).astype(np.float32)
    assert math.isclose(bounds.spectral_norm(wide), np.linalg.norm(wide, 2), rel_tol=1e-5)


# ---- the numbers ----


def test_numbers_are_those_of_explain(dtype):
    net = chain(mg.Sigmoid(), 3, dtype=dtype)
    data, e = X.astype(dtype), net.explain(X.astype(dtype), y)
    found = mg.diagnose(net, data, y, lr=0.5)
    assert found.loss == e["loss"] and [x.name for x in found.layers] == ["0", "2", "4"]
    assert [x.layer for x in found.layers] == ["6->8 Sigmoid", "8->8 Sigmoid", "8->3"]
    for number, x in enumerate(found.layers, start=1):
        w, dw, db = (e[f"{name}{number}"].astype(float) for name in ("W", "dW", "db"))
        delta = np.sqrt((e[f"delta{number}"].astype(float) ** 2).sum(axis=1).mean())
        assert math.isclose(x.delta, delta, rel_tol=1e-12)
        gradient = math.sqrt((dw**2).sum() + (db**2).sum())
        assert math.isclose(x.gradient, gradient, rel_tol=1e-12)
        assert math.isclose(x.norm, np.linalg.norm(w, 2), rel_tol=1e-6)
        update = 0.5 * np.linalg.norm(dw) / np.linalg.norm(w)
        assert math.isclose(x.update, update, rel_tol=1e-6 if dtype == "float32" else 1e-12)
        assert math.isclose(x.ratio, x.delta / found.layers[-1].delta, rel_tol=1e-12)
    with pytest.raises(KeyError, match="no layer '1'; there are 0, 2, 4"):
        found["1"]


def test_bound_is_that_of_the_documents():
    """(max f')^(L-l) times the norms of W after layer l, for each kind of activation."""
    gelu = np.linspace(-4, 4, 800001)
    cdf = np.array([0.5 * (1 + math.erf(z / math.sqrt(2))) for z in gelu])
    slope = (cdf + gelu * np.exp(-gelu * gelu / 2) / math.sqrt(2 * math.pi)).max()
    for activation, most in (
        (mg.Sigmoid(), 0.25), (mg.Tanh(), 1), (mg.ReLU(), 1), (mg.LeakyReLU(3.0), 3),
        (mg.GELU(), slope),
    ):  # fmt: skip
        net = chain(activation, 4)
        norms = [np.linalg.norm(p.data, 2) for p in net.parameters() if p.data.ndim == 2]
        found = mg.diagnose(net, X, y)
        for i, x in enumerate(found.layers):
            assert math.isclose(x.bound, most ** (3 - i) * np.prod(norms[i + 1 :]), rel_tol=1e-6)
            assert x.ratio <= x.bound * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_bounds_hold_in_blocks_at_random(seed):
    """Large weights and every kind of block but Highway: measured below the bound, which exists."""
    net = nested(seed=seed)
    draw = np.random.default_rng(seed)
    for p in net.parameters():
        p.data *= np.exp(draw.normal())
    found = mg.diagnose(net, X, y)
    bounded = [x for x in found.layers if x.norm == x.norm]
    assert [x.name for x in bounded] == [
        p.name[:-7] for p in net.parameters() if "weight" in p.name
    ]
    for x in bounded:
        assert 0 < x.ratio <= x.bound * (1 + 1e-6), x


def test_bound_of_a_residual_by_hand():
    """delta at the block's output is W3^T delta3; inside, W2 comes after tanh."""
    block = mg.Residual(mg.Linear(4, 4), mg.Tanh(), mg.Linear(4, 4))
    norms = {"0": 9.0, "1.0": 2.0, "1.2": 3.0, "2": 5.0}
    layers = [mg.Linear(6, 4), block, mg.Linear(4, 3)]
    assert bounds.bounds(layers, norms) == {"2": 1.0, "1.2": 5.0, "1.0": 15.0, "0": 5 * (1 + 2 * 3)}
    dense = mg.DenseBlock(mg.Linear(4, 4), mg.Sigmoid())
    out = bounds.bounds([mg.Linear(6, 4), dense, mg.Linear(8, 3)], {"0": 1.0, "1.0": 8.0, "2": 5.0})
    assert out == {"2": 1.0, "1.0": 1.25, "0": 5 * math.hypot(1, 2)}
    highway = mg.Highway(mg.Linear(4, 4))
    norms = {"0": 1.0, "1.0": 2.0, "1.gate": 2.0, "2": 5.0}
    out = bounds.bounds([mg.Linear(6, 4), highway, mg.Linear(4, 3)], norms)
    assert out["1.0"] == 5.0 and math.isnan(out["0"]) and math.isnan(out["1.gate"])
    assert all(math.isnan(v) for v in bounds.bounds([mg.Linear(6, 4), highway], norms).values())


def test_steepest_of_layers_without_weights():
    assert mg.Dropout(0.75).steepest == 4 and mg.Identity().steepest == 1
    assert math.isnan(mg.Map(lambda z: z * z).steepest)
    x = np.array([0.0, 0.0])  # Softmax at (1/2, 1/2): diag(p) - p p^T has the eigenvalue 1/2
    p = np.exp(x) / np.exp(x).sum()
    largest = np.linalg.norm(np.diag(p) - np.outer(p, p), 2)
    assert math.isclose(mg.Softmax().steepest, largest)


def test_functions_of_values():
    """A Map has no known bound and no flat parts; it is named where it follows no Linear."""
    square = mg.Map(lambda z: z * z)
    net = mg.Network(mg.Linear(6, 4), square, mg.Residual(mg.Linear(4, 4)), square, mg.Linear(4, 3))
    found = mg.diagnose(net, X, y)
    assert [x.name for x in found.layers] == ["0", "2.0", "Map", "4"]
    assert [x.layer for x in found.layers] == ["6->4 Map", "4->4", "Map", "4->3"]
    assert math.isnan(found["2.0"].bound) and math.isnan(found["0"].saturated)


def test_saturated_and_dead_units():
    net = mg.Network(mg.Linear(1, 4), mg.Tanh(), mg.Linear(4, 4), mg.ReLU(), mg.Linear(4, 2))
    for p in net.parameters():
        p.data[...] = 0
    w1, _, w2, b2, *_ = (p.data for p in net.parameters())
    w1[:, 0] = 0, 1, 3, 30  # tanh'(x) = 1 / cosh(x)^2 < 0.05 where |x| > 2.18
    w2[0], b2[:] = 1, (-5, 1, -0.0, 2)
    found = mg.diagnose(net, np.array([[1.0], [-2.0]]), [0, 1])
    assert found["0"].saturated == 4 / 8  # 3, 30 for x = 1, 6, 60 for x = -2; 1 and 2 are not
    assert found["2"].dead == 2 / 4 and math.isnan(found["0"].dead)
    assert math.isnan(found["4"].saturated)


def test_nested_blocks(dtype):
    """Every Linear has a row under its path, as has the activation after a block."""
    net = nested(dtype)
    found = mg.diagnose(net, X.astype(dtype), y)
    names = [p.name.removesuffix(".weight") for p in net.parameters() if "weight" in p.name]
    assert [x.name for x in found.layers if x.norm == x.norm] == names
    assert [x.name for x in found.layers if x.norm != x.norm] == ["ReLU", "LeakyReLU"]
    net.zero_grad()
    net.loss(X.astype(dtype), y)
    net.backward()
    for p in net.parameters():
        if p.name.endswith("weight"):
            bias = [q.grad for q in net.parameters() if q.name == p.name[:-6] + "bias"]
            norm = math.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in [p.grad, *bias]))
            assert math.isclose(found[p.name[:-7]].gradient, norm, rel_tol=1e-6)


# ---- nothing is changed ----


def test_nothing_is_changed():
    net = nested()
    optimizer = mg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net.fit(X, y, epochs=2, optimizer=optimizer, seed=0)
    net.zero_grad()
    net.loss(X, y)
    net.backward()
    before = net.parameters().flat.copy(), net.parameters().flat_grad.copy()
    state, step = optimizer.state_dict(), net.step
    found = mg.diagnose(net, X, y, optimizer=optimizer)
    assert same_bits(net.parameters().flat, before[0])
    assert same_bits(net.parameters().flat_grad, before[1])
    after = optimizer.state_dict()
    assert after.keys() == state.keys() and net.step == step
    assert all(np.array_equal(after[k], state[k]) for k in state)
    assert repr(found) == repr(mg.diagnose(net, X, y, optimizer=optimizer))  # there are NaNs
    # The step that it tried out is the one that comes, for the gradient that it saw.
    e = net.explain(X, y)
    net.parameters()[0].grad[...] = e["dW1"]
    optimizer.step()
    change = np.linalg.norm(net.parameters()[0].data - e["W1"]) / np.linalg.norm(e["W1"])
    assert math.isclose(found["0"].update, change, rel_tol=1e-9)


# ---- verdicts ----


def test_vanishing():
    found = mg.diagnose(chain(mg.Sigmoid(), 10), X, y)
    assert found.verdict == "vanishing" == found["0"].verdict
    assert found["18"].verdict == "healthy"
    assert "ReLU" in found.remedy and "Residual" in found.remedy


def test_saturated_units_make_it_vanish():
    net = chain(mg.Tanh(), 6)
    for p in net.parameters():
        if p.name != "10.weight":
            p.data *= 40
    found = mg.diagnose(net, X * 10, y)
    assert found["2"].saturated > 0.5
    if found.verdict == "vanishing":
        assert "saturated" in found.remedy


def test_exploding():
    net = chain(mg.ReLU(), 10)
    for p in net.parameters():
        p.data *= 5
    found = mg.diagnose(net, X, y)
    assert found.verdict == "exploding" and "clip_norm" in found.remedy
    net = chain(mg.ReLU(), 10, dtype="float32")
    for p in net.parameters():
        p.data *= 1e5
    found = mg.diagnose(net, X.astype(np.float32), y)
    assert found.verdict == "exploding" and "exploding" in str(found)


def test_dead_units():
    net = chain(mg.ReLU(), 4)
    next(p for p in net.parameters() if p.name == "2.bias").data[:6] = -100
    found = mg.diagnose(net, X, y)
    assert found["2"].dead >= 0.75 and found["2"].verdict == "dead units" == found.verdict
    assert "LeakyReLU" in found.remedy


def test_healthy_and_the_size_of_steps():
    net = chain(mg.ReLU(), 4)
    assert mg.diagnose(net, X, y).verdict == "healthy" and not mg.diagnose(net, X, y).remedy
    assert "smaller learning rate" in mg.diagnose(net, X, y, lr=100).remedy
    assert "larger learning rate" in mg.diagnose(net, X, y, lr=1e-9).remedy


def test_no_gradient_at_all():
    net = chain(mg.ReLU(), 2)
    net = mg.Network(*net.layers, loss="mse", dtype="float64", seed=0)
    found = mg.diagnose(net, X, net.predict(X))
    assert "no gradient" in found.remedy and found.verdict == "vanishing"


def test_residual_carries_the_gradient():
    """Ten sigmoid layers: the first layer's gradient is a thousand times larger with Residual."""
    blocks = [mg.Residual(mg.Linear(6, 6), mg.Sigmoid()) for _ in range(10)]
    plain = [layer for block in blocks for layer in block.layers]
    norms = []
    for layers in (plain, blocks):
        net = mg.Network(*layers, mg.Linear(6, 3), dtype="float64", seed=0)
        norms.append(mg.diagnose(net, X, y).layers[0].gradient)
    assert norms[1] > 1000 * norms[0]


# ---- text and pictures ----


def test_table():
    text = str(mg.diagnose(chain(mg.Sigmoid(), 10), X, y, lr=0.1))
    lines = text.splitlines()
    assert len(lines) == 12 and "dead" not in lines[0] and "satur." in lines[0]
    assert lines[1].startswith("0 ") and lines[1].endswith("vanishing")
    assert lines[-1].startswith("loss ") and "vanishing. Use ReLU" in lines[-1]


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    for name, net in (("a.png", nested()), ("b.svg", chain(mg.Sigmoid(), 30))):
        mg.diagnose(net, X, y, lr=0.1).plot(tmp_path / name, "flow")
        assert (tmp_path / name).stat().st_size > 5000
    with pytest.raises(ValueError, match="ends in none of"):
        mg.diagnose(nested(), X, y).plot(tmp_path / "c.txt")


# ---- in fit ----


def test_monitor(tmp_path):
    net = chain(mg.Tanh(), 4)
    monitor = mg.diagnose.Monitor(X, y, every=2)
    with_it = net.fit(X, y, epochs=5, batch_size=8, seed=1, callbacks=monitor)
    assert monitor.epochs == [2, 4] and len(monitor.diagnoses) == 2
    assert all(x.update > 0 for x in monitor.diagnoses[0].layers)
    other = chain(mg.Tanh(), 4)
    without = other.fit(X, y, epochs=5, batch_size=8, seed=1)
    assert same_bits(net.parameters().flat, other.parameters().flat)
    assert with_it.loss == without.loss
    pytest.importorskip("matplotlib")
    monitor.plot(tmp_path / "m.png", "training")
    assert (tmp_path / "m.png").stat().st_size > 5000


def test_monitor_stops():
    net = chain(mg.Sigmoid(), 12)
    monitor = mg.diagnose.Monitor(X, y, stop_on="vanishing")
    history = net.fit(X, y, epochs=5, seed=1, callbacks=[monitor])
    assert len(history.loss) == 1 and monitor.diagnoses[0].verdict == "vanishing"


# ---- bad input ----


def test_bad_input():
    net = chain(mg.ReLU(), 2)
    with pytest.raises(TypeError, match="diagnose: net is"):
        mg.diagnose([1], X, y)
    with pytest.raises(ValueError, match="lr and optimizer are both given"):
        mg.diagnose(net, X, y, lr=1, optimizer=mg.optim.SGD(net.parameters(), lr=1))
    with pytest.raises(TypeError, match="diagnose: lr is"):
        mg.diagnose(net, X, y, lr="fast")
    other = mg.optim.SGD(chain(mg.ReLU(), 2).parameters(), lr=1)
    with pytest.raises(ValueError, match="another model"):
        mg.diagnose(net, X, y, optimizer=other)
    with pytest.raises(ValueError, match="X has 5 features"):
        mg.diagnose(net, X[:, :5], y)
    with pytest.raises(TypeError, match="Monitor: every is"):
        mg.diagnose.Monitor(X, y, every=1.5)
    with pytest.raises(ValueError, match="Monitor: every is 0"):
        mg.diagnose.Monitor(X, y, every=0)
    with pytest.raises(ValueError, match="Monitor: stop_on has 'sick', verdicts are healthy"):
        mg.diagnose.Monitor(X, y, stop_on=("sick",))
    with pytest.raises(ValueError, match="nothing has been diagnosed"):
        mg.diagnose.Monitor(X, y).plot("x.png")


@pytest.mark.parametrize(
    "first", ["pass", "import micrograd.diagnose", "from micrograd.diagnose.monitor import Monitor"]
)
def test_it_is_a_module_and_can_be_called(first):
    code = (
        f"{first}\nimport micrograd as mg\nmg.diagnose.Monitor\n"
        "d = mg.diagnose(mg.Network(mg.Linear(2, 2), seed=0), [[1.0, 2.0]], [0])\n"
        "assert isinstance(d, mg.diagnose.Diagnosis)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("layers", [1, 2, 12])
def test_bars_of_a_few_layers_are_no_blocks(layers, monkeypatch, tmp_path):
    """A bar takes at most a seventh of the width, however few there are."""
    figure = pytest.importorskip("matplotlib.figure")
    from micrograd.plot import gradient_flow

    drawn = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    numbers = dict.fromkeys(("ratio", "bound", "gradient", "norm", "update"), [1.0] * layers)
    shares = {"saturated": [0.5] * layers, "dead": [0.0] * layers}
    gradient_flow([str(i) for i in range(layers)], numbers | shares, (0.1, 10), tmp_path / "x.png")
    (axis,) = (a for a in drawn[0].axes if a.patches and a.get_ylim() == (0, 100))
    left, right = axis.get_xlim()
    bars = axis.patches
    assert len(bars) == layers
    assert all(bar.get_width() <= (right - left) / 7 for bar in bars)
    assert all(left <= bar.get_x() and bar.get_x() + bar.get_width() <= right for bar in bars)
