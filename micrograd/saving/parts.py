"""What a model is made of, as JSON and back: layers, optimizers and schedules by name and fields.

A dataclass or optimizer is {"kind": its class's name, field: value, ...}; values are numbers, text,
lists and further such parts.  Reading looks a name up among the classes that are wanted and calls
it, so that its own checks judge the fields: no name in a file can reach any other code.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np

from micrograd import checks, optim, schedule
from micrograd.network import blocks, columns, layers, loss_functions
from micrograd.network.blocks import unnest

Kinds = Mapping[str, Callable[..., Any]]


def _by_name(*classes: type) -> dict[str, type]:
    return {each.__name__: each for each in classes}


# What a model file may name. A new class is added here, and is refused by `save` until it is.
LAYERS = _by_name(
    layers.Linear,
    *layers.ACTIVATIONS.values(),
    layers.Map,
    layers.Identity,
    layers.Softmax,
    layers.Dropout,
    columns.Scale,
    columns.Parametric,
    columns.Periodic,
    columns.PiecewiseLinear,
    columns.Embedding,
    blocks.Residual,
    blocks.Highway,
    blocks.DenseBlock,
)
LOSSES = _by_name(loss_functions.Quantile, loss_functions.Poisson)
OPTIMIZERS = _by_name(
    optim.SGD,
    optim.RMSprop,
    optim.Adagrad,
    optim.Adam,
    optim.AdamW,
    optim.Adamax,
    optim.NAdam,
    optim.RAdam,
    optim.LBFGS,
)
SCHEDULES = _by_name(
    schedule.Constant,
    schedule.Linear,
    schedule.Step,
    schedule.Exponential,
    schedule.Cosine,
    schedule.MultiStep,
    schedule.CosineRestarts,
    schedule.OneCycle,
    schedule.OneCycleMomentum,
    schedule.Warmup,
    schedule.Sequence,
    schedule.Product,
    schedule.ReduceOnPlateau,
)
_PARTS = (*LAYERS.values(), *LOSSES.values(), *SCHEDULES.values())


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
    """A layer, loss, schedule or other dataclass: its class's name and its fields.

    Raises:
        ValueError: a field is something that JSON cannot hold, such as a function.
    """
    return unnest(_encoded(part))


def _encoded(part: Any) -> Generator[Any, Any, dict[str, Any]]:
    if type(part) not in _PARTS:
        raise ValueError(
            f"{type(part).__name__} is {_no_known(part)}, which a model file cannot hold (no code "
            "is ever written to one)"
        )
    fields = dataclasses.fields(part) if dataclasses.is_dataclass(part) else ()
    out: dict[str, Any] = {"kind": type(part).__name__}
    for field in fields:
        if field.init:
            value = getattr(part, field.name)
            out[field.name] = yield _encoded_value(type(part).__name__, field.name, value)
    return out


def _no_known(part: Any) -> str:
    """Why a class of one's own cannot be found again: what it is instead of one that is known."""
    known = [*_PARTS, *OPTIMIZERS.values()]
    base = next((b.__name__ for b in type(part).__mro__[1:] if b in known), None)
    return "a class of your own" if base is None else f"a subclass of {base}"


def encode_value(owner: str, name: str, value: Any) -> Any:
    """One field: None, a number, text, a part, or a list of these."""
    return unnest(_encoded_value(owner, name, value))


def _encoded_value(owner: str, name: str, value: Any) -> Generator[Any, Any, Any]:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    if isinstance(value, (tuple, list)):
        items = []
        for each in value:
            items.append((yield _encoded_value(owner, name, each)))
        return items
    if type(value) in _PARTS:
        return (yield _encoded(value))
    raise ValueError(
        f"{owner}: {name} is {checks.describe(value)}, which a model file cannot hold (no code is "
        f"ever written to one); save a network without {owner}, or keep the weights alone: "
        "numpy.save(file, net.parameters().flat)"
    )


def decode(data: Any, kinds: Kinds) -> Any:
    """The part that `encode` made this of; only classes in `kinds` are called.

    Raises:
        TypeError, ValueError: the kind is unknown, or its fields do not fit.
    """
    return unnest(_decoded(data, kinds))


