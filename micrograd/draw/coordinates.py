"""The second half of a layered drawing: where in its column each node stands.

Brandes and Köpf 2002: nodes are aligned with the median of their neighbours into blocks, four
times, from either side and with either bias; each block takes the tightest place; of the four
places a node gets the mean of the middle two. Edges over several ranks come out straight.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from micrograd.draw.layers import Layered


def _conflicts(graph: Layered) -> set[tuple[int, int]]:
    """Segments that cross one between two dummies: they give way, the long edge stays straight."""
    place = {v: i for nodes in graph.ranks for i, v in enumerate(nodes)}
    found: set[tuple[int, int]] = set()
    for left, right in zip(graph.ranks, graph.ranks[1:], strict=False):
        inner_before, scanned = 0, 0
        for i, v in enumerate(right):
            inner = next(
                (u for u, _ in graph.before[v] if u >= graph.n) if v >= graph.n else iter(()), None
            )
            if inner is None and i < len(right) - 1:
                continue
            inner_here = len(left) - 1 if inner is None else place[inner]
            for w in right[scanned : i + 1]:
                for u, _ in graph.before[w]:
                    if not inner_before <= place[u] <= inner_here and not (
                        u >= graph.n and w >= graph.n
                    ):
                        found.add((u, w))
            scanned, inner_before = i + 1, inner_here
    return found


def _align(
    ranks: Sequence[Sequence[int]],
    neighbours: Sequence[Sequence[int]],
    conflicts: set[tuple[int, int]],
    total: int,
) -> tuple[list[int], list[int]]:
    """Blocks of nodes in one line: the root of each node, and the next node of its block."""
    root, align = list(range(total)), list(range(total))
    place = {v: i for nodes in ranks for i, v in enumerate(nodes)}
    for nodes in ranks:
        furthest = -1
        for v in nodes:
            beside = sorted(neighbours[v], key=place.__getitem__)
            if not beside:
                continue
            for m in sorted({(len(beside) - 1) // 2, len(beside) // 2}):
                u = beside[m]
                if align[v] != v or furthest >= place[u]:
                    continue
                if (u, v) in conflicts or (v, u) in conflicts:
                    continue
                align[u], root[v], align[v] = v, root[u], root[u]
                furthest = place[u]
    return root, align


def _compact(
    ranks: Sequence[Sequence[int]], root: Sequence[int], size: Sequence[float], gap: float
) -> list[float]:
    """The tightest places of the blocks, from above and then pulled together from below."""
    below: dict[int, dict[int, float]] = {}
    waiting: dict[int, int] = {}
    for nodes in ranks:
        for v in nodes:
            below.setdefault(root[v], {})
            waiting.setdefault(root[v], 0)
        for v, w in itertools.pairwise(nodes):
            distance = (size[v] + size[w]) / 2 + gap
            known = below[root[v]].get(root[w])
            if known is None:
                waiting[root[w]] += 1
            below[root[v]][root[w]] = max(distance, known or 0.0)
    place = dict.fromkeys(waiting, 0.0)
    ready = [block for block, count in waiting.items() if not count]
    for block in ready:  # grows meanwhile
        for other, distance in below[block].items():
            place[other] = max(place[other], place[block] + distance)
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    for block in reversed(ready):
        if below[block]:
            room = min(place[other] - distance for other, distance in below[block].items())
            place[block] = max(place[block], room)
    return [place[root[v]] for v in range(len(root))]


def places(graph: Layered, size: Sequence[float], gap: float) -> list[float]:
    """The middle of every node, dummies too, along its rank; the topmost edge is at 0.

    size: of each node along the rank; gap: the least distance between two.
    """
    total = len(graph.rank)
    if not total:
        return []
    conflicts = _conflicts(graph)
    before = [[u for u, _ in pairs] for pairs in graph.before]
    after = [[w for w, _ in pairs] for pairs in graph.after]
    candidates = []
    for backwards in (False, True):
        for mirrored in (False, True):
            ranks = [nodes[::-1] if mirrored else nodes for nodes in graph.ranks]
            if backwards:
                ranks = ranks[::-1]
            root, _ = _align(ranks, after if backwards else before, conflicts, total)
            found = _compact(ranks, root, size, gap)
            candidates.append([-y for y in found] if mirrored else found)
    return _balance(candidates, size)


def _balance(candidates: list[list[float]], size: Sequence[float]) -> list[float]:
    """The mean of the middle two of the four places, after all four lie on the narrowest."""

    def span(ys: Sequence[float]) -> tuple[float, float]:
        return (
            min(y - s / 2 for y, s in zip(ys, size, strict=True)),
            max(y + s / 2 for y, s in zip(ys, size, strict=True)),
        )

    spans = [span(ys) for ys in candidates]
    low, high = min(spans, key=lambda pair: pair[1] - pair[0])
    shifted = []
    for i, (ys, (top, bottom)) in enumerate(zip(candidates, spans, strict=True)):
        shift = high - bottom if i % 2 else low - top
        shifted.append([y + shift for y in ys])
    middle = []
    for four in zip(*shifted, strict=True):
        _, b, c, _ = sorted(four)
        middle.append((b + c) / 2)
    top = span(middle)[0]
    return [y - top for y in middle]
