"""What the blocks compute, nested in any way, against PyTorch modules built the same way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd as mg

ACTIVATIONS = (mg.ReLU(), mg.Sigmoid(), mg.Tanh(), mg.GELU(), mg.LeakyReLU(0.1), mg.Softmax(),
               mg.SiLU(), mg.Softplus(), mg.Mish())  # fmt: skip


# ---- random networks ----


@st.composite
def sequences(draw, features, depth, gives=None):
    """Layers that take so many features, and give `gives` if that is said."""
    layers = []
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["linear", "activation", "block"] if depth else ["linear"]))
        if kind == "block":
            layer, features = draw(blocks(features, depth - 1))
        elif kind == "linear":
            out = draw(st.integers(1, 5))
            layer, features = mg.Linear(features, out, bias=draw(st.booleans())), out
        else:
            layer = draw(st.sampled_from((*ACTIVATIONS, mg.Identity())))
        layers.append(layer)
    if gives is not None and (features != gives or not layers):
        layers.append(mg.Linear(features, gives))
        if draw(st.booleans()):
            layers.append(draw(st.sampled_from(ACTIVATIONS)))
    return layers, gives if gives is not None else features


@st.composite
def blocks(draw, features, depth):
    kind = draw(st.sampled_from(["residual", "projection", "highway", "dense"]))
    if kind == "projection":
        layers, out = draw(sequences(features, depth))
        if any(layer.takes is not None for layer in layers):
            return mg.Residual(*layers, projection=True), out
        kind = "residual"
    if kind == "residual":
        layers, _ = draw(sequences(features, depth, gives=features))
        return mg.Residual(*layers), features
    if kind == "highway":
        layers, _ = draw(sequences(features, depth, gives=features))
        if not any(layer.takes is not None for layer in layers):
            layers.append(mg.Linear(features, features))
        return mg.Highway(*layers, gate_bias=0.5), features
    layers, total = [], features
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()) and depth:
            layer, out = draw(blocks(total, depth - 1))
            if layer.takes is None:
                layer, out = mg.Linear(total, 2), 2
        else:
            out = draw(st.integers(1, 4))
            layer = mg.Linear(total, out)
        layers.append(layer)
        if draw(st.booleans()):
            layers.append(draw(st.sampled_from(ACTIVATIONS)))
        total += out
    return mg.DenseBlock(*layers), total


@st.composite
def networks(draw):
    features = draw(st.integers(1, 5))
    layers, out = draw(sequences(features, 3))
    if not any(layer.takes is not None for layer in layers):
        layers.append(mg.Linear(features, 3))
        out = 3
    return layers, features, out


# ---- the same in PyTorch ----


def torch_value(torch, layers, prefix, weights, x):
    """What these layers make of x, written down from the blocks' equations."""
    functional = torch.nn.functional
    for i, layer in enumerate(layers):
        path = f"{prefix}{i}"

        def linear(name, x):
            return functional.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

        if isinstance(layer, mg.Linear):
            x = linear(path, x)
        elif isinstance(layer, mg.Residual):
            body = torch_value(torch, layer.layers, f"{path}.", weights, x)
            x = body + (linear(f"{path}.projection", x) if layer.projection else x)
        elif isinstance(layer, mg.Highway):
            t = torch.sigmoid(linear(f"{path}.gate", x))
            x = t * torch_value(torch, layer.layers, f"{path}.", weights, x) + (1 - t) * x
        elif isinstance(layer, mg.DenseBlock):
            x = torch_dense(torch, layer, path, weights, x)
        elif not isinstance(layer, mg.Identity):
            x = {
                mg.ReLU: torch.relu,
                mg.Sigmoid: torch.sigmoid,
                mg.Tanh: torch.tanh,
                mg.GELU: functional.gelu,
                mg.SiLU: functional.silu,
                mg.Softplus: lambda z: functional.softplus(z, threshold=40),
                mg.Mish: functional.mish,
                mg.LeakyReLU: lambda z: functional.leaky_relu(z, 0.1),
                mg.Softmax: lambda z: torch.softmax(z, dim=1),
            }[type(layer)](x)
    return x


def torch_dense(torch, block, path, weights, x):
    seen, group, number = [x], [], 0
    for layer in (*block.layers, None):
        sized = any(other.takes is not None for other in group)
        if group and (layer is None or (sized and layer.takes is not None)):
            renamed = {
                f"g.{int(rest.split('.')[0]) - number}.{rest.partition('.')[2]}": w
                for name, w in weights.items()
                if name.startswith(f"{path}.")
                and (rest := name[len(path) + 1 :]).split(".")[0].isdigit()
                and int(rest.split(".")[0]) >= number
            }
            seen.append(torch_value(torch, group, "g.", renamed, torch.cat(seen, dim=1)))
            number += len(group)
            group = []
        group.append(layer)
    return torch.cat(seen, dim=1)


