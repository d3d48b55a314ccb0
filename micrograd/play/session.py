"""A session: one or two runs, what is done with them, and what pages see of it.

Everything here belongs to one thread, which micrograd.play.engine gives it; `outbox` alone is read
by others.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from micrograd import checks
from micrograd.core import Array
from micrograd.play import picture, report
from micrograd.play.config import SHARED, Config, fragment, from_fragment, hundredths
from micrograd.play.dataset import Table, dataset
from micrograd.play.outbox import Outbox
from micrograd.play.presets import preset
from micrograd.play.run import Run

SPEEDS = (1, 10, 100, 500, 2000, 0)  # steps a second, 0: as many as there is time for
FASTEST = 0
FRAMES, REPORTS = 60.0, 8.0  # a second, at most
SHARE = 0.12  # of the time may go into figures: those of deep networks come more rarely
MOST_STEPS = 100_000  # of one message
NEAR = 0.12  # how near a click is to the point that it deletes
EXPECTED = (TypeError, ValueError, ArithmeticError, ImportError, MemoryError, RecursionError)


@dataclass
class Side:
    """One of the runs that are compared: its configuration, and its run or why there is none."""

    config: Config
    run: Run | None = None
    trouble: str = ""
    grid: Array | None = None


class Session:
    """What the playground is doing.

    Args:
        table: the user's own; configs: one or two to begin with.

    Attributes:
        sides: the runs; playing, speed: how they train; outbox: what pages see.
    """

    def __init__(self, table: Table | None = None, configs: Sequence[Config] = ()) -> None:
        self.table = table
        self.outbox = Outbox()
        self.playing, self.speed = False, 100
        self.sides: list[Side] = []
        self._owed = 0.0  # steps that are due at this speed
        self._pace = 1e-4  # seconds of a step, lately
        self._drawn = self._reported = -math.inf
        self._cost = 0.0  # seconds that the last figures took
        self.rate = 0.0  # steps a second, lately
        self._rated: tuple[float, int] = (0.0, 0)
        self.restart(list(configs) or [Config()])

    # ---- runs ----

    @property
    def step(self) -> int:
        """Of the run that is further."""
        return max((side.run.step for side in self.sides if side.run), default=0)

    @property
    def furthest(self) -> int:
        """The most that a run has made."""
        return max((side.run.furthest for side in self.sides if side.run), default=0)

    def restart(self, configs: Sequence[Config]) -> None:
        """Runs from the start with these configurations."""
        self.sides = [self._side(config) for config in configs]
        self._owed = 0.0
        self._rated = (time.perf_counter(), 0)
        self._publish_all()

    def _side(self, config: Config) -> Side:
        side = Side(config)
        try:
            side.run = Run(config, dataset(config, self.table))
            size = picture.side_of(side.run)
            side.grid = side.run.data.plane.rows(size, size)
        except EXPECTED as error:
            side.run, side.trouble = None, str(error) or type(error).__name__
        return side

    def take_table(self, table: Table, target: str = "") -> None:
        """Trains on a table from now on.

        Raises:
            ValueError: it has no such column.
        """
        names = table.frame.names
        wanted = target or self.sides[0].config.target
        if target and target not in names:
            raise ValueError(f"{table.name}: no column {target!r}, there are {', '.join(names)}")
        chosen = wanted if wanted in names else names[-1]
        self.table = table
        self.restart([s.config.changed({"data": "table", "target": chosen}) for s in self.sides])

    def train(self, seconds: float) -> float:
        """Trains for about so long, as fast as `speed` says; returns how long to wait before the
        next call makes sense."""
        runs = [side.run for side in self.sides if side.run is not None and not side.run.failure]
        if not runs:
            return seconds
        steps = max(1, int(seconds / self._pace))
        if self.speed != FASTEST:
            self._owed = min(self._owed + self.speed * seconds, 2.0 * self.speed * seconds + 1)
            steps = min(steps, int(self._owed))
            self._owed -= steps
        started = time.perf_counter()
        for run in runs:
            run.advance(steps)
        spent = time.perf_counter() - started
        if steps:
            self._pace += 0.2 * (spent / steps - self._pace)
        return 0.0 if self.speed == FASTEST else max(0.0, seconds - spent)

    # ---- what is asked ----

    def handle(self, message: str | bytes) -> dict[str, Any]:
        """Does what a page asks, in JSON; returns {"kind": "done"} or what is wrong with it."""
        try:
            if len(message) > report.LONGEST:
                raise ValueError(f"message: {len(message)} characters, {report.LONGEST} at most")
            asked = json.loads(message)
            if not isinstance(asked, dict):
                raise TypeError(f"message: {checks.describe(asked)}, an object is wanted")
            name = asked.get("do")
            action = ACTIONS.get(name) if isinstance(name, str) else None
            if action is None:
                known = ", ".join(ACTIONS)
                raise ValueError(
                    f"message: do is {checks.describe(name)}, one of {known} is wanted"
                )
            action(self, asked)
        except UnicodeDecodeError:
            return {"kind": "error", "error": "message: not text in UTF-8"}
        except json.JSONDecodeError as error:
            return {"kind": "error", "error": f"message: no JSON: {error.msg}"}
        except EXPECTED as error:
            return {"kind": "error", "error": str(error) or type(error).__name__}
        return {"kind": "done"}

    def _play(self, asked: dict[str, Any]) -> None:
        self.playing = True
        self._state()

    def _pause(self, asked: dict[str, Any]) -> None:
        self.playing = False
        self._publish_all()

    def _step(self, asked: dict[str, Any]) -> None:
        steps = checks.count("step", "steps", asked.get("steps", 1), 1, MOST_STEPS + 1)
        self.playing = False
        for side in self.sides:
            if side.run is not None:
                side.run.advance(steps)
        self._publish_all()

    def _rewind(self, asked: dict[str, Any]) -> None:
        step = checks.count("rewind", "step", asked.get("step"), 0)
        if step > self.furthest:
            raise ValueError(f"rewind: step is {step}, the runs have made {self.furthest}")
        self.playing = False
        for side in self.sides:
            if side.run is not None:
                side.run.seek(min(step, side.run.furthest))
        self._publish_all()

    def _speed(self, asked: dict[str, Any]) -> None:
        speed = asked.get("speed")
        if isinstance(speed, bool) or speed not in SPEEDS:
            raise ValueError(f"speed: {checks.describe(speed)}, one of {SPEEDS} is wanted")
        self.speed, self._owed = int(speed), 0.0
        self._state()

    def _config(self, asked: dict[str, Any]) -> None:
        number = checks.count("configuration", "run", asked.get("run", 0), 0, len(self.sides))
        configs = [side.config for side in self.sides]
        configs[number] = configs[number].changed(asked.get("set"))
        shared = {name: getattr(configs[number], name) for name in SHARED}
        self._take([config.changed(shared) for config in configs])

    def _take(self, configs: list[Config]) -> None:
        """Starts anew, unless nothing has changed."""
        if configs != [side.config for side in self.sides]:
            self.restart(configs)
        else:
            self._state()

    def _reset(self, asked: dict[str, Any]) -> None:
        self.restart([side.config for side in self.sides])

    def _compare(self, asked: dict[str, Any]) -> None:
        if not isinstance(asked.get("on"), bool):
            raise TypeError(f"compare: on is {checks.describe(asked.get('on'))}, true or false is "
                            "wanted")  # fmt: skip
        first = self.sides[0].config
        if asked["on"] and len(self.sides) == 1:
            self.restart([first, first])
        elif not asked["on"]:
            del self.sides[1:]
            self._publish_all()

    def _preset(self, asked: dict[str, Any]) -> None:
        self.restart(preset(asked.get("name")))
        self.playing = True
        self._state()

    def _open(self, asked: dict[str, Any]) -> None:
        text = asked.get("fragment")
        if not isinstance(text, str):
            raise TypeError(f"open: fragment is {checks.describe(text)}, a text is wanted")
        self._take(from_fragment(text))

    def _place(self, asked: dict[str, Any]) -> tuple[int, int]:
        x, y = (
            checks.number("point", name, asked.get(name), -math.inf, most=math.inf)
            for name in ("x", "y")
        )
        return hundredths(x), hundredths(y)

    def _point(self, asked: dict[str, Any]) -> None:
        x, y = self._place(asked)
        label = checks.count("point", "class", asked.get("class"), 0, 3)
        points = (*self.sides[0].config.points, (x, y, label))
        self._take([s.config.changed({"data": "hand", "points": points}) for s in self.sides])

    def _erase(self, asked: dict[str, Any]) -> None:
        x, y = self._place(asked)
        points = list(self.sides[0].config.points)
        near = [math.hypot(x - p[0], y - p[1]) for p in points]
        if not points or min(near) > 100 * NEAR:
            return
        del points[near.index(min(near))]
        self._take([side.config.changed({"points": points}) for side in self.sides])

    def _clear(self, asked: dict[str, Any]) -> None:
        self._take([s.config.changed({"data": "hand", "points": []}) for s in self.sides])

    # ---- what is seen ----

    def _state(self) -> None:
        configs = [side.config for side in self.sides]
        state = report.state(self.playing, self.speed, configs, self.table)
        self.outbox.put([("state", json.dumps(state | {"fragment": fragment(configs)}))])

    def _publish_all(self) -> None:
        self.outbox.put([], forget="run")
        self._state()
        for i, side in enumerate(self.sides):
            text = json.dumps(report.points(i, side.run, side.trouble))
            self.outbox.put([(f"run{i}.points", text)])
        self.publish(everything=True)

    def publish(self, everything: bool = False) -> None:
        """Puts out what is due: the answers over the plane often, figures and weights now and
        then."""
        now = time.perf_counter()
        if everything or now - self._drawn >= 1 / FRAMES:
            self._drawn = now
            for i, side in enumerate(self.sides):
                if side.run is not None and side.grid is not None:
                    size = math.isqrt(len(side.grid))
                    frame = picture.answers(i, side.run, side.grid, size)
                    self.outbox.put([(f"run{i}.answers", frame)])
        if everything or now - self._reported >= max(1 / REPORTS, self._cost / SHARE):
            self._measure_rate(now)
            runs = [report.run(side.run, side.config, side.trouble) for side in self.sides]
            figures = {
                "kind": "figures", "runs": runs, "step": self.step, "furthest": self.furthest,
                "rate": self.rate if self.playing else 0.0,
            }  # fmt: skip
            messages: list[tuple[str, str | bytes]] = [("figures", json.dumps(figures))]
            for i, side in enumerate(self.sides):
                if side.run is not None:
                    images = picture.weights(i, side.run)
                    messages += [(f"run{i}.weights{k}", image) for k, image in enumerate(images)]
            self.outbox.put(messages)
            self._reported = time.perf_counter()
            self._cost = self._reported - now

    def _measure_rate(self, now: float) -> None:
        then, step = self._rated
        if now - then >= 0.5 or self.step < step:
            self.rate = max(0.0, (self.step - step) / max(now - then, 1e-9))
            self._rated = (now, self.step)


ACTIONS: dict[str, Callable[[Session, dict[str, Any]], None]] = {
    "play": Session._play,
    "pause": Session._pause,
    "step": Session._step,
    "rewind": Session._rewind,
    "speed": Session._speed,
    "config": Session._config,
    "reset": Session._reset,
    "compare": Session._compare,
    "preset": Session._preset,
    "open": Session._open,
    "point": Session._point,
    "erase": Session._erase,
    "clear": Session._clear,
}
