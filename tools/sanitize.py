#!/usr/bin/env python3
"""Runs the tests under sanitizers on each instruction set, and the static analyzer.

    tools/sanitize.py                 # everything, about an hour on two cores
    tools/sanitize.py --quick         # what CI runs: part of c and of python, from one compilation
    tools/sanitize.py python tsan     # some parts

python    the Python suite with the extension under AddressSanitizer and UBSan (gcc)
c         the C tests under AddressSanitizer and UBSan, with and without threads: tests/c/run
aarch64   the C tests on 64-bit ARM: cross-compiled, under qemu-user
tsan      the C tests and threaded Python under ThreadSanitizer (clang)
msan      the C tests under MemorySanitizer (clang)
valgrind  the C tests of plans and programs under valgrind, as gcc optimises them for a wheel
analyze   clang's static analyzer

On Debian: apt-get install gcc clang clang-tools llvm valgrind. The first finding of a
part is printed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
QUICK = ["tests/saving/test_hostile.py", "tests/network/test_sparse.py", "tests/program"]
THREADED = [
    "tests/test_sharing.py",
    "tests/network/test_threads.py",
    "tests/network/test_predictor.py",
    "tests/program/test_sharing.py",
    "tests/training/test_fit_many.py",
    "tests/test_processes.py::test_networks_trained_side_by_side_have_the_bits_of_serial_runs",
]
SETTINGS = {
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "PYTHONMALLOC": "malloc",
}


def run(*command: object, **settings: object) -> str:
    """Runs a command; its output, or the end of the script with all that it said."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **settings
    )
    if done.returncode:
        sys.exit(f"{done.stdout[-12000:]}\nsanitize: exit status {done.returncode}")
    return done.stdout


def c_files(folder: str) -> list[str]:
    return sorted(str(path) for path in (ROOT / folder).rglob("*.c"))


def c_flags() -> list[str]:
    """The package's flags without its optimisation, and where its headers are."""
    flags = runpy.run_path(str(ROOT / "build_ffi.py"))["FLAGS"]
    kept = [flag for flag in flags if flag != "-O3"]
    return [*kept, f"-I{ROOT / 'csrc'}", "-DMG_SOURCE_HASH=sanitize", "-g1"]


def compile_all(command: list[str], files: list[str], folder: Path) -> list[str]:
    """Object files, two compilers at a time."""
    objects = [str(folder / f"{i}.o") for i in range(len(files))]
    waiting, running = list(zip(files, objects, strict=True)), []
    while waiting or running:
        while waiting and len(running) < 2:
            source, result = waiting.pop(0)
            running.append(subprocess.Popen([*command, "-c", source, "-o", result]))
        if running.pop(0).wait():
            sys.exit(f"sanitize: {' '.join(command)} failed")
    return objects


def extension(tree: Path, compiler: str, flags: list[str]) -> list[str]:
    """Compiles micrograd._core with these flags into `tree`, a copy of the Python files; returns
    the object files of csrc/."""
    for name in ("micrograd", "tests", "csrc", "build_ffi.py", "pyproject.toml", "README.md"):
        source = ROOT / name
        if source.is_dir():
            left = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(source, tree / name, ignore=left)
        else:
            shutil.copy(source, tree)
    glue = tree / "_core.c"
    runpy.run_path(str(ROOT / "build_ffi.py"))["make"]().emit_c_code(str(glue))
    command = [compiler, *c_flags(), *flags, "-fPIC", f"-I{sysconfig.get_path('include')}"]
    files = [*c_files("csrc"), str(glue)]
    objects = compile_all(command, files, tree)
    run(compiler, *flags, "-shared", "-o", tree / "micrograd" / "_core.abi3.so", *objects, "-lm")
    return objects[:-1]


def c_tests(folder: Path, compiler: str, flags: list[str], core: list[str] | None = None) -> Path:
    """The program of the C tests, compiled with these flags; core: object files of csrc/, where
    they have been compiled already."""
    of_tests = folder / "tests_c"
    of_tests.mkdir()
    command = [compiler, *c_flags(), *flags]
    objects = compile_all(command, c_files("tests/c"), of_tests)
    objects += compile_all(command, c_files("csrc"), folder) if core is None else core
    program = folder / "test_core"
    run(compiler, *flags, *objects, "-o", program, "-lm")
    return program


def supported(tree: Path) -> list[str]:
    """The instruction sets of this machine."""
    code = "from micrograd import core; print(*core.supported_isas())"
    return run(sys.executable, "-c", code, env={**os.environ, "PYTHONPATH": str(tree)}).split()


