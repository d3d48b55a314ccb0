"""Skip connections: what the identity path guarantees, and sixty layers that learn. Section 10.

Through Output = F(x) + x the gradient is multiplied by dF/dx + 1. Section 10 calls that "at least
1". It is where dF/dx >= 0. Where the branch's derivative is negative it is less, and -1 makes it 0:
what the identity guarantees is a term that no small weight takes away, not its size.

Run: python demos/10_skip_connections.py [--save FOLDER], which plots 10_skip_connections.png
"""

import common
import numpy as np

import micrograd as mg
from micrograd import Value

options = common.options(__doc__)
DEPTH, WIDTH, GROWTH, EPOCHS = 60, 32, 4, 15
GATE = -4.0  # at -1 a Highway passes 1 - sigmoid(-1) = 0.73 of x: after sixty 6e-9 is left

# %%
print("One block, F(x) = w x: d(F(x) + x)/dx = w + 1")
gradients = {}
for w in (0.5, 0.0, -0.5, -1.0, -1.5, -3.0):
    x = Value(2.0)
    (w * x + x).backward()
    gradients[w] = x.grad
    print(f"  dF/dx = {w:4g}   gradient {x.grad:4g}   {'at least 1' if x.grad >= 1 else ''}")
assert all((gradient >= 1) == (w >= 0) for w, gradient in gradients.items())
assert gradients[-1.0] == 0.0  # nothing arrives

# %% [markdown]
# Of vectors: the gradient is (J + I)^T times what arrives. Its least factor, the smallest singular
# value, is at least 1 - ||J|| and no more can be said: 0 where J has the eigenvalue -1.

# %%
rng = np.random.default_rng(0)
for scale in (0.01, 0.5, 1.0):
    J = scale * rng.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
    least = np.linalg.svd(J + np.eye(WIDTH), compute_uv=False)[-1]
    norm = np.linalg.norm(J, 2)
    print(f"  ||J|| {norm:.2f}: least factor {least:.3f}, guaranteed {max(0.0, 1 - norm):.3f}")
    assert least >= 1 - norm - 1e-12
block = mg.Network(mg.Residual(mg.Linear(2, 2)), loss="mse", dtype="float64", seed=0)
block.parameters().flat[:4] = [-1.0, 0.0, 0.0, 0.5]  # W of the branch: F(x) + x = (0, 1.5 x2)
through = block.explain([[1.0, 1.0]], [[9.0, 9.0]])
print(f"  W = diag(-1, 0.5): (1, 1) gives {block.predict([[1.0, 1.0]])[0]}: x1 has no gradient")
assert block.predict([[7.0, 1.0]])[0, 0] == block.predict([[1.0, 1.0]])[0, 0] == 0.0


# %%
def layer(features, gives):
    return mg.Linear(features, gives), mg.Sigmoid()


def network(kind):
    """Sixty sigmoid layers between two Linear ones, in one of four ways."""
    same, out = layer(WIDTH, WIDTH), WIDTH
    if kind == "plain":
        body = [x for _ in range(DEPTH) for x in same]
    elif kind == "residual":
        body = [mg.Residual(*same, mg.Linear(WIDTH, WIDTH)) for _ in range(DEPTH)]
    elif kind == "highway":
        body = [mg.Highway(*same, gate_bias=GATE) for _ in range(DEPTH)]
    else:  # a dense block of width 32 would end 1,952 wide: its layers give 4 numbers each
        dense = [x for i in range(DEPTH) for x in layer(WIDTH + GROWTH * i, GROWTH)]
        body, out = [mg.DenseBlock(*dense)], WIDTH + GROWTH * DEPTH
    return mg.Network(mg.Linear(64, WIDTH), *body, mg.Linear(out, 10), seed=0)


# %%
X, y = mg.data.digits()
X, X_test, y, y_test = mg.data.train_test_split(X, y, 0.2, seed=0)
flow, loss = {}, {}
panels = {"|dL/dW| of a layer, before training": flow, "training loss": loss}
first, accuracy = {}, {}
print(f"\n{'':10}{'parameters':>11}{'|dW| first':>12}{'|dW| last':>12}{'test accuracy':>15}")
for kind in ("plain", "residual", "highway", "dense"):
    net = network(kind)
    layers = [x for x in mg.diagnose(net, X[:256], y[:256]).layers if x.norm == x.norm]
    sgd = mg.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    history = net.fit(X, y, EPOCHS, 32, sgd, clip_norm=1.0, seed=0)
    first[kind], accuracy[kind] = layers[0].gradient, net.score(X_test, y_test)
    print(f"{kind:10}{net.parameters().size:11}{first[kind]:12.1e}", end="")
    print(f"{layers[-1].gradient:12.1e}{accuracy[kind]:15.1%}")
    at = [EPOCHS * i / (len(layers) - 1) for i in range(len(layers))]
    flow[kind] = at, [x.gradient or np.nan for x in layers]
    loss[kind] = range(1, EPOCHS + 1), history.loss
xlabel = "left: from the first layer to the last; right: epoch"
common.save(options, "10_skip_connections.png", lambda: common.curves(panels, xlabel))
skips = [kind for kind in first if kind != "plain"]
assert all(first[kind] > 1000 * first["plain"] for kind in skips)
assert accuracy["plain"] < 0.2 and all(accuracy[kind] > 0.8 for kind in skips)
