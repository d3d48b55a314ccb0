"""Reading model files: nothing in one is trusted or executed.

Sizes in a file's description are compared with the tensors that it has before any memory is taken
for them, and whatever is wrong becomes a ValueError of one line that names the file.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from micrograd import checks
from micrograd.atomic import checked_target
from micrograd.checkpoint.policies import Checkpoint
from micrograd.core import Array
from micrograd.network.initial import starts
from micrograd.network.layers import Layer
from micrograd.network.network import Network
from micrograd.saving import parts
from micrograd.saving.header import check_header, parsed
from micrograd.saving.position import Position, Resumable
from micrograd.saving.write import (
    FLAT,
    OPTIMIZER,
    TEXT_LIMIT,
    TRAINING,
    VERSION,
    check_finite,
    require_safetensors,
)

if TYPE_CHECKING:
    from micrograd.parameters import Parameters

    Path = str | os.PathLike[str]

Shapes = list[tuple[str, tuple[int, ...]]]  # of the parameters, by name

_FILE_DTYPES = {"float32": "F32", "float64": "F64"}


def _opened(path: Path) -> Any:
    from safetensors import safe_open

    return safe_open(os.fspath(path), framework="np")


class _File:
    """A model file whose header has been checked; tensors are read one by one."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError

        self.path = path
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is no regular file")
        check_header(path)
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
        self.text = parsed(text)
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
            raise ValueError(f"{name} is {checks.describe(value)}, a mapping is wanted")
        return value

    def layers(self) -> list[Layer]:
        """The layers of its architecture."""
        layers = self.text.get("layers")
        if not isinstance(layers, list):
            raise ValueError(f"layers is {checks.describe(layers)}, a list is wanted")
        return [parts.decode(layer, parts.LAYERS) for layer in layers]

    def check(self, shapes: Shapes) -> None:
        """Every parameter is there with its shape, and nothing else but what goes with training.

        Looks at the header only: no memory is taken for a parameter that the file does not have.
        """
        wanted = dict(shapes)
        size = sum(math.prod(shape) for shape in wanted.values())
        training = {TRAINING + name for name in FLAT}
        extras = {n for n in self.names if n in training or n.startswith(OPTIMIZER)}
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
        check_finite("damaged", name, array)
        return array


class Saved:
    """What a file holds besides the architecture, read and checked."""

    def __init__(self, file: _File, shapes: Shapes) -> None:
        file.check(shapes)
        self.path = file.path
        self.parameters = {name: file.tensor(name) for name, _ in shapes}
        self.optimizer = file.section("optimizer")
        self.optimizer_state = dict(file.section("optimizer_state") or {})
        for name in file.names:
            if name.startswith(OPTIMIZER):
                self.optimizer_state[name[len(OPTIMIZER) :]] = file.tensor(name)
        self.step = file.text.get("step", 0)
        if type(self.step) is not int or not 0 <= self.step < 2**63:
            raise ValueError(f"step is {checks.describe(self.step)}, a number of steps is wanted")
        self.position = None
        training = file.section("training")
        if training is not None:
            names = {name: TRAINING + name for name in FLAT if TRAINING + name in file.names}
            training = training | {name: file.tensor(full) for name, full in names.items()}
            self.position = Position(**training)
            self.position.check()

    def optimizer_for(self, parameters: Parameters) -> Any:
        """The saved optimizer for these parameters, None if there was none."""
        if self.optimizer is None:
            return None
        optimizer = parts.decode_optimizer(self.optimizer, parameters)
        self.load_into(optimizer)
        return optimizer

    def load_into(self, optimizer: Any) -> None:
        """Gives an optimizer the saved state."""
        odd = self.optimizer_state.keys() ^ optimizer.state_dict().keys()
        if odd:
            raise ValueError(f"{min(odd)!r} of the optimizer's state is missing or unknown")
        optimizer.load_state_dict(self.optimizer_state)

    def put_into(self, model: Resumable, optimizer: Any) -> None:
        """Puts a model, whose parameters fit, where this stands."""
        for p in model.parameters():
            p.data[...] = self.parameters[p.name]
        model.optimizer, model.position = optimizer, self.position
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
    require_safetensors("load")
    with _naming(path, "load"):
        file = _File(path)
        if "layers" not in file.text:
            raise ValueError(
                "it holds the progress of a compiled Program, or of a network with functions in "
                "it, which are not in the file; fit(..., resume=path) reads it"
            )
        layers = file.layers()
        shapes = [shape for start in starts(layers) for shape in start.shapes()]
        state = Saved(file, shapes)
        settings = {name: file.text.get(name) for name in ("loss", "seed")}
        if file.text.get("checkpoint") is not None:
            settings["checkpoint"] = Checkpoint.from_plain(file.section("checkpoint") or {})
        net = Network(*layers, dtype=file.dtype, **settings)
        net.metadata = file.section("metadata") or {}
        state.put_into(net, state.optimizer_for(net.parameters()))
    return net


def read_progress(model: Resumable, path: Path, optimizer: Any) -> Saved | None:
    """What fit(resume=path) goes on from; None where there is no such file yet.

    Raises:
        ImportError, OSError, ValueError: as `load`; the file is of another model or another kind
            of optimizer; or it could not be written.
    """
    where = f"{type(model).__name__}.fit"
    require_safetensors(where)
    if not os.path.exists(checked_target(path)):
        return None
    with _naming(path, f"{where}: resume"):
        file = _File(path)
        whole = "layers" in file.text
        differs = whole and tuple(file.layers()) != model.layers
        if differs or file.dtype != model.dtype:
            raise ValueError("it is of another network: the layers or the dtype differ")
        if whole and file.text.get("loss") != model.loss_name:
            raise ValueError(
                f"its loss is {file.text.get('loss')!r}, here it is {model.loss_name!r}"
            )
        saved = Saved(file, [(p.name, p.shape) for p in model.parameters()])
        kind = (saved.optimizer or {}).get("kind")
        if None not in (optimizer, kind) and kind != type(optimizer).__name__:
            raise ValueError(f"its optimizer is {kind}, here it is {type(optimizer).__name__}")
        if optimizer is None:
            saved.optimizer_for(model.parameters())
    return saved


def resume(saved: Saved, model: Resumable, optimizer: Any) -> Any:
    """Puts a model where the file says that its training stood; returns the optimizer.

    That is `optimizer` with the state of the file or, where it is None, the one of the file, if it
    has one. Where early stopping had put the best parameters back, the last take their place.

    Raises:
        ValueError: the optimizer's state does not fit; nothing has changed then.
    """
    with _naming(saved.path, f"{type(model).__name__}.fit: resume"):
        if optimizer is None:
            optimizer = saved.optimizer_for(model.parameters())
        elif saved.optimizer is not None:
            saved.load_into(optimizer)
    saved.put_into(model, optimizer)
    position = saved.position
    if position is not None and position.last is not None:
        flat = model.parameters().flat
        position.best, flat[...] = flat.copy(), position.last
    return optimizer
