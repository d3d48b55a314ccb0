"""The page to step through, in a browser: against the engine, by keyboard, small, dark, legible."""

import json
import math
import random
import re
from pathlib import Path

import numpy as np
import pytest

import micrograd as mg
from micrograd import Value
from micrograd.draw import evaluator
from micrograd.draw.text import number
from micrograd.engine.rules import ANY, RULES
from micrograd.nn import MLP


def neuron():
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2, b = Value(-3.0, label="w1"), Value(1.0, label="w2"), Value(6.88, label="b")
    o = (x1 * w1 + x2 * w2 + b).tanh()
    o.label = "o"
    return o, [x1, x2, w1, w2, b]


def everything():
    """A graph with most ops, an operand used many times and plain numbers."""
    x, w = Value(0.7, label="x"), Value(-1.3, label="w")
    c = Value(2.0, label="c", requires_grad=False)
    h = (x * w + 0.5).tanh()
    h.label = "h"
    s = h * h + h.exp() * x - mg.maximum(x, w) / c + (x**3) * (2**w)
    s = s + x.sigmoid() * w.softplus() + (w.abs() + 1).log().sqrt() - w.leaky_relu(0.1).relu()
    s = s + mg.minimum(h, x).sin() * w.cos() + w.gelu() + x.erfc()
    loss = mg.dot([x, w], [h, 2.0], 0.1) ** 2 + mg.sum([s, x, x]) + mg.where(s > 0, s, -s)
    loss.label = "loss"
    return loss, [x, w]


def numbers_of(page):
    """The table: (name, data, grad) of every row."""
    return page.evaluate(
        """() => [...document.querySelectorAll('#numbers tbody tr')].map((row) => {
          const input = row.querySelector('input');
          const cells = [...row.cells].map((cell) => cell.textContent);
          return [cells[0], input ? input.value : cells[2], cells[3]];
        })"""
    )


def drawn(page, kind, place):
    return page.evaluate(f"document.getElementById('mg-{kind}{place}')?.textContent ?? null")


def in_order(root):
    """The graph's nodes as a drawing numbers them."""
    from micrograd.draw.graph import of_values

    return of_values([root]).nodes


def expected(root):
    """What the engine says, digit for digit."""
    rows = []
    for node in in_order(root):
        takes = node.kind not in ("number", "constant")
        rows.append([number(node.data), number(node.grad) if takes else ""])
    return rows


@pytest.mark.parametrize("build", [neuron, everything])
def test_numbers_are_the_engines_to_the_last_digit(opened, build):
    root, _ = build()
    root.backward()
    page = opened(mg.draw(root))
    assert [row[1:] for row in numbers_of(page)] == expected(root)
    for place, (data, grad) in enumerate(expected(root)):
        assert drawn(page, "d", place) == data
        assert drawn(page, "g", place) in (grad or None, grad)


@pytest.mark.parametrize(
    "build, seed", [(neuron, 0), (neuron, 1), (everything, 2), (everything, 3)]
)
def test_edited_numbers_are_the_engines_too(opened, build, seed):
    root, leaves = build()
    root.backward()
    page = opened(mg.draw(root))
    rng = random.Random(seed)
    values = [round(rng.uniform(-2, 2), 3) for _ in leaves]
    for leaf, x in zip(leaves, values, strict=True):
        field = page.get_by_label(f"data of {leaf.label}", exact=True)
        field.fill(repr(x))
        field.press("Enter")
    fresh = rebuilt(root, dict(zip(leaves, values, strict=True)))
    fresh.backward()
    assert [row[1:] for row in numbers_of(page)] == expected(fresh)
    page.get_by_role("button", name="Reset numbers").click()
    assert [row[1:] for row in numbers_of(page)] == expected(root)


def rebuilt(root, data):
    """The same graph on other data, op by op through the engine."""
    twins = {}

    def twin(v):
        if not isinstance(v, Value):
            return v
        if v not in twins:
            if v.is_leaf:
                twins[v] = Value(data.get(v, v.data), v.label, v.requires_grad)
            else:
                twins[v] = applied(v.op, [twin(u) for u in v.operands])
                twins[v].label = v.label
        return twins[v]

    return twin(root)


