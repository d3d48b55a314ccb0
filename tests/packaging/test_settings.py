"""What setup.py settles before anything is compiled: the ABI of the wheel, Windows' compiler."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support.c_compiler import COMPILER

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("setuptools", minversion="77")
if not (ROOT / "setup.py").is_file():
    pytest.skip("the source tree is not here", allow_module_level=True)
pytestmark = pytest.mark.skipif(
    COMPILER is None
    or not Path(sysconfig.get_path("include"), "Python.h").is_file()
    or sys.byteorder == "big",
    reason="without a compiler and Python.h there is nothing to settle",
)

# setup.py with a `setup` that prints what it is given, on a machine that `first` describes.
SETTLE = """
import json, os, runpy, subprocess, sys, sysconfig, types
import setuptools
found = {{}}
setuptools.setup = lambda **given: found.update(given)
free_threaded, system = {free_threaded!r}, {system!r}
asked = sysconfig.get_config_var
sysconfig.get_config_var = lambda n: free_threaded if n == "Py_GIL_DISABLED" else asked(n)

class System(types.ModuleType):
    name = system
    def __getattr__(self, name, of=os):
        return getattr(of, name)

sys.modules["os"] = System("os")
sys.argv = ["setup.py", "--version"]
runpy.run_path("setup.py", run_name="__main__")
print(json.dumps([found["options"], found["cffi_modules"]]))
"""


def settled(free_threaded=0, system=os.name):
    """The options that setup.py gives to setuptools."""
    code = SETTLE.format(free_threaded=free_threaded, system=system)
    environment = {k: v for k, v in os.environ.items() if k != "MICROGRAD_REQUIRE_CORE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**environment, "CC": COMPILER},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    options, modules = json.loads(done.stdout)
    assert modules == ["build_ffi.py:make"]
    return options


def test_one_wheel_is_for_each_python_that_has_a_lock():
    tagged = {"bdist_wheel": {"py_limited_api": "cp310"}}
    cpython = sys.implementation.name == "cpython"
    assert settled(free_threaded=0, system="posix") == (tagged if cpython else {})
    assert settled(free_threaded=1, system="posix") == {}


def test_on_windows_it_is_not_msvc_that_compiles():
    assert settled(system="nt")["build_ext"] == {"compiler": "mingw32"}
