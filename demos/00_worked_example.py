"""The chain rule on one weight: forward, local gradients, backward, every number printed.

A prediction y_hat = w * x of a target y, with the loss (y_hat - y)**2, at x = 1, y = 2, w = 1: the
worked example of the first document.

Run: python demos/00_worked_example.py [--save FOLDER], which draws the graph, 00_worked_example.svg
"""

import common

import micrograd as mg
from micrograd import Value

options = common.options(__doc__)

# %% [markdown]
# Forward: each line makes one node of the graph, which keeps its op and its operands.

# %%
x = Value(1.0, label="x", requires_grad=False)  # data takes no gradient
y = Value(2.0, label="y", requires_grad=False)
w = Value(1.0, label="w")

y_hat = w * x
s = y_hat - y
loss = s**2
y_hat.label, s.label, loss.label = "y_hat", "s", "loss"
print("Forward: each line is one node of the graph")
print(f"  y_hat = w * x     =   {w.data:g} * {x.data:g} = {y_hat.data:4g}    {y_hat.grad_fn}")
print(f"  s     = y_hat - y =   {y_hat.data:g} - {y.data:g} = {s.data:4g}    {s.grad_fn}")
print(f"  loss  = s**2      = ({s.data:g})**2 = {loss.data:4g}    {loss.grad_fn}")

# %% [markdown]
# Local gradients: one op at a time, whatever stands before or after it.

# %%
dloss_ds, ds_dyhat, dyhat_dw = 2 * s.data, 1.0, x.data
print("\nLocal gradients")
print(f"  dloss/ds    = 2 * s = {dloss_ds:4g}")
print(f"  ds/dy_hat   = 1     = {ds_dyhat:4g}")
print(f"  dy_hat/dw   = x     = {dyhat_dw:4g}")

# %% [markdown]
# Backward: each gradient is the one above it times a local gradient.

# %%
loss.backward()
by_hand = {
    "loss": 1.0,
    "s": dloss_ds,
    "y_hat": dloss_ds * ds_dyhat,
    "w": dloss_ds * ds_dyhat * dyhat_dw,
}
ours = {"loss": loss.grad, "s": s.grad, "y_hat": y_hat.grad, "w": w.grad}

torch = common.torch()
theirs = {}
if torch:
    tw = torch.tensor(1.0, requires_grad=True)
    t_hat = tw * torch.tensor(1.0)
    ts = t_hat - torch.tensor(2.0)
    t_loss = ts**2
    for t in (t_hat, ts, t_loss):
        t.retain_grad()
    t_loss.backward()
    nodes = {"loss": t_loss, "s": ts, "y_hat": t_hat, "w": tw}
    theirs = {name: t.grad.item() for name, t in nodes.items()}

print(f"\n{'Backward':14}{'by hand':>9}{'micrograd':>11}{'PyTorch':>9}")
for name, gradient in ours.items():
    other = f"{theirs[name]:9g}" if theirs else f"{'-':>9}"
    print(f"  dloss/d{name:5}{by_hand[name]:9g}{gradient:11g}{other}")
common.save(options, "00_worked_example.svg", mg.draw(loss))

assert (loss.data, w.grad) == (1.0, -2.0)
assert ours == by_hand and theirs in ({}, ours)
print("A little more w lowers the loss: dloss/dw = -2 points the way.")