def _decoded(data: Any, kinds: Kinds) -> Generator[Any, Any, Any]:
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise ValueError(f"{checks.describe(data)} where a mapping with a kind is wanted")
    kind = kinds.get(data["kind"])
    if kind is None:
        raise ValueError(f"kind {data['kind']!r} is unknown, one of {', '.join(kinds)} is wanted")
    fields = {}
    for name, value in data.items():
        if name != "kind":
            fields[name] = yield _decoded_value(value, kinds)
    inner = fields.pop("layers", ())
    if not isinstance(inner, (tuple, list)):
        raise ValueError(f"layers is {checks.describe(inner)}, a list is wanted")
    return kind(*inner, **fields)


def decode_value(value: Any, kinds: Kinds) -> Any:
    """One field, with lists as tuples."""
    return unnest(_decoded_value(value, kinds))


def _decoded_value(value: Any, kinds: Kinds) -> Generator[Any, Any, Any]:
    if isinstance(value, dict):
        return (yield _decoded(value, kinds))
    if isinstance(value, list):
        items = []
        for each in value:
            items.append((yield _decoded_value(each, kinds)))
        return tuple(items)
    return value


# ---- optimizers ----


def encode_optimizer(optimizer: Any) -> dict[str, Any]:
    """Kind and settings: the arguments of its class but the first, taken from its attributes."""
    kind = type(optimizer).__name__
    if OPTIMIZERS.get(kind) is not type(optimizer):
        raise ValueError(
            f"the optimizer {kind} is {_no_known(optimizer)}, which a model file cannot hold; set "
            "net.optimizer = None to save the network without it"
        )
    names = list(inspect.signature(type(optimizer)).parameters)[1:]
    settings: dict[str, Any] = {"kind": kind}
    settings |= {name: _encode_setting(kind, name, getattr(optimizer, name)) for name in names}
    if isinstance(optimizer, optim.Optimizer):
        groups = optimizer.numbers_of_groups()
        if groups != [(list(range(len(optimizer.owner or ()))), {})]:
            settings["groups"] = [
                {"params": numbers}
                | {name: _encode_setting(kind, name, value) for name, value in own.items()}
                for numbers, own in groups
            ]
    return settings


def _encode_setting(kind: str, name: str, value: Any) -> Any:
    """A setting; a function of one's own by its name, which is all that a file may know of it."""
    if isinstance(value, (tuple, list)):
        return [_encode_setting(kind, name, each) for each in value]
    try:
        return encode_value(kind, name, value)
    except ValueError:
        if not callable(value):
            raise
        return {"kind": "LostFunction", "name": _name_of(value)}


def _name_of(function: Any) -> str:
    if isinstance(function, LostFunction):
        return function.name
    return str(getattr(function, "__qualname__", type(function).__name__))


def decode_optimizer(data: Mapping[str, Any], parameters: Any) -> Any:
    """An optimizer for these parameters, without its state.

    Raises:
        TypeError, ValueError: the kind is unknown, or its settings do not fit.
    """
    schedules = {**SCHEDULES, "LostFunction": LostFunction}
    if not isinstance(data.get("kind"), str) or data["kind"] not in OPTIMIZERS:
        raise ValueError(f"the optimizer {checks.describe(data.get('kind'))} is unknown")
    fields = {name: value for name, value in data.items() if name not in ("kind", "groups")}
    settings = {name: decode_value(value, schedules) for name, value in fields.items()}
    groups = _decode_groups(data.get("groups"), parameters, schedules)
    return OPTIMIZERS[data["kind"]](groups, **settings)


def _decode_groups(groups: Any, parameters: Any, kinds: Kinds) -> Any:
    """What the optimizer was for: all parameters, or groups of them by number.

    Raises:
        ValueError: a group has no such parameters.
    """
    if groups is None:
        return parameters
    out = []
    for group in groups if isinstance(groups, list) else [None]:
        numbers = group.get("params") if isinstance(group, dict) else None
        if (
            not isinstance(group, dict)
            or not isinstance(numbers, list)
            or not all(type(i) is int and 0 <= i < len(parameters) for i in numbers)
        ):
            raise ValueError("the groups of the optimizer are damaged")
        own = {n: decode_value(group[n], kinds) for n in group if n != "params"}
        out.append({"params": [parameters[i] for i in numbers], **own})
    return out
