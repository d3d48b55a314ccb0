"""gradcheck and gradgradcheck of models: anything with loss(...), backward() and parameters()."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from micrograd.engine.node import number_of
from micrograd.engine.value import Value
from micrograd.gradcheck.differences import Tolerances


class _Entries:
    """The numbers of one parameter, be it an array or a Value, and their gradients."""

    def __init__(self, parameter: Any, position: int, where: str) -> None:
        self.parameter = parameter
        self.is_value = isinstance(parameter, Value)
        given = parameter.label if self.is_value else getattr(parameter, "name", "")
        self.name = f"parameter {given!r}" if given else f"parameter {position}"
        if self.is_value:
            self.indices: list[tuple[int, ...]] = [()]
            return
        data = parameter.data
        dtype = str(getattr(data, "dtype", type(data).__name__))
        if dtype != "float64":
            raise TypeError(
                f"{where}: {self.name} is {dtype}, too coarse for finite differences; want "
                "float64: Network(..., dtype='float64')"
            )
        from numpy import ndindex

        self.indices = list(ndindex(data.shape))

    def get(self, what: str, index: tuple[int, ...]) -> float:
        held = getattr(self.parameter, what)
        return number_of(held) if self.is_value else float(held[index])

    def set(self, what: str, index: tuple[int, ...], number: float) -> None:
        if self.is_value:
            setattr(self.parameter, what, number)
        else:
            getattr(self.parameter, what)[index] = number

    def named(self, index: tuple[int, ...]) -> str:
        return self.name + (f"[{', '.join(map(str, index))}]" if index else "")


class _Model:
    """A model and its arguments; every number of its parameters is an entry."""

    def __init__(self, model: Any, inputs: Any, where: str) -> None:
        self.model = model
        self.arguments = inputs if isinstance(inputs, tuple) else (inputs,)
        parameters = [_Entries(p, i, where) for i, p in enumerate(model.parameters())]
        self.entries = [(p, index) for p in parameters for index in p.indices]
        name = type(model).__name__
        if not self.entries:
            raise ValueError(f"{where}: {name} has no parameters to check")
        first, second = self.loss(), self.loss()
        if first != second and first == first:
            raise ValueError(
                f"{where}: {name}.loss is not deterministic, it gave {first} and then {second}"
            )

    def names(self) -> list[str]:
        return [p.named(index) for p, index in self.entries]

    def loss(self) -> float:
        return float(self.model.loss(*self.arguments))

    def gradients(self) -> list[float]:
        """What backward() adds to gradients of zero; they are put back."""
        before = [p.get("grad", index) for p, index in self.entries]
        try:
            for p, index in self.entries:
                p.set("grad", index, 0.0)
            self.loss()
            self.model.backward()
            return [p.get("grad", index) for p, index in self.entries]
        finally:
            for (p, index), number in zip(self.entries, before, strict=True):
                p.set("grad", index, number)

    def quotients(self, f: Callable[[], list[float]], tolerances: Tolerances) -> list[list[float]]:
        """Of each entry, the difference quotient of each result of f."""
        found = []
        for p, index in self.entries:
            at = p.get("data", index)

            def moved(x: float, p: _Entries = p, index: tuple[int, ...] = index) -> list[float]:
                p.set("data", index, x)
                return f()

            try:
                found.append(tolerances.differences(moved, at, p.named(index)))
            finally:
                p.set("data", index, at)
        return found


def check_model(model: Any, inputs: Any, tolerances: Tolerances) -> None:
    """Compares the gradients of a model with difference quotients of its loss."""
    checked = _Model(model, inputs, tolerances.where)
    quotients = checked.quotients(lambda: [checked.loss()], tolerances)
    derivatives = checked.gradients()
    tolerances.compare(
        [
            (name, "backward", derivative, difference)
            for name, derivative, (difference,) in zip(
                checked.names(), derivatives, quotients, strict=True
            )
        ]
    )


def check_model_twice(model: Any, inputs: Any, tolerances: Tolerances) -> None:
    """Compares the second derivatives of a model, as difference quotients of its gradients, by each
    pair of parameters in both orders."""
    checked = _Model(model, inputs, tolerances.where)
    rows = checked.quotients(checked.gradients, tolerances)
    names = checked.names()
    entries = []
    for i, row in enumerate(rows):
        for j in range(i):
            how = f"the gradient of {names[i]}, differenced by {names[j]},"
            entries.append((f"{names[i]} and {names[j]}", how, rows[j][i], row[j]))
    tolerances.compare(entries, to="the other way round it is")
