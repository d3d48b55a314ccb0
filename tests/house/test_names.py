"""`mg.`: one table of names, which type checkers, editors and dir() agree with."""

import ast
from pathlib import Path

import micrograd as mg

STUB = Path(mg.__file__).with_suffix(".pyi")


def test_type_checkers_are_told_the_same_names():
    told = set()
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            assert all(alias.asname == alias.name for alias in node.names)
            told |= {alias.name for alias in node.names}
    assert told == set(dir(mg)) - {"__version__"}


def test_each_name_is_listed_once_and_there():
    assert len(dir(mg)) == len(set(dir(mg)))
    assert set(mg.__all__) <= set(dir(mg))
    for name in dir(mg):
        assert getattr(mg, name) is not None
