"""The first half of a layered drawing: which rank a node has, and its place among those beside it.

Sugiyama's scheme: a rank is a column, edges go from left to right. An edge over several ranks goes
through dummy nodes, which edges from one source share: what goes the same way is drawn as one line
until it parts. Places within a rank follow from sweeps of medians (Gansner et al. 1993, section 3)
and exchanges of neighbours; the fewest crossings seen are kept.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

SWEEPS = 24
PATIENCE = 4  # sweeps without an improvement, then it ends
FEW, RESTARTS = 400, 6  # up to so many segments, so many shuffled starts more
EXCHANGED = 6_000  # with more segments, neighbours are not exchanged: it takes longest
WORK = 400_000  # segments times sweeps, at most: what a second or so allows


@dataclass
class Layered:
    """A graph whose edges all go from one rank to the next.

    n: real nodes; the others are dummies. rank: of each node. ranks: the nodes of each rank in
    their order. before, after: neighbours in the ranks before and after, each with the port at
    which the segment arrives, 0 to 1 from the top of the later node.
    chains: for each edge, the nodes it goes through from its source to its target.
    """

    n: int
    rank: list[int]
    ranks: list[list[int]] = field(default_factory=list)
    before: list[list[tuple[int, float]]] = field(default_factory=list)
    after: list[list[tuple[int, float]]] = field(default_factory=list)
    chains: list[list[int]] = field(default_factory=list)


def longest_path(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Ranks, 0 at the left: as far from the end as the longest path to it, so inputs lie near
    where they are used.

    Raises:
        ValueError: the edges go round in a circle.
    """
    after: list[list[int]] = [[] for _ in range(n)]
    waiting = [0] * n
    before: list[list[int]] = [[] for _ in range(n)]
    for u, v in edges:
        before[v].append(u)
        after[u].append(v)
        waiting[u] += 1
    height = [0] * n
    ready = [v for v in range(n) if not waiting[v]]
    for v in ready:  # grows meanwhile
        for u in before[v]:
            height[u] = max(height[u], height[v] + 1)
            waiting[u] -= 1
            if not waiting[u]:
                ready.append(u)
    if len(ready) < n:
        raise ValueError("layout: the edges go round in a circle")
    top = max(height, default=0)
    return [top - h for h in height]


def with_dummies(
    n: int, edges: Sequence[tuple[int, int]], ports: Sequence[float], rank: list[int]
) -> Layered:
    """The graph with dummies where an edge passes a rank."""
    graph = Layered(n, list(rank))
    graph.before = [[] for _ in range(n)]
    graph.after = [[] for _ in range(n)]
    trunks: dict[int, list[int]] = {}

    def link(u: int, v: int, port: float) -> None:
        graph.after[u].append((v, port))
        graph.before[v].append((u, port))

    for (u, v), port in zip(edges, ports, strict=True):
        trunk = trunks.setdefault(u, [u])
        while graph.rank[trunk[-1]] < rank[v] - 1:
            dummy = len(graph.rank)
            graph.rank.append(graph.rank[trunk[-1]] + 1)
            graph.before.append([])
            graph.after.append([])
            link(trunk[-1], dummy, 0.5)
            trunk.append(dummy)
        chain = trunk[: rank[v] - rank[u]]
        link(chain[-1], v, port)
        graph.chains.append([*chain, v])
    for neighbours in graph.before:
        neighbours.sort(key=lambda pair: pair[1])
    return graph


def count_places(n: int, edges: Sequence[tuple[int, int]]) -> int:
    """How many nodes and dummies with_dummies would make: what a layout's time grows with.

    Raises:
        ValueError: the edges go round in a circle.
    """
    rank = longest_path(n, edges)
    passed = [0] * n
    for u, v in edges:
        passed[u] = max(passed[u], rank[v] - rank[u] - 1)
    return n + sum(passed)


def first_order(graph: Layered) -> list[list[int]]:
    """Ranks as a search from the results backwards meets their nodes, operands in order."""
    ranks: list[list[int]] = [[] for _ in range(max(graph.rank, default=-1) + 1)]
    seen = [False] * len(graph.rank)
    stack = [v for v in reversed(range(len(graph.rank))) if not graph.after[v]]
    while stack:
        v = stack.pop()
        if not seen[v]:
            seen[v] = True
            ranks[graph.rank[v]].append(v)
            stack.extend(u for u, _ in reversed(graph.before[v]) if not seen[u])
    return ranks


