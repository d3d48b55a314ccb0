"""The moons of 03_moons.py, compiled: the same scalar function, run by the C core over the batch.

`mg.compile` calls the loss of one sample once, with Values that have no data, and writes down the
ops. What it wrote is checked here against the eager graph: same loss, same gradients.

Run: python demos/07_compile.py [--save FOLDER], which plots the boundary, 07_compile.png
"""

import math
import random
import time

import common
import numpy as np

import micrograd as mg
from micrograd.nn import MLP

options = common.options(__doc__)
SEED, SAMPLES, NOISE, STEPS, PENALTY = 1337, 100, 0.1, 300, 1e-4


# %%
def moons(samples, noise):
    """Points (samples, 2) on two half circles hooked into each other, and labels -1 and 1."""
    rng = np.random.default_rng(SEED)
    upper = np.arange(samples) % 2 == 0
    t = math.pi * (np.arange(samples) // 2) / (samples // 2 - 1)
    x = np.where(upper, np.cos(t), 1 - np.cos(t))
    y = np.where(upper, np.sin(t), 0.5 - np.sin(t))
    return np.stack([x, y], 1) + rng.normal(0, noise, (samples, 2)), np.where(upper, -1.0, 1.0)


random.seed(SEED)
model = MLP(2, [16, 16, 1])
weights = model.parameters()
X, y = moons(SAMPLES, NOISE)


def loss_of_sample(x, label):
    """Hinge loss max(0, 1 - label * score), and an L2 penalty that depends on no sample."""
    hinge = (1 - label * model(x)).relu()
    return hinge + PENALTY * mg.sum(w * w for w in weights)


# %%
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
assert abs(loss - eager.data) < 1e-12 * loss and apart < 1e-12

# %%
lines = str(program).splitlines()
print(common.wrapped("\n".join(["", *lines[:8], "", "  ...", *lines[-5:]])))

# %%
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
scores = mg.compile(model)  # the same MLP, without the loss
right = np.mean((scores(X).ravel() > 0) == (y > 0))
print(f"accuracy of the MLP of Values, after write_back: {right:.0%}")
assert right >= 0.97

# %%
print("\nWhat a recording cannot hold is an error:")
try:
    mg.compile(lambda x: x if x > 0 else 0.01 * x)([1.0])
    raise SystemExit("wrong: a branch on a Value was recorded")
except TypeError as error:
    print(common.wrapped(f"  {error}"))
leaky = mg.compile(lambda x: mg.where(x > 0, x, 0.01 * x))
print(f"with mg.where: {leaky([-2.0, 3.0])}")
sign = lambda points: np.where(scores(points).ravel() > 0, 1, -1)  # noqa: E731
labels = y.astype(int)
common.save(options, "07_compile.png", lambda: mg.plot.decision_boundary(sign, X, labels))
