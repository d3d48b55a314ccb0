"""Reading model files: nothing in one is trusted or executed.

Sizes in a file's description are compared with the tensors that it has before any memory is taken
for them, and whatever is wrong becomes a ValueError of one line that names the file.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from micrograd import checks
from micrograd.atomic import checked_target, file_name, name_file
from micrograd.checkpoint.policies import Checkpoint
from micrograd.network.initial import starts
from micrograd.network.network import Network
from micrograd.saving import parts
from micrograd.saving.file import File, Shapes
from micrograd.saving.layout import MEMBER, OPTIMIZER, TRAINING, tensor_names
from micrograd.saving.position import Position, Resumable
from micrograd.saving.write import require_safetensors

if TYPE_CHECKING:
    from micrograd.parameters import Parameters

    Path = str | os.PathLike[str]


class Saved:
    """What a file holds besides the architecture, read and checked."""

    def __init__(self, file: File, shapes: Shapes) -> None:
        file.read(shapes)
        self.path = file.path
        names = tensor_names([name for name, _ in shapes])
        self.parameters = [file.tensor(name) for name in names]
        self.optimizer = file.section("optimizer")
        self.optimizer_state = dict(file.section("optimizer_state") or {})
        self.optimizer_state |= file.named(OPTIMIZER)
        self.step = file.text.get("step", 0)
        if type(self.step) is not int or not 0 <= self.step < 2**63:
            raise ValueError(f"step is {checks.describe(self.step)}, a number of steps is wanted")
        self.seed = checks.seed("seed", file.text.get("seed"))
        self.position = None
        training = file.section("training")
        if training is not None:
            self.position = Position(**training | file.named(TRAINING))
            self.position.check()

    @property
    def kind(self) -> str | None:
        """The name of the saved optimizer's class, None if there was none."""
        return None if self.optimizer is None else self.optimizer.get("kind")

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
        """Puts a model, whose parameters fit, where this stands: while nobody reads it."""
        parameters = model.parameters()
        with parameters.access.writing(f"{type(model).__name__}.fit: resume"):
            for p, array in zip(parameters, self.parameters, strict=True):
                p.data[...] = array
        model.optimizer, model.position = optimizer, self.position
        model.step = self.step


@contextmanager
def _naming(path: Path, where: str) -> Iterator[None]:
    """Whatever a file makes go wrong becomes a ValueError that names it; no memory stays that, and
    so does an error of the system's."""
    name = file_name(path, where)
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{where}: {name}: {str(error) or 'no memory'}") from None
    except OSError as error:
        name_file(error, path)
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
            ValueError) as error:  # fmt: skip
        text = str(error) or type(error).__name__
        raise ValueError(f"{where}: {name}: {text}") from None


def load(path: Path) -> Network:
    """The network that `net.save(path)` wrote, with `.optimizer`, `.position` and `.metadata`.

    Nothing in the file is trusted or executed.

    Raises:
        ImportError: the safetensors package is not installed.
        OSError: there is no such file.
        ValueError: it is damaged, cut short, foreign or holds numbers that are not finite; names
            the file.
        MemoryError: there is no room for the network, which is no larger than the file says.

    >>> net.save("digits.safetensors")
    >>> np.array_equal(mg.load("digits.safetensors").predict(X), net.predict(X))
    True
    """
    require_safetensors("load")
    with _naming(path, "load"), File(path) as file:
        if file.members > 1:
            raise ValueError(
                f"it holds {file.members} networks, whose answers are averaged; micrograd.saving."
                "load_members gives them all, micrograd predict and export --onnx take them as "
                "they are"
            )
        return _network(file)


def load_members(path: Path) -> list[Network]:
    """The networks that `save_members` wrote; of a file with one network, that.

    Raises:
        ImportError, OSError, ValueError, MemoryError: as load.

    >>> from micrograd.saving import load_members, save_members
    >>> save_members([net, net], "two.safetensors")
    >>> len(load_members("two.safetensors"))
    2
    """
    require_safetensors("load_members")
    with _naming(path, "load_members"), File(path) as file:
        nets = [_network(file)]
        for i in range(1, file.members):
            twin = Network(*nets[0].layers, dtype=file.dtype, loss=file.loss(), seed=nets[0].seed)
            twin.metadata = nets[0].metadata
            twin.parameters().flat[...] = file.tensor(f"{MEMBER}{i}")
            nets.append(twin)
    return nets


