"""The C compiler, as strict as it gets."""

import shutil
import subprocess

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]


def compile_c(source, *options):
    """The program that the compiler makes of a file, without a single warning."""
    program = source.with_suffix(".out")
    command = [COMPILER, *STRICT, *options, "-x", "c", source, "-o", program, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program
