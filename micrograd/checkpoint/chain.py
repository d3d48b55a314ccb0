"""A network as a chain of stages, the events of a step over it, and what an order of them costs.

Stage j maps activation j to activation j+1; activation 0 is the network's input, always there. A
step evaluates stages (Forward, Tape) and goes back over them (Backward). An order of events says
nothing about memory by itself: what is kept follows by liveness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One top-level layer, with the activation that is fused into it.

    activation_bytes: size of its output.
    internal_bytes: what Backward needs besides the stage's input: 0 for a Linear with its
        activation, the inner activations for a block.
    cost: of one evaluation, in multiply-adds of one row.
    """

    activation_bytes: int
    internal_bytes: int = 0
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Forward:
    """Evaluates a stage for its output; what happens inside is dropped."""

    stage: int


@dataclass(frozen=True, slots=True)
class Tape:
    """Evaluates a stage and keeps its internals for the Backward to come."""

    stage: int


@dataclass(frozen=True, slots=True)
class Backward:
    """Goes back over a stage: reads its input and, if it has any, the internals of its Tape."""

    stage: int


Event = Forward | Tape | Backward


@dataclass(frozen=True)
class Replay:
    """What an order costs.

    kept: most layer activations kept at once.
    kept_bytes: most bytes kept at once, in activations and in internals that do not serve the very
        next event.
    live: most layer activations at once, those that the sweep is working on included.
    peak_bytes: most bytes of activations and internals at once. The network's input, parameters,
        gradients and the kernels' workspaces are not among them.
    recomputed: stage evaluations beyond the first of each stage.
    recomputed_cost: the sum of their costs.
    """

    kept: int
    kept_bytes: int
    live: int
    peak_bytes: int
    recomputed: int
    recomputed_cost: int


class _Lifetimes:
    """How much is alive at each event, from the intervals that are added."""

    def __init__(self, events: int) -> None:
        self.change = [0] * (events + 1)

    def add(self, first: int, last: int, amount: int) -> None:
        self.change[first] += amount
        self.change[last + 1] -= amount

    def most(self) -> int:
        alive = most = 0
        for change in self.change:
            alive += change
            most = max(most, alive)
        return most


def evaluate(stages: Sequence[Stage], stage: int) -> Event:
    """The event that evaluates a stage right before going back over it."""
    return Tape(stage) if stages[stage].internal_bytes else Forward(stage)


def _check(stages: Sequence[Stage], order: Sequence[Event]) -> None:
    """That the first sweep comes first and the way back is in order."""
    n = len(stages)
    sweep = [(event.stage, isinstance(event, Backward)) for event in order[:n]]
    if sweep != [(j, False) for j in range(n)]:
        raise ValueError(f"replay: the first {n} events do not evaluate stages 0 to {n - 1}")
    back = [event.stage for event in order if isinstance(event, Backward)]
    if back != list(range(n - 1, -1, -1)):
        raise ValueError(f"replay: Backward does not go once from stage {n - 1} to 0")


def replay(stages: Sequence[Stage], order: Sequence[Event]) -> Replay:
    """Follows an order by the rules of liveness.

    Forward(j) and Tape(j) read the latest instance of activation j and make a new instance of
    activation j+1. Backward(j) reads the latest instance of activation j and, where internal_bytes
    is not 0, the internals of the latest Tape(j). An instance lives from the event that makes it to
    the last event that reads it.

    An instance is the sweep's *working* value while the events that follow its making read it
    without a break: an activation that the next stage takes up, also when Backward comes right
    after that. From the first event that does not read it until its last reader it is *kept*, as in
    a checkpoint slot. So keeping all of n layers keeps n - 2: the input is free, and activation
    n - 1 is the one the sweep is working on when it turns.

    Args:
        stages: of the network, first to last.
        order: the events of one step.

    Returns:
        A Replay.

    Raises:
        ValueError: the order reads what is not there, or is not one sweep through all stages
            followed by a way back, with evaluations between.
    """
    _check(stages, order)
    live, kept, kept_size, size = (_Lifetimes(len(order)) for _ in range(4))
    made: dict[int, tuple[int, list[int]]] = {0: (-1, [])}  # activation -> (event, its readers)
    taped: dict[int, int] = {}  # stage -> event of its latest Tape, until Backward
    evaluations = cost = 0

    def ends(activation: int) -> None:
        """Accounts for the instance of an activation that a new one replaces."""
        start, readers = made[activation]
        last = readers[-1] if readers else start
        live.add(start, last, 1)
        size.add(start, last, stages[activation - 1].activation_bytes)
        unbroken = start
        for reader in readers:
            if reader > unbroken + 1:
                kept.add(unbroken + 1, last, 1)
                kept_size.add(unbroken + 1, last, stages[activation - 1].activation_bytes)
                break
            unbroken = reader

    for at, event in enumerate(order):
        j = event.stage
        if j not in made:
            raise ValueError(f"replay: event {at} {event} reads activation {j} before it is made")
        made[j][1].append(at)
        if isinstance(event, Backward):
            if stages[j].internal_bytes:
                if j not in taped:
                    raise ValueError(f"replay: event {at} {event} has no Tape({j}) before it")
                start = taped.pop(j)
                size.add(start, at, stages[j].internal_bytes)
                if at > start + 1:
                    kept_size.add(start + 1, at, stages[j].internal_bytes)
            continue
        if j + 1 in made:
            ends(j + 1)
        made[j + 1] = (at, [])
        evaluations += 1
        cost += stages[j].cost
        if isinstance(event, Tape):
            if j in taped:  # what that Tape kept is of no use
                size.add(taped[j], taped[j], stages[j].internal_bytes)
            taped[j] = at
    for stage, at in taped.items():  # nor is that of a Tape that no Backward follows
        size.add(at, at, stages[stage].internal_bytes)
    for activation in made:
        if activation:
            ends(activation)
    first = sum(stage.cost for stage in stages)
    return Replay(
        kept.most(),
        kept_size.most(),
        live.most(),
        size.most(),
        evaluations - len(stages),
        cost - first,
    )
