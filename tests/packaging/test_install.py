"""What a user gets: the source distribution, a build without a compiler, two namesakes."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("setuptools", minversion="77")
pytest.importorskip("pip")
if not (ROOT / "setup.py").is_file():
    pytest.skip("the source tree is not here", allow_module_level=True)

PACKED = ("csrc", "micrograd", "tests", "demos", "docs", "tools")
BUILT = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.o", "_core.c", ".*")
# An editable install of the sources, as developers have, would lend its extension to any other.
ALONE = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path if not f.__module__.startswith("__editable__")]
"""
SCALAR = "from micrograd import Value; x = Value(3.0); (x * x).backward(); print(x.grad)"


def run(*command, **settings):
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, **settings
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the sources, in which a build may write."""
    folder = tmp_path_factory.mktemp("tree") / "micrograd"
    folder.mkdir()
    for name in PACKED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=BUILT)
    for path in ROOT.iterdir():
        if path.is_file() and path.suffix in {".py", ".toml", ".md", ".in", ""}:
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def scalar_build(tree, tmp_path_factory):
    """The wheel that a machine without a compiler builds, and what the build says."""
    nothing, out = tmp_path_factory.mktemp("no-compiler"), tmp_path_factory.mktemp("dist")
    environment = {k: v for k, v in os.environ.items() if k not in {"CC", "MICROGRAD_REQUIRE_CORE"}}
    environment["PATH"] = str(nothing)
    done = run(sys.executable, "setup.py", "bdist_wheel", "-d", out, cwd=tree, env=environment)
    assert done.returncode == 0, done.stderr
    (wheel,) = out.iterdir()
    return wheel, done.stderr


def installed(prefix, *wheels):
    """The environment of a process that finds these wheels, installed in this order."""
    for wheel in wheels:
        done = run(
            *(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"),
            *("--ignore-installed", "--prefix", prefix, wheel),
        )
        assert done.returncode == 0, done.stderr
    site = sysconfig.get_path("purelib", vars={"base": str(prefix), "platbase": str(prefix)})
    return {**os.environ, "PYTHONPATH": site}


def python(environment, folder, code):
    return run(sys.executable, "-c", ALONE + code, env=environment, cwd=folder)


def info(environment, folder):
    return python(environment, folder, "from micrograd.cli import main; sys.exit(main(['info']))")


def test_the_source_distribution_holds_all_that_its_tests_need(tree, tmp_path):
    done = run(sys.executable, "setup.py", "-q", "sdist", "-d", tmp_path, cwd=tree)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    there = {
        str(path.relative_to(tree))
        for name in PACKED
        for path in (tree / name).rglob("*")
        if path.is_file() and "egg-info" not in str(path)
    }
    assert {"tests/c/guard.h", "tests/c/run", "micrograd/data/digits.idx.gz"} <= there
    assert there - names == set()


@pytest.mark.parametrize("command", ["sdist", "bdist_wheel"])
def test_two_builds_have_the_same_bytes(tree, tmp_path, command):
    """By people with other umasks, an hour apart, from files of other times."""
    nothing, archives = tmp_path / "nothing", []
    nothing.mkdir()
    settings = {"PATH": str(nothing), "SOURCE_DATE_EPOCH": "1700000000"}
    environment = {k: v for k, v in os.environ.items() if k not in {"CC", "MICROGRAD_REQUIRE_CORE"}}
    code = "import gzip, os, runpy, sys, time; os.umask(int(sys.argv.pop(1), 8)); "
    code += (
        "hours = int(sys.argv.pop(1)); now = time.time; time.time = lambda: now() + 3600 * hours; "
    )
    code += "runpy.run_path('setup.py', run_name='__main__')"
    for mask, hours in (("022", "0"), ("077", "1")):
        copied = tmp_path / f"tree-{hours}"
        shutil.copytree(tree, copied, ignore=shutil.ignore_patterns("*.egg-info", "build"))
        for path in copied.rglob("*"):
            os.utime(path, (1.6e9 + 9999 * int(hours),) * 2)
        out = tmp_path / f"out-{hours}"
        done = run(
            *(sys.executable, "-c", code, mask, hours, "-q", command, "-d", out),
            cwd=copied,
            env={**environment, **settings},
        )
        assert done.returncode == 0, done.stderr
        archives.append(next(out.iterdir()))
    one, other = (path.read_bytes() for path in archives)
    assert one == other and archives[0].name == archives[1].name


def test_the_stable_abi_is_that_of_any_python_on_windows_too(tree, tmp_path):
    """setuptools would link with the DLL of the version that builds, and no other has that."""
    code = """
