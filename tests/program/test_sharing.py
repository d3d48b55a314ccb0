"""Programs shared by threads, copied, pickled and sent to other processes."""

import copy
import multiprocessing
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import micrograd as mg
from micrograd.nn import MLP

SLOPE = mg.Value(1.5, label="slope")


def line(x, y):
    return (SLOPE * x - y) ** 2


def hidden(x):
    return mg.sum([v.tanh() * SLOPE for v in x]) if isinstance(x, list) else x * SLOPE


def mlp_program(dtype="float64"):
    mlp = MLP(2, [6, 1])
    return mg.compile(lambda x, y: (mlp(x) - y) ** 2, dtype=dtype)


def batch(rows, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 2)), rng.normal(size=rows)


# ------------------------------------------------------------------ threads


@pytest.mark.parametrize("threads_inside", [1, 2])
def test_calls_from_many_threads_are_those_of_one(threads_inside):
    before = mg.get_num_threads()
    mg.set_num_threads(threads_inside)
    try:
        program = mlp_program()
        sizes = [1, 7, 700, 64, 20_000, 3]
        batches = [batch(rows, seed) for seed, rows in enumerate(sizes)]
        want = [program(*b).tobytes() for b in batches]
        start = threading.Barrier(6)

        def work(seed):
            start.wait()
            order = np.random.default_rng(seed).integers(len(sizes), size=60)
            return all(program(*batches[i]).tobytes() == want[i] for i in order)

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(work, range(6)))
    finally:
        mg.set_num_threads(before)


def test_a_first_recording_from_many_threads_is_one():
    mlp = MLP(2, [6, 1])
    program = mg.compile(lambda x, y: (mlp(x) - y) ** 2)
    X, y = batch(5, 0)
    start = threading.Barrier(6)

    def work(_):
        start.wait()
        return program(X, y).tobytes()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(work, range(6)))) == 1
    assert len(program.parameters()) == len(mlp.parameters()) == len(program.leaves)


def test_a_call_leaves_a_pending_loss_alone():
    program = mlp_program()
    (X, y), (other, z) = batch(40, 0), batch(9000, 1)
    program.loss(X, y)
    program.backward()
    want = program.parameters().flat_grad.copy()
    program.zero_grad()
    program.loss(X, y)
    program(other, z)
    program.evaluate(X, y)
    program.backward()
    assert program.parameters().flat_grad.tobytes() == want.tobytes()


def test_training_from_two_threads_at_once_is_refused():
    program = mlp_program()
    X, y = batch(40, 0)
    program.loss(X, y)
    with ThreadPoolExecutor(1) as pool:
        access = program.record(X, y).parameters().access
        with access.training("here"):
            for attempt in (
                lambda: program.loss(X, y),
                program.backward,
                program.zero_grad,
                program.write_back,
                program.reload,
                lambda: program.fit(X, y, epochs=1),
            ):
                with pytest.raises(RuntimeError, match=r"Program\.\w+: another thread"):
                    pool.submit(attempt).result()
            assert pool.submit(lambda: program(X, y)).result().shape == (40,)
            program.backward()  # this thread's
        pool.submit(lambda: program.loss(X, y)).result()
        with pytest.raises(RuntimeError, match=r"the last loss.. was another thread's"):
            program.backward()
        pool.submit(program.backward).result()


def test_losses_in_threads_are_right_or_refused():
    program = mlp_program()
    batches = [batch(rows, rows) for rows in (5, 50, 3000)]
    want = [program.loss(*b) for b in batches]
    start = threading.Barrier(4)

    def work(seed):
        start.wait()
        refused = 0
        for i in np.random.default_rng(seed).integers(3, size=100):
            try:
                assert program.loss(*batches[i]) == want[i]
            except RuntimeError as error:
                assert "another thread" in str(error)
                refused += 1
        return refused

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) < 400
    program.loss(*batches[0])
    program.backward()


# ------------------------------------------------------------------ copies


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_has_parameters_of_its_own(copied):
    program = mlp_program()
    X, y = batch(30, 0)
    loss = program.loss(X, y)
    program.backward()
    program.optimizer = None
    other = copied(program)
    assert other.loss(X, y) == loss
    assert other.parameters().flat_grad.tobytes() == program.parameters().flat_grad.tobytes()
    other.parameters().flat[:] = 0.0
    assert program.loss(X, y) == loss != other.loss(X, y)
    assert other(X[:, :1].repeat(2, axis=1), y).shape == (30,)  # recorded shapes and the function
    with pytest.raises(RuntimeError, match="no loss to go back from"):
        copied(program).backward()


def round_trip(program):
    return pickle.loads(pickle.dumps(program))


