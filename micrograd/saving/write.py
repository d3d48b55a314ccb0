"""Model files: safetensors, written so that a kill at any moment leaves the old file or the new.

`layout` says what is in them; there is no pickle. `read` is the way back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks
from micrograd.atomic import file_name, replacing
from micrograd.core import Array
from micrograd.network.network import Network
from micrograd.saving import parts
from micrograd.saving.header import MOST_TENSORS, parsed
from micrograd.saving.layout import (
    FLAT,
    MEMBER,
    OPTIMIZER,
    TEXT_LIMIT,
    TRAINING,
    VERSION,
    digest,
    tensor_names,
)
from micrograd.saving.position import Resumable

if TYPE_CHECKING:
    Path = str | os.PathLike[str]


def save(net: Any, path: Path) -> None:
    """Writes a network, its optimizer and its training position to a safetensors file.

    Architecture, loss, dtype, seed, checkpoint schedule and `net.metadata` go along; after `fit` or
    `load`, so do `net.optimizer` with its state and `net.position`. The file is written beside
    `path` under another name, flushed to the disk and renamed.

    Raises:
        ImportError: the safetensors package is not installed.
        TypeError: net is no Network.
        ValueError: a layer or loss is a function, or a parameter is not finite.
        OSError: the file cannot be written; the one that was there still is.

    >>> mg.save(net, "digits.safetensors")
    """
    if not isinstance(net, Network):
        raise TypeError(f"save: {checks.describe(net)} is no Network")
    _write_model(net, path, "Network.save", _architecture(net))


def save_members(nets: Sequence[Network], path: Path) -> None:
    """Writes networks of the same layers, whose answers are averaged, to one safetensors file.

    Parameters of all, and the architecture and metadata of the first; no optimizer, no position.
    `load_members` gives them back; `load`, which gives one network, refuses the file.

    Raises:
        ImportError, ValueError, OSError: as save; the networks differ in layers, loss or dtype.

    >>> from micrograd.saving import save_members
    >>> save_members([net, net], "two.safetensors")
    """
    where = "save_members"
    if not nets or not all(isinstance(net, Network) for net in nets):
        raise ValueError(f"{where}: {checks.describe(nets)}, one Network or more is wanted")
    first, *others = nets
    kind = (first.layers, first.loss_name, first.dtype)
    for i, net in enumerate(others, 1):
        if (net.layers, net.loss_name, net.dtype) != kind:
            raise ValueError(f"{where}: network {i} has other layers, loss or dtype than network 0")
    text = _architecture(first)
    if others:
        text["members"] = len(nets)
    further = {f"{MEMBER}{i}": net.parameters().flat for i, net in enumerate(others, 1)}
    _write_model(first, path, where, text, further)


def _architecture(net: Network) -> dict[str, Any]:
    """What makes the same network again, but for its parameters.

    Raises:
        ValueError: a layer or the loss is a function.
    """
    own = net.loss_kind.function
    if own is not None and type(own) not in parts.LOSSES.values():
        raise ValueError(
            f"Network.save: the loss {net.loss_name} is a function, which a model file cannot "
            "hold; give a network with a named loss the same layers and parameters, and save that"
        )
    try:
        layers = [parts.encode(layer) for layer in net.layers]
    except ValueError as error:
        raise ValueError(f"Network.save: {error}") from None
    checkpoint = None if net.checkpoint is None else net.checkpoint.to_plain()
    _check_metadata(net.metadata)
    loss = net.loss_name if own is None else parts.encode(own)
    model = {"layers": layers, "loss": loss, "seed": net.seed, "checkpoint": checkpoint}
    return model | {"metadata": net.metadata}


def _check_metadata(metadata: Any) -> None:
    """Raises ValueError unless metadata is a mapping that JSON gives back as it is."""
    if not isinstance(metadata, dict):
        raise ValueError(f"Network.save: metadata is {checks.describe(metadata)}, a dict is wanted")
    name = next((name for name in _names_in(metadata) if not isinstance(name, str)), None)
    if name is not None:
        raise ValueError(
            f"Network.save: metadata has the key {name!r}, which JSON would make text; use str"
        )


def _names_in(value: Any) -> Iterator[Any]:
    """The keys of all mappings in some plain data."""
    waiting, seen = [value], 0
    while waiting and seen < TEXT_LIMIT:
        each = waiting.pop()
        seen += 1
        if isinstance(each, dict):
            yield from each
            waiting += each.values()
        elif isinstance(each, (list, tuple)):
            waiting += each


def save_progress(model: Resumable, path: Path) -> None:
    """What fit(resume=path) writes after each epoch.

    Who reads it has the model: for a Program, and for a Network with functions among its layers or
    as its loss, the file has no architecture, and `load` refuses it.
    """
    description: dict[str, Any] = {}
    if isinstance(model, Network):
        description = {"seed": model.seed}
        with suppress(ValueError):
            description = _architecture(model)
    _write_model(model, path, f"{type(model).__name__}.fit", description)


def _write_model(
    model: Resumable,
    path: Path,
    where: str,
    description: dict[str, Any],
    further: Mapping[str, Array] | None = None,
) -> None:
    """further: tensors of other members, with which nothing of the training is kept."""
    require_safetensors(where)
    file_name(path, where)
    parameters = model.parameters()
    with parameters.access.reading():  # parameters, optimizer and position of one moment
        text, tensors = _contents(model, where, description, further or {})
        encoded = _encoded(text, where)
        if len(tensors) > MOST_TENSORS:
            raise ValueError(
                f"{where}: there are {len(tensors)} tensors, {MOST_TENSORS} is the most that a "
                "model file holds"
            )
        head, rest = _file_of(tensors, encoded)
    with replacing(path) as file:
        file.write(head)
        file.write(rest)


def _contents(
    model: Resumable, where: str, description: dict[str, Any], further: Mapping[str, Array]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The text of a model file, and its tensors by name."""
    parameters = model.parameters()
    for p in parameters:
        check_finite(where, p.name, p.data)
    names = tensor_names([p.name for p in parameters])
    tensors = {name: p.data for name, p in zip(names, parameters, strict=True)}
    text: dict[str, Any] = {"version": VERSION, "dtype": model.dtype, **description}
    text["step"] = model.step
    for name, array in further.items():
        check_finite(where, name, array)
        tensors[name] = array
    optimizer = model.optimizer  # a fit that begins in another thread gives the model another
    if optimizer is not None and not further:
        try:
            text["optimizer"] = parts.encode_optimizer(optimizer)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        state = optimizer.state_dict()
        arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
        for name, array in arrays.items():
            check_finite(where, f"the optimizer's {name}", array)
        tensors.update({OPTIMIZER + name: value for name, value in arrays.items()})
        text["optimizer_state"] = {n: v for n, v in state.items() if n not in arrays}
    position = model.position
    if position is not None and not further:
        try:
            position.check()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: the training position: {error}") from None
        values = {f.name: getattr(position, f.name) for f in fields(position)}
        text["training"] = {name: value for name, value in values.items() if name not in FLAT}
        arrays = {TRAINING + name: values[name] for name in FLAT if values[name] is not None}
        tensors.update(arrays)
    return text, tensors


