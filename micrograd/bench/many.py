"""`micrograd bench --many`: an SGD step of many small networks, beside jax.vmap and torch.func.

A step here is one step of every network, on the same batch. `fit_many` goes over the batches of an
epoch; `one by one` fits one network after the other; `jax.vmap` is a compiled step, mapped over the
networks; `torch.func` the gradients of a functional call, mapped likewise, and an update in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from micrograd.bench import beside
from micrograd.bench.workloads import LEARNING_RATE, Weights, Workload
from micrograd.bench.workloads import make as problem_of
from micrograd.core import Array

PROBLEMS = ("32x64-32-10/64", "64x4-8-3/100")
KINDS = ("fit_many", "fit_many, 2 threads", "one by one", "jax.vmap", "torch.func")
BATCHES = 100  # of an epoch, which is what is timed
TOLERANCE = 1e-4


class Contender:
    """Networks of the same sizes, each with weights of its own, and a data set."""

    def __init__(self, networks: int, workload: Workload) -> None:
        self.batch = workload.batch
        self.starts = [_weights(workload, i) for i in range(networks)]
        problem = problem_of(Workload(workload.sizes, workload.batch * BATCHES))
        self.X, self.y = problem.X, problem.labels
        self.prepare()

    def prepare(self) -> None:
        """Makes the networks."""
        raise NotImplementedError

    def epoch(self, batches: int) -> None:
        """A step of every network on each of the first batches."""
        raise NotImplementedError

    def weights(self) -> list[Array]:
        """Some weights of the first and of the last network."""
        raise NotImplementedError

    def step(self) -> None:
        """What is timed."""
        self.epoch(BATCHES)

    def outcome(self) -> list[float]:
        """Those weights after one step on the first batch."""
        self.epoch(1)
        return [float(value) for part in self.weights() for value in np.asarray(part).ravel()[:64]]

    def batches(self, count: int) -> Iterator[tuple[Array, Array]]:
        """So many batches, in order."""
        for i in range(count):
            rows = slice(i * self.batch, (i + 1) * self.batch)
            yield self.X[rows], self.y[rows]


def _weights(workload: Workload, number: int) -> Weights:
    """The problem's weights, a little different for each network."""
    return [
        ((W * (1 + number / 100)).astype(W.dtype), b.copy())
        for W, b in problem_of(workload).weights
    ]


class FitMany(Contender):
    """mg.fit_many."""

    threads = 1

    def prepare(self) -> None:
        import micrograd as mg
        from micrograd.bench.workloads import flat

        self.nets: list[Any] = []
        for weights in self.starts:
            layers: list[Any] = []
            for W, _ in weights:
                layers += [mg.Linear(W.shape[1], W.shape[0]), mg.ReLU()]
            net = mg.Network(*layers[:-1], seed=0)
            for parameter, array in zip(net.parameters(), flat(weights), strict=True):
                parameter.data[...] = array
            self.nets.append(net)
        self.optimizers = [mg.optim.SGD(net.parameters(), lr=LEARNING_RATE) for net in self.nets]

    def epoch(self, batches: int) -> None:
        import micrograd as mg

        rows = self.batch * batches
        mg.fit_many(
            self.nets, self.X[:rows], self.y[:rows], epochs=1, batch_size=self.batch,
            optimizers=self.optimizers, seeds=0, n_threads=self.threads,
        )  # fmt: skip

    def weights(self) -> list[Array]:
        return [net.parameters()[0].data for net in (self.nets[0], self.nets[-1])]


class Two(FitMany):
    """The same with two threads."""

    threads = 2


class OneByOne(FitMany):
    """fit of each network in turn."""

    def epoch(self, batches: int) -> None:
        rows = self.batch * batches
        for net, optimizer in zip(self.nets, self.optimizers, strict=True):
            net.fit(
                self.X[:rows], self.y[:rows], epochs=1, batch_size=self.batch,
                optimizer=optimizer, seed=0, progress=False,
            )  # fmt: skip


class JaxVmap(Contender):
    """jax.jit of jax.vmap of a step; weights are given back to be written over."""

    def prepare(self) -> None:
        jax = import_module("jax")
        jnp = jax.numpy
        self.wait = jax.block_until_ready
        layers = range(len(self.starts[0]))
        self.layers = [
            tuple(jnp.stack([jnp.asarray(start[i][k]) for start in self.starts]) for k in (0, 1))
            for i in layers
        ]

        def loss(weights: Any, X: Any, y: Any) -> Any:
            for W, b in weights[:-1]:
                X = jnp.maximum(X @ W.T + b, 0)
            logits = jax.nn.log_softmax(X @ weights[-1][0].T + weights[-1][1])
            return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

        def step(weights: Any, X: Any, y: Any) -> Any:
            gradients = jax.grad(loss)(weights, X, y)
            return jax.tree.map(lambda w, g: w - LEARNING_RATE * g, weights, gradients)

        self.all = jax.jit(jax.vmap(step, in_axes=(0, None, None)), donate_argnums=0)

    def epoch(self, batches: int) -> None:
        for X, y in self.batches(batches):
            self.layers = self.all(self.layers, X, y)
        self.wait(self.layers)

    def weights(self) -> list[Array]:
        return [np.asarray(self.layers[0][0][i]) for i in (0, -1)]


class TorchFunc(Contender):
    """torch.func.vmap of torch.func.grad over stacked weights."""

    def prepare(self) -> None:
        torch: Any = import_module("torch")
        torch.set_num_threads(1)
        self.layers = [
            tuple(
                torch.stack([torch.from_numpy(start[i][k]) for start in self.starts])
                for k in (0, 1)
            )
            for i in range(len(self.starts[0]))
        ]

        def loss(weights: Any, X: Any, y: Any) -> Any:
            for W, b in weights[:-1]:
                X = (X @ W.T + b).relu()
            logits = X @ weights[-1][0].T + weights[-1][1]
            return torch.nn.functional.cross_entropy(logits, y)

        self.gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None, None))
        self.tensor = torch.from_numpy

    def epoch(self, batches: int) -> None:
        for X, y in self.batches(batches):
            found = self.gradients(self.layers, self.tensor(X), self.tensor(y))
            for weights, gradients in zip(self.layers, found, strict=True):
                for w, g in zip(weights, gradients, strict=True):
                    w.sub_(g, alpha=LEARNING_RATE)

    def weights(self) -> list[Array]:
        return [self.layers[0][0][i].numpy() for i in (0, -1)]


CONTENDERS: dict[str, type[Contender]] = {
    "fit_many": FitMany,
    "fit_many, 2 threads": Two,
    "one by one": OneByOne,
    "jax.vmap": JaxVmap,
    "torch.func": TorchFunc,
}


def make(text: str) -> Contender:
    """The contender of "NETWORKSxSIZES/BATCH/KIND".

    Raises:
        ImportError: its library is not installed.
    """
    networks, _, rest = text.partition("x")
    sizes, batch, kind = rest.split("/")
    workload = Workload(tuple(map(int, sizes.split("-"))), int(batch))
    return CONTENDERS[kind](int(networks), workload)


def run(rounds: int) -> Iterator[str]:
    """Measures everything; gives the lines to print as they come."""
    for problem in PROBLEMS:
        networks, _, rest = problem.partition("x")
        sizes, batch = rest.split("/")
        yield f"one SGD step of {networks} networks {sizes}, batch {batch}, float32, one thread"
        found = beside.measure(__name__, KINDS, problem, rounds, TOLERANCE)
        yield from beside.lines(found, BATCHES)
