"""The four interview questions, answered by code that checks itself. Section 14.

Run: python demos/21_interview.py [--save FOLDER], which draws question 3's graph, 21_interview.svg
"""

import common
import numpy as np

import micrograd as mg
from micrograd import Value

options = common.options(__doc__)
rng = np.random.default_rng(14)

# %% [markdown]
# Question 1: derive backprop through a linear layer. z = W x + b, and g = dL/dz arrives: dL/dW is
# g x^T, dL/db is g, dL/dx is W^T g. Here with every number a Value.

# %%
W = [[Value(v) for v in row] for row in rng.standard_normal((3, 4))]
x, b = [Value(v) for v in rng.standard_normal(4)], [Value(v) for v in rng.standard_normal(3)]
g = rng.standard_normal(3)
z = [mg.dot(row, x, bias) for row, bias in zip(W, b, strict=True)]
mg.sum(float(u) * out for u, out in zip(g, z, strict=True)).backward()
numbers, inputs = np.array([[w.data for w in row] for row in W]), np.array([v.data for v in x])
dW, dx = np.array([[w.grad for w in row] for row in W]), np.array([v.grad for v in x])
assert np.allclose(dW, np.outer(g, inputs)) and np.allclose(dx, numbers.T @ g)
assert np.allclose([v.grad for v in b], g)
print("1. dL/dW = g x^T, dL/db = g, dL/dx = W^T g: all as derived")

# %% [markdown]
# Question 2: why does a sigmoid make gradients vanish? Its slope is at most 1/4. Of L layers the
# product of slopes is at most 0.25^L; the gradient also has a factor from each W, so it need not be
# that small: a weight of 4 makes up for the slope, as long as the unit stays near its middle.

# %%
print("2. ten units in a row, sigmoid(w * ...): gradient at the input, over that at the output")
for w in (1.0, 4.0, 6.0, 20.0):
    v = x0 = Value(0.5)
    for _ in range(10):
        v = (w * (v - 0.5)).sigmoid()  # centred, so that the slope is near 1/4
    v.backward()
    print(f"   w = {w:4g}: {abs(x0.grad):.1e}; slopes alone allow {0.25**10:.1e}")
    assert abs(x0.grad) <= (0.25 * w) ** 10 * (1 + 1e-12)
    assert w != 1.0 or abs(x0.grad) <= 0.25**10
    assert w != 4.0 or abs(x0.grad) > 0.99  # 4 times 1/4: it does not vanish at all

# %% [markdown]
# Question 3: how does autograd work? Every op makes a node that knows its op and its operands;
# backward() visits them in reverse topological order, adds what arrives, passes on products.

# %%
a, c = Value(2.0, label="a"), Value(-3.0, label="c")
d = a * c
f = d + a * d  # a and d are used twice: their gradients are sums
d.label, f.label = "d", "f"
f.backward()
print(f"3. {f.grad_fn} <- {[str(step) for step, _ in f.grad_fn.next_functions]}")
assert d.grad == 1 + a.data  # two paths to f
assert a.grad == c.data * d.grad + d.data  # through d, and directly
f.backward()
assert a.grad == 2 * (c.data * d.grad + d.data)  # leaves add up over calls: hence zero_grad
common.save(options, "21_interview.svg", mg.draw(f))

# %% [markdown]
# Question 4: what is gradient checkpointing? Keep some activations, compute the others again:
# memory of the order of sqrt(L) for less than one more forward pass, and the same gradient.

# %%
layers = [item for _ in range(100) for item in (mg.Linear(16, 16), mg.Tanh())]
X, target = rng.standard_normal((2, 64, 16))
found = {}
for policy in (None, "sqrt"):
    net = mg.Network(*layers, loss="mse", seed=0, checkpoint=policy)
    net.loss(X, target)
    net.backward()
    memory = net.memory()
    found[policy] = memory["activation_bytes"], net.parameters().flat_grad.tobytes()
    print(f"4. checkpoint={policy!s:5} {memory['activation_bytes'] // 1024:4} KiB of activations,"
          f" {memory['recomputed_layers']} of 100 layers computed again")  # fmt: skip
assert found["sqrt"][0] < found[None][0] / 4 and memory["recomputed_layers"] < 100
assert found["sqrt"][1] == found[None][1]
