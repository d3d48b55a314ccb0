#!/usr/bin/env python3
"""Runs the tests under sanitizers on each instruction set, and the static analyzer.

    tools/sanitize.py                 # everything, about an hour on two cores
    tools/sanitize.py --quick         # what CI runs: part of c and of python, from one compilation
    tools/sanitize.py python tsan     # some parts
    tools/sanitize.py python --into F # folder F is kept: what has passed is not run again

python    the Python suite with the extension under AddressSanitizer and UBSan (gcc), a room of
          tests/ at a time; on other instruction sets than the best the rooms where kernels work
c         the C tests under AddressSanitizer and UBSan, with and without threads: tests/c/run
aarch64   the C tests on 64-bit ARM: cross-compiled, under qemu-user
tsan      the C tests and threaded Python under ThreadSanitizer (gcc: clang 14's run-time library
          ends Python 3.11 before its first line)
msan      the C tests under MemorySanitizer (clang)
valgrind  the C tests of plans and programs under valgrind, as gcc optimises them for a wheel
analyze   clang's static analyzer

On Debian: apt-get install gcc clang clang-tools llvm valgrind. The first finding of a
part is printed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import runpy
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from copies import ROOT, copy_sources

KERNELS = ("core", "kernels", "network", "optim", "program", "training")
QUICK = ["tests/saving/test_hostile.py", "tests/network/test_sparse.py", "tests/program"]
THREADED = [
    "tests/test_sharing.py",
    "tests/network/test_threads.py",
    "tests/network/test_predictor.py",
    "tests/program/test_sharing.py",
    "tests/training/test_fit_many.py",
    "tests/test_processes.py::test_networks_trained_side_by_side_have_the_bits_of_serial_runs",
]
# What cannot pass beside AddressSanitizer, and why.
NOT_HERE = {
    "tests/training/test_sources.py::test_four_gigabytes_in_little_memory": "counts the memory "
    "that the process takes",
    "tests/network/test_steady.py::test_a_hundred_thousand_steps_keep_their_memory": "counts the "
    "memory that the process takes",
    "tests/distributed/test_memory.py": "counts the memory that ranks take",
    "tests/data/test_opening.py::test_a_packed_file_takes_no_more_memory_than_it_needs": "limits "
    "the addresses of a process, of which AddressSanitizer takes terabytes",
    "tests/convert/test_int8.py::test_every_step_near_the_network_and_to_the_bit_in_c": "starts "
    "a program of clang's AddressSanitizer, which cannot begin behind gcc's",
    "tests/bench/test_beside.py::test_instructions_grow_with_the_work": "counts by valgrind, which "
    "runs nothing of AddressSanitizer's",
    "tests/bench/test_headers.py::test_three_headers_of_a_network_are_timed_and_their_instructions_"
    "counted": "counts by valgrind",
}
# CPython keeps what it interns to its end: it would be full of leaks. An abort, not an exit, lets
# Python's fault handler say which test it was.
# The order: a test of faults loads a library of its own in front of AddressSanitizer's.
ADDRESS = "detect_leaks=0:allocator_may_return_null=1:abort_on_error=1:verify_asan_link_order=0"
THREAD = "ignore_noninstrumented_modules=1:halt_on_error=1:exitcode=66:die_after_fork=0"
UNDEFINED = "print_stacktrace=1:halt_on_error=1:abort_on_error=1"
# What AddressSanitizer says of itself, and no finding: that nobody can have the memory that a test
# asks for, and that a process has jumped from one stack to another (torch's compiler does).
REMARKS = re.compile(
    r"^(==\d+==WARNING: (AddressSanitizer failed to allocate 0x[0-9a-f]+ bytes|ASan .*)|"
    r"False positive error reports may follow|For details see .*sanitizers/issues/189)\n",
    re.MULTILINE,
)


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


def source_hash() -> str:
    """What the C core says it was made of: other sources, another one."""
    return str(runpy.run_path(str(ROOT / "build_ffi.py"))["source_hash"]())


def c_flags() -> list[str]:
    """The package's flags without its optimisation, and where its headers are."""
    flags = runpy.run_path(str(ROOT / "build_ffi.py"))["FLAGS"]
    kept = [flag for flag in flags if flag != "-O3"]
    return [*kept, f"-I{ROOT / 'csrc'}", "-DMG_SOURCE_HASH=sanitize", "-g1"]


