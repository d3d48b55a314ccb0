"""Weights laid out once: the same bits as weights that are read where they lie, for any rows."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.processes import run_python

import micrograd as mg
from micrograd import core


def check(dtype):
    rng = np.random.default_rng(0)
    for inputs, hidden, outputs in [(784, 128, 10), (33, 270, 7), (5, 64, 65), (1, 1, 1)]:
        net = mg.Network(
            mg.Linear(inputs, hidden), mg.Tanh(), mg.Linear(hidden, outputs), dtype=dtype, seed=0
        )
        X = rng.standard_normal((300, inputs)).astype(dtype)
        W1, b1, W2, b2 = (p.data.astype("f8") for p in net.parameters())
        exact = np.tanh(X.astype("f8") @ W1.T + b1) @ W2.T + b2
        predictor = net.freeze()
        for rows in (1, 2, 3, 4, 5, 8, 9, 168, 169, 300):
            found = predictor(X[:rows])
            assert found.tobytes() == net.predict(X[:rows]).tobytes(), (inputs, hidden, rows)
            tolerance = 20 * np.finfo(dtype).eps * max(inputs, hidden) ** 0.5
            np.testing.assert_allclose(found, exact[:rows], rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_for_any_number_of_rows(dtype):
    check(dtype)


@pytest.mark.parametrize("isa", core.supported_isas())
def test_on_every_instruction_set(isa):
    if isa == core.isa():
        pytest.skip("the test above ran on it")
    paths = f"import sys; sys.path[:0] = {sys.path!r}"
    code = f"import runpy; check = runpy.run_path({__file__!r})['check']"
    run_python(f"{paths}\n{code}\ncheck('float32'); check('float64')", MICROGRAD_ISA=isa)


def test_threads_share_one_copy_of_the_weights():
    net = mg.Network(mg.Linear(40, 70), mg.ReLU(), mg.Linear(70, 3), seed=0)
    X = np.random.default_rng(1).standard_normal((4, 40)).astype(np.float32)
    wanted, predictor = net.predict(X), net.freeze()
    net.parameters().flat[:] = np.nan
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: [predictor(X) for _ in range(50)], range(4)))
    assert all(np.array_equal(each, wanted) for some in found for each in some)
