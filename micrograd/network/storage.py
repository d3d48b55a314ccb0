"""Storage for the buffers of a plan: blocks that are never needed at the same time share it."""

from __future__ import annotations

from dataclasses import dataclass

from micrograd.network.reverse import Passes


@dataclass
class Life:
    """The numbers of the ops between which a block is needed, both included."""

    first: int
    last: int


def lives(passes: Passes) -> list[Life]:
    """From the first op that writes a block to the last one that touches it."""
    found: list[Life | None] = [None] * len(passes.blocks)
    for number, op in enumerate(passes.ops):
        for buffer in (*op.inputs, *op.outputs):
            block = passes.buffers[buffer].block
            if block >= 0:
                life = found[block]
                if life is None:
                    found[block] = Life(number, number)
                else:
                    life.last = number
    return [life if life is not None else Life(0, -1) for life in found]


def assign(passes: Passes, share: bool) -> tuple[list[int], int]:
    """The storage of each block, and how many storages there are.

    A block takes the narrowest free storage that is wide enough, else the widest one, which grows.
    """
    if not share:
        return list(range(len(passes.blocks))), len(passes.blocks)
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for block, life in enumerate(lives(passes)):
        starts.setdefault(life.first, []).append(block)
        ends.setdefault(life.last, []).append(block)
    places = [-1] * len(passes.blocks)
    width: list[int] = []  # of each storage
    free: list[int] = []
    for number in range(len(passes.ops)):
        for block in starts.get(number, ()):
            columns = passes.blocks[block]
            wide = [s for s in free if width[s] >= columns]
            if wide:
                place = min(wide, key=width.__getitem__)
            elif free:
                place = max(free, key=width.__getitem__)
            else:
                place = len(width)
                width.append(0)
                free.append(place)
            width[place] = max(width[place], columns)
            free.remove(place)
            places[block] = place
        free += [places[block] for block in ends.get(number, ()) if places[block] >= 0]
    return places, len(width)