def crossings(graph: Layered, ranks: Sequence[Sequence[int]]) -> int:
    """How many pairs of segments cross (Barth, Jünger and Mutzel 2002: by inversions)."""
    total = 0
    for left, right in itertools.pairwise(ranks):
        place = {v: i for i, v in enumerate(right)}
        ends = []
        for u in left:
            ends += sorted((place[v], port) for v, port in graph.after[u])
        numbers = {end: i for i, end in enumerate(sorted(set(ends)))}
        tree = [0] * (len(numbers) + 1)
        for seen, end in enumerate(ends):
            at = numbers[end] + 1
            i, below = at, 0
            while i:  # those before it that end no further down
                below += tree[i]
                i &= i - 1
            total += seen - below
            i = at
            while i < len(tree):
                tree[i] += 1
                i += i & -i
    return total


def _median(places: list[float]) -> float:
    """The weighted median of sorted places: between the middle two, nearer the denser side."""
    m = len(places) // 2
    if len(places) % 2:
        return places[m]
    if len(places) == 2:
        return (places[0] + places[1]) / 2
    left, right = places[m - 1] - places[0], places[-1] - places[m]
    if left + right == 0:
        return (places[m - 1] + places[m]) / 2
    return (places[m - 1] * right + places[m] * left) / (left + right)


def _sort_rank(nodes: list[int], wanted: dict[int, float]) -> list[int]:
    """By wanted place; those that want none stay where they are."""
    movable = iter(sorted((v for v in nodes if v in wanted), key=wanted.__getitem__))
    return [next(movable) if v in wanted else v for v in nodes]


def sweep(graph: Layered, ranks: list[list[int]], forwards: bool) -> None:
    """Puts every rank in the order of the medians of its neighbours in the rank before it."""
    order = range(1, len(ranks)) if forwards else range(len(ranks) - 2, -1, -1)
    for r in order:
        beside = ranks[r - 1 if forwards else r + 1]
        place = {v: float(i) for i, v in enumerate(beside)}
        wanted = {}
        for v in ranks[r]:
            if forwards:
                places = sorted(place[u] for u, _ in graph.before[v])
            else:
                places = sorted(place[w] + port / 2 for w, port in graph.after[v])
            if places:
                wanted[v] = _median(places)
        ranks[r] = _sort_rank(ranks[r], wanted)


def _cross(a: list[float], b: list[float]) -> int:
    """Crossings of segments to the sorted places a from one node and b from the node below it."""
    return sum(len(a) - bisect_right(a, y) for y in b)


def transpose(graph: Layered, ranks: list[list[int]], rounds: int = 8) -> None:
    """Exchanges neighbours within a rank while that takes crossings away."""
    place = {v: i for nodes in ranks for i, v in enumerate(nodes)}
    for _ in range(rounds):
        changed = False
        for nodes in ranks:
            sides = {
                v: (
                    sorted(float(place[u]) for u, _ in graph.before[v]),
                    sorted(place[w] + port / 2 for w, port in graph.after[v]),
                )
                for v in nodes
            }
            for i in range(len(nodes) - 1):
                v, w = nodes[i], nodes[i + 1]
                (a, b), (c, d) = sides[v], sides[w]
                now, then = _cross(a, c) + _cross(b, d), _cross(c, a) + _cross(d, b)
                if then < now:
                    nodes[i], nodes[i + 1] = w, v
                    place[v], place[w] = i + 1, i
                    changed = True
        if not changed:
            return


def order(graph: Layered) -> None:
    """Sets graph.ranks to the order with the fewest crossings that the sweeps come by."""
    segments = sum(map(len, graph.after))
    sweeps = min(SWEEPS, max(1, WORK // max(1, segments)))
    start = first_order(graph)
    best, fewest = start, crossings(graph, start)
    for begin in _starts(start, segments):
        for first in (False, True):
            ranks = [list(nodes) for nodes in begin]
            idle = 0
            for i in range(sweeps):
                if not fewest or idle >= PATIENCE:
                    break
                sweep(graph, ranks, forwards=first == bool(i % 2))
                if segments <= EXCHANGED:
                    transpose(graph, ranks)
                now = crossings(graph, ranks)
                idle = 0 if now < fewest else idle + 1
                if now < fewest:
                    best, fewest = [list(nodes) for nodes in ranks], now
    graph.ranks = best


def _starts(start: list[list[int]], segments: int) -> list[list[list[int]]]:
    """Orders to begin with: the given one and, where that takes no time, some shuffled ones.

    The shuffles are the same in every run.
    """
    starts = [start]
    if segments <= FEW:
        for seed in range(RESTARTS):
            draw = Random(seed)
            starts.append([draw.sample(nodes, len(nodes)) for nodes in start])
    return starts
