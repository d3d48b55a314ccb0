"""Recomputation: which activations are kept for the way back, and which are computed again.

    mg.Network(..., checkpoint="sqrt")                       about 2 sqrt(L) activations kept
    mg.Network(..., checkpoint=mg.checkpoint.every(8))       every 8th activation kept
    mg.Network(..., checkpoint=mg.checkpoint.binomial(10))   the least work for 10 kept activations
    mg.Network(..., checkpoint=mg.checkpoint.budget(2**26))  the least work found within 64 MiB

The gradients are those without recomputation, bit for bit; only memory and time change. A kept
activation is defined in `replay`; a layer here is a top-level layer of the network together with
the activation that is fused into it, and a block is one layer (documents, sections 2 and Q4).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isqrt
from typing import Any, ClassVar

from micrograd import checks
from micrograd.checkpoint import revolve
from micrograd.checkpoint.chain import (
    Backward,
    Event,
    Forward,
    Replay,
    Stage,
    Tape,
    evaluate,
    replay,
)

__all__ = [
    "Backward",
    "Checkpoint",
    "Event",
    "Forward",
    "Replay",
    "Stage",
    "Tape",
    "binomial",
    "budget",
    "every",
    "find",
    "replay",
    "sqrt",
]


def _segmented(stages: Sequence[Stage], starts: Sequence[int]) -> list[Event]:
    """Keeps the activations that segments start from; within the last segment of the first sweep,
    and in each segment that is evaluated again, all activations and internals are kept."""
    n, last = len(stages), starts[-1]
    out: list[Event] = [Forward(j) for j in range(last)]
    for start, end in zip(reversed(starts), reversed([*starts[1:], n]), strict=True):
        for j in range(start, end):
            # The last output of a segment is needed for the loss only, unless it comes with more.
            if j < end - 1 or end == n or stages[j].internal_bytes:
                out.append(evaluate(stages, j))
        out += [Backward(j) for j in range(end - 1, start - 1, -1)]
    return out


class Checkpoint:
    """Base of the policies; compare with isinstance, or as values.

    >>> isinstance(mg.checkpoint.every(4), mg.checkpoint.Checkpoint)
    True
    """

    name: ClassVar[str]
    depends_on_rows: ClassVar[bool] = False  # the order is another for another size of the batch

    def order(self, stages: Sequence[Stage]) -> list[Event]:
        """The events of one step over these stages, one or more.

        Raises:
            ValueError: there is no order within a budget.
        """
        raise NotImplementedError

    def to_plain(self) -> dict[str, Any]:
        """The policy as a dict of a str and numbers, for a file; see from_plain."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> Checkpoint:
        """The policy that to_plain wrote.

        Raises:
            ValueError: the name is unknown.
            TypeError: it has not the numbers that belong to the name.
        """
        arguments = dict(plain)
        name = arguments.pop("name", None)
        if name not in _POLICIES:
            raise ValueError(
                f"checkpoint: {name!r} is no policy, one of {', '.join(_POLICIES)} is wanted"
            )
        return _POLICIES[name](**arguments)

    def __str__(self) -> str:
        arguments = ", ".join(str(v) for k, v in self.to_plain().items() if k != "name")
        return f"checkpoint.{self.name}({arguments})"

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class _Every(Checkpoint):
    k: int
    name = "every"

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", checks.count("checkpoint.every", "k", self.k))

    def order(self, stages: Sequence[Stage]) -> list[Event]:
        return _segmented(stages, range(0, len(stages), self.k))


@dataclass(frozen=True, repr=False)
class _Sqrt(Checkpoint):
    name = "sqrt"

    def order(self, stages: Sequence[Stage]) -> list[Event]:
        return _segmented(stages, _sqrt_starts(stages))


@dataclass(frozen=True, repr=False)
class _Binomial(Checkpoint):
    slots: int
    name = "binomial"

    def __post_init__(self) -> None:
        object.__setattr__(self, "slots", checks.count("checkpoint.binomial", "slots", self.slots))

    def order(self, stages: Sequence[Stage]) -> list[Event]:
        return revolve.with_slots(stages, self.slots)


