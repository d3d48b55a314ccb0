"""Which files a command writes: none of those that it reads, and no two to one place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from micrograd.cli.command import UsageError


def check_outputs(outputs: Mapping[str, str | None], inputs: Iterable[str]) -> None:
    """Refuses to write what the same command reads, or two things to one file; links are followed.

    outputs: paths by what they are called on the command line, "--output"; None is left out.

    Raises:
        UsageError: an output is an input, or the same as another output.
        OSError: one cannot be written: it is a folder, or in a folder that does not exist.
    """
    from micrograd.atomic import checked_target

    given = {option: path for option, path in outputs.items() if path is not None}
    read = list(inputs)
    seen: dict[str, str] = {}
    for option, path in given.items():
        checked_target(path)
        for other in read:
            if same_file(path, other):
                raise UsageError(f"{option} {path} is {other}, which this command reads; choose "
                                 "another name")  # fmt: skip
        for known, other in seen.items():
            if same_file(path, other):
                raise UsageError(f"{known} and {option} both name {path}; choose another name")
        seen[option] = path


def same_file(path: str, other: str) -> bool:
    """Whether two paths lead to one file, there or not; not so for pipes and devices."""
    if os.path.exists(path) and os.path.exists(other):
        return os.path.samefile(path, other) and os.path.isfile(path)
    return os.path.realpath(path) == os.path.realpath(other)
