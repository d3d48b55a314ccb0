"""Files written so that a kill at any moment leaves the old one or the new one."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from micrograd import checks

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

LONGEST_NAME = 255  # bytes of a file's name, in the usual file systems
STALE = 24 * 3600.0  # seconds after which what a killed process left behind is removed


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside `path`, flushes it to the disk, and renames it to `path`.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, beside `path`; it takes that place where the block ends, whole.

    Where the block ends with an exception, what was there still is. Several may write at once: the
    last one stays. What is no file, such as a pipe or /dev/stdout, is written to as it is.

    Raises:
        OSError: it cannot be written; or, as the message says then, it has been, but its folder
            could not be flushed to the disk.
    """
    target = checked_target(path)
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb") as stream:
                yield stream
            return
        with _beside(target) as file:
            yield file
    except OSError as error:
        name_file(error, path)
        raise
    if os.name != "nt":  # Windows has no such thing
        _flush_folder(os.path.dirname(target), target)


@contextmanager
def _beside(target: str) -> Iterator[BinaryIO]:
    """A file under another name, which is `target` where the block ends."""
    folder, base = os.path.split(target)
    _remove_stale(folder, base)
    temporary = os.path.join(folder, f"{_start(base)}{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            with suppress(OSError):  # the permissions of the file that it will replace
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def name_file(error: OSError, path: Path) -> None:
    """Has an error say which file it is about: those of reading and writing do not."""
    if error.errno is not None and error.filename is None:
        error.filename = os.fsdecode(path)


class Own:
    """A file that one run writes again and again. What another has written there is not replaced.

    Several processes that write at the same moment may miss one another once; the next write of one
    of them finds it out.
    """

    def __init__(self, path: Path, where: str) -> None:
        file_name(path, where)
        self.path = path
        self._seen = _stamp(path)

    def check(self, where: str) -> None:
        """Raises a RuntimeError where the file is there, and not as this run left or found it."""
        found = _stamp(self.path)
        if found is not None and found != self._seen:
            raise RuntimeError(
                f"{where}: {os.fsdecode(self.path)} has been written by something else since this "
                "run last did, another run that resumes from it perhaps; give each run a file of "
                "its own. That file is left as it is; the model stands at the end of the last epoch"
            )

    def note(self) -> None:
        """Takes the file as it is now for this run's own."""
        self._seen = _stamp(self.path)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def file_name(path: Any, where: str = "") -> str:
    """The path of a file as text; where: what errors begin with.

    Raises:
        TypeError: it is no path.
        ValueError: no file can have it.
    """
    where = f"{where}: " if where else ""
    try:
        name = os.fsdecode(path)
        os.fsencode(name)
    except TypeError:
        raise TypeError(
            f"{where}{checks.describe(path)} came, the path of a file is wanted: str, bytes, "
            "os.PathLike"
        ) from None
    except UnicodeEncodeError as error:
        raise ValueError(f"{where}{path!r}: no file can have this name: {error}") from None
    if not name or "\0" in name:
        what = "holds a zero byte" if name else "is empty"
        raise ValueError(f"{where}{name!r}: the path {what}; that of a file is wanted")
    return name


def checked_target(path: Path) -> str:
    """The file that a path leads to, there or not; links are followed.

    Raises:
        OSError: it is a folder, or in a folder that does not exist or cannot be written to.
        TypeError, ValueError: it is no path.
    """
    name = file_name(path)
    try:
        target = os.path.realpath(name)
    except FileNotFoundError as error:  # of a relative name, from the working folder
        raise FileNotFoundError(
            f"{name}: the folder that this process works in does not exist any more; give a whole "
            "path, or os.chdir to a folder that is there"
        ) from error
    folder = os.path.dirname(target)
    if os.path.isdir(target) or name.endswith(("/", os.sep)):
        raise IsADirectoryError(f"{name} is a folder; the name of a file is wanted")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name}: the folder {folder} does not exist")
    if os.path.exists(target) and not os.path.isfile(target):
        return target
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{name}: the folder {folder} cannot be written to")
    return target


def _start(base: str) -> str:
    """What the names of temporary files for a file begin with; the rest takes 20 bytes."""
    cut = os.fsencode(base)[: LONGEST_NAME - 22]
    return f".{os.fsdecode(cut)}."


def _remove_stale(folder: str, base: str) -> None:
    """Removes what processes that were killed while they wrote this file have left behind."""
    start = _start(base)
    with suppress(OSError):
        for name in os.listdir(folder):
            if not (name.startswith(start) and name.endswith(".tmp")):
                continue
            if "." in name[len(start) : -len(".tmp")]:  # of another file, whose name goes on
                continue
            path = os.path.join(folder, name)
            with suppress(OSError):
                if time.time() - os.stat(path).st_mtime > STALE:
                    os.unlink(path)


def _flush_folder(folder: str, target: str) -> None:
    """So that the rename outlives a power failure as well.

    Raises:
        OSError: it cannot be done; the file has been replaced all the same.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EINVAL):  # it may not be read, or has no fsync
            return
        raise OSError(
            error.errno,
            f"{target} has been written, whole, but its folder could not be flushed to the disk: a "
            f"power failure now may bring back what was there before ({error.strerror})",
        ) from error
