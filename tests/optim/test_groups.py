"""Parameter groups: any subset of a model's parameters, a setting for each, beside torch.optim."""

import copy
import pickle

import numpy as np
import pytest
from support.bits import same_bits
from support.twin import torch_loss, torch_twin

import micrograd as mg
from micrograd import optim, schedule
from micrograd.optim import LBFGS, SGD, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop

X = np.random.default_rng(1).normal(size=(30, 3))
Y = np.random.default_rng(2).normal(size=(30, 2))


@pytest.fixture(autouse=True)
def double():
    """torch keeps NAdam's product of momenta in the default dtype, whatever the parameters have."""
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def network(dtype="float64", loss="mse"):
    layers = mg.Linear(3, 7), mg.Tanh(), mg.Linear(7, 5), mg.Tanh(), mg.Linear(5, 2)
    return mg.Network(*layers, loss=loss, dtype=dtype, seed=0)


def grouped(parameters, **second):
    """The hidden weights, and the last layer; the first bias is in neither."""
    p = list(parameters)
    return [{"params": [p[0], p[2], p[3]]}, {"params": p[4:], **second}]


def step(net, optimizer):
    optimizer.zero_grad()
    loss = net.loss(X, Y)
    net.backward()
    optimizer.step()
    return loss


METHODS = [
    (SGD, {"lr": 0.1, "momentum": 0.9}, {"lr": 0.01, "weight_decay": 0.1}),
    (SGD, {"lr": 0.1}, {"momentum": 0.9, "nesterov": True}),
    (RMSprop, {"weight_decay": 0.1}, {"lr": 0.001, "alpha": 0.5, "momentum": 0.5}),
    (Adagrad, {"lr_decay": 0.1}, {"lr": 0.1, "lr_decay": 0.0, "eps": 1e-3}),
    (Adam, {"weight_decay": 0.1}, {"lr": 0.01, "betas": (0.5, 0.9), "weight_decay": 0.0}),
    (AdamW, {}, {"lr": 0.01, "weight_decay": 0.0}),
    (Adamax, {}, {"lr": 0.01, "betas": (0.5, 0.9)}),
    (NAdam, {}, {"lr": 0.01, "betas": (0.5, 0.9), "momentum_decay": 0.1}),
    (RAdam, {}, {"lr": 0.01, "betas": (0.5, 0.9), "decoupled_weight_decay": True,
                 "weight_decay": 0.2}),
]  # fmt: skip
every_method = pytest.mark.parametrize(("kind", "settings", "own"), METHODS)


@every_method
def test_groups_beside_torch(kind, settings, own):
    torch = pytest.importorskip("torch")
    net = network()
    twin = torch_twin(net)
    settings = {"lr": 0.01} | settings
    theirs = getattr(torch.optim, kind.__name__)(
        grouped(twin.parameters(), **own), foreach=False, **settings
    )
    ours = kind(grouped(net.parameters(), **own), **settings)
    for _ in range(30):
        theirs.zero_grad()
        loss = torch_loss(net, twin, X, Y)
        loss.backward()
        theirs.step()
        assert step(net, ours) == pytest.approx(loss.item(), rel=1e-9)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, atol=1e-12)
    assert same_bits(net.parameters()[1].data, network().parameters()[1].data)  # in no group


@every_method
@pytest.mark.parametrize("accumulate", [1, 3])
def test_fit_with_groups(kind, settings, own, accumulate):
    """The fused step against the single calls."""
    one, two = network(), network()
    settings = {"lr": 0.01} | settings
    fused = kind(grouped(one.parameters(), **own), **settings)
    single = kind(grouped(two.parameters(), **own), **settings)
    one.fit(X, Y, epochs=4, batch_size=30 // accumulate, optimizer=fused, shuffle=False,
            accumulate=accumulate, progress=False)  # fmt: skip
    for _ in range(4):
        step(two, single)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-9, atol=1e-12)
    assert same_bits(one.parameters()[1].data, network().parameters()[1].data)


