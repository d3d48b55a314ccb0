"""Conversions without the packages that they need: one line that says what to install."""

from importlib import import_module

import pytest
from support.every_network import every_kind
from support.processes import run_python

import micrograd as mg


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    net = every_kind()

    def missing(name):
        if name.partition(".")[0] in ("torch", "onnx", "sklearn"):
            raise ModuleNotFoundError(name)
        return import_module(name)

    monkeypatch.setattr("micrograd.checks.import_module", missing)
    for extra, call in (
        ("torch", lambda: mg.convert.to_torch(net)),
        ("torch", lambda: mg.convert.from_torch(None)),
        ("torch", lambda: mg.convert.state_dict(net)),
        ("onnx", lambda: mg.convert.to_onnx(net, "never.onnx")),
        ("sklearn", lambda: mg.convert.from_sklearn(None)),
    ):
        with pytest.raises(ImportError, match=rf"^[a-z_]+ needs .*'micrograd-core\[{extra}\]'$"):
            call()
    mg.convert.load_state_dict(net, {p.name: p.data for p in net.parameters()})  # needs none


def test_importing_loads_none_of_them():
    source = """
import sys, micrograd as mg
mg.convert.to_c
for name in ("torch", "onnx", "sklearn"):
    assert name not in sys.modules, name
"""
    run_python(source)
