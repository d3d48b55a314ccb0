"""Every public name has a docstring with an example, every example runs, and the site has it."""

import copy
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import micrograd as mg

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PRELUDE = re.search(r"```python\n(.*?)```", (REFERENCE / "index.md").read_text(), re.DOTALL)[1]
pytest.importorskip("sklearn")  # every room is imported
PAGES = {page.stem: page.read_text() for page in REFERENCE.glob("*.md") if page.stem != "index"}
NEEDS = {  # what the examples of a room want beyond numpy
    "convert": ["torch", "onnx", "sklearn"],
    "sklearn": ["sklearn", "pandas"],
    "plot": ["matplotlib"],
    "saving": ["safetensors"],
}


def public(room):
    """The names of a room that its page tells of: a list of members, else its __all__."""
    listed = re.search(r"members: \[(.*)\]", PAGES[room])
    if listed:
        return listed[1].split(", ")
    return list(importlib.import_module(f"micrograd.{room}").__all__)


def objects():
    """(room.name, object) of each public name that is a class or function."""
    for room in sorted(PAGES):
        module = importlib.import_module(f"micrograd.{room}")
        for name in public(room):
            thing = getattr(module, name)
            if callable(thing) and not inspect.ismodule(thing):
                yield f"{room}.{name}", thing


OBJECTS = dict(objects())


def own_docstring(thing):
    """Its docstring, but none that a class has from its base."""
    return vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__


@pytest.mark.parametrize("name", OBJECTS)
def test_has_an_example(name):
    text = own_docstring(OBJECTS[name]) or ""
    assert ">>> " in text, f"micrograd.{name} has no example in its docstring"


def test_every_name_of_the_package_is_told_of():
    told = {id(thing) for thing in OBJECTS.values()} | {id(getattr(mg, room)) for room in PAGES}
    left = [name for name in mg.__all__ if id(getattr(mg, name)) not in told]
    assert left == ["__version__"]


def test_every_room_has_a_page():
    rooms = {name for name in dir(mg) if inspect.ismodule(getattr(mg, name))}
    assert rooms <= set(PAGES)
    assert {room for room in PAGES if f"::: micrograd.{room}\n" in PAGES[room]} == set(PAGES)


@pytest.fixture(scope="module")
def names():
    found = {}
    exec(PRELUDE, found)
    return found


@pytest.mark.parametrize("name", OBJECTS)
def test_examples_run(name, names, tmp_path, monkeypatch):
    room, _, short = name.partition(".")
    for module in NEEDS.get(room, []):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    thing, threads = OBJECTS[name], mg.get_num_threads()
    globs = {short: thing, **names, "net": copy.deepcopy(names["net"])}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said, ran = [], 0
    try:
        for test in doctest.DocTestFinder(recurse=True).find(thing, short, globs=globs):
            ran += len(test.examples)
            runner.run(test, out=said.append)
    finally:
        mg.set_num_threads(threads)
    assert ran and runner.failures == 0, "".join(said)
