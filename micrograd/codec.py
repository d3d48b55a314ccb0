"""What a model is made of, as JSON and back: layers, optimizers and schedules by name and fields.

A dataclass or optimizer is {"kind": its class's name, field: value, ...}; values are numbers, text,
lists and further such parts.  Reading looks a name up among the classes that are wanted and calls
it, so that its own checks judge the fields: no name in a file can reach any other code.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from micrograd import core
from micrograd.layers import Layer

Kinds = Mapping[str, Callable[..., Any]]


class LostFunction:
    """Stands for a learning rate that was a function when the model was saved: it cannot be called.

    `optimizer.lr = f` replaces it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, step: int) -> float:
        raise RuntimeError(
            f"the learning rate was the function {self.name}, which a model file cannot hold; "
            "set optimizer.lr, or give fit an optimizer of the same kind"
        )

    def __repr__(self) -> str:
        return f"LostFunction({self.name!r})"


def encode(part: Any) -> dict[str, Any]:
    """A layer, schedule or other dataclass: its class's name and its fields.

    Raises:
        ValueError: a field is something that JSON cannot hold, such as a function.
    """
    fields = dataclasses.fields(part) if dataclasses.is_dataclass(part) else ()
    values = {f.name: getattr(part, f.name) for f in fields if f.init}
    return {"kind": type(part).__name__} | {
        name: encode_value(type(part).__name__, name, value) for name, value in values.items()
    }


def encode_value(owner: str, name: str, value: Any) -> Any:
    """One field: None, a number, text, a part, or a list of these."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    if isinstance(value, (tuple, list)):
        return [encode_value(owner, name, each) for each in value]
    if isinstance(value, Layer) or _is_ours(value):
        return encode(value)
    raise ValueError(
        f"{owner}: {name} is {core.describe(value)}, which a model file cannot hold (no code is "
        f"ever written to one); save a network without {owner}, or keep the weights alone: "
        "numpy.save(file, net.parameters().flat)"
    )


def _is_ours(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and type(value).__module__.startswith("micrograd.")


def decode(data: Any, kinds: Kinds) -> Any:
    """The part that `encode` made this of; only classes in `kinds` are called.

    Raises:
        TypeError, ValueError: the kind is unknown, or its fields do not fit.
    """
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise ValueError(f"{core.describe(data)} where a mapping with a kind is wanted")
    kind = kinds.get(data["kind"])
    if kind is None:
        raise ValueError(f"kind {data['kind']!r} is unknown, one of {', '.join(kinds)} is wanted")
    fields = {name: decode_value(value, kinds) for name, value in data.items() if name != "kind"}
    inner = fields.pop("layers", ())
    if not isinstance(inner, (tuple, list)):
        raise ValueError(f"layers is {core.describe(inner)}, a list is wanted")
    return kind(*inner, **fields)


def decode_value(value: Any, kinds: Kinds) -> Any:
    """One field, with lists as tuples."""
    if isinstance(value, dict):
        return decode(value, kinds)
    if isinstance(value, list):
        return tuple(decode_value(each, kinds) for each in value)
    return value


def layer_kinds(base: type = Layer) -> dict[str, type]:
    """The package's layers by name: the classes below `base` that have none below them."""
    found: dict[str, type] = {}
    subclasses: list[type] = base.__subclasses__()
    for each in subclasses:
        if each.__module__.startswith("micrograd."):
            found.update(layer_kinds(each) or {each.__name__: each})
    return found


def classes_of(module: str) -> dict[str, type]:
    """The public classes that micrograd.`module` defines, by name; none where it does not exist."""
    if find_spec(f"micrograd.{module}") is None:
        return {}
    names: dict[str, Any] = vars(import_module(f"micrograd.{module}"))
    return {
        name: value
        for name, value in names.items()
        if isinstance(value, type) and value.__module__ == f"micrograd.{module}" and name[0] != "_"
    }


# ---- optimizers ----


def encode_optimizer(optimizer: Any) -> dict[str, Any]:
    """Kind and settings: the arguments of its class but the first, taken from its attributes."""
    settings: dict[str, Any] = {"kind": type(optimizer).__name__}
    for name in list(inspect.signature(type(optimizer)).parameters)[1:]:
        value = getattr(optimizer, name)
        try:
            settings[name] = encode_value(settings["kind"], name, value)
        except ValueError:
            if not callable(value):
                raise
            settings[name] = {"kind": "LostFunction", "name": _name_of(value)}
    return settings


def _name_of(function: Any) -> str:
    if isinstance(function, LostFunction):
        return function.name
    return str(getattr(function, "__qualname__", type(function).__name__))


def decode_optimizer(data: Mapping[str, Any], parameters: Any) -> Any:
    """An optimizer for these parameters, without its state.

    Raises:
        TypeError, ValueError: the kind is unknown, or its settings do not fit.
    """
    kinds = {n: c for n, c in classes_of("optim").items() if hasattr(c, "load_state_dict")}
    schedules = {**classes_of("schedule"), "LostFunction": LostFunction}
    if not isinstance(data.get("kind"), str) or data["kind"] not in kinds:
        raise ValueError(f"the optimizer {core.describe(data.get('kind'))} is unknown")
    settings = {
        name: decode_value(value, schedules) for name, value in data.items() if name != "kind"
    }
    return kinds[data["kind"]](parameters, **settings)
