"""The boundary to the C core: the only module that imports the compiled extension.

It chooses the instruction set and the number of threads. Nothing here knows what a network is.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from micrograd import checks


def _cure() -> str:
    """What to do where the extension is missing."""
    if sys.byteorder == "big":
        return "It is for little-endian machines; this one is big-endian"
    folder = Path(__file__).parents[1]
    if (folder / "setup.py").is_file():
        return (
            f"Python has taken micrograd from its sources in {folder}, where it has not been "
            "built: run Python in another folder, or build it there by `pip install -e .`"
        )
    return (
        "Install a C compiler, then `pip install --force-reinstall --no-cache-dir "
        "micrograd-core`, or `pip install .` in the project's folder"
    )


try:
    from micrograd._core import ffi as ffi
    from micrograd._core import lib as lib
except ImportError as error:
    raise ImportError(
        "micrograd: the C extension micrograd._core is missing or does not load "
        f"({error}); the scalar engine works without it. {_cure()}"
    ) from error


def _declared(header: str) -> dict[str, set[str]]:
    """What a header in the style of csrc/micrograd.h declares: constants and functions, with their
    number of operands, as "MG_RELU" and "mg_norm/5", and structures with their members' names.
    """
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    names = {name: set[str]() for name in re.findall(r"\bMG_\w+", code)}
    for name, operands in re.findall(r"\b(mg_\w+)\(([^)]*)\);", code):
        names[f"{name}/{operands.count(',') + (operands != 'void')}"] = set()
    for body, name in re.findall(r"typedef struct[ \w]* \{(.*?)\n\} (\w+);", code, re.DOTALL):
        names[name] = set(re.findall(r"(\w+)(?=(?:\[\w+\])?[,;]|\)\()", body))
    return names


def _compiled() -> dict[str, set[str]]:
    """The same of the compiled extension."""
    names = {name: set[str]() for name in dir(lib)}
    for name in filter(re.compile("mg_").match, dir(lib)):
        names[f"{name}/{len(ffi.typeof(getattr(lib, name)).args)}"] = set()
    for name in ffi.list_types()[0]:
        with suppress(ffi.error):  # no size: declared without members
            ffi.sizeof(name)
            names[name] = {member for member, _ in ffi.typeof(name).fields}
    return names


def _check_age(sources: Path, extension: Path) -> None:
    """Raises ImportError where the extension lacks what the C core in `sources` declares.

    So it is where an installation in place has been followed by `git pull`: Python is of today,
    the extension is not. A comment that has changed is no reason, nor a kernel. The header is read
    only where it is newer than the extension; beside a wheel there is none.
    """
    header = sources / "csrc" / "micrograd.h"
    try:
        if not (sources / "setup.py").is_file() or (
            header.stat().st_mtime <= extension.stat().st_mtime
        ):
            return
        wanted = _declared(header.read_text(encoding="utf-8"))
    except OSError:
        return
    found = _compiled()
    for name, members in wanted.items():
        if name in found and members <= found[name]:
            continue
        what = f"{name}.{min(members - found[name])}" if name in found else name.partition("/")[0]
        raise ImportError(
            f"micrograd: the C core in {extension} was built from older sources than those in "
            f"{header.parent}, whose {what} it does not have: build it again, by "
            f"`pip install -e {sources}`"
        )


_check_age(Path(__file__).parents[1], Path(sys.modules["micrograd._core"].__file__ or ""))

Array = npt.NDArray[Any]

ISA_CODES: Final = {
    "generic": lib.MG_GENERIC,
    "avx2": lib.MG_AVX2,
    "avx512": lib.MG_AVX512,
    "neon": lib.MG_NEON,
}
DTYPES: Final = {"float32": lib.MG_FLOAT32, "float64": lib.MG_FLOAT64}


def supported_isas() -> list[str]:
    """The instruction sets that this machine can run, "generic" first.

    >>> mg.core.supported_isas()[0]
    'generic'
    """
    return [name for name, code in ISA_CODES.items() if lib.mg_isa_supported(code)]


def _choose_isa() -> str:
    wanted = os.environ.get("MICROGRAD_ISA", "").strip().lower()
    if not wanted:
        best = lib.mg_isa_best()
        return next(name for name, code in ISA_CODES.items() if code == best)
    if wanted not in supported_isas():
        known = "not supported by this machine" if wanted in ISA_CODES else "unknown"
        raise ImportError(
            f"MICROGRAD_ISA={wanted!r} is {known}; valid here: {', '.join(supported_isas())}"
        )
    return wanted


def _threads_from_environment() -> int:
    for variable in ("MICROGRAD_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(variable, "").split(",")[0].strip()
        if not text:
            continue
        if not (text.isdecimal() and len(text) < 10 and int(text)):
            if variable == "OMP_NUM_THREADS":  # not ours to judge
                continue
            raise ImportError(
                f"{variable}={text[:40]!r}: a number of threads, 1 to 999999999, is wanted"
            )
        return int(text)
    return len(processors())


def processors() -> frozenset[int]:
    """The processors that this process may use, by number."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


_isa = _choose_isa()
ISA_CODE: Final[int] = ISA_CODES[_isa]

