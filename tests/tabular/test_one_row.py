"""One row of a frame becomes what it becomes among many, or the same error."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from micrograd.tabular import Schema  # noqa: E402

N = 80


def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "whole": rng.integers(0, 9, N),
            "small": rng.normal(size=N).astype(np.float32),
            "gaps": np.where(rng.random(N) < 0.2, np.nan, rng.normal(size=N)),
            "word": rng.choice(["S", "C", "Q"], N),
            "objects": np.array(rng.choice(["a", "b", None], N), dtype=object),
            "answer": rng.choice(["yes", "no"], N),
            "maybe": np.array(rng.choice(["yes", "no", None], N), dtype=object),
            "flag": rng.random(N) < 0.5,
            "kind": pd.Categorical(rng.choice(["u", "v", "w"], N)),
            "born": pd.to_datetime("1990-01-01") + pd.to_timedelta(rng.integers(0, 9000, N), "D"),
            "y": rng.normal(size=N),
        }
    )
    frame.loc[::9, "born"] = pd.NaT
    return frame


@pytest.fixture(scope="module")
def found():
    frame = table()
    return frame, Schema.infer(frame, "y")


def test_each_row_alone(found):
    frame, schema = found
    together = schema.transform(frame)
    whole = frame["gaps"].notna() & frame["born"].notna()
    assert 0 < whole.sum() < N
    for i in range(N):
        row = frame.iloc[[i]]
        np.testing.assert_array_equal(schema.transform(row)[0], together[i])
        if whole[i]:  # the short way, not the usual one
            assert schema._one_row(row) is not None
    np.testing.assert_array_equal(schema.transform(frame.head(0)), together[:0])


def test_of_another_order_with_a_column_more_and_built_by_hand(found):
    frame, schema = found
    together = schema.transform(frame)
    mixed = frame[frame.columns[::-1]].copy()
    mixed.insert(3, "more", "?")
    for i in (0, 5, 0, 7):  # one after the other, of both orders: what is remembered is of one
        for each in (frame.iloc[[i]], mixed.iloc[[i]]):
            np.testing.assert_array_equal(schema.transform(each)[0], together[i])
        by_hand = pd.DataFrame([frame.iloc[i].to_dict()])
        np.testing.assert_array_equal(schema.transform(by_hand)[0], together[i])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, "Int64", object])
def test_numbers_alone(dtype):
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 50, (40, 6))
    frame = pd.DataFrame(numbers, columns=list("abcdef"))
    frame["y"] = frame["a"] * 2.0
    schema = Schema.infer(frame, "y")
    together = schema.transform(frame)
    typed = frame.drop(columns="y").astype(dtype)
    for i in range(5):
        np.testing.assert_array_equal(schema.transform(typed.iloc[[i]])[0], together[i])


def test_gaps_in_numbers_alone():
    frame = pd.DataFrame(np.random.default_rng(2).normal(size=(40, 5)), columns=list("abcde"))
    frame.loc[::4, "b"] = np.nan
    frame.loc[1::4, "d"] = np.nan
    frame["y"] = 1.0 * np.arange(40)
    schema = Schema.infer(frame, "y")
    together = schema.transform(frame)
    inputs = frame.drop(columns="y")
    for i in range(8):
        assert schema._one_row(inputs.iloc[[i]]) is not None
        np.testing.assert_array_equal(schema.transform(inputs.iloc[[i]])[0], together[i])


def odd_word(frame):
    frame["answer"] = "perhaps"


def odd_number(frame):
    frame["whole"] = "many"


def infinite(frame):
    frame["small"] = np.inf


def without(frame):
    del frame["word"]


def twice(frame):
    frame.columns = ["gaps" if name == "small" else name for name in frame.columns]


@pytest.mark.parametrize("spoil", [odd_word, odd_number, infinite, without, twice])
def test_what_is_wrong_is_told_as_of_many_rows(found, spoil):
    frame, schema = found
    said = []
    for rows in (1, 30):
        part = frame.head(rows).copy()
        spoil(part)
        with pytest.raises(ValueError) as error:
            schema.transform(part)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_names_that_are_equal_as_numbers_are_not_mixed_up():
    frame = pd.DataFrame(np.random.default_rng(3).normal(size=(30, 3)), columns=[0, 1, "y"])
    schema = Schema.infer(frame, "y")
    schema.transform(frame.iloc[[0]])
    other = frame.rename(columns={0: 0.0, 1: 1.0})
    with pytest.raises(ValueError, match="no column '0'"):
        schema.transform(other.iloc[[0]])


def test_units_are_looked_at():
    frame = pd.DataFrame({"dose": [f"{i} mg" for i in range(30)], "y": 1.0 * np.arange(30)})
    schema = Schema.infer(frame, "y")
    row = pd.DataFrame({"dose": np.array([5], dtype=object)})
    with pytest.raises(ValueError, match="numbers with 'mg'"):
        schema.transform(row)


def test_threads_and_pickle(found):
    frame, schema = found
    together = schema.transform(frame)
    orders = [frame, frame[frame.columns[::-1]]]

    def one(i):
        return np.array_equal(schema.transform(orders[i % 2].iloc[[i % N]])[0], together[i % N])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(400)))
    again = pickle.loads(pickle.dumps(schema))
    np.testing.assert_array_equal(again.transform(frame.iloc[[3]])[0], together[3])
