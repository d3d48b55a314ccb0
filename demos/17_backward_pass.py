"""The backward pass, layer by layer: delta, routed by W^T, gated by f', for any depth. Section 4.

delta^l = (W^(l+1))^T delta^(l+1) * f'(z^l); dL/dW^l = 1/m delta^l (a^(l-1))^T; dL/db^l = 1/m times
the sum of delta^l over the rows. Written out in numpy for five layers, beside the C core's numbers.

Run: python demos/17_backward_pass.py [--save FOLDER], which plots the deltas, 17_backward_pass.png
"""

from itertools import pairwise

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)
SIZES, M = (8, 16, 12, 10, 6, 4), 32
SLOPES = {"ReLU": lambda a: (a > 0) * 1.0, "Tanh": lambda a: 1 - a * a,
          "Sigmoid": lambda a: a * (1 - a)}  # fmt: skip
LAYERS = (mg.ReLU(), mg.Tanh(), mg.Sigmoid(), mg.Tanh())

# %%
rng = np.random.default_rng(3)
X, y = rng.standard_normal((M, SIZES[0])), rng.integers(0, SIZES[-1], M)
body = []
for (n, following), activation in zip(pairwise(SIZES[:-1]), LAYERS, strict=True):
    body += [mg.Linear(n, following), activation]
net = mg.Network(*body, mg.Linear(SIZES[-2], SIZES[-1]), dtype="float64", seed=3)
e = net.explain(X, y)
L = len(SIZES) - 1

# %%
delta = e[f"a{L}"] - np.eye(SIZES[-1])[y]  # of each row's own loss: softmax with cross-entropy
print(f"{'layer':6}{'delta':>10}{'dW, shape':>12}{'off by':>10}")
worst = 0.0
for layer in range(L, 0, -1):
    if layer < L:
        routed = delta @ e[f"W{layer + 1}"]  # rows are samples: W^T delta is delta @ W
        name = type(LAYERS[layer - 1]).__name__
        delta = routed * SLOPES[name](e[f"a{layer}"])
    dW = delta.T @ e[f"a{layer - 1}"] / M
    db = delta.sum(axis=0) / M
    for mine, core in ((delta, f"delta{layer}"), (dW, f"dW{layer}"), (db, f"db{layer}")):
        off = float(np.abs(mine - e[core]).max() / np.abs(e[core]).max())
        worst = max(worst, off)
    size = np.sqrt((delta**2).sum(axis=1).mean())
    print(f"{layer:<6}{size:10.4f}{dW.shape!s:>12}{off:10.1e}")
assert worst < 1e-12, worst

# %% [markdown]
# The 1/m: the loss is a mean over rows, so its gradient is the mean of the rows' gradients. Twice
# the batch, the same rows again, changes nothing; sums instead of means would double.

# %%
twice = net.explain(np.concatenate([X, X]), np.concatenate([y, y]))
assert np.allclose(twice["dW1"], e["dW1"], rtol=1e-12)
rows = [net.explain(X[i : i + 1], y[i : i + 1])["dW1"] for i in range(M)]
print(f"mean of the rows' own dW1: off by {np.abs(np.mean(rows, axis=0) - e['dW1']).max():.1e}")
assert np.allclose(np.mean(rows, axis=0), e["dW1"], rtol=1e-11, atol=1e-15)

# %% [markdown]
# And against what needs no calculus: (L(w + h) - L(w - h)) / 2h for twenty of the weights.

# %%
flat, step = net.parameters().flat, 1e-6
net.zero_grad()
net.loss(X, y)
net.backward()
gradient = net.parameters().flat_grad.copy()
off = []
for at in rng.choice(len(flat), 20, replace=False):
    kept = flat[at]
    flat[at] = kept + step
    up = net.loss(X, y)
    flat[at] = kept - step
    down = net.loss(X, y)
    flat[at] = kept
    off.append(abs((up - down) / (2 * step) - gradient[at]))
print(f"finite differences: off by at most {max(off):.1e}")
assert max(off) < 1e-8
layers = range(1, L + 1)
lines = {k: (layers, [np.linalg.norm(e[f"{k}{i}"]) for i in layers]) for k in ("delta", "dW")}
common.save(options, "17_backward_pass.png", lambda: common.curves({"norms": lines}, "layer"))
