"""PyTorch modules of the same layers, names and numbers, both ways."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from support.every_network import assert_close, batch, every_kind, filled, float32_loses, networks

import micrograd as mg

torch = pytest.importorskip("torch")
nn = torch.nn
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}


def output(module, X):
    with torch.no_grad():
        return module(torch.from_numpy(X)).numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_to_torch_computes_the_same_for_every_kind(dtype):
    net = every_kind(dtype)
    module, X = mg.convert.to_torch(net), batch(net, 40)
    assert_close(output(module, X), net.predict(X), TOLERANCE[dtype])
    assert not module.training
    assert {str(p.dtype) for p in module.parameters()} == {f"torch.{dtype}"}
    state = module.state_dict()
    assert sorted(state) == sorted(p.name for p in net.parameters())
    for p in net.parameters():
        assert np.array_equal(state[p.name].numpy(), p.data)
    state["1.weight"].fill_(7)  # a copy
    assert not (net.parameters()[0].data == 7).any()


def check_to_torch(net):
    module, X = mg.convert.to_torch(net), batch(net, 9)
    tolerance = 2e-6 + 8 * float32_loses(net, X) if net.dtype == "float32" else 1e-12
    assert_close(output(module, X), net.predict(X), tolerance)
    return module, X


@settings(deadline=None, max_examples=60)
@given(networks())
def test_random_networks(net):
    check_to_torch(net)


@settings(deadline=None, max_examples=60)
@given(networks(maps=False))
def test_there_and_back_again(net):
    module, X = check_to_torch(net)
    again = mg.convert.from_torch(module, loss=net.loss_name)
    assert repr(again).replace("gate_bias=-1", "") == repr(net).replace("gate_bias=-1", "")
    assert np.array_equal(again.parameters().flat, net.parameters().flat)
    assert np.array_equal(again.predict(X), net.predict(X))


def test_a_learned_number_that_several_maps_share():
    slope = mg.Value(0.25, label="slope")
    leaky = mg.Map(lambda x: mg.maximum(x, x * slope))
    net = filled(mg.Linear(3, 4), leaky, mg.Linear(4, 4), mg.Residual(leaky), mg.Map(lambda x: -x),
                 mg.Linear(4, 2), loss="mse", dtype="float64")  # fmt: skip
    module, X = mg.convert.to_torch(net), batch(net, 7)
    Y = np.ones((7, 2))
    assert [name for name, _ in module.named_parameters()].count("slope") == 1
    for each in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        net.zero_grad()
        loss = net.loss(X, Y)
        net.backward()
        found = nn.functional.mse_loss(each(torch.from_numpy(X)), torch.from_numpy(Y))
        found.backward()
        assert found.item() == pytest.approx(loss, rel=1e-12)
        gradients = {name: p.grad.numpy() for name, p in each.named_parameters()}
        for p in net.parameters():
            assert gradients[p.name] == pytest.approx(p.grad, rel=1e-10, abs=1e-13)
    with pytest.raises(TypeError, match=r"module 1 Map\(<lambda>\) has no counterpart"):
        mg.convert.from_torch(module)


def test_a_loss_of_ones_own_does_not_come_along():
    scale = mg.Value(2.0, label="scale")
    net = filled(mg.Linear(3, 2), loss=lambda z, y: mg.sum(z) * scale - mg.sum(y))
    module, X = mg.convert.to_torch(net), batch(net, 4)
    assert sorted(module.state_dict()) == ["0.bias", "0.weight"]
    assert_close(output(module, X), net.predict(X), 1e-6)


@pytest.mark.parametrize("label", ["a.b", "training"])
def test_a_label_that_pytorch_cannot_take(label):
    slope = mg.Value(0.25, label=label)
    net = filled(mg.Linear(3, 4), mg.Map(lambda x: x * slope))
    with pytest.raises(ValueError, match=f"to_torch: the label '{label}' cannot name"):
        mg.convert.to_torch(net)


def test_gradients_of_the_module_are_those_of_the_network():
    net = filled(mg.Linear(4, 6), mg.GELU(), mg.Linear(6, 3), dtype="float64")
    X, y = batch(net, 12), np.arange(12) % 3
    net.loss(X, y)
    net.backward()
    module = mg.convert.to_torch(net)
    nn.functional.cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(y)).backward()
    for name, p in module.named_parameters():
        mine = next(q for q in net.parameters() if q.name == name)
        assert mine.grad == pytest.approx(p.grad.numpy(), rel=1e-11, abs=1e-14)


def test_a_module_with_blocks_is_copied_pickled_and_trained():
    net = every_kind("float64", loss="mse")
    module, X = mg.convert.to_torch(net), batch(net, 8)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert np.array_equal(output(other, X), output(module, X))
    module.train()
    assert not np.array_equal(output(module, X), output(module, X))  # Dropout
    module(torch.from_numpy(X)).sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_from_torch_takes_nested_sequentials_and_is_a_copy():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(3, 5), nn.Sequential(nn.LeakyReLU(0.3), nn.Identity())),
        nn.Sequential(),
        nn.Linear(5, 4, bias=False),
        nn.Softmax(dim=-1),
    ).double()
    net = mg.convert.from_torch(module, loss="mse", seed=5)
    assert [str(layer) for layer in net.layers] == [
        "Linear(3, 5)", "LeakyReLU(0.3)", "Identity()", "Linear(5, 4)", "Softmax()",
    ]  # fmt: skip
    assert (net.loss_name, net.dtype, net.seed) == ("mse", "float64", 5)
    X = batch(net, 6)
    before = net.predict(X)
    assert_close(output(module, X), before, 1e-14)
    with torch.no_grad():
        module[3].weight.fill_(0)
    assert np.array_equal(net.predict(X), before)
    assert mg.convert.from_torch(nn.Linear(2, 3)).in_features == 2


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3))), TypeError,
         r"module 1\.0 BatchNorm1d\(3.*no counterpart; Sequential.* Linear, ReLU"),
        (nn.Sequential(nn.Linear(2, 3), nn.GELU("tanh")), ValueError, r"module 1 GELU.*approx"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=0)), ValueError, r"module 1 Softmax"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3).double()), ValueError,
         r"parameters are float32 and float64"),
        (nn.Linear(2, 3).half(), ValueError, r"parameters are float16; all float32 or all float64"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(2, 3)), TypeError, r"module 0 Flatten"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(2, 3)), TypeError, "no counterpart"),
        (nn.Sequential(nn.ReLU()), ValueError, "no Linear"),
        (torch.zeros(3), TypeError, r"Tensor.* is no torch\.nn\.Module"),
    ],
)  # fmt: skip
def test_what_from_torch_refuses(module, error, message):
    with pytest.raises(error, match=message):
        mg.convert.from_torch(module)


def test_a_hook_is_no_part_of_a_network():
    module = nn.Sequential(nn.Linear(2, 3))
    module[0].register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match=r"module 0 Linear.*hooks"):
        mg.convert.from_torch(module)


def test_state_dicts_both_ways():
    net, other = every_kind(), every_kind("float64")
    other.parameters().flat[...] = 0
    module = mg.convert.to_torch(other)
    module.load_state_dict({k: v.double() for k, v in mg.convert.state_dict(net).items()})
    mg.convert.load_state_dict(other, module.state_dict())
    assert np.array_equal(other.parameters().flat, net.parameters().flat)
    mg.convert.state_dict(net)["1.weight"].fill_(7)  # a copy
    assert not (net.parameters().flat == 7).any()
    net.parameters().flat[...] = 0
    mg.convert.load_state_dict(net, {p.name: p.data.tolist() for p in other.parameters()})
    assert np.array_equal(other.parameters().flat, net.parameters().flat)
    half = {p.name: torch.full(p.shape, 0.5, dtype=torch.bfloat16) for p in net.parameters()}
    mg.convert.load_state_dict(net, half)
    assert (net.parameters().flat == 0.5).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("0.bias"), ValueError, r"the network misses 0\.bias$"),
        (lambda s: s.update({"9.weight": 0, "x": 1}), ValueError, r"has no place for 9\.weight, x"),
        (lambda s: s.clear(), ValueError, r"misses 0\.weight, 0\.bias, 2\.weight"),
        (lambda s: s.update({"2.weight": torch.zeros(3, 4)}), ValueError,
         r"2\.weight has shape \(3, 4\), the network's is \(3, 6\)"),
        (lambda s: s.update({"2.bias": "abc"}), TypeError, r"2\.bias is .*no array of numbers"),
        (lambda s: s.update({"2.bias": [[1], [1, 2]]}), TypeError, r"2\.bias is .*no array"),
    ],
)  # fmt: skip
def test_load_state_dict_is_strict_and_changes_nothing_on_errors(change, error, message):
    net = filled(mg.Linear(4, 6), mg.ReLU(), mg.Linear(6, 3))
    before = net.parameters().flat.copy()
    state = {name: torch.zeros_like(t) for name, t in mg.convert.state_dict(net).items()}
    change(state)
    with pytest.raises(error, match=message):
        mg.convert.load_state_dict(net, state)
    assert np.array_equal(net.parameters().flat, before)


def test_what_is_no_network():
    for function in (mg.convert.to_torch, mg.convert.state_dict):
        with pytest.raises(TypeError, match=f"{function.__name__}: .* is no Network"):
            function(nn.Linear(2, 3))
    with pytest.raises(TypeError, match="no mapping"):
        mg.convert.load_state_dict(every_kind(), [1])
