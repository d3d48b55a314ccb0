"""The page of the playground: one piece of HTML with its style and script in it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from micrograd.draw import palette
from micrograd.draw.text import xml
from micrograd.network.layers import ACTIVATIONS, INITS
from micrograd.play.config import DATA, KINDS, OPTIMIZERS, SCHEDULES, Choice, Flag, Number
from micrograd.play.exports import EXPORTS
from micrograd.play.presets import PRESETS
from micrograd.play.session import FASTEST, SPEEDS

SCRIPTS = ("wire.js", "plane.js", "curve.js", "layers.js", "controls.js", "start.js")
WORDS = {
    "moons": "two moons", "circles": "two circles", "spirals": "spirals", "hand": "drawn by hand",
    "digits": "digits, 8 × 8 pixels", "table": "a table of mine", "he": "He", "xavier": "Xavier",
    "lecun": "LeCun",
    "auto": "as the activation wants", "sgd": "SGD", "momentum": "SGD, momentum 0.9",
    "nesterov": "SGD, Nesterov 0.9", "rmsprop": "RMSprop", "adagrad": "Adagrad", "adam": "Adam",
    "adamw": "AdamW", "constant": "constant", "cosine": "half a cosine to 0",
    "warmup": "warm-up, then cosine", "steps": "halved every quarter",
    "exponential": "exponential to 1 %", "relu": "ReLU", "leaky_relu": "leaky ReLU",
    "sigmoid": "sigmoid", "tanh": "tanh", "gelu": "GELU", "silu": "SiLU", "softplus": "softplus",
    "elu": "ELU", "selu": "SELU", "mish": "Mish",
}  # fmt: skip
# group: its fields, what each is called, and how finely it moves.
FIELDS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Data": (
        ("data", "Data", ""), ("samples", "Points", "10"), ("arms", "Arms", "1"),
        ("noise", "Noise", "0.01"), ("test", "Held out for the test", "0.05"),
    ),
    "Network": (
        ("layers", "Hidden layers", ""), ("activation", "Activation", ""),
        ("skip", "Skip connections (Residual)", ""), ("dropout", "Dropout", "0.05"),
        ("init", "First weights", ""), ("gain", "First weights times", "any"),
    ),
    "Training": (
        ("optimizer", "Optimizer", ""), ("lr", "Learning rate", "any"),
        ("schedule", "Schedule", ""), ("horizon", "Steps of the schedule", "1"),
        ("batch", "Rows in a batch", "1"), ("clip", "Clip gradients at (0: never)", "any"),
        ("l2", "Penalty on weights", "any"), ("seed", "Seed", "1"),
    ),
}  # fmt: skip
SLIDERS = ("noise", "test", "dropout")
CHOICES = {"data": DATA, "activation": tuple(ACTIVATIONS), "init": ("auto", *INITS),
           "optimizer": OPTIMIZERS, "schedule": SCHEDULES}  # fmt: skip
SAVES = {"program.py": "Python program", "model.safetensors": "safetensors", "model.onnx": "ONNX",
         "model.h": "C header", "network.html": "Step-through page"}  # fmt: skip
KEYS = (
    ("Space", "play, pause"),
    ("→", "one step"),
    ("Home", "back to the start, weights and all"),
    ("R", "start anew"),
    ("C", "compare two runs"),
    ("in the picture", "arrows move the cross, Enter sets a point, Delete takes the nearest, 1 2 3 "
     "choose its colour"),
)  # fmt: skip


def asset(name: str) -> str:
    """A file of the folder assets."""
    return (files("micrograd.play") / "assets" / name).read_text("utf-8")


def style() -> str:
    """The page's style sheet, with the colours of micrograd.draw."""
    light, dark = palette.properties(palette.LIGHT), palette.properties(palette.DARK)
    media = "@media screen and (prefers-color-scheme:dark)"
    return f":root{{{light}}}{media}{{:root{{{dark}}}}}{asset('play.css')}"


