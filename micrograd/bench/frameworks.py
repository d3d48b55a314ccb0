"""The contenders that are other people's frameworks, each used as its documentation has it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from micrograd.bench.contenders import Contender
from micrograd.bench.workloads import LEARNING_RATE, Problem, Weights, flat


class Torch(Contender):
    """PyTorch in eager mode: nn.Sequential, cross_entropy, torch.optim.SGD."""

    module = "torch"

    def __init__(self, problem: Problem, threads: int) -> None:
        self.torch: Any = import_module("torch")
        nn = self.torch.nn
        self.torch.set_num_threads(threads)
        layers: list[Any] = []
        for W, _ in problem.weights:
            layers += [nn.Linear(W.shape[1], W.shape[0]), nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1]).to(getattr(self.torch, problem.dtype))
        self.load(problem.weights)
        X, y = self.torch.from_numpy(problem.X), self.torch.from_numpy(problem.labels)
        optimizer = self.torch.optim.SGD(self.model.parameters(), lr=LEARNING_RATE)
        loss_of, update = self.passes(self.model, nn.functional.cross_entropy, optimizer)

        def step() -> Any:
            optimizer.zero_grad()
            loss = loss_of(X, y)
            loss.backward()
            update()
            return loss.detach()

        self.step = step

    def passes(
        self, model: Any, criterion: Any, optimizer: Any
    ) -> tuple[Callable[[Any, Any], Any], Callable[[], Any]]:
        """The forward pass with loss, and the update."""
        return lambda X, y: criterion(model(X), y), optimizer.step

    def load(self, weights: Weights) -> None:
        with self.torch.no_grad():
            for p, array in zip(self.model.parameters(), flat(weights), strict=True):
                p.copy_(self.torch.from_numpy(array))

    def weights(self) -> Weights:
        arrays = [p.detach().numpy().copy() for p in self.model.parameters()]
        return list(zip(arrays[::2], arrays[1::2], strict=True))


class TorchCompile(Torch):
    """The same through torch.compile: forward, backward and the update. Needs a C++ compiler."""

    def passes(
        self, model: Any, criterion: Any, optimizer: Any
    ) -> tuple[Callable[[Any, Any], Any], Callable[[], Any]]:
        loss_of, update = super().passes(model, criterion, optimizer)
        self.torch.compiler.reset()  # or it takes the shapes of the last workload for variable
        return (
            self.torch.compile(loss_of, dynamic=False),
            self.torch.compile(update, dynamic=False),
        )


class Jax(Contender):
    """JAX: the whole step in one jit, the weights' memory handed on from step to step."""

    module = "jax"

    def __init__(self, problem: Problem, threads: int) -> None:
        jax: Any = import_module("jax")
        if problem.dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        jnp: Any = import_module("jax.numpy")
        self.asarray = jnp.array
        self.now: Any = None  # the weights, which each step makes anew
        X, Y = jnp.asarray(problem.X), jnp.asarray(problem.one_hot)

        def loss_of(weights: Any, X: Any, Y: Any) -> Any:
            for W, b in weights[:-1]:
                X = jax.nn.relu(X @ W.T + b)
            W, b = weights[-1]
            return -(Y * jax.nn.log_softmax(X @ W.T + b)).sum() / len(X)

        def trained(weights: Any, X: Any, Y: Any) -> tuple[Any, Any]:
            loss, gradients = jax.value_and_grad(loss_of)(weights, X, Y)
            return loss, jax.tree.map(lambda w, g: w - LEARNING_RATE * g, weights, gradients)

        compiled = jax.jit(trained, donate_argnums=0)
        self.load(problem.weights)

        def step() -> Any:
            loss, self.now = compiled(self.now, X, Y)
            return loss.block_until_ready()

        self.step = step

    def load(self, weights: Weights) -> None:
        self.now = [(self.asarray(W), self.asarray(b)) for W, b in weights]

    def weights(self) -> Weights:
        return [(np.array(W), np.array(b)) for W, b in self.now]


class ScikitLearn(Contender):
    """scikit-learn's MLPClassifier: one partial_fit on the whole batch, plain SGD, no penalty.

    For two classes it keeps one logistic output, w = W[1] - W[0], which is the same function and,
    for one step from the same weights, the same gradient: weights() hands half of it to each row
    again, as softmax-cross-entropy would. (W[0] and W[1] have opposite gradients.)
    """

    module = "sklearn"

    def __init__(self, problem: Problem, threads: int) -> None:
        network: Any = import_module("sklearn.neural_network")
        sizes, batch = problem.workload.sizes, problem.workload.batch
        self.model = model = network.MLPClassifier(
            hidden_layer_sizes=sizes[1:-1],
            solver="sgd",
            learning_rate_init=LEARNING_RATE,
            momentum=0.0,
            nesterovs_momentum=False,
            alpha=0.0,
            batch_size=batch,
            shuffle=False,
            n_iter_no_change=10**9,
        )
        X, y = problem.X, problem.labels
        model.partial_fit(X, y, classes=np.arange(sizes[-1]))
        self.load(problem.weights)

        def step() -> Any:
            model.partial_fit(X, y)
            return model.loss_

        self.step = step

    def load(self, weights: Weights) -> None:
        self.first = weights
        for coef, intercept, (W, b) in zip(
            self.model.coefs_, self.model.intercepts_, weights, strict=True
        ):
            one_output = coef.shape[1] == 1 and len(b) == 2
            coef[...] = (W[1:] - W[:1]).T if one_output else W.T
            intercept[...] = b[1:] - b[:1] if one_output else b

    def weights(self) -> Weights:
        model = self.model
        pairs = zip(model.coefs_, model.intercepts_, strict=True)
        out = [(coef.T.copy(), intercept.copy()) for coef, intercept in pairs]
        W, b = self.first[-1]
        if len(b) == 2 and len(out[-1][1]) == 1:
            dW, db = out[-1][0] - (W[1:] - W[:1]), out[-1][1] - (b[1:] - b[:1])
            out[-1] = (W + np.concatenate([-dW, dW]), b + np.concatenate([-db, db]))
        return out
