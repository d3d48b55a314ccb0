"""The page's arithmetic: derivatives in JavaScript, generated from the table of ops.

A rule's linear maps run on recorded Values, as they do for `mg.compile`; what they did is written
down as an expression. So the page differentiates as the engine does, kinks included. The values of
the ops are in assets/values.js, one line each; an op that is missing there cannot be computed
again in a page, and the page says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from micrograd.engine.rules import ANY, DOT, RULES, SUM, WHERE, Rule
from micrograd.engine.value import Operand
from micrograd.program.ops import CONSTANT, INPUT, PLAIN, Node
from micrograd.program.recorder import Recorder
from micrograd.program.reverse import both_ways, gradients

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<", "less_equal": "<="}
TRUTH = "?1:0)"  # how a comparison ends
_WHERE_OPERANDS = 3
# What cannot be run through once for all: ops of any number of operands, and one whose second
# operand is its order.
_WRITTEN = {
    DOT.name: "(g,z,...x)=>{const n=x.length>>1;"
    "return x.map((_,i)=>i<n?g*x[n+i]:i<2*n?g*x[i-n]:g)}",
    SUM.name: "(g,z,...x)=>x.map(()=>g)",
    "polygamma": "(g,z,x,n)=>[g*VALUES.polygamma(x,n+1),0]",
}


def asset(name: str) -> str:
    """A file of the folder assets."""
    return (files("micrograd.draw") / "assets" / name).read_text("utf-8")


@cache
def known() -> frozenset[str]:
    """The ops that a page computes: assets/values.js has their values, and their derivatives can
    be written down."""
    return frozenset(_pulls())


@cache
def _pulls() -> dict[str, str]:
    table = asset("values.js").partition("const VALUES = {")[2]
    written = set(re.findall(r"^  (\w+):", table, re.MULTILINE))
    found = {}
    for rule in (*RULES.values(), *PLAIN):
        if rule.name in written:
            try:
                found[rule.name] = pull(rule)
            except TypeError:
                continue  # its derivative wants a number, not an operand: not for a page
    return found


def literal(x: float) -> str:
    """A number of JavaScript."""
    if math.isfinite(x):
        return repr(x)
    return "NaN" if x != x else "Infinity" if x > 0 else "-Infinity"


def _expression(node: Node, x: Sequence[str]) -> str:
    rule = node.rule
    if rule is CONSTANT:
        return literal(node.value)
    if rule.name in ("less", "less_equal"):
        return f"({x[0]}{INFIX[rule.name]}{x[1]}{TRUTH}"
    if rule.name in INFIX:
        right = f" {x[1]}" if x[1].startswith("-") else x[1]
        return f"({x[0]}{INFIX[rule.name]}{right})"
    if rule.name == "neg":
        return f"(-{x[0]})" if not x[0].startswith("-") else f"(- {x[0]})"
    if rule.name == "where":
        known_truth = x[0].endswith(TRUTH)
        condition = x[0][1 : -len(TRUTH)] if known_truth else f"{x[0]}!==0"
        return f"({condition}?{x[1]}:{x[2]})"
    return f"VALUES.{rule.name}({','.join(x)})"


def pull(rule: Rule) -> str:
    """The shares of a rule's operands as a function of JavaScript: (g, z, ...operands) => [...]."""
    if rule.name in _WRITTEN:
        return _WRITTEN[rule.name]
    if rule in PLAIN:
        return "(g,z,...x)=>x.map(()=>0)"
    arity = _WHERE_OPERANDS if rule.arity == ANY else rule.arity
    recorder = Recorder(gradients)
    with recorder.in_force():
        g, z, *operands = (recorder.input(0, i) for i in range(arity + 2))
        if rule.pull is None:  # one map at a time: each asks for its own comparisons only
            maps = [linear for linear in (rule.dx, rule.dy)[:arity] if linear is not None]
            shares = [_share(recorder, linear, (g, z, *operands)) for linear in maps]
        else:
            shares = list(both_ways(recorder, lambda: rule.contributions(g, z, operands)))
        places = [recorder.place(x) for x in shares]
    arguments = ["g", "z", "x", "y", "w"][: arity + 2]
    code = body(recorder.nodes, places, lambda _, column: arguments[column])
    return f"({','.join(arguments)})=>{code}"