def _encoded(text: dict[str, Any], where: str) -> str:
    """The text as JSON, which gives it back as it is.

    Raises:
        ValueError: that cannot be, or it is too long.
    """
    try:
        encoded = json.dumps(text)
        parsed(encoded)  # 1 and "1" are two names here, and one there
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{where}: metadata cannot be written as JSON: {error}") from None
    if len(encoded) > TEXT_LIMIT:
        raise ValueError(
            f"{where}: layers, history and metadata take {len(encoded)} bytes of JSON, "
            f"{TEXT_LIMIT} is the most that a model file holds"
        )
    return encoded


def _file_of(tensors: Mapping[str, Array], encoded: str) -> tuple[bytes, memoryview]:
    """A safetensors file: its header, and what is behind that.

    The metadata stand in it in the order of their names: the safetensors package writes them in
    another order each time, and the same model would give other bytes. The digest is that of the
    bytes of the file: somebody may write into the arrays meanwhile.
    """
    from safetensors.numpy import save as to_bytes

    content = to_bytes({name: np.asarray(array, order="C") for name, array in tensors.items()})
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    written = {}
    for name, array in tensors.items():
        first = end + header[name]["data_offsets"][0]
        flat = np.frombuffer(content, array.dtype, array.size, first)
        written[name] = flat.reshape(array.shape)
    metadata = {"digest": digest(encoded, written.items()), "micrograd": encoded}
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors stay on 8 bytes
    return len(text).to_bytes(8, "little") + text, memoryview(content)[end:]


def require_safetensors(where: str) -> None:
    """Raises ImportError, which says what to install, where the safetensors package is missing."""
    checks.require(where, "safetensors", "safetensors", "save")


def check_finite(where: str, name: str, array: Array) -> None:
    """Raises ValueError, which says where, unless all of an array is finite."""
    bad = ~np.isfinite(array)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{where}: {name}{list(at)} is {array[at]}; finite numbers are wanted")