def _network(file: File) -> Network:
    """The network that its architecture and parameters make."""
    if "layers" not in file.text:
        raise ValueError(
            "it holds the progress of a compiled Program, or of a network with functions in "
            "it, which are not in the file; fit(..., resume=path) reads it"
        )
    layers = file.layers()
    shapes = [shape for start in starts(layers) for shape in start.shapes()]
    state = Saved(file, shapes)
    settings: dict[str, Any] = {"loss": file.loss(), "seed": file.text.get("seed")}
    if file.text.get("checkpoint") is not None:
        settings["checkpoint"] = Checkpoint.from_plain(file.section("checkpoint") or {})
    net = Network(*layers, dtype=file.dtype, **settings)
    net.metadata = file.section("metadata") or {}
    state.put_into(net, _known_optimizer(state, net))
    return net


def _known_optimizer(saved: Saved, net: Network) -> Any:
    """The saved optimizer; None, and a warning, where it is of a kind that is not known here: the
    weights are worth having without it."""
    if isinstance(saved.kind, str) and saved.kind not in parts.OPTIMIZERS:
        message = (
            f"load: {saved.path}: the optimizer {checks.describe(saved.kind)} is unknown; the "
            "network is loaded without it"
        )
        warnings.warn(message, stacklevel=4)
        return None
    return saved.optimizer_for(net.parameters())


def read_progress(model: Resumable, path: Path, optimizer: Any) -> Saved | None:
    """What fit(resume=path) goes on from; None where there is no such file yet.

    Raises:
        ImportError, OSError, ValueError: as `load`; the file is of another model or another kind
            of optimizer; or it could not be written.
    """
    where = f"{type(model).__name__}.fit"
    require_safetensors(where)
    if optimizer is not None:
        with _naming(path, f"{where}: resume"):
            parts.encode_optimizer(optimizer)  # now, not after an epoch
    if not os.path.exists(checked_target(path)):
        return None
    with _naming(path, f"{where}: resume"), File(path) as file:
        whole = "layers" in file.text
        if file.members > 1:
            raise ValueError(f"it holds {file.members} networks, training goes on with one")
        differs = whole and tuple(file.layers()) != model.layers
        if differs or file.dtype != model.dtype:
            raise ValueError("it is of another network: the layers or the dtype differ")
        loss = file.loss()
        if whole and getattr(loss, "__name__", loss) != model.loss_name:
            raise ValueError(f"its loss is {loss!r}, here it is {model.loss_name!r}")
        saved = Saved(file, [(p.name, p.shape) for p in model.parameters()])
        kind = saved.kind
        if None not in (optimizer, kind) and kind != type(optimizer).__name__:
            raise ValueError(f"its optimizer is {kind}, here it is {type(optimizer).__name__}")
        if optimizer is None:
            saved.optimizer_for(model.parameters())
    return saved


def resume(saved: Saved, model: Resumable, optimizer: Any) -> Any:
    """Puts a model where the file says that its training stood; returns the optimizer.

    That is `optimizer` with the state of the file or, where it is None, the one of the file, if it
    has one. Where early stopping had put the best parameters back, the last take their place. The
    masks of dropout are those of the file's network, whatever seed this one was made with.

    Raises:
        ValueError: the optimizer's state does not fit; nothing has changed then.
    """
    with _naming(saved.path, f"{type(model).__name__}.fit: resume"):
        if optimizer is None:
            optimizer = saved.optimizer_for(model.parameters())
        elif saved.optimizer is not None:
            saved.load_into(optimizer)
    saved.put_into(model, optimizer)
    reseed = getattr(model, "reseed", None)  # a Program has none: it draws nothing
    if saved.seed is not None and reseed is not None:
        reseed(saved.seed)
    position = saved.position
    if position is not None and position.last is not None:
        parameters = model.parameters()
        position.best = parameters.flat.copy()
        parameters.flat = position.last
    return optimizer
