"""The chain rule on a graph: products along a path, sums over paths, and why the order matters.

Section 1 of the documents: dL/dx = sum over k of dL/dz_k * dz_k/dx, one term for each z_k that used
x. A node may pass its gradient on only when that sum is complete. Visiting results before their
operands (reverse topological order) sees to it; another order gives wrong numbers, as shown below.
"""

import math

from micrograd import Value
from micrograd.engine.rules import RULES

STEP = 1e-6


def program(x):
    """h is used at two depths: directly by y, and by s, on which y depends too."""
    h = (x * x).tanh()
    s = (h * 3.0).sin()
    y = h * s
    x.label, h.label, s.label, y.label = "x", "h", "s", "y"
    return y


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
    for z in order:
        if z.is_leaf:
            continue
        numbers = [float(x) for x in z.operands]
        shares = RULES[z.op].contributions(total[z], z.data, numbers)
        for x, share in zip(z.operands, shares, strict=True):
            if isinstance(x, Value):
                total[x] += share
    return total


def main():
    print("One path: y = sin(u), u = x^2, so dy/dx = dy/du * du/dx = cos(x^2) * 2x")
    x = Value(0.7)
    u = x * x
    u.sin().backward()
    by_hand = math.cos(0.7**2) * 2 * 0.7
    print(f"  dy/du {u.grad:.6f}   dy/dx {x.grad:.6f}   by hand {by_hand:.6f}\n")

    print("Two paths: h = tanh(x^2), s = sin(3h), y = h * s")
    y = program(Value(0.7))
    h, s = y.parents
    paths = s.data, h.data * math.cos(3 * h.data) * 3
    print(f"  dy/dh over h -> y      {paths[0]:9.6f}")
    print(f"  dy/dh over h -> s -> y {paths[1]:9.6f}")
    print(f"  their sum              {paths[0] + paths[1]:9.6f}\n")

    difference = (program(Value(0.7 + STEP)).data - program(Value(0.7 - STEP)).data) / (2 * STEP)
    print(f"{'order of visits':28}{'dy/dh':>10}{'dy/dx':>10}")
    results = []
    for visit in (reverse_topological, as_they_come):
        order = visit(y)
        total = gradients(y, order)
        results.append(total[order[-1]])
        names = " ".join(v.label or v.op for v in order)
        print(f"{names:28}{total[h]:10.6f}{results[-1]:10.6f}   {visit.__name__}")
    y.backward()
    print(f"{'backward()':28}{h.grad:10.6f}{results[0]:10.6f}")
    print(f"{'finite differences':38}{difference:10.6f}\n")
    print(f"Visited too early, h has passed on {paths[0]:.6f} only: the share of s came too late.")
    right, wrong = results
    sound = math.isclose(right, difference, rel_tol=1e-8) and math.isclose(x.grad, by_hand)
    if not sound or abs(wrong - difference) < 0.1:
        raise SystemExit(f"wrong: {right} and {wrong}, finite differences {difference}")


if __name__ == "__main__":
    main()