@every_method
def test_values_in_groups(kind, settings, own):
    """A list of Values against a network's parameters with the same gradients."""
    net, settings = network(), {"lr": 0.01} | settings
    flat = kind(grouped(net.parameters(), **own), **settings)
    rows = [[mg.Value(x) for x in p.data.ravel()] for p in net.parameters()]
    groups = [{"params": [*rows[0], *rows[2], *rows[3]]}, {"params": rows[4] + rows[5], **own}]
    scalar = kind(groups, **settings)
    rng = np.random.default_rng(3)
    for _ in range(12):
        net.parameters().flat_grad[:] = g = rng.normal(size=net.parameters().size)
        for value, x in zip([v for row in rows for v in row], g.tolist(), strict=True):
            value.grad = x
        flat.step()
        scalar.step()
    found = [v.data for row in rows for v in row]
    np.testing.assert_allclose(found, net.parameters().flat, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_frozen_layer_stays(kind):
    """Whatever is left out keeps its bits, and counts in no norm and no penalty."""
    net, parts = network(), network()
    chosen = [p for p in net.parameters() if not p.name.startswith("2.")]
    optimizer = kind(chosen, lr=0.05)
    net.fit(X, Y, epochs=3, optimizer=optimizer, l2=0.1, max_norm=0.5, clip_norm=0.3, seed=0)
    before = {p.name: p.data for p in parts.parameters()}
    for p in net.parameters():
        assert same_bits(p.data, before[p.name]) == p.name.startswith("2.")
    w = net.parameters()[0].data
    assert (np.linalg.norm(w, axis=1) <= 0.5 + 1e-9).all()
    assert (np.linalg.norm(net.parameters()[2].data, axis=1) > 0.5).any()


def test_the_norm_is_that_of_what_is_trained():
    net = network()
    norms = []

    class Norms:
        def on_step(self, state):
            norms.append(state.gradient_norm)

    optimizer = SGD(list(net.parameters())[4:], lr=0.0)
    net.fit(X, Y, epochs=1, batch_size=30, optimizer=optimizer, callbacks=Norms(), seed=0)
    net.zero_grad()
    net.loss(X, Y)
    net.backward()
    want = np.sqrt(sum((p.grad**2).sum() for p in list(net.parameters())[4:]))
    assert norms == [pytest.approx(want, rel=1e-12)]
    assert mg.clip_grad_norm_(list(net.parameters())[4:], np.inf) == pytest.approx(want, rel=1e-12)


def test_all_parameters_as_a_list_are_all_parameters():
    one, two = network(), network()
    for net, params in ((one, one.parameters()), (two, list(two.parameters()))):
        net.fit(X, Y, epochs=3, optimizer=Adam(params, lr=0.01), clip_norm=1, l2=0.1, seed=0)
    assert same_bits(one.parameters().flat, two.parameters().flat)


def test_two_optimizers_share_a_model():
    one, two = network(), network()
    p = list(two.parameters())
    whole, first, second = SGD(one.parameters(), 0.1), SGD(p[:3], 0.1), SGD(p[3:], 0.1)
    for _ in range(3):
        step(one, whole)
        first.zero_grad()
        second.zero_grad()
        two.loss(X, Y)
        two.backward()
        first.step()
        second.step()
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-13)


# ---- param_groups ----


def test_param_groups_are_read_and_written():
    net = network()
    optimizer = SGD(grouped(net.parameters(), lr=0.5), lr=0.1, momentum=0.9)
    first, second = optimizer.param_groups
    assert (first["lr"], second["lr"], optimizer.lr) == (0.1, 0.5, 0.1)
    assert [p.name for p in second["params"]] == ["4.weight", "4.bias"]
    optimizer.lr = 0.2  # followed by those that have none of their own
    assert (first["lr"], second["lr"]) == (0.2, 0.5)
    second["lr"] *= 0.1
    second["momentum"] = np.float32(0.5)
    assert (first["lr"], second["lr"], optimizer.momentum) == (0.2, pytest.approx(0.05), 0.9)
    assert set(first) == {"params", "lr", "lr_factor", "momentum", "nesterov", "weight_decay",
                          "dampening", "maximize"}  # fmt: skip
    with pytest.raises(KeyError, match="has no setting 'beta'"):
        second["beta"] = 1
    with pytest.raises(ValueError, match=r"SGD\.param_groups: lr is -1"):
        second["lr"] = -1
    assert second["lr"] == pytest.approx(0.05)


