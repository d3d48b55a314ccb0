"""Builds micrograd._core from csrc/ for setup.py (API mode, with the stable ABI if there is one).

csrc/micrograd.h is the whole interface: cffi reads the same declarations that the C files include.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
FLAGS = [
    "-O3",
    "-std=gnu11",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-Wall",
    "-g0",  # Python's own flags may ask for debug information, 6 MB of it
    "-fno-asynchronous-unwind-tables",  # 45 kB for debuggers that have no -g to go with it
]
CURE = (
    "install gcc or clang (Debian, Ubuntu: apt-get install gcc python3-dev; macOS: xcode-select "
    "--install; Windows: mingw-w64 or clang, MSVC has no vector extensions)"
)


def source_hash(csrc: Path = CSRC) -> str:
    """Twelve hex digits that name the C sources: `micrograd info` compares them with the build."""
    digest = hashlib.sha256()
    for path in sorted(csrc.rglob("*.[ch]")):
        digest.update(path.relative_to(csrc).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def compiler() -> list[str]:
    """The command of the C compiler: that of CC if it is set, else that of Python's own build, else
    cc, gcc or clang: the first that is on the PATH, or the first of all where none is."""
    commands = candidates()
    return next((command for command in commands if shutil.which(command[0])), commands[0])


def candidates() -> list[list[str]]:
    """The commands that `compiler` chooses from."""
    named = shlex.split(os.environ.get("CC", ""))
    own = shlex.split(sysconfig.get_config_var("CC") or "")
    return [named] if named else [*([own] if own else []), ["cc"], ["gcc"], ["clang"]]


def use_compiler() -> None:
    """Has setuptools use that compiler, where it would look for Python's own in vain."""
    if compiler() != candidates()[0]:
        os.environ["CC"] = shlex.join(compiler())


def missing() -> str | None:
    """What a build lacks here, in a clause that says how to get it; None where it lacks nothing.

    Raises:
        SystemExit: the environment variable CC names a compiler that is not there.
    """
    header = Path(sysconfig.get_path("include"), "Python.h")
    if shutil.which(compiler()[0]) is None:
        tried = ", ".join(dict.fromkeys(command[0] for command in candidates()))
        text = f"there is no C compiler: {tried} not found on the PATH; {CURE}"
        if os.environ.get("CC"):
            raise SystemExit(f"micrograd: CC={os.environ['CC']!r}: {text}")
        return text
    if not header.is_file():
        return (
            f"Python's C headers are missing: no {header}; install them "
            "(Debian, Ubuntu: apt-get install python3-dev)"
        )
    return None


def stable_abi() -> bool:
    """Whether this interpreter has the stable ABI: CPython with its global lock."""
    return sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")


def compiles(source: str, *flags: str) -> bool:
    """Whether a small program compiles and links with these flags."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "probe.c")
        path.write_text(source)
        command = [*compiler(), str(path), "-o", str(Path(folder, "probe")), *flags]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def thread_flags() -> list[str]:
    """What POSIX threads need, or what leaves them out where the compiler has none."""
    source = (
        "#include <pthread.h>\n#include <stdatomic.h>\n"
        "int main(void) { return pthread_create(0, 0, 0, 0) == 0; }\n"
    )
    return ["-pthread"] if compiles(source, "-pthread") else ["-DMG_NO_THREADS"]


def declarations() -> str:
    """csrc/micrograd.h without the comments, as cffi's cdef takes it."""
    return re.sub(r"/\*.*?\*/", "", (CSRC / "micrograd.h").read_text(), flags=re.DOTALL)


def sources() -> list[str]:
    """The C files, as paths from the project's folder."""
    return [str(path.relative_to(ROOT)) for path in sorted(CSRC.rglob("*.c"))]


def make() -> FFI:
    """The description of the extension module for cffi."""
    use_compiler()
    if not compiles(
        "typedef float v __attribute__((vector_size(16)));\nint main(void) { return 0; }\n"
    ):
        raise SystemExit(
            f"micrograd: {compiler()[0]!r} cannot compile a small program with vector extensions; "
            f"{CURE}"
        )
    threads = thread_flags()
    builder = FFI()
    builder.cdef(declarations())
    builder.set_source(
        "micrograd._core",
        '#include "micrograd.h"',
        sources=sources(),
        depends=[str(path.relative_to(ROOT)) for path in sorted(CSRC.rglob("*.h"))],
        include_dirs=[str(CSRC.relative_to(ROOT))],
        extra_compile_args=[*FLAGS, *threads, f"-DMG_SOURCE_HASH={source_hash()}"],
        extra_link_args=[flag for flag in threads if flag == "-pthread"],
        libraries=["m"],
        py_limited_api=stable_abi(),
    )
    return builder


if __name__ == "__main__":
    make().compile(verbose=True)
