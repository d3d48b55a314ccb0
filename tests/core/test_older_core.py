"""Sources beside a compiled extension that is older than they are, as after `git pull`."""

import os
import re
import shutil
from pathlib import Path

import pytest
from support.processes import run_python

import micrograd

PACKAGE = Path(micrograd.__file__).parent
HEADER = Path(__file__).parents[2] / "csrc" / "micrograd.h"
if not HEADER.exists():
    pytest.skip("the source tree is not here", allow_module_level=True)
FUNCTION = "int mg_isa_best(void);"
NEW = {
    "mg_of_tomorrow": (FUNCTION, f"{FUNCTION}\nint mg_of_tomorrow(int isa, double p);"),
    "mg_isa_best": (FUNCTION, "int mg_isa_best(int dtype);"),
    "mg_norm": ("const void *x, double p);", "const void *x, double p, int threads);"),
    "MG_OF_TOMORROW": ("MG_NEON, MG_ISAS", "MG_NEON, MG_OF_TOMORROW, MG_ISAS"),
    "MG_MOST_OF_TOMORROW": ("#define MG_REMEMBERED 5", "#define MG_MOST_OF_TOMORROW 5"),
    "mg_op.of_tomorrow": ("int32_t accumulate;", "int32_t accumulate, of_tomorrow;"),
    "mg_bits.of_tomorrow": ("(*next_uint64)(void *state);", "(*of_tomorrow)(void *state);"),
    "mg_result.of_tomorrow": ("losses[MG_REMEMBERED],", "of_tomorrow[MG_REMEMBERED],"),
    "mg_of_tomorrow ": ("typedef struct mg_plan mg_plan;", "typedef struct mg_plan mg_plan;\n"
                        "typedef struct {\n    double p;\n} mg_of_tomorrow;"),
}  # fmt: skip


@pytest.fixture
def tree(tmp_path):
    """The package with its extension, and the header beside it."""
    shutil.copytree(PACKAGE, tmp_path / "micrograd", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "csrc").mkdir()
    shutil.copy(HEADER, tmp_path / "csrc")
    (tmp_path / "setup.py").touch()
    return tmp_path


def imported(tree, header, newer=True):
    """What the import of micrograd.core in `tree` ends with, where its header is this text."""
    path = tree / "csrc" / "micrograd.h"
    path.write_text(header)
    built = max(file.stat().st_mtime for file in (tree / "micrograd").glob("_core*"))
    os.utime(path, (built, built + (10 if newer else -10)))
    program = f"""
import sys
sys.path.insert(0, {str(tree)!r})
from micrograd import Value
print(Value(2.0) * 3)
from micrograd import core
print(core.__file__)
"""
    done = run_python(program, check=False, PYTHONPATH="")
    assert "Value(data=6.0" in done.stdout  # the scalar engine works
    assert (done.returncode == 0) == (str(tree / "micrograd" / "core.py") in done.stdout)
    return (done.stderr.splitlines() or [""])[-1]


@pytest.mark.parametrize("what", NEW)
def test_an_extension_of_older_sources_is_an_import_error(what, tree):
    header = HEADER.read_text()
    assert header.count(NEW[what][0]) == 1
    said = imported(tree, header.replace(*NEW[what]))
    core = next((tree / "micrograd").glob("_core*"))
    assert said.startswith(f"ImportError: micrograd: the C core in {core} was built from older")
    assert f"whose {what.strip()} it does not have" in said
    assert said.endswith(f"build it again, by `pip install -e {tree}`")


def test_comments_and_what_is_gone_are_no_reason(tree):
    header = HEADER.read_text()
    assert imported(tree, header) == ""
    assert imported(tree, header.replace("/*", "/* MG_OF_TOMORROW mg_of_tomorrow(x); ")) == ""
    assert imported(tree, re.sub(r"double mg_norm\(.*\n", "", header)) == ""


def test_nothing_is_read_where_there_are_no_sources_or_older_ones(tree):
    changed = HEADER.read_text().replace(*NEW["mg_of_tomorrow"])
    assert imported(tree, changed, newer=False) == ""
    (tree / "setup.py").unlink()  # a folder of that name beside an installation
    assert imported(tree, changed) == ""
