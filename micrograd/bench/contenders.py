"""Who is timed: one class for each way to do the same SGD step, all from the same weights.

Libraries are imported by the constructor, in a process that has been told its number of threads
before (`micrograd.bench.workers`); those of frameworks are in `micrograd.bench.frameworks`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import SupportsFloat

import numpy as np

from micrograd.bench.workloads import LEARNING_RATE, Problem, Weights, Workload, flat


class Contender(ABC):
    """One way to train.

    `step()` is one full step: gradients to zero, loss, backward, update. When it returns, the
    updated weights are there; float() of what it returns is the loss before the update.
    """

    module = "micrograd"  # whose version the report gives
    step: Callable[[], SupportsFloat]

    @abstractmethod
    def __init__(self, problem: Problem, threads: int) -> None:
        """Makes the model with the first weights of the problem."""

    @abstractmethod
    def load(self, weights: Weights) -> None:
        """Sets the weights."""

    @abstractmethod
    def weights(self) -> Weights:
        """The weights as they are now, W (out, in) and b (out,) of each layer."""

    @classmethod
    def refuses(cls, workload: Workload) -> str | None:
        """Why this contender does not try a workload, or None."""
        return None


class Micrograd(Contender):
    """This project's Network, in its C core."""

    def __init__(self, problem: Problem, threads: int) -> None:
        import micrograd as mg

        mg.set_num_threads(threads)
        layers: list[mg.network.Layer] = []
        for W, _ in problem.weights:
            layers += [mg.Linear(W.shape[1], W.shape[0]), mg.ReLU()]
        self.net = net = mg.Network(*layers[:-1], dtype=problem.dtype, seed=0)
        optimizer = mg.optim.SGD(net.parameters(), lr=LEARNING_RATE)
        X, y = problem.X, problem.labels
        self.load(problem.weights)

        def step() -> float:
            optimizer.zero_grad()
            loss = net.loss(X, y)
            net.backward()
            optimizer.step()
            return loss

        self.step = step

        def passes() -> tuple[float, float]:
            start = perf_counter()
            net.loss(X, y)
            middle = perf_counter()
            net.backward()
            return middle - start, perf_counter() - middle

        self.passes = passes  # seconds of the forward pass with the loss, and of the backward pass

    def load(self, weights: Weights) -> None:
        for parameter, array in zip(self.net.parameters(), flat(weights), strict=True):
            parameter.data[...] = array

    def weights(self) -> Weights:
        arrays = [p.data.copy() for p in self.net.parameters()]
        return list(zip(arrays[::2], arrays[1::2], strict=True))


class Numpy(Contender):
    """The method of the documents' section 5, layer by layer: a sample is a column."""

    module = "numpy"

    def __init__(self, problem: Problem, threads: int) -> None:
        X = np.ascontiguousarray(problem.X.T)  # (features, m)
        Y = np.ascontiguousarray(problem.one_hot.T)  # (classes, m)
        m = problem.workload.batch
        self.load(problem.weights)

        def step() -> float:
            layers = self.layers
            A = [X]
            for W, b in layers:
                Z = W @ A[-1] + b
                A.append(np.maximum(Z, 0))
            exp_Z = np.exp(Z - Z.max(axis=0))
            probabilities = exp_Z / exp_Z.sum(axis=0)
            loss = -np.sum(Y * np.log(np.maximum(probabilities, 1e-30))) / m
            delta = probabilities - Y
            for number in reversed(range(len(layers))):
                W, b = layers[number]
                dW = delta @ A[number].T / m
                db = delta.sum(axis=1, keepdims=True) / m
                if number > 0:
                    delta = (W.T @ delta) * (A[number] > 0)
                W -= LEARNING_RATE * dW
                b -= LEARNING_RATE * db
            return float(loss)

        self.step = step

    def load(self, weights: Weights) -> None:
        self.layers = [(W.copy(), b[:, None].copy()) for W, b in weights]

    def weights(self) -> Weights:
        return [(W.copy(), b[:, 0].copy()) for W, b in self.layers]


class ScalarValue(Contender):
    """The scalar engine: an MLP of Values, sample by sample, in pure Python and float64."""

    # A multiply-add costs about 0.3 microseconds, forward and backward: these take up to 2 seconds.
    most_multiply_adds = 5_000_000

    def __init__(self, problem: Problem, threads: int) -> None:
        from micrograd.engine.functions import softmax
        from micrograd.engine.functions import sum as value_sum
        from micrograd.engine.value import Value
        from micrograd.nn import MLP

        sizes = problem.workload.sizes
        self.model = model = MLP(sizes[0], sizes[1:])
        parameters = model.parameters()
        samples = list(zip(problem.X.tolist(), problem.labels.tolist(), strict=True))
        self.load(problem.weights)

        def sample_loss(x: list[float], label: int) -> Value:
            logits = model(x)
            return -softmax(logits if isinstance(logits, list) else [logits])[label].log()

        def step() -> float:
            model.zero_grad()
            loss = value_sum(sample_loss(x, label) for x, label in samples) / len(samples)
            loss.backward()
            for p in parameters:
                p.data -= LEARNING_RATE * p.grad
            return loss.data

        self.step = step

    def load(self, weights: Weights) -> None:
        for layer, (W, b) in zip(self.model.layers, weights, strict=True):
            for neuron, row, bias in zip(layer.neurons, W.tolist(), b.tolist(), strict=True):
                for w, value in zip(neuron.w, row, strict=True):
                    w.data = value
                neuron.b.data = bias

    def weights(self) -> Weights:
        return [
            (
                np.array([[w.data for w in neuron.w] for neuron in layer.neurons]),
                np.array([neuron.b.data for neuron in layer.neurons]),
            )
            for layer in self.model.layers
        ]

    @classmethod
    def refuses(cls, workload: Workload) -> str | None:
        return None if workload.flops // 6 <= cls.most_multiply_adds else "more than 2 s a step"


OURS = "micrograd"

CONTENDERS = {
    OURS: "micrograd.bench.contenders:Micrograd",
    "value": "micrograd.bench.contenders:ScalarValue",
    "numpy": "micrograd.bench.contenders:Numpy",
    "torch": "micrograd.bench.frameworks:Torch",
    "torch.compile": "micrograd.bench.frameworks:TorchCompile",
    "jax": "micrograd.bench.frameworks:Jax",
    "scikit-learn": "micrograd.bench.frameworks:ScikitLearn",
}


def find(name: str) -> type[Contender]:
    """The contender of that name, or the class that `module:Class` names.

    Raises:
        ValueError: the name is unknown, or the class is no contender.
        ImportError, AttributeError: there is no such class.
    """
    module, colon, attribute = CONTENDERS.get(name, name).partition(":")
    if not colon:
        known = ", ".join(CONTENDERS)
        raise ValueError(f"contender {name!r} is none of {known}; one of your own is module:Class")
    found: type[Contender] = getattr(import_module(module), attribute)
    if not issubclass(found, Contender):
        raise ValueError(f"{name} is no micrograd.bench.contenders.Contender")
    return found
