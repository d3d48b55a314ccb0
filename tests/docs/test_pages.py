"""Every page of docs/ tells the truth: its code runs, and prints what the page says."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import pages

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "tests" / "support" / "pages.py"
PAGES = [p for p in sorted((ROOT / "docs").rglob("*.md")) if pages.blocks(p.read_text())]


def executed(blocks, folder):
    """What each block printed, up to the first error."""
    done = subprocess.run(
        [sys.executable, str(RUNNER)],
        input=json.dumps([dataclasses.astuple(block)[:3] for block in blocks]),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def verdict(blocks, done):
    """The first thing that is wrong, or None."""
    for block, (printed, error) in zip(blocks, done, strict=False):
        where = f"line {block.line}: {block.text}"
        if error is not None:
            return f"{where}\n{error}"
        if not pages.same(printed, block.printed or ""):
            return f"{where}\nprinted:\n{printed}\nthe page says:\n{block.printed}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT / "docs")))
def test_page(page, tmp_path):
    text = page.read_text()
    for module in pages.needs(text):
        pytest.importorskip(module)
    blocks = pages.blocks(text)
    wrong = verdict(blocks, executed(blocks, tmp_path))
    assert wrong is None, wrong


@pytest.mark.parametrize(
    "page, wrong",
    [
        ("```python\nprint(1.0)\n```\n\n```text\n1.001\n```\n", False),
        ("```python\nprint(1.0)\n```\n\n```text\n1.5\n```\n", True),
        ("```python\nprint(1.0)\n```\n", True),  # prints, and the page does not say so
        ("```python\nx = 1\n```\n\n```text\n1\n```\n", True),
        ("```python\nx = 2\n```\nand\n```python\nprint(x)\n```\n```text\n2\n```\n", False),
        ("```python\n1 / 0\n```\n", True),
        ("```python\nprint('a\\nb\\nc')\n```\n```text\na\n...\nc\n```\n", False),
        ("```python\nprint('a\\nb\\nd')\n```\n```text\na\n...\nc\n```\n", True),
        ("```python\nprint(12)\n```\n```text\n13\n```\n", True),  # a count
        ("```console\n$ micrograd --version\n...\n```\n", False),
        ("```console\n$ micrograd nothing\n...\n```\n", True),
    ],
)
def test_what_the_runner_says(page, wrong, tmp_path):
    blocks = pages.blocks(page)
    assert (verdict(blocks, executed(blocks, tmp_path)) is not None) == wrong
