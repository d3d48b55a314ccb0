"""The page to step through, in a browser: against the engine, by keyboard, small, dark, legible."""

import math
import random
import re
from pathlib import Path

import pytest
from support.drawn_pages import drawn, expected, in_order, numbers_of, small_network

import micrograd as mg
from micrograd import Value
from micrograd.draw.text import number
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
