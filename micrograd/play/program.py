"""The Python program that does what a run has done: the same data, network and steps, same bits."""

from __future__ import annotations

from typing import Any

from micrograd.network.blocks import Residual
from micrograd.network.layers import Dropout, Layer, Linear
from micrograd.play.build import OPTIMIZERS, learning_rate
from micrograd.play.config import Config
from micrograd.play.dataset import Table
from micrograd.play.run import Run

LONGEST_TEXT = 64_000  # characters of a table that the program holds itself
SPLIT = "mg.data.train_test_split("
WIDE = 96  # a line that is longer is broken, where it can be


def program(run: Run, table: Table | None) -> str:
    """The program. It leaves the network in `net`, and prints how well it does.

    table: the user's own; a short one stands in the program, a longer one is read from the file of
    its name.
    """
    parts = [
        '"""What the playground did, written by `micrograd play`."""',
        _imports(run, table),
        _data(run.config, table),
        _network(run),
        _training(run),
        _result(run),
    ]
    return "\n\n".join(parts) + "\n"


def _imports(run: Run, table: Table | None) -> str:
    config = run.config
    lines = ["import numpy as np\n"] if config.data in ("hand", "table") else []
    lines.append("import micrograd as mg")
    if config.data == "table" and _holds(table):
        lines.append("from micrograd.data.reading import table_of_bytes")
    return "\n".join(lines)


# ---- data ----


def _data(config: Config, table: Table | None) -> str:
    if config.data == "table" and table is not None:
        return _table(config, table)
    if config.data == "hand":
        lines = _by_hand(config)
    elif config.data == "digits":
        lines = ["X, y = mg.data.digits()"]
    else:
        arms = f", classes={config.arms}" if config.data == "spirals" else ""
        lines = [
            f"X, y = mg.data.{config.data}({config.samples}, noise={config.noise!r}, "
            f"seed={config.seed}{arms})"
        ]
    if config.test:
        lines.append(f"X, X_test, y, y_test = {SPLIT}X, y, {config.test!r}, {config.seed})")
    return "\n".join(lines)


def _by_hand(config: Config) -> list[str]:
    texts = [str(point) for point in config.points]
    lines, line = ["points = np.array(["], "   "
    for text in texts:
        if len(line) + len(text) + 2 > WIDE:
            lines.append(line)
            line = "   "
        line += f" {text},"
    return [
        *lines,
        line,
        "])  # x and y in hundredths, and the class",
        "X, y = (points[:, :2] / 100).astype(np.float32), points[:, 2].copy()",
    ]


def _holds(table: Table | None) -> bool:
    return table is not None and not table.path and 0 < len(table.text) <= LONGEST_TEXT


def _table(config: Config, table: Table) -> str:
    if _holds(table):
        lines = [f"text = {table.text!r}", f"frame = table_of_bytes(text.encode(), {table.name!r})"]
    else:
        lines = [f"frame = mg.tabular.read_table({table.path or table.name!r})"]
    lines += [
        f"schema = mg.tabular.Schema.infer(frame, {config.target or table.frame.names[-1]!r})",
        "rows = np.arange(len(frame))",
    ]
    if config.test:
        lines += [
            "answers = schema.targets[0].values(frame)",
            f"train, test, _, _ = {SPLIT}rows[:, None], answers, {config.test!r}, {config.seed})",
            "train, test = train[:, 0], test[:, 0]",
            "schema = schema.fitted(frame.take(train))",
        ]
    lines += [
        "target = schema.targets[0]",
        "X_all, y_all = schema.transform(frame).astype(np.float32), target.values(frame)",
        "if not target.classes:",
        "    y_all = ((y_all - target.centre) / target.scale).astype(np.float32)",
    ]
    if config.test:
        lines.append("X, X_test, y, y_test = X_all[train], X_all[test], y_all[train], y_all[test]")
    else:
        lines.append("X, y = X_all, y_all")
    return "\n".join(lines)


# ---- network ----


def written(layer: Layer) -> str:
    """A layer as an expression of Python."""
    name = f"mg.{type(layer).__name__}"
    if isinstance(layer, Residual):
        inner = [written(each) for each in layer.layers]
        return f"{name}({', '.join(inner + ['projection=True'] * layer.projection)})"
    if isinstance(layer, Linear):
        init = "" if layer.init is None else f", init={layer.init!r}"
        return f"{name}({layer.in_features}, {layer.out_features}{init})"
    if isinstance(layer, Dropout):
        return f"{name}({layer.p!r})"
    return f"{name}()"  # an activation with its usual settings


def _network(run: Run) -> str:
    layers = [f"    {written(layer)}," for layer in run.net.layers]
    lines = ["net = mg.Network(", *layers]
    lines += [f"    loss={run.data.loss!r},", f"    seed={run.config.seed},", ")"]
    if run.config.gain != 1:
        lines += [
            "for p in net.parameters():",
            "    if p.data.ndim == 2:",
            f"        p.data *= {run.config.gain!r}",
        ]
    return "\n".join(lines)


# ---- training ----


def _training(run: Run) -> str:
    config = run.config
    kind, settings = OPTIMIZERS[config.optimizer]
    rate: Any = learning_rate(config)
    more = "".join(f", {name}={value!r}" for name, value in settings.items())
    lines = [] if rate == config.lr else [f"rate = mg.schedule.{rate!r}"]
    shown = "rate" if lines else repr(rate)
    lines.append(f"optimizer = mg.optim.{kind}(net.parameters(), lr={shown}{more})")
    if not run.step:
        return "\n".join([*lines, "# No step has been made."])
    an_epoch = -(-len(run.data.X) // config.batch)
    epochs, left = -(-run.step // an_epoch), run.step % an_epoch
    if left:
        lines += [
            "",
            "",
            "class StopAt:",
            f'    """Ends training at step {run.step}, in the midst of an epoch."""',
            "",
            "    def on_step(self, state):",
            f"        if state.step == {run.step}:",
            "            state.stop()",
            "",
            "",
        ]
    given = [f"epochs={epochs}", f"batch_size={config.batch}", "optimizer=optimizer"]
    given += [f"clip_norm={config.clip!r}"] * bool(config.clip) + [f"l2={config.l2!r}"] * bool(
        config.l2
    )
    given += ["callbacks=[StopAt()]"] * bool(left) + [f"seed={config.seed}", "progress=False"]
    calls = "".join(f"    {each},\n" for each in ("X", "y", *given))
    return "\n".join([*lines, f"history = net.fit(\n{calls})"])


def _result(run: Run) -> str:
    parts = [("training", "X, y")] + [("test", "X_test, y_test")] * bool(len(run.data.X_test))
    lines = []
    for name, rows in parts:
        lines.append(f"loss, accuracy = net.evaluate({rows})")
        said = ", accuracy {accuracy:.2%}" if run.data.classes else ""
        lines.append(f'print(f"{name}: loss {{loss:.6g}}{said}")')
    return "\n".join(lines)
