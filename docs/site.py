"""A hook of mkdocs: the order of the pages, and pages for files of the repository.

A section is a folder with an index.md; its pages stand in the order in which that links to them,
then others by name.

Pages link to demos, sources and ARCHITECTURE.md by relative paths, which work in a checkout and on
a web host of repositories; the site has no such files, so each gets a page under sources/.
A link to a file that is not there stops the build.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, InclusionLevel

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(\[[^\]]*\]\()(?!\w+:|#|/)([^)#\s]+)((?:#[^)\s]*)?\))")
FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
SECTIONS = ("learn", "use", "understand", "reference", "trust")
LANGUAGES = {".py": "python", ".c": "c", ".h": "c", ".toml": "toml", ".pyi": "python"}


def is_ours(path):
    """Whether the site has this file as it is: pages and pictures in docs/, no sources."""
    return path.startswith("docs/") and Path(path).suffix not in LANGUAGES


def page_of(path):
    """Where the site has a file of the repository."""
    return path.removeprefix("docs/") if is_ours(path) else f"sources/{path}.md"


def linked(text, home):
    """Paths, from the repository's root, of what a page at `home` in the repository links to."""
    prose = "".join(FENCED.split(text)[::2])
    for match in LINK.finditer(prose):
        yield posixpath.normpath(posixpath.join(posixpath.dirname(home), match[2]))


def source(path):
    """The text of the page for one file."""
    file = ROOT / path
    if not file.is_file():
        raise PluginError(f"{path}: a page links to it, and it is not there")
    text = file.read_text()
    if path.endswith(".md"):
        return text
    return f"# {path}\n\n````{LANGUAGES.get(file.suffix, 'text')}\n{text}\n````\n"


def section(folder):
    """Pages of a section, its index first."""
    home = f"docs/{folder}/index.md"
    told = [path.removeprefix("docs/") for path in linked((ROOT / home).read_text(), home)]
    there = [f"{folder}/{p.name}" for p in sorted((ROOT / "docs" / folder).glob("*.md"))]
    first = [f"{folder}/index.md", *told]
    return sorted(there, key=lambda p: first.index(p) if p in first else len(first))


def on_config(config):
    config["nav"] = [
        "index.md",
        *({folder.capitalize(): section(folder)} for folder in SECTIONS),
        "faq.md",
    ]
    return config


def on_files(files, config):
    homes = {f"docs/{file.src_uri}": None for file in files if file.is_documentation_page()}
    texts = {home: (ROOT / home).read_text() for home in homes}
    waiting, made = list(texts), set()
    while waiting:
        home = waiting.pop()
        for path in linked(texts[home], home):
            if not is_ours(path) and not path.startswith("..") and path not in made:
                made.add(path)
                page, level = page_of(path), InclusionLevel.NOT_IN_NAV
                files.append(File.generated(config, page, content=source(path), inclusion=level))
                if path.endswith(".md"):
                    texts[path] = source(path)
                    waiting.append(path)
    return files


def on_page_markdown(markdown, page, config, files):
    at = page.file.src_uri
    home = at.removeprefix("sources/").removesuffix(".md") if at.startswith("sources/") else None
    if home is not None and not home.endswith(".md"):
        return markdown
    home = home or f"docs/{at}"

    def mended(match):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(home), match[2]))
        if path.startswith(".."):
            raise PluginError(f"{home}: {match[2]} is outside the repository")
        return match[1] + posixpath.relpath(page_of(path), posixpath.dirname(at) or ".") + match[3]

    parts = FENCED.split(markdown)
    parts[::2] = [LINK.sub(mended, part) for part in parts[::2]]
    return "".join(parts)
