"""Orders of rows, drawn in C: numpy's own shuffle, and what it leaves of the generator."""

import threading

import numpy as np
import pytest

from micrograd import core
from micrograd.data import batches
from micrograd.data.batching import orders
from tests.support.processes import run_python

KINDS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
SIZES = [*range(70), 255, 256, 257, 511, 512, 513, 1797, 4095, 4096, 4097, 65535, 65536, 65537]


def generator(kind="PCG64", seed=3):
    return np.random.Generator(getattr(np.random, kind)(seed))


def shuffled(rng, rows):
    order = np.arange(rows)
    rng.shuffle(order)
    return order


def state(rng):
    return repr(rng.bit_generator.state)


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_is_that_of_numpy_and_so_is_the_generator_after_it(kind):
    own, numpys = generator(kind), generator(kind)
    for rows in SIZES:  # an odd number of draws leaves half of a random number behind
        drawn = core.draw_orders([core.Drawing(own, rows)])[0]
        np.testing.assert_array_equal(drawn, [shuffled(numpys, rows)], err_msg=str(rows))
        assert state(own) == state(numpys), rows
    assert own.random() == numpys.random()


@pytest.mark.parametrize("threads", [1, 3])
def test_many_orders_at_once_are_those_of_each_generator(threads):
    wanted = [(1797, 9), (0, 2), (6400, 3), (1, 1), (5, 0), (150, 40)]
    own = [core.Drawing(generator(seed=i), *w) for i, w in enumerate(wanted)]
    for (rows, count), drawing, drawn in zip(
        wanted, own, core.draw_orders(own, threads), strict=True
    ):
        assert drawn.shape == (count, rows)
        numpys = generator(seed=drawing.rng.bit_generator.seed_seq.entropy)
        expected = [shuffled(numpys, rows) for _ in range(count)]
        np.testing.assert_array_equal(drawn, np.reshape(expected, (count, rows)))
        assert state(drawing.rng) == state(numpys)
    assert core.draw_orders([]) == []


def test_threads_that_draw_from_one_generator_draw_one_after_the_other():
    rng, numpys, drawn = generator(), generator(), []

    def draw():
        for _ in range(20):
            drawn.append(core.draw_orders([core.Drawing(rng, 3000)])[0][0].tobytes())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drawn) == sorted(shuffled(numpys, 3000).tobytes() for _ in range(80))


CROSSED = """
import threading
import numpy as np
from micrograd import core

one, other = np.random.default_rng(0), np.random.default_rng(1)
met, drawn = threading.Barrier(2), []

class Lock:
    # A generator's lock; who has taken a first one waits until the other has one too, if it can.
    def __init__(self, lock):
        self.lock = lock

    def __enter__(self):
        self.lock.acquire()
        try:
            met.wait(0.5)
        except threading.BrokenBarrierError:
            pass

    def __exit__(self, *error):
        self.lock.release()

class Source:
    def __init__(self, rng):
        bits = rng.bit_generator
        self.capsule, self.lock = bits.capsule, Lock(bits.lock)

class Rng:
    def __init__(self, rng):
        self.bit_generator = Source(rng)

a, b = core.Drawing(Rng(one), 2000), core.Drawing(Rng(other), 3000)
def draw(drawings):
    drawn.append([order.shape for order in core.draw_orders(drawings)])

threads = [threading.Thread(target=draw, args=(pair,)) for pair in ([a, b], [b, a])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(drawn))
"""


def test_threads_that_draw_from_two_generators_in_either_order_do_not_wait_for_each_other():
    assert run_python(CROSSED).stdout == f"{[[(1, 2000), (1, 3000)], [(1, 3000), (1, 2000)]]}\n"


@pytest.mark.parametrize("threads", [1, 3])
def test_drawings_that_share_a_generator_draw_in_the_order_given(threads):
    own, numpys = generator(), generator()
    again = np.random.Generator(own.bit_generator)
    sizes = [20000, 7, 30000, 513]
    drawings = [core.Drawing(rng, n) for rng, n in zip([own, own, again, own], sizes, strict=True)]
    for rows, drawn in zip(sizes, core.draw_orders(drawings, threads), strict=True):
        np.testing.assert_array_equal(drawn, [shuffled(numpys, rows)])
    assert state(own) == state(numpys)


@pytest.mark.parametrize("rows", [130, 1300])
def test_batches_are_shuffled_as_ever(rows):
    own, numpys = generator(), generator()
    for _ in range(3):
        order = np.concatenate(list(batches(rows, 32, own)))
        np.testing.assert_array_equal(order, shuffled(numpys, rows))
    expected = np.concatenate([shuffled(numpys, rows), shuffled(numpys, rows)])
    np.testing.assert_array_equal(orders(rows, 2, own), expected)
    assert orders(3, 2, None).tolist() == [0, 1, 2, 0, 1, 2]


def test_a_generator_that_shuffles_in_a_way_of_its_own_is_asked_to():
    class Backwards(np.random.Generator):
        def shuffle(self, x, axis=0):
            x[:] = x[::-1].copy()

    own = Backwards(np.random.PCG64(0))
    for n in (5, 5000):
        assert np.concatenate(list(batches(n, 3, own))).tolist() == list(range(n))[::-1]


def test_more_rows_than_the_bits_are_drawn_for_are_refused():
    with pytest.raises(
        ValueError, match=r"draw_orders: 4294967296 rows, wanted fewer than 2\*\*32"
    ):
        core.draw_orders([core.Drawing(generator(), 1 << 32, 0)])


@pytest.mark.parametrize(("rows", "epochs"), [(-1, 1), (3, -1), (-1, -1)])
def test_fewer_rows_or_epochs_than_none_are_refused(rows, epochs):
    text = f"draw_orders: {rows} rows and {epochs} epochs, wanted 0 or more"
    with pytest.raises(ValueError, match=text):
        core.draw_orders([core.Drawing(generator(), 5), core.Drawing(generator(), rows, epochs)])
