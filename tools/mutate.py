#!/usr/bin/env python3
"""Breaks the package in one place after another and prints where no test notices: the survivors.

    tools/mutate.py                     # all four parts, some hours
    tools/mutate.py clip --most 40      # forty places of one part, spread over it

A mutant is a copy of one file in which one operator, comparison, constant or condition is another.
It runs in a copy of the tree, with the tests of its part, and is dead when one of them fails or
takes many times as long as it does on the code as it is. Those that have killed come first, then
the quick ones, so that most mutants are dead within a second. mutmut and cosmic-ray want to import
the package from the place where they mutate it, without the C core that is built there.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = {  # the files that are broken, and the tests that have to notice
    "rules": (["engine/rules.py", "engine/elementary.py"], ["tests/engine", "tests/test_func.py"]),
    "clip": (["optim/clip.py"], ["tests/optim/test_clip.py"]),
    "schedule": (["schedule"], ["tests/test_schedule.py"]),
    "checkpoint": (["checkpoint"], ["tests/checkpoint"]),
}
IMPORTED = ("numpy", "hypothesis.strategies", "mpmath", "torch._dynamo", "cffi")  # by tests
MEMORY = 8 << 30  # bytes that a mutant may take: some would take all there is
OTHERS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutants(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """The line, what it says instead of what, and the source, for each place that can be broken."""
    for node in list(ast.walk(tree)):
        line = getattr(node, "lineno", 0)
        for field, value in _changes(node):
            old = getattr(node, field)
            before = ast.unparse(node)
            setattr(node, field, value)
            yield line, f"{before}  ->  {ast.unparse(node)}", ast.unparse(tree)
            setattr(node, field, old)


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)) and type(node.op) in OTHERS:
        yield "op", OTHERS[type(node.op)]()
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            ops = copy.copy(node.ops)
            ops[i] = OTHERS[type(op)]()
            yield "ops", ops
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield "value", node.value + 1
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "value", not node.value
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield "test", ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "op", ast.UAdd()
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "value", ast.Constant(None)


class Tests:
    """A plugin of pytest: the tests in the order in which they kill soonest, each with an end."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}  # of processor time, on the code as it is
        self.killed: list[str] = []  # the tests that have killed, the last one first
        self.found: dict[str, object] = {"seconds": {}, "failed": None}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        rank = {name: i for i, name in enumerate(self.killed)}
        last = len(rank)
        items.sort(key=lambda item: (rank.get(item.nodeid, last), self.seconds.get(item.nodeid, 0)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        usual = self.seconds.get(item.nodeid)
        if usual is not None:  # SIGPROF ends this process; it may be paused
            signal.setitimer(signal.ITIMER_PROF, 10 * usual + 5)
        started = time.process_time()
        result = yield
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.found["seconds"][item.nodeid] = time.process_time() - started
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.found["failed"] = report.nodeid


def passes(tree: Path, places: list[str], tests: Tests, seconds: float) -> bool:
    """Whether the tests pass in this time. They run in a fork of this process, which has imported
    what they import but for the package: that takes longer than most of them."""
    first, report = not tests.seconds, tree / "report.json"
    report.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        os.setsid()
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        os.environ["PYTHONPATH"] = str(tree)
        if not first:  # the caches of the first run are good for all that is not broken
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
            sys.dont_write_bytecode = True
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1), os.dup2(silence, 2)
        code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *places], plugins=[tests])
        report.write_text(json.dumps(tests.found))
        os._exit(int(code))
    until, done, status = time.monotonic() + seconds, 0, 1
    while not done and time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what the tests have started, too
    if not done:
        os.waitpid(child, 0)
    if report.exists():
        found = json.loads(report.read_text())
        if first:
            tests.seconds = found["seconds"]
        if found["failed"]:
            name = found["failed"]
            tests.killed = [name, *(other for other in tests.killed if other != name)]
    return bool(done) and status == 0


def examine(name: str, most: int | None) -> list[str]:
    """The survivors of one part."""
    places, paths = PARTS[name]
    tests = Tests()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for part in ("micrograd", "tests"):
            left = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, tree / part, ignore=left)
        shutil.copy(ROOT / "pyproject.toml", tree)
        started = time.monotonic()
        if not passes(tree, paths, tests, 3600):
            sys.exit(f"mutate: the tests of {name} fail on the code as it is")
        longest = 5 * (time.monotonic() - started) + 10
        files = []
        for place in (tree / "micrograd" / name for name in places):
            files += sorted(place.glob("*.py")) if place.is_dir() else [place]
        broken = [(f, *m) for f in files for m in mutants(ast.parse(f.read_text()))]
        if most is not None and len(broken) > most:
            broken = [broken[i * len(broken) // most] for i in range(most)]
        survivors = []
        for number, (file, line, what, source) in enumerate(broken):
            original, times = file.read_text(), file.stat()
            file.write_text(source)
            os.utime(file, (number, number))  # no cache of it is good for this
            if passes(tree, paths, tests, longest):
                where = file.relative_to(tree)
                survivors.append(f"  {where}:{line}: {what}")
                print(survivors[-1], flush=True)
            file.write_text(original)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    print(f"{name}: {len(broken)} mutants, {len(survivors)} survived", flush=True)
    return survivors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them by default")
    parser.add_argument("--most", type=int, help="mutants of a part, spread over its files")
    options = parser.parse_args()
    for name in IMPORTED:
        with suppress(ImportError):
            import_module(name)
    for name in options.parts or PARTS:
        examine(name, options.most)


if __name__ == "__main__":
    main()