def test_a_pickle_brings_recordings_gradients_and_dtype():
    program = mlp_program("float32")
    X, y = batch(30, 0)
    loss = program.loss(X, y)
    program.backward()
    other = round_trip(program)
    assert other.dtype == "float32" and other.loss(X, y) == loss
    assert [p.name for p in other.parameters()] == [p.name for p in program.parameters()]
    assert other.parameters().flat_grad.tobytes() == program.parameters().flat_grad.tobytes()
    with pytest.raises(mg.RecordingError, match=r"unpickled without its function '.*lambda"):
        other(np.ones((3, 3)), y[:3])
    assert str(other).splitlines()[1:] == str(program).splitlines()[1:]


def test_kept_numbers_and_parameters_are_one_object_after_a_pickle():
    program = mlp_program()
    X, y = batch(30, 0)
    program.loss(X, y)
    parameter = program.parameters()[2]
    other, parameters, alone = pickle.loads(
        pickle.dumps((program, program.parameters(), parameter))
    )
    assert other.parameters() is parameters and alone.name == parameter.name
    alone.data[...] = 7.0
    assert parameters.flat[2] == 7.0
    zeroed = program.parameters()
    zeroed.zero_grad()
    assert not round_trip(program).parameters().flat_grad.any()


def test_a_function_found_by_its_name_goes_on_recording():
    program = mg.compile(hidden)
    program(np.ones((2, 3)))
    program.parameters().flat[:] = 2.0
    other = round_trip(program)
    assert other(np.ones((2, 3))).tobytes() == program(np.ones((2, 3))).tobytes()
    assert other(np.ones(2)).tolist() == [2.0, 2.0]  # a new shape, with its own parameter
    other.write_back()
    assert SLOPE.data == 2.0 and other.leaves == [SLOPE]
    SLOPE.data = 1.5


def test_a_program_of_an_object_brings_the_object():
    program = mg.compile(MLP(2, [3, 1]))
    program(np.ones((2, 2)))
    other = round_trip(program)
    other.parameters().flat[:] = 1.0
    other.write_back()
    assert {p.data for p in other.function.parameters()} == {1.0}
    assert {p.data for p in program.function.parameters()} != {1.0}


def test_nothing_recorded_yet():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(mg.compile(lambda x: x))
    assert round_trip(mg.compile(line))(np.ones(1), np.ones(1)).tolist() == [0.25]
    assert copy.deepcopy(mg.compile(lambda x: x * 2))(np.ones(1)).tolist() == [2.0]


def call(program, X, y):
    return program(X, y).tobytes()


def test_process_pools_and_joblib():
    program = mlp_program()
    X, y = batch(50, 0)
    want = program(X, y).tobytes()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(program.__call__, X, y).result().tobytes() == want
    joblib = pytest.importorskip("joblib")
    threads = joblib.Parallel(n_jobs=2, backend="threading")
    assert set(threads(joblib.delayed(call)(program, X, y) for _ in range(8))) == {want}


# ------------------------------------------------------------------ what comes in and out


def test_calls_that_do_not_fit_say_so():
    program = mg.compile(lambda x: x * SLOPE)
    for number in (np.array(1.0), 1.0, np.float64(1.0)):
        with pytest.raises(ValueError, match=r"Program: argument 0 is a number; an array"):
            program(number)
    with pytest.raises(mg.RecordingError, match="the function returns an empty tuple"):
        mg.compile(lambda x: ())(np.ones(1))
    with pytest.raises(mg.RecordingError, match="a list that is empty or ragged"):
        mg.compile(lambda x: [])(np.ones(1))


def test_a_first_call_that_fails_settles_nothing():
    a, b = mg.Value(1.0, label="a"), mg.Value(2.0, label="b")
    program = mg.compile(lambda x: (a * x, ()) if isinstance(x, mg.Value) else a * x[0] + b)
    with pytest.raises(mg.RecordingError):
        program(np.ones(1))
    with pytest.raises(RuntimeError, match="they are known once"):
        program.parameters()
    assert program(np.ones((1, 1))).tolist() == [3.0] and len(program.parameters()) == 2


def test_two_hundred_deep():
    def nested(x):
        for _ in range(200):
            x = mg.where(x > 0.0, x * 1.01, x)
        return x

    X = np.array([1.0, -1.0])
    assert mg.compile(nested)(X).tolist() == pytest.approx([1.01**200, -1.0])
    slope = mg.compile(lambda x: mg.grad(nested(x), x)[0])
    assert slope(X).tolist() == pytest.approx([1.01**200, 1.0])

    def lists(x):
        for _ in range(200):
            x = [x]
        return x

    with pytest.raises(mg.RecordingError, match="lists nested 200 deep; an array has room for 30"):
        mg.compile(lists)(X)
