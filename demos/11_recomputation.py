"""Recomputation: fewer activations kept, some layers computed twice. Section 2 and question 4.

A chain of 128 layers, width 64, batch 384: keeping every activation for the way back takes 126 of
them. With `slots` the core keeps so many and computes the others again when the way back comes to
them, in the order that needs the fewest evaluations (Griewank and Walther 2000). The gradient stays
what it was, bit for bit.

Run: python demos/11_recomputation.py [--save FOLDER], which plots the trade, 11_recomputation.png
"""

import time
from statistics import median

import common
import numpy as np

import micrograd as mg
from micrograd import checkpoint
from micrograd.checkpoint.revolve import fewest_recomputed

options = common.options(__doc__)
DEPTH, WIDTH, ROWS, ROUNDS = 128, 64, 384, 5
SLOTS = (1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 64, 96, 126)


# %%
def network(policy):
    layers = [x for _ in range(DEPTH) for x in (mg.Linear(WIDTH, WIDTH), mg.Tanh())]
    return mg.Network(*layers, loss="mse", seed=0, checkpoint=policy)


def step(net, X, y):
    """Seconds of a forward and backward pass."""
    started = time.perf_counter()
    net.zero_grad()
    net.loss(X, y)
    net.backward()
    return time.perf_counter() - started


# %%
mg.set_num_threads(1)
X, y = np.random.default_rng(0).normal(size=(2, ROWS, WIDTH)).astype(np.float32)
policies = [None, "sqrt", checkpoint.every(16), *map(checkpoint.binomial, SLOTS)]
networks = {str(policy): network(policy) for policy in policies}
gradients = {}
for name, net in networks.items():
    step(net, X, y)
    gradients[name] = net.parameters().flat_grad.tobytes()
seconds = {name: [] for name in networks}
for _ in range(ROUNDS):  # in turns, so that a busy machine is unfair to none
    for name, net in networks.items():
        seconds[name].append(step(net, X, y))

# %%
each = ROWS * WIDTH * 4
print(f"{DEPTH} layers of width {WIDTH}, batch {ROWS}: an activation is {each // 1024} KiB")
print(f"{'':26}{'kept':>6}{'KiB':>8}{'computed again':>16}{'fewest':>8}{'time':>8}")
rows = []
for policy, (name, net) in zip(policies, networks.items(), strict=True):
    memory = net.memory()
    kept, again = memory["activation_bytes"] / each, memory["recomputed_layers"]
    times = median(a / b for a, b in zip(seconds[name], seconds["None"], strict=True))
    slots = getattr(policy, "slots", None)
    fewest = "" if slots is None else str(fewest_recomputed(DEPTH, slots))
    print(f"{name:26}{kept:6.0f}{kept * each / 1024:8.0f}{again:16}{fewest:>8}{times:8.2f}")
    if slots is not None:
        rows.append((slots, kept, again, times))
        assert kept <= slots and again == int(fewest), f"{name} keeps {kept}, again {again}"
assert len(set(gradients.values())) == 1
print("All gradients have the same bits.")

# %% [markdown]
# The document's figure: memory of the order of sqrt(L) for one forward pass more. `"sqrt"` keeps
# at most 2 sqrt(L) activations and computes fewer than L layers again.

# %%
memory = networks["sqrt"].memory()
kept, again = memory["activation_bytes"] / each, memory["recomputed_layers"]
print(f"sqrt: {kept:.0f} kept, 2 sqrt(L) = {2 * DEPTH**0.5:.1f}; {again} of {DEPTH} layers again")
assert kept <= 2 * DEPTH**0.5 + 1 and again < DEPTH
slots, kept, again, times = zip(*rows, strict=True)
every = range(1, DEPTH - 2)
panels = {
    "layers computed again in a step": {
        "fewest, by the formula": (every, [fewest_recomputed(DEPTH, s) for s in every]),
        "counted": (slots[:-1], again[:-1]),  # with 126 slots it is none
    },
    "a step's time, in that of one that keeps all": {"measured": (slots, times)},
}
common.save(options, "11_recomputation.png", lambda: common.curves(panels, "slots", "log"))
