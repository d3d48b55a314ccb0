"""Any order of calls, errors in between, beside a network written in numpy: parameters, gradients,
predictions and the optimizer agree after every call, and a call that raises changes nothing."""

import copy
import os
import pickle
import tempfile

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import micrograd as mg

FEATURES, HIDDEN, OUT = 3, 5, 2
SIZES = [(HIDDEN, FEATURES), (HIDDEN,), (OUT, HIDDEN), (OUT,)]
ROWS = st.integers(1, 9)
BATCHES = st.integers(0, 2**20)
CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def batch(seed, rows):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, FEATURES)), rng.normal(size=(rows, OUT))


class Model:
    """What the network has to be: tanh between two linear layers, mean squared error, momentum."""

    def __init__(self, parameters):
        self.w = [np.array(p.data) for p in parameters]
        self.g = [np.zeros(size) for size in SIZES]
        self.velocity = [np.zeros(size) for size in SIZES]
        self.pending = None

    def predict(self, x):
        w1, b1, w2, b2 = self.w
        return np.tanh(x @ w1.T + b1) @ w2.T + b2

    def loss(self, x, y):
        w1, b1, w2, b2 = self.w
        a = np.tanh(x @ w1.T + b1)
        error = a @ w2.T + b2 - y
        self.pending = x, a, 2 * error / error.size
        return (error**2).mean()

    def backward(self):
        """With the activations of the loss and the weights of now."""
        x, a, delta = self.pending
        inner = (delta @ self.w[2]) * (1 - a * a)
        for g, more in zip(
            self.g, (inner.T @ x, inner.sum(0), delta.T @ a, delta.sum(0)), strict=True
        ):
            g += more
        self.pending = None

    def step(self, lr, momentum):
        for w, g, v in zip(self.w, self.g, self.velocity, strict=True):
            v[...] = momentum * v + g
            w -= lr * v

    def zero_grad(self):
        self.g = [np.zeros(size) for size in SIZES]

    def norm(self):
        return np.sqrt(sum((g**2).sum() for g in self.g))


