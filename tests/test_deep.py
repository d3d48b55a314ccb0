"""What the blocks compute, nested in any way, against PyTorch modules built the same way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd as mg

ACTIVATIONS = (mg.ReLU(), mg.Sigmoid(), mg.Tanh(), mg.GELU(), mg.LeakyReLU(0.1), mg.Softmax())


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
