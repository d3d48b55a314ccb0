"""Programs written for karpathy/micrograd run unchanged, with only its import paths."""

import math
import random

import pytest

from micrograd.engine import Value
from micrograd.nn import MLP, Layer, Neuron


def sanity_program(x):
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    return h + q + q * x


def many_ops_program(a, b):
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    f = (c - d) ** 2
    g = f / 2.0
    g += 10.0 / f
    return g


def test_sanity_program():
    x = Value(-4.0)
    y = sanity_program(x)
    y.backward()
    assert (y.data, x.grad) == (-20.0, 46.0)  # the numbers its README and tests arrive at


def test_many_ops_program():
    a, b = Value(-4.0), Value(2.0)
    g = many_ops_program(a, b)
    g.backward()
    assert g.data == pytest.approx(24.70408163265306, rel=1e-15)
    assert a.grad == pytest.approx(138.83381924198252, rel=1e-14)
    assert b.grad == pytest.approx(645.5772594752186, rel=1e-14)


@pytest.mark.parametrize(
    "program, point", [(sanity_program, [-4.0]), (many_ops_program, [-4.0, 2.0])]
)
def test_programs_against_torch(program, point):
    torch = pytest.importorskip("torch")
    xs = [Value(v) for v in point]
    ts = [torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in point]
    y, t = program(*xs), program(*ts)
    y.backward()
    t.backward()
    assert y.data == pytest.approx(t.item(), rel=1e-14)
    assert [x.grad for x in xs] == pytest.approx([v.grad.item() for v in ts], rel=1e-13)


def moons(n, noise, rng):
    """Two interleaved half circles with labels -1 and 1, as scikit-learn's make_moons."""
    points = []
    for i in range(n):
        t = math.pi * (i // 2) / (n // 2 - 1)
        upper = i % 2 == 0
        x, y = (math.cos(t), math.sin(t)) if upper else (1 - math.cos(t), 0.5 - math.sin(t))
        points.append(([rng.gauss(x, noise), rng.gauss(y, noise)], -1 if upper else 1))
    return points


def notebook_loss(model, data):
    inputs = [list(map(Value, row)) for row, _ in data]
    scores = list(map(model, inputs))
    losses = [(1 + -yi * score).relu() for (_, yi), score in zip(data, scores, strict=True)]
    data_loss = sum(losses) * (1.0 / len(losses))
    reg_loss = 1e-4 * sum(p * p for p in model.parameters())
    total_loss = data_loss + reg_loss
    accuracy = [(yi > 0) == (score.data > 0) for (_, yi), score in zip(data, scores, strict=True)]
    return total_loss, sum(accuracy) / len(accuracy)


def test_the_notebooks_training_loop():
    random.seed(1337)
    data = moons(60, 0.1, random.Random(1))
    model = MLP(2, [16, 16, 1])
    assert len(model.parameters()) == 337
    losses = []
    for k in range(40):
        total_loss, acc = notebook_loss(model, data)
        model.zero_grad()
        total_loss.backward()
        learning_rate = 1.0 - 0.9 * k / 40
        for p in model.parameters():
            p.data -= learning_rate * p.grad
        losses.append(total_loss.data)
    assert losses[0] > 0.5 and losses[-1] < 0.1 and acc == 1.0


def test_the_first_training_step_in_full():
    """One step on the notebook's network, every gradient against PyTorch."""
    torch = pytest.importorskip("torch")
    random.seed(7)
    data, model = moons(20, 0.1, random.Random(2)), MLP(2, [16, 16, 1])
    loss, _ = notebook_loss(model, data)
    loss.backward()
    h = torch.tensor([row for row, _ in data], dtype=torch.float64)
    y = torch.tensor([label for _, label in data], dtype=torch.float64)
    leaves = []
    for i, layer in enumerate(model.layers):
        rows = [[p.data for p in n.parameters()] for n in layer.neurons]
        leaves.append(torch.tensor(rows, dtype=torch.float64, requires_grad=True))
        h = h @ leaves[-1][:, :-1].T + leaves[-1][:, -1]
        h = h.relu() if i < 2 else h
    expected = (1 - y * h[:, 0]).relu().mean() + 1e-4 * sum((w * w).sum() for w in leaves)
    expected.backward()
    want = [g for w in leaves for g in w.grad.flatten().tolist()]
    assert loss.data == pytest.approx(expected.item(), rel=1e-13)
    assert [p.grad for p in model.parameters()] == pytest.approx(want, rel=1e-11, abs=1e-15)


def test_tracing_as_in_trace_graph():
    """Nodes and edges by `_prev`, labels by `_op`, data and grad: what draw_dot reads."""
    x = Value(1.0)
    y = (x * 2 + 1).relu()
    y.backward()
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(y)
    rows = sorted((f"{n.data:.4f}", f"{n.grad:.4f}", n._op) for n in nodes)
    # Plain numbers are not nodes here: the two constants of karpathy's drawing are left out.
    assert rows == [
        ("1.0000", "2.0000", ""),
        ("2.0000", "1.0000", "*"),
        ("3.0000", "1.0000", "+"),
        ("3.0000", "1.0000", "ReLU"),
    ]
    assert {(a._op, b._op) for a, b in edges} == {("", "*"), ("*", "+"), ("+", "ReLU")}


def test_tracing_a_neuron():
    random.seed(1337)
    n = Neuron(2)
    x = [Value(1.0), Value(-2.0)]
    y = n(x)
    y.backward()
    assert y._prev.pop()._prev == {*n.w, *x, n.b}
    assert y.data == max(0.0, n.w[0].data - 2.0 * n.w[1].data)
    assert repr(Layer(2, 1)) == "Layer of [ReLUNeuron(2)]"
