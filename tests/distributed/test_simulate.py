"""The model of scaling, worked out by hand."""

import pytest

import micrograd as mg
from micrograd.distributed.simulate import all_reduce_seconds, layer_bytes, simulate

NET = mg.Network(mg.Linear(9, 4), mg.ReLU(), mg.Linear(4, 2))  # 40 and 10 parameters
FIGURES = {"batch": 100, "seconds_per_row": 1e-3, "latency": 1e-4, "bandwidth": 1e6}


def test_all_reduces_by_hand():
    ring, tree, doubling = "ring", "tree", "recursive_doubling"
    # 8 ranks, 800 bytes: 14 messages of 100 bytes; 6 of 800; 3 of 800; 6 ranks: 2 + 2 of 800
    assert all_reduce_seconds(800, 8, 1e-4, 1e6, ring) == pytest.approx(14 * 2e-4)
    assert all_reduce_seconds(800, 8, 1e-4, 1e6, tree) == pytest.approx(6 * 9e-4)
    assert all_reduce_seconds(800, 8, 1e-4, 1e6, doubling) == pytest.approx(3 * 9e-4)
    assert all_reduce_seconds(800, 6, 1e-4, 1e6, doubling) == pytest.approx(4 * 9e-4)
    assert all_reduce_seconds(800, 1, 1e-4, 1e6, ring) == 0


def test_a_step_in_one_piece():
    assert layer_bytes(NET) == [40, 160]
    one, two = simulate(NET, ranks=[1, 2], overlap=False, seconds_per_step=5e-3, **FIGURES)
    assert one.step == pytest.approx(0.105) and one.communication == 0 and one.speedup == 1
    assert two.step == pytest.approx(0.055 + 2 * (1e-4 + 100 / 1e6))
    assert two.throughput == pytest.approx(100 / two.step)
    assert two.efficiency == pytest.approx(0.105 / two.step / 2)


def test_pieces_hide_behind_the_layers_below():
    (two,) = simulate(NET, ranks=2, overlap=True, **FIGURES)
    last = 2 * (
        1e-4 + 80 / 1e6
    )  # only the first layer's gradient, which is done last, is waited for
    assert two.step == pytest.approx(0.05 + last) and two.exposed == pytest.approx(last)


def test_what_an_exchange_costs_beside_its_messages_is_paid_by_several_ranks():
    plain = simulate(NET, ranks=[1, 2, 4], overlap=False, **FIGURES)
    more = simulate(NET, ranks=[1, 2, 4], overlap=False, seconds_per_exchange=3e-3, **FIGURES)
    gained = [b.step - a.step for a, b in zip(plain, more, strict=True)]
    assert gained == pytest.approx([0, 3e-3, 3e-3])


def test_more_ranks_than_processors_take_turns():
    plain = simulate(NET, ranks=[1, 2, 4], overlap=False, **FIGURES)
    shared = simulate(NET, ranks=[1, 2, 4], overlap=False, cores=2, **FIGURES)
    assert [row.step for row in shared[:2]] == [row.step for row in plain[:2]]
    assert shared[2].compute == pytest.approx(2 * plain[2].compute) == pytest.approx(0.05)
    assert shared.stops_at == 2
    assert "more than 2 ranks take turns" in str(shared) and "turns" not in str(plain)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cores": 0}, "cores is 0, 1 or more"),
        ({"seconds_per_exchange": -1}, "seconds_per_exchange is -1"),
        ({"algorithm": "star"}, "algorithm is 'star', one of ring, tree"),
        ({"ranks": []}, "ranks is"),
    ],
)
def test_what_it_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        simulate(NET, **(FIGURES | settings))
