"""The parameters of the estimators in micrograd.sklearn: their ranges, and what they mean.

Those that scikit-learn's MLPs have too take the values that they take there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

from micrograd import core
from micrograd.network import layers
from micrograd.training.callbacks import split_callbacks

# Every activation there is, under its name, or the one that scikit-learn has for it.
ACTIVATIONS: dict[str, type[layers.Layer] | None] = {
    "identity": None,
    **{"logistic" if n == "sigmoid" else n: kind for n, kind in layers.ACTIVATIONS.items()},
}
STOCHASTIC = ("sgd", "adam")

_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")
_COUNT = Interval(Integral, 1, None, closed="left")
# in the terms of scikit-learn, whose checks read them; those that its MLPs have too are as there
CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", _COUNT],
    "activation": [StrOptions(set(ACTIVATIONS)), "array-like"],
    "solver": [StrOptions({"lbfgs", *STOCHASTIC})],
    "alpha": [_NOT_NEGATIVE],
    "batch_size": [StrOptions({"auto"}), _COUNT],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [_POSITIVE],
    "power_t": [_NOT_NEGATIVE],
    "max_iter": [_COUNT],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_NOT_NEGATIVE],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_SHARE],
    "beta_1": [_SHARE],
    "beta_2": [_SHARE],
    "epsilon": [_POSITIVE],
    "n_iter_no_change": [_COUNT, Options(Real, {np.inf})],
    "max_fun": [_COUNT],
    "dropout": ["array-like", _SHARE],
    "residual": ["boolean"],
    "clip_norm": [_POSITIVE, None],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
    "n_jobs": [_COUNT, Interval(Integral, None, -1, closed="right"), None],
    "n_members": [_COUNT],
    "callbacks": [callable, "array-like", HasMethods("on_epoch"), HasMethods("on_step")],
}
CLASS_WEIGHT: dict[str, list[Any]] = {"class_weight": [dict, StrOptions({"balanced"}), None]}
LOSS: dict[str, list[Any]] = {"loss": [StrOptions({"squared_error", "poisson"})]}


def check_settings(estimator: Any, where: str, names: set[str] | None = None) -> None:
    """Checks all parameters of an estimator, or these of them, and whether all go together; `where`
    names the method.

    Raises:
        InvalidParameterError: one has the wrong type or is out of its range; a ValueError and a
            TypeError.
        ValueError: two do not go together.
    """
    parameters = estimator.get_params(deep=False) if names is None else vars(estimator)
    name = type(estimator).__name__
    wanted = {k: v for k, v in parameters.items() if names is None or k in names}
    validate_parameter_constraints(estimator._parameter_constraints, wanted, name)
    for key, value in wanted.items():
        if isinstance(value, (bool, np.bool_)) and not _takes_flags(estimator, key):
            raise InvalidParameterError(
                f"The {key!r} parameter of {name} must be a number, not a bool. Got {value!r} "
                "instead."
            )
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


def _takes_flags(estimator: Any, name: str) -> bool:
    constraints = estimator._parameter_constraints.get(name, ["boolean"])
    return "boolean" in constraints or "verbose" in constraints


def hidden_sizes(estimator: Any) -> list[int]:
    """The number of units of each hidden layer."""
    given = estimator.hidden_layer_sizes
    sizes = list(given) if np.iterable(given) else [given]
    for size in sizes:
        if not _COUNT.is_satisfied_by(size) or isinstance(size, (bool, np.bool_)):
            raise InvalidParameterError(
                f"The 'hidden_layer_sizes' parameter of {type(estimator).__name__} must be an "
                f"integer of 1 or more, or a list of them. Got {size!r} in {given!r} instead."
            )
    return [int(size) for size in sizes]


def hidden_activations(estimator: Any, layers: int) -> list[str]:
    """The name of each hidden layer's activation."""
    names = _each(estimator, "activation", layers)
    for name in names or [estimator.activation]:
        if not isinstance(name, str) or name not in ACTIVATIONS:
            raise InvalidParameterError(
                f"The 'activation' parameter of {type(estimator).__name__} must be one of "
                f"{', '.join(map(repr, ACTIVATIONS))}, or one for each hidden layer. Got {name!r} "
                "instead."
            )
    return names


def hidden_dropout(estimator: Any, layers: int) -> list[float]:
    """The share of each hidden layer's units that is dropped in training."""
    rates = _each(estimator, "dropout", layers)
    for rate in rates or [estimator.dropout]:
        if not _SHARE.is_satisfied_by(rate) or isinstance(rate, (bool, np.bool_)):
            raise InvalidParameterError(
                f"The 'dropout' parameter of {type(estimator).__name__} must be in the range "
                f"[0, 1), once or for each hidden layer. Got {rate!r} instead."
            )
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
        raise InvalidParameterError(
            f"The {name!r} parameter of {type(estimator).__name__} must have an item for each of "
            f"the {layers} hidden layers. Got {len(values)} items, {given!r}, instead."
        )
    return values


@contextmanager
def limited_threads(estimator: Any) -> Iterator[None]:
    """At most n_jobs threads of the C core, for what this thread does inside."""
    jobs = estimator.n_jobs
    if jobs is None:
        yield
        return
    allowed = core.get_num_threads()
    with core.limited_threads(min(jobs, allowed) if jobs > 0 else max(1, allowed + 1 + jobs)):
        yield


_REAL = (np.dtype(np.float64), np.dtype(np.float32))


def is_plain(estimator: Any, X: Any) -> bool:
    """Whether X is an array, or a sparse matrix by rows, that a fitted estimator can take as it is,
    if its numbers are finite, which the C core sees anyway: scikit-learn's checks would find
    nothing, and take a hundred times as long as a row through a small network."""
    own = estimator.__dict__
    return (
        (type(X) is np.ndarray or getattr(X, "format", None) == "csr")
        and X.dtype in _REAL
        and X.ndim == 2
        and X.shape[0] > 0
        and "_model" in own
        and "feature_names_in_" not in own
        and X.shape[1] == own.get("n_features_in_")
    )


def narrowed(X: Any, dtype: np.dtype[Any]) -> Any:
    """X in the dtype of the weights; what float32 cannot hold becomes infinite. A sparse matrix
    stays as it is: the network does it."""
    if X.dtype == dtype or type(X) is not np.ndarray:
        return X
    with np.errstate(over="ignore"):
        return X.astype(dtype)
