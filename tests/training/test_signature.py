"""fit's signature stands once: help() shows every option of it, for networks and programs."""

import inspect
from dataclasses import fields

import pytest

import micrograd as mg
from micrograd.training.arguments import Arguments


@pytest.mark.parametrize("model", [mg.Network, mg.Program])
def test_help_shows_every_option(model):
    names = list(inspect.signature(model.fit).parameters)[1:]
    assert names == [field.name for field in fields(Arguments)] and len(names) == 23
    doc = inspect.getdoc(model.fit)
    for name in names:
        assert f"{name}:" in doc or f"{name}," in doc or f" {name}:" in doc, name
