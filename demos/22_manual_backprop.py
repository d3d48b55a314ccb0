"""Manual backprop beside the core: the document's TwoLayerNet, trained in step. Section 15.

The class of section 15 in rows instead of columns: 4-8-3, ReLU, softmax, cross-entropy, 100 rows,
plain gradient descent, 200 steps. The same start for a Network and, where it is installed, for
PyTorch: the weights stay equal, step after step.

Run: python demos/22_manual_backprop.py [--save FOLDER], which plots 22_manual_backprop.png
"""

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)
STEPS, LR = 200, 0.1


# %%
class TwoLayerNet:
    """Forward, backward and update by hand."""

    def __init__(self, W1, b1, W2, b2):
        self.parameters = [W1.copy(), b1.copy(), W2.copy(), b2.copy()]

    def step(self, X, y):
        """The loss before the step, and the gradients of the four."""
        W1, b1, W2, b2 = self.parameters
        m = len(X)
        z1 = X @ W1.T + b1
        a1 = np.maximum(z1, 0)
        z2 = a1 @ W2.T + b2
        p = np.exp(z2 - z2.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(m), y]).mean()
        delta2 = (p - np.eye(p.shape[1])[y]) / m
        delta1 = delta2 @ W2 * (z1 > 0)
        gradients = [delta1.T @ X, delta1.sum(0), delta2.T @ a1, delta2.sum(0)]
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter -= LR * gradient
        return loss, gradients


# %%
rng = np.random.default_rng(42)
X, y = rng.standard_normal((100, 4)), rng.integers(0, 3, 100)
net = mg.Network(mg.Linear(4, 8), mg.ReLU(), mg.Linear(8, 3), dtype="float64", seed=42)
manual = TwoLayerNet(*(p.data for p in net.parameters()))
sgd = mg.optim.SGD(net.parameters(), lr=LR)
torch = common.torch()
if torch:
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in net.parameters()]
    torch_sgd = torch.optim.SGD(theirs, lr=LR)

losses, worst = {"by hand": [], "micrograd": []}, 0.0
for step in range(STEPS):
    loss, gradients = manual.step(X, y)
    net.zero_grad()
    ours = net.loss(X, y)
    net.backward()
    for p, gradient in zip(net.parameters(), gradients, strict=True):
        worst = max(worst, float(np.abs(p.grad - gradient).max()))
    sgd.step()
    if torch:
        W1, b1, W2, b2 = theirs
        z2 = torch.relu(torch.tensor(X) @ W1.T + b1) @ W2.T + b2
        torch_sgd.zero_grad()
        torch.nn.functional.cross_entropy(z2, torch.tensor(y)).backward()
        torch_sgd.step()
    losses["by hand"].append(loss)
    losses["micrograd"].append(ours)
    if step % 50 == 0 or step == STEPS - 1:
        accuracy = (net.classify(X) == y).mean()
        print(f"step {step:3}   by hand {loss:.10f}   micrograd {ours:.10f}   right {accuracy:.0%}")
print(f"gradients differ by at most {worst:.1e} over {STEPS} steps")
assert worst < 1e-13 and np.allclose(losses["by hand"], losses["micrograd"], rtol=1e-12)
assert losses["micrograd"][-1] < 0.9 * losses["micrograd"][0]
if torch:
    apart = max(
        float(np.abs(p.data - t.detach().numpy()).max())
        for p, t in zip(net.parameters(), theirs, strict=True)
    )
    print(f"after training, weights differ from PyTorch's by at most {apart:.1e}")
    assert apart < 1e-12
lines = {name: (range(STEPS), values) for name, values in losses.items()}
draw = lambda: common.curves({"loss": lines}, "step", yscale="linear")  # noqa: E731
common.save(options, "22_manual_backprop.png", draw)
