"""What arguments have to be: numbers, counts, seeds, arrays, extras; how errors describe them.

Every room checks its arguments here, so that one rule and one sentence holds for all of them: the
scalars of Python and numpy are numbers, a bool is not. numpy is imported by the checks of arrays
only: the scalar engine runs without it.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from inspect import signature
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def describe(value: object) -> str:
    """What came, for an error message: dtype and shape of an array, else type and value."""
    if value is None:
        return "None"
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    text = _text(value)
    return f"{type(value).__name__} {text if len(text) < 40 else text[:37] + '...'}"


def _text(value: object) -> str:
    """Its repr; Python refuses that of an integer with more than some thousand digits."""
    try:
        return repr(value)
    except ValueError:
        return f"of {value.bit_length()} bits" if isinstance(value, int) else "that has no repr"


# ---- numbers ----

MOST = 2**63  # counts are less: the C core has them in 64 bits


def is_number(value: object) -> bool:
    """Whether it is a real number of Python or numpy; a bool is none."""
    kind = type(value)  # asking the abstract class takes 20 times as long
    return kind is float or kind is int or (isinstance(value, Real) and kind is not bool)


def number(
    where: str,
    name: str,
    value: Any,
    least: float = 0.0,
    below: float = math.inf,
    *,
    above: float | None = None,
    most: float | None = None,
) -> float:
    """`value` as a float in [least, below); from more than `above` where that is given, and up to
    `most`, itself included, where that is. most=math.inf lets infinity through.

    Raises:
        TypeError, ValueError: it is no number, or out of its range; NaN is out of any.
    """
    if not is_number(value):
        raise TypeError(f"{where}: {name} is {describe(value)}, a number is wanted")
    low = value >= least if above is None else value > above
    high = value < below if most is None else value <= most
    if not (low and high):
        bounds = _bounds(least, below, above, most)
        shown = _text(value) if isinstance(value, int) else value
        raise ValueError(f"{where}: {name} is {shown}, {bounds} is wanted")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{where}: {name} is {describe(value)}, too large for a float") from None


def _bounds(least: float, below: float, above: float | None, most: float | None) -> str:
    """A range in words: "a finite number, 0 or more and less than 1,"."""
    low = f"{least:g} or more" if above is None else f"more than {above:g}"
    low = low if (least if above is None else above) > -math.inf else ""
    high = "" if below == math.inf else f"less than {below:g}"
    high = high if most is None else f"at most {most:g}" * (most < math.inf)
    kind = "a number" if most == math.inf else "a finite number"
    text = " and ".join(part for part in (low, high) if part)
    return f"{kind}, {text}," if text else kind


def count(where: str, name: str, value: Any, least: int = 1, below: int | None = None) -> int:
    """`value` as an int of at least `least`, and less than `below` where that is given: less than
    2**63 in any case, where the C core's integers end.

    Raises:
        TypeError, ValueError: it is no integer, or out of its range.
    """
    whole = _integer(value)
    if whole is None:
        raise TypeError(f"{where}: {name} is {describe(value)}, an integer is wanted")
    if whole < least or whole >= (MOST if below is None else below):
        limit = (
            " and less than 2**63" * (whole >= MOST) if below is None else f" and less than {below}"
        )
        raise ValueError(f"{where}: {name} is {_text(whole)}, {least} or more{limit} is wanted")
    return whole


def is_integer(value: object) -> bool:
    """Whether it is an integer of Python or numpy; a bool is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _integer(value: Any) -> int | None:
    """An integer of Python or numpy as an int, else None. A bool is none, nor is numpy's, which
    before 2.3 passed for an index, with a warning."""
    if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", None) == "b":
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def flag(where: str, name: str, value: Any) -> bool:
    """`value` as a bool: True, False, or an integer 0 or 1. Of text, "no" would be true.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    if _integer(value) not in (0, 1):
        raise TypeError(f"{where}: {name} is {describe(value)}, True or False is wanted")
    return bool(value)


def items(where: str, name: str, values: Any, wanted: str) -> list[Any]:
    """What can be gone through, as a list; text is none.

    Raises:
        TypeError: it is something else; `wanted` says what is wanted: "a list of sizes".
    """
    try:
        if isinstance(values, (str, bytes)):
            raise TypeError
        return list(values)
    except TypeError:
        raise TypeError(f"{where}: {name} is {describe(values)}, {wanted} is wanted") from None


def seed(where: str, value: Any, name: str = "seed") -> int | None:
    """A seed, an int of 0 or more, or None.

    Raises:
        TypeError, ValueError: it is none of these.
    """
    whole = _integer(value)
    if value is not None and (whole is None or whole < 0):
        error = TypeError if whole is None else ValueError
        raise error(
            f"{where}: {name} is {describe(value)}, an integer, 0 or more, or None is wanted"
        )
    return whole


# ---- arrays ----


def refuse_masked(where: str, name: str, value: Any) -> None:
    """Refuses an array of which something is masked: every conversion forgets the mask.

    Raises:
        ValueError: so it is.
    """
    ma = sys.modules.get("numpy.ma")  # numpy loads it late: before that nothing is masked
    masked = getattr(ma, "MaskedArray", None)  # None while another thread is loading it
    if ma is not None and masked is not None and isinstance(value, masked) and ma.is_masked(value):
        hidden = int(ma.getmaskarray(value).sum())
        raise ValueError(
            f"{where}: {hidden} of {value.size} elements of {name} are masked; leave those rows "
            "out, or put numbers there with array.filled(...)"
        )


def is_plain(array: Array) -> bool:
    """Whether it is C-contiguous and each of its elements lies where its type wants it to lie, as
    the C core takes it. A view into bytes, or a file that was mapped, may begin anywhere."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def plain(array: Any, dtype: np.dtype[Any]) -> Array:
    """The array as a plain one of `dtype`, see `is_plain`: itself if it is one."""
    import numpy as np

    out = np.asarray(array, dtype=dtype, order="C")
    return out if out.flags.aligned else out.copy()