def runtime(compiler: str, *names: str) -> str:
    """The paths of a compiler's run-time libraries, for LD_PRELOAD."""
    paths = [run(compiler, f"-print-file-name={name}").strip() for name in names]
    return ":".join(paths)


def pytest(tree: Path, tests: list[str], **environment: str) -> None:
    """Runs tests of the copy in `tree`; those that are not there are left out."""
    there = [name for name in tests if (tree / name.partition("::")[0]).exists()] or ["tests"]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *there]
    settings = {**os.environ, **SETTINGS, "PYTHONPATH": str(tree), **environment}
    print(run(*command, cwd=tree, env=settings).strip().splitlines()[-1], flush=True)


def part_python(work: Path, quick: bool) -> None:
    flags = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-pthread"]
    core = extension(work, "gcc", [*flags, "-fno-omit-frame-pointer"])
    if quick:
        program = c_tests(work, "gcc", flags, core)
        print(run(program, "quick", env={**os.environ, **SETTINGS}).splitlines()[-1], flush=True)
    preload = runtime("gcc", "libasan.so", "libubsan.so")
    isas = [isa for isa in ("avx512", "avx2", "neon", "generic") if isa in supported(ROOT)]
    for isa in isas[:1] if quick else isas:
        print(f"-- the Python suite on {isa}, AddressSanitizer and UBSan", flush=True)
        tests = QUICK if quick else ["tests"]
        pytest(work, tests, LD_PRELOAD=preload, MICROGRAD_ISA=isa)


def part_c(work: Path, quick: bool) -> None:
    print(run("bash", ROOT / "tests" / "c" / "run").strip(), flush=True)


def part_tsan(work: Path, quick: bool) -> None:
    flags = ["-O1", "-fsanitize=thread", "-pthread"]
    settings = {
        "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:halt_on_error=1:exitcode=66"
        ":die_after_fork=0",
    }
    program = c_tests(work, "clang", flags)
    print(run(program, env={**os.environ, **settings}).splitlines()[-1], flush=True)
    if quick:
        return
    tree = work / "tree"
    tree.mkdir()
    extension(tree, "clang", [*flags, "-shared-libsan"])
    machine = os.uname().machine
    preload = runtime("clang", f"libclang_rt.tsan-{machine}.so")
    pytest(tree, THREADED, LD_PRELOAD=preload, **settings)


def part_aarch64(work: Path, quick: bool) -> None:
    program = c_tests(work, "aarch64-linux-gnu-gcc", ["-O2", "-DMG_NO_THREADS"])
    command = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", program)
    print(run(*command, *(["quick"] if quick else [])).splitlines()[-1], flush=True)


def part_msan(work: Path, quick: bool) -> None:
    flags = [
        "-O1",
        "-fsanitize=memory",
        "-fno-sanitize-recover=all",
        "-Wno-pass-failed",
        "-pthread",
    ]
    print(run(c_tests(work, "clang", flags)).splitlines()[-1], flush=True)


def part_valgrind(work: Path, quick: bool) -> None:
    program = c_tests(work, "gcc", ["-O2", "-pthread"])
    command = (
        "valgrind",
        "--error-exitcode=9",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite",
    )
    print(run(*command, program).splitlines()[-1])


def part_analyze(work: Path, quick: bool) -> None:
    files = c_files("csrc")
    analyze = ("clang", "--analyze", "--analyzer-output", "text", *c_flags())

    def findings(case: tuple[str, list[str]]) -> str:
        return run(*analyze, *case[1], case[0], cwd=work)

    cases = [(source, more) for source in files for more in ([], ["-DMG_NO_THREADS"])]
    with ThreadPoolExecutor(2) as pool:
        for (source, more), out in zip(cases, pool.map(findings, cases), strict=True):
            if "warning:" in out:
                sys.exit(f"{out}\nsanitize: the analyzer has a finding in {source} {more}")
    print(f"{len(files)} files analyzed, with threads and without, no finding", flush=True)


PARTS = {
    "analyze": part_analyze,
    "c": part_c,
    "msan": part_msan,
    "tsan": part_tsan,
    "valgrind": part_valgrind,
    "python": part_python,
    "aarch64": part_aarch64,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them by default")
    parser.add_argument("--quick", action="store_true", help="what CI runs")
    options = parser.parse_args()
    chosen = options.parts or (["python"] if options.quick else [*PARTS])
    for name in chosen:
        print(f"== {name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder), options.quick)
    print(f"sanitize: {', '.join(chosen)}: no finding")


if __name__ == "__main__":
    main()
