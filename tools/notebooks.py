"""The demos as notebooks, made from the scripts by jupytext: demos/notebooks/NAME.ipynb.

A cell begins at each `# %%`; the script's docstring becomes the first cell, as text. With --execute
each is run by nbclient, and kept with its output. Wants the extra `dev`.
Usage: python tools/notebooks.py [--execute] [--output FOLDER] [DEMO ...]
"""

import argparse
import ast
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import nbformat

DEMOS = Path(__file__).resolve().parents[1] / "demos"
FIND = "import sys\n\nsys.path.insert(0, {demos!r})  # common.py"  # before the script's own cells
SECONDS = 120  # that a cell may take


def split(text):
    """The docstring of a script, and its code below."""
    first = ast.parse(text).body[0]
    return ast.get_docstring(ast.parse(text)), "\n".join(text.split("\n")[first.end_lineno :])


def notebook_of(path):
    """The notebook of one demo, without outputs; the same bytes for the same script."""
    docstring, code = split(path.read_text(encoding="utf-8"))
    title, _, rest = docstring.partition("\n")
    book = jupytext.reads(code.lstrip("\n"), fmt="py:percent")
    demos = Path("..") if path.parent == DEMOS else path.parent
    book.cells = [
        nbformat.v4.new_markdown_cell(f"# {title}\n{rest}"),
        nbformat.v4.new_code_cell(FIND.format(demos=demos.as_posix())),
        *book.cells,
    ]
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    book.nbformat, book.nbformat_minor = 4, 5
    nbformat.validate(book)
    return book


def execute(book, folder):
    """Runs every cell, in `folder`; an error or a false claim is a CellExecutionError."""
    from nbclient import NotebookClient

    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(book, timeout=SECONDS, kernel_name="python3", resources=where)
    client.execute()


def make(path, output, run):
    """Writes the notebook of one demo, executed if `run`; returns a line about it."""
    started = time.perf_counter()
    book = notebook_of(path)
    if run:
        execute(book, output)
    nbformat.write(book, output / f"{path.stem}.ipynb")
    spent = f", executed in {time.perf_counter() - started:.1f} s" if run else ""
    return f"{path.stem}.ipynb: {len(book.cells)} cells{spent}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demos", nargs="*", type=Path, help="all where none is named")
    parser.add_argument("--execute", action="store_true", help="run them, and keep the output")
    parser.add_argument("--output", type=Path, default=DEMOS / "notebooks", metavar="FOLDER")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    paths = [path.resolve() for path in options.demos or sorted(DEMOS.glob("[0-9]*.py"))]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # each kernel is a process of its own
        for line in pool.map(lambda path: make(path, options.output, options.execute), paths):
            print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
