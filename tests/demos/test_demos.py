"""Demos: one for each section, short, told of in the table; notebooks hold what the scripts do."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMOS = sorted((ROOT / "demos").glob("[0-9]*.py"))
TABLE = (ROOT / "demos" / "README.md").read_text(encoding="utf-8")


def tool():
    pytest.importorskip("jupytext")
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_section_has_a_demo_and_every_demo_a_row():
    rows = [line.split("|")[1:4] for line in TABLE.splitlines() if line.startswith("|")]
    sections = {m[1]: row[1] for row in rows if (m := re.match(r" (\d+) ", row[0]))}
    assert list(sections) == [str(number) for number in range(1, 16)]
    assert any(row[0].startswith(" worked example") for row in rows)
    named = {name for row in rows for name in re.findall(r"`(\d\d_\w+\.py)`", row[1] + row[2])}
    assert named == {path.name for path in DEMOS}


@pytest.mark.parametrize("path", DEMOS, ids=lambda path: path.stem)
def test_a_demo_is_short_checks_itself_and_says_where_its_picture_goes(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    assert max(map(len, text.splitlines())) <= 100
    assert f"Run: python demos/{path.name} [--save FOLDER]" in text
    assert re.search(r"^\s*assert ", text, re.MULTILINE)
    code = text.split('"""', 2)[2]
    assert any(f"{path.stem}.{ending}" in code for ending in ("png", "svg", "{"))


@pytest.mark.parametrize("path", DEMOS, ids=lambda path: path.stem)
def test_a_notebook_holds_what_its_script_does(path):
    notebooks = tool()
    docstring, code = notebooks.split(path.read_text(encoding="utf-8"))
    book = notebooks.notebook_of(path)
    cells = [cell.source for cell in book.cells if cell.cell_type == "code"][1:]
    markup = [cell.source for cell in book.cells if cell.cell_type == "markdown"]

    def bare(lines):
        kept = (line for line in lines if line.strip() and not line.startswith("# %%"))
        return [line.rstrip() for line in kept]

    texts = [f"# {line}".rstrip() for cell in markup[1:] for line in cell.splitlines()]
    whole = bare("\n".join(cells).splitlines())
    assert whole == [line for line in bare(code.splitlines()) if line not in texts]
    assert docstring.splitlines()[0] in markup[0]
    assert all(line in code for line in texts)
    assert notebooks.notebook_of(path) == book


def test_a_demo_saves_its_picture_where_it_is_told(tmp_path):
    script = ROOT / "demos" / "00_worked_example.py"
    command = [sys.executable, str(script), "--save", str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["00_worked_example.svg"]
    told = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True)
    assert "--save FOLDER" in told.stdout


def test_a_notebook_is_executed_and_a_false_claim_is_red(tmp_path):
    notebooks = tool()
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    source = (ROOT / "demos" / "04_chain_rule.py").read_text(encoding="utf-8")
    wrong = tmp_path / "04_wrong.py"
    wrong.write_text(
        source.replace("abs(wrong - difference) > 0.1", "abs(wrong - difference) < 0.1")
    )
    (tmp_path / "common.py").write_text((ROOT / "demos" / "common.py").read_text())
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="AssertionError"):
        notebooks.execute(notebooks.notebook_of(wrong), tmp_path)
