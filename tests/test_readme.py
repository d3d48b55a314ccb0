"""The README tells the truth: its examples print what it says they print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
NUMBER = re.compile(r"-?\d+\.\d+")
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README.read_text(), re.DOTALL)


def test_there_is_an_example_of_each():
    code = [program for program, _ in EXAMPLES]
    assert any("Value(" in program for program in code)
    assert any("mg.Network(" in program for program in code)


@pytest.mark.parametrize("program, printed", EXAMPLES)
def test_example(program, printed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert NUMBER.sub("#", done.stdout) == NUMBER.sub("#", printed)
    found, stated = (list(map(float, NUMBER.findall(text))) for text in (done.stdout, printed))
    assert found == pytest.approx(stated, rel=0.03, abs=0.003)  # other machines round otherwise


def test_every_file_it_names_is_there():
    folder = README.parent
    if not (folder / "csrc").exists():
        pytest.skip("the source tree is not here")
    table = README.read_text().partition("## The rooms")[2]
    names = re.findall(r"`((?:micrograd|csrc|demos)/[\w./]*)`", table)
    assert len(names) > 15
    assert [name for name in names if not (folder / name).exists()] == []
