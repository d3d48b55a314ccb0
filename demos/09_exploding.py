"""Exploding gradients and clipping: sections 8 and 9 of the documents.

The weights of a deep network start too large: every layer multiplies delta by more than one, and
the first steps throw the weights so far that the loss ends in nan. With the gradient's norm clipped
to 1 before each step the same network, from the same start, trains.
Run: python demos/09_exploding.py [--plot exploding.png]
"""

import argparse
import math
import textwrap

import micrograd as mg
from micrograd import plot

DEPTH, WIDTH, LARGER, RATE, EPOCHS = 12, 64, 1.6, 0.02, 12


def wrapped(text):
    """Lines of at most 100 characters."""
    return "\n".join(
        textwrap.fill(line, 100, subsequent_indent="      ", break_on_hyphens=False)
        for line in text.splitlines()
    )


def network():
    """ReLU layers whose weights are LARGER times He's."""
    layers = [mg.Linear(64, WIDTH), mg.ReLU()]
    for _ in range(DEPTH - 2):
        layers += [mg.Linear(WIDTH, WIDTH), mg.ReLU()]
    net = mg.Network(*layers, mg.Linear(WIDTH, 10), seed=0)
    for p in net.parameters():
        p.data *= LARGER
    return net


class Watch:
    """A callback: the loss of each step, and the norm of its gradient before clipping."""

    def __init__(self):
        self.losses, self.norms = [], []

    def on_step(self, state):
        self.losses.append(state.loss)
        self.norms.append(state.gradient_norm)


def train(X, y, clip_norm):
    """The error that ended training, if one did, and what the callback saw."""
    net, watch = network(), Watch()
    optimizer = mg.optim.SGD(net.parameters(), lr=RATE, momentum=0.9)
    error = None
    try:
        net.fit(X, y, EPOCHS, 32, optimizer, clip_norm=clip_norm, callbacks=watch, seed=0)
    except FloatingPointError as diverged:
        error = diverged
    return net, watch, error


def draw(path, runs):
    plot.check(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for label, (_, watch, error) in runs.items():
        steps = range(1, len(watch.losses) + 1)
        style = {"marker": "o", "color": "C3"} if error else {"color": "C0"}
        left.plot(steps, watch.losses, label=f"{label}, nan after it" if error else label, **style)
        right.plot(steps, watch.norms, label=label, **style)
    right.axhline(1, ls="--", color="black", label="max_norm")
    left.set(ylabel="loss of the step", xlabel="step", yscale="log", xscale="log")
    right.set(ylabel="norm of the gradient before clipping", xlabel="step", yscale="log")
    right.set(xscale="log")
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(f"{DEPTH} ReLU layers that start {LARGER} times too large")
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", metavar="FILE", help="write a picture: .png, .svg or .pdf")
    options = parser.parse_args()
    X, y = mg.data.digits()
    X, X_test, y, y_test = mg.data.train_test_split(X, y, 0.2, seed=0)

    print("Before training:")
    found = mg.diagnose(network(), X[:128], y[:128])
    print(wrapped(str(found)))
    growth = (found.layers[0].ratio) ** (1 / (len(found.layers) - 1))
    print(f"delta grows {growth:.2f} times a layer\n")

    runs = {"not clipped": train(X, y, None), "clip_norm=1": train(X, y, 1.0)}
    for label, (net, watch, error) in runs.items():
        print(f"{label}:")
        last = len(watch.losses)
        for step in [*(step for step in (1, 2, 3, 10, 100) if step < last), last]:
            loss, norm = watch.losses[step - 1], watch.norms[step - 1]
            print(f"  step {step:3}   loss {loss:10.4g}   |gradient| {norm:10.4g}")
        if error:
            print(wrapped(f"  {error}"))
            continue
        accuracy = float((net.predict(X_test).argmax(axis=1) == y_test).mean())
        print(f"  {accuracy:.1%} of the held out digits right")
    if options.plot:
        draw(options.plot, runs)
        print(f"wrote {options.plot}")

    if runs["not clipped"][2] is None:
        raise SystemExit("wrong: the loss should have ended in nan")
    if runs["clip_norm=1"][2] or accuracy < 0.8 or not math.isfinite(watch.losses[-1]):
        raise SystemExit("wrong: the clipped run should have trained")


if __name__ == "__main__":
    main()
