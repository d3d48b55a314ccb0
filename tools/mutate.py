#!/usr/bin/env python3
"""Breaks the package in one place after another and prints where no test notices: the survivors.

    tools/mutate.py                     # all four parts, some hours
    tools/mutate.py clip --most 40      # forty places of one part, spread over it

A mutant is a copy of one file in which one operator, comparison, constant or condition is another.
It runs in a copy of the tree, with the tests of its part, and is dead when one of them fails or
takes five times as long as they do on the code as it is. mutmut and cosmic-ray want to import the
package from the place where they mutate it, without the C core that is built there.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
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
IMPORTED = ("numpy", "hypothesis.strategies", "mpmath", "torch", "cffi")  # by tests
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


def passes(tree: Path, tests: list[str], seconds: float) -> bool:
    """Whether the tests pass in this time. They run in a fork of this process, which has imported
    what they import but for the package: that takes longer than most of them."""
    child = os.fork()
    if not child:
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1), os.dup2(silence, 2)
        os._exit(int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests])))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def examine(name: str, most: int | None) -> list[str]:
    """The survivors of one part."""
    places, tests = PARTS[name]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for part in ("micrograd", "tests"):
            left = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, tree / part, ignore=left)
        shutil.copy(ROOT / "pyproject.toml", tree)
        started = time.monotonic()
        if not passes(tree, tests, 3600):
            sys.exit(f"mutate: the tests of {name} fail on the code as it is")
        longest = 5 * (time.monotonic() - started) + 10
        files = []
        for place in (tree / "micrograd" / name for name in places):
            files += sorted(place.glob("*.py")) if place.is_dir() else [place]
        broken = [(f, *m) for f in files for m in mutants(ast.parse(f.read_text()))]
        if most is not None and len(broken) > most:
            broken = [broken[i * len(broken) // most] for i in range(most)]
        survivors = []
        for file, line, what, source in broken:
            original = file.read_text()
            file.write_text(source)
            if passes(tree, tests, longest):
                where = file.relative_to(tree)
                survivors.append(f"  {where}:{line}: {what}")
                print(survivors[-1], flush=True)
            file.write_text(original)
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
