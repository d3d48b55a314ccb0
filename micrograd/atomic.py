"""Files written so that a kill at any moment leaves the old one or the new one."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

Path = str | os.PathLike[str]


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside `path`, flushes it to the disk, and renames it to `path`.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    target = checked_target(path)
    folder, base = os.path.split(target)
    temporary = os.path.join(folder, f".{base}.{os.getpid()}.tmp")
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


def checked_target(path: Path) -> str:
    """The file that a path leads to, there or not; links are followed.

    Raises:
        OSError: it is a folder, or in a folder that does not exist or cannot be written to.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise IsADirectoryError(f"{os.fspath(path)} is a folder; the name of a file is wanted")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{os.fspath(path)}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{os.fspath(path)}: the folder {folder} cannot be written to")
    return target


def _flush_folder(folder: str) -> None:
    """So that the rename outlives a power failure as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
