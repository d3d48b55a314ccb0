"""Where in a header's scratch memory each value lies."""

from __future__ import annotations

from collections.abc import Callable

from micrograd.convert.steps import INPUT, Graph


def allocate(
    graph: Graph, in_place: Callable[[int], bool], skip_output: bool = False
) -> tuple[dict[int, int], int]:
    """The offset of each value, and how many numbers there are.

    A value takes the first gap that is free while it lives; a step whose output may lie over an
    input of the same width (`in_place`, of the number of the output) writes over one that is not
    needed any more. skip_output: the result lies elsewhere.
    """
    last = graph.last_uses()
    offsets: dict[int, int] = {}
    living: list[int] = []
    total = 0
    for number, step in enumerate(graph.steps):
        if skip_output and step.output == graph.output:
            continue
        dying = [v for v in step.inputs if v != INPUT and last[v] == number]
        wide = graph.columns[step.output]
        same = [v for v in dying if graph.columns[v] == wide and in_place(step.output)]
        if same:
            offsets[step.output] = offsets[same[0]]
        else:
            start = 0
            for value in sorted(living, key=offsets.__getitem__):
                if start + wide <= offsets[value]:
                    break
                start = max(start, offsets[value] + graph.columns[value])
            offsets[step.output] = start
        total = max(total, offsets[step.output] + wide)
        living = [v for v in living if last[v] > number]
        living.append(step.output)
    return offsets, total