def compile_all(command: list[str], files: list[str], objects: list[str]) -> None:
    """Makes object files, two compilers at a time."""
    waiting, running = list(zip(files, objects, strict=True)), []
    while waiting or running:
        while waiting and len(running) < 2:
            source, result = waiting.pop(0)
            running.append(subprocess.Popen([*command, "-c", source, "-o", result]))
        if running.pop(0).wait():
            sys.exit(f"sanitize: {' '.join(command)} failed")


def extension(tree: Path, compiler: str, flags: list[str]) -> list[str]:
    """Compiles micrograd._core with these flags into `tree`, a copy of the Python files, unless it
    is there; returns the object files of csrc/."""
    tree.mkdir(parents=True, exist_ok=True)
    copy_sources(tree)
    library, glue = tree / "micrograd" / "_core.abi3.so", tree / "_core.c"
    files = [*c_files("csrc"), str(glue)]
    objects = [str(tree / f"{number}.o") for number in range(len(files))]
    if not library.exists():
        runpy.run_path(str(ROOT / "build_ffi.py"))["make"]().emit_c_code(str(glue))
        command = [compiler, *c_flags(), *flags, "-fPIC", f"-I{sysconfig.get_path('include')}"]
        compile_all(command, files, objects)
        run(compiler, *flags, "-shared", "-o", library, *objects, "-lm")
    return objects[:-1]


def c_tests(folder: Path, compiler: str, flags: list[str], core: list[str] | None = None) -> Path:
    """The program of the C tests, compiled with these flags; core: object files of csrc/, where
    they have been compiled already."""
    files = [*c_files("tests/c"), *([] if core else c_files("csrc"))]
    objects = [str(folder / f"test-{number}.o") for number in range(len(files))]
    compile_all([compiler, *c_flags(), *flags], files, objects)
    objects += core or []
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


