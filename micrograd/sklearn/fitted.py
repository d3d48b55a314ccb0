"""What a fitted estimator does with its network: predict, show its weights, be pickled."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from micrograd import checks
from micrograd.core import Array
from micrograd.network.network import Network
from micrograd.sklearn.model import Model, schema_of
from micrograd.sklearn.parameters import is_plain, limited_threads, narrowed
from micrograd.sklearn.still import HandedOut


class Fitted(BaseEstimator):
    """The fitted side of BaseMLP."""

    coefs_, intercepts_, projections_ = HandedOut(), HandedOut(), HandedOut()
    _model: Model

    def _show(self, model: Model) -> None:
        own: dict[str, Any] = self.__dict__  # through the attributes they count as handed out
        own["_model"] = model
        own["coefs_"], own["intercepts_"] = list(model.coefs), list(model.intercepts)
        if model.architecture.residual:
            own["projections_"] = list(model.projections)

    def _sync(self) -> None:
        """Takes over arrays that somebody has put into coefs_ and intercepts_."""
        model, own = self._model, vars(self)
        if model.weights.still is not None:
            return
        mine, theirs = (*model.coefs, *model.intercepts), (*own["coefs_"], *own["intercepts_"])
        if len(mine) != len(theirs) or any(m is not t for m, t in zip(mine, theirs, strict=True)):
            model.adopt(self.coefs_, self.intercepts_)

    @property
    def network_(self) -> Network:
        """The fitted Network, for micrograd.convert, save() and diagnose(); its output are logits.

        Its metadata, which save() writes too, have the names of the classes and of the features.

        Raises:
            NotFittedError: fit has not been called.
        """
        check_is_fitted(self)
        if hasattr(self, "members_"):
            raise AttributeError(
                f"{type(self).__name__}: {len(self.members_)} members have a network each: "
                "members_[0].network_"
            )
        self._model.weights.hand_out()
        self._sync()
        net = self._model.net
        features: Any = getattr(self, "feature_names_in_", None)
        net.metadata["schema"] = schema_of(net, features, self._names_of_classes())
        return net

    def _names_of_classes(self) -> list[str]:
        """What the classes are called, where a row has one of several."""
        return []

    def _logits(self, X: Any) -> Array:
        """What the network gives before out_activation_, for rows that have been checked."""
        self._sync()
        if self.n_jobs is None:
            return self._model.logits(X)
        with limited_threads(self):
            return self._model.logits(X)

    def _checked_logits(self, X: Any) -> Array:
        """In the wider of the dtypes of the rows and the weights."""
        if is_plain(self, X):
            x = narrowed(X, self._model.coefs[0].dtype)
            try:
                z = self._logits(x)
            except ValueError:
                pass  # what is not finite; scikit-learn's words for it follow
            else:
                return z.astype(X.dtype) if z.itemsize < X.dtype.itemsize else z
        check_is_fitted(self)
        checks.refuse_masked(type(self).__name__, "X", X)
        kinds, sparse = (np.float64, np.float32), ["csr", "csc"]
        X = validate_data(self, X, accept_sparse=sparse, dtype=kinds, reset=False)
        z = self._logits(X)
        return z.astype(np.result_type(X.dtype, z.dtype), copy=False)

    # ---- pickling ----

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_model" in state:
            self._sync()
            for name in ("coefs_", "intercepts_", "projections_"):  # the model has them
                state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_model" in state:
            self._show(self._model)
