"""Data: the embedded digits, IDX and MNIST files, splits and minibatches."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from micrograd import data

# ------------------------------------------------------------------------------- embedded digits


def test_digits_shapes_types_and_range():
    X, y = data.digits()
    assert X.shape == (1797, 64) and X.dtype == np.float32 and X.flags.c_contiguous
    assert y.shape == (1797,) and y.dtype == np.int64
    assert X.min() == 0.0 and X.max() == 1.0
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_checksum():
    X, y = data.digits()
    content = (X * 16).astype(np.uint8).tobytes() + y.astype(np.uint8).tobytes()
    assert (
        hashlib.sha256(content).hexdigest()
        == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    )


def test_digits_equal_scikit_learn():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    X, y = data.digits()
    np.testing.assert_array_equal(X * 16, theirs.data)
    np.testing.assert_array_equal(y, theirs.target)


def test_digits_first_image_reads_as_zero():
    X, y = data.digits()
    rows = (X[0].reshape(8, 8) * 16).astype(int)
    assert y[0] == 0
    assert rows[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert rows[4].tolist() == [0, 5, 8, 0, 0, 9, 8, 0]


def test_digits_are_new_arrays_each_time():
    X, y = data.digits()
    X[:], y[:] = -1, -1
    X_again, y_again = data.digits()
    assert X_again.min() == 0 and y_again.min() == 0


def test_digits_come_small_and_with_their_attribution():
    folder = Path(data.__file__).parent
    assert (folder / "digits.idx.gz").stat().st_size < 60_000
    attribution = (folder / "digits.md").read_text(encoding="utf-8")
    for needed in ("Alpaydin", "Kaynak", "CC BY 4.0", "10.24432/C50P49"):
        assert needed in attribution


def test_import_loads_neither_csv_nor_gzip():
    code = "import sys, micrograd.data; print({'csv', 'gzip', 'sklearn'} & set(sys.modules))"
    path = os.pathsep.join(sys.path)
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert run.stdout.strip() == "set()"


@given(st.integers(0, 50), st.integers(1, 60), st.none() | st.integers(0, 10))
def test_batches_hold_every_row_once(n, batch_size, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    found = list(data.batches(n, batch_size, rng))
    assert [len(rows) for rows in found[:-1]] == [batch_size] * (len(found) - 1)
    assert all(rows.dtype == np.int64 and 1 <= len(rows) <= batch_size for rows in found)
    assert sorted(np.concatenate([[], *found])) == list(range(n))


def test_batches_order():
    assert [rows.tolist() for rows in data.batches(5, 2)] == [[0, 1], [2, 3], [4]]
    first, second = (
        [rows.tolist() for rows in data.batches(50, 20, np.random.default_rng(3))] for _ in "ab"
    )
    assert first == second and first[0] != list(range(20))
    rng = np.random.default_rng(3)
    assert [rows.tolist() for rows in data.batches(50, 20, rng)] == first
    assert [rows.tolist() for rows in data.batches(50, 20, rng)] != first


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ((-1, 2), ValueError, "n is -1"),
        ((5, 0), ValueError, "batch_size is 0"),
        ((5, 2.0), TypeError, "integer"),
        ((5, 2, 0), TypeError, "rng is 0, wanted None or a numpy Generator"),
    ],
)
def test_batches_wrong_arguments_raise_at_the_call(arguments, error, complaint):
    with pytest.raises(error, match=complaint):
        data.batches(*arguments)


split_labels = hnp.arrays(np.int64, st.integers(2, 60), elements=st.integers(-2, 3))


@given(split_labels, st.floats(0.01, 0.99), st.integers(0, 5))
def test_split_keeps_every_row_once_with_its_label(y, fraction, seed):
    n = len(y)
    X = np.stack([np.arange(n), y], axis=1)
    X_train, X_test, y_train, y_test = data.train_test_split(X, y, fraction, seed)
    assert len(X_test) == min(max(round(n * fraction), 1), n - 1)
    assert sorted([*X_train[:, 0], *X_test[:, 0]]) == list(range(n))
    np.testing.assert_array_equal(X_train[:, 1], y_train)
    np.testing.assert_array_equal(X_test[:, 1], y_test)


@given(split_labels, st.floats(0.01, 0.99), st.integers(0, 5))
def test_split_is_stratified(y, fraction, seed):
    _, _, _, y_test = data.train_test_split(y, y, fraction, seed)
    for label in set(y.tolist()):
        share = np.sum(y == label) * len(y_test) / len(y)
        assert abs(np.sum(y_test == label) - share) <= 1


def test_split_of_digits_is_stratified_and_seeded():
    X, y = data.digits()
    X_train, X_test, _, y_test = data.train_test_split(X, y)
    assert X_train.shape == (1438, 64) and X_test.shape == (359, 64)
    np.testing.assert_allclose(np.bincount(y_test), np.bincount(y) * 359 / 1797, atol=1)
    again = data.train_test_split(X, y, 0.2, 0)
    np.testing.assert_array_equal(again[3], y_test)
    other = data.train_test_split(X, y, 0.2, 1)
    assert (other[3] != y_test).any()


def test_split_spares_the_last_row_of_a_class():
    y = np.array([0] * 9 + [1])
    for seed in range(20):
        _, _, y_train, _ = data.train_test_split(y, y, 0.5, seed)
        assert 1 in y_train


def test_split_of_all_different_integers_is_random():
    """Whole-number regression targets are classes of one row each: any of them may be held out."""
    y = np.arange(10)
    held_out = {int(v) for seed in range(50) for v in data.train_test_split(y, y, 0.2, seed)[3]}
    assert held_out == set(range(10))


def test_split_of_floats_and_rows_is_plain():
    y = np.linspace(0, 1, 20)
    _, _, y_train, y_test = data.train_test_split(np.arange(20), y, 0.25)
    assert len(y_test) == 5 and sorted([*y_train, *y_test]) == y.tolist()
    one_hot = np.eye(4)
    X_train, _, y_train, _ = data.train_test_split(np.arange(4), one_hot, 0.5)
    np.testing.assert_array_equal(y_train, one_hot[X_train])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (([1, 2], [1]), r"X has shape \(2,\) and y \(1,\)"),
        ((1, 1), r"X has shape \(\) and y \(\)"),
        (([1], [1]), "1 row.s., wanted at least 2"),
        (([1, 2], [1, 2], 0.0), "test_fraction is 0.0"),
        (([1, 2], [1, 2], 1), "test_fraction is 1"),
        (([1, 2], [1, 2], float("nan")), "test_fraction is nan"),
    ],
)
def test_split_wrong_arguments(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        data.train_test_split(*arguments)
