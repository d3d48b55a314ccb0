"""Model files: safetensors, written so that a kill at any moment leaves the old file or the new.

The tensors are the parameters under their own names, "0.weight", "0.bias", ..., the optimizer's
state, "optimizer.velocity", and the parameters of the best epoch, "training.best".  All else is one
JSON text in the file's metadata, under "micrograd".  There is no pickle, and reading trusts
nothing: sizes in the text are compared with the file's tensors before memory is taken for them.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from micrograd import codec, core
from micrograd.blocks import Block
from micrograd.core import Array
from micrograd.layers import Layer, Linear
from micrograd.losses import LOSSES
from micrograd.position import Position

if TYPE_CHECKING:
    from micrograd.network import Network
    from micrograd.parameters import Parameters
    from micrograd.tape import Program

    Path = str | os.PathLike[str]

Shapes = list[tuple[str, tuple[int, ...]]]  # of the parameters, by name

VERSION = 1
TEXT_LIMIT = 16 << 20  # bytes of JSON: a network of 100 000 layers, or 100 000 epochs of history
_FILE_DTYPES = {"float32": "F32", "float64": "F64"}
_OPTIMIZER, _BEST = "optimizer.", "training.best"


# ---- writing ----


def save(net: Network, path: Path) -> None:
    """Writes a network, its optimizer and its training position to a safetensors file.

    Architecture, loss, dtype, seed, checkpoint schedule and `net.metadata` go along; after `fit` or
    `load`, so do `net.optimizer` with its state and `net.position`. The file is written beside
    `path` under another name, flushed to the disk and renamed.

    Raises:
        ImportError: the safetensors package is not installed.
        ValueError: a layer or loss is a function, or a parameter is not finite.
        OSError: the file cannot be written; the one that was there still is.
    """
    name = net.loss_name
    if name not in LOSSES:
        raise ValueError(
            f"Network.save: the loss {core.describe(name)} is a function, which a model file "
            "cannot hold; give a network with a named loss the same layers and parameters, and "
            "save that"
        )
    try:
        layers = [codec.encode(layer) for layer in net.layers]
        checkpoint = codec.encode_value("Network", "checkpoint", getattr(net, "checkpoint", None))
    except ValueError as error:
        raise ValueError(f"Network.save: {error}") from None
    model = {"layers": layers, "loss": name, "seed": net.seed, "checkpoint": checkpoint}
    _write_model(net, path, "Network.save", model | {"metadata": net.metadata})


def save_progress(model: Network | Program, path: Path) -> None:
    """What fit(resume=path) writes after each epoch; without an architecture for a Program."""
    if hasattr(model, "layers"):
        save(cast("Network", model), path)
    else:
        _write_model(model, path, "Program.fit", {})


def _write_model(
    model: Network | Program, path: Path, where: str, description: dict[str, Any]
) -> None:
    require_safetensors(where)
    parameters = model.parameters()
    for p in parameters:
        _check_finite(where, p.name, p.data)
    tensors = {p.name: p.data for p in parameters}
    text: dict[str, Any] = {"version": VERSION, "dtype": model.dtype, **description}
    if hasattr(model, "step"):
        text["step"] = model.step
    if model.optimizer is not None:
        text["optimizer"] = codec.encode_optimizer(model.optimizer)
        state = model.optimizer.state_dict()
        arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
        tensors.update({_OPTIMIZER + name: value for name, value in arrays.items()})
        text["optimizer_state"] = {n: v for n, v in state.items() if n not in arrays}
    position = model.position
    if position is not None:
        text["training"] = {
            f.name: getattr(position, f.name) for f in fields(position) if f.name != "best"
        }
        if position.best is not None:
            tensors[_BEST] = position.best
    try:
        encoded = json.dumps(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{where}: metadata cannot be written as JSON: {error}") from None
    if len(encoded) > TEXT_LIMIT:
        raise ValueError(
            f"{where}: layers, history and metadata take {len(encoded)} bytes of JSON, "
            f"{TEXT_LIMIT} is the most that a model file holds"
        )
    write_file(path, tensors, {"micrograd": encoded})


def write_file(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file so that `path` is at any moment the old file or the new one.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    target = os.path.realpath(path)
    folder, base = os.path.split(target)
    if os.path.isdir(target):
        raise IsADirectoryError(f"{os.fspath(path)} is a folder; the name of a file is wanted")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{os.fspath(path)}: the folder {folder} does not exist")
    temporary = os.path.join(folder, f".{base}.{os.getpid()}.tmp")
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    content = to_bytes(arrays, metadata=dict(metadata))
    try:
        with open(temporary, "wb") as file:
            with suppress(OSError):  # the permissions of the file that it will replace
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name != "nt":  # Windows has no such thing
        _flush_folder(folder)


def _flush_folder(folder: str) -> None:
    """So that the rename outlives a power failure as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_safetensors(where: str) -> None:
    """Raises ImportError, which says what to install, where the safetensors package is missing."""
    if find_spec("safetensors") is None:
        raise ImportError(f"{where} needs safetensors: pip install 'micrograd[save]'")


