"""Pages of Markdown as programs: their code blocks run in order, their outputs compared.

A page is one program: its ```python blocks share names, as in a notebook. A ```text block right
behind one is what it prints. In a ```console block, lines that begin with "$ micrograd" are run,
and the lines behind them are what they print. A line of dots alone stands for any lines. Figures
may differ by a little, since other machines round otherwise. Pages run in a folder of their own.

As a script: reads blocks as JSON on standard input, writes what each printed.
"""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import traceback
from dataclasses import dataclass

FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
NEEDS = re.compile(r"^<!-- needs ([\w ,]+) -->$", re.MULTILINE)
RELATIVE, ABSOLUTE = 0.03, 0.003


@dataclass
class Block:
    """A block of a page; `printed` is what the page says that it prints, None where nothing."""

    kind: str  # "python" or "console"
    line: int
    text: str
    printed: str | None


def needs(markdown):
    """Modules that a page wants beyond the package's own dependencies."""
    return [name for found in NEEDS.findall(markdown) for name in re.split(r"[ ,]+", found)]


def blocks(markdown):
    """The blocks of a page that run."""
    found, end = [], None
    for match in FENCE.finditer(markdown):
        kind, text = match[1], match[2]
        between = markdown[end : match.start()] if end is not None else "-"
        end = match.end()
        line = markdown.count("\n", 0, match.start()) + 1
        if kind == "text" and not between.strip() and found and found[-1].kind == "python":
            found[-1].printed = text
        elif kind == "python":
            found.append(Block(kind, line, text, None))
        elif kind == "console":
            found += commands(line, text)
    return found


def commands(line, text):
    """Each command of a ```console block with what it prints."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0].strip(), f"line {line}: a console block begins with $"
    for part in parts[1:]:
        command, _, printed = part.partition("\n")
        while command.endswith("\\"):
            more, _, printed = printed.partition("\n")
            command = command[:-1] + more.strip()
        yield Block("console", line, command, printed or None)


def same(printed, stated):
    """Whether the lines agree, but for figures that differ by a little and lines of dots."""
    lines, wanted = printed.split("\n"), stated.split("\n")
    lines, wanted = ([s.rstrip() for s in x] for x in (lines, wanted))
    while lines and wanted:
        if wanted[0] == "...":
            rest = wanted[1:]
            return any(same("\n".join(lines[i:]), "\n".join(rest)) for i in range(len(lines) + 1))
        if not same_line(lines.pop(0), wanted.pop(0)):
            return False
    return not any(lines) and not any(s for s in wanted if s != "...")


def same_line(line, stated):
    if re.sub(r"\s+", " ", NUMBER.sub("#", line)) != re.sub(r"\s+", " ", NUMBER.sub("#", stated)):
        return False
    pairs = zip(NUMBER.findall(line), NUMBER.findall(stated), strict=True)
    return all(close(x, y) for x, y in pairs)


def close(x, y):
    if x.lstrip("+-").isdigit() and y.lstrip("+-").isdigit() and len(y) < 5:
        return x == y  # counts are exact
    return abs(float(x) - float(y)) <= ABSOLUTE + RELATIVE * abs(float(y))


def run(page):
    """Runs blocks [(kind, line, text)]: [(printed, error or None)], up to the first error."""
    names, done = {"__name__": "__main__"}, []
    for kind, line, text in page:
        out, error = io.StringIO(), None
        if kind == "console":
            words = shlex.split(text)
            assert words[0] == "micrograd", f"line {line}: only micrograd is run here"
            result = subprocess.run(
                [sys.executable, "-m", *words], capture_output=True, text=True, check=False
            )
            out.write(result.stdout)
            error = result.stderr if result.returncode else None
        else:
            with contextlib.redirect_stdout(out):
                try:
                    code = compile("\n" * line + text, "page", "exec")
                    exec(code, names)
                except Exception:
                    error = traceback.format_exc()
        done.append((out.getvalue(), error))
        if error is not None:
            break
    return done


if __name__ == "__main__":
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what children print is no part of the answer
    json.dump(run(json.load(sys.stdin)), answer)
