#!/usr/bin/env python3
"""Breaks the package in one place after another and prints where no test notices: the survivors.

    tools/mutate.py                     # all four parts, about an hour of processor time
    tools/mutate.py clip --most 40      # forty places of one part, spread over it

A mutant is a copy of one file in which one operator, comparison, constant or condition is another.
It runs in a copy of the tree, with those tests of its part that reach the place or start other
processes, and is dead when one of them fails or takes many times as long as it does on the code as
it is. Those that have killed often come first, and the quick ones. Where it is in a function that
no import calls, the mutant is a fork of a process that has imported all and collected the tests:
the function gets its broken code there. Elsewhere the fork has not imported the package yet.
mutmut and cosmic-ray want to import it from the place where they mutate it, without the C core that
is built there.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

OUTPUT = os.dup(1)  # where pytest captures nothing
ROOT = Path(__file__).resolve().parents[1]
PARTS = {  # the files that are broken, and the tests that have to notice
    "rules": (["engine/rules.py", "engine/elementary.py"], ["tests/engine", "tests/test_func.py"]),
    "clip": (["optim/clip.py"], ["tests/optim/test_clip.py"]),
    "schedule": (["schedule"], ["tests/test_schedule.py"]),
    "checkpoint": (["checkpoint"], ["tests/checkpoint"]),
}
IMPORTED = ("numpy", "hypothesis.strategies", "mpmath", "torch._dynamo", "cffi")  # by tests
CANNOT = 3  # the status of a mutant that needs a new import
PATIENCE = 3600  # seconds that a process may wait or work, all its tests together
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


@dataclass(frozen=True)
class Mutant:
    """lines: of the statement, or its condition. inside: a function, which is called later."""

    file: Path
    lines: range
    inside: bool
    what: str  # is there, and instead of what
    source: str

    def __str__(self) -> str:
        place = self.file.as_posix().partition("/micrograd/")[2]
        return f"  micrograd/{place}:{self.lines.start}: {self.what.replace(chr(10), ' ')}"


def mutants(file: Path) -> Iterator[Mutant]:
    """One for each place in this file that can be broken."""
    tree = ast.parse(file.read_text())
    for node, lines, inside in _places(tree, range(0), False):
        for field, value in _changes(node):
            old = getattr(node, field)
            before = ast.unparse(node)
            setattr(node, field, value)
            what = f"{before}  ->  {ast.unparse(node)}"
            yield Mutant(file, lines, inside, what, ast.unparse(tree))
            setattr(node, field, old)


def _places(node: ast.AST, lines: range, inside: bool) -> Iterator[tuple[ast.AST, range, bool]]:
    """All nodes, each with the lines that run when it does and whether a call runs it."""
    if isinstance(node, (ast.If, ast.While)):
        lines = range(node.lineno, (node.test.end_lineno or node.lineno) + 1)
    elif isinstance(node, ast.stmt):
        body = getattr(node, "body", None)  # of a loop, a function, ...: its head is what runs
        end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
        lines = range(node.lineno, max(end, node.lineno) + 1)
    yield node, lines, inside
    for field, value in ast.iter_fields(node):
        called = field == "body" and isinstance(node, (ast.FunctionDef, ast.Lambda))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _places(child, lines, inside or called)


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


def replace(file: Path, source: str) -> bool:
    """Gives the functions of an imported file the code of this source. False: that cannot be."""
    old = list(_codes(compile(file.read_text(), str(file), "exec")))
    new = list(_codes(compile(source, str(file), "exec")))
    plain = list(_codes(compile(ast.unparse(ast.parse(file.read_text())), str(file), "exec")))
    if not len(old) == len(new) == len(plain):
        return False
    live: dict[object, list[FunctionType]] = {}
    for function in gc.get_objects():
        if type(function) is FunctionType and function.__code__.co_filename == str(file):
            live.setdefault(_key(function.__code__), []).append(function)
    for was, code, same in zip(old, new, plain, strict=True):
        if code == same:
            continue
        for function in live.get(_key(was), []):
            if code.co_freevars != was.co_freevars:
                return False
            function.__code__ = code
    return True


def _key(code: CodeType) -> object:
    """Codes that have run are not equal to themselves before that, in CPython 3.11."""
    return code.co_qualname, code.co_firstlineno, code.co_code, code.co_linetable


def _codes(code: CodeType) -> Iterator[CodeType]:
    """It and all that is in it, in the order of the source."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


