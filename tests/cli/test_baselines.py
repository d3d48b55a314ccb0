"""The linear function that a model has to beat, beside numpy's own least squares."""

import tracemalloc

import numpy as np
import pytest

from micrograd.cli.baselines import least_squares


@pytest.mark.parametrize("shape", [(60, 5), (20, 70)])
def test_it_is_the_linear_function_with_the_smallest_squared_error(shape):
    rng = np.random.default_rng(0)
    X, Y, X_test = rng.normal(size=shape), rng.normal(size=(shape[0], 2)), rng.normal(size=shape)
    X += 3.0
    centre, mean = X.mean(axis=0), Y.mean(axis=0)
    W = np.linalg.lstsq(X - centre, Y - mean, rcond=1e-5)[0]
    assert least_squares(X, Y, X_test) == pytest.approx((X_test - centre) @ W + mean, abs=2e-3)


def test_columns_that_are_equal_or_constant_are_no_obstacle():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(30, 1))
    X = np.concatenate([a, a, np.ones((30, 1))], axis=1)
    assert least_squares(X, 2.0 * a + 1.0, X) == pytest.approx(2.0 * a + 1.0, abs=1e-4)
    assert least_squares(X[:, 2:], a, X[:, 2:]) == pytest.approx(np.full((30, 1), a.mean()))


def test_many_columns_of_few_rows_take_no_square_of_the_columns():
    X = np.random.default_rng(0).normal(size=(20, 5000))  # whose square is 200 MB
    tracemalloc.start()
    least_squares(X, X[:, :1], X)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20e6
