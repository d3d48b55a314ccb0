"""Why deep networks of sigmoids do not learn, measured, and what its bound says exactly. Section 7.

Going back from layer l + 1 to l multiplies delta by W^T and then, unit by unit, by f'(z), at most
1/4 for a sigmoid. The document writes the product as (prod W^T) * (prod f'), and bounds |delta^1|
by (max f')^L |delta^L| prod ||W||. Exactly: matrices and slopes alternate and do not commute, and
from layer L to layer 1 there are L - 1 of each. All three are computed here.

Run: python demos/08_vanishing.py [--save FOLDER], which plots the depth, 08_vanishing.png
"""

from itertools import pairwise

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)
ACTIVATIONS = {"sigmoid": mg.Sigmoid(), "tanh": mg.Tanh(), "ReLU": mg.ReLU()}
DEPTHS, WIDTH = (1, 2, 3, 4, 6, 8, 10, 14, 20, 30), 64
X, y = mg.data.digits()
X, X_test, y, y_test = mg.data.train_test_split(X, y, 0.2, seed=0)


# %%
def network(activation, depth):
    """`depth` layers with that activation, and a Linear for the ten classes."""
    pairs = pairwise([64] + [WIDTH] * depth)
    hidden = [x for n, following in pairs for x in (mg.Linear(n, following), activation)]
    return mg.Network(*hidden, mg.Linear(WIDTH, 10), dtype="float64", seed=0)


def slopes(name, a):
    """f'(z) from a = f(z) (section 6)."""
    return {"sigmoid": a * (1 - a), "tanh": 1 - a * a, "ReLU": (a > 0) * 1.0}[name]


def measure(name, depth):
    """The product of f'(z^l) over the layers, (rows, units), and |delta^1| / |delta^(depth+1)|."""
    net = network(ACTIVATIONS[name], depth)
    seen = net.explain(X[:128], y[:128])
    product = np.prod([slopes(name, seen[f"a{i}"]) for i in range(1, depth + 1)], axis=0)
    return product, mg.diagnose(net, X[:128], y[:128]).layers[0].ratio


found = {name: {depth: measure(name, depth) for depth in DEPTHS} for name in ACTIVATIONS}
for title, number in (("product of f'(z), mean", 0), ("|delta| of the first over the last", 1)):
    print(f"\n{title}\n{'L':>4}{'0.25^L':>11}" + "".join(f"{name:>11}" for name in ACTIVATIONS))
    for depth in DEPTHS:
        cells = "".join(f"{np.mean(found[n][depth][number]):11.1e}" for n in ACTIVATIONS)
        print(f"{depth:4}{0.25**depth:11.1e}{cells}")
assert 0 < found["sigmoid"][10][0].max() <= 0.25**10 and found["sigmoid"][10][1] < 1e-4

# %% [markdown]
# The product form and the bound, for one digit and ten layers of sigmoids.

# %%
net = network(mg.Sigmoid(), 10)
e = net.explain(X[:1], y[:1])
L = 11  # ten sigmoid layers and the Linear of the classes
last, norms, size = e[f"delta{L}"][0], 1.0, np.linalg.norm
exact, all_W, all_slopes = last, np.eye(10), np.ones(WIDTH)
for layer in range(L - 1, 0, -1):
    W, d = e[f"W{layer + 1}"], slopes("sigmoid", e[f"a{layer}"][0])
    exact = d * (W.T @ exact)  # one layer: route by W^T, gate by f'
    all_W, all_slopes, norms = W.T @ all_W, all_slopes * d, norms * size(W, 2)
product_form = all_slopes * (all_W @ last)
off = size(product_form - e["delta1"][0]) / size(e["delta1"][0])
print(f"\n|delta^1| {size(e['delta1']):.3e}, alternating product {size(exact):.3e}")
print(f"all matrices first, then all slopes: {size(product_form):.3e}, off by {off:.0%} of it")
ratio = size(e["delta1"]) / size(last)
print(f"ratio {ratio:.1e}; bound with L - 1 = 10 slopes {0.25**10 * norms:.1e};", end=" ")
print(f"with L = 11, as written, {0.25**11 * norms:.1e}")
assert np.allclose(exact, e["delta1"][0], rtol=1e-12) and off > 0.01
assert ratio <= 0.25 ** (L - 1) * norms
one = mg.Network(mg.Linear(1, 1), mg.Sigmoid(), mg.Linear(1, 1), loss="mse", dtype="float64")
one.parameters().flat[:] = [0.0, 0.0, 4.0, 1.0]  # W1, b1, W2, b2: z1 = 0, where the slope is 1/4
two = one.explain([[1.0]], [[0.0]])
share = float(two["delta1"][0, 0] / two["delta2"][0, 0])
print(f"two layers, W2 = 4: delta^1 / delta^2 = {share:g}; (1/4)^1 4 = 1 holds, (1/4)^2 4 does not")
assert np.isclose(share, 1.0)

# %%
panels = {"product of f'(z), mean": {}, "|delta| of the first over the last": {}}
for name, by_depth in found.items():
    columns = zip(*((np.mean(a) or np.nan, ratio) for a, ratio in by_depth.values()), strict=True)
    for lines, column in zip(panels.values(), columns, strict=True):
        lines[name] = DEPTHS, column
panels["product of f'(z), mean"]["0.25^L"] = DEPTHS, [0.25**depth for depth in DEPTHS]
common.save(options, "08_vanishing.png", lambda: common.curves(panels, "layers L"))
accuracy = {}
for name, activation in ACTIVATIONS.items():
    net = network(activation, 10)
    sgd = mg.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    net.fit(X, y, epochs=10, batch_size=32, optimizer=sgd, seed=0)
    accuracy[name] = net.score(X_test, y_test)
    print(f"ten layers of {name}, ten epochs: {accuracy[name]:.1%} of the held out digits right")
assert accuracy["sigmoid"] < 0.3 and accuracy["ReLU"] > 0.8
