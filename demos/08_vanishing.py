"""Why deep networks of sigmoids do not learn: section 7 of the documents, measured.

Going back through a layer multiplies the gradient by W^T and by f'(z). For the sigmoid f' is at
most 1/4, so that the product over L layers is at most 0.25^L. Here it is measured for sigmoid, tanh
and ReLU over the depth, and with it how much of delta arrives at the first layer.
Run: python demos/08_vanishing.py [--plot vanishing.png]
"""

import argparse
import textwrap
from itertools import pairwise

import numpy as np

import micrograd as mg
from micrograd import plot

ACTIVATIONS = {"sigmoid": mg.Sigmoid(), "tanh": mg.Tanh(), "ReLU": mg.ReLU()}
DEPTHS = (1, 2, 3, 4, 6, 8, 10, 14, 20, 30)
WIDTH = 64


def wrapped(text):
    """Lines of at most 100 characters."""
    return "\n".join(
        textwrap.fill(line, 100, subsequent_indent="      ", break_on_hyphens=False)
        for line in text.splitlines()
    )


def network(activation, depth):
    """`depth` layers with that activation, and a Linear for the ten classes."""
    sizes = [64] + [WIDTH] * depth
    layers = []
    for features, following in pairwise(sizes):
        layers += [mg.Linear(features, following), activation]
    return mg.Network(*layers, mg.Linear(WIDTH, 10), dtype="float64", seed=0)


def slope(name, a):
    """f'(z) from a = f(z) (section 6)."""
    return {"sigmoid": a * (1 - a), "tanh": 1 - a * a, "ReLU": (a > 0) * 1.0}[name]


def measure(name, depth, X, y):
    """The product of f'(z^[l]) over the layers, (rows, units), and |delta^[1]| / |delta^[L+1]|."""
    net = network(ACTIVATIONS[name], depth)
    seen = net.explain(X, y)
    product = np.ones((len(X), WIDTH))
    for layer in range(1, depth + 1):
        product *= slope(name, seen[f"a{layer}"])
    return product, mg.diagnose(net, X, y).layers[0].ratio


def draw(path, found):
    plot.check(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, by_depth in found.items():
        means = [by_depth[d][0].mean() or np.nan for d in DEPTHS]  # no logarithm of 0
        left.plot(DEPTHS, means, marker=".", label=name)
        right.plot(DEPTHS, [by_depth[d][1] for d in DEPTHS], marker=".", label=name)
    left.plot(DEPTHS, [0.25**d for d in DEPTHS], ls="--", color="black", label="0.25^L")
    left.set(ylabel="product of f'(z) over the layers, mean", xlabel="layers L", yscale="log")
    right.set(ylabel="|delta| of the first layer over that of the last", xlabel="layers L")
    right.set(yscale="log")
    for axis in (left, right):
        axis.legend()
        axis.grid(alpha=0.3)
    figure.suptitle("Vanishing gradients: what is left after L layers")
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", metavar="FILE", help="write a picture: .png, .svg or .pdf")
    options = parser.parse_args()
    X, y = mg.data.digits()
    X, X_test, y, y_test = mg.data.train_test_split(X, y, 0.2, seed=0)
    found = {
        name: {depth: measure(name, depth, X[:128], y[:128]) for depth in DEPTHS}
        for name in ACTIVATIONS
    }
    print("Product of f'(z) over L layers, mean over 128 digits and 64 units:")
    print(f"{'L':>4}{'0.25^L':>11}" + "".join(f"{name:>11}" for name in ACTIVATIONS))
    for depth in DEPTHS:
        means = "".join(f"{found[name][depth][0].mean():11.1e}" for name in ACTIVATIONS)
        print(f"{depth:4}{0.25**depth:11.1e}{means}")
    print("A ReLU's slope is 1 or 0: its mean is the share of units that are active in all layers.")
    print("\n|delta| of the first layer over that of the last, W^T included:")
    for depth in DEPTHS:
        ratios = "".join(f"{found[name][depth][1]:11.1e}" for name in ACTIVATIONS)
        print(f"{depth:4}{'':11}{ratios}")

    print("\nTen sigmoid layers, as mg.diagnose sees them:")
    print(wrapped(str(mg.diagnose(network(mg.Sigmoid(), 10), X[:128], y[:128]))))

    print("\nTen layers after ten epochs of training on digits:")
    accuracy = {}
    for name, activation in ACTIVATIONS.items():
        net = network(activation, 10)
        optimizer = mg.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
        net.fit(X, y, epochs=10, batch_size=32, optimizer=optimizer, seed=0)
        accuracy[name] = float((net.predict(X_test).argmax(axis=1) == y_test).mean())
        print(f"  {name:8} {accuracy[name]:5.1%} of the held out digits right (guessing: 10 %)")
    if options.plot:
        draw(options.plot, found)
        print(f"wrote {options.plot}")

    most = found["sigmoid"][10][0].max()
    print(f"\nL = 10, sigmoid: largest product {most:.2e}, bound 0.25^10 = {0.25**10:.2e}")
    if not 0 < most <= 0.25**10:
        raise SystemExit("wrong: a product of ten slopes is beyond its bound")
    if found["sigmoid"][10][1] > 1e-4 or accuracy["sigmoid"] > 0.3 or accuracy["ReLU"] < 0.8:
        raise SystemExit("wrong: the sigmoids' gradient did not vanish, or the ReLUs' did")


if __name__ == "__main__":
    main()
