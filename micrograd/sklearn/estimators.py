"""MLPClassifier and MLPRegressor: scikit-learn's, trained by the C core, with more to choose from.

    from micrograd.sklearn.estimators import MLPClassifier  # instead of sklearn.neural_network

is all there is to change. The parameters of scikit-learn's MLPs mean what they mean there, and
their defaults are the same. So are the numbers: the same random_state gives the same first weights
and the same batches, and with dtype="float64" the same losses and weights, to rounding.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from micrograd.core import Array
from micrograd.network.c_plan import apply
from micrograd.sklearn.base import BaseMLP
from micrograd.sklearn.members import mean_over
from micrograd.sklearn.parameters import CLASS_WEIGHT, CONSTRAINTS
from micrograd.sklearn.regressor import MLPRegressor
from micrograd.sklearn.solvers import Rows
from micrograd.sklearn.undo import as_before_on_failure

__all__ = ["MLPClassifier", "MLPRegressor"]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multilayer perceptron that tells classes apart; drop-in for scikit-learn's.

    y is (rows,) with two classes or more, numbers or strings, or (rows, labels) of 0 and 1 where a
    row may have several labels. The loss is the mean cross-entropy plus alpha/2 ||W||^2 / rows.

    Args:
        hidden_layer_sizes: units of each hidden layer.
        activation: "identity", "logistic", "tanh", "relu", "leaky_relu" or "gelu", for all hidden
            layers, or a sequence with one for each.
        solver: "adam" (Kingma and Ba 2015), "sgd", or "lbfgs" over all rows, through scipy.
        alpha: L2 penalty on the weights, not the biases; divided by the rows of the batch.
        batch_size: rows of a minibatch; "auto" is min(200, rows).
        learning_rate: of sgd: "constant"; "invscaling": learning_rate_init / (t_ + 1)**power_t
            after each epoch; "adaptive": divided by 5 whenever training would stop, down to 1e-6.
        learning_rate_init, power_t: see learning_rate.
        max_iter: epochs, of lbfgs iterations.
        shuffle: draw the batches anew in each epoch.
        random_state: of first weights, held-out rows, batches and dropout.
        tol, n_iter_no_change: training stops after more than so many epochs in a row that have not
            improved the training loss, or the validation score, by tol. For lbfgs tol is the size
            of the gradient to stop at.
        verbose: print the loss of each epoch.
        warm_start: fit goes on from the weights there are.
        momentum, nesterovs_momentum: of sgd.
        early_stopping: set validation_fraction of the rows aside, stop by the score there, and keep
            the best weights.
        beta_1, beta_2, epsilon: of adam.
        max_fun: evaluations of the loss by lbfgs, at most.
        dropout: share of each hidden layer's units dropped in training, one or one for each layer.
        class_weight: {class: weight} or "balanced"; multiplied into sample_weight.
        residual: each hidden layer after the first adds its input to its output, through a learned
            projection where their sizes differ (He et al. 2016).
        clip_norm: gradients of a larger Euclidean norm are scaled down to it; None does not.
        dtype: "float64", that of scikit-learn for X in float64, "float32", faster, or "auto":
            float32 for adam and sgd on 200 rows or more, else that of X.
        n_jobs: threads, at most, within what mg.set_num_threads and the environment allow; None
            and -1 are all those. Results do not depend on it.
        n_members: networks, each with its own seed; their probabilities, or numbers, are averaged.
        callbacks: functions of a TrainingState after each epoch, or objects with on_epoch or
            on_step; state.stop() ends training. state.history has loss, val_loss and val_score.

    Attributes:
        classes_: the labels; n_features_in_, feature_names_in_, n_outputs_, n_layers_.
        coefs_, intercepts_: weights (in, out) and biases of each layer, views of those in use.
        projections_: with residual: the weights (in, out) around each layer, or None.
        loss_, loss_curve_, best_loss_: training loss, penalty included, of each epoch.
        validation_scores_, best_validation_score_, validation_loss_curve_: with early_stopping.
        n_iter_, t_: epochs, and rows seen. out_activation_: "softmax" or "logistic".
        network_: the fitted Network. members_: with n_members: the estimators of each, instead of
            weights, curves and network_.

    Sparse X is made dense batch by batch.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier((16,), max_iter=500, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**CONSTRAINTS, **CLASS_WEIGHT}

    def __init__(
        self,
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
        class_weight: Any = None,
        residual: bool = False,
        clip_norm: float | None = None,
        dtype: str = "auto",
        n_jobs: int | None = None,
        n_members: int = 1,
        callbacks: Any = (),
    ) -> None:
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
        self.class_weight = class_weight
        self.residual = residual
        self.clip_norm = clip_norm
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.n_members = n_members
        self.callbacks = callbacks

    @available_if(lambda estimator: estimator._stochastic())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """One epoch over X and y, from the weights and the optimizer's state there are.

        Args:
            X, y, sample_weight: as for fit.
            classes: all classes there will be; wanted the first time.

        Returns:
            The estimator itself.

        Raises:
            TypeError, ValueError: a parameter, the data or the classes do not fit; the estimator is
                then as it was before.
        """
        where = "MLPClassifier.partial_fit"
        with as_before_on_failure(self):
            return self._fit(X, y, sample_weight, where, classes)

    def predict(self, X: Any) -> Array:
        """The class of each row (rows,), or its labels, 0 and 1 (rows, labels)."""
        if hasattr(self, "members_"):
            p = self.predict_proba(X)
            p = p[:, 1] if self.n_outputs_ == 1 else p
        else:
            return self._classes_of(self._checked_logits(X))
        return self._chosen(p)

    def _classes_of(self, z: Array) -> Array:
        """What predict says where the network gives z."""
        p = self._of_labels(z) if self.out_activation_ == "logistic" else z
        return self._chosen(p.ravel() if self.n_outputs_ == 1 else p)

    def _chosen(self, p: Array) -> Array:
        if p.ndim == 1 and len(self.classes_) == 2:
            chosen = (p > 0.5).astype(np.intp)
        elif self.out_activation_ == "softmax":
            chosen = p.argmax(axis=1)
        else:
            labels: Array = self._label_binarizer.inverse_transform(p)
            return labels
        classes: Array = self.classes_[chosen]
        return classes

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (rows, classes), in the order of classes_; of labels, of each by itself."""
        if hasattr(self, "members_"):
            return mean_over(self.members_, lambda member: member.predict_proba(X))
        z = self._checked_logits(X)
        if self.out_activation_ == "logistic":
            return self._of_labels(np.concatenate([-z, z], axis=1) if self.n_outputs_ == 1 else z)
        return apply("softmax", z)

    @staticmethod
    def _of_labels(z: Array) -> Array:
        """sigmoid(z) of each output by itself."""
        return apply("sigmoid", z)

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of predict_proba(X); -inf where a probability is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    # ---- what BaseMLP asks for ----

    def _take_classes(self, y: Any, classes: Any) -> None:
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError(
                    "MLPClassifier.partial_fit: classes must be passed on the first call to "
                    "partial_fit: all labels that there will be"
                )
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
            self.classes_ = self._label_binarizer.classes_
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"MLPClassifier.partial_fit: classes is {classes!r}, in the first call it was "
                f"{self.classes_!r}"
            )

    def _check_targets(self, X: Any, y: Any, where: str, first: bool) -> tuple[Any, Array]:
        X, y = self._validated(X, y, reset=first)
        incremental = where.endswith("partial_fit")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            came = unique_labels(y)
            new = np.setdiff1d(came, self.classes_).tolist()
            if new or (self.warm_start and len(came) != len(self.classes_)):
                raise ValueError(
                    f"{where}: y has the classes {came.tolist()}, those before were "
                    f"{self.classes_.tolist()}"
                )
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return X, self._label_binarizer.transform(y)
        return X, np.searchsorted(self.classes_, y).astype(np.int64).reshape(-1, 1)

    def _names_of_classes(self) -> list[str]:
        return [str(name) for name in self.classes_] if self._is_single() else []

    def _outputs(self, y: Array) -> int:
        return len(self.classes_) if self._out_activation() == "softmax" else y.shape[1]

    def _out_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _class_weights(self, y: Array, weights: Array | None, where: str) -> Array | None:
        if self.class_weight is None:
            return weights
        if where.endswith("partial_fit") and isinstance(self.class_weight, str):
            raise ValueError(
                f"{where}: class_weight={self.class_weight!r} depends on all rows, which it does "
                "not see; give a dict"
            )
        labels = self.classes_[y.ravel()] if self._is_single() else y
        own: Array = compute_sample_weight(self.class_weight, labels)
        return own if weights is None else own * weights

    def _is_single(self) -> bool:
        """Whether a row has one class."""
        return not self._label_binarizer.y_type_.startswith("multilabel")

    def _stratified(self, y: Array) -> Array | None:
        return y if self.n_outputs_ == 1 else None

    def _rows(self, X: Any, y: Array, weights: Array | None) -> Rows:
        y = y.ravel() if self.out_activation_ == "softmax" else y
        return Rows(X, y, y, weights, None)

    def _score_rows(self, rows: Rows) -> float:
        z = self._logits(rows.X)
        if not np.isfinite(z).all():
            return float("nan")
        if self.out_activation_ == "softmax":
            right = z.argmax(axis=1) == rows.y
        elif self._is_single() and len(self.classes_) == 1:
            return 1.0  # whatever the output is, it is this class
        else:
            right = ((z > 0) == rows.y).all(axis=1)
        return float(np.average(right, weights=rows.weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