threads = 1  # how many the next call may use; read by Network and the optimizers


def isa() -> str:
    """The instruction set in use: "generic", "avx2", "avx512" or "neon".

    The best one the machine has, unless the environment variable MICROGRAD_ISA names another.

    >>> mg.isa() in mg.core.supported_isas()
    True
    """
    return _isa


def set_num_threads(n: int) -> None:
    """Lets the C core use up to `n` threads from the next call on.

    It uses them only where the work pays for them; results have the same bits for any number.
    Where the system has no POSIX threads, one thread is all there is.

    Raises:
        TypeError: n is not an integer.
        ValueError: n is less than 1, or 2**31 or more.

    >>> mg.set_num_threads(1)
    >>> mg.get_num_threads()
    1
    """
    global threads
    n = checks.count("set_num_threads", "n", n, below=2**31)
    threads = n if lib.mg_has_threads() else 1
    lib.mg_set_max_threads(threads)


def limit_threads_here(n: int) -> None:
    """Lets the C core use up to `n` threads in calls from the thread that calls this, and from no
    other: for a thread that shares the machine with others like it, until it ends.
    """
    lib.mg_set_max_threads(n)


def get_num_threads() -> int:
    """How many threads the C core may use in calls from the thread that asks.

    >>> mg.get_num_threads() >= 1
    True
    """
    return int(min(threads, lib.mg_max_threads()))


class Build(NamedTuple):
    """How the compiled extension was made: of which sources, by which compiler, with threads?"""

    source_hash: str
    compiler: str
    threads: bool


def build() -> Build:
    """How the compiled extension was made."""
    sources, compiler = ffi.string(lib.mg_source_hash()), ffi.string(lib.mg_compiler())
    return Build(sources.decode(), compiler.decode(), bool(lib.mg_has_threads()))


@contextmanager
def limited_threads(limit: int) -> Iterator[None]:
    """At most `limit` threads for what the calling thread does inside.

    The limit belongs to the thread that sets it: others may work with another meanwhile.
    """
    before = lib.mg_max_threads()
    lib.mg_set_max_threads(limit)
    try:
        yield
    finally:
        lib.mg_set_max_threads(before)


set_num_threads(_threads_from_environment())


class Drawing(NamedTuple):
    """Orders to draw: permutations of 0 .. rows - 1, one after the other for so many epochs."""

    rng: np.random.Generator
    rows: int
    epochs: int = 1


_pointer_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def draw_orders(drawings: Sequence[Drawing], n_threads: int = 1) -> list[Array]:
    """Random orders (epochs, rows) of int64, for each drawing: what ``rng.shuffle`` makes of
    ``arange(rows)``, and it leaves the generator as that does. Other Python threads run meanwhile.

    drawings: those that share a generator are drawn from it in the order given, by one thread.

    Raises:
        ValueError: there are 2**32 rows or more, or fewer rows or epochs than none.

    >>> mg.core.draw_orders([mg.core.Drawing(np.random.default_rng(0), 4)])[0].tolist()
    [[2, 0, 1, 3]]
    """
    most = max((drawing.rows for drawing in drawings), default=0)
    if most >= 1 << 32:
        raise ValueError(f"draw_orders: {most} rows, wanted fewer than 2**32")
    for drawing in drawings:
        if min(drawing.rows, drawing.epochs) < 0:
            raise ValueError(
                f"draw_orders: {drawing.rows} rows and {drawing.epochs} epochs, wanted 0 or more"
            )
    ends = list(accumulate((d.epochs * d.rows for d in drawings), initial=0))
    whole = np.empty(ends[-1], np.int64)  # of large arrays the system gives larger pages
    orders = [
        whole[start:end].reshape(d.epochs, d.rows)
        for start, end, d in zip(ends, ends[1:], drawings, strict=False)
    ]
    asked = ffi.new("mg_drawing[]", len(drawings))
    locks = {id(lock): lock for lock in (d.rng.bit_generator.lock for d in drawings)}
    if len(locks) < len(drawings):
        n_threads = 1
    with ExitStack() as held:
        for _, lock in sorted(locks.items()):  # in one order, or two threads wait for each other
            held.enter_context(lock)
        for to, drawing, array in zip(asked, drawings, orders, strict=True):
            bits = _pointer_in(drawing.rng.bit_generator.capsule, b"BitGenerator")
            to.bits, to.orders = ffi.cast("mg_bits *", bits), ffi.from_buffer("int64_t[]", array)
            to.rows, to.count = drawing.rows, drawing.epochs
        lib.mg_draw_orders(len(drawings), asked, n_threads)
    return orders


def address(array: Array) -> Any:
    """The address of a writable, C-contiguous array, for the C core; it keeps the array alive."""
    return ffi.from_buffer(array, require_writable=True)


def aligned_empty(n: int, dtype: npt.DTypeLike) -> Array:
    """An uninitialised array (n,) that starts on a 64-byte line."""
    kind = np.dtype(dtype)
    raw = np.empty(n * kind.itemsize + 64, dtype=np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + n * kind.itemsize].view(kind)
