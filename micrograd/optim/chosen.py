"""What an optimizer or a clipping works on: all parameters of a model, some of them, or Values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from micrograd.core import Array
from micrograd.parameters import Parameter, Parameters


@dataclass(frozen=True)
class Chosen:
    """Parameters to work on.

    given: model.parameters(), or a list of Parameters or Values; items: the same as a list. owner:
    all parameters of their model, None for Values. spans: where those lie in its flat arrays, in
    order and joined; None for all of them. groups: for each group the numbers of its items, and
    the settings that it was given.
    """

    given: Any
    items: list[Any]
    owner: Parameters | None
    spans: list[tuple[int, int]] | None
    groups: list[tuple[list[int], dict[str, Any]]]

    def gradients(self, owner: Parameters) -> Iterator[Array]:
        """The gradients of the spans, as parts of the flat array."""
        for first, last in self.spans or [(0, owner.size)]:
            yield owner.flat_grad[first:last]


def choose(where: str, params: Any) -> Chosen:
    """What `params` names: model.parameters(), any of its parts, a list of Values, one of these, or
    a list of groups {"params": ..., setting: value}.

    Raises:
        TypeError: it is something else.
        ValueError: there is none; one comes twice; they are of two models.
    """
    if isinstance(params, Parameters) and len(params):
        numbers = list(range(len(params)))
        return Chosen(params, list(params), params, None, [(numbers, {})])
    if _is_parameter(params) or isinstance(params, Mapping):
        params = [params]
    if not isinstance(params, Iterable):
        raise _no_parameters(where)
    parts = list(params)
    if not parts:
        raise ValueError(f"{where}: params is empty, one parameter or more is wanted")
    grouped = [isinstance(part, Mapping) for part in parts]
    if not all(grouped):
        if any(grouped):
            raise TypeError(f"{where}: params mixes groups and parameters; give groups only")
        parts = [{"params": parts}]
    items: list[Any] = []
    groups = []
    for i, part in enumerate(parts):
        if "params" not in part:
            raise ValueError(f'{where}: group {i} has no "params"')
        own = part["params"]
        own = [own] if _is_parameter(own) else list(own) if isinstance(own, Iterable) else [None]
        if not own:
            raise ValueError(f"{where}: group {i} is empty, one parameter or more is wanted")
        settings = {name: value for name, value in part.items() if name != "params"}
        groups.append((list(range(len(items), len(items) + len(own))), settings))
        items += own
    return _checked(where, items, groups)


def _checked(
    where: str, items: list[Any], groups: list[tuple[list[int], dict[str, Any]]]
) -> Chosen:
    if not all(map(_is_parameter, items)):
        raise _no_parameters(where)
    seen: dict[int, Any] = {}
    for item in items:
        if id(item) in seen:
            name = getattr(item, "name", None) or getattr(item, "label", "") or repr(item)
            raise ValueError(f"{where}: {name} is there twice; give each parameter once")
        seen[id(item)] = item
    arrays = [isinstance(item, Parameter) for item in items]
    if not any(arrays):
        return Chosen(items, items, None, None, groups)
    owner = next(item.owner for item in items if isinstance(item, Parameter))
    if not all(arrays) or any(item.owner is not owner for item in items):
        raise ValueError(
            f"{where}: the parameters are of two models; give each model an optimizer of its own"
        )
    places, start = {}, 0
    for p in owner:
        places[id(p)] = (start, start + p.data.size)
        start += p.data.size
    spans = joined([places[id(item)] for item in items])
    whole = spans == [(0, owner.size)]
    given = owner if whole and len(groups) == 1 and not groups[0][1] else items
    return Chosen(given, items, owner, None if whole else spans, groups)


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that touch made one."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if out and out[-1][1] == first:
            out[-1] = out[-1][0], last
        elif last > first:
            out.append((first, last))
    return out


def _is_parameter(item: object) -> bool:
    return hasattr(item, "data") and hasattr(item, "grad")


def _no_parameters(where: str) -> TypeError:
    return TypeError(
        f"{where}: params is neither model.parameters() or a part of it, nor a list of Values, nor "
        'a list of groups {"params": ..., "lr": ...}'
    )