def compare_with_torch(layers, features, outputs, rows, seed, **options):
    torch = pytest.importorskip("torch")
    net = mg.Network(*layers, loss="mse", dtype="float64", seed=seed, **options)
    rng = np.random.default_rng(seed)
    net.parameters().flat[:] = rng.normal(size=net.parameters().size)
    X, y = rng.normal(size=(rows, features)), rng.normal(size=(rows, outputs))
    weights = {p.name: torch.tensor(p.data.copy(), requires_grad=True) for p in net.parameters()}
    out = torch_value(torch, layers, "", weights, torch.tensor(X))
    expected = torch.nn.functional.mse_loss(out, torch.tensor(y))
    expected.backward()
    loss = net.loss(X, y)
    net.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-10)
    np.testing.assert_allclose(net.predict(X), out.detach().numpy(), rtol=1e-10, atol=1e-10)
    scale = max(abs(w.grad).max().item() for w in weights.values() if w.grad is not None)
    for p in net.parameters():
        grad = weights[p.name].grad
        wanted = np.zeros(p.shape) if grad is None else grad.numpy()
        np.testing.assert_allclose(p.grad, wanted, rtol=1e-10, atol=1e-10 * scale, err_msg=p.name)
    return net, X, y


@settings(max_examples=150, deadline=None)
@given(networks(), st.integers(1, 20), st.integers(0, 1000))
def test_blocks_nested_at_random_agree_with_pytorch(network, rows, seed):
    layers, features, outputs = network
    compare_with_torch(layers, features, outputs, rows, seed)


@settings(max_examples=50, deadline=None)
@given(networks(), st.integers(0, 1000))
def test_explain_gives_the_bits_of_the_gradients(network, seed):
    layers, features, outputs = network
    net = mg.Network(*layers, loss="mse", dtype="float64", seed=seed)
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(7, features)), rng.normal(size=(7, outputs))
    explained = net.explain(X, y)
    assert net.loss(X, y) == explained["loss"]
    net.backward()
    numbers = [k[2:] for k in explained if k.startswith("dW")]
    named = {}
    for number in numbers:
        for letter in "Wb":
            if f"d{letter}{number}" in explained:
                named.setdefault(explained[f"{letter}{number}"].tobytes(), []).append(
                    explained[f"d{letter}{number}"]
                )
    for p in net.parameters():
        assert any(np.array_equal(p.grad, g) for g in named[p.data.tobytes()]), p.name
    for number in numbers:
        if f"delta{number}" in explained:
            db = explained[f"delta{number}"].sum(axis=0) / 7
            if f"db{number}" in explained:
                np.testing.assert_allclose(db, explained[f"db{number}"], rtol=1e-9, atol=1e-12)


# ---- recomputation ----


def schedules(draw_slots=3):
    return st.one_of(
        st.just("sqrt"),
        st.integers(1, 4).map(mg.checkpoint.every),
        st.integers(1, draw_slots).map(mg.checkpoint.binomial),
        st.just(mg.checkpoint.budget(10**6)),
    )


def gradients(net, X, y):
    net.zero_grad()
    loss = net.loss(X, y)
    net.backward()
    return loss, net.parameters().flat_grad.copy()


def with_dropout(layers, every=2):
    """The same layers with a Dropout behind some of them, inside blocks too."""
    out = []
    for i, layer in enumerate(layers):
        if isinstance(layer, mg.Residual):
            layer = mg.Residual(*with_dropout(layer.layers), projection=layer.projection)
        elif isinstance(layer, mg.Highway):
            layer = mg.Highway(*with_dropout(layer.layers), gate_bias=layer.gate_bias)
        out.append(layer)
        if i % every == 0:
            out.append(mg.Dropout(0.3))
    return out


@settings(max_examples=100, deadline=None)
@given(networks(), schedules(), st.integers(0, 1000))
def test_recomputed_gradients_have_the_same_bits(network, schedule, seed):
    layers, features, outputs = network
    layers = with_dropout(layers)
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(9, features)), rng.normal(size=(9, outputs))
    plain = mg.Network(*layers, loss="mse", dtype="float64", seed=seed)
    saving = mg.Network(*layers, loss="mse", dtype="float64", seed=seed, checkpoint=schedule)
    for _ in range(2):  # another dropout mask each time
        (loss, wanted), (again, got) = gradients(plain, X, y), gradients(saving, X, y)
        assert loss == again and wanted.tobytes() == got.tobytes()
    assert plain.step == saving.step == 2


def chain(depth, width=8, **options):
    layers = [x for _ in range(depth) for x in (mg.Linear(width, width), mg.Tanh())]
    return mg.Network(*layers, mg.Linear(width, 3), seed=0, **options)


