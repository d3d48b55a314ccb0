"""`micrograd info`: what is installed, and what it uses of this machine."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import micrograd
from micrograd.cli import installed
from micrograd.cli.command import Clock


def add_options(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(options: argparse.Namespace, clock: Clock) -> None:
    """Prints versions, the instruction set, threads, and whether the C core is up to date."""
    import platform

    import numpy as np

    package = Path(micrograd.__file__).parent
    facts = {
        "micrograd": f"{micrograd.__version__} in {package}",
        **core_facts(package.parent),
        "Python": f"{platform.python_version()}, numpy {np.__version__}, {platform.platform()}",
    }
    collision = installed.collision(package)
    if collision is not None:
        facts["installed twice"] = collision
    print("\n".join(f"{name:16}{fact}" for name, fact in facts.items()))


def core_facts(root: Path) -> dict[str, str]:
    """What the C core, built from sources in `root`, says of itself; or that there is none."""
    if find_spec("micrograd._core") is None:
        return {
            "C core": "none: only the scalar engine works; to build it, install a C compiler "
            "and then `pip install --force-reinstall --no-cache-dir micrograd-core`"
        }
    from micrograd import core

    build = core.build()
    return {
        "instruction set": f"{core.isa()} (this machine has {', '.join(core.supported_isas())})",
        "threads": f"{core.get_num_threads()} at most"
        if build.threads
        else "1: the system this was built for has no POSIX threads",
        "compiler": build.compiler,
        "C sources": source_state(build.source_hash, root),
    }


def source_state(built: str, root: Path) -> str:
    """Whether the extension, compiled from sources of this hash, fits those in `root`."""
    import importlib.util

    script = root / "build_ffi.py"
    spec = importlib.util.spec_from_file_location("build_ffi", script)
    if spec is None or spec.loader is None or not (script.is_file() and (root / "csrc").is_dir()):
        return f"{built}, sources not installed"
    build_ffi = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build_ffi)
    current = build_ffi.source_hash()
    if current == built:
        return f"{built}, the extension is built from them"
    return f"{current}, but the extension is built from {built}: pip install -e {root}"
