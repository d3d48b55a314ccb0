"""The data of a run: rows to train on and to test with, and the plane on which they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from micrograd import data
from micrograd.core import Array
from micrograd.play.config import PLACE, Config
from micrograd.tabular import Frame, Schema

MOST_ROWS, MOST_FEATURES = 50_000, 1000  # of a table
SHOWN = 1000  # points on the plane, the first
MARGIN = 0.1  # of the points' spread, around them
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Table:
    """A table of the user's own: its columns; its text or, of a file on disk, its path."""

    frame: Frame
    name: str
    text: str = ""
    path: str = ""


@dataclass(frozen=True)
class Plane:
    """A plane in the space of the features: origin + x * along + y * up.

    names: of x and y; box: least x, most x, least y, most y of what is shown.
    """

    origin: Array
    along: Array
    up: Array
    names: tuple[str, str]
    box: Box

    def rows(self, columns: int, lines: int) -> Array:
        """The centres of cells, line by line from the top: (columns * lines, features)."""
        x0, x1, y0, y1 = self.box
        x = x0 + (np.arange(columns) + 0.5) * (x1 - x0) / columns
        y = y1 - (np.arange(lines) + 0.5) * (y1 - y0) / lines
        grid = x[None, :, None] * self.along + y[:, None, None] * self.up
        return np.ascontiguousarray((grid + self.origin).reshape(-1, len(self.origin)), np.float32)


@dataclass(frozen=True)
class Dataset:
    """Rows, float32 (n, features), and targets: int64 (n,) for classes, float32 (n,) for numbers.

    X_test, y_test: may have no rows. classes: their names, none for numbers. places: of the shown
    points on the plane, (points, 2), training rows first; images: lines and columns where rows are
    pictures; note: what the plane is; schema: of a table.
    """

    X: Array
    y: Array
    X_test: Array
    y_test: Array
    classes: tuple[str, ...]
    plane: Plane
    places: Array
    shown_y: Array
    shown_test: Array
    features: tuple[str, ...]
    image: tuple[int, int] | None = None
    note: str = ""
    schema: Schema | None = None

    @property
    def loss(self) -> str:
        """The loss that fits the targets."""
        return "cross_entropy" if self.classes else "mse"

    @property
    def outputs(self) -> int:
        """Columns of the network's output."""
        return len(self.classes) or 1


def dataset(config: Config, table: Table | None) -> Dataset:
    """The data that a configuration names.

    Raises:
        ValueError: there are none: too few points by hand, or no table, or one that does not fit.
    """
    if config.data == "table":
        return _of_table(config, table)
    names: tuple[str, ...] = ("x", "y")
    if config.data == "hand":
        X, y = _by_hand(config)
        classes = tuple("ABC"[: max(2, int(y.max()) + 1)])
    elif config.data == "digits":
        X, y = data.digits()
        classes = tuple("0123456789")
        names = tuple(f"pixel {i // 8 + 1}, {i % 8 + 1}" for i in range(64))
    else:
        X, y = _drawn(config)
        classes = tuple("ABCDE"[: config.arms if config.data == "spirals" else 2])
    parts = _split(X, y, config)
    if config.data == "digits":
        return _shown(parts, classes, names, (8, 8))
    half = PLACE / 100
    if config.data != "hand":
        half = float(np.ceil(10 * np.abs(X).max()) / 10 + 0.1)
    return _shown(parts, classes, names, None, square=(-half, half, -half, half))


def _drawn(config: Config) -> tuple[Array, Array]:
    options: dict[str, Any] = {"noise": config.noise, "seed": config.seed}
    if config.data == "spirals":
        options["classes"] = config.arms
    return getattr(data, config.data)(config.samples, **options)  # type: ignore[no-any-return]


def _by_hand(config: Config) -> tuple[Array, Array]:
    if len({k for _, _, k in config.points}) < 2:
        raise ValueError("points of two colours at least are wanted: click into the picture")
    points = np.array(config.points, np.int64)
    return (points[:, :2] / 100).astype(np.float32), points[:, 2].copy()


Parts = tuple[Array, Array, Array, Array]  # X, X_test, y, y_test


def _split(X: Array, y: Array, config: Config) -> Parts:
    if not config.test:
        return X, X[:0], y, y[:0]
    return data.train_test_split(X, y, config.test, config.seed)


