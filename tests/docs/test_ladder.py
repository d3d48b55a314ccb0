"""The rungs of docs/understand/ladder.c compute what numpy does: the script compares them."""

import importlib.util
from pathlib import Path

import pytest

from micrograd import core

SCRIPT = Path(__file__).parents[2] / "docs" / "understand" / "ladder.py"


@pytest.fixture
def ladder():
    spec = importlib.util.spec_from_file_location("ladder", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_rung_is_measured(ladder):
    rates = ladder.measure(size=288, rounds=1)  # more than a block, and no multiple of one
    assert list(rates) == [*ladder.RUNGS, "micrograd"]
    assert all(rate > 0 for rate in rates.values())


def test_a_wrong_rung_is_found(ladder, monkeypatch):
    def lazy(functions, A, B, C):
        return {"naive": lambda: None}

    monkeypatch.setattr(ladder, "calls", lazy)
    with pytest.raises(AssertionError, match="naive"):
        ladder.measure(size=96, rounds=1)


def test_every_instruction_set_has_its_flags(ladder):
    assert set(core.ISA_CODES) <= set(ladder.FLAGS)
