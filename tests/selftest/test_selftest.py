"""The self-test: it draws every layer, agrees with PyTorch, and says so when something is wrong."""

import subprocess
import sys

import numpy as np
import pytest

# ruff: noqa: E402  (nothing below is there without PyTorch)
torch = pytest.importorskip("torch")

import micrograd as mg
from micrograd import core
from micrograd.cli.main import main
from micrograd.network.blocks import Block
from micrograd.network.columns import Columnwise
from micrograd.network.layers import Activation, Layer
from micrograd.selftest import compare, draw, run, selftest, twin


def kinds(layers):
    for layer in layers:
        yield type(layer)
        if isinstance(layer, Block):
            yield from kinds(layer.layers)


def public_layers():
    found = (getattr(mg, name) for name in mg.__all__)
    bases = {Layer, Activation, Block, Columnwise}
    return {k for k in found if isinstance(k, type) and issubclass(k, Layer)} - bases


def test_every_layer_loss_and_schedule_is_drawn_and_has_a_twin():
    cases = [draw.draw(seed) for seed in range(300)]
    drawn = {kind for case in cases for kind in kinds(case.layers)}
    assert drawn == set(twin.FORWARD) == public_layers()
    assert {case.loss for case in cases} == set(draw.LOSSES)
    assert {type(case.checkpoint).__name__ for case in cases} >= {"NoneType", "str", "_Every"}
    assert {case.threads for case in cases} == {1, 2, 3}
    assert any(case.weight is not None for case in cases)
    assert any(
        layer.projection for case in cases for layer in case.layers if hasattr(layer, "projection")
    )


def test_a_seed_gives_one_network():
    a, b, other = draw.draw(5), draw.draw(5), draw.draw(6)
    assert str(a) == str(b) != str(other)
    assert np.array_equal(a.x, b.x)


def test_the_networks_agree_with_pytorch(capsys):
    assert main(["selftest", "--networks", "12", "--seed", "1000"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("12 random networks beside PyTorch, 0 failed")
    assert "float64: worst relative error" in out and "float32: worst relative error" in out


def test_a_wrong_layer_is_found(monkeypatch):
    """GELU by its tanh approximation: off by less than a thousandth."""
    seed = next(s for s in range(100) if mg.GELU in set(kinds(draw.draw(s).layers)))
    assert all(o.passed for o in compare.compare(seed))
    wrong = lambda t, _, x, path: torch.nn.functional.gelu(x, approximate="tanh")  # noqa: E731
    monkeypatch.setitem(twin.FORWARD, mg.GELU, wrong)
    outcome = compare.compare(seed)[0]
    assert outcome.dtype == "float64" and not outcome.passed


def test_a_nan_is_no_success():
    assert not compare.Outcome(0, "float64", float("nan"), "loss").passed


def test_failures_are_told(monkeypatch):
    lines = ["failed seed 3: Network(...): ValueError: no", "outcome 4 float64 1e-3 loss"]
    monkeypatch.setattr(run, "_lines", lambda isa, seeds: iter(lines))
    monkeypatch.setenv("MICROGRAD_ISA", core.isa())
    report = selftest(2)
    assert not report.passed and "ValueError: no" in str(report)
    assert report.worst["float64"] == (1e-3, 4, f"loss on {core.isa()}")


def test_networks_that_were_not_run_are_a_failure(monkeypatch):
    """As of a process that ends early and calls that a success."""
    lines = ["outcome 0 float64 1e-13 loss", "outcome 0 float32 1e-6 loss"]
    monkeypatch.setattr(run, "_lines", lambda isa, seeds: iter(lines))
    monkeypatch.setenv("MICROGRAD_ISA", core.isa())
    assert selftest(1).passed
    report = selftest(2)
    assert not report.passed and "only 1 of 2 networks were run" in str(report)


def test_a_process_that_dies_is_a_failure(monkeypatch):
    monkeypatch.setenv("MICROGRAD_ISA", core.isa())
    die = [sys.executable, "-c", "import os; os.abort()"]
    real = subprocess.Popen
    monkeypatch.setattr(run.subprocess, "Popen", lambda command, **k: real(die, **k))
    report = selftest(1)
    assert not report.passed and "status -6" in str(report)


@pytest.mark.parametrize("wrong", [{"networks": 0}, {"networks": 1.5}, {"seed": -1}])
def test_bad_arguments(wrong):
    with pytest.raises((TypeError, ValueError), match=f"selftest: {next(iter(wrong))} is"):
        selftest(**wrong)
