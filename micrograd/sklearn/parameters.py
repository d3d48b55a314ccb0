"""The parameters of the estimators in micrograd.sklearn: their ranges, and what they mean.

Those that scikit-learn's MLPs have too take the values that they take there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from micrograd import checks, core
from micrograd.core import lib
from micrograd.network.layers import GELU, Layer, LeakyReLU, ReLU, Sigmoid, Tanh
from micrograd.training.callbacks import split_callbacks

ACTIVATIONS: dict[str, type[Layer] | None] = {
    "identity": None,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "gelu": GELU,
}
STOCHASTIC = ("sgd", "adam")
_CHOICES = {
    "solver": ("lbfgs", *STOCHASTIC),
    "learning_rate": ("constant", "invscaling", "adaptive"),
    "loss": ("squared_error", "poisson"),
    "dtype": ("auto", "float32", "float64"),
}
_FLAGS = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "residual")
# name: least, most, whether it may be the least, the most
_REALS = {
    "alpha": (0, math.inf, True, False),
    "learning_rate_init": (0, math.inf, False, False),
    "power_t": (0, math.inf, True, False),
    "tol": (0, math.inf, True, False),
    "momentum": (0, 1, True, True),
    "validation_fraction": (0, 1, True, False),
    "beta_1": (0, 1, True, False),
    "beta_2": (0, 1, True, False),
    "epsilon": (0, math.inf, False, False),
}
_COUNTS = ("max_iter", "max_fun")


def check_settings(estimator: Any) -> None:
    """Checks all parameters of an estimator but random_state and class_weight.

    Raises:
        TypeError, ValueError: one has the wrong type or is out of its range.
    """
    where = type(estimator).__name__
    parameters = vars(estimator)
    for name, choices in _CHOICES.items():
        if name in parameters and not _is_one_of(parameters[name], choices):
            wanted = ", ".join(map(repr, choices))
            raise ValueError(f"{where}: {name} is {parameters[name]!r}, one of {wanted} is wanted")
    for name in _FLAGS:
        if not isinstance(parameters[name], (bool, np.bool_)):
            raise TypeError(f"{where}: {name} is {parameters[name]!r}, True or False is wanted")
    for name, limits in _REALS.items():
        _check_real(where, name, parameters[name], *limits)
    for name in _COUNTS:
        checks.count(where, name, parameters[name])
    if not _is_one_of(parameters["batch_size"], ("auto",)):
        checks.count(where, "batch_size", parameters["batch_size"])
    if parameters["n_iter_no_change"] != np.inf:
        checks.count(where, "n_iter_no_change", parameters["n_iter_no_change"])
    if parameters["clip_norm"] is not None:
        _check_real(where, "clip_norm", parameters["clip_norm"], 0, math.inf, False, False)
    verbose = parameters["verbose"]
    if not hasattr(verbose, "__index__") and not isinstance(verbose, np.bool_):
        raise TypeError(f"{where}: verbose is {verbose!r}, True, False or an integer is wanted")
    split_callbacks(where, parameters["callbacks"])
    sizes = hidden_sizes(estimator)
    hidden_activations(estimator, len(sizes))
    rates = hidden_dropout(estimator, len(sizes))
    if any(rates) and parameters["solver"] == "lbfgs":
        raise ValueError(
            f"{where}: dropout makes the loss a random one, which solver='lbfgs' cannot minimise; "
            "use 'adam' or 'sgd'"
        )
    if parameters["clip_norm"] is not None and parameters["solver"] == "lbfgs":
        raise ValueError(f"{where}: clip_norm is for solver='adam' and 'sgd', not 'lbfgs'")
    if parameters["residual"] and len(sizes) < 2:
        raise ValueError(
            f"{where}: residual=True wants two hidden layers or more, hidden_layer_sizes is "
            f"{parameters['hidden_layer_sizes']!r}"
        )


def hidden_sizes(estimator: Any) -> list[int]:
    """The number of units of each hidden layer."""
    where, given = type(estimator).__name__, estimator.hidden_layer_sizes
    sizes = list(given) if np.iterable(given) and not isinstance(given, str) else [given]
    for size in sizes:
        checks.count(where, "hidden_layer_sizes", size)
    return [int(size) for size in sizes]


def hidden_activations(estimator: Any, layers: int) -> list[str]:
    """The name of each hidden layer's activation."""
    names = _each(estimator, "activation", layers)
    for name in names or [estimator.activation]:
        if not _is_one_of(name, tuple(ACTIVATIONS)):
            raise ValueError(
                f"{type(estimator).__name__}: activation is {name!r}, one of "
                f"{', '.join(map(repr, ACTIVATIONS))} is wanted, or one for each hidden layer"
            )
    return names


def hidden_dropout(estimator: Any, layers: int) -> list[float]:
    """The share of each hidden layer's units that is dropped in training."""
    rates = _each(estimator, "dropout", layers)
    for rate in rates or [estimator.dropout]:
        _check_real(type(estimator).__name__, "dropout", rate, 0, 1, True, False)
    return [float(rate) for rate in rates]


_FEW_ROWS = 200  # no more than a minibatch: a fit takes milliseconds either way


def chosen_dtype(estimator: Any, X: Any) -> str:
    """The dtype to train in. "auto": that of X, but float32 for a stochastic solver on many rows.

    L-BFGS' line searches want differences of losses that float32 cannot show.
    """
    if estimator.dtype != "auto":
        return str(estimator.dtype)
    narrow = estimator.solver in STOCHASTIC and X.shape[0] >= _FEW_ROWS
    return "float32" if narrow else str(X.dtype.name)


def _each(estimator: Any, name: str, layers: int) -> list[Any]:
    """A parameter that is given once for all hidden layers, or once for each."""
    given = getattr(estimator, name)
    if isinstance(given, str) or not np.iterable(given):
        return [given] * layers
    values = list(given)
    if len(values) != layers:
        raise ValueError(
            f"{type(estimator).__name__}: {name} has {len(values)} items, there are {layers} "
            "hidden layers"
        )
    return values


def _is_one_of(value: Any, choices: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in choices


def _check_real(
    where: str, name: str, value: Any, least: float, most: float, with_least: bool, with_most: bool
) -> None:
    checks.number(
        where, name, value, least, most,
        above=None if with_least else least, most=most if with_most else None,
    )  # fmt: skip


@contextmanager
def limited_threads(estimator: Any) -> Iterator[None]:
    """At most n_jobs threads of the C core, for what this thread does inside.

    OpenMP's limit belongs to the thread that sets it: others may fit with another n_jobs meanwhile.
    """
    jobs = estimator.n_jobs
    if jobs is None:
        yield
        return
    if not checks.is_integer(jobs) or jobs == 0:
        raise ValueError(
            f"{type(estimator).__name__}: n_jobs is {jobs!r}; None, a number of threads, or -1 for "
            "all of them is wanted"
        )
    allowed = core.get_num_threads()
    before = lib.mg_max_threads()
    lib.mg_set_max_threads(min(jobs, allowed) if jobs > 0 else max(1, allowed + 1 + jobs))
    try:
        yield
    finally:
        lib.mg_set_max_threads(before)