@dataclass(frozen=True, repr=False)
class _Budget(Checkpoint):
    bytes: int
    name = "budget"
    depends_on_rows = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "bytes", checks.count("checkpoint.budget", "bytes", self.bytes))

    def order(self, stages: Sequence[Stage]) -> list[Event]:
        everything = _segmented(stages, [0])
        if replay(stages, everything).peak_bytes <= self.bytes:
            return everything
        least = least_bytes(stages)
        if self.bytes < least:
            raise ValueError(
                f"checkpoint.budget: {self.bytes} bytes are too few, the activations of this "
                f"network and batch need at least {least}"
            )
        costs = [
            (result.recomputed_cost, result.peak_bytes, order)
            for order in (_most_slots(stages, self.bytes), _grouped(stages, self.bytes))
            if order and (result := replay(stages, order)).peak_bytes <= self.bytes
        ]
        return min(costs, key=operator.itemgetter(0, 1))[2]


_POLICIES: dict[Any, Callable[..., Checkpoint]] = {
    policy.name: policy for policy in (_Every, _Sqrt, _Binomial, _Budget)
}


def every(k: int) -> Checkpoint:
    """Keeps activations k, 2k, ...; on the way back the k layers after each are evaluated again.

    About L / k + k activations are kept; each layer is evaluated at most once more.

    Raises:
        TypeError, ValueError: k is not an integer, 1 or more.

    >>> layers = [mg.Linear(8, 8), mg.Tanh()] * 20
    >>> net = mg.Network(*layers, loss="mse", checkpoint=mg.checkpoint.every(5))
    >>> net.loss(np.ones((2, 8)), np.ones((2, 8))) > 0
    True
    >>> net.memory()["recomputed_layers"]
    12
    """
    return _Every(k)


def sqrt() -> Checkpoint:
    """Keeps at most 2 sqrt(L) activations of L layers; the same as checkpoint="sqrt".

    Each layer is evaluated at most once more, and as few as that allows: the segments become
    shorter from the input to the output, as more of their starts are kept, and the last, longest
    that fits, is not evaluated again. What a block keeps inside while its segment is gone over
    counts as activations too, and among its L, rounded up to whole ones.
    Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost" (2016), section 4.

    >>> mg.Network(mg.Linear(8, 8), checkpoint="sqrt").checkpoint == mg.checkpoint.sqrt()
    True
    """
    return _Sqrt()


def binomial(slots: int) -> Checkpoint:
    """Keeps at most `slots` activations besides the input, and recomputes the fewest layers.

    Without internals T(L, slots) - (L - 1) layer evaluations beyond the first sweep, see
    micrograd.revolve; a block is evaluated once more right before the way back over it, the last
    excepted, since only activations between layers take slots. Where layers cost differently, the
    cheapest of the orders with fewest evaluations is taken (up to 100 layers).

    Raises:
        TypeError, ValueError: slots is not an integer, 1 or more.

    >>> layers = [mg.Linear(8, 8), mg.Tanh()] * 20
    >>> net = mg.Network(*layers, loss="mse", checkpoint=mg.checkpoint.binomial(3))
    >>> net.loss(np.ones((2, 8)), np.ones((2, 8))) > 0
    True
    >>> net.memory()["recomputed_layers"]
    20
    """
    return _Binomial(slots)


def budget(bytes: int) -> Checkpoint:
    """Keeps what fits into so many bytes, and recomputes the least multiply-adds found for that.

    The bytes are those of activations and of what blocks keep inside, for the batch at hand: not
    the network's input, parameters, gradients or workspaces. Sizes and costs of layers may all
    differ. Up to 100 layers a dynamic programme finds the cheapest order (revolve.with_bytes
    says among which); longer networks are cut into 100 groups of layers that are kept or dropped
    together, or run by binomial(slots) with as many slots as bisection finds to fit, whichever is
    cheaper: a cheaper order may exist.

    Raises:
        TypeError, ValueError: bytes is not an integer, 1 or more. Later, when the size of the batch
            is known: there is no order within it; the error says the least it takes.

    >>> layers = [mg.Linear(8, 8), mg.Tanh()] * 20
    >>> net = mg.Network(*layers, loss="mse", checkpoint=mg.checkpoint.budget(400))
    >>> net.loss(np.ones((2, 8)), np.ones((2, 8))) > 0
    True
    >>> net.memory()["activation_bytes"] <= 400
    True
    """
    return _Budget(bytes)


