"""Neuron, Layer and MLP: worked numbers, PyTorch, the drop-in promises."""

import random

import pytest

from micrograd.engine import Value, no_grad
from micrograd.nn import MLP, Layer, Module, Neuron


def test_neuron_by_hand():
    n = Neuron(2)
    n.w[0].data, n.w[1].data, n.b.data = 2.0, -1.0, 0.5
    x = [Value(3.0), Value(4.0)]
    y = n(x)
    assert y.data == 2.5 and y._op == "ReLU"
    y.backward()
    assert [p.grad for p in (*n.parameters(), *x)] == [3.0, 4.0, 1.0, 2.0, -1.0]
    assert n([0.0, 4.0]).data == 0.0
    n.nonlin = False
    assert n([0.0, 4.0]).data == -3.5
    n.zero_grad()
    assert [p.grad for p in n.parameters()] == [0.0, 0.0, 0.0]


def test_a_neuron_is_one_dot_and_one_relu():
    n = Neuron(3)
    x = [Value(1.0), Value(2.0), Value(3.0)]
    y = n(x)
    (z,) = y.parents
    assert (y.op, z.op, z.parents) == ("relu", "dot", (*n.w, *x, n.b))


def test_same_draws_same_printed_form_as_karpathy():
    random.seed(1337)
    model = MLP(2, [3, 1])
    random.seed(1337)
    want = []
    for fan_in, fan_out in ((2, 3), (3, 1)):
        for _ in range(fan_out):
            want += [random.uniform(-1, 1) for _ in range(fan_in)] + [0.0]
    assert [p.data for p in model.parameters()] == want
    assert repr(model) == (
        "MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2)], "
        "Layer of [LinearNeuron(3)]]"
    )
    assert [n.nonlin for layer in model.layers for n in layer.neurons] == [True] * 3 + [False]
    assert Module().parameters() == []


def test_outputs_and_accepted_inputs():
    random.seed(0)
    model, layer = MLP(2, [4, 1]), Layer(2, 3, nonlin=False)
    y = model([0.5, -1.0])
    assert isinstance(y, Value)
    assert isinstance(layer([1, 2]), list) and len(layer([1, 2])) == 3
    for x in ((0.5, -1.0), [Value(0.5), -1], iter([0.5, -1.0])):
        assert model(x).data == y.data
    np = pytest.importorskip("numpy")
    assert model(np.array([[0.5, -1.0]])[0]).data == y.data
    assert MLP(1, [1, 1, 2])(Value(0.3))[0].requires_grad  # a lone Value is a row of one
    with no_grad():
        assert not model([0.5, -1.0]).requires_grad


def test_errors_name_what_came():
    with pytest.raises(ValueError, match="Neuron: x has 3 features, this neuron takes 2"):
        MLP(2, [4, 1])([1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="'a' is a str"):
        Layer(2, 2)([1.0, "a"])
    with pytest.raises(TypeError, match="'a' is a str"):
        Neuron(2)([1.0, "a"])


def test_mlp_agrees_with_torch():
    torch = pytest.importorskip("torch")
    random.seed(5)
    model = MLP(3, [5, 4, 2])
    x = [0.3, -1.2, 0.8]
    a, b = model(x)
    loss = (a - 1) ** 2 + (b + 2) ** 2
    loss.backward()

    h = torch.tensor(x, dtype=torch.float64)
    leaves = []
    for layer in model.layers:
        w = torch.tensor([[p.data for p in n.w] for n in layer.neurons], dtype=torch.float64)
        bias = torch.tensor([n.b.data for n in layer.neurons], dtype=torch.float64)
        leaves += [(w.requires_grad_(), bias.requires_grad_())]
        h = w @ h + bias
        h = h if layer is model.layers[-1] else h.relu()
    expected = ((h - torch.tensor([1.0, -2.0])) ** 2).sum()
    expected.backward()
    assert loss.data == pytest.approx(expected.item(), rel=1e-13)
    for layer, (w, bias) in zip(model.layers, leaves, strict=True):
        for n, row, db in zip(layer.neurons, w.grad.tolist(), bias.grad.tolist(), strict=True):
            assert [p.grad for p in n.parameters()] == pytest.approx([*row, db], rel=1e-12)
