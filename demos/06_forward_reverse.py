"""Forward mode against reverse mode, by the operations that they take. Section 11.

For f from R^n to R one reverse pass gives all n derivatives, forward mode needs n passes. For f
from R to R^n it is the other way round. An operation is the value of one op, or one product of an
incoming derivative with a partial derivative: the counts are exact.

Run: python demos/06_forward_reverse.py [--save FOLDER], which plots them, 06_forward_reverse.png
"""

import random

import common

from micrograd import func

options = common.options(__doc__)
SIZES = (1, 2, 4, 8, 16, 32, 64)


# %%
def many_to_one(v):
    """R^n -> R: sin(...sin(sin(x1 x2) x3)... xn)."""
    total = v[0]
    for x in v[1:]:
        total = (total * x).sin()
    return total


def one_to_many(n):
    """R -> R^n: the first n of x, sin(x), sin(sin(x)), ... , each times 2."""

    def f(x):
        results = []
        for _ in range(n):
            results.append(x * 2.0)
            x = x.sin()
        return results

    return f


def work(jacobian, f, point):
    """The Jacobian's numbers, and how many operations they took."""
    with func.count_operations() as count:
        result = jacobian(f)(point)
    return [float(leaf) for leaf in func.leaves_of(result, "")], count.total


def table(title, cases):
    """One line for each n; returns (n, reverse, forward) for all."""
    print(f"{title}\n{'n':>6}{'reverse':>12}{'forward':>12}{'forward / reverse':>20}")
    counts = []
    for n, f, point in cases:
        by_reverse, reverse = work(func.jacrev, f, point)
        by_forward, forward = work(func.jacfwd, f, point)
        worst = max(abs(a - b) for a, b in zip(by_reverse, by_forward, strict=True))
        assert worst < 1e-13, f"the two modes differ by {worst:.1e} at n = {n}"
        print(f"{n:6}{reverse:12}{forward:12}{forward / reverse:20.2f}")
        counts.append((n, reverse, forward))
    return counts


# %%
rng = random.Random(3)
points = [[rng.uniform(0.5, 1.5) for _ in range(n)] for n in SIZES]
into_one = [(n, many_to_one, point) for n, point in zip(SIZES, points, strict=True) if n > 1]
gradients = table(
    "R^n -> R, the gradient of a loss: reverse runs f once, forward n times", into_one
)
into_many = [(n, one_to_many(n), 0.8) for n in SIZES]
curves = table(
    "\nR -> R^n, a curve's tangent: forward runs f once, reverse goes back n times", into_many
)

# %%
print("\nBoth at once: the Hessian-vector product, forward mode over reverse mode")
point, direction = points[-1], [1.0] * SIZES[-1]
with func.count_operations() as whole:
    hessian = func.hessian(many_to_one)(point)
with func.count_operations() as product:
    _, by_jvp = func.jvp(func.grad(many_to_one), (point,), (direction,))
by_rows = [sum(float(entry) for entry in row) for row in hessian]
worst = max(abs(float(a) - b) for a, b in zip(by_jvp, by_rows, strict=True))
print(f"  n = {len(point)}: H v takes {product.total} operations, H takes {whole.total}\n")
assert worst < 1e-12 and whole.total > len(point) / 4 * product.total

# %%
panels = {}
for title, counts in (("R^n -> R", gradients), ("R -> R^n", curves)):
    n, reverse, forward = zip(*counts, strict=True)
    panels[f"operations, {title}"] = {"reverse": (n, reverse), "forward": (n, forward)}
common.save(options, "06_forward_reverse.png", lambda: common.curves(panels, "n", "log"))
# The right mode's work doubles with n, as that of f does; the wrong one's nearly quadruples.
(_, reverse_32, forward_32), (_, reverse_64, forward_64) = gradients[-2:]
assert reverse_64 < 2.2 * reverse_32 and forward_64 > 3.6 * forward_32
(_, reverse_32, forward_32), (_, reverse_64, forward_64) = curves[-2:]
assert forward_64 < 2.2 * forward_32 and reverse_64 > 3.6 * reverse_32
print("Both modes gave the same derivatives everywhere.")
