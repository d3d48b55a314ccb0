"""The schema of numbers that are no table: a matrix X, as an estimator or a network takes it."""

from __future__ import annotations

from collections.abc import Sequence

from micrograd.data.target import Target
from micrograd.tabular.column import NUMBER, Column
from micrograd.tabular.schema import Schema


def plain_schema(
    features: int | Sequence[str],
    targets: Sequence[str] = ("y",),
    classes: Sequence[str] = (),
    centre: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
) -> Schema:
    """Numbers, each scale * (x - centre), or as they are.

    features: their names, or how many there are: x0, x1, ... then. targets: names of what is
    predicted; classes: of the one target, where it has some.
    """
    header = not isinstance(features, int)
    names = list(features) if not isinstance(features, int) else [f"x{i}" for i in range(features)]
    centres = [0.0] * len(names) if centre is None else [float(x) for x in centre]
    scales = [1.0] * len(names) if scale is None else [float(x) for x in scale]
    columns = [
        Column(name, NUMBER, centre=[c], scale=[s], clip=False)
        for name, c, s in zip(names, centres, scales, strict=True)
    ]
    predicted = [Target(name if name not in names else f"{name} predicted") for name in targets]
    if classes:
        predicted[0].classes = list(classes)
    return Schema(columns, predicted, [*names, *(t.name for t in predicted)], header=header)
