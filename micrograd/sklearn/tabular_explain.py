"""What the answers of an estimator for tables rest on: importances, and derivatives by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from micrograd import checks
from micrograd.core import Array
from micrograd.network.columns import Embedding
from micrograd.network.network import Network
from micrograd.sklearn.tabular_recipe import EMBEDDING_WIDTH
from micrograd.tabular import Schema

ROWS = 1024  # that go through a network at once: it keeps every value of theirs


class Explaining:
    """Methods of BaseTabular."""

    schema_: Schema
    networks_: list[Network]
    score: Callable[[Any, Any], float]
    _checked_table: Callable[[Any], Any]
    _encoded: Callable[[Array], Array]
    _outputs: Callable[[], int]
    _unit: Callable[[], Any]

    def permutation_importances(
        self, X: Any, y: Any, n_repeats: int = 5, random_state: Any = None
    ) -> dict[str, float]:
        """How much the score falls when a column is shuffled, by name, the largest first.

        Args:
            X, y: rows that were not trained on, better.
            n_repeats: shuffles that are averaged.
        """
        check_is_fitted(self)
        frame = self.schema_.align(self._checked_table(X))
        rng = check_random_state(random_state)
        whole = self.score(frame, y)
        found = {}
        for name in (column.name for column in self.schema_.features):
            place = frame.names.index(name)
            scores = []
            for _ in range(checks.count("permutation_importances", "n_repeats", n_repeats)):
                columns = list(frame.columns)
                columns[place] = columns[place][rng.permutation(len(frame))]
                scores.append(self.score(replace(frame, columns=columns), y))
            found[name] = float(whole - np.mean(scores))
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    def explain(self, X: Any) -> tuple[list[str], Array]:
        """How much each column moves the answer of each row away from what its usual value gives.

        The gradient of the output by the numbers that a column becomes, times their distance from
        0: for a number the median, for flags none, for an embedding a category that was not seen.
        Gradients are exact, in float64.

        Returns:
            The names of the columns, and (rows, columns), or (rows, columns, outputs) where there
            are several outputs: in logits, or in the units of the target.
        """
        check_is_fitted(self)
        moved, _ = self._gradients(self._checked_table(X))
        names = [column.name for column in self.schema_.features]
        found = np.zeros((len(moved), len(names), self._outputs()))
        for i, owner in enumerate(owners_of(self.schema_)):
            found[:, owner] += moved[:, i]
        return names, self._in_units(found)

    def derivatives(self, X: Any) -> tuple[list[str], Array]:
        """How the answer of each row changes with its numbers, exactly: d answer / d cell.

        By the chain rule through the network and what the schema makes of a cell. A number counts
        in its own unit, a date in days; a missing one has 0. Answers are logits of classes, for a
        regressor the target in its units before it is held within the range of those in training,
        and of loss "poisson" its logarithm.

        Returns:
            The names of the columns that are numbers or dates, and (rows, those), or
            (rows, those, outputs) where there are several outputs.
        """
        check_is_fitted(self)
        frame = self.schema_.align(self._checked_table(X))
        _, gradients = self._gradients(frame)
        slopes = self.schema_.slopes(frame)
        owners = owners_of(self.schema_)[: slopes.shape[1]]
        features = self.schema_.features
        numbered = sorted(set(owners))
        found = np.zeros((len(slopes), len(numbered), self._outputs()))
        for i, owner in enumerate(owners):
            found[:, numbered.index(owner)] += slopes[:, i, None] * gradients[:, i]
        return [features[i].name for i in numbered], self._in_units(found)

    def _in_units(self, found: Array) -> Array:
        found = found * self._unit()
        return found[:, :, 0] if found.shape[2] == 1 else found

    def _gradients(self, table: Any) -> tuple[Array, Array]:
        """Of the numbers that each row becomes, embeddings and all, in float64: the gradient of an
        output by each times the number, and the gradient, (rows, numbers, outputs), both as means
        over the members."""
        encoded = self._encoded(self.schema_.transform(table)).astype(np.float64)
        outputs, members = self._outputs(), len(self.networks_)
        size = len(encoded), len(owners_of(self.schema_)) or encoded.shape[1], outputs
        moved, found = np.zeros(size), np.zeros(size)
        for head, net in map(_parted, self.networks_):
            numbers = encoded if head is None else head.predict(encoded)
            for start in range(0, len(numbers), ROWS):
                part = slice(start, start + ROWS)
                rows = numbers[part]
                for k in range(outputs):
                    one = np.zeros((len(rows), outputs))
                    one[:, k] = 1.0
                    gradient = net.input_gradient(rows, one)
                    found[part, :, k] += gradient
                    moved[part, :, k] += rows * gradient
        return moved / members, found / members


def owners_of(schema: Schema) -> list[int]:
    """Of each number that a row becomes, embeddings and all, the feature that it is made of."""
    features = list(enumerate(schema.features))
    owners = [i for i, column in features for _ in column.numbers]
    owners += [i for i, column in features for _ in column.flags]
    return owners + [i for i, column in features for _ in column.codes * EMBEDDING_WIDTH]


def _weighted_sum(outputs: Any, weights: Any) -> Any:
    """A loss whose derivative by the outputs is the weights."""
    if not isinstance(outputs, (list, tuple)):
        return outputs * weights
    total: Any = 0.0
    for output, weight in zip(outputs, weights, strict=True):
        total = total + output * weight
    return total


def _parted(net: Network) -> tuple[Network | None, Network]:
    """The same function in float64 as the Embedding it begins with, if it does, and the rest, whose
    loss is a sum of outputs with weights."""
    first = isinstance(net.layers[0], Embedding)
    head = Network(net.layers[0], dtype="float64", seed=0) if first else None
    rest = Network(*net.layers[first:], loss=_weighted_sum, dtype="float64", seed=0)
    twins = [*(head.parameters() if head else ()), *rest.parameters()]
    for twin, parameter in zip(twins, net.parameters(), strict=True):
        twin.data[...] = parameter.data
    return head, rest
