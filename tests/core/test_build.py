"""build_ffi.py: which compiler it takes, and which files it builds and hashes."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "build_ffi.py").is_file():
    pytest.skip("the build script is not here", allow_module_level=True)


@pytest.fixture
def build_ffi():
    spec = importlib.util.spec_from_file_location("build_ffi", ROOT / "build_ffi.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def path_with(tmp_path, monkeypatch):
    """A PATH that has these commands and nothing else."""

    def make(*names):
        for name in names:
            command = tmp_path / name
            command.write_text("#!/bin/sh\nexit 0\n")
            command.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    monkeypatch.delenv("CC", raising=False)
    return make


@pytest.mark.parametrize(
    ("there", "taken"), [(["clang"], "clang"), (["clang", "gcc"], "gcc"), (["cc", "gcc"], "cc")]
)
def test_a_compiler_that_is_there_is_found(build_ffi, path_with, monkeypatch, there, taken):
    monkeypatch.setattr(
        build_ffi.sysconfig, "get_config_var", lambda name: "not-installed -pthread"
    )
    path_with(*there)
    assert build_ffi.compiler() == [taken]
    build_ffi.use_compiler()
    assert os.environ["CC"] == taken
    monkeypatch.delenv("CC")


def test_the_compiler_of_python_and_the_one_named_in_cc_come_first(
    build_ffi, path_with, monkeypatch
):
    path_with("cc", "mine", "pythons")
    monkeypatch.setattr(build_ffi.sysconfig, "get_config_var", lambda name: "pythons -pthread")
    assert build_ffi.compiler() == ["pythons", "-pthread"]
    build_ffi.use_compiler()
    assert "CC" not in os.environ  # setuptools takes Python's own by itself
    monkeypatch.setenv("CC", "mine -m64")
    assert build_ffi.compiler() == ["mine", "-m64"]


def test_without_a_compiler_the_message_says_what_was_tried(build_ffi, path_with, monkeypatch):
    monkeypatch.setattr(build_ffi.sysconfig, "get_config_var", lambda name: None)
    path_with()
    assert "cc, gcc, clang not found" in build_ffi.missing()
    monkeypatch.setenv("CC", "absent")
    with pytest.raises(SystemExit, match="absent not found"):
        build_ffi.missing()


def test_sources_in_folders_are_built_and_hashed(build_ffi, tmp_path):
    named = {Path(path) for path in build_ffi.sources()}
    assert named == {path.relative_to(ROOT) for path in (ROOT / "csrc").rglob("*.c")}
    csrc = tmp_path / "csrc"
    shutil.copytree(ROOT / "csrc", csrc)
    before = build_ffi.source_hash(csrc)
    assert before == build_ffi.source_hash()
    (csrc / "plan" / "plan.c").rename(csrc / "machine" / "plan.c")
    assert build_ffi.source_hash(csrc) != before


@pytest.mark.parametrize(
    "command", ["cc -U__BYTE_ORDER__ -D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__", "s390x-linux-gnu-gcc"]
)
def test_compiling_for_a_big_endian_machine_is_refused(command):
    compiler, *options = command.split()
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    command = [compiler, *options, "-fsyntax-only", f"-I{ROOT / 'csrc'}", "-DMG_SOURCE_HASH=none"]
    source = str(ROOT / "csrc" / "machine" / "dispatch.c")
    done = subprocess.run([*command, source], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "micrograd: the C core is for little-endian machines" in done.stderr


def test_a_compiler_without_vector_extensions_is_refused(build_ffi, tmp_path, monkeypatch):
    """As MSVC is, which compiles any other small program."""
    command = tmp_path / "cl"
    command.write_text('#!/bin/sh\n! grep -q vector_size "$1"\n')
    command.chmod(0o755)
    monkeypatch.setenv("CC", str(command))
    assert build_ffi.compiles("int main(void) { return 0; }\n")
    assert build_ffi.missing() is None
    advice = r"cl' cannot compile .* vector extensions; install gcc .*MSVC has no"
    with pytest.raises(SystemExit, match=advice):
        build_ffi.make()


def test_who_has_nothing_but_msvc_is_told_why_it_is_not_enough(build_ffi, path_with, monkeypatch):
    monkeypatch.setattr(build_ffi.sysconfig, "get_config_var", lambda name: None)
    path_with("cl")
    assert "Windows: mingw-w64 or clang, MSVC has no vector extensions" in build_ffi.missing()
