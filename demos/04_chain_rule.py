"""The chain rule on a graph: products along a path, sums over paths, why order matters. Section 1.

dL/dx = sum over k of dL/dz_k * dz_k/dx, one term for each z_k that used x. A node may pass on its
gradient only once that sum is complete: reverse topological order. Another gives wrong numbers.

Run: python demos/04_chain_rule.py [--save FOLDER], which draws the graph, 04_chain_rule.svg
"""

import math

import common

import micrograd as mg
from micrograd import Value
from micrograd.engine.rules import RULES

options = common.options(__doc__)

# %%
print("One path: y = sin(u), u = x^2, so dy/dx = dy/du * du/dx = cos(x^2) * 2x")
x = Value(0.7)
u = x * x
u.sin().backward()
print(f"  dy/du {u.grad:.6f}   dy/dx {x.grad:.6f}\n")
assert math.isclose(x.grad, math.cos(0.7**2) * 2 * 0.7)


# %%
def program(x):
    """h is used at two depths: directly by y, and by s, on which y depends too."""
    h = (x * x).tanh()
    s = (h * 3.0).sin()
    y = h * s
    x.label, h.label, s.label, y.label = "x", "h", "s", "y"
    return y


y = program(Value(0.7))
h, s = y.parents
paths = s.data, h.data * math.cos(3 * h.data) * 3
print("Two paths: h = tanh(x^2), s = sin(3h), y = h * s")
print(f"  dy/dh over h -> y      {paths[0]:9.6f}")
print(f"  dy/dh over h -> s -> y {paths[1]:9.6f}")
print(f"  their sum              {sum(paths):9.6f}\n")


# %%
def reverse_topological(y):
    """y first, and every node after all nodes that used it."""
    order = []

    def visit(v):
        for parent in v.parents:
            if parent not in order:
                visit(parent)
        order.append(v)

    visit(y)
    return order[::-1]


def as_they_come(y):
    """Breadth first: y, its operands, theirs; each node when it is first met."""
    order = [y]
    for v in order:
        order.extend(p for p in dict.fromkeys(v.parents) if p not in order)
    return order


def gradients(y, order):
    """Reverse mode by hand: each node passes on, once, what has reached it so far."""
    total = dict.fromkeys(order, 0.0)
    total[y] = 1.0
    for z in (z for z in order if not z.is_leaf):
        shares = RULES[z.op].contributions(total[z], z.data, [float(x) for x in z.operands])
        for x, share in zip(z.operands, shares, strict=True):
            if isinstance(x, Value):
                total[x] += share
    return total


# %%
step = 1e-6
difference = (program(Value(0.7 + step)).data - program(Value(0.7 - step)).data) / (2 * step)
results = []
print(f"{'order of visits':28}{'dy/dh':>10}{'dy/dx':>10}")
for visit in (reverse_topological, as_they_come):
    order = visit(y)
    total = gradients(y, order)
    results.append(total[order[-1]])
    names = " ".join(v.label or v.op for v in order)
    print(f"{names:28}{total[h]:10.6f}{results[-1]:10.6f}   {visit.__name__}")
y.backward()
print(f"{'finite differences':38}{difference:10.6f}\n")
print(f"Visited too early, h has passed on {paths[0]:.6f} only: the share of s came too late.")
common.save(options, "04_chain_rule.svg", mg.draw(y))
right, wrong = results
assert math.isclose(right, difference, rel_tol=1e-8) and abs(wrong - difference) > 0.1
assert math.isclose(h.grad, sum(paths), rel_tol=1e-12)