def applied(op, x):
    if op in ("add", "sub", "mul", "div", "pow"):
        a, b = x
        return {
            "add": lambda: a + b,
            "sub": lambda: a - b,
            "mul": lambda: a * b,
            "div": lambda: a / b,
            "pow": lambda: a**b,
        }[op]()
    if op == "dot":
        n = len(x) // 2
        return mg.dot(x[:n], x[n : 2 * n], x[-1])
    if op == "sum":
        return mg.sum(x)
    if op == "where":
        return mg.where(x[0], x[1], x[2])
    if op in ("maximum", "minimum"):
        return getattr(mg, op)(*x)
    return -x[0] if op == "neg" else getattr(x[0], op)(*x[1:])


def test_plays_to_the_end_forward_and_back(opened):
    root, _ = neuron()
    root.backward()
    page = opened(mg.draw(root))
    page.get_by_role("button", name="First").click()
    assert [row[1] for row in numbers_of(page)][2] == ""  # x1*w1 is not computed yet
    page.get_by_label("Speed").select_option("10")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(
        "document.getElementById('count').textContent === '11 / 11'", timeout=9000
    )
    assert page.get_by_role("button", name="Play").is_visible()
    assert [row[1:] for row in numbers_of(page)] == expected(root)
    for _ in range(11):
        page.get_by_role("button", name="Back").click()
    assert page.locator("#count").text_content() == "0 / 11"
    assert not any(row[2] for row in numbers_of(page))


def test_each_step_shows_its_equation_and_the_running_sum(opened):
    x = Value(3.0, label="x")
    a = x * 2
    a.label = "a"
    y = a + x
    y.label = "y"
    y.backward()
    page = opened(mg.draw(y))
    step = page.locator("#step")

    def at(n):
        page.evaluate(f"player.go({n})")
        return step.inner_text().splitlines()

    assert "a = x × 2" in at(1) and "= 3 × 2" in at(1) and "= 6" in at(1)
    assert "∂y/∂y = 1" in at(3)
    lines = at(4)
    assert "upstream × local = 1 × 1 = 1" in lines
    assert "∂y/∂a = 1" in lines and "∂y/∂x so far = 1" in lines
    assert drawn(page, "e3-1-label", "") == "1 × 1 = 1"
    lines = at(5)
    assert "∂a/∂x = 2" in lines and "upstream × local = 1 × 2 = 2" in lines
    assert "∂y/∂x = 1 + 2 = 3" in lines


def test_a_click_tells_the_whole_story(opened):
    root, _ = neuron()
    root.backward()
    page = opened(mg.draw(root))
    page.locator("#mg-n0").click()
    story = page.locator("#story")
    assert story.is_visible()
    text = story.inner_text()
    assert "x1" in text and "a leaf" in text and "from #2" in text
    page.keyboard.press("Escape")
    assert story.is_hidden()


def test_by_keyboard_alone(opened):
    root, _ = neuron()
    root.backward()
    page = opened(mg.draw(root))
    count = page.locator("#count")
    for key, wanted in (("Home", "0 / 11"), ("ArrowRight", "1 / 11"), ("ArrowRight", "2 / 11"),
                        ("ArrowLeft", "1 / 11"), ("End", "11 / 11")):  # fmt: skip
        page.keyboard.press(key)
        assert count.text_content() == wanted
    page.keyboard.press("]")
    assert page.locator("#speed").input_value() == "2"
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.wait_for_function("document.getElementById('count').textContent !== '0 / 11'")
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Play").is_visible()
    before = page.locator("svg.mg-drawing").get_attribute("viewBox")
    page.keyboard.press("+")
    assert page.locator("svg.mg-drawing").get_attribute("viewBox") != before
    page.keyboard.press("0")
    # Every control is reached by Tab, in the order of the page, and the first leaf is changed.
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.id || document.activeElement.ariaLabel")
        reached.append(name)
        if name == "data of x1":
            break
    assert {"play", "position", "speed", "fit", "side"} <= set(reached)
    page.keyboard.press("Control+a")
    page.keyboard.type("-1.25")
    page.keyboard.press("Enter")
    assert "x1 = -1.25" in page.locator("#message").text_content()
    page.keyboard.type("x")
    page.keyboard.press("Enter")
    assert "is no number" in page.locator("#message").text_content()
    page.keyboard.press("Escape")
    assert page.get_by_label("data of x1", exact=True).get_attribute("aria-invalid") == "true"


