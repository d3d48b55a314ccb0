"""Exploding gradients: how fast delta grows, when the loss ends in nan. Section 8.

The weights of a deep network start too large: every layer multiplies delta by more than one, and
the first steps throw the weights so far that the loss ends in nan. Section 8 puts the growth at
||W||^(L-l); that is its upper bound, of which each layer uses a part.

Run: python demos/09_exploding.py [--save FOLDER], which plots the layers, 09_exploding.png
"""

import common

import micrograd as mg

options = common.options(__doc__)
DEPTH, WIDTH, LARGER, RATE = 12, 64, 1.6, 0.02
X, y = mg.data.digits()


# %%
def network(larger):
    """ReLU layers whose weights are so many times He's."""
    layers = [mg.Linear(64, WIDTH), mg.ReLU()]
    for _ in range(DEPTH - 2):
        layers += [mg.Linear(WIDTH, WIDTH), mg.ReLU()]
    net = mg.Network(*layers, mg.Linear(WIDTH, 10), seed=0)
    for p in net.parameters():
        p.data *= larger
    return net


found = mg.diagnose(network(LARGER), X[:128], y[:128])
print(common.wrapped(found))
growth = found.layers[0].ratio ** (1 / (DEPTH - 1))
bound = found.layers[0].bound ** (1 / (DEPTH - 1))
print(f"delta grows {growth:.2f} times a layer; the norms of W allow {bound:.2f} times")
assert 1.3 < growth < bound and found.layers[0].ratio <= found.layers[0].bound

# %% [markdown]
# A weight matrix with a norm above 1 need not make delta grow: He's start has norms near 2, of
# which a ReLU network uses half the variance, and delta keeps its size.

# %%
healthy = mg.diagnose(network(1.0), X[:128], y[:128])
norm = max(layer.norm for layer in healthy.layers)
print(
    f"He's start: largest ||W|| {norm:.2f}, delta grows {healthy.layers[0].ratio:.2f} times in all"
)
assert norm > 1.5 and 0.1 < healthy.layers[0].ratio < 10


# %%
class Watch:
    """A callback: the loss of each step, and the norm of its gradient."""

    def __init__(self):
        self.losses, self.norms = [], []

    def on_step(self, state):
        self.losses.append(state.loss)
        self.norms.append(state.gradient_norm)


watch = Watch()
net = network(LARGER)
optimizer = mg.optim.SGD(net.parameters(), lr=RATE, momentum=0.9)
try:
    net.fit(X, y, 12, 32, optimizer, callbacks=watch, seed=0)
    raise SystemExit("wrong: the loss should have ended in nan")
except FloatingPointError as diverged:
    print(common.wrapped(diverged))
for step, (loss, gradient) in enumerate(zip(watch.losses, watch.norms, strict=True), start=1):
    print(f"  step {step:3}   loss {loss:10.4g}   |gradient| {gradient:10.4g}")
assert len(watch.losses) < 100

# %%
layers = range(1, DEPTH + 1)
panels = {"|delta| of a layer over that of the last": {}}
for label, each in (("1.6 times He's start", found), ("He's start", healthy)):
    panels["|delta| of a layer over that of the last"] |= {
        label: (layers, [layer.ratio for layer in each.layers]),
        f"bound, {label}": (layers, [layer.bound for layer in each.layers]),
    }
common.save(options, "09_exploding.png", lambda: common.curves(panels, "layer"))
