"""What ReLU fixes and what it does not: He's variance, and units that are dead. Section 7.

Section 7: the slope of an active unit is 1, so that gradients pass. True along a path of active
units; but about half the units are off, which halves the variance at each layer. Only with weights
of variance 2 / fan_in does the size stay; and a unit that is off for every row learns no more.

Run: python demos/23_relu.py [--save FOLDER], which plots delta over the depth, 23_relu.png
"""

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)
DEPTH, WIDTH = 30, 128
rng = np.random.default_rng(0)
X, y = rng.standard_normal((256, WIDTH)), rng.integers(0, 10, 256)


def network(variance, activation, depth=DEPTH):
    """Normal weights with that variance times 1 / fan_in, biases 0."""
    body = [x for _ in range(depth) for x in (mg.Linear(WIDTH, WIDTH), activation)]
    net = mg.Network(*body, mg.Linear(WIDTH, 10), dtype="float64", seed=0)
    for p in net.parameters():
        p.data[:] = rng.normal(0, np.sqrt(variance / WIDTH), p.shape) if p.data.ndim == 2 else 0
    return net


# %%
print(f"{DEPTH} ReLU layers of width {WIDTH}; |delta| of the first over that of the last")
ratios, lines = {}, {}
for name, variance in (("1/n", 1.0), ("2/n, He's", 2.0), ("4/n", 4.0)):
    found = mg.diagnose(network(variance, mg.ReLU()), X, y)
    ratios[name] = found.layers[0].ratio
    factor = ratios[name] ** (1 / DEPTH)
    theory = np.sqrt(variance / 2)  # each layer: variance / n times n, half of it off
    print(f"  variance {name:10} {ratios[name]:9.2e}, {factor:.3f} a layer; theory {theory:.3f}")
    lines[f"variance {name}"] = range(1, DEPTH + 2), [x.ratio for x in found.layers]
    assert abs(factor - theory) < 0.06
assert ratios["1/n"] < 1e-3 and 0.1 < ratios["2/n, He's"] < 10 and ratios["4/n"] > 1e3

# %% [markdown]
# "The product of the slopes is 1 for all-active neurons": how much of the network is that?

# %%
e = network(2.0, mg.ReLU()).explain(X, y)
for layers in (1, 2, 5, 10):
    active = np.mean(np.prod([e[f"a{i}"] > 0 for i in range(1, layers + 1)], axis=0))
    print(
        f"  unit k on in each of {layers:2} layers: {active:7.2%}; 0.5^{layers} = {0.5**layers:.2%}"
    )
    assert abs(active - 0.5**layers) < 0.05

# %% [markdown]
# Dead units: one huge step (or a bias far below 0) puts a unit at z <= 0 for every row. The
# gradient of its weights is 0 from then on, whatever the loss: only other inputs could bring it
# back, and the data of a first layer stays as it is. With LeakyReLU the unit goes on learning.

# %%
for activation in (mg.ReLU(), mg.LeakyReLU(0.1)):
    net = network(2.0, activation, depth=1)
    W, b = net.parameters()[0], net.parameters()[1]
    b.data[:64] = -60.0  # half of the units
    before = W.data.copy()
    dead = mg.diagnose(net, X, y).layers[0].dead
    sgd = mg.optim.SGD(net.parameters(), lr=0.5)
    net.fit(X, y, epochs=20, batch_size=64, optimizer=sgd, seed=0)
    moved = np.abs(W.data - before).max(axis=1)
    share = float((moved[:64] == 0).mean())
    shown = "-" if dead != dead else f"{dead:.0%}"
    print(f"  {activation!s:20} dead {shown:>4}; {share:.0%} of the 64 never moved in 20 epochs")
    if isinstance(activation, mg.ReLU):
        assert dead == 0.5 and share == 1.0 and (moved[64:] > 0).all()
    else:
        assert share == 0.0
common.save(options, "23_relu.png", lambda: common.curves({"|delta|, ReLU": lines}, "layer"))
