"""The picture at the top of the README: one neuron and its loss, forward and backward.

Usage: python tools/hero.py, which writes docs/images/hero.svg
"""

from pathlib import Path

import micrograd as mg
from micrograd import Value

HERO = Path(__file__).resolve().parents[1] / "docs" / "images" / "hero.svg"


def drawing():
    """The graph behind (tanh(w x) - y)^2; the square is a product: two paths, gradients add."""
    x, y = (Value(v, label=k, requires_grad=False) for k, v in (("x", -2.0), ("y", 1.0)))
    w = Value(0.5, label="w")
    z = w * x
    a = z.tanh()
    s = a - y
    loss = s * s
    z.label, a.label, s.label, loss.label = "z", "a", "s", "loss"
    loss.backward()
    return mg.draw(loss)


if __name__ == "__main__":
    HERO.parent.mkdir(parents=True, exist_ok=True)
    drawing().save(HERO)
