"""gradcheck and gradgradcheck: derivatives compared with central finite differences,

    df/dx = (f(x + eps) - f(x - eps)) / (2 eps),  off by f''' eps^2 / 6 + (rounding of f) / eps,

in float64: about 1e-10 at eps = 1e-6 where f and its derivatives are of order 1. At a kink, such
as relu's at 0, the two sides differ and the check fails: choose another point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from micrograd import func
from micrograd.engine.modes import no_grad
from micrograd.engine.node import number_of
from micrograd.engine.trees import leaves_of, like
from micrograd.engine.value import Operand, Value, constant
from micrograd.gradcheck.differences import GradcheckError, Tolerances
from micrograd.gradcheck.models import check_model, check_model_twice

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


def gradcheck(
    f: Any,
    inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    check_forward_ad: bool = False,
) -> bool:
    """Whether |derivative - difference quotient| <= atol + rtol * |difference quotient| throughout.

    f: a function of Values and of lists and tuples of them, checked at `f(*inputs)` with respect to
    every number in inputs, but for Values with requires_grad=False; a lone Value or number may
    stand for a tuple of one. check_forward_ad: compare forward mode too.

    Or f is a model, anything with loss(...), backward() and parameters(): `model.loss(*inputs)` is
    checked with respect to every entry of its parameters, in float64 and with two losses an entry.
    Parameters and gradients are afterwards what they were.

    Returns True, or raises GradcheckError, which names the entry and both numbers of the worst
    disagreement; returns False instead with raise_exception=False.

    Raises TypeError for parameters that are not float64, ValueError if there is nothing to check or
    if f is not deterministic.

    >>> gradcheck(lambda x, y: x.sin() * y, (0.5, 2.0))
    True
    """
    tolerances = Tolerances("gradcheck", eps, atol, rtol)
    try:
        if _is_model(f):
            check_model(f, inputs, tolerances)
        else:
            _check_function(_flat(f, inputs, tolerances.where), tolerances, check_forward_ad)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    f: Any,
    inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """As gradcheck, for the second derivatives of f: the derivatives, recorded in a graph of their
    own, of f's first derivatives, against finite differences of these.

    A model computes first derivatives only. Its second ones are then differences of what backward()
    gives, and those by a and b must be those by b and a (Schwarz's theorem): that they are the
    derivatives of one function. Two losses and backward passes an entry of its parameters.

    >>> mg.gradgradcheck(lambda x, y: x.sin() * y, (0.5, 2.0))
    True
    """
    tolerances = Tolerances("gradgradcheck", eps, atol, rtol)
    try:
        if _is_model(f):
            check_model_twice(f, inputs, tolerances)
        else:
            _check_function(_flat(f, inputs, tolerances.where).derivative(), tolerances, False)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _is_model(f: Any) -> bool:
    return all(callable(getattr(f, name, None)) for name in ("loss", "backward", "parameters"))


# Functions of Values.


def _paths(tree: Any, path: str) -> Iterator[str]:
    """The name of each leaf: path[0], path[1][0], ..., with the labels that Values have."""
    if isinstance(tree, (list, tuple)):
        for i, branch in enumerate(tree):
            yield from _paths(branch, f"{path}[{i}]")
    else:
        label = tree.label if isinstance(tree, Value) else ""
        yield path + (f" ({label})" if label else "")


@dataclass
class _Flat:
    """A function from Values or numbers to a list of them, and a point to check it at.

    names, results: what messages call the inputs and outputs. checked: the inputs that matter.
    """

    f: Callable[..., list[Operand]]
    where: str
    point: list[float]
    names: list[str]
    checked: tuple[int, ...]
    results: list[str]

    def at(self, point: Sequence[float]) -> list[float]:
        """The results as numbers."""
        with no_grad():
            return [number_of(y) for y in self.f(*point)]

    def derivative(self) -> _Flat:
        """The function from the same inputs to all first derivatives, output by output."""
        jacobian = func.jacrev(self.f, self.checked)
        results = [
            f"the derivative of {result or 'f'} by {self.names[i]}"
            for result in self.results
            for i in self.checked
        ]
        return replace(
            self, f=lambda *leaves: [d for row in jacobian(*leaves) for d in row], results=results
        )


def _flat(f: Callable[..., Any], inputs: Any, where: str) -> _Flat:
    tree = tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,)
    leaves = leaves_of(tree, f"{where}: inputs")
    point = [number_of(x) for x in leaves]
    varies = [not isinstance(x, Value) or x.requires_grad for x in leaves]
    checked = tuple(i for i, needed in enumerate(varies) if needed)
    if not checked:
        raise ValueError(f"{where}: nothing to check, no input requires a gradient")

    def on_leaves(*leaves: Operand) -> list[Operand]:
        result = f(*like(tree, map(constant, leaves)))
        return leaves_of(result, f"{where}: a result of the function")

    with no_grad():
        result = f(*like(tree, map(constant, point)))
    branches = result if isinstance(result, (list, tuple)) else ()
    results = [name for i, y in enumerate(branches) for name in _paths(y, f"output {i}")]
    names = [name for i, x in enumerate(tree) for name in _paths(x, f"input {i}")]
    return _Flat(on_leaves, where, point, names, checked, results or [""])


def _check_function(f: _Flat, tolerances: Tolerances, check_forward_ad: bool) -> None:
    first, second = f.at(f.point), f.at(f.point)
    if [y for y in first if y == y] != [y for y in second if y == y]:
        raise ValueError(
            f"{f.where}: the function is not deterministic, it gave {first} and then {second}"
        )
    modes = [("reverse mode", func.jacrev)]
    if check_forward_ad:
        modes.append(("forward mode", func.jacfwd))
    with no_grad():  # what f has from outside is a constant here
        jacobians = [(how, jacobian(f.f, f.checked)(*f.point)) for how, jacobian in modes]
    entries = []
    for column, i in enumerate(f.checked):
        quotients = tolerances.differences(
            lambda x, i=i: f.at([*f.point[:i], x, *f.point[i + 1 :]]),  # type: ignore[misc]
            f.point[i],
            f.names[i],
        )
        for row, difference in enumerate(quotients):
            of = f"{f.results[row]} by " if f.results[row] else ""
            for how, jacobian in jacobians:
                derivative = number_of(jacobian[row][column])
                entries.append((of + f.names[i], how, derivative, difference))
    tolerances.compare(entries)