def script() -> str:
    """The page's script."""
    return "'use strict';\n" + "".join(map(asset, SCRIPTS))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def policy() -> str:
    """What the page may load: its own style and script, and this server; nothing else."""
    return (
        f"default-src 'none'; script-src {_hash(script())}; style-src {_hash(style())}; "
        "connect-src 'self' ws://127.0.0.1:* ws://localhost:*; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _control(name: str, label: str, step: str) -> str:
    """A labelled control for a field of the configuration."""
    kind = KINDS[name]
    place = f'id="{name}" name="{name}"'
    if isinstance(kind, Choice):
        options = "".join(
            f'<option value="{word}">{xml(WORDS.get(word, word))}</option>'
            for word in CHOICES[name]
        )
        control = f"<select {place}>{options}</select>"
    elif isinstance(kind, Flag):
        return (
            f'<label class="tick" data-of="{name}"><input type="checkbox" {place}>'
            f"<span>{xml(label)}</span></label>"
        )
    elif isinstance(kind, Number):
        form = "range" if name in SLIDERS else "number"
        shown = f'<output for="{name}"></output>' if form == "range" else ""
        control = (
            f'<input type="{form}" {place} min="{kind.least:g}" max="{kind.most:.12g}" '
            f'step="{step}">{shown}'
        )
    else:
        control = (
            f'<input type="text" {place} inputmode="numeric" autocomplete="off" spellcheck="false">'
            '<span class="pair"><button type="button" id="fewer" aria-label="one layer fewer">−'
            '</button><button type="button" id="more" aria-label="one layer more">+</button></span>'
        )
    return (
        f'<div class="field" data-of="{name}"><label for="{name}">{xml(label)}</label>'
        f'<span class="control">{control}</span></div>'
    )


_TABLE = """
<div class="own" data-data="table"><p id="about-table">No table yet.</p>
<div class="field"><label for="target">What to predict</label><span class="control">
<select id="target" name="target"></select></span></div>
<div class="field"><label for="file">Open a file</label><span class="control">
<input type="file" id="file" accept=".csv,.tsv,.txt,.xlsx,.parquet"></span></div>
<details><summary>Paste a table</summary><label for="pasted">Lines of cells, names first</label>
<textarea id="pasted" rows="5" spellcheck="false"></textarea>
<button type="button" id="paste">Take it</button></details></div>
<div class="own" data-data="hand"><p>Click into the picture to set a point; shift-click or
right-click takes the nearest away.</p>
<fieldset class="pens"><legend>Colour of the next point</legend>
<label><input type="radio" name="pen" value="0" checked><span>A</span></label>
<label><input type="radio" name="pen" value="1"><span>B</span></label>
<label><input type="radio" name="pen" value="2"><span>C</span></label></fieldset>
<button type="button" id="clear">Take all points away</button></div>
"""


def _form() -> str:
    groups = "".join(
        f"<fieldset><legend>{group}</legend>{''.join(_control(*f) for f in fields)}"
        f"{_TABLE if group == 'Data' else ''}</fieldset>"
        for group, fields in FIELDS.items()
    )
    sides = (
        '<fieldset id="which" hidden><legend>Network and training of</legend>'
        '<label><input type="radio" name="side" value="0" checked><span>Run A</span></label>'
        '<label><input type="radio" name="side" value="1"><span>Run B</span></label></fieldset>'
    )
    return (
        f'<form id="controls" aria-label="Configuration" autocomplete="off">{sides}{groups}</form>'
    )


def _run(number: int) -> str:
    name = "AB"[number]
    saves = "".join(
        f'<button type="button" data-export="{file}">{xml(SAVES[file])}</button>'
        for file in EXPORTS
    )
    return f"""
<article class="run" id="run{number}" aria-labelledby="name{number}"{" hidden" * number}>
<header><h2 id="name{number}"><span class="letter">Run {name}</span> <span class="net"></span></h2>
<p class="trouble" role="status" hidden></p></header>
<figure class="plane"><div class="stack"><canvas class="answers" aria-hidden="true"></canvas>
<canvas class="points" tabindex="0" role="img" aria-label="What run {name} answers"></canvas></div>
<figcaption><ul class="classes"></ul><p class="axes"></p><p class="note"></p></figcaption></figure>
<div class="facts"><dl class="figures">
<div class="big"><dt>test</dt><dd class="test">–</dd></div>
<div class="big"><dt>training</dt><dd class="training">–</dd></div>
<div><dt>loss, test</dt><dd class="test-loss">–</dd></div>
<div><dt>loss, training</dt><dd class="loss">–</dd></div>
<div><dt>learning rate</dt><dd class="lr">–</dd></div></dl>
<figure class="losses"><canvas class="curve" role="img" aria-label="Loss of run {name}, by step">
</canvas><figcaption><span class="key solid">training</span>
<span class="key dashed">test</span> loss by step, logarithmic</figcaption></figure>
<div class="saves" role="group" aria-label="Take run {name} away">{saves}</div></div>
<section class="layers"><h3>How the gradient gets through</h3>
<p class="verdict" role="status"></p><div class="cures"></div>
<div class="scroll" tabindex="0" role="region" aria-label="Layers of run {name}"><table>
<thead><tr><th scope="col">layer</th><th scope="col">gradient norm</th>
<th scope="col">saturated, dead</th><th scope="col">weights</th></tr></thead><tbody></tbody>
</table></div></section></article>"""


def _bar() -> str:
    said = {speed: f"{speed} steps a second" for speed in SPEEDS}
    said |= {1: "1 step a second", FASTEST: "as fast as it can"}
    speeds = "".join(f'<option value="{speed}">{text}</option>' for speed, text in said.items())
    presets = "".join(
        f'<option value="{name}">{xml(label)}</option>' for name, (label, _) in PRESETS.items()
    )
    return f"""
<section id="bar" aria-label="Steps"><button type="button" id="play">Play</button>
<button type="button" id="step">Step</button><button type="button" id="reset">Start anew</button>
<span class="time"><label for="time">Step</label> <input type="range" id="time" min="0" max="0"
value="0"> <output id="now" for="time">0</output></span>
<span><label for="speed">Speed</label> <select id="speed">{speeds}</select></span>
<button type="button" id="compare" aria-pressed="false">Compare</button>
<span><label for="preset">See</label> <select id="preset">
<option value="">something worth seeing …</option>{presets}</select></span>
<button type="button" id="link">Copy the address</button></section>"""


@cache
def render() -> str:
    """The whole page."""
    keys = "".join(f"<p><kbd>{xml(key)}</kbd> {what}</p>" for key, what in KEYS)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<title>micrograd play</title><style>{style()}</style></head><body>
<header id="top"><h1>micrograd play</h1><p id="message" role="alert"></p><span id="pace"></span>
</header>{_bar()}
<div id="all">{_form()}<main id="runs">{_run(0)}{_run(1)}</main></div>
<footer><details><summary>Keys</summary>{keys}</details></footer>
<dialog id="code" aria-labelledby="code-name"><h2 id="code-name">The same in Python</h2>
<pre tabindex="0"></pre><div class="pair"><button type="button" id="copy">Copy</button>
<button type="button" id="download">Save program.py</button>
<button type="button" id="close">Close</button></div></dialog>
<script>{script()}</script></body></html>
"""
