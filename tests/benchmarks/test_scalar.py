"""The scalar engine: the moons function eager and compiled, and a long program.

`micrograd bench --scalar` puts them beside others and prints the ratios.
"""

import numpy as np
import pytest

import micrograd as mg
from micrograd.bench.scalar.contenders import find
from micrograd.bench.scalar.report import mixed_function

MOONS = ["slots and tuples", "micrograd, op by op", "micrograd.nn", "mg.compile, SGD step"]


@pytest.mark.parametrize("name", MOONS)
def test_moons(benchmark, name):
    contender = find(name)
    loss, gradients = contender.outcome()
    wanted_loss, wanted = find("closures and sets").outcome()
    assert abs(loss - wanted_loss) < 1e-12
    np.testing.assert_allclose(gradients, wanted, rtol=0, atol=1e-12)
    benchmark(contender.step)


@pytest.mark.parametrize("count", [1000, 50_000])
def test_compiling(benchmark, count):
    function, x = mixed_function(count), np.zeros((1, 2))
    benchmark.pedantic(lambda: mg.compile(function).record(x), rounds=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1000, 50_000])
def test_running_forward_and_backward(benchmark, count, dtype):
    program = mg.compile(mixed_function(count), dtype)
    x = np.random.default_rng(0).normal(size=(256, 2)).astype(dtype)
    assert program.loss(x) == pytest.approx(float(program(x).mean()), rel=1e-4)
    benchmark(program.loss, x)
    benchmark.extra_info["ops"] = count * len(x)
