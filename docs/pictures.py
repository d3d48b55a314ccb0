"""Draws the pictures of the documentation again: python docs/pictures.py [FOLDER]."""

import sys
from pathlib import Path

import micrograd as mg
from micrograd import Value


def worked_example():
    """The loss (w x - y)^2 at x = 1, y = 2, w = 1."""
    x = Value(1.0, label="x", requires_grad=False)
    y = Value(2.0, label="y", requires_grad=False)
    w = Value(1.0, label="w")
    y_hat = w * x
    s = y_hat - y
    loss = s**2
    y_hat.label, s.label, loss.label = "y_hat", "s", "loss"
    return loss


PICTURES = {"worked-example.svg": worked_example}


def main(folder):
    for name, made in PICTURES.items():
        root = made()
        root.backward()
        mg.draw(root).save(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
