"""Recomputation schedules against independent searches, and the rules of liveness."""

import heapq
import math
import random
from dataclasses import FrozenInstanceError, replace
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from micrograd import checkpoint
from micrograd.checkpoint import policies, revolve
from micrograd.checkpoint.chain import Backward, Forward, Replay, Stage, Tape, replay


def equal(n, internal=0):
    return [Stage(4, 4 * internal, 1) for _ in range(n)]


@cache
def fewest(length, slots):
    """T(l, s), written as the definition says."""
    if length == 1:
        return 0
    if slots == 0:
        return length * (length - 1) // 2
    return min(k + fewest(length - k, slots - 1) + fewest(k, slots) for k in range(1, length))


def search(stages, fits, price):
    """The least sum of price(stage), a pair, over evaluations beyond the first sweep, for any order
    with fits(...) at each event, or None: by Dijkstra's algorithm over what is in memory.

    A state is (stages swept, next to go back over, activations there, the working ones among them,
    internals there). Dropping an activation or internals is a move of its own, and free.
    fits(activations, working, internals, stage, output or None) says whether an event may happen.
    """
    n = len(stages)
    start = (0, n - 1, frozenset(), frozenset(), frozenset())
    best, heap, pushed = {start: (0, 0)}, [((0, 0), 0, start)], 0

    def moves(swept, back, there, working, inside):
        for x in there:
            yield (0, 0), (swept, back, there - {x}, working - {x}, inside)
        for x in inside:
            yield (0, 0), (swept, back, there, working, inside - {x})
        for j in [swept] if swept < n else range(back + 1):
            if j not in there | {0}:
                continue
            cost = (0, 0) if swept < n else price(stages[j])
            then = max(swept, j + 1), back, there | {j + 1}, (working & {j}) | {j + 1}
            for made in {inside, inside | {j}} if stages[j].internal_bytes else {inside}:
                if fits(there, working, made, j, j + 1):
                    yield cost, (*then, made)
        j = back
        ready = j in there | {0} and (j in inside or not stages[j].internal_bytes)
        if swept == n and ready and fits(there, working, inside, j, None):
            yield (0, 0), (n, j - 1, there, working & {j}, inside - {j})

    while heap:
        spent, _, state = heapq.heappop(heap)
        if state[1] < 0:
            return spent
        if spent > best[state]:
            continue
        for cost, then in moves(*state):
            total = (spent[0] + cost[0], spent[1] + cost[1])
            if then not in best or total < best[then]:
                best[then] = total
                pushed += 1
                heapq.heappush(heap, (total, pushed, then))
    return None


def within_slots(slots):
    def fits(there, working, inside, stage, output):
        return len(there - (working & {stage})) <= slots

    return fits


def within_bytes(stages, limit):
    def fits(there, working, inside, stage, output):
        acts = there | ({output} if output else set())
        if (inside - {stage}) - there - {0}:
            return False  # internals are kept together with the input of their stage
        size = sum(stages[x - 1].activation_bytes for x in acts)
        return size + sum(stages[x].internal_bytes for x in inside) <= limit

    return fits


# ---- the rules of liveness, on orders worked by hand ----


def test_keeping_all():
    """Activations 1 and 2 are kept, 3 is the one at hand at the turn, 4 is the output."""
    stages = [Stage(10, 0, 1), Stage(20, 0, 1), Stage(30, 0, 1), Stage(40, 0, 1)]
    order = [Forward(j) for j in range(4)] + [Backward(j) for j in (3, 2, 1, 0)]
    assert checkpoint.every(4).order(stages) == order
    assert replay(stages, order) == Replay(2, 30, 4, 100, 0, 0)


def test_recomputing_all():
    """Nothing kept: 1, then 1 and 2, 2 and 3 at once; stage 0 twice more, stage 1 once more."""
    stages = [Stage(10, 0, 1), Stage(20, 0, 5), Stage(30, 0, 7), Stage(1, 0, 9)]
    order = [
        *[Forward(0), Forward(1), Forward(2), Forward(3), Backward(3)],
        *[Forward(0), Forward(1), Backward(2), Forward(0), Backward(1), Backward(0)],
    ]
    assert revolve.with_slots(stages, 0) == order
    assert replay(stages, order) == Replay(0, 0, 2, 50, 3, 1 + 5 + 1)


def test_internals_live_from_their_tape_to_backward():
    """At Tape(0): internals 7 and output 10, twice; the first sweep's Forward(0) kept none."""
    stages = [Stage(10, 7, 1), Stage(20, 3, 1)]
    order = [Forward(0), Tape(1), Backward(1), Tape(0), Backward(0)]
    assert revolve.with_slots(stages, 1) == order
    assert replay(stages, order) == Replay(0, 0, 2, 33, 1, 1)
    twice = [Tape(0), Tape(1), Backward(1), Tape(0), Backward(0)]
    assert (
        replay([Stage(10, 7), Stage(1, 1)], twice).peak_bytes == 17
    )  # not 24: the first is of no use
    kept = [Tape(0), Tape(1), Backward(1), Backward(0)]
    assert checkpoint.every(2).order(stages) == kept
    assert replay(stages, kept) == Replay(0, 7, 2, 40, 0, 0)


