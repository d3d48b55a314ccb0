"""Point clouds: where their points lie, how many, and what is refused."""

import numpy as np
import pytest

from micrograd import data


@pytest.mark.parametrize("make", [data.moons, data.circles, data.spirals])
def test_points_are_balanced_shuffled_and_the_same_for_a_seed(make):
    X, y = make(101, seed=3)
    assert X.shape == (101, 2) and X.dtype == np.float32 and y.dtype == np.int64
    assert np.bincount(y).tolist() == [51, 50]
    assert 0 < np.abs(np.diff(y)).sum() < 100 and sorted(y) != y.tolist()
    again = make(101, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip((X, y), again, strict=True))
    assert not np.array_equal(X, make(101, seed=4)[0])


def test_moons_lie_on_half_circles():
    X, y = data.moons(300, noise=0)
    upper, lower = X[y == 0] - [-0.5, -0.25], X[y == 1] - [0.5, 0.25]
    for part, sign in ((upper, 1), (lower, -1)):
        np.testing.assert_allclose(np.hypot(*part.T), 1, atol=1e-6)
        assert (sign * part[:, 1] >= -1e-6).all()


def test_circles_have_their_radii():
    X, y = data.circles(300, noise=0)
    np.testing.assert_allclose(np.hypot(*X.T), np.where(y == 0, 1.0, 0.5), atol=1e-6)


@pytest.mark.parametrize("classes, turns", [(2, 1.5), (5, 0.75)])
def test_spirals_wind_around_the_origin(classes, turns):
    X, y = data.spirals(500, noise=0, classes=classes, turns=turns)
    radius = np.hypot(*X.T.astype(float))
    assert radius.max() <= 1 + 1e-6 and np.bincount(y).tolist() == [500 // classes] * classes
    wanted = 2 * np.pi * (turns * radius + y / classes)
    turned = np.arctan2(X[:, 1], X[:, 0]) - wanted
    np.testing.assert_allclose(np.cos(turned[radius > 0.05]), 1, atol=1e-4)


def test_noise_is_normal_with_its_deviation():
    still, noisy = data.circles(20_000, noise=0, seed=1)[0], data.circles(20_000, noise=0.2, seed=1)
    distance = np.hypot(*noisy[0].T) - np.where(noisy[1] == 0, 1.0, 0.5)
    assert still.shape == noisy[0].shape and abs(distance.std() - 0.2) < 0.02


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: data.moons(1), "moons: n is 1, 2 or more"),
        (lambda: data.moons(2.5), "moons: n is float 2.5, an integer"),
        (lambda: data.circles(10, noise=-1), "circles: noise is -1"),
        (lambda: data.circles(10, seed=-1), "circles: seed is int -1"),
        (lambda: data.spirals(10, classes=1), "spirals: classes is 1, 2 or more"),
        (lambda: data.spirals(3, classes=5), "spirals: n is 3, 5 or more"),
        (lambda: data.spirals(10, turns=0), "spirals: turns is 0"),
    ],
)
def test_what_does_not_fit_is_refused(call, said):
    with pytest.raises((TypeError, ValueError), match=said):
        call()