def _check_finite(where: str, name: str, array: Array) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{where}: {name}{list(at)} is {array[at]}; finite numbers are wanted")


# ---- reading ----


def _opened(path: Path) -> Any:
    from safetensors import safe_open

    return safe_open(os.fspath(path), framework="np")


class _File:
    """A model file whose header has been checked; tensors are read one by one."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError

        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is no regular file")
        try:
            self._open = _opened(path)
            metadata = self._open.metadata() or {}
            self.names = set(self._open.keys())
        except SafetensorError as error:
            raise ValueError(f"it is damaged or no safetensors file: {error}") from None
        text = metadata.get("micrograd")
        if text is None:
            raise ValueError("it is a safetensors file, but micrograd did not write it")
        if len(text) > TEXT_LIMIT:
            raise ValueError(f"its description takes {len(text)} bytes, {TEXT_LIMIT} is the most")
        self.text = json.loads(text)
        if not isinstance(self.text, dict):
            raise ValueError("its description is no mapping")
        if self.text.get("version") != VERSION:
            raise ValueError(
                f"it has version {self.text.get('version')!r} of the format, this is {VERSION}"
            )
        dtype = self.text.get("dtype")
        if not isinstance(dtype, str) or dtype not in _FILE_DTYPES:
            raise ValueError(f"dtype is {dtype!r}, one of {', '.join(_FILE_DTYPES)} is wanted")
        self.dtype = dtype

    def section(self, name: str) -> dict[str, Any] | None:
        """A part of the description that has to be a mapping; None where there is none."""
        value = self.text.get(name)
        if value is not None and not isinstance(value, dict):
            raise ValueError(f"{name} is {core.describe(value)}, a mapping is wanted")
        return value

    def layers(self) -> list[Layer]:
        """The layers of its architecture."""
        layers = self.text.get("layers")
        if not isinstance(layers, list):
            raise ValueError(f"layers is {core.describe(layers)}, a list is wanted")
        kinds = codec.layer_kinds()
        return [codec.decode(layer, kinds) for layer in layers]

    def check(self, shapes: Shapes) -> None:
        """Every parameter is there with its shape, and nothing else but what goes with training.

        Looks at the header only: no memory is taken for a parameter that the file does not have.
        """
        wanted = dict(shapes)
        size = sum(math.prod(shape) for shape in wanted.values())
        extras = {n for n in self.names if n == _BEST or n.startswith(_OPTIMIZER)}
        missing = next((name for name in wanted if name not in self.names), None)
        if missing is not None:
            raise ValueError(f"the tensor {missing!r} of its architecture is missing")
        unknown = self.names - extras - wanted.keys()
        if unknown:
            raise ValueError(f"the tensor {min(unknown)!r} belongs to no parameter")
        for name, shape in [*wanted.items(), *((name, (size,)) for name in extras)]:
            part = self._open.get_slice(name)
            found = part.get_dtype(), tuple(part.get_shape())
            if found != (_FILE_DTYPES[self.dtype], shape):
                raise ValueError(
                    f"the tensor {name!r} is {found[0]} with shape {found[1]}, the architecture "
                    f"wants {_FILE_DTYPES[self.dtype]} with shape {shape}"
                )

    def tensor(self, name: str) -> Array:
        """A tensor, after `check`; all of it has to be finite."""
        array: Array = self._open.get_tensor(name)
        _check_finite("damaged", name, array)
        return array


def _shapes(layers: Sequence[Layer], prefix: str = "") -> Shapes:
    """Names and shapes of the parameters of these layers, in no particular order."""
    return [shape for i, layer in enumerate(layers) for shape in _shapes_of(layer, f"{prefix}{i}.")]


def _shapes_of(layer: Layer, path: str) -> Shapes:
    if isinstance(layer, Linear):
        weight = (f"{path}weight", (layer.out_features, layer.in_features))
        bias = (f"{path}bias", (layer.out_features,))
        return [weight, bias] if layer.bias else [weight]
    if not isinstance(layer, Block):
        return []
    inner = _shapes(layer.layers, path)
    for name, each in layer.extra().items():
        inner += _shapes_of(each, f"{path}{name}.")
    return inner


class _State:
    """What a file holds besides the architecture, read and checked."""

    def __init__(self, file: _File, shapes: Shapes) -> None:
        file.check(shapes)
        self.parameters = {name: file.tensor(name) for name, _ in shapes}
        self.optimizer = file.section("optimizer")
        self.optimizer_state = dict(file.section("optimizer_state") or {})
        for name in file.names:
            if name.startswith(_OPTIMIZER):
                self.optimizer_state[name[len(_OPTIMIZER) :]] = file.tensor(name)
        self.step = file.text.get("step", 0)
        if type(self.step) is not int or not 0 <= self.step < 2**63:
            raise ValueError(f"step is {core.describe(self.step)}, a number of steps is wanted")
        self.position = None
        training = file.section("training")
        if training is not None:
            best = file.tensor(_BEST) if _BEST in file.names else None
            self.position = Position(best=best, **training)
            self.position.check()

    def optimizer_for(self, parameters: Parameters) -> Any:
        """The saved optimizer for these parameters, None if there was none."""
        if self.optimizer is None:
            return None
        optimizer = codec.decode_optimizer(self.optimizer, parameters)
        self.load_into(optimizer)
        return optimizer

    def load_into(self, optimizer: Any) -> None:
        """Gives an optimizer the saved state."""
        odd = self.optimizer_state.keys() ^ optimizer.state_dict().keys()
        if odd:
            raise ValueError(f"{min(odd)!r} of the optimizer's state is missing or unknown")
        optimizer.load_state_dict(self.optimizer_state)

    def give(self, model: Network | Program, optimizer: Any) -> None:
        """Puts a model, whose parameters fit, where this stands."""
        for p in model.parameters():
            p.data[...] = self.parameters[p.name]
        model.optimizer, model.position = optimizer, self.position
        if hasattr(model, "step"):
            model.step = self.step


@contextmanager
def _naming(path: Path, where: str) -> Iterator[None]:
    """Whatever a file makes go wrong becomes a ValueError that names it."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError,
            ValueError) as error:  # fmt: skip
        text = str(error) or type(error).__name__
        raise ValueError(f"{where}: {os.fspath(path)}: {text}") from None


