"""Things worth seeing: configurations to start from, and cures for what does not learn."""

from __future__ import annotations

from typing import Any

from micrograd.play.config import Config

_DEEP = {"layers": "8,8,8,8,8,8,8,8", "optimizer": "momentum", "lr": 0.05, "data": "moons"}
_DEEP |= {"noise": 0.15}

# name: what the menu says, and the values of the first and, to compare, of the second run.
PRESETS: dict[str, tuple[str, tuple[dict[str, Any], ...]]] = {
    "spiral": ("A spiral", ({},)),
    "arms": ("A spiral of three arms", ({"arms": 3, "samples": 600, "activation": "gelu"},)),
    "moons": ("Two moons", ({"data": "moons", "noise": 0.15, "layers": "8"},)),
    "digits": ("Digits, a layer of 32", ({"data": "digits", "layers": "32", "lr": 0.005},)),
    "vanishing": ("Vanishing gradients: 8 sigmoid layers", ({**_DEEP, "activation": "sigmoid"},)),
    "cured": (
        "Vanishing, and beside it cured by skip connections",
        ({**_DEEP, "activation": "sigmoid"}, {"skip": True}),
    ),
    "exploding": (
        "Exploding: ReLU, weights 4 times too large",
        ({**_DEEP, "activation": "relu", "gain": 4},),
    ),
    "dead": (
        "Dead units: ReLU, steps far too large",
        ({"activation": "relu", "optimizer": "sgd", "lr": 3, "data": "circles", "noise": 0.1},),
    ),
    "symmetric": ("All weights zero: no unit differs from another", ({"gain": 0},)),
    "overfitting": (
        "Overfitting, and beside it held back by dropout and a penalty",
        (
            {"data": "moons", "samples": 60, "noise": 0.35, "test": 0.5, "layers": "64,64",
             "activation": "relu"},
            {"dropout": 0.3, "l2": 0.01},
        ),
    ),
    "optimizers": (
        "SGD beside Adam",
        ({"optimizer": "sgd", "lr": 0.1}, {"optimizer": "adam", "lr": 0.02}),
    ),
}  # fmt: skip


def preset(name: Any) -> list[Config]:
    """The configurations of a preset.

    Raises:
        ValueError: there is none of this name.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"preset: {str(name)[:40]!r} is none of {', '.join(PRESETS)}")
    first, *others = PRESETS[name][1]
    one = Config().changed(first)
    return [one, *(one.changed(other) for other in others)]


# trouble: the cures to offer, what the button says and what it changes.
CURES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "vanishing": (
        ("Cure: skip connections", {"skip": True, "gain": 1.0}),
        ("Cure: ReLU", {"activation": "relu", "init": "auto", "gain": 1.0}),
    ),
    "exploding": (
        ("Cure: usual weights", {"gain": 1.0, "init": "auto"}),
        ("Cure: clip the gradient at 1", {"clip": 1.0}),
    ),
    "dead units": (
        ("Cure: GELU", {"activation": "gelu"}),
        ("Cure: a tenth of the learning rate", {"lr": None}),
    ),
    "not finite": (
        ("Cure: usual weights", {"gain": 1.0, "init": "auto"}),
        ("Cure: a tenth of the learning rate", {"lr": None}),
        ("Cure: clip the gradient at 1", {"clip": 1.0}),
    ),
}


def cures(trouble: str, config: Config) -> list[dict[str, Any]]:
    """The cures for a trouble that would change something: what a button says, and what to set.

    Where all weights begin near zero, that is the trouble.
    """
    if trouble in CURES and config.gain < 0.5:
        return [{"label": "Cure: usual weights", "set": {"gain": 1.0, "init": "auto"}}]
    found = []
    for label, values in CURES.get(trouble, ()):
        values = {name: config.lr / 10 if x is None else x for name, x in values.items()}
        if config.changed(values) != config:
            found.append({"label": label, "set": values})
    return found