def _share(recorder: Recorder, linear: Callable[..., Operand], arguments: Sequence[Any]) -> Operand:
    return both_ways(recorder, lambda: [linear(*arguments)])[0]


def _merged(nodes: Sequence[Node]) -> list[int]:
    """For each node the first that is the same; a choice between equals is that one."""
    first: dict[tuple[Rule, tuple[int, ...], str], int] = {}
    found: list[int] = []
    for i, node in enumerate(nodes):
        operands = node.operands
        if node.rule not in (INPUT, CONSTANT):
            operands = tuple(found[u] for u in operands)
            if node.rule is WHERE and operands[1] == operands[2]:
                found.append(operands[1])
                continue
        found.append(first.setdefault((node.rule, operands, repr(node.value)), i))
    return found


def body(nodes: Sequence[Node], places: Sequence[int], argument: Callable[[int, int], str]) -> str:
    """An array of expressions; what is used twice gets a name first.

    argument: what the input is called that is column so-and-so of argument so-and-so.
    """
    same = _merged(nodes)
    wanted = [same[place] for place in places]
    uses = [0] * len(nodes)
    for place in wanted:
        uses[place] += 1
    for i in range(len(nodes) - 1, -1, -1):
        if uses[i] and nodes[i].rule not in (INPUT, CONSTANT):
            for operand in nodes[i].operands:
                uses[same[operand]] += 1
    names = [""] * len(nodes)
    statements: list[str] = []
    for i, node in enumerate(nodes):
        if node.rule is INPUT:
            names[i] = argument(*node.operands)
        elif uses[i]:
            names[i] = _expression(node, [names[same[operand]] for operand in node.operands])
            if uses[i] > 1 and node.rule is not CONSTANT:
                statements.append(f"const t{len(statements)}={names[i]};")
                names[i] = f"t{len(statements) - 1}"
    listed = f"[{','.join(names[place] for place in wanted)}]"
    return f"{{{''.join(statements)}return {listed}}}" if statements else listed


@cache
def script(names: frozenset[str] | None = None) -> str:
    """VALUES, PULLS and BOUNDED, for these ops and what they need, or for all that the page knows.

    VALUES[op](...operands) is what an op computes, PULLS[op](g, z, ...operands) the shares of its
    operands; BOUNDED are the ops that send exactly 0 for a g of 0.
    """
    rules: list[Rule] = [*RULES.values(), *PLAIN]
    pulls = _pulls()
    head, _, table = asset("values.js").partition("const VALUES = {\n")
    values = _entries(table.removesuffix("};\n"), r"^  (?=\w+: )")
    helpers = _entries(head, r"^(?=function |const )")
    if names is not None:
        wanted = _needed([*names & known()], values, pulls)
        pulls = {name: text for name, text in pulls.items() if name in names}
        values = {name: text for name, text in values.items() if name in wanted}
        used = _needed([], helpers, {}, "".join(values.values()))
        helpers = {name: text for name, text in helpers.items() if name in used}
    bounded = ", ".join(f'"{rule.name}"' for rule in rules if rule.bounded and rule.name in pulls)
    listed = ",\n".join(f"  {name}: {text}" for name, text in pulls.items())
    return (
        f"{''.join(helpers.values())}const VALUES = {{\n{''.join(values.values())}}};\n"
        f"const PULLS = {{\n{listed}\n}};\nconst BOUNDED = new Set([{bounded}]);\n"
    )


def _entries(source: str, start: str) -> dict[str, str]:
    """The parts of a source by the name that each defines."""
    found = {}
    for part in re.split(start, source, flags=re.MULTILINE):
        name = re.match(r"(?:function |const )?(\w+)", part)
        if name and not part.startswith("//"):
            found[name.group(1)] = f"{part}"
    return found


def _needed(
    names: list[str], values: Mapping[str, str], pulls: Mapping[str, str], text: str = ""
) -> set[str]:
    """These names and those that their texts mention, and theirs in turn."""
    found: set[str] = set()
    waiting = [*names, *(word for word in re.findall(r"\w+", text) if word in values)]
    for name in waiting:  # grows meanwhile
        if name not in found:
            found.add(name)
            texts = values.get(name, "") + pulls.get(name, "")
            waiting += [word for word in re.findall(r"\w+", texts) if word in values]
    return found
