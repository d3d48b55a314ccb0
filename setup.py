"""Builds the C core; where this machine cannot, installs the scalar engine alone and says so.

MICROGRAD_REQUIRE_CORE=1 makes that an error: wheels are built with it.
"""

import gzip
import os
import runpy
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

os.umask(0o022)  # the rights of files stand in what is built, which is the same whoever builds it


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

    def get_libraries(self, ext):
        """For Windows setuptools names the DLL of the interpreter that builds, python310: of the
        stable ABI, which other versions load too, that is python3."""
        libraries = super().get_libraries(ext)
        own = libraries[len(ext.libraries) :]
        return [*ext.libraries, "python3"] if own and ext.py_limited_api else libraries


class SameBytes(sdist):
    """With SOURCE_DATE_EPOCH the archive has the same bytes whoever makes it, and when."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, **owner):
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        if epoch is None or format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, **owner)

        def plain(member):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime, member.mode = int(epoch), 0o755 if member.mode & 0o100 else 0o644
            return member

        top = Path(root_dir or ".", base_dir)
        Path(base_name).parent.mkdir(parents=True, exist_ok=True)
        with (
            open(f"{base_name}.tar.gz", "wb") as file,
            gzip.GzipFile("", "wb", 9, file, int(epoch)) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in sorted([top, *top.rglob("*")]):
                name = Path(base_dir, path.relative_to(top)).as_posix()
                archive.add(path, name, recursive=False, filter=plain)
        return f"{base_name}.tar.gz"


build_ffi = runpy.run_path(str(Path(__file__).with_name("build_ffi.py")))
if sys.byteorder == "big":
    missing = "the C core is for little-endian machines: nobody has tested it on a big-endian one"
else:
    missing = build_ffi["missing"]()
if missing and os.environ.get("MICROGRAD_REQUIRE_CORE"):
    raise SystemExit(f"micrograd: MICROGRAD_REQUIRE_CORE is set, but {missing}")
commands = {"sdist": SameBytes}
if missing:
    print(
        f"micrograd: {missing}. Only the scalar engine is installed, which needs none: Value, "
        "micrograd.nn, gradcheck; the rest (Network, compile) raises ImportError.",
        file=sys.stderr,
    )
    setup(cmdclass=commands)
else:
    options = {}
    if build_ffi["stable_abi"]():  # one wheel for CPython 3.10 and later
        options["bdist_wheel"] = {"py_limited_api": "cp310"}
    if os.name == "nt":  # gcc or clang: MSVC, which setuptools would take, has no vector extensions
        options["build_ext"] = {"compiler": "mingw32"}
    setup(
        cffi_modules=["build_ffi.py:make"],
        cmdclass={"build_ext": BuildSideBySide, **commands},
        options=options,
    )