def test_drag_and_zoom(opened):
    root, _ = neuron()
    page = opened(mg.draw(root))
    svg = page.locator("svg.mg-drawing")
    box = svg.bounding_box()

    def view():
        return [float(x) for x in svg.get_attribute("viewBox").split()]

    before = view()
    page.mouse.move(box["x"] + 200, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 70, steps=4)
    page.mouse.up()
    moved = view()
    assert moved[0] < before[0] and moved[1] < before[1] and moved[2:] == before[2:]
    assert page.locator("#story").is_hidden()
    page.mouse.wheel(0, -300)
    assert view()[2] < moved[2]
    page.get_by_role("button", name="all of it").click()
    assert view() == before


@pytest.mark.parametrize("width, scheme", [(360, "light"), (360, "dark"), (1280, "dark")])
def test_small_and_dark(opened, width, scheme):
    root, _ = everything()
    root.backward()
    page = opened(mg.draw(root), width=width, height=740, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("First", "Back", "Play", "Step", "Last"):
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] >= 24
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(18, 22, 27)" if scheme == "dark" else "rgb(255, 255, 255)")


def axe_script():
    """axe-core, where one of its packages is installed."""
    axe = pytest.importorskip("axe_playwright_python")
    found = sorted(Path(axe.__file__).parent.rglob("axe.min.js"))
    if not found:
        pytest.skip("axe-core is not there")
    return found[0].read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["scalar", "collapsed", "network"])
def test_accessible(opened, which, scheme):
    script = axe_script()
    if which == "network":
        pytest.importorskip("numpy")
        net, X, y = small_network()
        drawing = mg.draw(net, X, y)
    else:
        root, _ = everything()
        root.backward()
        drawing = mg.draw(root, collapse=which == "collapsed")
    page = opened(drawing, scheme=scheme)
    if which != "collapsed":
        page.evaluate("player.go(5); player.tell(0)")
        page.wait_for_timeout(200)
    page.evaluate(script)
    found = page.evaluate("axe.run().then((found) => found.violations.map((v) => [v.id, "
                          "v.nodes.map((n) => n.html)]))")  # fmt: skip
    assert found == []


def test_a_page_is_at_most_60_kilobytes_without_data():
    root, _ = everything()
    net, X, y = small_network()
    for drawing in (mg.draw(root), mg.draw(net, X, y)):
        html = drawing.html
        data = sum(map(len, re.findall(r'<script type="application/json".*?</script>', html)))
        picture = sum(map(len, re.findall(r"<svg.*?</svg>", html, re.DOTALL)))
        assert len(html.encode()) - data - picture < 60_000
    assert len(mg.draw(neuron()[0]).html.encode()) < 60_000


def test_404_nodes_can_be_stepped_through(opened):
    random.seed(3)
    y = MLP(2, [16, 16, 1])([1.0, 2.0])
    y.backward()
    page = opened(mg.draw(y, collapse=False))
    assert page.locator("#count").text_content() == "131 / 131"
    assert [row[1:] for row in numbers_of(page)] == expected(y)
    page.keyboard.press("ArrowLeft")
    assert page.locator("#count").text_content() == "130 / 131"


def test_a_collapsed_graph_is_stepped_through_layer_by_layer(opened):
    random.seed(3)
    y = MLP(2, [16, 16, 1])([1.0, 2.0])
    y.label = "<b>y</b>"
    y.backward()
    page = opened(mg.draw(y))
    every = numbers_of(page)
    assert [row[0] for row in every] == [
        "2 constants",
        *["16 neurons (ReLU)"] * 2,
        "<b>y</b> (dot)",
    ]
    hidden = [v for v in in_order(y) if v.symbol == "ReLU"]
    for row, layer in zip(every[1:3], (hidden[:16], hidden[16:]), strict=True):
        size = math.sqrt(sum(v.grad**2 for v in layer) / 16)
        low, high = min(v.data for v in layer), max(v.data for v in layer)
        assert row[1:] == [f"{number(low)} … {number(high)}", number(size)]
    assert every[3][1:] == [number(y.data), "1"]
    assert page.locator("#count").text_content() == "6 / 6"
    page.keyboard.press("Home")
    assert [row[1:] for row in numbers_of(page)][1:] == [["", ""]] * 3
    for key in ("ArrowRight",) * 4:
        page.keyboard.press(key)
    assert [bool(row[2]) for row in numbers_of(page)] == [False, False, True, True]
    assert "|grad| 1" in page.locator("#step").inner_text()
    page.get_by_label("Speed").select_option("10")
    page.keyboard.press("Home")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.getElementById('count').textContent === '6 / 6'")
    assert numbers_of(page) == every
    page.locator("#mg-n1").click()
    assert "16 × dot" in page.locator("#story").inner_text()


