#!/usr/bin/env python3
"""Runs Python tests on 64-bit ARM: CPython, numpy and PyTorch as built for it, under qemu-user.

    tools/arm.py --into F                     # the tests of kernels, networks, programs and bits
    tools/arm.py --into F tests/optim -x      # others, with options for pytest
    tools/arm.py --into F --without torch     # quicker; what compares with it is skipped

Folder F is kept: what has been fetched and compiled is not again. On Debian:
apt-get install gcc-aarch64-linux-gnu qemu-user. apt and pip fetch what runs under qemu into F;
the machine's own packages, and apt's lists of them, stay as they are.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from sanitize import extension, run, source_hash

COMPILER = "aarch64-linux-gnu-gcc"
TESTS = ["tests/kernels", "tests/network", "tests/program", "tests/core/test_lanes.py"]
TESTS += ["tests/training/test_fit_many.py", "tests/test_same_bits.py"]
DEBIAN = ("libpython3.11-stdlib", "python3.11-minimal", "libstdc++6", "libgomp1")
SOURCES = "/etc/apt/sources.list.d/debian.sources"
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux2014", "manylinux_2_17")
PACKAGES = ("numpy", "cffi", "pytest", "hypothesis", "scipy", "mpmath")
PACKAGES += ("safetensors", "joblib")
TORCH = ("filelock", "typing_extensions", "sympy", "networkx", "jinja2", "fsspec")
APT = """APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{sources}";
Dir::Etc::sourceparts "/dev/null";
"""
# What a test starts by sys.executable goes through qemu too.
SITE = "import sys\nsys.executable = {python!r}\n"


def python(folder: Path, sources: str) -> Path:
    """The command of a CPython for ARM, unpacked from Debian's packages."""
    root, command = folder / "root", folder / "python"
    if not command.exists():
        state = folder / "apt"
        for name in ("lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        (state / "apt.conf").write_text(APT.format(folder=state, sources=sources))
        environment = {**os.environ, "APT_CONFIG": str(state / "apt.conf")}
        run("apt-get", "update", env=environment)
        install = ("apt-get", "install", "-y", "--no-install-recommends", "--download-only")
        run(*install, *DEBIAN, env=environment)
        for package in sorted((state / "cache" / "archives").glob("*.deb")):
            run("dpkg-deb", "-x", package, root)
        words = f'qemu-aarch64 -L "{root}" "{root}/usr/bin/python3.11"'
        command.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        command.chmod(0o755)
    return command


def packages(folder: Path, name: str, wanted: list[str]) -> Path:
    """A folder of packages for that Python, to be put on its path."""
    site, wheels = folder / name, folder / f"{name}-wheels"
    if not site.exists():
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:"]
        fetch += ["--python-version", "3.11", "--implementation", "cp", "-d", str(wheels)]
        fetch += [word for p in PLATFORMS for word in ("--platform", f"{p}_aarch64")]
        for package in wanted:  # PyTorch's wheel names its libraries for GPUs, where it has any
            more = ["--no-deps"] if package == "torch" else []
            run(*fetch, *more, package)
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder / f"{name}-half")
        (folder / f"{name}-half").rename(site)  # whole, or not there
    return site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--into", type=Path, required=True, help="a folder that is kept")
    parser.add_argument("--without", choices=["torch"], help="leave out what takes long to import")
    parser.add_argument("--sources", default=SOURCES, help="apt's file of Debian's sources")
    options, given = parser.parse_known_args()
    folder = options.into.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    command = python(folder, options.sources)
    path = [packages(folder, "site", list(PACKAGES))]
    if not options.without:
        path.append(packages(folder, "torch", ["torch==2.9.1", *TORCH]))
    (path[0] / "sitecustomize.py").write_text(SITE.format(python=str(command)))
    tree = folder / source_hash()
    extension(tree, COMPILER, ["-O2", "-pthread"])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [tree, *path]))}
    code = "import platform; from micrograd import core; print(platform.machine(), "
    code += "platform.python_version(), *core.supported_isas())"
    print(run(command, "-c", code, env=environment, cwd=tree).strip(), flush=True)
    tests = ["-p", "no:cacheprovider", *(given or TESTS)]
    done = subprocess.run([str(command), "-m", "pytest", *tests], env=environment, cwd=tree)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
