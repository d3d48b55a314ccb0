"""Messages to the playground: each is done, or refused in words; what is trained stays finite."""

import json
import math

import numpy as np

from fuzz.numbers import Numbers
from micrograd.play.config import KINDS, Choice, Config
from micrograd.play.presets import PRESETS
from micrograd.play.session import ACTIONS, SPEEDS, Session

NUMBERS = [0, 1, -1, 2, 0.5, 1e-9, 1e9, 1e400, -1e400, math.nan, 2**63, "1", "0", "1e5", "", "x"]
ODD = [None, True, False, [], {}, [1], {"a": 1}, "\ud800", "<script>", [[1, 2, 1]], [[0, 0, 0]] * 9]
FIELDS = ["run", "set", "on", "steps", "step", "speed", "name", "x", "y", "class", "fragment"]
TEXTS = [
    "layers=4,4&lr=0.1",
    "compare=1&b.lr=9",
    "data=hand&points=1.2.0_-3.4.1",
    "#",
    "a=b=c",
    "%",
]
MOST_STEPS = 20
SMALL = Config().changed({"samples": 20, "layers": "2"})


def value(numbers):
    kind = numbers.below(8)
    if kind < 5:
        return numbers.choice(NUMBERS)
    return numbers.choice(ODD) if kind < 7 else numbers.below(500)


def setting(numbers):
    """A field of the configuration with a value that may fit."""
    name = numbers.choice([*KINDS, "bogus"])
    kind = KINDS.get(name)
    if isinstance(kind, Choice) and numbers.below(4):
        return name, numbers.choice(kind.words)
    if name == "layers" and numbers.below(4):
        return name, ",".join(str(numbers.below(9)) for _ in range(numbers.below(5)))
    return name, value(numbers)


def message(numbers):
    """Such a message as pages send, with something odd in it now and then; or any bytes."""
    name = numbers.choice([*ACTIONS, "drawn", None])
    if numbers.below(16) == 1:
        return numbers.rest()
    asked = {"do": name}
    if name == "config":
        asked |= {"run": numbers.below(3), "set": dict(setting(numbers) for _ in range(3))}
    elif name in ("step", "rewind"):
        asked |= {"steps": 1 + numbers.below(MOST_STEPS), "step": numbers.below(2 * MOST_STEPS)}
    elif name == "speed":
        asked["speed"] = numbers.choice(SPEEDS)
    elif name == "compare":
        asked["on"] = bool(numbers.below(2))
    elif name == "preset":
        asked["name"] = numbers.choice([*PRESETS, "none"])
    elif name == "open":
        asked["fragment"] = numbers.choice(TEXTS)
    elif name in ("point", "erase"):
        asked |= {"x": numbers.below(256) / 80 - 1.6, "y": numbers.below(256) / 80 - 1.6}
        asked["class"] = numbers.below(4)
    if numbers.below(4) == 1:
        asked[numbers.choice(FIELDS)] = value(numbers)
    return json.dumps(asked)


def check(data):
    numbers, session = Numbers(data), Session(configs=[SMALL])
    with np.errstate(all="ignore"):
        while numbers.at < len(data):
            said = message(numbers)
            if isinstance(said, str) and json.loads(said).get("steps", 0) not in range(
                MOST_STEPS + 1
            ):
                continue  # a hundred thousand steps are right, and take too long here
            reply = session.handle(said)
            assert reply["kind"] == "done" or (reply["kind"] == "error" and reply["error"])
            for side in session.sides:
                assert (side.run is None) == bool(side.trouble)
                assert side.run is None or np.isfinite(side.run.net.parameters().flat).all()
        session.train(0.001)
        session.publish(everything=True)
    for name, payload in session.outbox.since(0)[1]:
        if isinstance(payload, str):
            json.loads(payload, parse_constant=lambda word: 1 / 0)
        else:
            assert len(payload) > 16 and name.startswith("run")
