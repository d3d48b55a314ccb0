"""The site builds without a warning, has every page, and asks no other machine for anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]* src=[\"']?(https?:)?//"
    r"|<link(?=[^>]*rel=[\"']?(?:stylesheet|preload|preconnect|icon))[^>]* href=[\"']?(https?:)?//"
    r"|url\([\"']?(https?:)?//"
    r"|@import [\"']?(https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site):
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file()


def test_linked_sources_are_pages(site):
    text = (site / "sources" / "demos" / "00_worked_example.py.html").read_text()
    assert "loss.backward" in re.sub(r"<[^>]*>", "", text)


def test_nothing_is_asked_of_another_machine(site):
    files = [p for p in site.rglob("*") if p.suffix in (".html", ".css")]
    assert len(files) > 20
    for file in files:
        found = LOADED.search(file.read_text())
        assert found is None, f"{file.name}: {found[0]}"
        assert 'class="mermaid"' not in file.read_text()  # the theme would load a library for it


def test_what_is_looked_for_is_found():
    assert LOADED.search('<script src="https://cdn.example/x.js">')
    assert LOADED.search('<link rel="stylesheet" href="//fonts.example/css">')
    assert LOADED.search("url(https://fonts.example/a.woff)")
    assert not LOADED.search('<a href="https://example.org">')


def test_examples_of_the_reference_are_code(site):
    assert '<span class="gp">' in (site / "reference" / "schedule.html").read_text()
