"""The forward pass and its cache: what is kept, and which step back needs it. Section 2.

z^l = W^l a^(l-1) + b^l and a^l = f(z^l). Going back, dL/dW^l needs a^(l-1), and f'(z^l) needs z^l
or, for the usual activations, a^l alone: so the core keeps one of the two, not both.

Run: python demos/15_forward_pass.py [--save FOLDER], which draws the pass, 15_forward_pass.svg
"""

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)

# %%
rng = np.random.default_rng(1)
X, y = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
net = mg.Network(mg.Linear(4, 5), mg.Tanh(), mg.Linear(5, 3), dtype="float64", seed=1)
e = net.explain(X, y)
print("forward, by layers; rows are samples, so Z = A W^T + b")
a = X
for layer, activation in ((1, np.tanh), (2, None)):
    W, b = e[f"W{layer}"], e[f"b{layer}"]
    z = a @ W.T + b
    if activation is None:
        shifted = np.exp(z - z.max(axis=1, keepdims=True))
        a = shifted / shifted.sum(axis=1, keepdims=True)
    else:
        a = activation(z)
    print(f"  z{layer} {z.shape} = a{layer - 1} W{layer}^T {W.T.shape} + b{layer} {b.shape}")
    assert np.allclose(z, e[f"z{layer}"], rtol=1e-13) and np.allclose(a, e[f"a{layer}"], rtol=1e-12)
assert np.allclose(net.predict(X), e["z2"], rtol=1e-13)  # the outputs are logits: softmax is in L

# %% [markdown]
# The two claims about the cache: a^(l-1) is enough for dL/dW^l, and for tanh a^l gives f'(z^l).

# %%
dW2 = e["delta2"].T @ e["a1"] / len(X)
slope = 1 - e["a1"] ** 2
delta1 = (e["delta2"] @ e["W2"]) * slope
print(f"dW2 from delta2 and a1: off by {np.abs(dW2 - e['dW2']).max():.1e}")
print(f"delta1 from a1, without z1: off by {np.abs(delta1 - e['delta1']).max():.1e}")
assert np.allclose(dW2, e["dW2"], rtol=1e-12) and np.allclose(delta1, e["delta1"], rtol=1e-12)

# %% [markdown]
# The cache grows with depth, and is what prediction does without.

# %%
print(f"\n{'layers':>7}{'cache, KiB':>12}{'a layer':>9}")
sizes = {}
for depth in (4, 8, 16, 32):
    layers = [x for _ in range(depth) for x in (mg.Linear(64, 64), mg.Tanh())]
    deep = mg.Network(*layers, loss="mse", seed=0)
    deep.loss(np.ones((256, 64)), np.ones((256, 64)))
    sizes[depth] = deep.memory()["activation_bytes"]
    print(f"{depth:7}{sizes[depth] / 1024:12.0f}{sizes[depth] / 1024 / depth:9.0f}")
each = 256 * 64 * 4
assert all(abs(size / each - depth) <= 3 for depth, size in sizes.items())
kept = deep.memory()["activation_bytes"]
fewer = mg.Network(*layers, loss="mse", seed=0, checkpoint="sqrt")
fewer.loss(np.ones((256, 64)), np.ones((256, 64)))
print(f"with checkpoint='sqrt': {fewer.memory()['activation_bytes'] / 1024:.0f} KiB")
assert fewer.memory()["activation_bytes"] < kept / 2
common.save(options, "15_forward_pass.svg", mg.draw(net, X, y))