def test_markup_in_labels_is_text_on_the_page(opened):
    label = """</script><img src=x onerror="document.title='hit'"><b>'"""
    x = Value(2.0, label=label)
    y = x * 3
    y.label = label + "2"
    page = opened(mg.draw(y))
    page.evaluate("player.tell(0)")
    assert page.locator("img").count() == 0 and page.title() != "hit"
    assert page.locator("#story h2").text_content() == label


def test_infinities_and_nans(opened):
    x = Value(0.0, label="x")
    y = x.log() * 0.0 + 1 / x
    y.backward()
    page = opened(mg.draw(y))
    assert [row[1:] for row in numbers_of(page)] == expected(y)


class Cube(mg.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        return 3 * ctx.saved_values[0] ** 2 * grad


def test_what_the_page_cannot_compute_is_said_and_kept(opened):
    x, w = Value(2.0, label="x"), Value(5.0, label="w")
    y = Cube.apply(x) * w
    y.backward()
    page = opened(mg.draw(y))
    assert [row[1:] for row in numbers_of(page)] == expected(y)
    assert "Cube: an op that cannot be computed again" in page.locator("header").inner_text()
    assert page.get_by_label("data of x", exact=True).count() == 0
    field = page.get_by_label("data of w", exact=True)
    field.fill("7")
    field.press("Enter")
    assert numbers_of(page)[-1][1] == "56"


# ---- the evaluator, op by op ----


def test_every_op_of_the_table_is_in_the_page():
    assert set(RULES) <= evaluator.known()


POINTS = [-2.5, -1.0, -0.3, 0.0, 0.4, 1.0, 1.7, 12.0, math.inf, -math.inf, math.nan]


def test_values_and_derivatives_are_the_tables(browser):
    page = browser.new_page()
    page.evaluate(
        evaluator.script().replace("const ", "var ").replace("function ", "var x_;function ")
    )
    wrong = []
    for name, rule in RULES.items():
        arity = {"dot": 5, "sum": 3, "where": 3}.get(name, 3) if rule.arity == ANY else rule.arity
        rng = random.Random(name)
        cases = (
            [[x] for x in POINTS]
            if arity == 1
            else [rng.choices(POINTS, k=arity) for _ in range(30)]
        )
        found = page.evaluate(
            f"""(cases) => cases.map((x) => {{
              const z = VALUES.{name}(...x);
              return JSON.stringify([z, PULLS.{name}(0.75, z, ...x)],
                                    (_, v) => typeof v === 'number' ? String(v) : v);
            }})""",
            cases,
        )
        for x, text in zip(cases, found, strict=True):
            z, shares = json.loads(text)
            value = rule.value(*x)
            pairs = [(value, float(z.replace("Infinity", "inf")))]
            wanted = rule.contributions(0.75, value, x)
            pairs += [
                (a, float(b.replace("Infinity", "inf")))
                for a, b in zip(wanted, shares, strict=True)
            ]
            for a, b in pairs:
                close = a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=1e-11)
                if not close and abs(a - b) > 1e-14:  # five digits are printed
                    wrong.append((name, x, a, b))
    page.close()
    assert wrong == []


def test_printed_numbers_are_the_same_in_both_languages(browser):
    page = browser.new_page()
    page.evaluate(
        evaluator.asset("numbers.js").replace("const ", "var ") + ";window.f = showNumber"
    )
    rng = random.Random(5)
    xs = [rng.uniform(-1, 1) * 10.0 ** rng.randint(-9, 9) for _ in range(3000)]
    xs += [round(rng.uniform(0, 2) * 2**k) / 2.0**k for k in range(30) for _ in range(30)]  # ties
    xs += [0.0, 1e22, 5e-324, 1.7e308, 99999.5, 99999.4, 0.99999499, 0.999995]
    assert page.evaluate("(xs) => xs.map(f)", xs) == [number(x) for x in xs]
    page.close()


# ---- networks ----


def small_network(dtype="float64"):
    np = pytest.importorskip("numpy")
    rng = np.random.default_rng(0)
    net = mg.Network(mg.Linear(2, 4), mg.ReLU(), mg.Linear(4, 3), dtype=dtype, seed=0)
    return net, rng.normal(size=(5, 2)), np.arange(5) % 3


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
