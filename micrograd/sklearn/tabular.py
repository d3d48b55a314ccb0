"""TabularClassifier and TabularRegressor: a frame as it is in, a small and fast network inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted

from micrograd import checks
from micrograd.core import Array
from micrograd.network.loss_functions import Poisson, Quantile
from micrograd.network.losses import softmax
from micrograd.sklearn.tabular_base import CHOSEN_BY_ERRORS, BaseTabular
from micrograd.sklearn.tabular_recipe import EMBED_ABOVE
from micrograd.tabular import Target

LOSSES = ("squared_error", "absolute_error", "huber", "poisson", "quantile")
TEMPERATURES = np.exp(np.linspace(np.log(0.1), np.log(10), 201))


class TabularClassifier(ClassifierMixin, BaseTabular):
    """Tells classes apart in a table as it is: numbers, words, dates, yes and no, gaps.

        model = TabularClassifier().fit(frame.drop(columns="species"), frame["species"])
        print(model.schema_)

    What the columns are is found by the rules of `micrograd.tabular.infer`; the network and its
    training follow RealMLP (arXiv 2407.04491). Probabilities are calibrated on held-out rows by one
    temperature (Guo et al. 2017).

    Args:
        preset: "fast", "default", or "best": an average of five networks.
        time_limit: seconds after which no further epoch begins; None for as long as it takes.
        random_state: of weights, held-out rows and batches.
        class_weight: {class: weight} or "balanced"; multiplied into sample_weight.
        kinds: what columns are, by name, where the rules say otherwise: see Schema.infer.
        validation_fraction: share of the rows by which the best epoch is chosen; 0 for none. Of
            fewer than 300 rows none are set aside.
        epochs: None for those of the preset.
        embed_above: columns with more categories get eight learned numbers for each of them, the
            others, and all with None, a flag.
        n_jobs: threads, at most; None and -1 are all. Results do not depend on it.
        verbose: show the progress.

    Attributes:
        classes_, temperature_, n_iter_, n_features_in_, feature_names_in_: as their names say.
        schema_: what the columns are.
        networks_: the fitted Networks.
        history_: the History of each.

    A frame may have its columns in another order afterwards, and others beside them.

    >>> import pandas as pd
    >>> area = np.linspace(20, 200, 100)
    >>> frame = pd.DataFrame({"area": area, "kind": np.where(area < 90, "flat", "house")})
    >>> model = TabularClassifier("fast", random_state=0).fit(frame[["area"]], frame["kind"])
    >>> list(model.classes_), model.score(frame[["area"]], frame["kind"]) > 0.9
    (['flat', 'house'], True)
    """

    def __init__(
        self,
        preset: str = "default",
        *,
        time_limit: float | None = None,
        random_state: Any = None,
        class_weight: Any = None,
        kinds: Any = None,
        validation_fraction: float = 0.1,
        epochs: int | None = None,
        embed_above: int | None = EMBED_ABOVE,
        n_jobs: int | None = None,
        verbose: Any = False,
    ) -> None:
        self.preset = preset
        self.time_limit = time_limit
        self.random_state = random_state
        self.class_weight = class_weight
        self.kinds = kinds
        self.validation_fraction = validation_fraction
        self.epochs = epochs
        self.embed_above = embed_above
        self.n_jobs = n_jobs
        self.verbose = verbose

    def predict(self, X: Any) -> Array:
        """The class of each row, (rows,)."""
        best = self.predict_proba(X).argmax(axis=1)
        answers: Array = self.classes_[best]
        return answers

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (rows, classes), in the order of classes_."""
        return self._answers(self._raw(X))

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of predict_proba(X); -inf where a probability is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    # ---- what BaseTabular asks for ----

    def _targets(self, y: Any, rows: int, weights: Array | None) -> Array:
        y = _checked_y(self, y, rows)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"TabularClassifier.fit: y has one class, {self.classes_.tolist()[0]!r}; two or "
                "more are wanted"
            )
        return codes.astype(np.int64)

    def _outputs(self) -> int:
        return len(self.classes_)

    def _described(self) -> list[Target]:
        return [Target("y", [str(name) for name in self.classes_.tolist()])]

    def _network_loss(self) -> Any:
        return "cross_entropy"

    def _weights(self, y: Array, weights: Array | None) -> Array | None:
        if self.class_weight is None:
            return weights
        own: Array = compute_sample_weight(self.class_weight, self.classes_[y])
        return own if weights is None else own * weights

    def _strata(self, y: Array) -> Array | None:
        return y if np.bincount(y).min() >= 2 else None

    def _by_errors(self, held_out: int) -> bool:
        return held_out >= CHOSEN_BY_ERRORS

    def _calibrate(self, judged: tuple[Any, ...] | None) -> None:
        """Divides the logits by the temperature with the smallest cross-entropy on the held-out
        rows: it becomes part of the last layer."""
        self.temperature_ = 1.0
        if judged is None:
            return
        X, y, *weights = judged
        z = [net.predict(X).astype(np.float64) for net in self.networks_]
        right = np.arange(len(y)), y
        losses = []
        for temperature in TEMPERATURES:
            p = np.mean([softmax(each / temperature) for each in z], axis=0)[right]
            loss = -np.log(np.maximum(p, 1e-12))
            losses.append(np.average(loss, weights=weights[0] if weights else None))
        self.temperature_ = float(TEMPERATURES[int(np.argmin(losses))])
        for net in self.networks_:  # what leaves this estimator is calibrated, too
            for parameter in list(net.parameters())[-2:]:
                parameter.data[...] /= self.temperature_

    def _answers(self, outputs: list[Array]) -> Array:
        if len(outputs) == 1:
            return softmax(outputs[0])
        p: Array = np.mean([softmax(z) for z in outputs], axis=0)
        return p


