"""A copy of the sources, where a tool compiles the C core in its own way and runs the tests."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("micrograd", "tests", "csrc", "demos", "docs", "tools", ".ci", ".github")
FILES = ("build_ffi.py", "setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "Makefile")


def copy_sources(tree: Path) -> None:
    """Copies what the tests look at into `tree`, over what is there; nothing that was compiled."""
    left = shutil.ignore_patterns("__pycache__", "*.so", "*.o")
    for name in FOLDERS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=left, dirs_exist_ok=True)
    for path in [*(ROOT / name for name in FILES), *ROOT.glob("*.md"), *ROOT.glob("mkdocs.yml")]:
        shutil.copy(path, tree)
