"""What the blocks are: sizes, groups, what is refused.  What they compute: test_deep.py."""

import pytest

import micrograd as mg


def test_sizes():
    block = mg.DenseBlock(mg.Linear(4, 3), mg.ReLU(), mg.Linear(7, 2))
    assert block.takes == 4 and block.gives(4) == 4 + 3 + 2
    assert mg.Residual(mg.Linear(8, 4), projection=True).gives(8) == 4
    assert mg.Residual(mg.ReLU()).takes is None and mg.Residual(mg.ReLU()).gives(5) == 5
    nested = mg.Highway(mg.DenseBlock(mg.Linear(4, 4), mg.Tanh()), mg.Linear(8, 4))
    assert nested.takes == 4 and nested.gives(4) == 4
    assert nested.extra()["gate"] == mg.Linear(4, 4, init="xavier")


def test_a_layer_without_a_size_belongs_to_the_one_before_it():
    first, second = mg.Linear(4, 3), mg.Linear(7, 2)
    block = mg.DenseBlock(mg.Tanh(), first, mg.ReLU(), mg.Dropout(0.1), second)
    assert block.groups() == [(mg.Tanh(), first, mg.ReLU(), mg.Dropout(0.1)), (second,)]


def test_blocks_are_data():
    assert mg.Residual(mg.Linear(3, 3)) == mg.Residual(mg.Linear(3, 3))
    assert mg.Highway(mg.Linear(3, 3)) != mg.Highway(mg.Linear(3, 3), gate_bias=-2.0)
    assert str(mg.Residual(mg.Linear(3, 2), projection=True)) == (
        "Residual(Linear(3, 2), projection=True)"
    )


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: mg.Residual(mg.Linear(8, 4)),
            ValueError,
            ["Linear(8, 4)", "8 features", "give 4"],
        ),
        (lambda: mg.Residual(mg.Linear(4, 3), mg.Linear(4, 4)), ValueError, ["layer 1", "give 3"]),
        (lambda: mg.Residual(mg.ReLU(), projection=True), ValueError, ["any number"]),
        (lambda: mg.Residual(), ValueError, ["no layers"]),
        (lambda: mg.Residual(mg.ReLU), TypeError, ["class ReLU", "ReLU()"]),
        (lambda: mg.Highway(mg.Linear(4, 3)), ValueError, ["Linear(4, 3)", "give as many"]),
        (lambda: mg.Highway(mg.ReLU()), ValueError, ["gate has no size"]),
        (lambda: mg.Highway(mg.Linear(4, 4), gate_bias="x"), TypeError, ["gate_bias", "'x'"]),
        (lambda: mg.Highway(mg.Linear(4, 4), gate_bias=float("nan")), ValueError, ["finite"]),
        (lambda: mg.DenseBlock(mg.Linear(4, 3), mg.Linear(5, 2)), ValueError, ["take 5", "7"]),
        (lambda: mg.DenseBlock(mg.ReLU()), ValueError, ["one Linear"]),
        (lambda: mg.DenseBlock(mg.Residual(mg.Linear(3, 3)), 5), TypeError, ["layer 1", "int 5"]),
        (lambda: mg.Dropout(1.0), ValueError, ["p is 1.0"]),
        (lambda: mg.Dropout("a"), TypeError, ["'a'"]),
    ],
)
def test_what_does_not_work_is_refused_at_construction(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)
