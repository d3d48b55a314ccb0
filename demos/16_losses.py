"""The losses, their gradients, and the factor that MSE's delta really has. Sections 3 and 4.

Section 4 gives delta = a - y for cross-entropy on softmax and for MSE on a linear output. The first
holds as it stands, for each sample. The second is that of half the squared error: MSE as section 3
defines it, the mean over all n elements, has delta = 2 (a - y) / n.

Run: python demos/16_losses.py [--save FOLDER], which plots the losses, 16_losses.png
"""

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)
rng = np.random.default_rng(0)
ROWS, OUT = 4, 3
n = ROWS * OUT


def gradient(loss, z, y, step=1e-6):
    """dL/dz by central differences: z is what an identity network passes through."""
    net = mg.Network(mg.Linear(OUT, OUT, bias=False), loss=loss, dtype="float64", seed=0)
    net.parameters()[0].data[:] = np.eye(OUT)
    out = np.empty_like(z)
    for at in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[at] += step
        down[at] -= step
        out[at] = (net.loss(up, y) - net.loss(down, y)) / (2 * step)
    return out


# %%
z, target = rng.standard_normal((2, ROWS, OUT))
true = gradient("mse", z, target)
print(f"MSE over n = {ROWS} x {OUT} = {n} elements; first element of dL/da, three ways")
print(f"  finite differences  {true[0, 0]:10.6f}")
print(f"  2 (a - y) / n       {2 * (z - target)[0, 0] / n:10.6f}")
print(f"  a - y               {(z - target)[0, 0]:10.6f}, n / 2 = {n / 2:g} times too large")
assert np.allclose(true, 2 * (z - target) / n, atol=1e-9)
assert np.allclose((z - target) / true, n / 2, rtol=1e-6)

# %%
labels = rng.integers(0, OUT, ROWS)
e = mg.Network(mg.Linear(OUT, OUT), dtype="float64", seed=0).explain(z, labels)
softmax = np.exp(e["z1"]) / np.exp(e["z1"]).sum(axis=1, keepdims=True)
mean = gradient("cross_entropy", e["z1"], labels)
print("cross-entropy: delta of each sample's loss is a - y; of the mean over m rows (a - y) / m")
assert np.allclose(e["delta1"], softmax - np.eye(OUT)[labels], atol=1e-12)
assert np.allclose(mean, (softmax - np.eye(OUT)[labels]) / ROWS, atol=1e-9)

# %% [markdown]
# The factor is no matter of taste: with a learning rate that suits a - y, MSE's own gradient is n/2
# times smaller. Half the sum of squares, as a loss of your own, has delta = a - y.

# %%
half = lambda a, y: 0.5 * mg.sum((p - q) ** 2 for p, q in zip(a, y, strict=True))  # noqa: E731
print(f"own loss, half the sum of squares: {gradient(half, z, target)[0, 0] * ROWS:10.6f} a sample")
assert np.allclose(gradient(half, z, target) * ROWS, z - target, atol=1e-8)

# %%
torch = common.torch()
if torch:
    F = torch.nn.functional
    pairs = {
        "mse": (F.mse_loss, target),
        "mae": (F.l1_loss, target),
        "huber": (F.huber_loss, target),
        "bce": (F.binary_cross_entropy_with_logits, (target > 0) * 1.0),
    }
    for loss, (theirs, wanted) in pairs.items():
        t = torch.tensor(z, requires_grad=True)
        theirs(t, torch.tensor(wanted)).backward()
        off = np.abs(gradient(loss, z, wanted) - t.grad.numpy()).max()
        print(f"  {loss:6} the gradient is PyTorch's: off by {off:.0e}")
        assert off < 1e-8

# %%
grid = np.linspace(-3, 3, 61)
identity = {
    k: mg.Network(mg.Linear(1, 1), loss=k, dtype="float64") for k in ("mse", "mae", "huber")
}
panels = {"loss of one element, y = 0": {}, "its gradient": {}}
for name, net in identity.items():
    net.parameters().flat[:] = [1.0, 0.0]
    values = [net.loss([[a]], [[0.0]]) for a in grid]
    panels["loss of one element, y = 0"][name] = grid, values
    panels["its gradient"][name] = grid, np.gradient(values, grid)
common.save(options, "16_losses.png", lambda: common.curves(panels, "a", yscale="linear"))
