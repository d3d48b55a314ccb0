"""Random programs over all ops against PyTorch, and finite differences."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from support.programs import on_values, programs, run

from micrograd.engine import Value, grad, no_grad


def on_tensors(op, a, b, c):
    import torch

    f = torch.nn.functional
    table = {
        "softplus": lambda: f.softplus(a),
        "gelu": lambda: f.gelu(a),
        "leaky_relu": lambda: f.leaky_relu(a),
        "add": lambda: a + b,
        "sub": lambda: a - b,
        "mul": lambda: a * b,
        "div": lambda: a / (b * b + 1.0),
        "pow": lambda: a**2.0 if a is b else (a * a + 0.5) ** b,
        "maximum": lambda: torch.maximum(a, b),
        "minimum": lambda: torch.minimum(a, b),
        "where": lambda: torch.where(a < b, b, c),
        "dot": lambda: b + a * c + b * a,
        "sum": lambda: torch.stack([a, b, c, a]).sum(),
    }
    return table[op]() if op in table else getattr(torch, op)(a)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],  # an emulated processor is
)
@given(programs())
def test_random_programs_agree_with_torch(program):
    torch = pytest.importorskip("torch")
    steps, leaves = program
    xs = [Value(v) for v in leaves]
    ts = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in leaves]
    y, t = run(steps, xs, on_values)[-1], run(steps, ts, on_tensors)[-1]
    if not y.requires_grad or not math.isfinite(t.item()) or abs(t.item()) > 1e12:
        return
    y.backward()
    t.backward()
    got = [y.data] + [x.grad for x in xs]
    want = [t.item()] + [0.0 if x.grad is None else x.grad.item() for x in ts]
    # Both round each op once; cancellation between large terms is what the absolute part allows.
    scale = max(map(abs, want))
    if math.isfinite(scale):
        assert got == pytest.approx(want, rel=1e-10, abs=1e-11 * (1 + scale), nan_ok=True)
    # the two backward passes of the engine apply the same rules: the same bits
    graded = [g.data for g in grad(y, xs, create_graph=True)]
    assert [g for g in graded if g == g] == [x.grad for x in xs if x.grad == x.grad]


def test_finite_differences():
    def f(a, b):
        h = (a * b).tanh() + (a / b).sigmoid().sqrt()
        return (h * h + b.softplus()).log() + a.gelu() ** b.exp() + (a - b).cos()

    a, b = Value(0.8), Value(-0.6)
    f(a, b).backward()
    eps = 1e-6  # central differences: error eps**2 f'''/6 + 1e-16/eps, about 1e-10
    for x in (a, b):
        at = x.data
        with no_grad():
            x.data = at + eps
            up = f(a, b).data
            x.data = at - eps
            down = f(a, b).data
        x.data = at
        assert x.grad == pytest.approx((up - down) / (2 * eps), rel=1e-8)
