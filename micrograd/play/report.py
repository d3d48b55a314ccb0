"""What pages are told of runs, as plain data for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from micrograd.play.config import Config
from micrograd.play.dataset import Table
from micrograd.play.presets import cures
from micrograd.play.run import Run, finite

LONGEST = 1 << 18  # characters of a message
BOX = (-1.6, 1.6, -1.6, 1.6)  # shown where there are no points yet


def state(
    playing: bool, speed: int, configs: Sequence[Config], table: Table | None
) -> dict[str, Any]:
    """What the controls show."""
    about = None
    if table is not None:
        frame = table.frame
        about = {"name": table.name, "columns": frame.names[:2000], "rows": len(frame),
                 "notes": list(frame.notes)}  # fmt: skip
    return {
        "kind": "state", "playing": playing, "speed": speed, "table": about,
        "configs": [config.plain() for config in configs],
    }  # fmt: skip


def points(number: int, run: Run | None, trouble: str) -> dict[str, Any]:
    """The data of a run as they lie on the plane; without a run the empty plane."""
    if run is None:
        return {"kind": "points", "run": number, "x": [], "y": [], "of": [], "test": [],
                "classes": [], "names": ["", ""], "box": BOX, "note": trouble, "image": None,
                "rows": 0}  # fmt: skip
    data = run.data
    of = data.shown_y
    if not data.classes:  # 0 to 1, two standard deviations each way
        of = np.clip(of / 4 + 0.5, 0, 1)
    return {
        "kind": "points", "run": number,
        "x": np.round(data.places[:, 0], 4).tolist(), "y": np.round(data.places[:, 1], 4).tolist(),
        "of": np.round(of, 3).tolist(), "test": data.shown_test.astype(int).tolist(),
        "classes": list(data.classes), "names": list(data.plane.names), "box": data.plane.box,
        "note": data.note, "image": data.image, "rows": len(data.X) + len(data.X_test),
    }  # fmt: skip


def in_short(config: Config, found: Run) -> str:
    """The network in a line: widths, and what stands between them."""
    widths = [found.net.in_features, *config.layers, found.net.out_features]
    parts = [" → ".join(map(str, widths)), *[config.activation] * bool(config.layers)]
    parts += ["skip connections"] * (config.skip and len(config.layers) > 1)
    parts += [f"dropout {config.dropout:g}"] * bool(config.dropout and config.layers)
    return ", ".join([*parts, config.optimizer])


def run(found: Run | None, config: Config, trouble: str) -> dict[str, Any]:
    """How a run stands: figures, curves, and how the gradient gets through its layers."""
    if found is None:
        return {"trouble": trouble, "step": 0}
    with np.errstate(all="ignore"):
        measured = found.measure()
        diagnosis = found.diagnosis()
    curve = found.curve
    verdict = "not finite" if found.failure else diagnosis.verdict
    weights = {p.name.removesuffix(".weight") for p in found.net.parameters() if p.data.ndim == 2}
    layers = [
        {
            "name": x.name, "layer": x.layer, "gradient": finite(x.gradient),
            "ratio": finite(x.ratio), "delta": finite(x.delta), "saturated": finite(x.saturated),
            "dead": finite(x.dead), "norm": finite(x.norm), "verdict": x.verdict,
            "weights": x.name in weights,
        }
        for x in diagnosis.layers
    ]  # fmt: skip
    return {
        "trouble": found.failure, "step": found.step,
        "network": in_short(config, found),
        "parameters": found.net.parameters().size,
        **{name: finite(x) for name, x in measured._asdict().items()},
        "lr": finite(found.optimizer.current_lr()),
        "curve": {
            "step": curve.steps,
            "loss": [finite(m.loss) for m in curve.kept],
            "test": [finite(m.test_loss) for m in curve.kept],
        },
        "layers": layers, "verdict": verdict, "remedy": found.failure or diagnosis.remedy,
        "cures": cures(verdict, config),
    }  # fmt: skip
