"""Recomputation: fewer activations kept, some layers computed twice (documents, section 2 and Q4).

A chain of 128 layers, width 64, batch 384: keeping every activation for the way back takes 126 of
them. With `slots` the core keeps so many and computes the others again when the way back comes to
them, in the order that needs the fewest evaluations (Griewank and Walther 2000). The gradient stays
what it was, bit for bit.
Run: python demos/11_recomputation.py [--plot recomputation.png]
"""

import argparse
import time
from statistics import median

import numpy as np

import micrograd as mg
from micrograd import checkpoint, plot
from micrograd.checkpoint.revolve import fewest_recomputed

DEPTH, WIDTH, ROWS, ROUNDS = 128, 64, 384, 7
SLOTS = (1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 64, 96, 126)


def network(policy):
    layers = [x for _ in range(DEPTH) for x in (mg.Linear(WIDTH, WIDTH), mg.Tanh())]
    return mg.Network(*layers, loss="mse", seed=0, checkpoint=policy)


def step(net, X, y):
    """Seconds of a forward and backward pass."""
    started = time.perf_counter()
    net.zero_grad()
    net.loss(X, y)
    net.backward()
    return time.perf_counter() - started


def draw(path, rows, forward):
    """rows: (slots, activations kept, recomputed, times as long), forward: its share of a step."""
    plot.check(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4), layout="constrained")
    left, right, memory = figure.subplots(1, 3)
    slots = [row[0] for row in rows]
    every = range(1, DEPTH - 1)
    theory = [fewest_recomputed(DEPTH, s) for s in every]
    left.plot(every, theory, color="black", label="fewest, T(L, s) - (L - 1)")
    left.plot(slots, [row[2] for row in rows], "o", label="counted by memory()")
    left.set(ylabel="layers computed again in a step", yscale="symlog", xscale="log")
    right.plot(every, [1 + forward * t / DEPTH for t in theory], color="black", label="theory")
    right.plot(slots, [row[3] for row in rows], "o", label="measured")
    right.set(ylabel="time of a step, in that of one that keeps all", xscale="log")
    memory.plot(every, every, color="black", label="slots")
    memory.plot(slots, [row[1] for row in rows], "o", label="memory()")
    memory.axhline(2 * DEPTH**0.5, ls="--", color="C1", label="2 sqrt(L)")
    memory.set(ylabel="activations kept at once", xscale="log", yscale="log")
    for axis in (left, right, memory):
        axis.set(xlabel="slots")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(f"Recomputation in a chain of {DEPTH} layers")
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", metavar="FILE", help="write a picture: .png, .svg or .pdf")
    options = parser.parse_args()
    mg.set_num_threads(1)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2, ROWS, WIDTH)).astype(np.float32)
    policies = [None, "sqrt", checkpoint.every(16), *map(checkpoint.binomial, SLOTS)]
    networks = {str(policy): network(policy) for policy in policies}
    gradients = {}
    for name, net in networks.items():
        step(net, X, y)
        gradients[name] = net.parameters().flat_grad.tobytes()
    seconds = {name: [] for name in networks}
    for _ in range(ROUNDS):  # in turns, so that a busy machine is unfair to none
        for name, net in networks.items():
            seconds[name].append(step(net, X, y))

    each = ROWS * WIDTH * 4
    print(f"{DEPTH} layers of width {WIDTH}, batch {ROWS}: an activation is {each // 1024} KiB")
    print(f"{'':26}{'kept':>6}{'KiB':>8}{'computed again':>16}{'fewest':>8}{'time':>8}")
    rows = []
    for policy, (name, net) in zip(policies, networks.items(), strict=True):
        memory = net.memory()
        kept, again = memory["activation_bytes"] / each, memory["recomputed_layers"]
        times = median(a / b for a, b in zip(seconds[name], seconds["None"], strict=True))
        slots = getattr(policy, "slots", None)
        fewest = "" if slots is None else str(fewest_recomputed(DEPTH, slots))
        print(f"{name:26}{kept:6.0f}{kept * each / 1024:8.0f}{again:16}{fewest:>8}{times:8.2f}")
        if slots is not None:
            rows.append((slots, kept, again, times))
            if kept > slots or again != int(fewest):
                raise SystemExit(f"wrong: {name} keeps {kept}, computes {again} again")
    if len(set(gradients.values())) != 1:
        raise SystemExit("wrong: the gradients differ")
    print("All gradients have the same bits.")
    # One evaluation costs what the schedule that recomputes most says: as a share of a whole step.
    forward = (rows[0][3] - 1) * DEPTH / rows[0][2]
    print(f"A layer's forward pass takes {forward:.0%} of its whole step.")
    if options.plot:
        draw(options.plot, rows, forward)
        print(f"wrote {options.plot}")


if __name__ == "__main__":
    main()