import os, runpy, sys
import setuptools
sys.argv = ["setup.py", "--version"]
found = runpy.run_path("setup.py")
build, limited, other = found["BuildSideBySide"], *(
    setuptools.Extension("micrograd._core", [], libraries=["m"], py_limited_api=x) for x in (1, 0)
)
command = build(setuptools.Distribution())
command.compiler = object()
sys.platform = "win32"
print(*(command.get_libraries(each) for each in (limited, other)))
"""
    done = run(sys.executable, "-c", code, cwd=tree)
    version = f"python{sys.version_info.major}{sys.version_info.minor}"
    assert done.stdout.splitlines()[-1] == f"['m', 'python3'] ['m', '{version}']", done.stderr


def test_every_room_and_its_data_are_in_the_wheel(tree, scalar_build):
    wheel, _ = scalar_build
    names = set(zipfile.ZipFile(wheel).namelist())
    assert wheel.name.startswith("micrograd_core-") and wheel.name.endswith("-py3-none-any.whl")
    there = {
        str(path.relative_to(tree)) for path in (tree / "micrograd").rglob("*") if path.is_file()
    }
    assert there - names == set()
    assert not [name for name in names if name.startswith(("tests/", "csrc/", "demos/"))]


def test_without_a_compiler_the_scalar_engine_is_installed(scalar_build, tmp_path):
    wheel, says = scalar_build
    assert "there is no C compiler" in says and "Only the scalar engine is installed" in says
    environment = installed(tmp_path, wheel)
    done = python(environment, tmp_path, SCALAR)
    assert done.stdout == "6.0\n", done.stderr
    done = python(environment, tmp_path, "import micrograd; micrograd.Network")
    assert "ImportError" in done.stderr and "Install a C compiler" in done.stderr
    done = info(environment, tmp_path)
    assert done.returncode == 0 and "none: only the scalar engine works" in done.stdout


def test_a_big_endian_machine_gets_the_scalar_engine_alone(tree, tmp_path):
    code = "import runpy, sys; sys.byteorder, sys.argv = 'big', ['setup.py', *sys.argv[1:]]; "
    code += "runpy.run_path('setup.py', run_name='__main__')"
    command = (sys.executable, "-c", code, "bdist_wheel", "-d", tmp_path)
    environment = {k: v for k, v in os.environ.items() if k != "MICROGRAD_REQUIRE_CORE"}
    done = run(*command, cwd=tree, env=environment)
    assert done.returncode == 0 and "big-endian" in done.stderr, done.stderr
    assert next(tmp_path.iterdir()).name.endswith("-py3-none-any.whl")
    done = run(*command, cwd=tree, env={**environment, "MICROGRAD_REQUIRE_CORE": "1"})
    assert done.returncode != 0 and "big-endian" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("CC", "no-such-compiler"), ("MICROGRAD_REQUIRE_CORE", "1")]
)
def test_what_was_asked_for_is_not_left_out_silently(tree, tmp_path, name, value):
    others = {k: v for k, v in os.environ.items() if k not in {"CC", "MICROGRAD_REQUIRE_CORE"}}
    environment = {**others, "PATH": str(tmp_path), name: value}
    done = run(sys.executable, "setup.py", "bdist_wheel", cwd=tree, env=environment)
    assert done.returncode != 0
    assert name in done.stderr and "there is no C compiler" in done.stderr


@pytest.fixture(scope="module")
def namesake(tmp_path_factory):
    """A wheel of another distribution with our import name, as karpathy's is."""
    folder = tmp_path_factory.mktemp("namesake")
    (folder / "micrograd").mkdir()
    (folder / "micrograd" / "__init__.py").write_text("")
    (folder / "micrograd" / "nn.py").write_text("class Neuron: pass\n")
    (folder / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='micrograd', version='9.9', packages=['micrograd'])\n"
    )
    done = run(sys.executable, "setup.py", "-q", "bdist_wheel", "-d", folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_info_says_that_another_package_lies_over_this_one(scalar_build, namesake, tmp_path):
    environment = installed(tmp_path, scalar_build[0], namesake)
    done = info(environment, tmp_path)
    assert done.returncode == 1
    assert "karpathy's micrograd 9.9 was installed over micrograd-core and wrote" in done.stderr
    assert "micrograd/__init__.py" in done.stderr and "pip uninstall micrograd" in done.stderr


def test_info_says_that_another_package_took_files_of_this_one_along(
    scalar_build, namesake, tmp_path
):
    """As `pip uninstall micrograd` does, which removes what both have written."""
    environment = installed(tmp_path, scalar_build[0], namesake)
    site = Path(environment["PYTHONPATH"])
    for name in ("__init__.py", "nn.py"):
        (site / "micrograd" / name).unlink()
    shutil.rmtree(site / "micrograd-9.9.dist-info")
    done = info(environment, tmp_path)
    assert done.returncode == 1
    assert "micrograd/__init__.py is not that of micrograd-core: pip uninstall" in done.stderr


def test_info_says_that_this_one_lies_over_another(scalar_build, namesake, tmp_path):
    environment = installed(tmp_path, namesake, scalar_build[0])
    done = info(environment, tmp_path)
    assert done.returncode == 0
    assert "micrograd-core was installed over karpathy's micrograd 9.9" in done.stdout


def test_info_says_nothing_of_it_where_there_is_one(scalar_build, tmp_path):
    environment = installed(tmp_path, scalar_build[0])
    done = info(environment, tmp_path)
    assert done.returncode == 0 and "karpathy" not in done.stdout
