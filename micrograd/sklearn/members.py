"""Several networks behind one estimator, each with a seed of its own: their answers are averaged.

Source: Lakshminarayanan, Pritzel and Blundell, "Simple and Scalable Predictive Uncertainty
Estimation using Deep Ensembles" (2017), section 2.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from micrograd.core import Array
from micrograd.sklearn.parameters import check_settings

# of a member that stands for all: what the data are, and the shape of the network
SHARED = (
    "classes_", "_label_binarizer", "n_features_in_", "feature_names_in_", "n_outputs_",
    "out_activation_", "n_layers_",
)  # fmt: skip


def fit_members(estimator: Any, where: str, train: Callable[[Any], Any]) -> Any:
    """Trains all members; `train` fits one of them.

    One after the other: scikit-learn's checks set filters of warnings, which belong to the process,
    and in threads one can end with those of another.
    """
    check_settings(estimator, where)
    own: dict[str, Any] = estimator.__dict__
    go_on = estimator.warm_start or where.endswith("partial_fit")
    before = own.get("members_") or []
    if go_on and len(before) == estimator.n_members:
        members = [clone_fitted(member, estimator) for member in before]
    else:
        rng = check_random_state(estimator.random_state)
        members = [
            clone(estimator).set_params(n_members=1, random_state=int(seed))
            for seed in rng.randint(2**31 - 1, size=estimator.n_members)
        ]

    for member in members:
        train(member)
    for name in [name for name in own if name.endswith("_") or name in ("_model", "_optimizer")]:
        del own[name]
    first = members[0]
    own.update({name: getattr(first, name) for name in SHARED if hasattr(first, name)})
    estimator.members_ = members
    estimator.n_iter_ = max(member.n_iter_ for member in members)
    estimator.t_ = max(member.t_ for member in members)
    estimator.loss_ = float(np.mean([member.loss_ for member in members]))
    return estimator


def clone_fitted(member: Any, estimator: Any) -> Any:
    """A member to train on, with the parameters that the estimator has now; the old one stays."""
    from copy import deepcopy

    parameters = estimator.get_params(deep=False)
    parameters.pop("random_state")
    return deepcopy(member).set_params(**{**parameters, "n_members": 1})


def mean_over(members: list[Any], answer: Callable[[Any], Array]) -> Array:
    """The mean of what the members answer."""
    total = answer(members[0])
    for member in members[1:]:
        total = total + answer(member)
    return total / len(members)