def load(path: Path) -> Network:
    """The network that `net.save(path)` wrote, with `.optimizer`, `.position` and `.metadata`.

    Nothing in the file is trusted or executed.

    Raises:
        ImportError: the safetensors package is not installed.
        OSError: there is no such file.
        ValueError: it is damaged, cut short, foreign or holds numbers that are not finite; names
            the file.
    """
    from micrograd.network import Network

    require_safetensors("load")
    with _naming(path, "load"):
        file = _File(path)
        if "layers" not in file.text:
            raise ValueError(
                "it holds the parameters of a compiled Program, whose function is not in the "
                "file; Program.fit(..., resume=path) reads it"
            )
        layers = file.layers()
        state = _State(file, _shapes(layers))
        settings = {name: file.text.get(name) for name in ("loss", "seed")}
        if file.text.get("checkpoint") is not None:
            kinds = codec.classes_of("checkpoint")
            settings["checkpoint"] = codec.decode_value(file.text["checkpoint"], kinds)
        net = Network(*layers, dtype=file.dtype, **settings)
        net.metadata = file.section("metadata") or {}
        state.give(net, state.optimizer_for(net.parameters()))
    return net


def resume(model: Network | Program, path: Path, optimizer: Any = None) -> Any:
    """Puts a model where the file says that its training stood; returns the optimizer.

    That is `optimizer` with the state of the file or, where it is None, the one of the file.

    Raises:
        ImportError, OSError, ValueError: as `load`, or the file is of another model or another
            kind of optimizer; nothing has changed then.
    """
    where = f"{type(model).__name__}.fit"
    require_safetensors(where)
    with _naming(path, f"{where}: resume"):
        file = _File(path)
        layers = tuple(file.layers()) if "layers" in file.text else ()
        if layers != getattr(model, "layers", ()) or file.dtype != model.dtype:
            raise ValueError("it is of another network: the layers or the dtype differ")
        if layers and file.text.get("loss") != model.loss_name:
            raise ValueError(
                f"its loss is {file.text.get('loss')!r}, here it is {model.loss_name!r}"
            )
        state = _State(file, [(p.name, p.shape) for p in model.parameters()])
        if optimizer is None:
            optimizer = state.optimizer_for(model.parameters())
        elif state.optimizer is not None:
            kind = type(optimizer).__name__
            if state.optimizer.get("kind") != kind:
                raise ValueError(f"its optimizer is {state.optimizer.get('kind')!r}, here {kind!r}")
            state.load_into(optimizer)
        state.give(model, optimizer)
    return optimizer
