"""The moons of 03_moons.py, compiled: the same scalar function, run by the C core over the batch.

`mg.compile` calls the loss of one sample once, with Values that have no data, and writes down the
ops. What it wrote is checked here against the eager graph: same loss, same gradients.
Run: python demos/07_compile.py
"""

import math
import random
import textwrap
import time

import numpy as np

import micrograd as mg
from micrograd.nn import MLP

SEED, SAMPLES, NOISE, STEPS, PENALTY = 1337, 100, 0.1, 300, 1e-4


def wrapped(text):
    """Lines of at most 100 characters."""
    return "\n".join(
        textwrap.fill(line, 100, subsequent_indent="      ", break_on_hyphens=False)
        for line in text.splitlines()
    )


def moons(samples: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (samples, 2) on two half circles hooked into each other, and labels -1 and 1."""
    rng = np.random.default_rng(SEED)
    upper = np.arange(samples) % 2 == 0
    t = math.pi * (np.arange(samples) // 2) / (samples // 2 - 1)
    x = np.where(upper, np.cos(t), 1 - np.cos(t))
    y = np.where(upper, np.sin(t), 0.5 - np.sin(t))
    return np.stack([x, y], 1) + rng.normal(0, noise, (samples, 2)), np.where(upper, -1.0, 1.0)


def main() -> None:
    random.seed(SEED)
    model = MLP(2, [16, 16, 1])
    weights = model.parameters()
    X, y = moons(SAMPLES, NOISE)

    def loss_of_sample(x, label):
        """Hinge loss max(0, 1 - label * score), and an L2 penalty that depends on no sample."""
        hinge = (1 - label * model(x)).relu()
        return hinge + PENALTY * mg.sum(w * w for w in weights)

    started = time.perf_counter()
    samples = zip(X.tolist(), y.tolist(), strict=True)
    eager = mg.sum([loss_of_sample(x, label) for x, label in samples]) / SAMPLES
    eager.backward()
    eager_seconds = time.perf_counter() - started

    program = mg.compile(loss_of_sample)
    loss = program.loss(X, y)
    program.backward()
    gradient = [w.grad for w in weights]
    apart = np.abs(program.parameters().flat_grad - gradient).max() / np.abs(gradient).max()
    print(f"eager     loss {eager.data:.15f}")
    print(f"compiled  loss {loss:.15f}   gradients differ by {apart:.1e} of the largest")
    if abs(loss - eager.data) > 1e-12 * loss or apart > 1e-12:
        raise SystemExit("wrong: the compiled function is another one")

    lines = str(program).splitlines()
    print(f"\n{wrapped(lines[0])}")
    shown = [*lines[1:8], "", "  ...", *lines[-5:]]
    print(wrapped("\n".join(shown)))

    optimizer = mg.optim.SGD(program.parameters(), lr=0.1, momentum=0.9)
    started = time.perf_counter()
    for _ in range(STEPS):
        loss = program.loss(X, y)
        optimizer.zero_grad()
        program.backward()
        optimizer.step()
    seconds = (time.perf_counter() - started) / STEPS
    print(f"\n{STEPS} steps: loss {loss:.4f}; {seconds * 1e6:.0f} µs a step,", end=" ")
    print(f"{eager_seconds / seconds:.0f} times as fast as the eager graph")

    program.write_back()  # from here on the Values are the trained ones
    right = [(model(x) > 0) == (label > 0) for x, label in zip(X.tolist(), y, strict=True)]
    print(f"accuracy of the MLP of Values, after write_back: {np.mean(right):.0%}")
    if np.mean(right) < 0.97:
        raise SystemExit("wrong: training has not worked")

    print("\nWhat a recording cannot hold is an error:")
    try:
        mg.compile(lambda x: x if x > 0 else 0.01 * x)([1.0])
    except TypeError as error:
        print(wrapped(f"  {error}"))
    leaky = mg.compile(lambda x: mg.where(x > 0, x, 0.01 * x))
    print(f"with mg.where: {leaky([-2.0, 3.0])}")


if __name__ == "__main__":
    main()