def test_a_new_instance_replaces_the_old_one():
    """Activation 1 dies after its first use, is made again, and then is kept across Forward(1)
    and Backward(2): in between it takes no memory."""
    stages = equal(4)
    order = [Forward(j) for j in range(4)] + [Backward(3), Forward(0), Forward(1), Backward(2)]
    result = replay(stages, [*order, Backward(1), Backward(0)])
    assert (result.kept, result.live, result.peak_bytes, result.recomputed) == (1, 2, 8, 2)


def random_order(rng, stages):
    """A sweep and a way back, with evaluations of what is there between, some of no use."""
    n = len(stages)
    order = [rng.choice((Forward, Tape))(j) for j in range(n)]
    for back in range(n - 1, -1, -1):
        for _ in range(rng.randrange(4)):
            order.append(rng.choice((Forward, Tape))(rng.randrange(n)))
        if stages[back].internal_bytes and rng.random() < 0.7:
            order.append(Tape(back))
        order.append(Backward(back))
    return order


def follow(stages, order):
    """Replay by the words of its docstring, event by event; None where a Tape is missing."""
    instances, internals, latest, taped = [], [], {}, {}
    for at, event in enumerate(order):
        j = event.stage
        if j:
            latest[j]["read"].append(at)
        if isinstance(event, Backward):
            if stages[j].internal_bytes:
                if j not in taped:
                    return None
                taped.pop(j)["end"] = at
            continue
        latest[j + 1] = {"made": at, "read": [], "bytes": stages[j].activation_bytes}
        instances.append(latest[j + 1])
        if isinstance(event, Tape):
            taped[j] = {"made": at, "end": at, "bytes": stages[j].internal_bytes}
            internals.append(taped[j])
    rows = []
    for at in range(len(order)):
        alive = [i for i in instances if i["made"] <= at <= max([i["made"], *i["read"]])]
        kept = [i for i in alive if {*range(i["made"] + 1, at + 1)} - {*i["read"]}]
        inside = [i["bytes"] for i in internals if i["made"] <= at <= i["end"]]
        waiting = [i["bytes"] for i in internals if i["made"] < at <= i["end"] > i["made"] + 1]
        size = sum(i["bytes"] for i in kept) + sum(waiting)
        all_of_it = sum(i["bytes"] for i in alive) + sum(inside)
        rows.append((len(kept), size, len(alive), all_of_it))
    again = [e.stage for e in order[len(stages) :] if not isinstance(e, Backward)]
    costs = sum(stages[j].cost for j in again)
    return Replay(*map(max, zip(*rows, strict=True)), len(again), costs)


@pytest.mark.parametrize("seed", range(8))
def test_replay_follows_its_words(seed):
    rng = random.Random(seed)
    compared = 0
    while compared < 60:
        size = lambda: rng.choice((1, 7, 50, 300))  # noqa: E731
        stages = [Stage(size(), rng.choice((0, size())), size()) for _ in range(rng.randint(1, 6))]
        order = random_order(rng, stages)
        if (wanted := follow(stages, order)) is not None:
            assert replay(stages, order) == wanted, (stages, order)
            compared += 1


def test_stages_and_events_are_values():
    assert Stage(4) == Stage(4, 0, 1) and Forward(2) != Tape(2)
    for value, name in [
        *[(kind(1), "stage") for kind in (Forward, Tape, Backward)],
        *[(Stage(4), "cost"), (replay([Stage(4)], [Forward(0), Backward(0)]), "live")],
    ]:
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, 7)
        assert hash(value) == hash(replace(value))


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ([Forward(1), Forward(0), Backward(1), Backward(0)], "do not evaluate stages 0 to 1"),
        ([Forward(0), Backward(0), Forward(1), Backward(1)], "do not evaluate stages 0 to 1"),
        ([Forward(0), Forward(1), Backward(0), Backward(1)], "not go once from stage 1 to 0"),
        ([Forward(0), Forward(1), Backward(1)], "Backward does not go once"),
        ([Forward(0), Forward(1), Backward(1), Backward(0)], r"event 3 .*has no Tape\(0\)"),
        ([Tape(0), Forward(1), Forward(5), Backward(1), Backward(0)], "reads activation 5 before"),
    ],
)
def test_what_replay_refuses(order, says):
    with pytest.raises(ValueError, match=says):
        replay([Stage(1, 1), Stage(1)], order)


