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

from micrograd import core
from micrograd.core import Array
from micrograd.sklearn.parameters import STOCHASTIC, check_settings, limited_threads
from micrograd.sklearn.running import Rhythm, Training, alone, together

# of a member that stands for all: what the data are, and the shape of the network
SHARED = (
    "classes_", "_label_binarizer", "n_features_in_", "feature_names_in_", "n_outputs_",
    "out_activation_", "n_layers_",
)  # fmt: skip


def fit_members(estimator: Any, where: str, training: Callable[[Any, Rhythm], Training]) -> Any:
    """Trains all members; `training` is that of one of them.

    They are trained together, see micrograd.sklearn.running; one after the other where somebody
    looks on, or where the solver is not one of epochs.
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

    _train(estimator, members, training)
    for name in [name for name in own if name.endswith("_") or name in ("_model", "_optimizer")]:
        del own[name]
    first = members[0]
    own.update({name: getattr(first, name) for name in SHARED if hasattr(first, name)})
    estimator.members_ = members
    estimator.n_iter_ = max(member.n_iter_ for member in members)
    estimator.t_ = max(member.t_ for member in members)
    estimator.loss_ = float(np.mean([member.loss_ for member in members]))
    return estimator


def _train(estimator: Any, members: list[Any], training: Callable[[Any, Rhythm], Training]) -> None:
    with limited_threads(estimator):
        if watched(estimator) or estimator.solver not in STOCHASTIC:
            for member in members:
                rhythm = Rhythm()
                alone(training(member, rhythm), rhythm)
            return
        rhythm = Rhythm()
        all_at_once = [training(member, rhythm) for member in members]
        for error in together(all_at_once, rhythm, core.get_num_threads()):
            if error is not None:
                raise error


def watched(estimator: Any) -> bool:
    """Whether somebody is told of each epoch."""
    callbacks = estimator.callbacks
    return bool(estimator.verbose) or not (isinstance(callbacks, (list, tuple)) and not callbacks)


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
