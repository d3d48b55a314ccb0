"""One network, many threads: predictions are right side by side, and training is one thread's."""

import threading
import time

import numpy as np
import pytest
from support.threads import run_all

import micrograd as mg

SECONDS = 0.8


pytestmark = pytest.mark.usefixtures("eager_switches")


def network(loss="cross_entropy"):
    blocks = mg.Residual(mg.Linear(16, 16), mg.Map(lambda z: z * z.sigmoid()))
    return mg.Network(mg.Linear(8, 16), mg.GELU(), blocks, mg.Linear(16, 3), loss=loss, seed=0)


def rows(count, seed=0):
    rng = np.random.default_rng([seed, count])
    return rng.normal(size=(count, 8)).astype(np.float32), rng.integers(0, 3, count)


def repeat(function):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        function()


def test_predict_and_evaluate_are_right_from_any_number_of_threads():
    net = network()
    reader = net.freeze() if hasattr(net, "freeze") else net.predict
    jobs = []
    for count in (1, 7, 64, 200, 777):
        X, y = rows(count)
        wanted, score = net.predict(X), net.evaluate(X, y)

        def predict(X=X, wanted=wanted):
            assert np.array_equal(net.predict(X), wanted)
            assert np.array_equal(reader(X), wanted)

        def evaluate(X=X, y=y, score=score):
            assert net.evaluate(X, y) == score

        jobs += [predict, evaluate]
    run_all(*(lambda job=job: repeat(job) for job in jobs[:8]))


def test_a_loss_that_is_a_function_takes_targets_of_any_width_in_any_thread():
    def loss(z, y):
        target = y if not isinstance(y, list) else y[0] + y[1]
        return (z[0] - target) ** 2

    net = mg.Network(mg.Linear(8, 2), loss=loss, dtype="float64", seed=0)
    X = rows(50)[0].astype(float)
    z = net.predict(X)[:, 0]
    one, two = np.ones(50), np.full((50, 2), 1.5)
    wanted = ((z - 1) ** 2).mean(), ((z - 3) ** 2).mean()

    def check(y, value):
        assert net.evaluate(X, y)[0] == pytest.approx(value, rel=1e-12)

    run_all(
        *(lambda: repeat(lambda: check(one, wanted[0])) for _ in range(2)),
        *(lambda: repeat(lambda: check(two, wanted[1])) for _ in range(2)),
    )


def test_predictions_beside_training_are_those_of_some_step():
    """All weights move together: a step leaves the rows of the first layer equal, or it is torn."""
    net = mg.Network(mg.Linear(4, 256, bias=False), loss="mse", dtype="float64", seed=0)
    net.parameters().flat = np.zeros(1024)
    X, y = np.ones((8, 4)), np.full((8, 256), 1.0)
    optimizer = mg.optim.SGD(net.parameters(), lr=1.0)

    def train():
        repeat(lambda: net.fit(X, y, epochs=3, batch_size=8, optimizer=optimizer, progress=False))

    def predict():
        out = net.predict(X[:1])
        assert (out == out[0, 0]).all()

    run_all(train, *(lambda: repeat(predict) for _ in range(3)))


@pytest.mark.thread_unsafe(reason="beside many more threads its own may never meet")
def test_training_by_two_threads_is_an_error_and_corrupts_nothing():
    net = network()
    X, y = rows(64)
    net.loss(X, y)
    net.backward()
    gradient = net.parameters().flat_grad.copy()
    refused, passed = [], []
    private = threading.Lock()

    def train():
        try:
            with private:
                net.zero_grad()
                net.loss(X, y)
                net.backward()
                passed.append(np.array_equal(net.parameters().flat_grad, gradient))
            net.loss(X, y)
            net.backward()
        except RuntimeError as error:
            refused.append(str(error))

    run_all(*(lambda: repeat(train) for _ in range(3)))
    assert refused
    assert all("thread" in text or "no cached" in text for text in refused)
    net.zero_grad()
    net.loss(X, y)
    net.backward()
    assert np.array_equal(net.parameters().flat_grad, gradient)


def test_while_one_thread_fits_others_cannot_train_but_can_predict():
    net = network()
    X, y = rows(64)
    inside, leave = threading.Event(), threading.Event()

    def callback(state):
        net.loss(X, y)  # the thread that fits may
        net.predict(X)
        inside.set()
        leave.wait(60)

    thread = threading.Thread(
        target=lambda: net.fit(X, y, epochs=1, callbacks=callback, progress=False)
    )
    thread.start()
    assert inside.wait(60)
    try:
        net.predict(X)
        net.evaluate(X, y)
        net.explain(X, y)
        for train in (
            lambda: net.loss(X, y),
            net.backward,
            lambda: net.forward(X),
            lambda: net.fit(X, y, epochs=1, progress=False),
        ):
            with pytest.raises(RuntimeError, match="another thread is training this model"):
                train()
    finally:
        leave.set()
        thread.join(60)
    net.loss(X, y)
    net.backward()


def test_a_pass_belongs_to_the_thread_that_made_it():
    net = network()
    X, y = rows(8)
    net.loss(X, y)
    run_all(lambda: net.loss(X, y))
    with pytest.raises(RuntimeError, match="another thread's"):
        net.backward()