def reals(where: str, name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """`value` as a plain array of `dtype`, see `is_plain`; only real numbers are taken.

    Raises:
        TypeError: `value` does not hold real numbers.
        ValueError: it is ragged, or a finite number becomes infinite in `dtype`.
    """
    import numpy as np

    refuse_masked(where, name, value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{where}: {name} is no rectangular array: {error}") from None
    if array.dtype.kind not in "fiub":
        came = describe(array if array.shape else value)
        raise TypeError(f"{where}: {name} is {came}, real numbers are wanted")
    with np.errstate(over="ignore"):
        out = plain(array, dtype)
    if out.dtype.itemsize < array.dtype.itemsize and array.dtype.kind == "f":
        lost = np.isinf(out) & np.isfinite(array)
        if lost.any():
            at = tuple(int(i) for i in np.argwhere(lost)[0])
            raise ValueError(
                f"{where}: {name}{list(at)} is {array[at]}, too large for {dtype}; "
                "scale the data or use dtype='float64'"
            )
    return out


def matrix(
    where: str, name: str, value: Any, columns: int, dtype: np.dtype[Any], who: str
) -> Array:
    """`value` as a plain matrix (rows, columns) of `dtype`, for the fast path to reject.

    `who` says what wants that many columns: "layer 0 Linear(4, 8) takes 4".

    Raises:
        TypeError, ValueError: it does not hold real numbers, or not so many columns, or no rows.
    """
    array = reals(where, name, value, dtype)
    if array.ndim != 2:
        hint = (
            f"; one sample is {name}[None, :]" if array.ndim == 1 and array.size == columns else ""
        )
        raise ValueError(
            f"{where}: {name} has shape {array.shape}, (rows, {columns}) is wanted{hint}"
        )
    if array.shape[1] != columns:
        raise ValueError(f"{where}: {name} has {array.shape[1]} features, {who}")
    if array.shape[0] == 0:
        raise ValueError(f"{where}: {name} has no rows: shape {array.shape}")
    return array


def labels(where: str, y: Any, rows: int, classes: int) -> Array | None:
    """Integer labels as an int64 array (rows,), or None where y holds probability rows.

    Whether they lie in 0 .. classes - 1 is checked in C, in the same pass that uses them.

    Raises:
        TypeError: y holds neither integers nor rows of real numbers.
        ValueError: the shape does not fit.
    """
    import numpy as np

    int64 = np.dtype(np.int64)
    if type(y) is np.ndarray and y.dtype is int64 and y.shape == (rows,) and is_plain(y):
        return y
    refuse_masked(where, "y", y)
    try:
        array = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"{where}: y is no rectangular array: {error}") from None
    if array.ndim == 2 and array.shape == (rows, classes) and array.dtype.kind in "fiub":
        return None
    if array.dtype.kind not in "iub":
        hint = "; use y.astype(int)" if _whole(array) and array.shape == (rows,) else ""
        raise TypeError(
            f"{where}: y is {describe(array if array.shape else y)}; integer labels of shape "
            f"({rows},) or probability rows of shape ({rows}, {classes}) are wanted{hint}"
        )
    if array.shape != (rows,):
        hint = "; use y.ravel()" if array.shape == (rows, 1) else ""
        raise ValueError(
            f"{where}: y has shape {array.shape}, ({rows},) for labels or ({rows}, {classes}) "
            f"for probability rows is wanted{hint}"
        )
    if array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63:
        row = int(array.argmax())
        raise ValueError(f"{where}: y[{row}] is {array[row]}, the network has {classes} classes")
    return plain(array, int64)


def _whole(array: Array) -> bool:
    """Whether these are integers in a type of numbers with a point."""
    return array.dtype.kind == "f" and bool(array.size) and bool((array % 1 == 0).all())


# ---- attributes ----


def fixed(name: str, owner: str, instead: str = "") -> Any:
    """An attribute that is set once: later assignments would be ignored, so they are refused.

    It lies in the attribute fixed_<name>: asking for an object's __dict__ would make all of its
    attributes slower for good, in CPython by a tenth of a small step.

    instead: what to do, if not to make another owner.
    """
    advice = instead or f"make another {owner}"
    place = f"fixed_{name}"

    def get(self: Any) -> Any:
        return getattr(self, place)

    def put(self: Any, value: Any) -> None:
        if hasattr(self, place):
            raise AttributeError(f"{owner}: {name} is fixed when the {owner} is made; {advice}")
        setattr(self, place, value)

    return property(get, put)


def other_name(name: str, owner: str) -> Any:
    """An attribute that others have under this name: assigning to it would do nothing here."""

    def put(self: Any, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__}: there is no {name}, it is {owner}")

    def get(self: Any) -> Any:
        raise AttributeError(f"{type(self).__name__}: there is no {name}, it is {owner}")

    return property(get, put)


# ---- arguments ----


def with_hints(where: str, hints: Mapping[str, str]) -> Callable[[F], F]:
    """A decorator: an argument that a function does not have is a TypeError that says which it has.

    hints: names that others use, and what to say of them: a name of ours, or a sentence.
    """

    def decorate(function: F) -> F:
        known = [name for name in signature(function).parameters if name != "self"]

        @wraps(function)
        def checked(*args: Any, **named: Any) -> Any:
            for name in named:
                if name not in known:
                    raise TypeError(_unknown(where, name, known, hints))
            return function(*args, **named)

        return cast("F", checked)

    return decorate


def _unknown(where: str, name: str, known: list[str], hints: Mapping[str, str]) -> str:
    from difflib import get_close_matches

    near = hints.get(name) or next(iter(get_close_matches(name, known, 1)), None)
    if near is None:
        hint = f"there are {', '.join(known)}"
    elif near in known:
        hint = f"{near} is what it is called here"
    else:
        hint = near
    return f"{where}: there is no argument {name!r}; {hint}"


# ---- extras ----


def require(where: str, package: str, module: str, extra: str) -> Any:
    """The module of a package that micrograd does not depend on, loaded.

    Args:
        where: what needs it; package: what it is called; module: what is imported; extra: of
            micrograd-core, that brings it.

    Raises:
        ImportError: the package is not installed, or does not load; says what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        root = module.split(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name in (None, root)
        reason = "" if missing or not str(error) else f" ({error})"
        raise ImportError(
            f"{where} needs {package}: pip install 'micrograd-core[{extra}]'{reason}"
        ) from None


def is_none(cell: Any) -> bool:
    """Whether an object says that there is no value: None, NaN, and pandas' NA and NaT."""
    return cell is None or type(cell).__name__ == "NAType" or bool(cell != cell)
