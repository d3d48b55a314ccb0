"""Runs that have been measured, a line of JSON each: what a killed benchmark goes on from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields

from micrograd.bench.tabular.report import Result, Results

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

    def standing(
        self,
        sets: Sequence[str],
        models: Sequence[str],
        seeds: int,
        threads: int,
        version: Callable[[str], str],
    ) -> tuple[Results, list[str]]:
        """The runs that are there of sets that all of these models have one of, and the models.

        Models without a run are left out, and seeds that one of a set's models has not; where a
        package is not installed, whichever version was measured counts.
        """
        wanted: dict[tuple[str, str], dict[int, Result]] = {}
        for (each, model, of, seed, used), result in self.found.items():
            if seed < seeds and used == threads and version(model) in (of, ""):
                wanted.setdefault((each, model), {})[seed] = result
        names = [name for name in models if any(name == model for _, model in wanted)]
        results: dict[str, dict[str, list[Result]]] = {}
        for each in sets:
            runs = [wanted.get((each, name), {}) for name in names]
            common = set.intersection(*map(set, runs)) if runs else set()
            if common:
                results[each] = {
                    name: [of_seed[seed] for seed in sorted(common)]
                    for name, of_seed in zip(names, runs, strict=True)
                }
        return results, names

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