def test_one_group_is_the_optimizer_itself():
    net = network()
    optimizer = Adam(net.parameters(), lr=0.1)
    (group,) = optimizer.param_groups
    group["lr"], group["betas"] = 0.3, (0.5, 0.6)
    assert (optimizer.lr, optimizer.betas) == (0.3, (0.5, 0.6))
    assert len(group["params"]) == len(net.parameters())


def test_a_learning_rate_per_slice_follows_the_schedule():
    one, two = network(), network()
    p, q = list(one.parameters()), list(two.parameters())
    cosine = schedule.Cosine(0.1, 10)
    factors = [{"params": p[:2], "lr_factor": 0.1}, {"params": p[2:4]},
               {"params": p[4:], "lr_factor": 3.0}]  # fmt: skip
    schedules = [{"params": q[:2], "lr": 0.1 * cosine}, {"params": q[2:4], "lr": cosine},
                 {"params": q[4:], "lr": 3.0 * cosine}]  # fmt: skip
    for net, groups in ((one, factors), (two, schedules)):
        net.fit(X, Y, epochs=3, batch_size=10, optimizer=AdamW(groups, lr=cosine), seed=0)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-12)
    flat = network()
    flat.fit(X, Y, epochs=3, batch_size=10, optimizer=AdamW(flat.parameters(), lr=cosine), seed=0)
    assert not np.allclose(one.parameters().flat, flat.parameters().flat)


def test_weight_decay_and_momentum_follow_schedules():
    """Beside torch, whose settings are changed by hand before each step."""
    torch = pytest.importorskip("torch")
    net = network()
    twin = torch_twin(net)
    decay, momentum = schedule.Linear(0.0, 0.5, 10), schedule.Linear(0.95, 0.85, 10)
    theirs = torch.optim.AdamW(twin.parameters(), lr=0.01)
    ours = AdamW(net.parameters(), lr=0.01, weight_decay=decay, betas=(momentum, 0.999))
    sgd = SGD(net.parameters(), lr=0.01, momentum=momentum)
    for t in range(15):
        theirs.param_groups[0].update(weight_decay=decay(t), betas=(momentum(t), 0.999))
        theirs.zero_grad()
        torch_loss(net, twin, X, Y).backward()
        theirs.step()
        step(net, ours)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, atol=1e-12)
    assert ours.weight_decay is decay and ours.betas == (momentum, 0.999)
    assert "velocity" in sgd.state


# ---- refusals, at construction ----


def refused():
    one, two = network(), network()
    p = list(one.parameters())
    value = mg.Value(1.0)
    return {
        "an empty list": ([], ValueError, "params is empty"),
        "an empty group": ([{"params": []}], ValueError, "group 0 is empty"),
        "no params": ([{"lr": 0.1}], ValueError, 'group 0 has no "params"'),
        "twice": ([p[0], p[1], p[0]], ValueError, "0.weight is there twice"),
        "in two groups": ([{"params": p[:2]}, {"params": p[1:]}], ValueError, "there twice"),
        "a Value twice": ([value, value], ValueError, "there twice"),
        "two models": ([p[0], two.parameters()[1]], ValueError, "of two models"),
        "mixed": ([p[0], value], ValueError, "of two models"),
        "groups and parameters": ([{"params": p[:1]}, p[2]], TypeError, "mixes groups"),
        "numbers": ([1.0, 2.0], TypeError, "params is neither"),
        "a number": (5, TypeError, "params is neither"),
        "a model": (one, TypeError, "params is neither"),
        "an unknown setting": ([{"params": p, "learning_rate": 1}], ValueError, "learning_rate"),
        "a setting out of range": ([{"params": p, "lr": -1}], ValueError, "lr is -1"),
    }