class Tests:
    """A plugin of pytest: the tests in the order in which they kill soonest, each with an end."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self.mutants = mutants
        self.left: list[int] = []  # those that this process cannot judge
        self.seconds: dict[str, float] = {}  # of processor time, on the code as it is
        self.killed: dict[str, int] = {}  # how many each test has killed
        self.reached: dict[str, dict[int, set[str]]] = {}  # file -> line -> tests, "" for imports
        self.survivors: list[int] = []
        self.failed: str | None = None
        self.running = ""

    def wanted(self, mutant: Mutant) -> set[str]:
        """The tests that may notice; "" among them: any may."""
        by_line = self.reached.get(str(mutant.file), {})
        return set().union(*(by_line.get(line, set()) for line in mutant.lines))

    def first(self, items: list[pytest.Item], wanted: set[str]) -> list[pytest.Item]:
        """Those of the items that are wanted, in the order in which they kill soonest."""
        some = [item for item in items if "" in wanted or item.nodeid in wanted]
        return sorted(
            some,
            key=lambda i: (
                (self.seconds.get(i.nodeid, 0) + 1e-3) / (1 + self.killed.get(i.nodeid, 0))
            ),
        )

    def run(self, items: list[pytest.Item]) -> int:
        """Runs them until one fails; 1 then, else 0."""
        for item, following in zip(items, [*items[1:], None], strict=True):
            self.running = item.nodeid
            if usual := self.seconds.get(item.nodeid):  # SIGPROF ends this process
                signal.setitimer(signal.ITIMER_PROF, 10 * usual + 5)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if self.failed:
                return 1
        return 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid

    def judge(self, number: int, status: int, failed: str | None) -> None:
        if not status:
            self.survivors.append(number)
            os.write(OUTPUT, f"{self.mutants[number]}\n".encode())
        if failed:
            self.killed[failed] = self.killed.get(failed, 0) + 1


class Server(Tests):
    """Finds out what the tests reach, then judges the mutants that need no new import."""

    def __init__(self, mutants: list[Mutant]) -> None:
        super().__init__(mutants)
        self.watched: dict[str, dict[int, set[str]]] = {str(m.file): {} for m in mutants}
        self.processes: set[str] = set()  # the tests that start any

    def trace(self, frame: FrameType, event: str, _: object) -> object:
        """Notes who runs the lines of the watched files; for sys.settrace."""
        lines = self.watched.get(frame.f_code.co_filename)
        if lines is None:
            return None
        lines.setdefault(frame.f_lineno, set()).add(self.running)
        return self.trace

    def audit(self, event: str, _: object) -> None:
        """Notes the tests that start a process, where nobody sees what they reach."""
        if event in ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec") and self.running:
            self.processes.add(self.running)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for file in dict.fromkeys(mutant.file for mutant in self.mutants):
            import_module(".".join(file.relative_to(Path.cwd()).with_suffix("").parts))
        sys.settrace(None)
        items = session.items
        status, seconds = forked(lambda: self.time(items))
        if status:
            return True
        self.seconds = seconds
        _, reached = forked(lambda: self.reach(items))
        self.reached = {
            file: {int(line): set(names) for line, names in lines.items()}
            for file, lines in reached.items()
        }
        for number, mutant in enumerate(self.mutants):
            wanted = self.wanted(mutant)
            if "" in wanted or not mutant.inside:
                self.left.append(number)
            elif not wanted:
                self.judge(number, 0, None)
            else:
                some = self.first(items, wanted)
                status, failed = forked(lambda: self.broken(mutant, some))  # noqa: B023
                if status == CANNOT:
                    self.left.append(number)
                else:
                    self.judge(number, status, failed)
        return True

    def time(self, items: list[pytest.Item]) -> tuple[int, dict[str, float]]:
        seconds = {}
        for item in items:
            started = time.process_time()
            if self.run([item]):
                return 1, {}
            seconds[item.nodeid] = time.process_time() - started
        return 0, seconds

    def reach(self, items: list[pytest.Item]) -> tuple[int, object]:
        sys.addaudithook(self.audit)
        self.seconds = {}  # no test has an end here
        threading.settrace(self.trace)
        sys.settrace(self.trace)
        self.run(items)
        sys.settrace(None)
        return 0, {
            file: {line: [*names, *self.processes] for line, names in lines.items()}
            for file, lines in self.watched.items()
        }

    def broken(self, mutant: Mutant, items: list[pytest.Item]) -> tuple[int, str | None]:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        if not replace(mutant.file, mutant.source):
            return CANNOT, None
        return self.run(items), self.failed


class Fresh(Tests):
    """Judges one mutant of a file that is imported with it."""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.run(self.first(session.items, self.wanted(self.mutants[0])))
        return True


def forked(work: Callable[[], tuple[int, Any]]) -> tuple[int, Any]:
    """What `work` returns in a child of this process, or 1 and None where it comes to no end."""
    with tempfile.TemporaryFile("w+") as report:
        child = os.fork()
        if not child:
            os.setpgid(0, 0)  # a group of the session, which may be paused as a whole
            status = 1
            with suppress(BaseException):
                status, found = work()
                json.dump(found, report)
                report.flush()
            os._exit(status)
        done, status, naps = 0, 1, 0
        try:
            while not done and naps < PATIENCE * 200:  # naps, not the clock: this may be paused
                done, status = os.waitpid(child, os.WNOHANG)
                time.sleep(0 if done else 0.005)
                naps += 1
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what the tests have started, too
        if not done:
            os.waitpid(child, 0)
            return 1, None
        report.seek(0)
        said = report.read()
    return (os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1), json.loads(said or "null")


def collect(tree: Path, places: list[str], plugin: Tests) -> None:
    """Runs pytest with this plugin, on the package in `tree`."""
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    os.environ["PYTHONPATH"] = str(tree)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={tree / 'temporary'}"]
    pytest.main([*options, *places], plugins=[plugin])


def serve(tree: Path, places: list[str], mutants: list[Mutant]) -> tuple[int, Any]:
    server = Server(mutants)
    sys.settrace(server.trace)
    collect(tree, places, server)
    reached = {
        file: {line: list(names) for line, names in lines.items()}
        for file, lines in server.reached.items()
    }
    return 0, [server.seconds, server.killed, reached, server.survivors, server.left]


def judge_fresh(tree: Path, places: list[str], tests: Tests, mutant: Mutant) -> tuple[int, Any]:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    mutant.file.write_text(mutant.source)
    fresh = Fresh([mutant])
    fresh.seconds, fresh.killed, fresh.reached = tests.seconds, tests.killed, tests.reached
    collect(tree, places, fresh)
    return int(fresh.failed is not None or not fresh.running), fresh.failed


def examine(name: str, most: int | None) -> None:
    """Prints the survivors of one part."""
    places, paths = PARTS[name]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for part in ("micrograd", "tests"):
            left = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, tree / part, ignore=left)
        shutil.copy(ROOT / "pyproject.toml", tree)
        files = []
        for place in (tree / "micrograd" / name for name in places):
            files += sorted(place.glob("*.py")) if place.is_dir() else [place]
        broken = [mutant for file in files for mutant in mutants(file)]
        if most is not None and len(broken) > most:
            broken = [broken[i * len(broken) // most] for i in range(most)]
        tests = Tests(broken)
        _, found = forked(lambda: serve(tree, paths, broken))
        if not found or not found[0]:
            sys.exit(f"mutate: the tests of {name} fail on the code as it is")
        tests.seconds, tests.killed, reached, tests.survivors, left = found
        tests.reached = {
            file: {int(line): set(names) for line, names in lines.items()}
            for file, lines in reached.items()
        }
        for number in left:
            original = broken[number].file.read_text()
            status, failed = forked(lambda: judge_fresh(tree, paths, tests, broken[number]))  # noqa: B023
            broken[number].file.write_text(original)
            tests.judge(number, status, failed)
    print(f"{name}: {len(broken)} mutants, {len(tests.survivors)} survived", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them by default")
    parser.add_argument("--most", type=int, help="mutants of a part, spread over its files")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in IMPORTED:
        with suppress(ImportError):
            import_module(name)
    for name in options.parts or PARTS:
        examine(name, options.most)


if __name__ == "__main__":
    main()
