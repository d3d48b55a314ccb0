"""What fit shows on a terminal, and how numbers are written there."""

import io
import sys

import numpy as np
import pytest

import micrograd as mg
from micrograd.training import progress
from micrograd.training.history import in_short

X = np.random.default_rng(0).normal(size=(50, 4))


class Terminal(io.StringIO):
    """A terminal that keeps what it is shown."""

    def isatty(self):
        return True


def shown(monkeypatch, tqdm, **options):
    """What a terminal is shown of a fit, and the history."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "find_spec", lambda name: True if tqdm else None)
    net = mg.Network(mg.Linear(4, 2), mg.ReLU(), mg.Linear(2, 1), loss="mse", seed=0)
    return terminal.getvalue, net.fit(X, X[:, :1], seed=0, **options)


SOON = mg.EarlyStopping(patience=2, min_delta=10.0)


@pytest.mark.parametrize("options", [{}, {"early_stopping": SOON}], ids=["whole", "stopped"])
def test_the_last_line_is_of_the_last_epoch(monkeypatch, options):
    """Where training stopped early, or epochs are made several at a time, too."""
    text, history = shown(monkeypatch, False, epochs=300, **options)
    lines = text().rstrip("\n").split("\r\x1b[K")
    assert lines[-1] == history.line(300) and text().endswith("\n")
    assert len(lines[1:]) < len(history.loss)  # some of those that go by fast are left out


def test_the_bar_is_full(monkeypatch):
    pytest.importorskip("tqdm")
    text, history = shown(monkeypatch, True, epochs=300)
    assert "300/300" in text() and f"loss={in_short(history.loss[-1])}" in text()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.6931, "0.6931"), (0.05, "0.0500"), (-1.25, "-1.2500"), (0.0, "0.0000"), (3.2e-7, "3.2e-07"),
     (0.00123456, "0.001235"), (1.25e10, "1.25e+10"), (float("nan"), "nan"),
     (float("inf"), "inf")],
)  # fmt: skip
def test_small_and_large_losses_keep_their_digits(value, text):
    assert in_short(value) == text
