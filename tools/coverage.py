#!/usr/bin/env python3
"""Prints which lines and branches of Python and of C the tests reach, of the whole package.

    pip install coverage                    # and gcc, with its gcov
    tools/coverage.py                       # the whole suite; some ten minutes
    tools/coverage.py tests/optim --show    # some tests, and the lines that they do not reach
    tools/coverage.py tests/optim --into F  # adds to folder F, which is made by the first run and
    tools/coverage.py tests/c --into F      # has the package as it was then: tests/c is the C tests
    tools/coverage.py --into F --report     # what all these runs have reached

The C core is compiled by gcc with --coverage into a copy of the sources, where the tests run once
on each instruction set of this machine (those of the kernels) and once on the best (all others);
the C tests add theirs. A kernel template is compiled for each instruction set and dtype, and a line
of it counts as reached where one of these has reached it, since all are the same text.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from copies import ROOT, copy_sources

WANTED = {"Python": (96.0, 92.0), "C": (97.0, 90.0)}  # lines, branches: per cent
KERNELS = ("tests/core", "tests/kernels", "tests/network", "tests/optim", "tests/program")


CONFIG = r"""
[run]
branch = true
parallel = true
source = micrograd
patch = subprocess
data_file = {}/.coverage
[report]
exclude_also =
    if TYPE_CHECKING:
    @overload
    raise NotImplementedError
    ^\s*\.\.\.$
    : \.\.\.$
"""


def run(*command: object, check: bool = True, **settings: object) -> None:
    """Runs a command; the script ends where it fails and `check` is true."""
    status = subprocess.run([str(word) for word in command], check=False, **settings).returncode
    if status and check:
        sys.exit(f"coverage: {' '.join(map(str, command))}: exit status {status}")


def compile_core(tree: Path) -> None:
    """micrograd._core and the C tests, with gcc's counters, beside their sources in `tree`."""
    build_ffi = runpy.run_path(str(tree / "build_ffi.py"))
    glue = tree / "glue" / "_core.c"
    glue.parent.mkdir()
    build_ffi["make"]().emit_c_code(str(glue))
    flags = [flag for flag in build_ffi["FLAGS"] if flag != "-O3"]
    # Inlined, a branch would count once for each call of its function.
    flags += ["-O1", "-fno-inline", "--coverage", "-pthread", "-fPIC", f"-I{tree}/csrc"]
    flags += [f"-I{sysconfig.get_path('include')}", "-DMG_SOURCE_HASH=coverage"]
    core = sorted((tree / "csrc").rglob("*.c"))
    checks = sorted((tree / "tests" / "c").glob("*.c"))

    def compiled(path: Path) -> str:
        run("gcc", *flags, "-c", path, "-o", path.with_suffix(".o"))
        return str(path.with_suffix(".o"))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, [*core, glue, *checks]))
    linked, of_checks = objects[: len(core) + 1], objects[len(core) + 1 :]
    link = ("gcc", "--coverage", "-pthread")
    run(*link, "-shared", *linked, "-o", tree / "micrograd" / "_core.abi3.so", "-lm")
    run(*link, *linked[:-1], *of_checks, "-o", tree / "test_core", "-lm")


