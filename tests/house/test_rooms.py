"""Who may import whom, held against the source of every file: the rule of ARCHITECTURE.md."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "micrograd"

EVERYONE = {
    "checks",
    "atomic",
}  # leaves: what arguments have to be; files written whole or not at all

# A room, and the rooms that it may import. `trainable` is the one door that goes up: a model has
# fit() and save() and is drawn in notebooks, and the rooms that do so know models; only `trainable`
# knows of both, and it imports them when called.
ALLOWED = {
    "core": {"_core"},
    "parameters": {"core", "sharing"},
    "sharing": set(),
    "trainable": {"training", "saving", "draw"},
    "engine": set(),
    "func": {"engine"},
    "nn": {"engine"},
    "schedule": set(),
    "gradcheck": {"func", "engine"},
    "program": {"engine", "func", "core", "parameters", "sharing", "trainable"},
    "checkpoint": {"core"},
    "network": {
        "program",
        "checkpoint",
        "core",
        "parameters",
        "sharing",
        "nn",
        "engine",
        "trainable",
    },
    "optim": {"parameters", "core", "schedule"},
    "saving": {"network", "program", "checkpoint", "optim", "schedule", "parameters", "core"},
    "training": {"saving", "optim", "data", "plot", "parameters", "core"},
    "plot": set(),
    "diagnose": {"network", "plot", "core"},
    "draw": {"engine", "network", "program", "core"},
    "sklearn": {"network", "training", "optim", "tabular", "saving", "core"},
    "tabular": {"data", "core"},
    "convert": {"network", "program", "engine", "parameters", "tabular", "core"},
    "data": {"core"},
    # The playground shows what others do: it trains, draws, diagnoses, reads tables, exports.
    "play": {
        "network",
        "optim",
        "schedule",
        "data",
        "tabular",
        "diagnose",
        "draw",
        "convert",
        "core",
    },
    "distributed": {"training", "trainable", "optim", "parameters", "plot", "data", "core"},
}
TOP = {"cli", "bench", "selftest", "__main__"}  # these may import every room

# Rooms that touch the compiled module beside core, and why.
COMPILED = {
    "network": "c_plan fills the C core's plans",
    "program": "c_program fills the C core's programs",
    "optim": "its settings lie in the C core's structs, and a small step cannot wait for a wrapper",
    "bench": "times single kernels, which no public function calls alone",
}

DOOR = "trainable"


def files():
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path) for path in files()}


@cache
def nodes(path):
    """Every node of a file's syntax tree; each file is parsed once."""
    return tuple(ast.walk(ast.parse(path.read_text())))


@cache
def imports(path):
    """(module, name or None) of every import of ours in a file, lazy and TYPE_CHECKING ones too."""
    return tuple(each_import(path))


