"""What is said where the C extension is missing: in the sources, and in an installation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import micrograd

PACKAGE = Path(micrograd.__file__).parent


def said_by(tmp_path, first=""):
    """The last line of an import of micrograd.core in a copy of the package without extension."""
    shutil.copytree(PACKAGE, tmp_path / "micrograd", ignore=shutil.ignore_patterns("_core*"))
    program = f"""
import sys
{first}
sys.path.insert(0, {str(tmp_path)!r})
sys.modules["micrograd._core"] = None  # an installation in place would offer it
from micrograd import Value
print(Value(2.0) * 3)
import micrograd.core
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Value(data=6.0" in done.stdout  # the scalar engine works
    said = done.stderr.splitlines()[-1]
    assert said.startswith("ImportError: micrograd: the C extension micrograd._core is missing")
    return said


@pytest.mark.parametrize("sources", [True, False])
def test_the_message_says_what_to_do(sources, tmp_path):
    if sources:
        (tmp_path / "setup.py").touch()
    said = said_by(tmp_path)
    assert (f"sources in {tmp_path}" in said) == sources
    assert ("run Python in another folder" in said) == sources
    assert ("Install a C compiler" in said) == (not sources)


def test_a_big_endian_machine_is_not_told_to_install_a_compiler(tmp_path):
    said = said_by(tmp_path, first="import numpy; sys.byteorder = 'big'")
    assert said.endswith("It is for little-endian machines; this one is big-endian")
