"""What a drawing refuses, what it leaves out, and the picture at the top of the README."""

import importlib.util
import random
from pathlib import Path
from xml.etree import ElementTree

import pytest

import micrograd as mg
from micrograd import Value
from micrograd.draw.layers import count_places, longest_path, with_dummies

ROOT = Path(__file__).resolve().parents[2]


def test_a_graph_that_would_take_minutes_is_refused_and_says_so():
    """Long edges: each value is used again much later, so that edges pass hundreds of ranks."""
    values = [Value(1.0 + i / 1000) for i in range(3)]
    for i in range(2000):
        values.append(values[-1] * values[(7 * i) % len(values)])
    root = mg.sum(values)
    message = r"draw: collapse=False: 2,004 nodes .* take \d,\d{3},\d{3} places, at most 150,000"
    with pytest.raises(ValueError, match=message):
        mg.draw(root, collapse=False)
    assert "Collapsed" in mg.draw(root).notes[0]
    assert mg.draw(mg.sum(values[:3]), collapse=False).title.startswith("result: 4 nodes")


def test_places_are_those_that_the_layout_makes():
    rng = random.Random(3)
    for n in (1, 2, 10, 60):
        edges = [(rng.randrange(v), v) for v in range(1, n) for _ in range(2)]
        made = with_dummies(n, edges, [0.5] * len(edges), longest_path(n, edges))
        assert count_places(n, edges) == len(made.rank)


def texts(drawing):
    return [x.text for x in ElementTree.fromstring(drawing.svg).iter() if x.tag.endswith("text")]


def test_the_exponent_of_a_negative_base_has_no_derivative_to_show():
    loss = Value(-1.0, label="s") ** 2
    loss.backward()
    assert "nan" not in texts(mg.draw(loss)) and "-2" in texts(mg.draw(loss))
    nan = Value(float("nan"), label="s") * Value(1.0)  # of a Value it is shown
    assert "nan" in texts(mg.draw(nan))


def test_the_picture_of_the_readme_is_what_the_tool_draws():
    spec = importlib.util.spec_from_file_location("hero", ROOT / "tools" / "hero.py")
    hero = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hero)
    drawing = hero.drawing()
    written = (ROOT / "docs" / "images" / "hero.svg").read_text(encoding="utf-8")
    assert written == drawing.svg
    assert len(written) < 40_000 and "prefers-color-scheme:dark" in written
    assert {"w", "z", "a", "s", "loss", "tanh", "2.9593", "-3.5232"} <= set(texts(drawing))


def test_the_neuron_beside_graphviz():
    pytest.importorskip("graphviz")
    spec = importlib.util.spec_from_file_location("beside", ROOT / "tools" / "side_by_side.py")
    beside = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(beside)
    source = beside.by_graphviz(beside.neuron()).source
    assert source.count("shape=record") == 10 and source.count(" -> ") == 9 + 5
    for text in ("x1 | data 2.0000 | grad -1.5000", "o | data 0.7071 | grad 1.0000"):
        assert text in source