def each_import(path):
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "micrograd":
            assert not node.level
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = whole in MODULES or whole == "micrograd._core"
                yield (whole, None) if is_module else (node.module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "micrograd":
                    yield alias.name, None


def rooms_imported(path):
    for module, name in imports(path):
        parts = module.split(".")
        yield (parts[1] if len(parts) > 1 else "micrograd"), name


def test_every_room_is_in_the_table():
    rooms = {room_of(path) for path in files()} - {"__init__"}
    assert rooms <= set(ALLOWED) | TOP | EVERYONE


def test_a_room_imports_what_the_table_allows():
    found = []
    for path in files():
        room = room_of(path)
        if room in TOP or room == "__init__":
            continue
        allowed = ALLOWED.get(room, set()) | EVERYONE | {room}
        for other, name in rooms_imported(path):
            if other == "micrograd" and name == "__version__":
                continue
            if other not in allowed:
                found.append(f"{path.relative_to(ROOT)}: {room} imports {other}")
    assert found == []


# What shows itself in a notebook and lies below the room that draws: it loads that one by name.
BY_NAME = {
    "micrograd/engine/node.py",
    "micrograd/training/history.py",
    "micrograd/diagnose/report.py",
}


def test_only_what_shows_itself_in_a_notebook_loads_a_room_by_name():
    found = {
        str(path.relative_to(ROOT))
        for path in files()
        if re.search(r"import_module\(f?.micrograd[.]", path.read_text())
        and room_of(path) not in (TOP | {"__init__"})
    }
    assert found == BY_NAME


def test_the_leaves_import_no_room():
    for leaf in EVERYONE:
        assert {room for room, _ in rooms_imported(PACKAGE / f"{leaf}.py")} <= EVERYONE


def circles(edges):
    """Strongly connected components of two and more, by Tarjan's algorithm."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def test_circles_are_found():
    edges = defaultdict(set, {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}})
    assert circles(edges) == [["b", "c"]]


def test_no_circle_of_rooms():
    edges = defaultdict(set)
    for path in files():
        for other, _ in rooms_imported(path):
            if room_of(path) not in ("__init__", DOOR) and other not in (
                "micrograd",
                room_of(path),
            ):
                edges[room_of(path)].add(other)
    assert circles(edges) == []


def test_no_circle_of_files():
    edges = defaultdict(set)
    for path in files():
        if room_of(path) not in ("__init__", DOOR):
            for module, _ in imports(path):
                if module not in ("micrograd", module_of(path)):
                    edges[module_of(path)].add(module)
    assert circles(edges) == []


def test_no_private_name_crosses_a_room():
    found = []
    for path in files():
        room, modules = room_of(path), {}
        for module, name in imports(path):
            if module.split(".")[1:2] == [room] or module == "micrograd._core":
                continue
            private = name and name.startswith("_") and not name.startswith("__")
            if private or any(part.startswith("_") for part in module.split(".")[1:]):
                found.append(f"{path.relative_to(ROOT)}: {module} {name or ''}".strip())
            modules[module.rpartition(".")[2]] = module
        for node in nodes(path):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                hidden = node.attr.startswith("_") and not node.attr.startswith("__")
                if hidden and node.value.id in modules and node.value.id not in ("core",):
                    found.append(f"{path.relative_to(ROOT)}: {node.value.id}.{node.attr}")
    assert found == []


def test_the_compiled_module_is_touched_by_core_and_few_rooms():
    found = defaultdict(list)
    for path in files():
        text = path.read_text()
        names = {name for _, name in imports(path)} | {
            module.rpartition(".")[2] for module, _ in imports(path)
        }
        if names & {"ffi", "lib", "_core"} or re.search(r"\bcore\.(ffi|lib)\b", text):
            found[room_of(path)].append(path.name)
    assert set(found) - {"core"} <= set(COMPILED), dict(found)
    assert len(COMPILED) <= 4


def test_few_files_lie_outside_the_rooms():
    assert len([path for path in PACKAGE.iterdir() if path.suffix in (".py", ".pyi")]) <= 12


ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()


def test_architecture_tells_of_every_room_and_of_nothing_else():
    for room in (set(ALLOWED) | TOP | EVERYONE) - {"__main__"}:
        there = (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").exists()
        told = bool(re.search(rf"`(micrograd/)?{room}(/|\.py)`", ARCHITECTURE))
        assert there == told, room


def test_architecture_names_files_that_exist():
    names = re.findall(r"`((?:micrograd|csrc|demos|tests)/[\w./]*)`", ARCHITECTURE)
    assert len(names) > 30
    assert [name for name in names if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("most", [450])
def test_files_are_of_one_idea(most):
    sources = [*files(), *(ROOT / "csrc").rglob("*.[ch]")]
    long = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in sources}
    assert {p: n for p, n in long.items() if n > most and p != "csrc/micrograd.h"} == {}


def test_functions_are_short_or_named_with_a_reason():
    found = []
    for path in files():
        for node in nodes(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or 0) - node.lineno + 1
                a = node.args
                parameters = len(a.posonlyargs + a.args + a.kwonlyargs)
                parameters -= bool(a.args) and a.args[0].arg in ("self", "cls")
                if (lines > 60 or parameters > 10) and f"`{node.name}`" not in ARCHITECTURE:
                    found.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert found == []