def _of_table(config: Config, table: Table | None) -> Dataset:
    if table is None:
        raise ValueError("there is no table: open a file, paste one, or start with --data FILE")
    frame = table.frame
    if len(frame) > MOST_ROWS or len(frame) < 2:
        raise ValueError(f"{table.name}: {len(frame)} rows, 2 to {MOST_ROWS} are wanted")
    schema = Schema.infer(frame, config.target or frame.names[-1])
    if config.test:
        rows = np.arange(len(frame))[:, None]
        y = schema.targets[0].values(frame)
        train, test, _, _ = data.train_test_split(rows, y, config.test, config.seed)
        parts = frame.take(train[:, 0]), frame.take(test[:, 0])
        schema = schema.fitted(parts[0])
    else:
        parts = frame, frame.take(np.arange(0))
    names = tuple(schema.encoded_names)
    if len(names) > MOST_FEATURES:
        raise ValueError(f"{table.name}: {len(names)} features, {MOST_FEATURES} at most are wanted")
    numbers = [numbers_of(schema, part) for part in parts]
    made = (numbers[0][0], numbers[1][0], numbers[0][1], numbers[1][1])
    return _shown(made, tuple(schema.targets[0].classes), names, None, schema)


def numbers_of(schema: Schema, frame: Frame) -> tuple[Array, Array]:
    """Rows of a table as the network takes them: X float32, y labels or float32 at unit scale."""
    target = schema.targets[0]
    if not len(frame):
        kind: Any = np.int64 if target.classes else np.float32
        return np.empty((0, len(schema.encoded_names)), np.float32), np.empty(0, kind)
    X = schema.transform(frame).astype(np.float32)
    y = target.values(frame)
    return X, y if target.classes else ((y - target.centre) / target.scale).astype(np.float32)


def _shown(
    parts: Parts,
    classes: tuple[str, ...],
    names: tuple[str, ...],
    image: tuple[int, int] | None,
    schema: Schema | None = None,
    square: Box | None = None,
) -> Dataset:
    """With the plane on which it is shown."""
    X, X_test, y, y_test = parts
    rows = np.concatenate([X, X_test])[:SHOWN].astype(np.float64)
    targets = np.concatenate([y, y_test])[:SHOWN]
    plane, places, note = _plane(rows, targets, names, square)
    return Dataset(
        np.ascontiguousarray(X), y, np.ascontiguousarray(X_test), y_test, classes, plane, places,
        targets, np.arange(len(rows)) >= len(X), names, image, note, schema,
    )  # fmt: skip


def _plane(
    rows: Array, y: Array, names: tuple[str, ...], square: Box | None
) -> tuple[Plane, Array, str]:
    """The plane of two features; of more that of their two widest directions, through the mean; of
    one feature a plane whose second direction is the target. square: what is shown, if not what
    the points take."""
    features = rows.shape[1]
    if features == 2:
        origin, directions = np.zeros(2), np.eye(2)
        called, note = (names[0], names[1]), ""
    elif features == 1:
        origin, directions = np.zeros(1), np.array([[1.0], [0.0]])
        called, note = (names[0], "target"), "One feature; upwards stands the target."
    else:
        origin = rows.mean(axis=0)
        directions = np.linalg.svd(rows - origin, full_matrices=False)[2][:2]
        directions = np.concatenate([directions, np.zeros((2 - len(directions), features))])
        signs = np.where(directions.sum(axis=1) < 0, -1.0, 1.0)
        directions = directions * signs[:, None]
        called = ("1st principal component", "2nd principal component")
        note = (
            f"A plane through the mean of {features} features, along the two directions in which "
            "they vary most. Points are seen from above it: colour under a point is the answer "
            "for its place on the plane, not for the point."
        )
    places = (rows - origin) @ directions.T
    if features == 1:
        places[:, 1] = y
    if square:
        box = square
    else:
        least, most = places.min(axis=0), places.max(axis=0)
        spread = np.maximum(most - least, 1e-6) * MARGIN
        box = (
            float(least[0] - spread[0]), float(most[0] + spread[0]),
            float(least[1] - spread[1]), float(most[1] + spread[1]),
        )  # fmt: skip
    return Plane(origin, directions[0], directions[1], called, box), places, note