def pytest(
    tree: Path, tests: list[str], before: Sequence[str] = (), **environment: str
) -> tuple[bool, str]:
    """Runs tests of the copy in `tree`: whether there was no finding, and what to print.

    before: the words in front of the command.

    Reports go to files. pytest would have taken what the process says, and a test that wants its
    child to fail would take a finding for the failure it wants.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = f":log_path={folder}/report"
        settings = {
            **os.environ,
            "ASAN_OPTIONS": ADDRESS + log,
            "UBSAN_OPTIONS": UNDEFINED + log,
            "TSAN_OPTIONS": THREAD + log,
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": str(tree),
            **environment,
        }
        command = [*before, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd=tree,
            env=settings,
        )
        texts = [path.read_text(errors="replace") for path in sorted(Path(folder).iterdir())]
    reports = [text for text in texts if REMARKS.sub("", text).strip()]
    if done.returncode or reports:
        return False, "\n".join([done.stdout[-12000:], *(text[:6000] for text in reports)])
    return True, done.stdout.strip().splitlines()[-1]


def rooms(tree: Path) -> dict[str, list[str]]:
    """The tests of each room; "top" has the files that are in none."""
    tests = tree / "tests"
    found = {"top": sorted(str(path) for path in tests.glob("test_*.py"))}
    for folder in sorted(tests.iterdir()):
        if any(folder.glob("test_*.py")) and folder.name != "benchmarks":
            found[folder.name] = [str(folder)]
    return found


def part_python(work: Path, quick: bool, wanted: list[str], only: list[str]) -> None:
    flags = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-pthread"]
    # As a shared library gcc's UBSan hands the path of its reports to AddressSanitizer.
    flags += ["-static-libubsan", "-Wl,--exclude-libs,libubsan.a"]
    tree = work / source_hash()
    core = extension(tree, "gcc", [*flags, "-fno-omit-frame-pointer"])
    if quick:
        program = c_tests(work, "gcc", flags, core)
        settings = {"ASAN_OPTIONS": "allocator_may_return_null=1", "UBSAN_OPTIONS": UNDEFINED}
        said = run(program, "quick", env={**os.environ, **settings})
        print(said.splitlines()[-1], flush=True)
    # libstdc++ too: AddressSanitizer looks for what throws its exceptions when it starts.
    preload = runtime("gcc", "libasan.so", "libstdc++.so.6")
    isas = [isa for isa in ("avx512", "avx2", "neon", "generic") if isa in supported(ROOT)]
    findings = []
    for isa in only or (isas[:1] if quick else isas):
        print(f"-- the Python suite on {isa}, AddressSanitizer and UBSan", flush=True)
        chosen = {"quick": QUICK} if quick else rooms(tree)
        kept = [name for name in chosen if isa == isas[0] or name in KERNELS]
        if unknown := set(wanted) - set(chosen):
            sys.exit(f"sanitize: no room {', '.join(unknown)}; there are {', '.join(chosen)}")
        for room in wanted or kept:
            passed = tree / f"passed-{isa}-{room}"
            if not passed.exists():
                tests = [*chosen[room], *(f"--deselect={test}" for test in NOT_HERE)]
                fine, said = pytest(tree, tests, LD_PRELOAD=preload, MICROGRAD_ISA=isa)
                (passed if fine else tree / f"failed-{isa}-{room}").write_text(said)
                if not fine:
                    findings.append(f"{room} on {isa}")
                    print(said, flush=True)
                    continue
            print(f"{room}: {passed.read_text()}", flush=True)
    if findings:
        sys.exit(f"sanitize: findings in {', '.join(findings)}")


def part_c(work: Path, quick: bool) -> None:
    print(run("bash", ROOT / "tests" / "c" / "run").strip(), flush=True)


def part_tsan(work: Path, quick: bool) -> None:
    flags = ["-O1", "-fsanitize=thread", "-pthread"]
    tree = work / f"tsan-{source_hash()}"
    core = extension(tree, "gcc", flags)
    program = c_tests(work, "gcc", flags, core)
    # Its shadow memory wants the program where it lies without randomised addresses.
    fixed = ["setarch", "-R"] if not os.system("setarch -R true 2>/dev/null") else []
    settings = {"TSAN_OPTIONS": THREAD}
    # Of arrays at either end of their memory one kind will do: no thread sees a difference.
    said = run(*fixed, program, "quick", env={**os.environ, **settings})
    print(said.splitlines()[-1], flush=True)
    if not quick:
        preload = runtime("gcc", "libtsan.so")
        fine, said = pytest(tree, THREADED, fixed, LD_PRELOAD=preload)
        print(said, flush=True)
        if not fine:
            sys.exit("sanitize: ThreadSanitizer has a finding")


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
    print(run(*command, program, *(["quick"] if quick else [])).splitlines()[-1], flush=True)


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
    parser.add_argument("--into", type=Path, help="a folder of python's that is kept")
    parser.add_argument("--quick", action="store_true", help="what CI runs")
    parser.add_argument("--rooms", nargs="+", default=[], help="of python's tests only these")
    parser.add_argument("--isas", nargs="+", default=[], help="python on these instruction sets")
    options = parser.parse_args()
    chosen = options.parts or (["python"] if options.quick else [*PARTS])
    for name in chosen:
        print(f"== {name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            work = (options.into or Path(folder)).resolve()
            if name == "python":
                part_python(work, options.quick, options.rooms, options.isas)
            else:
                PARTS[name](work, options.quick)
    print(f"sanitize: {', '.join(chosen)}: no finding")


if __name__ == "__main__":
    main()
