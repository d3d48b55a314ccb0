"""Eight threads over every kind of object that threads share, sizes changing all the time.

Two seconds by default; MICROGRAD_STRESS=60 runs for that many, and prints how many calls of each
kind were checked (pytest -s).
"""

import collections
import os
import random
import time
from functools import partial

import numpy as np
import pytest
from support.threads import run_all

import micrograd as mg
from micrograd.nn import MLP

SECONDS = float(os.environ.get("MICROGRAD_STRESS", "2"))
THREADS = 8
SIZES = (1, 2, 7, 64, 200, 777, 3000)


pytestmark = pytest.mark.usefixtures("eager_switches")


def rows(count):
    rng = np.random.default_rng(count)
    return rng.normal(size=(count, 8)).astype(np.float32), rng.integers(0, 3, count)


def network(seed=0, **options):
    blocks = mg.Residual(mg.Linear(16, 16), mg.Map(lambda z: z * z.sigmoid()))
    body = [mg.Linear(8, 16), mg.GELU(), blocks, mg.Dropout(0.1), mg.Linear(16, 3)]
    return mg.Network(*body, seed=seed, **options)


def same(found, wanted):
    if isinstance(wanted, np.ndarray):
        return found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()
    return found == wanted


def readers():
    """(kind, size, call, answer): what may be called from any number of threads at once."""
    net = network()
    own_loss = network(loss=lambda z, y: (z[0] - y) ** 2)
    predictor = net.freeze()
    mlp = MLP(8, [6, 1])
    program = mg.compile(lambda x, y: (mlp(x) - y) ** 2)
    compiled = mg.compile(lambda x: mg.sum([v.tanh() for v in x]))
    calls = []
    for count in SIZES:
        X, y = rows(count)
        wide, real = X.astype(float), y.astype(float)
        calls += [
            ("predict", lambda X=X: net.predict(X)),
            ("predict_proba", lambda X=X: net.predict_proba(X)),
            ("evaluate", lambda X=X, y=y: net.evaluate(X, y)),
            ("own loss", lambda X=X, y=real: own_loss.evaluate(X, y)),
            ("Predictor", lambda X=X: predictor(X)),
            ("Predictor.classify", lambda X=X: predictor.classify(X)),
            ("Program", lambda X=wide, y=real: program(X, y)),
            ("Program.evaluate", lambda X=wide, y=real: program.evaluate(X, y)),
            ("compiled", lambda X=wide: compiled(X)),
        ]
    return calls + estimators()


def estimators():
    pytest.importorskip("sklearn")
    from micrograd.sklearn import MLPClassifier, MLPRegressor

    X, y = rows(200)
    with pytest.warns(match="not converged"):
        classifier = MLPClassifier(hidden_layer_sizes=(16,), max_iter=5).fit(X, y)
        regressor = MLPRegressor(hidden_layer_sizes=(16,), max_iter=5).fit(X, y)
    calls = []
    for count in SIZES:
        Z = rows(count)[0]
        calls += [
            ("MLPClassifier.predict_proba", lambda Z=Z: classifier.predict_proba(Z)),
            ("MLPRegressor.predict", lambda Z=Z: regressor.predict(Z)),
        ]
    return calls


def trainers():
    """What one thread at a time may do: right, or refused with an error that says so."""
    shared = network(seed=1)
    mlp = MLP(8, [6, 1])
    program = mg.compile(lambda x, y: (mlp(x) - y) ** 2)
    program.loss(rows(7)[0].astype(float), np.zeros(7))
    still, calls = mg.optim.SGD(shared.parameters(), lr=0.0), []
    for count in SIZES[:5]:
        X, y = rows(count)
        wide, real = X.astype(float), y.astype(float)

        def fit(X=X, y=y):
            shared.fit(X, y, epochs=1, optimizer=still, progress=False)

        calls += [
            ("loss", lambda X=X, y=y: shared.loss(X, y)),
            ("backward", shared.backward),
            ("fit", fit),
            ("Program.loss", lambda X=wide, y=real: program.loss(X, y)),
            ("Program.backward", program.backward),
        ]
    return shared, calls


def alone(seed):
    """One thread trains a network of its own: the bits of having been alone."""
    net = network(seed=seed)
    X, y = rows(200)
    net.fit(X, y, epochs=2, batch_size=32, seed=seed, progress=False)
    return net.parameters().flat.copy()


def test_no_wrong_answer_and_no_crash():
    reads = [(kind, call, call()) for kind, call in readers()]
    shared, trains = trainers()
    weights = shared.parameters().flat.copy()
    own = {seed: alone(seed) for seed in range(THREADS)}
    end, done, wrong = time.monotonic() + SECONDS, collections.Counter(), []

    def work(seed):
        choose = random.Random(seed)
        while time.monotonic() < end:
            kind, call, answer = choose.choice(reads)
            found = call()
            done[kind] += 1
            if not same(found, answer):
                wrong.append(kind)
            kind, call = choose.choice(trains)
            try:
                call()
                done[kind] += 1
            except RuntimeError as error:
                done[f"{kind} refused"] += 1
                if not any(w in str(error) for w in ("another thread", "no cached", "loss(")):
                    wrong.append(f"{kind}: {error}")
            if choose.random() < 0.05:
                done["a network of its own"] += 1
                if not same(alone(seed), own[seed]):
                    wrong.append("a network of its own")

    run_all(*(partial(work, seed) for seed in range(THREADS)), patience=SECONDS + 60)
    print("\n".join(f"{count:9} {kind}" for kind, count in sorted(done.items())))
    assert collections.Counter(wrong) == {}
    assert same(shared.parameters().flat, weights)  # every step was one of size 0