def run_tests(tree: Path, tests: list[str]) -> None:
    """All of them on the best instruction set, those of the kernels on the others too."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    config = tree / "coveragerc"
    measured = (sys.executable, "-m", "coverage", "run", f"--rcfile={config}", "-m", "pytest")
    shutil.copytree(ROOT / "tests", tree / "tests", dirs_exist_ok=True)
    of_python = [test for test in tests if test != "tests/c"]
    if of_python:
        run(*measured, *of_python, cwd=tree, env=environment, check=False)
    code = "from micrograd import core; print(*{*core.supported_isas()} - {core.isa()})"
    others = subprocess.check_output(
        [sys.executable, "-c", code], env=environment, text=True
    ).split()
    again = [name for name in KERNELS if any(name.startswith(test) for test in tests)]
    for isa in others if again else []:
        some = {**environment, "MICROGRAD_ISA": isa}
        run(sys.executable, "-m", "pytest", *again, cwd=tree, env=some, check=False)
    if any("tests/c".startswith(test) for test in tests):
        run(tree / "test_core", cwd=tree, check=False, stdout=subprocess.DEVNULL)


def python_report(tree: Path, show: bool) -> tuple[float, float]:
    """Per cent of lines and of branches."""
    tool = (sys.executable, "-m", "coverage")
    options = {"cwd": tree, "env": {**os.environ, "COVERAGE_RCFILE": str(tree / "coveragerc")}}
    if any(tree.glob(".coverage.*")):
        run(*tool, "combine", "-q", "--append", **options)
    run(*tool, "json", "-q", "-o", "python.json", **options)
    if show:
        run(*tool, "report", "--skip-covered", "-m", **options)
    totals = json.loads((tree / "python.json").read_text())["totals"]
    lines = totals["covered_lines"] / totals["num_statements"]
    return 100 * lines, 100 * totals["covered_branches"] / totals["num_branches"]


def c_report(tree: Path, show: bool) -> tuple[float, float]:
    """The same of csrc, from what gcov says of each object file."""
    lines: dict[tuple[str, int], bool] = {}
    branches: dict[tuple[str, int, int], list[bool]] = {}
    for notes in sorted((tree / "csrc").rglob("*.gcno")):
        said = subprocess.run(
            ["gcov", "--json-format", "--branch-probabilities", "--stdout", str(notes)],
            capture_output=True, text=True, check=True, cwd=tree,
        ).stdout  # fmt: skip
        for file in json.loads(said)["files"]:
            path = (tree / file["file"]).resolve()
            if not path.is_relative_to(tree / "csrc"):
                continue
            name = path.relative_to(tree).as_posix()
            for line in file["lines"]:
                number, outcomes = line["line_number"], line["branches"]
                lines[name, number] = lines.get((name, number), False) or line["count"] > 0
                if outcomes:  # those of another instance of a template are the same, one by one
                    place = (name, number, len(outcomes))
                    before = branches.get(place, [False] * len(outcomes))
                    branches[place] = [
                        old or new["count"] > 0 for old, new in zip(before, outcomes, strict=True)
                    ]
    if show:
        for (name, number), reached in sorted(lines.items()):
            of_line = [place for place in branches if place[:2] == (name, number)]
            missed = sum(branches[place].count(False) for place in of_line)
            if not reached or missed:
                print(f"{name}:{number}: {f'{missed} outcomes' if reached else 'not reached'}")
    taken = [outcome for outcomes in branches.values() for outcome in outcomes]
    return 100 * sum(lines.values()) / len(lines), 100 * sum(taken) / len(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tests", nargs="*", default=["tests"], help="all of them by default")
    parser.add_argument("--show", action="store_true", help="what is not reached, file by file")
    parser.add_argument("--into", type=Path, help="a folder that is kept, with what was reached")
    parser.add_argument("--report", action="store_true", help="runs no test")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = (options.into or Path(folder)).resolve()
        if not (tree / "coveragerc").exists():
            copy_sources(tree)
            compile_core(tree)
            (tree / "coveragerc").write_text(CONFIG.format(tree))
        if not options.report:
            run_tests(tree, options.tests)
        if options.into and not options.report:
            return
        reached = {"Python": python_report(tree, options.show), "C": c_report(tree, options.show)}
    for language, (lines, branches) in reached.items():
        least = WANTED[language]
        print(
            f"{language}: {lines:.1f} % of the lines ({least[0]:.0f} wanted), "
            f"{branches:.1f} % of the branches ({least[1]:.0f} wanted)"
        )
    if any(
        value < least for k in WANTED for value, least in zip(reached[k], WANTED[k], strict=True)
    ):
        sys.exit("coverage: less than wanted")


if __name__ == "__main__":
    main()
