"""`micrograd bench --scalar`: that all contenders compute the same, and what it prints."""

import math
import textwrap

import numpy as np
import pytest

from micrograd.bench import command
from micrograd.bench.scalar import report as scalar
from micrograd.bench.scalar.contenders import CONTENDERS, find
from micrograd.bench.scalar.values import load_peer


def numpy_outcome():
    """Loss and gradients of the moons function, worked out by hand on matrices."""
    from micrograd.bench.scalar.contenders import moons
    from micrograd.bench.scalar.values import PENALTY, drawn_weights

    X, y = map(np.array, moons())
    layers = [
        (np.array([w for w, _ in layer]), np.array([b for _, b in layer]))
        for layer in drawn_weights()
    ]
    (W1, b1), (W2, b2), (W3, b3) = layers
    z1 = X @ W1.T + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ W2.T + b2
    a2 = np.maximum(z2, 0)
    margin = 1 - y * (a2 @ W3.T + b3)[:, 0]
    loss = np.maximum(margin, 0).mean() + PENALTY * sum((p**2).sum() for p in sum(layers, ()))
    d3 = (-y * (margin > 0) / len(y))[:, None]
    d2 = (d3 @ W3) * (z2 > 0)
    d1 = (d2 @ W2) * (z1 > 0)
    parts = []
    for delta, a, W, b in ((d1, X, W1, b1), (d2, a1, W2, b2), (d3, a2, W3, b3)):
        dW, db = delta.T @ a + 2 * PENALTY * W, delta.sum(axis=0) + 2 * PENALTY * b
        parts.append(np.column_stack([dW, db]).ravel())
    return loss, np.concatenate(parts)


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_computes_the_function(name):
    if "torch" in name:
        pytest.importorskip("torch")
    loss, gradients = find(name).outcome()
    wanted_loss, wanted = numpy_outcome()
    assert math.isclose(loss, wanted_loss, rel_tol=1e-12)
    np.testing.assert_allclose(gradients, wanted, rtol=0, atol=1e-12)


def test_a_peer_is_loaded_beside_ours(tmp_path):
    package = tmp_path / "micrograd"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "engine.py").write_text("class Value:\n    ours = False\n")
    (package / "nn.py").write_text(
        textwrap.dedent("""
        from micrograd.engine import Value
        class MLP:
            value = Value
        """)
    )
    value, mlp = load_peer(tmp_path)
    assert value.ours is False
    assert mlp.value is value
    from micrograd.engine import Value

    assert value is not Value
    with pytest.raises(ValueError, match="no such file"):
        load_peer(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"our own package|No module"):
        load_peer(package)


def test_it_prints_times_and_ratios(monkeypatch, capsys):
    monkeypatch.setattr(scalar, "BLOCK_SECONDS", 0.0)
    monkeypatch.setattr(scalar, "OPS", 500)
    monkeypatch.setattr(scalar, "OP_ROWS", 64)
    assert command.main(["--scalar", "--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert "micrograd.nn is " in out
    assert "times as fast as closures and sets (bar: 40)" in out
    assert "million ops a second" in out


def test_a_mixed_function_is_as_long_as_said():
    import micrograd as mg

    program = mg.compile(scalar.mixed_function(1000)).record(np.zeros((1, 2)))
    assert "1000 ops recorded" in str(program)


def test_options_that_do_not_fit(tmp_path, capsys):
    assert command.main(["--karpathy", str(tmp_path)]) == 2
    assert "--scalar" in capsys.readouterr().err
    assert command.main(["--scalar", "--karpathy", str(tmp_path / "nothing")]) == 2
    assert "is not there" in capsys.readouterr().err
