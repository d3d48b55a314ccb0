"""Optimal orders of recomputation: Revolve's closed form, and a dynamic programme where it is none.

Going back over stages i..j-1 from activation i either stops at the last of them, or sweeps forward
to an activation k, keeps it, goes back over k..j-1 with one slot less, frees it and goes back over
i..k-1. With T(l, s) the fewest evaluations of a stage that lead from the input to the activations
that Backward reads, for l stages of equal cost and s activations kept besides the input,

    T(1, s) = 0,   T(l, 0) = l (l - 1) / 2,   T(l, s) = min over k of k + T(k, s) + T(l - k, s - 1),

of which l - 1 belong to the first sweep, which has to be made for the loss anyway.
Griewank and Walther, "Algorithm 799: revolve", ACM TOMS 26(1), 2000; they count the input as a
checkpoint, so that their number of checkpoints is s + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb, gcd

import numpy as np

from micrograd.checkpoint.chain import Backward, Event, Forward, Stage, evaluate
from micrograd.core import Array

STAGES = 100  # the dynamic programme is for chains up to this length ...
ENTRIES = 4_000_000  # ... and for so many entries of its table: 32 MB, about a second


def _reach(slots: int, sweeps: int) -> int:
    """The longest chain in which no stage is evaluated more than `sweeps` times."""
    return comb(slots + 1 + sweeps, sweeps) if sweeps >= 0 else 0


def _sweeps(length: int, slots: int) -> int:
    """The most times that an optimal order evaluates one stage."""
    sweeps = 0
    while _reach(slots, sweeps) < length:
        sweeps += 1
    return sweeps


def fewest_recomputed(length: int, slots: int) -> int:
    """The fewest stage evaluations beyond the first sweep, for stages without internals.

    T(l, s) - (l - 1) in closed form: T(l, s) = r l - C(s + 1 + r, r - 1), where r is the least
    number with l <= C(s + 1 + r, r) (Griewank and Walther 2000, section 2).

    Args:
        length: l, number of stages, 1 or more.
        slots: s, most activations kept besides the input, 0 or more.
    """
    sweeps = _sweeps(length, slots)
    return sweeps * length - _reach(slots + 1, sweeps - 1) - (length - 1)


def _furthest(length: int, slots: int) -> int:
    """The furthest activation k that an optimal first sweep may keep, in closed form."""
    sweeps = _sweeps(length, slots)
    return min(_reach(slots, sweeps - 1), length - _reach(slots - 1, sweeps - 1))


# (i, j, room) -> (k, room left): where to stop on the way from i to j. k is an activation in
# i+1..j-1, or i to keep what is inside stage i on the way; the rest is for k..j (i+1..j then).
Split = Callable[[int, int, int], tuple[int, int]]


def _orders(stages: Sequence[Stage], split: Split, capacity: int) -> list[Event]:
    """Lays out in time what `split` decides about each part of the chain."""
    n = len(stages)
    out: list[Event] = []
    todo: list[Event | tuple[int, int, int]] = [(0, n, capacity)]
    while todo:
        item = todo.pop()
        if not isinstance(item, tuple):
            out.append(item)
            continue
        i, j, room = item
        if j == i + 1:
            if j == n or stages[i].internal_bytes:
                out.append(evaluate(stages, i))
            out.append(Backward(i))
            continue
        k, rest = split(i, j, room)
        if k == i:  # keep what is inside stage i, too
            out.append(evaluate(stages, i))
            todo += [Backward(i), (i + 1, j, rest)]
        else:
            out += [Forward(stage) for stage in range(i, k)]
            todo += [(i, k, room), (k, j, rest)]
    return out


def _closed_form(i: int, j: int, room: int) -> tuple[int, int]:
    return i + _furthest(j - i, room), max(0, room - 1)


@dataclass
class _Problem:
    """What the dynamic programme is asked.

    rooms: the room that each level of the table stands for, equally spaced.
    cost[i]: of evaluating stage i. held[k]: levels that keeping activation k takes.
    taped[i]: levels for the output and internals of stage i; inf where they may not be kept or
    there are none. sweep[i, k]: room that a sweep from activation i to k needs. back[i]: room to
    evaluate stage i right before Backward. again[i]: cost of that evaluation.
    turn_is_free: the activation before the last stage of a part takes no room.
    """

    rooms: Array

    cost: Array
    held: Array
    taped: Array
    sweep: Array
    back: Array
    again: Array
    turn_is_free: bool


class _Table:
    """best[i, j, room]: the least cost of going back over i..j-1 from activation i, first sweep
    included, exact; O(n^3 room) time in O(n^2) numpy calls.

    The recursion is that of Beaumont, Eyraud-Dubois, Herrmann, Joly and Shilova, "Optimal
    checkpointing for heterogeneous chains: how to train deep neural networks with limited memory"
    (2019), theorem 1: checkpoint an activation on the way, or keep all that a stage holds inside.
    """

    def __init__(self, problem: _Problem) -> None:
        self.problem = problem
        n, levels = len(problem.cost), len(problem.rooms)
        best = np.full((n, n + 1, levels), np.inf)
        kept = np.full_like(best, np.inf)  # best, when activation i has to be kept as well
        self.choice = np.zeros(best.shape, np.int16)
        reached = np.concatenate(([0.0], np.cumsum(problem.cost)))
        for length in range(1, n + 1):
            for i in range(n - length + 1):
                j = i + length
                here = best[i, j]
                if length == 1:
                    again = 0.0 if j == n else problem.again[i]
                    here[problem.rooms >= problem.back[i]] = again
                else:
                    self._choose(best, kept, reached, i, j)
                free = problem.turn_is_free and length == 1
                held = 0 if free else int(min(problem.held[i], levels))
                kept[i, j, held:] = here[: levels - held]
        self.least = best[0, n]

    def _choose(self, best: Array, kept: Array, reached: Array, i: int, j: int) -> None:
        problem, here = self.problem, best[i, j]
        stops = slice(i + 1, j)
        cost = kept[stops, j] + best[i, stops]
        cost += (reached[stops] - reached[i])[:, None]
        cost[problem.sweep[i, stops, None] > problem.rooms] = np.inf
        nearest = cost.argmin(axis=0)
        here[:] = cost[nearest, np.arange(len(here))]
        self.choice[i, j] = nearest + i + 1
        if problem.taped[i] < len(here):
            taped = int(problem.taped[i])
            inside = problem.cost[i] + best[i + 1, j, : len(here) - taped]
            better = inside < here[taped:]
            here[taped:][better] = inside[better]
            self.choice[i, j, taped:][better] = i

    def split(self, i: int, j: int, room: int) -> tuple[int, int]:
        k = int(self.choice[i, j, room])
        taken = self.problem.taped[i] if k == i else self.problem.held[k]
        return k, room - int(taken)


def with_slots(stages: Sequence[Stage], slots: int) -> list[Event]:
    """An order that keeps at most `slots` activations and recomputes the fewest stages.

    Stages with internals are evaluated once more right before their Backward, the last stage
    excepted; nothing is kept of their inside. Among the orders with the fewest evaluations it is
    the one of least cost, exactly, up to STAGES stages (dynamic programme); beyond that it is any.

    Args:
        stages: of the network, first to last.
        slots: most activations kept besides the network's input, 0 or more.
    """
    n = len(stages)
    slots = min(slots, max(0, n - 2))
    costs = [stage.cost for stage in stages[:-1]]
    if len(set(costs)) <= 1 or n > STAGES:
        return _orders(stages, _closed_form, slots)
    # Fewest evaluations first, their cost second: in one float64, which is exact below 2^53.
    scaled = np.array([stage.cost for stage in stages], float) / gcd(*costs)
    evaluations = n * n / 2
    room_for_cost = 2.0**53 / evaluations / (evaluations + 1)
    scaled *= min(1.0, room_for_cost / scaled[:-1].max())
    weight = np.floor(scaled) + np.floor(scaled[:-1].max() + 1) * evaluations
    nothing = np.zeros(n)
    problem = _Problem(
        rooms=np.arange(slots + 1.0),
        cost=weight,
        held=np.ones(n),
        taped=np.full(n, np.inf),
        sweep=np.zeros((n, n + 1)),
        back=nothing,
        again=nothing,
        turn_is_free=True,
    )
    return _orders(stages, _Table(problem).split, slots)


def _sweep_bytes(outputs: Array) -> Array:
    """[i, k]: the most bytes at once in a sweep from activation i, not counted, to k."""
    n = len(outputs)
    out = np.zeros((n, n + 1))
    for i in range(n):
        pairs = outputs[i:].copy()
        pairs[1:] += outputs[i:-1]
        out[i, i + 1 :] = np.maximum.accumulate(pairs)
    return out


def with_bytes(stages: Sequence[Stage], limit: int) -> list[Event] | None:
    """An order of least cost whose activations and internals fit into `limit` bytes, or None.

    Least among the orders that keep an activation until the way back has come to it, and what is
    inside a stage only together with its input; where what is inside takes more than the input, an
    order that drops the input for a while can be cheaper, and is not looked for. Exact where the
    sizes of what is kept have a common divisor that makes a table of no more than ENTRIES; else
    sizes are rounded up to a coarser unit: the order fits but may not be the cheapest. At most
    STAGES stages.
    """
    n = len(stages)
    outputs = np.array([stage.activation_bytes for stage in stages], float)
    internals = np.array([stage.internal_bytes for stage in stages], float)
    sizes = [s.activation_bytes for s in stages[:-1]] + [s.internal_bytes for s in stages]
    unit = max(1, gcd(*sizes), -(-limit * n * n // ENTRIES))
    capacity = limit // unit
    held = np.ceil(np.concatenate(([0.0], outputs[:-1])) / unit)
    has_internals = internals > 0
    back = np.where(has_internals, internals + outputs, 0.0)
    back[-1] = internals[-1] + outputs[-1]
    problem = _Problem(
        rooms=limit - unit * np.arange(capacity, -1.0, -1.0),
        cost=np.array([stage.cost for stage in stages], float),
        held=held,
        taped=np.where(has_internals, np.ceil(internals / unit) + np.ceil(outputs / unit), np.inf),
        sweep=_sweep_bytes(outputs),
        back=back,
        again=np.where(has_internals, [stage.cost for stage in stages], 0.0),
        turn_is_free=False,
    )
    table = _Table(problem)
    return _orders(stages, table.split, capacity) if np.isfinite(table.least[capacity]) else None
