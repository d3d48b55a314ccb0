"""mg.draw of networks and compiled functions: what stands on the cards, against the engine."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import micrograd as mg
from micrograd import Value
from micrograd.draw.text import number
from micrograd.draw.unrolled import unroll, with_numbers

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return ["".join(t.itertext()) for t in ET.fromstring(svg).iter(f"{SVG}text")]


def small(dtype="float32", **settings):
    rng = np.random.default_rng(0)
    layers = mg.Linear(2, 4), mg.ReLU(), mg.Linear(4, 3)
    net = mg.Network(*layers, dtype=dtype, seed=0, **settings)
    return net, rng.normal(size=(5, 2)), np.arange(5) % 3


def test_forward_cache_and_backward_as_in_section_13():
    net = small()[0]
    drawing = mg.draw(net)
    found = texts(drawing.svg)
    for title in ("z1 = W1 x + b1", "a1 = ReLU(z1)", "z2 = W2 a1 + b2", "L = cross_entropy(z2, y)",
                  "dL/dL = 1", "δ2 = softmax(z2) - y", "da1 = W2ᵀ δ2", "δ1 = da1 ⊙ ReLU′",
                  "dW1 = δ1 xᵀ", "dW2 = δ2 a1ᵀ", "forward →", "← backward"):  # fmt: skip
        assert found.count(title) == 1, title
    assert found.count("4 × 2") == 2 and found.count("3 × 4") == 2  # W and dW
    # Kept: x and a1 for the dW (a1 for ReLU' too), z2 for softmax. z1 is not.
    assert [found.count(name) for name in ("x", "a1", "z2", "z1")] == [2, 1, 1, 0]
    assert drawing.title == "Network 2 → 3, 27 parameters, cross_entropy"


def test_with_data_the_norms_are_those_of_explain():
    net, X, y = small()
    found = texts(mg.draw(net, X, y).svg)
    explained = net.explain(X, y)
    for name in ("dW1", "db1", "dW2", "db2"):
        at = found.index(f"|{name}|")
        assert found[at + 1] == number(float(np.linalg.norm(explained[name].astype(float))))
    for name, key in (("δ1", "delta1"), ("z2", "z2"), ("a1", "a1")):
        rows = explained[key].astype(float)
        at = found.index(f"|{name}|")
        assert found[at + 1] == number(float(np.sqrt((rows**2).sum(1).mean())))
    assert number(explained["loss"]) in found


def test_drawing_changes_no_network():
    net, X, y = small("float64")
    net.loss(X, y)
    net.backward()
    gradient, weights = net.parameters().flat_grad.copy(), net.parameters().flat.copy()
    net.zero_grad()
    loss, step = net.loss(X, y), net.step
    drawing = mg.draw(net, X, y)
    assert drawing.html and drawing.svg and drawing.mermaid and drawing.dot
    assert net.step == step
    net.backward()  # the cached pass is still there
    assert np.array_equal(net.parameters().flat_grad, gradient)
    assert np.array_equal(net.parameters().flat, weights)
    assert net.loss(X, y) == loss


def blocks():
    return (
        mg.Linear(3, 4), mg.Tanh(), mg.Residual(mg.Linear(4, 4), mg.LeakyReLU(0.1)),
        mg.Highway(mg.Linear(4, 4), mg.GELU()),
        mg.Residual(mg.Linear(4, 6), mg.ReLU(), projection=True),
        mg.DenseBlock(mg.Linear(6, 3), mg.ReLU(), mg.Linear(9, 2)), mg.Dropout(0.3),
        mg.Softmax(), mg.Linear(11, 2),
    )  # fmt: skip


def test_every_part_of_every_block_has_the_networks_numbers():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    net = mg.Network(*blocks(), loss="mse", dtype="float64", seed=1)
    out = with_numbers(net, X, Y)
    np.testing.assert_allclose(out.parts[-2].value, net.predict(X), rtol=1e-12)
    for part in out.parts:
        ins = [out.parts[u].value for u in part.inputs]
        if part.op == "linear":  # each part follows from those before it, by numpy
            named = {p.name: p.data for p in net.parameters()}
            z = ins[0] @ named[f"{part.path}.weight"].T
            z = z + named[f"{part.path}.bias"] if part.bias else z
            np.testing.assert_allclose(part.value, z, rtol=1e-9, atol=1e-12, err_msg=part.name)
        elif part.op == "softmax":
            e = np.exp(ins[0])
            np.testing.assert_allclose(part.value, e / e.sum(1, keepdims=True), rtol=1e-12)
    mean = np.mean(out.parts[-1].value)
    assert mean == pytest.approx(((net.predict(X) - Y) ** 2).mean(), rel=1e-12)
    assert "Dropout is off" in mg.draw(net, X, Y).notes[0]


def test_an_activation_behind_dropout_has_its_own_numbers():
    """Without dropout it belongs to the step of the Linear before it."""
    net = mg.Network(
        mg.Linear(3, 4), mg.Dropout(0.5), mg.ReLU(), mg.Residual(
            mg.Linear(4, 4), mg.Dropout(0.5), mg.Tanh()), mg.Dropout(0.5), mg.Softmax(),
        mg.Linear(4, 2), loss="mse", dtype="float64", seed=0)  # fmt: skip
    X, Y = np.random.default_rng(0).normal(size=(5, 3)), np.ones((5, 2))
    W1, b1, W2, b2, W3, b3 = (p.data for p in net.parameters())
    first = np.maximum(X @ W1.T + b1, 0)
    inner = first @ W2.T + b2
    total = np.tanh(inner) + first
    shares = np.exp(total) / np.exp(total).sum(1, keepdims=True)
    out = with_numbers(net, X, Y)
    found = {part.name: part.value for part in out.parts}
    np.testing.assert_allclose(found["a1"], first)
    np.testing.assert_allclose(found["z2"], inner)
    np.testing.assert_allclose(found["s1"], total)
    np.testing.assert_allclose(found["a3"], shares)
    np.testing.assert_allclose(found["z4"], shares @ W3.T + b3)
    np.testing.assert_allclose(found["z4"], net.predict(X))
    assert mg.draw(net, X, Y).svg and mg.draw(net, X[:1], Y[:1]).html


def test_features_of_every_part():
    net = mg.Network(*blocks(), loss="mse", seed=1)
    found = {part.name: part.features for part in unroll(net).parts}
    assert found["c1"] == 9 and found["c2"] == 11 and found["z10"] == 2 and found["m1"] == 4


def test_only_one_of_X_and_y():
    net, X, y = small()
    with pytest.raises(ValueError, match="draw: y is missing"):
        mg.draw(net, X)
    with pytest.raises(ValueError, match="draw: X is missing"):
        mg.draw(net, y=y)
    with pytest.raises(ValueError, match="5 features"):
        mg.draw(net, np.ones((3, 5)), [0, 1, 2])


def test_a_deep_network_is_blocks_of_layers():
    layers = [layer for _ in range(100) for layer in (mg.Linear(8, 8), mg.Tanh())]
    net = mg.Network(*layers, mg.Linear(8, 2), seed=0)
    X, y = np.ones((3, 8)), [0, 1, 1]
    drawing = mg.draw(net, X, y)
    assert "blocks of 7 layers: 201 layers with 203 steps" in drawing.notes[0]
    cards = len(re.findall('class="mg-card ', drawing.svg))
    assert cards == 2 + 29
    total = sum(int(t) for t in parameters_of(texts(drawing.svg)))
    assert total == net.parameters().size
    every = mg.draw(net, collapse=False)
    assert not every.notes and len(re.findall('class="mg-card ', every.svg)) > 600


def parameters_of(found):
    return [found[i + 1] for i, text in enumerate(found) if text == "parameters"]


def test_own_losses_and_maps_are_drawn_and_what_a_page_cannot_is_said():
    layers = mg.Linear(2, 3), mg.Map(lambda z: z * z.sigmoid()), mg.Linear(3, 1)
    net = mg.Network(*layers, loss=lambda z, y: (z - y) ** 4, seed=0)
    X, y = np.ones((4, 2)), np.zeros(4)
    found = texts(mg.draw(net, X, y).svg)
    assert "a1 = Map(z1)" in found and "δ2 = dL/dz2" in found

    def long(z, y):
        return mg.sum([(z - y - i * 0.001) ** 2 for i in range(2000)])

    html = mg.draw(mg.Network(*layers, loss=long, seed=0), X, y).html
    assert "ops are too many for a page" in html and len(html) < 60_000


def test_a_name_with_markup():
    def evil(z, y):
        return (z - y) ** 2

    evil.__name__ = "<script>alert(1)</script>"
    net = mg.Network(mg.Linear(2, 1), loss=evil, seed=0)
    drawing = mg.draw(net, np.ones((2, 2)), np.ones(2))
    for text in (drawing.svg, drawing.html, drawing.mermaid, drawing.dot):
        assert "<script>alert" not in text


def test_too_many_weights_for_a_page():
    net = mg.Network(mg.Linear(1500, 100), mg.ReLU(), mg.Linear(100, 10), seed=0)
    html = mg.draw(net, np.ones((2, 1500)), [1, 2]).html
    assert "151110 weights are too many" in html and len(html) < 60_000


# ---- compiled functions ----


def program():
    w, b = Value(3.0, label="w"), Value(-1.0, label="b")
    return mg.compile(
        lambda x, y: (mg.where(x[0] > 0, (w * x[0] + b * x[1]).tanh(), x[1]) - y) ** 2
    )


X, Y = np.array([[0.3, -0.2], [1.0, 2.0]]), np.array([0.5, 1.0])


def test_a_program_on_its_first_row():
    p = program()
    found = texts(mg.draw(p, X, Y).svg)
    assert {"x[0]", "x[1]", "y", "w", "b", "where", "<"} <= set(found)
    loss = p.loss(X[:1], Y[:1])
    p.backward()
    assert number(loss) in found
    for name, g in zip(("w", "b"), p.parameters().flat_grad, strict=True):
        at = found.index(name)
        assert found[at + 4] == number(float(g)), found[at : at + 6]
    assert "The first row of the data." in mg.draw(p, X, Y).notes


def test_a_program_is_drawn_with_its_own_parameters():
    p = program()
    p.loss(X, Y)
    p.parameters().flat[...] = [0.25, 0.5]
    found = texts(mg.draw(p, X, Y).svg)
    assert "0.25" in found and "0.5" in found and "3" not in found
    assert p.leaves[0].data == 3.0


def test_a_program_without_data():
    p = program()
    with pytest.raises(ValueError, match="draw: the program has not been recorded yet"):
        mg.draw(p)
    with pytest.raises(ValueError, match="draw: y without X"):
        mg.draw(p, y=Y)
    p.record(X, Y)
    drawing = mg.draw(p)
    assert "x[0]" in texts(drawing.svg) and "?" in texts(drawing.svg)
    assert "Give X (and y) to see numbers" in drawing.html


def test_drawing_a_program_records_nothing():
    p = program()
    mg.draw(p, X, Y)
    assert p.recorded_shapes == []
    three = mg.compile(lambda a, b, c: a * b + c)
    found = texts(mg.draw(three, ([2.0], [3.0], [4.0])).svg)
    assert "10" in found and "a" in found


def test_blocks_show_the_gradient_of_their_outputs():
    """Of residual blocks too, whose sums explain does not name: against finite differences."""
    body = [mg.Residual(mg.Linear(4, 4), mg.Tanh(), mg.Linear(4, 4)) for _ in range(20)]
    net = mg.Network(*body, mg.Linear(4, 2), dtype="float64", seed=0)
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(3, 4)), np.array([0, 1, 1])
    found = texts(mg.draw(net, X, y).svg)
    shown = [found[i + 1] for i, text in enumerate(found) if text == "|grad|"]
    assert len(shown) == 22  # x, twenty blocks and the last layer
    numeric = np.empty_like(X)
    for at in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[at] = 1e-6
        numeric[at] = 3 * (net.loss(X + step, y) - net.loss(X - step, y)) / 2e-6
    assert float(shown[0]) == pytest.approx(np.linalg.norm(numeric), rel=1e-4)
    last = net.explain(X, y)["delta41"]
    assert float(shown[-1]) == pytest.approx(np.linalg.norm(last), rel=1e-4)
    mixed = [mg.Highway(mg.Linear(4, 4), mg.Tanh()) for _ in range(20)]
    net = mg.Network(*mixed, mg.Linear(4, 2), seed=0)
    assert texts(mg.draw(net, X, y).svg).count("|grad|") < 22  # what is not known is left out
