"""Gradient clipping by norm and by value, and the run that it saves. Section 9.

By norm: g becomes g * max_norm / |g| where |g| is larger, all parameters as one vector, which keeps
its direction. By value: every element is cut off, which turns it. Between backward() and step().

Run: python demos/19_clipping.py [--save FOLDER], which plots both runs, 19_clipping.png
"""

from itertools import pairwise

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)
DEPTH, WIDTH, LARGER, RATE, EPOCHS = 12, 64, 1.6, 0.02, 12
X, y = mg.data.digits()
X, X_test, y, y_test = mg.data.train_test_split(X, y, 0.2, seed=0)


def network():
    """The one of 09_exploding.py: ReLU layers whose weights are 1.6 times He's."""
    widths = [64] + [WIDTH] * (DEPTH - 1)
    pairs = pairwise(widths)
    hidden = [x for n, following in pairs for x in (mg.Linear(n, following), mg.ReLU())]
    net = mg.Network(*hidden, mg.Linear(WIDTH, 10), seed=0)
    net.parameters().flat *= LARGER
    return net


# %%
def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


net = network()
net.loss(X[:128], y[:128])
net.backward()
g = net.parameters().flat_grad.copy()
before = mg.clip_grad_norm_(net.parameters(), max_norm=1.0)
by_norm = net.parameters().flat_grad.copy()
net.parameters().flat_grad[:] = g
mg.clip_grad_value_(net.parameters(), clip_value=0.5)
by_value = net.parameters().flat_grad.copy()
print(f"|g| {before:.1f}; largest element {np.abs(g).max():.2f}")
print(f"by norm 1:    |g| {np.linalg.norm(by_norm):.4f}, cosine to g {cosine(by_norm, g):.6f}")
print(f"by value 0.5: |g| {np.linalg.norm(by_value):.4f}, cosine to g {cosine(by_value, g):.6f}")
assert np.isclose(before, np.linalg.norm(g), rtol=1e-5)
assert np.allclose(by_norm, g / before, rtol=1e-4, atol=1e-9)
assert np.array_equal(by_value, np.clip(g, -0.5, 0.5)) and cosine(by_value, g) < 0.99
small = np.float32(0.5) * by_norm
net.parameters().flat_grad[:] = small
mg.clip_grad_norm_(net.parameters(), max_norm=1.0)
assert np.array_equal(net.parameters().flat_grad, small)  # a gradient below the limit stays

torch = common.torch()
if torch:
    p = torch.nn.Parameter(torch.zeros(len(g)))
    p.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_([p], 1.0)
    assert np.allclose(p.grad.numpy(), by_norm, rtol=1e-4, atol=1e-9)
    print("PyTorch's clip_grad_norm_ gives the same")


# %%
class Watch:
    """A callback: the loss of each step, and the norm of its gradient before clipping."""

    def __init__(self):
        self.losses, self.norms = [], []

    def on_step(self, state):
        self.losses.append(state.loss)
        self.norms.append(state.gradient_norm)


def train(clip_norm):
    net, watch = network(), Watch()
    optimizer = mg.optim.SGD(net.parameters(), lr=RATE, momentum=0.9)
    try:
        net.fit(X, y, EPOCHS, 32, optimizer, clip_norm=clip_norm, callbacks=watch, seed=0)
    except FloatingPointError as error:
        print(common.wrapped(f"  {error}"))
        return watch, None
    return watch, net.score(X_test, y_test)


runs = {"not clipped": train(None), "clip_norm=1": train(1.0)}
print(f"with clip_norm=1: {runs['clip_norm=1'][1]:.1%} of the held out digits right")
panels = {"loss of the step": {}, "norm of the gradient before clipping": {}}
for label, (watch, _) in runs.items():
    steps = range(1, len(watch.losses) + 1)
    for lines, numbers in zip(panels.values(), (watch.losses, watch.norms), strict=True):
        lines[label] = steps, numbers
common.save(options, "19_clipping.png", lambda: common.curves(panels, "step", "log"))
assert runs["not clipped"][1] is None and runs["clip_norm=1"][1] > 0.8