@pytest.mark.parametrize("name", refused())
@pytest.mark.parametrize("kind", [SGD, Adam, LBFGS])
def test_what_is_refused_when_it_is_made(name, kind):
    params, error, message = refused()[name]
    if kind is LBFGS and "setting" in name:
        message = "give no groups"
    with pytest.raises(error, match=message):
        kind(params, **({} if kind is LBFGS else {"lr": 0.1}))


def test_functions_refuse_the_same():
    for name in ("an empty list", "twice", "two models", "numbers", "a number"):
        params, error, message = refused()[name]
        for call in (
            lambda p: mg.clip_grad_norm_(p, 1.0),
            lambda p: mg.clip_grad_value_(p, 1.0),
            lambda p: optim.constraints.apply_penalties(p, 1.0),
        ):
            with pytest.raises(error, match=message):
                call(params)


def test_iterators_are_gone_through_once():
    net = network()
    optimizer = SGD((p for p in net.parameters() if p.data.ndim == 2), lr=0.1)
    assert len(optimizer.items) == 3
    with pytest.raises(ValueError, match="params is empty"):
        SGD(iter([]), lr=0.1)


# ---- kept ----


@every_method
def test_pickle_and_deepcopy_of_values(kind, settings, own):
    """With arrays of its own: going on with one changes nothing in the other."""
    values = [mg.Value(float(i)) for i in range(4)]
    optimizer = kind([{"params": values[:2]}, {"params": values[2:], **own}],
                     **({"lr": 0.01} | settings))  # fmt: skip
    for t in range(3):
        for v in values:
            v.grad = v.data + t
        optimizer.step()
    copied = copy.copy(optimizer)  # the same Values, its own state
    state = copied.state_dict()
    optimizer.step()
    assert copied.steps == 3 and copied.items[0] is values[0]
    for name, array in state.items():
        assert np.array_equal(copied.state_dict()[name], array)
    assert copied.param_groups[1].own_settings() == optimizer.param_groups[1].own_settings()


def test_groups_are_saved_and_come_back(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "m"
    one, two = network(), network()
    cosine = schedule.Cosine(0.1, 40)
    groups = grouped(one.parameters(), lr_factor=0.5, weight_decay=0.0)
    optimizer = NAdam(groups, lr=cosine, weight_decay=schedule.Constant(0.01))
    one.fit(X, Y, epochs=2, optimizer=optimizer, seed=0)
    one.save(path)
    two = mg.load(path)
    assert [g.own_settings() for g in two.optimizer.param_groups] == [
        {}, {"lr_factor": 0.5, "weight_decay": 0.0},
    ]  # fmt: skip
    for net in (one, two):
        net.fit(X, Y, epochs=2, optimizer=net.optimizer, seed=1)
    assert same_bits(one.parameters().flat, two.parameters().flat)
    assert same_bits(one.parameters()[1].data, network().parameters()[1].data)


# ---- torch's habits ----


def test_step_calls_the_closure_and_returns_its_loss():
    one, two = network(), network()
    first, second = Adam(one.parameters(), lr=0.1), Adam(two.parameters(), lr=0.1)

    def closure():
        first.zero_grad(set_to_none=True)
        loss = one.loss(X, Y)
        one.backward()
        return loss

    for _ in range(3):
        assert first.step(closure) == step(two, second)
    assert same_bits(one.parameters().flat, two.parameters().flat)
    assert second.step() is None


def test_nesterov_wants_momentum_and_no_dampening():
    for settings in ({}, {"momentum": 0.9, "dampening": 0.1}):
        with pytest.raises(ValueError, match="nesterov wants a momentum"):
            SGD([mg.Value(1.0)], lr=0.1, nesterov=True, **settings)


def test_hints_for_names_that_others_use():
    for name, hint in (("learning_rate", "lr is what"), ("momentun", "momentum is what"),
                       ("foo", "there are params, lr")):  # fmt: skip
        with pytest.raises(TypeError, match=rf"^SGD: there is no argument '{name}'; {hint}"):
            SGD([mg.Value(1.0)], **{"lr": 0.1, name: 1})


def test_pickle_of_values_needs_no_arrays():
    optimizer = pickle.loads(pickle.dumps(Adam([1.0 * mg.Value(2.0)], lr=0.1)))
    assert optimizer.lr == 0.1
