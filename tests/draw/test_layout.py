"""The layered layout: ranks, no overlap, straight long edges, few crossings, the same bytes."""

import itertools
import os
import random
import subprocess
import sys

import pytest

from micrograd.draw.layout import layout


def layered(seed):
    """A graph whose edges go from each layer to the next, and nowhere else."""
    rng = random.Random(seed)
    layers, n = [], 0
    for _ in range(rng.randint(3, 8)):
        size = rng.randint(2, 10)
        layers.append(range(n, n + size))
        n += size
    edges = set()
    for left, right in itertools.pairwise(layers):
        edges |= {(rng.choice(left), v) for v in right} | {(u, rng.choice(right)) for u in left}
        edges |= {(rng.choice(left), rng.choice(right)) for _ in range(rng.randint(0, n // 2))}
    rank = {v: r for r, layer in enumerate(layers) for v in layer}
    return n, rank, sorted(edges)


def crossings(rank, y, edges):
    """Pairs of straight edges between the same two ranks that cross, one by one."""
    return sum(
        rank[a] == rank[c] and (y[a] - y[c]) * (y[b] - y[d]) < 0
        for i, (a, b) in enumerate(edges)
        for c, d in edges[:i]
    )


def test_crossings_beside_fast_sugiyama():
    fast_sugiyama = pytest.importorskip("fast_sugiyama")
    ours = theirs = 0
    for seed in range(200):
        n, rank, edges = layered(seed)
        found = layout([(10, 10)] * n, edges)
        assert found.ranks == [rank[v] for v in range(n)]
        ours_here = crossings(rank, [y for _, y in found.boxes], edges)
        places = {v: p for part in fast_sugiyama.from_edges(edges) for v, p in part[0]}
        theirs_here = crossings(rank, {v: x for v, (x, _) in places.items()}, edges)
        assert ours_here <= 1.15 * theirs_here, seed
        ours, theirs = ours + ours_here, theirs + theirs_here
    assert 1000 < ours <= theirs


def random_graph(seed):
    """Any acyclic graph, long edges and several between the same two nodes included."""
    rng = random.Random(seed)
    n = rng.randint(1, 40)
    pairs = [sorted(rng.sample(range(n), 2)) for _ in range(rng.randint(0, 2 * n))] if n > 1 else []
    sizes = [(rng.uniform(20, 150), rng.uniform(20, 90)) for _ in range(n)]
    return sizes, [tuple(pair) for pair in pairs], [rng.random() for _ in pairs]


@pytest.mark.parametrize("seed", range(60))
def test_nothing_overlaps_and_edges_arrive(seed):
    sizes, edges, ports = random_graph(seed)
    found = layout(sizes, edges, ports, gap=9.0)
    corners = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(found.boxes, sizes, strict=True)]
    for i, a in enumerate(corners):
        assert min(a[:2]) >= -1e-6 and a[2] <= found.width + 1e-6 and a[3] <= found.height + 1e-6
        for b in corners[:i]:
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] - 8.99 or b[3] <= a[1] - 8.99
            assert apart, (a, b)
    for (u, v), port, route in zip(edges, ports, found.routes, strict=True):
        assert found.ranks[u] < found.ranks[v]
        assert route[0] == pytest.approx((corners[u][2], (corners[u][1] + corners[u][3]) / 2))
        height = corners[v][3] - corners[v][1]
        assert route[-1] == pytest.approx((corners[v][0], corners[v][1] + port * height))
        assert all(p[0] <= q[0] + 1e-6 for p, q in itertools.pairwise(route))


def test_ranks_are_longest_paths_to_the_end():
    edges = [(0, 1), (1, 2), (2, 3), (4, 3), (0, 3), (5, 2)]
    assert layout([(10, 10)] * 6, edges).ranks == [0, 1, 2, 3, 2, 1]


def test_a_long_edge_is_straight_between_its_ends():
    chain = [(i, i + 1) for i in range(6)]
    found = layout([(10, 10)] * 7, [*chain, (0, 6)])
    inner = found.routes[-1][1:-1]
    assert len(inner) == 10
    assert len({y for _, y in inner}) == 1


def test_a_chain_is_one_straight_line():
    found = layout([(10, 10 + i) for i in range(9)], [(i, i + 1) for i in range(8)])
    assert len({round(y + (10 + i) / 2, 6) for i, (_, y) in enumerate(found.boxes)}) == 1


def test_a_circle_is_an_error():
    with pytest.raises(ValueError, match="circle"):
        layout([(10, 10)] * 3, [(0, 1), (1, 2), (2, 1)])


def test_no_nodes():
    assert layout([], []).boxes == []


PROGRAM = """
import random
import micrograd as mg
from micrograd.nn import MLP
random.seed(1)
y = MLP(2, [5, 5, 1])([mg.Value(1.0), mg.Value(-2.0, label='b')])
y.backward()
d = mg.draw(y)
print(d.svg, d.html, d.mermaid, d.dot, mg.draw(y, collapse=True).svg)
"""


def test_the_same_bytes_in_every_process():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
    assert len(outputs.pop()) > 50_000
