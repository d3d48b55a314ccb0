"""Builds the C core; where this machine cannot, installs the scalar engine alone and says so.

MICROGRAD_REQUIRE_CORE=1 makes that an error: wheels are built with it.
"""

import os
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext


class BuildSideBySide(build_ext):
    """Compiles the C files side by side, one for each processor: setuptools takes them in turn."""

    def build_extensions(self):
        one_by_one = self.compiler.compile

        def compile(sources, *arguments, **options):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda path: one_by_one([path], *arguments, **options), sources)
                return [path for paths in objects for path in paths]

        self.compiler.compile = compile
        super().build_extensions()


build_ffi = runpy.run_path(str(Path(__file__).with_name("build_ffi.py")))
if sys.byteorder == "big":
    missing = "the C core is for little-endian machines: nobody has tested it on a big-endian one"
else:
    missing = build_ffi["missing"]()
if missing and os.environ.get("MICROGRAD_REQUIRE_CORE"):
    raise SystemExit(f"micrograd: MICROGRAD_REQUIRE_CORE is set, but {missing}")
if missing:
    print(
        f"micrograd: {missing}. Only the scalar engine is installed, which needs none: Value, "
        "micrograd.nn, gradcheck; the rest (Network, compile) raises ImportError.",
        file=sys.stderr,
    )
    setup()
else:
    options = {}
    if build_ffi["stable_abi"]():  # one wheel for CPython 3.10 and later
        options["bdist_wheel"] = {"py_limited_api": "cp310"}
    if os.name == "nt":  # gcc or clang: MSVC, which setuptools would take, has no vector extensions
        options["build_ext"] = {"compiler": "mingw32"}
    setup(
        cffi_modules=["build_ffi.py:make"],
        cmdclass={"build_ext": BuildSideBySide},
        options=options,
    )
