"""Networks on their page, sample by sample and edited: against `explain`."""

import numpy as np
import pytest
from support.drawn_pages import numbers_of, small_network

import micrograd as mg
from micrograd import Value
from micrograd.draw.text import number


def networks():
    np = pytest.importorskip("numpy")
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    body = (
        mg.Linear(3, 4), mg.Tanh(), mg.Residual(mg.Linear(4, 4), mg.LeakyReLU(0.1)),
        mg.Highway(mg.Linear(4, 4), mg.GELU()),
        mg.Residual(mg.Linear(4, 6), mg.ReLU(), projection=True),
        mg.DenseBlock(mg.Linear(6, 3), mg.ReLU(), mg.Linear(9, 2)), mg.Dropout(0.3),
    )  # fmt: skip
    yield "small", *small_network()
    for loss in ("mse", "mae", "huber"):
        net = mg.Network(*body, mg.Linear(11, 2), loss=loss, dtype="float64", seed=1)
        yield loss, net, X, 2 * Y
    net = mg.Network(mg.Linear(3, 4), mg.Sigmoid(), mg.Softmax(), mg.Linear(4, 2), loss="bce",
                     dtype="float64", seed=2)  # fmt: skip
    yield "bce", net, X, (Y > 0) * 1.0
    own = Value(0.7, label="slope")
    wild = mg.Map(lambda z: mg.where(z > 0, z * z.sigmoid() * own, own * 0.1 * z))

    def loss(z, y):
        return (z[0] - y[0]) ** 4 + mg.maximum(z[1], y[1]) * own

    layers = mg.Linear(3, 4), wild, mg.Residual(mg.Linear(4, 4), mg.Map(abs)), mg.Linear(4, 2)
    yield "own", mg.Network(*layers, loss=loss, dtype="float64", seed=4), X, Y
    layers = mg.Linear(3, 4), mg.Tanh(), mg.Linear(4, 1)
    yield "one", mg.Network(*layers, loss=lambda z, y: (z - y).abs().exp(), seed=4,
                            dtype="float64"), X, Y[:, 0]  # fmt: skip
    rows = np.exp(Y) / np.exp(Y).sum(1, keepdims=True)
    yield "rows", mg.Network(mg.Linear(3, 2), dtype="float64", seed=3), X, rows


def by_hand(net, X, y, i):
    """loss and gradients of one row, from the engine."""
    from micrograd.draw.unrolled import without_dropout

    found = without_dropout(net).explain(X[i : i + 1], y[i : i + 1])
    return {"L": found["loss"]} | {k: v for k, v in found.items() if k != "loss"}


@pytest.mark.parametrize("case", [*networks()], ids=lambda case: case[0])
def test_a_network_sample_by_sample(opened, case):
    import numpy as np

    _, net, X, y = case
    page = opened(mg.draw(net, X, y))
    for i in (0, 3):
        page.get_by_label("Sample").select_option(str(i))
        compare(page, by_hand(net, X, y, i), np)


def compare(page, found, np):
    """Data and gradients of the page against explain's, all entries."""
    state = page.evaluate(
        """() => player.tape.nodes.map(
          (node, v) => [node.n, node.o, player.values[v], player.sums[v]])"""
    )
    checked = 0
    for name, op, value, grad in state:
        wanted = {}
        if name == "L":
            wanted = {"value": found["L"]}
        elif op == "linear":
            wanted = {"grad": found[f"delta{name[1:]}"][0]}
        elif name[0] == "a":
            wanted = {"value": found[name][0]}
        elif name[0] in "Wb":
            wanted = {"value": found[name], "grad": found[f"d{name}"]}
        for kind, number_ in wanted.items():
            got = value if kind == "value" else grad
            np.testing.assert_allclose(got, number_, rtol=1e-11, atol=1e-13, err_msg=name)
            flat = zip(np.ravel(got).tolist(), np.ravel(number_).tolist(), strict=True)
            assert all(number(a) == number(b) for a, b in flat if abs(b) > 1e-9), name
            checked += 1
    assert checked >= 4


@pytest.mark.parametrize("case", [*networks()], ids=lambda case: case[0])
def test_an_edited_network_is_computed_as_the_engine_does(opened, case):
    import numpy as np

    _, net, X, y = case
    page = opened(mg.draw(net, X, y))
    page.get_by_role("button", name="W1", exact=True).click()
    form = page.locator("#story form")
    form.get_by_label("row").fill("1")
    form.get_by_label("column").fill("0")
    form.get_by_label("is").fill("0.625")
    form.get_by_role("button", name="Set").click()
    page.get_by_role("button", name="x", exact=True).click()
    form.get_by_label("entry").fill("1")
    form.get_by_label("is").fill("-0.75")
    form.get_by_role("button", name="Set").click()
    before = net.parameters().flat.copy()
    try:
        net.parameters()[0].data[1, 0] = 0.625
        X = X.copy()
        X[0, 1] = -0.75
        compare(page, by_hand(net, X, y, 0), np)
    finally:
        net.parameters().flat[...] = before
    page.get_by_role("button", name="Reset numbers").click()
    assert page.locator("#changed").is_hidden()


def test_a_float32_network_shows_the_engines_numbers(opened):
    net, X, y = small_network("float32")
    page = opened(mg.draw(net, X, y))
    found = by_hand(net, X, y, 0)
    cells = {row[0]: row for row in numbers_of(page)}
    vector = ", ".join(number(x) for x in found["a1"][0].tolist())
    assert cells["a1"][1] == f"[{vector}]"
    delta = ", ".join(number(x) for x in found["delta1"][0].tolist())
    assert cells["z1"][2] == f"[{delta}]"


def test_a_deep_network_is_stepped_through_block_by_block(opened):
    layers = [layer for _ in range(100) for layer in (mg.Linear(8, 8), mg.Tanh())]
    net = mg.Network(*layers, mg.Linear(8, 2), dtype="float64", seed=0)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5, 8)), [0, 1, 1, 0, 1]
    page = opened(mg.draw(net, X, y))
    rows = numbers_of(page)
    assert len(rows) == 31 and rows[0][0] == "x"
    e = net.explain(X, y)
    size = np.linalg.norm
    # Blocks of seven layers: the first ends with z4, the second with a7, ...; the last is z101.
    assert rows[1][1:] == [number(size(e["z4"])), number(size(e["delta4"]))]
    assert rows[2][1:] == [number(size(e["a7"])), number(size(e["da7"]))]
    assert rows[29][1:] == [number(size(e["z101"])), number(size(e["delta101"]))]
    assert rows[30][1] == number(e["loss"])
    page.keyboard.press("Home")
    assert [row[1:] for row in numbers_of(page)][1:] == [["", ""]] * 30
    page.keyboard.press("ArrowRight")
    assert numbers_of(page)[1][1] == rows[1][1]
    page.keyboard.press("End")
    assert numbers_of(page) == rows