def find(checkpoint: Any) -> Checkpoint | None:
    """The policy that a user named: None, "sqrt", or what the functions of this module return.

    Raises:
        TypeError, ValueError: it is none of these.
    """
    if checkpoint is None or isinstance(checkpoint, Checkpoint):
        return checkpoint
    wanted = '"sqrt", checkpoint.every(k), .binomial(slots) or .budget(bytes) is wanted'
    if isinstance(checkpoint, str):
        if checkpoint != "sqrt":
            raise ValueError(f"checkpoint is {checkpoint!r}, {wanted}")
        return sqrt()
    raise TypeError(f"checkpoint is {checkpoint!r}, {wanted}")


def least_bytes(stages: Sequence[Stage]) -> int:
    """The fewest bytes that any order needs: a stage's input, output and internals at once."""
    inputs = [0, *(stage.activation_bytes for stage in stages)]
    return max(
        before + stage.activation_bytes + stage.internal_bytes
        for before, stage in zip(inputs, stages, strict=False)
    )


def _sqrt_starts(stages: Sequence[Stage]) -> list[int]:
    """Where the segments of sqrt() start.

    Going back over segment p keeps p starts, and inside the segment all activations but the one at
    hand, so with S slots it has S - p + 2 layers. Any number of segments that reaches the input
    recomputes L - S - 2 layers: the fewest is taken.
    """
    layers = [1 + -(-s.internal_bytes // max(1, s.activation_bytes)) for s in stages]
    slots = isqrt(4 * sum(layers))
    for segments in range(1, len(stages) + 1):
        starts: list[int] = []
        end = len(stages)
        for before in range(segments - 1, -1, -1):
            start, room = end, slots - before + 2
            while start > 0 and (start == end or layers[start - 1] <= room):
                start -= 1
                room -= layers[start]
            starts.insert(0, start)
            end = start
            if end == 0:
                return starts
    raise AssertionError("one layer a segment reaches the input")


def _most_slots(stages: Sequence[Stage], limit: int) -> list[Event]:
    """Revolve with the most slots that fit into `limit` bytes, which is at least least_bytes.

    By bisection: where blocks hold much inside, more slots can take less, which is not looked for.
    """
    fitting, too_many = revolve.with_slots(stages, 0), len(stages)
    low = 0
    while too_many - low > 1:
        middle = (low + too_many) // 2
        order = revolve.with_slots(stages, middle)
        if replay(stages, order).peak_bytes <= limit:
            fitting, low = order, middle
        else:
            too_many = middle
    return fitting


def _grouped(stages: Sequence[Stage], limit: int) -> list[Event] | None:
    """The dynamic programme over bytes; more than revolve.STAGES stages are taken in groups, each a
    stage that has what lies inside as its internals."""
    size = -(-len(stages) // revolve.STAGES)
    starts = range(0, len(stages), size)
    groups = []
    for start in starts:
        group = stages[start : start + size]
        inside = sum(s.activation_bytes for s in group[:-1]) + sum(s.internal_bytes for s in group)
        groups.append(Stage(group[-1].activation_bytes, inside, sum(s.cost for s in group)))
    order = revolve.with_bytes(groups, limit)
    if order is None or size == 1:
        return order
    out: list[Event] = []
    for event in order:
        members = range(starts[event.stage], min(starts[event.stage] + size, len(stages)))
        if isinstance(event, Forward):
            out += [Forward(j) for j in members]
        elif isinstance(event, Tape):
            out += [evaluate(stages, j) for j in members]
        else:
            out += [Backward(j) for j in reversed(members)]
    return out