class TabularRegressor(RegressorMixin, BaseTabular):
    """Predicts quantities from a table as it is: numbers, words, dates, yes and no, gaps.

    Targets are scaled to mean 0 and standard deviation 1, and predictions held within the range of
    those in training, as RealMLP does it.

    Args:
        loss: "squared_error"; "absolute_error" or "huber", less moved by outliers; "poisson", for
            counts of 0 or more; "quantile", for intervals.
        quantiles: of loss "quantile": the levels that are learnt; predict gives the middle one.

    The other parameters, and the attributes, are those of TabularClassifier, without class_weight,
    classes_ and temperature_.

    >>> import pandas as pd
    >>> area = np.linspace(20, 200, 100)
    >>> frame = pd.DataFrame({"area": area, "price": 1000 * area})
    >>> model = TabularRegressor("fast", random_state=0).fit(frame[["area"]], frame["price"])
    >>> model.score(frame[["area"]], frame["price"]) > 0.9
    True
    """

    def __init__(
        self,
        preset: str = "default",
        *,
        loss: str = "squared_error",
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        time_limit: float | None = None,
        random_state: Any = None,
        kinds: Any = None,
        validation_fraction: float = 0.1,
        epochs: int | None = None,
        embed_above: int | None = EMBED_ABOVE,
        n_jobs: int | None = None,
        verbose: Any = False,
    ) -> None:
        self.preset = preset
        self.loss = loss
        self.quantiles = quantiles
        self.time_limit = time_limit
        self.random_state = random_state
        self.kinds = kinds
        self.validation_fraction = validation_fraction
        self.epochs = epochs
        self.embed_above = embed_above
        self.n_jobs = n_jobs
        self.verbose = verbose

    def predict(self, X: Any) -> Array:
        """The quantity for each row, (rows,), or (rows, outputs); of quantiles the middle one."""
        answers = self._answers(self._raw(X))
        if self.fitted_loss_ == "quantile":
            return np.asarray(answers[:, len(self.levels_) // 2])
        return answers if self._columns else answers[:, 0]

    def predict_quantiles(self, X: Any) -> Array:
        """The quantiles (rows, levels) of loss "quantile", in the order of levels_, rising.

        Raises:
            ValueError: the loss is another.
        """
        check_is_fitted(self)
        if self.fitted_loss_ != "quantile":
            raise ValueError(
                f"TabularRegressor.predict_quantiles: fitted with loss={self.fitted_loss_!r}; fit "
                "with loss='quantile'"
            )
        return np.sort(self._answers(self._raw(X)), axis=1)

    def predict_interval(self, X: Any) -> Array:
        """The lowest and the highest of the quantiles, (rows, 2): between 0.05 and 0.95 lie nine
        of ten."""
        return self.predict_quantiles(X)[:, [0, -1]]

    # ---- what BaseTabular asks for ----

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.loss not in LOSSES:
            raise ValueError(
                f"TabularRegressor: loss is {self.loss!r}, one of {', '.join(LOSSES)} is wanted"
            )
        if self.loss == "quantile":
            levels = Quantile(self.quantiles).levels
            if sorted(set(levels)) != list(levels):
                raise ValueError(
                    f"TabularRegressor: quantiles is {self.quantiles!r}, rising levels are wanted"
                )

    def _targets(self, y: Any, rows: int, weights: Array | None) -> Array:
        self.fitted_loss_ = self.loss  # that of the networks, whatever set_params says afterwards
        y = _checked_y(self, y, rows, columns=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._columns = y.shape[1] if y.ndim == 2 else 0
        values = y.reshape(len(y), -1)
        self.levels_ = Quantile(self.quantiles).levels if self.loss == "quantile" else ()
        if self.loss == "quantile" and self._columns:
            raise ValueError("TabularRegressor.fit: loss 'quantile' takes one target, y (rows,)")
        there = values if weights is None else values[weights > 0]
        self._least, self._most = there.min(axis=0), there.max(axis=0)
        self._centre = np.average(values, axis=0, weights=weights)
        spread = np.sqrt(np.average((values - self._centre) ** 2, axis=0, weights=weights))
        self._scale = np.where(spread > 0, spread, 1.0)
        if self.loss == "poisson":
            if self._least.min() < 0:
                raise ValueError(
                    f"TabularRegressor.fit: y has {self._least.min():g}, loss 'poisson' takes 0 or "
                    "more"
                )
            self._scale = np.where(self._centre > 0, self._centre, 1.0)
            self._centre = np.zeros_like(self._centre)
        return np.asarray((values - self._centre) / self._scale, np.float32)

    def _outputs(self) -> int:
        return len(self.levels_) or max(1, self._columns)

    def _described(self) -> list[Target]:
        names = [f"y{i}" for i in range(self._columns)] or ["y"]
        ends = (self._centre, self._scale, self._least, self._most)
        return [
            Target(name, centre=float(c), scale=float(s), least=float(low), most=float(high))
            for name, c, s, low, high in zip(names, *ends, strict=True)
        ]

    def _network_loss(self) -> Any:
        named = {"squared_error": "mse", "absolute_error": "mae", "huber": "huber"}
        if self.loss == "quantile":
            return Quantile(self.levels_)
        return Poisson() if self.loss == "poisson" else named[self.loss]

    def _answers(self, outputs: list[Array]) -> Array:
        if self.fitted_loss_ == "poisson":
            return np.asarray(np.mean([np.exp(z) for z in outputs], axis=0) * self._scale)
        z = np.mean(outputs, axis=0) if len(outputs) > 1 else outputs[0]
        answers = self._centre + self._scale * z
        if self.fitted_loss_ == "squared_error":
            answers = np.clip(answers, self._least, self._most)
        return np.asarray(answers)

    def _unit(self) -> Any:
        return 1.0 if self.fitted_loss_ == "poisson" else self._scale

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _checked_y(estimator: Any, y: Any, rows: int, columns: bool = False) -> Array:
    """The targets of so many rows as an array without gaps."""
    name = type(estimator).__name__
    if y is None:
        raise ValueError(
            f"{name}.fit: y is None: this estimator requires y to be passed, but the target y is "
            "None"
        )
    array = _numbers(name, y) if columns else np.asarray(column_or_1d(y, warn=True))
    if len(array) != rows:
        raise ValueError(
            f"{name}.fit: X has {rows} rows, y {len(array)}: inconsistent numbers of samples"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        wanted = "number" if columns else "class"
        raise ValueError(f"{name}.fit: Input y contains NaN or infinity; give every row a {wanted}")
    if array.dtype.kind == "O" and any(map(checks.is_none, array.tolist())):
        raise ValueError(f"{name}.fit: Input y contains NaN; give every row a class")
    return array


def _numbers(name: str, y: Any) -> Array:
    """Targets as float64, NaN where one is missing."""
    kind = np.asarray(y).dtype.kind
    if kind in "mM":
        raise TypeError(
            f"{name}.fit: y has {'dates' if kind == 'M' else 'durations'}, numbers are wanted, "
            "such as the days since one date"
        )
    try:
        array: Array = check_array(
            y, ensure_2d=False, allow_nd=False, dtype=np.float64, input_name="y",
            ensure_all_finite=False, ensure_min_samples=0,
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name}.fit: y: {error}; a number for each row is wanted: for words there is "
            "TabularClassifier"
        ) from None
    return array
