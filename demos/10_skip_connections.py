"""Skip connections: section 10 of the documents. The same depth plain, residual, highway and dense.

Sixty sigmoid layers of width 32 between an input and an output layer. Without a way around them no
gradient arrives at the first one; with one it does, and the network learns. A dense block would be
1,952 wide after sixty layers: its layers give 4 numbers each instead.
Run: python demos/10_skip_connections.py [--plot skip.png]
"""

import argparse
import time

import micrograd as mg
from micrograd import plot

DEPTH, WIDTH, GROWTH, EPOCHS = 60, 32, 4, 15
GATE = -4.0  # at -1 a Highway passes 1 - sigmoid(-1) = 0.73 of x: after sixty 6e-9 is left


def layer(features, gives):
    return mg.Linear(features, gives), mg.Sigmoid()


def bodies():
    """The sixty layers, in four ways."""
    dense = [x for i in range(DEPTH) for x in layer(WIDTH + GROWTH * i, GROWTH)]
    same = layer(WIDTH, WIDTH)
    return {
        "plain": [x for _ in range(DEPTH) for x in same],
        "residual": [mg.Residual(*same, mg.Linear(WIDTH, WIDTH)) for _ in range(DEPTH)],
        "highway": [mg.Highway(*same, gate_bias=GATE) for _ in range(DEPTH)],
        "dense": [mg.DenseBlock(*dense)],
    }


def network(kind):
    out = WIDTH + GROWTH * DEPTH if kind == "dense" else WIDTH
    return mg.Network(mg.Linear(64, WIDTH), *bodies()[kind], mg.Linear(out, 10), seed=0)


def draw(path, flows, histories):
    plot.check(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for kind, found in flows.items():
        layers = [x for x in found.layers if x.norm == x.norm]
        at = [i / (len(layers) - 1) for i in range(len(layers))]
        gradients = [x.gradient if x.gradient > 0 else float("nan") for x in layers]
        left.plot(at, gradients, label=kind)
        loss = histories[kind].loss
        right.plot(range(1, len(loss) + 1), loss, marker=".", label=kind)
    left.set(xlabel="way from the first layer (0) to the last (1)", yscale="log")
    left.set(ylabel="|dL/dW, dL/db| of the layer, before training")
    right.set(xlabel="epoch", ylabel="training loss", yscale="log")
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(f"{DEPTH} sigmoid layers")
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", metavar="FILE", help="write a picture: .png, .svg or .pdf")
    options = parser.parse_args()
    X, y = mg.data.digits()
    X, X_test, y, y_test = mg.data.train_test_split(X, y, 0.2, seed=0)

    print(f"{DEPTH} sigmoid layers; gradients before training, then {EPOCHS} epochs on digits")
    print(f"{'':10}{'parameters':>11}{'|dW| first':>12}{'|dW| last':>12}{'verdict':>12}", end="")
    print(f"{'loss':>9}{'test accuracy':>15}{'seconds':>9}")
    flows, histories, accuracy = {}, {}, {}
    for kind in bodies():
        net = network(kind)
        flows[kind] = found = mg.diagnose(net, X[:256], y[:256])
        optimizer = mg.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        started = time.perf_counter()
        histories[kind] = net.fit(X, y, EPOCHS, 32, optimizer, clip_norm=1.0, seed=0)
        seconds = time.perf_counter() - started
        accuracy[kind] = float((net.predict(X_test).argmax(axis=1) == y_test).mean())
        first, last = found.layers[0].gradient, found.layers[-1].gradient
        print(f"{kind:10}{net.parameters().size:11}{first:12.1e}{last:12.1e}", end="")
        print(f"{found.verdict:>12}{histories[kind].loss[-1]:9.3f}", end="")
        print(f"{accuracy[kind]:15.1%}{seconds:9.2f}")
    if options.plot:
        draw(options.plot, flows, histories)
        print(f"wrote {options.plot}")

    first = {kind: found.layers[0].gradient for kind, found in flows.items()}
    times = min(first[kind] for kind in first if kind != "plain") / max(first["plain"], 1e-45)
    print("\nThe way around the layers lets the gradient pass: at the first layer it is")
    print(f"at least {times:.0e} times as large.")
    if any(first[kind] < 1000 * first["plain"] for kind in first if kind != "plain"):
        raise SystemExit("wrong: a skip connection did not carry the gradient")
    if accuracy["plain"] > 0.2 or any(accuracy[k] < 0.8 for k in accuracy if k != "plain"):
        raise SystemExit(f"wrong: accuracies {accuracy}")


if __name__ == "__main__":
    main()
