"""What shows itself in a notebook, and `micrograd draw`."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

import micrograd as mg
from micrograd import Value

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return ["".join(t.itertext()) for t in ET.fromstring(svg).iter(f"{SVG}text")]


def test_value():
    x = Value(3.0, label="x")
    y = x * x
    assert y._repr_svg_() == mg.draw(y).svg
    assert y._repr_svg_() in y._repr_html_()
    assert x._repr_svg_().count("<title>") == 1


def test_a_huge_graph_shows_its_repr():
    z = Value(1.0)
    for _ in range(60_000):
        z = (z + 1.0) * 0.5
    assert z._repr_svg_() is None and z._repr_html_() is None
    assert mg.sum([z.detach()] * 3)._repr_svg_() is not None


def test_drawing():
    drawing = mg.draw(Value(1.0, label="a") + 2)
    assert drawing._repr_svg_() == drawing.svg
    assert drawing._repr_html_().startswith("<iframe ")
    assert drawing.html.count("<") > 50 and "<" not in drawing._repr_html_()[8:-10]


def test_the_engine_loads_no_numpy_and_no_drawing_by_itself():
    code = "import sys; from micrograd.engine import Value; Value(1.0) * 2; "
    code += "sys.exit(any(m in sys.modules for m in ('numpy', 'micrograd.draw')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_svg_of_values_needs_no_numpy():
    code = "import sys; import micrograd as mg; s = (mg.Value(1.0) * 2)._repr_html_(); "
    code += "mg.draw(mg.Value(2.0) + 1).dot; sys.exit('numpy' in sys.modules or len(s) < 999)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_network_program_history_diagnosis():
    np = pytest.importorskip("numpy")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.integers(0, 2, 60)
    net = mg.Network(mg.Linear(2, 8), mg.Sigmoid(), mg.Linear(8, 2), seed=0)
    assert net._repr_svg_() == mg.draw(net).svg
    history = net.fit(X, y, epochs=4, validation=0.25, seed=0)
    found = texts(history._repr_svg_())
    assert "4 epochs" in found and any(t.startswith("val_loss ") for t in found)
    curves = re.findall(r'd="(M[^"h]*)"', history._repr_svg_())
    assert [d.count("L") for d in curves if "," in d and "V" not in d][:2] == [3, 3]
    found = texts(mg.diagnose(net, X, y)._repr_svg_())
    assert "0 2->8 Sigmoid" in found and any(t.endswith("healthy") for t in found)
    program = mg.compile(lambda x: x * 2)
    assert program._repr_svg_() is None
    program(X[:, 0])
    assert "x" in texts(program._repr_svg_())
    for thing in (net, history, mg.diagnose(net, X, y), program):
        assert thing._repr_svg_() in thing._repr_html_()


def test_histories_with_gaps_or_nothing():
    assert "nothing yet" in texts(mg.History()._repr_svg_())
    bad = mg.History(loss=[1.0, float("nan"), float("inf"), 0.5])
    assert "0.5" in " ".join(texts(bad._repr_svg_()))
    evil = mg.History(loss=[1.0], metrics={"<script>&": [2.0]})
    assert "<script>& 2" in texts(evil._repr_svg_())


# ---- the command ----


@pytest.fixture
def model(tmp_path):
    np = pytest.importorskip("numpy")
    pytest.importorskip("safetensors")
    from micrograd.cli import main

    rng = np.random.default_rng(0)
    header = '"<script>alert(1)</script>",b,kind'
    kinds = ["<b>oak</b>", "ash"]
    rows = [
        f"{rng.normal():.3f},{rng.normal() + 3 * (i % 2):.3f},{kinds[i % 2]}" for i in range(80)
    ]
    table = tmp_path / "trees.csv"
    table.write_text("\n".join([header, *rows]) + "\n")
    saved = tmp_path / "trees.safetensors"
    options = ["--target", "kind", "--save", str(saved), "--epochs", "3", "--preset", "none"]
    assert main(["train", str(table), *options]) == 0
    return saved, table


@pytest.mark.parametrize("ending", ["svg", "html", "mmd", "dot"])
def test_draw_a_saved_model(model, tmp_path, capsys, ending):
    from micrograd.cli import main

    saved, table = model
    for data in ([], ["--data", str(table)]):
        out = tmp_path / f"x.{ending}"
        assert main(["draw", str(saved), "--output", str(out), *data]) == 0
        content = out.read_text("utf-8").replace("\\ ", " ")  # as DOT writes a blank
        assert "z1 = W1 x + b1" in content
        assert ("dW1" in content) and "<script>alert" not in content and "<b>oak" not in content
        assert "Network 2 → 2" in capsys.readouterr().out
    if ending in ("svg", "html"):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content
    if ending == "svg":
        assert "|dW1|" in texts(content)


def test_draw_errors_leave_no_file(model, tmp_path, capsys):
    from micrograd.cli import main

    saved, _ = model
    before = sorted(tmp_path.iterdir())
    for code, *arguments in (
        (2, saved, "--output", tmp_path / "x.jpg"),
        (2, saved),
        (1, tmp_path / "none.safetensors", "--output", tmp_path / "x.svg"),
        (1, saved, "--output", tmp_path / "no" / "x.svg"),
        (1, saved, "--output", tmp_path / "x.svg", "--data", "digits"),
    ):
        assert main(["draw", *map(str, arguments)]) == code
        assert capsys.readouterr().err.startswith("micrograd: error: ")
    assert sorted(tmp_path.iterdir()) == before
