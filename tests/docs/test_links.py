"""Relative links of every Markdown file lead to files and headings that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), *ROOT.glob("demos/*.md")]
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")


def slug(heading):
    """The id that mkdocs and web hosts of repositories give a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip()
    return re.sub(r"[\s]+", "-", kept)


def headings(text):
    return {slug(line.lstrip("# ")) for line in FENCED.sub("", text).split("\n") if line[:1] == "#"}


PATH = re.compile(r"`((?:micrograd|csrc|demos|tests|tools|docs)/[\w./-]*\w/?)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_are_named_are_there(page):
    made = {"demos/pictures/", "demos/notebooks/"}  # by demos, when they run
    named = set(PATH.findall(FENCED.sub("", page.read_text()))) - made
    named = {path for path in named if "NN_" not in path}  # the pattern of a name, not a file
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links(page):
    text, lost = page.read_text(), []
    for match in LINK.finditer(FENCED.sub("", text)):
        link = match[1] or match[2]
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = target == ROOT or ROOT in target.parents
        there = inside and target.exists()
        if there and anchor and target.suffix == ".md":
            there = anchor in headings(target.read_text())
        if not there:
            lost.append(link)
    assert lost == []
