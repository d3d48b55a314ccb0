"""What TabularClassifier and TabularRegressor share: the schema, the networks, pickling."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from micrograd import checks
from micrograd.core import Array
from micrograd.network.network import Network
from micrograd.saving import save_members
from micrograd.sklearn.parameters import limited_threads
from micrograd.sklearn.tabular_explain import Explaining
from micrograd.sklearn.tabular_recipe import (
    HELD_OUT,
    PRESETS,
    Deadline,
    Recipe,
    layers_for,
    train,
    trained_at_once,
)
from micrograd.sklearn.undo import as_before_on_failure
from micrograd.tabular import Column, Frame, Schema, Target
from micrograd.tabular.infer import embed, infer_column
from micrograd.tabular.schema import as_table, is_frame
from micrograd.training.history import History

LEAST_HELD_OUT = 30  # rows: of fewer the best epoch is not told from a lucky one
CHOSEN_BY_ERRORS = 100  # held-out rows from which on the epoch is chosen by the errors


class BaseTabular(Explaining, BaseEstimator):
    """An estimator for tables as they are; see its two kinds."""

    # ---- what the kinds add ----

    def _targets(self, y: Any, rows: int, weights: Array | None) -> Array:
        """The targets of so many rows as the network takes them."""
        raise NotImplementedError

    def _outputs(self) -> int:
        raise NotImplementedError

    def _network_loss(self) -> Any:
        raise NotImplementedError

    def _answers(self, outputs: list[Array]) -> Array:
        """What the raw outputs of all members say together."""
        raise NotImplementedError

    def _weights(self, y: Array, weights: Array | None) -> Array | None:
        return weights

    def _described(self) -> list[Target]:
        """What is predicted, for the schema."""
        raise NotImplementedError

    # ---- fitting ----

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Finds out what the columns are and trains.

        Args:
            X: a pandas or polars frame, a pyarrow table, or a matrix: numbers, words, dates, yes
                and no, missing values.
            y: (rows,), or for a regressor (rows, outputs).
            sample_weight: (rows,), 0 or more.

        Returns:
            The estimator itself.

        Raises:
            TypeError, ValueError: a parameter, or the data; names column and cell. The estimator is
                then as it was before.
        """
        with as_before_on_failure(self):
            return self._fit(X, y, sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        started = time.monotonic()
        self._check_parameters()
        frame = self._checked_table(X, y, reset=True)
        weights = None
        if sample_weight is not None:
            given = np.asarray(sample_weight)
            if given.size and given.dtype.kind in "biuf" and not given.any():
                raise ValueError(
                    f"{type(self).__name__}.fit: sample_weight is 0 in all rows, at least one "
                    "non-zero is wanted"
                )
            rows = np.empty((len(frame), 1))
            weights = _check_sample_weight(
                sample_weight, rows, dtype=np.float64, ensure_non_negative=True
            )
        y = self._targets(y, len(frame), weights)
        weights = self._weights(y, weights)
        if weights is not None:
            kept = weights > 0
            frame, y, weights = frame.take(kept), y[kept], weights[kept]
        self.schema_ = self._infer(frame, weights)
        taken = set(frame.names)
        self.schema_.targets = [_renamed(target, taken) for target in self._described()]
        self.schema_.order += [target.name for target in self.schema_.targets]
        encoded = self._encoded(self.schema_.transform(frame))
        rng = check_random_state(self.random_state)
        with limited_threads(self):
            self._train(encoded, y, weights, rng, started)
        return self

    def _check_parameters(self) -> None:
        name = type(self).__name__
        if self.preset not in PRESETS:
            raise ValueError(
                f"{name}: preset is {self.preset!r}, one of {', '.join(PRESETS)} is wanted"
            )
        if self.time_limit is not None:
            checks.number(name, "time_limit", self.time_limit, above=0)
        checks.number(name, "validation_fraction", self.validation_fraction, 0, 1)
        if self.embed_above is not None:
            checks.count(name, "embed_above", self.embed_above)

    def _checked_table(self, X: Any, y: Any = None, reset: bool = False) -> Frame:
        """X as a table, the number and the names of its columns checked."""
        name = type(self).__name__
        if is_frame(X):
            frame = as_table(X)
            if not len(frame):
                raise ValueError(f"{name}: X has no rows, one or more are wanted")
            if reset:
                if len(frame) < 2:
                    raise ValueError(f"{name}.fit: X has 1 row, 2 or more are wanted")
                self.n_features_in_ = len(frame.names)
                self.feature_names_in_ = np.array(frame.names, dtype=object)
            return frame
        X = validate_data(
            self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=1,
        )  # fmt: skip
        if reset and len(X) < 2:
            raise ValueError(f"{name}.fit: n_samples=1, 2 or more are wanted")
        return as_table(X)

    def _infer(self, frame: Frame, weights: Array | None) -> Schema:
        """The schema of the features; a table without one that tells rows apart has none."""
        kinds = dict(self.kinds or {})
        unknown = [name for name in kinds if name not in frame.names]
        if unknown:
            raise ValueError(
                f"{type(self).__name__}: kinds names the column {unknown[0]!r}, X has "
                f"{', '.join(frame.names[:20])}"
            )
        columns: list[Column] = [infer_column(frame, n, kinds.get(n)) for n in frame.names]
        embed(columns, self.embed_above)
        if weights is not None:
            for column in columns:
                column.fit_scale(frame, weights)
        return Schema(columns, [], frame.names, frame.header)

    def _encoded(self, X: Array) -> Array:
        """The inputs of the networks in float32: one column of zeros where there is none."""
        if X.shape[1] == 0:
            return np.zeros((len(X), 1), np.float32)
        return X.astype(np.float32)

    def _recipe(self, rows: int) -> Recipe:
        recipe = PRESETS[self.preset].sized(rows)
        if self.epochs is not None:
            epochs = checks.count(type(self).__name__, "epochs", self.epochs)
            recipe = replace(recipe, epochs=epochs)
        return recipe

    def _train(self, X: Array, y: Array, weights: Array | None, rng: Any, started: float) -> None:
        """Trains the members at once; all choose their epoch by the same rows."""
        recipe = self._recipe(len(X))
        if weights is not None:  # a batch is weighed by itself, so it has to hold rows of all kinds
            recipe = replace(recipe, batch_size=min(256, len(X)))
        rows, held_out = self._split(y, rng)
        part = (X[rows], y[rows], None if weights is None else weights[rows])
        judged: tuple[Any, ...] | None = None
        if held_out is not None:
            judged = (X[held_out], y[held_out])
            judged += () if weights is None else (weights[held_out],)
        seeds = [int(rng.randint(2**31 - 1)) for _ in range(recipe.members)]
        nets = [
            Network(
                *layers_for(
                    recipe, X.shape[1], self._outputs(), self.schema_.n_numbers, self.schema_.tables
                ),
                loss=self._network_loss(), seed=seed,
            )
            for seed in seeds
        ]  # fmt: skip
        by_errors = self._by_errors(0 if held_out is None else len(held_out))

        def fit(number: int, deadline: Deadline) -> History:
            return train(
                nets[number], recipe, part, judged, by_errors=by_errors, seed=seeds[number],
                progress=bool(self.verbose) and number == 0, callbacks=[deadline],
            )  # fmt: skip

        until = math.inf if self.time_limit is None else started + self.time_limit
        histories = trained_at_once(fit, recipe.members, until)
        self.networks_, self.history_ = nets[: len(histories)], histories
        self.n_iter_ = max(len(history.loss) for history in histories)
        self._calibrate(None if judged is None else judged)

    def _by_errors(self, held_out: int) -> bool:
        """Whether the epoch is chosen by the share of right answers of so many rows."""
        return False

    def _calibrate(self, judged: tuple[Any, ...] | None) -> None:
        """What is learnt from the held-out rows besides the epoch."""

    def _split(self, y: Array, rng: Any) -> tuple[Array, Array | None]:
        """Rows to train on, and to choose the epoch by; None for few rows."""
        everything = np.arange(len(y))
        fraction = self.validation_fraction
        share = HELD_OUT if fraction is None else fraction
        if not share or share * len(y) < LEAST_HELD_OUT:
            return everything, None
        classes = self._strata(y)
        rows, held_out = train_test_split(
            everything, test_size=share, random_state=rng, stratify=classes
        )
        return rows, held_out

    def _strata(self, y: Array) -> Array | None:
        return None

    # ---- answers ----

    def _raw(self, X: Any) -> list[Array]:
        """The outputs of each member, (rows, outputs), float64."""
        networks = getattr(self, "networks_", None)
        if networks is None:
            check_is_fitted(self)
        schema = self.schema_
        plain = type(X) is np.ndarray and X.dtype == np.float64 and X.ndim == 2 and len(X)
        if not (plain and X.shape[1] == self.n_features_in_ and not schema.header):
            X = X if is_frame(X) else self._checked_table(X)
        encoded = self._encoded(schema.transform(X))
        if not len(encoded):
            raise ValueError(f"{type(self).__name__}: X has no rows, one or more are wanted")
        return [net.predict(encoded).astype(np.float64) for net in self.networks_]

    def save(self, path: Any) -> None:
        """Writes the networks and the schema of the table to one safetensors file.

        `micrograd predict` and `export` apply the schema, and hold quantities within the range of
        those in training where predict does. `mg.load` gives one network back, and
        micrograd.saving.load_members the several that preset "best" has.

        Raises:
            ImportError: the safetensors package is not installed.
            ValueError: the loss is "quantile", whose outputs are several for one target.
        """
        check_is_fitted(self)
        if getattr(self, "fitted_loss_", None) == "quantile":
            raise ValueError(
                f"{type(self).__name__}.save: loss 'quantile' has several outputs for one target; "
                "pickle it, or save networks_[0], which gives them unscaled"
            )
        net = self.networks_[0]
        net.metadata["schema"] = self.schema_.to_dict()
        net.metadata["clamp"] = getattr(self, "fitted_loss_", None) == "squared_error"
        save_members(self.networks_, path) if len(self.networks_) > 1 else net.save(path)

    def _unit(self) -> Any:
        """What an output is multiplied by on its way to the answer."""
        return 1.0

    # ---- pickling and tags ----

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "networks_" in state:
            state["networks_"] = [_packed(net) for net in state["networks_"]]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "networks_" in state:
            state = {**state, "networks_": [_unpacked(plain) for plain in state["networks_"]]}
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags


def _renamed(target: Target, taken: set[str]) -> Target:
    """A name that no column has."""
    while target.name in taken:
        target.name += " predicted"
    return target


def _packed(net: Network) -> tuple[Sequence[Any], Any, Array]:
    loss = net.loss_kind.function or net.loss_name
    return net.layers, loss, net.parameters().flat.copy()


def _unpacked(plain: tuple[Sequence[Any], Any, Array]) -> Network:
    layers, loss, flat = plain
    net = Network(*layers, loss=loss, dtype=str(flat.dtype), seed=0)
    net.parameters().flat[...] = flat
    return net
