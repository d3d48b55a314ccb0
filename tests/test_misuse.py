"""What a slip is told: which argument, what came, what is wanted; and a "no" that is no yes."""

import numpy as np
import pytest

import micrograd as mg
from micrograd import Value, checks

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 4)), RNG.integers(0, 3, 20)


def network():
    return mg.Network(mg.Linear(4, 3), seed=0)


FLAGS = {
    "Linear: bias": lambda flag: mg.Linear(2, 2, bias=flag),
    "Residual: projection": lambda flag: mg.Residual(mg.Linear(2, 3), projection=flag),
    "EarlyStopping: restore_best": lambda flag: mg.EarlyStopping(restore_best=flag),
    "SGD: nesterov": lambda flag: mg.optim.SGD(network().parameters(), 0.1, 0.9, nesterov=flag),
    "SGD: maximize": lambda flag: mg.optim.SGD(network().parameters(), 0.1, maximize=flag),
    "AdamW: amsgrad": lambda flag: mg.optim.AdamW(network().parameters(), amsgrad=flag),
    "RMSprop: centered": lambda flag: mg.optim.RMSprop(network().parameters(), centered=flag),
    "Network.fit: shuffle": lambda flag: network().fit(X, Y, epochs=1, shuffle=flag),
    "Network.fit: progress": lambda flag: network().fit(X, Y, epochs=1, progress=flag),
    "clip_grad_norm_: error_if_nonfinite": lambda flag: mg.clip_grad_norm_(
        network().parameters(), 1.0, error_if_nonfinite=flag
    ),
}


@pytest.mark.parametrize("name", FLAGS)
def test_flags_are_true_or_false(name):
    """Each of these texts counted as true."""
    for text in ("no", "False", "", 2, 0.0, np.array([True, False])):
        with pytest.raises(TypeError, match=f"^{name} is .*, True or False is wanted"):
            FLAGS[name](text)
    for flag in (True, np.True_, 1, np.int64(1)):
        FLAGS[name](flag)


def test_a_flag_is_kept_as_a_bool():
    assert mg.Linear(2, 2, bias=np.False_).bias is False and mg.Linear(2, 2, bias=1).bias is True
    assert [checks.flag("f", "x", x) for x in (0, 1, np.int8(0))] == [False, True, False]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: mg.Network([mg.Linear(2, 2)]), r"layer 0 is list .* write Network\(\*layers\)"),
        (lambda: mg.Residual([mg.ReLU()]), r"write Residual\(\*layers\)"),
        (lambda: mg.Embedding(3), "Embedding: sizes is int 3, a number for each column of codes"),
        (lambda: mg.Embedding((3,), widths="ab"), "Embedding: widths is str 'ab'"),
        (lambda: mg.PiecewiseLinear(2), "PiecewiseLinear: edges is int 2, a list of rising"),
        (lambda: mg.PiecewiseLinear([1, 2]), "a row of edges is int 1, a list of rising"),
        (lambda: network().loss(X, Y * 1.0), r"use y\.astype\(int\)"),
        (lambda: network().loss(None, Y), "Network.loss: X is None, real numbers"),
        (lambda: network().predict({"a": 1}), r"Network.predict: X is dict \{'a': 1\}, real"),
        (lambda: network().fit(X), "Network.fit: y is None; integer labels"),
        (lambda: network().fit(X, Y, optimizer="adam"), r"such as Adam\(net\.parameters\(\)\)"),
        (
            lambda: network().fit(X, Y, optimizer=mg.optim.AdamW),
            r"such as AdamW\(net\.parameters\(\)\)",
        ),
        (
            lambda: mg.optim.SGD(network().parameters(), lr=mg.schedule.Cosine),
            r"SGD: lr is the class Cosine; write Cosine\(\.\.\.\)",
        ),
        (lambda: mg.sum(3), "sum: 3 is a int; want a list of Values"),
        (lambda: mg.softmax(Value(1.0)), r"softmax: Value\(.* is a Value; want a list"),
        (lambda: mg.grad(3, Value(1.0)), "grad: outputs: 3 is a int"),
        (lambda: mg.grad(Value(1.0) * 2, 3), "grad: inputs: 3 is a int"),
        (lambda: mg.nn.MLP(3, 4), r"MLP: nouts is int 4, a list of sizes"),
        (lambda: mg.nn.MLP("a", [4]), "Neuron: nin is str 'a', an integer"),
        (lambda: mg.nn.Layer(2, 0), "Layer: nout is 0, 1 or more"),
        (lambda: mg.nn.MLP(2, [1])(3), "Layer: x is int 3, a list of Values or numbers"),
        (lambda: mg.nn.MLP(2, [1])([1, "b"]), "Value: 'b' is a str"),
    ],
)
def test_what_came_and_what_to_do(call, complaint):
    with pytest.raises((TypeError, ValueError), match=complaint):
        call()


@pytest.mark.parametrize(("given", "error"), [(-1.0, ValueError), ("a", TypeError)])
def test_a_rate_that_a_function_gives_is_a_number_of_0_or_more(given, error):
    """A negative one went up the hill."""
    net = network()
    flat = net.parameters().flat.copy()
    optimizer = mg.optim.SGD(net.parameters(), lr=lambda step: given)
    with pytest.raises(error, match=r"optimizer: lr in step 0 is .* 0 or more, is wanted"):
        net.fit(X, Y, epochs=1, optimizer=optimizer, progress=False)
    np.testing.assert_array_equal(net.parameters().flat, flat)


@pytest.mark.parametrize(("name", "meant"), [("Relu", "ReLU"), ("Netwrok", "Network")])
def test_a_name_that_is_nearly_right(name, meant):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; did you mean '{meant}'"):
        getattr(mg, name)


def test_a_name_that_is_nothing():
    with pytest.raises(AttributeError, match=r"no attribute 'foo'$"):
        _ = mg.foo
    assert not hasattr(mg, "__wrapped__")
