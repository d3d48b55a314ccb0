"""What karpathy's lecture notebooks do with a Value, in code of our own; their cells that define
the class with `_backward` closures are the only ones that have no counterpart (see test_misuse).
"""

import math
import random

from micrograd.engine import Value


def walked(root):
    """Nodes and edges as the lecture's drawing collects them, by `_prev`."""
    nodes, edges = set(), set()

    def visit(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                visit(child)

    visit(root)
    return nodes, edges


def neuron():
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    n = x1 * w1 + x2 * w2 + Value(6.8813735870195432, label="b")
    return n, [x1, w1, x2, w2]


def test_a_neuron_drawn_and_differentiated():
    n, leaves = neuron()
    o = n.tanh()
    o.label = "o"
    nodes, edges = walked(o)
    assert len(nodes) == 10 and len(edges) == 9 and {v._op for v in nodes} == {"", "*", "+", "tanh"}
    assert "{ %s | data %.4f | grad %.4f }" % (o.label, o.data, o.grad)  # noqa: UP031
    o.backward()
    assert [round(v.grad, 6) for v in leaves] == [-1.5, 1.0, 0.5, 0.0]


def test_tanh_taken_apart_and_backward_called_by_hand():
    n, leaves = neuron()
    e = (2 * n).exp()
    o = (e - 1) / (e + 1)
    order, seen = [], set()

    def build(v):
        if v not in seen:
            seen.add(v)
            for child in v._prev:
                build(child)
            order.append(v)

    build(o)
    o.grad = 1.0
    for node in reversed(order):
        node._backward()
    assert [round(v.grad, 6) for v in leaves] == [-1.5, 1.0, 0.5, 0.0]


def test_training_with_builtin_sum_and_numbers():
    random.seed(0)
    weights = [Value(random.uniform(-1, 1)) for _ in range(4)]
    xs, ys = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0]], [1.0, -1.0, -1.0]
    losses = []
    for _ in range(200):
        outs = [sum((w * x for w, x in zip(weights, row)), weights[3]).tanh() for row in xs]  # noqa: B905
        loss = sum((out - y) ** 2 for y, out in zip(ys, outs))  # noqa: B905
        for p in weights:
            p.grad = 0.0
        loss.backward()
        for p in weights:
            p.data += -0.1 * p.grad
        losses.append(loss.data)
    assert losses[-1] < 0.1 * losses[0] and all(math.isfinite(v) for v in losses)