# ---- binomial ----


@pytest.mark.parametrize("slots", range(1, 21))
def test_binomial_recomputes_the_minimum(slots):
    """Every (L, slots) up to 60 x 20, against the definition."""
    for length in range(1, 61):
        result = replay(equal(length), checkpoint.binomial(slots).order(equal(length)))
        least = fewest(length, slots) - (length - 1)
        assert result.recomputed == least == revolve.fewest_recomputed(length, slots)
        assert result.kept <= slots


def test_a_long_chain_is_planned_at_once():
    order = checkpoint.binomial(10).order(equal(1024))
    result = replay(equal(1024), order)
    assert result.recomputed == revolve.fewest_recomputed(1024, 10) and result.kept == 10


@pytest.mark.parametrize("slots", [1, 2, 5, 11])
def test_binomial_evaluates_a_block_once_more_before_its_backward(slots):
    for length in (1, 2, 7, 23):
        result = replay(equal(length, 3), checkpoint.binomial(slots).order(equal(length, 3)))
        assert result.recomputed == fewest(length, slots)
        assert result.kept <= slots
        assert result.peak_bytes <= 4 * (slots + 2 + 3)


costs = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(costs, st.integers(0, 3))
def test_binomial_takes_the_cheapest_of_the_fewest(costs, slots):
    stages = [Stage(1, 0, cost) for cost in costs]
    result = replay(stages, revolve.with_slots(stages, slots))
    assert result.kept <= slots
    assert (result.recomputed, result.recomputed_cost) == search(
        stages, within_slots(slots), lambda stage: (1, stage.cost)
    )


@pytest.mark.parametrize("scale", [1, 10**6, 10**15])
def test_unequal_costs_in_a_long_chain(scale):
    """The layers of a network with a wide input: fewest evaluations still, first stage spared."""
    stages = [Stage(4, 0, 7 * scale)] + [Stage(4, 0, scale)] * 40 + [Stage(4, 0, 3)]
    for slots in (1, 3, 6):
        result = replay(stages, checkpoint.binomial(slots).order(stages))
        plain = replay(stages, checkpoint.binomial(slots).order([Stage(4, 0, 1)] * 42))
        assert result.recomputed == plain.recomputed == revolve.fewest_recomputed(42, slots)
        assert result.kept <= slots and result.recomputed_cost <= plain.recomputed_cost


# ---- segments ----


@pytest.mark.parametrize("internal", [0, 1, 3])
def test_sqrt(internal):
    """At most 2 sqrt(L) kept, and with the two the sweep works on 2 sqrt(L) + 2 at once; each
    layer at most once more, so that L evaluations bound the sum."""
    for length in [*range(1, 70), 256, 1000, 1024]:
        stages = equal(length, internal)
        order = checkpoint.sqrt().order(stages)
        result = replay(stages, order)
        layers = length * (1 + internal)
        assert result.kept <= 2 * math.sqrt(layers)
        assert result.live <= 2 * math.sqrt(layers) + 2
        assert result.peak_bytes <= 4 * (2 * math.sqrt(layers) + 2 + internal)
        evaluations = [event.stage for event in order if not isinstance(event, Backward)]
        assert max(map(evaluations.count, range(length))) <= 2
        if not internal:  # as few as any order with so many slots needs
            slots = math.isqrt(4 * length)
            assert result.recomputed == revolve.fewest_recomputed(length, slots)


@pytest.mark.parametrize("seed", range(3))
def test_sqrt_of_blocks_of_all_sizes(seed):
    """With `before` starts kept, a segment has room for all in it but the one at hand."""
    rng = random.Random(seed)
    for _ in range(60):
        inside = [rng.choice((0, 0, 1, 5, 30)) for _ in range(rng.randint(1, 40))]
        order = checkpoint.sqrt().order([Stage(4, 4 * each, 1) for each in inside])
        slots, segments = math.isqrt(4 * (len(inside) + sum(inside))), [[]]
        for event in order:
            if isinstance(event, Backward):
                segments[-1].append(event.stage)
            elif segments[-1]:  # the next one is evaluated again
                segments.append([])
        for before, segment in enumerate(reversed(segments)):
            while len(segment) > 1 and not inside[segment[-1]]:  # may be one of its own
                segment.pop()
            taken = len(segment) + sum(inside[j] for j in segment)
            assert len(segment) == 1 or taken <= slots - before + 2


