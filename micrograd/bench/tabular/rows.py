"""Runs that have been measured, a line of JSON each: what a killed benchmark goes on from."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields

from micrograd.bench.tabular.report import Result

KEY = ("set", "model", "version", "seed", "threads")
Key = tuple[str, str, str, int, int]


class Rows:
    """The runs in a file, to which new ones are appended; several processes may append to it.

    A run is known by data set, model, the model's version, seed and threads. A last line that ends
    in the middle, as a killed process leaves it, is cut off, and its run measured again.

    Args:
        path: of the file, which need not be there yet; None keeps the runs in memory.

    Raises:
        ValueError: a line is no run; names file and line.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.found: dict[Key, Result] = {}
        if path is None or not os.path.exists(path):
            return
        with open(path, "rb+") as file:
            text = file.read()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                file.truncate(whole)
        for number, line in enumerate(text[:whole].splitlines(), 1):
            key, result = self._parsed(f"{path}, line {number}", line)
            self.found[key] = result

    @staticmethod
    def _parsed(where: str, line: bytes) -> tuple[Key, Result]:
        names = {*KEY, *(field.name for field in fields(Result))}
        try:
            plain = json.loads(line)
            if not isinstance(plain, dict) or set(plain) != names:
                raise ValueError("other fields")
            key = (str(plain["set"]), str(plain["model"]), str(plain["version"]),
                   int(plain["seed"]), int(plain["threads"]))  # fmt: skip
            error, fit, predict = (float(plain[name]) for name in ("error", "fit", "predict"))
            return key, Result(error, fit, predict, int(plain["size"]))
        except (ValueError, TypeError) as wrong:
            raise ValueError(
                f"bench: {where} is no run of the benchmark ({wrong}); wanted a JSON object with "
                f"{', '.join(sorted(names))}; delete the line or name another file"
            ) from None

    def get(self, key: Key) -> Result | None:
        """The run, where it has been measured."""
        return self.found.get(key)

    def add(self, key: Key, result: Result) -> None:
        """Notes a run, in the file too: one write, at its end."""
        self.found[key] = result
        if self.path is None:
            return
        line = json.dumps({**dict(zip(KEY, key, strict=True)), **asdict(result)}) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
