"""How common operations pass a gradient back, each against a Jacobian by brute force. Section 6.

Linear layer, sigmoid, tanh, ReLU, softmax, product of matrices: the formula, the whole Jacobian by
forward mode, and J^T times what arrives.

Run: python demos/18_gradient_flow.py [--save FOLDER], which plots 18_gradient_flow.png
"""

import common
import numpy as np

import micrograd as mg
from micrograd import Value

options = common.options(__doc__)
rng = np.random.default_rng(6)


def check(name, f, x, upstream, formula):
    """J^T upstream, the Jacobian by forward mode, equals the formula; also by backward()."""
    J = np.array([[float(v) for v in row] for row in mg.func.jacfwd(f)(x.tolist())])
    leaves = [Value(v) for v in x]
    mg.sum(g * out for g, out in zip(upstream.tolist(), f(leaves), strict=True)).backward()
    back = np.array([leaf.grad for leaf in leaves])
    off = max(np.abs(J.T @ upstream - formula).max(), np.abs(back - formula).max())
    print(f"  {name:34} J is {J.shape[0]} x {J.shape[1]}; off by {off:.0e}")
    assert off < 1e-12, name


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


# %%
print("what arrives times the Jacobian, three ways")
W, x, g = rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal(3)
rows = W.tolist()
check("linear, to x: W^T g", lambda v: [mg.dot(row, v) for row in rows], x, g, W.T @ g)
by_weight = lambda v: [mg.dot(v[4 * i : 4 * i + 4], x.tolist()) for i in range(3)]  # noqa: E731
check("linear, to W: g x^T", by_weight, W.ravel(), g, np.outer(g, x).ravel())
z, h = rng.standard_normal(4), rng.standard_normal(4)
s = 1 / (1 + np.exp(-z))
check("sigmoid: g s (1 - s)", lambda v: [u.sigmoid() for u in v], z, h, h * s * (1 - s))
check("tanh: g (1 - tanh^2)", lambda v: [u.tanh() for u in v], z, h, h * (1 - np.tanh(z) ** 2))
check("ReLU: g where z > 0", lambda v: [u.relu() for u in v], z, h, h * (z > 0))
p = softmax(z)
check("softmax: p (g - p.g)", mg.softmax, z, h, p * (h - p @ h))
A, B, G = rng.standard_normal((2, 3)), rng.standard_normal((3, 2)), rng.standard_normal((2, 2))
columns = B.T.tolist()
times_B = lambda v: [mg.dot(u, c) for u in (v[:3], v[3:]) for c in columns]  # noqa: E731
check("matrices, to A: G B^T", times_B, A.ravel(), G.ravel(), (G @ B.T).ravel())
times_A = lambda v: [mg.dot(r, v[j::2]) for r in A.tolist() for j in range(2)]  # noqa: E731
check("matrices, to B: A^T G", times_A, B.ravel(), G.ravel(), (A.T @ G).ravel())

# %% [markdown]
# The bounds of the slopes: 1/4 for the sigmoid, at 0 only; 1 for tanh, at 0 only; 0 or 1 for ReLU.
# At the kink itself the derivative is 0, by convention, as in PyTorch.

# %%
grid = np.linspace(-6, 6, 241)
slopes = {}
for name in ("sigmoid", "tanh", "relu", "gelu"):
    found = []
    for v in grid:
        x = Value(v)
        getattr(x, name)().backward()
        found.append(x.grad)
    slopes[name] = grid, found
    print(f"  {name:8} slopes from {min(found):.4f} to {max(found):.4f}")
assert max(slopes["sigmoid"][1]) == 0.25 and max(slopes["tanh"][1]) == 1.0
assert set(slopes["relu"][1]) == {0.0, 1.0} and slopes["relu"][1][120] == 0.0  # at z = 0
common.save(
    options,
    "18_gradient_flow.png",
    lambda: common.curves({"slope of the activation": slopes}, "z", yscale="linear"),
)
