"""Two half moons, told apart by an MLP in which every weight is a Value.

A 2-16-16-1 network (337 parameters), hinge loss max(0, 1 - y * score) and an L2 penalty, full-batch
gradient descent. Each step builds a graph of some 7000 nodes, walks it backward and drops it.
Run: python demos/03_moons.py
"""

import math
import random
import time

from micrograd import Value, no_grad
from micrograd import sum as add_up
from micrograd.nn import MLP

SEED, SAMPLES, NOISE, STEPS, PENALTY = 1337, 100, 0.1, 80, 1e-4


def moons(samples: int, noise: float) -> list[tuple[list[float], int]]:
    """(point, label) pairs: a half circle labelled -1 and, hooked into it, one labelled 1."""
    pairs = []
    for i in range(samples):
        upper, t = i % 2 == 0, math.pi * (i // 2) / (samples // 2 - 1)
        x, y = (math.cos(t), math.sin(t)) if upper else (1 - math.cos(t), 0.5 - math.sin(t))
        pairs.append(([random.gauss(x, noise), random.gauss(y, noise)], -1 if upper else 1))
    return pairs


def loss_and_accuracy(model: MLP, data: list[tuple[list[float], int]]) -> tuple[Value, float]:
    """The mean hinge loss plus the penalty, and the fraction of scores with the label's sign."""
    scores = [model(point) for point, _ in data]
    hinge = add_up((1 - label * s).relu() for s, (_, label) in zip(scores, data, strict=True))
    loss = hinge / len(data) + PENALTY * add_up(p * p for p in model.parameters())
    right = sum((s > 0) == (label > 0) for s, (_, label) in zip(scores, data, strict=True))
    return loss, right / len(data)


def picture(model: MLP, data: list[tuple[list[float], int]]) -> str:
    """The plane from (-1.5, -1) to (2.5, 1.5): # where the score is positive, x and o the data."""
    rows, columns = 16, 56
    with no_grad():
        grid = [
            [
                "#"
                if model([-1.5 + 4 * (c + 0.5) / columns, 1.5 - 2.5 * (r + 0.5) / rows]) > 0
                else "."
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    for (x, y), label in data:
        r, c = int((1.5 - y) / 2.5 * rows), int((x + 1.5) / 4 * columns)
        if 0 <= r < rows and 0 <= c < columns:
            grid[r][c] = "x" if label > 0 else "o"
    return "\n".join("  " + "".join(row) for row in grid)


def main() -> None:
    random.seed(SEED)
    data = moons(SAMPLES, NOISE)
    model = MLP(2, [16, 16, 1])
    print(f"{len(model.parameters())} parameters, {SAMPLES} points")
    started = time.perf_counter()
    for step in range(STEPS):
        loss, accuracy = loss_and_accuracy(model, data)
        model.zero_grad()
        loss.backward()
        learning_rate = 1.0 - 0.9 * step / STEPS
        for p in model.parameters():
            p.data -= learning_rate * p.grad
        if step % 10 == 0:
            print(f"  step {step:3}   loss {loss.data:.4f}   accuracy {accuracy:4.0%}")
    seconds = time.perf_counter() - started
    with no_grad():
        loss, accuracy = loss_and_accuracy(model, data)
    print(f"  after {STEPS:3}  loss {loss.data:.4f}   accuracy {accuracy:4.0%}")
    print(f"{seconds / STEPS * 1e3:.0f} ms a step\n\n{picture(model, data)}")
    if accuracy < 0.97 or loss.data > 0.1:
        raise SystemExit(f"wrong: loss {loss.data:.4f} and accuracy {accuracy:.0%} after training")


if __name__ == "__main__":
    main()
