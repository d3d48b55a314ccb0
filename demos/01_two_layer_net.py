"""The two-layer network, derived by hand: every quantity by its name, beside PyTorch's. Section 5.

z1 = W1 a0 + b1, a1 = f(z1), z2 = W2 a1 + b2, a2 = softmax(z2), L = -sum_k y_k log a2_k, with f the
sigmoid (section 5) and ReLU (section 15). The documents keep samples in columns, we in rows.

Run: python demos/01_two_layer_net.py [--save FOLDER], which draws the step, 01_two_layer_net.svg
"""

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)
torch = common.torch()

RULES = {
    "z1": "W1 a0 + b1",
    "a1": "f(z1)",
    "z2": "W2 a1 + b2",
    "a2": "softmax(z2)",
    "delta2": "a2 - y",
    "dW2": "1/m delta2 a1^T",
    "db2": "1/m sum delta2",
    "da1": "W2^T delta2",
    "delta1": "da1 * f'(z1)",
    "dW1": "1/m delta1 a0^T",
    "db1": "1/m sum delta1",
}


# %%
def by_torch(e, y, activation):
    """The same from PyTorch's autograd; its deltas are those of the mean loss, so times m."""
    W1, b1, W2, b2 = (torch.tensor(e[k], requires_grad=True) for k in ("W1", "b1", "W2", "b2"))
    z1 = torch.tensor(e["a0"]) @ W1.T + b1
    a1 = activation(z1)
    z2 = a1 @ W2.T + b2
    for t in (z1, a1, z2):
        t.retain_grad()
    torch.nn.functional.cross_entropy(z2, torch.tensor(y)).backward()
    m = len(y)
    out = {"z1": z1, "a1": a1, "z2": z2, "a2": torch.softmax(z2, 1)}
    out |= {"delta2": z2.grad * m, "da1": a1.grad * m, "delta1": z1.grad * m}
    out |= {"dW1": W1.grad, "db1": b1.grad, "dW2": W2.grad, "db2": b2.grad}
    return {k: v.detach().numpy() for k, v in out.items()}


def by_hand(e, y, name):
    """The backward equations in numpy, from the forward pass alone."""
    m, a1 = len(y), e["a1"]
    slope = a1 * (1 - a1) if name == "sigmoid" else (e["z1"] > 0).astype(float)
    out = {"delta2": e["a2"] - np.eye(2)[y]}
    out |= {"dW2": out["delta2"].T @ a1 / m, "db2": out["delta2"].sum(0) / m}
    out["da1"] = out["delta2"] @ e["W2"]
    out["delta1"] = out["da1"] * slope
    return out | {"dW1": out["delta1"].T @ e["a0"] / m, "db1": out["delta1"].sum(0) / m}


# %% [markdown]
# `explain` gives every quantity of a step by its name in the documents. Its deltas are of each
# sample's own loss; the gradients of the weights are of the mean, hence the 1/m.

# %%
rng = np.random.default_rng(42)
X, y = rng.standard_normal((5, 4)), rng.integers(0, 2, 5)
worst = 0.0
for name, layer in (("sigmoid", mg.Sigmoid()), ("relu", mg.ReLU())):
    net = mg.Network(mg.Linear(4, 3), layer, mg.Linear(3, 2), dtype="float64", seed=42)
    e = net.explain(X, y)
    hand, other = by_hand(e, y, name), by_torch(e, y, getattr(torch, name)) if torch else {}
    print(f"\n4-3-2 with {name}, 5 samples: loss {e['loss']:.6f}; first element of each quantity")
    print(f"{'':8}{'equation':18}{'shape':9}{'micrograd':>15}{'by hand':>15}{'PyTorch':>15}")
    for key, rule in RULES.items():
        cells = [a[key].flat[0] if key in a else None for a in (e, hand, other)]
        shown = "".join(f"{'-' if c is None else format(c, '.9f'):>15}" for c in cells)
        print(f"{key:8}{rule:18}{e[key].shape!s:9}{shown}")
        for a in (hand, other):
            if key in a:
                scale = max(np.abs(a[key]).max(), 1e-300)
                worst = max(worst, float(np.abs(e[key] - a[key]).max() / scale))
common.save(options, "01_two_layer_net.svg", mg.draw(net, X, y))

assert worst < 1e-12, f"a quantity is off by {worst:.1e}"
print(f"all equal to 1e-12 (worst {worst:.1e})" + ("" if torch else "; PyTorch is not installed"))