def test_what_memory_says():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(16, 8)).astype(np.float32), rng.integers(0, 3, 16)
    activation = 16 * 8 * 4
    plain, slots = chain(20), chain(20, checkpoint=mg.checkpoint.binomial(3))
    assert plain.memory()["activation_bytes"] == 0  # nothing has been run
    for net in (plain, slots):
        gradients(net, X, y)
    before, after = plain.memory(), slots.memory()
    assert before["parameter_bytes"] == before["gradient_bytes"] == plain.parameters().flat.nbytes
    assert before["activation_bytes"] == 19 * activation and before["recomputed_layers"] == 0
    assert after["activation_bytes"] == 3 * activation
    assert after["recomputed_layers"] == 22  # T(21, 3) - 20, see micrograd.revolve
    total = [m["activation_bytes"] + m["workspace_bytes"] for m in (before, after)]
    assert total[0] - total[1] > 10 * activation  # what was really allocated


def test_a_budget_depends_on_the_batch():
    rng = np.random.default_rng(0)
    net = chain(20, checkpoint=mg.checkpoint.budget(6 * 16 * 8 * 4))
    plain = chain(20)
    for rows, recomputes in ((4, False), (16, True), (8, True)):
        X, y = rng.normal(size=(rows, 8)).astype(np.float32), rng.integers(0, 3, rows)
        assert gradients(net, X, y)[1].tobytes() == gradients(plain, X, y)[1].tobytes()
        assert (net.memory()["recomputed_layers"] > 0) == recomputes
    X = rng.normal(size=(1000, 8)).astype(np.float32)
    with pytest.raises(ValueError, match="need at least"):
        net.loss(X, rng.integers(0, 3, 1000))


def test_fit_recomputes_too():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 8)).astype(np.float32), rng.integers(0, 3, 40)
    nets = [chain(6), chain(6, checkpoint="sqrt"), chain(6, checkpoint=mg.checkpoint.budget(5000))]
    for net in nets:
        net.fit(X, y, epochs=2, batch_size=16, seed=0)
    flat = [net.parameters().flat.tobytes() for net in nets]
    assert flat[0] == flat[1] == flat[2]


# ---- dropout ----


def test_dropout_drops_the_share_it_says_and_keeps_the_mean():
    width, rows, p = 500, 200, 0.3
    net = mg.Network(mg.Linear(width, width), mg.Dropout(p), loss="mse", dtype="float64", seed=3)
    net.parameters()[0].data[...] = np.eye(width)
    X = np.ones((rows, width))
    out = net.forward(X)
    dropped = (out == 0).mean()
    assert abs(dropped - p) < 5 * np.sqrt(p * (1 - p) / out.size)
    np.testing.assert_array_equal(np.unique(out), [0, 1 / (1 - p)])
    for axis in (0, 1):  # rows and columns are dropped alike: no pattern
        share = (out == 0).mean(axis=axis)
        assert abs(share.std() - np.sqrt(p * (1 - p) / out.shape[axis])) < 0.005
    np.testing.assert_array_equal(net.predict(X), X)
    assert net.evaluate(X, X) == (0.0, None)


def test_masks_depend_on_seed_and_step_and_nothing_else(threads):
    X, y = np.ones((64, 300)), np.zeros((64, 300))

    def masks(seed, dtype="float64", n=1):
        threads(n)
        net = mg.Network(mg.Linear(300, 300), mg.Dropout(0.5), loss="mse", dtype=dtype, seed=seed)
        net.parameters()[0].data[...] = np.eye(300)
        out = []
        for _ in range(2):
            out.append(net.forward(X) == 0)
            net.loss(X, y)
        return out

    first, second = masks(1)
    assert (first != second).mean() > 0.4 and (first != masks(2)[0]).mean() > 0.4
    for again in (masks(1), masks(1, n=2), masks(1, "float32")):
        assert np.array_equal(again[0], first) and np.array_equal(again[1], second)


def test_the_gradient_of_dropout_is_that_of_its_mask():
    layers = mg.Linear(6, 5), mg.ReLU(), mg.Dropout(0.4), mg.Linear(5, 2)
    net = mg.Network(*layers, loss="mse", dtype="float64", seed=0)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 6)), rng.normal(size=(30, 2))
    net.loss(X, y)
    net.backward()
    grad, flat = net.parameters().flat_grad.copy(), net.parameters().flat
    for i in rng.choice(flat.size, 20, replace=False):
        losses = []
        for h in (1e-6, -1e-6):
            flat[i] += h
            net.step = 0
            losses.append(net.loss(X, y))
            flat[i] -= h
        assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(grad[i], abs=1e-7)
