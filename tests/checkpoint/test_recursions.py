"""Tables of the dynamic programme against their recursions, written down as they are defined."""

import itertools
import math
import random
from functools import cache

import pytest

from micrograd import checkpoint
from micrograd.checkpoint import policies, revolve
from micrograd.checkpoint.chain import Stage, replay


def cheapest(costs, slots):
    """Fewest evaluations beyond the first sweep, then their least cost, as T(l, s) is defined."""
    until = [sum(costs[:i]) for i in range(len(costs) + 1)]

    @cache
    def least(i, j, s):
        if j == i + 1:
            return 0, 0
        found = []
        for k in range(i + 1, j) if s else [j - 1]:
            near, far = least(i, k, s), least(k, j, max(s - 1, 0))
            found.append((k - i + near[0] + far[0], until[k] - until[i] + near[1] + far[1]))
        return min(found)

    evaluations, cost = least(0, len(costs), slots)
    return evaluations - len(costs) + 1, cost - until[-2]


@pytest.mark.parametrize(("slots", "dear"), [(1, 30), (3, 10**6)])
def test_up_to_100_stages_the_cheapest_of_the_fewest_is_taken(slots, dear):
    """However cheap the first stage is beside others."""
    costs = [1, *(random.Random(i).choice((1, dear)) for i in range(1, revolve.STAGES))]
    stages = [Stage(1, 0, cost) for cost in costs]
    result = replay(stages, revolve.with_slots(stages, slots))
    assert (result.recomputed, result.recomputed_cost) == cheapest(costs, slots)


def cheapest_within(stages, limit):
    """What with_bytes's recursion costs beyond the first sweep, in bytes; inf where none fits."""
    n = len(stages)

    def sweep(i, k):
        sizes = [0, *(stage.activation_bytes for stage in stages[i:k])]
        return max(a + b for a, b in itertools.pairwise(sizes))

    @cache
    def least(i, j, room):
        first = stages[i]
        both = first.activation_bytes + first.internal_bytes
        if j == i + 1:
            wanted = both if j == n or first.internal_bytes else 0
            again = first.cost if j < n and first.internal_bytes else 0
            return again if wanted <= room else math.inf
        found = [math.inf]
        if first.internal_bytes:
            found.append(first.cost + least(i + 1, j, room - both))
        for k in range(i + 1, j):
            if sweep(i, k) <= room:
                costs = sum(stage.cost for stage in stages[i:k])
                held = stages[k - 1].activation_bytes
                found.append(costs + least(i, k, room) + least(k, j, room - held))
        return min(found)

    return least(0, n, limit) - sum(stage.cost for stage in stages[:-1])


@pytest.mark.parametrize("seed", range(4))
def test_with_bytes_is_its_recursion(seed):
    rng = random.Random(seed)
    for _ in range(60):
        size, most = rng.choice((1, 5, 30)), rng.choice((1, 3, 9))
        inside = lambda: rng.choice((0, 0, rng.randint(1, 5 * size)))  # noqa: B023, E731
        n = rng.randint(1, 6)
        stages = [Stage(rng.randint(1, size), inside(), rng.randint(1, most)) for _ in range(n)]
        everything = sum(stage.activation_bytes + stage.internal_bytes for stage in stages)
        for limit in (rng.randint(1, everything), everything):
            order = revolve.with_bytes(stages, limit)
            result = replay(stages, order) if order else None
            assert result is None or result.peak_bytes <= limit
            cost = result.recomputed_cost if result else math.inf
            assert cost == cheapest_within(stages, limit), (stages, limit)


def test_a_common_divisor_of_the_sizes_makes_the_table_as_small():
    """And bytes beyond its multiples are of no use."""
    stages = [Stage(*size) for size in ((3, 0, 5), (1, 4, 2), (2, 0, 1), (5, 7, 3), (2, 2, 4))]
    large = [Stage(s.activation_bytes << 30, s.internal_bytes << 30, s.cost) for s in stages]
    for limit in range(1, 30):
        order = revolve.with_bytes(stages, limit)
        assert revolve.with_bytes(large, limit << 30) == order
        assert revolve.with_bytes(large, (limit + 1 << 30) - 1) == order


def test_sizes_without_one_are_rounded_up():
    """Bytes by the hundred million in a table of some thousand levels: close to the cheapest."""
    rng = random.Random(6)
    sizes = [(rng.randint(1, 9), rng.choice((0, 4, 9)), rng.randint(1, 9)) for _ in range(40)]
    fine = [Stage(10 * a, 10 * b, cost) for a, b, cost in sizes]
    large = [Stage(a * 10**8 + rng.randrange(2), b * 10**8, cost) for a, b, cost in sizes]
    for limit in (30, 60, 120):
        result = replay(large, revolve.with_bytes(large, limit * 10**8))
        assert result.peak_bytes <= limit * 10**8
        best, less = (
            replay(fine, revolve.with_bytes(fine, size)).recomputed_cost
            for size in (10 * limit, 9 * limit)
        )
        assert best <= result.recomputed_cost <= less


@pytest.mark.parametrize("seed", range(4))
def test_chains_that_are_too_long_are_grouped_or_run_by_slots(seed, monkeypatch):
    """Here more than 4 stages are, and the costs are those of either way, each by its words."""
    monkeypatch.setattr(revolve, "STAGES", 4)
    rng, by_groups, by_slots = random.Random(seed), 0, 0
    for _ in range(60):
        n = rng.randint(5, 12)
        stages = [Stage(4, rng.choice((0, 0, 3, 40)), rng.randint(1, 9)) for _ in range(n)]
        size = -(-n // 4)
        groups = []
        for group in (stages[i : i + size] for i in range(0, n, size)):
            sizes = sum(stage.activation_bytes + stage.internal_bytes for stage in group)
            groups.append(Stage(4, sizes - 4, sum(stage.cost for stage in group)))
        most = sum(stage.activation_bytes + stage.internal_bytes for stage in stages)
        limit = rng.randint(policies.least_bytes(stages), most - 1)
        result = replay(stages, checkpoint.budget(limit).order(stages))
        of_slots = [replay(stages, revolve.with_slots(stages, s)) for s in range(n - 1)]
        peaks = [one.peak_bytes for one in of_slots]
        if peaks != sorted(peaks):  # most slots that fit are looked for by bisection
            continue
        fitting = [one.recomputed_cost for one in of_slots if one.peak_bytes <= limit]
        of_groups = cheapest_within(groups, limit)
        assert result.peak_bytes <= limit
        assert result.recomputed_cost <= min(fitting)
        assert result.recomputed_cost in (min(fitting), of_groups)
        by_groups += result.recomputed_cost < min(fitting)
        by_slots += result.recomputed_cost < of_groups
    assert by_groups > 5 and by_slots > 5
