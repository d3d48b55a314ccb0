"""MLPRegressor: a multilayer perceptron that predicts numbers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from micrograd.core import Array
from micrograd.sklearn.base import BaseMLP
from micrograd.sklearn.members import mean_over
from micrograd.sklearn.parameters import CONSTRAINTS, LOSS
from micrograd.sklearn.solvers import Rows
from micrograd.sklearn.undo import as_before_on_failure


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multilayer perceptron that predicts numbers; drop-in for scikit-learn's.

    y is (rows,) or (rows, outputs).

    Args:
        loss: "squared_error": half the mean squared error; "poisson": half the mean Poisson
            deviance, y log(y / a) - y + a, of outputs a = exp(z), for y of 0 or more.

    The other parameters, and the attributes, are those of MLPClassifier, without class_weight and
    classes_; scores are R^2, out_activation_ is "identity" or "exp".

    With several outputs the loss is the mean over them, as it is shown, while steps follow the
    gradient of their sum, as in scikit-learn.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", max_iter=50, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.4
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**CONSTRAINTS, **LOSS}

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        residual: bool = False,
        clip_norm: float | None = None,
        dtype: str = "auto",
        n_jobs: int | None = None,
        n_members: int = 1,
        callbacks: Any = (),
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.residual = residual
        self.clip_norm = clip_norm
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.n_members = n_members
        self.callbacks = callbacks

    @available_if(lambda estimator: estimator._stochastic())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One epoch over X and y, from the weights and the optimizer's state there are.

        Returns:
            The estimator itself.

        Raises:
            TypeError, ValueError: a parameter or the data do not fit; the estimator is then as it
                was before.
        """
        where = "MLPRegressor.partial_fit"
        with as_before_on_failure(self):
            return self._fit(X, y, sample_weight, where)

    def predict(self, X: Any) -> Array:
        """The predicted numbers, (rows,) or (rows, outputs)."""
        if hasattr(self, "members_"):
            return mean_over(self.members_, lambda member: member.predict(X))
        return self._predicted(self._checked_logits(X))

    def _predicted(self, z: Array) -> Array:
        a = np.exp(z) if self.out_activation_ == "exp" else z
        return a.ravel() if a.shape[1] == 1 else a

    # ---- what BaseMLP asks for ----

    def _check_targets(self, X: Any, y: Any, where: str, first: bool) -> tuple[Any, Array]:
        X, y = self._validated(X, y, reset=first, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"{where}: y has {y.min()}; loss='poisson' wants 0 or more")
        return X, y

    def _outputs(self, y: Array) -> int:
        return int(y.shape[1])

    def _out_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _rows(self, X: Any, y: Array, weights: Array | None) -> Rows:
        offset = None
        if self.out_activation_ == "exp":
            counts = y.astype(np.float64)
            offset = (counts * np.log(np.where(counts > 0, counts, 1)) - counts).sum(axis=1)
        return Rows(X, y, y, weights, offset)

    def _score_rows(self, rows: Rows) -> float:
        a = self._predicted(self._logits(rows.X))
        if not np.isfinite(a).all():
            return float("nan")
        return float(r2_score(rows.y, a, sample_weight=rows.weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
