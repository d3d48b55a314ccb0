"""What has to be the same when training goes on from a file: compared with what the file says.

The data, batch_size, accumulate, shuffle, the penalties and clippings, class_weight,
label_smoothing, dropout_factor, the fraction set aside, the seed, and the optimizer's kind and
settings have to be those of the run that is gone on with. More or fewer epochs, the length of a
schedule, callbacks, metrics, separate validation data, early stopping and progress may be others.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from micrograd import checks
from micrograd.saving import parts

if TYPE_CHECKING:
    from micrograd.saving.read import Saved
    from micrograd.training.arguments import Arguments
    from micrograd.training.inputs import Data
    from micrograd.training.model import Model

WHOLE = 1 << 26  # bytes of an array up to which all of it is looked at
SAMPLED = 4096  # rows of a larger one

_NAMES = ("l1", "l2", "clip_norm", "clip_value", "max_norm", "label_smoothing")


def settings_of(model: Model, given: Arguments, data: Data) -> dict[str, Any]:
    """The arguments of fit that a run keeps, as plain data."""
    numbers = {name: getattr(given, name) for name in _NAMES}
    settings = {name: None if x is None else float(x) for name, x in numbers.items()}
    fraction = float(given.validation) if checks.is_number(given.validation) else None
    return (
        settings
        | {
            "batch_size": int(given.batch_size),
            "accumulate": int(given.accumulate),
            "shuffle": bool(given.shuffle),
            "class_weight": data.class_weights,
            "dropout_factor": _dropout_factor(model, given.dropout_factor),
            "validation": fraction,
        }
        | (
            {}
            if data.arrays is None or given.resume is None
            else {"data": fingerprint(data.arrays)}
        )
    )


def _dropout_factor(model: Model, given: Any) -> Any:
    """The number, or what a schedule is but for its length; of another function the name."""
    factor = model.dropout_factor if given is None else given
    if factor is None or checks.is_number(factor):
        return None if factor is None else float(factor)
    try:
        return _without_steps(parts.encode(factor))
    except ValueError:  # no file holds it
        return f"the function {getattr(factor, '__qualname__', type(factor).__name__)}"


def fingerprint(arrays: tuple[Any, Any, Any]) -> str:
    """A digest of X, y and sample weights: of their shapes, and of the numbers; of large arrays,
    which may lie in files, of some thousand rows."""
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(repr(None if array is None else np.shape(array)).encode())
        if array is None:
            continue
        rows = len(array)
        whole = array.nbytes <= WHOLE or rows <= SAMPLED
        index: Any = slice(None) if whole else np.linspace(0, rows - 1, SAMPLED).astype(np.int64)
        part = np.asarray(array[index])
        kind = np.int64 if part.dtype.kind in "iub" else np.float64
        found.update(np.ascontiguousarray(part, kind).data)
    return found.hexdigest()


def check(where: str, saved: Saved, settings: dict[str, Any], given: Arguments) -> None:
    """Compares a run with the one that a file holds.

    Raises:
        ValueError: something that has to be the same is not; says what.
    """
    position = saved.position
    if position is None:
        return
    before = dict(position.settings or {})
    now = dict(settings)
    if given.seed is not None and position.seed is not None:
        before["seed"], now["seed"] = position.seed, int(given.seed)
    if given.optimizer is not None and saved.optimizer is not None:
        before |= _of_optimizer(saved.optimizer)
        now |= _of_optimizer(parts.encode_optimizer(given.optimizer))
    for name, value in now.items():
        if name not in before or before[name] == value:
            continue
        what = f"{name} was {before[name]}, here it is {value}"
        if name == "data":
            what = "X, y or sample_weight are not those of that run"
        raise ValueError(
            f"{where}: resume: {saved.path}: {what}; a run goes on as it began. To train its "
            "network otherwise, mg.load it and fit without resume"
        )


def _of_optimizer(encoded: dict[str, Any]) -> dict[str, Any]:
    """An optimizer's settings as a file holds them, without the lengths of schedules."""
    settings = {"groups": None} | encoded
    return {f"the optimizer's {name}": _without_steps(value) for name, value in settings.items()}


def _without_steps(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_steps(x) for name, x in value.items() if name != "steps"}
    if isinstance(value, (list, tuple)):
        return [_without_steps(x) for x in value]
    return value