@pytest.mark.parametrize("k", [1, 2, 3, 7, 20, 100])
def test_every(k):
    for length in (1, 2, 5, 20, 21, 64):
        stages = equal(length)
        order = checkpoint.every(k).order(stages)
        result = replay(stages, order)
        segments = -(-length // k)
        assert result.recomputed == (segments - 1) * (k - 1)
        assert result.kept <= segments - 1 + max(0, min(k, length) - 2)
        if k > 1:
            second = next((e for e in order[length:] if isinstance(e, Forward)), None)
            assert second == (Forward((segments - 2) * k) if segments > 1 else None)


def test_every_block_evaluated_once_more():
    """every(1) keeps all activations between blocks and nothing inside them."""
    result = replay(equal(8, 5), checkpoint.every(1).order(equal(8, 5)))
    assert result.recomputed == 7 and result.peak_bytes == 4 * (8 + 5)


# ---- budget ----

sizes = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([0, 0, 2, 5]), st.integers(1, 9)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(sizes, st.integers(0, 20))
@example([(1, 0, 1), (2, 0, 1), (1, 0, 1), (1, 0, 1)], 0)  # keeping 1 leaves no room for 2 and 3
def test_budget_is_the_cheapest_that_fits(sizes, more):
    """Against a search over everything that can be kept, for unequal sizes, internals and costs."""
    stages = [Stage(*size) for size in sizes]
    least = policies.least_bytes(stages)
    assert search(stages, within_bytes(stages, least - 1), lambda stage: (stage.cost, 1)) is None
    assert revolve.with_bytes(stages, least - 1) is None
    limit = least + more
    result = replay(stages, checkpoint.budget(limit).order(stages))
    assert result.peak_bytes <= limit
    best = search(stages, within_bytes(stages, limit), lambda stage: (stage.cost, 1))
    assert result.recomputed_cost == best[0]


def test_budget_says_the_least_it_can_do():
    stages = [Stage(10, 0, 1), Stage(20, 5, 1), Stage(30, 0, 1), Stage(1, 0, 1)]
    with pytest.raises(ValueError, match=r"49 bytes are too few, .* need at least 50"):
        checkpoint.budget(49).order(stages)
    assert replay(stages, checkpoint.budget(50).order(stages)).peak_bytes == 50


@pytest.mark.parametrize(("length", "internal"), [(30, 0), (30, 2), (101, 0), (201, 2)])
def test_budget_of_long_chains(length, internal):
    """More room never costs more by much, the least works, and all that is there costs nothing."""
    rng = random.Random(length)
    stages = [
        Stage(4 * rng.choice((17, 300, 301)), 4 * internal * 100, rng.randint(1, 10**6))
        for _ in range(length)
    ]
    least, everything = (
        policies.least_bytes(stages),
        sum(stage.activation_bytes + stage.internal_bytes for stage in stages),
    )
    spent = []
    for limit in (least, least * 3 // 2, least * 4, everything // 2, everything):
        result = replay(stages, checkpoint.budget(limit).order(stages))
        assert result.peak_bytes <= limit
        spent.append(result.recomputed_cost)
    assert spent == sorted(spent, reverse=True) and spent[-1] == 0
    first = sum(stage.cost for stage in stages)
    assert spent[3] < first


# ---- what users write ----


@pytest.mark.parametrize("make", ["every", "binomial", "budget"])
def test_numbers_that_are_none(make):
    function = getattr(checkpoint, make)
    for wrong in (1.0, "3", None, True):
        with pytest.raises(TypeError, match=rf"checkpoint\.{make}: .* an integer is wanted"):
            function(wrong)
    for wrong in (0, -3):
        with pytest.raises(ValueError, match=rf"checkpoint\.{make}: .* is {wrong}, 1 or more"):
            function(wrong)


def test_policies_are_values():
    import numpy as np

    assert checkpoint.every(4) == checkpoint.every(np.int64(4)) != checkpoint.every(5)
    assert checkpoint.every(4) != checkpoint.binomial(4)
    assert len({checkpoint.sqrt(), policies.find("sqrt"), checkpoint.budget(2)}) == 2
    some = checkpoint.every(2), checkpoint.sqrt(), checkpoint.binomial(1), checkpoint.budget(9)
    for policy in some:
        assert repr(policy) == str(policy) and eval(repr(policy)) == policy
        assert len({policy, eval(repr(policy)), checkpoint.budget(2)}) == 2
        assert checkpoint.Checkpoint.from_plain(policy.to_plain()) == policy
        assert policies.find(policy) is policy
    assert checkpoint.budget(9).to_plain() == {"name": "budget", "bytes": 9}
    assert policies.find(None) is None


def test_unknown_policies():
    with pytest.raises(ValueError, match=r"checkpoint is 'log', \"sqrt\", checkpoint.every"):
        policies.find("log")
    with pytest.raises(TypeError, match="checkpoint is 4, "):
        policies.find(4)
    with pytest.raises(ValueError, match="'log' is no policy, one of every, sqrt, "):
        checkpoint.Checkpoint.from_plain({"name": "log"})
    with pytest.raises(TypeError):
        checkpoint.Checkpoint.from_plain({"name": "every", "slots": 2})
