"""Two half moons, told apart by an MLP in which every weight is a Value.

A 2-16-16-1 network (337 parameters), hinge loss max(0, 1 - y * score) and an L2 penalty, full-batch
gradient descent. Each step builds a graph of some 7000 nodes, walks it backward and drops it.

Run: python demos/03_moons.py [--save FOLDER], which plots the boundary, 03_moons.png
"""

import math
import random
import time

import common
import numpy as np

import micrograd as mg
from micrograd.nn import MLP

options = common.options(__doc__)
SEED, SAMPLES, NOISE, STEPS, PENALTY = 1337, 100, 0.1, 80, 1e-4


# %%
def moons(samples, noise):
    """(point, label) pairs: a half circle labelled -1 and, hooked into it, one labelled 1."""
    pairs = []
    for i in range(samples):
        upper, t = i % 2 == 0, math.pi * (i // 2) / (samples // 2 - 1)
        x, y = (math.cos(t), math.sin(t)) if upper else (1 - math.cos(t), 0.5 - math.sin(t))
        pairs.append(([random.gauss(x, noise), random.gauss(y, noise)], -1 if upper else 1))
    return pairs


def loss_and_accuracy(model, data):
    """The mean hinge loss plus the penalty, and the fraction of scores with the label's sign."""
    scores = [model(point) for point, _ in data]
    hinge = mg.sum((1 - label * s).relu() for s, (_, label) in zip(scores, data, strict=True))
    loss = hinge / len(data) + PENALTY * mg.sum(p * p for p in model.parameters())
    right = sum((s > 0) == (label > 0) for s, (_, label) in zip(scores, data, strict=True))
    return loss, right / len(data)


# %%
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
with mg.no_grad():
    loss, accuracy = loss_and_accuracy(model, data)
print(f"  after {STEPS:3}  loss {loss.data:.4f}   accuracy {accuracy:4.0%}")
print(f"{seconds / STEPS * 1e3:.0f} ms a step")


# %%
def classify(points):
    """-1 or 1 for each point of a plane, by the Values."""
    with mg.no_grad():
        return np.array([1 if model(point) > 0 else -1 for point in points.tolist()])


def boundary():
    points, labels = zip(*data, strict=True)
    return mg.plot.decision_boundary(classify, np.array(points), labels, resolution=100)


common.save(options, "03_moons.png", boundary)
assert accuracy >= 0.97 and loss.data <= 0.1, (accuracy, loss.data)
