"""`micrograd bench --predict`: one row, and ten thousand, beside others, one thread each."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from micrograd.bench import beside
from micrograd.bench.workloads import Problem, Workload
from micrograd.bench.workloads import make as problem_of
from micrograd.core import Array

MANY = 10_000
PROBLEMS = (
    "4-8-3/1", "64-64-10/1", "784-128-10/1", "784-512-256-10/1",
    f"64-64-10/{MANY}", f"784-128-10/{MANY}",
)  # fmt: skip
KINDS = ("predictor", "predict", "numpy", "onnxruntime", "torch", "jax")
TOLERANCE = 1e-4


class Contender:
    """Outputs of a network of ReLU layers for the rows of a problem."""

    def __init__(self, problem: Problem) -> None:
        self.X = problem.X

    def step(self) -> Any:
        """One prediction; when it returns, the outputs are there."""
        raise NotImplementedError

    def outcome(self) -> list[float]:
        """The outputs, of many rows a few."""
        rows = np.asarray(self.step())[:8]
        return [float(value) for value in rows.ravel()]


def network(problem: Problem) -> Any:
    """The problem's network as ours."""
    from micrograd.bench.contenders import Micrograd

    return Micrograd(problem, 1).net


class Frozen(Contender):
    """net.freeze() called on the rows."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.predictor = network(problem).freeze()

    def step(self) -> Array:
        outputs: Array = self.predictor(self.X)
        return outputs


class Predict(Contender):
    """net.predict."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.net = network(problem)

    def step(self) -> Array:
        outputs: Array = self.net.predict(self.X)
        return outputs


class Numpy(Contender):
    """One product a layer; bias and ReLU in place."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.layers = [(W.T, b) for W, b in problem.weights]

    def step(self) -> Array:
        a = self.X
        last = len(self.layers) - 1
        for i, (W, b) in enumerate(self.layers):
            a = a @ W
            a += b
            if i < last:
                np.maximum(a, 0, out=a)
        return a


class Torch(Contender):
    """nn.Sequential in inference mode."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        torch = import_module("torch")
        from micrograd.bench.frameworks import Torch as Trained

        self.model, self.inference = Trained(problem, 1).model.eval(), torch.inference_mode
        self.rows = torch.from_numpy(problem.X)

    def step(self) -> Any:
        with self.inference():
            return self.model(self.rows)


class Onnxruntime(Contender):
    """A session of one thread over the network as `to_onnx` writes it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        runtime = import_module("onnxruntime")
        from micrograd.convert import to_onnx

        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        with TemporaryDirectory() as folder:
            path = Path(folder) / "net.onnx"
            to_onnx(network(problem), path)
            kinds = ["CPUExecutionProvider"]
            self.session = runtime.InferenceSession(str(path), options, providers=kinds)
        self.feed = {self.session.get_inputs()[0].name: self.X}

    def step(self) -> Any:
        return self.session.run(None, self.feed)[0]


class Jax(Contender):
    """A compiled function of the rows; weights are constants of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        jax = import_module("jax")
        layers = [(jax.numpy.asarray(W.T), jax.numpy.asarray(b)) for W, b in problem.weights]

        def outputs(a: Any) -> Any:
            for W, b in layers[:-1]:
                a = jax.numpy.maximum(a @ W + b, 0)
            return a @ layers[-1][0] + layers[-1][1]

        self.outputs = jax.jit(outputs)

    def step(self) -> Any:
        return self.outputs(self.X).block_until_ready()


CONTENDERS: dict[str, type[Contender]] = {
    "predictor": Frozen,
    "predict": Predict,
    "numpy": Numpy,
    "onnxruntime": Onnxruntime,
    "torch": Torch,
    "jax": Jax,
}


def make(text: str) -> Contender:
    """The contender of "SIZES/ROWS/KIND".

    Raises:
        ImportError: its library is not installed.
    """
    sizes, rows, kind = text.split("/")
    workload = Workload(tuple(map(int, sizes.split("-"))), int(rows))
    return CONTENDERS[kind](problem_of(workload))


def run(rounds: int) -> Iterator[str]:
    """Measures everything; gives the lines to print as they come."""
    yield "predict, float32, one thread: the median of the rounds (and their middle half)"
    least: float | None = None
    for problem in PROBLEMS:
        found = beside.measure(__name__, KINDS, problem, rounds, TOLERANCE)
        sizes, rows = problem.split("/")
        yield f"{sizes}, {'one row' if rows == '1' else f'{rows} rows'}"
        yield from beside.lines(found)
        if problem == PROBLEMS[0] and not found[0].error:
            least = median(found[0].seconds)
    if least is not None:
        about = f"one row of {PROBLEMS[0].partition('/')[0]} takes the predictor"
        yield f"{about} {1e6 * least:.2f} µs (bar: 1.5 over no work)"
