"""Autograd by example: graph, accumulation, no_grad, higher orders, custom functions. Section 12.

Run: python demos/05_autograd_tour.py [--save FOLDER], which draws the graph, 05_autograd_tour.svg
"""

import math
from pathlib import Path

import common

import micrograd as mg
from micrograd import Value

options = common.options(__doc__)


def show(what, value, wanted):
    print(f"  {what:46} {value:10.6g}")
    assert math.isclose(value, wanted, rel_tol=1e-12, abs_tol=1e-15), (what, value, wanted)


# %%
print("Every result knows its op, and the steps before it")
x, w = [Value(1.0), Value(2.0)], [Value(0.5), Value(-1.0)]
z = mg.dot(w, x)
a = z.sigmoid()
loss = mg.sum([a])
step, chain = loss.grad_fn, []
while step is not None:
    chain.append(repr(step))
    step = step.next_functions[0][0] if step.next_functions else None
print("  " + " -> ".join(chain))
loss.backward()
show("dL/dz = a(1 - a)", z.grad, a.data * (1 - a.data))
show("dL/dw1 = dL/dz * x1", w[0].grad, z.grad * 1.0)
common.save(options, "05_autograd_tour.svg", mg.draw(loss))

# %%
print("\nGradients of leaves add up, until they are set to zero")
x = Value(3.0)
for i in (1, 2, 3):
    (x * x).backward()
    show(f"x.grad after backward {i}", x.grad, 6.0 * i)
x.grad = 0.0
(x * x).backward()
show("after x.grad = 0 and one more", x.grad, 6.0)

# %%
print("\nNo graph where none is wanted")
x = Value(3.0)
with mg.no_grad():
    y = x * x
print(f"  under no_grad: requires_grad {y.requires_grad}, grad_fn {y.grad_fn}")
assert not y.requires_grad and (x * x).requires_grad
(x * x.detach()).backward()
show("d(x * x.detach())/dx: one of two paths", x.grad, 3.0)

# %%
print("\nThe backward pass is a graph itself: derivatives of derivatives of x^4 at 2")
x = Value(2.0)
y = x**4
for order, wanted in ((1, 32.0), (2, 48.0), (3, 48.0), (4, 24.0)):
    (y,) = mg.grad(y, x, create_graph=True)
    show(f"derivative {order}", y.data, wanted)
hessian = mg.func.hessian(lambda v: v[0] ** 2 * v[1].sin())([3.0, 0.5])
show("d2/da db of a^2 sin(b) at (3, 0.5)", hessian[0][1].data, 6.0 * math.cos(0.5))


# %%
class MyReLU(mg.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return max(x, 0.0)

    @staticmethod
    def backward(ctx, grad):
        return grad if ctx.saved_values[0] > 0 else 0.0


print("\nA custom function, checked against finite differences")
for at, slope in ((2.0, 12.0), (-2.0, 0.0)):
    x = Value(at)
    y = MyReLU.apply(x**3)
    y.backward()
    show(f"d MyReLU(x^3)/dx at {at}, {y.grad_fn}", x.grad, slope)
assert mg.gradcheck(lambda x: MyReLU.apply(x**3), 2.0)

# %%
print("\nWhere a NaN or an infinity comes from")
try:
    with mg.detect_anomaly():
        (Value(0.0, label="x").sqrt() * 2.0).backward()
    raise SystemExit("wrong: detect_anomaly let an infinite gradient pass")
except mg.AnomalyError as error:
    print(common.wrapped("  " + str(error).replace(str(Path.cwd()), ".")))