class AnyOrder(RuleBasedStateMachine):
    lr, momentum = 0.05, 0.9

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed):
        layers = mg.Linear(FEATURES, HIDDEN), mg.Tanh(), mg.Linear(HIDDEN, OUT)
        self.net = mg.Network(*layers, loss="mse", dtype="float64", seed=seed)
        self.optimizer = self.made_for(self.net)
        self.model = Model(self.net.parameters())
        self.left_behind = []  # what was frozen, copied or loaded, and what it has to stay

    def made_for(self, net):
        return mg.optim.SGD(net.parameters(), lr=self.lr, momentum=self.momentum)

    # ---- what works ----

    @rule(seed=BATCHES, rows=ROWS)
    def loss(self, seed, rows):
        x, y = batch(seed, rows)
        assert self.net.loss(x, y) == pytest.approx(self.model.loss(x, y), rel=1e-9)

    @precondition(lambda self: self.model.pending is not None)
    @rule()
    def backward(self):
        self.net.backward()
        self.model.backward()

    @rule()
    def step(self):
        self.optimizer.step()
        self.model.step(self.lr, self.momentum)

    @rule()
    def zero_grad(self):
        self.optimizer.zero_grad()
        self.model.zero_grad()

    @rule(most=st.floats(0.01, 3))
    def clip_norm(self, most):
        norm = mg.clip_grad_norm_(self.net.parameters(), most)
        assert norm == pytest.approx(self.model.norm(), rel=1e-9, abs=1e-300)
        if most / (norm + 1e-6) < 1:
            for g in self.model.g:
                g *= most / (norm + 1e-6)

    @rule(bound=st.floats(0.01, 1))
    def clip_value(self, bound):
        mg.clip_grad_value_(self.net.parameters(), bound)
        self.model.g = [np.clip(g, -bound, bound) for g in self.model.g]

    @rule(seed=BATCHES, rows=ROWS)
    def predict(self, seed, rows):
        x, _ = batch(seed, rows)
        np.testing.assert_allclose(self.net.predict(x), self.model.predict(x), **CLOSE)

    @rule(which=st.integers(0, 3), seed=BATCHES)
    def assign(self, which, seed):
        values = np.random.default_rng(seed).normal(size=SIZES[which])
        self.net.parameters()[which].data = values
        self.model.w[which] = values.copy()

    @rule(seed=BATCHES, rows=st.integers(2, 9), size=st.integers(1, 4))
    def fit(self, seed, rows, size):
        x, y = batch(seed, rows)
        self.net.fit(x, y, batch_size=size, epochs=1, optimizer=self.optimizer, shuffle=False,
                     progress=False)  # fmt: skip
        for i in range(0, rows, size):
            self.model.zero_grad()
            self.model.loss(x[i : i + size], y[i : i + size])
            self.model.backward()
            self.model.step(self.lr, self.momentum)
        self.zero_grad()

    # ---- others that must not be touched by what comes ----

    def leave(self, predict):
        x, _ = batch(1, 4)
        self.left_behind.append((predict, x, self.model.predict(x)))

    @rule()
    def freeze(self):
        self.leave(self.net.freeze())

    @rule(way=st.sampled_from([copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))]))
    def go_on_with_a_copy(self, way):
        self.leave(self.net.predict)
        self.net, self.optimizer = way((self.net, self.optimizer))
        assert self.optimizer.owner is self.net.parameters()
        self.model.pending = None  # a pass is not copied

    @rule()
    def go_on_with_a_file(self):
        pytest.importorskip("safetensors")
        self.leave(self.net.predict)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "m.safetensors")
            self.net.optimizer = self.optimizer
            self.net.save(path)
            self.net = mg.load(path)
        self.optimizer = self.net.optimizer
        self.model.pending = None
        self.model.zero_grad()

    # ---- what is refused, and changes nothing ----

    @precondition(lambda self: self.model.pending is None)
    @rule()
    def backward_without_a_loss(self):
        with pytest.raises(RuntimeError, match=r"Network\.backward: no cached forward pass"):
            self.net.backward()

    @rule(what=st.sampled_from(["features", "rows", "NaN", "text", "weight", "infinite target"]))
    def bad_rows(self, what):
        x, y = batch(3, 4)
        weight = None
        if what == "features":
            x = x[:, :2]
        elif what == "rows":
            y = y[:3]
        elif what == "NaN":
            x[2, 1] = np.nan
        elif what == "text":
            x = np.full(x.shape, "1")
        elif what == "weight":
            weight = -np.ones(4)
        else:
            y[0, 0] = np.inf
        with pytest.raises((ValueError, TypeError), match=r"Network\.loss: "):
            self.net.loss(x, y, sample_weight=weight)
        with pytest.raises((ValueError, TypeError), match=r"Network\.fit: "):
            self.net.fit(x, y, sample_weight=weight, optimizer=self.optimizer, progress=False)

    @rule()
    def bad_settings(self):
        parameters = self.net.parameters()
        for call in (
            lambda: mg.clip_grad_norm_(parameters, -1.0),
            lambda: mg.clip_grad_value_(parameters, float("nan")),
            lambda: mg.optim.SGD(parameters, lr=-1),
            lambda: setattr(parameters[0], "data", np.zeros(3)),
            lambda: self.optimizer.load_state_dict({"steps": -1}),
        ):
            with pytest.raises((ValueError, TypeError, KeyError)):
                call()

    @rule()
    def bad_files(self):
        pytest.importorskip("safetensors")
        with tempfile.TemporaryDirectory() as folder:
            with pytest.raises(OSError):
                self.net.save(os.path.join(folder, "nowhere", "m"))
            broken = os.path.join(folder, "broken")
            with open(broken, "wb") as file:
                file.write(b'\x08\0\0\0\0\0\0\0{"a": 1}')
            with pytest.raises(ValueError, match="broken"):
                mg.load(broken)
            assert os.listdir(folder) == ["broken"]

    # ---- what holds after each of them ----

    @invariant()
    def parameters_and_gradients_agree(self):
        for p, w, g in zip(self.net.parameters(), self.model.w, self.model.g, strict=True):
            np.testing.assert_allclose(p.data, w, **CLOSE, err_msg=p.name)
            np.testing.assert_allclose(p.grad, g, **CLOSE, err_msg=p.name)

    @invariant()
    def the_optimizer_agrees(self):
        velocity = np.concatenate([v.ravel() for v in self.model.velocity])
        np.testing.assert_allclose(self.optimizer.state_dict()["velocity"], velocity, **CLOSE)

    @invariant()
    def nothing_else_has_changed(self):
        for predict, x, wanted in self.left_behind:
            np.testing.assert_allclose(predict(x), wanted, **CLOSE)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
