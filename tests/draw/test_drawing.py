"""mg.draw of Values: what is on it, in every format, and that text stays text."""

import html.parser
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from decimal import ROUND_HALF_UP, Context, Decimal

import pytest

import micrograd as mg
from micrograd import Value
from micrograd.draw.graph import of_values
from micrograd.draw.text import number
from micrograd.nn import MLP

SVG = "{http://www.w3.org/2000/svg}"
EVIL = """</script><script>alert("1")</script> ' & <b>"""


def neuron():
    """karpathy's example: o = tanh(x1 w1 + x2 w2 + b)."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    x1w1, x2w2 = x1 * w1, x2 * w2
    x1w1.label, x2w2.label = "x1*w1", "x2*w2"
    total = x1w1 + x2w2
    total.label = "x1*w1 + x2*w2"
    n = total + b
    n.label = "n"
    o = n.tanh()
    o.label = "o"
    return o


def texts(svg):
    return ["".join(t.itertext()) for t in ET.fromstring(svg).iter(f"{SVG}text")]


def test_neuron_shows_labels_ops_numbers_and_local_derivatives():
    o = neuron()
    o.backward()
    drawing = mg.draw(o)
    found = texts(drawing.svg)
    for label in ("x1", "x2", "w1", "w2", "b", "x1*w1", "x2*w2", "x1*w1 + x2*w2", "n", "o"):
        assert found.count(label) == 1, label
    assert [found.count(op) for op in ("*", "+", "tanh")] == [2, 2, 1]
    assert found.count("data") == found.count("grad") == 10
    # By hand: o = 1/sqrt(2), do/dn = 1 - o^2 = 1/2; x1 gets 1/2 * -3, w1 1/2 * 2.
    assert "0.70711" in found and "0.88137" in found and "-1.5" in found
    tips = "\n".join(t.text for t in ET.fromstring(drawing.svg).iter(f"{SVG}title"))
    assert "d o / d n = 0.5" in tips
    assert "d x1*w1 / d x1 = -3\npassed down: 0.5 * -3 = -1.5" in tips
    assert f"data {o.data!r}" in tips


def test_local_derivatives_are_those_of_finite_differences():
    x, y = Value(0.7), Value(-1.3)
    z = (x * y).exp() / (y - x) + mg.maximum(x, y) ** 3 + mg.dot([x, y], [y, 2.0], x)
    graph = of_values([z])
    checked = 0
    for node in graph.nodes:
        data = [graph.nodes[u].data for u in node.operands]
        for i, local in enumerate(node.locals):
            if node.rule.name == "pow" and i == 1:
                continue  # the exponent 3 is a plain number, and log of the base exists: below
            up, down = list(data), list(data)
            up[i] += 1e-6
            down[i] -= 1e-6
            slope = (node.rule.value(*up) - node.rule.value(*down)) / 2e-6
            assert local == pytest.approx(slope, rel=1e-5, abs=1e-8)
            checked += 1
    assert checked > 15


def test_an_operand_used_twice_has_two_edges():
    x = Value(3.0, label="x")
    drawing = mg.draw(x * x)
    assert texts(drawing.svg).count("3") == 3  # its data, and the local derivative of either edge
    assert drawing.title == "result: 2 nodes, 2 edges"


def test_plain_numbers_are_shown_constants_too():
    x = Value(2.0, label="x")
    c = Value(5.0, label="c", requires_grad=False)
    found = texts(mg.draw(x * 0.25 + c).svg)
    assert "0.25" in found and "c" in found and found.count("grad") == 3  # not for c and 0.25


def test_numbers_before_and_after_data_change():
    x = Value(2.0, label="x")
    y = x * 3
    assert not mg.draw(y).notes
    x.data = 5.0
    assert "1 of the results were computed before" in mg.draw(y).notes[0]


def test_several_results_and_no_result():
    outs = MLP(2, [3, 2])([1.0, 2.0])
    assert mg.draw(outs).svg.count("mg-result") >= 2
    for bad in ([], 3.0, "x", [1.0]):
        with pytest.raises(TypeError, match=r"draw: .* cannot be drawn"):
            mg.draw(bad)
    with pytest.raises(TypeError, match="draw: X and y are for"):
        mg.draw(Value(1.0), [[1.0]])
    with pytest.raises(TypeError, match="draw: collapse is 'yes'"):
        mg.draw(Value(1.0), collapse="yes")


NUMBERS = [0.0, -0.0, 1.0, -8.0, 0.1, 1 / 3, 1.03125, 123456.7, 99999.6, 1e-5, 12345.0, 100.0]
NUMBERS += [5e-324, 1.7e308, 0.00012345678, -2.5e-7]


@pytest.mark.parametrize("x", NUMBERS)
def test_number_has_five_digits_rounded_half_up(x):
    text = number(x)
    wanted = Context(prec=5, rounding=ROUND_HALF_UP).create_decimal(Decimal(x))
    assert Decimal(text) == wanted
    assert len(text) <= 12


def test_numbers_that_are_none():
    assert [number(x) for x in (float("inf"), float("-inf"), float("nan"))] == [
        "inf",
        "-inf",
        "nan",
    ]


# ---- a large graph ----


def mlp_on(samples, *sizes):
    mlp = MLP(2, list(sizes))
    losses = [(1 - mlp([0.1 * i, 1.0])) ** 2 for i in range(samples)]
    loss = mg.sum(losses)
    loss.backward()
    return loss


def test_beyond_150_nodes_neurons_are_layers_and_the_drawing_says_so():
    y = MLP(2, [16, 16, 1])([1.0, 2.0])
    drawing = mg.draw(y)
    assert drawing.title == "result: 404 nodes, 673 edges"
    assert "4 cards stand for 404 nodes and 3 lines for 673 edges" in drawing.notes[0]
    assert drawing.notes[0] in " ".join(texts(drawing.svg))
    assert texts(drawing.svg).count("16 neurons") == 2
    every = mg.draw(y, collapse=False)
    assert len(re.findall('class="mg-card ', every.svg)) == 404
    assert len(re.findall('class="mg-wire ', every.svg)) == 673
    assert not every.notes


def test_collapse_true_always():
    small = MLP(2, [3, 1])([Value(1.0), Value(2.0)])
    assert len(re.findall('class="mg-card ', mg.draw(small).svg)) == 22
    drawing = mg.draw(small, collapse=True)
    assert "3 cards stand for 22 nodes" in drawing.notes[0]


def test_samples_that_share_weights_collapse_into_layers():
    drawing = mg.draw(mlp_on(40, 8, 8, 1))
    assert len(re.findall('class="mg-card ', drawing.svg)) < 16
    assert "320 neurons" in texts(drawing.svg)


def test_a_deep_graph_is_blocks():
    z = Value(1.0)
    for _ in range(25_000):
        z = z * 1.0001 + 0.1
    drawing = mg.draw(z)
    assert drawing.title == "result: 100001 nodes, 100000 edges"
    assert "blocks of layers: 30 cards" in drawing.notes[0]
    assert len(drawing.svg) < 60_000


def test_ops_one_by_one_collapse_as_dots_do():
    ws, xs = [[Value(0.1 * i + j) for i in range(8)] for j in range(9)], [Value(1.0)] * 8
    hidden = []
    for row in ws:
        total = Value(0.5)
        for w, x in zip(row, xs, strict=True):
            total = total + w * x
        hidden.append(total.tanh())
    drawing = mg.draw(mg.sum(hidden), collapse=True)
    assert "9 neurons" in texts(drawing.svg)
    assert len(re.findall('class="mg-card ', drawing.svg)) == 3


# ---- text stays text ----


def evil():
    x = Value(1.0, label=EVIL)
    y = x * Value(2.0, label='"];}|{<|"\\`#quot;%%')
    y.label = "\x00\x1b]\ud800 line\nbreak"
    return y


class Parsed(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.scripts, self.within = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.within = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.within = None

    def handle_data(self, data):
        if self.within == "script":
            self.scripts[-1] += data
        else:
            self.text.append(data)


@pytest.mark.parametrize("collapse", [None, True])
def test_markup_in_labels_comes_out_as_text(collapse):
    drawing = mg.draw(evil(), collapse=collapse)
    root = ET.fromstring(drawing.svg)  # well formed
    assert not list(root.iter(f"{SVG}script"))
    page = Parsed(drawing.html)
    assert page.tags.count("script") == 2 and "b" not in page.tags
    json.loads(page.scripts[0])
    for text in (drawing.mermaid, drawing.dot, drawing.svg):
        assert "<script" not in text.lower() and "<b>" not in text
    assert "<script" not in drawing._repr_html_()
    assert drawing._repr_html_().count("<iframe") == 1


def test_a_label_is_there_in_full():
    drawing = mg.draw(evil())
    tips = [t.text for t in ET.fromstring(drawing.svg).iter(f"{SVG}title")]
    assert any(EVIL in tip for tip in tips)
    data = json.loads(Parsed(drawing.html).scripts[0])
    assert data["nodes"][0]["n"] == EVIL


def test_dot_is_read_by_graphviz():
    if not shutil.which("dot"):
        pytest.skip("graphviz is not installed")
    o = neuron()
    for value in (o, evil()):
        run = subprocess.run(
            ["dot", "-Tplain"], input=mg.draw(value).dot, capture_output=True, text=True
        )
        assert run.returncode == 0 and not run.stderr
        nodes = len(of_values([value]).nodes)
        assert len(re.findall("^node ", run.stdout, re.MULTILINE)) == nodes


# ---- files ----


@pytest.mark.parametrize("name, start", [("a.svg", b"<svg "), ("a.html", b"<!doctype html>"),
                                         ("a.mmd", b"%% o:"), ("a.dot", b"digraph {")])  # fmt: skip
def test_save(tmp_path, name, start):
    drawing = mg.draw(neuron())
    path = tmp_path / name
    drawing.save(path)
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_png(tmp_path):
    pytest.importorskip("matplotlib")
    drawing = mg.draw(neuron())
    drawing.save(tmp_path / "a.png")
    from matplotlib.image import imread

    pixels = imread(tmp_path / "a.png")
    w, h = re.search(r'width="([\d.]+)" height="([\d.]+)"', drawing.svg).groups()
    assert pixels.shape[1] == pytest.approx(2 * float(w), abs=2)
    assert pixels.shape[0] == pytest.approx(2 * float(h), abs=2)
    assert len({tuple(p) for p in pixels.reshape(-1, pixels.shape[2])[::7].round(2)}) > 10
    assert drawing.png() == drawing.png()


def test_save_errors_change_nothing(tmp_path):
    drawing = mg.draw(neuron())
    with pytest.raises(ValueError, match=r"Drawing.save: .*x\.jpg' ends in \.jpg"):
        drawing.save(tmp_path / "x.jpg")
    with pytest.raises(OSError):
        drawing.save(tmp_path / "no" / "x.svg")
    assert not list(tmp_path.iterdir())


def test_png_without_matplotlib_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"micrograd-core\[plot\]"):
        mg.draw(neuron()).save(tmp_path / "x.png")


# ---- what a Function and a graph of gradients do ----


class Square(mg.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.saved_values[0] * grad


class NoBackward(mg.Function):
    @staticmethod
    def forward(ctx, x):
        return x + 1


def test_functions_are_drawn_with_their_derivative_where_there_is_one():
    x = Value(3.0, label="x")
    y = NoBackward.apply(Square.apply(x))
    found = texts(mg.draw(y).svg)
    assert "Square" in found and "6" in found and "?" in found
    notes = json.loads(Parsed(mg.draw(y).html).scripts[0])["nodes"]
    assert notes[1]["l"] == [6.0] and notes[2]["l"] == [None]
    assert "cannot be computed again in the page" in mg.draw(y).html


def test_gradients_that_are_values():
    x = Value(3.0, label="x")
    y = x**3
    y.backward(create_graph=True)
    assert "27" in texts(mg.draw(y).svg)
    assert mg.draw(x.grad).title.startswith("result:")


def test_drawing_changes_nothing():
    o = neuron()
    o.backward()
    before = [(v.data, v.grad) for v in (o, *o.parents)]
    drawing = mg.draw(o)
    assert drawing.html and drawing.svg
    assert [(v.data, v.grad) for v in (o, *o.parents)] == before


def test_karpathys_draw_dot_runs_on_our_values():
    graphviz = pytest.importorskip("graphviz")

    def trace(root):
        nodes, edges = set(), set()

        def build(v):
            if v not in nodes:
                nodes.add(v)
                for child in v._prev:
                    edges.add((child, v))
                    build(child)

        build(root)
        return nodes, edges

    o = neuron()
    dot = graphviz.Digraph(format="svg", graph_attr={"rankdir": "LR"})
    nodes, edges = trace(o)
    for n in nodes:
        uid = str(id(n))
        text = "{ %s | data %.4f | grad %.4f }" % (n.label, n.data, n.grad)  # noqa: UP031
        dot.node(name=uid, label=text, shape="record")
        if n._op:
            dot.node(name=uid + n._op, label=n._op)
            dot.edge(uid + n._op, uid)
    for a, b in edges:
        dot.edge(str(id(a)), str(id(b)) + b._op)
    assert len(nodes) == 10 and len(edges) == 9
    assert dot.source.count("shape=record") == 10
